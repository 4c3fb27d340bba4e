"""The model that a run starts from, and what a run that goes on must find unchanged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, TypeAlias, get_args

from ragtime.backends.encoders import SentenceTransformerEncoder
from ragtime.config.settings import Settings
from ragtime.protocols import TextRole
from ragtime.services.model_finetuner.checkpoints import fingerprint
from ragtime.services.model_finetuner.config import FineTuningConfig
from ragtime.services.model_finetuner.forward import set_dropout
from ragtime.services.model_finetuner.saving import set_text_options
from ragtime.services.model_finetuner.training.prepared import PreparedData

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

    from ragtime.services.model_finetuner.forward import Precision

__all__ = [
    "SURROUNDINGS",
    "UNTOUCHED",
    "ModelLoader",
    "make_ready",
    "own_fingerprints",
    "package_versions",
    "run_fingerprints",
]

ModelLoader: TypeAlias = "Callable[[FineTuningConfig], SentenceTransformer]"
"""Gives the base model for a resolved config: a model of its own for each call, with float32 weights."""

UNTOUCHED = frozenset({"general_data", "output_dir", "trackers", "save_steps"})
"""Fields of a config that change no weight, or, of what is read from a path, not by its name."""

SURROUNDINGS = "surroundings"
"""The section of fingerprints that tells where a run was: other packages or devices may round otherwise."""

_PACKAGES = ("torch", "transformers", "sentence-transformers", "peft")


def make_ready(model: SentenceTransformer, config: FineTuningConfig, device: torch.device | None) -> None:
    """Bring a base model into the state in which it is computed in training and in use.

    Args:
        model: The model, changed in place.
        config: Its prompts, maximum length and dropout are taken on.
        device: Where to move it; ``None`` leaves it where it is.
    """
    model.float()  # small steps vanish in half precision
    if device is not None:
        model.to(device)
    prompts = {"query": config.query_prompt, "document": config.passage_prompt}
    set_text_options(
        model,
        prompts={name: prompt for name, prompt in prompts.items() if prompt is not None},
        max_seq_length=config.max_seq_length,
    )
    if config.dropout is not None:
        set_dropout(model, config.dropout)


def package_versions() -> dict[str, str]:
    """Return the versions of the packages that compute."""
    return {name: version(name) for name in _PACKAGES}


def run_fingerprints(
    config: FineTuningConfig,
    settings: Settings,
    model: SentenceTransformer,
    data: PreparedData,
    precision: Precision,
    *,
    general: str | None = None,
) -> dict[str, str]:
    """Hash all that the weights of a run depend on.

    Args:
        config: What the run was told, resolved.
        settings: Where the model runs.
        model: The base model, made ready.
        data: The rows.
        precision: What passes are computed in.
        general: Hash of the general check; ``None`` when there is none.

    Returns:
        Hashes by the names of sections and fields.
    """
    known = SentenceTransformerEncoder(settings, model_name=config.base_model_name, model=model)
    return fingerprint(
        config=config.model_dump(mode="json", exclude={*UNTOUCHED, "base_model_name"}),
        data={"rows": data.read.fingerprint, "validation": data.validation_fingerprint, "general": general},
        model={role: known.fingerprint(role) for role in get_args(TextRole)},
        surroundings={**package_versions(), "precision": precision, "device": model.device.type},
    )


def own_fingerprints(fingerprints: Mapping[str, str]) -> dict[str, str]:
    """Return those that tell runs apart: all but the surroundings."""
    return {name: value for name, value in fingerprints.items() if not name.startswith(f"{SURROUNDINGS}.")}
