"""Embeddings of distinct texts, with gradients: each text tokenized once, computed once a step, and padded little.

texts = tokenize_texts(model, distinct, roles)  # roles only where roles_differ(model)
rows = TrainingRows(cells, texts.lengths)
encoder = prepare_encoder(model, texts, frozen_depth=strategy.frozen_depth(model))
for batch in planner.batches(epochs=3):
    some = distinct_texts(rows, batch.rows)
    outcome = encoder.step(some.numbers, lambda embeddings: loss(embeddings, batch_of(some)).loss)
    optimizer.step()
    optimizer.zero_grad()
vectors = encoder.embed(numbers)  # without dropout, as the finished model gives them
"""

from __future__ import annotations

from ragtime.services.model_finetuner.forward.dropout import set_dropout
from ragtime.services.model_finetuner.forward.encoder import BatchEncoder, StepOutcome
from ragtime.services.model_finetuner.forward.limits import GradientCache
from ragtime.services.model_finetuner.forward.models import HeadModel, PassModel, TextModel
from ragtime.services.model_finetuner.forward.precision import Precision, choose_precision
from ragtime.services.model_finetuner.forward.prefix import FrozenCache, frozen_modules, prepare_encoder
from ragtime.services.model_finetuner.forward.processes import Processes
from ragtime.services.model_finetuner.forward.tokens import (
    TokenizedTexts,
    role_prompts,
    roles_differ,
    text_limit,
    tokenize_texts,
)

__all__ = [
    "BatchEncoder",
    "FrozenCache",
    "GradientCache",
    "HeadModel",
    "PassModel",
    "Precision",
    "Processes",
    "StepOutcome",
    "TextModel",
    "TokenizedTexts",
    "choose_precision",
    "frozen_modules",
    "prepare_encoder",
    "role_prompts",
    "roles_differ",
    "set_dropout",
    "text_limit",
    "tokenize_texts",
]
