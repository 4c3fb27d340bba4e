"""Judged questions as something to measure by."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.data.sample import sample_retrieval_set
from ragtime.errors import InvalidArgumentError
from ragtime.records import Document, RetrievalSet
from ragtime.services.model_finetuner.evaluation import judged_questions


def judged(
    judgements: dict[str, dict[str, int]], documents: str = "abcdef", unjudged: tuple[str, ...] = ()
) -> RetrievalSet:
    """A set whose documents are letters."""
    return RetrievalSet.from_documents(
        [Document(id=name, text=f"text of {name}", title="Title" if name == "a" else None) for name in documents],
        {key: f"{key}?" for key in (*judgements, *unjudged)},
        judgements,
    )


def test_questions_documents_and_grades_are_those_of_the_set() -> None:
    found = judged_questions(judged({"q2": {"c": 1}, "q1": {"b": 3, "a": 1, "d": 0}}, unjudged=("q3",)))
    assert found.ids == ("q1", "q2")
    validation = found.validation
    assert validation.queries == ["q1?", "q2?"]
    assert validation.passages == ["Title\ntext of a", *(f"text of {name}" for name in "bcdef")]
    assert validation.truth.passages.tolist() == [0, 1, 2]
    assert validation.truth.grades.tolist() == [1.0, 3.0, 1.0]
    assert validation.left_out == 0


def test_documents_of_one_content_count_each() -> None:
    twins = RetrievalSet.from_documents(
        [Document(id="a", text="same"), Document(id="b", text="same")], {"q": "which?"}, {"q": {"a": 1}}
    )
    validation = judged_questions(twins).validation
    assert validation.passages == ["same", "same"]
    figures = validation.measure_questions(np.ones((1, 2)), np.ones((2, 2)))
    assert figures["mrr@10"].tolist() == [0.5]  # a tie, in which the unjudged one comes first


def test_what_tells_nothing_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="none of the 2 questions has a relevant document"):
        judged_questions(judged({"q1": {"a": 0}}, unjudged=("q2",)))
    with pytest.raises(InvalidArgumentError, match="one document in all"):
        judged_questions(judged({"q1": {"a": 1}}, documents="a"))


def test_the_sample_has_its_questions() -> None:
    found = judged_questions(sample_retrieval_set(reserved=True))
    assert (len(found.ids), len(found.validation.passages)) == (100, 298)


@given(
    st.dictionaries(
        st.sampled_from("uvwxyz"),
        st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3), min_size=1),
        min_size=1,
    ).filter(lambda known: any(grade for some in known.values() for grade in some.values())),
    st.integers(2, 14),
    st.integers(0, 3),
)
@settings(max_examples=100)
def test_the_budget_is_kept_and_answers_are_whole(judgements: dict[str, dict[str, int]], most: int, seed: int) -> None:
    given_set = judged(judgements)
    found = judged_questions(given_set, max_texts=most, seed=seed)
    validation = found.validation
    assert len(validation.queries) + len(validation.passages) <= most or len(found.ids) == 1
    assert len(found.ids) + validation.left_out == len(given_set.judged_queries)
    assert list(found.ids) == sorted(found.ids)
    for number, key in enumerate(found.ids):
        first, last = validation.truth.offsets[number : number + 2]
        answers = {validation.passages[place] for place in validation.truth.passages[first:last]}
        assert answers == {given_set.corpus[name].content for name in given_set.relevant(key)}
    backwards = judged({key: dict(reversed(list(some.items()))) for key, some in reversed(list(judgements.items()))})
    again = judged_questions(backwards, max_texts=most, seed=seed)
    assert (again.ids, again.validation.passages) == (found.ids, validation.passages)
