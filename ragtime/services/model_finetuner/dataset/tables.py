"""Rows of a table: which names of columns are known, and what they mean."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from pydantic import ValidationError

from ragtime.errors import InvalidArgumentError, did_you_mean
from ragtime.services.model_finetuner.dataset.candidates import (
    Candidate,
    as_number,
    as_numbers,
    as_text,
    as_texts,
    from_example,
    from_tuple,
)
from ragtime.services.training_data_gen.example import TrainingExample

__all__ = ["from_mapping"]

_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "query": ("query", "anchor", "question", "sentence1", "prompt"),
    "response": ("response", "positive", "answer", "passage", "document", "sentence2", "chosen"),
    "responses": ("pos", "responses"),
    "negative": ("negative", "rejected"),
    "negatives": ("negatives", "neg"),
    "label": ("label",),
    "score": ("score",),
    "weight": ("weight",),
    "labels": ("labels",),
    "scores": ("scores",),
    "positive scores": ("pos_scores",),
    "negative scores": ("neg_scores",),
    "texts": ("texts",),
    "messages": ("messages",),
    "unused": ("id", "context"),
}
_ROLES = {name: role for role, names in _COLUMNS.items() for name in names}
_NUMBERED = re.compile(r"negative_([0-9]{1,4})")
_OF_EXAMPLES = {"strategy", "weak", "metadata", "lineage"}
_COMPLETE: tuple[frozenset[str], ...] = (
    frozenset({"query", "response"}),
    frozenset({"query", "responses"}),
    frozenset({"texts"}),
    frozenset({"messages"}),
)
_ACCEPTED = (
    "a query (query, anchor, question, sentence1, prompt) with a response (response, positive, answer, passage, "
    "document, sentence2, chosen, or the lists pos, responses); negatives (negative, negative_1, …, rejected, or the "
    "lists negatives, neg); label, labels, score, scores, pos_scores, neg_scores, weight; texts; messages"
)
_GOOD = 0.5


def from_mapping(row: Mapping[Any, Any], place: str) -> Iterator[Candidate]:
    """Take rows from a row of a table; see ``read_rows`` for the columns.

    Args:
        row: Values by column.
        place: Where it stands, for messages.

    Yields:
        The rows: one, or one for each response of a list.

    Raises:
        InvalidArgumentError: The columns are not known, or a value is of a wrong type; names the place.
    """
    if not _OF_EXAMPLES.isdisjoint(row):
        yield _example(row, place)
        return
    layout = _layout(tuple(row))
    if isinstance(layout, str):
        raise InvalidArgumentError(f"{place}: {layout}")
    cells = _Cells(row, layout, place)
    if "texts" in layout.single:
        yield _texts(cells)
    elif "messages" in layout.single:
        yield _messages(cells)
    elif layout.single.get("responses") == "responses":
        yield from _listed(cells)
    else:
        yield from _tuples(cells)


class _Layout(NamedTuple):
    single: Mapping[str, str]  # the column of each role
    negatives: tuple[str, ...]  # the columns with one negative each, in order


@lru_cache(maxsize=256)
def _layout(names: tuple[object, ...]) -> _Layout | str:
    """Return what the columns mean, or what is wrong with them."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    numbered: list[tuple[int, str]] = []
    unknown = []
    for name in map(str, names):
        number = _NUMBERED.fullmatch(name)
        if number is not None:
            numbered.append((int(number[1]), name))
        elif name in _ROLES:
            found[_ROLES[name]].append(name)
        else:
            unknown.append(name)
    told = ", ".join(map(repr, map(str, names)))[:300]
    if unknown:
        hint = did_you_mean(unknown[0], _ROLES)
        return f"the column {unknown[0][:50]!r} is not known{hint}; found {told}; accepted are {_ACCEPTED}"
    negatives = (*sorted(found.pop("negative", [])), *(name for _, name in sorted(numbered)))
    twice = next((some for role, some in found.items() if len(some) > 1 and role != "unused"), None)
    if twice is not None:
        return f"the columns {' and '.join(map(repr, twice))} mean the same; keep one of them"
    if sum(needed <= found.keys() for needed in _COMPLETE) != 1:
        return f"the columns {told} are no training row; accepted are {_ACCEPTED}"
    return _Layout({role: some[0] for role, some in found.items()}, negatives)


class _Cells:
    """The values of a row by role."""

    def __init__(self, row: Mapping[Any, Any], layout: _Layout, place: str) -> None:
        self._row, self._layout, self.place = row, layout, place

    def raw(self, role: str) -> Any:
        name = self._layout.single.get(role)
        return None if name is None else self._row[name]

    def text(self, role: str) -> str:
        return as_text(self.raw(role), self.place, self._layout.single[role])

    def texts(self, role: str) -> tuple[str, ...]:
        return as_texts(self.raw(role), self.place, self._layout.single.get(role, role))

    def number(self, role: str) -> float | None:
        value = self.raw(role)
        return None if value is None else as_number(value, self.place, role)

    def numbers(self, role: str) -> tuple[float, ...] | None:
        return as_numbers(self.raw(role), self.place, self._layout.single.get(role, role)) or None

    @property
    def negatives(self) -> tuple[str, ...]:
        single = [self._row[name] for name in self._layout.negatives]
        return (*as_texts(single, self.place, "the negatives"), *self.texts("negatives"))

    @property
    def weight(self) -> float:
        weight = self.number("weight")
        if weight is not None and weight <= 0:
            raise InvalidArgumentError(f"{self.place}: weight must be above 0, found {weight}")
        return 1.0 if weight is None else weight

    @property
    def label(self) -> float | None:
        label, score = self.number("label"), self.number("score")
        if label is not None and score is not None:
            raise InvalidArgumentError(f"{self.place}: found a label and a score; keep one of them")
        return label if label is not None else score


