"""CoSENT and contrastive loss: labels decide."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from ragtime.errors import InvalidArgumentError  # noqa: E402
from ragtime.services.model_finetuner.losses import Contrastive, CoSENT  # noqa: E402
from tests.services.model_finetuner.losses.batches import any_batch, batch_of, embeddings_of, gradient  # noqa: E402

pytestmark = pytest.mark.models


@settings(max_examples=40)
@given(seed=st.integers(0, 999), rows=st.integers(1, 6))
def test_cosent_is_that_of_the_definition(seed: int, rows: int) -> None:
    batch, embeddings = any_batch(rows, 8, seed=seed), embeddings_of(8, seed=seed, dtype=torch.float64).detach()
    assert batch.labels is not None
    cosines = torch.cosine_similarity(embeddings[batch.positions[:, 0]], embeddings[batch.positions[:, 1]]).tolist()
    weights = (batch.weights.double() / batch.weights.double().mean()).tolist()
    labels = batch.labels.tolist()
    terms = [
        weights[i] * weights[j] * math.exp((cosines[j] - cosines[i]) / 0.05)
        for i in range(rows)
        for j in range(rows)
        if labels[i] > labels[j]
    ]
    result = CoSENT()(embeddings, batch)
    assert float(result.loss) == pytest.approx(math.log1p(sum(terms)), rel=1e-5, abs=1e-7)
    assert result.counts == {"comparisons": len(terms)}


def test_equal_labels_leave_nothing_to_compare() -> None:
    batch = batch_of([[0, 1], [2, 3]], labels=[0.5, 0.5])
    value, slope = gradient(CoSENT(), embeddings_of(4), batch)
    assert value == 0
    assert (slope == 0).all()


def test_only_the_order_of_labels_counts() -> None:
    embeddings = embeddings_of(6)
    rows = [[0, 1], [2, 3], [4, 5]]
    near = CoSENT()(embeddings, batch_of(rows, labels=[0.1, 0.2, 0.3])).loss
    assert CoSENT()(embeddings, batch_of(rows, labels=[0.0, 0.7, 1.0])).loss.equal(near)


def test_what_does_not_belong_together_is_pushed_as_far_as_the_margin() -> None:
    embeddings = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])  # distances of 0.4 and 1 from the first
    batch = batch_of([[0, 1], [0, 2]], labels=[0, 0])
    result = Contrastive(margin=0.5)(embeddings, batch)
    assert float(result.loss) == pytest.approx(0.5 * 0.1**2 / 2)
    assert result.counts == {"separated": 1}
    assert (gradient(Contrastive(margin=0.5), embeddings, batch)[1][2] == 0).all()


@pytest.mark.parametrize("label", [0.0, 0.25, 0.5, 1.0])
def test_a_label_asks_for_a_distance(label: float) -> None:
    """The loss of a pair has its least value where the distance is (1 - label) * margin."""
    distances = torch.linspace(0, 0.5, 51, dtype=torch.float64)
    values = []
    for distance in distances.tolist():
        cosine = 1 - distance
        embeddings = torch.tensor([[1.0, 0.0], [cosine, math.sqrt(1 - cosine**2)]], dtype=torch.float64)
        values.append(float(Contrastive()(embeddings, batch_of([[0, 1]], labels=[label])).loss))
    assert float(distances[values.index(min(values))]) == pytest.approx((1 - label) * 0.5, abs=0.011)


@pytest.mark.parametrize(
    ("loss", "options"),
    [
        (CoSENT, {"temperature": -1.0}),
        (Contrastive, {"margin": 0.0}),
        (Contrastive, {"margin": 2.1}),
        (Contrastive, {"margin": math.nan}),
    ],
)
def test_wrong_options_are_refused(loss: Any, options: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(options))):
        loss(**options)
