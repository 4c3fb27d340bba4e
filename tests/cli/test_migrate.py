"""``ragtime migrate``: what it prints, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ragtime.cli import main

Run = tuple[int, str, str]
OLD = "from conversation import Conversation\n\nmemory = Conversation()\nprint(memory.history)\n"
HALF = "from conversation_compat import Conversation\n\nmemory = Conversation()\nprint(memory.history)\n"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    """Run the command line in this process; gives exit code, standard output, standard error."""

    def run(*arguments: str) -> Run:
        with pytest.raises(SystemExit) as ending:
            main(("migrate", *arguments))
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return int(ending.value.code or 0), out, err

    return run


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "app" / "program.py"
    path.parent.mkdir()
    path.write_text(OLD)
    return path


@pytest.mark.parametrize("mode", [(), ("--check",)])
def test_check_tells_what_is_to_be_done_and_writes_nothing(run, program: Path, mode: tuple[str, ...]) -> None:
    code, out, err = run(*mode, "app")
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        "would change: app/program.py",
        "Files checked: 1, to change: 1, left alone: 0; places to look at: 0",
    ]
    assert program.read_text() == OLD


def test_diff_shows_the_changes_and_the_places(run, program: Path) -> None:
    code, out, err = run("--to", "ragtime", "--diff", "app")
    assert (code, err) == (1, "")
    assert out.startswith("--- app/program.py\n+++ app/program.py\n@@ -1,4 +1,4 @@\n-from conversation import")
    lines = out.splitlines()
    assert lines[-3].startswith("app/program.py:1:26: conversation.Conversation: It stays with conversation_compat")
    assert lines[-2].startswith("app/program.py:4:14: conversation.Conversation.history: `get_interactions()`")
    assert lines[-1] == "Files checked: 1, to change: 1, left alone: 0; places to look at: 2"
    assert program.read_text() == OLD


def test_write_writes_and_is_done(run, program: Path) -> None:
    code, out, err = run("--write", "app")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "changed: app/program.py"
    assert program.read_text() == HALF
    assert run("--check", "app")[:2] == (0, "Files checked: 1, to change: 0, left alone: 0; places to look at: 0\n")


def test_places_that_are_left_do_not_make_writing_a_failure(run, program: Path) -> None:
    code, out, _ = run("--to", "ragtime", "--write", "app")
    assert (code, program.read_text()) == (0, HALF)
    assert "places to look at: 2" in out
    assert run("--to", "ragtime", "--check", "app")[0] == 1


def test_a_file_that_is_left_alone_ends_with_2(run, program: Path) -> None:
    bad = program.with_name("bad.py")
    bad.write_text("from conversation import (\n")
    for mode in ("--check", "--diff", "--write"):
        code, out, _ = run(mode, "app")
        assert code == 2
        assert "app/bad.py:1: cannot be parsed: " in out
    assert program.read_text() == HALF
    assert bad.read_text() == "from conversation import (\n"


def test_json(run, program: Path) -> None:
    code, out, _ = run("--to", "ragtime", "--json", "app")
    told = json.loads(out)
    assert code == 1
    assert (told["to"], told["written"], told["checked"]) == ("ragtime", False, 1)
    assert told["changed"] == ["app/program.py"]
    assert "diffs" not in told
    assert told["problems"] == []
    first, second = told["findings"]
    assert {**second, "message": ""} == {
        "path": "app/program.py",
        "cell": None,
        "line": 4,
        "column": 14,
        "kind": "use",
        "old": "conversation.Conversation.history",
        "message": "",
    }
    assert first["kind"] == "import"
    _, out, _ = run("--json", "--diff", "app")
    assert json.loads(out)["diffs"]["app/program.py"].startswith("--- app/program.py\n")
    program.write_text("from conversation import (\n")
    code, out, _ = run("--json", "app")
    (problem,) = json.loads(out)["problems"]
    assert (code, problem["path"], problem["line"]) == (2, "app/program.py", 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "There is no file or folder 'nowhere'"),
        (("empty",), "There is no Python file or notebook"),
        (("--check", "--write", "app"), "Give one of --check, --diff and --write"),
        (("--to", "elsewhere", "app"), "elsewhere"),
        ((), "Missing argument"),
    ],
)
def test_mistakes_are_told_in_words(run, program: Path, arguments: tuple[str, ...], message: str) -> None:
    (program.parent.parent / "empty").mkdir()
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert message in " ".join(err.split())


def test_a_missing_package_ends_with_2_and_names_what_to_install(
    run, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "libcst", None)
    code, out, err = run("app")
    assert (code, out) == (2, "")
    assert "ragtime-gal[migrate]" in err
    code, out, err = run("--json", "app")
    assert (code, out) == (2, "")
    assert json.loads(err)["error"]["type"] == "MissingExtraError"
    assert program.read_text() == OLD


def test_names_of_files_do_not_move_the_cursor(run, tmp_path: Path) -> None:
    (tmp_path / "a\x1b[2J.py").write_text("import conversation_compat, conversation\nconversation.Conversation()\n")
    _, out, _ = run(".")
    assert "\x1b" not in out
    assert "a\\x1b[2J.py" in out


def test_help_shows_examples_and_exit_codes(run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert "ragtime migrate --to ragtime --diff app/" in out
    assert "Exit code 0" in out


def test_the_command_of_the_warnings_is_one_that_works(run, program: Path) -> None:
    from ragtime.migration.deprecation import CODEMOD

    command = CODEMOD.replace("PATH", str(program)).split()
    assert command[:2] == ["ragtime", "migrate"]
    assert run(*command[2:])[0] == 1


def test_as_a_process_and_without_loading_the_parser_for_other_commands(program: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAGTIME_")}
    command = [sys.executable, "-W", "error", "-m", "ragtime", "migrate", "--write", "app"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert program.read_text() == HALF
    code = "import sys, ragtime.cli.main; print('libcst' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