def _tuples(cells: _Cells) -> Iterator[Candidate]:
    several = cells.raw("responses") is not None
    responses = cells.texts("responses") if several else (cells.text("response"),)
    negatives, margin = cells.negatives, cells.number("score")
    if margin is not None and negatives:
        if len(negatives) > 1 or cells.raw("label") is not None:
            raise InvalidArgumentError(
                f"{cells.place}: a score beside a negative is the teacher's margin of the two, so there can be one "
                f"negative and no label; found {len(negatives)} negatives. For more, give scores"
            )
        # Losses on teacher scores depend on differences alone.
        known: list[tuple[float, ...] | None] = [(margin, 0.0)] * len(responses)
        label = None
    else:
        known, label = _scores(cells, len(responses), len(negatives)), cells.label
    for response, scores in zip(responses, known, strict=True):
        yield Candidate(cells.text("query"), response, negatives, label, scores, weight=cells.weight)


def _scores(cells: _Cells, responses: int, negatives: int) -> list[tuple[float, ...] | None]:
    together = cells.numbers("scores")
    good, bad = cells.numbers("positive scores"), cells.numbers("negative scores") or ()
    if together is not None and good is None and responses == 1:
        good, bad = together[:1], together[1:]
    elif together is not None:
        raise InvalidArgumentError(f"{cells.place}: scores go with one response; give pos_scores and neg_scores")
    if good is None:
        return [None] * responses
    if (len(good), len(bad)) != (responses, negatives):
        raise InvalidArgumentError(
            f"{cells.place}: expected a score for each response and each negative, {responses} and {negatives}; "
            f"found {len(good)} and {len(bad)}"
        )
    return [(one, *bad) for one in good]


def _listed(cells: _Cells) -> Iterator[Candidate]:
    query, responses, weight = cells.text("query"), cells.texts("responses"), cells.weight
    labels, scores = cells.numbers("labels"), cells.numbers("scores")
    given = labels if labels is not None else scores
    if not responses or given is None or len(given) != len(responses) or cells.negatives:
        raise InvalidArgumentError(
            f"{cells.place}: responses is a list with texts, and labels, or scores, has a number for each of them; "
            f"found {len(responses)} and {len(given or ())}"
        )
    ranked = sorted(range(len(given)), key=lambda place: -given[place])
    if scores is not None or not (set(given) <= {0.0, 1.0} or not any(given[1:])):
        order = [responses[place] for place in ranked]
        yield Candidate(
            query, order[0], tuple(order[1:]), scores=tuple(given[place] for place in ranked), weight=weight
        )
    elif not any(given[1:]):  # an example: its response with its label, then its negatives
        yield Candidate(query, responses[0], responses[1:], given[0], spare_scores=given, weight=weight)
    else:
        bad = tuple(responses[place] for place in ranked if given[place] <= _GOOD)
        for place in (place for place in ranked if given[place] > _GOOD):
            yield Candidate(query, responses[place], bad, 1.0, None, (1.0, *(0.0 for _ in bad)), weight)


def _texts(cells: _Cells) -> Candidate:
    texts, label = cells.texts("texts"), cells.label
    candidate = from_tuple(texts, cells.place)
    return Candidate(candidate.query, candidate.response, candidate.negatives, label, weight=cells.weight)


def _messages(cells: _Cells) -> Candidate:
    said = cells.raw("messages")
    if not isinstance(said, Sequence) or not all(isinstance(one, Mapping) for one in said):
        raise InvalidArgumentError(f"{cells.place}: messages must be a list of objects with role and content")
    roles = [one.get("role") for one in said]
    if roles[-2:] != ["user", "assistant"]:
        raise InvalidArgumentError(f"{cells.place}: messages must end with one of the user and one of the assistant")
    query, response = (as_text(one.get("content"), cells.place, "content") for one in said[-2:])
    return Candidate(query, response, weight=cells.weight)


def _example(row: Mapping[Any, Any], place: str) -> Candidate:
    fields = {str(name): value for name, value in row.items() if value is not None}
    blank = [name for name in ("query", "response") if not str(fields.get(name, "")).strip()]
    if blank and {"query", "response"} <= row.keys():  # left out and counted, not an error
        return Candidate(as_text(row["query"], place, "query"), as_text(row["response"], place, "response"))
    try:
        return from_example(TrainingExample(**fields))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
    told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}".removeprefix(": ") for one in problems)
    raise InvalidArgumentError(f"{place}: the columns are those of an example, but it is none: {told}")
