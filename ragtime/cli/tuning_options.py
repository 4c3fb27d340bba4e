"""Options that every command that trains has, and the config that they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ragtime.errors import InvalidArgumentError

if TYPE_CHECKING:
    from ragtime.config.settings import Settings
    from ragtime.services.model_finetuner import FineTuningConfig

__all__ = ["BaseModelName", "BatchSize", "Epochs", "FrozenLayers", "LearningRate", "MaxLength", "tuning_config"]

BaseModelName = Annotated[
    str | None, typer.Option("--base-model", help="Folder, registry:NAME or name of the base model.")
]
FrozenLayers = Annotated[
    int | None,
    typer.Option(help="Leave the word embeddings and so many of the lower layers as they are, which is faster."),
]
Epochs = Annotated[int | None, typer.Option(help="Passes over the data.")]
BatchSize = Annotated[int | None, typer.Option(help="Pairs per batch.")]
LearningRate = Annotated[float | None, typer.Option(help="Peak learning rate.")]
MaxLength = Annotated[int | None, typer.Option(help="Longest text, in tokens.")]

_OPTIONS: Mapping[str, str] = {
    "base_model_name": "--base-model",
    "frozen_layers": "--frozen-layers",
    "num_epochs": "--epochs",
    "batch_size": "--batch-size",
    "learning_rate": "--learning-rate",
    "max_seq_length": "--max-length",
}
"""The option of each field that is called the same in every command."""


def tuning_config(own_options: Mapping[str, str], settings: Settings | None = None, **fields: Any) -> FineTuningConfig:
    """Make the config that the options of a command ask for.

    Args:
        own_options: Options of the command by field, beside those of this module.
        settings: Where the rest comes from; ``None`` means the current settings.
        **fields: Values of the fields; ``None`` for an option that was not given.

    Returns:
        The config, with every field filled in.

    Raises:
        InvalidArgumentError: A value is wrong, or contradicts another; names the option.
    """
    from pydantic import ValidationError  # noqa: PLC0415 - heavy: only when a command runs

    from ragtime.services.model_finetuner import FineTuningConfig  # noqa: PLC0415 - as above

    given = {name: value for name, value in fields.items() if value is not None}
    try:
        return FineTuningConfig.from_settings(settings, **given)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
    options = {**_OPTIONS, **own_options}
    told = []
    for problem in problems:
        places = [options.get(str(place), str(place)) for place in problem["loc"]]
        told.append(": ".join([*places[:1], problem["msg"].removeprefix("Value error, ")]))
    raise InvalidArgumentError("; ".join(told))
