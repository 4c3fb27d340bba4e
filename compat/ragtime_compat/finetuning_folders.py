"""The folder of the models as the old module kept it: names, metadata, listing, removal."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ragtime.backends.resolution import INT8_MARKER
from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.training.folder import int8_place
from ragtime.utils.files import write_json
from ragtime_compat.finetuning_ollama import is_ollama_folder
from ragtime_compat.finetuning_records import TrainingMetrics

__all__ = ["METADATA_NAME", "RunNotes", "free_name", "listed_models", "remove_model"]

METADATA_NAME = "training_metadata.json"

_OWN_RUNS = "runs"  # where the calls of the new class keep checkpoints
_LONGEST = 200  # bytes of a name, of 255; more is put behind it
_NAME = re.compile(r"[^./\\][^/\\]*")


@dataclass(frozen=True, slots=True)
class RunNotes:
    """What is written down about a model.

    Attributes:
        name: Its name.
        base_model: The model that the run began with.
        start: When the run began, local time without a time zone, as in the files of the old module.
        end: When it ended, likewise.
        config: The values of the configuration that are told.
        train_examples: How many examples were trained on.
        val_examples: How many were validated on.
        history: Its epochs.
    """

    name: str
    base_model: str
    start: datetime
    end: datetime
    config: Mapping[str, Any]
    train_examples: int
    val_examples: int
    history: Sequence[TrainingMetrics]

    @property
    def seconds(self) -> float:
        """How long the run took."""
        return (self.end - self.start).total_seconds()

    def write(self, model: Path) -> None:
        """Write the metadata into the folder of a model; StorageError when that cannot be."""
        about = {
            "model_name": self.name,
            "base_model": self.base_model,
            "training_start": self.start.isoformat(),
            "training_end": self.end.isoformat(),
            "training_duration_seconds": self.seconds,
            "config": dict(self.config),
            "data_statistics": {"train_examples": self.train_examples, "val_examples": self.val_examples},
            "training_history": [asdict(entry) for entry in self.history],
        }
        write_json(model / METADATA_NAME, about)


def _is_name(name: object) -> bool:
    """Tell whether this can be the name of a folder that is seen, directly in another."""
    return isinstance(name, str) and name.isprintable() and _NAME.fullmatch(name) is not None


def free_name(folder: Path, suffix: str | None, moment: datetime) -> str:
    """Choose the name of a model.

    Args:
        folder: The folder of the models.
        suffix: What the name begins with; ``None`` or an empty text means ``finetuned``.
        moment: When its run began.

    Returns:
        The name, with ``_2`` and so on behind it when models of the same second are there.

    Raises:
        InvalidArgumentError: The name would lead out of the folder, or could not be seen in it.
    """
    base = f"{suffix or 'finetuned'}_{moment:%Y%m%d_%H%M%S}"
    if not _is_name(base) or len(base.encode()) > _LONGEST:
        raise InvalidArgumentError(
            f"model_name_suffix must be the beginning of a file name, found {base[:50]!r}: leave out separators, "
            f"control characters and a leading dot, and keep the name under {_LONGEST} bytes"
        )
    name, number = base, 1
    while (folder / name).exists():
        number += 1
        name = f"{base}_{number}"
    return name


def listed_models(folder: Path) -> list[dict[str, Any]]:
    """List the models of a folder.

    Args:
        folder: The folder of the models.

    Returns:
        Name, path and time of each, and what its metadata tell when they can be read; newest first.

    Raises:
        OSError: The folder cannot be read.
    """
    if not folder.is_dir():
        return []
    found = sorted(_models(folder), key=lambda item: (item[0], item[1]["name"]), reverse=True)
    return [told for _, told in found]


def _models(folder: Path) -> Iterator[tuple[float, dict[str, Any]]]:
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # removed since
            if path.name.startswith(".") or not path.is_dir() or _is_by_product(path):
                continue
            changed = path.stat().st_mtime
            created = datetime.fromtimestamp(changed).isoformat()  # noqa: DTZ006 - local time, as it always was
            yield changed, {"name": path.name, "path": str(path), "created": created, **_told(path)}


def _is_by_product(path: Path) -> bool:
    """Tell whether a folder is no model, but was written beside one."""
    is_runs = path.name == _OWN_RUNS and not (path / "config.json").exists() and any(path.glob("*/checkpoints"))
    return is_runs or (path / INT8_MARKER).is_file() or is_ollama_folder(path)


def _told(model: Path) -> dict[str, Any]:
    """Return what the metadata of a model tell; nothing when they cannot be read."""
    try:
        about = json.loads((model / METADATA_NAME).read_bytes())
    except (OSError, ValueError, RecursionError):  # none, or a file that was cut off
        return {}
    if not isinstance(about, dict):
        return {}
    statistics = about.get("data_statistics")
    return {
        "base_model": about.get("base_model"),
        "training_duration": about.get("training_duration_seconds"),
        "train_examples": statistics.get("train_examples") if isinstance(statistics, dict) else None,
        "config": about.get("config"),
    }


def remove_model(folder: Path, name: str) -> bool:
    """Remove a model.

    Args:
        folder: The folder of the models.
        name: The name of the model: that of a folder directly in it, not a link to one elsewhere.

    Returns:
        Whether it was there.

    Raises:
        InvalidArgumentError: That is no such name.
        OSError: It cannot be removed.
    """
    if not _is_name(name):
        raise InvalidArgumentError("The name of a model is that of a folder in the folder of the models")
    model = folder / name
    if model.is_symlink() or not model.is_dir():
        return False
    shutil.rmtree(model)
    int8 = int8_place(model)
    if (int8 / INT8_MARKER).is_file() and not int8.is_symlink():
        shutil.rmtree(int8)
    return True
