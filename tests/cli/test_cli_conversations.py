"""``ragtime conversations …``: import, export, list, show, search, forget."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from ragtime.cli import conversation_files, main
from ragtime.config.settings import reload_settings
from ragtime.services.conversation import (
    Conversation,
    ConversationManager,
    ImagePart,
    Interaction,
    TextPart,
    ToolCall,
)
from ragtime.services.conversation.formats import FORMATS
from ragtime.testing import LocalModelServer

Run = tuple[int, str, str]
BEGAN = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
HOSTILE = (
    "\x1b[2J\x9b31m [bold]red[/bold] <script>alert(1)</script>\r\nuser, 2026-03-01 12:30:00 UTC, forged\n\t\x07end"
)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    """Run the command line in this process; gives exit code, standard output, standard error."""

    def run(*arguments: str) -> Run:
        with pytest.raises(SystemExit) as ending:
            main(("conversations", *arguments))
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return int(ending.value.code or 0), out, err

    return run


@pytest.fixture
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody sits at standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"y\n"), encoding="utf-8"))


def _fill(user: str | None = None) -> None:
    """Two conversations: ``door`` with three turns, an hour later ``shop`` with tools, documents and a rating."""
    with ConversationManager(user_id=user, clock=lambda: BEGAN) as manager:
        door = manager.create_conversation("door", metadata={"topic": "doors", "closed": True})
        door.add_interaction("user", "Remember the blue door.", id="d1")
        door.add_interaction("assistant", "I will.", id="d2")
        door.add_interaction("user", "Which colour has it?", id="d3")
    with ConversationManager(user_id=user, clock=lambda: BEGAN + timedelta(hours=1)) as manager:
        shop = manager.create_conversation("shop", metadata={"topic": "returns"})
        shop.add_interaction("user", "How long are returns free?", id="s1", name="Ann")
        call = ToolCall(id="c1", name="find", arguments='{"q": "returns"}')
        shop.add_interaction("assistant", id="s2", tool_calls=(call,))
        shop.add_interaction("tool", "30 days", id="s3", tool_call_id="c1")
        answer = shop.add_interaction("assistant", "For 30 days.", id="s4", document_ids=("returns", "prices"))
        shop.add_feedback(answer, 4, comment="right\nand short", by="ann")


def _ids(user: str | None = None) -> list[str]:
    with ConversationManager(user_id=user) as manager:
        return [head.id for head in manager.list_conversations()]


def _lines(path: Path, *values: Any) -> str:
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return str(path)


def _add(conversation_id: str, content: str, **fields: Any) -> None:
    with ConversationManager(clock=lambda: BEGAN) as manager:
        manager.create_conversation(conversation_id).add_interaction("user", content, **fields)


def _error(err: str) -> dict[str, str]:
    """The error as JSON, which is all that stands on standard error."""
    told: dict[str, str] = json.loads(err)["error"]
    return told


def _on_terminal(*arguments: str, typed: bytes = b"") -> tuple[int, str]:
    """Run as a process on a terminal of 40 columns; gives exit code and what the terminal got."""
    reader, writer = pty.openpty()
    environment = {**os.environ, "COLUMNS": "40", "TERM": "xterm", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "ragtime", "conversations", *arguments]
    process = subprocess.Popen(command, stdin=writer, stdout=writer, stderr=writer, env=environment)
    os.close(writer)
    os.write(reader, typed)
    shown = b""
    while True:
        try:
            block = os.read(reader, 65536)
        except OSError:  # the other end is closed: all has been read
            break
        if not block:
            break
        shown += block
    os.close(reader)
    return process.wait(), shown.decode()


# --- import and export ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["native", *FORMATS])
def test_what_is_exported_is_imported(run, tmp_path: Path, form: str) -> None:
    _fill()
    assert run("export", "all.jsonl", "--format", form) == (0, "2 conversations written\n", "")
    assert len((tmp_path / "all.jsonl").read_text().splitlines()) == 2
    assert run("import", "all.jsonl", "--format", form, "--user", "ann") == (0, "2 conversations read\n", "")
    with ConversationManager() as mine, ConversationManager(user_id="ann") as hers:
        told = [
            {turn.content for turn in manager.get_conversation(head.id)}
            for manager in (mine, hers)
            for head in sorted(manager.list_conversations(), key=lambda head: head.created_at)
        ]
    assert sorted(map(sorted, told[:2])) == sorted(map(sorted, told[2:]))


def test_native_keeps_everything(run, tmp_path: Path) -> None:
    _fill()
    with ConversationManager() as manager:
        shop = manager.get_conversation("shop")
        shop.edit("s1", "And how long for shoes?")
        shop.fork("s1", conversation_id="fork")
        manager.export_conversations("library.jsonl")
    run("export", "all.jsonl")
    assert (tmp_path / "all.jsonl").read_bytes() == (tmp_path / "library.jsonl").read_bytes()
    run("forget", "--everything", "--yes")
    assert _ids() == []
    run("import", "all.jsonl")
    run("export", "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "all.jsonl").read_bytes()


def test_a_long_conversation_is_several_lines(run, tmp_path: Path) -> None:
    with ConversationManager(clock=lambda: BEGAN) as manager:
        long = manager.create_conversation("long")
        turns = [Interaction(role="user", content=f"Turn {number}", created_at=BEGAN) for number in range(1200)]
        long.add_interactions(turns)
        manager.export_conversations("library.jsonl")
    for arguments in ((), ("--conversation", "long")):
        assert run("export", "all.jsonl", *arguments) == (0, "1 conversations written\n", "")
        assert (tmp_path / "all.jsonl").read_bytes() == (tmp_path / "library.jsonl").read_bytes()
    lines = (tmp_path / "all.jsonl").read_text().splitlines(keepends=True)
    assert len(lines) == 3
    (tmp_path / "torn.jsonl").write_text("".join(lines[:2]))
    code, out, err = run("import", "torn.jsonl", "--user", "ann", "--json")
    assert (code, out) == (2, "")
    assert "line 2: the file ends here" in _error(err)["message"]
    assert "ragtime.unfinished_import" in run("list", "--user", "ann")[1]
    assert run("import", "all.jsonl", "--user", "ann") == (0, "1 conversations read\n", "")
    run("export", "again.jsonl", "--user", "ann", "--format", "openai")
    run("export", "first.jsonl", "--format", "openai")
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "first.jsonl").read_bytes()


def test_importing_twice_doubles_nothing(run) -> None:
    _fill()
    run("export", "all.jsonl")
    assert run("import", "all.jsonl")[:2] == (0, "2 conversations read\n")
    assert sorted(_ids()) == ["door", "shop"]


def test_dicts_of_the_old_modules(run, tmp_path: Path) -> None:
    old = {"history": [{"query": "How long?", "response": "30 days.", "timestamp": 1700000000.0}]}
    assert run("import", _lines(tmp_path / "old.jsonl", old))[:2] == (0, "1 conversations read\n")
    (found,) = _ids()
    assert "    30 days.\n" in run("show", found)[1]


def test_counts_as_json(run) -> None:
    _fill()
    told = json.loads(run("export", "all.jsonl", "--json")[1])
    assert told == {"exported": 2, "format": "native", "file": "all.jsonl"}
    told = json.loads(run("import", "all.jsonl", "--user", "ann", "--json")[1])
    assert told == {"imported": 2, "format": "native", "user_id": "ann"}
    assert run("export", "none.jsonl", "--user", "bob")[1] == "0 conversations written\n"


def test_export_of_one_conversation(run) -> None:
    _fill()
    code, out, err = run("export", "-", "--conversation", "door", "--format", "openai")
    assert (code, err) == (0, "")
    assert json.loads(out) == [
        {"role": "user", "content": "Remember the blue door."},
        {"role": "assistant", "content": "I will."},
        {"role": "user", "content": "Which colour has it?"},
    ]


def test_a_line_of_foreign_formats_may_be_a_list_or_a_row(run, tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "Hello"}]
    file = _lines(tmp_path / "f.jsonl", messages, {"messages": messages})
    (tmp_path / "f.jsonl").write_text("\ufeff" + (tmp_path / "f.jsonl").read_text() + "\n")
    assert run("import", file, "--format", "openai")[:2] == (0, "2 conversations read\n")


def test_standard_output_is_the_file_and_pipes_into_import(run, tmp_path: Path) -> None:
    _fill()
    _add("umlaut", "Tür ✓")
    run("export", "all.jsonl")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}  # what is written is UTF-8 all the same
    command = [sys.executable, "-m", "ragtime", "conversations"]
    done = subprocess.run([*command, "export", "-"], capture_output=True, check=True, env=environment)
    assert done.stdout == (tmp_path / "all.jsonl").read_bytes()
    taken = subprocess.run(
        [*command, "import", "-", "--user", "ann"], input=done.stdout, capture_output=True, check=True
    )
    assert taken.stdout == b"3 conversations read\n"
    assert sorted(_ids("ann")) == ["door", "shop", "umlaut"]


@pytest.mark.parametrize(
    ("form", "line", "code", "message"),
    [
        ("native", "canary", 1, "line 2: not JSON"),
        ("native", "[]", 1, "line 2: expected an object, found list"),
        ("native", '{"canary": 1}', 2, "line 2: Not a conversation"),
        (
            "native",
            '{"messages": []}',
            2,
            "line 2: Not a conversation: its format is not 'ragtime.conversation'; messages",
        ),
        ("native", '{"format": "ragtime.conversation", "version": 99}', 2, "line 2: The conversation has version 99"),
        ("native", '{"format": "ragtime.conversation", "version": 1}', 2, "line 2: the conversation: id: "),
        ("openai", '{"conversations": "canary"}', 2, "line 2: messages is a list, found nothing"),
        ("native", '{"history": [{"query": "canary"}]}', 2, "line 2: record 1: needs query and response"),
        ("openai", "canary", 1, "line 2: not JSON"),
        ("openai", '[{"canary": NaN}]', 1, "line 2: not JSON"),
        ("openai", "[" * 100_000, 1, "line 2: not JSON"),
        ("openai", '"canary"', 2, "line 2: messages is a list, found str"),
        ("openai", '[{"role": "user", "content": "a"}, 5]', 2, "line 2: message 2: a message is an object, found int"),
        ("anthropic", '{"messages": [{"role": "bot", "content": "canary"}]}', 2, "line 2: message 1: role"),
        ("sharegpt", '{"conversations": [{"from": "bot", "value": "canary"}]}', 2, "line 2: entry 1: unknown speaker"),
        ("hf", '{"messages": [{"role": "user", "content": " "}]}', 2, "line 2: message 1: "),
    ],
)
def test_a_bad_line_is_named_and_not_quoted(run, tmp_path: Path, form: str, line: str, code: int, message: str) -> None:
    good = {
        "native": {"history": [{"query": "a", "response": "b"}]},
        "sharegpt": {"conversations": [{"from": "human", "value": "a"}]},
    }.get(form, {"messages": [{"role": "user", "content": "a"}]})
    (tmp_path / "f.jsonl").write_text(f"{json.dumps(good)}\n{line}\n")
    found, out, err = run("import", "f.jsonl", "--format", form)
    assert (found, out) == (code, "")
    assert f"f.jsonl, {message}" in err
    assert "canary" not in err
    assert len(_ids()) == 1, "the lines before it are kept"
    found, out, err = run("import", "f.jsonl", "--format", form, "--json")
    assert (found, out) == (code, "")
    assert message in _error(err)["message"]


def test_bytes_that_are_no_text_are_told_in_words(run, tmp_path: Path) -> None:
    (tmp_path / "f.jsonl").write_bytes(b'[{"role": "user", "content": "canary\xff"}]\n')
    for form in ("native", "openai"):
        code, out, err = run("import", "f.jsonl", "--format", form)
        assert (code, out) == (1, "")
        assert "f.jsonl, line 1: not" in err
        assert "canary" not in err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("import", "nowhere.jsonl"), 1, "Cannot read 'nowhere.jsonl': No such file or directory"),
        (("import", "nowhere.jsonl", "--format", "hf"), 1, "Cannot read 'nowhere.jsonl': No such file or directory"),
        (("import", ".", "--format", "hf"), 1, "Cannot read '.': Is a directory"),
        (("import", "nowhere.jsonl", "--format", "xml"), 2, "'xml' is not one of"),
        (("import",), 2, "Missing argument"),
        (("export", "."), 1, "it is no regular file, but a folder or a device"),
        (("export", "x.jsonl", "--conversation", "dor"), 1, "did you mean 'door'?"),
        (("export", "-", "--user", ""), 2, "an id is UTF-8 in one line"),
        (("list", "--user", " ann"), 2, "an id is UTF-8 in one line"),
        (("list", "--user", "\udcff"), 2, "an id is UTF-8 in one line"),
        (("list", "--limit", "-1"), 2, "limit must not be negative"),
        (("list", "--where", "topic"), 2, "--where takes KEY=VALUE or KEY:=JSON"),
        (("list", "--where", ":=1"), 2, "--where takes KEY=VALUE or KEY:=JSON"),
        (("list", "--where", "topic:=doors"), 2, "--where topic:=… is no JSON"),
        (("list", "--where", "topic:=" + "[" * 100_000), 2, "--where topic:=… is no JSON"),
        (("show", "dor"), 1, "There is no conversation 'dor' of this user; did you mean 'door'?"),
        (("show", "door", "--user", "ann"), 1, "There is no conversation 'door' of this user"),
        (("show", "\udcff"), 2, "lone surrogates"),
        (("search", " ", "--mode", "lexical"), 2, "a question that is not blank"),
        (("search", "door", "--mode", "lexical", "-k", "0"), 2, "k of at least 1"),
        (("search", "door", "--mode", "magic"), 2, "'magic' is not one of"),
        (("forget", "--conversation", "dor", "--yes"), 1, "The user has no conversation of this id"),
        (("forget", "--conversation", "door", "--turn", "d9", "--yes"), 2, "has no turn of this id"),
        (("forget", "--yes"), 2, "Name what to forget: either --conversation ID, or --everything"),
        (("forget", "--turn", "d1", "--yes"), 2, "Name what to forget"),
        (("forget", "--user", "ann", "--yes"), 2, "Name what to forget"),
        (("forget", "--conversation", "door", "--everything", "--yes"), 2, "Name what to forget"),
        (("forget", "--turn", "d1", "--everything", "--yes"), 2, "--turn is one of a conversation"),
    ],
)
def test_mistakes_are_told_in_words(run, arguments: tuple[str, ...], code: int, message: str) -> None:
    _fill()
    found, out, err = run(*arguments)
    assert (found, out) == (code, "")
    assert message in " ".join(err.split())
    found, out, err = run(*arguments, "--json")
    assert (found, out) == (code, "")
    assert message in _error(err)["message"]
    assert sorted(_ids()) == ["door", "shop"]


def test_a_failed_export_leaves_the_old_file(run, tmp_path: Path) -> None:
    _fill()
    with ConversationManager() as manager:
        parts = (TextPart(text="Look"), ImagePart(url="https://example.org/a.png"))
        manager.create_conversation("image").add_interaction("user", parts=parts)
    (tmp_path / "all.jsonl").write_text("old")
    code, out, err = run("export", "all.jsonl", "--format", "sharegpt")
    assert (code, out) == (2, "")
    assert "Conversation 'image': ShareGPT has no turns of several parts" in err
    assert (tmp_path / "all.jsonl").read_text() == "old"
    assert "image: https://example.org/a.png" in run("show", "image")[1]


def test_a_store_that_is_no_database_is_told_in_words(run, tmp_path: Path) -> None:
    (tmp_path / ".ragtime").mkdir()
    (tmp_path / ".ragtime" / "conversations.sqlite").write_bytes(b"no database" * 1000)
    code, out, err = run("list")
    assert (code, out) == (1, "")
    assert "conversations.sqlite" in err


# --- list -----------------------------------------------------------------------------------------------------------


def test_list_tells_the_newest_first(run) -> None:
    _fill()
    code, out, err = run("list")
    assert (code, err) == (0, "")
    assert [line.split("\t") for line in out.splitlines()] == [
        ["id", "began", "metadata"],
        ["shop", "2026-03-01 13:30:00 UTC", '{"topic": "returns"}'],
        ["door", "2026-03-01 12:30:00 UTC", '{"topic": "doors", "closed": true}'],
    ]
    assert [line.split("\t")[0] for line in run("list", "--limit", "1")[1].splitlines()] == ["id", "shop"]
    assert run("list", "--user", "ann")[:2] == (0, "id\tbegan\tmetadata\n")


def test_list_as_json(run) -> None:
    _fill("ann")
    told = json.loads(run("list", "--user", "ann", "--json")[1])
    assert [one["id"] for one in told] == ["shop", "door"]
    assert (told[1]["user_id"], told[1]["metadata"]) == ("ann", {"topic": "doors", "closed": True})
    assert json.loads(run("list", "--json")[1]) == []


@pytest.mark.parametrize(
    ("where", "found"),
    [
        (("topic=doors",), ["door"]),
        (("closed:=true",), ["door"]),
        (("closed=true",), []),
        (("topic=doors", "closed:=false"), []),
        (("topic:=null",), []),
        (('topic:="returns"',), ["shop"]),
        (("topic=",), []),
    ],
)
def test_list_by_metadata(run, where: tuple[str, ...], found: list[str]) -> None:
    _fill()
    arguments = [argument for one in where for argument in ("--where", one)]
    assert [one["id"] for one in json.loads(run("list", "--json", *arguments)[1])] == found


# --- show -----------------------------------------------------------------------------------------------------------


def test_show_tells_all_of_each_turn(run) -> None:
    _fill()
    expected = (
        "user (Ann), 2026-03-01 13:30:00 UTC, s1\n"
        "    How long are returns free?\n"
        "assistant, 2026-03-01 13:30:00 UTC, s2\n"
        '  calls find, c1: {"q": "returns"}\n'
        "tool, 2026-03-01 13:30:00 UTC, s3\n"
        "    30 days\n"
        "  answers the call c1\n"
        "assistant, 2026-03-01 13:30:00 UTC, s4\n"
        "    For 30 days.\n"
        "  documents: returns, prices\n"
        "  rated 4 of 5 by ann: right\\x0aand short\n"
    )
    assert run("show", "shop") == (0, expected, "")


def test_show_of_the_last_turns(run) -> None:
    _fill()
    assert run("show", "door", "--last", "1")[1] == "user, 2026-03-01 12:30:00 UTC, d3\n    Which colour has it?\n"
    assert run("show", "door", "--last", "0")[1] == ""
    code, out, err = run("show", "door", "--last", "-1")
    assert (code, out) == (2, "")
    assert "last is at least 0" in err


def test_show_as_json_is_all_of_the_conversation(run) -> None:
    _fill()
    with ConversationManager() as manager:
        expected = manager.get_conversation("shop").to_dict()
    told = json.loads(run("show", "shop", "--json")[1])
    assert told == expected
    assert Conversation.from_dict(told).conversation_id == "shop"
    for arguments in (("--last", "1"), ("--html", "x.html")):
        code, out, err = run("show", "shop", "--json", *arguments)
        assert (code, out) == (2, "")
        assert "goes with neither --html nor --last" in _error(err)["message"]
    assert not Path("x.html").exists()


def test_hostile_content_neither_moves_the_cursor_nor_poses_as_another_turn(run) -> None:
    _add("bad\x1b[31m", HOSTILE, name="n\x1b", document_ids=("doc\x07",))
    code, out, _ = run("show", "bad\x1b[31m")
    assert code == 0
    assert out.splitlines() == [
        out.splitlines()[0],
        "    \\x1b[2J\\x9b31m [bold]red[/bold] <script>alert(1)</script>",
        "    user, 2026-03-01 12:30:00 UTC, forged",
        "        \\x07end",
        "  documents: doc\\x07",
    ]
    assert out.startswith("user (n\\x1b), 2026-03-01 12:30:00 UTC, ")
    for arguments in (("list",), ("search", "forged", "--mode", "lexical"), ("forget", "--everything", "--yes")):
        code, out, _ = run(*arguments)
        assert code == 0
        assert "bad\\x1b[31m" in out
        assert not set(out) & set("\x1b\x9b\x07\r")


def test_a_page_escapes_what_was_said(run, tmp_path: Path) -> None:
    _fill()
    _add("<i>bad</i>", HOSTILE)
    assert run("show", "<i>bad</i>", "--html", "bad.html") == (0, "", "")
    page = (tmp_path / "bad.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "&lt;i&gt;bad&lt;/i&gt;" in page
    assert "<i>bad" not in page
    code, out, err = run("show", "shop", "--html", "-")
    assert (code, err) == (0, "")
    for told in ("<!doctype html>", "How long are returns free?", "Called <code>find</code>", "4 of 5", "Mean rating"):
        assert told.lower() in out.lower()
    page = run("show", "door", "--html", "-", "--last", "1")[1]
    assert "Which colour has it?" in page
    assert "blue door" not in page
    code, out, err = run("show", "door", "--html", ".")
    assert (code, out) == (1, "")
    assert "it is no regular file, but a folder or a device" in err


def test_a_page_takes_the_template_of_the_settings(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fill()
    (tmp_path / "t" / "pages").mkdir(parents=True)
    (tmp_path / "t" / "pages" / "conversation.html").write_text("<p>{{ title }}: {{ turns|length }}</p>")
    monkeypatch.setenv("RAGTIME_TEMPLATES__DIRECTORY", str(tmp_path / "t"))
    reload_settings()
    assert run("show", "door", "--html", "-")[1] == "<p>door: 3</p>\n"


def test_very_long_content(run) -> None:
    _add("long", "word " * 400_000)
    assert len(run("show", "long")[1]) > 2_000_000
    assert len(run("search", "word", "--mode", "lexical")[1]) < 1000
    assert len(run("show", "long", "--html", "-")[1]) > 2_000_000
    assert run("export", "all.jsonl")[0] == 0
    assert run("import", "all.jsonl", "--user", "ann")[0] == 0


def test_a_terminal_gets_wrapped_text() -> None:
    _add("t", HOSTILE + " and then many more words that go on until the line is full")
    code, shown = _on_terminal("show", "t")
    assert code == 0
    lines = [line.replace("\x1b[1m", "").replace("\x1b[0m", "").rstrip() for line in shown.splitlines()]
    assert max(map(len, lines)) <= 40
    assert lines[-1].startswith("    ")
    assert "[bold]red[/bold]" in shown
    assert "\\x1b[2J\\x9b31m" in shown
    assert "\x1b[2J" not in shown
    assert "\x9b" not in shown
    assert "\x07" not in shown


# --- search ---------------------------------------------------------------------------------------------------------


def test_search_by_words(run) -> None:
    _fill()
    code, out, err = run("search", "blue doors", "--mode", "lexical")
    assert (code, err) == (0, "")
    header, row = [line.split("\t") for line in out.splitlines()]
    assert header == ["score", "conversation", "turn", "role", "time", "text"]
    assert row[1:] == ["door", "d1", "user", "2026-03-01 12:30:00 UTC", "Remember the blue door."]
    assert 0 < float(row[0]) <= 1
    assert run("search", "blue", "--mode", "lexical", "--user", "ann")[1].count("\n") == 1


def test_search_as_json(run) -> None:
    _fill("ann")
    told = json.loads(run("search", "returns days", "--mode", "lexical", "-k", "2", "--user", "ann", "--json")[1])
    assert len(told) == 2
    assert {one["conversation_id"] for one in told} == {"shop"}
    assert told[0]["score"] >= told[1]["score"] > 0
    assert told[0]["turn"]["content"]
    assert json.loads(run("search", "elephant", "--mode", "lexical", "--json")[1]) == []


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch):
    """A server that embeds by what is sent back and what is not."""

    def embed(text: str) -> list[float]:
        return [1.0, 0.0] if "return" in text or "goods" in text else [0.0, 1.0]

    with LocalModelServer(embed=embed) as server:
        monkeypatch.setenv("RAGTIME_EMBEDDING__PROVIDER", "openai")
        monkeypatch.setenv("RAGTIME_EMBEDDING__MODEL_NAME", "test-model")
        monkeypatch.setenv("RAGTIME_EMBEDDING__BASE_URL", server.base_url)
        monkeypatch.setenv("RAGTIME_EMBEDDING__MAX_RETRIES", "0")
        reload_settings()
        yield server


@pytest.mark.usefixtures("model")
def test_search_by_meaning(run) -> None:
    _fill()
    for arguments in (("--mode", "semantic"), ("--mode", "hybrid"), ()):
        (row,) = run("search", "sending goods away", "-k", "1", *arguments)[1].splitlines()[1:]
        assert row.split("\t")[1:3] == ["shop", "s1"]
    told = json.loads(run("forget", "--conversation", "shop", "--yes", "--json")[1])
    assert told["cached_vectors"] > 0


def test_a_model_that_fails_is_told_in_words(run, model: LocalModelServer) -> None:
    _fill()
    model.add_faults("close", "close", "close")
    code, out, err = run("search", "door", "--mode", "semantic", "--json")
    assert (code, out) == (1, "")
    assert _error(err)["type"] == "BackendError"
    assert run("search", "door", "--mode", "lexical")[0] == 0


# --- forget ---------------------------------------------------------------------------------------------------------


def test_forgetting_a_turn_a_conversation_and_everything(run) -> None:
    _fill()
    _fill("ann")
    code, out, err = run("forget", "--conversation", "door", "--turn", "d1", "--yes")
    assert (code, err) == (0, "")
    assert "1 turns of 1 conversations, 0 cached vectors\n  door\n" in out
    assert "blue door" not in run("show", "door")[1]
    told = json.loads(run("forget", "--conversation", "shop", "--yes", "--json")[1])
    assert (told["user_id"], told["conversation_ids"], told["turns"]) == (None, ["shop"], 4)
    assert datetime.fromisoformat(told["at"]).tzinfo is not None
    assert _ids() == ["door"]
    told = json.loads(run("forget", "--everything", "--yes", "--user", "ann", "--json")[1])
    assert (told["user_id"], told["conversation_ids"], told["turns"]) == ("ann", ["door", "shop"], 7)
    assert (_ids(), _ids("ann")) == (["door"], [])
    assert "0 turns of 0 conversations" in run("forget", "--everything", "--yes", "--user", "ann")[1]


@pytest.mark.usefixtures("no_terminal")
def test_without_a_terminal_nothing_is_forgotten_unasked(run) -> None:
    _fill()
    for arguments in ((), ("--json",)):
        code, out, err = run("forget", "--everything", *arguments)
        assert (code, out) == (2, "")
        assert "say --yes" in err
    assert len(_ids()) == 2


def test_on_a_terminal_forgetting_asks() -> None:
    _fill("ann")
    code, shown = _on_terminal("forget", "--conversation", "door", "--turn", "d1", "--user", "ann", typed=b"n\n")
    assert code == 1
    assert "Forget turn 'd1' of conversation 'door' of user 'ann' for good? [y/N]" in shown
    assert "Forgotten" not in shown
    assert len(_ids("ann")) == 2
    code, shown = _on_terminal("forget", "--everything", typed=b"\x04")  # the end of the input
    assert code == 130
    assert "Forget all conversations without a user for good?" in shown
    code, shown = _on_terminal("forget", "--everything", "--user", "ann", typed=b"y\n")
    assert code == 0
    assert "7 turns of 2 conversations" in shown
    assert _ids("ann") == []


# --- all together ---------------------------------------------------------------------------------------------------


def test_commands_without_a_model_load_none() -> None:
    _fill()
    code = """
