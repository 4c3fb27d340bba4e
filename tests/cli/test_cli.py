"""The command line: results on standard output, mistakes in a few words, exit codes."""

from __future__ import annotations

import json
import logging
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import ragtime
from ragtime.cli import main
from ragtime.config.settings import Settings
from ragtime.config.sources import field_names

Run = tuple[int, str, str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    """Run the command line in this process; gives exit code, standard output, standard error."""

    def run(*arguments: str) -> Run:
        with pytest.raises(SystemExit) as ending:
            main(arguments)
        out, err = capsys.readouterr()
        return int(ending.value.code or 0), out, err

    return run


def test_settings_lists_every_field_with_its_source(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGTIME_SEED", "7")
    from ragtime.config.settings import reload_settings

    reload_settings()
    code, out, err = run("settings")
    assert (code, err) == (0, "")
    header, *rows = [line.split("\t") for line in out.splitlines()]
    assert header == ["setting", "value", "source"]
    assert [row[0] for row in rows] == list(field_names(Settings))
    assert ["seed", "7", "environment variable RAGTIME_SEED"] in rows


def test_settings_as_json(run) -> None:
    code, out, _ = run("settings", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["seed"] == {"value": 42, "kind": "default", "source": "default"}
    assert told["llm.api_key"]["value"] is None


def test_one_setting(run) -> None:
    assert run("settings", "seed") == (0, "seed = 42 (default)\n", "")
    assert json.loads(run("settings", "seed", "--json")[1])["value"] == 42


@pytest.mark.parametrize("kind", ["env", "markdown", "schema"])
def test_generated_files_are_printed(run, kind: str) -> None:
    code, out, _ = run("settings", "--generate", kind)
    assert code == 0
    assert "batch_size" in out.lower()


def test_a_users_mistake_is_told_without_a_traceback(run) -> None:
    code, out, err = run("settings", "embedding.modelname")
    assert (code, out) == (2, "")
    assert (
        err
        == "ragtime: There is no field 'embedding.modelname' in the settings; did you mean 'embedding.model_name'?\n"
    )


def test_a_users_mistake_as_json(run) -> None:
    code, out, err = run("settings", "nope", "--json")
    assert (code, out) == (2, "")
    assert json.loads(err)["error"]["type"] == "InvalidArgumentError"


@pytest.mark.parametrize("arguments", [("setings",), ("settings", "--bogus"), ("--log-format", "xml", "demo")])
def test_misuse_of_the_command_line(run, arguments: tuple[str, ...]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "Error" in err
    assert "Traceback" not in err


def test_wrong_settings_are_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "ragtime.toml").write_text("seed = 'x'\n")
    done = subprocess.run([sys.executable, "-m", "ragtime", "settings"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("ragtime: Wrong setting: seed (")
    assert "Traceback" not in done.stderr


def test_the_end_of_a_command_is_logged_when_asked(run) -> None:
    assert run("settings", "seed")[2] == ""
    _, _, err = run("-v", "settings", "seed")
    assert "ragtime settings finished" in err
    _, _, err = run("--log-format", "json", "-vv", "settings", "seed")
    events = [json.loads(line) for line in err.splitlines()]
    assert [event["event"] for event in events] == ["ragtime settings started", "ragtime settings finished"]
    _, _, err = run("--log-format", "json", "settings", "nope")
    assert json.loads(err.splitlines()[0])["error"] == "InvalidArgumentError"


def test_the_level_of_the_settings_counts_unless_options_say_otherwise(run, tmp_path: Path) -> None:
    from ragtime.config.settings import reload_settings

    (tmp_path / "ragtime.toml").write_text("[logging]\nlevel = 'INFO'\n")
    reload_settings()
    assert "finished" in run("settings", "seed")[2]
    assert run("-q", "settings", "seed")[2] == ""


def test_an_exit_code_of_a_command_is_no_failure(run, caplog: pytest.LogCaptureFixture) -> None:
    import typer

    from ragtime.cli.main import _register, app

    def ends_with_three() -> None:
        raise typer.Exit(3)

    _register(ends_with_three)
    try:
        code, _, _ = run("-v", "ends-with-three")
    finally:
        app.registered_commands.pop()
    assert code == 3
    (end,) = [record for record in caplog.records if record.levelno >= logging.INFO]
    assert (end.getMessage(), vars(end)["exit_code"]) == ("ragtime ends-with-three finished", 3)


def test_version_and_help(run) -> None:
    assert run("--version")[1].startswith(f"ragtime {ragtime.__version__}, Python 3.")
    code, out, _ = run("--help")
    assert code == 0
    assert "--install-completion" in out
    assert "Example" in run("settings", "--help")[1]


def test_wrong_settings_do_not_block_help_and_generated_files(tmp_path: Path) -> None:
    (tmp_path / "ragtime.toml").write_text("seed = 'x'\n")
    told = subprocess.run(
        [sys.executable, "-m", "ragtime", "settings", "--help"], capture_output=True, text=True, check=True
    )
    assert "Example" in told.stdout
    made = subprocess.run(
        [sys.executable, "-m", "ragtime", "settings", "--generate", "env"], capture_output=True, text=True, check=True
    )
    assert "RAGTIME_SEED" in made.stdout


def test_misuse_as_json(run) -> None:
    code, out, err = run("settings", "--bogus", "--json")
    assert (code, out) == (2, "")
    assert "--bogus" in json.loads(err)["error"]["message"]
    code, _, err = run("settings", "seed", "--generate", "env")
    assert code == 2
    assert "goes with no name" in err


def test_one_setting_as_json_tells_what_it_beat(run, monkeypatch: pytest.MonkeyPatch) -> None:
    from ragtime.config.settings import reload_settings

    monkeypatch.setenv("RAGTIME_SEED", "7")
    reload_settings()
    told = json.loads(run("settings", "seed", "--json")[1])
    assert told["name"] == "seed"
    assert told["beaten"] == [{"value": 42, "source": "default"}]


def test_a_key_in_a_field_that_is_not_meant_for_it_is_redacted(run, monkeypatch: pytest.MonkeyPatch) -> None:
    from ragtime.config.settings import reload_settings

    monkeypatch.setenv("RAGTIME_CONPORT__COMMAND", "server --api-key sk-12345678")
    reload_settings()
    for arguments in (("settings",), ("settings", "--json"), ("settings", "conport.command")):
        assert "sk-12345678" not in run(*arguments)[1]


def test_output_that_cannot_be_written_is_told_in_words() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ragtime", "settings"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr.endswith("cannot write the result: No space left on device\n")
    assert "Traceback" not in done.stderr


def test_a_terminal_that_cannot_show_a_letter_gets_it_escaped() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "RAGTIME_LLM__MODEL_NAME": "modèle"}
    command = [sys.executable, "-m", "ragtime", "settings", "llm.model_name"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "mod\\xe8le" in done.stdout


@pytest.mark.models
def test_doctor(run) -> None:
    code, out, _ = run("doctor")
    assert code == 0
    assert "embedding model\tok\tall-MiniLM-L6-v2: bundle" in out
    assert {finding["topic"] for finding in json.loads(run("doctor", "--json")[1])} >= {
        "ragtime",
        "device",
        "data folder",
    }


@pytest.mark.models
def test_doctor_ends_with_1_when_something_will_fail(run, monkeypatch: pytest.MonkeyPatch) -> None:
    from ragtime.config.settings import reload_settings

    monkeypatch.setenv("RAGTIME_EMBEDDING__MODEL_NAME", "./nowhere")
    reload_settings()
    code, out, _ = run("doctor")
    assert code == 1
    assert "embedding model\tproblem\tThere is no model folder" in out


def test_python_m_ragtime_prints_the_settings() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ragtime", "settings", "--json"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["seed"]["value"] == 42
    assert done.stderr == ""


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    command = [sys.executable, "-m", "ragtime", "settings", "--generate", "schema"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    told = process.stderr.read()
    process.stderr.close()
    assert process.wait() != 0
    assert "Traceback" not in told


def test_a_terminal_gets_a_table() -> None:
    reader, writer = pty.openpty()
    environment = {**os.environ, "COLUMNS": "100", "TERM": "xterm", "NO_COLOR": "1"}
    process = subprocess.Popen([sys.executable, "-m", "ragtime", "settings"], stdout=writer, env=environment)
    os.close(writer)
    shown = b""
    while True:
        try:
            block = os.read(reader, 4096)
        except OSError:  # the other end is closed: all has been read
            break
        if not block:
            break
        shown += block
    os.close(reader)
    assert process.wait() == 0
    assert "Settings of ragtime" in shown.decode()
    assert "│ embedding.model_name" in shown.decode()
