"""Loading: the base of a run, and what a run has saved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ragtime.backends.encoders.sentence_transformer import SentenceTransformerEncoder
from ragtime.backends.resolution import INT8_MARKER, RegistryResolver, check_model_folder
from ragtime.config.settings import Settings, get_settings
from ragtime.errors import BackendError, InvalidArgumentError
from ragtime.services.model_finetuner.config import FineTuningConfig
from ragtime.services.model_finetuner.saving.plain import set_text_options

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["INT8_MARKER", "load_base_model", "load_encoder"]


def load_base_model(
    config: FineTuningConfig,
    settings: Settings | None = None,
    *,
    registry: RegistryResolver | None = None,
    device: str | None = None,
) -> SentenceTransformer:
    """Load the model that a run starts from, with float32 weights.

    Weights that the model's files do not hold, such as an unused pooler, are drawn with the seed of the config, so that
    every run and process starts from the same ones.

    Args:
        config: A resolved config: `base_model_name` and `random_seed` count.
        settings: Section ``embedding`` tells the device; ``None`` means the current settings.
        registry: Finds models of the registry; ``None`` means the registry in the ``data_dir`` of the settings.
        device: Where to load it; ``None`` means the settings' own.

    Returns:
        The model, in evaluation mode.

    Raises:
        BackendError: The model is not found, is not complete, or needs pickles or code of its own.
        InvalidArgumentError: The config is not resolved, or there is no such device.
        MissingExtraError: sentence-transformers is not installed.
    """
    if config.base_model_name is None or config.random_seed is None:
        raise InvalidArgumentError("base_model_name and random_seed must be set: call resolved() on the config first")
    import torch  # noqa: PLC0415 - heavy

    settings = settings if settings is not None else get_settings()
    changes = {"dtype": "float32", "device": device or settings.embedding.device}
    embedding = settings.embedding.model_copy(update=changes)
    encoder = SentenceTransformerEncoder(
        settings.model_copy(update={"embedding": embedding}), model_name=config.base_model_name, registry=registry
    )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.random_seed)  # that of the CPU, where weights are made
        model = encoder.model
    set_text_options(model, max_seq_length=model.max_seq_length)  # some tell more than they have positions for
    return model


def load_encoder(path: str | Path, settings: Settings | None = None) -> SentenceTransformerEncoder:
    """Open a folder that a run has saved.

    Args:
        path: The folder.
        settings: Section ``embedding`` tells device, precision and batch size; ``None`` means the current settings.

    Returns:
        An encoder. A plain folder is loaded at its first use, one with int8 weights at once.

    Raises:
        BackendError: The folder is not there, not complete, or needs pickles or code of its own.
        StorageError: It holds int8 weights, and is not what was written.
        FineTuningError: It holds int8 weights of no model that ragtime runs.
        InvalidArgumentError: It holds int8 weights, and the settings name a device that is not there.
    """
    folder = Path(path).expanduser().absolute()
    if not folder.is_dir():
        raise BackendError(f"There is no model folder '{folder}'; check the path")
    settings = settings if settings is not None else get_settings()
    if (folder / INT8_MARKER).is_file():
        from ragtime.services.model_finetuner.saving.int8 import load_int8  # noqa: PLC0415 - it needs the marker

        model = load_int8(folder, device=settings.embedding.device)
        return SentenceTransformerEncoder(settings, model_name=str(folder), model=model)
    check_model_folder(folder)
    return SentenceTransformerEncoder(settings, model_name=str(folder))
