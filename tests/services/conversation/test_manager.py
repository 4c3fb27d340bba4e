"""The manager: conversations kept, listed, saved, written out and read in, each for one user alone."""

from __future__ import annotations

import asyncio
import inspect
import json
import random
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ragtime.config.settings import Settings, get_settings, override_settings
from ragtime.errors import (
    ConversationExistsError,
    ConversationNotFoundError,
    InvalidArgumentError,
    StorageError,
)
from ragtime.records.conversation import ConversationHead, ImagePart, Interaction, TextPart, ToolCall
from ragtime.services.conversation import (
    Conversation,
    ConversationManager,
    EnhancedConversation,
    ManagerStatistics,
)
from ragtime.storage.conversations import MemoryConversationStore, SQLiteConversationStore
from ragtime.testing import HashEncoder

NOW = datetime(2026, 4, 15, 12, tzinfo=UTC)


class Clock:
    """Goes on by a second each time it is asked."""

    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time


def managing(tmp_path: Path, **options: Any) -> ConversationManager:
    settings = Settings.isolated(data_dir=tmp_path / "data")
    return ConversationManager(settings, **{"encoder": HashEncoder(), "clock": Clock(), **options})


@pytest.fixture(params=["memory", "sqlite"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ConversationManager]:
    settings = Settings.isolated(data_dir=tmp_path / "data", conversation__store=request.param)
    with ConversationManager(settings, encoder=HashEncoder(), clock=Clock()) as opened:
        yield opened


def branched(conversation_id: str | None = None, **options: Any) -> Conversation:
    """Make a conversation with branches, a tool call, metadata and feedback, whose older branch is active."""
    conversation = Conversation(conversation_id, metadata={"topic": "tea"}, clock=Clock(), **options)
    conversation.add_interaction("system", "Be brief.")
    question, answer = conversation.add_exchange("Which tea?", "Green tea.", document_ids=["d1"], metadata={"x": [1]})
    conversation.add_feedback(answer, 4, comment="good", aspects={"correct": 5}, by="ada")
    call = ToolCall(id="t1", name="brew", arguments='{"minutes": 3}')
    conversation.add_interaction("assistant", "", tool_calls=[call])
    done = conversation.add_interaction("tool", "done", tool_call_id="t1", name="brew")
    conversation.edit(question, "Which coffee? ☕")
    other = conversation.add_interaction("assistant", "Black.")
    conversation.add_feedback(other, 1)
    conversation.switch(done)
    return conversation


def everything(conversation: Conversation) -> dict[str, Any]:
    """Return all of a conversation, but for whose it is."""
    return {name: value for name, value in conversation.to_dict().items() if name not in {"user_id", "fork"}}


# --- one conversation ---------------------------------------------------------------------------------------------


def test_what_is_added_is_there_again(manager: ConversationManager) -> None:
    conversation = manager.create_conversation("c", metadata={"topic": "tea"})
    _, answer = conversation.add_exchange("Which tea?", "Green tea.")
    conversation.add_feedback(answer, 5)
    conversation.update_metadata(mood="good")
    again = manager.get_conversation("c")
    assert isinstance(again, EnhancedConversation)
    assert everything(again) == everything(conversation)
    assert dict(again.metadata) == {"topic": "tea", "mood": "good"}
    assert again.get_interactions()[-1].stars == 5


def test_an_id_is_taken_once(manager: ConversationManager) -> None:
    manager.create_conversation("c").add_interaction("user", "kept")
    with pytest.raises(ConversationExistsError):
        manager.create_conversation("c")
    assert [turn.content for turn in manager.get_conversation("c")] == ["kept"]
    first, second = manager.create_conversation(), manager.create_conversation()
    assert first.conversation_id != second.conversation_id


def test_one_that_is_not_there_is_a_key_error_with_a_hint(manager: ConversationManager) -> None:
    manager.create_conversation("holidays-2026")
    with pytest.raises(KeyError, match="did you mean 'holidays-2026'") as caught:
        manager.get_conversation("holiday-2026")
    assert isinstance(caught.value, ConversationNotFoundError)
    with pytest.raises(ConversationNotFoundError) as caught:
        manager.get_conversation("holiday-2026", user_id="bob")
    assert "holidays" not in str(caught.value)


def test_branches_and_forks_are_there_again(manager: ConversationManager) -> None:
    conversation = manager.create_conversation("c")
    question, answer = conversation.add_exchange("Which tea?", "Green tea.")
    conversation.edit(question, "Which coffee?")
    conversation.switch(answer)
    fork = conversation.fork(question, conversation_id="f")
    fork.add_interaction("assistant", "Black tea.")
    assert everything(manager.get_conversation("c")) == everything(conversation)
    assert [turn.content for turn in manager.get_conversation("f")] == ["Which tea?", "Black tea."]
    assert manager.get_conversation("f").head.fork == fork.head.fork
    with pytest.raises(ConversationExistsError):
        conversation.fork(conversation_id="f")


# --- saving -------------------------------------------------------------------------------------------------------


def test_a_free_standing_conversation_is_saved_whole_and_saving_again_changes_nothing(
    manager: ConversationManager,
) -> None:
    conversation = branched("c")
    for _ in range(3):
        manager.save_conversation(conversation)
        assert everything(manager.get_conversation("c")) == everything(conversation)
    assert manager.statistics().turns == len(conversation.stored_turns())


def test_what_came_since_is_saved(manager: ConversationManager) -> None:
    conversation = branched("c")
    manager.save_conversation(conversation)
    conversation.add_interaction("user", "And then?")
    conversation.update_metadata(more=True)
    conversation.remove_metadata("topic")
    manager.save_conversation(conversation)
    assert everything(manager.get_conversation("c")) == everything(conversation)


def test_feedback_that_came_since_is_saved(manager: ConversationManager) -> None:
    conversation = branched("c")
    manager.save_conversation(conversation)
    conversation.add_feedback(conversation.get_interactions()[2], 2, comment="on second thought")
    manager.save_conversation(conversation)
    assert everything(manager.get_conversation("c")) == everything(conversation)


def test_a_switch_that_came_since_is_saved(manager: ConversationManager) -> None:
    conversation = branched("c")
    manager.save_conversation(conversation)
    conversation.switch(next(branch.tip for branch in conversation.branches() if not branch.active))
    manager.save_conversation(conversation)
    assert everything(manager.get_conversation("c")) == everything(conversation)


def test_saving_one_of_the_managers_own_changes_nothing(manager: ConversationManager) -> None:
    conversation = manager.create_conversation("c")
    conversation.add_exchange("Which tea?", "Green tea.")
    fork = conversation.fork(conversation_id="f")
    fork.add_interaction("user", "Why?")
    for one in (conversation, fork, conversation):
        manager.save_conversation(one)
    assert everything(manager.get_conversation("c")) == everything(conversation)
    assert manager.get_conversation("f").to_dict() == fork.to_dict()


def test_saving_one_that_was_taken_out_before_takes_nothing_away(manager: ConversationManager) -> None:
    """What it holds is stored already; what came since stays."""
    former = manager.create_conversation("c")
    former.add_exchange("Which tea?", "Green tea.")
    newer = manager.get_conversation("c")
    newer.add_interaction("user", "And then?")
    newer.update_metadata(mood="good")
    manager.save_conversation(former)
    assert everything(manager.get_conversation("c")) == everything(newer)


def test_a_free_standing_fork_is_saved_with_all_its_turns(manager: ConversationManager) -> None:
    fork = branched("c").fork(conversation_id="f")
    manager.save_conversation(fork)
    assert everything(manager.get_conversation("f")) == everything(fork)
    assert [head.id for head in manager.list_conversations()] == ["f"]


def test_one_without_a_user_becomes_the_managers(tmp_path: Path) -> None:
    with managing(tmp_path, user_id="ada") as manager:
        manager.save_conversation(branched("c"))
        manager.save_conversation(branched("d", user_id="bob"))
        assert manager.get_conversation("c").user_id == "ada"
        assert [head.id for head in manager.list_conversations()] == ["c"]
        assert [head.id for head in manager.list_conversations(user_id="bob")] == ["d"]


def test_another_conversation_of_this_id_is_refused(manager: ConversationManager) -> None:
    """Neither is the one that is there mixed with the other's turns."""
    conversation = branched("c")
    manager.save_conversation(conversation)
    other = Conversation("c", metadata={"topic": "chess"}, clock=Clock())
    other.add_exchange("Whose move?", "Yours.")
    with pytest.raises(InvalidArgumentError):
        manager.save_conversation(other)
    assert everything(manager.get_conversation("c")) == everything(conversation)


def test_a_different_turn_of_the_same_id_is_refused(manager: ConversationManager) -> None:
    for text, wrong in (("one", False), ("two", True)):
        conversation = Conversation("c", clock=Clock())
        conversation.add_interactions([Interaction(id="t", role="user", content=text, created_at=NOW)])
        if wrong:
            with pytest.raises(InvalidArgumentError):
                manager.save_conversation(conversation)
        else:
            manager.save_conversation(conversation)
    assert [turn.content for turn in manager.get_conversation("c")] == ["one"]


# --- many ---------------------------------------------------------------------------------------------------------


def test_listing(manager: ConversationManager) -> None:
    made = [manager.create_conversation(f"c{number}", metadata={"even": number % 2 == 0}) for number in range(6)]
    ids = [one.conversation_id for one in reversed(made)]
    assert [head.id for head in manager.list_conversations()] == ids
    assert [head.id for head in manager.list_conversations(where={"even": True})] == ["c4", "c2", "c0"]
    assert [head.id for head in manager.list_conversations(since=made[4].created_at)] == ["c5", "c4"]
    assert [head.id for head in manager.list_conversations(until=made[2].created_at)] == ["c1", "c0"]
    assert manager.list_conversations(user_id="bob") == []
    pages, after = [], None
    while page := manager.list_conversations(limit=4, after=after):
        pages.append([head.id for head in page])
        after = page[-1].id
    assert pages == [ids[:4], ids[4:]]


def test_statistics(manager: ConversationManager) -> None:
    assert manager.statistics() == ManagerStatistics(0, 0, {}, 0)
    manager.save_conversation(branched("c"))
    manager.create_conversation("empty")
    fork = manager.get_conversation("c").fork(conversation_id="f")
    fork.add_interaction("user", "Why?")
    by_role = {"assistant": 3, "system": 1, "tool": 1, "user": 3}
    assert manager.statistics() == ManagerStatistics(conversations=3, turns=8, by_role=by_role, rated=2)
    assert list(manager.statistics().by_role) == sorted(by_role)
    assert manager.statistics(user_id="bob").turns == 0


# --- export and import --------------------------------------------------------------------------------------------


def test_what_is_written_out_is_read_in_equal(manager: ConversationManager, tmp_path: Path) -> None:
    manager.save_conversation(branched("c"))
    manager.create_conversation("empty", metadata={"a": None})
    manager.get_conversation("c").fork(conversation_id="f").add_interaction("user", "Why?")
    assert manager.export_conversations(tmp_path / "all.jsonl") == 3
    for store in (MemoryConversationStore(), SQLiteConversationStore(tmp_path / "other.sqlite")):
        with managing(tmp_path, store=store, user_id="ada") as other:
            assert other.import_conversations(tmp_path / "all.jsonl") == 3
            for head in manager.list_conversations():
                taken = other.get_conversation(head.id)
                assert everything(taken) == everything(manager.get_conversation(head.id))
                assert taken.user_id == "ada"
            other.export_conversations(tmp_path / "again.jsonl")
            lines = [
                [{**json.loads(line), "user_id": ""} for line in (tmp_path / name).read_text("utf-8").splitlines()]
                for name in ("all.jsonl", "again.jsonl")
            ]
            assert lines[0] == lines[1]


def test_reading_in_twice_completes_and_doubles_nothing(manager: ConversationManager, tmp_path: Path) -> None:
    manager.save_conversation(branched("c"))
    manager.export_conversations(tmp_path / "one.jsonl")
    manager.get_conversation("c").add_exchange("And then?", "Nothing.")
    manager.create_conversation("d")
    manager.export_conversations(tmp_path / "two.jsonl")
    with managing(tmp_path, store=MemoryConversationStore()) as other:
        for name, count in [("one", 1), ("one", 1), ("two", 2), ("two", 2)]:
            assert other.import_conversations(tmp_path / f"{name}.jsonl") == count
        assert everything(other.get_conversation("c")) == everything(manager.get_conversation("c"))
        assert [head.id for head in other.list_conversations()] == ["d", "c"]


def test_reading_in_completes_feedback(manager: ConversationManager, tmp_path: Path) -> None:
    manager.save_conversation(branched("c"))
    with managing(tmp_path, store=MemoryConversationStore()) as other:
        manager.export_conversations(tmp_path / "one.jsonl")
        other.import_conversations(tmp_path / "one.jsonl")
        conversation = manager.get_conversation("c")
        conversation.add_feedback(conversation.get_interactions()[2], 2)
        manager.export_conversations(tmp_path / "two.jsonl")
        other.import_conversations(tmp_path / "two.jsonl")
        assert everything(other.get_conversation("c")) == everything(conversation)


def test_reading_an_older_file_takes_nothing_away(manager: ConversationManager, tmp_path: Path) -> None:
    manager.save_conversation(branched("c"))
    manager.export_conversations(tmp_path / "one.jsonl")
    conversation = manager.get_conversation("c")
    conversation.add_exchange("And then?", "Nothing.")
    conversation.add_feedback(conversation.get_interactions()[2], 2)
    conversation.update_metadata(more=1)
    manager.import_conversations(tmp_path / "one.jsonl")
    assert everything(manager.get_conversation("c")) == everything(conversation)


def test_turns_of_several_parts_are_written_out_and_read_in(manager: ConversationManager, tmp_path: Path) -> None:
    conversation = manager.create_conversation("c")
    conversation.add_interaction("user", parts=[TextPart(text="What is this?"), ImagePart(url="kettle.png", width=9)])
    assert everything(manager.get_conversation("c")) == everything(conversation)
    manager.export_conversations(tmp_path / "all.jsonl")
    with managing(tmp_path, store=MemoryConversationStore()) as other:
        other.import_conversations(tmp_path / "all.jsonl")
        assert list(other.get_conversation("c")) == list(conversation)


def test_a_file_of_the_old_modules_is_read(manager: ConversationManager, tmp_path: Path) -> None:
    record = {"query": "Which tea?", "response": "Green tea.", "timestamp": 1_700_000_000.0, "document_ids": ["d"]}
    (tmp_path / "old.jsonl").write_text(json.dumps({"history": [record]}) + "\n")
    assert manager.import_conversations(tmp_path / "old.jsonl") == 1
    (head,) = manager.list_conversations()
    assert [turn.content for turn in manager.get_conversation(head.id)] == ["Which tea?", "Green tea."]


@pytest.mark.parametrize(
    "bad", ['{"format": "other"}', '{"secret kettle": 1}', '{"history": [{"query": "secret kettle"}]}']
)
def test_a_line_that_is_no_conversation_is_named(manager: ConversationManager, tmp_path: Path, bad: str) -> None:
    """Those before it are stored, and the error quotes nothing."""
    good = [json.dumps(branched(name).to_dict()) for name in "abc"]
    (tmp_path / "bad.jsonl").write_text("\n".join([good[0], good[1], "", bad, good[2]]), encoding="utf-8")
    with pytest.raises(InvalidArgumentError, match="line 4") as caught:
        manager.import_conversations(tmp_path / "bad.jsonl")
    assert "kettle" not in str(caught.value)
    assert sorted(head.id for head in manager.list_conversations()) == ["a", "b"]


def test_files_that_cannot_be_read_or_written(manager: ConversationManager, tmp_path: Path) -> None:
    manager.save_conversation(branched("c"))
    (tmp_path / "broken.jsonl").write_text('{"half": ')
    with pytest.raises(StorageError, match="line 1"):
        manager.import_conversations(tmp_path / "broken.jsonl")
    with pytest.raises(StorageError):
        manager.import_conversations(tmp_path / "none.jsonl")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError):
        manager.export_conversations(tmp_path / "folder")


