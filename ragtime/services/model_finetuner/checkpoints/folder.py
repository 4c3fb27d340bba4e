"""One checkpoint as a folder.

    checkpoint-000012-step-3000/
        tensors.safetensors   every tensor
        state.json            everything else
        manifest.json         step, score, size and SHA-256 of the other two, and a hash of itself; written last

Nothing in the folder is executed when it is read.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.checkpoints.manifest import (
    STATE_NAME,
    TENSORS_NAME,
    DamagedCheckpointError,
    FileEntry,
    Manifest,
    check_files,
    read_json_file,
    read_manifest,
    write_manifest,
)
from ragtime.services.model_finetuner.checkpoints.state import TrainingState
from ragtime.services.model_finetuner.checkpoints.tensors import read_tensors, separate_tensors, write_tensors
from ragtime.services.model_finetuner.checkpoints.trees import pack_tree, unpack_tree
from ragtime.utils.files import write_json

if TYPE_CHECKING:
    from ragtime.services.model_finetuner.checkpoints.trees import Tree

__all__ = ["read_checkpoint", "write_checkpoint"]


def write_checkpoint(folder: Path, state: TrainingState, *, step: int, score: float | None) -> Manifest:
    """Write a checkpoint into an empty folder; when this returns, all of it is on disk.

    Args:
        folder: The folder.
        state: The state of the run.
        step: Optimizer steps taken.
        score: The validation score; ``None`` means that there is none.

    Returns:
        What it tells about itself.

    Raises:
        InvalidArgumentError: The state holds something that can be kept neither as a tensor nor as JSON.
        StorageError: The files cannot be written.
    """
    packed = pack_tree(dict(state.parts))
    tensors, same = separate_tensors(packed.tensors)
    write_tensors(folder / TENSORS_NAME, tensors)
    content = {"parts": packed.value, "same_tensors": same, "fingerprints": dict(state.fingerprints)}
    write_json(folder / STATE_NAME, content, indent=None)
    manifest = Manifest(
        step=step,
        score=score,
        files={STATE_NAME: FileEntry.of(folder / STATE_NAME), TENSORS_NAME: FileEntry.of(folder / TENSORS_NAME)},
    )
    write_manifest(folder, manifest)
    return manifest


def read_checkpoint(folder: Path) -> TrainingState:
    """Read a checkpoint after comparing every file with its manifest.

    Args:
        folder: The folder.

    Returns:
        The state of the run, tensors on the CPU.

    Raises:
        StorageError: The files are not those that were written, or cannot be read.
    """
    check_files(folder, read_manifest(folder))
    content = read_json_file(folder / STATE_NAME)
    try:
        tensors = read_tensors(folder / TENSORS_NAME, content["same_tensors"])
        parts = unpack_tree(content["parts"], tensors)
        return TrainingState(cast("dict[str, Tree]", parts), content["fingerprints"])
    except (KeyError, TypeError, InvalidArgumentError) as error:  # whole, but nothing of ours
        raise DamagedCheckpointError(f"'{folder}' holds no state of a run: {type(error).__name__}") from error
