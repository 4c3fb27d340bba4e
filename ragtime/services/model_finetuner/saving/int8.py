"""Folders with int8 weights: the layers that are quantized take a quarter of their space, and are exact.

    model-int8/
        int8.json             version, the quantized layers, size and SHA-256 of every other file, and a hash of itself
        int8.safetensors      of the transformer: int8 weights with float32 scales, everything else as it is
        ragtime.json          what is known about the model
        config.json, modules.json, tokenizer.json, 1_Pooling/ ...   as sentence-transformers writes them

A weight ``NAME.weight`` of a quantized layer is int8 of shape ``[outputs, inputs]``, and ``NAME.weight_scale`` float32
of shape ``[outputs]``. There is no ``model.safetensors``, so that a plain ``SentenceTransformer(folder)`` stops with an
error instead of giving other embeddings. Nothing in the folder is executed when it is read.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from ragtime.backends.loading import choose_device
from ragtime.backends.resolution import check_model_folder
from ragtime.errors import BackendError, FineTuningError, InvalidArgumentError, StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.records.base import Record
from ragtime.services.model_finetuner.checkpoints.manifest import FileEntry
from ragtime.services.model_finetuner.checkpoints.tensors import read_tensors, write_tensors
from ragtime.services.model_finetuner.saving.plain import load_plain_folder, set_text_options, write_plain_folder
from ragtime.services.model_finetuner.saving.save import METADATA_NAME, SavedModel
from ragtime.services.model_finetuner.saving.staging import check_free, staged_folder
from ragtime.services.model_finetuner.strategies.comparison import CHECK_TEXTS, embed_for_check, largest_difference
from ragtime.services.model_finetuner.strategies.fake_quant import (
    Rounded,
    int8_linear_from,
    is_plain_linear,
    replace_modules,
    rounded_weight,
)
from ragtime.services.model_finetuner.strategies.quantized_models import quantized_layers, to_plain
from ragtime.services.model_finetuner.strategies.structure import evaluating, transformer_of
from ragtime.utils.extras import require
from ragtime.utils.files import parse_json_object, resolve_inside, write_json
from ragtime.utils.hashing import canonical_json, content_hash

if TYPE_CHECKING:
    from pydantic import JsonValue
    from sentence_transformers import SentenceTransformer
    from torch import Tensor
    from torch.nn import Module

__all__ = ["is_int8_folder", "load_int8", "save_int8"]

_log = get_logger(__name__)

_MARKER = "int8.json"
_WEIGHTS = "int8.safetensors"
_PLAIN_WEIGHTS = "model.safetensors"
_VERSION = 1


class _Marker(Record):
    """What a folder tells about itself."""

    version: int = _VERSION
    layers: tuple[str, ...]
    files: dict[str, FileEntry]


# --- writing --------------------------------------------------------------------------------------------------------


def save_int8(
    model: SentenceTransformer,
    folder: str | Path,
    *,
    prompts: Mapping[str, str] | None = None,
    max_seq_length: int | None = None,
    texts_for_check: Sequence[str] = CHECK_TEXTS,
    metadata: Mapping[str, JsonValue] | None = None,
) -> SavedModel:
    """Save a quantized model with int8 weights, as a folder that :func:`load_int8` reads.

    The folder is written beside its place, loaded again, and gets its name when that gives bit by bit the embeddings of
    the model.

    Args:
        model: A model that was trained as ``quantized``, or that ``quantize_after`` gave. It takes on prompts and
            maximum length, and stays as it is otherwise.
        folder: The folder, which must not exist.
        prompts: Prompts besides the model's own, by the names ``query`` and ``document``; ``None`` means no others.
        max_seq_length: Longest text, in tokens; ``None`` means the model's own.
        texts_for_check: Texts whose embeddings are compared, in both roles.
        metadata: A JSON object about the model, kept in ``ragtime.json``; ``None`` means an empty one.

    Returns:
        What was saved; the difference is 0.

    Raises:
        InvalidArgumentError: There is something at `folder` already, there are no texts, or the metadata are no JSON.
        FineTuningError: The model is not quantized, or saving is refused: its weights are not finite or have other
            names in a file, or what was written gives other embeddings; nothing is left of it.
        StorageError: The folder cannot be written.
    """
    if isinstance(texts_for_check, str) or not texts_for_check:
        raise InvalidArgumentError("texts_for_check must be a list of at least one text")
    about = dict(metadata or {})
    canonical_json(about)  # complains before the work, not after it
    place = Path(folder).expanduser().absolute()
    check_free(place)
    with log_operation(_log, "save_int8", path=str(place)) as operation:
        set_text_options(model, prompts=prompts, max_seq_length=max_seq_length)
        with staged_folder(place) as staged:
            try:
                marker = _write(model, staged, about)
            except OSError as error:
                raise StorageError(f"Cannot write '{place}': {error.strerror or error}") from error
            except require("safetensors", "finetune").SafetensorError as error:  # what a full disk is to it
                raise StorageError(f"Cannot write '{place}': {error}") from error
            _check(model, staged, texts_for_check)
        operation.add(layers=len(marker.layers), bytes=sum(entry.bytes for entry in marker.files.values()))
    weights = {name: entry.sha256 for name, entry in marker.files.items() if name.endswith(".safetensors")}
    return SavedModel(place, weights, 0.0)


def _write(model: SentenceTransformer, folder: Path, about: Mapping[str, JsonValue]) -> _Marker:
    layers = quantized_layers(model)
    write_plain_folder(to_plain(model), folder)
    if not (folder / _PLAIN_WEIGHTS).is_file():
        raise FineTuningError(f"Saving is refused: the transformer does not write its weights to '{_PLAIN_WEIGHTS}'")
    tensors = read_tensors(folder / _PLAIN_WEIGHTS, {})
    (folder / _PLAIN_WEIGHTS).unlink()
    write_tensors(folder / _WEIGHTS, {**tensors, **_int8_tensors(layers, tensors)})
    write_json(folder / METADATA_NAME, dict(about))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    marker = _Marker(
        layers=tuple(sorted(layers)),
        files={path.relative_to(folder).as_posix(): FileEntry.of(path) for path in files},
    )
    told = marker.model_dump(mode="json")
    write_json(folder / _MARKER, {**told, "digest": content_hash(told)})
    return marker


def _int8_tensors(layers: Mapping[str, Module], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    made: dict[str, Tensor] = {}
    for name, layer in layers.items():
        if f"{name}.weight" not in tensors:
            raise FineTuningError(f"Saving is refused: the weights of {name!r} have another name in a file")
        levels, scales = (tensor.cpu().contiguous() for tensor in rounded_weight(layer))
        if not bool(scales.isfinite().all()):
            raise FineTuningError(f"Saving is refused: the weights of {name!r} are not finite, the training diverged")
        made |= {f"{name}.weight": levels, f"{name}.weight_scale": scales.squeeze(-1)}
    return made


def _check(model: SentenceTransformer, folder: Path, texts: Sequence[str]) -> None:
    loaded = load_int8(folder, device=str(model.device))
    if dict(loaded.prompts) != dict(model.prompts) or loaded.max_seq_length != model.max_seq_length:
        raise FineTuningError("Saving is refused: what was written has other prompts or another maximum length")
    with evaluating(model):
        expected = embed_for_check(model, texts)
    difference = largest_difference(expected, embed_for_check(loaded, texts))
    if difference != 0:
        raise FineTuningError(
            f"Saving is refused: what was written gives other embeddings (difference {difference:.2g}, expected none); "
            "the model in memory is as it was"
        )


# --- reading --------------------------------------------------------------------------------------------------------


def is_int8_folder(path: str | Path) -> bool:
    """Tell whether a folder claims to be one of :func:`save_int8`; nothing of it is checked."""
    return (Path(path) / _MARKER).is_file()


def load_int8(path: str | Path, *, device: str = "auto") -> SentenceTransformer:
    """Load a folder of :func:`save_int8`, after comparing every file with what was written.

    Args:
        path: The folder.
        device: Where the model is to run: ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:N``.

    Returns:
        A model that gives the embeddings of the one that was saved, bit by bit on the same device and in the same
        batches. It holds int8 weights and computes in float32: it is smaller, not faster, and cannot be trained.

    Raises:
        StorageError: It is no such folder, was written by a later version, or is not what was written.
        FineTuningError: It is what was written, but no model that ragtime runs.
        InvalidArgumentError: There is no such device.
    """
    folder = Path(path).expanduser().absolute()
    chosen = choose_device(require("torch", "finetune"), device)
    with log_operation(_log, "load_int8", path=str(folder), device=chosen) as operation:
        marker = _read_marker(folder)
        tensors = _checked_tensors(folder, marker)
        # sentence-transformers builds a model from a folder only: for as long as that takes, the weights are float32.
        with tempfile.TemporaryDirectory(prefix="ragtime-int8-") as temporary:
            _write_plain(folder, Path(temporary), marker, tensors)
            try:
                check_model_folder(Path(temporary), extra="finetune")
            except BackendError as error:
                raise FineTuningError(f"'{folder}' holds no model that ragtime runs: {error}") from error
            model = load_plain_folder(Path(temporary), "cpu")
        _put_in(model, marker, tensors)
        operation.add(layers=len(marker.layers))
        return model.to(chosen).requires_grad_(False).eval()  # noqa: FBT003 - positional in torch


def _read_marker(folder: Path) -> _Marker:
    path = folder / _MARKER
    try:
        found = parse_json_object(path.read_bytes())
    except FileNotFoundError:
        raise StorageError(f"'{folder}' is no folder of int8 weights: there is no {_MARKER} in it") from None
    except OSError as error:
        raise StorageError(f"Cannot read '{path}': {error.strerror or error}") from error
    except InvalidArgumentError as error:
        raise StorageError(f"'{path}' is damaged: {error}") from None
    if found.pop("digest", None) != content_hash(found):
        raise StorageError(f"'{path}' was changed after it was written")
    version = found.get("version")
    if isinstance(version, int) and version > _VERSION:
        raise StorageError(f"A later version of ragtime wrote '{folder}' (format {version}): update this one")
    try:
        return _Marker.model_validate(found)
    except ValidationError as error:
        raise StorageError(f"'{path}' tells nothing of int8 weights: {error.error_count()} wrong fields") from None


def _checked_tensors(folder: Path, marker: _Marker) -> dict[str, Tensor]:
    """Compare every file with the marker, and read the weights."""
    for name, entry in marker.files.items():
        try:
            same = FileEntry.of(resolve_inside(folder, name)) == entry
        except InvalidArgumentError as error:
            raise StorageError(f"'{folder / _MARKER}' names a file outside its folder") from error
        except OSError as error:
            raise StorageError(f"Cannot read '{folder / name}': {error.strerror or error}") from error
        if not same:
            raise StorageError(f"'{folder / name}' was changed after it was written: size or SHA-256 differ")
    if _WEIGHTS not in marker.files:
        raise StorageError(f"'{folder / _MARKER}' does not name {_WEIGHTS}, where the weights should be")
    tensors = read_tensors(folder / _WEIGHTS, {})
    for layer in marker.layers:
        weight, scale = tensors.get(f"{layer}.weight"), tensors.get(f"{layer}.weight_scale")
        if weight is None or scale is None or str(weight.dtype) != "torch.int8" or scale.shape != weight.shape[:1]:
            raise StorageError(f"'{folder / _WEIGHTS}' holds no int8 weights with scales for {layer!r}")
    return tensors


def _write_plain(folder: Path, target: Path, marker: _Marker, tensors: Mapping[str, Tensor]) -> None:
    scales = {f"{layer}.weight_scale" for layer in marker.layers}
    rounded = {f"{layer}.weight": _rounded(layer, tensors).values() for layer in marker.layers}
    try:
        for name in marker.files:
            if name != _WEIGHTS:  # what else lies in the folder was not checked, and plays no part
                copied = resolve_inside(target, name)
                copied.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / name, copied)
    except OSError as error:
        raise StorageError(f"Cannot copy '{folder}' to '{target}': {error.strerror or error}") from error
    plain = {name: tensor for name, tensor in tensors.items() if name not in scales}
    write_tensors(target / _PLAIN_WEIGHTS, {**plain, **rounded})


def _put_in(model: SentenceTransformer, marker: _Marker, tensors: Mapping[str, Tensor]) -> None:
    """Replace the plain layers by those of int8 weights."""
    transformer = transformer_of(model)
    places = dict(transformer.named_modules(remove_duplicate=False))
    made: dict[Module, Module] = {}
    for name in marker.layers:
        module = places.get(name)
        if module is None or not is_plain_linear(module):
            raise FineTuningError(f"The model has no linear layer {name!r}, but int8 weights for it")
        made[module] = int8_linear_from(_rounded(name, tensors), module.bias)
    replace_modules(transformer, made.get)


def _rounded(layer: str, tensors: Mapping[str, Tensor]) -> Rounded:
    return Rounded(tensors[f"{layer}.weight"], tensors[f"{layer}.weight_scale"].unsqueeze(-1))
