"""Named tensors in a safetensors file, those that share memory included."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.utils.extras import require

if TYPE_CHECKING:
    import torch

__all__ = ["read_tensors", "separate_tensors", "write_tensors"]


def separate_tensors(tensors: Mapping[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Prepare tensors for a file in which each has its own bytes.

    Args:
        tensors: The tensors; some may be one and the same, as tied weights are, or share memory in part.

    Returns:
        The tensors to write, contiguous and apart, and for each name that was left out the name of the tensor that it
        is the same as.

    Raises:
        InvalidArgumentError: A tensor is no plain one: sparse, without data, or of a class of its own, as a quantized
            or distributed one may be.
    """
    import torch  # noqa: PLC0415 - heavy

    kept: dict[str, torch.Tensor] = {}
    same: dict[str, str] = {}
    seen: dict[tuple[object, ...], str] = {}
    for name, given in tensors.items():
        tensor = given.detach()
        if type(tensor) is not torch.Tensor or tensor.layout is not torch.strided or tensor.is_meta:
            raise InvalidArgumentError(
                f"Only plain tensors can be kept; found {name!r} of class {type(tensor).__name__}, {tensor.layout}, on "
                f"{tensor.device}: take its data apart into plain ones first"
            )
        tensor = tensor.resolve_conj().resolve_neg()  # else a conjugate looks the same as what it is the conjugate of
        place = (tensor.device, tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tuple(tensor.stride()))
        if tensor.numel() and (first := seen.setdefault(place, name)) != name:
            same[name] = first
        else:
            kept[name] = tensor
    storages: set[int] = set()
    for name, tensor in kept.items():
        storage = tensor.untyped_storage().data_ptr()
        shared = storage in storages
        storages.add(storage)
        kept[name] = tensor.clone().contiguous() if shared and tensor.numel() else tensor.contiguous()
    return kept, same


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write tensors to a file, and wait until it is on disk.

    Args:
        path: The file.
        tensors: What :func:`separate_tensors` has prepared.

    Raises:
        InvalidArgumentError: A tensor is of a kind that safetensors does not know.
        StorageError: The file cannot be written.
    """
    safetensors = require("safetensors", "finetune")
    try:
        require("safetensors.torch", "finetune").save_file(dict(tensors), path)
        with path.open("rb") as file:
            os.fsync(file.fileno())
    except (KeyError, ValueError) as error:
        found = ", ".join(sorted({str(tensor.dtype) for tensor in tensors.values()}))
        raise InvalidArgumentError(f"safetensors cannot hold a tensor of one of the kinds {found}: {error}") from error
    except (OSError, safetensors.SafetensorError) as error:  # a full disk is the latter
        raise StorageError(f"Cannot write '{path}': {getattr(error, 'strerror', None) or error}") from error


def read_tensors(path: Path, same: Mapping[str, str]) -> dict[str, torch.Tensor]:
    """Read the tensors of a file into the memory of the host.

    Args:
        path: The file.
        same: What :func:`separate_tensors` left out; each becomes the very tensor that it was the same as.

    Returns:
        The tensors by name.

    Raises:
        StorageError: The file cannot be read, or is no such file.
    """
    safetensors = require("safetensors", "finetune")
    try:
        tensors: dict[str, torch.Tensor] = require("safetensors.torch", "finetune").load_file(path, device="cpu")
        return tensors | {name: tensors[other] for name, other in same.items()}
    except (OSError, safetensors.SafetensorError, KeyError) as error:
        raise StorageError(f"Cannot read the tensors in '{path}': {error}") from error
