"""Names of figures: which there are, and which way is better."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ragtime.errors import InvalidArgumentError, did_you_mean

__all__ = [
    "CORRELATION_FIGURES",
    "CUTOFFS",
    "RATING_FIGURES",
    "check_figure",
    "cutoff_of",
    "higher_is_better",
    "ranking_names",
]

CUTOFFS = (1, 3, 5, 10, 100)
"""Ranks at which rankings are looked at by default."""

RATING_FIGURES = ("auc", "average_precision")
"""Figures of labelled pairs of which some fit and others do not."""

CORRELATION_FIGURES = ("pearson", "spearman")
"""Figures of pairs whose labels differ."""

_LOSS = "loss"
_AT = re.compile(r"(?:ndcg|mrr|recall|accuracy)@([1-9][0-9]{0,5})")


def higher_is_better(name: str) -> bool:
    """Tell whether a higher value of a figure is the better one: so it is of all but ``loss``."""
    return name != _LOSS


def cutoff_of(name: str) -> int | None:
    """Return the k of a figure such as ``ndcg@10``; ``None`` of any other name."""
    found = _AT.fullmatch(name)
    return None if found is None else int(found[1])


def ranking_names(cutoffs: Sequence[int]) -> tuple[str, ...]:
    """Return the names of the figures that rankings give at some cutoffs."""
    return (*(f"{kind}@{k}" for kind in ("ndcg", "mrr", "recall", "accuracy") for k in cutoffs), "map")


def check_figure(name: str, names: Iterable[str]) -> None:
    """Raise when a figure is not among those that there will be.

    Args:
        name: The figure asked for; ``loss`` is always there.
        names: Those that the data can give.

    Raises:
        InvalidArgumentError: It is none of them; lists them.
    """
    known = [*names, _LOSS]
    if name not in known:
        raise InvalidArgumentError(
            f"There is no figure {name[:50]!r} for these data{did_you_mean(name, known)}; there are {', '.join(known)}"
        )