import sys
from ragtime.cli import main
assert "ragtime.services" not in sys.modules
heavy = {"torch", "transformers", "sentence_transformers", "pandas", "scipy"}
for line in (["list"], ["show", "door"], ["show", "door", "--html", "-"], ["export", "all.jsonl"],
             ["import", "all.jsonl"], ["search", "door", "--mode", "lexical"], ["forget", "--everything", "--yes"]):
    try:
        main(["conversations", *line])
    except SystemExit as ending:
        assert ending.code == 0, line
    assert not heavy & set(sys.modules), line
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_names_of_formats_are_those_of_the_library() -> None:
    assert set(get_args(conversation_files.FileFormat)) == {"native", *FORMATS}


def test_output_that_cannot_be_written_is_told_in_words() -> None:
    _fill()
    for arguments in (("export", "-"), ("show", "door"), ("show", "door", "--html", "-")):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [sys.executable, "-m", "ragtime", "conversations", *arguments],
                stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            )  # fmt: skip
        assert done.returncode == 1
        assert done.stderr.endswith("cannot write the result: No space left on device\n")
        assert "Traceback" not in done.stderr


def test_help_shows_examples(run) -> None:
    for command in ("import", "export", "list", "show", "search", "forget"):
        code, out, _ = run(command, "--help")
        assert code == 0
        assert "Example" in out
    assert "forget" in "".join(run()[1:])
