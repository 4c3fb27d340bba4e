"""Which weights a run trains, and what becomes of them: everything, the upper layers, or something small beside them.

config = FineTuningConfig(strategy="lora").resolved()
strategy = make_strategy(config)
model = strategy.prepare(load_base_model(config))
optimizer = AdamW(strategy.parameters(model).values())
...  # steps; a checkpoint keeps strategy.state(model)
save_model(strategy.finished(model), folder, ...)
"""

from __future__ import annotations

from ragtime.services.model_finetuner.strategies.base import Strategy
from ragtime.services.model_finetuner.strategies.factory import make_strategy

__all__ = ["Strategy", "make_strategy"]
