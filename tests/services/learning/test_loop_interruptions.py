"""Runs that are stopped, killed, or find their files damaged go on to the same report; two at once do the work once."""

from __future__ import annotations

import logging
import os
import random
import signal
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ragtime.errors import StorageError
from ragtime.records.conversation import now
from ragtime.records.decisions import ItemRef
from ragtime.services.learning import LearningReport
from ragtime.storage.conport import JsonDecisionLog
from ragtime.storage.registry import ModelRegistry
from ragtime.testing import tiny_model
from tests.services.learning.backwards import (
    config_of,
    general_pairs,
    loop_of,
    settings_of,
    sources_of,
    world,
)
from tests.services.learning.conftest import Whole
from tests.services.learning.learning_runs import learn_alone, learn_killed, started

pytestmark = pytest.mark.models

STAGES = ["begin", "data", "base", "training", "tuned", "version", "verdict", "told"]


class StoppingClock:
    """A clock that presses Ctrl-C when it has been looked at so often."""

    def __init__(self, after: int = 0) -> None:
        self._left = after

    def __call__(self) -> datetime:
        if not self._left:
            raise KeyboardInterrupt
        self._left -= 1
        return now()


class StoppingLog(JsonDecisionLog):
    """A decision log at which Ctrl-C is pressed when the verdict comes: behind the promotion, before the report."""

    def log_decision(self, summary: str, **more: Any) -> ItemRef:
        if "production" in summary:
            raise KeyboardInterrupt
        return super().log_decision(summary, **more)


def run(folder: Path, **parts: Any) -> LearningReport:
    return loop_of(folder, **parts).run(sources_of(), "thing", general=general_pairs())


def report_of(report: LearningReport) -> bytes:
    assert report.json_path is not None
    return report.json_path.read_bytes()


def actions(folder: Path) -> Sequence[str]:
    return [change.action for change in ModelRegistry(settings_of(folder)).history("thing")]


def run_folder(folder: Path) -> Path:
    (found,) = (path for path in (folder / "data" / "learning" / "thing").iterdir() if path.is_dir())
    return found


def test_a_run_that_is_stopped_after_every_stage_ends_with_the_same_report(
    tmp_path: Path, whole: Whole, caplog: pytest.LogCaptureFixture
) -> None:
    registry = ModelRegistry(settings_of(tmp_path))
    for done, stage in enumerate(STAGES, start=1):
        caplog.clear()
        with caplog.at_level(logging.INFO, logger="ragtime"), pytest.raises(KeyboardInterrupt):
            run(tmp_path, clock=StoppingClock(), registry=registry)
        assert sorted(STAGES[:done]) == sorted(
            path.stem for path in run_folder(tmp_path).glob("*.json") if path.name != "run.json"
        )
        assert "The run was stopped; the same call goes on where it was" in caplog.messages
        again = [vars(record)["stage"] for record in caplog.records if record.message == "A stage is done already"]
        assert again == STAGES[: done - 1]
        assert stage in {vars(record).get("stage") for record in caplog.records}
    report = run(tmp_path, registry=registry)
    assert report_of(report) == report_of(whole.report)
    assert actions(tmp_path) == ["register", "promote"]


@pytest.mark.parametrize("after", [1, 2])
def test_a_run_that_is_stopped_while_the_registry_is_written_ends_with_the_same_report(
    tmp_path: Path, whole: Whole, after: int
) -> None:
    """The clock of the registry is looked at for the version, its registration (1) and its promotion (2)."""
    registry = ModelRegistry(settings_of(tmp_path), clock=StoppingClock(after))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, registry=registry)
    assert report_of(run(tmp_path)) == report_of(whole.report)
    assert actions(tmp_path) == ["register", "promote"]


def register_base(folder: Path) -> str:
    """Put a tiny model into production as ``thing``, and return its version."""
    registry, place = ModelRegistry(settings_of(folder)), folder / "base"
    tiny_model().save_pretrained(str(place))
    version = registry.register(place, "thing").version
    registry.promote("thing", version)
    return version


def from_registry(folder: Path, **parts: Any) -> LearningReport:
    settings = settings_of(folder, embedding__model_name="registry:thing")
    return run(folder, settings=settings, model_loader=None, **parts)


def test_a_run_goes_on_with_its_base_though_the_name_stands_for_its_own_model_by_now(tmp_path: Path) -> None:
    base = register_base(tmp_path / "stopped")
    with StoppingLog(tmp_path / "log") as log, pytest.raises(KeyboardInterrupt):
        from_registry(tmp_path / "stopped", decision_log=log)
    registry = ModelRegistry(settings_of(tmp_path / "stopped"))
    tuned = registry.get("thing").version
    assert tuned != base
    report = from_registry(tmp_path / "stopped")
    assert report.promoted
    assert [model.reference for model in report.models] == [f"thing@{base[:12]}", f"thing@{tuned[:12]}"]
    assert report.next_step is None  # the settings name it already
    assert actions(tmp_path / "stopped") == ["register", "promote", "register", "promote"]
    assert register_base(tmp_path / "whole") == base
    assert report_of(from_registry(tmp_path / "whole")) == report_of(report)


