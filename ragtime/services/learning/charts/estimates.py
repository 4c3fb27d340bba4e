"""Figures before and after: dots with their intervals, and what became of the single questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragtime.services.learning.charts.svg import Scale, counted, decimal, drawing, signed, tag, text_at
from ragtime.utils.templates import TrustedHTML

__all__ = ["Estimate", "draw_estimates", "draw_questions", "draw_share"]

_WIDTH = 440.0
_LEFT, _RIGHT = 92.0, 322.0  # of the plot; labels before it, values behind it
_ROW, _TOP, _BOTTOM = 40.0, 6.0, 26.0
_RADIUS = 6.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A row of a drawing.

    Attributes:
        label: What it is called.
        style: Its class, which names colour and mark: ``base``, ``in-use``, ``tuned``, or ``change``.
        value: The value.
        low: Lower end of its interval; ``None`` for none.
        high: Upper end.
    """

    label: str
    style: str
    value: float
    low: float | None = None
    high: float | None = None


def draw_estimates(key: str, title: str, rows: Sequence[Estimate], *, change: bool = False) -> TrustedHTML:
    """Draw values with their intervals, one below the other.

    Args:
        key: Begins the ids in it.
        title: What is drawn, such as ``nDCG@10``.
        rows: The values, at least one.
        change: Whether they are differences: with their signs, beside a line at 0.

    Returns:
        The drawing.
    """
    write = signed if change else decimal
    values = [value for row in rows for value in (row.value, row.low, row.high) if value is not None]
    scale = Scale.over([*values, 0.0] if change else values, _LEFT, _RIGHT)
    bottom = _TOP + _ROW * len(rows)
    parts: list[TrustedHTML] = []
    for place, label in scale.ticks(4):
        parts.append(tag("line", class_="grid", x1=place, x2=place, y1=_TOP, y2=bottom))
        parts.append(text_at(place, bottom + 17, label, "tick", anchor="middle"))
    if change:
        parts.append(tag("line", class_="zero", x1=scale.at(0.0), x2=scale.at(0.0), y1=_TOP, y2=bottom))
    for number, row in enumerate(rows):
        parts += _row(row, scale, _TOP + _ROW * (number + 0.5), write(row.value), _interval(row, change=change))
    told = "; ".join(f"{row.label} {write(row.value)}{_in_words(row, change=change)}" for row in rows)
    return drawing(key, title, f"{told}.", (_WIDTH, bottom + _BOTTOM), *parts)


def _row(row: Estimate, scale: Scale, y: float, value: str, interval: str) -> list[TrustedHTML]:
    parts = [text_at(0, y + 4.5, row.label, "label")]
    if row.low is not None and row.high is not None:
        low, high = scale.at(row.low), scale.at(row.high)
        parts.append(tag("line", class_=f"interval {row.style}", x1=low, x2=high, y1=y, y2=y))
        parts += [tag("line", class_=f"end {row.style}", x1=x, x2=x, y1=y - 5, y2=y + 5) for x in (low, high)]
    parts.append(_mark(row.style, scale.at(row.value), y))
    middle = y + 4.5 if not interval else y - 2.5
    parts.append(text_at(_WIDTH, middle, value, "value", anchor="end"))
    if interval:
        parts.append(text_at(_WIDTH, y + 13, interval, "tick", anchor="end"))
    return parts


def _mark(style: str, x: float, y: float) -> TrustedHTML:
    """Draw a mark whose form, too, tells what it stands for: a ring, a square, a dot or a rhombus."""
    if style == "in-use":
        return tag("rect", class_=f"mark {style}", x=x - 5, y=y - 5, width=10.0, height=10.0)
    if style == "change":
        return tag("path", class_=f"mark {style}", d=_rhombus(x, y))
    return tag("circle", class_=f"mark {style}", cx=x, cy=y, r=_RADIUS - 0.5 if style == "base" else _RADIUS)


def _rhombus(x: float, y: float) -> str:
    size = _RADIUS + 1
    return f"M{x:.1f} {y - size:.1f}L{x + size:.1f} {y:.1f}L{x:.1f} {y + size:.1f}L{x - size:.1f} {y:.1f}Z"


def _interval(row: Estimate, *, change: bool) -> str:
    if row.low is None or row.high is None:
        return ""
    write = signed if change else decimal
    return f"{write(row.low)} to {write(row.high)}"


def _in_words(row: Estimate, *, change: bool) -> str:
    interval = _interval(row, change=change)
    return f", interval {interval}" if interval else ""


def draw_questions(key: str, *, won: int, tied: int, lost: int) -> TrustedHTML:
    """Draw how many questions one model answers better, equally well, and worse than the other.

    Args:
        key: Begins the ids in it.
        won: Those that got better.
        tied: Those that did not change.
        lost: Those that got worse.

    Returns:
        The drawing.
    """
    parts: list[TrustedHTML] = []
    place, total = 0.0, max(1, won + tied + lost)
    for count, style in ((won, "won"), (tied, "tied"), (lost, "lost")):
        width = _WIDTH * count / total
        if count:
            parts.append(tag("rect", class_=f"part {style}", x=place, y=4.0, width=max(1.0, width - 1), height=22.0))
        place += width
    labels = ((0.0, f"▲ {counted(won)} better", None), (_WIDTH / 2, f"{counted(tied)} equal", "middle"))
    parts += [text_at(x, 46, label, "label", anchor=anchor) for x, label, anchor in labels]
    parts.append(text_at(_WIDTH, 46, f"▼ {counted(lost)} worse", "label", anchor="end"))
    told = f"{counted(won)} questions got better, {counted(tied)} stayed equal, {counted(lost)} got worse."
    return drawing(key, "Single questions", told, (_WIDTH, 54.0), *parts)


def draw_share(share: float) -> TrustedHTML:
    """Draw a bar beside a number that is written there, too.

    Args:
        share: Its length, 0 to 1.

    Returns:
        The drawing, which readers of screens leave out.
    """
    bar = tag("rect", class_="part", width=100 * min(1.0, max(0.0, share)), height=6.0)
    return tag("svg", bar, class_="share", viewBox="0 0 100 6", preserveAspectRatio="none", aria_hidden="true")
