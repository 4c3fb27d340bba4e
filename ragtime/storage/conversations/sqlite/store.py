"""Conversations in one SQLite file, for many threads and processes.

The contract, for all threads of all processes that have the file open:

- A call that has returned is kept. With durability ``normal`` it survives the death of the process, however violent;
  after a crash of the machine the last transactions may be missing, and the file is whole. With ``full`` the bytes are
  on the disk before the call returns, so it survives that, too.
- A call is all or nothing, whatever kills it. One that fails has changed nothing, and neither blocks nor fails others.
- Writers take turns. What threads of one process write at the same time shares one transaction; a process waits for the
  others, 60 seconds at most unless told otherwise. ``append`` may be repeated after any failure.
- Turns have one order, in which all readers see them; who sees a turn sees all stored before it.
- Readers wait for nobody, and nobody for them but ``forget``. An iteration reads some hundred turns at a time and
  leaves no transaction open between: a turn that is stored meanwhile is read, one that is forgotten is not.
- A search sees one moment, and every turn that was stored before it was called.
- ``forget`` returns once no file of the store holds anything of the turns. When another process still reads, it raises
  an error, the turns are gone for all readers, and the next ``forget``, or opening the store again, ends the work.
- A process may fork at any time: both sides open connections of their own. A call in progress in another thread is
  waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, get_args

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.records.conversation import ConversationHead, Feedback, LexicalScope, StoredTurn
from ragtime.storage.conversations.arguments import check_listing, dump_metadata, no_conversation
from ragtime.storage.conversations.sqlite.connections import Connections
from ragtime.storage.conversations.sqlite.erasure import erase_deleted
from ragtime.storage.conversations.sqlite.errors import missing_row
from ragtime.storage.conversations.sqlite.forgetting import forget_conversation, forget_turn, forget_user
from ragtime.storage.conversations.sqlite.keys import Keys, to_microseconds
from ragtime.storage.conversations.sqlite.lexical import index_turns, search
from ragtime.storage.conversations.sqlite.places import find_place, find_turn, find_user, path_to
from ragtime.storage.conversations.sqlite.reading import (
    list_heads,
    own_turns,
    read_changes,
    read_head,
    read_turns,
    turns_of_numbers,
)
from ragtime.storage.conversations.sqlite.storing import (
    add_conversation,
    add_opinion,
    append_statement,
    append_turns,
    change_conversation,
    prepare_turns,
)
from ragtime.storage.conversations.sqlite.writer import Writer

__all__ = ["Durability", "SQLiteConversationStore"]

Durability = Literal["normal", "full"]
"""What a returned call survives: the death of the process, or also a crash of the machine."""

_log = get_logger(__name__)


class SQLiteConversationStore:
    """Keeps conversations in one file; a ``ragtime.protocols.ConversationStore``.

        >>> import tempfile
        >>> from ragtime.records.conversation import ConversationHead, Interaction, StoredTurn
        >>> with SQLiteConversationStore(tempfile.mkdtemp() + "/conversations.sqlite") as store:
        ...     store.create(ConversationHead(id="c"))
        ...     store.append(None, "c", [StoredTurn(interaction=Interaction(role="user", content="Good morning"))])
        ...     [turn.interaction.content for turn in store.turns(None, "c")]
        ['Good morning']

    Safe for many threads and processes; the module says what they may rely on.

    Attributes:
        path: The file; two more beside it, ``-wal`` and ``-shm``, belong to it while it is open.
        durability: What a returned call survives.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        durability: Durability = "normal",
        busy_seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the file, or make it, and bring it to the version of today.

        Args:
            path: The file; folders are made as needed.
            durability: What a returned call survives: ``normal``, the death of the process; ``full``, a crash of the
                machine, too.
            busy_seconds: How long a call waits for other processes that write.
            clock: Returns seconds; bounds the waiting.

        Raises:
            InvalidArgumentError: `durability` or `busy_seconds` is none.
            StorageError: The file is another program's, of a newer ragtime, damaged, or cannot be opened.
        """
        if durability not in get_args(Durability):
            raise InvalidArgumentError(f"durability must be one of {get_args(Durability)}, found {durability!r}")
        if not busy_seconds >= 0:
            raise InvalidArgumentError(f"busy_seconds must not be negative, found {busy_seconds}")
        self.path = Path(path).absolute()
        self.durability = durability
        self._connections = Connections(
            self.path, synchronous=durability.upper(), busy_seconds=busy_seconds, clock=clock
        )
        self._writer = Writer(self._connections)
        with self._connections.borrow() as connection:
            salt = connection.execute("SELECT value FROM meta WHERE name = 'salt'").fetchone()[0]
        self._keys = Keys(salt)
        try:
            erase_deleted(self._connections, wait_seconds=0)
        except StorageError as error:
            _log.warning("An earlier forget() is not finished yet", extra={"path": str(path), "error": str(error)})

    def create(self, head: ConversationHead, turns: Sequence[StoredTurn] = ()) -> None:
        """Store a new conversation with its turns; see the protocol."""
        self._keys.conversation(head.user_id, head.id)
        dump_metadata(head.metadata)
        prepared = prepare_turns(self._keys, turns)
        self._writer.run(lambda connection: add_conversation(connection, self._keys, head, prepared))

    def head(self, user_id: str | None, conversation_id: str) -> ConversationHead | None:
        """Return what is known of a conversation; see the protocol."""
        conversation_hash = self._keys.conversation(user_id, conversation_id)
        with self._connections.borrow() as connection:
            connection.execute("BEGIN")
            place = find_place(connection, conversation_hash)
            return None if place is None else read_head(connection, place.key, user_id)

    def turns(self, user_id: str | None, conversation_id: str) -> Iterator[StoredTurn]:
        """Read all turns of a conversation, some hundred at a time; see the protocol."""
        conversation_hash = self._keys.conversation(user_id, conversation_id)
        with self._connections.borrow() as connection:
            connection.execute("BEGIN")
            place = find_place(connection, conversation_hash)
            shared = None if place is None or place.fork_turn is None else path_to(connection, place.fork_turn)
        if shared is not None:
            yield from (read.turn for read in read_turns(self._connections, shared))
        if place is not None:  # numbers grow along a path; a shared turn may become the fork's own meanwhile
            yield from (read.turn for read in own_turns(self._connections, place.key, after=place.fork_turn or 0))

    def turn(self, user_id: str | None, conversation_id: str, turn_id: str) -> StoredTurn | None:
        """Return one turn of a conversation; see the protocol."""
        conversation_hash = self._keys.conversation(user_id, conversation_id)
        turn_hash = self._keys.item(turn_id)
        with self._connections.borrow() as connection:
            connection.execute("BEGIN")
            place = find_place(connection, conversation_hash)
            number = None if place is None else find_turn(connection, place, turn_hash)
            if number is None:
                return None
            for read in turns_of_numbers(connection, [number]):
                return read.turn
            raise missing_row()

    def append(self, user_id: str | None, conversation_id: str, turns: Sequence[StoredTurn]) -> None:
        """Add turns to a conversation; see the protocol. A call that adds nothing new leaves the tip."""
        conversation_hash = self._keys.conversation(user_id, conversation_id)
        prepared = prepare_turns(self._keys, turns)
        self._writer.run(
            lambda connection: append_turns(connection, self._keys, conversation_hash, prepared),
            statement=append_statement(conversation_hash, prepared),
        )

    def update(
        self,
        user_id: str | None,
        conversation_id: str,
        *,
        tip: str | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Change the tip of a conversation, its metadata, or both; see the protocol."""
        conversation_hash = self._keys.conversation(user_id, conversation_id)
        tip_hash = None if tip is None else self._keys.item(tip)
        text = None if metadata is None else dump_metadata(metadata)
        self._writer.run(
            lambda connection: change_conversation(connection, conversation_hash, tip_hash=tip_hash, metadata=text)
        )

    def add_feedback(self, user_id: str | None, conversation_id: str, turn_id: str, feedback: Feedback) -> None:
        """Add feedback to a turn; see the protocol."""
        conversation_hash = self._keys.conversation(user_id, conversation_id)
        turn_hash = self._keys.item(turn_id)
        self._writer.run(lambda connection: add_opinion(connection, self._keys, conversation_hash, turn_hash, feedback))

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
        user_hash = self._keys.user(user_id)
        after_hash = None if after is None else self._keys.conversation(user_id, after)
        with self._connections.borrow() as connection:
            connection.execute("BEGIN")
            user = find_user(connection, user_hash)
            place = None if after_hash is None else find_place(connection, after_hash)
            if after_hash is not None and place is None:
                raise no_conversation()
            last = None if place is None else read_head(connection, place.key, user_id)
            return (
                []
                if user is None
                else list_heads(
                    connection,
                    user,
                    user_id,
                    where=where,
                    bounds=(since, until),
                    after=None if last is None else (to_microseconds(last.created_at), last.id),
                    limit=limit,
                )
            )

    def users(self) -> list[str | None]:
        """Return the users who have conversations; see the protocol."""
        with self._connections.borrow() as connection:
            names = [row[0] for row in connection.execute("SELECT name FROM users")]
        return sorted(names, key=lambda name: (name is not None, name or ""))

    def lexical_scope(
        self, user_id: str | None, stems: Sequence[str], *, conversation_id: str | None = None
    ) -> LexicalScope:
        """Find every turn that holds one of some stems; see the protocol. Indexes what is not yet."""
        user_hash = self._keys.user(user_id)
        conversation_hash = None if conversation_id is None else self._keys.conversation(user_id, conversation_id)
        with self._connections.borrow() as connection:
            connection.execute("BEGIN")
            user = find_user(connection, user_hash)
            place = None if conversation_hash is None else find_place(connection, conversation_hash)
        if user is None or (conversation_hash is not None and place is None):
            return LexicalScope(turns=0, stems=0, matches=())
        index_turns(self._connections, self._writer, self._keys, user)
        with self._connections.borrow() as connection:
            return search(connection, self._keys, user, stems, None if place is None else place.key)

    def changes(self, user_id: str | None, *, after: int = 0) -> Iterator[tuple[int, str, StoredTurn]]:
        """Read the turns of a user that were stored since; see the protocol.

        A turn that came to a fork because its conversation was forgotten is read again, with the fork and a new number.

        Args:
            user_id: Whose turns.
            after: The number of the last turn known.

        Yields:
            The turn's number, its conversation, the turn.
        """
        user_hash = self._keys.user(user_id)
        with self._connections.borrow() as connection:
            user = find_user(connection, user_hash)
        if user is not None:
            yield from read_changes(self._connections, user, after)

    def forget(
        self, user_id: str | None, *, conversation_id: str | None = None, turn_id: str | None = None
    ) -> list[tuple[str, StoredTurn]]:
        """Remove turns for good; see the protocol.

        Of a conversation that is removed, each turn that forks share becomes one of the oldest fork that shares it; the
        others become forks of that one. Such turns are not among those returned.

        Args:
            user_id: Whose turns; all of them when neither of the others is given.
            conversation_id: A conversation; ``None`` means all of the user's.
            turn_id: A single turn of it, its own or a shared one; ``None`` means all.

        Returns:
            The conversation and the turn, for each that was removed.
        """
        if turn_id is not None and conversation_id is None:
            raise InvalidArgumentError("turn_id is given without conversation_id; name the conversation of the turn")
        keys, user_hash = self._keys, self._keys.user(user_id)
        conversation_hash = keys.conversation(user_id, conversation_id) if conversation_id is not None else b""
        turn_hash = keys.item(turn_id) if turn_id is not None else b""
        with log_operation(_log, "forget_conversations", path=str(self.path)) as operation:
            try:
                if turn_id is not None:
                    removed = self._writer.run(lambda c: forget_turn(c, keys, conversation_hash, turn_hash))
                elif conversation_id is not None:
                    removed = self._writer.run(lambda c: forget_conversation(c, keys, conversation_hash))
                else:
                    removed = self._writer.run(lambda c: forget_user(c, keys, user_hash))
            finally:  # an earlier call may have left something to do, even where this one fails
                erase_deleted(self._connections, wait_seconds=self._connections.busy_seconds)
            operation.add(turns=len(removed))
        return removed

    def close(self) -> None:
        """Close the file, once calls in progress have returned; further calls fail."""
        self._connections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()
