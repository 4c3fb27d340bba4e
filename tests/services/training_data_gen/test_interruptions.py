"""Runs that are killed, stopped or run out of space, and equal runs at the same time."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ragtime.errors import BackendCancelledError, GenerationError, StorageError
from ragtime.services.training_data_gen import TrainingExample
from ragtime.testing import ScriptedGenerator
from tests.services.training_data_gen.real_sources import generator_of, real_sources
from tests.services.training_data_gen.test_generator import digest_of

RUN = """
import sys, time
from pathlib import Path
from ragtime.testing import ScriptedGenerator
from tests.services.training_data_gen.real_sources import STRATEGIES, generator_of, real_sources

folder, seconds, slow = Path(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3])

class Slow(ScriptedGenerator):
    model_name = "slow"

def answer(call):
    with slow.open("a") as file:
        file.write("asked\\n")
    time.sleep(seconds)
    return '["Which switch belongs to this lamp?", "How is the cloth used here?"]'

generator = generator_of(folder, real_sources(20), generator=Slow(answer))
generator.generate_dataset(50, STRATEGIES, folder=folder / "out")
"""


def start(folder: Path, seconds: float = 0.0) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen([sys.executable, "-c", RUN, str(folder), str(seconds), str(folder / "asked")])


def asked(folder: Path) -> int:
    log = folder / "asked"
    return log.read_text().count("\n") if log.exists() else 0


def unfinished(folder: Path) -> list[Path]:
    return sorted((folder / "data" / "datasets" / "unfinished").iterdir())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    assert start(folder).wait() == 0
    return folder


@pytest.mark.parametrize("after", [2, 25, 60])
def test_a_killed_run_of_all_strategies_gives_the_same_bytes(tmp_path: Path, whole: Path, after: int) -> None:
    run = start(tmp_path, 0.05)
    while asked(tmp_path) < after and run.poll() is None:
        time.sleep(0.002)
    assert run.poll() is None
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert unfinished(tmp_path)
    assert start(tmp_path).wait() == 0
    assert digest_of(tmp_path / "out") == digest_of(whole / "out")
    assert not unfinished(tmp_path)
    # What had been written by then was not asked for again, but for what was in the hands of a worker.
    assert asked(tmp_path) <= asked(whole) + 24


def test_equal_runs_at_the_same_time_do_not_disturb_each_other(tmp_path: Path, whole: Path) -> None:
    runs = [start(tmp_path, 0.002) for _ in range(3)]
    assert [run.wait() for run in runs] == [0, 0, 0]
    assert digest_of(tmp_path / "out") == digest_of(whole / "out")
    assert not unfinished(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["asked", "data", "out"]


def test_equal_runs_of_one_process_do_not_disturb_each_other(tmp_path: Path) -> None:
    generators = [generator_of(tmp_path, real_sources(12)) for _ in range(2)]
    runs = [one.iter_training_data(strategy="synthetic") for one in generators]
    made: list[list[TrainingExample]] = [[], []]
    for pair in zip(*runs, strict=True):
        for place, example in enumerate(pair):
            made[place].append(example)
    assert made[0] == made[1]
    assert made[0] == list(generator_of(tmp_path / "alone", real_sources(12)).iter_training_data(strategy="synthetic"))
    assert not unfinished(tmp_path)


def test_texts_of_an_unfinished_run_can_be_read_by_nobody_else_and_are_gone_afterwards(tmp_path: Path) -> None:
    generator = generator_of(tmp_path, real_sources(12))
    made = generator.iter_training_data(strategy="synthetic")
    next(made)
    folder = tmp_path / "data" / "datasets" / "unfinished"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    made.close()
    assert not unfinished(tmp_path)


def test_what_a_run_left_that_was_killed_while_it_read_is_cleared_away(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "datasets" / "unfinished"
    folder.mkdir(parents=True)
    for name in (".0123.sqlite", ".0123.sqlite-journal", ".0123.sqlite-wal", ".0123.sqlite.lock"):
        (folder / name).write_bytes(b"what was read")
    assert generator_of(tmp_path, real_sources(12)).generate_training_data(3, "synthetic")
    assert not unfinished(tmp_path)


class StopsWhileRead(Sequence[dict[str, str]]):
    """Documents whose reader presses Ctrl-C."""

    def __len__(self) -> int:
        return 9

    def __getitem__(self, place: Any) -> Any:
        if place == 5:
            raise KeyboardInterrupt
        return {"id": str(place), "text": f"Some text about the lamp of room {place}."}


def test_ctrl_c_while_reading_leaves_nothing(tmp_path: Path) -> None:
    generator = generator_of(tmp_path, {"documents": StopsWhileRead()})  # type: ignore[dict-item]
    with pytest.raises(KeyboardInterrupt):
        generator.generate_training_data(3, "synthetic")
    assert not unfinished(tmp_path)


class Breaks(Sequence[dict[str, str]]):
    """A source of somebody's own that fails half way."""

    def __len__(self) -> int:
        return 9

    def __getitem__(self, place: Any) -> Any:
        if place == 5:
            raise ConnectionResetError("user:secret@host")
        return {"id": str(place), "text": f"Where is the lamp of room {place}?", "query": "Where?", "rating": 5}


