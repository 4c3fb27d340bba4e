"""Curves of a training run: the loss of its steps, and the figure that chose the best of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ragtime.services.learning.charts.svg import Scale, counted, decimal, drawing, tag, text_at
from ragtime.services.learning.report import LossPoint, ValidationPoint
from ragtime.utils.templates import TrustedHTML

__all__ = ["draw_losses", "draw_validation"]

_SIZE = (440.0, 230.0)
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 430.0, 12.0, 190.0
_MOST_POINTS = 250
_SMOOTHED_OVER = 20  # parts of a run
_MARGIN, _LABEL_MARGIN = 0.1, 0.2  # of the axis of values: without labels above points, and with them

Point = tuple[float, float]


def draw_losses(key: str, losses: Sequence[LossPoint]) -> TrustedHTML:
    """Draw the loss of every step, and its moving mean.

    Args:
        key: Begins the ids in it.
        losses: The losses, at least one, by step.

    Returns:
        The drawing.
    """
    points = [(float(one.step), one.loss) for one in losses]
    across, upward = _axes(points, _MARGIN)
    width = max(1, len(points) // _SMOOTHED_OVER)
    means = [
        (points[end - 1][0], math.fsum(loss for _, loss in points[end - width : end]) / width)
        for end in range(width, len(points) + 1)
    ]
    parts = _frame(across, upward)
    if width > 1:
        parts.append(_line(points, across, upward, "line faint"))
    parts.append(_line(means, across, upward, "line"))
    if len(points) == 1:
        parts.append(_dot(points[0], across, upward))
    told = f"{counted(len(points))} steps: the loss goes from {decimal(means[0][1])} to {decimal(means[-1][1])}"
    smoothed = f", in the mean of {counted(width)} steps" if width > 1 else ""
    return drawing(key, "Training loss", f"{told}{smoothed}.", _SIZE, *parts)


def draw_validation(key: str, name: str, validation: Sequence[ValidationPoint], best_step: int) -> TrustedHTML:
    """Draw the course of a validation figure, with the base model's and the step that was kept.

    Args:
        key: Begins the ids in it.
        name: The figure.
        validation: Its values, at least one, by step; step 0 is the base model.
        best_step: The step that was kept.

    Returns:
        The drawing.
    """
    points = [(float(one.step), one.value) for one in validation]
    across, upward = _axes(points, _LABEL_MARGIN)
    values = {one.step: one.value for one in validation}
    parts, told = _frame(across, upward), []
    if 0 in values:
        y = upward.at(values[0])
        parts.append(tag("line", class_="reference", x1=_LEFT, x2=_RIGHT, y1=y, y2=y))
        told.append(f"the base model has {decimal(values[0])}")
    parts.append(_line(points, across, upward, "line"))
    parts += [_dot(point, across, upward) for point in _thinned(points)]
    if 0 in values:
        y += -6 if points[-1][1] < values[0] else 15  # on the side where the curve does not end
        parts.append(text_at(_RIGHT, y, f"base {decimal(values[0])}", "tick halo", anchor="end"))
    if best_step in values:
        parts += _kept(across, upward, best_step, values[best_step])
        told.append(f"step {counted(best_step)} was kept with {decimal(values[best_step])}")
    told = told or [f"{counted(len(points))} values"]
    return drawing(key, f"{name} on the validation data", f"{'; '.join(told)}.", _SIZE, *parts)


def _kept(across: Scale, upward: Scale, step: int, value: float) -> list[TrustedHTML]:
    x, y = across.at(float(step)), upward.at(value)
    quarter = (_RIGHT - _LEFT) / 4
    anchor = "end" if x > _RIGHT - quarter else "start" if x < _LEFT + quarter else "middle"
    return [
        tag("circle", class_="ring", cx=x, cy=y, r=7.0),
        text_at(x, y - 13, f"kept: step {counted(step)}, {decimal(value)}", "label halo", anchor=anchor),
    ]


def _axes(points: Sequence[Point], margin: float) -> tuple[Scale, Scale]:
    across = Scale.over([0.0, *(step for step, _ in points)], _LEFT, _RIGHT, margin=0.0)
    return across, Scale.over([value for _, value in points], _BOTTOM, _TOP, margin=margin)


def _frame(across: Scale, upward: Scale) -> list[TrustedHTML]:
    parts: list[TrustedHTML] = []
    for y, label in upward.ticks(5):
        parts.append(tag("line", class_="grid", x1=_LEFT, x2=_RIGHT, y1=y, y2=y))
        parts.append(text_at(_LEFT - 7, y + 4, label, "tick", anchor="end"))
    for x, label in across.ticks(6, whole=True):
        parts.append(tag("line", class_="stroke", x1=x, x2=x, y1=_BOTTOM, y2=_BOTTOM + 4))
        parts.append(text_at(x, _BOTTOM + 18, label, "tick", anchor="middle"))
    parts.append(tag("line", class_="stroke", x1=_LEFT, x2=_RIGHT, y1=_BOTTOM, y2=_BOTTOM))
    parts.append(text_at(_RIGHT, _BOTTOM + 36, "step", "tick", anchor="end"))
    return parts


def _dot(point: Point, across: Scale, upward: Scale) -> TrustedHTML:
    return tag("circle", class_="dot", cx=across.at(point[0]), cy=upward.at(point[1]), r=3.0)


def _line(points: Sequence[Point], across: Scale, upward: Scale, style: str) -> TrustedHTML:
    places = " ".join(f"{across.at(x):.1f},{upward.at(y):.1f}" for x, y in _thinned(points))
    return tag("polyline", class_=style, points=places)


def _thinned(points: Sequence[Point]) -> list[Point]:
    """Put means of neighbours in the place of more points than can be told apart; the last one stays."""
    size = math.ceil(len(points) / _MOST_POINTS)
    if size == 1:
        return list(points)
    parts = [points[start : start + size] for start in range(0, len(points) - 1, size)]
    return [*((_mean(part, 0), _mean(part, 1)) for part in parts), points[-1]]


def _mean(points: Sequence[Point], axis: int) -> float:
    return math.fsum(point[axis] for point in points) / len(points)
