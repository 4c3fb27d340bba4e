"""The training run: its steps, its course, what it takes down, and what it leaves behind.

metrics = train_model(FineTuningConfig().resolved(settings), rows, settings=settings)
"""

from __future__ import annotations

from ragtime.services.model_finetuner.training.base import ModelLoader
from ragtime.services.model_finetuner.training.run import train_model

__all__ = ["ModelLoader", "train_model"]
