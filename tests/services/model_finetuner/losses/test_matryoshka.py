"""Shorter vectors are trained besides the whole."""

from __future__ import annotations

import math
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from ragtime.errors import InvalidArgumentError  # noqa: E402
from ragtime.services.model_finetuner.losses import InfoNCE, Matryoshka  # noqa: E402
from tests.services.model_finetuner.losses.batches import any_batch, embeddings_of, gradient  # noqa: E402

pytestmark = pytest.mark.models


def test_it_is_the_mean_over_the_lengths() -> None:
    batch, embeddings = any_batch(5, 7), embeddings_of(7)
    whole, short = gradient(InfoNCE(), embeddings, batch), gradient(InfoNCE(), embeddings[:, :2], batch)
    value, slope = gradient(Matryoshka(InfoNCE(), (2, 6), weights=(3, 1)), embeddings, batch)
    torch.testing.assert_close(value, (whole[0] + 3 * short[0]) / 4)
    expected = whole[1] / 4
    expected[:, :2] += short[1] * 3 / 4
    torch.testing.assert_close(slope, expected)


def test_one_length_is_the_loss_itself() -> None:
    batch, embeddings = any_batch(5, 7), embeddings_of(7)
    assert gradient(Matryoshka(InfoNCE(), [6]), embeddings, batch)[1].equal(gradient(InfoNCE(), embeddings, batch)[1])


def test_the_order_of_lengths_changes_nothing() -> None:
    batch, embeddings = any_batch(5, 7), embeddings_of(7)
    one, other = (Matryoshka(InfoNCE(), lengths) for lengths in ((6, 4, 2), (2, 6, 4)))
    assert gradient(one, embeddings, batch)[1].equal(gradient(other, embeddings, batch)[1])


def test_the_counts_are_those_of_the_whole_vectors() -> None:
    batch, embeddings = any_batch(5, 7), embeddings_of(7)
    loss = InfoNCE(false_negative_margin=0.2)
    assert Matryoshka(loss, (2, 6))(embeddings, batch).counts == loss(embeddings, batch).counts


@pytest.mark.parametrize(
    ("dimensions", "weights", "message"),
    [
        ([], None, "at least one"),
        ([6, 0], None, "each from 1"),
        ([6, 6], None, "there once"),
        ([6, 2], [1.0], "2 finite numbers"),
        ([6, 2], [1.0, 0.0], "2 finite numbers"),
        ([6, 2], [1.0, math.inf], "2 finite numbers"),
    ],
)
def test_wrong_lengths_and_weights_are_refused(dimensions: Any, weights: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        Matryoshka(InfoNCE(), dimensions, weights=weights)


def test_vectors_are_never_cut_to_more_than_they_are() -> None:
    with pytest.raises(InvalidArgumentError, match="at most 6"):
        Matryoshka(InfoNCE(), [8, 2])(embeddings_of(7), any_batch(5, 7))
