"""What every decision log does, be it embedded or on a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.protocols import DecisionLog
from ragtime.records.decisions import ItemRef
from ragtime.storage.conport import JsonDecisionLog, NullDecisionLog, ServerDecisionLog


@pytest.fixture(params=["embedded", "server"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DecisionLog]:
    if request.param == "embedded":
        made: DecisionLog = JsonDecisionLog(tmp_path / "conport")
    else:
        made = request.getfixturevalue("open_log")(request.getfixturevalue("server_command"))
    with closing(made):
        yield made


def test_a_run_is_logged_and_read_back(log: DecisionLog) -> None:
    began = datetime.now(UTC) - timedelta(seconds=2)
    run = log.log_progress("Generate 200 examples")
    decision = log.log_decision(
        "query_based: 200 of 240 kept", rationale="rating >= 4", details="seed 42", tags=["ragtime", "training_data"]
    )
    metrics = {"kept": 200, "quantiles": [0.1, 0.5, None], "naïve": {"a": True}}
    data = log.log_custom_data("TrainingRuns", "run-1", metrics)
    pattern = log.log_pattern("synthetic: unsupported answer", description="40 % fall", tags=["filter"])
    log.update_progress(run, status="DONE")
    log.link(data, decision, "produced_by")
    log.link(pattern, run, "seen_in", description="twice")
    assert log.flush(60)

    (read,) = log.decisions()
    assert (read.summary, read.rationale, read.details) == ("query_based: 200 of 240 kept", "rating >= 4", "seed 42")
    assert read.tags == ("ragtime", "training_data")
    assert began <= read.logged_at <= datetime.now(UTC) + timedelta(seconds=1)
    (entry,) = log.progress()
    assert (entry.status, entry.description) == ("DONE", "Generate 200 examples")
    (value,) = log.custom_data("TrainingRuns")
    assert (value.key, value.value, value.ref) == ("run-1", metrics, data)
    (found,) = log.patterns()
    assert (found.name, found.description, found.tags, found.ref) == (
        *("synthetic: unsupported answer", "40 % fall", ("filter",)),
        pattern,
    )
    (link,) = log.links(data)
    assert (link.source, link.target, link.relationship) == (data, read.ref, "produced_by")
    (other,) = log.links(entry.ref)
    assert (other.source, other.target, other.description) == (pattern, entry.ref, "twice")
    assert log.links(decision) == [link]


def test_decisions_come_newest_first_and_are_found_by_their_tags(log: DecisionLog) -> None:
    for number in range(12):
        log.log_decision(f"decision {number}", tags=["even" if number % 2 == 0 else "odd", "all"])
    assert [each.summary for each in log.decisions(limit=2)] == ["decision 11", "decision 10"]
    assert [each.summary for each in log.decisions(2, tags=["all", "odd"])] == ["decision 11", "decision 9"]
    ids = [int(each.id) for each in log.decisions()]
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == len(set(ids)) == 12
    assert log.decisions(tags=["odd", "even"]) == []


def test_custom_data_and_patterns_are_replaced(log: DecisionLog) -> None:
    log.log_custom_data("TrainingRuns", "b", 1)
    before = log.log_custom_data("TrainingRuns", "a", {"n": 1})
    assert log.log_custom_data("TrainingRuns", "a", {"n": 2}) == before
    log.log_custom_data("Other", "a", "text")
    assert [(each.key, each.value) for each in log.custom_data("TrainingRuns")] == [("a", {"n": 2}), ("b", 1)]
    assert [each.value for each in log.custom_data("TrainingRuns", "b")] == [1]
    assert log.custom_data("TrainingRuns", "c") == log.custom_data("None") == []
    log.log_pattern("p", description="first")
    log.log_pattern("p", description="second", tags=["t"])
    log.log_pattern("o")
    assert [(each.name, each.description) for each in log.patterns()] == [("o", None), ("p", "second")]
    assert [each.name for each in log.patterns(tags=["t"])] == ["p"]


def test_progress_changes_only_in_what_is_given(log: DecisionLog) -> None:
    first, second = log.log_progress("first", status="TODO"), log.log_progress("second")
    log.update_progress(first, description="first, filtered")
    log.update_progress(second, status="FAILED")
    assert [(each.description, each.status) for each in log.progress()] == [
        ("second", "FAILED"),
        ("first, filtered", "TODO"),
    ]
    (latest,) = log.progress(limit=1)
    log.update_progress(latest.ref, status="DONE")
    assert [each.status for each in log.progress()] == ["DONE", "TODO"]


@pytest.mark.parametrize(
    "call",
    [
        lambda log: log.log_decision(" "),
        lambda log: log.log_decision("lone \ud800"),
        lambda log: log.log_decision("a", rationale="lone \udfff"),
        lambda log: log.log_decision("a", tags="tag"),
        lambda log: log.log_decision("a", tags=[""]),
        lambda log: log.log_decision("a", tags=["two\nlines"]),
        lambda log: log.log_progress(""),
        lambda log: log.log_progress("a", status="DOING"),
        lambda log: log.update_progress(ItemRef(kind="decision", id="1"), status="DONE"),
        lambda log: log.update_progress(ItemRef(kind="progress_entry", id="x"), status="DONE"),
        lambda log: log.update_progress(ItemRef(kind="progress_entry", id="1")),
        lambda log: log.update_progress(ItemRef(kind="progress_entry", id="1"), description=" "),
        lambda log: log.update_progress(ItemRef(kind="progress_entry", id="1"), description="\ud800"),
        lambda log: log.log_custom_data("a:b", "key", 1),
        lambda log: log.log_custom_data("", "key", 1),
        lambda log: log.log_custom_data("a", "two\nlines", 1),
        lambda log: log.log_custom_data("a", "key", float("nan")),
        lambda log: log.log_custom_data("a", "key", {1: 2}),
        lambda log: log.log_custom_data("a", "key", {"set": {1}}),
        lambda log: log.log_custom_data("a", "key", ["\ud800"]),
        lambda log: log.log_pattern("two\nlines"),
        lambda log: log.link(ItemRef(kind="decision", id="x"), ItemRef(kind="custom_data", id="a:b"), "r"),
        lambda log: log.decisions(0),
        lambda log: log.decisions(tags="tag"),
        lambda log: log.progress(-1),
    ],
)
def test_wrong_arguments_are_refused_at_once_and_nothing_is_kept(tmp_path: Path, call: Callable[[Any], Any]) -> None:
    from ragtime.storage.conport import StdioServer

    for made in (
        JsonDecisionLog(tmp_path / "embedded"),
        ServerDecisionLog(StdioServer(("no-such-command",)), tmp_path / "server", workspace_id="w"),
    ):
        with closing(made), pytest.raises(InvalidArgumentError):
            call(made)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_closed_log_says_so(log: DecisionLog) -> None:
    log.close()
    log.close()
    for call in (lambda: log.log_decision("a"), log.decisions, log.flush):
        with pytest.raises(StorageError, match="is closed; open it again"):
            call()


def test_the_seam_can_be_checked_at_run_time(log: DecisionLog) -> None:
    assert isinstance(log, DecisionLog)
    assert isinstance(NullDecisionLog(), DecisionLog)
    assert not isinstance(object(), DecisionLog)
