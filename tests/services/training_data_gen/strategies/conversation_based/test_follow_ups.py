"""Questions that lean on what was said before."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.services.training_data_gen.strategies.conversation_based import complete_follow_up, is_follow_up

ROASTER = [("user", "What does the small roaster weigh?"), ("assistant", "The Wren weighs 2.9 kg.")]


@pytest.mark.parametrize(
    "question",
    [
        "And the bigger one?",
        "why?",
        "How does it work?",
        "What about the filter?",
        "Is that included?",
        "Where are they made?",
        "and the price of that?",
        "Does this law apply at the federal level?",
        "OK, but how long?",
        "Was he a communist?",
    ],
)
def test_a_question_that_points_back_is_a_follow_up(question: str) -> None:
    assert is_follow_up(question)


@pytest.mark.parametrize(
    "question",
    [
        "How do I clean the drum of the roaster?",
        "Is it possible to return a roaster without the box?",
        "Does the Prince of Wales have his own source of income?",
        "Who invented mathematics?",
        "IBM Cloud enterprises",
        "How do I add a printer to the office network so that everybody can use it?",
    ],
)
def test_a_question_that_stands_alone_is_none(question: str) -> None:
    assert not is_follow_up(question)


def test_the_topic_is_carried_over() -> None:
    """Words of the question before that are new, and a name of the answer."""
    assert complete_follow_up("And the bigger one?", ROASTER) == "small roaster weigh Wren: the bigger one?"


def test_turns_further_back_are_asked_when_the_last_says_little() -> None:
    context = [("user", "How do I clean the steel drum?"), ("assistant", "With a brush."), ("user", "why?")]
    assert complete_follow_up("And how often?", context) == "clean steel drum: how often?"


def test_words_are_not_said_twice() -> None:
    assert complete_follow_up("Does it weigh more?", ROASTER) == "small roaster Wren: Does it weigh more?"


def test_what_the_answer_confirms_is_preferred() -> None:
    evidence = "The filter of the small roaster is changed after fifty roasts."
    assert complete_follow_up("And its filter?", ROASTER, evidence) == "small roaster: its filter?"


def test_another_topic_is_not_mixed_in() -> None:
    """When the answer confirms nothing, a question with words enough of its own stays as it is."""
    question = "Tell me about the importance of this tricolor national flag."
    assert complete_follow_up(question, ROASTER, "The tricolor stands for peace.") is None


@pytest.mark.parametrize("context", [[], [("user", "hi")], [("user", "Thanks!"), ("assistant", "You are welcome.")]])
def test_where_nothing_was_said_nothing_is_carried_over(context: list[tuple[str, str]]) -> None:
    assert complete_follow_up("And it?", context) is None


@settings(max_examples=150)
@given(
    question=st.text(max_size=60),
    context=st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text(max_size=120)), max_size=6),
    evidence=st.text(max_size=60),
)
def test_any_text_can_be_asked(question: str, context: list[tuple[str, str]], evidence: str) -> None:
    """A completed question ends as it was asked, and is no longer than a few words more."""
    is_follow_up(question)
    completed = complete_follow_up(question, context, evidence)
    if completed is not None:
        assert completed.split(": ", 1)[1].strip() in question
        assert completed.strip()
