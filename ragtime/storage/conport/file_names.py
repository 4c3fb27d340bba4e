"""Names of files for ids of any kind: readable, another for every id on any file system, never out of a folder."""

from __future__ import annotations

import re

from ragtime.utils.hashing import text_hash

__all__ = ["file_name"]

_PLAIN = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_ODD = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST = 100  # characters that an id gives to the name
_DIGITS = 12
_RESERVED = re.compile(r"(con|prn|aux|nul|(com|lpt)\d)(\..*)?")  # devices on Windows, whatever their ending


def file_name(text: str) -> str:
    """Return the name of the file that belongs to an id.

    Args:
        text: The id.

    Returns:
        The id itself where it is short, of lower-case letters, digits, ``-``, ``_`` and single inner dots; else what is
        left of it and the start of its SHA-256, after a ``~``. Capitals count as odd, since there are file systems that
        do not tell them apart.
    """
    if len(text) <= _LONGEST and _PLAIN.fullmatch(text) and not _RESERVED.fullmatch(text):
        return text
    return f"{_ODD.sub('-', text)[:_LONGEST].strip('-')}~{text_hash(text)[:_DIGITS]}"