# --- where they rest ----------------------------------------------------------------------------------------------


def test_two_managers_of_one_file_see_each_others_turns(tmp_path: Path) -> None:
    with managing(tmp_path) as one, managing(tmp_path) as two:
        first = one.create_conversation("c")
        first.add_interaction("user", "The kettle is red.")
        second = two.get_conversation("c")
        assert list(second) == list(first)
        assert [hit.interaction.content for hit in two.search("kettle")] == ["The kettle is red."]
        second.add_interaction("user", "The kettle is blue, too.")
        assert [turn.content for turn in one.get_conversation("c")][-1] == "The kettle is blue, too."
        for mode in ("lexical", "semantic", "hybrid"):
            assert len(one.search("kettle", mode=mode)) == 2  # type: ignore[arg-type]
            assert len(two.search("kettle", mode=mode)) == 2  # type: ignore[arg-type]
        with pytest.raises(ConversationExistsError):
            two.create_conversation("c")


def test_turns_outlive_the_manager(tmp_path: Path) -> None:
    with managing(tmp_path) as manager:
        manager.create_conversation("c").add_exchange("Which tea?", "Green tea.")
    with pytest.raises(StorageError):
        manager.list_conversations()
    with managing(tmp_path) as again:
        assert [turn.content for turn in again.get_conversation("c")] == ["Which tea?", "Green tea."]


