"""What is here and what is not: the facts behind ``ragtime doctor``."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Literal, NamedTuple

import ragtime
from ragtime.backends.encoders.factory import open_embedding_cache
from ragtime.backends.loading import choose_device
from ragtime.backends.resolution import resolve_model
from ragtime.config.settings import Settings, get_settings
from ragtime.errors import MissingExtraError, RagtimeError
from ragtime.utils.extras import installed_extras, require

__all__ = ["Finding", "diagnose"]

_LITTLE_SPACE = 2**30  # bytes


class Finding(NamedTuple):
    """One line of a diagnosis.

    Attributes:
        topic: What was looked at.
        state: ``ok``; ``missing`` for something optional that is not there; ``problem`` for something that will fail.
        told: What was found, and what to do.
    """

    topic: str
    state: Literal["ok", "missing", "problem"]
    told: str


def diagnose(settings: Settings | None = None) -> list[Finding]:
    """Look at Python, the extras, the device, the embedding model, the cache and the data folder.

    Nothing is downloaded on purpose, loaded or made: a model of the hub is looked for in its local cache first, then
    asked for.

    Args:
        settings: The settings; ``None`` means the current ones.

    Returns:
        The findings, one a topic.
    """
    chosen = settings or get_settings()
    checks: list[tuple[str, Callable[[Settings], Finding]]] = [
        ("device", _device),
        ("embedding model", _model),
        ("embedding cache", _cache),
        ("data folder", _data_folder),
    ]
    found = [
        Finding("ragtime", "ok", f"{ragtime.__version__}, Python {platform.python_version()}, {platform.machine()}")
    ]
    found.extend(_extras())
    for topic, check in checks:
        try:
            found.append(check(chosen))
        except MissingExtraError as error:
            found.append(Finding(topic, "missing", str(error)))
        except (RagtimeError, OSError) as error:
            found.append(Finding(topic, "problem", " ".join(str(error).split())))
    return found


def _extras() -> Iterator[Finding]:
    for extra, missing in installed_extras().items():
        if missing:
            told = f'not installed: {", ".join(missing)} (pip install "ragtime-gal[{extra}]")'
            yield Finding(f"extra {extra}", "missing", told)
        else:
            yield Finding(f"extra {extra}", "ok", "installed")


def _device(settings: Settings) -> Finding:
    device = choose_device(require("torch", "embeddings"), settings.embedding.device)
    return Finding("device", "ok", f"{device}, torch {metadata.version('torch')}")


def _model(settings: Settings) -> Finding:
    if settings.embedding.provider != "sentence-transformers":
        place = settings.embedding.base_url or "the provider's own address"
        return Finding("embedding model", "ok", f"{settings.embedding.model_name} at {place} (not asked)")
    missing = installed_extras()["embeddings"]
    if missing:
        raise MissingExtraError(missing[0], "embeddings")
    found = resolve_model(settings.embedding.model_name, settings=settings)
    return Finding("embedding model", "ok", f"{found.name}: {found.source}, {found.path}")


def _cache(settings: Settings) -> Finding:
    cache = open_embedding_cache(settings)
    if cache is None:
        return Finding("embedding cache", "ok", "off")
    with cache:
        cache.check()
        entries, size, _ = cache.statistics()
    told = f"{entries:,} vectors, {size / 2**20:.1f} of {cache.max_bytes / 2**20:.0f} MiB, {cache.path}"
    return Finding("embedding cache", "ok", told)


def _data_folder(settings: Settings) -> Finding:
    folder = settings.data_path()
    standing = _first_existing(folder)
    if not os.access(standing, os.W_OK):
        return Finding(
            "data folder", "problem", f"{folder} cannot be written: no permission for {standing}; set data_dir"
        )
    free = shutil.disk_usage(standing).free
    state: Literal["ok", "problem"] = "ok" if free >= _LITTLE_SPACE else "problem"
    return Finding("data folder", state, f"{folder}, {free / 2**30:.1f} GiB free")


def _first_existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())
