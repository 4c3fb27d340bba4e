"""The model that is exported, and what is known of it: its folder, its run, its version in the registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

from pydantic import JsonValue, ValidationError

from ragtime.backends.resolution import RegistryResolver, resolve_model
from ragtime.config.settings import Settings
from ragtime.errors import BackendError, StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.services.model_finetuner.metrics import FineTuningMetrics
from ragtime.services.model_finetuner.saving import read_about
from ragtime.storage.registry import Figure, ModelRegistry, figures_of

__all__ = ["ExportSource", "open_source", "read_run"]

_REGISTRY = "registry:"
_RUN_NAME = "metrics.json"
_PRIVATE = {"lineage"}  # ids of users, turns and documents, which no export takes elsewhere
_TOLD_APART = {"base_model_name"}

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSource:
    """A model, and what is known of it.

    Attributes:
        name: What it is called: a reference of the registry, or the name of its folder.
        path: Its folder.
        base_model: What it was trained from; ``None`` when nobody told.
        training: What its run told: configuration, counts and hashes of the data, no ids of users or documents.
        baseline: Validation figures of its base.
        validation: Its own validation figures.
        registered: Figures of its version in the registry, by name.
        run: The run that made it; ``None`` when it is not at hand.
    """

    name: str
    path: Path
    base_model: str | None = None
    training: dict[str, JsonValue] = field(default_factory=dict)
    baseline: Mapping[str, float] = field(default_factory=dict)
    validation: Mapping[str, float] = field(default_factory=dict)
    registered: Mapping[str, Figure] = field(default_factory=dict)
    run: FineTuningMetrics | None = None


def open_source(
    model: str | PathLike[str],
    settings: Settings,
    *,
    registry: ModelRegistry | RegistryResolver | None = None,
    run: FineTuningMetrics | None = None,
) -> ExportSource:
    """Find a model, and what is known of it.

    Args:
        model: A folder, ``registry:NAME[@VERSION]``, or the name of a model.
        settings: Tell where the registry is.
        registry: The registry, or what finds its models and knows no more of them; ``None`` means the registry in the
            ``data_dir`` of the settings.
        run: The run that made it; ``None`` means the one that stands beside the folder, where there is one.

    Returns:
        The model.

    Raises:
        BackendError: There is no such model, it needs pickles or code of its own, it holds int8 weights, or it is not
            what was registered.
    """
    given = str(model)
    if isinstance(model, PathLike) and not Path(model).expanduser().is_dir():
        raise BackendError(f"There is no model folder '{given}'; check the path")
    known = ModelRegistry(settings) if registry is None else registry
    resolver = known.resolve if isinstance(known, ModelRegistry) else known
    found = resolve_model(given, registry=resolver, settings=settings, extra="finetune")
    about = read_about(found.path)
    data = about.data.model_dump(mode="json", exclude_unset=True)
    name, registered = (found.path.name if found.source == "folder" else given), dict[str, Figure]()
    if found.source == "registry" and isinstance(known, ModelRegistry):
        reference, _, version = given.removeprefix(_REGISTRY).partition("@")
        registered_as = known.get(reference, version or None)
        name, registered = f"{_REGISTRY}{registered_as.name}@{registered_as.short}", figures_of(registered_as.metrics)
    return ExportSource(
        name=name,
        path=found.path,
        base_model=None if about.base_model is None else _without_path(about.base_model),
        training={
            key: {name: value for name, value in part.items() if name not in _PRIVATE | _TOLD_APART}
            for key, part in (("data", data), ("config", about.config))
            if part
        },
        baseline=about.baseline,
        validation=about.validation,
        registered=registered,
        run=run if run is not None else _run_beside(found.path),
    )


def read_run(folder: str | Path) -> FineTuningMetrics:
    """Read what a run has told.

    Args:
        folder: The folder of the run, ``metrics.run_path``.

    Returns:
        What it told.

    Raises:
        StorageError: It has not ended, or its file cannot be read or holds something else.
    """
    path = Path(folder).expanduser().absolute() / _RUN_NAME
    try:
        return FineTuningMetrics.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        reason = "is not there: the folder is none of a run, or the run has not ended"
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
    except ValidationError as error:
        reason = f"holds something else: {error.error_count()} wrong fields"
    raise StorageError(f"'{path}' {reason}")


def _without_path(name: str) -> str:
    """Return the name of a model without the folders of this machine."""
    return Path(name).name if Path(name).expanduser().is_absolute() or name.startswith(".") else name


def _run_beside(folder: Path) -> FineTuningMetrics | None:
    """Find the run whose model a folder is, where runs and models have stayed where they were made."""
    for path in sorted(folder.parent.glob(f"runs/*/{_RUN_NAME}")):
        try:
            run = read_run(path.parent)
        except StorageError as error:
            _log.warning("A run beside the model is passed over", why=str(error))
            continue
        if run.model_path.name == folder.name:
            return run
    return None
