"""Questions made up from passages: with a language model, or without one."""

from ragtime.services.training_data_gen.strategies.base import register_strategy
from ragtime.services.training_data_gen.strategies.synthetic.strategy import SyntheticStrategy

__all__ = ["SyntheticStrategy"]

register_strategy("synthetic", SyntheticStrategy)