@pytest.mark.parametrize("kind", ["documents", "queries", "feedback", "examples", "conversations"])
def test_a_source_that_fails_is_named_and_its_error_is_the_cause(tmp_path: Path, kind: str) -> None:
    sources: Any = {"documents": [{"id": "d", "text": "Some text about a lamp."}], kind: Breaks()}
    strategy = {"examples": "augmentation", "conversations": "conversation_based"}.get(kind, "query_based")
    with pytest.raises(GenerationError, match=f"^What was given as {kind}= cannot be read: Conn.*Error$") as caught:
        generator_of(tmp_path, sources).generate_training_data(3, strategy)
    assert isinstance(caught.value.__cause__, ConnectionResetError)
    assert not unfinished(tmp_path)


class Named(ScriptedGenerator):
    """A generator that says which model it is."""

    def __init__(self, name: str, answer: Any) -> None:
        super().__init__(answer)
        self.model_name = name


def test_what_one_model_wrote_is_never_taken_for_the_work_of_another(tmp_path: Path) -> None:
    def run(generator: ScriptedGenerator) -> list[TrainingExample]:
        made = generator_of(tmp_path, real_sources(12), generator=generator)
        return list(made.iter_training_data(strategy="synthetic", validation=False))

    def stops_late(first: str) -> Any:
        calls: list[int] = []

        def answer(_call: object) -> str | BaseException:
            calls.append(1)
            return f'["{first}"]' if len(calls) < 10 else BackendCancelledError("stopped")

        return answer

    for generator in (Named("one", stops_late("Who wrote one?")), ScriptedGenerator(stops_late("Who wrote none?"))):
        with pytest.raises(BackendCancelledError):
            run(generator)
    assert len([path for path in unfinished(tmp_path) if path.suffix == ".sqlite"]) == 1  # of the model with a name
    for generator in (
        Named("two", lambda _: '["Who wrote two?"]'),
        ScriptedGenerator(lambda _: '["Who wrote two?"]'),
    ):
        assert {example.query for example in run(generator) if "Who wrote" in example.query} == {"Who wrote two?"}
    resumed = {example.query for example in run(Named("one", lambda _: '["Who wrote more?"]'))}
    assert {"Who wrote one?", "Who wrote more?"} <= resumed
    assert not unfinished(tmp_path)


def test_a_folder_that_cannot_be_written_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file stands here")
    with pytest.raises(StorageError, match="Cannot write to"):
        generator_of(tmp_path, real_sources(12)).generate_training_data(3, "synthetic")


FULL = """
import resource, sys
from pathlib import Path
from ragtime.errors import StorageError
from tests.services.training_data_gen.real_sources import STRATEGIES, generator_of, real_sources
folder, limit = Path(sys.argv[1]), int(sys.argv[2])
generator = generator_of(folder, real_sources(30))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    generator.generate_dataset(50, STRATEGIES, folder=folder / "out")
except StorageError:
    sys.exit(7)
"""


@pytest.mark.parametrize("limit", [0, 1, 5_000, 40_000, 100_000, 200_000])
def test_a_full_disk_is_an_error_that_says_so_and_leaves_no_half_data_set(tmp_path: Path, limit: int) -> None:
    run = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path), str(limit)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 7, run.stderr[-2000:]
    assert not (tmp_path / "out").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
