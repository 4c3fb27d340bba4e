"""The simulated users of the demonstration."""

from __future__ import annotations

from itertools import groupby

import pytest

from ragtime.services.learning.demo.corpus import HelpDesk, build_help_desk
from ragtime.services.learning.demo.users import MISTAKES, RESULTS, USERS, SimulatedRating, simulate_ratings
from ragtime.services.training_data_gen.sources.feedback import feedback_reader
from ragtime.services.training_data_gen.sources.items import FeedbackRecord
from ragtime.testing import HashEncoder
from ragtime.utils.tokens import EstimatedTokenCounter


@pytest.fixture(scope="module")
def desk() -> HelpDesk:
    """A small help desk."""
    return build_help_desk(EstimatedTokenCounter(), seed=42, limit=200)


@pytest.fixture(scope="module")
def ratings(desk: HelpDesk) -> list[SimulatedRating]:
    """What its users say."""
    return simulate_ratings(desk, HashEncoder(), seed=42)


def test_each_question_is_asked_once_and_each_of_the_first_ten_pages_is_rated(
    desk: HelpDesk, ratings: list[SimulatedRating]
) -> None:
    asked = {question: list(some) for question, some in groupby(ratings, key=lambda rating: rating.question)}
    assert list(asked) == list(desk.asked)
    for some in asked.values():
        assert [rating.rank for rating in some] == list(range(1, RESULTS + 1))
        assert len({rating.page_id for rating in some}) == RESULTS
        assert len({rating.user_id for rating in some}) == 1
    assert {rating.user_id for rating in ratings} <= {f"user-{number:02}" for number in range(1, USERS + 1)}


def test_unseen_pages_are_not_there_yet(desk: HelpDesk, ratings: list[SimulatedRating]) -> None:
    assert desk.unseen
    assert not {rating.page_id for rating in ratings} & desk.unseen


def test_the_page_that_answers_is_rated_well_and_the_others_badly_but_for_a_few_mistakes(
    ratings: list[SimulatedRating],
) -> None:
    mistaken = [one for one in ratings if one.is_good is not (one.page_id == one.question.page_id)]
    assert 0 < len(mistaken) < 4 * MISTAKES * len(ratings)
    assert {rating.stars for rating in ratings if rating.is_good} == {4, 5}
    assert {rating.stars for rating in ratings if not rating.is_good} == {1, 2}
    assert sum(rating.is_good for rating in ratings) > 30


def test_the_same_seed_gives_the_same_ratings_and_another_one_others(
    desk: HelpDesk, ratings: list[SimulatedRating]
) -> None:
    assert simulate_ratings(desk, HashEncoder(), seed=42) == ratings
    assert simulate_ratings(desk, HashEncoder(), seed=1) != ratings


def test_a_record_is_read_as_feedback(ratings: list[SimulatedRating]) -> None:
    read = list(feedback_reader([rating.record() for rating in ratings], rating_field="rating", rating_scale=(1, 5))())
    for rating, record in zip(ratings, read, strict=True):
        assert isinstance(record, FeedbackRecord)
        assert (record.query, record.stars) == (rating.question.text, rating.stars)
        assert (record.user_id, record.document_ids) == (rating.user_id, (rating.page_id,))
    assert len({record.id for record in read if isinstance(record, FeedbackRecord)}) == len(ratings)
