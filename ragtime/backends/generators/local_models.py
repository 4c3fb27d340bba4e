"""Loading a local causal model: safetensors only, no code from the folder, device and precision chosen and said."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragtime.errors import BackendError, InvalidArgumentError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.utils.extras import require

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["LocalModel", "choose_device", "choose_dtype", "load_local_model"]

log = get_logger(__name__)

_NEEDS_CODE = (
    "needs Python code of its own (auto_map), which ragtime never runs; use an architecture that transformers has "
    "itself, or serve the model and set llm.provider to 'openai'"
)
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


@dataclass(frozen=True)
class LocalModel:
    """A causal model that is ready to write, and its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def load_local_model(name: str, *, device: str = "auto", dtype: str = "auto") -> LocalModel:
    """Load a causal model and its tokenizer.

    Args:
        name: A local folder, or a name on the hub.
        device: ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:N``.
        dtype: ``auto``, ``float32``, ``float16`` or ``bfloat16``.

    Returns:
        The model on its device, in evaluation mode.

    Raises:
        BackendError: There is no such model, it needs code of its own or pickled weights, or it cannot be loaded.
        InvalidArgumentError: The device is not there.
        MissingExtraError: torch or transformers is not installed.
    """
    torch, transformers = require("torch", "generation"), require("transformers", "generation")
    place = choose_device(torch, device)
    folder = _local_folder(name)
    with log_operation(log, "load_local_model", clock=time.perf_counter, model=name, device=place) as operation:
        source = str(folder or name)
        if folder is not None:
            _refuse_unsafe(folder, transformers)
        problem = ""
        try:
            config = transformers.AutoConfig.from_pretrained(source, trust_remote_code=False)
            precision = choose_dtype(torch, place, dtype, getattr(config, "dtype", None))
            tokenizer = transformers.AutoTokenizer.from_pretrained(source, trust_remote_code=False)
            model = transformers.AutoModelForCausalLM.from_pretrained(
                source, config=config, dtype=precision, use_safetensors=True, trust_remote_code=False
            )
        except Exception as error:  # noqa: BLE001 - damaged files end in errors of many kinds
            problem = f"{type(error).__name__}: {_first_line(error)}"
        if problem:
            raise BackendError(_not_loaded(name, folder, problem))
        operation.add(dtype=str(precision), parameters=model.num_parameters())
        return LocalModel(model.to(place).eval(), tokenizer)


def choose_device(torch: Any, wanted: str) -> str:
    """Return the device to use: CUDA before MPS before the CPU, or the one that is wanted.

    Args:
        torch: The module.
        wanted: ``auto`` or the name of a device.

    Returns:
        The name of a device that is there.

    Raises:
        InvalidArgumentError: The wanted one is not.
    """
    kind, _, number = wanted.partition(":")
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if kind == "auto":
        return "cuda" if cuda else "mps" if mps else "cpu"
    if kind not in {"cpu", "mps", "cuda"} or (number and not number.isdecimal()):
        raise InvalidArgumentError(f"device must be auto, cpu, mps, cuda or cuda:N; found {wanted!r}")
    if (
        (kind == "cuda" and not cuda)
        or (kind == "mps" and not mps)
        or (kind == "cuda" and number and int(number) >= torch.cuda.device_count())
    ):
        raise InvalidArgumentError(f"There is no device {wanted!r} on this machine, or torch cannot use it; use 'auto'")
    return wanted


def choose_dtype(torch: Any, device: str, wanted: str, stored: object) -> Any:
    """Return the precision to use.

    Args:
        torch: The module.
        device: The device that the model runs on.
        wanted: ``auto`` keeps the weights as they are stored where the device computes well with that; else float16 on
            a GPU and float32 on a CPU. Another name is taken as it is.
        stored: Precision of the stored weights, or its name; ``None`` when it is not known.

    Returns:
        The precision, a ``torch.dtype``.

    Raises:
        InvalidArgumentError: There is no such precision.
    """
    stored = getattr(torch, stored, stored) if isinstance(stored, str) else stored  # as config.json writes it
    names = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
    if wanted != "auto":
        if wanted not in names:
            raise InvalidArgumentError(f"dtype must be auto, {', '.join(names)}; found {wanted!r}")
        return names[wanted]
    if stored == torch.bfloat16 and _has_bfloat16(torch, device):
        return torch.bfloat16
    return torch.float16 if stored in {torch.float16, torch.bfloat16} and device != "cpu" else torch.float32


def _has_bfloat16(torch: Any, device: str) -> bool:
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device == "mps":
        return bool(torch.backends.mps.is_macos_or_newer(14, 0))
    # Without the instructions torch emulates them, several times slower than float32.
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) if torch.backends.mkldnn.is_available() else False  # noqa: SLF001


def _local_folder(name: str) -> Path | None:
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    # A hub name is NAME or OWNER/NAME; whatever else looks like a path is one.
    if name.startswith((".", "~", "/", "\\")) or name.count("/") > 1 or (os.sep == "\\" and "\\" in name):
        raise BackendError(f"Model {name!r}: there is no such folder; check llm.model_name")
    return None


def _refuse_unsafe(folder: Path, transformers: Any) -> None:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BackendError(
            f"Model {str(folder)!r}: config.json cannot be read ({type(error).__name__}); the folder is no model, "
            "or its download is incomplete: download it again"
        ) from None
    if not isinstance(config, dict):
        raise BackendError(f"Model {str(folder)!r}: config.json is no JSON object; download the model again")
    if config.get("auto_map") and config.get("model_type") not in transformers.CONFIG_MAPPING:
        raise BackendError(f"Model {str(folder)!r} {_NEEDS_CODE}")
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if pickles and not any(folder.glob("*.safetensors")):
        raise BackendError(
            f"Model {str(folder)!r} has its weights only as pickles ({', '.join(pickles[:3])}), which can run code "
            "when loaded; use a safetensors version, or convert it with save_pretrained where you trust it"
        )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200]


def _not_loaded(name: str, folder: Path | None, problem: str) -> str:
    if "custom code" in problem:
        return f"Model {name!r} {_NEEDS_CODE}"
    where = "folder" if folder else "name on the hub (no such folder here)"
    remedy = (
        "the download may be incomplete: download it again"
        if folder
        else "download it to a folder and give its path, or check the name and the network"
    )
    return f"Model {name!r} cannot be loaded as a {where}: {problem}; {remedy}"
