"""A decision log for runs that want none."""
# ruff: noqa: ARG002 - it takes what every decision log takes, and keeps none of it

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragtime.records.decisions import (
    CustomData,
    Decision,
    ItemLink,
    ItemRef,
    Pattern,
    ProgressEntry,
    ProgressStatus,
)

if TYPE_CHECKING:
    from pydantic import JsonValue

__all__ = ["NullDecisionLog"]


class NullDecisionLog:
    """Logs nothing; a ``ragtime.protocols.DecisionLog`` for runs that want none."""

    def log_decision(
        self,
        summary: str,
        *,
        rationale: str | None = None,
        details: str | None = None,
        tags: Sequence[str] = (),
    ) -> ItemRef:
        """Log nothing."""
        return ItemRef(kind="decision", id="0")

    def log_progress(self, description: str, *, status: ProgressStatus = "IN_PROGRESS") -> ItemRef:
        """Log nothing."""
        return ItemRef(kind="progress_entry", id="0")

    def update_progress(
        self, entry: ItemRef, *, status: ProgressStatus | None = None, description: str | None = None
    ) -> None:
        """Log nothing."""

    def log_custom_data(self, category: str, key: str, value: JsonValue) -> ItemRef:
        """Log nothing."""
        return ItemRef(kind="custom_data", id=f"{category}:{key}")

    def log_pattern(self, name: str, *, description: str | None = None, tags: Sequence[str] = ()) -> ItemRef:
        """Log nothing."""
        return ItemRef(kind="system_pattern", id=name)

    def link(self, source: ItemRef, target: ItemRef, relationship: str, *, description: str | None = None) -> None:
        """Log nothing."""

    def decisions(self, limit: int | None = None, *, tags: Sequence[str] = ()) -> list[Decision]:
        """Return nothing."""
        return []

    def progress(self, limit: int | None = None) -> list[ProgressEntry]:
        """Return nothing."""
        return []

    def patterns(self, limit: int | None = None, *, tags: Sequence[str] = ()) -> list[Pattern]:
        """Return nothing."""
        return []

    def custom_data(self, category: str, key: str | None = None) -> list[CustomData]:
        """Return nothing."""
        return []

    def links(self, item: ItemRef) -> list[ItemLink]:
        """Return nothing."""
        return []

    def flush(self, timeout: float | None = None) -> bool:
        """Wait for nothing."""
        return True

    def close(self, timeout: float | None = None) -> None:
        """Close nothing."""
