"""A data set: examples in parts without leaks, with a manifest, a card and an evaluation set, in a folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragtime import __version__
from ragtime.config.settings import Settings
from ragtime.errors import StorageError
from ragtime.records.retrieval import Document
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.export.card import dataset_card
from ragtime.services.training_data_gen.export.evaluation import write_evaluation_set
from ragtime.services.training_data_gen.export.exporting import export_examples
from ragtime.services.training_data_gen.ledger import GenerationMetrics
from ragtime.services.training_data_gen.splits import split_examples
from ragtime.utils.files import write_json, write_text
from ragtime.utils.hashing import content_hash, file_hash
from ragtime.utils.settings_hash import settings_hash

__all__ = ["DatasetReport", "write_dataset"]

_SHARD = 10_000  # examples
_ID_LENGTH = 16
_HELD_OUT = "test"


@dataclass(frozen=True)
class DatasetReport:
    """A data set that was written.

    Attributes:
        id: Hash of its examples and settings: the same content has the same id.
        folder: Where it is.
        parts: Examples of each part.
        left_out: Examples that the shape cannot express, by part and reason.
        metrics: The account of the run.
    """

    id: str
    folder: Path
    parts: Mapping[str, int]
    left_out: Mapping[str, Mapping[str, int]]
    metrics: GenerationMetrics


def write_dataset(
    examples: Sequence[TrainingExample],
    documents: Iterable[Document],
    metrics: GenerationMetrics,
    settings: Settings,
    *,
    folder: str | Path | None = None,
    shape: str = "pairs",
    format: str = "jsonl",  # noqa: A002 - the word a caller expects
    shares: Mapping[str, float] | None = None,
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

    Returns:
        Where it is, and what is in it.

    Raises:
        InvalidArgumentError: There is no such shape or format, the shares are wrong, or there is no example.
        StorageError: It cannot be written, or the folder holds something else.
    """
    split = split_examples(examples, shares, seed=settings.seed)
    used = settings.training_data.model_dump(mode="json", exclude={"workers"})
    settings_id = settings_hash(settings, "embedding", "llm", "training_data")
    dataset_id = content_hash([[example.id for example in examples], settings_id, shape, format])[:_ID_LENGTH]
    target = Path(folder) if folder is not None else settings.data_path("datasets", dataset_id)
    fresh = target.with_name(f".{target.name}.tmp")
    if fresh.exists():
        shutil.rmtree(fresh)  # of a run that was killed
    shards = _write_shards(examples, fresh)
    files: dict[str, str] = dict(shards)
    left_out: dict[str, Mapping[str, int]] = {}
    for name, some in split.parts.items():
        written = export_examples(some, fresh / f"{name}.{format}", shape=shape, format=format)
        left_out[name] = written.left_out
        if written.path.is_file():  # not a folder
            files[written.path.name] = file_hash(written.path)
    if split.parts.get(_HELD_OUT):
        write_evaluation_set(split.parts[_HELD_OUT], documents, fresh / "evaluation")
        for path in sorted((fresh / "evaluation").iterdir()):
            files[f"evaluation/{path.name}"] = file_hash(path)
    parts = {name: len(some) for name, some in split.parts.items()}
    repeatable = metrics.repeatable()
    manifest: dict[str, Any] = {
        "format": "ragtime.dataset",
        "version": 1,
        "id": dataset_id,
        "ragtime": __version__,
        "seed": settings.seed,
        "settings": used,
        "settings_hash": settings_id,
        "shape": shape,
        "parts": parts,
        "left_out": left_out,
        "split": {
            "components": split.report.components,
            "largest": split.report.largest,
            "misses": split.report.misses,
        },
        "metrics": repeatable.model_dump(mode="json", exclude={"performance"}),
        "files": files,
    }
    write_json(fresh / "manifest.json", manifest)
    write_text(fresh / "README.md", dataset_card(dataset_id, repeatable, parts, used, shape))
    performance = metrics.performance
    write_json(fresh / "run.json", performance.model_dump(mode="json") if performance is not None else {})
    _move(fresh, target)
    return DatasetReport(dataset_id, target, parts, left_out, metrics)


def _write_shards(examples: Sequence[TrainingExample], folder: Path) -> dict[str, str]:
    written = {}
    for number, start in enumerate(range(0, len(examples), _SHARD), start=1):
        path = folder / "examples" / f"{number:05}.jsonl"
        export_examples(examples[start : start + _SHARD], path, shape="examples")
        written[f"examples/{path.name}"] = file_hash(path)
    return written


def _move(fresh: Path, target: Path) -> None:
    if not target.exists():
        fresh.rename(target)
        return
    manifest = target / "manifest.json"
    same = manifest.is_file() and manifest.read_bytes() == (fresh / "manifest.json").read_bytes()
    shutil.rmtree(fresh)
    if not same:
        raise StorageError(f"The folder {str(target)!r} holds something else; remove it, or name another")
