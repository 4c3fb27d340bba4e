"""The strategy that a config asks for."""

from __future__ import annotations

from ragtime.services.model_finetuner.config import FineTuningConfig
from ragtime.services.model_finetuner.strategies.adapters import EncoderAdapter
from ragtime.services.model_finetuner.strategies.base import Strategy
from ragtime.services.model_finetuner.strategies.full import Full
from ragtime.services.model_finetuner.strategies.head import Head
from ragtime.services.model_finetuner.strategies.quantized import Quantized

__all__ = ["make_strategy"]


def make_strategy(config: FineTuningConfig) -> Strategy:
    """Make the strategy that a config asks for.

    Args:
        config: A resolved config; `strategy` and `adapter_method` choose.

    Returns:
        A strategy for one run.

    Raises:
        InvalidArgumentError: The config is not resolved.
    """
    if config.strategy == "full":
        return Full(config)
    if config.strategy == "quantized":
        return Quantized(config)
    if config.strategy == "adapter" and config.adapter_method == "head":
        return Head(config)
    return EncoderAdapter(config)
