"""Curves and comparisons as SVG: well-formed, the same bytes each time, and without a trace of the machine."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

matplotlib = pytest.importorskip("matplotlib")
pytest.importorskip("scipy")

from ragtime.errors import InvalidArgumentError, MissingExtraError  # noqa: E402
from ragtime.services.model_finetuner import FineTuningMetrics  # noqa: E402
from ragtime.services.model_finetuner.comparison import compare  # noqa: E402
from ragtime.services.model_finetuner.exporting import plot_comparison, plot_training  # noqa: E402
from ragtime.services.model_finetuner.metrics import EvaluationRecord, StepRecord, TrainingDataSummary  # noqa: E402
from tests.services.model_finetuner.comparison.scores import result  # noqa: E402

_SVG = "{http://www.w3.org/2000/svg}"


def run(steps: int = 60, figures: Sequence[str] = ("map", "ndcg@10"), **fields: Any) -> FineTuningMetrics:
    """What a run of some steps told, with validation figures at every tenth."""
    records = [
        StepRecord(
            step=step, epoch=1, loss=3 / step, learning_rate=1e-5 * step, gradient_norm=1.0, tokens_per_second=9.0,
            padding=0.0, seconds=0.1,
        )
        for step in range(1, steps + 1)
    ]  # fmt: skip
    evaluations = [
        EvaluationRecord(step=step, figures=dict.fromkeys(figures, 0.5 - 1 / (step + 9)), seconds=1.0)
        for step in range(0, steps + 1, 10)
        if figures
    ]
    usual: dict[str, Any] = {
        "loss": 0.1, "model_path": "/home/ann/models/m", "run_path": "/home/ann/models/runs/r", "best_step": 40,
        "total_steps": steps, "planned_steps": steps, "steps": records, "evaluations": evaluations,
        "baseline": dict.fromkeys(figures, 0.4), "trained_parameters": 1, "parameters": 1, "seconds": 1.0,
        "peak_host_bytes": 1,
        "data": TrainingDataSummary(
            shape="pairs", training_rows=1, validation_rows=1, distinct_texts=2, truncated_texts=0, fingerprint="f"
        ),
    }  # fmt: skip
    return FineTuningMetrics(**{**usual, **fields})


def texts(drawing: str) -> list[str]:
    """All text of a drawing, which is well-formed."""
    return [" ".join(element.itertext()).strip() for element in ET.fromstring(drawing).iter(f"{_SVG}text")]  # noqa: S314


def compared(name: str = "handbook", questions: int = 40) -> Any:
    base = [place / questions for place in range(questions)]
    tuned = [value + (place % 3 - 0.5) / 10 for place, value in enumerate(base)]
    return compare(result(base, data_name=name), result(tuned, "tuned", data_name=name))


def test_the_curves_of_a_run() -> None:
    told = texts(plot_training(run()))
    assert {"Training loss", "Learning rate", "ndcg@10, validation", "step", "base model", "kept"} <= set(told)
    assert "mean of 3" in told
    assert "map, validation" in texts(plot_training(run(), figure="map"))
    assert "recall@10, validation" in texts(plot_training(run(figures=("recall@10", "map"))))


@pytest.mark.parametrize(
    "metrics", [run(1), run(1, ()), run(60, ()), run(best_step=7), run(baseline={})], ids=["1", "one", "2", "3", "4"]
)
def test_runs_of_which_less_is_known(metrics: FineTuningMetrics) -> None:
    told = texts(plot_training(metrics))
    assert ("ndcg@10, validation" in told) == bool(metrics.evaluations)
    assert ("base model" in told) == bool(metrics.evaluations and metrics.baseline)


def test_a_comparison_has_its_interval_and_every_question() -> None:
    told = texts(plot_comparison([compared(), compared("general").summary()]))
    assert {"Tuned minus base", "mean difference, 95 % interval", "ndcg@10 by question, handbook"} <= set(told)
    assert "ndcg@10 by question, general" not in told  # a summary knows no questions
    one = compared()
    assert {f"{one.won} won", f"{one.lost} lost", f"{one.tied} equal"} <= set(told)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["$x^2$ $", "東京 & <script>alert(1)</script>", "two\nlines\x07", "x" * 300])
def test_what_others_have_named_breaks_nothing(name: str) -> None:
    drawing = plot_comparison([compared(name)])
    assert "<script" not in drawing
    assert any(f"by question, {name[:3]}" in told for told in texts(drawing))
    assert len(drawing) < 100_000


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="no steps"):
        plot_training(run(0))
    with pytest.raises(InvalidArgumentError, match=r"no validation figure 'mrr@10'; it has map, ndcg@10"):
        plot_training(run(), figure="mrr@10")
    with pytest.raises(InvalidArgumentError, match="no comparison"):
        plot_comparison([])


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match="finetune"):
        plot_training(run())


def test_the_options_of_the_process_change_nothing_and_stay_as_they_are() -> None:
    before = plot_training(run()), plot_comparison([compared()])
    with matplotlib.rc_context({"font.size": 20.0, "svg.hashsalt": None, "axes.grid": True}):
        assert (plot_training(run()), plot_comparison([compared()])) == before
        assert matplotlib.rcParams["font.size"] == 20.0
    assert "matplotlib.pyplot" not in sys.modules


def test_the_same_input_gives_the_same_bytes_in_every_process(tmp_path: Path, root: Path) -> None:
    """Whatever the hash seed, the time zone and the settings of matplotlib on the machine."""
    code = """
        import hashlib, sys
        from tests.services.model_finetuner.exporting.test_plots import compared, run
        from ragtime.services.model_finetuner.exporting import plot_comparison, plot_training
        drawings = plot_training(run()) + plot_comparison([compared()])
        assert "/home" not in drawings and "dc:date" not in drawings
        sys.stdout.write(hashlib.sha256(drawings.encode()).hexdigest())
    """
    (tmp_path / "matplotlibrc").write_text("font.size: 17\nlines.linewidth: 5\n")
    told = set()
    for seed, zone in (("0", "UTC"), ("1", "Asia/Tokyo")):
        environment = {
            **os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1",
            **({"MATPLOTLIBRC": str(tmp_path)} if seed == "1" else {}),
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False, env=environment
        )
        assert done.returncode == 0, done.stderr
        told.add(done.stdout)
    assert len(told) == 1
