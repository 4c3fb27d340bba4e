"""The benchmark runner: measuring in turn, promises, and figures kept by commit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.harness import Area, Bench, Limit, Record, Row, Store, Unavailable, _medians, measure, show


def _area(calls: list[str]) -> Area:
    def sampler(name: str, figures: list[float]):
        def sample(_: Bench) -> float:
            calls.append(name)
            return figures[calls.count(name) - 1]

        return sample

    def absent(bench: Bench) -> float:
        bench.folder("some-set")
        return 1.0

    return Area(
        title="Area",
        about="Something.",
        rows=[
            Row("case", "ragtime", sampler("a", [9, 1, 2, 6]), "s", rounds=3),
            Row("case", "peer", sampler("b", [99, 2, 4, 12]), "s", rounds=3),
            Row("other", "ragtime", absent, "s"),
        ],
        limits=[
            Limit("peer by us", lambda median: median["case | peer"] / median["case | ragtime"], at_least=2, unit="×"),
            Limit("ours", lambda median: median["case | ragtime"], at_most=1, unit="s"),
            Limit("other", lambda median: median["other | ragtime"], at_most=1, unit="s"),
        ],
    )


def _measure(area: Area, record: Record) -> list[str]:
    told: list[str] = []
    measure(area, Bench(), record, tell=told.append, keep=lambda: None)
    return told


def test_rows_are_sampled_in_turn_and_the_warm_up_does_not_count() -> None:
    calls: list[str] = []
    record = Record()
    told = _measure(_area(calls), record)
    assert calls == ["a", "b"] * 4
    assert _medians(record.rows) == {"case | ragtime": 2, "case | peer": 4}
    row = record.rows["case | peer"]
    assert (row["min"], row["max"], row["samples"], row["unit"]) == (2, 12, 3, "s")
    assert row["cores"] >= 1
    assert any("needs the data set some-set: give DATA=folder" in line for line in told)


def test_promises_are_checked_on_medians(capsys: pytest.CaptureFixture[str]) -> None:
    area, record = _area([]), Record()
    _measure(area, record)
    assert [limit.check(_medians(record.rows)) for limit in area.limits] == [
        ("peer by us ≥ 2 ×: 2 × ✓", True),
        ("ours ≤ 1 s: 2 s ✗ missed", False),
        ("other ≤ 1 s: not measured (other | ragtime)", None),
    ]
    assert show(area, record, "abc", Bench()) is False
    out = capsys.readouterr().out
    for told in ("case", "peer", "2 to 12", "limit: peer by us", "machine:", "load", "kept for commit abc"):
        assert told in out


def test_what_stands_for_a_commit_is_not_measured_again(tmp_path: Path) -> None:
    calls: list[str] = []
    area = _area(calls)
    store = Store("x", area, "abc", Bench(), folder=tmp_path)
    measure(area, Bench(), store.record, tell=lambda _: None, keep=store.keep)
    again = Store("x", area, "abc", Bench(), folder=tmp_path)
    assert again.record.rows == store.record.rows
    _measure(area, again.record)
    assert calls == ["a", "b"] * 4
    assert Store("x", area, "abc", Bench(), folder=tmp_path, fresh=True).record.rows == {}
    assert Store("x", area, "def", Bench(), folder=tmp_path).record.rows == {}
    assert set(json.loads((tmp_path / "x.json").read_text())["commits"]) == {"abc"}
    assert "| case | peer | 4 s | 2 to 12 | 2 |" in (tmp_path / "x.md").read_text()


def test_figures_of_uncommitted_code_are_not_kept(tmp_path: Path) -> None:
    area = _area([])
    store = Store("x", area, None, Bench(), folder=tmp_path)
    measure(area, Bench(), store.record, tell=lambda _: None, keep=store.keep)
    assert store.record.rows
    assert not list(tmp_path.iterdir())


def test_old_commits_are_dropped(tmp_path: Path) -> None:
    area = _area([])
    for number in range(25):
        store = Store("x", area, f"c{number}", Bench(), folder=tmp_path)
        store.record.rows["case | ragtime"] = {
            "median": number, "min": 0, "max": 0, "when": f"2026-01-{number + 1:02}", "version": None,
            "cpu": "", "cores": 1, "memory_gib": 1, "python": "3",
        }  # fmt: skip
        store.keep()
    kept = json.loads((tmp_path / "x.json").read_text())["commits"]
    assert set(kept) == {f"c{number}" for number in range(5, 25)}


def test_an_outside_set_that_is_there_is_found(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    assert Bench(tmp_path).folder("set") == tmp_path / "set"
    with pytest.raises(Unavailable):
        Bench(tmp_path).folder("other")


@pytest.mark.parametrize(
    ("module", "arguments", "told"),
    [
        ("tests.benchmarks", ["--area", "nope"], "There is no area 'nope'; there are conversations, data, encode"),
        ("tests.benchmarks", ["--data", "/nowhere"], "DATA=/nowhere is no folder"),
        ("tests.torture", ["--area", "nope"], "There is no area 'nope'; there are cache, conversations, data"),
    ],
)
def test_wrong_arguments_are_told(root: Path, module: str, arguments: list[str], told: str) -> None:
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert told in done.stderr


def test_a_row_that_fails_costs_only_itself() -> None:
    def fail(_: Bench) -> float:
        raise RuntimeError("peer broke")

    area = Area(
        "t", "a", [Row("case", "peer", fail, "s", rounds=1), Row("case", "ragtime", lambda _: 1.0, "s", rounds=1)]
    )
    record = Record()
    told = _measure(area, record)
    assert set(record.rows) == {"case | ragtime"}
    assert record.failed == {"case | peer": "RuntimeError: peer broke"}
    assert "failed: case | peer: RuntimeError: peer broke" in told
    assert show(area, record, None, Bench()) is False


def test_figures_on_the_sample_do_not_stand_for_those_on_outside_data(tmp_path: Path) -> None:
    (tmp_path / "data" / "set").mkdir(parents=True)
    rows = [Row("case", "ragtime", lambda bench: 2.0 if bench.has("set") else 1.0, "s", rounds=1, data="set")]
    area = Area("t", "a", rows)
    for bench, figure in ((Bench(), 1.0), (Bench(tmp_path / "data"), 2.0), (Bench(), 1.0)):
        store = Store("x", area, "abc", bench, folder=tmp_path)
        measure(area, bench, store.record, tell=lambda _: None, keep=store.keep)
        assert _medians(store.record.of(area, bench)) == {"case | ragtime": figure}
    assert len(store.record.rows) == 2


def test_a_limit_that_divides_by_nothing_is_broken() -> None:
    limit = Limit("ratio", lambda median: 1 / median["a"], at_most=1)
    assert limit.check({"a": 0.0}) == ("ratio ≤ 1 : cannot be computed, a median is 0", False)
