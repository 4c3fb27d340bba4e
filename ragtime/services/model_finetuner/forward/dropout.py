"""One knob for all dropout of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ragtime.errors import InvalidArgumentError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["set_dropout"]


def set_dropout(model: nn.Module, probability: float) -> Mapping[str, float]:
    """Set the dropout of a model, that of attention and of the layers alike.

    It stands in three places: in dropout modules, as a number in an attention module, and in the configuration of a
    transformers model, from which a saved model would take it again. A model that was built without a dropout module,
    as some are where its probability is 0, does not get one.

    Args:
        model: The model; changed in place.
        probability: Share of the values that are dropped in training, at least 0 and less than 1.

    Returns:
        What it was before, by the name of the module or of the configuration value; only what was changed.

    Raises:
        InvalidArgumentError: The probability is out of its range.
    """
    if not 0 <= probability < 1:
        raise InvalidArgumentError(f"The dropout must be at least 0 and less than 1, found {probability!r}")
    changed: dict[str, float] = {}
    configs: dict[int, tuple[str, object]] = {}
    for name, module in model.named_modules():
        if "Dropout" in type(module).__name__ and _is_share(getattr(module, "p", None)):
            _set(module, "p", probability, name, changed)
        for attribute in [key for key in vars(module) if _names_dropout(key)]:
            _set(module, attribute, probability, f"{name}.{attribute}", changed)
        config = getattr(module, "config", None)
        if config is not None:
            configs.setdefault(id(config), (f"{name}.config", config))
    for name, config in configs.values():
        for attribute in [key for key in vars(config) if _names_dropout(key)]:
            _set(config, attribute, probability, f"{name}.{attribute}", changed)
    return changed


def _names_dropout(name: str) -> bool:
    # Layer dropout leaves out whole layers, and a classifier is no part of an encoder.
    return "dropout" in name.lower() and "classifier" not in name and "layerdropout" not in name.replace("_", "")


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _set(owner: object, attribute: str, probability: float, name: str, changed: dict[str, float]) -> None:
    value = getattr(owner, attribute)
    if _is_share(value) and value != probability:
        changed[name] = float(value)
        setattr(owner, attribute, probability)
