"""Figures of labelled pairs: how well similarities tell good pairs from bad ones, and how they follow grades."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ragtime.errors import InvalidArgumentError
from ragtime.utils.extras import LazyModule, require

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["correlation_figures", "rating_figures"]


def rating_figures(good: npt.ArrayLike, similarities: npt.ArrayLike) -> dict[str, float]:
    """Measure how well similarities tell good pairs from bad ones.

    ``auc`` is the area under the ROC curve: the chance that a good pair is more similar than a bad one, where a tie
    counts half (Hanley and McNeil, 1982). ``average_precision`` is the mean of the precision over the thresholds at
    which a good pair comes in; pairs that tie come in together.

    Args:
        good: Whether each pair is a good one; both kinds are there.
        similarities: Their similarities.

    Returns:
        Both figures, from 0 to 1.

    Raises:
        InvalidArgumentError: Only one kind is there.
    """
    wanted, values = np.asarray(good, np.bool_), np.asarray(similarities, np.float64)
    positives = int(wanted.sum())
    if not 0 < positives < len(wanted):
        raise InvalidArgumentError(f"Expected good and bad pairs, found {positives} good ones of {len(wanted)}")
    # From the highest on, the pairs of one similarity together.
    _, level = np.unique(-values, return_inverse=True)
    hits = np.bincount(level, wanted)
    misses = np.bincount(level, ~wanted)
    found, passed = np.cumsum(hits), np.cumsum(misses)
    # A good pair beats all bad ones that come after it, and half of those that tie.
    beaten = (hits * (passed[-1] - passed + misses / 2)).sum()
    return {
        "auc": float(beaten / (positives * passed[-1])),
        "average_precision": float((hits * found / (found + passed)).sum() / positives),
    }


def correlation_figures(labels: npt.ArrayLike, similarities: npt.ArrayLike) -> dict[str, float]:
    """Measure how similarities follow grades.

    Args:
        labels: How similar each pair should be; at least two pairs, not all labelled alike.
        similarities: How similar it is.

    Returns:
        ``pearson`` and ``spearman``, from -1 to 1; 0 when all similarities are equal, for then nothing can be seen.

    Raises:
        InvalidArgumentError: All labels are equal.
        MissingExtraError: scipy is not installed.
    """
    wanted, values = np.asarray(labels, np.float64), np.asarray(similarities, np.float64)
    if not len(wanted) or np.ptp(wanted) == 0:
        raise InvalidArgumentError(f"Expected pairs with different labels, found {len(wanted)} labelled alike")
    stats: Any = require("scipy.stats", "finetune")
    if np.ptp(values) == 0:
        return {"pearson": 0.0, "spearman": 0.0}
    return {
        "pearson": float(stats.pearsonr(wanted, values).statistic),
        "spearman": float(stats.spearmanr(wanted, values).statistic),
    }
