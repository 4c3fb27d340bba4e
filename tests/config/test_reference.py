"""What is generated from the settings model is complete and current."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragtime.config.reference import settings_env_example, settings_markdown, settings_schema
from ragtime.config.settings import Settings
from ragtime.config.sources import environment_name, field_names


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("docs/reference/settings.md", settings_markdown),
        ("docs/reference/settings.schema.json", settings_schema),
        (".env.example", settings_env_example),
    ],
)
def test_generated_files_are_current(root: Path, path: str, text) -> None:
    assert (root / path).read_text(encoding="utf-8").rstrip("\n") == text().rstrip("\n"), "run `make generate`"


def test_the_environment_of_the_machine_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    before = settings_markdown(), settings_schema(), settings_env_example()
    monkeypatch.setenv("RAGTIME_SEED", "777777")
    assert (settings_markdown(), settings_schema(), settings_env_example()) == before


def test_every_field_is_in_every_file() -> None:
    schema = json.loads(settings_schema())
    for name in field_names(Settings):
        assert f"`{name}`" in settings_markdown()
        assert f"# {environment_name(name)}=" in settings_env_example()
        section, _, inner = name.partition(".")
        where = schema["$defs"][schema["properties"][section]["$ref"].rpartition("/")[2]] if inner else schema
        assert (inner or section) in where["properties"]


def test_the_example_is_a_dotenv_file_that_changes_nothing(tmp_path: Path) -> None:
    lines = settings_env_example().splitlines()
    active = [line.removeprefix("# ") for line in lines if line.startswith("# RAGTIME_")]
    (tmp_path / "all.env").write_text("\n".join(active))
    assert Settings(_env_file=tmp_path / "all.env") == Settings.isolated()
