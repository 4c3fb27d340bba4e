"""``ragtime conversations …``: take conversations in and out, read them, search them, and forget them for good."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from pydantic import TypeAdapter, ValidationError

from ragtime.cli.conversation_files import FileFormat, export_to, import_from, writing
from ragtime.cli.conversation_text import excerpt, one_line, page_turn, print_turn, told_time
from ragtime.cli.output import print_json, print_line, print_table
from ragtime.errors import InvalidArgumentError
from ragtime.records.base import Identifier
from ragtime.utils.templates import HTMLTemplateManager

if TYPE_CHECKING:
    from ragtime.records.conversation import ConversationHead
    from ragtime.services.conversation import ConversationManager

__all__ = ["export_conversations", "forget", "import_conversations", "list_conversations", "search", "show"]


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


def import_conversations(
    file: Annotated[
        Path, typer.Argument(help="JSON Lines, as export writes them; - for standard input.", allow_dash=True)
    ],
    *,
    form: Annotated[
        FileFormat, typer.Option("--format", help="What a line holds; native: what export writes.")
    ] = "native",
    user: _User = None,
    as_json: _Json = False,
) -> None:
    """Read conversations from a file. A mistake names the line; the lines before it are kept.

    In the native format what is there already is completed; the others know no ids, and add each conversation anew.

    Examples:

      ragtime conversations import backup.jsonl --user ann

      ragtime conversations import chats.jsonl --format openai
    """  # noqa: D412 - typer shows this text as it is
    path = Path("/dev/stdin") if str(file) == "-" else file
    with _manager(user) as manager:
        count = import_from(manager, path, form)
    if as_json:
        print_json({"imported": count, "format": form, "user_id": user})
    else:
        print_line(f"{count} conversations read")


def export_conversations(
    file: Annotated[Path, typer.Argument(help="File to write; - for standard output.", allow_dash=True)],
    *,
    form: Annotated[
        FileFormat, typer.Option("--format", help="What a line holds; only native holds everything.")
    ] = "native",
    user: _User = None,
    conversation: Annotated[str | None, typer.Option("--conversation", metavar="ID", help="Only this one.")] = None,
    as_json: _Json = False,
) -> None:
    """Write conversations as JSON Lines, the newest first. A file is written whole or not at all.

    One is a line; a long one in the native format goes on in further lines.

    Examples:

      ragtime conversations export backup.jsonl

      ragtime conversations export - --format sharegpt --user ann
    """  # noqa: D412 - typer shows this text as it is
    with _manager(user) as manager:
        count = export_to(manager, file, form, conversation)
    if str(file) == "-":
        return
    if as_json:
        print_json({"exported": count, "format": form, "file": str(file)})
    else:
        print_line(f"{count} conversations written")


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
            print_turn(turn)
        return
    page = HTMLTemplateManager().render(
        "conversation.html", title=found.conversation_id, turns=[*map(page_turn, turns)]
    )
    with writing(html) as write:
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
        (f"{one.score:.3f}", one.conversation_id, turn.id, turn.role, told_time(turn.created_at), excerpt(turn.content))
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
    from ragtime.services.training_data_gen import remove_unfinished  # noqa: PLC0415 - other commands do without

    with _manager(user) as manager:
        receipt = manager.forget(conversation_id=conversation, turn_id=turn, everything=everything)
        unfinished = remove_unfinished(manager.settings)  # whose working files may hold what was forgotten
    if as_json:
        told = {**asdict(receipt), "at": receipt.at.isoformat(), "unfinished_training_data": unfinished._asdict()}
        print_json(told)
        return
    print_line(
        f"Forgotten at {told_time(receipt.at)}: {receipt.turns} turns of "
        f"{len(receipt.conversation_ids)} conversations, {receipt.cached_vectors} cached vectors"
    )
    for each in receipt.conversation_ids:
        print_line(f"  {one_line(each)}")
    if unfinished.removed:
        print_line(f"Removed the working files of {unfinished.removed} runs of ragtime generate that had not ended")
    if unfinished.in_use:
        print_line(f"{unfinished.in_use} runs of ragtime generate are going on: they may hold what was forgotten")


def _manager(user: str | None) -> ConversationManager:
    from ragtime.services.conversation import ConversationManager  # noqa: PLC0415 - other commands do without

    return ConversationManager(user_id=user)


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
    return head.id, told_time(head.created_at), json.dumps(head.metadata, ensure_ascii=False) if head.metadata else ""
