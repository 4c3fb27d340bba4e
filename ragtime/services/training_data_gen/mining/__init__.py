"""Hard negatives: passages that are close to a query and do not answer it."""

from ragtime.services.training_data_gen.mining.miner import RelevanceOracle, Rescorer, mine_negatives
from ragtime.services.training_data_gen.mining.options import MiningOptions, Sampling
from ragtime.services.training_data_gen.mining.result import GRADES, Grade, MinedNegative, MinedNegatives
from ragtime.services.training_data_gen.mining.rules import Rejection
from ragtime.services.training_data_gen.mining.task import MiningTask

__all__ = [
    "GRADES",
    "Grade",
    "MinedNegative",
    "MinedNegatives",
    "MiningOptions",
    "MiningTask",
    "Rejection",
    "RelevanceOracle",
    "Rescorer",
    "Sampling",
    "mine_negatives",
]
