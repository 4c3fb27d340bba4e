"""Export and import: long conversations in many lines, damaged files, crashes on the way, and little memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.config.settings import Settings
from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.protocols import ConversationStore
from ragtime.records.conversation import ConversationHead, Feedback, Interaction, StoredTurn
from ragtime.services.conversation import Conversation, ConversationManager
from ragtime.services.conversation.formats.native import to_native
from ragtime.services.conversation.formats.native_lines import native_lines, read_native_line
from ragtime.services.conversation.intake import UNFINISHED, take_in
from ragtime.services.conversation.transfer import conversation_ids, exported_lines
from ragtime.storage.conversations import MemoryConversationStore, SQLiteConversationStore

NOON = datetime(2026, 4, 15, 12, tzinfo=UTC)
SETTINGS = Settings.isolated(logging__progress="off")


class StoppedError(Exception):
    """The machine has stopped."""


class Watched:
    """A store that counts what changes it, and stops for good before one of these calls."""

    def __init__(self, store: ConversationStore, *, stop_before: int | None = None) -> None:
        self.store, self.stop_before = store, stop_before
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)
        if name not in {"create", "append", "update", "add_feedback"}:
            return method

        def call(*arguments: Any, **options: Any) -> Any:
            if len(self.calls) == self.stop_before:
                raise StoppedError
            self.calls.append(name)
            return method(*arguments, **options)

        return call


def managing(store: ConversationStore | None = None, **options: Any) -> ConversationManager:
    return ConversationManager(SETTINGS, store=store or MemoryConversationStore(), **options)


def long_turns(count: int = 1300) -> list[StoredTurn]:
    """Make turns of two branches, some of them rated twice."""
    turns: list[StoredTurn] = []
    for number in range(count):
        opinions = [
            Feedback(id=f"f{number}-{stars}", stars=stars, comment="so so", created_at=NOON) for stars in (2, 4)
        ]
        interaction = Interaction(
            id=f"t{number}",
            role="assistant" if number % 2 else "user",
            content=f"Turn {number}, ☕",
            created_at=NOON + timedelta(seconds=number),
            metadata={"number": number} if number % 7 == 0 else {},
            feedback=tuple(opinions) if number % 50 == 1 else (),
        )
        turns.append(StoredTurn(interaction, f"t{number - 1}" if number else None))
    other = Interaction(id="other", role="user", content="Instead", created_at=NOON + timedelta(days=1))
    return [*turns, StoredTurn(other, "t9")]


def long_store(count: int = 1300) -> MemoryConversationStore:
    """Make a store with a long conversation, whose older branch is active, between two short ones."""
    store = MemoryConversationStore()
    for number, name in enumerate(["short", "long", "empty"]):
        head = ConversationHead(id=name, created_at=NOON - timedelta(hours=number), metadata={"of": name})
        store.create(head)
    store.append(None, "short", long_turns(3)[:3])
    store.append(None, "long", long_turns(count))
    store.update(None, "long", tip=f"t{count - 1}")
    return store


def contents(store: ConversationStore, user_id: str | None = None) -> list[dict[str, Any]]:
    """Return all that a store holds of a user, with the user left out."""
    heads = store.conversations(user_id)
    return [to_native(head, store.turns(user_id, head.id)) | {"user_id": None} for head in heads]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of the long store."""
    managing(long_store()).export_conversations(tmp_path / "all.jsonl")
    return tmp_path / "all.jsonl"


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ConversationStore]:
    """An empty store."""
    made = MemoryConversationStore() if request.param == "memory" else SQLiteConversationStore(tmp_path / "c.sqlite")
    yield made
    made.close()


# --- lines --------------------------------------------------------------------------------------------------------


def test_a_short_conversation_is_one_line_and_a_long_one_several(file: Path) -> None:
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert [(line["format"], line["version"], len(line["turns"])) for line in lines] == [
        ("ragtime.conversation", 1, 3),
        ("ragtime.conversation", 2, 500),
        ("ragtime.turns", 2, 500),
        ("ragtime.turns", 2, 301),
        ("ragtime.conversation", 1, 0),
    ]
    assert [line.get("goes_on") for line in lines] == [None, True, True, False, None]
    assert [(line["conversation_id"], line["after"]) for line in lines[2:4]] == [("long", 500), ("long", 1000)]
    short = Conversation.from_dict(lines[0])
    assert short.to_dict() == lines[0]
    assert [turn.content for turn in short] == ["Turn 0, ☕", "Turn 1, ☕", "Turn 2, ☕"]
    with pytest.raises(InvalidArgumentError, match="first 500 turns of a conversation that goes on"):
        Conversation.from_dict(lines[1])


