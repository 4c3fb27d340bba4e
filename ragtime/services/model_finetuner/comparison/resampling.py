"""What paired differences show: a randomisation test, a bootstrap interval, and the effects that can be seen.

Methods: Fisher's randomisation test as Smucker, Allan and Carterette recommend it for retrieval ("A comparison of
statistical significance tests for information retrieval evaluation", 2007); its p-values by Phipson and Smyth
("Permutation p-values should never be zero", 2010); the BCa interval of Efron ("Better bootstrap confidence intervals",
1987).
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

from ragtime.errors import InvalidArgumentError
from ragtime.utils.extras import LazyModule, require
from ragtime.utils.hashing import keyed_seed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = [
    "ROUNDING",
    "SignFlipTest",
    "bootstrap_interval",
    "fewest_questions",
    "questions_needed",
    "sign_flip_test",
    "visible_effect",
]

ROUNDING = 1e-12
"""Sums and differences that are not further apart than this are equal: figures are about 1."""

_EXACT = 16  # differences up to which all signs are tried
_BLOCK = 1 << 21  # numbers that are in memory at once
_LEAST = 2  # differences of an interval
_FEWEST_RESAMPLES = 100


class SignFlipTest(NamedTuple):
    """What a sign-flip test gave.

    Attributes:
        greater: One-sided p-value: how likely a mean at least as high is when the sign of every difference is chance.
        less: One-sided p-value of a mean at least as low.
        two_sided: p-value of a mean at least as far from 0.
        exact: Whether all signs were tried, not a sample of them.
    """

    greater: float
    less: float
    two_sided: float
    exact: bool


def sign_flip_test(differences: npt.ArrayLike, *, resamples: int = 10_000, seed: int = 42) -> SignFlipTest:
    """Test whether the mean of paired differences is 0, by a permutation test that flips signs.

    If both models are equal, each question may as well have got its two scores the other way round. Of up to 16
    differences that are not 0, all signs are tried; of more, a sample, to which the found signs are added. Differences
    of 0 change nothing, and are left out.

    This is not ``scipy.stats.permutation_test``: that permutes indices instead of signs, which takes 28 times as long
    for 1,374 questions, and when the mean is near 0 it misses sums that are equal to it but for rounding.

    Args:
        differences: One finite number for each question.
        resamples: Size of the sample of signs, at least 100.
        seed: Another one gives another sample.

    Returns:
        The p-values. Those of the negated differences are the same, with `greater` and `less` exchanged.

    Raises:
        InvalidArgumentError: The differences are not finite or not of one dimension, or the resamples are too few.
    """
    values = _checked(differences, resamples)
    moved = values[values != 0]
    exact = len(moved) <= _EXACT
    found = moved.sum()
    equal = ROUNDING * np.abs(moved).sum()
    greater = less = far = tried = 0
    for flips in _all_flips(len(moved)) if exact else _random_flips(len(moved), resamples, seed):
        sums = 2.0 * (flips.astype(np.float64) @ moved) - found
        greater += int((sums >= found - equal).sum())
        less += int((sums <= found + equal).sum())
        far += int((np.abs(sums) >= abs(found) - equal).sum())
        tried += len(sums)
    more = 0 if exact else 1  # the found signs are one way to choose them, too
    p_greater, p_less, p_far = ((count + more) / (tried + more) for count in (greater, less, far))
    return SignFlipTest(p_greater, p_less, p_far, exact)


def _all_flips(count: int) -> list[npt.NDArray[np.uint8]]:
    numbers = np.arange(1 << count)[:, None]
    return [(numbers >> np.arange(count) & 1).astype(np.uint8)]


def _random_flips(count: int, resamples: int, seed: int) -> Any:
    random = np.random.default_rng(keyed_seed(seed, "sign flips"))
    step = max(1, _BLOCK // count)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = random.integers(0, 256, (rows, (count + 7) // 8), dtype=np.uint8)
        yield np.unpackbits(drawn, axis=1, count=count)


def bootstrap_interval(
    differences: npt.ArrayLike, *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 42
) -> tuple[float, float]:
    """Estimate an interval for the mean of paired differences, by ``scipy.stats.bootstrap`` with BCa.

    Args:
        differences: One finite number for each question, at least 2.
        confidence: How often such an interval holds the true mean, from 0.5 to 0.999.
        resamples: How often questions are drawn anew, at least 100.
        seed: Another one draws others.

    Returns:
        Its ends. Where all differences are equal, both are that difference: the data then show no spread.

    Raises:
        InvalidArgumentError: The differences are not finite, not of one dimension or too few, or an option is out of
            range.
        MissingExtraError: scipy is not installed.
    """
    values = _checked(differences, resamples)
    if len(values) < _LEAST:
        raise InvalidArgumentError(f"An interval needs at least {_LEAST} differences, found {len(values)}")
    if not 0.5 <= confidence <= 0.999:  # noqa: PLR2004 - as documented
        raise InvalidArgumentError(f"confidence must be from 0.5 to 0.999, found {confidence!r}")
    stats: Any = require("scipy.stats", "finetune")
    if np.ptp(values) <= ROUNDING:  # BCa is not defined without spread
        mean = math.fsum(values.tolist()) / len(values)
        return mean, mean
    found = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=resamples,
        batch=max(1, _BLOCK // len(values)),
        confidence_level=confidence,
        method="BCa",
        rng=np.random.default_rng(keyed_seed(seed, "bootstrap")),
    ).confidence_interval
    return float(found.low), float(found.high)


def _checked(differences: npt.ArrayLike, resamples: int) -> npt.NDArray[np.float64]:
    values = np.asarray(differences, np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise InvalidArgumentError(
            f"Expected one finite difference for each question; found an array of shape {list(values.shape)}"
            + (" with nan or infinity in it" if values.ndim == 1 else "")
        )
    if resamples < _FEWEST_RESAMPLES:
        raise InvalidArgumentError(f"resamples must be at least {_FEWEST_RESAMPLES}, found {resamples!r}")
    return values


# --- power ----------------------------------------------------------------------------------------------------------


def fewest_questions(alpha: float) -> int:
    """Return how many questions must differ before a one-sided sign-flip test can give p ≤ `alpha`.

    Args:
        alpha: The level of the test, above 0 and under 1.

    Returns:
        The number: with n of them, p is 1 / 2^n at best.

    Raises:
        InvalidArgumentError: The level is out of range.
    """
    _check_share("alpha", alpha)
    return math.ceil(-math.log2(alpha))


def visible_effect(spread: float, questions: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the smallest true mean difference that a one-sided paired test would find with a certain power.

    It is ``(z(1 - alpha) + z(power)) * spread / sqrt(questions)``, where z are quantiles of the normal distribution:
    2.49 standard errors by default (Cohen, "Statistical power analysis for the behavioral sciences", 1988).

    Args:
        spread: Standard deviation of the differences, at least 0.
        questions: How many there are, at least 1.
        alpha: The level of the test.
        power: How often the effect is to be found.

    Returns:
        The difference.

    Raises:
        InvalidArgumentError: A share is not between 0 and 1, or the power not above the level.
    """
    return _quantiles(alpha, power) * spread / math.sqrt(questions)


def questions_needed(spread: float, effect: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Return how many questions a one-sided paired test needs to find an effect; see :func:`visible_effect`.

    Args:
        spread: Standard deviation of the differences, at least 0.
        effect: The true mean difference, above 1e-12.
        alpha: The level of the test.
        power: How often the effect is to be found.

    Returns:
        The number, at least that of :func:`fewest_questions`.

    Raises:
        InvalidArgumentError: The effect is not finite, or not above what rounding does, 1e-12; a share is not between 0
            and 1, or the power not above the level.
    """
    if not ROUNDING < effect < math.inf:
        raise InvalidArgumentError(f"effect must be above {ROUNDING:g}, and finite; found {effect!r}")
    return max(math.ceil((_quantiles(alpha, power) * spread / effect) ** 2), fewest_questions(alpha))


def _quantiles(alpha: float, power: float) -> float:
    _check_share("alpha", alpha)
    _check_share("power", power)
    if power <= alpha:
        raise InvalidArgumentError(f"power must be above alpha, found {power!r} and {alpha!r}")
    return NormalDist().inv_cdf(1 - alpha) + NormalDist().inv_cdf(power)


def _check_share(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise InvalidArgumentError(f"{name} must be above 0 and under 1, found {value!r}")
