"""Ways to make examples, by name; users can add their own."""

from ragtime.services.training_data_gen.strategies import (  # each registers itself
    augmentation,
    conversation_based,
    given_examples,
    negative_sampling,
    query_based,
    synthetic,
)
from ragtime.services.training_data_gen.strategies.base import (
    Outcome,
    Rejected,
    Strategy,
    Unit,
    get_strategy,
    register_strategy,
    strategy_names,
)

__all__ = [
    "Outcome",
    "Rejected",
    "Strategy",
    "Unit",
    "augmentation",
    "conversation_based",
    "get_strategy",
    "given_examples",
    "negative_sampling",
    "query_based",
    "register_strategy",
    "strategy_names",
    "synthetic",
]