def test_long_turns_make_short_lines() -> None:
    """So that a line is never much larger than its largest turn."""
    turns = [
        StoredTurn(Interaction(id=f"{size}", role="user", content="x" * size))
        for size in (9, 10_000_000, 8, 7, 999_950)
    ]
    lines = list(native_lines(ConversationHead(id="c"), turns))
    assert [len(read_native_line(json.loads(line)).turns) for line in lines] == [1, 1, 2, 1]


_sizes = st.lists(st.sampled_from([1, 2, 1000, 300_000, 600_000]), max_size=9)


@given(_sizes, st.lists(st.integers(0, 8), min_size=9, max_size=9))
@settings(max_examples=20)
def test_lines_hold_what_was_written(sizes: list[int], parents: list[int]) -> None:
    turns = [
        StoredTurn(
            Interaction(id=f"t{place}", role="user", content="ä" * size, created_at=NOON),
            f"t{parent}" if parent < place else None,
        )
        for place, (size, parent) in enumerate(zip(sizes, parents, strict=False))
    ]
    head = ConversationHead(id="c", created_at=NOON, metadata={"a": [1, None]}, tip="t0" if turns else None)
    lines = [read_native_line(json.loads(line)) for line in native_lines(head, turns)]
    assert lines[0].head == head
    assert [turn for line in lines for turn in line.turns] == turns
    assert [line.goes_on for line in lines] == [True] * (len(lines) - 1) + [False]
    assert [line.after for line in lines] == [sum(len(one.turns) for one in lines[:end]) for end in range(len(lines))]


# --- there and back -------------------------------------------------------------------------------------------------


def test_all_is_there_again(store: ConversationStore, file: Path, tmp_path: Path) -> None:
    """Turns, branches, the active one, ratings, metadata; and once more changes nothing."""
    expected = contents(long_store())
    for user_id in (None, "ada"):
        for _ in range(2):
            assert managing(store).import_conversations(file, user_id=user_id) == 3
            assert contents(store, user_id) == expected
    assert managing(store).export_conversations(tmp_path / "again.jsonl") == 3
    assert (tmp_path / "again.jsonl").read_bytes() == file.read_bytes()


def test_what_came_since_is_completed(store: ConversationStore, file: Path, tmp_path: Path) -> None:
    managing(store).import_conversations(file)
    newer = long_store()
    newer.append(None, "long", [StoredTurn(Interaction(id="new", role="user", content="New", created_at=NOON), "t3")])
    newer.add_feedback(None, "long", "t1200", Feedback(id="later", stars=5, created_at=NOON))
    newer.add_feedback(None, "long", "t1", Feedback(id="later", stars=1, created_at=NOON))
    managing(newer).export_conversations(tmp_path / "newer.jsonl")
    for _ in range(2):
        managing(store).import_conversations(tmp_path / "newer.jsonl")
        assert contents(store) == contents(newer)


def test_an_older_file_takes_nothing_away(store: ConversationStore, file: Path) -> None:
    managing(store).import_conversations(file)
    with managing(store) as manager:
        conversation = manager.get_conversation("long")
        conversation.add_exchange("And then?", "Nothing.")
        conversation.add_feedback("t1", 5)
        conversation.update_metadata(more=1)
        conversation.switch("other")
        before = contents(store)
        manager.import_conversations(file)
        assert contents(store) == before


def test_a_long_line_of_version_1_is_read(store: ConversationStore, tmp_path: Path) -> None:
    """As exported files had it before there were several lines."""
    head = ConversationHead(id="c", created_at=NOON, tip="t9")
    (tmp_path / "old.jsonl").write_text(json.dumps(to_native(head, long_turns())) + "\n")
    assert managing(store).import_conversations(tmp_path / "old.jsonl") == 1
    assert contents(store) == [to_native(head, long_turns()) | {"user_id": None}]