def test_the_store_of_the_settings(tmp_path: Path) -> None:
    settings = Settings.isolated(data_dir=tmp_path / "data", conversation__store="memory")
    with ConversationManager(settings) as manager:
        assert isinstance(manager.store, MemoryConversationStore)
        manager.create_conversation("c").add_interaction("user", "Hello.")
        assert len(manager.search("hello", mode="lexical")) == 1
    assert not (tmp_path / "data").exists()
    with ConversationManager(settings) as manager:
        assert manager.list_conversations() == []
    with ConversationManager(settings.replace(conversation__store="sqlite")) as manager:
        assert isinstance(manager.store, SQLiteConversationStore)


def test_the_manager_shares_its_encoder(tmp_path: Path) -> None:
    encoder = HashEncoder()
    with managing(tmp_path, encoder=encoder) as manager:
        conversation = manager.create_conversation("c")
        conversation.add_interaction("user", "The kettle is red.")
        assert conversation.embedder is manager.embedder
        assert conversation.embedder.encoder is encoder
        assert manager.summarizer is manager.summarizer
        assert manager.get_conversation("c").summarizer is manager.summarizer
        assert encoder.calls == []


def test_conversations_share_the_models_of_the_settings(tmp_path: Path) -> None:
    """However they come out of the manager, and whoever asks first: a model is loaded once, not for each."""
    with managing(tmp_path, encoder=None) as manager:
        first, second = manager.create_conversation("a"), manager.create_conversation("b")
        first.add_exchange("Is the kettle red?", "Yes.")
        summarizer, embedder = first.summarizer, first.embedder
        others = [second, manager.get_conversation("a"), first.fork(), manager.get_conversation("a").fork()]
        for conversation in others:
            assert conversation.summarizer is summarizer
            assert conversation.embedder is embedder
        assert (manager.summarizer, manager.embedder) == (summarizer, embedder)


