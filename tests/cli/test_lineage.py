"""``ragtime lineage``: the way back from a model on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from ragtime.cli.lineage import lineage
from ragtime.config.settings import override_settings
from ragtime.errors import InvalidArgumentError
from ragtime.storage.registry import ModelNotFoundError
from tests.services.learning.shop_world import ASKED, ShopWorld, build_world

pytestmark = pytest.mark.models

Run = Callable[..., str]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> ShopWorld:
    return build_world(tmp_path_factory.mktemp("shop") / "data")


@pytest.fixture
def run(world: ShopWorld, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process; gives what it prints."""
    app = typer.Typer(rich_markup_mode=None)
    app.command()(lineage)

    def run(*arguments: str) -> str:
        capsys.readouterr()
        with override_settings(world.settings):
            typer.main.get_command(app)(args=list(arguments), standalone_mode=False)
        return capsys.readouterr().out

    return run


def rows(out: str) -> list[list[str]]:
    return [line.split("\t") for line in out.splitlines()]


def test_the_way_back_in_words(run: Run, world: ShopWorld) -> None:
    told = rows(run(world.second.reference))
    models = [f"support@{world.second.short}", "candidate", f"registry:support@{world.first.short}", world.pages.id]
    assert models in told
    assert ["It began with all-MiniLM-L6-v2"] in told
    assert [world.talks.id, "6", "0", "6 conversation_based", str(world.talks.folder)] in told
    assert ["users", "2", "ann, bob"] in told
    assert any(row[0] == "documents" and row[2].endswith(" more") for row in told)
    assert not any("Missing" in row[0] for row in told)


def test_turns_and_examples(run: Run) -> None:
    told = rows(run("support", "--turns"))
    assert ["user", "conversation", "turn", "examples", "as context"] in told
    turns = [row for row in told if row[0] == "ann" and row[1] == "ann-1"]
    assert len(turns) == 6
    found = rows(run("support", "--document", "returns"))
    assert [row[3] for row in found if row[2:3] == ["conversation_based"]] == [ASKED["ann"][0][0]]
    first = next(row[2] for row in turns if row[3:] == ["1", "2"])
    assert len([row for row in rows(run("support", "--turn", first)) if row[2:3] == ["conversation_based"]]) == 3


def test_as_json(run: Run, world: ShopWorld) -> None:
    told = json.loads(run("support", "--turns", "--document", "returns", "--json"))
    assert told["model"]["reference"] == world.first.reference
    assert told["datasets"][0]["ids"]["users"] == ["ann", "bob"]
    assert {turn["user_id"] for turn in told["turns"]} == {"ann", "bob"}
    assert [one["lineage"]["document_ids"] for one in told["examples"]] == [["returns"]]
    assert {"turns", "examples"}.isdisjoint(json.loads(run("support", "--json")))


def test_a_mistake_is_an_error_in_words(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="did you mean 'support'"):
        run("supprt")
    with pytest.raises(InvalidArgumentError, match="is not there"):
        run("./nowhere")
    with pytest.raises(ModelNotFoundError, match="is empty"):
        run("support", "--registry", str(tmp_path / "registry"))


def test_the_help_has_examples() -> None:
    assert lineage.__doc__ is not None
    assert "ragtime lineage support" in lineage.__doc__
