"""Hard-negative mining from embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from ragtime.errors import InvalidArgumentError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.services.training_data_gen.mining.candidates import NOTHING, Candidates, rank_candidates
from ragtime.services.training_data_gen.mining.choosing import Chosen, choose, collect, settle
from ragtime.services.training_data_gen.mining.easy import Allowed, RandomNegatives
from ragtime.services.training_data_gen.mining.options import MiningOptions
from ragtime.services.training_data_gen.mining.result import GRADES, MinedNegatives
from ragtime.services.training_data_gen.mining.rules import (
    ELIGIBLE,
    Codes,
    Exclusions,
    Rejection,
    among,
    apply_limits,
    code_of,
    excluded_copies,
    margin_thresholds,
)
from ragtime.services.training_data_gen.mining.task import Keys, Labels, MiningTask, Pairs, Vectors
from ragtime.services.training_data_gen.mining.tuning import tune_margin
from ragtime.storage.vectors.search import exact_pair_scores
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["RelevanceOracle", "Rescorer", "mine_negatives"]

Rescorer: TypeAlias = "Callable[[int, npt.NDArray[np.int64]], npt.ArrayLike]"
"""Scores passages for a query by a better model: gets the query's position and those of passages."""

RelevanceOracle = Callable[[int, int], bool | None]
"""Tells whether a query's passage is relevant, by their positions; ``None`` when it does not know."""

_MOST_EXTRA = 256  # ranks looked at beyond the window for what is excluded anyway: one query must not cost all of them
_ROWS = 4096  # queries that are handled at once
_SUSPECT = (Rejection.ABSOLUTE_MARGIN, Rejection.RELATIVE_MARGIN, Rejection.ABOVE_MAX_SCORE)

_log = get_logger(__name__)


def mine_negatives(
    task: MiningTask,
    options: MiningOptions | None = None,
    *,
    rescore: Rescorer | None = None,
    oracle: RelevanceOracle | None = None,
) -> MinedNegatives:
    """Find passages that are close to a query and do not answer it.

    The candidates of a query are the best-scored passages of an exact search. Positives, their copies, and the
    positives of near-duplicate queries never become negatives; margins and score limits leave out what may be an
    unlabelled positive; of the rest the best are taken, or some by keyed hash. By default the margin is tuned: as large
    as it may be while most queries still get their negatives.

    The result depends on vectors and options alone, not on threads or tiles; equal scores rank by position.

    Args:
        task: Vectors, positives and groups.
        options: The rules; ``None`` means the defaults.
        rescore: Gives other scores for the candidates and positives of a query, on its own scale, which the rules and
            the order then go by; ``None`` keeps those of the vectors.
        oracle: Is asked about candidates that a margin or `max_score` refuses, and about hard negatives and those in
            between that are about to be taken, once each. What it calls relevant is never a negative and is listed as
            relabelled; what it calls irrelevant is a candidate in spite of margins; ``None`` from it changes nothing.
            ``None`` means that nobody is asked.

    Returns:
        The negatives and the ledger.

    Raises:
        InvalidArgumentError: `rescore` without a rule, for scores then decide nothing; scores from it that are too few
            or not finite; `in_between_range` begins inside the window of the hard negatives; or a vector that is not
            finite.
    """
    options = options or MiningOptions()
    if rescore is not None and not options.has_rules:
        raise InvalidArgumentError("rescore changes nothing without a margin or a score limit; give one in the options")
    with log_operation(_log, "mine_negatives", queries=len(task.queries), passages=len(task.corpus)) as operation:
        mined = _Miner(task, options, rescore, oracle).mine()
        operation.add(
            kept=int(mined.counts.sum()),
            relabelled=len(mined.relabelled),
            relative_margin=mined.relative_margin,
            yields=round(mined.yields, 4),
        )
    return mined


