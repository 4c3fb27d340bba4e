"""Taking a conversation into a store, whole or piece by piece: what is there already is completed, never doubled."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from ragtime.errors import ConversationExistsError, InvalidArgumentError
from ragtime.protocols import ConversationStore
from ragtime.records.conversation import ConversationHead, Feedback, StoredTurn
from ragtime.utils.hashing import canonical_json

__all__ = ["UNFINISHED", "Intake", "take_in"]

UNFINISHED = "ragtime.unfinished_import"
"""Metadata of a conversation of which an import has stored a part only; running the import again finishes it."""


def take_in(store: ConversationStore, head: ConversationHead, turns: Sequence[StoredTurn]) -> bool:
    """Store a conversation with all its turns, or what is missing of it; a new one is stored all or nothing.

    Args:
        store: Where it goes.
        head: What is known of it; of one that is there, the active branch is taken over when turns were missing, the
            metadata is not.
        turns: Its turns, each after its parent.

    Returns:
        Whether the conversation was there.

    Raises:
        InvalidArgumentError: The user has another conversation with this id, whose turns are different.
        StorageError: It cannot be stored.
    """
    intake = Intake(store, head, turns)
    intake.finish()
    return intake.was_there


class Intake:
    """Stores a conversation that comes in pieces, holding one of them at a time.

    A new one carries the metadata ``UNFINISHED`` until all its pieces are stored, so that one of which a part is
    missing is known as such, and finished by whoever takes it in again.

    Attributes:
        head: What is known of it.
        turns: How many turns have come so far.
        was_there: Whether the store had it before.
    """

    def __init__(
        self,
        store: ConversationStore,
        head: ConversationHead,
        turns: Sequence[StoredTurn],
        *,
        goes_on: bool = False,
    ) -> None:
        """Store the first piece.

        Args:
            store: Where the conversation goes.
            head: What is known of it.
            turns: Its first turns, each after its parent.
            goes_on: Whether more will be added.

        Raises:
            InvalidArgumentError: The user has another conversation with this id, whose turns are different.
            StorageError: It cannot be stored.
        """
        self._store, self.head, self.turns = store, head, len(turns)
        self._unfinished, self._grew = goes_on, False
        self._tip: str | None = None
        self._feedback: set[bytes] = set()
        self._stored: set[bytes] = set()
        first = head
        if goes_on:  # the tip may be a turn that is still to come
            first = head.model_copy(update={"tip": None, "metadata": {**head.metadata, UNFINISHED: True}})
        try:
            store.create(first, turns)
            self.was_there = False
        except ConversationExistsError:
            self.was_there = True
        if self.was_there:
            self._look(turns)
            self._complete(turns)

    def add(self, turns: Sequence[StoredTurn]) -> None:
        """Store the next piece.

        Args:
            turns: The turns, each after its parent.

        Raises:
            InvalidArgumentError: A turn names a parent that is not there, or the id of a different turn.
            StorageError: They cannot be stored.
        """
        if self.was_there:
            self._complete(turns)
        else:
            self._store.append(self.head.user_id, self.head.id, turns)
        self.turns += len(turns)

    def finish(self) -> None:
        """Make the active branch that of the conversation, where turns were missing; all pieces are stored.

        Raises:
            InvalidArgumentError: Its tip is no turn of it.
            StorageError: It cannot be stored.
        """
        head = self.head
        if self._unfinished:
            found = self._store.head(head.user_id, head.id) or head
            kept = {name: value for name, value in found.metadata.items() if name != UNFINISHED}
            if UNFINISHED in head.metadata:  # it was taken from one that was not finished
                kept[UNFINISHED] = head.metadata[UNFINISHED]
            self._store.update(head.user_id, head.id, tip=head.tip, metadata=kept)
        elif self._grew and head.tip is not None:
            self._store.update(head.user_id, head.id, tip=head.tip)

    def _look(self, turns: Sequence[StoredTurn]) -> None:
        """Read what is there, of which only hashes of feedback are kept, and of a fork's turns."""
        given = {turn.interaction.id for turn in turns}
        found = self._store.head(self.head.user_id, self.head.id)
        forked = False
        if found is not None:
            self._tip, self._unfinished, forked = found.tip, UNFINISHED in found.metadata, found.fork is not None
        any_stored = same = False
        for turn in self._store.turns(self.head.user_id, self.head.id):
            any_stored = True
            same = same or turn.interaction.id in given
            self._feedback.update(_feedback_hash(turn, one) for one in turn.interaction.feedback)
            if forked:  # to find one that is shared, a store walks back to it, which for all of them would take long
                self._stored.add(_turn_hash(_without_feedback(turn)))
        if any_stored and given and not same:
            name = self.head.id[:100]
            raise InvalidArgumentError(f"There is another conversation with the id {name!r}, of other turns")

    def _complete(self, turns: Sequence[StoredTurn]) -> None:
        user_id, conversation_id = self.head.user_id, self.head.id
        # The store compares what is there and passes it over; feedback, which may differ, is added after that.
        bare = [_without_feedback(turn) for turn in turns]
        if self._stored:
            bare = [turn for turn in bare if _turn_hash(turn) not in self._stored]
        self._store.append(user_id, conversation_id, bare)
        found = self._store.head(user_id, conversation_id)
        former, self._tip = self._tip, None if found is None else found.tip
        # A turn that is new becomes the tip; another tip is somebody else's doing.
        self._grew |= self._tip != former and any(turn.interaction.id == self._tip for turn in turns)
        for turn in turns:
            for feedback in turn.interaction.feedback:
                if _feedback_hash(turn, feedback) not in self._feedback:
                    self._store.add_feedback(user_id, conversation_id, turn.interaction.id, feedback)


def _without_feedback(turn: StoredTurn) -> StoredTurn:
    if not turn.interaction.feedback:
        return turn
    return StoredTurn(turn.interaction.model_copy(update={"feedback": ()}), turn.parent_id)


def _feedback_hash(turn: StoredTurn, feedback: Feedback) -> bytes:
    return _hash([turn.interaction.id, feedback.model_dump(mode="json")])


def _turn_hash(turn: StoredTurn) -> bytes:
    return _hash([turn.parent_id, turn.interaction.model_dump(mode="json")])


def _hash(value: object) -> bytes:
    return blake2b(canonical_json(value).encode(), digest_size=16).digest()