def test_forgetting_reaches_the_summaries_of_conversations_that_were_asked_first(tmp_path: Path) -> None:
    with managing(tmp_path) as manager:
        conversation = manager.create_conversation("a")
        for number in range(30):
            conversation.add_exchange(f"Is kettle {number} red?", "Yes.")
        conversation.summarize(strategy="rolling", max_tokens=20)
        manager.forget(everything=True)
        assert manager.summarizer.forget(None) == 0, "nothing was left to drop"


def test_async_twins(tmp_path: Path) -> None:
    async def run() -> None:
        with managing(tmp_path) as manager:
            conversation = await manager.acreate_conversation("c", metadata={"a": 1})
            conversation.add_interaction("user", "The kettle is red.")
            assert everything(await manager.aget_conversation("c")) == everything(conversation)
            await manager.asave_conversation(branched("d"))
            assert [head.id for head in await manager.alist_conversations(where={"topic": "tea"})] == ["d"]
            assert await manager.astatistics() == manager.statistics()
            assert (await manager.asearch("kettle", k=1))[0].conversation_id == "c"
            assert await manager.aexport_conversations(tmp_path / "all.jsonl") == 2
            assert await manager.aimport_conversations(tmp_path / "all.jsonl", user_id="ada") == 2
            assert len(await manager.alist_conversations(user_id="ada")) == 2
            receipt = await manager.aforget(conversation_id="c")
            assert (receipt.conversation_ids, receipt.turns) == (("c",), 1)
            with pytest.raises(ConversationNotFoundError):
                await manager.aget_conversation("c")
            assert (await manager.adelete_conversation("d")).conversation_ids == ("d",)
            await manager.aclose()
            with pytest.raises(StorageError):
                manager.list_conversations()

    asyncio.run(run())


