"""The help desk of the demonstration."""

from __future__ import annotations

import pytest

from ragtime.errors import InvalidArgumentError
from ragtime.services.learning.demo.corpus import MOST_PAGES, PAGE_TOKENS, HelpDesk, build_help_desk
from ragtime.utils.tokens import EstimatedTokenCounter

COUNTER = EstimatedTokenCounter()


@pytest.fixture(scope="module")
def desk() -> HelpDesk:
    """The help desk of the default seed."""
    return build_help_desk(COUNTER, seed=42)


def test_there_are_enough_pages_and_questions_for_the_gate_to_see_a_rise(desk: HelpDesk) -> None:
    assert 600 <= len(desk.pages) <= MOST_PAGES
    assert len(desk.asked) >= 300
    assert len(desk.held_out) >= 200
    assert len({page.id for page in desk.pages}) == len(desk.pages)
    assert len({question.id for question in desk.questions}) == len(desk.questions)


def test_pages_are_cut_and_keep_their_beginning(desk: HelpDesk) -> None:
    assert all(COUNTER.count(page.content) <= PAGE_TOKENS - 2 for page in desk.pages)
    assert all(COUNTER.count(question.text) <= PAGE_TOKENS - 2 for question in desk.questions)
    assert all(page.title and page.text for page in desk.pages)
    by_id = {page.id: page for page in desk.pages}
    assert by_id["shutil.copyfile"].text.startswith("Copy data from src to dst in the most efficient way possible.")


def test_a_question_stands_in_no_page(desk: HelpDesk) -> None:
    pages = [" ".join(page.text.split()).lower() for page in desk.pages]
    for question in desk.questions:
        assert not any(question.text.lower() in page for page in pages), question


def test_what_is_held_out_is_about_unseen_pages_only(desk: HelpDesk) -> None:
    seen = {page.id for page in desk.seen_pages}
    assert seen.isdisjoint(desk.unseen)
    assert {question.page_id for question in desk.asked} <= seen
    assert {question.page_id for question in desk.held_out} <= desk.unseen
    assert len(desk.asked) + len(desk.held_out) == len(desk.questions)


def test_the_evaluation_has_one_answer_to_each_held_out_question_among_all_pages(desk: HelpDesk) -> None:
    judged = desk.evaluation()
    assert set(judged.corpus) == {page.id for page in desk.pages}
    assert set(judged.judged_queries) == {question.id for question in desk.held_out}
    for question in desk.held_out:
        assert judged.queries[question.id] == question.text
        assert judged.relevant(question.id) == {question.page_id: 1}


def test_the_same_seed_gives_the_same_and_another_one_another(desk: HelpDesk) -> None:
    assert build_help_desk(COUNTER, seed=42) == desk
    other = build_help_desk(COUNTER, seed=1)
    assert other.unseen != desk.unseen
    assert {question.id for question in other.questions} != {question.id for question in desk.questions}


def test_fewer_pages_are_those_that_can_be_asked_about(desk: HelpDesk) -> None:
    few = build_help_desk(COUNTER, seed=42, limit=50)
    assert len(few.pages) == 50
    assert {question.page_id for question in few.questions} == {page.id for page in few.pages}
    assert few.unseen <= desk.unseen


@pytest.mark.parametrize("limit", [0, 49, MOST_PAGES + 1])
def test_a_limit_out_of_range(limit: int) -> None:
    with pytest.raises(InvalidArgumentError, match=f"from 50 to {MOST_PAGES}, found {limit}"):
        build_help_desk(COUNTER, seed=42, limit=limit)