class _Miner:
    def __init__(
        self, task: MiningTask, options: MiningOptions, rescore: Rescorer | None, oracle: RelevanceOracle | None
    ) -> None:
        self._task, self._options, self._rescore, self._oracle = task, options, rescore, oracle
        self._queries, self._size = len(task.queries), len(task.corpus)
        self._positives = Pairs(task.positives, self._size, name="positives")
        representatives, self._copies = excluded_copies(task.corpus_groups, self._size)
        self._distinct = np.unique(representatives)
        self._exclusions = Exclusions(task, self._positives, representatives)
        self._query_keys = _keys(task.query_keys, self._queries)
        self._corpus_keys = _keys(task.corpus_keys, self._size)
        self._window = options.window(self._positives.most, rescored=rescore is not None)
        extra = min(self._exclusions.most, self._positives.most + _MOST_EXTRA)
        self._ranks = min(self._window + extra, len(self._distinct))
        self._worst: Vectors = np.empty(0, np.float32)
        self._margin: float | None = None
        self._relabelled: set[tuple[int, int]] = set()

    def mine(self) -> MinedNegatives:
        candidates = rank_candidates(self._task.queries, self._task.corpus, self._all_ranks(), excluded=self._copies)
        self._score(candidates)
        codes = np.empty(candidates.positions.shape, np.int8)
        for rows in self._blocks():
            codes[rows] = self._exclusions.codes(self._numbers(rows), candidates.positions[rows])
        self._margin = self._margin_in_force(candidates, codes)
        width = self._options.num_negatives + self._options.in_between + self._options.random
        positions = np.empty((self._queries, width), np.int64)
        scores = np.empty((self._queries, width), np.float32)
        grades = np.empty((self._queries, width), np.int8)
        rejected = np.empty((self._queries, len(Rejection)), np.int64)
        for rows in self._blocks():
            ranked = Candidates(candidates.positions[rows], candidates.scores[rows])
            self._limit(codes[rows], ranked.scores, rows)
            chosen = self._chosen(codes[rows], ranked, rows)
            drawn = self._random(ranked, rows)
            positions[rows], scores[rows], grades[rows] = collect(ranked, chosen, drawn, ranks=self._ranks, width=width)
            counts = [np.count_nonzero(codes[rows] == code_of(reason), axis=1) for reason in Rejection]
            rejected[rows] = np.stack(counts, axis=1)
        kept = np.count_nonzero(grades >= 0, axis=1)
        unseen = len(self._distinct) - candidates.positions.shape[1]
        random = np.count_nonzero(grades == GRADES.index("random"), axis=1)
        rejected[:, code_of(Rejection.OUTSIDE_WINDOW)] += unseen - random
        rejected[:, code_of(Rejection.COPY)] = self._size - len(self._distinct)
        hard = np.count_nonzero(grades == GRADES.index("hard"), axis=1)
        return MinedNegatives(
            corpus_size=self._size,
            positions=positions,
            scores=scores,
            grades=grades,
            counts=kept,
            worst_positives=self._worst,
            rejected=rejected,
            relabelled=np.array(sorted(self._relabelled), np.int64).reshape(-1, 2),
            relative_margin=self._margin,
            yields=float(np.mean(hard >= self._options.num_negatives)),
        )

    def _all_ranks(self) -> int:
        if not self._options.in_between:
            return self._ranks
        first, last = self._options.in_between_range
        if first < self._window:
            raise InvalidArgumentError(
                f"in_between_range must begin after the window of the hard negatives, which ends at rank "
                f"{self._window}; found {first}"
            )
        return min(max(last, self._ranks), len(self._distinct))

    def _blocks(self) -> Iterator[slice]:
        for first in range(0, self._queries, _ROWS):
            yield slice(first, min(first + _ROWS, self._queries))

    def _numbers(self, rows: slice) -> Labels:
        return np.arange(rows.start, rows.stop)[:, None]

    # --- scores -----------------------------------------------------------------------------------------------------

    def _score(self, candidates: Candidates) -> None:
        pairs = self._positives
        if self._rescore is None:
            scores = exact_pair_scores(self._task.corpus, pairs.passages, self._task.queries, pairs.queries)
        else:
            scores = np.empty(len(pairs.passages), np.float32)
        bounds = np.searchsorted(pairs.queries, np.arange(self._queries))
        for query, own in enumerate(np.split(np.arange(len(pairs.queries)), bounds[1:]) if self._rescore else ()):
            passages = candidates.positions[query].astype(np.int64)
            rescored = self._scores(query, np.concatenate([passages, pairs.passages[own]]))
            candidates.scores[query], scores[own] = np.split(rescored, [len(passages)])
            # Ranks beyond those of the hard negatives keep their places, for they are chosen from by their ranks.
            order = np.lexsort((passages[: self._ranks], -rescored[: self._ranks]))
            for array in (candidates.positions, candidates.scores):
                array[query, : self._ranks] = array[query, order]
        self._worst = np.minimum.reduceat(scores, bounds)

    def _scores(self, query: int, passages: Labels) -> Vectors:
        if self._rescore is None:
            return exact_pair_scores(
                self._task.corpus, passages, self._task.queries, np.full(len(passages), query, np.int64)
            )
        scores = np.asarray(self._rescore(query, passages), np.float32)
        if scores.shape != passages.shape or not np.isfinite(scores).all():
            raise InvalidArgumentError(
                f"rescore must return {len(passages)} finite numbers for as many passages, found shape "
                f"{list(scores.shape)}"
            )
        return scores

    def _margin_in_force(self, candidates: Candidates, codes: Codes) -> float | None:
        margin = self._options.relative_margin
        if margin != "tuned":
            return margin
        others = codes[:, : self._ranks].copy()
        scores = candidates.scores[:, : self._ranks]
        apply_limits(others, scores, self._worst, self._options, relative_margin=None)
        wanted = self._options.range_min + self._options.num_negatives

        def yield_of(share: float) -> float:
            below = scores <= margin_thresholds(self._worst, share)[:, None]
            return float(np.mean(np.count_nonzero(below & (others == ELIGIBLE), axis=1) >= wanted))

        tuned = tune_margin(yield_of, self._options.target_yield)
        if not tuned.reached:
            _log.warning(
                "Even with a margin of %.2f, only %.1f %% of the queries get %d hard negatives; a larger range_max "
                "looks further down",
                tuned.relative_margin,
                100 * tuned.yields,
                self._options.num_negatives,
            )
        return tuned.relative_margin

    # --- choices ----------------------------------------------------------------------------------------------------

    def _limit(self, codes: Codes, scores: Vectors, rows: slice) -> None:
        apply_limits(codes, scores, self._worst[rows], self._options, relative_margin=self._margin)

    def _chosen(self, codes: Codes, ranked: Candidates, rows: slice) -> Chosen:
        keys = self._corpus_keys[ranked.positions]  # of the last passage where there is none, which is never eligible

        def chosen() -> Chosen:
            return choose(
                codes,
                self._options,
                ranks=self._ranks,
                window=self._window,
                query_keys=self._query_keys[rows],
                passage_keys=keys,
            )

        if self._oracle is not None:
            suspects = np.isin(codes, [code_of(reason) for reason in _SUSPECT])
            self._ask(suspects, codes, ranked, rows.start)
            asked = suspects
            while (new := chosen() & ~asked).any():
                self._ask(new, codes, ranked, rows.start)
                asked |= new
        found = chosen()
        settle(codes, found, self._options, ranks=self._ranks, window=self._window)
        return found

    def _ask(self, which: Chosen, codes: Codes, ranked: Candidates, first: int) -> None:
        assert self._oracle is not None  # noqa: S101 - only called with one
        for row, rank in np.argwhere(which).tolist():
            pair = (first + row, int(ranked.positions[row, rank]))
            relevant = self._oracle(*pair)
            if relevant:
                codes[row, rank] = code_of(Rejection.RELABELLED)
                self._relabelled.add(pair)
            elif relevant is not None:
                codes[row, rank] = ELIGIBLE

    def _random(self, ranked: Candidates, rows: slice) -> Candidates:
        seen = np.sort((self._numbers(rows) * self._size + ranked.positions).ravel())

        def allowed(numbers: Labels, passages: Labels) -> Allowed:
            queries = numbers + rows.start
            possible: Allowed = self._exclusions.codes(queries, passages) == ELIGIBLE
            return possible & ~among(queries * self._size + passages, seen)

        draws = RandomNegatives(self._distinct, self._corpus_keys[self._distinct], seed=self._options.seed)
        drawn = draws.draw(self._query_keys[rows], self._options.random, allowed)
        scores = np.full(drawn.shape, -np.inf, np.float32)
        for row, passages in enumerate(drawn):
            there = passages != NOTHING
            scores[row, there] = self._scores(rows.start + row, passages[there])
        order = np.lexsort((drawn, -scores))
        return Candidates(
            np.take_along_axis(drawn, order, axis=1).astype(np.int32), np.take_along_axis(scores, order, axis=1)
        )


def _keys(keys: Keys | None, count: int) -> Keys:
    return np.arange(count, dtype=np.uint64) if keys is None else np.asarray(keys, np.uint64)
