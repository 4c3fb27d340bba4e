"""What holds for every loss: gradients, order, weights, precision, and numbers that never break."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from ragtime.errors import InvalidArgumentError  # noqa: E402
from ragtime.services.model_finetuner.losses import EmbeddingLoss, InfoNCE, LossBatch  # noqa: E402
from tests.services.model_finetuner.losses.batches import (  # noqa: E402
    DIMENSION,
    LOSSES,
    any_batch,
    batch_of,
    embeddings_of,
    gradient,
)

pytestmark = pytest.mark.models

TEXTS = 7
EVERY_LOSS = pytest.mark.parametrize("loss", LOSSES.values(), ids=list(LOSSES))
NUMBERS = st.sampled_from([0.0, 1.0, -1.0, 1e-20, 1e-7, 3e4]) | st.floats(-1e4, 1e4, width=32)
TABLES = st.lists(st.lists(NUMBERS, min_size=DIMENSION, max_size=DIMENSION), min_size=1, max_size=TEXTS)


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@EVERY_LOSS
def test_the_gradient_is_that_of_the_loss(loss: EmbeddingLoss) -> None:
    batch = any_batch(4, 5)
    embeddings = embeddings_of(5, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda given: loss(given, batch).loss, (embeddings,))


@EVERY_LOSS
@settings(max_examples=20)
@given(seed=st.integers(0, 99), rows=st.integers(1, 6), data=st.data())
def test_the_order_of_rows_changes_nothing(loss: EmbeddingLoss, seed: int, rows: int, data: Any) -> None:
    batch = any_batch(rows, TEXTS, seed=seed)
    order = torch.tensor(data.draw(st.permutations(range(rows))))
    cells = torch.cat([order + column * rows for column in range(3)])
    permuted = LossBatch(
        batch.positions[order],
        batch.excluded[order][:, cells],
        batch.weights[order],
        batch.labels[order],  # type: ignore[index]  # any_batch gives all
        batch.scores[order],  # type: ignore[index]
    )
    embeddings = embeddings_of(TEXTS, seed=seed)
    expected, found = gradient(loss, embeddings, batch), gradient(loss, embeddings, permuted)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert loss(embeddings, batch).counts == loss(embeddings, permuted).counts


@EVERY_LOSS
@settings(max_examples=40)
@given(table=TABLES, seed=st.integers(0, 99), rows=st.integers(0, 5))
def test_any_embeddings_give_a_finite_loss_and_gradient(
    loss: EmbeddingLoss, table: list[list[float]], seed: int, rows: int
) -> None:
    value, slope = gradient(loss, torch.tensor(table), any_batch(rows, len(table), seed=seed))
    assert value.shape == ()
    assert value.dtype == torch.float32
    assert value.isfinite()
    assert value >= -1e-5
    assert slope.isfinite().all()


@EVERY_LOSS
def test_equal_embeddings_are_no_problem(loss: EmbeddingLoss) -> None:
    value, slope = gradient(loss, torch.ones(TEXTS, DIMENSION), any_batch(6, TEXTS))
    assert value.isfinite()
    assert slope.isfinite().all()


@EVERY_LOSS
def test_a_vector_without_direction_gets_no_gradient(loss: EmbeddingLoss) -> None:
    embeddings = embeddings_of(TEXTS).detach()
    embeddings[2:4] = 0.0
    _, slope = gradient(loss, embeddings, any_batch(6, TEXTS))
    assert (slope[2:4] == 0).all()
    assert (slope != 0).any()


@EVERY_LOSS
def test_the_length_of_embeddings_does_not_matter(loss: EmbeddingLoss) -> None:
    batch, embeddings = any_batch(5, TEXTS), embeddings_of(TEXTS).detach()
    longer = embeddings * torch.linspace(0.1, 40, TEXTS)[:, None]
    torch.testing.assert_close(loss(longer, batch).loss, loss(embeddings, batch).loss, rtol=1e-5, atol=1e-6)


@EVERY_LOSS
def test_only_the_ratios_of_weights_count(loss: EmbeddingLoss) -> None:
    batch, embeddings = any_batch(5, TEXTS), embeddings_of(TEXTS)
    heavier = replace(batch, weights=batch.weights * 7)
    torch.testing.assert_close(gradient(loss, embeddings, heavier), gradient(loss, embeddings, batch))


@pytest.mark.parametrize("name", ["contrastive", "margin_mse", "kl_divergence"])
def test_a_row_of_twice_the_weight_counts_as_two(name: str) -> None:
    batch, embeddings = any_batch(3, TEXTS), embeddings_of(TEXTS)
    once = replace(batch, weights=torch.tensor([1.0, 1.0, 2.0]))
    rows = torch.tensor([0, 1, 2, 2])
    twice = batch_of(
        batch.positions[rows],
        labels=batch.labels[rows].tolist(),  # type: ignore[index]  # any_batch gives all
        scores=batch.scores[rows],  # type: ignore[index]
    )
    torch.testing.assert_close(gradient(LOSSES[name], embeddings, once), gradient(LOSSES[name], embeddings, twice))


@EVERY_LOSS
def test_a_batch_without_rows_has_a_loss_of_zero_with_a_graph(loss: EmbeddingLoss) -> None:
    value, slope = gradient(loss, embeddings_of(TEXTS), any_batch(0, TEXTS))
    assert value == 0
    assert (slope == 0).all()


@EVERY_LOSS
def test_a_broken_model_shows_in_the_loss(loss: EmbeddingLoss) -> None:
    embeddings = embeddings_of(TEXTS).detach()
    embeddings[:, 0] = torch.nan
    batch = replace(any_batch(6, TEXTS), labels=torch.linspace(0, 1, 6), scores=torch.rand(6, 3))
    assert loss(embeddings, batch).loss.isnan()


@EVERY_LOSS
def test_low_precision_comes_in_and_does_not_go_on(loss: EmbeddingLoss) -> None:
    batch, low = any_batch(6, TEXTS), embeddings_of(TEXTS).detach().bfloat16()
    expected = loss(low.float(), batch).loss
    assert loss(low, batch).loss.equal(expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert loss(low.float(), batch).loss.equal(expected)
    assert gradient(loss, low, batch)[1].dtype == torch.bfloat16


@EVERY_LOSS
@pytest.mark.usefixtures("two_threads")
def test_texts_that_stand_in_many_cells_get_the_same_gradient_each_time(loss: EmbeddingLoss) -> None:
    batch, embeddings = any_batch(300, 20), embeddings_of(20, dimension=128)
    first = gradient(loss, embeddings, batch)[1]
    assert all(gradient(loss, embeddings, batch)[1].equal(first) for _ in range(3))


@pytest.mark.parametrize(
    ("name", "missing"),
    [("cosent", "labels"), ("contrastive", "labels"), ("margin_mse", "scores"), ("kl_divergence", "scores")],
)
def test_data_that_lack_what_a_loss_needs_are_refused(name: str, missing: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"{name} needs {missing}"):
        LOSSES[name](embeddings_of(2), batch_of([[0, 1]]))


def test_a_function_of_the_embeddings_alone_can_be_computed_in_parts() -> None:
    batch, inputs = any_batch(5, TEXTS), embeddings_of(TEXTS, seed=3)
    layer = torch.nn.Linear(DIMENSION, DIMENSION)
    InfoNCE()(layer(inputs), batch).loss.backward()
    expected = layer.weight.grad.clone()
    layer.zero_grad()
    with torch.no_grad():
        embeddings = layer(inputs)
    slope = gradient(InfoNCE(), embeddings, batch)[1]
    for part in (slice(0, 3), slice(3, TEXTS)):
        layer(inputs[part]).backward(slope[part])
    torch.testing.assert_close(layer.weight.grad, expected, rtol=1e-5, atol=1e-6)


def test_importing_the_losses_imports_no_torch() -> None:
    code = (
        "import sys; import ragtime.services.model_finetuner.losses; assert not {'torch', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
