"""Fine-tuning of the retrieval model, and the decision whether what came out is better.

tuner = ModelFineTuner(FineTuningConfig(num_epochs=2))
metrics = tuner.train("data/train.jsonl")
if tuner.decide("data/test.jsonl").promote:
    encoder = ModelFineTuner.load(metrics.model_path)
"""

from __future__ import annotations

from ragtime.services.model_finetuner.comparison import (
    Comparison,
    Decision,
    EvaluationData,
    EvaluationResult,
    Gate,
    compare,
)
from ragtime.services.model_finetuner.config import FineTuningConfig
from ragtime.services.model_finetuner.finetuner import ModelFineTuner
from ragtime.services.model_finetuner.metrics import FineTuningMetrics

__all__ = [
    "Comparison",
    "Decision",
    "EvaluationData",
    "EvaluationResult",
    "FineTuningConfig",
    "FineTuningMetrics",
    "Gate",
    "ModelFineTuner",
    "compare",
]