def test_every_method_that_waits_has_an_async_twin_like_it() -> None:
    methods = {
        name: method
        for name, method in inspect.getmembers(ConversationManager, inspect.isfunction)
        if not name.startswith("_") and not inspect.iscoroutinefunction(method)
    }
    twins = {name: getattr(ConversationManager, f"a{name}") for name in methods}
    assert len(twins) == 11
    for name, twin in twins.items():
        assert inspect.iscoroutinefunction(twin)
        assert twin.__name__ == f"a{name}"
        assert inspect.signature(twin).parameters == inspect.signature(methods[name]).parameters
        assert name in (twin.__doc__ or "")


class WaitingStore(MemoryConversationStore):
    """Waits, before it lists anything, until somebody else has done something."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()
        self.seen: list[str] = []

    def conversations(self, user_id: str | None, **options: Any) -> list[ConversationHead]:
        assert self.go_on.wait(30)
        self.seen.append(f"{get_settings().seed} {NAME.get()}")
        return super().conversations(user_id, **options)


NAME: ContextVar[str] = ContextVar("NAME", default="nobody")


def test_an_async_twin_blocks_nobody_and_sees_what_its_task_sees(tmp_path: Path) -> None:
    """The event loop goes on; settings overridden in the task, and what it set, hold in the thread."""
    store = WaitingStore()

    async def run() -> None:
        NAME.set("ada")
        with managing(tmp_path, store=store) as manager, override_settings(seed=77):
            twins = [manager.alist_conversations(), manager.aexport_conversations(tmp_path / "all.jsonl")]
            tasks = [asyncio.create_task(twin) for twin in twins]  # type: ignore[arg-type]
            await asyncio.sleep(0)
            assert not any(task.done() for task in tasks)
            store.go_on.set()  # nobody could, were the loop blocked
            assert await asyncio.gather(*tasks) == [[], 0]

    asyncio.run(run())
    assert store.seen == ["77 ada"] * 2


def test_an_async_twin_calls_the_method_of_a_subclass() -> None:
    class Polite(ConversationManager):
        def delete_conversation(self, conversation_id: str, *, user_id: str | None = None) -> Any:
            return f"{conversation_id} stays with {user_id}"

    with Polite(Settings.isolated(), store=MemoryConversationStore()) as manager:
        assert asyncio.run(manager.adelete_conversation("c", user_id="ada")) == "c stays with ada"


def test_threads_share_one_embedder_and_one_summarizer(tmp_path: Path) -> None:
    start = threading.Barrier(8)
    found: list[tuple[object, object, object]] = []
    with managing(tmp_path, encoder=None) as manager:

        def ask() -> None:
            start.wait()
            found.append((manager.embedder, manager.summarizer, manager.embedder.encoder))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 8
    assert len({tuple(map(id, parts)) for parts in found}) == 1


def test_many_threads(manager: ConversationManager) -> None:
    """Nothing is lost, doubled or mixed up between users."""
    errors: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for number in range(10):
                conversation = manager.create_conversation(f"c{number}", user_id=name)
                conversation.add_exchange(f"The kettle of {name}", f"Number {number}")
                found = manager.search("kettle", k=99, mode="hybrid", user_id=name)
                assert all(name in one.interaction.content or "Number" in one.interaction.content for one in found)
                manager.search("kettle", k=9, mode="semantic", user_id="all")
                manager.create_conversation(f"{name}-{number}", user_id="all").add_interaction("user", "A kettle")
        except BaseException as error:  # noqa: BLE001 - told by the test
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f"user{number}",)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [manager.statistics(user_id=f"user{number}").turns for number in range(5)] == [20] * 5
    found = manager.search("kettle", k=99, user_id="all")
    assert len({(one.conversation_id, one.interaction.id) for one in found}) == len(found) == 50


# --- one user alone -----------------------------------------------------------------------------------------------

_USERS = [None, "ada", "bob", "Ada"]


class OneUser:
    """What one user did, and the assertion that the manager tells just that."""

    def __init__(self, manager: ConversationManager, name: str | None, folder: Path) -> None:
        self.manager, self.name, self.file = manager, name, folder / "out.jsonl"
        self.word = f"word{_USERS.index(name)}"
        self.turns: dict[str, list[str]] = {}

    @property
    def count(self) -> int:
        return sum(map(len, self.turns.values()))

    def add(self, rng: random.Random) -> None:
        place, text = f"c{rng.randrange(5)}", f"{self.word} shared kettle number{rng.randrange(100)}"
        if place not in self.turns:
            self.manager.create_conversation(place, user_id=self.name, metadata={"of": self.word})
            self.turns[place] = []
        self.manager.get_conversation(place, user_id=self.name).add_interaction("user", text)
        self.turns[place].append(text)

    def search(self, rng: random.Random) -> None:
        mode, word = rng.choice(["lexical", "semantic", "hybrid"]), rng.randrange(len(_USERS))
        found = self.manager.search(f"shared word{word}", k=500, mode=mode, user_id=self.name)  # type: ignore[arg-type]
        told = sorted((one.conversation_id, one.interaction.content) for one in found)
        assert told == sorted((place, text) for place, texts in self.turns.items() for text in texts)

    def list(self, _: random.Random) -> None:
        heads = self.manager.list_conversations(user_id=self.name)
        assert sorted(head.id for head in heads) == sorted(self.turns)
        assert {(head.user_id, head.metadata["of"]) for head in heads} <= {(self.name, self.word)}

    def get(self, rng: random.Random) -> None:
        place = f"c{rng.randrange(5)}"
        if place in self.turns:
            read = self.manager.get_conversation(place, user_id=self.name)
            assert [turn.content for turn in read] == self.turns[place]
            return
        with pytest.raises(ConversationNotFoundError) as caught:
            self.manager.get_conversation(place, user_id=self.name)
        hinted = str(caught.value).partition("did you mean")[2]
        assert not hinted or any(repr(one) in hinted for one in self.turns)

    def export(self, _: random.Random) -> None:
        assert self.manager.export_conversations(self.file, user_id=self.name) == len(self.turns)
        written = self.file.read_text("utf-8")
        assert not [one for one in range(len(_USERS)) if f"word{one}" != self.word and f"word{one}" in written]
        assert written.count("shared kettle") == self.count

    def statistics(self, _: random.Random) -> None:
        told = self.manager.statistics(user_id=self.name)
        assert (told.conversations, told.turns) == (len(self.turns), self.count)

    def forget(self, rng: random.Random) -> None:
        place = f"c{rng.randrange(5)}"
        if place in self.turns:
            receipt = self.manager.forget(conversation_id=place, user_id=self.name)
            assert receipt.turns == len(self.turns.pop(place))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_no_user_ever_sees_anything_of_another(tmp_path: Path, kind: str, seed: int) -> None:
    """Random calls of four users with the same ids and words, each user told only what it said itself."""
    rng = random.Random(seed)  # noqa: S311 - a test
    settings = Settings.isolated(data_dir=tmp_path / "data", conversation__store=kind)
    with ConversationManager(settings, encoder=HashEncoder(32), clock=Clock()) as manager:
        users = [OneUser(manager, name, tmp_path) for name in _USERS]
        for _ in range(120):
            user = rng.choice(users)
            acts = [user.add, user.search, user.list, user.get, user.export, user.statistics, user.forget]
            rng.choices(acts, [12, 5, 2, 3, 2, 2, 1])[0](rng)


def test_scores_do_not_depend_on_what_others_said(tmp_path: Path) -> None:
    """The statistics of words are those of the user, too."""
    scores = []
    for number, others in enumerate((0, 30)):
        with managing(tmp_path, store=MemoryConversationStore()) as manager:
            for other in range(others):
                manager.create_conversation(f"o{other}", user_id="bob").add_interaction("user", "The kettle again")
            conversation = manager.create_conversation(f"c{number}", user_id="ada")
            conversation.add_exchange("The kettle is red", "The door is blue")
            found = manager.search("kettle", user_id="ada")
            scores.append([(one.interaction.content, one.score) for one in found])
    assert scores[0] == scores[1]
