"""The first stage: training data of all that the sources give."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from ragtime.config.settings import Settings
from ragtime.errors import GenerationError, InvalidArgumentError, StorageError
from ragtime.records.base import FrozenDict, Identifier, Record, Text, freeze
from ragtime.services.learning.sources import SourceContent
from ragtime.services.training_data_gen import (
    DatasetReport,
    GenerationMetrics,
    RejectedCandidate,
    TrainingDataGenerator,
    TrainingExample,
    iter_examples,
)
from ragtime.utils.files import parse_json_object
from ragtime.utils.hashing import file_hash

__all__ = [
    "TRAIN",
    "VALIDATION",
    "LearnedData",
    "check_dataset",
    "dataset_folder",
    "make_data",
    "part_of",
    "strategy_mix",
]

TRAIN, VALIDATION, HELD_OUT = "train", "validation", "test"
"""The parts of the data set; the last one is what ``generate_dataset`` writes an evaluation set of."""

_SHAPE = "examples"  # every field: lineage, weights and negatives
_MANIFEST = "manifest.json"

Count = Annotated[int, Field(ge=0)]


class LearnedData(Record):
    """What was made of the sources.

    Attributes:
        dataset_id: The data set; ``None`` when the sources gave no example.
        parts: Examples of each part.
        misses: For each part that missed its share of the examples, the reason.
        metrics: What became of every candidate.
        rejected: Some of those that fell.
    """

    dataset_id: Identifier | None = None
    parts: Annotated[Mapping[Identifier, Count], AfterValidator(freeze)] = Field(default_factory=FrozenDict)
    misses: Annotated[Mapping[Identifier, Text], AfterValidator(freeze)] = Field(default_factory=FrozenDict)
    metrics: GenerationMetrics
    rejected: tuple[RejectedCandidate, ...] = ()

    @property
    def training_pairs(self) -> int:
        """Pairs to train on."""
        return self.parts.get(TRAIN, 0)

    @property
    def validation_pairs(self) -> int:
        """Pairs that choose the best step."""
        return self.parts.get(VALIDATION, 0)


def strategy_mix(contents: Mapping[str, SourceContent], settings: Settings) -> dict[str, int | None]:
    """Choose how examples are made of what is there; what somebody has stated comes before what is made up.

    Args:
        contents: What the sources hold.
        settings: Section ``learning`` says how many questions are made up.

    Returns:
        For each strategy the most examples, ``None`` for all there are; none when nothing can be made.
    """
    mix: dict[str, int | None] = {}
    if "examples" in contents:
        mix["given_examples"] = None
    if contents.keys() & {"queries", "feedback"}:
        mix["query_based"] = None
    if "conversations" in contents:
        mix["conversation_based"] = None
    if "documents" in contents and (each := settings.learning.made_up_per_passage):
        made_up = each * contents["documents"].records
        # Where there is nothing but documents, and none can be used, the strategy says so.
        if made_up or not mix:
            mix["synthetic"] = max(1, made_up)
    return mix


def make_data(
    generator: TrainingDataGenerator,
    mix: Mapping[str, int | None],
    *,
    reserved: Iterable[str] | None,
) -> LearnedData:
    """Make the data set.

    Args:
        generator: Makes examples of the sources.
        mix: How, and how many.
        reserved: Questions that the model will be measured by, of which no example is made; ``None`` means that a part
            of the examples is held out for it.

    Returns:
        What was made.

    Raises:
        GenerationError: A source cannot be read, or lacks what its strategy needs.
        StorageError: The data set cannot be written.
    """
    if not mix:
        return LearnedData(metrics=GenerationMetrics())
    try:
        report = generator.generate_dataset(
            strategies=mix,
            shape=_SHAPE,
            shares=_shares(generator.settings, hold_out=reserved is None),
            reserved_queries=reserved or (),
            passages_only=True,
        )
    except GenerationError as error:
        metrics = generator.metrics
        if error.__cause__ is not None or metrics.produced or not metrics.stages:
            raise
        return LearnedData(metrics=metrics.repeatable(), rejected=generator.rejected)  # too little, and it is told why
    return _learned(report)


def _shares(settings: Settings, *, hold_out: bool) -> dict[str, float]:
    validation, held_out = settings.learning.validation_share, settings.learning.held_out_share
    if not hold_out:
        return {TRAIN: 1 - validation, VALIDATION: validation}
    return {TRAIN: 1 - validation - held_out, VALIDATION: validation, HELD_OUT: held_out}


def _learned(report: DatasetReport) -> LearnedData:
    return LearnedData(
        dataset_id=report.id,
        parts=dict(report.parts),
        misses=dict(report.misses),
        metrics=report.metrics.repeatable(),
        rejected=report.rejected,
    )


def dataset_folder(settings: Settings, dataset_id: str) -> Path:
    """Return where a data set is."""
    return settings.data_path("datasets", dataset_id)


def check_dataset(folder: Path) -> None:
    """Raise unless a data set is what was written.

    Args:
        folder: The data set.

    Raises:
        StorageError: A file of it is missing, changed or cannot be read; names it, and says what to do.
    """
    try:
        files: object = parse_json_object((folder / _MANIFEST).read_bytes()).get("files")
        changed = _MANIFEST if not isinstance(files, Mapping) else _first_changed(folder, files)
    except InvalidArgumentError:
        changed = _MANIFEST
    except OSError as error:
        raise StorageError(f"The data set '{folder}' cannot be read: {error.strerror or error}") from error
    if changed is not None:
        raise StorageError(
            f"'{folder / changed}' is not what was written: remove the folder '{folder}', and the same call makes it "
            "again"
        )


def _first_changed(folder: Path, files: Mapping[str, str]) -> str | None:
    for name, digest in files.items():
        path = folder / name
        if not path.is_file() or file_hash(path) != digest:
            return name
    return None


def part_of(folder: Path, part: str) -> Iterator[TrainingExample]:
    """Read the examples of a part; see ``iter_examples``."""
    return iter_examples(folder / f"{part}.jsonl")
