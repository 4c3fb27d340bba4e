"""What the files beside the weights tell of a model; a folder that another program has made may lack them."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import ConfigDict, Field, JsonValue, ValidationError

from ragtime.errors import BackendError
from ragtime.records.base import Frozen, Identifier
from ragtime.services.model_finetuner.saving.save import METADATA_NAME

__all__ = ["ModelAbout", "TrainedOn", "read_about", "read_prompts"]

M = TypeVar("M", bound=Frozen)

_OPTIONS_NAME = "config_sentence_transformers.json"


class TrainedOn(Frozen):
    """The data of a run, as far as others ask for them; what else was told of them is kept.

    Attributes:
        dataset_ids: Ids of the data sets.
        lineage: Ids that the rows came from, by kind, such as ``turns``.
    """

    model_config = ConfigDict(extra="allow")

    dataset_ids: tuple[Identifier, ...] = ()
    lineage: dict[str, tuple[Identifier, ...]] = Field(default_factory=dict)


class ModelAbout(Frozen):
    """What a run tells of the model that it has saved.

    Attributes:
        base_model: What it was trained from; ``None`` when nothing is known.
        config: The config of the run; ``None`` when nothing is known.
        data: What it was trained on.
        baseline: Figures of the base model on the validation data.
        validation: Those of the saved model.
        packages: Versions of what it was trained with.
    """

    model_config = ConfigDict(extra="ignore")  # a later version may tell more

    base_model: Identifier | None = None
    config: dict[str, JsonValue] | None = None
    data: TrainedOn = Field(default_factory=TrainedOn)
    baseline: dict[str, float] = Field(default_factory=dict)
    validation: dict[str, float] = Field(default_factory=dict)
    packages: dict[str, str] = Field(default_factory=dict)


class _TextOptions(Frozen):
    model_config = ConfigDict(extra="ignore")

    prompts: dict[str, str] = Field(default_factory=dict)


def read_about(folder: Path) -> ModelAbout:
    """Read what a run has told of a model.

    Args:
        folder: The model.

    Returns:
        What it told; an empty record for a model of another origin.

    Raises:
        BackendError: The file cannot be read, or holds something else.
    """
    return _read(folder / METADATA_NAME, ModelAbout)


def read_prompts(folder: Path) -> dict[str, str]:
    """Read the prompts that sentence-transformers puts before texts.

    Args:
        folder: The model.

    Returns:
        The prompts by name, empty ones included.

    Raises:
        BackendError: The file cannot be read, or holds something else.
    """
    return _read(folder / _OPTIONS_NAME, _TextOptions).prompts


def _read(path: Path, model: type[M]) -> M:
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return model()
    except OSError as error:
        reason = error.strerror or str(error)
    except ValidationError as error:
        reason = f"{error.error_count()} wrong fields"
    raise BackendError(f"'{path}' cannot be read ({reason}); save the model again, or remove the file")
