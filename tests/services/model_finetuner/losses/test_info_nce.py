"""InfoNCE: what is compared, what is left out, and what it gives."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from ragtime.errors import InvalidArgumentError  # noqa: E402
from ragtime.services.model_finetuner.losses import InfoNCE, LossBatch  # noqa: E402
from ragtime.services.model_finetuner.planning import (  # noqa: E402
    FalseNegatives,
    TrainingRows,
    distinct_texts,
    number_texts,
)
from tests.services.model_finetuner.losses.batches import any_batch, batch_of, embeddings_of, gradient  # noqa: E402

pytestmark = pytest.mark.models


def planned(columns: list[list[str | None]]) -> tuple[LossBatch, list[str]]:
    """All rows as one batch, as training makes it, and its texts."""
    distinct, cells = number_texts(columns)
    rows = TrainingRows(cells, np.ones(len(distinct), np.int64))
    batch = np.arange(len(rows))
    texts = distinct_texts(rows, batch)
    excluded = torch.from_numpy(FalseNegatives(rows).mask(batch))
    return batch_of(torch.from_numpy(texts.positions), excluded=excluded), [distinct[n] for n in texts.numbers]


@settings(max_examples=80)
@given(seed=st.integers(0, 999), rows=st.integers(1, 6), margin=st.none() | st.floats(-0.5, 0.5))
def test_the_loss_is_that_of_the_definition(seed: int, rows: int, margin: float | None) -> None:
    batch, embeddings = any_batch(rows, 8, seed=seed), embeddings_of(8, seed=seed, dtype=torch.float64).detach()
    unit = embeddings / embeddings.norm(dim=1, keepdim=True)
    total, counts = 0.0, {"candidates": 0, "excluded_known": 0, "excluded_margin": 0}
    for row, (query, response, *_) in enumerate(batch.positions.tolist()):
        answer = float(unit[query] @ unit[response])
        terms = [answer / 0.05]
        for place, (column, other) in enumerate((c, r) for c in (1, 2, 3) for r in range(rows)):
            text = int(batch.positions[other, column])
            if place == row or text < 0:
                continue
            counts["candidates"] += 1
            score = float(unit[query] @ unit[text])
            if batch.excluded[row, place]:
                counts["excluded_known"] += 1
            elif margin is not None and other != row and score > answer - margin - 1e-6:
                counts["excluded_margin"] += 1
            else:
                terms.append(score / 0.05)
        loss = math.log(sum(math.exp(term - terms[0]) for term in terms))
        total += float(batch.weights[row]) * loss
    result = InfoNCE(false_negative_margin=margin)(embeddings, batch)
    assert float(result.loss) == pytest.approx(total / float(batch.weights.double().sum()), rel=1e-6, abs=1e-7)
    assert result.counts == counts


def test_a_candidate_that_is_left_out_is_as_good_as_absent() -> None:
    embeddings = embeddings_of(5)
    excluded = torch.tensor([[False, False, True, True], [False, False, True, True]])
    hidden = batch_of([[0, 1, 4], [2, 3, -1]], excluded=excluded)
    value, slope = gradient(InfoNCE(), embeddings, hidden)
    assert (slope[4] == 0).all()
    absent, without = gradient(InfoNCE(), embeddings, batch_of([[0, 1], [2, 3]]))
    assert value.equal(absent)
    assert slope.equal(without)


@pytest.mark.parametrize("margin", [None, 0.1])
def test_planted_duplicates_pull_and_push_nothing(margin: float | None) -> None:
    """Two rows share a response, two a query, and a negative is what another row has for an answer."""
    batch, texts = planned([["q", "r", "q", "s"], ["a", "a", "b", "c"], ["n", None, "m", "a"]])
    place = {text: number for number, text in enumerate(texts)}
    loss = InfoNCE(false_negative_margin=margin)
    embeddings = embeddings_of(len(texts), seed=5)
    result = loss(embeddings, batch)
    # q knows a and b wherever they stand: rows 0 and 2 leave out three cells each, row 1 those of row 0 and row 3.
    assert result.counts["excluded_known"] == 3 + 2 + 3
    # For the rows of q alone, no gradient tells a and b apart beyond drawing each to its own row's query.
    alone = replace(batch, weights=torch.tensor([1.0, 1e-30, 1e-30, 1e-30]))
    slope = gradient(InfoNCE(), embeddings, alone)[1]
    assert (slope[place["b"]].abs() < 1e-20).all()
    assert (slope[place["c"]].abs() > 1e-6).any()


def test_a_batch_of_one_text_over_and_over_teaches_nothing() -> None:
    batch, texts = planned([["q"] * 4, ["a", "b", "a", "b"], ["a", None, "b", None]])
    value, slope = gradient(InfoNCE(), embeddings_of(len(texts)), batch)
    assert value == 0
    assert (slope.abs() < 1e-6).all()


def test_a_row_without_negatives_has_no_loss_and_counts() -> None:
    embeddings = embeddings_of(4)
    pair = batch_of([[0, 1], [2, 3]])
    half = replace(pair, excluded=torch.tensor([[False, False], [True, False]]))
    other = replace(pair, excluded=torch.tensor([[False, True], [False, False]]))
    loss = InfoNCE()
    torch.testing.assert_close(loss(embeddings, half).loss + loss(embeddings, other).loss, loss(embeddings, pair).loss)


def test_the_margin_leaves_out_others_but_never_what_the_row_calls_negative() -> None:
    # A query, its response at 0.8, its negative at 0.96, the responses of two other rows at 0.9 and 0, and their query.
    embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.96, 0.28], [0.9, -math.sqrt(0.19)], [0.0, 1.0], [0.0, -1.0]])
    batch = batch_of([[0, 1, 2], [5, 3, -1], [4, 4, -1]], weights=[1, 1e-30, 1e-30])
    plain, masked = InfoNCE(), InfoNCE(false_negative_margin=0.0)
    assert masked(embeddings, batch).counts == {"candidates": 9, "excluded_known": 0, "excluded_margin": 1}
    slope = gradient(masked, embeddings, batch)[1]
    assert (slope[3].abs() < 1e-20).all()
    assert (slope[2].abs() > 1e-3).any()
    assert (gradient(plain, embeddings, batch)[1][3].abs() > 1e-3).any()
    # A negative margin asks for more: 0.9 is not above 0.8 + 0.15.
    kept = InfoNCE(false_negative_margin=-0.15)
    assert (gradient(kept, embeddings, batch)[1][3].abs() > 1e-3).any()


def test_texts_that_the_model_cannot_tell_apart_are_no_negatives_of_each_other() -> None:
    """Two long texts that begin alike have one embedding; products that differ by rounding change nothing."""
    embeddings = embeddings_of(80, dimension=384).detach()
    embeddings[40:] = embeddings[1]
    rows = [[0, 1], *([2 + row, 40 + row] for row in range(38))]
    result = InfoNCE(false_negative_margin=0.0)(embeddings, batch_of(rows))
    assert result.counts["excluded_margin"] == result.counts["candidates"] == 39 * 38
    assert result.loss == 0


def test_the_response_itself_always_stays() -> None:
    pair, embeddings = batch_of([[0, 1], [2, 3]]), embeddings_of(4)
    wrong = replace(pair, excluded=torch.eye(2, dtype=torch.bool))
    assert InfoNCE()(embeddings, wrong).loss.equal(InfoNCE()(embeddings, pair).loss)
    assert wrong.excluded.equal(torch.eye(2, dtype=torch.bool))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "temperature must be"),
        ({"temperature": math.nan}, "temperature must be"),
        ({"temperature": math.inf}, "temperature must be"),
        ({"false_negative_margin": 1.5}, "from -1 to 1"),
        ({"false_negative_margin": math.nan}, "from -1 to 1"),
    ],
)
def test_wrong_options_are_refused(options: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        InfoNCE(**options)
