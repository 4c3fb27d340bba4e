"""What interrupted runs leave: it goes when it is told to, and by itself when it is old."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from ragtime.config.settings import Settings
from ragtime.errors import InvalidArgumentError
from ragtime.services.conversation import ConversationManager
from ragtime.services.training_data_gen import TrainingDataGenerator, remove_unfinished
from tests.services.training_data_gen.toy_strategy import toy_documents

DAYS = timedelta(days=1).total_seconds()


class StopError(Exception):
    """Ends a run as Ctrl-C would."""


def isolated(tmp_path: Path) -> Settings:
    return Settings.isolated(data_dir=tmp_path, logging__progress="off")


def interrupted(generator: TrainingDataGenerator, strategy: str = "toy") -> None:
    made = generator.iter_training_data(strategy=strategy)
    next(made)
    with pytest.raises(StopError):
        made.throw(StopError())


def working_files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "datasets" / "unfinished").glob("*.sqlite"))


def toy(tmp_path: Path, first: int = 0) -> TrainingDataGenerator:
    return TrainingDataGenerator(isolated(tmp_path), documents=toy_documents(40 + first)[first:])


def test_what_was_forgotten_is_in_no_working_file_afterwards(tmp_path: Path) -> None:
    settings = isolated(tmp_path)
    with ConversationManager(settings=settings, user_id="ann") as manager:
        conversation = manager.create_conversation("c")
        conversation.add_exchange("Where is the heron of Ann?", "It stands in the shallow water by the mill.")
        conversation.add_exchange("And the otter of Ann?", "It sleeps under the old bridge by the mill.")
        interrupted(TrainingDataGenerator(settings, conversations=manager), "conversation_based")
        manager.forget(everything=True)
    assert any(
        b"heron" in path.read_bytes() for path in tmp_path.glob("datasets/unfinished/*.sqlite*") if path.is_file()
    )
    assert remove_unfinished(settings) == (1, 0)
    assert not list((tmp_path / "datasets" / "unfinished").iterdir())
    assert remove_unfinished(settings) == (0, 0)


def test_only_what_is_old_enough(tmp_path: Path) -> None:
    interrupted(toy(tmp_path))
    interrupted(toy(tmp_path, first=1))
    old, young = working_files(tmp_path)
    os.utime(old, (time.time() - 3 * DAYS,) * 2)
    for journal in (tmp_path / "datasets" / "unfinished").glob(f"{old.name}-*"):
        os.utime(journal, (time.time() - 3 * DAYS,) * 2)
    assert remove_unfinished(isolated(tmp_path), older_than=timedelta(days=4)).removed == 0
    assert remove_unfinished(isolated(tmp_path), older_than=timedelta(days=2)).removed == 1
    assert working_files(tmp_path) == [young]
    with pytest.raises(InvalidArgumentError, match="negative"):
        remove_unfinished(isolated(tmp_path), older_than=timedelta(days=-1))


def test_a_run_clears_away_what_is_a_week_old(tmp_path: Path) -> None:
    interrupted(toy(tmp_path))
    interrupted(toy(tmp_path, first=1))
    for path in working_files(tmp_path):
        os.utime(path, (time.time() - 6 * DAYS,) * 2)
    toy(tmp_path, first=2).generate_training_data(3, "toy")
    old, young = working_files(tmp_path)
    os.utime(old, (time.time() - 8 * DAYS,) * 2)
    toy(tmp_path, first=2).generate_training_data(3, "toy")
    assert working_files(tmp_path) == [young]


def test_the_file_of_a_run_that_goes_on_stays(tmp_path: Path) -> None:
    made = toy(tmp_path).iter_training_data(strategy="toy")
    first = next(made)
    assert remove_unfinished(isolated(tmp_path)) == (0, 1)
    assert len({first.id, *(example.id for example in made)}) == 80
    assert not working_files(tmp_path)


def test_where_nothing_was_made_nothing_is_there(tmp_path: Path) -> None:
    assert remove_unfinished(isolated(tmp_path)) == (0, 0)
    assert not list(tmp_path.iterdir())
