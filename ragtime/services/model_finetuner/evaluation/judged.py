"""Judged questions as something to measure a model by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from ragtime.errors import InvalidArgumentError
from ragtime.records import RetrievalSet
from ragtime.services.model_finetuner.evaluation.figures import CUTOFFS
from ragtime.services.model_finetuner.evaluation.truth import RankingTruth
from ragtime.services.model_finetuner.evaluation.validation import Validation
from ragtime.utils.extras import LazyModule
from ragtime.utils.hashing import keyed_order

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")

__all__ = ["JudgedQuestions", "judged_questions"]

_LEAST_DOCUMENTS = 2


class JudgedQuestions(NamedTuple):
    """Questions of a retrieval set, and what to measure by them.

    Attributes:
        ids: The ids of the questions, ascending, in the order of ``validation.answered``.
        validation: Their texts, the documents and the answers. Each document counts, two of one content, too.
    """

    ids: tuple[str, ...]
    validation: Validation


def judged_questions(
    judged: RetrievalSet, *, max_texts: int | None = None, seed: int = 42, cutoffs: Iterable[int] = CUTOFFS
) -> JudgedQuestions:
    """Choose what to measure by; the same set in any order gives the same choice.

    Args:
        judged: The set. Questions without a relevant document are left out.
        max_texts: Most questions and documents together: questions are drawn, with all their answers, until half of
            them is full, or more where there are too few other documents to fill the rest, and then other documents.
            One question comes with its answers, however many they are. ``None`` means all of the set.
        seed: Another one draws others.
        cutoffs: Ranks at which rankings are looked at.

    Returns:
        The questions.

    Raises:
        InvalidArgumentError: There are no judgements, or fewer than two documents.
    """
    questions, documents = sorted(judged.judged_queries), sorted(judged.corpus)
    if not questions:
        raise InvalidArgumentError(
            f"There are no judgements: none of the {len(judged.queries)} questions has a relevant document; say which "
            "documents answer them"
        )
    if len(documents) < _LEAST_DOCUMENTS:
        raise InvalidArgumentError("There is one document in all: every model finds it; add others")
    every = len(questions)
    if max_texts is not None and len(questions) + len(documents) > max_texts:
        questions, documents = _drawn(judged, max_texts, seed)
    place = {key: number for number, key in enumerate(documents)}
    answers = [{place[key]: float(grade) for key, grade in judged.relevant(one).items()} for one in questions]
    validation = Validation(
        queries=[judged.queries[key] for key in questions],
        passages=[judged.corpus[key].content for key in documents],
        answered=np.arange(len(questions)),
        truth=RankingTruth.from_judgements(answers),
        pairs=np.empty((0, 2), np.int64),
        labels=np.empty(0, np.float64),
        cutoffs=tuple(sorted(set(cutoffs))),
        left_out=every - len(questions),
    )
    return JudgedQuestions(tuple(questions), validation)


def _drawn(judged: RetrievalSet, room: int, seed: int) -> tuple[list[str], list[str]]:
    answers = {key: judged.relevant(key).keys() for key in judged.judged_queries}
    needed = {document for some in answers.values() for document in some}
    limit = max(room // 2, room - (len(judged.corpus) - len(needed)))
    questions: list[str] = []
    documents: set[str] = set()
    for question in keyed_order(answers, seed, "judged questions", key=str):
        more = documents | answers[question]
        if not questions or len(questions) + 1 + len(more) <= limit:
            questions.append(question)
            documents = more
    others = keyed_order(judged.corpus.keys() - documents, seed, "judged documents", key=str)
    documents |= set(others[: max(0, room - len(questions) - len(documents))])
    return sorted(questions), sorted(documents)
