"""Examples of conversations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragtime.config.settings import Settings
from ragtime.errors import BackendCancelledError, BackendError, GenerationError
from ragtime.records import Document
from ragtime.records.conversation import ConversationHead, Feedback, Interaction, StoredTurn, ToolCall
from ragtime.records.training import Rater
from ragtime.services.training_data_gen.corpus import Corpus
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.sources import SourceConversation, Sources
from ragtime.services.training_data_gen.sources.reading import Reading
from ragtime.services.training_data_gen.staging import Staging
from ragtime.services.training_data_gen.strategies.base import Outcome, Rejected, Strategy
from ragtime.services.training_data_gen.strategies.conversation_based import ConversationBased
from ragtime.services.training_data_gen.tools import Tools
from ragtime.testing import ScriptedGenerator

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CORPUS = {
    "returns": "Returns are free for 30 days; print the label and hand the box to a post office.",
    "drum": "Clean the steel drum of the roaster with a dry brush after each roast.",
    "filter": "Change the filter when the light turns red, or after fifty roasts at the latest.",
}
ANSWER = "Brush it after each roast."
MakeTools = Callable[..., Tools]


@pytest.fixture
def make_tools(tmp_path: Path) -> Iterator[MakeTools]:
    """Returns a function that makes tools with a corpus of three passages."""
    with ExitStack() as stack:

        def make(generator: ScriptedGenerator | None = None, **limits: object) -> Tools:
            staging = stack.enter_context(Staging(tmp_path / f"{len(list(tmp_path.iterdir()))}.sqlite", seed=0))
            for key, text in CORPUS.items():
                staging.add_document(Document(id=key, text=text))
            corpus = Corpus(staging, staging.place_documents())
            return Tools(Settings(training_data=limits), corpus, generator=generator)

        yield make


def turn(turn_id: str, role: str, content: str, parent: str | None, *stars: float, **fields: Any) -> StoredTurn:
    feedback = tuple(
        Feedback(id=f"{turn_id}-f{place}", stars=one, by=f"user-{place}", created_at=NOW)
        for place, one in enumerate(stars)
    )
    made = Interaction(id=turn_id, role=role, content=content, created_at=NOW, feedback=feedback, **fields)
    return StoredTurn(made, parent)


def conversation(*turns: StoredTurn, conversation_id: str = "c1") -> SourceConversation:
    return SourceConversation(ConversationHead(id=conversation_id, user_id="ada", created_at=NOW), list(turns))


def outcomes(tools: Tools, *conversations: SourceConversation) -> list[Outcome]:
    strategy = ConversationBased()
    units = list(strategy.units(Reading(Sources(conversations=lambda: iter(conversations))), tools))
    made = strategy.make(units, tools)
    assert len(made) == len(units)
    assert all(made)
    return [one for part in made for one in part]


def examples(found: list[Outcome]) -> list[TrainingExample]:
    return [one for one in found if isinstance(one, TrainingExample)]


def reasons(found: list[Outcome]) -> Counter[str]:
    return Counter(one.reason for one in found if isinstance(one, Rejected))


def asked(*answers: StoredTurn, question: str = "How do I clean the drum?") -> SourceConversation:
    return conversation(turn("q", "user", question, None), *answers)


def test_it_is_a_strategy() -> None:
    assert isinstance(ConversationBased(), Strategy)
    assert ConversationBased.name == "conversation_based"


def test_a_question_should_find_what_its_answer_cites(make_tools: MakeTools) -> None:
    (made,) = examples(outcomes(make_tools(), asked(turn("a", "assistant", ANSWER, "q", 5, document_ids=("drum",)))))
    assert (made.query, made.response, made.label) == ("How do I clean the drum?", CORPUS["drum"], 1.0)
    assert (made.weight, made.weak, made.context, made.metadata) == (1.0, False, None, {"stars": 5.0})
    lineage = made.lineage
    assert (lineage.source, lineage.user_id, lineage.conversation_id) == ("conversations", "ada", "c1")
    assert (lineage.turn_ids, lineage.document_ids, lineage.feedback_ids) == (("q", "a"), ("drum",), ("a-f0",))


def test_what_nobody_has_rated_weighs_less(make_tools: MakeTools) -> None:
    (made,) = examples(outcomes(make_tools(), asked(turn("a", "assistant", ANSWER, "q", document_ids=("drum",)))))
    assert (made.label, made.weight) == (1.0, 0.5)


def test_ratings_of_several_people_are_averaged(make_tools: MakeTools) -> None:
    (made,) = examples(outcomes(make_tools(), asked(turn("a", "assistant", ANSWER, "q", 5, 3, document_ids=("drum",)))))
    assert made.metadata["stars"] == 4.0
    undecided = outcomes(make_tools(), asked(turn("a", "assistant", ANSWER, "q", 5, 1, document_ids=("drum",))))
    assert reasons(undecided) == {"the rating is neither good nor bad": 1}


def test_a_bad_answer_says_what_not_to_find(make_tools: MakeTools) -> None:
    (made,) = examples(outcomes(make_tools(), asked(turn("a", "assistant", ANSWER, "q", 1, document_ids=("filter",)))))
    assert (made.response, made.label, made.weight) == (CORPUS["filter"], 0.0, 1.0)


def test_an_answer_that_cites_nothing_stands_for_itself(make_tools: MakeTools) -> None:
    """Unless it is bad; a document that the corpus does not have counts as none."""
    (made,) = examples(outcomes(make_tools(), asked(turn("a", "assistant", ANSWER, "q", 4, document_ids=("gone",)))))
    assert (made.response, made.weak, made.metadata["kind"]) == (ANSWER, True, "answer")
    assert made.lineage.document_ids == ("gone",)
    assert reasons(outcomes(make_tools(), asked(turn("a", "assistant", ANSWER, "q", 1)))) == {
        "a bad answer cites no known document": 1
    }


def test_two_answers_make_a_pair_of_preference(make_tools: MakeTools) -> None:
    """The document of the worse one is a negative, unless the better one cites it, too."""
    found = outcomes(
        make_tools(),
        asked(
            turn("a", "assistant", "Change it.", "q", 2, document_ids=("filter", "drum")),
            turn("b", "assistant", ANSWER, "q", 5, document_ids=("drum",), metadata={"regenerated_from": "a"}),
        ),
    )
    passage, preference = examples(found)
    assert (passage.response, passage.negatives, passage.label) == (CORPUS["drum"], (CORPUS["filter"],), 1.0)
    assert (preference.response, preference.negatives, preference.weak) == (ANSWER, ("Change it.",), True)
    assert preference.metadata == {"kind": "preference", "stars": 5.0, "stars_of_negative": 2.0}
    assert preference.lineage.turn_ids == ("q", "b", "a")
    assert preference.lineage.feedback_ids == ("b-f0", "a-f0")
    assert not reasons(found)


def test_turns_that_precede_a_question_are_noted(make_tools: MakeTools) -> None:
    """Their texts stand in the context, so that whoever forgets them finds the example."""
    told = conversation(
        turn("s", "system", "You sell roasters.", None),
        turn("q0", "user", "Is there a warranty?", "s"),
        turn("a0", "assistant", "Two years.", "q0"),
        turn("q", "user", "How do I clean the drum?", "a0"),
        turn("a", "assistant", ANSWER, "q", document_ids=("drum",)),
    )
    made = {one.lineage.turn_ids[0]: one.lineage for one in examples(outcomes(make_tools(), told))}
    assert made["q"].context_turn_ids == ("q0", "a0")
    assert made["q0"].context_turn_ids == ()


def test_those_who_have_rated_in_another_ones_conversation_are_noted(make_tools: MakeTools) -> None:
    """Also those whose rating gave the example a negative; the user of the conversation is noted anyway."""
    by_ada = Feedback(id="f", stars=5, by="ada", created_at=NOW)
    good = turn("a", "assistant", ANSWER, "q", 5, document_ids=("drum",))
    bad = turn("b", "assistant", "Change it.", "q", 1, document_ids=("filter",))
    both = StoredTurn(good.interaction.with_feedback(by_ada), "q")
    passage = examples(outcomes(make_tools(), asked(both, bad)))[0]
    assert passage.negatives == (CORPUS["filter"],)
    assert passage.lineage.raters == (Rater(user_id="user-0"),)
    assert passage.lineage.turn_ids == ("q", "a", "b")
    assert passage.lineage.feedback_ids == ("a-f0", "f", "b-f0")


def test_answers_that_are_equal_or_all_bad_make_no_pair(make_tools: MakeTools) -> None:
    same = asked(turn("a", "assistant", ANSWER, "q", 5), turn("b", "assistant", f" {ANSWER}", "q", 2))
    assert reasons(outcomes(make_tools(), same)) == {"two answers say the same and are rated differently": 1}
    bad = asked(turn("a", "assistant", ANSWER, "q", 2), turn("b", "assistant", "No idea.", "q", 1))
    assert reasons(outcomes(make_tools(), bad)) == {
        "the better answer is bad, too": 1,
        "a bad answer cites no known document": 1,
    }
    level = asked(turn("a", "assistant", ANSWER, "q", 5), turn("b", "assistant", "With a brush.", "q", 5))
    assert [one.metadata["kind"] for one in examples(outcomes(make_tools(), level))] == ["answer", "answer"]


def test_turns_of_tools_and_of_the_system_are_passed_over(make_tools: MakeTools) -> None:
    call = ToolCall(id="t1", name="search")
    found = outcomes(
        make_tools(),
        conversation(
            turn("s", "system", "You are a help desk.", None),
            turn("q0", "user", "Is there a warranty?", "s"),
            turn("a0", "assistant", "Two years.", "q0"),
            turn("q", "user", "How do I clean the steel drum of the roaster?", "a0"),
            turn("c", "assistant", "Let me look.", "q", tool_calls=(call,)),
            turn("t", "tool", "brush", "c", tool_call_id="t1"),
            turn("a", "assistant", ANSWER, "t", document_ids=("drum",)),
        ),
    )
    _, made = examples(found)
    assert made.response == CORPUS["drum"]
    assert made.context == "User: Is there a warranty?\nAssistant: Two years."
    assert made.lineage.turn_ids == ("q", "a")


def test_what_is_no_question_or_has_no_answer_is_rejected(make_tools: MakeTools) -> None:
    found = outcomes(
        make_tools(),
        conversation(
            turn("a", "user", "Thanks, that's great!", None),
            turn("b", "user", "How do I clean it?", "a"),
            turn("c", "user", "", "b", parts=({"type": "image", "url": "drum.png"},)),
        ),
    )
    assert reasons(found) == {
        "the turn asks nothing": 1,
        "the question has no answer": 1,
        "the question has no text": 1,
    }


def test_an_answer_that_knows_nothing_is_no_passage(make_tools: MakeTools) -> None:
    unknown = "I am sorry, but I do not have that information."
    found = outcomes(
        make_tools(),
        conversation(
            turn("q", "user", "How do I clean the steel drum?", None), turn("a", "assistant", unknown, "q", 5)
        ),
    )
    assert reasons(found) == {"the answer says that nothing is known": 1}


def follow_up() -> SourceConversation:
    return conversation(
        turn("q0", "user", "How do I clean the steel drum?", None),
        turn("a0", "assistant", ANSWER, "q0"),
        turn("q", "user", "And how often?", "a0"),
        turn("a", "assistant", "After each roast.", "q", 5, document_ids=("drum",)),
    )


def test_a_follow_up_is_made_to_stand_alone(make_tools: MakeTools) -> None:
    made = examples(outcomes(make_tools(), follow_up()))[-1]
    assert made.query == "clean steel drum: how often?"
    assert made.metadata["rewritten"] is True
    assert made.metadata["rewritten_by"] == "rule"
    assert made.metadata["original_query"] == "And how often?"


def test_a_language_model_rewrites_where_there_is_one(make_tools: MakeTools) -> None:
    generator = ScriptedGenerator(['"How often do I clean the steel drum?"'])
    made = examples(outcomes(make_tools(generator), follow_up()))[-1]
    assert made.query == "How often do I clean the steel drum?"
    assert made.metadata["rewritten_by"] == "model"
    (call,) = generator.calls  # the first question leans on nothing
    assert "After each roast" not in str(call.messages)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "Sure!\nHow often?",
        "Every Thursday, weekly maintenance includes descaling the boiler.",
        "drum " * 100,
        BackendError("the model is gone"),
    ],
)
def test_what_is_no_question_is_replaced_by_the_rule(make_tools: MakeTools, answer: str | BackendError) -> None:
    tools = make_tools(ScriptedGenerator([answer]))
    made = examples(outcomes(tools, follow_up()))[-1]
    assert made.query == "clean steel drum: how often?"
    assert any("completed by rule" in note for note in tools.notes)


def test_a_cancelled_model_stops_the_work(make_tools: MakeTools) -> None:
    with pytest.raises(BackendCancelledError):
        outcomes(make_tools(ScriptedGenerator([BackendCancelledError("stop")])), follow_up())


def test_a_question_gives_no_more_than_the_limit(make_tools: MakeTools) -> None:
    answer = turn("a", "assistant", ANSWER, "q", document_ids=("filter", "drum", "returns"))
    found = outcomes(make_tools(max_examples_per_query=2), asked(answer))
    assert [one.lineage.document_ids for one in examples(found)] == [("filter",), ("drum",)]
    assert reasons(found) == {"enough examples of its query": 1}


def test_without_conversations_it_says_what_to_give(make_tools: MakeTools) -> None:
    tools = make_tools()
    with pytest.raises(GenerationError, match="conversations="):
        list(ConversationBased().units(Reading(Sources()), tools))


TURNS = st.lists(
    st.tuples(
        st.sampled_from(["user", "assistant", "tool", "system"]),
        st.sampled_from(["How do I clean it?", "and then?", "Brush it.", "No.", "thanks", "Is the filter new?", "x y"]),
        st.integers(-1, 12),
        st.lists(st.floats(1, 5), max_size=3),
        st.lists(st.sampled_from([*CORPUS, "gone"]), max_size=3),
        st.booleans(),
    ),
    max_size=12,
)


def tree(rows: list[tuple[str, str, int, list[float], list[str], bool]], name: str) -> SourceConversation:
    """Any tree of turns: parents that come later or are not there included."""
    turns = []
    for place, (role, text, parent, stars, documents, calls) in enumerate(rows):
        fields: dict[str, Any] = {"document_ids": tuple(documents)}
        if role == "tool":
            fields["tool_call_id"] = "t1"
        if role == "assistant" and calls:
            fields["tool_calls"] = (ToolCall(id="t1", name="search"),)
        turns.append(turn(f"{name}{place}", role, text, f"{name}{parent}" if parent >= 0 else None, *stars, **fields))
    return conversation(*turns, conversation_id=name)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(first=TURNS, second=TURNS)
def test_no_tree_breaks_it_and_order_changes_nothing(make_tools: MakeTools, first: list, second: list) -> None:
    """Every question has an outcome; what comes of a conversation does not depend on those beside it."""
    tools = make_tools()
    one, other = tree(first, "a"), tree(second, "b")
    found = outcomes(tools, one, other)
    assert sorted(map(repr, found)) == sorted(map(repr, outcomes(tools, other, one)))
    assert found == outcomes(tools, one) + outcomes(tools, other)
    questions = sum(row[0] == "user" for row in (*first, *second))
    assert len(found) >= questions
    for made in examples(found):
        assert made.response not in made.negatives
        assert made.strategy == "conversation_based"
        assert made.lineage.turn_ids
