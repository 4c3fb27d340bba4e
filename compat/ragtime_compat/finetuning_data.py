"""Training data of the old module: its two file formats, and what a training run is given of its examples."""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ragtime.errors import InvalidArgumentError
from ragtime.monitoring.logging import get_logger
from ragtime.services.model_finetuner.dataset import DataShape, read_rows
from ragtime_compat.finetuning_records import InputExample

__all__ = ["Example", "TrainingRows", "read_examples", "texts_of", "training_rows"]

_PAIR = 2
_GOOD = 0.5  # labels above it say that the document answers
_LONGEST_CELL = 2**31 - 1  # characters; the module would allow 128 KiB, and documents can be longer
_LABELLED_LOSSES = {"contrastive", "cosent"}
_LABELLED_SHAPES = {"rated", "graded"}

_log = get_logger(f"ragtime.{__name__}")


class Example(Protocol):
    """What training takes: an example of the old module, or one of sentence-transformers."""

    @property
    def texts(self) -> Sequence[str] | None:
        """Query and document; documents behind them are ones that do not answer."""

    @property
    def label(self) -> float:
        """How well the document answers, 0 to 1."""


def read_examples(path: str | Path, format_type: str) -> list[InputExample]:
    """Read a file that the old generator has exported.

    Texts stay as they are: ``NA`` and ``null`` are texts, and so is the empty one.

    Args:
        path: The file, in UTF-8.
        format_type: ``csv``, with the columns ``query``, ``document`` and ``label``, or ``json``, with objects of these
            keys under ``training_pairs``; others are passed over.

    Returns:
        The examples, in the order of the file.

    Raises:
        InvalidArgumentError: The format is another one, or a value is of a wrong kind.
        KeyError: A column or a key is missing.
        OSError: The file cannot be read.
        ValueError: It is no UTF-8 or no JSON, or a label is no number.
        TypeError: It holds something else than objects.
    """
    if format_type == "csv":
        rows: Iterable[Mapping[str, Any]] = _csv_rows(Path(path))
    elif format_type == "json":
        rows = json.loads(Path(path).read_text(encoding="utf-8-sig"))["training_pairs"]
    else:
        raise InvalidArgumentError(f"The format must be csv or json, found {str(format_type)[:50]!r}")
    return [
        InputExample(texts=[_text(row["query"]), _text(row["document"])], label=_label(row["label"])) for row in rows
    ]


def _csv_rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        former = csv.field_size_limit(_LONGEST_CELL)  # one for all of the process
        try:
            return list(csv.DictReader(file))
        finally:
            csv.field_size_limit(former)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidArgumentError(f"Queries and documents must be texts, found {type(value).__name__}")
    return value


def _label(value: Any) -> float:
    label = float(value)
    if not math.isfinite(label):
        raise InvalidArgumentError("Labels must be numbers, found one that is not finite")
    return label


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """What a run is given.

    Attributes:
        training: Rows to train on.
        validation: Rows to validate on; empty when there are none.
        loss: The loss that they allow.
    """

    training: list[dict[str, Any]]
    validation: list[dict[str, Any]]
    loss: str


def training_rows(training: Sequence[Example], validation: Sequence[Example], loss: str) -> TrainingRows:
    """Turn examples into rows for a run.

    A loss on labels is given labelled pairs. InfoNCE is given what answers, with what does not answer the same query
    beside it; so are the other losses when validation data say less than training data do, such as when all their
    labels are good: a model is validated by what it is trained for.

    Args:
        training: The examples to train on.
        validation: Those to validate on.
        loss: The loss of the configuration, by its new name.

    Returns:
        The rows.

    Raises:
        InvalidArgumentError: No document answers its query, or an example has no two texts.
    """
    if loss != "info_nce":
        rows, held = [_labelled(one) for one in training], [_labelled(one) for one in validation]
        shape, held_shape = read_rows(rows).shape, _shape(held)
        if not held or shape == held_shape or {shape, held_shape} == {"pairs", "triplets"}:
            allowed = loss not in _LABELLED_LOSSES or shape in _LABELLED_SHAPES
            return TrainingRows(rows, held, loss if allowed else "auto")
        _log.warning(
            "The labels of the validation data say something else than those of the training data: both are taken for "
            "queries and what answers them",
            training=shape,
            validation=held_shape,
        )
    # A loss that needs no labels was given examples without them, which is to say with the label 0.
    silent = loss == "info_nce" and not any(_label(one.label) > _GOOD for one in (*training, *validation))
    held = _answered(validation, silent=silent)
    if validation and not held:
        _log.warning("There is no validation: none of its documents answers its query", examples=len(validation))
    return TrainingRows(_answered(training, silent=silent), held, "info_nce")


def _shape(rows: list[dict[str, Any]]) -> DataShape | None:
    """Return what rows say; ``None`` when nothing in them answers a query."""
    try:
        return read_rows(rows).shape if rows else None
    except InvalidArgumentError:
        return None


def texts_of(example: Example) -> list[str]:
    """Return the texts of an example; InvalidArgumentError when they are fewer than two."""
    texts = list(example.texts or ())
    if len(texts) < _PAIR:
        raise InvalidArgumentError(f"Examples must have a query and a document, found {len(texts)} texts")
    return texts


def _labelled(example: Example) -> dict[str, Any]:
    query, document, *others = texts_of(example)
    if others:  # what does not answer is told by its place, and the label means nothing
        return {"query": query, "response": document, "negatives": others}
    return {"query": query, "response": document, "label": _label(example.label)}


def _answered(examples: Sequence[Example], *, silent: bool) -> list[dict[str, Any]]:
    """Return what answers, each with what does not answer its query; all answers where labels are `silent`."""
    answers: defaultdict[str, dict[str, None]] = defaultdict(dict)
    others: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for one in examples:
        query, document, *negatives = texts_of(one)
        fits = silent or bool(negatives) or _label(one.label) > _GOOD
        (answers if fits else others)[query][document] = None
        others[query] |= dict.fromkeys(negatives)
    return [
        {
            "query": query,
            "response": document,
            "negatives": [text for text in others[query] if text not in documents],
        }
        for query, documents in answers.items()
        for document in documents
    ]
