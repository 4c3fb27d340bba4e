"""Variations of queries that are known to fit their passages."""

from ragtime.services.training_data_gen.strategies.augmentation.strategy import AugmentationStrategy
from ragtime.services.training_data_gen.strategies.base import register_strategy

__all__ = ["AugmentationStrategy"]

register_strategy("augmentation", AugmentationStrategy)
