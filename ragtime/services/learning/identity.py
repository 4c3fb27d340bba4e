"""What tells a run from others: all that its result depends on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from ragtime.backends.encoders import SentenceTransformerEncoder
from ragtime.config.settings import Settings
from ragtime.errors import StorageError
from ragtime.protocols import TextEncoder, TextRole
from ragtime.services.model_finetuner import FineTuningConfig
from ragtime.services.model_finetuner.training import ModelLoader
from ragtime.services.model_finetuner.training.base import UNTOUCHED
from ragtime.utils.hashing import file_hash
from ragtime.utils.settings_hash import result_settings

if TYPE_CHECKING:
    from pydantic import JsonValue

__all__ = ["base_identity", "encoder_identity", "told_settings"]

_SECTIONS = ("embedding", "learning", "training_data")


def told_settings(settings: Settings, config: FineTuningConfig, *, writes: bool) -> dict[str, JsonValue]:
    """Return the settings that change what a run comes to, by their dotted names.

    Args:
        settings: The settings.
        config: What the training is told, resolved.
        writes: Whether a language model writes texts, so that section ``llm`` counts.

    Returns:
        The values: no folders of outputs, secrets, limits of time or logging.
    """
    sections: dict[str, dict[str, Any]] = result_settings(settings, *_SECTIONS, *(["llm"] if writes else []))
    sections["finetuning"] = config.model_dump(mode="json", exclude=set(UNTOUCHED))
    return {
        f"{section}.{name}": value for section in sorted(sections) for name, value in sorted(sections[section].items())
    }


def base_identity(config: FineTuningConfig, settings: Settings, model_loader: ModelLoader | None) -> list[Any]:
    """Tell the base model from others.

    Args:
        config: Names it.
        settings: Say where it runs.
        model_loader: Gives it instead; ``None`` for a model that is found by its name.

    Returns:
        Its name; with it the hashes of its files where it is a folder, and the fingerprints of what a loader gives. A
        name in the registry stays the same name, whichever version is in production.

    Raises:
        StorageError: The folder cannot be read.
    """
    name = str(config.base_model_name)
    if model_loader is not None:
        encoder = SentenceTransformerEncoder(settings, model_name=name, model=model_loader(config))
        return [name, *encoder_identity(encoder)]
    folder = Path(name).expanduser()
    try:
        if not folder.is_dir():
            return [name]
        return [name, *([str(path.relative_to(folder)), file_hash(path)] for path in _files_of(folder))]
    except OSError as error:
        raise StorageError(f"Cannot read the model folder '{folder}': {error.strerror or error}") from error


def _files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def encoder_identity(encoder: TextEncoder | None) -> list[str]:
    """Return the fingerprints of an encoder for both roles; none without one."""
    return [] if encoder is None else [encoder.fingerprint(role) for role in get_args(TextRole)]
