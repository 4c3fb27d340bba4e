"""The shapes in which examples are written, each for a kind of training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ragtime.errors import InvalidArgumentError, did_you_mean
from ragtime.services.training_data_gen.example import TrainingExample

__all__ = ["SHAPES", "LeftOut", "Shape", "get_shape"]

Row = Mapping[str, Any]
_MOST_NEGATIVES = 1000


class LeftOut(NamedTuple):
    """An example that a shape cannot express.

    Attributes:
        reason: Why, in a few words.
    """

    reason: str


class Shape(NamedTuple):
    """A shape.

    Attributes:
        name: What callers ask for.
        columns: Names of the columns, in order; a row may add numbered ones after the last.
        rows: Gives the rows of an example, or says why there are none.
    """

    name: str
    columns: tuple[str, ...]
    rows: Callable[[TrainingExample], Iterator[Row | LeftOut]]


_NOT_POSITIVE = LeftOut("its response does not fit its query")
_NO_NEGATIVES = LeftOut("it has no negatives")
_NO_ANSWER = LeftOut("its response is a passage and no answer")
_NO_PREFERENCE = LeftOut("its negatives are passages and no answers")


def _examples(example: TrainingExample) -> Iterator[Row | LeftOut]:
    yield example.model_dump(mode="json")


def _pairs(example: TrainingExample) -> Iterator[Row | LeftOut]:
    if not example.is_positive:
        yield _NOT_POSITIVE
    else:
        yield {"query": example.query, "response": example.response}


def _triplets(example: TrainingExample) -> Iterator[Row | LeftOut]:
    if not example.is_positive:
        yield _NOT_POSITIVE
    elif not example.negatives:
        yield _NO_NEGATIVES
    else:
        for negative in example.negatives:
            yield {"query": example.query, "response": example.response, "negative": negative}


def _labelled_pairs(example: TrainingExample) -> Iterator[Row | LeftOut]:
    yield {"query": example.query, "response": example.response, "label": example.label}
    for negative in example.negatives:
        yield {"query": example.query, "response": negative, "label": 0.0}


def _scored_lists(example: TrainingExample) -> Iterator[Row | LeftOut]:
    if not example.negatives:
        yield _NO_NEGATIVES
    else:
        labels = [example.label, *(0.0 for _ in example.negatives)]
        yield {"query": example.query, "responses": [example.response, *example.negatives], "labels": labels}


def _is_made(example: TrainingExample) -> bool:
    """Whether a strategy has made it, so that its metadata say what its texts are; else the caller knows."""
    return example.strategy is not None


def _messages(example: TrainingExample) -> Iterator[Row | LeftOut]:
    if not example.is_positive:
        yield _NOT_POSITIVE
        return
    if _is_made(example) and example.metadata.get("kind") not in {"answer", "preference"}:
        yield _NO_ANSWER
        return
    said = [{"role": "system", "content": example.context}] if example.context else []
    said += [{"role": "user", "content": example.query}, {"role": "assistant", "content": example.response}]
    yield {"messages": said}


def _preferences(example: TrainingExample) -> Iterator[Row | LeftOut]:
    if not example.is_positive:
        yield _NOT_POSITIVE
    elif not example.negatives:
        yield _NO_NEGATIVES
    elif _is_made(example) and example.metadata.get("kind") != "preference":
        yield _NO_PREFERENCE
    else:
        prompt = f"{example.context}\n\n{example.query}" if example.context else example.query
        for negative in example.negatives:
            yield {"prompt": prompt, "chosen": example.response, "rejected": negative}


def _tuples(negatives: int) -> Shape:
    names = tuple(f"negative_{number}" for number in range(1, negatives + 1))

    def rows(example: TrainingExample) -> Iterator[Row | LeftOut]:
        if not example.is_positive:
            yield _NOT_POSITIVE
        elif len(example.negatives) < negatives:
            yield LeftOut(f"it has fewer than {negatives} negatives")
        else:
            chosen = dict(zip(names, example.negatives, strict=False))
            yield {"query": example.query, "response": example.response, **chosen}

    return Shape(f"{negatives}-tuples", ("query", "response", *names), rows)


SHAPES: Mapping[str, Shape] = {
    shape.name: shape
    for shape in (
        Shape("examples", (*TrainingExample.model_fields, "id"), _examples),
        Shape("pairs", ("query", "response"), _pairs),
        Shape("triplets", ("query", "response", "negative"), _triplets),
        Shape("labelled_pairs", ("query", "response", "label"), _labelled_pairs),
        Shape("scored_lists", ("query", "responses", "labels"), _scored_lists),
        Shape("messages", ("messages",), _messages),
        Shape("preferences", ("prompt", "chosen", "rejected"), _preferences),
    )
}
"""All shapes by name; ``N-tuples`` with N negatives are made when they are asked for."""


def get_shape(name: str) -> Shape:
    """Return a shape.

    Args:
        name: ``examples`` (all fields), ``pairs``, ``triplets``, ``N-tuples`` with a number of negatives in the place
            of N, ``labelled_pairs``, ``scored_lists``, ``messages`` or ``preferences``.

    Returns:
        The shape.

    Raises:
        InvalidArgumentError: There is none of this name; names the nearest.
    """
    shape = SHAPES.get(name)
    if shape is not None:
        return shape
    number, _, rest = str(name).partition("-")
    if rest == "tuples" and number.isascii() and number.isdecimal() and 0 < int(number) <= _MOST_NEGATIVES:
        return _tuples(int(number))
    known = [*SHAPES, "N-tuples"]
    hint = did_you_mean(str(name), known)
    raise InvalidArgumentError(f"There is no shape {str(name)[:50]!r}{hint}; there are {', '.join(known)}")
