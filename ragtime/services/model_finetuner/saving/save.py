"""Saving a model: only what is read again and gives the same embeddings gets its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ragtime.backends.resolution import check_model_folder
from ragtime.errors import BackendError, FineTuningError, InvalidArgumentError, StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.services.model_finetuner.saving.plain import load_plain_folder, set_text_options, write_plain_folder
from ragtime.services.model_finetuner.saving.staging import check_free, staged_folder
from ragtime.services.model_finetuner.strategies.comparison import CHECK_TEXTS, embed_for_check, largest_difference
from ragtime.utils.extras import require
from ragtime.utils.files import write_json
from ragtime.utils.hashing import canonical_json, file_hash

if TYPE_CHECKING:
    from pydantic import JsonValue
    from sentence_transformers import SentenceTransformer

__all__ = ["METADATA_NAME", "FolderWriter", "SavedModel", "save_model"]

METADATA_NAME = "ragtime.json"

FolderWriter: TypeAlias = "Callable[[SentenceTransformer, Path], None]"
"""Writes a model into an empty folder."""

_TOLERANCE = 1e-5  # largest difference of a number in an embedding between the model and what is loaded again

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SavedModel:
    """A model that was saved.

    Attributes:
        path: Its folder.
        weights: SHA-256 of each file of weights, 64 hexadecimal digits, by its name in the folder.
        difference: Largest difference of a number in an embedding, found when it was loaded again.
    """

    path: Path
    weights: Mapping[str, str]
    difference: float


def save_model(
    model: SentenceTransformer,
    folder: str | Path,
    *,
    prompts: Mapping[str, str] | None = None,
    max_seq_length: int | None = None,
    texts_for_check: Sequence[str] = CHECK_TEXTS,
    metadata: Mapping[str, JsonValue] | None = None,
    write: FolderWriter = write_plain_folder,
) -> SavedModel:
    """Save a model as a folder that a plain ``SentenceTransformer(path)`` loads.

    The folder is written beside its place, loaded again, and gets its name when that gives the embeddings of the model.
    It holds safetensors and JSON only, and the same bytes for the same model and metadata.

    Args:
        model: The finished model of a strategy. It takes on prompts and maximum length, and is left in evaluation mode.
        folder: The folder, which must not exist.
        prompts: Prompts besides the model's own, by the names ``query`` and ``document``; ``None`` means no others.
        max_seq_length: Longest text, in tokens; ``None`` means the model's own. What the model has no positions for is
            cut off.
        texts_for_check: Texts whose embeddings are compared, in both roles.
        metadata: A JSON object about the model, kept in ``ragtime.json``; ``None`` means an empty one.
        write: Writes the files; tests pass another.

    Returns:
        What was saved.

    Raises:
        InvalidArgumentError: There is something at `folder` already, there are no texts, or the metadata are no JSON.
        FineTuningError: Refused: what was written cannot be loaded, needs pickles or code of its own, or gives other
            embeddings; nothing is left of it.
        StorageError: The folder cannot be written.
    """
    if isinstance(texts_for_check, str) or not texts_for_check:
        raise InvalidArgumentError("texts_for_check must be a list of at least one text")
    about = dict(metadata or {})
    canonical_json(about)  # complains before the work, not after it
    place = Path(folder).expanduser().absolute()
    check_free(place)
    with log_operation(_log, "save_model", path=str(place)) as operation:
        set_text_options(model, prompts=prompts, max_seq_length=max_seq_length)
        model.similarity_fn_name = "cosine"  # what all losses here train, and ragtime computes
        with staged_folder(place) as staged:
            try:
                write(model, staged)
            except OSError as error:
                raise StorageError(f"Cannot write '{place}': {error.strerror or error}") from error
            except require("safetensors", "finetune").SafetensorError as error:  # what a full disk is to it
                raise StorageError(f"Cannot write '{place}': {error}") from error
            write_json(staged / METADATA_NAME, about)
            difference = _check(model, staged, texts_for_check)
            weights = {
                path.relative_to(staged).as_posix(): file_hash(path) for path in sorted(staged.rglob("*.safetensors"))
            }
        operation.add(difference=difference, files=len(weights))
    return SavedModel(place, weights, difference)


def _check(model: SentenceTransformer, folder: Path, texts: Sequence[str]) -> float:
    """Return the largest difference between a model and what was written of it; FineTuningError if it is too large."""
    try:
        check_model_folder(folder, extra="finetune")
    except BackendError as error:
        raise FineTuningError(f"Saving is refused: {error}") from error
    loaded = load_plain_folder(folder, str(model.device))
    if dict(loaded.prompts) != dict(model.prompts) or loaded.max_seq_length != model.max_seq_length:
        raise FineTuningError("Saving is refused: what was written has other prompts or another maximum length")
    difference = largest_difference(embed_for_check(model, texts), embed_for_check(loaded, texts))
    if not difference <= _TOLERANCE:
        raise FineTuningError(
            f"Saving is refused: what was written gives other embeddings (difference {difference:.2g}, expected at "
            f"most {_TOLERANCE:.0e}); the model in memory is as it was"
        )
    return difference
