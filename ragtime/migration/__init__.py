"""From the old modules to ragtime: the one table of old names, the warnings of the wrappers, and the codemod."""

from __future__ import annotations
