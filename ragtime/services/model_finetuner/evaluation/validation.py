"""What a model is measured by while it is trained: a budgeted set of texts, and the figures of their embeddings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.dataset.rows import DataShape, Row
from ragtime.services.model_finetuner.dataset.shapes import GOOD, fits
from ragtime.services.model_finetuner.evaluation.figures import (
    CORRELATION_FIGURES,
    CUTOFFS,
    RATING_FIGURES,
    check_figure,
    cutoff_of,
    ranking_names,
)
from ragtime.services.model_finetuner.evaluation.labelled import correlation_figures, rating_figures
from ragtime.services.model_finetuner.evaluation.ranking import ranking_figures
from ragtime.services.model_finetuner.evaluation.truth import RankedAnswers, RankingTruth
from ragtime.utils.extras import LazyModule
from ragtime.utils.hashing import keyed_order

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ragtime.services.model_finetuner.evaluation.truth import Floats, Numbers
else:
    np = LazyModule("numpy")

__all__ = ["Validation"]

_LEAST_TEXTS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Validation:
    """Texts to embed, and what their embeddings should be like.

        >>> rows = [Row("1", "free returns?", "30 days."), Row("2", "delivery?", "2 days.")]
        >>> validation = Validation.prepare(rows, "pairs", max_texts=1000, seed=42)
        >>> sorted(validation.queries), sorted(validation.passages)
        (['delivery?', 'free returns?'], ['2 days.', '30 days.'])

    Attributes:
        queries: Texts to embed as queries.
        passages: Texts to embed as passages.
        answered: Positions in `queries` of those that have an answer, the questions of rankings: int64.
        truth: Positions in `passages` of the answers of each of them.
        pairs: Positions in `queries` and `passages` of the labelled pairs, int64 of shape ``[pairs, 2]``; only those of
            ``rated`` and ``graded`` rows.
        labels: The labels of the pairs, float64 of shape ``[pairs]``.
        cutoffs: The ranks at which rankings are looked at, ascending.
        left_out: Queries of the rows that are not in it, for want of room.
    """

    queries: list[str]
    passages: list[str]
    answered: Numbers
    truth: RankingTruth
    pairs: Numbers
    labels: Floats
    cutoffs: tuple[int, ...]
    left_out: int

    @classmethod
    def prepare(
        cls,
        rows: Sequence[Row],
        shape: DataShape,
        *,
        max_texts: int,
        seed: int,
        others: Iterable[Row] = (),
        metric: str | None = None,
        cutoffs: Iterable[int] = CUTOFFS,
    ) -> Validation:
        """Choose what to measure by; the same input in any order gives the same choice.

        Queries come with all their answers, and those of `others` count, too. When not all texts find room, queries
        are drawn until half of it is full, or more where there are too few other passages to fill the rest; then come
        negatives of these queries, then other passages.

        Args:
            rows: The validation rows.
            shape: The shape of their data set.
            max_texts: Most texts, queries and passages together; at least 2. One query comes with its answers, however
                many they are.
            seed: Another one gives another choice.
            others: Rows whose passages may fill up, such as those trained on.
            metric: A figure that there has to be; its cutoff is added to `cutoffs`. ``None`` means no certain one.
            cutoffs: Ranks at which rankings are looked at.

        Returns:
            The validation.

        Raises:
            InvalidArgumentError: There are no rows, the budget is too small, or the figure is not among those that the
                rows can give; lists them.
        """
        if not rows:
            raise InvalidArgumentError("There are no validation rows")
        if max_texts < _LEAST_TEXTS:
            raise InvalidArgumentError(f"max_texts must be at least {_LEAST_TEXTS}, found {max_texts}")
        added = None if metric is None else cutoff_of(metric)
        ranks = tuple(sorted({*cutoffs, *([] if added is None else [added])}))
        if ranks and ranks[0] < 1:
            raise InvalidArgumentError(f"cutoffs must be ranks, which begin with 1; found {ranks[0]}")
        known = _Known(rows, others, labelled=shape in {"rated", "graded"})
        chosen = known.draw(max_texts, seed)
        query_at = {text: place for place, text in enumerate(chosen)}
        passage_at = {text: place for place, text in enumerate(known.passages(chosen, max_texts - len(chosen), seed))}
        answered = [query for query in chosen if known.answers[query]]
        judged = [{passage_at[text]: grade for text, grade in known.answers[query].items()} for query in answered]
        labelled = [(query, text, label) for query in chosen for text, label in sorted(known.labelled[query])]
        found = cls(
            queries=list(query_at),
            passages=list(passage_at),
            answered=np.array([query_at[query] for query in answered], np.int64),
            truth=RankingTruth.from_judgements(judged),
            pairs=np.array([(query_at[query], passage_at[text]) for query, text, _ in labelled], np.int64).reshape(
                -1, 2
            ),
            labels=np.array([label for _, _, label in labelled], np.float64),
            cutoffs=ranks,
            left_out=len(known.answers) - len(chosen),
        )
        if metric is not None:
            check_figure(metric, found.names)
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """The figures that :meth:`measure` gives; all of them are the better the higher they are."""
        names: tuple[str, ...] = ranking_names(self.cutoffs) if len(self.answered) else ()
        if self._are_good_and_bad:
            names += RATING_FIGURES
        if self._are_graded:
            names += CORRELATION_FIGURES
        return names

    @property
    def _are_good_and_bad(self) -> bool:
        return len(set(_good(self.labels).tolist())) > 1

    @property
    def _are_graded(self) -> bool:
        return len(set(self.labels.tolist())) > 1

    def measure(self, queries: npt.ArrayLike, passages: npt.ArrayLike) -> dict[str, float]:
        """Compute all figures, those of rankings as means over the questions.

        Args:
            queries: Embeddings of `queries`, of shape ``[len(queries), dimension]``; they are brought to unit length.
            passages: Embeddings of `passages`, likewise.

        Returns:
            The figures of `names`.

        Raises:
            InvalidArgumentError: A shape is wrong, or a value is not finite.
            MissingExtraError: Pairs are labelled, and scipy is not installed.
        """
        by_question = self.measure_questions(queries, passages)
        means = {name: float(values.mean()) for name, values in by_question.items()}
        return means | self.measure_pairs(queries, passages)

    def measure_questions(self, queries: npt.ArrayLike, passages: npt.ArrayLike) -> dict[str, Floats]:
        """Compute the figures of rankings for every question.

        Args:
            queries: As for :meth:`measure`.
            passages: As for :meth:`measure`.

        Returns:
            By name, float64 of shape ``[len(answered)]``.

        Raises:
            InvalidArgumentError: A shape is wrong, or a value is not finite.
        """
        units = self._checked(queries, passages)
        if not len(self.answered):
            return {}
        found = RankedAnswers.from_embeddings(self.truth, units[0][self.answered], units[1])
        return ranking_figures(self.truth, found, self.cutoffs)

    def measure_pairs(self, queries: npt.ArrayLike, passages: npt.ArrayLike) -> dict[str, float]:
        """Compute the figures of labelled pairs.

        Args:
            queries: As for :meth:`measure`.
            passages: As for :meth:`measure`.

        Returns:
            ``auc`` and ``average_precision`` when some pairs fit and others do not, ``pearson`` and ``spearman`` when
            labels differ; nothing when there are no labelled pairs.

        Raises:
            InvalidArgumentError: A shape is wrong, or a value is not finite.
            MissingExtraError: scipy is not installed.
        """
        units = self._checked(queries, passages)
        similarities = np.einsum("pd,pd->p", units[0][self.pairs[:, 0]], units[1][self.pairs[:, 1]])
        figures: dict[str, float] = {}
        if self._are_good_and_bad:
            figures |= rating_figures(_good(self.labels), similarities)
        if self._are_graded:
            figures |= correlation_figures(self.labels, similarities)
        return figures

    def _checked(
        self, queries: npt.ArrayLike, passages: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        given = [np.asarray(some, np.float32) for some in (queries, passages)]
        width = given[0].shape[-1] if given[0].ndim else 0
        wanted = [(len(self.queries), width), (len(self.passages), width)]
        if [some.shape for some in given] != wanted:
            raise InvalidArgumentError(
                f"Expected embeddings of {wanted[0][0]} queries and {wanted[1][0]} passages, of one dimension; found "
                f"the shapes {list(given[0].shape)} and {list(given[1].shape)}"
            )
        if not all(np.isfinite(some).all() for some in given):
            raise InvalidArgumentError("Embeddings must be finite; found nan or infinity: the model has diverged")
        least = np.finfo(np.float32).tiny
        first, second = (some / np.maximum(np.linalg.norm(some, axis=1, keepdims=True), least) for some in given)
        return first, second


def _good(labels: Floats) -> npt.NDArray[np.bool_]:
    return labels > GOOD


class _Known:
    """What rows say of their queries.

    Attributes:
        answers: Grades of the answers of each query of the validation rows, none for those without.
        labelled: Responses and labels of each query.
    """

    def __init__(self, rows: Sequence[Row], others: Iterable[Row], *, labelled: bool) -> None:
        """Collect.

        Args:
            rows: The validation rows.
            others: Rows that may say more of their queries, and whose passages may fill up.
            labelled: Whether labels are kept.
        """
        self.answers: dict[str, dict[str, float]] = {row.query: {} for row in rows}
        self.labelled: defaultdict[str, set[tuple[str, float]]] = defaultdict(set)
        self._negatives: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._others: dict[str, None] = {}
        for row in rows:
            self._add(row)
            if labelled and row.label is not None:
                self.labelled[row.query].add((row.response, row.label))
        for row in others:
            self._add(row)

    def _add(self, row: Row) -> None:
        self._others |= dict.fromkeys((row.response, *row.negatives))
        answers = self.answers.get(row.query)
        if answers is None:
            return
        self._negatives[row.query] |= dict.fromkeys(row.negatives)
        if not fits(row):
            self._negatives[row.query][row.response] = None
        else:
            grade = 1.0 if row.label is None else row.label
            answers[row.response] = max(grade, answers.get(row.response, 0.0))

    def _own(self, query: str) -> dict[str, None]:
        return dict.fromkeys(sorted({*self.answers[query], *(text for text, _ in self.labelled[query])}))

    def draw(self, room: int, seed: int) -> list[str]:
        """Choose queries, so that they and their own passages find room."""
        needed = {text for query in self.answers for text in self._own(query)}
        limit = max(room // 2, room - (len(self._others) - len(needed)))
        chosen: list[str] = []
        taken: set[str] = set()
        for query in keyed_order(self.answers, seed, "validation queries", key=str):
            more = self._own(query).keys() - taken
            if not chosen or len(chosen) + 1 + len(taken) + len(more) <= limit:
                chosen.append(query)
                taken |= more
        return chosen

    def passages(self, queries: Sequence[str], room: int, seed: int) -> Iterator[str]:
        """Give the passages of some queries, then others until the room is full."""
        given: dict[str, None] = {}
        for query in queries:
            given |= self._own(query)
        yield from given
        near: Mapping[str, None] = {text: None for query in queries for text in self._negatives[query]}
        for some in (near, self._others):
            if len(given) >= room:
                return
            for text in keyed_order(some, seed, "validation passages", key=str):
                if text not in given and len(given) < room:
                    given[text] = None
                    yield text
