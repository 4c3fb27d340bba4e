"""A folder that ``ollama create`` imports: safetensors, configurations in the form it reads, and a Modelfile.

Ollama converts BERT models by itself (`convert_bert.go`). Of the pooling it reads the names and the fields that
sentence-transformers wrote before version 6, and takes others for none, which gives other vectors without a word.
"""

from __future__ import annotations

import json
import re
import secrets
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragtime.backends.resolution import check_model_folder
from ragtime.errors import InvalidArgumentError
from ragtime.utils.files import write_json, write_text

__all__ = ["OllamaFolder", "is_ollama_folder", "write_ollama_folder"]

_PREFIX = "ollama_"
_MODELFILE = "Modelfile"
_INSTRUCTIONS = "deployment_instructions.txt"
_OWN_FILES = (".*", "training_metadata.json", "ragtime.json", "*.bin", "*.pt", "*.onnx", "onnx", "openvino")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,79})?")
_ARCHITECTURE = "BertModel"
_KINDS = ("Transformer", "Pooling", "Normalize")
_POOLINGS = {
    "mean": "pooling_mode_mean_tokens",
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
}
_IMPORTED_POOLINGS = ("mean", "cls")


@dataclass(frozen=True, slots=True)
class OllamaFolder:
    """What was written.

    Attributes:
        path: The folder.
        obstacle: Why Ollama cannot import the model, so that the folder is a copy of it and no more; else ``None``.
    """

    path: Path
    obstacle: str | None = None

    @property
    def modelfile(self) -> Path:
        """What ``ollama create`` is given."""
        return self.path / _MODELFILE

    @property
    def instructions(self) -> Path:
        """What a person is told."""
        return self.path / _INSTRUCTIONS


def is_ollama_folder(path: Path) -> bool:
    """Tell whether a folder was written for Ollama; so were those of the old module."""
    is_model = (path / "training_metadata.json").exists() and not (path / _MODELFILE).exists()
    return path.name.startswith(_PREFIX) and not is_model


def write_ollama_folder(model: Path, models: Path, name: str) -> OllamaFolder:
    """Write a model for Ollama, in the place of what was written under the same name before.

    Args:
        model: The folder of a model.
        models: The folder in which ``ollama_NAME`` is made.
        name: The name of the model in Ollama, with or without a tag.

    Returns:
        The folder.

    Raises:
        InvalidArgumentError: The name is none that Ollama takes, or stands for a fine-tuned model here.
        BackendError: `model` holds no model, or one that needs pickles or code of its own.
        OSError: A file cannot be read or written.
        StorageError: A file cannot be written.
    """
    if not _is_name(name):
        raise InvalidArgumentError(
            "ollama_model_name must consist of letters, digits, '_', '.' and '-', with or without a tag behind ':'"
        )
    check_model_folder(model)
    place = models / f"{_PREFIX}{name}"
    if place.exists() and not is_ollama_folder(place):
        raise InvalidArgumentError(f"'{place}' is a fine-tuned model: choose another name")
    staged = models / f".{place.name}.{secrets.token_hex(8)}"
    try:
        shutil.copytree(model, staged, ignore=shutil.ignore_patterns(*_OWN_FILES))
        obstacle = _prepare(staged)
        if obstacle is None:
            write_text(staged / _MODELFILE, _modelfile(staged))
            write_text(staged / _INSTRUCTIONS, _instructions(name, place))
        if place.exists():
            shutil.rmtree(place)
        staged.rename(place)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return OllamaFolder(place, obstacle)


def _is_name(name: object) -> bool:
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def _prepare(folder: Path) -> str | None:
    """Bring a model into the form that Ollama reads, and return what stands against it; ``None`` when nothing does."""
    architectures = _read(folder / "config.json").get("architectures") or ["none"]
    if architectures[0] != _ARCHITECTURE:
        return f"Ollama imports embedding models of the architecture {_ARCHITECTURE}; this one has {architectures[0]}"
    if not any(folder.glob("model*.safetensors")):
        return "the model has no plain weights"
    modules = json.loads((folder / "modules.json").read_bytes()) if (folder / "modules.json").is_file() else []
    kinds = [str(module["type"]).rpartition(".")[2] for module in modules]
    if tuple(kinds) not in {_KINDS, _KINDS[:2]}:
        return f"Ollama imports pooling and normalisation and nothing else; this model has {', '.join(kinds) or 'none'}"
    pooling = folder / modules[1]["path"] / "config.json"
    mode = _pooling_mode(options := _read(pooling))
    if mode not in _IMPORTED_POOLINGS:
        return f"Ollama imports the poolings {' and '.join(_IMPORTED_POOLINGS)}; this model has another one"
    dimension = options.get("embedding_dimension", options.get("word_embedding_dimension"))
    write_json(pooling, {"word_embedding_dimension": dimension, **{_POOLINGS[one]: one == mode for one in _POOLINGS}})
    for module, kind in zip(modules, kinds, strict=True):
        module["type"] = f"sentence_transformers.models.{kind}"
    write_json(folder / "modules.json", modules)
    return None


def _pooling_mode(options: dict[str, Any]) -> str | None:
    """Return the one way of pooling; ``None`` when there are several or another one."""
    told = options.get("pooling_mode")
    if told is not None:
        return told if isinstance(told, str) else None
    chosen = [key for key, value in options.items() if key.startswith("pooling_mode_") and value is True]
    return next((mode for mode, key in _POOLINGS.items() if chosen == [key]), None)


def _read(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_bytes())
    if not isinstance(found, dict):
        raise InvalidArgumentError(f"'{path.name}' must hold a JSON object, found {type(found).__name__}")
    return found


def _modelfile(folder: Path) -> str:
    limit = _read(folder / "config.json").get("max_position_embeddings")
    for name, key in (("tokenizer_config.json", "model_max_length"), ("sentence_bert_config.json", "max_seq_length")):
        told = _read(folder / name).get(key) if (folder / name).is_file() else None
        if isinstance(told, int) and (limit is None or told < limit):
            limit = told
    context = "" if limit is None else f"PARAMETER num_ctx {limit}\n"
    return f"FROM .\n{context}"


def _instructions(name: str, place: Path) -> str:
    model = shlex.quote(name)
    body = json.dumps({"model": name, "input": "How long are returns free?"})
    return f"""This folder is for Ollama.

1. Import the model; Ollama converts it by itself:

   cd {shlex.quote(str(place.absolute()))}
   ollama create {model} -f {_MODELFILE}

2. Ask it for a vector:

   curl http://localhost:11434/api/embed -d '{body}'

3. Let an application use it, such as by EMBEDDING_MODEL={model}. Vectors of another model cannot be compared with those
   of this one: embed stored texts anew.

To remove it: ollama rm {model}
"""
