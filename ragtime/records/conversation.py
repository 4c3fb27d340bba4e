"""Turns of conversations, and what people thought of them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AfterValidator, AwareDatetime, Discriminator, Field, JsonValue, Tag, model_validator

from ragtime.records.base import FrozenDict, Identifier, Record, freeze

__all__ = [
    "MAX_CONTENT_CHARACTERS",
    "ContentPart",
    "ConversationHead",
    "Feedback",
    "Fork",
    "ImagePart",
    "Interaction",
    "InteractionRole",
    "LexicalMatch",
    "LexicalScope",
    "StoredTurn",
    "TextPart",
    "ToolCall",
    "now",
]

MAX_CONTENT_CHARACTERS = 16_000_000
"""Longest content of a turn, in characters."""

InteractionRole = Literal["system", "user", "assistant", "tool"]
"""Who says a turn."""


_NOTHING: FrozenDict[str, Any] = FrozenDict()  # one for all: it cannot be changed, and most turns have two


def now() -> datetime:
    """Return the current time, in UTC."""
    return datetime.now(UTC)


def _new_id() -> str:
    return str(uuid.uuid4())


def _nothing() -> FrozenDict[str, Any]:
    return _NOTHING


def _storable(text: str) -> str:
    """Refuse what UTF-8 and databases cannot hold."""
    if len(text) > MAX_CONTENT_CHARACTERS:
        raise ValueError(f"must not be longer than {MAX_CONTENT_CHARACTERS:,} characters")
    if "\0" in text:
        raise ValueError("must not hold NUL characters")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(f"must not hold lone surrogates, found one at character {error.start}") from None
    return text


def _utc(time: datetime) -> datetime:
    if time.tzinfo is UTC:
        return time
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise ValueError("must lie in the years 1 to 9999, in UTC, too") from None


def _storable_values(value: Any) -> Any:
    """Refuse texts anywhere in metadata that UTF-8 cannot hold; other control characters JSON can write."""
    if isinstance(value, str):
        _storable(value.replace("\0", ""))
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            _storable_values(name)
            _storable_values(inner)
    elif isinstance(value, list):
        for inner in value:
            _storable_values(inner)
    return value


Storable = Annotated[str, AfterValidator(_storable)]
Time = Annotated[AwareDatetime, AfterValidator(_utc)]
Stars = Annotated[float, Field(ge=1.0, le=5.0, allow_inf_nan=False)]
Metadata = Annotated[Mapping[str, JsonValue], AfterValidator(_storable_values), AfterValidator(freeze)]


class Feedback(Record):
    """What somebody thought of a turn.

    Attributes:
        id: Identifies it; a new one when none is given.
        stars: The rating, 1 (bad) to 5 (good).
        comment: What was said about it; ``None`` when nothing was.
        aspects: Ratings of single aspects, 1 to 5, by name, such as ``{"correct": 5, "complete": 2}``.
        by: Who gave it; ``None`` when nobody knows.
        created_at: When, in UTC.
        metadata: Anything else that JSON can hold.
    """

    id: Identifier = Field(default_factory=_new_id)
    stars: Stars
    comment: Storable | None = None
    aspects: Annotated[Mapping[Identifier, Stars], AfterValidator(freeze)] = Field(default_factory=_nothing)
    by: Identifier | None = None
    created_at: Time = Field(default_factory=now)
    metadata: Metadata = Field(default_factory=_nothing)

    def __hash__(self) -> int:
        return hash((self.id, self.stars, self.comment))


class ToolCall(Record):
    """A call of a tool that an assistant's turn asks for.

    Attributes:
        id: Identifies the call; its results name it.
        name: Name of the tool.
        arguments: The arguments as the model wrote them, a JSON text as a rule; kept byte for byte.
    """

    id: Identifier
    name: Identifier
    arguments: Storable = "{}"


class TextPart(Record):
    """A piece of text in a turn of several parts.

    Attributes:
        type: ``text``.
        text: The text.
    """

    type: Literal["text"] = "text"
    text: Storable


class ImagePart(Record):
    """An image in a turn, by reference: the image itself is kept elsewhere.

    Attributes:
        type: ``image``.
        url: Where it is: an address, a path or an id of the application's own; never the bytes themselves.
        media_type: Such as ``image/png``; ``None`` when nobody knows.
        width: Width in pixels; ``None`` when nobody knows.
        height: Height in pixels; ``None`` when nobody knows.
        detail: How closely a model should look, such as ``low``; ``None`` leaves it open.
    """

    type: Literal["image"] = "image"
    url: Annotated[str, Field(min_length=1, max_length=8192), AfterValidator(_storable)]
    media_type: Identifier | None = None
    width: Annotated[int, Field(ge=1)] | None = None
    height: Annotated[int, Field(ge=1)] | None = None
    detail: Identifier | None = None

    @model_validator(mode="after")
    def _is_reference(self) -> Self:
        if self.url[:5].lower() == "data:":
            raise ValueError("an image is kept by reference: store it elsewhere, and give its address as url")
        return self


def _part_type(part: Any) -> str:
    found = part.get("type") if isinstance(part, Mapping) else getattr(part, "type", None)
    return str(found)


ContentPart = Annotated[
    Annotated[TextPart, Tag("text")] | Annotated[ImagePart, Tag("image")], Discriminator(_part_type)
]


class Interaction(Record):
    """One turn of a conversation.

    Attributes:
        id: Identifies the turn; a new UUID when none is given. Neither order nor bytes of any result depend on it.
        role: Who says it.
        content: What is said. With `parts`, their texts joined by line breaks. Blank only where an assistant calls
            tools, a tool returns nothing, or there are images.
        created_at: When, in UTC.
        metadata: Anything else that JSON can hold.
        document_ids: Ids of the documents that an answer drew on, the most important first.
        tool_calls: The tools that an assistant's turn calls.
        tool_call_id: In a tool's turn, the call that it answers.
        name: Who speaks within the role, such as the name of a tool or a person.
        parts: The parts of a turn that is more than text, in order; empty for a mere text.
        token_counts: Tokens of the content, by name of the counter, where they are known.
        feedback: What people thought of it, the oldest first.
    """

    id: Identifier = Field(default_factory=_new_id)
    role: InteractionRole
    content: Storable = ""
    created_at: Time = Field(default_factory=now)
    metadata: Metadata = Field(default_factory=_nothing)
    document_ids: tuple[Identifier, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: Identifier | None = None
    name: Identifier | None = None
    parts: tuple[ContentPart, ...] = ()
    token_counts: Annotated[Mapping[str, Annotated[int, Field(ge=0)]], AfterValidator(freeze)] = Field(
        default_factory=_nothing
    )
    feedback: tuple[Feedback, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _content_of_parts(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and isinstance(data.get("parts"), list | tuple) and not data.get("content"):
            texts = [
                part.get("text") if isinstance(part, Mapping) else getattr(part, "text", None) for part in data["parts"]
            ]
            return {**data, "content": "\n".join(text for text in texts if isinstance(text, str))}
        return data

    @model_validator(mode="after")
    def _fits_its_role(self) -> Self:
        blank = not self.content or self.content.isspace()
        if not (blank or self.tool_calls or self.parts or self.role == "tool" or self.tool_call_id is not None):
            return self  # as most are
        if self.tool_calls and self.role != "assistant":
            raise ValueError(f"only an assistant calls tools, found tool_calls in a turn of the {self.role}")
        if (self.tool_call_id is not None) != (self.role == "tool"):
            raise ValueError("a tool's turn names the call it answers in tool_call_id, and no other turn does")
        if len({call.id for call in self.tool_calls}) < len(self.tool_calls):
            raise ValueError("two tool calls of one turn have the same id")
        texts = [part.text for part in self.parts if isinstance(part, TextPart)]
        if self.parts and self.content != "\n".join(texts):
            raise ValueError("content differs from the texts of the parts; give one of them")
        images = len(texts) < len(self.parts)
        if blank and not (self.tool_calls or images or self.role == "tool"):
            raise ValueError("must not be empty: a turn says something, calls a tool, or shows an image")
        return self

    def __hash__(self) -> int:
        return hash((self.id, self.role, self.content))

    @property
    def stars(self) -> float | None:
        """The mean rating, 1 to 5; ``None`` when nobody has rated it."""
        return sum(one.stars for one in self.feedback) / len(self.feedback) if self.feedback else None

    def with_feedback(self, feedback: Feedback) -> Self:
        """Return the turn with one more feedback; one with the same id is replaced."""
        kept = [one for one in self.feedback if one.id != feedback.id]
        return self.model_copy(update={"feedback": (*kept, feedback)})


class Fork(Record):
    """Where a conversation branched off another one.

    Attributes:
        conversation_id: The other conversation.
        turn_id: The last turn that the two share.
    """

    conversation_id: Identifier
    turn_id: Identifier


class ConversationHead(Record):
    """What is known of a conversation besides its turns.

    Attributes:
        id: Identifies it among those of its user.
        user_id: Whose it is; ``None`` for an application without users. Nobody else ever sees it.
        created_at: When it began, in UTC.
        metadata: Anything that JSON can hold.
        fork: Where it branched off another one, whose turns up to there are its own, too; ``None`` when it did not.
        tip: The last turn of the branch that is active; ``None`` while there is no turn.
    """

    id: Identifier
    user_id: Identifier | None = None
    created_at: Time = Field(default_factory=now)
    metadata: Metadata = Field(default_factory=_nothing)
    fork: Fork | None = None
    tip: Identifier | None = None

    def __hash__(self) -> int:
        return hash((self.user_id, self.id))


class StoredTurn(NamedTuple):
    """A turn in its place in the tree of a conversation's branches; a plain tuple, for there is one for every turn.

    Attributes:
        interaction: The turn.
        parent_id: The turn before it; ``None`` for a first turn.
    """

    interaction: Interaction
    parent_id: str | None = None


class LexicalMatch(NamedTuple):
    """A turn that holds a searched stem; a plain tuple, for a search may make thousands.

    Attributes:
        conversation_id: Its conversation.
        turn_id: The turn.
        frequencies: How often each searched stem that it holds stands in it.
        length: Stems of the whole turn.
    """

    conversation_id: Identifier
    turn_id: Identifier
    frequencies: dict[str, int]
    length: int


class LexicalScope(Record):
    """Every turn of a scope that holds one of the searched stems, with what BM25 needs to know of the scope.

    Attributes:
        turns: Turns in the scope, those without a match included.
        stems: Stems of all these turns together.
        matches: The turns that match, in the order in which they were stored.
    """

    turns: int
    stems: int
    matches: tuple[LexicalMatch, ...]
