"""The generator: counts that hold, results that depend on content alone, runs that go on where they were."""

from __future__ import annotations

import hashlib
import logging
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragtime.config.settings import Settings
from ragtime.errors import GenerationError, InvalidArgumentError
from ragtime.services.training_data_gen import TrainingDataGenerator, TrainingExample, register_strategy
from ragtime.storage.conport import JsonDecisionLog
from ragtime.testing import HashEncoder
from tests.services.training_data_gen.toy_strategy import ToyStrategy, toy_documents


def isolated(tmp_path: Path, **changes: object) -> Settings:
    return Settings.isolated(data_dir=tmp_path / "data", logging__progress="off", **changes)


def toy(tmp_path: Path, documents: int = 40, **changes: object) -> TrainingDataGenerator:
    return TrainingDataGenerator(isolated(tmp_path, **changes), documents=toy_documents(documents))


def test_just_as_many_as_asked_for(tmp_path: Path) -> None:
    generator = toy(tmp_path)
    examples = generator.generate_training_data(30, "toy")
    assert len({example.id for example in examples}) == 30
    assert {example.strategy for example in examples} == {"toy"}
    metrics = generator.metrics
    assert (metrics.requested, metrics.produced, metrics.balance.positive) == (30, 30, 30)
    assert metrics.rejected["nobody did it"] > 0
    assert metrics.sources[0].kept == 40
    assert metrics.performance is not None
    assert metrics.candidates == 30 + sum(metrics.rejected.values())


def test_more_examples_begin_with_fewer(tmp_path: Path) -> None:
    few, many = (toy(tmp_path).generate_training_data(count, "toy") for count in (10, 50))
    assert many[:10] == few


def test_what_cannot_be_made_is_an_error_that_counts(tmp_path: Path) -> None:
    with pytest.raises(GenerationError, match="gave 6 of 100 examples by toy"):
        toy(tmp_path, documents=3).generate_training_data(100, "toy")
    assert not list((tmp_path / "data" / "datasets" / "unfinished").iterdir())


def test_a_batch_without_checks_gives_what_there_is(tmp_path: Path) -> None:
    assert len(toy(tmp_path, documents=3).generate_examples(100, "toy")) == 6


@pytest.mark.parametrize("strategy", ["synthetic", "negative_sampling"])
def test_documents_that_cannot_be_used_are_counted_with_their_reasons(tmp_path: Path, strategy: str) -> None:
    documents = [{"id": "a"}, {"id": "b", "text": "Some text.", "title": 7}, {"id": "c"}]
    generator = TrainingDataGenerator(isolated(tmp_path), documents=documents, queries=["How?"])
    with pytest.raises(GenerationError, match="none of the 3 records of documents can be used: ") as caught:
        generator.generate_training_data(5, strategy)
    assert "2 × text is missing" in str(caught.value)
    assert "1 × title is no text" in str(caught.value)
    for sources, message in (({"documents": []}, "documents= holds none"), ({"queries": ["How?"]}, "none were given")):
        with pytest.raises(GenerationError, match=message):
            TrainingDataGenerator(isolated(tmp_path), **sources).generate_training_data(5, strategy)


def test_sources_that_hold_nothing_are_named(tmp_path: Path) -> None:
    generator = TrainingDataGenerator(isolated(tmp_path), documents=[], queries=[], feedback=[{"query": "How?"}])
    assert list(generator.iter_training_data()) == []
    assert {source.strategy: (source.candidates, source.kept) for source in generator.metrics.sources} == {
        "documents": (0, 0),
        "feedback": (1, 0),
        "queries": (0, 0),
    }
    with pytest.raises(GenerationError, match=r"no record of documents\. Of 1 records of feedback, none can"):
        generator.generate_training_data(1)


