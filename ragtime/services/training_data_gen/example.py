"""One training row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any

from pydantic import AfterValidator, Field, JsonValue, computed_field, model_validator

from ragtime.errors import InvalidArgumentError
from ragtime.records.base import FrozenDict, Identifier, Record, Text, freeze
from ragtime.records.training import Lineage
from ragtime.utils.hashing import content_hash

__all__ = ["TrainingExample", "checked_examples"]


def _storable(text: str) -> str:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("must not hold lone surrogates") from None
    if "\0" in text:
        raise ValueError("must not hold NUL characters")
    return text


def _query(text: str) -> str:
    if not text.strip():
        raise ValueError("Query cannot be empty")
    return text


def _response(text: str) -> str:
    if not text.strip():
        raise ValueError("Response cannot be empty")
    return text


def _blank_is_none(text: str | None) -> str | None:
    return text if text is None or text.strip() else None


def _nothing() -> FrozenDict[str, Any]:
    return _NOTHING


_NOTHING: FrozenDict[str, Any] = FrozenDict()  # one for all: it cannot be changed
_NO_LINEAGE = Lineage()
_POSITIVE = 0.5  # half way between not at all and well


class TrainingExample(Record):
    """A query and what it should retrieve.

        >>> example = TrainingExample(query="How long are returns free?", response="Returns are free for 30 days.")
        >>> example == TrainingExample.model_validate_json(example.model_dump_json())
        True

    Attributes:
        query: What is asked, not blank.
        response: The passage that the query should retrieve, not blank; an answer only when `weak`.
        context: What preceded the question; ``None`` when nothing did, a blank one becomes it.
        negatives: Passages that it should not retrieve, the hardest first.
        label: How well the response fits the query, 0 (not at all) to 1.
        weight: How much the example counts in training, above 0.
        strategy: Name of the strategy that made it; empty when it was made by hand.
        weak: Whether the pair was guessed, not stated by a judgement, a rating or a citation.
        metadata: Anything else that JSON can hold.
        lineage: Where it came from.
    """

    query: Annotated[str, AfterValidator(_query), AfterValidator(_storable)]
    response: Annotated[str, AfterValidator(_response), AfterValidator(_storable)]
    context: Annotated[Annotated[str, AfterValidator(_storable)] | None, AfterValidator(_blank_is_none)] = None
    negatives: tuple[Annotated[Text, AfterValidator(_storable)], ...] = ()
    label: Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)] = 1.0
    weight: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = 1.0
    strategy: Identifier | None = None
    weak: bool = False
    metadata: Annotated[Mapping[str, JsonValue], AfterValidator(freeze)] = Field(default_factory=_nothing)
    lineage: Lineage = _NO_LINEAGE

    @model_validator(mode="before")
    @classmethod
    def _id_is_its_own(cls, data: Any) -> Any:
        """Accept the id that ``model_dump`` writes, when it is the right one."""
        if not isinstance(data, Mapping) or "id" not in data:
            return data
        fields = {name: value for name, value in data.items() if name != "id"}
        if data["id"] != cls(**fields).id:
            raise ValueError("id is not that of the content; leave it out, or restore the content")
        return fields

    @computed_field  # type: ignore[prop-decorator]  # pydantic's own way
    @cached_property
    def id(self) -> str:
        """Hash of query, response, context, negatives and label: the same content has the same id."""
        return content_hash([self.query, self.response, self.context, list(self.negatives), self.label])

    @property
    def is_positive(self) -> bool:
        """Whether the query should retrieve the response: the label is above 0.5."""
        return self.label > _POSITIVE

    def __hash__(self) -> int:
        return hash((self.query, self.response))


def checked_examples(given: Iterable[TrainingExample]) -> Iterator[TrainingExample]:
    """Return examples one by one.

    Args:
        given: The examples, read once.

    Yields:
        The examples.

    Raises:
        InvalidArgumentError: They are no collection, or one of them is no example; names its place.
    """
    if isinstance(given, TrainingExample | Mapping | str) or not isinstance(given, Iterable):
        raise InvalidArgumentError(f"examples must be several TrainingExample, such as a list, found {_kind(given)}")
    for number, one in enumerate(given):
        if not isinstance(one, TrainingExample):
            raise InvalidArgumentError(f"examples must be TrainingExample, found {_kind(one)} at place {number}")
        yield one


def _kind(value: object) -> str:
    return type(value).__name__
