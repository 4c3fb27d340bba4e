"""Curves of a run and comparisons of two models, drawn as SVG: the same input gives the same bytes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.comparison import Comparison, ComparisonSummary
from ragtime.services.model_finetuner.metrics import FineTuningMetrics
from ragtime.utils.extras import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_comparison", "plot_training"]

_STYLE = {
    "svg.hashsalt": "ragtime",  # ids of elements are hashes with it; by default it is drawn anew for each file
    "svg.fonttype": "none",  # text stays text: small files, and no fonts of this machine in them
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "legend.frameon": False,
}
_WIDTH, _HEIGHT = 4.2, 2.9  # inches of a panel
_BLUE, _ORANGE, _GREY, _PALE = "#0072b2", "#d55e00", "#666666", "#b9d3e6"  # told apart by the colour-blind, too
_SMOOTHED_OVER = 20  # parts of a run
_SHOWN_CHARACTERS = 40


def plot_training(metrics: FineTuningMetrics, *, figure: str | None = None) -> str:
    """Draw the curves of a run: loss, learning rate, and a validation figure with the base model's and the kept step.

    The options of matplotlib are changed for the time of the call, and put back.

    Args:
        metrics: What the run told.
        figure: The validation figure, such as ``ndcg@10``; ``None`` means that, or the first there is.

    Returns:
        The drawing, an SVG document.

    Raises:
        InvalidArgumentError: The run tells of no steps, or has no such figure.
        MissingExtraError: matplotlib is not installed.
    """
    if not metrics.steps:
        raise InvalidArgumentError("The metrics tell of no steps: there are no curves to draw")
    measured = _measured(metrics, figure)

    def draw(panels: Sequence[Axes]) -> None:
        _draw_loss(panels[0], metrics)
        _draw_learning_rate(panels[1], metrics)
        if measured is not None:
            _draw_validation(panels[2], metrics, *measured)

    return _svg(2 if measured is None else 3, draw)


def plot_comparison(comparisons: Sequence[ComparisonSummary]) -> str:
    """Draw how a tuned model does beside its base.

    The first panel has the mean difference of each comparison with its interval; each ``Comparison``, which knows its
    questions, gets a panel of its own with the difference of every question, the largest gain first. The options of
    matplotlib are changed for the time of the call, and put back.

    Args:
        comparisons: Comparisons of the same two models, such as that of the held-out questions and the general check.

    Returns:
        The drawing, an SVG document.

    Raises:
        InvalidArgumentError: There is none.
        MissingExtraError: matplotlib is not installed.
    """
    if not comparisons:
        raise InvalidArgumentError("There is no comparison to draw; give one or more")
    by_question = [compared for compared in comparisons if isinstance(compared, Comparison)]

    def draw(panels: Sequence[Axes]) -> None:
        _draw_means(panels[0], comparisons)
        for panel, compared in zip(panels[1:], by_question, strict=True):
            _draw_questions(panel, compared)

    return _svg(1 + len(by_question), draw)


def _measured(metrics: FineTuningMetrics, figure: str | None) -> tuple[str, list[int], list[float]] | None:
    """Return the name of a figure, and its values with their steps; ``None`` when nothing was validated."""
    known = [name for record in metrics.evaluations for name in record.figures]
    if figure is not None and figure not in known:
        raise InvalidArgumentError(
            f"The run has no validation figure {figure[:50]!r}; it has {', '.join(dict.fromkeys(known)) or 'none'}"
        )
    if not known:
        return None
    name = figure or ("ndcg@10" if "ndcg@10" in known else known[0])
    found = [(record.step, record.figures[name]) for record in metrics.evaluations if name in record.figures]
    return name, [step for step, _ in found], [value for _, value in found]


def _draw_loss(panel: Axes, metrics: FineTuningMetrics) -> None:
    steps, losses = [one.step for one in metrics.steps], [one.loss for one in metrics.steps]
    panel.plot(steps, losses, color=_PALE, linewidth=1.0, label="step")
    width = max(1, len(losses) // _SMOOTHED_OVER)
    if width > 1:
        means = [sum(losses[end - width : end]) / width for end in range(width, len(losses) + 1)]
        panel.plot(steps[width - 1 :], means, color=_BLUE, label=f"mean of {width}")
        panel.legend()
    _label(panel, "Training loss", "step")


def _draw_learning_rate(panel: Axes, metrics: FineTuningMetrics) -> None:
    panel.plot([one.step for one in metrics.steps], [one.learning_rate for one in metrics.steps], color=_BLUE)
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:.3g}")
    _label(panel, "Learning rate", "step")


def _draw_validation(
    panel: Axes, metrics: FineTuningMetrics, name: str, steps: Sequence[int], values: Sequence[float]
) -> None:
    panel.plot(steps, values, color=_BLUE, marker="o", markersize=3)
    if name in metrics.baseline:
        panel.axhline(metrics.baseline[name], color=_GREY, linestyle="--", linewidth=1.0, label="base model")
    if metrics.best_step in steps:
        best = values[list(steps).index(metrics.best_step)]
        panel.plot([metrics.best_step], [best], color=_ORANGE, marker="o", linestyle="none", label="kept")
    if panel.get_legend_handles_labels()[1]:
        panel.legend()
    _label(panel, f"{name}, validation", "step")


def _draw_means(panel: Axes, comparisons: Sequence[ComparisonSummary]) -> None:
    panel.axvline(0.0, color=_GREY, linewidth=1.0)
    for place, compared in enumerate(comparisons):
        low, high = compared.interval
        colour = _BLUE if low > 0 else _ORANGE if high < 0 else _GREY
        panel.plot([low, high], [place, place], color=colour, linewidth=2.0)
        panel.plot([compared.difference], [place], color=colour, marker="o")
    names = [f"{_shown(one.data_name)}\n{one.figure}, {one.questions:,} questions" for one in comparisons]
    panel.set_yticks(range(len(comparisons)), names, parse_math=False)
    panel.set_ylim(len(comparisons) - 0.5, -0.5)
    confidences = " and ".join(f"{100 * one:.3g} %" for one in sorted({one.confidence for one in comparisons}))
    _label(panel, "Tuned minus base", f"mean difference, {confidences} interval")


def _draw_questions(panel: Axes, compared: Comparison) -> None:
    differences = sorted(compared.differences, reverse=True)
    places = range(len(differences))
    gains, losses = [max(0.0, one) for one in differences], [min(0.0, one) for one in differences]
    panel.fill_between(places, gains, step="mid", color=_BLUE, linewidth=0.0, label=f"{compared.won:,} won")
    panel.fill_between(places, losses, step="mid", color=_ORANGE, linewidth=0.0, label=f"{compared.lost:,} lost")
    panel.axhline(0.0, color=_GREY, linewidth=1.0)
    panel.legend(title=f"{compared.tied:,} equal")
    _label(panel, f"{compared.figure} by question, {_shown(compared.data_name)}", "question, the largest gain first")


def _label(panel: Axes, title: str, below: str) -> None:
    panel.set_title(title, parse_math=False)
    panel.set_xlabel(below)
    panel.grid(visible=True, alpha=0.25)


def _shown(text: str) -> str:
    """Cut what others have named to a line that fits."""
    return "".join(character if character.isprintable() else " " for character in text)[:_SHOWN_CHARACTERS]


def _svg(panels: int, draw: Callable[[Sequence[Axes]], None]) -> str:
    """Draw panels side by side, in a style of our own whatever the options of the machine are."""
    matplotlib = require("matplotlib", "finetune")
    figures = require("matplotlib.figure", "finetune")
    with matplotlib.rc_context(), warnings.catch_warnings():
        # In an SVG the text stays text: what the font for measuring lacks, the reader's has.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        drawn: Figure = figures.Figure(figsize=(_WIDTH * panels, _HEIGHT), layout="constrained")
        draw(list(drawn.subplots(1, panels, squeeze=False)[0]))
        written = io.StringIO()
        drawn.savefig(written, format="svg", metadata={"Date": None, "Creator": "ragtime"})
    return "".join(line.rstrip() + "\n" for line in written.getvalue().splitlines())
