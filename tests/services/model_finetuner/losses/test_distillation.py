"""MarginMSE and KL divergence: what a teacher has scored, and what it has not."""

from __future__ import annotations

import math
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from ragtime.errors import InvalidArgumentError  # noqa: E402
from ragtime.services.model_finetuner.losses import InfoNCE, KLDivergence, MarginMSE  # noqa: E402
from tests.services.model_finetuner.losses.batches import batch_of, embeddings_of, gradient  # noqa: E402

pytestmark = pytest.mark.models

NAN = math.nan
LOSSES = [MarginMSE(), KLDivergence()]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_a_student_that_agrees_with_its_teacher_has_nothing_to_learn(loss: Any) -> None:
    embeddings = embeddings_of(6, seed=4)
    cosines = torch.cosine_similarity(embeddings[:1], embeddings).detach()
    batch = batch_of([[0, 1, 2, 3], [0, 4, 5, 3]], scores=[cosines[[1, 2, 3]].tolist(), cosines[[4, 5, 3]].tolist()])
    value, slope = gradient(loss, embeddings, batch)
    assert float(value) == pytest.approx(0, abs=1e-6)
    assert (slope.abs() < 1e-5).all()


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_texts_without_a_score_are_as_good_as_absent(loss: Any) -> None:
    embeddings = embeddings_of(5)
    unscored = batch_of([[0, 1, 2, 3], [4, 1, -1, 2]], scores=[[0.9, NAN, 0.1], [0.7, 0.3, 0.2]])
    absent = batch_of([[0, 1, 3], [4, 1, 2]], scores=[[0.9, 0.1], [0.7, 0.2]])
    torch.testing.assert_close(gradient(loss, embeddings, unscored), gradient(loss, embeddings, absent))


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
@pytest.mark.parametrize("scores", [[NAN, NAN, NAN], [0.4, NAN, NAN]])
def test_a_row_with_nothing_to_compare_has_no_loss_and_counts(loss: Any, scores: list[float]) -> None:
    embeddings = embeddings_of(6)
    alone = batch_of([[0, 1, 2, 3]], scores=[[0.9, 0.5, 0.1]])
    batch = batch_of([[0, 1, 2, 3], [4, 5, 2, 3]], scores=[[0.9, 0.5, 0.1], scores])
    value, slope = gradient(loss, embeddings, batch)
    expected, expected_slope = gradient(loss, embeddings, alone)
    torch.testing.assert_close((2 * value, 2 * slope), (expected, expected_slope))
    assert (slope[4:] == 0).all()


def test_margins_need_the_score_of_the_response() -> None:
    batch = batch_of([[0, 1, 2]], scores=[[NAN, 0.2]])
    assert MarginMSE()(embeddings_of(3), batch).counts == {"margins": 0, "unreachable_margins": 0}


def test_margins_that_cosines_cannot_have_are_counted() -> None:
    batch = batch_of([[0, 1, 2, 3], [0, 2, 1, -1]], scores=[[8.2, -3.1, 7.9], [0.5, 0.1, 99.0]])
    assert MarginMSE()(embeddings_of(4), batch).counts == {"margins": 3, "unreachable_margins": 1}


def test_scores_that_lie_too_far_apart_for_the_temperature_are_counted() -> None:
    batch = batch_of([[0, 1, 2, 3]], scores=[[11.0, 1.0, -9.0]])
    embeddings = embeddings_of(4)
    assert KLDivergence()(embeddings, batch).counts == {"scored": 3, "underflowed": 2}
    assert KLDivergence(teacher_temperature=1.0)(embeddings, batch).counts == {"scored": 3, "underflowed": 0}


def test_a_teacher_that_is_sure_teaches_what_a_plain_answer_does() -> None:
    """With one row and all probability on the response, the divergence is the cross-entropy of InfoNCE."""
    embeddings = embeddings_of(4)
    batch = batch_of([[0, 1, 2, 3]], scores=[[1000.0, 0.0, 0.0]])
    torch.testing.assert_close(gradient(KLDivergence(), embeddings, batch), gradient(InfoNCE(), embeddings, batch))


@pytest.mark.parametrize("options", [{"temperature": 0.0}, {"teacher_temperature": -1.0}, {"teacher_temperature": NAN}])
def test_wrong_options_are_refused(options: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="temperature must be"):
        KLDivergence(**options)
