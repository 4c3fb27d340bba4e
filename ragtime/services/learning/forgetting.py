"""From a user's turns and ratings forward to every data set and model that holds them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from ragtime.config.settings import Settings, get_settings
from ragtime.errors import InvalidArgumentError, did_you_mean
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.protocols import ConversationStore
from ragtime.records.base import Identifier
from ragtime.services.conversation import ConversationManager, ForgetReceipt
from ragtime.services.conversation.keeping import open_store
from ragtime.services.conversation.transfer import conversation_ids
from ragtime.services.learning.forgetting_plan import (
    Doubt,
    ForgettingPlan,
    HeldDataset,
    HeldFolder,
    HeldModel,
    PlanStep,
)
from ragtime.services.learning.forgetting_search import ForgettingSearch
from ragtime.services.learning.holdings import find_holdings
from ragtime.services.learning.whose import Whose
from ragtime.services.training_data_gen import UnfinishedRuns, remove_unfinished
from ragtime.storage.registry import ModelRegistry

__all__ = [
    "Doubt",
    "ForgettingPlan",
    "Forgotten",
    "HeldDataset",
    "HeldFolder",
    "HeldModel",
    "PlanStep",
    "check_found",
    "forget_everywhere",
    "plan_forgetting",
]

_log = get_logger(__name__)

_STORE = "conversations.sqlite"  # in the data folder; opening it would make it


class Forgotten(NamedTuple):
    """What was forgotten, and what is left to do.

    Attributes:
        plan: What held it before; its ``left_to_do`` is for people.
        receipt: What was removed from the store; ``None`` when nothing of it was there any more.
        unfinished: What became of working files.
    """

    plan: ForgettingPlan
    receipt: ForgetReceipt | None
    unfinished: UnfinishedRuns


def plan_forgetting(
    user_id: str | None,
    settings: Settings | None = None,
    *,
    conversation_id: str | None = None,
    turn_id: str | None = None,
    registry: ModelRegistry | None = None,
    store: ConversationStore | None = None,
    folders: Sequence[str | Path] = (),
) -> ForgettingPlan:
    """Name what holds a user's turns and ratings, and what to make anew without them, in order. Nothing is changed.

    Data sets are read example by example. A model is named when its run has noted the user, when one of its data sets
    is named, or when it was trained from a model that is. What nobody can tell is among the doubts.

    What was given as files, such as a log of ratings, and copies outside of the data folder are not looked for.

    Args:
        user_id: Whose; ``None`` for what is of no user.
        settings: Say where the data folder is; ``None`` means the current ones.
        conversation_id: Only what is of this conversation; ``None`` means all of the user.
        turn_id: Only what is of this turn of it; ``None`` means the whole conversation.
        registry: The registry; ``None`` means that of the settings.
        store: Where conversations rest; ``None`` means what the settings say.
        folders: Folders to look through besides the data folder, such as where ``generate_dataset`` was told to write.

    Returns:
        The plan; an empty one where nothing was found. It names no other user.

    Raises:
        InvalidArgumentError: What is given as an id is none, a turn is named without its conversation, or one of
            `folders` is no folder.
        StorageError: The store cannot be read.
    """
    for name, given in (("user_id", user_id), ("conversation_id", conversation_id), ("turn_id", turn_id)):
        _check_id(name, given)
    if turn_id is not None and conversation_id is None:
        raise InvalidArgumentError("turn_id is given without conversation_id; name the conversation of the turn")
    chosen = get_settings() if settings is None else settings
    with log_operation(_log, "plan_forgetting", conversation_id=conversation_id, turn_id=turn_id) as operation:
        with _opened(chosen, store) as conversations:
            whose = _whose(conversations, user_id, conversation_id, turn_id)
            heads, turns = _stored(conversations, whose)
        shelves = ModelRegistry(chosen) if registry is None else registry
        plan = ForgettingSearch(chosen, shelves, whose, find_holdings(chosen, folders)).plan(heads, turns)
        operation.add(datasets=len(plan.datasets), models=len(plan.models), doubts=len(plan.doubts))
    return plan


def _check_id(name: str, given: str | None) -> None:
    try:
        TypeAdapter(Identifier | None).validate_python(given)
    except ValidationError:
        pass
    else:
        return
    raise InvalidArgumentError(f"{name} is no id: an id is UTF-8 in one line, with no white space around it")


def check_found(
    plan: ForgettingPlan, settings: Settings | None = None, *, store: ConversationStore | None = None
) -> None:
    """Raise when a plan has found nothing, so that a wrong id does not pass for a user who is forgotten.

    Args:
        plan: The plan.
        settings: Say where the store is, for a user of a similar id; ``None`` means the current ones.
        store: Where conversations rest; ``None`` means what the settings say.

    Raises:
        InvalidArgumentError: It is empty; names a user of a similar id.
    """
    if not plan.is_empty:
        return
    what = "without a user" if plan.user_id is None else f"of user {plan.user_id!r}"
    if plan.conversation_id is not None:
        what += f" in conversation {plan.conversation_id!r}"
    doubts = f", and of {len(plan.doubts)} things nobody can tell whose they are" if plan.doubts else ""
    with _opened(get_settings() if settings is None else settings, store) as conversations:
        users = [] if conversations is None else [one for one in conversations.users() if one is not None]
    near = "" if plan.user_id is None or plan.user_id in users else did_you_mean(plan.user_id, users)
    raise InvalidArgumentError(f"Nothing {what} was found{doubts}{near}")


def forget_everywhere(
    user_id: str | None,
    settings: Settings | None = None,
    *,
    conversation_id: str | None = None,
    turn_id: str | None = None,
    registry: ModelRegistry | None = None,
    store: ConversationStore | None = None,
    folders: Sequence[str | Path] = (),
) -> Forgotten:
    """Forget turns for good, remove the working files of interrupted runs, and name what is left to do.

    Data sets and models are named, not deleted: they may be in use until others take their place.

    Args:
        user_id: Whose; as for :func:`plan_forgetting`, like all that follows.
        settings: The settings.
        conversation_id: The conversation.
        turn_id: The turn of it.
        registry: The registry.
        store: Where conversations rest.
        folders: Folders to look through besides.

    Returns:
        What was forgotten, and the plan as it was before.

    Raises:
        InvalidArgumentError: Nothing of the user was found, or an argument is wrong.
        StorageError: Something cannot be removed.
    """
    chosen = get_settings() if settings is None else settings
    plan = plan_forgetting(
        user_id,
        chosen,
        conversation_id=conversation_id,
        turn_id=turn_id,
        registry=registry,
        store=store,
        folders=folders,
    )
    check_found(plan, chosen, store=store)
    receipt = None
    if plan.conversations:
        manager = ConversationManager(chosen, store=store, user_id=user_id)
        try:
            receipt = manager.forget(
                conversation_id=conversation_id, turn_id=turn_id, everything=conversation_id is None
            )
        finally:
            if store is None:
                manager.close()
    return Forgotten(plan, receipt, remove_unfinished(chosen))


# --- the store --------------------------------------------------------------------------------------------------------


@contextmanager
def _opened(settings: Settings, store: ConversationStore | None) -> Iterator[ConversationStore | None]:
    """Give the store for a ``with`` block; ``None`` where there is none yet, and nothing is made for a look."""
    if store is not None:
        yield store
    elif settings.conversation.store == "memory" or not settings.data_path(_STORE).exists():
        yield None
    else:
        opened = open_store(settings)
        try:
            yield opened
        finally:
            opened.close()


def _whose(
    store: ConversationStore | None, user_id: str | None, conversation_id: str | None, turn_id: str | None
) -> Whose:
    related = {conversation_id} if turn_id is not None and conversation_id is not None else set()
    if related and store is not None:
        forks = [(head.id, head.fork.conversation_id) for head in store.conversations(user_id) if head.fork is not None]
        size = 0
        while len(related) > size:
            size = len(related)
            related |= {one for pair in forks if not related.isdisjoint(pair) for one in pair}
    return Whose(user_id, conversation_id, turn_id, frozenset(related))


def _stored(store: ConversationStore | None, whose: Whose) -> tuple[int, int]:
    """Count the conversations and turns in the store that are to be forgotten."""
    if store is None:
        return 0, 0
    user, conversation = whose.user_id, whose.conversation_id
    if conversation is None:
        return sum(1 for _ in conversation_ids(store, user)), sum(1 for _ in store.changes(user))
    if whose.turn_id is not None:
        found = int(store.turn(user, conversation, whose.turn_id) is not None)
        return found, found
    if store.head(user, conversation) is None:
        return 0, 0
    return 1, sum(1 for _, place, _ in store.changes(user) if place == conversation)
