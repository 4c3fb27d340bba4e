"""What a training run is told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import model_validator

from ragtime.config.sections import FineTuningSettings
from ragtime.config.settings import Settings, get_settings

__all__ = ["FineTuningConfig"]

LEARNING_RATES: Mapping[str, float] = {
    "full": 5e-5,
    "quantized": 5e-5,
    "frozen_layers": 2e-4,
    "lora": 5e-4,
    "ia3": 5e-3,
    "loha": 5e-4,
    "lokr": 5e-4,
    "oft": 5e-4,
    "head": 1e-3,
}
"""Peak learning rate by :func:`kind_of_training`: what little is trained needs long steps."""


class FineTuningConfig(FineTuningSettings):
    """The settings of one training run: those given here, and the section ``finetuning`` of the settings for the rest.

        >>> config = FineTuningConfig(learning_rate=1e-4, num_epochs=3)
        >>> (config.learning_rate, config.num_epochs, config.optimizer)
        (0.0001, 3, 'adamw')

    A field that is left out, or ``None`` where that means to leave it open, is filled in by :meth:`resolved` when a run
    begins, so that a config made early does not freeze the settings of that moment.

    Raises:
        pydantic.ValidationError: A field is unknown or wrong, or two of them contradict each other.
    """

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        given = self.model_fields_set
        if self.adapter_query_only and self.adapter_method != "head":
            raise ValueError("adapter_query_only needs the adapter_method head: others change the encoder itself")
        if "frozen_layers" in given and self.frozen_layers is not None and self.strategy in {"lora", "adapter"}:
            raise ValueError(
                f"frozen_layers has no meaning for {self.strategy}, which leaves all of the model as it is"
            )
        if len(set(self.matryoshka_dimensions)) != len(self.matryoshka_dimensions):
            raise ValueError("matryoshka_dimensions must differ")
        return self

    @classmethod
    def from_settings(cls, settings: Settings | None = None, **fields: Any) -> Self:
        """Make a config with every field filled in.

        Args:
            settings: Where unset fields come from; ``None`` means the current settings.
            **fields: Fields that win over the settings.

        Returns:
            The config.
        """
        return cls(**fields).resolved(settings)

    def resolved(self, settings: Settings | None = None) -> Self:
        """Fill in what was left open.

        Args:
            settings: Section ``finetuning`` fills the fields that were not given; its own open fields are filled in as
                their descriptions say. ``None`` means the current settings.

        Returns:
            A config whose model, learning rate, seed and output folder are set; equal input gives an equal one.

        Raises:
            pydantic.ValidationError: What was given here contradicts the settings.
        """
        settings = settings if settings is not None else get_settings()
        given = {name: getattr(self, name) for name in self.model_fields_set}
        inherited = {name: getattr(settings.finetuning, name) for name in settings.finetuning.model_fields_set}
        fields = {
            **inherited,
            **{name: value for name, value in given.items() if value is not None or name not in inherited},
        }
        known = type(self)(**fields)
        opened: dict[str, Any] = {
            "base_model_name": settings.embedding.model_name,
            "random_seed": settings.seed,
            "output_dir": Path(settings.data_dir) / "models",
            "learning_rate": LEARNING_RATES[kind_of_training(known)],
            "lora_alpha": 2 * known.lora_rank,
        }
        missing = {name: value for name, value in opened.items() if getattr(known, name) is None}
        return type(self)(**{**fields, **missing})


def kind_of_training(config: FineTuningConfig) -> str:
    """Name what a run trains, as far as its learning rate goes.

    Args:
        config: Its `strategy`, `adapter_method` and `frozen_layers` count.

    Returns:
        A key of :data:`LEARNING_RATES`: the method of an adapter, ``frozen_layers`` where at least one layer is left
        as it is, and else the strategy.
    """
    if config.strategy == "adapter":
        return config.adapter_method
    return "frozen_layers" if config.frozen_layers else config.strategy
