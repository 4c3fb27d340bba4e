"""Conversations out of a store and into one, as JSON Lines, holding some hundred turns at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ragtime.errors import ConversationNotFoundError, InvalidArgumentError, StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.protocols import ConversationStore
from ragtime.records.conversation import ConversationHead, StoredTurn
from ragtime.services.conversation.formats.native_lines import NativeLine, native_lines, read_native_line
from ragtime.services.conversation.intake import Intake
from ragtime.utils.files import atomic_writer, read_jsonl
from ragtime.utils.progress import ProgressMode, track

__all__ = ["conversation_ids", "export_file", "exported_lines", "import_file"]

_log = get_logger(__name__)
_PAGE = 5000  # conversations


def conversation_ids(store: ConversationStore, user_id: str | None) -> Iterator[str]:
    """List the conversations of a user, the newest first, holding a page of them at a time.

    Args:
        store: Where they rest.
        user_id: Whose.

    Yields:
        The ids.
    """
    last: ConversationHead | None = None
    while True:
        try:
            page = store.conversations(user_id, limit=_PAGE, after=None if last is None else last.id)
        except ConversationNotFoundError:  # the last of the page before was forgotten meanwhile
            page = [head for head in store.conversations(user_id) if last is None or _comes_after(head, last)]
        if not page:
            return
        yield from (head.id for head in page)
        last = page[-1]


def _comes_after(head: ConversationHead, last: ConversationHead) -> bool:
    if head.created_at == last.created_at:
        return head.id > last.id
    return head.created_at < last.created_at


def exported_lines(store: ConversationStore, user_id: str | None, conversation_id: str) -> Iterator[str]:
    """Write a conversation as lines of JSON; one that was forked has all its turns, those that it shares included.

    Args:
        store: Where it rests.
        user_id: Whose it is.
        conversation_id: The conversation; of one that is not there, there are no lines.

    Yields:
        The lines, without line breaks.

    Raises:
        StorageError: It cannot be read, or a turn that is needed was forgotten in the meantime.
    """
    head = store.head(user_id, conversation_id)
    if head is None:
        return
    whole = head.tip is None

    def turns() -> Iterator[StoredTurn]:
        nonlocal whole
        for turn in store.turns(user_id, conversation_id):
            whole = whole or turn.interaction.id == head.tip
            yield turn

    yield from native_lines(head.model_copy(update={"fork": None}), turns())
    if not whole:
        raise StorageError(
            f"Turns of the conversation {conversation_id[:100]!r} were forgotten while it was written; export once more"
        )


def export_file(
    store: ConversationStore, path: str | Path, user_id: str | None, *, mode: ProgressMode | None = None
) -> int:
    """Write all conversations of a user into a file, whole or not at all.

    Args:
        store: Where they rest.
        path: The file.
        user_id: Whose.
        mode: How progress is shown; ``None`` means as the current settings say.

    Returns:
        How many were written.

    Raises:
        StorageError: The file cannot be written, or as ``exported_lines``.
    """
    written = 0
    with (
        log_operation(_log, "export_conversations") as operation,
        track("Exporting", unit="conversations", mode=mode) as progress,
        atomic_writer(path) as file,
    ):
        for conversation_id in conversation_ids(store, user_id):
            empty = True
            for line in exported_lines(store, user_id, conversation_id):
                file.write(f"{line}\n")
                empty = False
            written += not empty
            progress.advance()
        operation.add(conversations=written)
    return written


def import_file(
    store: ConversationStore, path: str | Path, user_id: str | None, *, mode: ProgressMode | None = None
) -> int:
    """Read a file of conversations into a store, and complete those that are there.

    Args:
        store: Where they go.
        path: The file.
        user_id: Whose they become.
        mode: How progress is shown; ``None`` means as the current settings say.

    Returns:
        How many were read.

    Raises:
        StorageError: The file cannot be read.
        InvalidArgumentError: A line is wrong or missing; names it. Those before it are stored.
    """
    read = 0
    with (
        log_operation(_log, "import_conversations") as operation,
        track("Importing", unit="conversations", mode=mode) as progress,
    ):
        for _ in _imported(store, path, user_id):
            read += 1
            progress.advance()
        operation.add(conversations=read)
    return read


def _imported(store: ConversationStore, path: str | Path, user_id: str | None) -> Iterator[str]:
    """Store what a file holds, and yield the id of each conversation once all of it is stored."""
    intake: Intake | None = None
    number = 0
    for number, data in read_jsonl(path):
        try:
            line = read_native_line(data)
            if line.head is None:
                intake = _continued(line, intake)
            else:  # all turns are its own
                head = line.head.model_copy(update={"user_id": user_id, "fork": None})
                intake = _begun(store, head, line, intake)
            if not line.goes_on:
                intake.finish()
        except InvalidArgumentError as error:
            raise InvalidArgumentError(f"{path}, line {number}: {error}") from None
        if not line.goes_on:
            yield intake.head.id
            intake = None
    if intake is not None:
        raise InvalidArgumentError(
            f"{path}, line {number}: the file ends here, but {_unfinished(intake)}; "
            "what there is of it is stored; import the whole file to complete it"
        )


def _begun(store: ConversationStore, head: ConversationHead, line: NativeLine, former: Intake | None) -> Intake:
    if former is not None:
        raise InvalidArgumentError(f"another conversation begins here, but {_unfinished(former)}; a line is missing")
    return Intake(store, head, line.turns, goes_on=line.goes_on)


def _continued(line: NativeLine, former: Intake | None) -> Intake:
    if former is None or former.head.id != line.conversation_id:
        raise InvalidArgumentError(
            f"further turns of the conversation {line.conversation_id[:100]!r}, but the line before is not of it"
        )
    if former.turns != line.after:
        raise InvalidArgumentError(
            f"turns from number {line.after + 1} on, but {_unfinished(former)}; a line is missing, or stands twice"
        )
    former.add(line.turns)
    return former


def _unfinished(intake: Intake) -> str:
    return f"the conversation {intake.head.id[:100]!r} goes on after its turn {intake.turns}"
