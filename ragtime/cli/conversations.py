"""``ragtime conversations …``: take conversations in and out, read them, search them, and forget them for good."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from ragtime.cli.output import _CONTROL, print_json, print_line, print_table
from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.records.base import Identifier
from ragtime.utils.files import atomic_writer
from ragtime.utils.progress import track
from ragtime.utils.templates import HTMLTemplateManager

if TYPE_CHECKING:
    from ragtime.records.conversation import ConversationHead, Interaction
    from ragtime.services.conversation import Conversation, ConversationManager

__all__ = ["export_conversations", "forget", "import_conversations", "list_conversations", "search", "show"]

_EXCERPT = 200  # characters of a turn in a table


def _user_id(value: str | None) -> str | None:
    if value is None:
        return None
    try:
        value.encode()
        return TypeAdapter(Identifier).validate_python(value)
    except (UnicodeEncodeError, ValidationError):
        raise typer.BadParameter("an id is UTF-8 in one line, with no white space around it") from None


_User = Annotated[
    str | None,
    typer.Option(
        "--user", metavar="ID", callback=_user_id, help="Whose conversations; those without a user when none is given."
    ),
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Format = Literal["native", "openai", "anthropic", "sharegpt", "hf"]


def import_conversations(
    file: Annotated[
        Path, typer.Argument(help="JSON Lines, one conversation a line; - for standard input.", allow_dash=True)
    ],
    *,
    form: Annotated[
        _Format, typer.Option("--format", help="What a line holds; native: what export writes.")
    ] = "native",
    user: _User = None,
    as_json: _Json = False,
) -> None:
    """Read conversations from a file. A mistake names the line; the lines before it are kept.

    Examples:

      ragtime conversations import backup.jsonl --user ann

      ragtime conversations import chats.jsonl --format openai
    """  # noqa: D412 - typer shows this text as it is
    path = Path("/dev/stdin") if str(file) == "-" else file
    with _manager(user) as manager:
        count = manager.import_conversations(path) if form == "native" else _import_messages(manager, path, form)
    if as_json:
        print_json({"imported": count, "format": form, "user_id": user})
    else:
        print_line(f"{count} conversations read")


def export_conversations(
    file: Annotated[Path, typer.Argument(help="File to write; - for standard output.", allow_dash=True)],
    *,
    form: Annotated[
        _Format, typer.Option("--format", help="What a line holds; only native holds everything.")
    ] = "native",
    user: _User = None,
    conversation: Annotated[str | None, typer.Option("--conversation", metavar="ID", help="Only this one.")] = None,
    as_json: _Json = False,
) -> None:
    """Write conversations as JSON Lines, one a line, the newest first. A file is written whole or not at all.

    Examples:

      ragtime conversations export backup.jsonl

      ragtime conversations export - --format sharegpt --user ann
    """  # noqa: D412 - typer shows this text as it is
    with _manager(user) as manager:
        ids = [conversation] if conversation is not None else [head.id for head in manager.list_conversations()]
        with _writing(file) as write, track("Exporting", total=len(ids), unit="conversations") as progress:
            for each in ids:
                write(json.dumps(_written(manager.get_conversation(each), form), ensure_ascii=False))
                progress.advance()
    if str(file) == "-":
        return
    if as_json:
        print_json({"exported": len(ids), "format": form, "file": str(file)})
    else:
        print_line(f"{len(ids)} conversations written")


def list_conversations(
    *,
    user: _User = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="KEY=VALUE", help="Only with this metadata; KEY:=JSON for numbers and so on."),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", help="Most to list; all when none is given.")] = None,
    as_json: _Json = False,
) -> None:
    """List conversations, the newest first.

    Example:

      ragtime conversations list --user ann --where topic=returns --where closed:=true --limit 20
    """  # noqa: D412 - typer shows this text as it is
    wanted = dict(_pair(text) for text in where or ())
    with _manager(user) as manager:
        heads = manager.list_conversations(where=wanted, limit=limit)
    if as_json:
        print_json([head.model_dump(mode="json") for head in heads])
    else:
        print_table(("id", "began", "metadata"), map(_row, heads), title="ragtime conversations")


def show(
    conversation: Annotated[str, typer.Argument(metavar="ID", help="The conversation.")],
    *,
    user: _User = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page; - for standard output.", allow_dash=True),
    ] = None,
    last: Annotated[int | None, typer.Option("--last", help="Only the last so many turns.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON, every branch included.")] = False,
) -> None:
    """Show the turns of a conversation, those of its active branch.

    Examples:

      ragtime conversations show 3f6c --last 10

      ragtime conversations show 3f6c --html conversation.html
    """  # noqa: D412 - typer shows this text as it is
    if as_json and (html is not None or last is not None):
        raise InvalidArgumentError("--json prints all of the conversation: it goes with neither --html nor --last")
    with _manager(user) as manager:
        found = manager.get_conversation(conversation)
    if as_json:
        print_json(found.to_dict())
        return
    turns = found.get_interactions(last=last)
    if html is None:
        for turn in turns:
            _print_turn(turn)
        return
    page = HTMLTemplateManager().render("conversation.html", title=found.conversation_id, turns=[*map(_shown, turns)])
    with _writing(html) as write:
        write(page)


def search(
    query: Annotated[str, typer.Argument(help="What is searched for.")],
    *,
    mode: Annotated[
        Literal["lexical", "semantic", "hybrid"],
        typer.Option("--mode", help="By words, by meaning, or both; only lexical needs no model."),
    ] = "hybrid",
    k: Annotated[int, typer.Option("-k", help="Most turns to find.")] = 10,
    user: _User = None,
    as_json: _Json = False,
) -> None:
    """Find turns in all conversations of a user, the best first.

    Example:

      ragtime conversations search "free returns" --mode lexical -k 5
    """  # noqa: D412 - typer shows this text as it is
    with _manager(user) as manager:
        found = manager.search(query, k=k, mode=mode)
    if as_json:
        print_json(
            [
                {
                    "conversation_id": one.conversation_id,
                    "score": one.score,
                    "turn": one.interaction.model_dump(mode="json"),
                }
                for one in found
            ]
        )
        return
    rows = [
        (f"{one.score:.3f}", one.conversation_id, turn.id, turn.role, _time(turn.created_at), _excerpt(turn.content))
        for one in found
        for turn in (one.interaction,)
    ]
    print_table(("score", "conversation", "turn", "role", "time", "text"), rows, title="ragtime conversations")


def forget(
    *,
    conversation: Annotated[str | None, typer.Option("--conversation", metavar="ID", help="A conversation.")] = None,
    turn: Annotated[str | None, typer.Option("--turn", metavar="ID", help="Only this turn of it.")] = None,
    user: _User = None,
    everything: Annotated[bool, typer.Option("--everything", help="All conversations of the user.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: _Json = False,
) -> None:
    """Remove turns for good: from the store, its text index, vectors and caches. Asks first.

    Examples:

      ragtime conversations forget --conversation 3f6c --turn 9b21

      ragtime conversations forget --user ann --everything --yes
    """  # noqa: D412 - typer shows this text as it is
    if everything == (conversation is not None):
        raise InvalidArgumentError("Name what to forget: either --conversation ID, or --everything for all of the user")
    if turn is not None and conversation is None:
        raise InvalidArgumentError("--turn is one of a conversation: name that with --conversation")
    if not yes:
        _ask(conversation, turn, user)
    with _manager(user) as manager:
        receipt = manager.forget(conversation_id=conversation, turn_id=turn, everything=everything)
    if as_json:
        print_json({**asdict(receipt), "at": receipt.at.isoformat()})
        return
    print_line(
        f"Forgotten at {_time(receipt.at)}: {receipt.turns} turns of {len(receipt.conversation_ids)} conversations, "
        f"{receipt.cached_vectors} cached vectors"
    )
    for each in receipt.conversation_ids:
        print_line(f"  {_line(each)}")


def _manager(user: str | None) -> ConversationManager:
    from ragtime.services.conversation import ConversationManager  # noqa: PLC0415 - other commands do without

    return ConversationManager(user_id=user)


# --- files ----------------------------------------------------------------------------------------------------------


def _import_messages(
    manager: ConversationManager, path: Path, form: Literal["openai", "anthropic", "sharegpt", "hf"]
) -> int:
    from ragtime.services.conversation import Conversation  # noqa: PLC0415 - as above

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


def _written(conversation: Conversation, form: _Format) -> Any:
    from ragtime.services.conversation.formats.native import to_native  # noqa: PLC0415 - as above

    if form == "native":  # all turns are its own, as in what the manager exports
        return to_native(conversation.head.model_copy(update={"fork": None}), conversation.stored_turns())
    try:
        return conversation.to_messages(form)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"Conversation {conversation.conversation_id!r}: {error}") from None


@contextmanager
def _writing(file: Path) -> Iterator[Callable[[str], object]]:
    if str(file) == "-":
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # a file's content does not depend on the terminal
        yield print_line
    else:
        with atomic_writer(file) as target:
            yield lambda text: target.write(f"{text}\n")


# --- words ----------------------------------------------------------------------------------------------------------


def _pair(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign or not name.removesuffix(":"):
        raise InvalidArgumentError(f"--where takes KEY=VALUE or KEY:=JSON, found {text[:50]!r}")
    if not name.endswith(":"):
        return name, value
    try:
        return name[:-1], json.loads(value)
    except (ValueError, RecursionError):
        raise InvalidArgumentError(f"--where {name[:50]}=… is no JSON") from None


def _ask(conversation: str | None, turn: str | None, user: str | None) -> None:
    if sys.stdin is None or not sys.stdin.isatty():
        raise InvalidArgumentError("There is nobody to ask: say --yes to forget without a question")
    whose = f"of user {user!r}" if user is not None else "without a user"
    what = f"conversation {conversation!r} {whose}" if conversation is not None else f"all conversations {whose}"
    if not typer.confirm(f"Forget {f'turn {turn!r} of ' if turn is not None else ''}{what} for good?", err=True):
        raise typer.Exit(1)


def _row(head: ConversationHead) -> Sequence[str]:
    return head.id, _time(head.created_at), json.dumps(head.metadata, ensure_ascii=False) if head.metadata else ""


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def _line(text: str) -> str:
    return text.translate(_CONTROL)


def _excerpt(content: str) -> str:
    text = " ".join(content[: 2 * _EXCERPT].split())
    return text if len(content) <= _EXCERPT else f"{text[:_EXCERPT]}…"


def _shown(turn: Interaction) -> Mapping[str, Any]:
    fields = turn.model_dump()
    return {**fields, "ratings": fields["feedback"]}  # by this name the page reckons their mean


def _print_turn(turn: Interaction) -> None:
    name = f" ({turn.name})" if turn.name is not None else ""
    _print([f"{turn.role}{name}, {_time(turn.created_at)}, {turn.id}"])
    if turn.content:  # further in than what we say about it, so that it cannot pose as that
        _print([line.expandtabs(4) for line in turn.content.replace("\r\n", "\n").split("\n")], indent=4)
    _print(list(_facts(turn)), indent=2)


def _facts(turn: Interaction) -> Iterator[str]:
    for part in turn.parts:
        if part.type == "image":
            yield f"image: {part.url}"
    for call in turn.tool_calls:
        yield f"calls {call.name}, {call.id}: {call.arguments}"
    if turn.tool_call_id is not None:
        yield f"answers the call {turn.tool_call_id}"
    if turn.document_ids:
        yield f"documents: {', '.join(turn.document_ids)}"
    for rating in turn.feedback:
        by = f" by {rating.by}" if rating.by is not None else ""
        yield f"rated {rating.stars:g} of 5{by}{f': {rating.comment}' if rating.comment else ''}"


def _print(lines: Sequence[str], *, indent: int = 0) -> None:
    """Print lines, wrapped on a terminal; nothing in them is markup or moves the cursor."""
    told = [_line(line) for line in lines]
    if sys.stdout is not None and sys.stdout.isatty():
        if told:
            text = Text("\n".join(told), style="" if indent else "bold", overflow="fold")
            Console(highlight=False).print(Padding(text, (0, 0, 0, indent), expand=False))
        return
    for line in told:
        print_line(f"{'':{indent}}{line}")
