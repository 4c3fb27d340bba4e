"""``ragtime prompts …``: list, show, render, check."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ragtime.cli import main
from ragtime.config.settings import reload_settings
from ragtime.utils.templates import RULES, PromptManager

Run = tuple[int, str, str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    """Run the command line in this process; gives exit code, standard output, standard error."""

    def run(*arguments: str) -> Run:
        with pytest.raises(SystemExit) as ending:
            main(("prompts", *arguments))
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return int(ending.value.code or 0), out, err

    return run


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch):
    """Give bytes on standard input, read as UTF-8."""

    def give(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))

    return give


def _write(path: Path, **fields: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"name": path.name.partition(".")[0], **fields}))
    return path


# --- list -----------------------------------------------------------------------------------------------------------


def test_list_tells_every_prompt_of_every_layer(run, tmp_path: Path) -> None:
    _write(tmp_path / "mine" / "greeting.json", template="x", description="My own")
    code, out, err = run("list", "--path", str(tmp_path / "mine"))
    assert (code, err) == (0, "")
    header, *rows = [line.split("\t") for line in out.splitlines()]
    assert header == ["name", "version", "locale", "variants", "category", "layer", "description"]
    assert len(rows) == len(PromptManager().list_prompts()) + 1
    mine, packaged = [row for row in rows if row[0] == "greeting"]
    assert mine == ["greeting", "1", "", "", "general", "explicit", "My own"]
    assert packaged[5] == "packaged"


def test_list_as_json_and_by_category(run) -> None:
    code, out, _ = run("list", "--json", "--category", "answer")
    assert code == 0
    (answer,) = json.loads(out)
    assert (answer["name"], answer["variants"], answer["layer"], answer["locale"]) == (
        "answer",
        ["creative"],
        "packaged",
        "en",
    )
    assert Path(answer["file"]).name == "answer.json"
    assert run("list", "--category", "nothing")[:2] == (
        0,
        "name\tversion\tlocale\tvariants\tcategory\tlayer\tdescription\n",
    )
    assert json.loads(run("list", "--json", "--category", "nothing")[1]) == []


def test_list_takes_the_folder_of_the_settings(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path / "t" / "prompts" / "mine.json", template="x")
    monkeypatch.setenv("RAGTIME_TEMPLATES__DIRECTORY", str(tmp_path / "t"))
    reload_settings()
    assert "mine\t1\t\t\tgeneral\tuser" in run("list")[1]


# --- show -----------------------------------------------------------------------------------------------------------


def test_show_tells_where_from_what_it_takes_and_its_text(run) -> None:
    code, out, err = run("show", "greeting")
    assert (code, err) == (0, "")
    assert out.startswith("greeting, version 1, locale en (packaged: ")
    assert "  {name}: string, required. Who is greeted.\n" in out
    assert out.endswith("\n--- template\nHello {name}! What would you like to know?\n")


def test_show_of_a_variant_and_of_optional_variables(run) -> None:
    _, out, _ = run("show", "answer", "--variant", "creative")
    assert "variant creative" in out.splitlines()[0]
    assert "  {history}: messages, optional, default None. Earlier messages" in out
    assert "--- messages[0]\nYou explore a question" in out
    assert "--- messages[2]\n" in out


def test_show_as_json(run) -> None:
    code, out, _ = run("show", "answer", "--variant", "creative", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["source"] == PromptManager().get("answer", variant="creative").source.to_dict()
    assert (told["layer"], told["fallback"]) == ("packaged", None)
    assert told["variables"]["question"]["required"]
    assert told["definition"]["name"] == "answer"
    assert told["steps"][-1].startswith("taken: version 1")


def test_show_tells_a_fall_back_and_the_log_names_the_prompt(run) -> None:
    code, out, err = run("show", "greeting", "--locale", "fr")
    assert code == 0
    assert "fallback: there is none in fr; en is taken" in out
    assert "Another prompt is taken than was asked for" in err
    assert "greeting" in err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("greting",), 1, "There is no prompt 'greting'; did you mean 'greeting'?"),
        (("greeting", "--version", "9"), 1, "There is no prompt 'greeting' in version 9"),
        (("answer", "--variant", "creativ"), 1, "has no variant 'creativ'; did you mean 'creative'?"),
        (("greeting", "--locale", "not a locale"), 2, "a locale looks like en"),
        (("greeting", "--path", "nowhere"), 2, "There is no folder or file of prompts 'nowhere'"),
        ((), 2, "Missing argument"),
        (("greeting", "--bogus"), 2, "No such option"),
    ],
)
@pytest.mark.parametrize("command", ["show", "render"])
def test_mistakes_are_told_in_words(run, command: str, arguments: tuple[str, ...], code: int, message: str) -> None:
    found, out, err = run(command, *arguments)
    assert (found, out) == (code, "")
    assert message in " ".join(err.split())
    found, out, err = run(command, *arguments, "--json")
    assert (found, out) == (code, "")
    assert message in json.loads(err)["error"]["message"]


# --- render ---------------------------------------------------------------------------------------------------------


def test_render_with_variables_of_the_command_line(run) -> None:
    assert run("render", "greeting", "--var", "name=Ann = {name}") == (
        0,
        "Hello Ann = {name}! What would you like to know?\n",
        "",
    )


def test_render_as_json(run) -> None:
    code, out, _ = run("render", "judge", "--var", "query=q", "--var", "passage=p", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["source"]["name"] == "judge"
    assert told["messages"] == PromptManager().get_messages("judge", query="q", passage="p")


def test_render_with_numbers_lists_and_objects(run, tmp_path: Path) -> None:
    _write(tmp_path / "p.json", template="{{ n + 1 }} {{ xs|join('-') }} {{ o.a }} {{ t }}")
    arguments = ("--var", "n:=41", "--var", 'xs:=["a", 1]', "--var", 'o:={"a": null}', "--var", "t=41")
    assert run("render", "p", "--path", str(tmp_path), *arguments)[:2] == (0, "42 a-1  41\n")


def test_render_with_a_file_of_variables(run, stdin, tmp_path: Path) -> None:
    (tmp_path / "v.json").write_text('{"name": "File"}')
    assert run("render", "greeting", "--vars", "v.json")[1].startswith("Hello File!")
    assert run("render", "greeting", "--vars", "v.json", "--var", "name=Line")[1].startswith("Hello Line!")
    stdin(b'\xef\xbb\xbf{"name": "\xc3\x84"}')
    assert run("render", "greeting", "--vars", "-")[1].startswith("Hello Ä!")


def test_render_with_a_variable_from_standard_input(run, stdin) -> None:
    stdin("The library\nopens at nine. ä\n".encode())
    code, out, _ = run("render", "query-generation", "--var", "passage=-", "--var", "count:=3")
    assert code == 0
    assert "<passage>\nThe library\nopens at nine. ä\n\n</passage>" in out


def test_render_of_a_version_locale_and_variant(run, tmp_path: Path) -> None:
    _write(tmp_path / "p.json", template="1")
    _write(tmp_path / "p.2.json", template="2", version="2", locale="de", variants={"v": {"template": "2v"}})
    path = ("--path", str(tmp_path))
    assert run("render", "p", *path)[1] == "1\n"
    assert run("render", "p", *path, "--version", "2", "--locale", "de")[1] == "2\n"
    assert run("render", "p", *path, "--locale", "de-AT", "--variant", "v")[1] == "2v\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 1, "name (line 1): is missing: expected a text"),
        (("--var", "name:=5.5.5"), 2, "--var name:=… is no JSON"),
        (("--var", "name:=[1, canary]"), 2, "--var name:=… is no JSON"),
        (("--var", 'name:=["canary"]'), 1, "expected a text, found list"),
        (("--var", "nme=canary", "--var", "name=canary"), 1, "nme: is no variable of this prompt"),
        (("--var", "word"), 2, "--var takes NAME=VALUE or NAME:=JSON"),
        (("--var", "a b=canary"), 2, "--var takes NAME=VALUE"),
        (("--var", "=canary"), 2, "--var takes NAME=VALUE"),
        (("--vars", "nowhere.json"), 2, "Cannot read 'nowhere.json': No such file or directory"),
        (("--vars", "."), 2, "Cannot read '.': Is a directory"),
        (("--vars", "list.json"), 2, "expected an object, found list"),
        (("--vars", "half.json"), 2, "not JSON, at column"),
        (("--vars", "twice.json"), 2, "holds the key 'name' twice"),
        (("--vars", "bytes.json"), 2, "not UTF-8"),
    ],
)
def test_wrong_variables_are_told_without_their_values(
    run, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    (tmp_path / "list.json").write_text('["canary"]')
    (tmp_path / "half.json").write_text('{"name": "canary"')
    (tmp_path / "twice.json").write_text('{"name": "canary", "name": "canary"}')
    (tmp_path / "bytes.json").write_bytes(b'{"name": "canary\xff"}')
    found, out, err = run("render", "greeting", *arguments)
    assert (found, out) == (code, "")
    assert message in " ".join(err.split())
    assert "canary" not in err


def test_json_that_is_very_deep_is_told_in_words(run) -> None:
    code, _, err = run("render", "greeting", "--var", "name:=" + "[" * 100_000)
    assert code == 2
    assert "--var name:=… is no JSON" in err


def test_standard_input_that_is_no_text_is_told_in_words(run, stdin) -> None:
    stdin(b"ab\xff")
    code, out, err = run("render", "greeting", "--var", "name=-")
    assert (code, out) == (2, "")
    assert "UTF-8" in err


def test_a_prompt_with_a_mistake_is_told_in_words(run, tmp_path: Path) -> None:
    _write(tmp_path / "p.json", template="a\n{% if %}")
    code, out, err = run("render", "p", "--path", str(tmp_path))
    assert (code, out) == (1, "")
    assert "'p', line 2" in err


# --- check ----------------------------------------------------------------------------------------------------------


def test_check_of_what_comes_with_the_package(run) -> None:
    code, out, err = run("check", "--packaged")
    assert (code, err) == (0, "")
    assert out == "12 prompts with 35 tests and 6 pages checked: 0 errors, 0 warnings\n"


def test_check_of_folders_and_files(run, tmp_path: Path) -> None:
    good = _write(tmp_path / "prompts" / "good.json", template="{x}", tests=[{"variables": {"x": "1"}, "equals": "1"}])
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "a.html").write_text("<p>{{ x }}</p>")
    for paths in ((tmp_path,), (tmp_path / "prompts", tmp_path / "pages"), (good, tmp_path / "pages" / "a.html")):
        code, out, err = run("check", *map(str, paths))
        assert (code, out, err) == (0, "1 prompts with 1 tests and 1 pages checked: 0 errors, 0 warnings\n", "")


def test_check_ends_with_1_when_there_are_errors(run, tmp_path: Path) -> None:
    file = _write(tmp_path / "p.json", template="{x}", variables={"x": {}, "y": {}})
    (tmp_path / "a.html").write_text("\n<input value={{ x }}>")
    code, out, err = run("check", str(tmp_path))
    assert code == 1
    assert f"{file}: P004 error: 'y' is declared, and used by no template" in out
    assert f"{tmp_path / 'a.html'}:2: H005 error: " in out
    assert out.endswith("1 prompts with 0 tests and 1 pages checked: 2 errors, 0 warnings\n")
    assert "finished" not in err


def test_warnings_count_only_when_strict(run, tmp_path: Path) -> None:
    _write(tmp_path / "p.json", template="x <|im_start|>")
    code, out, _ = run("check", str(tmp_path))
    assert (code, out.splitlines()[-1]) == (0, "1 prompts with 0 tests and 0 pages checked: 0 errors, 1 warnings")
    code, out, _ = run("check", str(tmp_path), "--strict")
    assert (code, out.splitlines()[-1]) == (1, "1 prompts with 0 tests and 0 pages checked: 1 errors, 0 warnings")


def test_check_as_json(run, tmp_path: Path) -> None:
    _write(tmp_path / "p.json", template="x <|im_start|>", tests=[{"excludes": ["x"]}])
    code, out, _ = run("check", str(tmp_path), "--json")
    told = json.loads(out)
    assert code == 1
    assert (told["prompts"], told["tests"], told["pages"]) == (1, 1, 0)
    assert {(finding["rule"], finding["severity"]) for finding in told["findings"]} == {
        ("P006", "warning"),
        ("P008", "error"),
    }


def test_a_broken_file_is_a_finding_and_no_failure(run, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text("{")
    code, out, _ = run("check", str(tmp_path))
    assert code == 1
    assert "P001 error: not JSON" in out


def test_the_folder_of_the_settings_is_checked(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path / "t" / "prompts" / "p.json", template="x ")
    monkeypatch.setenv("RAGTIME_TEMPLATES__DIRECTORY", str(tmp_path / "t"))
    reload_settings()
    code, out, _ = run("check", "--strict")
    assert code == 1
    assert "P009" in out


def test_findings_of_a_shared_page_are_told_once(run, tmp_path: Path) -> None:
    (tmp_path / "parent.html").write_text("<p {{ x }}>{% block b %}{% endblock %}")
    for name in "ab":
        (tmp_path / f"{name}.html").write_text("{% extends 'parent.html' %}")
    code, out, _ = run("check", str(tmp_path))
    assert code == 1
    assert out.count("H005") == 1


@pytest.mark.parametrize("arguments", [(), ("nowhere",), ("notes.txt",), ("empty",)])
def test_nothing_to_check_is_misuse(run, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """A check that has looked at nothing must not look like one that has found nothing."""
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    code, out, err = run("check", *arguments)
    assert (code, out) == (2, "")
    assert "There is no" in err or "neither a prompt (.json) nor a page (.html)" in err


def test_a_link_that_leads_out_does_not_stop_the_check(run, tmp_path: Path) -> None:
    (tmp_path / "out.html").write_text("x")
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "a.html").write_text("<p {{ x }}>")
    (tmp_path / "pages" / "link.html").symlink_to(tmp_path / "out.html")
    code, out, _ = run("check", str(tmp_path / "pages"))
    assert code == 1
    assert "H005" in out


def test_the_rules_are_listed(run) -> None:
    code, out, _ = run("check", "--rules")
    assert code == 0
    assert [line.split("\t")[0] for line in out.splitlines()] == ["rule", *RULES]
    assert json.loads(run("check", "--rules", "--json")[1]) == RULES


def test_rules_and_check_as_processes(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAGTIME_")}
    _write(tmp_path / "p.json", template="{{ x")
    command = [sys.executable, "-m", "ragtime", "prompts", "check", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1
    assert "P002 error" in done.stdout
    assert done.stderr == ""


def test_help_shows_examples(run) -> None:
    for command in ("list", "show", "render", "check"):
        code, out, _ = run(command, "--help")
        assert code == 0
        assert "Example" in out
    assert "render" in "".join(run()[1:])
