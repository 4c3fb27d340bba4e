"""A model as a plain folder of sentence-transformers: safetensors and JSON, the same bytes for the same model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragtime.backends.loading import quiet_loading
from ragtime.errors import FineTuningError
from ragtime.utils.extras import require

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["load_plain_folder", "set_text_options", "write_plain_folder"]

_PICKLES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"}
_INCIDENTAL = {"is_local", "local_files_only", "name_or_path"}  # how a tokenizer was loaded, which is no part of it
_SHOWN_CHARACTERS = 300


def set_text_options(
    model: SentenceTransformer, *, prompts: Mapping[str, str] | None = None, max_seq_length: int | None = None
) -> None:
    """Set what a model does with texts before it computes them.

    Args:
        model: The model, changed in place.
        prompts: Prompts by the names of sentence-transformers, ``query`` and ``document``, besides the model's own;
            ``None`` means no others.
        max_seq_length: Longest text, in tokens, special ones included; never more than the model has positions for;
            ``None`` means the model's own.
    """
    model.prompts.update(prompts or {})
    if max_seq_length is not None:
        model.max_seq_length = min(max_seq_length, _positions(model) or max_seq_length)


def _positions(model: SentenceTransformer) -> int | None:
    """Return the number of tokens that a model has positions for; ``None`` when it has no such limit."""
    config = model.config
    limit = getattr(config.get_text_config(), "max_position_embeddings", None) if config is not None else None
    if not isinstance(limit, int) or limit < 1:  # XLNet has -1
        return None
    for module in model.modules():  # RoBERTa and its kin begin to count after the number of the padding token
        first = getattr(module, "padding_idx", None)
        if isinstance(first, int) and hasattr(module, "position_embeddings"):
            return limit - first - 1
    return limit


def write_plain_folder(model: SentenceTransformer, folder: Path) -> None:
    """Write a model into an empty folder.

    Args:
        model: The model.
        folder: The folder.

    Raises:
        FineTuningError: A part of the model can only be written as a pickle.
        OSError: The folder cannot be written.
    """
    modules = require("sentence_transformers.base.modules", "finetune")
    for module in model.modules():
        if isinstance(module, modules.Transformer) and hasattr(module.tokenizer, "backend_tokenizer"):
            # Left by the texts that happened to be computed last; set anew by each call.
            module.tokenizer.backend_tokenizer.no_padding()
            module.tokenizer.backend_tokenizer.no_truncation()
    with quiet_loading():
        model.save(str(folder), create_model_card=False, safe_serialization=True)
    for path in sorted(folder.rglob("tokenizer_config.json")):
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        kept = {name: value for name, value in sorted(known.items()) if name not in _INCIDENTAL}
        path.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    pickles = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix in _PICKLES)
    if pickles:
        raise FineTuningError(
            f"The model cannot be saved without pickles ({', '.join(pickles)}), which can run code when they are read; "
            "choose a base model whose modules can be saved as safetensors"
        )


def load_plain_folder(folder: Path, device: str) -> SentenceTransformer:
    """Load a folder as anybody would: no remote code, no network, no options.

    Args:
        folder: The folder.
        device: Where to.

    Returns:
        The model, in evaluation mode.

    Raises:
        FineTuningError: It cannot be loaded.
    """
    import torch  # noqa: PLC0415 - heavy

    package = require("sentence_transformers", "finetune")
    try:
        with quiet_loading(), torch.random.fork_rng(devices=[]):  # modules draw weights before they read them
            model: SentenceTransformer = package.SentenceTransformer(
                str(folder), device=device, trust_remote_code=False, local_files_only=True
            )
    except Exception as error:  # noqa: BLE001 - loaders of three packages raise what they like
        message = f"{type(error).__name__}: {str(error)[:_SHOWN_CHARACTERS]}"
    else:
        return model.eval()
    raise FineTuningError(f"A plain SentenceTransformer cannot load the saved model: {message}")