def test_a_turn_of_ten_million_characters_passes(store: ConversationStore, tmp_path: Path) -> None:
    turns = long_turns(4)[:4]
    turns[2] = StoredTurn(turns[2].interaction.model_copy(update={"content": "ß" * 10_000_000}), "t1")
    store.create(ConversationHead(id="c"), turns)
    manager = managing(store)
    manager.export_conversations(tmp_path / "all.jsonl")
    manager.import_conversations(tmp_path / "all.jsonl", user_id="ada")
    assert contents(store, "ada") == contents(store)


def test_a_fork_is_completed_where_it_is(store: ConversationStore, tmp_path: Path) -> None:
    """Its shared turns are in the file, and are not stored again."""
    managing(long_store()).export_conversations(tmp_path / "all.jsonl")
    manager = managing(store)
    manager.import_conversations(tmp_path / "all.jsonl")
    fork = manager.get_conversation("long").fork("t1000", conversation_id="fork")
    fork.add_interaction("user", "New", id="n", created_at=NOON)
    manager.export_conversations(tmp_path / "forked.jsonl")
    before = contents(store)
    assert manager.import_conversations(tmp_path / "forked.jsonl") == 4
    assert contents(store) == before
    with managing() as other:
        other.import_conversations(tmp_path / "forked.jsonl")
        assert [turn.id for turn in other.get_conversation("fork")] == [*(f"t{number}" for number in range(1001)), "n"]


def test_another_long_conversation_of_this_id_is_refused(store: ConversationStore, file: Path) -> None:
    stranger = Interaction(id="stranger", role="user", content="Who?", created_at=NOON)
    store.create(ConversationHead(id="long"), [StoredTurn(stranger)])
    with pytest.raises(InvalidArgumentError, match="line 2: There is another conversation with the id 'long'"):
        managing(store).import_conversations(file)
    assert [turn.interaction for turn in store.turns(None, "long")] == [stranger]


# --- damaged files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [2, 3])
def test_a_file_that_breaks_off_is_an_error_and_the_whole_one_completes_it(
    store: ConversationStore, file: Path, tmp_path: Path, kept: int
) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    (tmp_path / "torn.jsonl").write_bytes(b"".join(lines[:kept]))
    message = f"torn.jsonl, line {kept}: the file ends here, but the conversation 'long' goes on after its turn "
    with pytest.raises(InvalidArgumentError, match=f"{message}{500 * (kept - 1)}"):
        managing(store).import_conversations(tmp_path / "torn.jsonl")
    half = store.head(None, "long")
    assert half is not None
    assert half.metadata == {"of": "long", UNFINISHED: True}
    assert len(list(store.turns(None, "long"))) == 500 * (kept - 1)
    with managing(store) as manager:
        manager.import_conversations(file)
        assert contents(store) == contents(long_store())


