"""Conversations in files: read and written line by line, so that a file may be larger than memory."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from ragtime.cli.output import print_line
from ragtime.errors import ConversationNotFoundError, InvalidArgumentError, StorageError
from ragtime.utils.files import atomic_writer
from ragtime.utils.progress import track

if TYPE_CHECKING:
    from ragtime.services.conversation import ConversationManager

__all__ = ["FileFormat", "export_to", "import_from", "writing"]

FileFormat = Literal["native", "openai", "anthropic", "sharegpt", "hf"]
"""What a line holds: all of a conversation, or its active branch in a format of others."""


def import_from(manager: ConversationManager, path: Path, form: FileFormat) -> int:
    """Read a file into the store of a manager.

    Args:
        manager: The manager.
        path: The file.
        form: What a line holds.

    Returns:
        How many conversations were read.

    Raises:
        StorageError: The file cannot be read, or a line is no JSON.
        InvalidArgumentError: A line is no conversation; names it. Those before it are stored.
    """
    from ragtime.services.conversation import Conversation  # noqa: PLC0415 - other commands do without

    if form == "native":
        return manager.import_conversations(path)
    read = 0
    with track("Importing", unit="conversations") as progress:
        for number, data in _json_lines(path):
            try:
                made = Conversation.from_messages(data, form, user_id=manager.user_id, settings=manager.settings)
                manager.save_conversation(made)
            except InvalidArgumentError as error:
                raise InvalidArgumentError(f"{path}, line {number}: {error}") from None
            read += 1
            progress.advance()
    return read


def _json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield number and value of each line; unlike those of ``read_jsonl``, a value may be a list."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, _json_value(line, f"{path}, line {number}")
    except OSError as error:
        raise StorageError(f"Cannot read {str(path)!r}: {error.strerror or error}") from None


def _json_value(line: bytes, where: str) -> Any:
    try:
        return json.loads(line.decode("utf-8-sig"), parse_constant=_refuse)
    except (ValueError, RecursionError):  # its text would quote the line
        pass
    raise StorageError(f"{where}: not JSON")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def export_to(manager: ConversationManager, file: Path, form: FileFormat, conversation_id: str | None) -> int:
    """Write conversations of a manager as lines, the newest first, holding one line at a time.

    Args:
        manager: The manager.
        file: The file; ``-`` is standard output.
        form: What a line holds.
        conversation_id: The only one to write; ``None`` means all.

    Returns:
        How many conversations were written.

    Raises:
        ConversationNotFoundError: There is no such conversation.
        StorageError: The file cannot be written.
        InvalidArgumentError: The format cannot express a turn.
    """
    from ragtime.services.conversation.keeping import not_found  # noqa: PLC0415 - as above
    from ragtime.services.conversation.transfer import conversation_ids  # noqa: PLC0415

    store, user_id = manager.store, manager.user_id
    if conversation_id is not None and store.head(user_id, conversation_id) is None:
        raise not_found(store, user_id, conversation_id)
    ids = conversation_ids(store, user_id) if conversation_id is None else [conversation_id]
    written = 0
    with writing(file) as write, track("Exporting", unit="conversations") as progress:
        for each in ids:
            empty = True
            for line in _lines(manager, each, form):
                write(line)
                empty = False
            written += not empty  # one that was forgotten meanwhile has no line
            progress.advance()
    return written


def _lines(manager: ConversationManager, conversation_id: str, form: FileFormat) -> Iterator[str]:
    from ragtime.services.conversation.transfer import exported_lines  # noqa: PLC0415 - as above

    if form == "native":
        yield from exported_lines(manager.store, manager.user_id, conversation_id)
        return
    try:
        messages = manager.get_conversation(conversation_id).to_messages(form)
    except ConversationNotFoundError:
        return
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"Conversation {conversation_id!r}: {error}") from None
    yield json.dumps(messages, ensure_ascii=False)


@contextmanager
def writing(file: Path) -> Iterator[Callable[[str], object]]:
    """Open a file for lines; it is written whole or not at all.

    Args:
        file: The file; ``-`` is standard output.

    Yields:
        What writes a line.

    Raises:
        StorageError: The file cannot be written.
    """
    if str(file) == "-":
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # a file's content does not depend on the terminal
        yield print_line
    else:
        with atomic_writer(file) as target:
            yield lambda text: target.write(f"{text}\n")
