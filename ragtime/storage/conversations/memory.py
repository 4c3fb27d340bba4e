"""Conversations in memory: for tests, for short-lived programs, and as the plain statement of what a store does."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.records.conversation import (
    ConversationHead,
    Feedback,
    LexicalMatch,
    LexicalScope,
    StoredTurn,
)
from ragtime.storage.conversations.arguments import (
    already_taken,
    already_there,
    check_id,
    check_listing,
    check_turn,
    dump_metadata,
    dump_record,
    has_metadata,
    no_conversation,
    no_fork_origin,
    no_parent,
    no_tip,
    no_turn,
    same_turn,
)
from ragtime.storage.conversations.memory_tree import Conversation, Turn, by_number, head_of
from ragtime.utils.stems import stems_of

__all__ = ["MemoryConversationStore"]


class MemoryConversationStore:
    """Keeps conversations in memory; a ``ragtime.protocols.ConversationStore``.

        >>> store = MemoryConversationStore()
        >>> store.create(ConversationHead(id="c"))
        >>> store.append(None, "c", [StoredTurn(interaction=Interaction(role="user", content="Good morning"))])
        >>> [turn.interaction.content for turn in store.turns(None, "c")]
        ['Good morning']

    Safe for many threads; one lock for all. A search reads every turn of its scope.
    """

    def __init__(self) -> None:
        """Begin without conversations."""
        self._lock = threading.RLock()
        self._closed = False
        self._number = 0
        self._users: dict[str | None, dict[str, Conversation]] = {}
        self._moved: dict[Turn, int] = {}

    def create(self, head: ConversationHead, turns: Sequence[StoredTurn] = ()) -> None:
        """Store a new conversation with its turns; see the protocol."""
        check_id(head.user_id, head.id)
        dump_metadata(head.metadata)
        for turn in turns:
            check_id(turn.parent_id)
            check_turn(turn)
        with self._lock:
            conversations = self._of(head.user_id)
            if head.id in conversations:
                raise already_there()
            self._number += 1
            new = Conversation(head, self._number)
            if head.fork is not None:
                new.origin = conversations.get(head.fork.conversation_id)
                new.fork = new.tip = new.origin.find(head.fork.turn_id) if new.origin else None
                if new.fork is None:
                    raise no_fork_origin()
            self._add(new, turns, may_repeat=False)
            if head.tip is not None:
                new.tip = new.find(head.tip)
                if new.tip is None:
                    raise no_tip()
            self._users.setdefault(head.user_id, {})[head.id] = new

    def head(self, user_id: str | None, conversation_id: str) -> ConversationHead | None:
        """Return what is known of a conversation; see the protocol."""
        check_id(user_id, conversation_id)
        with self._lock:
            found = self._of(user_id).get(conversation_id)
            return None if found is None else head_of(found)

    def turns(self, user_id: str | None, conversation_id: str) -> Iterator[StoredTurn]:
        """Read all turns of a conversation, as they are at the call; see the protocol."""
        check_id(user_id, conversation_id)
        with self._lock:
            found = self._of(user_id).get(conversation_id)
            turns = [] if found is None else [*found.shared(), *by_number(found.own.values())]
            return iter([turn.stored() for turn in turns])

    def turn(self, user_id: str | None, conversation_id: str, turn_id: str) -> StoredTurn | None:
        """Return one turn of a conversation; see the protocol."""
        check_id(user_id, conversation_id, turn_id)
        with self._lock:
            conversation = self._of(user_id).get(conversation_id)
            found = None if conversation is None else conversation.find(turn_id)
            return None if found is None else found.stored()

    def append(self, user_id: str | None, conversation_id: str, turns: Sequence[StoredTurn]) -> None:
        """Add turns to a conversation; see the protocol. A call that adds nothing new leaves the tip."""
        check_id(user_id, conversation_id)
        for turn in turns:
            check_id(turn.parent_id)
            check_turn(turn)
        with self._lock:
            self._add(self._existing(user_id, conversation_id), turns, may_repeat=True)

    def update(
        self,
        user_id: str | None,
        conversation_id: str,
        *,
        tip: str | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Change the tip of a conversation, its metadata, or both; see the protocol."""
        check_id(user_id, conversation_id, tip)
        if metadata is not None:
            dump_metadata(metadata)
        with self._lock:
            found = self._existing(user_id, conversation_id)
            if tip is not None:
                chosen = found.find(tip)
                if chosen is None:
                    raise no_tip()
                found.tip = chosen
            if metadata is not None:
                found.head = found.head.model_copy(update={"metadata": dict(metadata)})

    def add_feedback(self, user_id: str | None, conversation_id: str, turn_id: str, feedback: Feedback) -> None:
        """Add feedback to a turn; see the protocol."""
        check_id(user_id, conversation_id, turn_id)
        dump_record(feedback)
        with self._lock:
            turn = self._existing(user_id, conversation_id).find(turn_id)
            if turn is None:
                raise no_turn()
            turn.interaction = turn.interaction.with_feedback(feedback)

    def conversations(
        self,
        user_id: str | None,
        *,
        where: Mapping[str, object] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> list[ConversationHead]:
        """List the conversations of a user; see the protocol. An `after` that is not there is an error."""
        check_listing(since, until, limit)
        check_id(user_id, after)
        with self._lock:
            heads = sorted((head_of(found) for found in self._of(user_id).values()), key=lambda head: head.id)
        heads.sort(key=lambda head: head.created_at, reverse=True)
        if after is not None:
            place = next((place for place, head in enumerate(heads) if head.id == after), None)
            if place is None:
                raise no_conversation()
            heads = heads[place + 1 :]
        chosen = [
            head
            for head in heads
            if (since is None or head.created_at >= since)
            and (until is None or head.created_at < until)
            and has_metadata(head.metadata, where)
        ]
        return chosen[:limit]

    def users(self) -> list[str | None]:
        """Return the users who have conversations; see the protocol."""
        with self._lock:
            self._check_open()
            return sorted(self._users, key=lambda name: (name is not None, name or ""))

    def lexical_scope(
        self, user_id: str | None, stems: Sequence[str], *, conversation_id: str | None = None
    ) -> LexicalScope:
        """Find every turn that holds one of some stems; see the protocol."""
        check_id(user_id, conversation_id)
        total, matches = 0, []
        with self._lock:
            conversations = self._of(user_id).values()
            turns = by_number(
                turn
                for found in conversations
                if conversation_id in (None, found.head.id)
                for turn in found.own.values()
            )
            for turn in turns:
                if turn.stems is None:
                    turn.stems = Counter(stems_of(turn.interaction.content))
                total += turn.stems.total()
                held = {stem: turn.stems[stem] for stem in stems if stem in turn.stems}
                if held:
                    matches.append(
                        LexicalMatch(
                            conversation_id=turn.owner.head.id,
                            turn_id=turn.interaction.id,
                            frequencies=held,
                            length=turn.stems.total(),
                        )
                    )
        return LexicalScope(turns=len(turns), stems=total, matches=tuple(matches))

    def changes(self, user_id: str | None, *, after: int = 0) -> Iterator[tuple[int, str, StoredTurn]]:
        """Read the turns of a user that were stored since; see the protocol.

        A turn that came to a fork because its conversation was forgotten is read again, with the fork and a new number.

        Args:
            user_id: Whose turns.
            after: The number of the last turn known.

        Returns:
            The turn's number, its conversation, the turn; of each one.
        """
        check_id(user_id)
        with self._lock:
            turns = [turn for found in self._of(user_id).values() for turn in found.own.values()]
            numbered = [(turn.number, turn) for turn in turns]
            numbered += [(self._moved[turn], turn) for turn in turns if turn in self._moved]
            known = [(number, turn) for number, turn in numbered if number > after]
            known.sort(key=lambda pair: pair[0])
            return iter([(number, turn.owner.head.id, turn.stored()) for number, turn in known])

    def forget(
        self, user_id: str | None, *, conversation_id: str | None = None, turn_id: str | None = None
    ) -> list[tuple[str, StoredTurn]]:
        """Remove turns for good; see the protocol, and the SQLite store on what becomes of forks."""
        if turn_id is not None and conversation_id is None:
            raise InvalidArgumentError("turn_id is given without conversation_id; name the conversation of the turn")
        check_id(user_id, conversation_id, turn_id)
        with self._lock:
            conversations = self._of(user_id)
            if conversation_id is None:
                doomed = [turn for found in conversations.values() for turn in found.own.values()]
                self._users.pop(user_id, None)
            elif turn_id is None:
                found = self._existing(user_id, conversation_id)
                self._bequeath(found)
                doomed = list(found.own.values())
                del conversations[conversation_id]
                if not conversations:
                    del self._users[user_id]
            else:
                turn = self._existing(user_id, conversation_id).find(turn_id)
                if turn is None:
                    raise no_turn()
                doomed = [turn]
            removed = [(turn.owner.head.id, turn.stored()) for turn in by_number(doomed)]
            if turn_id is not None:
                self._remove(user_id, doomed[0])
            for turn in doomed:
                self._moved.pop(turn, None)
            return removed

    def close(self) -> None:
        """Let go of everything; further calls fail."""
        with self._lock:
            self._closed = True
            self._users.clear()

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError("The store of conversations is closed; make a new one")

    def _of(self, user_id: str | None) -> dict[str, Conversation]:
        self._check_open()
        return self._users.get(user_id, {})

    def _existing(self, user_id: str | None, conversation_id: str) -> Conversation:
        found = self._of(user_id).get(conversation_id)
        if found is None:
            raise no_conversation()
        return found

    def _add(self, place: Conversation, turns: Sequence[StoredTurn], *, may_repeat: bool) -> None:
        """Add turns to a conversation, all or nothing."""
        added: dict[str, Turn] = {}
        for position, given in enumerate(turns):
            parent = None
            if given.parent_id is not None:
                parent = added.get(given.parent_id) or place.find(given.parent_id)
                if parent is None:
                    raise no_parent(position)
            there = added.get(given.interaction.id) or place.find(given.interaction.id)
            if there is None:
                self._number += 1
                added[given.interaction.id] = Turn(self._number, given.interaction, parent, place)
            elif not may_repeat or not same_turn(there.stored(), given):
                raise already_taken(position)
        place.own.update(added)
        place.tip = next(reversed(added.values()), place.tip)

    def _remove(self, user_id: str | None, turn: Turn) -> None:
        del turn.owner.own[turn.interaction.id]
        for found in self._of(user_id).values():
            for other in found.own.values():
                if other.parent is turn:
                    other.parent = turn.parent
            if found.fork is turn:
                found.fork = turn.parent
                found.origin = found.origin if turn.parent else None
        for found in self._of(user_id).values():
            if found.tip is turn:
                found.tip = turn.parent or found.fallback()

    def _bequeath(self, origin: Conversation) -> None:
        """Give each fork the turns that it shares, if no earlier fork has got them."""
        conversations = self._of(origin.head.user_id).values()
        forks = sorted((found for found in conversations if found.origin is origin), key=lambda found: found.order)
        given: list[Turn] = []
        for fork in forks:
            turn = fork.fork
            while turn is not None and turn.owner is origin:
                turn.owner = fork
                fork.own[turn.interaction.id] = origin.own.pop(turn.interaction.id)
                given.append(turn)
                turn = turn.parent
            fork.fork = turn
            if turn is None:
                fork.origin = None
            else:
                fork.origin = turn.owner if turn in given else origin.origin
        for turn in by_number(given):
            self._number += 1
            self._moved[turn] = self._number
