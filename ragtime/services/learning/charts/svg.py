"""SVG for pages, made by hand: texts and attributes are escaped, numbers have one form, colours come from the page."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from markupsafe import escape

from ragtime.utils.templates import TrustedHTML
from ragtime.utils.templates.filters.formats import format_number

__all__ = ["MINUS", "Scale", "counted", "decimal", "drawing", "shown", "signed", "tag", "text_at"]

MINUS = "\u2212"
"""The sign of what is negative, or was taken away."""

_THIN_SPACE = "\u202f"  # between thousands
_MOST_DIGITS = 6
_STEPS = (1, 2, 5, 10)
_PLAIN = (1e-4, 1e6)  # magnitudes that an axis writes without an exponent
_NARROW = 0.02  # span of an axis whose values are all the same


def tag(name: str, /, *children: str, **attributes: str | float | None) -> TrustedHTML:
    """Write an element.

    Args:
        name: Its name.
        *children: What stands in it: markup that this module has made as it is, any other text escaped.
        **attributes: Its attributes; ``_`` stands for ``-``, one at the end is dropped, ``None`` leaves out.

    Returns:
        The element.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_told(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inner = "".join(escape(child) for child in children)
    return TrustedHTML(f"<{name}{written}>{inner}</{name}>" if children else f"<{name}{written}/>")


def _told(value: str | float) -> str:
    """Write a coordinate with one digit, the same on every machine."""
    if isinstance(value, str):
        return value
    told = f"{value:.1f}".removesuffix(".0")
    return "0" if told == "-0" else told


def drawing(key: str, title: str, description: str, size: tuple[float, float], *children: str) -> TrustedHTML:
    """Write a drawing that says in words what it shows.

    Args:
        key: Begins the ids in it; each drawing of a page has another.
        title: What it is.
        description: What can be seen in it.
        size: Width and height, in units of 1 px where it is not scaled.
        *children: Its elements, the last on top.

    Returns:
        The element ``svg``.
    """
    return tag(
        "svg",
        tag("title", shown(title, 200), id=f"{key}-title"),
        tag("desc", shown(description, 2000), id=f"{key}-desc"),
        *children,
        class_="drawing",
        viewBox=f"0 0 {_told(size[0])} {_told(size[1])}",
        role="img",
        aria_labelledby=f"{key}-title {key}-desc",
    )


def text_at(x: float, y: float, text: str, style: str = "", *, anchor: str | None = None) -> TrustedHTML:
    """Write a line of text.

    Args:
        x: Where it stands.
        y: Its base line.
        text: The text.
        style: Classes of the page's style sheet.
        anchor: ``middle`` or ``end`` when `x` is not where it begins.

    Returns:
        The element ``text``.
    """
    return tag("text", shown(text, 120), x=x, y=y, class_=style or None, text_anchor=anchor)


def shown(text: str, characters: int) -> str:
    """Cut a text to what there is room for; what cannot be printed, such as marks of direction, becomes a blank."""
    line = "".join(character if character.isprintable() or character == _THIN_SPACE else " " for character in text)
    return line if len(line) <= characters else f"{line[: characters - 1].rstrip()}…"


def counted(number: int) -> str:
    """Write a number of things, with its thousands apart."""
    return format_number(number)


def decimal(value: float) -> str:
    """Write a figure with three digits."""
    return f"{value:.3f}".replace("-0.000", "0.000").replace("-", MINUS)


def signed(value: float) -> str:
    """Write a difference with three digits and its sign."""
    told = f"{value:+.3f}"
    return "0.000" if told in {"+0.000", "-0.000"} else told.replace("-", MINUS)


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis: where values stand.

    Attributes:
        low: The value at its start.
        high: The value at its end.
        start: Place of its start.
        end: Place of its end.
    """

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def over(cls, values: Iterable[float], start: float, end: float, *, margin: float = 0.06) -> Self:
        """Make an axis that holds all of some values, at least one.

        Args:
            values: The values.
            start: Place of its start.
            end: Place of its end.
            margin: What is left free at both ends, as a share of the span.

        Returns:
            The axis.
        """
        found = list(values)
        low, high = min(found), max(found)
        span = high - low
        if span <= abs(high) * 1e-9:
            span = max(_NARROW, abs(high) * _NARROW)
            low, high = low - span / 2, high + span / 2
        return cls(low - span * margin, high + span * margin, start, end)

    def at(self, value: float) -> float:
        """Return the place of a value."""
        return self.start + (self.end - self.start) * (value - self.low) / (self.high - self.low)

    def ticks(self, most: int = 5, *, whole: bool = False) -> list[tuple[float, str]]:
        """Return round values on the axis with what is written there.

        Args:
            most: About how many; there are at most two more.
            whole: Whether they are whole numbers.

        Returns:
            Place and text of each; there may be one or none when the axis holds no whole number.
        """
        rough = (self.high - self.low) / (most + 1)
        power = math.floor(math.log10(rough))
        step = next(one for one in (factor * 10.0**power for factor in _STEPS) if one >= rough * (1 - 1e-9))
        if whole:
            step = max(1.0, step)
        digits = min(_MOST_DIGITS, max(0, -math.floor(math.log10(step) + 1e-9)))
        numbers = range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)
        return [(self.at(number * step), _tick(number * step, digits)) for number in numbers]


def _tick(value: float, digits: int) -> str:
    if value and not _PLAIN[0] <= abs(value) < _PLAIN[1]:
        return f"{value:.3g}".replace("-", MINUS)
    return format_number(float(value), digits).replace("-", MINUS)
