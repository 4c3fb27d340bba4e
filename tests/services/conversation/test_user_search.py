"""Searching all conversations of a user: by words, by meaning and by both, brought up to date by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from ragtime.config.settings import Settings
from ragtime.errors import BackendError, InvalidArgumentError
from ragtime.protocols import TextEncoder, TextRole
from ragtime.records.conversation import StoredTurn
from ragtime.services.conversation import ConversationManager, FoundInConversation
from ragtime.storage.conversations import MemoryConversationStore
from ragtime.testing import HashEncoder

MODES = ["lexical", "semantic", "hybrid"]


class MeaningEncoder(HashEncoder):
    """Knows some words that mean the same, without sharing a letter."""

    def encode(self, texts: Sequence[str], *, role: TextRole = "passage") -> npt.NDArray[np.float32]:
        return super().encode([text.lower().replace("automobile", "car") for text in texts], role=role)


class FailingEncoder(HashEncoder):
    """Fails as often as it is told to."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    def encode(self, texts: Sequence[str], *, role: TextRole = "passage") -> npt.NDArray[np.float32]:
        if self.failures:
            self.failures -= 1
            raise BackendError("gone")
        return super().encode(texts, role=role)


def managing(encoder: TextEncoder | None = None) -> ConversationManager:
    return ConversationManager(Settings.isolated(), store=MemoryConversationStore(), encoder=encoder or HashEncoder())


def filled(encoder: TextEncoder | None = None) -> ConversationManager:
    """Make a manager with three conversations."""
    manager = managing(encoder)
    for name, texts in {
        "kitchen": ["The kettle is red", "The oven is cold", "The kettle was descaled"],
        "garage": ["She bought an automobile", "The tyre is flat"],
        "empty": [],
    }.items():
        conversation = manager.create_conversation(name)
        for text in texts:
            conversation.add_interaction("user", text)
    return manager


def told(found: list[FoundInConversation]) -> list[tuple[str, str]]:
    return [(one.conversation_id, one.interaction.content) for one in found]


def test_by_words_and_without_a_model() -> None:
    encoder = HashEncoder()
    found = filled(encoder).search("kettles", mode="lexical")
    assert sorted(told(found)) == [("kitchen", "The kettle is red"), ("kitchen", "The kettle was descaled")]
    assert encoder.calls == []
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_by_meaning() -> None:
    manager = filled(MeaningEncoder())
    assert told(manager.search("car", mode="semantic", k=1)) == [("garage", "She bought an automobile")]
    assert manager.search("car", mode="lexical") == []
    assert len(manager.search("car", mode="semantic", k=99)) == 5


def test_by_both() -> None:
    manager = filled(MeaningEncoder())
    found = told(manager.search("car kettle", k=3))
    assert set(found) == {
        ("garage", "She bought an automobile"),
        ("kitchen", "The kettle is red"),
        ("kitchen", "The kettle was descaled"),
    }


def test_hybrid_is_the_default() -> None:
    manager = filled()
    assert manager.search("kettle") == manager.search("kettle", mode="hybrid")


@pytest.mark.parametrize("mode", MODES)
def test_equally_good_turns_come_as_they_were_stored(mode: str) -> None:
    manager = managing()
    for name in "bac":
        manager.create_conversation(name).add_interaction("user", "The kettle is red")
    assert [one.conversation_id for one in manager.search("kettle", mode=mode)] == ["b", "a", "c"]  # type: ignore[arg-type]
    assert [one.conversation_id for one in manager.search("kettle", mode=mode, k=2)] == ["b", "a"]  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", MODES)
def test_where_there_is_nothing(mode: str) -> None:
    assert managing().search("kettle", mode=mode) == []  # type: ignore[arg-type]
    assert filled().search("kettle", mode=mode, user_id="bob") == []  # type: ignore[arg-type]


@pytest.mark.parametrize(("query", "options"), [("", {}), (" ", {}), ("tea", {"k": 0}), ("tea", {"mode": "fuzzy"})])
def test_wrong_arguments(query: str, options: dict[str, object]) -> None:
    with pytest.raises(InvalidArgumentError):
        filled().search(query, **options)  # type: ignore[arg-type]


