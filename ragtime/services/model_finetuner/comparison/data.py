"""What models are compared on: questions with their answers, from whatever holds them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ragtime.data.sample import sample_retrieval_set
from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.records import RetrievalSet
from ragtime.services.model_finetuner.dataset import TrainingData, read_rows
from ragtime.services.model_finetuner.evaluation import Validation, judged_questions
from ragtime.utils.hashing import text_hash
from ragtime.utils.retrieval_sets import load_retrieval_set

if TYPE_CHECKING:
    from ragtime.services.model_finetuner.dataset import Row

__all__ = ["EvaluationData", "EvaluationSource"]

EvaluationSource: TypeAlias = "EvaluationData | RetrievalSet | TrainingData"
"""What a model can be measured on: judged questions, or all that it can be trained on."""

_ID_LENGTH = 32  # digits, as of the questions in the evaluation set of a data set
_CORPUS = "corpus.jsonl"
_MANIFEST = "manifest.json"  # of a data set of ragtime
_HELD_OUT = "evaluation"  # the folder of its held-out part
_LEAST_PASSAGES = 2
_SHOWN = 200  # characters


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationData:
    """Questions, passages and answers that any model can be measured by.

        >>> rows = [("Are returns free?", "Returns are free for 30 days."), ("Who ships?", "We ship with the post.")]
        >>> data = EvaluationData.of(rows, name="shop")
        >>> sorted(data.questions.values())
        ['Are returns free?', 'Who ships?']

    Attributes:
        name: What the data are called in reports.
        fingerprint: Hash of all of it: results can be compared where it is the same.
        questions: Text of each question that has an answer, by id.
        validation: The texts to embed, and what their embeddings should be like.
    """

    name: str
    fingerprint: str
    questions: Mapping[str, str]
    validation: Validation

    @classmethod
    def of(
        cls, data: EvaluationSource, *, name: str | None = None, max_texts: int | None = None, seed: int = 42
    ) -> EvaluationData:
        """Prepare questions.

        Args:
            data: A retrieval set; or examples in any form that ``ModelFineTuner.train`` takes, whose passages together
                are what is searched; or the path of a folder in the layout of BEIR, of which ``test`` is read, or of a
                data set of ragtime, of which the held-out part is read. What is prepared already is returned as it is.
            name: What the data are called in reports; ``None`` means the name of the set or of the file.
            max_texts: Most questions and passages together, at least 2; ``None`` means all.
            seed: Chooses them.

        Returns:
            The questions. Those of a retrieval set keep their ids. That of an example is the start of the SHA-256 of
            its query, 32 digits, as in the evaluation sets of ragtime.

        Raises:
            InvalidArgumentError: There are no questions, no judgements or fewer than two passages, or `data` is
                something else.
            StorageError: A file cannot be read.
            MissingExtraError: The package for a file's format is not installed.
        """
        if isinstance(data, EvaluationData):
            return data
        if isinstance(data, str | PathLike):
            judged = _judged_folder(Path(data))
            name = name or Path(data).absolute().name
            data = judged if judged is not None else data
        if isinstance(data, RetrievalSet):
            ids, validation = judged_questions(data, max_texts=max_texts, seed=seed)
            return cls._made(name or data.name or "judged questions", ids, validation)
        read = read_rows(data)
        _check_passages(read.rows)
        room = max_texts if max_texts is not None else 2 + sum(2 + len(row.negatives) for row in read.rows)
        validation = Validation.prepare(read.rows, read.shape, max_texts=room, seed=seed)
        asked = (validation.queries[place] for place in validation.answered)
        return cls._made(name or "examples", tuple(text_hash(text)[:_ID_LENGTH] for text in asked), validation)

    @classmethod
    def sample(cls, *, reserved: bool, max_texts: int | None = None, seed: int = 42) -> EvaluationData:
        """Prepare the judged questions of the packaged sample, which show whether a model has forgotten something.

        Args:
            reserved: Whether to take the hundred that are kept for the gate, or the others, which the search between
                base and tuned weights uses.
            max_texts: As for :meth:`of`.
            seed: As for :meth:`of`.

        Returns:
            The questions.

        Raises:
            StorageError: The package's files are damaged.
        """
        return cls.of(sample_retrieval_set(reserved=reserved), max_texts=max_texts, seed=seed)

    @classmethod
    def _made(cls, name: str, ids: tuple[str, ...], validation: Validation) -> EvaluationData:
        asked = (validation.queries[place] for place in validation.answered)
        return cls(name, _fingerprint(ids, validation), dict(zip(ids, asked, strict=True)), validation)


def _judged_folder(path: Path) -> RetrievalSet | None:
    """Read the judged questions in a folder; ``None`` when it is none that holds such."""
    try:
        found = next((folder for folder in (path, path / _HELD_OUT) if (folder / _CORPUS).is_file()), None)
        is_data_set = (path / _MANIFEST).is_file()
    except OSError as error:
        raise StorageError(
            f"Cannot read {str(path)[:_SHOWN]!r}: {error.strerror}; a text is taken as a path, and examples are given "
            "as a list"
        ) from error
    if found is not None:
        return load_retrieval_set(found)
    if is_data_set:
        raise InvalidArgumentError(
            f"The data set '{path}' has no held-out part, and what was trained on tells nothing: give other examples"
        )
    return None


def _check_passages(rows: list[Row]) -> None:
    passages = {text for row in rows for text in (row.response, *row.negatives)}
    if len(passages) < _LEAST_PASSAGES:
        raise InvalidArgumentError(
            f"The {len(rows)} examples have one passage in all: every model finds it; add others"
        )


def _fingerprint(ids: tuple[str, ...], validation: Validation) -> str:
    digest = hashlib.sha256()
    for part in (
        ids,
        validation.queries,
        validation.passages,
        validation.truth.offsets.tolist(),
        validation.truth.passages.tolist(),
        validation.truth.grades.tolist(),
        validation.pairs.tolist(),
        validation.labels.tolist(),
    ):
        digest.update(json.dumps(part).encode())
    return digest.hexdigest()
