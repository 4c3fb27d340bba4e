"""A conversation that remembers: answers, follow-ups, forks, and the parts it is made of."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from ragtime.config.settings import Settings
from ragtime.errors import BackendError, InvalidArgumentError, StorageError
from ragtime.protocols import TextRole
from ragtime.records.conversation import Interaction
from ragtime.services.conversation import (
    Conversation,
    ConversationEmbedder,
    ConversationManager,
    ConversationSummarizer,
    EnhancedConversation,
)
from ragtime.storage.conversations import MemoryConversationStore
from ragtime.testing import Fault, HashEncoder, LocalModelServer, ScriptedGenerator

NOW = datetime(2026, 4, 15, 12, tzinfo=UTC)


class BrokenEncoder(HashEncoder):
    """A model that is gone."""

    def encode(self, texts: Sequence[str], *, role: TextRole = "passage") -> npt.NDArray[np.float32]:
        raise BackendError(f"gone, with {len(texts)} texts as {role}")


def made(encoder: HashEncoder | None = None, **options: object) -> EnhancedConversation:
    embedder = ConversationEmbedder(encoder=encoder or HashEncoder())
    conversation = EnhancedConversation("c", embedder=embedder, clock=lambda: NOW, **options)  # type: ignore[arg-type]
    conversation.add_interaction("system", "Be brief.")
    conversation.add_exchange("Where is the manual of the oven?", "In the blue folder.")
    return conversation


MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Where is the manual of the oven?"},
    {"role": "assistant", "content": "In the blue folder."},
    {"role": "user", "content": "And the folder?"},
]

# --- answers ------------------------------------------------------------------------------------------------------


def test_an_answer_comes_from_the_context_and_both_turns_are_kept() -> None:
    conversation, generator = made(), ScriptedGenerator(["On the shelf."])
    answer = conversation.respond("And the folder?", generator, document_ids=["d1"], metadata={"sure": True})
    assert list(generator.calls[0].messages) == MESSAGES
    assert answer.content == "On the shelf."
    assert (answer.role, answer.document_ids, dict(answer.metadata)) == ("assistant", ("d1",), {"sure": True})
    assert conversation.get_interactions()[-1] == answer
    assert [turn.content for turn in conversation][-2:] == ["And the folder?", "On the shelf."]
    assert {turn.created_at for turn in conversation} == {NOW}


def test_an_answer_without_blocking() -> None:
    conversation, generator = made(), ScriptedGenerator(["On the shelf."])
    answer = asyncio.run(
        conversation.arespond(
            "And the folder?", generator, document_ids=["d1"], metadata={"sure": True}, temperature=0.5, seed=3
        )
    )
    (call,) = generator.calls
    assert (list(call.messages), call.temperature, call.seed, call.max_tokens) == (MESSAGES, 0.5, 3, None)
    assert (answer.content, answer.document_ids, answer.metadata["sure"]) == ("On the shelf.", ("d1",), True)
    assert [turn.content for turn in conversation][-2:] == ["And the folder?", "On the shelf."]


def test_options_go_to_the_generator_and_the_budget_to_the_context() -> None:
    conversation, generator = made(), ScriptedGenerator(["On the shelf. Really."])
    for number in range(300):
        conversation.add_interaction("user", f"This is small talk number {number} of ours.")
    answer = conversation.respond(
        "And the folder?", generator, max_tokens=200, temperature=0.1, seed=7, stop=["Really"]
    )
    (call,) = generator.calls
    assert (call.max_tokens, call.temperature, call.seed, call.stop) == (None, 0.1, 7, ("Really",))
    assert len(call.messages) < 60
    assert call.messages[0] == MESSAGES[0]
    assert answer.content == "On the shelf. "


@pytest.mark.parametrize("error", [BackendError("gone"), RuntimeError("a bug"), KeyboardInterrupt()])
def test_a_failure_leaves_the_conversation_as_before(error: BaseException) -> None:
    conversation = made()
    before = conversation.to_dict()
    with pytest.raises(type(error)):
        conversation.respond("And the folder?", ScriptedGenerator([error]))
    with pytest.raises(InvalidArgumentError, match="too small"):
        conversation.respond("And the folder?", ScriptedGenerator(["Yes."]), max_tokens=2)
    assert conversation.to_dict() == before
    assert conversation.respond("And the folder?", ScriptedGenerator(["Yes."])).content == "Yes."


@pytest.mark.parametrize(
    ("answer", "what"), [("", "empty"), (" \n", "empty"), ("a\0b", "NUL"), ("\ud800", "surrogate")]
)
def test_an_answer_that_cannot_be_kept_is_the_models_failure(answer: str, what: str) -> None:
    conversation = made()
    before = conversation.to_dict()
    with pytest.raises(BackendError, match=f"answer that cannot be kept .*{what}"):
        conversation.respond("And the folder?", ScriptedGenerator([answer]))
    with pytest.raises(BackendError, match=what):
        asyncio.run(conversation.arespond("And the folder?", ScriptedGenerator([answer])))
    assert conversation.to_dict() == before


@pytest.mark.parametrize("query", ["", " \n", "a\0b"])
def test_a_question_that_cannot_be_kept_is_refused_before_a_model_is_asked(query: str) -> None:
    conversation, generator = made(), ScriptedGenerator(["Yes."] * 2)
    before = conversation.to_dict()
    with pytest.raises(ValueError):  # noqa: PT011 - of pydantic, or ours
        conversation.respond(query, generator)
    with pytest.raises(ValueError):  # noqa: PT011
        asyncio.run(conversation.arespond(query, generator))
    assert conversation.to_dict() == before
    assert generator.calls == []


def test_an_async_failure_leaves_the_conversation_as_before() -> None:
    conversation = made()
    before = conversation.to_dict()
    with pytest.raises(BackendError):
        asyncio.run(conversation.arespond("And the folder?", ScriptedGenerator([BackendError("gone")])))
    assert conversation.to_dict() == before


def test_an_answer_that_cannot_be_stored_leaves_the_conversation_as_before() -> None:
    manager = ConversationManager(Settings.isolated(), store=MemoryConversationStore(), encoder=HashEncoder())
    conversation = manager.create_conversation("c")
    conversation.add_exchange("One?", "Two.")
    before = conversation.to_dict()
    manager.close()
    with pytest.raises(StorageError):
        conversation.respond("And three?", ScriptedGenerator(["Four."]))
    assert conversation.to_dict() == before


def test_the_generator_of_the_settings(tmp_path: Path) -> None:
    faults = [None, Fault("status", status=400)]
    with LocalModelServer(answer="From the server.", faults=faults) as server:
        settings = Settings.isolated(data_dir=tmp_path, llm__base_url=server.base_url, llm__model_name=server.model)
        conversation = EnhancedConversation("c", settings=settings)
        assert conversation.respond("How long?").content == "From the server."
        with pytest.raises(BackendError):
            conversation.respond("And then?")
    assert [turn.content for turn in conversation] == ["How long?", "From the server."]


def test_a_model_for_vectors_is_not_needed_to_answer() -> None:
    conversation = made(BrokenEncoder())
    for number in range(100):
        conversation.add_interaction("user", f"This is small talk number {number} of ours.")
    generator = ScriptedGenerator(["In the kitchen."])
    assert conversation.respond("Where is the oven?", generator, max_tokens=200).content == "In the kitchen."


# --- follow-ups ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "And the folder, where did you see that?",
        "What about the one from last year?",
        "Why do you think so at all?",
        "Can you say that to them once more?",
        "How much does it cost in all?",
        "What was the second one you named?",
        "You said something of a folder before, right?",
        "Really?",
        "Blue?",
        "The manual of the oven is where exactly?",
    ],
)
def test_a_question_that_leans_on_what_was_said(query: str) -> None:
    assert made().is_follow_up(query)
    assert not EnhancedConversation().is_follow_up(query)


@pytest.mark.parametrize(
    "query", ["How long does a train from Lisbon to Porto take?", "Please name three German poets"]
)
def test_a_question_of_its_own(query: str) -> None:
    assert not made().is_follow_up(query)
    assert not made(BrokenEncoder()).is_follow_up(query)


def test_what_is_near_to_the_last_exchange_only_a_model_can_tell() -> None:
    query = "Does the blue folder hold maps?"
    assert made().is_follow_up(query) is not made(BrokenEncoder()).is_follow_up(query)


# --- parts --------------------------------------------------------------------------------------------------------


class Words:
    """Counts words."""

    name, exact = "words", True

    def count(self, text: str) -> int:
        return len(text.split())


def test_a_fork_keeps_the_parts() -> None:
    encoder = HashEncoder()
    embedder = ConversationEmbedder(encoder=encoder)
    summarizer = ConversationSummarizer(encoder=encoder)
    conversation = EnhancedConversation("c", embedder=embedder, summarizer=summarizer, counter=Words())
    conversation.add_exchange("Where is the manual?", "In the blue folder.")
    fork = conversation.fork(conversation_id="f")
    assert isinstance(fork, EnhancedConversation)
    assert fork.embedder is embedder
    assert fork.summarizer is summarizer
    assert fork.build_context("one two three", 50).parts[-1].tokens == 3
    fork.add_interaction("user", "The kettle is red.")
    assert fork.get_relevant_interactions("kettle", 1)[0].content == "The kettle is red."
    assert "The kettle is red." not in [turn.content for turn in conversation.get_relevant_interactions("kettle", 9)]


def test_nothing_is_embedded_before_something_is_recalled() -> None:
    encoder = HashEncoder()
    conversation = made(encoder)
    conversation.fork()
    conversation.build_context("And the folder?")
    conversation.respond("And the folder?", ScriptedGenerator(["There."]))
    conversation.is_follow_up("And it?")
    assert encoder.calls == []


def test_the_summarizer_shares_the_encoder() -> None:
    encoder = HashEncoder()
    conversation = made(encoder)
    conversation.add_interaction("user", "The kettle is red. The door is blue. The train leaves at nine from Lisbon.")
    summary = conversation.summarize(max_tokens=12)
    assert 0 < summary.tokens <= 12
    assert encoder.calls != []


def test_a_summary_takes_levels() -> None:
    """As the summarizer does."""
    conversation = EnhancedConversation("c", summarizer=ConversationSummarizer(centrality="lexical", fan_out=4))
    for number in range(16):
        conversation.add_interaction("user", f"The train number {number} leaves at nine from Lisbon.")
    made = [conversation.summarize(strategy="hierarchical", max_tokens=20, depth=depth) for depth in (1, 2, 3)]
    assert [summary.nodes_computed for summary in made] == [1, 5, 2]


def test_it_is_made_of_what_was_written_and_of_messages() -> None:
    conversation = made()
    again = EnhancedConversation.from_dict(conversation.to_dict())
    assert again.to_dict() == conversation.to_dict()
    assert isinstance(again, EnhancedConversation)
    messages = EnhancedConversation.from_messages(conversation.to_messages(), embedder=conversation.embedder)
    assert [turn.content for turn in messages] == [turn.content for turn in conversation]
    assert messages.embedder is conversation.embedder


def test_one_with_an_id_is_like_one_of_the_manager() -> None:
    settings = Settings.isolated()
    manager = ConversationManager(
        settings, store=MemoryConversationStore(), user_id="ada", encoder=HashEncoder(), clock=lambda: NOW
    )
    kept = manager.create_conversation("c", metadata={"a": 1})
    free = EnhancedConversation(
        "c",
        user_id="ada",
        metadata={"a": 1},
        settings=settings,
        clock=lambda: NOW,
        embedder=ConversationEmbedder(encoder=HashEncoder()),
    )
    turns = [Interaction(role="user", content=f"Turn {number} of tea", created_at=NOW) for number in range(8)]
    for conversation in (kept, free):
        conversation.add_interactions(turns)
        conversation.edit(turns[-1], "Turn of milk", metadata={"b": 2})
        conversation.switch(turns[-1])
    assert type(kept) is type(free)
    assert (kept.conversation_id, kept.user_id, kept.created_at) == (
        free.conversation_id,
        free.user_id,
        free.created_at,
    )
    assert (list(kept), kept.metadata, kept.head.fork) == (list(free), free.metadata, None)
    assert kept.recall("tea") == free.recall("tea")
    assert kept.build_context("tea", 100).messages == free.build_context("tea", 100).messages
    assert str(kept.summarize(max_tokens=20)) == str(free.summarize(max_tokens=20))


def test_it_is_a_conversation() -> None:
    assert issubclass(EnhancedConversation, Conversation)
    assert EnhancedConversation(conversation_id="c").conversation_id == "c"
    assert EnhancedConversation().conversation_id != EnhancedConversation().conversation_id
