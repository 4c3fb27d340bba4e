"""The data decide which loss is taken, and the reason is said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from ragtime.config.sections import FineTuningSettings  # noqa: E402
from ragtime.errors import InvalidArgumentError  # noqa: E402
from ragtime.services.model_finetuner.config import FineTuningConfig  # noqa: E402
from ragtime.services.model_finetuner.losses import InfoNCE, LossBatch, Matryoshka, make_loss  # noqa: E402
from ragtime.services.model_finetuner.planning import (  # noqa: E402
    FalseNegatives,
    TrainingRows,
    distinct_texts,
    number_texts,
)
from tests.services.model_finetuner.losses.batches import embeddings_of  # noqa: E402

pytestmark = pytest.mark.models


@pytest.mark.parametrize(
    ("shape", "negatives", "name", "reason"),
    [
        ("pairs", 0, "info_nce", "only what answers"),
        ("triplets", 3, "info_nce", "what answers and what does not"),
        ("graded", 0, "cosent", "how similar"),
        ("rated", 0, "contrastive", "good or bad"),
        ("scored", 1, "margin_mse", "two candidates"),
        ("scored", 4, "kl_divergence", "several candidates"),
        ("scored", None, "kl_divergence", "several candidates"),
    ],
)
def test_the_shape_of_the_data_chooses(shape: Any, negatives: int | None, name: str, reason: str) -> None:
    loss, said = make_loss(FineTuningSettings(), shape, dimension=384, negatives=negatives)
    assert loss.name == name
    assert said.startswith("chosen because")
    assert reason in said


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("info_nce", {"pairs", "triplets", "scored"}),
        ("cosent", {"graded", "rated"}),
        ("contrastive", {"graded", "rated"}),
        ("margin_mse", {"scored"}),
        ("kl_divergence", {"scored"}),
    ],
)
@pytest.mark.parametrize("shape", ["pairs", "triplets", "graded", "rated", "scored"])
def test_a_loss_that_is_asked_for_must_suit_the_data(name: Any, shapes: set[str], shape: Any) -> None:
    config = FineTuningConfig(loss_function=name)
    if shape in shapes:
        loss, reason = make_loss(config, shape, dimension=384)
        assert (loss.name, reason) == (name, "as configured")
        return
    with pytest.raises(InvalidArgumentError, match=f"{name} takes .* rows, found {shape} ones"):
        make_loss(config, shape, dimension=384)


def test_the_error_names_what_would_do() -> None:
    with pytest.raises(InvalidArgumentError, match="'auto' or set it to cosent or contrastive"):
        make_loss(FineTuningConfig(loss_function="info_nce"), "rated", dimension=384)


def test_the_settings_reach_the_loss() -> None:
    loss, _ = make_loss(FineTuningConfig(temperature=0.02, false_negative_margin=0.1), "pairs", dimension=384)
    assert isinstance(loss, InfoNCE)
    assert (loss.temperature, loss.false_negative_margin) == (0.02, 0.1)


def test_a_margin_that_does_nothing_is_said() -> None:
    _, reason = make_loss(FineTuningConfig(false_negative_margin=0.1), "rated", dimension=384)
    assert reason.endswith("false_negative_margin has no meaning for it")


@pytest.mark.parametrize("dimensions", [(128, 64), (64, 384, 128)])
def test_shorter_vectors_are_trained_besides_the_whole(dimensions: tuple[int, ...]) -> None:
    loss, reason = make_loss(FineTuningConfig(matryoshka_dimensions=dimensions), "pairs", dimension=384)
    assert isinstance(loss, Matryoshka)
    assert loss.name == "matryoshka(info_nce)"
    assert list(loss.weights) == [384, 128, 64]
    assert "384, 128, 64" in reason


def test_vectors_cannot_be_cut_to_more_than_they_are() -> None:
    with pytest.raises(InvalidArgumentError, match=r"at most 384.*found \[512\]"):
        make_loss(FineTuningConfig(matryoshka_dimensions=(512,)), "pairs", dimension=384)


def test_scores_without_negatives_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="at least one negative"):
        make_loss(FineTuningConfig(), "scored", dimension=384, negatives=0)


def test_a_planned_batch_is_what_a_loss_takes() -> None:
    queries, responses, negatives = ["q", "r", "s"], ["a", "b", "a"], ["n", None, "b"]
    distinct, cells = number_texts([queries, responses, negatives])
    rows = TrainingRows(cells, np.ones(len(distinct), np.int64))
    chosen = np.arange(len(rows))
    texts = distinct_texts(rows, chosen)
    batch = LossBatch(
        torch.from_numpy(texts.positions),
        torch.from_numpy(FalseNegatives(rows).mask(chosen)),
        torch.ones(len(rows)),
    )
    loss, _ = make_loss(FineTuningConfig(), "triplets", dimension=6, negatives=1)
    embeddings = embeddings_of(len(texts.numbers))
    result = loss(embeddings, batch)
    result.loss.backward()
    assert embeddings.grad is not None
    # Each query has five texts in place beside its response: r finds its own b again, q and s each other's a.
    assert result.counts == {"candidates": 12, "excluded_known": 3, "excluded_margin": 0}
