"""What the tests of sources share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ragtime.config.settings import Settings
from ragtime.services.training_data_gen.sources import BadRecord, Sources

KINDS = ("documents", "conversations", "queries", "feedback", "examples")


def small_settings(**training_data: Any) -> Settings:
    return Settings(training_data=training_data)


def read(source: Callable[[], Iterator[Any]] | None) -> tuple[list[Any], list[BadRecord]]:
    """Read a source twice, which has to give the same, and return what can be used and what cannot."""
    assert source is not None
    found = list(source())
    assert list(source()) == found
    bad = [one for one in found if isinstance(one, BadRecord)]
    return [one for one in found if not isinstance(one, BadRecord)], bad


def given_kinds(sources: Sources) -> set[str]:
    return {kind for kind in KINDS if getattr(sources, kind) is not None}
