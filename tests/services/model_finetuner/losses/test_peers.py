"""The losses are those of sentence-transformers, where it has them: same value, same gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
peers = pytest.importorskip("sentence_transformers.sentence_transformer.losses")

from ragtime.services.model_finetuner.losses import (  # noqa: E402
    Contrastive,
    CoSENT,
    EmbeddingLoss,
    InfoNCE,
    KLDivergence,
    LossBatch,
    MarginMSE,
    Matryoshka,
)
from tests.services.model_finetuner.losses.batches import batch_of, gradient  # noqa: E402

pytestmark = pytest.mark.models

TEXTS, DIMENSION, ROWS = 40, 24, 16


class Table(torch.nn.Module):  # type: ignore[misc]  # importorskip gives Any
    """A model whose embeddings are looked up, so that both sides are given the same."""

    def __init__(self, embeddings: Any) -> None:
        super().__init__()
        self.table = torch.nn.Parameter(embeddings.clone())

    def get_embedding_dimension(self) -> int:
        return int(self.table.shape[1])

    def forward(self, features: dict[str, Any]) -> dict[str, Any]:
        return {**features, "sentence_embedding": self.table[features["texts"]]}


@pytest.fixture(params=[0, 1, 2])
def draw(request: pytest.FixtureRequest) -> torch.Generator:
    return torch.Generator().manual_seed(request.param)


def unit_table(draw: torch.Generator) -> Any:
    return torch.nn.functional.normalize(torch.randn(TEXTS, DIMENSION, generator=draw), dim=1)


def cells(draw: torch.Generator, columns: int) -> Any:
    return torch.randint(0, TEXTS, (ROWS, columns), generator=draw)


def check(
    ours: EmbeddingLoss, make_peer: Callable[[Any], Any], table: Any, batch: LossBatch, labels: Any, times: float = 1.0
) -> None:
    """Assert that the peer's loss and gradient are `times` ours."""
    model = Table(table)
    loss = make_peer(model)([{"texts": column} for column in batch.positions.T], labels)
    loss.backward()
    value, slope = gradient(ours, table, batch)
    torch.testing.assert_close(value * times, loss.detach(), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(slope * times, model.table.grad, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("columns", [2, 3, 5])
@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_info_nce_is_their_multiple_negatives_ranking(draw: Any, columns: int, temperature: float) -> None:
    batch = batch_of(cells(draw, columns))
    check(
        InfoNCE(temperature=temperature),
        lambda model: peers.MultipleNegativesRankingLoss(model, scale=1 / temperature),
        unit_table(draw) * 3,  # of any length
        batch,
        None,
    )


@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_cosent_is_theirs(draw: Any, temperature: float) -> None:
    labels = torch.randint(0, 5, (ROWS,), generator=draw) / 4
    batch = batch_of(cells(draw, 2), labels=labels.tolist())
    check(
        CoSENT(temperature=temperature),
        lambda model: peers.CoSENTLoss(model, scale=1 / temperature),
        unit_table(draw) * 3,
        batch,
        labels,
    )


def test_contrastive_is_theirs(draw: Any) -> None:
    labels = torch.randint(0, 2, (ROWS,), generator=draw)
    batch = batch_of(cells(draw, 2), labels=labels.tolist())
    check(
        Contrastive(margin=0.8), lambda model: peers.ContrastiveLoss(model, margin=0.8), unit_table(draw), batch, labels
    )


@pytest.mark.parametrize("negatives", [1, 3])
def test_margin_mse_is_theirs_for_vectors_of_unit_length(draw: Any, negatives: int) -> None:
    """Theirs takes dot products by default; ours takes cosines of any vectors, as retrieval will."""
    scores = torch.rand(ROWS, 1 + negatives, generator=draw)
    batch = batch_of(cells(draw, 2 + negatives), scores=scores)
    table = unit_table(draw)

    def peer(model: Any) -> Any:
        from sentence_transformers.util import pairwise_cos_sim

        return peers.MarginMSELoss(model, similarity_fct=pairwise_cos_sim)

    check(MarginMSE(), peer, table, batch, scores)
    model = Table(table)
    plain = peers.MarginMSELoss(model)([{"texts": column} for column in batch.positions.T], scores)
    torch.testing.assert_close(MarginMSE()(table, batch).loss, plain.detach(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("negatives", [1, 3])
@pytest.mark.parametrize(("temperature", "teacher"), [(1.0, 1.0), (0.2, 0.2), (0.05, 1.0)])
def test_kl_divergence_is_theirs_but_for_the_square_of_the_temperature(
    draw: Any, negatives: int, temperature: float, teacher: float
) -> None:
    from sentence_transformers.util import pairwise_cos_sim

    scores = torch.rand(ROWS, 1 + negatives, generator=draw)
    check(
        KLDivergence(temperature=temperature, teacher_temperature=teacher),
        lambda model: peers.DistillKLDivLoss(
            model, similarity_fct=pairwise_cos_sim, student_temperature=temperature, teacher_temperature=teacher
        ),
        unit_table(draw),
        batch_of(cells(draw, 2 + negatives), scores=scores),
        scores,
        times=temperature**2,
    )


def test_matryoshka_is_theirs_divided_by_the_weights(draw: Any) -> None:
    """Theirs is the sum over the lengths, ours the mean."""
    lengths, weights = (DIMENSION, 12, 5), (1.0, 0.5, 2.0)
    check(
        Matryoshka(InfoNCE(), lengths, weights=weights),
        lambda model: peers.MatryoshkaLoss(model, peers.MultipleNegativesRankingLoss(model), lengths, weights),
        unit_table(draw),
        batch_of(cells(draw, 3)),
        None,
        times=sum(weights),
    )
