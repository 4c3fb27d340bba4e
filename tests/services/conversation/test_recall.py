"""Recall: earlier turns by words and meaning together, each turn embedded once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.errors import BackendCancelledError, BackendError, InvalidArgumentError, MissingExtraError
from ragtime.protocols import TextEncoder, TextRole
from ragtime.records.conversation import Interaction
from ragtime.services.conversation import ConversationEmbedder, EnhancedConversation, Recall
from ragtime.services.conversation.recall import TurnRecall
from ragtime.testing import HashEncoder, ScriptedGenerator

NOW = datetime(2026, 4, 15, 12, tzinfo=UTC)  # a Wednesday


class FailingEncoder:
    """Raises whatever it was given."""

    dimension = 8

    def __init__(self, error: Exception) -> None:
        self.error = error

    def encode(self, texts: Sequence[str], *, role: TextRole = "passage") -> npt.NDArray[np.float32]:
        assert texts, role
        raise self.error

    def fingerprint(self, role: TextRole) -> str:
        return role


class MeaningEncoder(HashEncoder):
    """Knows some words that mean the same, without sharing a letter."""

    def encode(self, texts: Sequence[str], *, role: TextRole = "passage") -> npt.NDArray[np.float32]:
        return super().encode([text.lower().replace("automobile", "car") for text in texts], role=role)


def enhanced(*said: str, encoder: object = None, **options: object) -> EnhancedConversation:
    """Make a conversation in which the user says these things."""
    embedder = ConversationEmbedder(encoder=encoder or HashEncoder())  # type: ignore[arg-type]
    conversation = EnhancedConversation(embedder=embedder, **options)  # type: ignore[arg-type]
    for text in said:
        conversation.add_interaction("user", text)
    return conversation


def contents(recall: Recall) -> list[str]:
    return [turn.interaction.content for turn in recall.turns]


def summed_up(recall: Recall) -> list[tuple[object, ...]]:
    return [(one.place, one.score, one.cosine, one.words, one.in_time, one.interaction.id) for one in recall.turns]


FILLER = [f"Small talk number {number} of the morning" for number in range(12)]


def test_a_turn_is_found_by_its_words() -> None:
    recall = enhanced(*FILLER, "The oven manual is in the blue folder.", *FILLER).recall("Where is the oven manual?", 1)
    (found,) = recall.turns
    assert found.interaction.content == "The oven manual is in the blue folder."
    assert found.place == len(FILLER)
    assert found.words > 0.4
    assert found.cosine is not None
    assert found.cosine > 0
    assert found.score == pytest.approx(found.cosine + found.words)
    assert (found.in_time, recall.degraded) == (False, None)


def test_a_turn_is_found_by_its_meaning() -> None:
    """No word of the question stands in it."""
    conversation = enhanced(*FILLER, "She bought an automobile", *FILLER, encoder=MeaningEncoder())
    (found,) = conversation.recall("car", 1).turns
    assert found.interaction.content == "She bought an automobile"
    assert found.words == 0


def test_words_of_another_form_count() -> None:
    assert contents(enhanced(*FILLER, "We booked two trains.").recall("train", 1)) == ["We booked two trains."]


def test_the_time_that_a_question_names_lifts_turns() -> None:
    conversation = enhanced(clock=lambda: NOW)
    for days, text in [(30, "We spoke of tea then"), (1, "We spoke of tea also"), (0, "We spoke of tea today")]:
        conversation.add_interaction("user", text, created_at=NOW - timedelta(days=days))
    found = conversation.recall("What of tea did I say yesterday?")
    assert contents(found)[0] == "We spoke of tea also"
    assert [one.in_time for one in found.turns] == [True, False, False]
    assert not any(one.in_time for one in conversation.recall("tea").turns)


def test_equally_good_turns_come_in_their_order() -> None:
    """The cosines differ by their neighbours only, so enough of the same around them makes them equal."""
    conversation = enhanced(*["Good morning"] * 20)
    places = [one.place for one in conversation.recall("Good morning", 20).turns]
    inner = [place for place in places if 3 <= place < 17]
    assert inner == sorted(inner)
    assert sorted(places) == list(range(20))


def test_as_many_as_asked_for_and_by_the_settings() -> None:
    conversation = enhanced(*FILLER)
    assert len(conversation.recall("small talk", 3).turns) == 3
    assert len(conversation.recall("small talk").turns) == conversation.settings.conversation.recall_top_k == 5
    assert len(conversation.recall("small talk", 500).turns) == len(FILLER)
    interactions = conversation.get_relevant_interactions("small talk", 3)
    assert interactions == [one.interaction for one in conversation.recall("small talk", 3).turns]


def test_nothing_is_found_where_nothing_was_said() -> None:
    encoder = HashEncoder()
    assert enhanced(encoder=encoder).recall("anything") == Recall(())
    assert encoder.calls == []


@pytest.mark.parametrize(("query", "top_k"), [("", 1), (" \n", 1), ("tea", 0), ("tea", -1)])
def test_wrong_arguments(query: str, top_k: int) -> None:
    with pytest.raises(InvalidArgumentError):
        enhanced("tea").recall(query, top_k)


def test_only_new_turns_are_embedded() -> None:
    encoder = HashEncoder()
    conversation = enhanced("one tea", "two teas", encoder=encoder)
    assert encoder.calls == []
    conversation.recall("tea")
    conversation.recall("coffee")
    conversation.add_exchange("three teas", "no tea")
    conversation.recall("tea")
    passages = [call for call in encoder.calls if call[0].startswith(("user:", "assistant:"))]
    assert passages == [["user: one tea", "user: two teas"], ["user: three teas", "assistant: no tea"]]
    assert sorted(call[0] for call in encoder.calls if call not in passages) == ["coffee", "tea", "tea"]


def test_feedback_embeds_nothing_and_is_on_what_is_recalled() -> None:
    encoder = HashEncoder()
    conversation = enhanced("one tea", encoder=encoder)
    (turn,) = conversation.get_relevant_interactions("tea")
    conversation.add_feedback(turn.id, 4)
    before = len(encoder.calls)
    assert conversation.get_relevant_interactions("tea")[0].stars == 4
    assert encoder.calls[before:] == [["tea"]]


def find(
    recall: TurnRecall, path: list[Interaction], query: str, encoder: TextEncoder, *, k: int = 3, degrade: bool = False
) -> Recall:
    return recall.find(path, query, k=k, encoder=lambda: encoder, now=NOW, degrade=degrade)


def test_another_model_embeds_all_anew() -> None:
    recall, path = TurnRecall(), [Interaction(role="user", content=text) for text in ("tea", "milk", "sugar")]
    for encoder in (HashEncoder(8), HashEncoder(16), HashEncoder(16, seed=1)):
        found = find(recall, path, "milk", encoder)
        fresh = find(TurnRecall(), path, "milk", encoder)
        assert summed_up(found) == summed_up(fresh)


_words = st.lists(st.sampled_from("tea milk sugar cup spoon the two 2026 April train".split()), min_size=1, max_size=6)


@given(st.lists(st.lists(_words, min_size=1, max_size=6), min_size=1, max_size=6), _words, st.integers(1, 8))
@settings(max_examples=60)
def test_what_grew_finds_what_a_fresh_one_finds(batches: list[list[list[str]]], query: list[str], k: int) -> None:
    encoder, grown, path = HashEncoder(16), TurnRecall(), list[Interaction]()
    for batch in batches:
        path += [Interaction(role="user", content=" ".join(words), created_at=NOW) for words in batch]
        found = find(grown, path, " ".join(query), encoder, k=k)
        fresh = find(TurnRecall(), path, " ".join(query), encoder, k=k)
        assert [one[0] for one in summed_up(found)] == [one[0] for one in summed_up(fresh)]
        np.testing.assert_allclose([one.score for one in found.turns], [one.score for one in fresh.turns], atol=1e-6)


def test_switching_branches_searches_the_other_one() -> None:
    conversation = enhanced("We leave on Monday", "The hotel is in Lisbon")
    last = conversation.get_interactions()[-1]
    assert contents(conversation.recall("hotel", 1)) == ["The hotel is in Lisbon"]
    conversation.edit(last, "The hotel is in Porto")
    assert contents(conversation.recall("hotel", 5))[0] == "The hotel is in Porto"
    assert "The hotel is in Lisbon" not in contents(conversation.recall("hotel", 5))
    conversation.switch(last)
    found = conversation.recall("hotel", 5)
    assert contents(found)[0] == "The hotel is in Lisbon"
    assert summed_up(found) == summed_up(
        find(TurnRecall(), conversation.get_interactions(), "hotel", HashEncoder(), k=5)
    )


@pytest.mark.parametrize("error", [BackendError("secret kettle"), MissingExtraError("torch", "embeddings")])
def test_a_failing_model_leaves_the_words(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """With one warning that names the kind of failure and nothing that was said."""
    conversation = enhanced("The kettle is red", "The door is blue", encoder=FailingEncoder(error))
    with caplog.at_level(logging.DEBUG, "ragtime"):
        found = conversation.recall("kettle", degrade=True)
    assert contents(found)[0] == "The kettle is red"
    assert {one.cosine for one in found.turns} == {None}
    assert found.degraded is not None
    assert type(error).__name__ in found.degraded
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "kettle" not in str([vars(record) for record in caplog.records])
    with pytest.raises(type(error)):
        conversation.recall("kettle")


def test_after_a_failure_nothing_is_missing() -> None:
    path = [Interaction(role="user", content=text) for text in ("tea", "milk", "sugar")]
    recall = TurnRecall()
    find(recall, path[:2], "milk", FailingEncoder(BackendError("gone")), degrade=True)
    found = find(recall, path, "milk", HashEncoder())
    assert summed_up(found) == summed_up(find(TurnRecall(), path, "milk", HashEncoder()))


class WithoutPackage(EnhancedConversation):
    """One whose model cannot even be made, as that of a server when the package for servers is not installed."""

    @property
    def embedder(self) -> ConversationEmbedder:
        raise MissingExtraError("openai", "llm")


def test_a_model_that_cannot_be_made_leaves_the_words() -> None:
    conversation = WithoutPackage(clock=lambda: NOW)
    for number in range(40):
        conversation.add_exchange(f"What is number {number}?", f"Number {number} is red.")
    conversation.add_exchange("Where is the kettle?", "In the kitchen.")
    found = conversation.recall("kettle", 1, degrade=True)
    assert contents(found) == ["Where is the kettle?"]
    assert "MissingExtraError" in str(found.degraded)
    assert "MissingExtraError" in str(conversation.build_context("kettle", 150).degraded)
    assert conversation.respond("And the kettle?", ScriptedGenerator(["There."]), max_tokens=150).content == "There."
    with pytest.raises(MissingExtraError):
        conversation.recall("kettle")


def test_an_index_that_grows_is_one_that_was_made_at_once() -> None:
    """Whatever the steps, to the last bit of every score."""
    said = [f"We talk of topic{number} and tea number {number % 7}" for number in range(90)]
    growing = enhanced(encoder=HashEncoder(16))
    for number, text in enumerate(said):
        growing.add_interaction("user", text)
        if number % 4 == 0 or number > 70:
            grown = growing.recall("tea topic17 number", 90)
    found = [(one.place, one.score, one.cosine) for one in grown.turns]
    once = enhanced(*said, encoder=HashEncoder(16)).recall("tea topic17 number", 90)
    assert found == [(one.place, one.score, one.cosine) for one in once.turns]


class CrookedEncoder(HashEncoder):
    """Gives a vector too few, or one that is no vector."""

    def __init__(self, *, missing: bool) -> None:
        super().__init__(8)
        self.missing = missing

    def encode(self, texts: Sequence[str], *, role: TextRole = "passage") -> npt.NDArray[np.float32]:
        vectors = super().encode(texts, role=role)
        return vectors[:-1] if self.missing else np.full_like(vectors, np.nan)


@pytest.mark.parametrize("missing", [True, False])
def test_vectors_that_are_none_are_a_failure_of_the_model(missing: bool) -> None:
    """Not a ranking by chance."""
    conversation = enhanced(*FILLER, "The oven manual is blue.", encoder=CrookedEncoder(missing=missing))
    with pytest.raises(BackendError, match="finite"):
        conversation.recall("oven manual", 1)
    recall = conversation.recall("oven manual", 1, degrade=True)
    assert contents(recall) == ["The oven manual is blue."]
    assert "BackendError" in (recall.degraded or "")


def test_a_cancelled_recall_is_none_by_words() -> None:
    conversation = enhanced(*FILLER, encoder=FailingEncoder(BackendCancelledError("stopped")))
    with pytest.raises(BackendCancelledError):
        conversation.recall("morning", 1, degrade=True)


def test_a_turn_of_megabytes_is_embedded_by_its_beginning() -> None:
    class Listener(HashEncoder):
        longest = 0

        def encode(self, texts, *, role="passage"):
            self.longest = max([self.longest, *map(len, texts)])
            return super().encode(texts, role=role)

    encoder = Listener(16)
    conversation = EnhancedConversation(embedder=ConversationEmbedder(encoder=encoder))
    conversation.add_exchange("What does the manual say?", "The valve is blue. " + "x" * 3_000_000)
    assert conversation.recall("blue valve", 1).turns[0].interaction.content.startswith("The valve is blue")
    assert encoder.longest < 40_000
