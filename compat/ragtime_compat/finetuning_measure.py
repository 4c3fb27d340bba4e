"""What the old module measured and handed out of sentence-transformers: correlations, losses and evaluators."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ragtime.backends.resolution import RegistryResolver
from ragtime.config.settings import Settings
from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.comparison import open_model
from ragtime.services.model_finetuner.evaluation import correlation_figures
from ragtime.utils.extras import LazyModule, require
from ragtime_compat.finetuning_data import Example, read_examples, texts_of
from ragtime_compat.finetuning_records import LOSSES

if TYPE_CHECKING:
    import numpy as np
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator
    from torch.nn import Module
else:
    np = LazyModule("numpy")

__all__ = ["correlate", "make_evaluator", "make_loss"]


def correlate(
    model: str | Path, data: str | Path, format_type: str, settings: Settings, registry: RegistryResolver | None
) -> dict[str, Any]:
    """Compare the cosines of a model with the labels of a file.

    Args:
        model: The folder of the model, or a name.
        data: The file; all of it is used.
        format_type: ``csv`` or ``json``.
        settings: Section ``embedding`` says where the model runs.
        registry: Finds models of the registry; ``None`` means the usual one.

    Returns:
        Spearman's correlation as ``evaluation_score``, Pearson's as ``correlation_with_labels``, and
        ``num_test_samples``; where all labels are equal both are 0.0, and a ``note`` says so.

    Raises:
        InvalidArgumentError: There are no examples, or see ``read_examples``, as for its other errors.
        BackendError: The model cannot be loaded, or failed.
        MissingExtraError: A package is not installed.
    """
    examples = read_examples(data, format_type)
    if not examples:
        raise InvalidArgumentError("No test data loaded")
    encoder = open_model(str(model), settings, registry=registry).encoder
    queries = encoder.encode([one.texts[0] for one in examples], role="query")
    documents = encoder.encode([one.texts[1] for one in examples], role="passage")
    labels = [one.label for one in examples]
    told: dict[str, Any] = {"num_test_samples": len(examples)}
    if len(set(labels)) == 1:
        note = "All labels are equal: there is nothing to correlate with"
        return {"evaluation_score": 0.0, "correlation_with_labels": 0.0, **told, "note": note}
    figures = correlation_figures(labels, np.einsum("pd,pd->p", queries, documents))  # of unit length: the cosines
    return {"evaluation_score": figures["spearman"], "correlation_with_labels": figures["pearson"], **told}


def make_loss(name: str, model: SentenceTransformer | None) -> Module:
    """Make a loss of sentence-transformers.

    Args:
        name: Its name; one that the old module did not have means the first that it had.
        model: The model that it is a loss of.

    Returns:
        The loss.

    Raises:
        MissingExtraError: sentence-transformers is not installed.
    """
    losses = require("sentence_transformers.sentence_transformer.losses", "finetune")
    return cast("Module", getattr(losses, name if name in LOSSES else next(iter(LOSSES)))(model))


def make_evaluator(examples: Sequence[Example]) -> EmbeddingSimilarityEvaluator:
    """Make an evaluator of sentence-transformers, which compares cosines with labels.

    Args:
        examples: Examples of two texts, at least one.

    Returns:
        The evaluator, to be called with a model.

    Raises:
        InvalidArgumentError: An example has fewer than two texts.
        MissingExtraError: sentence-transformers is not installed.
    """
    evaluation = require("sentence_transformers.sentence_transformer.evaluation", "finetune")
    queries, documents = zip(*(texts_of(one)[:2] for one in examples), strict=True)
    labels = [float(one.label) for one in examples]
    evaluator = evaluation.EmbeddingSimilarityEvaluator(list(queries), list(documents), labels, name="validation")
    return cast("EmbeddingSimilarityEvaluator", evaluator)
