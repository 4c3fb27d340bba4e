"""What the data folder holds: data sets, models, and the folders of training runs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ragtime.config.settings import Settings
from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.saving import METADATA_NAME
from ragtime.utils.files import parse_json_object

__all__ = ["Holdings", "StoredDataset", "find_holdings", "learning_folder"]

_MANIFEST = "manifest.json"
_FORMAT = "ragtime.dataset"
_EXAMPLES = "examples"
_SHARD = re.compile(r"[0-9]{5,}\.jsonl")
_TEMPORARY = ".tmp"
_UNFINISHED = "unfinished"
_CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, slots=True)
class StoredDataset:
    """A data set of ragtime, or what is left of one.

    Attributes:
        id: Its id; ``None`` when its manifest is damaged, missing, or not written yet.
        folder: Where it is.
        files: The files with its examples, every field of them.
        parts: Examples of each part.
        problems: What is wrong with it, in words.
    """

    id: str | None
    folder: Path
    files: tuple[Path, ...]
    parts: Mapping[str, int]
    problems: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its id, or its folder."""
        return self.id or str(self.folder)


@dataclass(slots=True)
class Holdings:
    """What was found.

    Attributes:
        datasets: The data sets, by their folders.
        models: Folders of models that a run has tuned.
        runs: Folders of training runs.
        unreadable: Folders that could not be looked into.
    """

    datasets: list[StoredDataset] = field(default_factory=list)
    models: list[Path] = field(default_factory=list)
    runs: list[Path] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def learning_folder(settings: Settings) -> Path:
    """Return where the runs of the learning loop rest."""
    return settings.data_path("learning")


def find_holdings(settings: Settings, folders: Sequence[str | Path] = ()) -> Holdings:
    """Look through the data folder: ``datasets``, ``models`` and ``learning``, and where else models are saved.

    Args:
        settings: Say where that is.
        folders: Other folders to look through.

    Returns:
        What is there, in the order of the folders' names, each once, however many ways lead to it.

    Raises:
        InvalidArgumentError: One of `folders` is none.
    """
    roots = [settings.data_path("datasets"), settings.data_path("models"), learning_folder(settings)]
    if settings.finetuning.output_dir is not None:
        roots.append(settings.finetuning.output_dir.expanduser().absolute())
    for folder in folders:
        chosen = Path(folder).expanduser().absolute()
        if not chosen.is_dir():
            raise InvalidArgumentError(f"There is no folder '{chosen}' to look through")
        roots.append(chosen)
    found = Holdings()
    seen: set[tuple[int, int]] = set()
    for root in roots:
        _look_through(root, found, seen)
    return found


def _look_through(root: Path, found: Holdings, seen: set[tuple[int, int]]) -> None:
    def note(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # gone meanwhile, or never there
            found.unreadable.append(str(error.filename))

    for place, folders, files in os.walk(root, onerror=note, followlinks=True):
        folder = Path(place)
        folders.sort()
        if not _is_new(folder, seen):
            folders.clear()
            continue
        dataset = _dataset(folder, folders, files)
        if dataset is not None:
            found.datasets.append(dataset)
        elif METADATA_NAME in files:
            found.models.append(folder)
        elif _CHECKPOINTS in folders:
            found.runs.append(folder)
        else:
            if folder == root and _UNFINISHED in folders:
                folders.remove(_UNFINISHED)  # working files, which are no data sets
            continue
        folders.clear()


def _is_new(folder: Path, seen: set[tuple[int, int]]) -> bool:
    """Tell whether a folder is met for the first time: symbolic links may lead to it twice, or in a circle."""
    try:
        status = folder.stat()
    except OSError:
        return False
    key = status.st_dev, status.st_ino
    new = key not in seen
    seen.add(key)
    return new


# --- data sets ------------------------------------------------------------------------------------------------------


def _dataset(folder: Path, folders: Sequence[str], files: Sequence[str]) -> StoredDataset | None:
    shards = tuple(_shards(folder / _EXAMPLES)) if _EXAMPLES in folders else ()
    if _MANIFEST not in files:
        if not shards:
            return None
        written = folder.name.startswith(".") and folder.name.endswith(_TEMPORARY)
        problem = "it is being written, or its writing was broken off" if written else "its manifest is missing"
        return StoredDataset(None, folder, shards, {}, (problem,))
    manifest = _manifest(folder / _MANIFEST)
    if manifest is None:
        return StoredDataset(None, folder, shards, {}, ("its manifest is damaged",)) if shards else None
    if manifest.get("format") != _FORMAT:
        return None
    dataset_id, parts, listed = manifest.get("id"), manifest.get("parts"), manifest.get("files")
    named = [one for one in listed if one.startswith(f"{_EXAMPLES}/")] if isinstance(listed, Mapping) else []
    gone = sorted(set(named) - {f"{_EXAMPLES}/{path.name}" for path in shards})
    problems = [f"{len(gone)} of its files with examples are missing"] if gone else []
    if not isinstance(dataset_id, str):
        problems.append("its manifest has no id")
    counts = parts.items() if isinstance(parts, Mapping) else ()
    return StoredDataset(
        id=dataset_id if isinstance(dataset_id, str) else None,
        folder=folder,
        files=shards,
        parts={name: count for name, count in counts if isinstance(count, int)},
        problems=tuple(problems),
    )


def _shards(folder: Path) -> Iterator[Path]:
    try:
        yield from sorted(path for path in folder.iterdir() if _SHARD.fullmatch(path.name))
    except OSError:  # the manifest tells that they should be there
        return


def _manifest(path: Path) -> dict[str, Any] | None:
    try:
        return parse_json_object(path.read_bytes())
    except (OSError, InvalidArgumentError):
        return None
