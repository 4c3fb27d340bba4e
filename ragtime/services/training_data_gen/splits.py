"""Splitting examples so that no part has seen anything of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ragtime.errors import InvalidArgumentError
from ragtime.services.training_data_gen.dedup import group_near_duplicates
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.splitting import SplitItem, SplitReport, split_by_components
from ragtime.utils.hashing import text_hash

__all__ = ["SHARES", "ExampleSplit", "split_examples", "split_items"]

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
    examples: Sequence[TrainingExample], shares: Mapping[str, float] | None = None, *, seed: int = 42
) -> ExampleSplit:
    """Split examples by what they share: queries, near-duplicates of them, passages, documents, and conversations.

    What hangs together goes into one part, so that no part holds anything that another was trained on.

    Args:
        examples: The examples; of equal ones, all go into one part.
        shares: The share of each part; ``None`` means 0.8, 0.1 and 0.1 for train, validation and test.
        seed: Another one gives another split.

    Returns:
        The parts.

    Raises:
        InvalidArgumentError: The shares are wrong, or there is no example.
    """
    if not examples:
        raise InvalidArgumentError("There is no example to split")
    distinct = list({example.id: example for example in examples}.values())
    split = split_by_components(split_items(distinct), shares or SHARES, seed=seed)
    parts: dict[str, list[TrainingExample]] = {name: [] for name in shares or SHARES}
    for example in examples:
        parts[split.parts[example.id]].append(example)
    return ExampleSplit(parts, split.report)


def split_items(examples: Sequence[TrainingExample]) -> list[SplitItem]:
    """Return what a split needs to know of some examples."""
    groups = group_near_duplicates([example.query for example in examples])
    return [
        SplitItem(example.id, _groups(example, int(group)), example.strategy or "")
        for example, group in zip(examples, groups, strict=True)
    ]


def _groups(example: TrainingExample, near: int) -> list[str]:
    lineage = example.lineage
    found = [f"query:{near}", f"passage:{text_hash(example.response)}"]
    found += [f"document:{one}" for one in lineage.document_ids]
    found += [f"example:{one}" for one in (example.id, *lineage.example_ids)]
    if isinstance(parent := example.metadata.get("parent"), str):
        found.append(f"parent:{parent}")
    if lineage.conversation_id is not None:
        found.append(f"conversation:{lineage.user_id or ''}:{lineage.conversation_id}")
    return found
