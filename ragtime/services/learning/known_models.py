"""The models of the registry and of the data folder, and which of them was trained from which."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pydantic import ConfigDict, Field, ValidationError

from ragtime.errors import BackendError, InvalidArgumentError, StorageError
from ragtime.records.base import Frozen
from ragtime.records.training import ids_by_kind
from ragtime.services.model_finetuner.saving import METADATA_NAME, ModelAbout, read_about
from ragtime.services.model_finetuner.saving.about import TrainedOn
from ragtime.storage.registry import ModelRegistry, ModelVersion, Stage
from ragtime.storage.registry.records import SHORT
from ragtime.storage.registry.references import find_version, is_name, split_reference
from ragtime.storage.registry.shelf import Shelf
from ragtime.utils.hashing import file_hash

__all__ = ["KnownModel", "KnownModels", "Origin", "TrainingRun", "known_models", "read_run"]

_REGISTRY = "registry:"
_RESULT = "metrics.json"
_MODEL_FILES = (METADATA_NAME, "modules.json", "config.json")
_TUNED = re.compile(r"-(?:full|lora|adapter|quantized)-[0-9a-f]{8}(?:-\d+)?(?:-int8)?/?$")
"""How folders of tuned models end, and no model of others."""


@dataclass(frozen=True, slots=True, eq=False)
class KnownModel:
    """A version of the registry, or a folder of a model.

    Attributes:
        name: ``NAME@VERSION`` with the first digits of the version, or the folder.
        folder: Where its files are.
        version: The version, and its stage; ``None`` for a folder.
        parent: What it was trained from, as it was written down; ``None`` when nobody knows.
        dataset_ids: The data sets that it was trained on.
        ids: Ids of what it was trained on, by kind.
        settings_hash: Hash of the configuration of its run; ``None`` when nobody knows.
        digest: Hash of what its run has told of it; a version is a copy of a folder with the same. ``None`` when there
            is nothing of it.
        problem: What of it could not be read; ``None`` when all was.
    """

    name: str
    folder: Path
    version: ModelVersion | None
    parent: str | None
    dataset_ids: tuple[str, ...]
    ids: Mapping[str, frozenset[str]]
    settings_hash: str | None = None
    digest: str | None = None
    problem: str | None = None

    @property
    def stage(self) -> Stage | None:
        """What it is used for; ``None`` for a folder."""
        return None if self.version is None else self.version.stage

    @property
    def reference(self) -> str | None:
        """``NAME@VERSION`` in full; ``None`` for a folder."""
        return None if self.version is None else self.version.reference


class Origin(NamedTuple):
    """What a model was trained from.

    Attributes:
        model: The model; ``None`` where it is none of ours, or is gone.
        gone: Why it cannot be found; ``None`` where it was found, or is a model of others, with which it began.
    """

    model: KnownModel | None = None
    gone: str | None = None


class TrainingRun(NamedTuple):
    """The folder of a training run.

    Attributes:
        folder: Where its checkpoints and figures are.
        model: The folder of the model that came out; ``None`` while nothing has.
        dataset_ids: The data sets that it was trained on.
        ids: Ids of what it was trained on, by kind.
        problem: Why nobody can tell what it was trained on; ``None`` when it tells.
    """

    folder: Path
    model: Path | None
    dataset_ids: tuple[str, ...]
    ids: Mapping[str, frozenset[str]]
    problem: str | None = None


@dataclass(slots=True)
class KnownModels:
    """All models that were found.

    Attributes:
        versions: Those of the registry, model by model, in the order in which they were registered.
        folders: Those that are folders.
        problems: What could not be read.
    """

    versions: list[KnownModel] = field(default_factory=list)
    folders: list[KnownModel] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    _deleted: dict[str, set[str]] = field(default_factory=dict)

    def all(self) -> list[KnownModel]:
        """Return the versions, then the folders."""
        return [*self.versions, *self.folders]

    def origin_of(self, model: KnownModel) -> Origin:
        """Find what a model was trained from.

        Args:
            model: The model.

        Returns:
            What is known of it.
        """
        parent = model.parent
        if parent is None:
            return Origin(gone=f"What {model.name} was trained from is not recorded")
        named = parent.removeprefix(_REGISTRY)
        name, at, prefix = named.partition("@")
        if is_name(name) and (at or parent != named):
            return self._version(name, prefix, parent)
        path = Path(parent).expanduser().absolute()
        if path.is_dir():
            return Origin(self._folder(path))
        if parent.startswith((".", "/", "~")) or parent.count("/") > 1 or _TUNED.search(parent):
            return Origin(gone=f"The folder '{path}' that {model.name} was trained from is gone")
        return Origin()

    def _version(self, name: str, prefix: str, told: str) -> Origin:
        if not prefix:
            return Origin(gone=f"Which version {told!r} stood for was not recorded")
        whole = {one.version.version: one for one in self.versions if one.version and one.version.name == name}
        try:
            return Origin(whole[find_version(name, prefix, whole)])
        except (StorageError, InvalidArgumentError):
            deleted = any(version.startswith(prefix) for version in self._deleted.get(name, ()))
            what = "was deleted from the registry" if deleted else "is not in the registry, or is damaged there"
            return Origin(gone=f"The version {name}@{prefix[:SHORT]} {what}")

    def _folder(self, path: Path) -> KnownModel | None:
        """Return a model of a folder that a run has tuned; ``None`` for one of others."""
        known = {one.folder.resolve(): one for one in self.all()}
        if (found := known.get(path.resolve())) is not None:
            return found
        if not (path / METADATA_NAME).is_file():
            return None
        self.folders.append(_read_folder(path))
        return self.folders[-1]

    def find(self, wanted: str | Path, registry: ModelRegistry) -> KnownModel:
        """Find a model by its name.

        Args:
            wanted: ``NAME[@VERSION]``, with or without ``registry:`` before it, or a folder.
            registry: Where versions are.

        Returns:
            The model.

        Raises:
            ModelNotFoundError: The registry has no such model or version, or none of it is in production.
            InvalidArgumentError: It is neither a name nor a folder with a model, or several versions begin so.
            StorageError: The registry cannot be read.
        """
        told = str(wanted)
        path = Path(wanted).expanduser().absolute()
        is_model = not told.startswith(_REGISTRY) and any((path / one).is_file() for one in _MODEL_FILES)
        if is_model:
            return self._folder(path) or _of_others(path)
        if isinstance(wanted, Path) or not is_name(told.removeprefix(_REGISTRY).partition("@")[0]):
            what = "holds no model" if path.is_dir() else "is not there"
            raise InvalidArgumentError(
                f"'{path}' {what}; name a model as NAME or NAME@VERSION in the registry, or give its folder"
            )
        version = registry.get(*split_reference(told.removeprefix(_REGISTRY)))
        known = {one.reference: one for one in self.versions}
        return known.get(version.reference) or _of_version(version, registry)  # of another registry than was read


def known_models(registry: ModelRegistry, folders: Iterable[Path]) -> KnownModels:
    """Read what the registry and some folders tell of models.

    Args:
        registry: The registry.
        folders: Folders that runs have saved models to.

    Returns:
        The models. What is damaged is told of, and costs no other.
    """
    found = KnownModels()
    try:
        names = registry.list_models()
    except StorageError as error:
        names = []
        found.problems.append(str(error))
    for name in names:
        try:
            versions, changes = registry.list_versions(name), registry.history(name)
        except StorageError as error:
            found.problems.append(str(error))
            continue
        there: set[str] = set()
        for change in changes:
            (there.discard if change.action == "delete" else there.add)(change.version)
        found._deleted[name] = {change.version for change in changes} - there  # noqa: SLF001 - its own maker
        damaged = there - {version.version for version in versions}
        found.problems += [f"{name}@{version[:SHORT]} is damaged: what it came from is lost" for version in damaged]
        found.versions += [_of_version(version, registry) for version in versions]
    found.folders = [_read_folder(folder) for folder in folders]
    found.problems += [one.problem for one in found.all() if one.problem is not None]
    return found


def _of_version(version: ModelVersion, registry: ModelRegistry) -> KnownModel:
    folder = Shelf(registry.root, version.name).model_folder(version.version)
    registered = version.files.get(METADATA_NAME)
    about, problem = ModelAbout(), None
    if registered is not None:
        about, problem = _about(folder)
        if problem is None and _digest(folder) != registered.sha256:
            about, problem = ModelAbout(), f"'{folder / METADATA_NAME}' is not what was registered"
    own = ids_by_kind([version.lineage] if version.lineage is not None else [])
    for kind, ids in about.data.lineage.items():
        own.setdefault(kind, set()).update(ids)
    return KnownModel(
        name=f"{version.name}@{version.short}",
        folder=folder,
        version=version,
        parent=version.parent if version.parent is not None else about.base_model,
        dataset_ids=tuple(dict.fromkeys([*version.dataset_ids, *about.data.dataset_ids])),
        ids={kind: frozenset(ids) for kind, ids in own.items()},
        settings_hash=version.settings_hash,
        digest=None if registered is None else registered.sha256,
        problem=problem,
    )


def _read_folder(folder: Path) -> KnownModel:
    """Read what the folder of a tuned model tells; what cannot be read is its problem."""
    about, problem = _about(folder)
    return KnownModel(
        name=str(folder),
        folder=folder,
        version=None,
        parent=about.base_model,
        dataset_ids=about.data.dataset_ids,
        ids=_frozen(about.data),
        digest=_digest(folder),
        problem=problem,
    )


def _of_others(folder: Path) -> KnownModel:
    return KnownModel(name=str(folder), folder=folder, version=None, parent=None, dataset_ids=(), ids={})


def _about(folder: Path) -> tuple[ModelAbout, str | None]:
    try:
        return read_about(folder), None
    except BackendError as error:
        return ModelAbout(), str(error)


def _digest(folder: Path) -> str | None:
    try:
        return file_hash(folder / METADATA_NAME)
    except OSError:  # what cannot be read is told of where it is read
        return None


def _frozen(data: TrainedOn) -> dict[str, frozenset[str]]:
    return {kind: frozenset(ids) for kind, ids in data.lineage.items()}


# --- training runs --------------------------------------------------------------------------------------------------


class _RunResult(Frozen):
    """What is read of the result of a run."""

    model_config = ConfigDict(extra="ignore")

    model_path: Path
    data: TrainedOn = Field(default_factory=TrainedOn)


def read_run(folder: Path) -> TrainingRun:
    """Read what a training run tells of its data.

    Args:
        folder: The folder of the run.

    Returns:
        What it tells.
    """
    try:
        result = _RunResult.model_validate_json((folder / _RESULT).read_bytes())
    except FileNotFoundError:
        return TrainingRun(folder, None, (), {}, "it has not ended, and until then no data are recorded")
    except OSError as error:
        return TrainingRun(folder, None, (), {}, f"its {_RESULT} cannot be read ({error.strerror or error})")
    except ValidationError:
        return TrainingRun(folder, None, (), {}, f"its {_RESULT} is damaged")
    return TrainingRun(folder, result.model_path, result.data.dataset_ids, _frozen(result.data))
