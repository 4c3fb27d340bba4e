"""Figures in the metrics of a version: each with its name, its value, and the interval where there is one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

if TYPE_CHECKING:
    from pydantic import JsonValue

__all__ = ["Figure", "figures_of"]

_VALUE, _INTERVAL = "value", "interval"
_ENDS = 2


class Figure(NamedTuple):
    """A figure.

    Attributes:
        value: What was measured; a count is an int.
        interval: Its lower and its upper end; ``None`` when nobody told.
    """

    value: float
    interval: tuple[float, float] | None = None

    def __str__(self) -> str:
        if self.interval is None:
            return f"{self.value:,}" if isinstance(self.value, int) else f"{self.value:.4f}"
        return f"{self.value:.4f} [{self.interval[0]:.4f}, {self.interval[1]:.4f}]"


def figures_of(metrics: Mapping[str, JsonValue]) -> dict[str, Figure]:
    """Find the figures in metrics.

        >>> metrics = {"handbook": {"ndcg@10": {"value": 0.52, "interval": [0.5, 0.54]}, "questions": 200}}
        >>> {name: str(figure) for name, figure in figures_of(metrics).items()}
        {'handbook ndcg@10': '0.5200 [0.5000, 0.5400]', 'handbook questions': '200'}

    Args:
        metrics: JSON values by name. A number is a figure, and so is an object with a number ``value`` and perhaps an
            ``interval`` of two; other objects are groups of them. Anything else is passed over.

    Returns:
        The figures by their names, those of the groups in front, in the order of the metrics.
    """
    return dict(_walk("", metrics))


def _walk(name: str, value: JsonValue | Mapping[str, JsonValue]) -> Iterator[tuple[str, Figure]]:
    if _is_number(value):
        yield name, Figure(value)
    elif isinstance(value, Mapping):
        number = value.get(_VALUE)
        if _is_number(number):
            yield name, Figure(number, _interval(value.get(_INTERVAL)))
            return
        for key, inner in value.items():
            yield from _walk(f"{name} {key}".strip(), inner)


def _interval(value: JsonValue) -> tuple[float, float] | None:
    if isinstance(value, list | tuple) and len(value) == _ENDS and all(_is_number(end) for end in value):
        return float(value[0]), float(value[1])  # type: ignore[arg-type]
    return None


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
