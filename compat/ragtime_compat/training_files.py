"""The files of the old generator: CSV of pairs or triplets, and JSON."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.services.training_data_gen.claims import Claim
from ragtime.services.training_data_gen.export.formats import open_rows
from ragtime.utils.files import remove_file, write_json
from ragtime_compat.plain_numbers import plain_number
from ragtime_compat.training_pairs import HARD_NEGATIVE, TrainingPair, is_empty, is_positive

__all__ = ["write_pairs"]

_STAMP = "%Y%m%d_%H%M%S"
_CLAIM = ".training_export.lock"


def write_pairs(
    pairs: Sequence[TrainingPair], output_format: str, folder: str | Path, moment: datetime
) -> dict[str, Any]:
    """Write pairs in one of the old formats, all of its files or none; nothing is ever overwritten.

    Args:
        pairs: The pairs.
        output_format: ``sentence_transformers``, ``triplets`` or ``json``.
        folder: Where to; it is made when it is not there.
        moment: When, in local time; files of one second are numbered from the second on.

    Returns:
        ``success``, ``files``, ``format``, and ``total_pairs`` or ``total_triplets``.

    Raises:
        InvalidArgumentError: There is no such format, there are no pairs or no triplets, a label is not finite, or
            metadata cannot be written as JSON.
        StorageError: A file cannot be written.
        AttributeError: One is no pair.
        TypeError: A field of one is of another type.
        ValueError: A text cannot be written in UTF-8.
        OSError: The folder cannot be made.
    """
    if is_empty(pairs):
        raise InvalidArgumentError("No training pairs to export")
    if output_format not in tuple(_FORMATS):  # which compares, and so takes what has no hash
        raise InvalidArgumentError(f"Unsupported format: {output_format}")
    names, write = _FORMATS[output_format]
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    with Claim.wait(target / _CLAIM):
        paths = _free(target, names, moment.strftime(_STAMP))
        counted = write(pairs, paths, moment)
    return {"success": True, "files": [str(path) for path in paths], "format": output_format, **counted}


def _free(folder: Path, names: Sequence[str], stamp: str) -> list[Path]:
    """Return paths with the stamp that are not taken, all of them with the same number behind it, if any."""
    stamps = (stamp if number == 1 else f"{stamp}_{number}" for number in count(1))
    tried = ([folder / name.format(one) for name in names] for one in stamps)
    return next(paths for paths in tried if not any(path.exists() for path in paths))


def _described(pairs: Sequence[TrainingPair], moment: datetime) -> dict[str, Any]:
    return {"export_timestamp": moment.replace(tzinfo=None).isoformat(), "total_pairs": len(pairs)}


def _write_labelled(pairs: Sequence[TrainingPair], paths: Sequence[Path], moment: datetime) -> dict[str, int]:
    table, metadata = paths
    rows = [{"query": pair.query, "document": pair.document, "label": _label(pair.label)} for pair in pairs]
    positives = sum(map(is_positive, pairs))
    described = {
        **_described(pairs, moment),
        "format": "sentence_transformers",
        "pair_statistics": {
            "positive": positives,
            "negative": len(pairs) - positives,
            "hard_negatives": sum(1 for pair in pairs if pair.pair_type == HARD_NEGATIVE),
        },
    }
    _write_table(table, ("query", "document", "label"), rows)
    try:
        write_json(metadata, described)
    except StorageError:
        remove_file(table)
        raise
    return {"total_pairs": len(pairs)}


def _write_triplets(pairs: Sequence[TrainingPair], paths: Sequence[Path], _moment: datetime) -> dict[str, int]:
    negatives = defaultdict(list)
    for pair in pairs:
        if not is_positive(pair):
            negatives[pair.query].append(pair.document)
    rows = [
        {"anchor": pair.query, "positive": pair.document, "negative": negative}
        for pair in pairs
        if is_positive(pair)
        for negative in negatives.get(pair.query, ())
    ]
    if not rows:
        raise InvalidArgumentError("No triplets to export: no query has both a positive and a negative document")
    _write_table(paths[0], ("anchor", "positive", "negative"), rows)
    return {"total_triplets": len(rows)}


def _write_json(pairs: Sequence[TrainingPair], paths: Sequence[Path], moment: datetime) -> dict[str, int]:
    rows = [
        {
            "query": pair.query,
            "document": pair.document,
            "label": plain_number(pair.label),
            "pair_type": pair.pair_type,
            "rating": plain_number(pair.rating),
            "metadata": pair.metadata,
        }
        for pair in pairs
    ]
    write_json(paths[0], {**_described(pairs, moment), "training_pairs": rows})
    return {"total_pairs": len(pairs)}


def _write_table(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    with open_rows(path, "csv", columns) as write:
        for row in rows:
            write(row)


def _label(label: float) -> float:
    """Return a label as a whole number where it is one, as trainers of old read it."""
    number = float(label)
    if not math.isfinite(number):
        raise InvalidArgumentError("Labels must be numbers, found one that is not finite")
    return int(number) if number.is_integer() else number


_FORMATS: Mapping[
    str, tuple[Sequence[str], Callable[[Sequence[TrainingPair], Sequence[Path], datetime], dict[str, int]]]
] = {
    "sentence_transformers": (("training_data_{}.csv", "training_metadata_{}.json"), _write_labelled),
    "triplets": (("training_triplets_{}.csv",), _write_triplets),
    "json": (("training_data_{}.json",), _write_json),
}
