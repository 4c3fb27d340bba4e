"""The numbers: our recipe, and what was tried on the way to it.

Nothing here was chosen by a test question. Each ingredient was tried alone, added to the same start, on training
questions that no run is trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ragtime.services.model_finetuner import FineTuningConfig
from tests.benchmarks.quality_recipe import Recipe

# --- what is reported -----------------------------------------------------------------------------------------------

RECIPE = Recipe(
    config=FineTuningConfig(learning_rate=2e-4),
    judged_copies=1,
    made=(("line", 6650),),
    held_out=128,
)
"""The best that the time of the stock run allows, on 2,048 questions."""

HALF = replace(RECIPE, judged_copies=0, made=(("line", 2500),))
"""The same in half of that time."""

RECIPE_FOR_ALL = replace(RECIPE, judged_copies=0)
"""The same on all 6,817 questions."""

DEFAULTS = Recipe()
STRATEGIES: Mapping[str, FineTuningConfig] = {
    "full": FineTuningConfig(),
    "lora": FineTuningConfig(strategy="lora"),
    "head": FineTuningConfig(strategy="adapter", adapter_method="head"),
    "head, 10 epochs": FineTuningConfig(strategy="adapter", adapter_method="head", num_epochs=10),
    **{
        method: FineTuningConfig(strategy="adapter", adapter_method=method) for method in ("ia3", "loha", "lokr", "oft")
    },
    "quantized": FineTuningConfig(strategy="quantized"),
}
"""All at their defaults, but for the epochs of one."""

# --- what was tried -------------------------------------------------------------------------------------------------

START = Recipe(config=FineTuningConfig(learning_rate=1e-4, validation_split=0))
"""Where each ingredient is added: one epoch of the judged pairs, batches of 64, temperature 0.05."""

_MADE = 2048  # as many as there are judged pairs

INGREDIENTS: Mapping[str, Recipe] = {
    "learning rate 5e-5": START.with_config(learning_rate=5e-5),
    "learning rate 2e-4": START.with_config(learning_rate=2e-4),
    "learning rate 4e-4": START.with_config(learning_rate=4e-4),
    "cosine schedule": START.with_config(lr_schedule="cosine"),
    "2 epochs": START.with_config(num_epochs=2),
    "2 epochs, learning rate 2e-4": START.with_config(num_epochs=2, learning_rate=2e-4),
    "3 epochs": START.with_config(num_epochs=3),
    "temperature 0.02": START.with_config(temperature=0.02),
    "temperature 0.03": START.with_config(temperature=0.03),
    "temperature 0.1": START.with_config(temperature=0.1),
    "batches of 32": START.with_config(batch_size=32),
    "batches of 128": START.with_config(batch_size=128),
    "batches of 256, learning rate 2e-4": START.with_config(batch_size=256, learning_rate=2e-4),
    "dropout 0": START.with_config(dropout=0.0),
    "texts of 128 tokens": START.with_config(max_seq_length=128),
    "word embeddings frozen": START.with_config(frozen_layers=0),
    "prompts": START.with_config(query_prompt="query: ", passage_prompt="passage: "),
    "false_negative_margin 0": START.with_config(false_negative_margin=0.0),
    "false_negative_margin 0.1": START.with_config(false_negative_margin=0.1),
    "a negative each, mined by words": replace(START, negatives="words"),
    "a negative each, mined by vectors": replace(START, negatives="vectors"),
    "3 negatives each, mined by vectors": replace(START, negatives="vectors", negatives_each=3),
    "each pair again, a line left out": replace(START, judged_copies=1),
    "variations, 1,024": replace(START, variations=1024),
    "lines taken out, 2,048": replace(START, made=(("line", _MADE),)),
    "lines left in place, 2,048": replace(START, made=(("line in place", _MADE),)),
    "cloze, 2,048": replace(START, made=(("cloze", _MADE),)),
    "cloze, 2,048, checked": replace(START, made=(("cloze", _MADE),), checked=True),
    "questions, 2,048": replace(START, made=(("question", _MADE),)),
    "headings, 2,048": replace(START, made=(("heading", _MADE),)),
    "keywords, 2,048": replace(START, made=(("keywords", _MADE),)),
    "crops, 2,048": replace(START, made=(("crop", _MADE),)),
    "lines, 2,048, judged pairs × 2": replace(START, made=(("line", _MADE),), judged_weight=2.0),
    "lines, one a page": replace(START, made=(("line", 6650),)),
    "a fifth of the untuned weights": replace(START, base_share=0.2),
}