def test_only_new_turns_are_embedded() -> None:
    encoder = HashEncoder()
    manager = filled(encoder)
    manager.search("kettle")
    manager.get_conversation("garage").add_interaction("user", "The door is blue")
    found = manager.search("door", k=1)
    assert told(found) == [("garage", "The door is blue")]
    passages = [call for call in encoder.calls if call and call[0].startswith("user:")]
    assert [len(call) for call in passages] == [5, 1]


@pytest.mark.parametrize("mode", MODES)
def test_what_grew_finds_what_a_fresh_one_finds(mode: str) -> None:
    manager = filled()
    for number in range(8):
        manager.search("kettle", mode=mode)  # type: ignore[arg-type]
        manager.get_conversation("garage").add_interaction("user", f"The kettle of number{number} is red")
    with ConversationManager(manager.settings, store=manager.store, encoder=HashEncoder()) as fresh:
        assert manager.search("red kettle", mode=mode) == fresh.search("red kettle", mode=mode)  # type: ignore[arg-type]


def test_a_failing_model_raises_and_nothing_is_missing_afterwards() -> None:
    manager = filled(FailingEncoder(2))
    for mode in ("semantic", "hybrid"):
        with pytest.raises(BackendError):
            manager.search("kettle", mode=mode)  # type: ignore[arg-type]
    assert told(manager.search("kettle")) == told(filled().search("kettle"))


def test_feedback_is_on_what_is_found() -> None:
    manager = filled()
    (first, *_) = manager.search("tyre", k=1)
    manager.get_conversation("garage").add_feedback(first.interaction.id, 5)
    assert manager.search("tyre", k=1)[0].interaction.stars == 5


class CountingStore(MemoryConversationStore):
    """Counts the conversations and the single turns that are read."""

    def __init__(self) -> None:
        super().__init__()
        self.conversations_read: list[str] = []
        self.turns_read: list[str] = []

    def turns(self, user_id: str | None, conversation_id: str) -> Iterator[StoredTurn]:
        self.conversations_read.append(conversation_id)
        return super().turns(user_id, conversation_id)

    def turn(self, user_id: str | None, conversation_id: str, turn_id: str) -> StoredTurn | None:
        self.turns_read.append(turn_id)
        return super().turn(user_id, conversation_id, turn_id)


def test_a_search_reads_what_it_has_found_and_no_conversation() -> None:
    """However long the conversation is in which something was found."""
    store = CountingStore()
    with ConversationManager(Settings.isolated(), store=store) as manager:
        for name in ("kitchen", "garage"):
            manager.create_conversation(name).add_exchange("The kettle is red", "So is the red kettle of old")
        garage = manager.get_conversation("garage")
        for number in range(50):
            garage.add_interaction("user", f"Number {number}")
        garage.add_feedback(garage.get_interactions()[1], 5)
        store.conversations_read.clear()
        found = manager.search("red kettle", mode="lexical")
    assert len(found) == 4
    assert [one.interaction.stars for one in found].count(5) == 1
    assert store.conversations_read == []
    assert store.turns_read == [one.interaction.id for one in found]


def test_turns_of_a_fork_are_found_once() -> None:
    manager = filled()
    fork = manager.get_conversation("garage").fork(conversation_id="fork")
    fork.add_interaction("user", "The tyre is new")
    assert sorted(told(manager.search("tyre", mode="lexical"))) == [
        ("fork", "The tyre is new"),
        ("garage", "The tyre is flat"),
    ]


@pytest.mark.parametrize("mode", MODES)
def test_what_another_manager_has_forgotten_is_not_found(tmp_path: Path, mode: str) -> None:
    """Managers of two processes share a file."""
    settings = Settings.isolated(data_dir=tmp_path / "data")
    with (
        ConversationManager(settings, encoder=HashEncoder()) as one,
        ConversationManager(settings, encoder=HashEncoder()) as two,
    ):
        conversation = one.create_conversation("c")
        gone = conversation.add_interaction("user", "The kettle is red")
        conversation.add_interaction("user", "The kettle is blue")
        assert len(two.search("kettle", mode=mode)) == 2  # type: ignore[arg-type]
        one.forget(conversation_id="c", turn_id=gone.id)
        assert told(two.search("kettle", mode=mode)) == [("c", "The kettle is blue")]  # type: ignore[arg-type]
        one.forget(conversation_id="c")
        assert two.search("kettle", mode=mode) == []  # type: ignore[arg-type]
