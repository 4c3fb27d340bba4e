"""No secret is ever printed: one canary, and a search of everything that comes out."""

from __future__ import annotations

import io
import json
import logging
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from ragtime.cli import main
from ragtime.config.sections import LLMSettings
from ragtime.config.settings import Settings, get_settings, override_settings, reload_settings
from ragtime.errors import ConfigurationError, RagtimeError
from ragtime.monitoring.logging import configure_logging, get_logger
from ragtime.records import Document

CANARY = "canary-7f3a9c"


def _everything_told(settings: Settings) -> str:
    explained = [f"{explanation} {explanation!r}" for explanation in settings.explain_all()]
    dumps = [
        settings.model_dump(),
        settings.model_dump_json(),
        json.dumps(settings.model_dump(mode="json")),
        settings.llm,
    ]
    return " ".join(map(repr, [settings, str(settings), vars(settings), settings.__repr_args__(), explained, dumps]))


@pytest.mark.parametrize("source", ["argument", "environment", "section", "dotenv", "file", "override"])
def test_no_output_of_the_settings_holds_the_secret(
    source: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    values: dict[str, object] = {}
    if source == "argument":
        values = {"llm__api_key": CANARY, "embedding": {"api_key": CANARY}}
    elif source == "environment":
        monkeypatch.setenv("RAGTIME_LLM__API_KEY", CANARY)
    elif source == "section":
        monkeypatch.setenv("RAGTIME_LLM", json.dumps({"api_key": CANARY}))
    elif source == "dotenv":
        (tmp_path / "my.env").write_text(f"RAGTIME_LLM__API_KEY={CANARY}\n")
        monkeypatch.setenv("RAGTIME_ENV_FILE", "my.env")
    elif source == "file":
        (tmp_path / "ragtime.toml").write_text(f'[llm]\napi_key = "{CANARY}"\n')
    settings = Settings(**values)
    if source == "override":
        with override_settings(llm__api_key=CANARY) as settings:
            pass
    assert settings.llm.api_key is not None
    assert settings.llm.api_key.get_secret_value() == CANARY
    assert CANARY not in _everything_told(settings)
    assert CANARY not in _everything_told(settings.replace(seed=1))
    assert CANARY not in repr(settings.__pydantic_private__)


def _wrong_type() -> None:
    Settings.isolated(llm={"api_key": [CANARY]}, seed="x")


def _credentials_in_address() -> None:
    Settings.isolated(llm__base_url=f"http://user:{CANARY}@host/v1")


def _broken_address() -> None:
    Settings.isolated(llm__base_url=f"http://user:{CANARY}@[host")


def _misspelt_key() -> None:
    Settings.isolated(llm={"api_kee": CANARY})


def _secret_beside_a_wrong_value() -> None:
    Settings.isolated(llm={"api_key": CANARY, "max_tokens": "many"})


def _section_alone() -> None:
    LLMSettings(api_key=[CANARY], max_tokens="many")  # type: ignore[arg-type]


def _broken_json_variable() -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("RAGTIME_LLM", f'{{"api_key": "{CANARY}"')
        Settings()


def _section_as_list() -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("RAGTIME_LLM", f'["{CANARY}"]')
        Settings()


def _broken_file() -> None:
    Path("ragtime.toml").write_text(f'[llm]\napi_key = "{CANARY}\nseed = 3\n')
    Settings()


def _assigned() -> None:
    Settings.isolated().llm.api_key = CANARY  # type: ignore[misc, assignment]


def _assigned_section() -> None:
    Settings.isolated().llm = CANARY  # type: ignore[misc, assignment]


def _assigned_in_a_record() -> None:
    Document(id="a", text="b").text = CANARY  # type: ignore[misc]


def _validated() -> None:
    Settings.model_validate({"llm": {"api_key": CANARY}, "seed": "x"})


def _key_in_the_wrong_field() -> None:
    Settings.isolated(llm__max_tokens=f"sk-{CANARY}", llm__base_url=CANARY, embedding__device=f"token-{CANARY}")


@pytest.mark.parametrize(
    "fail",
    [
        _assigned,
        _assigned_section,
        _assigned_in_a_record,
        _validated,
        _key_in_the_wrong_field,
        _wrong_type,
        _credentials_in_address,
        _broken_address,
        _misspelt_key,
        _secret_beside_a_wrong_value,
        _section_alone,
        _broken_json_variable,
        _section_as_list,
        _broken_file,
    ],
)
def test_no_error_holds_the_secret(fail: Callable[[], None]) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - some are pydantic's
        fail()
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + str(caught.value)
    own_lines = [line for line in shown.splitlines() if "CANARY" not in line]  # a traceback quotes this file
    assert CANARY not in "\n".join(own_lines)
    if isinstance(caught.value, RagtimeError):
        chain: BaseException | None = caught.value
        while chain is not None:
            assert CANARY not in repr(vars(chain))
            chain = chain.__cause__ or chain.__context__


@pytest.mark.parametrize("value", ["12345678", '["canary-7f3a9c"]'])
def test_a_beaten_secret_of_any_type_is_hidden(value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ragtime.toml").write_text(f"[llm]\napi_key = {value}\n")
    monkeypatch.setenv("RAGTIME_LLM__API_KEY", "good")
    told = _everything_told(Settings())
    assert "12345678" not in told
    assert CANARY not in told


@pytest.mark.parametrize("fail", [_broken_json_variable, _broken_file])
def test_no_frame_of_our_readers_holds_the_secret(fail: Callable[[], None]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        fail()
    frames = [
        frame for frame, _ in traceback.walk_tb(caught.value.__traceback__) if "sources.py" in frame.f_code.co_filename
    ]
    own = [
        repr(value) for frame in frames for name, value in frame.f_locals.items() if name not in {"variables", "model"}
    ]
    assert frames
    assert CANARY not in "".join(own)


def test_no_log_and_no_command_holds_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGTIME_LLM__API_KEY", CANARY)
    monkeypatch.setenv("RAGTIME_LLM__API_KEYS", CANARY)  # unknown: warned about
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        configure_logging(format="console", level="DEBUG")
        reload_settings()
        for style in ("console", "json"):
            configure_logging(format=style, level="DEBUG")  # type: ignore[arg-type]
            get_logger("app").info(
                "settings", extra={"settings": get_settings(), "llm": get_settings().llm, "api_key": CANARY}
            )
            logging.getLogger("foreign").error("failed", extra={"password": CANARY})
        for command in (
            ["-vv", "settings"],
            ["settings", "--json"],
            ["settings", "llm.api_key"],
            ["doctor"],
            ["settings", "x", "--json"],
        ):
            with pytest.raises(SystemExit):
                main(command)
    assert "llm.api_key = **********" in out.getvalue()
    assert "RAGTIME_LLM__API_KEYS" in err.getvalue()
    assert CANARY not in out.getvalue() + err.getvalue()


def test_a_wrong_secret_is_told_without_its_value() -> None:
    with pytest.raises(ConfigurationError, match=r"llm\.api_key \(argument\): Input should be a valid string$"):
        Settings.isolated(llm__api_key=12345)
