"""Which rows share a batch, which texts share a forward pass, and which candidates are no negatives.

distinct, cells = number_texts([queries, responses])
rows = TrainingRows(cells, np.array([len(ids) for ids in tokenized]))  # tokenized: each of `distinct`, once
known = FalseNegatives(rows)
planner = BatchPlanner(rows, PlanOptions(batch_size=64), seed=42)
for batch in planner.batches(epochs=3, start=cursor):
    texts = distinct_texts(rows, batch.rows)
    passes = plan_passes(rows.lengths[texts.numbers], max_tokens=16_384)
    outputs = [encode(texts.numbers[one]) for one in passes.texts]
    embeddings = torch.cat(outputs)[passes.places]  # of the distinct texts
    queries, responses = (embeddings[texts.positions[:, column]] for column in (0, 1))
    scores = (queries @ responses.T / temperature).masked_fill(known.mask(batch.rows), -inf)
"""

from __future__ import annotations

from ragtime.services.model_finetuner.planning.passes import Passes, plan_passes
from ragtime.services.model_finetuner.planning.plan import Batch, BatchPlanner, EpochPlan, PlanOptions, plan_epoch
from ragtime.services.model_finetuner.planning.rows import NumberedTexts, TrainingRows, number_texts
from ragtime.services.model_finetuner.planning.texts import BatchTexts, FalseNegatives, distinct_texts

__all__ = [
    "Batch",
    "BatchPlanner",
    "BatchTexts",
    "EpochPlan",
    "FalseNegatives",
    "NumberedTexts",
    "Passes",
    "PlanOptions",
    "TrainingRows",
    "distinct_texts",
    "number_texts",
    "plan_epoch",
    "plan_passes",
]
