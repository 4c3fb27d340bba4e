"""Training data: from documents, conversations, queries and ratings to examples that one can trust."""

from ragtime.errors import GenerationError
from ragtime.records.training import Lineage
from ragtime.services.training_data_gen.datasets import DatasetReport
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.export import ExportReport, iter_examples, load_examples
from ragtime.services.training_data_gen.generator import TrainingDataGenerator
from ragtime.services.training_data_gen.ledger import GenerationMetrics, StageLedger
from ragtime.services.training_data_gen.rejected import RejectedCandidate
from ragtime.services.training_data_gen.report import ExampleVerdict, ValidationReport
from ragtime.services.training_data_gen.sources.opening import SourceOptions
from ragtime.services.training_data_gen.splits import ExampleSplit, split_examples
from ragtime.services.training_data_gen.strategies import (
    Outcome,
    Rejected,
    Strategy,
    register_strategy,
    strategy_names,
)
from ragtime.services.training_data_gen.unfinished import UnfinishedRuns, remove_unfinished

__all__ = [
    "DatasetReport",
    "ExampleSplit",
    "ExampleVerdict",
    "ExportReport",
    "GenerationError",
    "GenerationMetrics",
    "Lineage",
    "Outcome",
    "Rejected",
    "RejectedCandidate",
    "SourceOptions",
    "StageLedger",
    "Strategy",
    "TrainingDataGenerator",
    "TrainingExample",
    "UnfinishedRuns",
    "ValidationReport",
    "iter_examples",
    "load_examples",
    "register_strategy",
    "remove_unfinished",
    "split_examples",
    "strategy_names",
]
