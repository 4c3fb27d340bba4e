"""Forgetting: no file, search, recall, summary or export tells anything of what was forgotten, nor any log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ragtime.backends.encoders import create_encoder
from ragtime.backends.encoders.cached import CachedEncoder
from ragtime.config.settings import Settings
from ragtime.errors import ConversationNotFoundError, InvalidArgumentError, StorageError
from ragtime.records.conversation import ImagePart, Interaction, TextPart, ToolCall
from ragtime.services.conversation import ConversationManager, EnhancedConversation, ForgetReceipt
from ragtime.storage.conversations import MemoryConversationStore
from ragtime.storage.embedding_cache import EmbeddingCache
from ragtime.testing import HashEncoder, ScriptedGenerator

NOW = datetime(2026, 4, 15, 12, tzinfo=UTC)
CANARY = "zanzibarquux"  # stands in all that is to be forgotten, and nowhere else
STRATEGIES = ["extractive", "recent", "rolling", "hierarchical"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.isolated(data_dir=tmp_path / "data")


@pytest.fixture
def cache(settings: Settings) -> Iterator[EmbeddingCache]:
    """The real cache at the place of the settings."""
    made = create_encoder(settings)
    assert isinstance(made, CachedEncoder)
    with made.cache:
        yield made.cache


@pytest.fixture
def manager(settings: Settings, cache: EmbeddingCache) -> Iterator[ConversationManager]:
    encoder = CachedEncoder(HashEncoder(32), cache)
    with ConversationManager(settings, user_id="ada", encoder=encoder, clock=lambda: NOW) as opened:
        yield opened


def fill(manager: ConversationManager, conversation_id: str, *said: str, user_id: str | None = None) -> None:
    conversation = manager.create_conversation(conversation_id, user_id=user_id)
    for text in said:
        conversation.add_interaction("user", text)


def canary_turn(number: int = 0) -> Interaction:
    """Make a turn that holds the word wherever a turn can hold one."""
    return Interaction(
        role="assistant",
        content=f"The {CANARY} kettle number {number} is red.\nThe door to the {CANARY} is blue today.",
        parts=[
            TextPart(text=f"The {CANARY} kettle number {number} is red."),
            TextPart(text=f"The door to the {CANARY} is blue today."),
            ImagePart(url=f"https://example.com/{CANARY}.png"),
        ],
        name=f"{CANARY} bot",
        metadata={CANARY: [CANARY]},
        document_ids=(f"doc-{CANARY}",),
        created_at=NOW,
    )


def grep(folder: Path, word: str = CANARY) -> list[str]:
    """Return the files that hold the word in any case, as UTF-8 or UTF-16, or are named by it."""
    wanted = [word.encode(), word.encode("utf-16-le"), word.encode("utf-16-be")]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [
        str(path)
        for path in files
        if word in str(path).lower() or any(one in path.read_bytes().lower() for one in wanted)
    ]


def use(manager: ConversationManager) -> None:
    """Search, recall, sum up and export, so that all that keeps something has something to keep."""
    assert manager.summarizer is manager.summarizer  # made now, and shared by all that are taken out below
    for head in manager.list_conversations():
        conversation = manager.get_conversation(head.id)
        conversation.recall("kettle door", 3)
        for strategy in STRATEGIES:
            conversation.summarize(strategy=strategy, max_tokens=12)  # type: ignore[arg-type]
    for mode in ("lexical", "semantic", "hybrid"):
        manager.search("kettle door", mode=mode)  # type: ignore[arg-type]


def told(manager: ConversationManager, folder: Path) -> str:
    """Return all that the manager tells, by every way there is."""
    out = [repr(manager.list_conversations()), repr(manager.statistics())]
    for mode in ("lexical", "semantic", "hybrid"):
        queries = (CANARY, f"{CANARY} kettle", "kettle door")
        out += [repr(manager.search(query, k=500, mode=mode)) for query in queries]  # type: ignore[arg-type]
    for head in manager.list_conversations():
        conversation = manager.get_conversation(head.id)
        out += [repr(conversation.to_dict()), repr(conversation.recall(CANARY, 500).turns)]
        out += [repr(conversation.search(CANARY, k=500))]
        for strategy in STRATEGIES:
            out += [str(conversation.summarize(strategy=strategy, max_tokens=size)) for size in (12, 200)]  # type: ignore[arg-type]
        out += [message["content"] for message in conversation.build_context("What of the kettle?", 60).messages]
    manager.export_conversations(folder / "out.jsonl")
    return "\n".join([*out, (folder / "out.jsonl").read_text("utf-8")])


@pytest.fixture
def world(manager: ConversationManager, settings: Settings) -> EnhancedConversation:
    """A conversation with the word in many of its turns, beside others of the same user and of another one."""
    fill(manager, "other", "The garage is cold.", "The kettle of the garage is green. Its door is open.")
    fill(manager, "c", "The kettle of the bob is black.", user_id="bob")
    conversation = manager.create_conversation("c")
    conversation.add_exchange("Which kettle is in the kitchen?", "An old kettle. It stands at the door.")
    conversation.add_interactions([canary_turn()])
    assert grep(settings.data_dir)
    return conversation


def state(manager: ConversationManager) -> list[object]:
    """What is not to be touched."""
    bob = manager.get_conversation("c", user_id="bob").to_dict()
    return [manager.get_conversation("other").to_dict(), bob, manager.search("kettle", mode="lexical", user_id="bob")]


def test_a_turn_is_forgotten(
    manager: ConversationManager, world: EnhancedConversation, cache: EmbeddingCache, tmp_path: Path
) -> None:
    (turn,) = (one for one in world if CANARY in one.content)
    world.add_feedback(turn, 1, comment=f"no {CANARY}", by=f"{CANARY} fan")
    after = world.add_interaction("user", "What else is in the kitchen?")
    use(manager)
    before, entries = state(manager), cache.statistics().entries
    receipt = manager.forget(conversation_id="c", turn_id=turn.id)
    assert grep(tmp_path / "data") == []
    assert receipt == ForgetReceipt("ada", ("c",), 1, entries - cache.statistics().entries, NOW)
    assert receipt.cached_vectors > 0
    assert CANARY not in told(manager, tmp_path)
    again = manager.get_conversation("c")
    assert [one.content for one in again] == [
        "Which kettle is in the kitchen?",
        "An old kettle. It stands at the door.",
        after.content,
    ]
    assert state(manager) == before
    assert grep(tmp_path / "data") == []


def test_a_conversation_is_forgotten(
    manager: ConversationManager, world: EnhancedConversation, cache: EmbeddingCache, tmp_path: Path
) -> None:
    """With its branches, its metadata and what its tools were asked."""
    world.update_metadata({"topic": CANARY, CANARY: 1})
    (turn,) = (one for one in world if CANARY in one.content)
    world.add_feedback(turn, 1, comment=f"no {CANARY}")
    world.edit(world.get_interactions()[0], f"Which {CANARY} is in the kitchen?")
    call = ToolCall(id=f"{CANARY} 1", name=f"brew_{CANARY}", arguments=f'{{"what": "{CANARY}"}}')
    world.add_interaction("assistant", "", tool_calls=[call])
    world.add_interaction("tool", CANARY, tool_call_id=call.id)
    count = len(world.stored_turns())
    use(manager)
    before, entries = state(manager), cache.statistics().entries
    receipt = manager.delete_conversation("c")
    assert grep(tmp_path / "data") == []
    assert receipt == ForgetReceipt("ada", ("c",), count, entries - cache.statistics().entries, NOW)
    assert CANARY not in told(manager, tmp_path)
    with pytest.raises(ConversationNotFoundError) as caught:
        manager.get_conversation("c")
    assert CANARY not in str(caught.value)
    assert state(manager) == before
    assert grep(tmp_path / "data") == []


def test_everything_of_a_user_is_forgotten(
    manager: ConversationManager, world: EnhancedConversation, tmp_path: Path
) -> None:
    world.fork(conversation_id="fork").add_interactions([canary_turn(1)])
    fill(manager, "more", f"The {CANARY} garage is cold.")
    use(manager)
    bob = manager.get_conversation("c", user_id="bob").to_dict()
    total = manager.statistics().turns
    receipt = manager.forget(everything=True)
    assert (receipt.user_id, receipt.conversation_ids) == ("ada", ("c", "fork", "more", "other"))
    assert receipt.turns == total
    assert grep(tmp_path / "data") == []
    assert CANARY not in told(manager, tmp_path)
    assert (manager.list_conversations(), manager.search("kettle"), manager.statistics().turns) == ([], [], 0)
    assert manager.get_conversation("c", user_id="bob").to_dict() == bob
    again = manager.forget(everything=True)
    assert (again.turns, again.cached_vectors, again.conversation_ids) == (0, 0, ())


@pytest.mark.usefixtures("world")
def test_no_vector_of_it_stays_in_the_cache(manager: ConversationManager, cache: EmbeddingCache) -> None:
    """Neither those of whole turns nor those of sentences, of which a vector tells a lot."""
    assert cache.statistics().entries == 0
    fill(manager, "long", *[f"The {CANARY} kettle {number} is red. Its door {number} is blue." for number in range(8)])
    conversation = manager.get_conversation("long")
    conversation.recall("kettle", 3)
    conversation.embedder.embed_conversation(conversation)
    entries = cache.statistics().entries
    receipt = manager.forget(conversation_id="long")
    assert receipt.cached_vectors == entries - 1
    assert cache.statistics().entries == 1  # the question's


def test_no_vector_of_its_sentences_stays_in_the_cache(manager: ConversationManager, cache: EmbeddingCache) -> None:
    fill(manager, "long", *[f"The {CANARY} kettle {number} is red. Its door {number} is blue." for number in range(8)])
    manager.get_conversation("long").summarize(max_tokens=20)
    assert cache.statistics().entries > 0
    manager.forget(conversation_id="long")
    assert cache.statistics().entries == 0


@pytest.mark.usefixtures("world")
def test_nothing_stays_while_others_have_the_file_open(
    manager: ConversationManager, settings: Settings, tmp_path: Path
) -> None:
    with ConversationManager(settings, user_id="ada", encoder=HashEncoder(32)) as other:
        other.search("kettle")
        other.get_conversation("c").recall("kettle")
        manager.forget(conversation_id="c")
        assert grep(tmp_path / "data") == []
        with pytest.raises(ConversationNotFoundError):
            other.get_conversation("c")
        assert CANARY not in repr(other.search(CANARY, k=99, mode="lexical"))
    assert grep(tmp_path / "data") == []


def test_a_conversation_that_was_taken_out_cannot_bring_it_back(
    manager: ConversationManager, world: EnhancedConversation, tmp_path: Path
) -> None:
    manager.forget(conversation_id="c")
    before = world.to_dict()
    with pytest.raises(StorageError):
        world.add_interaction("user", "Are you there?")
    with pytest.raises(StorageError):
        world.respond("Are you there?", ScriptedGenerator(["Yes."]))
    assert world.to_dict() == before
    assert grep(tmp_path / "data") == []


def test_a_fork_keeps_what_it_shares(manager: ConversationManager, world: EnhancedConversation) -> None:
    shared = [one.content for one in world][:2]
    fork = world.fork(world.get_interactions()[1], conversation_id="fork")
    fork.add_interaction("user", "And the garage?")
    use(manager)
    receipt = manager.forget(conversation_id="c")
    assert receipt.turns == 1  # the only one that was not shared
    assert [one.content for one in manager.get_conversation("fork")] == [*shared, "And the garage?"]
    for mode in ("lexical", "semantic", "hybrid"):
        found = manager.search("kettle kitchen", k=99, mode=mode)  # type: ignore[arg-type]
        assert {one.conversation_id for one in found} <= {"fork", "other"}
        assert shared[0] in [one.interaction.content for one in found]


def test_a_shared_turn_is_forgotten_in_all_forks(
    manager: ConversationManager, world: EnhancedConversation, tmp_path: Path
) -> None:
    fork = world.fork(conversation_id="fork")
    fork.add_interaction("user", "And the garage?")
    use(manager)
    (turn,) = (one for one in fork if CANARY in one.content)
    assert manager.forget(conversation_id="fork", turn_id=turn.id).turns == 1
    assert grep(tmp_path / "data") == []
    assert CANARY not in told(manager, tmp_path)
    assert [one.content for one in manager.get_conversation("fork")][-1] == "And the garage?"


@pytest.mark.usefixtures("world")
def test_the_same_words_of_others_stay(manager: ConversationManager) -> None:
    """Their vectors only have to be computed again."""
    text = "The kettle of the bob is black."
    fill(manager, "same", text)
    manager.search("kettle", user_id="bob")
    manager.search("kettle")
    manager.forget(conversation_id="same")
    found = manager.search("kettle", mode="semantic", user_id="bob")
    assert [one.interaction.content for one in found] == [text]
    assert manager.get_conversation("c", user_id="bob").recall("bob", 1).turns[0].interaction.content == text


@pytest.mark.usefixtures("world")
def test_what_is_said_after_forgetting_is_found(manager: ConversationManager) -> None:
    use(manager)
    manager.forget(conversation_id="c")
    fill(manager, "c", "The kettle is new.")
    for mode in ("lexical", "semantic", "hybrid"):
        found = [one.interaction.content for one in manager.search("kettle new", mode=mode)]  # type: ignore[arg-type]
        assert found[0] == "The kettle is new."
        assert len(found) == len(set(found))
    assert str(manager.get_conversation("c").summarize()) != ""


def test_other_users_cannot_be_made_to_forget(manager: ConversationManager, world: EnhancedConversation) -> None:
    before = world.to_dict()
    assert manager.forget(everything=True, user_id="eve").turns == 0
    with pytest.raises(ConversationNotFoundError):
        manager.forget(conversation_id="other", user_id="bob")
    manager.forget(conversation_id="c", user_id="bob")
    assert manager.get_conversation("c").to_dict() == before


def test_wrong_arguments_remove_nothing(manager: ConversationManager, world: EnhancedConversation) -> None:
    turn = world.get_interactions()[0].id
    before = manager.statistics()
    for options in ({}, {"turn_id": turn}, {"everything": True, "turn_id": turn}):
        with pytest.raises(InvalidArgumentError):
            manager.forget(**options)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError):
        manager.forget(conversation_id="c", turn_id="none")
    with pytest.raises(InvalidArgumentError):
        manager.forget(conversation_id="other", turn_id=turn)
    with pytest.raises(KeyError):
        manager.forget(conversation_id="none")
    assert manager.statistics() == before


@pytest.mark.usefixtures("world")
def test_a_whole_conversation_is_not_everything(manager: ConversationManager) -> None:
    """Of two that contradict each other the smaller one holds, or none."""
    try:
        manager.forget(conversation_id="c", everything=True)
    except InvalidArgumentError:
        return
    assert [head.id for head in manager.list_conversations()] == ["other"]


def test_without_files_and_without_a_cache(tmp_path: Path) -> None:
    settings = Settings.isolated(data_dir=tmp_path / "data", embedding__cache_max_bytes=0)
    with ConversationManager(settings, store=MemoryConversationStore(), encoder=HashEncoder(32)) as manager:
        fill(manager, "c", f"The {CANARY} is red.", "The door is blue.")
        use(manager)
        turn = manager.get_conversation("c").get_interactions()[0]
        receipt = manager.forget(conversation_id="c", turn_id=turn.id)
        assert (receipt.user_id, receipt.turns, receipt.cached_vectors) == (None, 1, 0)
        assert receipt.at.tzinfo is not None
        assert CANARY not in told(manager, tmp_path)
    assert not (tmp_path / "data").exists()


def test_no_event_carries_what_was_said(
    manager: ConversationManager,
    world: EnhancedConversation,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Of whatever the manager does, failures included."""
    with caplog.at_level(logging.DEBUG, "ragtime"):
        world.add_exchange(f"What of the {CANARY}?", f"The {CANARY} is red.")
        world.add_feedback(world.get_interactions()[-1], 2, comment=CANARY)
        world.update_metadata({CANARY: CANARY})
        world.respond(f"And the {CANARY}?", ScriptedGenerator([f"The {CANARY}."]), max_tokens=60)
        use(manager)
        told(manager, tmp_path)
        manager.save_conversation(world)
        fill(manager, "eve's", f"The {CANARY} is red.", user_id="eve")
        manager.export_conversations(tmp_path / "eve.jsonl", user_id="eve")
        manager.import_conversations(tmp_path / "eve.jsonl")
        (tmp_path / "bad.jsonl").write_text(f'{{"format": "{CANARY}"}}\n')
        with pytest.raises(InvalidArgumentError) as caught:
            manager.import_conversations(tmp_path / "bad.jsonl")
        assert CANARY not in str(caught.value)
        manager.forget(conversation_id="c", turn_id=world.get_interactions()[-1].id)
        manager.forget(conversation_id="c")
        manager.forget(everything=True)
    events = {record.getMessage() for record in caplog.records}
    assert {"forget finished", "search_conversations finished", "import_conversations failed"} <= events
    assert [vars(record) for record in caplog.records if CANARY in repr(vars(record)).lower()] == []
