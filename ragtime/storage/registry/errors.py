"""What only a registry raises."""

from __future__ import annotations

from ragtime.errors import StorageError

__all__ = ["ModelNotFoundError", "TamperedModelError"]


class ModelNotFoundError(StorageError, LookupError):
    """The registry has no such model or version, or none of the model is in production."""


class TamperedModelError(StorageError):
    """A file of a registry is missing, or not what was registered."""
