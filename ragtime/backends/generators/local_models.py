"""Loading a local causal model: safetensors only, no code from the folder, device and precision chosen and said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragtime.backends.loading import choose_device, choose_dtype, quiet_loading
from ragtime.backends.resolution import RegistryResolver, resolve_model
from ragtime.config.settings import Settings
from ragtime.errors import BackendError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.utils.extras import require

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["LocalModel", "load_local_model"]

log = get_logger(__name__)


@dataclass(frozen=True)
class LocalModel:
    """A causal model that is ready to write, and its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def load_local_model(
    name: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    registry: RegistryResolver | None = None,
    settings: Settings | None = None,
) -> LocalModel:
    """Load a causal model and its tokenizer.

    Args:
        name: A local folder, ``registry:NAME``, or a name on the hub.
        device: ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:N``.
        dtype: ``auto``, ``float32``, ``float16`` or ``bfloat16``.
        registry: Finds models of the registry; ``None`` means the registry in the ``data_dir`` of the settings.
        settings: Tell where the registry is; ``None`` means the current settings.

    Returns:
        The model on its device, in evaluation mode.

    Raises:
        BackendError: There is no such model, it needs code of its own or pickled weights, or it cannot be loaded.
        InvalidArgumentError: The device is not there.
        MissingExtraError: torch or transformers is not installed.
    """
    torch, transformers = require("torch", "generation"), require("transformers", "generation")
    place = choose_device(torch, device)
    with log_operation(log, "load_local_model", model=name, device=place) as operation:
        found = resolve_model(name, registry=registry, settings=settings, extra="generation")
        source = str(found.path)
        problem = ""
        try:
            config = transformers.AutoConfig.from_pretrained(source, trust_remote_code=False)
            precision = choose_dtype(torch, place, dtype, getattr(config, "dtype", None))
            tokenizer = transformers.AutoTokenizer.from_pretrained(source, trust_remote_code=False)
            with quiet_loading():
                model = transformers.AutoModelForCausalLM.from_pretrained(
                    source, config=config, dtype=precision, use_safetensors=True, trust_remote_code=False
                )
        except Exception as error:  # noqa: BLE001 - damaged files end in errors of many kinds
            problem = f"{type(error).__name__}: {_first_line(error)}"
        if problem:
            raise BackendError(f"The model in {found.path} cannot be loaded: {problem}; download it again")
        operation.add(source=found.source, dtype=str(precision), parameters=model.num_parameters())
        return LocalModel(model.to(place).eval(), tokenizer)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200]
