"""The questions by which the gate decides: a set of their own, or a part of the data that training has not seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from os import PathLike
from pathlib import Path

from ragtime.errors import InvalidArgumentError
from ragtime.records.retrieval import RetrievalSet
from ragtime.services.learning.data import HELD_OUT, TRAIN, part_of
from ragtime.services.learning.report import HeldOutAccount
from ragtime.services.model_finetuner import EvaluationData
from ragtime.services.model_finetuner.comparison import EvaluationSource
from ragtime.services.training_data_gen.dedup.shingles import normalize_text
from ragtime.services.training_data_gen.quality import Redactor
from ragtime.utils.hashing import text_hash
from ragtime.utils.retrieval_sets import load_retrieval_set

__all__ = ["LEAST_QUESTIONS", "HeldOut", "check_general", "given_questions", "held_out_part", "with_unseen"]

LEAST_QUESTIONS = 2
"""With fewer, nothing can be compared."""

_CORPUS = "corpus.jsonl"
_EVALUATION = "evaluation"  # the folder of the held-out part in a data set
_LEAST_PASSAGES = 2
_ID_LENGTH = 32  # digits of the id of a question in the evaluation set of a data set
_NAME = "held-out questions"


@dataclass(frozen=True)
class HeldOut:
    """Questions to measure models by.

    Attributes:
        account: How many there are, and of what kind.
        data: The questions, ready to be measured by; ``None`` when they are too few, or there is one passage in all.
        titles: Titles of passages, by what is embedded of them: the title, a line break, and the text.
        notes: What a reader has to know of them.
    """

    account: HeldOutAccount
    data: EvaluationData | None
    titles: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def asked(self) -> tuple[str, ...]:
        """The texts of the questions."""
        return () if self.data is None else tuple(self.data.questions.values())


def given_questions(source: EvaluationSource) -> HeldOut:
    """Prepare a set of questions that was given.

    Args:
        source: The set, as for ``ModelFineTuner.evaluate``.

    Returns:
        The questions; how many are about passages that are not trained on is not known yet.

    Raises:
        InvalidArgumentError: There are no questions, no judgements or fewer than two passages, or it is something else.
        StorageError: A file cannot be read.
    """
    judged = _judged(source)
    data = EvaluationData.of(source if judged is None else judged)
    account = HeldOutAccount(
        source="given",
        name=data.name,
        questions=len(data.questions),
        stated=len(data.questions),
        unseen_passages=0,
        passages=len(data.validation.passages),
    )
    enough = account.questions >= LEAST_QUESTIONS
    return HeldOut(account, data if enough else None, {} if judged is None else _titles(judged))


def _judged(source: EvaluationSource) -> RetrievalSet | None:
    """Return the judged set that was given, or that is in a folder that was; ``None`` for anything else."""
    if isinstance(source, RetrievalSet):
        return source
    if isinstance(source, str | PathLike):
        for folder in (Path(source), Path(source) / _EVALUATION):
            if (folder / _CORPUS).is_file():
                found = load_retrieval_set(folder)
                return found.model_copy(update={"name": Path(source).absolute().name})
    return None


def with_unseen(held_out: HeldOut, trained_on: Iterable[str]) -> HeldOut:
    """Count the questions of a given set whose answers no training pair has.

    Args:
        held_out: The questions.
        trained_on: The passages of the training pairs.

    Returns:
        The questions, counted.
    """
    if held_out.data is None:
        return held_out
    seen = {normalize_text(text) for text in trained_on}
    redactor, validation = Redactor(), held_out.data.validation
    known = [
        normalize_text(redactor.redact(text, {}, Counter())) in seen  # as in the examples, without personal data
        for text in validation.passages
    ]
    bounds, answers = validation.truth.offsets.tolist(), validation.truth.passages.tolist()
    unseen = sum(not any(known[place] for place in answers[first:last]) for first, last in pairwise(bounds))
    return replace(held_out, account=held_out.account.model_copy(update={"unseen_passages": unseen}))


def held_out_part(folder: Path, least: int) -> HeldOut | None:
    """Prepare the held-out part of a data set.

    Questions that somebody has asked decide where there are enough of them; else those that were made up, too.

    Args:
        folder: The data set.
        least: How many questions are enough.

    Returns:
        The questions; ``None`` when nothing is held out.

    Raises:
        StorageError: A file cannot be read.
    """
    if not (folder / _EVALUATION / _CORPUS).is_file():
        return None
    judged = load_retrieval_set(folder / _EVALUATION)
    stated = {text_hash(one.query)[:_ID_LENGTH] for one in part_of(folder, HELD_OUT) if not one.weak}
    alone = len(stated) >= max(least, LEAST_QUESTIONS)
    chosen = [key for key in judged.queries if not alone or key in stated]
    if len(judged.corpus) < _LEAST_PASSAGES:
        chosen = []  # every model finds the one there is
    data = _data_of(judged, chosen)
    trained_on = {one for example in part_of(folder, TRAIN) for one in example.lineage.document_ids}
    account = HeldOutAccount(
        source="held_out",
        name=_NAME,
        questions=len(chosen),
        stated=len(stated.intersection(chosen)),
        unseen_passages=sum(not trained_on.intersection(judged.relevant(key)) for key in chosen),
        passages=len(judged.corpus),
    )
    notes = (_made_up_note(account, least),) if account.stated < account.questions else ()
    return HeldOut(account, data, _titles(judged), notes)


def _data_of(judged: RetrievalSet, chosen: list[str]) -> EvaluationData | None:
    if len(chosen) < LEAST_QUESTIONS:
        return None
    questions = RetrievalSet(
        queries={key: judged.queries[key] for key in chosen},
        corpus=judged.corpus,
        judgements={key: judged.judgements[key] for key in chosen},
        name=_NAME,
    )
    return EvaluationData.of(questions)


def _made_up_note(account: HeldOutAccount, least: int) -> str:
    made_up = account.questions - account.stated
    told = "Nobody has asked" if not account.stated else f"People have asked {account.stated:,} of"
    return (
        f"{told} the {account.questions:,} held-out questions; {least:,} would decide alone. So {made_up:,} that were "
        "made up from passages decide, too. They are in the words of these passages, as those of people are not"
    )


def _titles(judged: RetrievalSet) -> dict[str, str]:
    return {one.content: one.title for one in judged.corpus.values() if one.title}


def check_general(data: EvaluationData) -> EvaluationData:
    """Return the questions of the general check; InvalidArgumentError when they are too few to compare anything."""
    if len(data.questions) < LEAST_QUESTIONS:
        raise InvalidArgumentError(
            f"general: found {len(data.questions)} questions with an answer; expected at least {LEAST_QUESTIONS}"
        )
    return data
