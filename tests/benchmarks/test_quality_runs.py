"""Runs and tables of the benchmark of quality: what they are keyed by, and that every promise can be checked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ragtime.services.model_finetuner import FineTuningConfig
from tests.benchmarks import bench_quality, bench_quality_all, bench_quality_ingredients
from tests.benchmarks.harness import ROOT, Area, Bench, Unavailable
from tests.benchmarks.quality_recipe import Recipe
from tests.benchmarks.quality_recipes import INGREDIENTS, START
from tests.benchmarks.quality_rows import read_pairs
from tests.benchmarks.quality_runs import PAGES, Outcome, Run, measured

_AREAS = (bench_quality.AREA, bench_quality_all.AREA, bench_quality_ingredients.AREA)


def _lines(path: Path, rows: list[dict[str, str | bool]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a folder with both data sets, twelve pages each."""
    things = ("pump", "valve", "filter", "motor", "sensor", "gasket", "belt", "wheel", "lamp", "switch", "cable", "fan")
    for name, splits in (("retrieval-tldr", ("train", "test")), ("conversations-mtrag", ("test",))):
        folder = tmp_path / name
        folder.mkdir()
        _lines(folder / "corpus.jsonl", [{"id": one, "title": one, "text": f"Cleans a {one}."} for one in things])
        for split in splits:
            rows: list[dict[str, str | bool]] = [
                {"id": f"{split}#{one}", "text": f"clean a {one}", "unseen_doc": True} for one in things
            ]
            _lines(folder / f"queries-{split}.jsonl", rows)
            _lines(folder / f"queries-{split}-2048.jsonl", rows[:4])
            judged = "".join(f"{split}#{one}\t{one}\t1\n" for one in things)
            (folder / f"qrels-{split}.tsv").write_text(judged, encoding="utf-8")
    return tmp_path


def test_runs_come_back_from_json() -> None:
    for run in (
        Run(who="BM25"),
        Run(who="ragtime", recipe=Recipe(config=FineTuningConfig(strategy="lora"), made=(("line", 3),)), on="dev"),
    ):
        assert Run.from_json(json.loads(json.dumps(run.to_json()))) == run


def test_without_the_data_nothing_is_run(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="retrieval-tldr"):
        measured(Run(who="BM25"), Bench(tmp_path))


@pytest.mark.models
@pytest.mark.parametrize("on", ["test", "dev"])
def test_the_process_of_a_run_writes_what_came_out(data: Path, tmp_path: Path, on: str) -> None:
    run = Run(who="BM25", on=on)  # type: ignore[arg-type]
    folders = {folder.name: str(folder) for folder in data.iterdir() if folder.is_dir()}
    result = tmp_path / "outcome.json"
    told = json.dumps([run.to_json(), folders, str(result)])
    subprocess.run([sys.executable, "-m", "tests.benchmarks.quality_child", told], cwd=ROOT, check=True)
    outcome = Outcome.from_json(json.loads(result.read_bytes()))
    assert outcome.scores[PAGES].figures == {"ndcg@10": 1.0, "recall@10": 1.0}
    assert outcome.scores[PAGES].questions == (12 if on == "test" else 8)
    assert Outcome.from_json(json.loads(json.dumps(outcome.to_json()))) == outcome


@pytest.mark.parametrize("area", _AREAS, ids=lambda area: area.title)
def test_no_row_stands_twice_and_promises_are_about_rows(area: Area) -> None:
    keys = [row.key for row in area.rows]
    assert len(keys) == len(set(keys))
    assert all(limit.check(dict.fromkeys(keys, 1.0))[1] is not None for limit in area.limits)


def test_each_ingredient_is_another_recipe_than_the_start() -> None:
    told = [json.dumps(recipe.to_json()) for recipe in (START, *INGREDIENTS.values())]
    assert len(told) == len(set(told))


def test_pairs_are_read() -> None:
    assert (read_pairs(None), read_pairs(""), read_pairs("192")) == (None, None, 192)
    for told in ("191", "many", "-200", "2.5"):
        with pytest.raises(SystemExit, match=f"from 192, found {told}"):
            read_pairs(told)
