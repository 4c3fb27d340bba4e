"""``ragtime finetune``: a tuned model from training data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragtime.cli.output import print_json, print_line, print_table
from ragtime.cli.tuning_options import (
    BaseModelName,
    BatchSize,
    Epochs,
    FrozenLayers,
    LearningRate,
    MaxLength,
    tuning_config,
)
from ragtime.errors import InvalidArgumentError

if TYPE_CHECKING:
    from ragtime.services.model_finetuner import FineTuningMetrics

__all__ = ["finetune"]

_OPTIONS: Mapping[str, str] = {
    "strategy": "--strategy",
    "adapter_method": "--adapter-method",
    "loss_function": "--loss",
    "output_dir": "--out",
}
"""The options of fields that are this command's own."""


def finetune(  # noqa: PLR0913 - options, each by its name
    data: Annotated[
        Path, typer.Argument(help="The rows: a file of any format and shape that generate writes, or its folder.")
    ],
    *,
    validation: Annotated[
        Path | None,
        typer.Option("--eval", help="Rows for validation; a share of the data is held out when none is given."),
    ] = None,
    base_model: BaseModelName = None,
    strategy: Annotated[str | None, typer.Option(help="full, lora, adapter or quantized.")] = None,
    adapter_method: Annotated[
        str | None, typer.Option(help="For the strategy adapter: head, ia3, loha, lokr or oft.")
    ] = None,
    frozen_layers: FrozenLayers = None,
    loss: Annotated[str | None, typer.Option(help="The loss; chosen by the data when none is given.")] = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    max_length: MaxLength = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for models; models in the data folder when none is given.")
    ] = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Train anew, whatever an earlier run of the same has done.")
    ] = False,
    resume: Annotated[Path | None, typer.Option(help="Folder of an earlier run to go on with.")] = None,
    allow_changed: Annotated[
        list[str] | None, typer.Option(help="With --resume: what may differ, such as config.num_epochs or data.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Fine-tune the retrieval model, and keep the weights that do best on what was held out.

    Options that are left out come from the section finetuning of the settings. A run that is interrupted goes on where
    it was when the same command is given again.

    Examples:

      ragtime finetune data/train.jsonl --epochs 2

      ragtime finetune data/train.jsonl --strategy adapter --out models
    """  # noqa: D412 - typer shows this text as it is
    from ragtime.services.model_finetuner import ModelFineTuner  # noqa: PLC0415 - heavy: only when it runs

    if anew and resume is not None:
        raise InvalidArgumentError("--anew starts a run, --resume goes on with one; give one of them")
    for path in (data, validation):
        if path is not None and not path.exists():
            raise InvalidArgumentError(f"There is no file or folder '{path}'")
    config = tuning_config(
        _OPTIONS,
        base_model_name=base_model,
        strategy=strategy,
        adapter_method=adapter_method,
        frozen_layers=frozen_layers,
        loss_function=loss,
        num_epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        max_seq_length=max_length,
        output_dir=out,
    )
    metrics = ModelFineTuner(config).train(
        data, validation, resume if resume is not None else not anew, allow_changed=allow_changed or ()
    )
    if as_json:
        print_json(metrics.model_dump(mode="json"))
    else:
        _tell(metrics)


def _tell(metrics: FineTuningMetrics) -> None:
    for choice in metrics.choices:
        print_line(f"{choice.name}: {choice.value} ({choice.reason})")
    print_table(
        ["epoch", "steps", "loss", "tokens/s", "padding", "seconds"],
        [
            [
                str(epoch.epoch),
                str(epoch.steps),
                f"{epoch.loss:.4f}",
                f"{epoch.tokens_per_second:.0f}",
                f"{epoch.padding:.1%}",
                f"{epoch.seconds:.1f}",
            ]
            for epoch in metrics.epochs
        ],
    )
    if metrics.validation:
        print_table(
            ["figure", "base model", "tuned"],
            [
                [name, f"{metrics.baseline[name]:.4f}" if name in metrics.baseline else "", f"{value:.4f}"]
                for name, value in metrics.validation.items()
            ],
        )
    stopped = ", stopped early" if metrics.stopped_early else ""
    print_line(f"{metrics.total_steps} of {metrics.planned_steps} steps{stopped}; kept: step {metrics.best_step}")
    print_line(f"Model: {metrics.model_path}")
    if metrics.int8_path is not None:
        print_line(f"Model with int8 weights: {metrics.int8_path}")
