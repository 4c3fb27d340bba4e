"""Splitting examples so that no part has seen anything of another."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ragtime.errors import InvalidArgumentError
from ragtime.services.training_data_gen.dedup import group_near_duplicates
from ragtime.services.training_data_gen.example import TrainingExample, checked_examples
from ragtime.services.training_data_gen.splitting import SplitItem, SplitReport, split_by_components

if TYPE_CHECKING:
    from pydantic import JsonValue

__all__ = ["SHARES", "ExampleSplit", "checked_shares", "split_examples", "split_items"]

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_RESERVED = {"examples", "evaluation", "manifest", "readme", "run"}
SHARES: Mapping[str, float] = {"train": 0.8, "validation": 0.1, "test": 0.1}
"""What a split is by default."""


@dataclass(frozen=True)
class ExampleSplit:
    """Examples in parts.

    Attributes:
        parts: The examples of each part, in the order in which they were given.
        report: How the split came out.
    """

    parts: Mapping[str, list[TrainingExample]]
    report: SplitReport


def split_examples(
    examples: Iterable[TrainingExample], shares: Mapping[str, float] | None = None, *, seed: int = 42
) -> ExampleSplit:
    """Split examples by what they share: queries, passages, near-duplicates of both, documents, and conversations.

    What hangs together goes into one part, so that no part holds anything that another was trained on.

    Args:
        examples: The examples; of equal ones, all go into one part.
        shares: The share of each part; ``None`` means 0.8, 0.1 and 0.1 for train, validation and test.
        seed: Another one gives another split.

    Returns:
        The parts.

    Raises:
        InvalidArgumentError: The shares are wrong, there is no example, or one is none.
    """
    given = list(checked_examples(examples))
    if not given:
        raise InvalidArgumentError("There is no example to split")
    wanted = checked_shares(shares)
    distinct = list({example.id: example for example in given}.values())
    split = split_by_components(split_items(distinct), wanted, seed=seed)
    parts: dict[str, list[TrainingExample]] = {name: [] for name in wanted}
    for example in given:
        parts[split.parts[example.id]].append(example)
    return ExampleSplit(parts, split.report)


def checked_shares(shares: Mapping[Any, Any] | None) -> Mapping[str, float]:
    """Return the shares of a split, checked.

    Args:
        shares: The share of each part; ``None`` means the usual ones.

    Returns:
        The shares.

    Raises:
        InvalidArgumentError: They are no mapping of names to numbers over 0 and 1 in sum, or a name cannot be that of a
            file.
    """
    if shares is None:
        return SHARES
    if not isinstance(shares, Mapping):
        raise InvalidArgumentError(f"shares give each part its share, as {dict(SHARES)}; found {type(shares).__name__}")
    for name, share in shares.items():
        if not isinstance(name, str) or _PART.fullmatch(name) is None or name.lower() in _RESERVED:
            raise InvalidArgumentError(
                f"A part is named by letters, digits, - and _, and not as what lies beside it; found {str(name)[:50]!r}"
            )
        if isinstance(share, bool) or not isinstance(share, int | float):
            raise InvalidArgumentError(f"The share of {name!r} is a number, found {type(share).__name__}")
    split_by_components([], shares)  # which checks the numbers
    return shares


def split_items(examples: Sequence[TrainingExample]) -> list[SplitItem]:
    """Return what a split needs to know of some examples."""
    queries = group_near_duplicates([example.query for example in examples]).tolist()
    passages = group_near_duplicates([example.response for example in examples]).tolist()
    return [
        SplitItem(example.id, _groups(example, query, passage), example.strategy or "")
        for example, query, passage in zip(examples, queries, passages, strict=True)
    ]


def _groups(example: TrainingExample, query: int, passage: int) -> list[str]:
    lineage, metadata = example.lineage, example.metadata
    found = [f"query:{query}", f"passage:{passage}"]
    found += [f"document:{one}" for one in lineage.document_ids]
    found += [f"example:{one}" for one in (example.id, *lineage.example_ids)]
    # A document that was divided has the parts of it as passages, and may itself be named.
    found += [f"document:{one}" for one in (metadata.get("parent"), *_list(metadata.get("parents"))) if one]
    if lineage.conversation_id is not None:
        conversations = [lineage.conversation_id, metadata.get("forked_from")]
        found += [f"conversation:{lineage.user_id or ''}:{one}" for one in conversations if one is not None]
    return found


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []
