"""Conversations as an application has them: said, kept, found again, told to a model, taken along, and forgotten.

Everything is real: the SQLite file, the embedding cache on disk, and a very small model, found by its folder.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from ragtime.backends.encoders import CachedEncoder
from ragtime.config.settings import Settings
from ragtime.errors import ConversationNotFoundError
from ragtime.services.conversation import ConversationManager, EnhancedConversation
from ragtime.testing import ScriptedGenerator, tiny_model

pytestmark = pytest.mark.models

SIZES = range(36, 66)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a very small model."""
    folder = tmp_path_factory.mktemp("model")
    tiny_model().save_pretrained(str(folder), create_model_card=False)
    return folder


@pytest.fixture
def settings(tmp_path: Path, model: Path) -> Settings:
    return Settings.isolated(
        data_dir=tmp_path / "data", logging__progress="off", embedding={"model_name": str(model), "device": "cpu"}
    )


@contextmanager
def opened(settings: Settings, user_id: str = "ann") -> Iterator[ConversationManager]:
    """A manager as a process that starts now would make it."""
    with ConversationManager(settings, user_id=user_id) as manager:
        yield manager


@pytest.fixture
def shop(settings: Settings) -> Settings:
    """Ann has asked twice, Bob once; the managers are closed again."""
    with opened(settings) as manager:
        roaster = manager.create_conversation("roaster", metadata={"channel": "chat"})
        roaster.add_interaction("system", "You help people with their coffee roaster.")
        roaster.add_exchange("My Heron shows E04.", "Its exhaust is blocked: change the filter.", document_ids=["e04"])
        roaster.add_exchange("Where do I buy the filter?", "In our shop, under spare parts.")
        parcel = manager.create_conversation("parcel")
        parcel.add_exchange("Where is my parcel?", "It left Porto on Monday.")
    with opened(settings, "bob") as manager:
        manager.create_conversation("roaster").add_exchange("My Heron smells of heliotrope.", "That is the varnish.")
    return settings


def contents(conversation: EnhancedConversation) -> list[str]:
    return [turn.content for turn in conversation]


def computed(manager: ConversationManager) -> int:
    """How many texts the model had to embed so far."""
    assert isinstance(manager.embedder.encoder, CachedEncoder)
    return manager.embedder.encoder.computed


def files_that_hold(folder: Path, word: str) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and word.encode() in path.read_bytes()]


# --- the flow, from the first turn to the next day ------------------------------------------------------------------


def test_created_added_embedded_summarised_and_retrieved(settings: Settings) -> None:
    with opened(settings) as manager:
        conversation = manager.create_conversation("order-17", metadata={"channel": "chat"})
        conversation.add_interaction("system", "You sell shoes.")
        question, answer = conversation.add_exchange(
            "How long are returns free?", "Returns are free for 30 days.", document_ids=["returns"]
        )
        conversation.add_exchange("And where do I find the label?", "The label is in your order.")
        conversation.add_feedback(answer, 5, comment="right and short", by="ann")

        vectors = manager.embedder.embed_interactions(conversation)
        assert vectors.shape == (5, 32)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)

        summary = conversation.summarize(max_tokens=16)
        assert 0 < summary.tokens <= 16
        said = {turn.id: turn.content for turn in conversation}
        assert all(sentence.text in said[turn] for sentence in summary.sentences for turn in sentence.turn_ids)

    with opened(settings) as manager:  # the next day, in another process
        (head,) = manager.list_conversations(where={"channel": "chat"})
        again = manager.get_conversation(head.id)
        assert list(again) == list(conversation)
        assert again.get_interaction(answer).stars == 5
        assert again.get_interaction(question).role == "user"
        np.testing.assert_array_equal(manager.embedder.embed_interactions(again), vectors)
        assert str(again.summarize(max_tokens=16)) == str(summary)
        assert computed(manager) == 0  # every vector was in the cache
        statistics = manager.statistics()
        assert (statistics.conversations, statistics.turns, statistics.rated) == (1, 5, 1)


def test_what_one_process_has_said_another_one_lists(shop: Settings) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "ragtime", "conversations", "show", "parcel", "--user", "ann", "--json"],
        env={**os.environ, "RAGTIME_DATA_DIR": str(shop.data_dir)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    with opened(shop) as manager:
        assert json.loads(told.stdout) == manager.get_conversation("parcel").to_dict()


# --- finding again --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["lexical", "semantic", "hybrid"])
def test_a_question_finds_the_turn_in_whichever_conversation_it_is(shop: Settings, mode: str) -> None:
    with opened(shop) as manager:
        for question, conversation in (("My Heron shows E04.", "roaster"), ("Where is my parcel?", "parcel")):
            found, *_ = manager.search(question, k=3, mode=mode)  # type: ignore[arg-type]
            assert (found.conversation_id, found.interaction.content) == (conversation, question)


def test_nobody_finds_what_another_one_has_said(shop: Settings) -> None:
    with opened(shop) as manager:
        found = manager.search("heliotrope varnish", k=50)
        assert not [one for one in found if "heliotrope" in one.interaction.content]
        with pytest.raises(ConversationNotFoundError, match="parcel"):
            manager.get_conversation("parcel", user_id="bob")
    with opened(shop, "bob") as manager:
        assert manager.search("heliotrope varnish", k=1)[0].conversation_id == "roaster"
        assert len(manager.get_conversation("roaster")) == 2  # his own, under the same id


def test_an_edit_and_another_answer_are_branches_that_are_kept(shop: Settings) -> None:
    with opened(shop) as manager:
        parcel = manager.get_conversation("parcel")
        question, answer = parcel
        parcel.regenerate(answer, "It is in Lisbon.")
        parcel.edit(question, "Where is my letter?")
        parcel.add_interaction("assistant", "We do not send letters.")

    with opened(shop) as manager:
        again = manager.get_conversation("parcel")
        assert contents(again) == ["Where is my letter?", "We do not send letters."]
        assert sorted(branch.turns for branch in again.branches()) == [2, 2, 2]
        assert manager.search("Lisbon", k=1, mode="lexical")[0].interaction.content == "It is in Lisbon."
        again.switch(answer)
        assert contents(again) == ["Where is my parcel?", "It left Porto on Monday."]


# --- telling a model ------------------------------------------------------------------------------------------------


def test_an_answer_is_given_from_a_context_that_fits_its_budget(settings: Settings) -> None:
    with opened(settings) as manager:
        conversation = manager.create_conversation("boots")
        conversation.add_interaction("system", "You sell shoes.")
        conversation.add_exchange("My parcel has the number 17.", "I have noted parcel 17.")
        for size in SIZES:
            conversation.add_exchange(f"What do boots of size {size} cost?", f"They cost {size + 20} euros.")

    with opened(settings) as manager:
        conversation = manager.get_conversation("boots")
        context = conversation.build_context("Which number has my parcel?", 300)
        assert context.tokens <= context.max_tokens == 300
        assert context.messages[0] == {"role": "system", "content": "You sell shoes."}
        assert "parcel 17" in context.messages[1]["content"]  # said sixty turns ago
        assert context.messages[-1] == {"role": "user", "content": "Which number has my parcel?"}
        assert "no room" in context.explain()

        model = ScriptedGenerator(["Number 17."])
        answer = conversation.respond("Which number has my parcel?", model, max_tokens=300)
        assert model.calls[0].messages == context.messages

    with opened(settings) as manager:
        kept = manager.get_conversation("boots")
        assert kept.get_interactions()[-1] == answer
        assert len(kept) == 1 + 2 * (len(SIZES) + 2)


# --- taking along, and forgetting -----------------------------------------------------------------------------------


def test_a_copy_in_another_place_is_the_same(shop: Settings, tmp_path: Path) -> None:
    elsewhere = shop.replace(data_dir=tmp_path / "elsewhere")
    backup = tmp_path / "backup.jsonl"
    with opened(shop) as manager, opened(elsewhere) as other:
        assert manager.export_conversations(backup) == 2
        for _ in range(2):  # the second time changes nothing
            assert other.import_conversations(backup) == 2
        for head in manager.list_conversations():
            assert other.get_conversation(head.id).to_dict() == manager.get_conversation(head.id).to_dict()
        there, here = (one.search("spare parts", k=1)[0].interaction for one in (other, manager))
        assert there == here


def test_what_is_forgotten_is_in_no_file_and_the_receipt_says_what_went(shop: Settings) -> None:
    with opened(shop, "bob") as manager:
        manager.search("varnish", k=1)  # so that there are vectors to forget
        (conversation,) = manager.list_conversations()
        question = manager.get_conversation(conversation.id).get_interactions()[0]
        assert files_that_hold(shop.data_dir, "heliotrope")

        receipt = manager.forget(conversation_id="roaster", turn_id=question.id)
        assert (receipt.user_id, receipt.conversation_ids, receipt.turns) == ("bob", ("roaster",), 1)
        assert receipt.cached_vectors >= 1
        assert contents(manager.get_conversation("roaster")) == ["That is the varnish."]
        assert manager.search("heliotrope", k=1, mode="lexical") == []
        assert manager.forget(everything=True).turns == 1
    assert files_that_hold(shop.data_dir, "heliotrope") == []
    with opened(shop) as manager:  # Ann's are as they were
        assert [head.id for head in manager.list_conversations()] == ["parcel", "roaster"]
        assert manager.statistics().turns == 7