def test_personal_data_stand_in_no_example_whether_it_is_checked_or_not(tmp_path: Path) -> None:
    documents = [
        {"id": "d", "text": "Write to ada@example.org about the lamp of the hall, and about its old switch."},
        {"id": "e", "text": "The garden has a lamp, too. Its keeper is bob@example.org, by the gate, at any time."},
        *toy_documents(8),
    ]
    own = [TrainingExample(query="Is ada@example.org right for the lamp of the hall?", response=documents[0]["text"])]
    generator = TrainingDataGenerator(isolated(tmp_path), documents=documents)
    for made in (
        generator.generate_examples(50, "synthetic"),
        generator.generate_training_data(25, "synthetic", validation=False),
        generator.augment(own),
        generator.add_negatives(own),
    ):
        assert "@example.org" not in "".join(example.model_dump_json() for example in made)
        assert any(example.metadata.get("redacted") for example in made)
        assert [stage.stage for stage in generator.metrics.stages] == ["make", "personal_data", "duplicates", "choose"]
    (mined,) = generator.add_negatives(own)
    assert mined.query == "Is [email] right for the lamp of the hall?"
    assert mined.lineage.example_ids == (own[0].id,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "at least 1"),
        ({"count": -1}, "at least 1"),
        ({"count": True}, "at least 1"),
        ({"count": 1.5}, "at least 1"),
        ({"count": 5, "strategy": "toi"}, "did you mean 'toy'"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_read(
    tmp_path: Path, arguments: dict[str, object], message: str
) -> None:
    generator = toy(tmp_path)
    for make in (generator.generate_training_data, generator.generate_examples, generator.iter_training_data):
        with pytest.raises(InvalidArgumentError, match=message):
            make(**arguments)
    assert not (tmp_path / "data" / "datasets").exists()


def test_a_strategy_is_registered_once() -> None:
    with pytest.raises(InvalidArgumentError, match="already"):
        register_strategy("toy", ToyStrategy)


def test_order_and_workers_change_nothing(tmp_path: Path) -> None:
    documents = toy_documents(60)
    expected = TrainingDataGenerator(isolated(tmp_path), documents=documents).generate_training_data(40, "toy")
    for workers in (1, 2, 4):
        random.Random(workers).shuffle(documents)  # noqa: S311 - the same each time
        settings = isolated(tmp_path, training_data__workers=workers)
        assert TrainingDataGenerator(settings, documents=documents).generate_training_data(40, "toy") == expected
    other = TrainingDataGenerator(isolated(tmp_path, seed=7), documents=documents).generate_training_data(40, "toy")
    assert {example.query for example in other} != {example.query for example in expected}


def test_the_hash_seed_changes_nothing_and_nothing_is_drawn_from_the_global_one(tmp_path: Path) -> None:
    code = (
        "import random, sys\n"
        "from pathlib import Path\n"
        "from tests.services.training_data_gen.test_generator import toy\n"
        "before = random.getstate()\n"
        "made = toy(Path(sys.argv[1])).generate_training_data(30, 'toy')\n"
        "assert random.getstate() == before\n"
        "print([example.id for example in made])"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / seed)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(told) == 1


def test_rounds_without_an_encoder_say_so_and_with_one_do_not(tmp_path: Path) -> None:
    generator = toy(tmp_path)
    generator.generate_training_data(5, "toy")
    assert any("BM25" in note for note in generator.metrics.notes)
    assert "round_trip_rank" in generator.metrics.scores
    dense = TrainingDataGenerator(isolated(tmp_path), documents=toy_documents(40), encoder=HashEncoder())
    dense.generate_training_data(5, "toy")
    assert dense.metrics.notes == ()


def test_duplicates_fall_and_name_who_stays(tmp_path: Path) -> None:
    generator = toy(tmp_path)
    made = generator.generate_training_data(20, "toy")
    near = made[0].model_copy(update={"query": made[0].query.replace("true", "trues")})
    report = generator.validate([*made, made[0], near, TrainingExample(query="Hm", response="x")])
    assert [verdict.kept for verdict in report.verdicts[:20]] == [True] * 20
    assert report.verdicts[20].duplicate_of == made[0].id
    assert (report.verdicts[21].stage, report.verdicts[21].duplicate_of) == ("duplicates", made[0].id)
    assert not report.verdicts[22].kept
    assert not report.valid
    assert report.kept == 20
    assert report.metrics.duplicates == 2
    assert generator.validate(made).valid


def test_nothing_is_not_valid(tmp_path: Path) -> None:
    report = toy(tmp_path).validate([])
    assert not report.valid
    assert report.warnings == ("Few examples: 0, of at least 20",)


def test_an_iteration_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    generator = toy(tmp_path)
    examples = generator.iter_training_data(strategy="toy")
    next(examples)
    examples.close()
    assert generator.metrics.produced == 1
    assert not list((tmp_path / "data" / "datasets" / "unfinished").iterdir())


KILLED = """
import sys
from pathlib import Path
from tests.services.training_data_gen.test_generator import toy
from tests.services.training_data_gen.toy_strategy import ToyStrategy
folder = Path(sys.argv[1])
ToyStrategy.log, ToyStrategy.seconds = folder / "made", 0.01
report = toy(folder, documents=150).generate_dataset(200, ["toy"], folder=folder / "out")
"""


def digest_of(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "run.json"
    }


@pytest.fixture
def uninterrupted(tmp_path: Path) -> Path:
    toy(tmp_path / "whole", documents=150).generate_dataset(200, ["toy"], folder=tmp_path / "whole" / "out")
    return tmp_path / "whole" / "out"


def kill_and_resume(folder: Path, after: int) -> Iterator[int]:
    """Kill a run once so many units are made, as often as it is begun again; yields the units made by then."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "made"
    while True:
        run = subprocess.Popen([sys.executable, "-c", KILLED, str(folder)])
        goal = (len(log.read_text().split()) if log.exists() else 0) + after
        while run.poll() is None and (not log.exists() or len(log.read_text().split()) < goal):
            time.sleep(0.005)
        if run.poll() is None:
            run.send_signal(signal.SIGKILL)
        if run.wait() == 0:
            return
        yield len(log.read_text().split())


@pytest.mark.parametrize("after", [10, 45, 90])
def test_a_killed_run_gives_the_same_bytes_when_it_is_begun_again(
    tmp_path: Path, uninterrupted: Path, after: int
) -> None:
    kills = list(kill_and_resume(tmp_path / "killed", after))
    assert kills
    assert digest_of(tmp_path / "killed" / "out") == digest_of(uninterrupted)
    made = (tmp_path / "killed" / "made").read_text().split()
    assert len(made) < 150 + 16 * len(kills)  # what was finished was not made again
    assert not list((tmp_path / "killed" / "data" / "datasets" / "unfinished").iterdir())


def test_another_input_never_uses_the_work_of_an_interrupted_run(tmp_path: Path) -> None:
    class StopError(Exception):
        """Ends a run as Ctrl-C would."""

    first = toy(tmp_path).iter_training_data(strategy="toy")
    for _ in range(3):
        next(first)
    with pytest.raises(StopError):
        first.throw(StopError())
    kept = list((tmp_path / "data" / "datasets" / "unfinished").glob("*.sqlite"))
    assert len(kept) == 1
    other = TrainingDataGenerator(isolated(tmp_path), documents=toy_documents(80)[40:])
    made = other.generate_training_data(20, "toy")
    assert {one for example in made for one in example.lineage.document_ids} <= {f"d{n:03}" for n in range(40, 80)}


def test_runs_are_told_to_the_decision_log(tmp_path: Path) -> None:
    log = JsonDecisionLog(tmp_path / "log")
    generator = TrainingDataGenerator(isolated(tmp_path), documents=toy_documents(40), decision_log=log)
    generator.generate_training_data(10, "toy")
    (decision,) = log.decisions()
    progress, *stages = sorted(log.progress(), key=lambda entry: int(entry.id))
    (data,) = log.custom_data("TrainingRuns")
    assert decision.summary == "Make 10 examples by toy"
    assert "positive_rating = 4.0" in (decision.rationale or "")
    assert progress.status == "DONE"
    assert "10 examples" in progress.description
    assert [entry.description.rpartition(": ")[2].split()[:2] for entry in stages] == [
        [stage.stage, "kept"] for stage in generator.metrics.stages
    ]
    assert data.value == generator.metrics.repeatable().model_dump(mode="json")  # type: ignore[comparison-overlap]
    assert {link.source.kind for link in log.links(decision.ref)} == {"custom_data", "progress_entry"}
    with pytest.raises(GenerationError):
        generator.generate_training_data(10_000, "toy")
    assert {entry.status for entry in log.progress()} == {"DONE", "FAILED"}


def test_a_broken_decision_log_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = JsonDecisionLog(tmp_path / "log")
    log.close()
    generator = TrainingDataGenerator(isolated(tmp_path), documents=toy_documents(10), decision_log=log)
    with caplog.at_level(logging.WARNING, logger="ragtime"):
        assert len(generator.generate_training_data(5, "toy")) == 5
    assert sum("decision log" in record.getMessage() for record in caplog.records) == 1


def test_the_end_of_a_run_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="ragtime"):
        toy(tmp_path).generate_training_data(5, "toy")
    assert sum(record.getMessage().startswith("generate_training_data finished") for record in caplog.records) == 1
