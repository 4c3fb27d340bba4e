"""What every store of conversations must do, as tests: a new store runs them, and is one.

    >>> class TestMyStore(StoreConformance):
    ...     def make_store(self, folder):
    ...         return MyStore(folder / "conversations")

For pytest; the tests of this class are found in yours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragtime.testing.store_conformance.base import turn
    from ragtime.testing.store_conformance.suite import StoreConformance

__all__ = ["StoreConformance", "turn"]

_HOMES = {
    "StoreConformance": "ragtime.testing.store_conformance.suite",
    "turn": "ragtime.testing.store_conformance.base",
}


def __getattr__(name: str) -> object:
    # Looked up when they are used: they need pytest, which is not there where ragtime is only run.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib  # noqa: PLC0415 - as above

    return getattr(importlib.import_module(_HOMES[name]), name)
