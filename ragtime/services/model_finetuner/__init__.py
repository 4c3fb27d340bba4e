"""Fine-tuning of the retrieval model.

metrics = ModelFineTuner(FineTuningConfig(num_epochs=2)).train("data/train.jsonl")
encoder = ModelFineTuner.load(metrics.model_path)
"""

from __future__ import annotations

from ragtime.services.model_finetuner.config import FineTuningConfig
from ragtime.services.model_finetuner.finetuner import ModelFineTuner
from ragtime.services.model_finetuner.metrics import FineTuningMetrics

__all__ = ["FineTuningConfig", "FineTuningMetrics", "ModelFineTuner"]