def test_a_rollback_is_not_undone_by_a_run_that_goes_on_or_is_called_again(tmp_path: Path) -> None:
    base = register_base(tmp_path)
    with StoppingLog(tmp_path / "log") as log, pytest.raises(KeyboardInterrupt):
        from_registry(tmp_path, decision_log=log)
    registry = ModelRegistry(settings_of(tmp_path))
    registry.rollback("thing", reason="users complained")
    report = from_registry(tmp_path)
    assert report.promoted
    assert "Another version has been put in production since" in report.notes
    assert from_registry(tmp_path) == report
    assert registry.get("thing").version == base


# --- damage ---------------------------------------------------------------------------------------------------------


def test_damaged_files_of_stages_are_told_and_the_stages_done_again(
    tmp_path: Path, whole: Whole, caplog: pytest.LogCaptureFixture
) -> None:
    with StoppingLog(tmp_path / "log") as log, pytest.raises(KeyboardInterrupt):
        run(tmp_path, decision_log=log)
    stages = {"base", "data", "training", "verdict", "version"}
    for stage in stages:
        path = run_folder(tmp_path) / f"{stage}.json"
        path.write_bytes(path.read_bytes()[:-40])
    with caplog.at_level(logging.WARNING, logger="ragtime"):
        report = run(tmp_path)
    told = [record for record in caplog.records if record.message.startswith("The file of a stage is damaged")]
    assert {vars(record)["stage"] for record in told} == stages
    assert report_of(report) == report_of(whole.report)
    assert actions(tmp_path) == ["register", "promote"]


def test_what_cannot_be_found_out_again_is_refused_in_words(tmp_path: Path) -> None:
    with StoppingLog(tmp_path / "log") as log, pytest.raises(KeyboardInterrupt):
        run(tmp_path, decision_log=log)
    begin = run_folder(tmp_path) / "begin.json"
    before = begin.read_bytes()
    begin.write_text("{}")
    with pytest.raises(StorageError, match="nothing else tells which model this run began with: remove the folder"):
        run(tmp_path)
    begin.write_bytes(before)
    (train,) = (tmp_path / "data" / "datasets").glob("*/train.jsonl")
    train.write_text(train.read_text() + "\n")
    with pytest.raises(StorageError, match="is not what was written: remove the folder"):
        run(tmp_path)


def test_a_damaged_report_is_written_again_from_what_the_stages_came_to(tmp_path: Path) -> None:
    few = sources_of(world()[:20])
    report = loop_of(tmp_path).run(few, "thing", general=general_pairs())
    before = report_of(report)
    assert report.json_path is not None
    report.json_path.write_bytes(before[: len(before) // 2])
    assert loop_of(tmp_path).run(few, "thing", general=general_pairs()) == report
    assert report.json_path.read_bytes() == before


def test_a_data_set_that_is_gone_is_made_again(tmp_path: Path, whole: Whole) -> None:
    import shutil

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, clock=StoppingClock(1))
    shutil.rmtree(tmp_path / "data" / "datasets")
    assert report_of(run(tmp_path)) == report_of(whole.report)


# --- processes ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_that_is_killed_at_random_moments_ends_with_the_same_report(tmp_path: Path, whole: Whole) -> None:
    alone, seconds = learn_alone(tmp_path / "alone")
    expected = (whole.report.folder / "report.json").read_bytes()  # type: ignore[operator]
    assert (alone / "report.json").read_bytes() == expected
    folder, killed = learn_killed(tmp_path / "killed", random.Random(7), seconds=seconds, kills=3)  # noqa: S311 - moments, no secrets
    assert killed
    assert (folder / "report.json").read_bytes() == expected
    assert actions(tmp_path / "killed") == ["register", "promote"]


@pytest.mark.slow
def test_ctrl_c_in_the_training_lets_the_step_end_and_the_run_goes_on_there(tmp_path: Path, whole: Whole) -> None:
    process, _ = started(tmp_path)
    runs = tmp_path / "data" / "models" / "runs"
    while not list(runs.glob("*/checkpoints/*")):
        assert process.is_alive()
        time.sleep(0.01)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGINT)
    process.join()
    assert process.exitcode == 1
    assert not (run_folder(tmp_path) / "training.json").exists()
    folder, _ = learn_alone(tmp_path)
    assert (folder / "report.json").read_bytes() == report_of(whole.report)
    assert actions(tmp_path) == ["register", "promote"]


@pytest.mark.slow
def test_two_processes_at_once_do_the_work_once(tmp_path: Path, whole: Whole) -> None:
    runs = [started(tmp_path) for _ in range(2)]
    folders = {told.recv() for _, told in runs}
    for process, _ in runs:
        process.join()
        assert process.exitcode == 0
    (folder,) = folders
    assert (Path(folder) / "report.json").read_bytes() == report_of(whole.report)
    assert actions(tmp_path) == ["register", "promote"]


def test_a_weaker_configuration_is_another_run(tmp_path: Path) -> None:
    few, general = sources_of(world()[:20]), general_pairs()
    runs = {
        loop_of(tmp_path, finetuning=config_of(num_epochs=epochs)).run(few, "thing", general=general).run_id
        for epochs in (1, 2, 1)
    }
    assert len(runs) == 2
