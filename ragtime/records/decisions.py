"""What runs decided and how they went: the records of a decision log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, JsonValue

from ragtime.records.base import Identifier, Record, Text, freeze

__all__ = [
    "CustomData",
    "Decision",
    "ItemKind",
    "ItemLink",
    "ItemRef",
    "Pattern",
    "ProgressEntry",
    "ProgressStatus",
]

ItemKind = Literal["decision", "progress_entry", "system_pattern", "custom_data"]
"""The kinds of items that ragtime logs, in the words of the Context Portal; other clients may log others."""

ProgressStatus = Literal["TODO", "IN_PROGRESS", "DONE", "FAILED"]
"""How far a piece of work is."""


def _hashable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple(sorted((name, _hashable(inner)) for name, inner in value.items()))
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


class ItemRef(Record):
    """Names an item of a decision log, for links.

    Attributes:
        kind: What it is; see ``ItemKind``.
        id: Its number; for custom data ``category:key``, for a pattern its name. A server numbers an item when it gets
            it, so that what ``log_decision`` and ``log_progress`` return there holds an id of the log's own instead.
    """

    kind: Identifier
    id: Identifier


class Decision(Record):
    """What was decided, and why.

    Attributes:
        id: Its number, a text; later decisions have higher ones.
        logged_at: When the log got it, in UTC.
        summary: What was decided.
        rationale: Why; ``None`` when nobody said.
        details: How it is done; ``None`` when nobody said.
        tags: Words to find it by.
    """

    id: Identifier
    logged_at: AwareDatetime
    summary: Text
    rationale: str | None = None
    details: str | None = None
    tags: tuple[str, ...] = ()

    @property
    def ref(self) -> ItemRef:
        """What names the decision in links."""
        return ItemRef(kind="decision", id=self.id)


class ProgressEntry(Record):
    """A piece of work, and how far it is.

    Attributes:
        id: Its number, a text; later entries have higher ones.
        logged_at: When the log got it, in UTC; later changes leave it.
        status: One of ``ProgressStatus``; other clients may write others.
        description: What is done.
    """

    id: Identifier
    logged_at: AwareDatetime
    status: Text
    description: Text

    @property
    def ref(self) -> ItemRef:
        """What names the entry in links."""
        return ItemRef(kind="progress_entry", id=self.id)


class Pattern(Record):
    """Something that keeps happening.

    Attributes:
        name: Its name; logging it again replaces what was there.
        logged_at: When the log got it last, in UTC.
        description: What keeps happening; ``None`` when nobody said.
        tags: Words to find it by.
    """

    name: Identifier
    logged_at: AwareDatetime
    description: str | None = None
    tags: tuple[str, ...] = ()

    @property
    def ref(self) -> ItemRef:
        """What names the pattern in links."""
        return ItemRef(kind="system_pattern", id=self.name)


class CustomData(Record):
    """Any JSON value under a category and a key.

    Attributes:
        category: The category; it holds no colon.
        key: The key; logging it again replaces the value.
        logged_at: When the log got the value, in UTC.
        value: The value.
    """

    category: Identifier
    key: Identifier
    logged_at: AwareDatetime
    value: Annotated[JsonValue, AfterValidator(freeze)]

    def __hash__(self) -> int:
        return hash((self.category, self.key, self.logged_at, _hashable(self.value)))

    @property
    def ref(self) -> ItemRef:
        """What names the value in links."""
        return ItemRef(kind="custom_data", id=f"{self.category}:{self.key}")


class ItemLink(Record):
    """Says how two items hang together.

    Attributes:
        source: The one that the relationship is said of.
        target: The other.
        relationship: How they hang together, such as ``produced_by``.
        logged_at: When the log got the link, in UTC.
        description: More about it; ``None`` when nobody said.
    """

    source: ItemRef
    target: ItemRef
    relationship: Identifier
    logged_at: AwareDatetime
    description: str | None = None
