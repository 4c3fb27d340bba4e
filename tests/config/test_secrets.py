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


@pytest.mark.parametrize(
    "fail",
    [
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
            ["demo"],
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
