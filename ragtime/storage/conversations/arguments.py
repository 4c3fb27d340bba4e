"""What all stores of conversations ask of their arguments, so that they answer alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from ragtime.errors import ConversationExistsError, ConversationNotFoundError, InvalidArgumentError
from ragtime.records.conversation import Feedback, Interaction, StoredTurn

__all__ = [
    "already_taken",
    "already_there",
    "check_id",
    "check_listing",
    "check_turn",
    "dump_metadata",
    "dump_record",
    "encode_id",
    "has_metadata",
    "no_conversation",
    "no_fork_origin",
    "no_parent",
    "no_tip",
    "no_turn",
    "same_turn",
]


def dump_record(record: Interaction | Feedback, *, exclude: set[str] | None = None) -> str:
    """Return a record as JSON.

    Args:
        record: The record.
        exclude: Fields to leave out; ``None`` means none.

    Returns:
        The JSON text.

    Raises:
        InvalidArgumentError: It holds lone surrogates, which no file can.
    """
    try:
        return record.model_dump_json(exclude=exclude)
    except ValueError:  # its error would quote the text
        pass
    raise InvalidArgumentError(f"The {type(record).__name__} holds lone surrogates, which cannot be stored")


def dump_metadata(metadata: Mapping[str, object]) -> str:
    """Return the metadata of a conversation as JSON; raise `InvalidArgumentError` where JSON or a file cannot hold it.

    Args:
        metadata: The metadata.

    Returns:
        The JSON text.

    Raises:
        InvalidArgumentError: It is no JSON, or holds lone surrogates.
    """
    try:
        text = json.dumps(metadata, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError):
        pass
    else:
        return text
    raise InvalidArgumentError("metadata must be what JSON can hold, without lone surrogates, NaN or infinity")


def check_turn(turn: StoredTurn) -> str:
    """Return the body of a turn, without its feedback, as it rests in a file; raise where it cannot."""
    interaction = turn.interaction
    for feedback in interaction.feedback:
        dump_record(feedback)
    return dump_record(interaction, exclude={"feedback"} if interaction.feedback else None)


def check_id(*ids: str | None) -> None:
    """Raise `InvalidArgumentError` where an id cannot be stored."""
    for each in ids:
        encode_id(each or "")


def encode_id(name: str) -> bytes:
    """Return an id as UTF-8; raise `InvalidArgumentError` where that cannot be."""
    try:
        return name.encode()
    except UnicodeEncodeError:
        pass
    raise InvalidArgumentError("An id holds lone surrogates, which cannot be stored")


def check_listing(since: datetime | None, until: datetime | None, limit: int | None) -> None:
    """Refuse wrong bounds of a listing.

    Args:
        since: The earliest time; ``None`` for none.
        until: The time that it ends before; ``None`` for none.
        limit: Most to list; ``None`` for all.

    Raises:
        InvalidArgumentError: A time has no time zone, or the limit is negative.
    """
    for name, time in (("since", since), ("until", until)):
        if time is not None and time.tzinfo is None:
            raise InvalidArgumentError(f"{name} has no time zone; give one, such as datetime.now(UTC)")
    if limit is not None and limit < 0:
        raise InvalidArgumentError(f"limit must not be negative, found {limit}")


def has_metadata(found: Mapping[str, object], where: Mapping[str, object] | None) -> bool:
    """Tell whether metadata has all the values asked for; a missing key differs from one that is ``None``."""
    return all(key in found and found[key] == value for key, value in (where or {}).items())


def same_turn(stored: StoredTurn, given: StoredTurn) -> bool:
    """Tell whether a turn to append is the one that is there.

    Feedback comes later than its turn, so a repeated call may not know it yet: all it knows must be there.

    Args:
        stored: The turn in the store.
        given: The turn to append.

    Returns:
        Whether they are the same in every other field.
    """
    known = {feedback.id for feedback in stored.interaction.feedback}
    if not {feedback.id for feedback in given.interaction.feedback} <= known:
        return False
    bare = [turn.interaction.model_dump(exclude={"feedback"}) for turn in (stored, given)]
    return stored.parent_id == given.parent_id and bare[0] == bare[1]


def no_conversation() -> ConversationNotFoundError:
    """Return the error for a conversation that the user does not have."""
    return ConversationNotFoundError("The user has no conversation of this id; create it first, or check the user")


def already_there() -> ConversationExistsError:
    """Return the error for a new conversation whose id the user has used."""
    return ConversationExistsError("The user has a conversation of this id already; append to it, or take another id")


def no_parent(position: int) -> InvalidArgumentError:
    """Return the error for the turn at a position, from 0, whose parent is missing."""
    return InvalidArgumentError(
        f"turns[{position}] names a parent that is not in the conversation; give turns after their parents"
    )


def already_taken(position: int) -> InvalidArgumentError:
    """Return the error for the turn at a position, from 0, whose id belongs to another one."""
    return InvalidArgumentError(
        f"turns[{position}] has the id of a different turn of the conversation; give every turn its own id"
    )


def no_tip() -> InvalidArgumentError:
    """Return the error for a tip that is not there."""
    return InvalidArgumentError("tip is no turn of the conversation")


def no_turn() -> InvalidArgumentError:
    """Return the error for a turn that is not there."""
    return InvalidArgumentError("The conversation has no turn of this id")


def no_fork_origin() -> InvalidArgumentError:
    """Return the error for a fork of something that is not there."""
    return InvalidArgumentError("fork names a conversation or a turn that the user does not have")