def test_a_line_that_is_torn_is_named(store: ConversationStore, file: Path, tmp_path: Path) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    (tmp_path / "torn.jsonl").write_bytes(b"".join(lines[:3])[:-40])
    with pytest.raises(StorageError, match=r"torn.jsonl, line 3: not JSON"):
        managing(store).import_conversations(tmp_path / "torn.jsonl")
    assert len(list(store.turns(None, "long"))) == 500


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ([0, 1, 3, 4], "line 3: turns from number 1001 on, but the conversation 'long' goes on after its turn 500"),
        (
            [0, 1, 2, 2, 3, 4],
            "line 4: turns from number 501 on, but the conversation 'long' goes on after its turn 1000",
        ),
        (
            [0, 1, 2, 4],
            "line 4: another conversation begins here, but the conversation 'long' goes on after its turn 1000",
        ),
        ([0, 2, 3, 4], "line 2: further turns of the conversation 'long', but the line before is not of it"),
        ([0, 1, 2, 3, 3], "line 5: further turns of the conversation 'long', but the line before is not of it"),
    ],
)
def test_lines_that_are_missing_or_stand_twice(
    store: ConversationStore, file: Path, tmp_path: Path, order: list[int], message: str
) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    (tmp_path / "bad.jsonl").write_bytes(b"".join(lines[place] for place in order))
    with pytest.raises(InvalidArgumentError) as caught:
        managing(store).import_conversations(tmp_path / "bad.jsonl")
    assert message in str(caught.value)
    assert "☕" not in str(caught.value)
    managing(store).import_conversations(file)
    assert contents(store) == contents(long_store())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"version": 3}, "version 3 of the format"),
        ({"version": True}, "version True of the format"),
        ({"after": 0}, "after is the number of turns before"),
        ({"after": "500"}, "after is the number of turns before"),
        ({"goes_on": 1}, "goes_on true or false"),
        ({"conversation_id": 5}, "conversation_id is a text"),
        ({"turns": None}, "turns is a list"),
        ({"turns": [{"role": "user"}]}, "turn 501: Value error, must not be empty"),
        ({"turns": [{"role": "user", "content": "secret", "parent_id": 5}]}, "turn 501: parent_id is a text"),
        ({"secret": 1}, "holds secret, which cannot be kept"),
    ],
)
def test_wrong_further_turns(store: ConversationStore, tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    lines = [json.loads(line) for line in exported_lines(long_store(), None, "long")]
    lines[1] |= fields
    (tmp_path / "bad.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    with pytest.raises(InvalidArgumentError, match=r"bad.jsonl, line 2: ") as caught:
        managing(store).import_conversations(tmp_path / "bad.jsonl")
    assert message in str(caught.value)


def test_a_beginning_says_whether_it_goes_on() -> None:
    beginning = json.loads(next(exported_lines(long_store(), None, "long")))
    for wrong in ({"goes_on": None}, {"goes_on": "yes"}, {"version": 1}):
        with pytest.raises(InvalidArgumentError, match="goes_on"):
            read_native_line({**beginning, **wrong})


# --- crashes --------------------------------------------------------------------------------------------------------


def test_an_import_that_stopped_anywhere_is_completed_by_another_one(file: Path) -> None:
    """After every single step, that between the last turn and the active branch included."""
    whole = Watched(MemoryConversationStore())
    managing(whole).import_conversations(file)  # type: ignore[arg-type]
    assert whole.calls == ["create", "create", "append", "append", "update", "create"]
    for steps in range(len(whole.calls)):
        store = MemoryConversationStore()
        with pytest.raises(StoppedError):
            managing(Watched(store, stop_before=steps)).import_conversations(file)  # type: ignore[arg-type]
        managing(store).import_conversations(file)
        assert contents(store) == contents(long_store()), steps


def test_completing_that_stopped_anywhere_is_completed_by_another_one(file: Path, tmp_path: Path) -> None:
    """Nothing is missing or doubled."""
    lines = file.read_bytes().splitlines(keepends=True)
    (tmp_path / "half.jsonl").write_bytes(b"".join(lines[:2]))
    for steps in (0, 1, 2, 3, 7, 20, 29):
        store = MemoryConversationStore()
        with pytest.raises(InvalidArgumentError):
            managing(store).import_conversations(tmp_path / "half.jsonl")
        watched = Watched(store, stop_before=steps)
        try:
            managing(watched).import_conversations(file)  # type: ignore[arg-type]
        except StoppedError:
            managing(store).import_conversations(file)
        assert contents(store) == contents(long_store()), steps


def test_what_was_told_of_an_unfinished_conversation_stays(file: Path, tmp_path: Path) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    (tmp_path / "half.jsonl").write_bytes(b"".join(lines[:2]))
    with managing() as manager:
        with pytest.raises(InvalidArgumentError):
            manager.import_conversations(tmp_path / "half.jsonl")
        manager.get_conversation("long").update_metadata(mood="good")
        manager.export_conversations(tmp_path / "unfinished.jsonl")
        manager.import_conversations(file)
        assert manager.get_conversation("long").metadata == {"of": "long", "mood": "good"}
        with managing() as other:  # a copy of an unfinished one is not finished either
            other.import_conversations(tmp_path / "unfinished.jsonl")
            assert other.get_conversation("long").metadata == {"of": "long", "mood": "good", UNFINISHED: True}


def test_what_is_taken_in_says_whether_it_was_there() -> None:
    store = MemoryConversationStore()
    head, turns = ConversationHead(id="c", tip="t5"), long_turns(10)
    assert [take_in(store, head, some) for some in (turns[:6], turns, turns)] == [False, True, True]
    assert list(store.turns(None, "c")) == turns


# --- what happens meanwhile -----------------------------------------------------------------------------------------


class Forgetting(MemoryConversationStore):
    """Forgets something just before turns of a conversation are read."""

    def __init__(self, forgets: dict[str, tuple[str, str | None]]) -> None:
        super().__init__()
        self.forgets = forgets

    def turns(self, user_id: str | None, conversation_id: str) -> Iterator[StoredTurn]:
        if conversation_id in self.forgets:
            gone, turn_id = self.forgets.pop(conversation_id)
            self.forget(user_id, conversation_id=gone, turn_id=turn_id)
        return super().turns(user_id, conversation_id)


def _filled(store: MemoryConversationStore) -> MemoryConversationStore:
    for name in "abc":
        store.create(ConversationHead(id=name, created_at=NOON), long_turns(3)[:3])
    return store


def test_a_conversation_that_is_forgotten_meanwhile_is_left_out(tmp_path: Path) -> None:
    with managing(_filled(Forgetting({"a": ("b", None)}))) as manager:
        assert manager.export_conversations(tmp_path / "all.jsonl") == 2
    assert [json.loads(line)["id"] for line in (tmp_path / "all.jsonl").read_text().splitlines()] == ["a", "c"]


def test_a_turn_that_is_needed_and_forgotten_meanwhile_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "all.jsonl").write_text("old")
    with managing(_filled(Forgetting({"b": ("b", "t2")}))) as manager:
        with pytest.raises(StorageError, match="'b' were forgotten while it was written; export once more"):
            manager.export_conversations(tmp_path / "all.jsonl")
        assert (tmp_path / "all.jsonl").read_text() == "old"
        assert manager.export_conversations(tmp_path / "all.jsonl") == 3


def test_more_conversations_than_one_page() -> None:
    """Also where the last one of a page is forgotten before the next is read."""
    store = MemoryConversationStore()
    for number in range(5100):
        store.create(ConversationHead(id=f"c{number}", created_at=NOON - timedelta(seconds=number // 3)))
    expected = [head.id for head in store.conversations(None)]
    assert list(conversation_ids(store, None)) == expected
    ids = conversation_ids(store, None)
    found = [next(ids) for _ in range(5000)]
    store.forget(None, conversation_id=found[-1])
    assert [*found, *ids] == expected
    assert list(conversation_ids(store, "ada")) == []


# --- memory ---------------------------------------------------------------------------------------------------------

_MEASURED = """
import pathlib, sys
from ragtime.config.settings import Settings
from ragtime.records.conversation import ConversationHead, Feedback, Interaction, StoredTurn
from ragtime.services.conversation import ConversationManager
from ragtime.storage.conversations import SQLiteConversationStore

def peak():  # not ru_maxrss: that begins with the memory of the process that started this one
    status = pathlib.Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) // 1024

task, folder, each = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
store = SQLiteConversationStore(folder / ("from" if task in {"fill", "export"} else "to"))
manager = ConversationManager(Settings.isolated(logging__progress="off"), store=store)
before = peak()
if task == "fill":
    for made in range(0, 100_000, each):
        store.create(ConversationHead(id=f"c{made}"))
        for start in range(0, each, 1000):
            store.append(None, f"c{made}", [
                StoredTurn(
                    Interaction(id=f"t{number}", role="user", content=f"{number} " * 30,
                                feedback=(Feedback(stars=4),) if number % 20 == 0 else ()),
                    f"t{number - 1}" if number else None,
                )
                for number in range(start, min(start + 1000, each))
            ])
elif task == "export":
    manager.export_conversations(folder / "all.jsonl")
else:
    manager.import_conversations(folder / "all.jsonl")
    assert sum(1 for _ in store.changes(None)) == 100_000
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("each", [100_000, 10], ids=["one conversation", "many conversations"])
def test_memory_does_not_grow_with_what_is_transferred(tmp_path: Path, each: int) -> None:
    """Of 100,000 turns, written out, read in, and read in once more."""
    for task in ("fill", "export", "import", "import"):
        command = [sys.executable, "-c", _MEASURED, task, tmp_path, str(each)]
        told = subprocess.run(command, check=True, capture_output=True, text=True)
        assert int(told.stdout) < 60, task  # MiB
