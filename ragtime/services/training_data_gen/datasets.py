"""A data set: examples in parts without leaks, with a manifest, a card and an evaluation set, in a folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragtime import __version__
from ragtime.config.settings import Settings
from ragtime.errors import StorageError
from ragtime.records.retrieval import Document
from ragtime.services.training_data_gen.claims import Claim
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.export.card import dataset_card
from ragtime.services.training_data_gen.export.evaluation import write_evaluation_set
from ragtime.services.training_data_gen.export.exporting import ExportReport, export_examples
from ragtime.services.training_data_gen.export.formats import format_of
from ragtime.services.training_data_gen.export.shapes import get_shape
from ragtime.services.training_data_gen.ledger import GenerationMetrics
from ragtime.services.training_data_gen.quality import Redactor, redacted_passage
from ragtime.services.training_data_gen.rejected import RejectedCandidate
from ragtime.services.training_data_gen.splits import ExampleSplit, checked_shares, split_examples
from ragtime.utils.files import write_json, write_text
from ragtime.utils.hashing import content_hash, file_hash
from ragtime.utils.settings_hash import settings_hash

__all__ = ["DatasetReport", "check_dataset_request", "write_dataset"]

_SHARD = 10_000  # examples
_ID_LENGTH = 16
_HELD_OUT = "test"
_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class DatasetReport:
    """A data set that was written.

    Attributes:
        id: Hash of its examples, settings and account: the same content has the same id.
        folder: Where it is.
        parts: Examples of each part.
        rows: Rows of each part's file: fewer than examples where the shape cannot express some, and more where it makes
            several rows of one, such as a row of `triplets` for each negative.
        left_out: Examples that the shape cannot express, by part and reason.
        misses: For each part whose share of the examples is more than 0.02 from what was asked for, the reason.
        metrics: The account of the run.
        rejected: Some of the candidates that fell, up to three for each stage, strategy and reason.
    """

    id: str
    folder: Path
    parts: Mapping[str, int]
    rows: Mapping[str, int]
    left_out: Mapping[str, Mapping[str, int]]
    misses: Mapping[str, str]
    metrics: GenerationMetrics
    rejected: tuple[RejectedCandidate, ...] = ()


def check_dataset_request(
    folder: str | Path | None,
    shape: str,
    format: str,  # noqa: A002 - the word a caller expects
    shares: Mapping[str, float] | None,
) -> None:
    """Raise, before any work is done, when a data set cannot be written like this.

    Args:
        folder: As for ``write_dataset``, like all that follows.
        shape: The shape.
        format: The format.
        shares: The shares.

    Raises:
        InvalidArgumentError: There is no such shape or format, or the shares are wrong.
        StorageError: The folder holds something that is no data set.
    """
    get_shape(shape)
    format_of("part", format)
    checked_shares(shares)
    if folder is not None:
        _check_place(Path(folder))


def _check_place(target: Path) -> None:
    fine = not target.exists() or (target / _MANIFEST).is_file() or (target.is_dir() and not any(target.iterdir()))
    if not fine:
        raise StorageError(f"The folder {str(target)!r} holds something else; remove it, or name another")


def write_dataset(  # noqa: PLR0913 - how a data set is written, each by its name
    examples: Sequence[TrainingExample],
    documents: Iterable[Document],
    metrics: GenerationMetrics,
    settings: Settings,
    *,
    folder: str | Path | None = None,
    shape: str = "pairs",
    format: str = "jsonl",  # noqa: A002 - the word a caller expects
    shares: Mapping[str, float] | None = None,
    rejected: tuple[RejectedCandidate, ...] = (),
) -> DatasetReport:
    """Write a data set; the same examples and settings give the same bytes, but for ``run.json``.

    The folder holds the examples with every field in ``examples/00001.jsonl`` and so on, the parts in the shape and
    format that were asked for, the held-out part as an evaluation set, ``manifest.json``, ``README.md`` and
    ``run.json``, where durations are.

    Args:
        examples: The examples.
        documents: The passages, for the evaluation set.
        metrics: The account of the run.
        settings: The settings.
        folder: Where to; ``None`` means ``datasets/ID`` in `data_dir`. One that holds the same data set stays as it is.
        shape: Shape of the parts; see ``get_shape``.
        format: Format of the parts.
        shares: Share of each part; ``None`` means 0.8, 0.1 and 0.1 for train, validation and test.
        rejected: Some of the candidates that fell, for the report alone.

    Returns:
        Where it is, and what is in it.

    Raises:
        InvalidArgumentError: There is no such shape or format, the shares are wrong, or there is no example.
        StorageError: It cannot be written, or the folder holds something else.
    """
    split = split_examples(examples, shares, seed=settings.seed)
    settings_id = settings_hash(settings, "embedding", "llm", "training_data")
    # With the account: other sources may give the same examples, and the card would tell another story of them.
    told = [shape, format, dict(sorted(checked_shares(shares).items())), _account(metrics)]
    dataset_id = content_hash([[example.id for example in examples], settings_id, *told])[:_ID_LENGTH]
    target = Path(folder) if folder is not None else settings.data_path("datasets", dataset_id)
    fresh = target.with_name(f".{target.name}.tmp")
    with _alone(target):
        if fresh.exists():
            shutil.rmtree(fresh)  # of a run that was killed
        try:
            shards = _write_shards(examples, fresh)
            parts, files = _write_parts(split, fresh, shape, format)
            rows = {name: part.rows for name, part in parts.items()}
            left_out = {name: part.left_out for name, part in parts.items()}
            evaluation = _write_evaluation(split, documents, fresh)
            manifest = _manifest(dataset_id, split, metrics, settings, shape)
            manifest |= {"rows": rows, "left_out": left_out, "files": shards | files | evaluation}
            write_json(fresh / _MANIFEST, manifest)
            card = dataset_card(metrics.repeatable(), manifest)
            write_text(fresh / "README.md", card)
            performance = metrics.performance
            write_json(fresh / "run.json", performance.model_dump(mode="json") if performance is not None else {})
            _move(fresh, target)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
    return DatasetReport(
        id=dataset_id,
        folder=target,
        parts=manifest["parts"],
        rows=rows,
        left_out=left_out,
        misses=split.report.misses,
        metrics=metrics,
        rejected=rejected,
    )


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Let no other process write the same data set at the same time; it waits."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        claim = Claim.wait(target.with_name(f".{target.name}.lock"))
    except OSError as error:
        raise StorageError(f"Cannot write {str(target)!r}: {error.strerror or error}") from error
    with claim:
        yield


def _manifest(
    dataset_id: str, split: ExampleSplit, metrics: GenerationMetrics, settings: Settings, shape: str
) -> dict[str, Any]:
    return {
        "format": "ragtime.dataset",
        "version": 1,
        "id": dataset_id,
        "ragtime": __version__,
        "seed": settings.seed,
        "settings": settings.training_data.model_dump(mode="json", exclude={"workers"}),
        "settings_hash": settings_hash(settings, "embedding", "llm", "training_data"),
        "shape": shape,
        "parts": {name: len(some) for name, some in split.parts.items()},
        "split": {
            "components": split.report.components,
            "largest": split.report.largest,
            "misses": split.report.misses,
        },
        "metrics": _account(metrics),
    }


def _account(metrics: GenerationMetrics) -> dict[str, Any]:
    return metrics.repeatable().model_dump(mode="json", exclude={"performance"})


def _write_parts(
    split: ExampleSplit,
    folder: Path,
    shape: str,
    format: str,  # noqa: A002 - as above
) -> tuple[dict[str, ExportReport], dict[str, str]]:
    written: dict[str, ExportReport] = {}
    files: dict[str, str] = {}
    for name, some in split.parts.items():
        written[name] = export_examples(some, folder / f"{name}.{format}", shape=shape, format=format)
        path = written[name].path
        if path.is_file():  # not a folder
            files[path.name] = file_hash(path)
    return written, files


def _write_evaluation(split: ExampleSplit, documents: Iterable[Document], folder: Path) -> dict[str, str]:
    """Write the held-out part as an evaluation set, with passages whose personal data are as in the examples."""
    if not split.parts.get(_HELD_OUT):
        return {}
    redactor = Redactor()
    write_evaluation_set(
        split.parts[_HELD_OUT],
        documents,
        folder / "evaluation",
        change=lambda passage: redacted_passage(passage, redactor),
    )
    return {f"evaluation/{path.name}": file_hash(path) for path in sorted((folder / "evaluation").iterdir())}


def _write_shards(examples: Sequence[TrainingExample], folder: Path) -> dict[str, str]:
    written = {}
    for number, start in enumerate(range(0, len(examples), _SHARD), start=1):
        path = folder / "examples" / f"{number:05}.jsonl"
        export_examples(examples[start : start + _SHARD], path, shape="examples")
        written[f"examples/{path.name}"] = file_hash(path)
    return written


def _move(fresh: Path, target: Path) -> None:
    _check_place(target)
    manifest = target / _MANIFEST
    if not manifest.exists():
        fresh.replace(target)  # also of an empty folder
        return
    same = manifest.read_bytes() == (fresh / _MANIFEST).read_bytes()
    shutil.rmtree(fresh)
    if not same:
        raise StorageError(f"The folder {str(target)!r} holds something else; remove it, or name another")
