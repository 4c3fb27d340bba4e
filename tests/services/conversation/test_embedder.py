"""Vectors of turns and conversations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ragtime.backends.encoders.cached import CachedEncoder
from ragtime.errors import BackendError, InvalidArgumentError
from ragtime.records.conversation import ImagePart, Interaction, ToolCall
from ragtime.services.conversation import Conversation, ConversationEmbedder
from ragtime.services.conversation.embedder import embedded_text
from ragtime.storage.embedding_cache import EmbeddingCache
from ragtime.testing import HashEncoder


class _Mirrored:
    """Gives every second text the opposite of the vector before."""

    dimension = 4

    def encode(self, texts: Sequence[str], *, role: str = "passage") -> np.ndarray:
        del role
        row = np.array([0.5, 0.5, 0.5, 0.5], dtype=np.float32)
        return np.stack([row if place % 2 == 0 else -row for place in range(len(texts))])

    def fingerprint(self, role: str) -> str:
        return f"mirrored-{role}"


@pytest.fixture
def hash_encoder() -> HashEncoder:
    return HashEncoder()


@pytest.fixture
def embedder(hash_encoder: HashEncoder) -> ConversationEmbedder:
    return ConversationEmbedder(encoder=hash_encoder)


def said(*texts: str) -> Conversation:
    conversation = Conversation()
    for number, text in enumerate(texts):
        conversation.add_interaction("assistant" if number % 2 else "user", text)
    return conversation


def test_vectors_have_their_shape_and_unit_length(embedder: ConversationEmbedder) -> None:
    conversation = said("How long are returns free?", "For 30 days.", "Thanks")
    one, many = conversation.get_interactions()[0], conversation.get_interactions()
    found = [
        (embedder.embed_query("returns"), (256,)),
        (embedder.embed_interaction(one), (256,)),
        (embedder.embed_interactions(many), (3, 256)),
        (embedder.embed_conversation(conversation), (256,)),
        (embedder.embed_conversations([conversation, said("Hi")]), (2, 256)),
    ]
    assert embedder.dimension == 256
    for vectors, shape in found:
        assert (vectors.shape, vectors.dtype) == (shape, np.float32)
        assert np.allclose(np.linalg.norm(vectors, axis=-1), 1, atol=1e-6)


def test_a_turn_is_embedded_by_its_content_alone(embedder: ConversationEmbedder, hash_encoder: HashEncoder) -> None:
    turn = Interaction(role="assistant", content="For 30 days.", name="bot", document_ids=["d"], metadata={"a": "b"})
    vector = embedder.embed_interaction(turn)
    assert hash_encoder.calls == [["For 30 days."]]
    assert vector.tobytes() == embedder.embed_interaction(Interaction(role="user", content="For 30 days.")).tobytes()


def test_a_conversation_is_the_mean_of_its_turns(embedder: ConversationEmbedder) -> None:
    texts = ["the red bus", "the blue train", "the blue train"]
    mean = embedder.encoder.encode(texts).astype(np.float64).mean(axis=0)
    expected = mean / np.linalg.norm(mean)
    assert np.allclose(embedder.embed_conversation(said(*texts)), expected, atol=1e-6)
    assert np.allclose(embedder.embed_conversation(said(*texts)), embedder.embed_conversation(said(*texts[::-1])))


def test_a_conversation_of_one_turn_is_that_turn(embedder: ConversationEmbedder) -> None:
    turn = Interaction(role="user", content="the red bus")
    assert np.allclose(embedder.embed_conversation([turn]), embedder.embed_interaction(turn), atol=1e-6)


def test_many_conversations_are_embedded_in_one_call_and_as_each_alone(hash_encoder: HashEncoder) -> None:
    embedder = ConversationEmbedder(encoder=hash_encoder)
    conversations = [said("a red bus", "yes"), said("a blue train"), said("no", "why", "so")]
    together = embedder.embed_conversations(conversations)
    assert len(hash_encoder.calls) == 1
    for conversation, vector in zip(conversations, together, strict=True):
        assert np.allclose(embedder.embed_conversation(conversation), vector, atol=1e-6)


def test_nothing_gives_an_empty_table(embedder: ConversationEmbedder) -> None:
    assert embedder.embed_interactions([]).shape == (0, 256)
    assert embedder.embed_conversations([]).shape == (0, 256)


def test_a_conversation_without_turns_has_no_vector(embedder: ConversationEmbedder) -> None:
    with pytest.raises(InvalidArgumentError, match="has no turns"):
        embedder.embed_conversation(Conversation())
    with pytest.raises(InvalidArgumentError, match="Conversation 2 of 3"):
        embedder.embed_conversations([said("Hi"), Conversation(), said("Ho")])


def test_turns_may_come_from_an_iterator(embedder: ConversationEmbedder) -> None:
    turns = said("a red bus", "yes").get_interactions()
    assert embedder.embed_interactions(iter(turns)).shape == (2, 256)
    assert np.array_equal(embedder.embed_conversation(iter(turns)), embedder.embed_conversation(turns))


def test_turns_that_cancel_each_other_out_are_an_error() -> None:
    with pytest.raises(BackendError, match="conversation 1 cancel"):
        ConversationEmbedder(encoder=_Mirrored()).embed_conversation(said("one", "two"))  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_a_blank_question_is_refused(embedder: ConversationEmbedder, text: str) -> None:
    with pytest.raises(InvalidArgumentError):
        embedder.embed_query(text)


def test_questions_are_embedded_in_the_role_of_a_query() -> None:
    embedder = ConversationEmbedder(encoder=HashEncoder(query_prompt="search for: "))
    turn = Interaction(role="user", content="the red bus")
    assert not np.allclose(embedder.embed_query("the red bus"), embedder.embed_interaction(turn))


@pytest.mark.parametrize(
    ("turn", "text"),
    [
        (Interaction(role="assistant", tool_calls=[ToolCall(id="c", name="weather")]), "weather {}"),
        (
            Interaction(
                role="assistant",
                content=" ",
                tool_calls=[ToolCall(id="c", name="a", arguments='{"x":1}'), ToolCall(id="d", name="b", arguments="")],
            ),
            'a {"x":1}\nb ',
        ),
        (Interaction(role="assistant", content="Hm.", tool_calls=[ToolCall(id="c", name="weather")]), "Hm."),
        (Interaction(role="user", parts=[ImagePart(url="a.png"), ImagePart(url="b.png")]), "a.png\nb.png"),
        (Interaction(role="tool", tool_call_id="c"), "tool"),
        (Interaction(role="tool", tool_call_id="c", content="Rain"), "Rain"),
    ],
)
def test_a_turn_without_words_stands_for_what_it_does(
    embedder: ConversationEmbedder, hash_encoder: HashEncoder, turn: Interaction, text: str
) -> None:
    assert embedded_text(turn) == text
    vector = embedder.embed_interaction(turn)
    assert hash_encoder.calls == [[text]]
    assert np.isclose(np.linalg.norm(vector), 1)


def test_the_cache_computes_each_text_once(tmp_path: Path) -> None:
    inner = HashEncoder()
    with EmbeddingCache(tmp_path / "cache", max_bytes=10**7) as cache:
        embedder = ConversationEmbedder(encoder=CachedEncoder(inner, cache))
        conversations = [said("yes", "no", "yes"), said("no", "maybe")]
        first = embedder.embed_conversations(conversations)
        again = embedder.embed_conversations(conversations)
        embedder.embed_interactions(conversations[0])
    assert sorted(text for call in inner.calls for text in call) == ["maybe", "no", "yes"]
    assert first.tobytes() == again.tobytes()
    assert np.allclose(first, ConversationEmbedder(encoder=HashEncoder()).embed_conversations(conversations), atol=1e-6)
