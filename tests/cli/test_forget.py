"""``ragtime forget``: on the command line a user is forgotten, and what was made of their turns is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from ragtime.cli.forget import forget
from ragtime.config.settings import Settings, override_settings
from ragtime.errors import InvalidArgumentError
from ragtime.services.conversation import ConversationManager
from tests.services.learning.shop_world import RATINGS, fill_store, isolated, make_dataset

Run = Callable[..., str]


@pytest.fixture
def shop(tmp_path: Path) -> Settings:
    """A shop where ann and bob have talked and cleo has rated, with a data set of each."""
    chosen = isolated(tmp_path / "data")
    fill_store(chosen)
    return chosen


@pytest.fixture
def run(shop: Settings, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process; gives what it prints."""
    app = typer.Typer(rich_markup_mode=None)
    app.command()(forget)

    def run(*arguments: str) -> str:
        capsys.readouterr()
        with override_settings(shop):
            typer.main.get_command(app)(args=list(arguments), standalone_mode=False)
        return capsys.readouterr().out

    return run


def turns_of(settings: Settings, user: str) -> int:
    with ConversationManager(settings, user_id=user) as manager:
        return manager.statistics().turns


def test_a_plan_names_it_all_and_changes_nothing(run: Run, shop: Settings) -> None:
    made = make_dataset(shop, "conversation_based", ["ann", "bob"])
    told = run("--user", "ann", "--plan").splitlines()
    assert told[0] == "In the store: 6 turns of 1 conversations"
    assert f"{made.id}\t3\t6\t{made.folder}" in told
    steps = told[told.index("To do, in this order:") + 1 :]
    assert [line.split(":")[0].split()[1] for line in steps] == ["forget", "generate", "delete"]
    assert turns_of(shop, "ann") == 6


def test_without_a_plan_the_turns_are_gone_and_the_rest_is_named(run: Run, shop: Settings) -> None:
    made = make_dataset(shop, "conversation_based", ["ann", "bob"])
    told = run("--user", "ann").splitlines()
    assert "6 turns of 1 conversations" in told[0]
    assert told[1] == "  ann-1"
    assert told[2] == "Removed the working files of 0 runs that make training data and had not ended"
    assert f"{made.id}\t3\t6\t{made.folder}" in told
    steps = told[told.index("Left to do, in this order:") + 1 :]
    assert [line.split(":")[0].split()[1] for line in steps] == ["generate", "delete"]
    assert (turns_of(shop, "ann"), turns_of(shop, "bob")) == (0, 6)
    assert run("--user", "ann").splitlines()[0] == "The store held nothing of it any more"


def test_as_json(run: Run, shop: Settings) -> None:
    made = make_dataset(shop, "query_based", feedback=RATINGS)
    plan = json.loads(run("--user", "cleo", "--plan", "--json"))
    assert [one["id"] for one in plan["datasets"]] == [made.id]
    told = json.loads(run("--user", "ann", "--conversation", "ann-1", "--json"))
    assert told["forgotten"]["turns"] == 6
    assert told["unfinished_training_data"] == {"removed": 0, "in_use": 0}
    assert told["left_to_do"] == []
    assert json.loads(run("--user", "cleo", "--json"))["forgotten"] is None


def test_a_mistake_is_an_error_in_words_and_forgets_nothing(run: Run, shop: Settings) -> None:
    for arguments in (["--user", "anne"], ["--user", "anne", "--plan"]):
        with pytest.raises(InvalidArgumentError, match=r"Nothing of user 'anne' was found; did you mean 'ann'\?"):
            run(*arguments)
    with pytest.raises(InvalidArgumentError, match="--user"):
        run()
    with pytest.raises(InvalidArgumentError, match="--conversation"):
        run("--user", "ann", "--turn", "t")
    with pytest.raises(InvalidArgumentError, match="user_id is no id"):
        run("--user", " ann", "--plan")
    with pytest.raises(InvalidArgumentError, match="in conversation 'ann-7' was found"):
        run("--user", "ann", "--conversation", "ann-7")
    assert turns_of(shop, "ann") == 6


def test_the_help_has_examples() -> None:
    assert forget.__doc__ is not None
    assert "ragtime forget --user ann --plan" in forget.__doc__
