"""Where the examples of a data set came from, read line by line: a data set may be larger than the memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ragtime.records.training import Lineage

__all__ = ["ExampleOrigin", "ReadingAccount", "json_lines", "read_origins"]


class ExampleOrigin(NamedTuple):
    """An example, as far as it tells where it came from.

    Attributes:
        id: The example.
        strategy: What made it; empty when it was made by hand.
        query: Its query.
        lineage: Where it came from.
        forked_from: The conversation that its own was forked from; ``None`` when it was not.
    """

    id: str
    strategy: str
    query: str
    lineage: Lineage
    forked_from: str | None


@dataclass(slots=True)
class ReadingAccount:
    """What became of the lines that were read.

    Attributes:
        examples: Those that are examples.
        damaged: Those that are none.
        unreadable: Names of the files that could not be read to their end.
    """

    examples: int = 0
    damaged: int = 0
    unreadable: list[str] = field(default_factory=list)


def read_origins(paths: Iterable[Path], account: ReadingAccount) -> Iterator[ExampleOrigin]:
    """Read where examples came from. A line that is damaged costs no other, and is counted.

    Args:
        paths: Files of JSON Lines, as ``generate_dataset`` writes them below ``examples``.
        account: Counts what was read.

    Yields:
        The examples, one by one.
    """
    for path in paths:
        for row in json_lines(path, account):
            origin = _origin(row)
            if origin is None:
                account.damaged += 1
            else:
                account.examples += 1
                yield origin


def json_lines(path: Path, account: ReadingAccount) -> Iterator[Any]:
    """Read the values of a file of JSON Lines.

    Args:
        path: The file.
        account: Is told of lines that are no JSON, and of a file that cannot be read.

    Yields:
        The values, one by one.
    """
    try:
        with path.open("rb") as file:
            for line in file:
                if not line.strip():
                    continue
                try:
                    value = json.loads(line)
                except (ValueError, RecursionError):
                    account.damaged += 1
                else:
                    yield value
    except OSError:
        account.unreadable.append(path.name)


def _origin(row: Any) -> ExampleOrigin | None:
    if not isinstance(row, Mapping) or not isinstance(row.get("query"), str):
        return None
    try:
        lineage = Lineage.model_validate(row.get("lineage") or {})
    except ValueError:  # damaged, or of a later version, which may tell what this one does not understand
        return None
    metadata = row.get("metadata")
    forked_from = metadata.get("forked_from") if isinstance(metadata, Mapping) else None
    return ExampleOrigin(
        id=str(row.get("id", "")),
        strategy=str(row.get("strategy") or ""),
        query=row["query"],
        lineage=lineage,
        forked_from=forked_from if isinstance(forked_from, str) else None,
    )
