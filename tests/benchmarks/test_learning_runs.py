"""Runs and table of the benchmark of the learning loop: what they need, and that every promise can be checked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.benchmarks import bench_learning
from tests.benchmarks.harness import Bench, Unavailable
from tests.benchmarks.learning_runs import Outcome, Run, learn, measured, stage_seconds
from tests.services.learning.backwards import general_pairs, loop_of, sources_of

_RATED = [
    {"query": f"Where is room {number}?", "response": f"Room {number} is upstairs.", "mark": 5} for number in range(9)
]


@pytest.fixture
def ratings(tmp_path: Path) -> Path:
    """A folder that stands for a data set."""
    folder = tmp_path / "ratings"
    folder.mkdir()
    (folder / "marks.jsonl").write_text("".join(json.dumps(one) + "\n" for one in _RATED), encoding="utf-8")
    return folder


def test_a_run_knows_which_data_sets_it_needs() -> None:
    run = Run(options={"feedback": "{a}/f.jsonl", "docs": "{together}", "rating-field": "mark"}, together={"b/c": "c"})
    assert run.data_sets == ["a", "b"]


def test_without_the_data_nothing_is_run(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="ratings"):
        measured(Run(options={"feedback": "{ratings}/marks.jsonl"}), Bench(tmp_path))


@pytest.mark.models
def test_a_run_tells_what_the_command_said_and_took(ratings: Path) -> None:
    run = Run(options={"feedback": "{ratings}/marks.jsonl", "rating-field": "mark"})
    outcome = learn(run, {"ratings": ratings})
    assert outcome.report.outcome == "too_little_data"
    assert outcome.report.data.missing_pairs > 0
    assert outcome.seconds["all"] > 0
    assert outcome.peak_bytes > 2**20
    assert Outcome.from_json(json.loads(json.dumps(outcome.to_json()))) == outcome


@pytest.mark.models
def test_a_command_that_fails_says_why(ratings: Path) -> None:
    with pytest.raises(RuntimeError, match=r"ended with 2: .*nothing\.jsonl"):
        learn(Run(options={"feedback": "{ratings}/nothing.jsonl"}), {"ratings": ratings})


def test_no_row_stands_twice_and_promises_are_about_rows() -> None:
    keys = [row.key for row in bench_learning.AREA.rows]
    assert len(keys) == len(set(keys))
    assert all(limit.check(dict.fromkeys(keys, 1.0))[1] is not None for limit in bench_learning.AREA.limits)


@pytest.mark.models
def test_every_row_finds_its_figure_in_a_report_with_a_decision(tmp_path: Path) -> None:
    report = loop_of(tmp_path).run(sources_of(), "thing", general=general_pairs())
    assert report.folder is not None
    outcome = Outcome(report, {**stage_seconds(report.folder / "run.json"), "all": 1.0}, 2**30)
    reads = [row.sample.keywords["read"] for row in bench_learning.AREA.rows if "read" in row.sample.keywords]  # type: ignore[attr-defined]
    assert len(reads) > 100
    assert all(isinstance(read(outcome), float) for read in reads)
