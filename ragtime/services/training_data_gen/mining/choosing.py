"""Which of the candidates that the rules leave become negatives."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ragtime.services.training_data_gen.mining.candidates import NOTHING, Candidates
from ragtime.services.training_data_gen.mining.draws import KeyedDraws
from ragtime.services.training_data_gen.mining.options import MiningOptions
from ragtime.services.training_data_gen.mining.result import GRADES
from ragtime.services.training_data_gen.mining.rules import ELIGIBLE, Codes, Rejection, code_of
from ragtime.services.training_data_gen.mining.task import Keys, Labels, Vectors
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["Chosen", "choose", "collect", "settle"]

Chosen: TypeAlias = "npt.NDArray[np.bool_]"


def choose(
    codes: Codes, options: MiningOptions, *, ranks: int, window: int, query_keys: Keys, passage_keys: Keys
) -> Chosen:
    """Choose the hard negatives and those in between.

    Args:
        codes: Codes of the ranked candidates, of shape ``[q, k]``.
        options: How many of which, and how.
        ranks: Rank from which candidates are no longer for hard negatives.
        window: How many candidates that the rules leave may be hard negatives.
        query_keys: uint64 of shape ``[q]``.
        passage_keys: uint64 of shape ``[q, k]``.

    Returns:
        Which candidates are chosen, of shape ``[q, k]``.
    """
    chosen = np.zeros(codes.shape, np.bool_)
    in_window, places = _window(codes[:, :ranks], options, window)
    if options.sampling == "top":
        chosen[:, :ranks] = in_window & (places < options.range_min + options.num_negatives)
    else:
        numbers = KeyedDraws(options.seed, "hard").numbers(query_keys[:, None], passage_keys[:, :ranks])
        chosen[:, :ranks] = _least(numbers, in_window, options.num_negatives)
    if options.in_between:
        further = slice(max(ranks, options.in_between_range[0]), options.in_between_range[1])
        numbers = KeyedDraws(options.seed, "in_between").numbers(query_keys[:, None], passage_keys[:, further])
        chosen[:, further] = _least(numbers, codes[:, further] == ELIGIBLE, options.in_between)
    return chosen


def _window(codes: Codes, options: MiningOptions, window: int) -> tuple[Chosen, npt.NDArray[np.int64]]:
    eligible = codes == ELIGIBLE
    places = np.cumsum(eligible, axis=1) - 1
    return eligible & (places >= options.range_min) & (places < window), places


def _least(numbers: Keys, allowed: Chosen, count: int) -> Chosen:
    """Choose the `count` allowed entries with the least numbers of each row."""
    order = np.argsort(np.where(allowed, numbers, np.iinfo(np.uint64).max), axis=1, kind="stable")[:, :count]
    chosen = np.zeros(allowed.shape, np.bool_)
    np.put_along_axis(chosen, order, values=True, axis=1)
    return chosen & allowed


def settle(codes: Codes, chosen: Chosen, options: MiningOptions, *, ranks: int, window: int) -> None:
    """Write why the candidates that nothing spoke against were not chosen.

    Args:
        codes: Codes of the ranked candidates, of shape ``[q, k]``; written to. Only what is chosen stays eligible.
        chosen: Which are chosen, of the same shape.
        options: The options they were chosen by.
        ranks: As for :func:`choose`.
        window: As for :func:`choose`.
    """
    reasons = np.full(codes.shape, code_of(Rejection.OUTSIDE_WINDOW), np.int8)
    in_window, places = _window(codes[:, :ranks], options, window)
    reasons[:, :ranks][in_window] = code_of(Rejection.NOT_CHOSEN)
    reasons[:, :ranks][places < options.range_min] = code_of(Rejection.BEFORE_RANGE_MIN)
    if options.in_between:
        reasons[:, max(ranks, options.in_between_range[0]) : options.in_between_range[1]] = code_of(
            Rejection.NOT_CHOSEN
        )
    lost = (codes == ELIGIBLE) & ~chosen
    codes[lost] = reasons[lost]


def collect(
    ranked: Candidates, chosen: Chosen, drawn: Candidates, *, ranks: int, width: int
) -> tuple[Labels, Vectors, Codes]:
    """Write the negatives of each query side by side.

    Args:
        ranked: The candidates, of shape ``[q, k]``.
        chosen: Which of them are chosen.
        drawn: The random negatives.
        ranks: As for :func:`choose`.
        width: Most negatives of a query.

    Returns:
        Positions, scores and grades, of shape ``[q, width]``, filled as :class:`MinedNegatives` says.
    """
    hard, in_between, random = range(len(GRADES))
    ranked_grades = np.where(np.arange(chosen.shape[1]) < ranks, hard, in_between)
    drawn_grades = np.where(drawn.positions == NOTHING, -1, random)
    grades = np.concatenate([np.where(chosen, ranked_grades, -1), drawn_grades], axis=1)
    order = np.argsort(grades < 0, axis=1, kind="stable")[:, :width]
    taken = np.take_along_axis(grades, order, axis=1)
    positions = np.take_along_axis(np.concatenate([ranked.positions, drawn.positions], axis=1), order, axis=1)
    scores = np.take_along_axis(np.concatenate([ranked.scores, drawn.scores], axis=1), order, axis=1)
    found = taken >= 0
    missing = ((0, 0), (0, width - found.shape[1]))  # a corpus may be smaller than what is asked for
    return (
        np.pad(np.where(found, positions, NOTHING).astype(np.int64), missing, constant_values=NOTHING),
        np.pad(np.where(found, scores, np.float32("-inf")), missing, constant_values=-np.inf),
        np.pad(taken.astype(np.int8), missing, constant_values=-1),
    )
