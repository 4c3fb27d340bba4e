"""After ``forget`` no file of the SQLite store holds anything of what was forgotten."""

from __future__ import annotations

import random
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from ragtime.errors import InvalidArgumentError
from ragtime.records.conversation import ConversationHead, Feedback, Fork, Interaction, StoredTurn
from ragtime.storage.conversations import SQLiteConversationStore
from ragtime.storage.conversations.sqlite.erasure import has_leftovers
from ragtime.testing.store_conformance import turn


@pytest.fixture
def store(tmp_path: Path):
    with SQLiteConversationStore(tmp_path / "c") as store:
        yield store


def _holding(folder: Path, *needles: str) -> set[str]:
    data = b"".join(file.read_bytes() for file in folder.iterdir())
    return {needle for needle in needles if needle.encode() in data}


def _rich(name: str) -> StoredTurn:
    interaction = Interaction(
        id=f"id-{name}",
        role="assistant",
        content=f"{name} spoke {name}word and more. " * 3,
        metadata={"key": f"meta-{name}"},
        document_ids=(f"document-{name}",),
        feedback=(Feedback(id="f", stars=1, comment=f"comment-{name}"),),
    )
    return StoredTurn(interaction=interaction)


def test_a_turn(store: SQLiteConversationStore, tmp_path: Path) -> None:
    store.create(ConversationHead(id="c"), [_rich("Canary"), _rich("Sparrow")])
    store.add_feedback(None, "c", "id-Canary", Feedback(id="f", stars=2, comment="another Canary"))
    store.lexical_scope(None, ["canari"])
    store.forget(None, conversation_id="c", turn_id="id-Canary")
    assert _holding(tmp_path, "Canary", "canari") == set()
    assert _holding(tmp_path, "Sparrow") == {"Sparrow"}


def test_a_conversation_with_its_metadata_new_and_old(store: SQLiteConversationStore, tmp_path: Path) -> None:
    store.create(ConversationHead(id="Canary-id", metadata={"a": "Canary-1"}), [_rich("Canary")])
    store.create(ConversationHead(id="d"), [_rich("Sparrow")])
    for text in ("Canary-22", "Canary-333" * 500, "Canary-4"):
        store.update(None, "Canary-id", metadata={"a": text})
    store.lexical_scope(None, ["canari"])
    store.forget(None, conversation_id="Canary-id")
    assert _holding(tmp_path, "Canary", "canari") == set()


def test_a_user(store: SQLiteConversationStore, tmp_path: Path) -> None:
    store.create(ConversationHead(id="c", user_id="Canary-user"), [_rich("Canary")])
    store.create(ConversationHead(id="c", user_id="other"), [_rich("Sparrow")])
    store.forget("Canary-user")
    assert _holding(tmp_path, "Canary") == set()
    assert store.users() == ["other"]


def test_a_turn_that_forks_share(store: SQLiteConversationStore, tmp_path: Path) -> None:
    store.create(ConversationHead(id="c"), [_rich("Canary")])
    store.create(ConversationHead(id="f", fork=Fork(conversation_id="c", turn_id="id-Canary")))
    store.forget(None, conversation_id="c")
    assert _holding(tmp_path, "Canary") == {"Canary"}
    store.forget(None, conversation_id="f", turn_id="id-Canary")
    assert _holding(tmp_path, "Canary") == set()


def test_copies_that_stay_behind_as_rows_move_between_pages(tmp_path: Path) -> None:
    """With this seed, one does, unless the file is written anew when one is seen."""
    rng = random.Random(2)  # noqa: S311 - a test
    with SQLiteConversationStore(tmp_path / "c") as store:
        left = [f"Bird{number:04}bird" for number in range(250)]
        store.create(ConversationHead(id="c"))
        for start in range(0, len(left), 10):
            some = left[start : start + 10]
            store.append(None, "c", [turn(f"t{name}", content=name * rng.randint(1, 40)) for name in some])
        gone: list[str] = []
        while len(left) > 20:
            name = left.pop(rng.randrange(len(left)))
            store.forget(None, conversation_id="c", turn_id=f"t{name}")
            gone.append(name)
            assert _holding(tmp_path, *gone) == set()


def test_after_much_has_been_changed_and_forgotten(tmp_path: Path) -> None:
    rng = random.Random(0)  # noqa: S311 - a test
    with SQLiteConversationStore(tmp_path / "c") as store:
        left = [f"Bird{number:04}bird" for number in range(250)]
        store.create(ConversationHead(id="c"))
        for start in range(0, len(left), 10):
            store.append(
                None, "c", [turn(f"t{name}", content=name * rng.randint(1, 90)) for name in left[start : start + 10]]
            )
        gone: list[str] = []
        for _ in range(40):
            name = left.pop(rng.randrange(len(left)))
            if rng.random() < 0.3:
                store.add_feedback(None, "c", f"t{name}", Feedback(id="f", stars=1, comment=name * 20))
            if rng.random() < 0.2:
                store.update(None, "c", metadata={"a": "x" * rng.randint(1, 3000)})
            if rng.random() < 0.2:
                store.lexical_scope(None, ["x"])
            store.forget(None, conversation_id="c", turn_id=f"t{name}")
            gone.append(name)
            assert _holding(tmp_path, *gone) == set()
        assert _holding(tmp_path, *left) == set(left)
    with closing(sqlite3.connect(tmp_path / "c")) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_many_turns_at_once(store: SQLiteConversationStore, tmp_path: Path) -> None:
    turns = [turn(f"t{number}", content=f"Canary{number} flies") for number in range(700)]
    store.create(ConversationHead(id="c"), turns)
    store.create(ConversationHead(id="d"), [turn("x", content="Sparrow flies")])
    assert store.lexical_scope(None, []).turns == 701
    assert len(store.forget(None, conversation_id="c")) == 700
    assert _holding(tmp_path, "Canary") == set()
    scope = store.lexical_scope(None, ["fli"])
    assert (scope.turns, scope.stems, len(scope.matches)) == (1, 2, 1)


def test_words_indexed_by_another_stemmer_go_too(store: SQLiteConversationStore, tmp_path: Path) -> None:
    store.create(ConversationHead(id="c"), [turn("a", content="one two")])
    store.lexical_scope(None, [])
    with closing(sqlite3.connect(tmp_path / "c", isolation_level=None)) as other:
        other.execute("UPDATE postings SET word = word + 1")
    store.forget(None, conversation_id="c", turn_id="a")
    with closing(sqlite3.connect(tmp_path / "c")) as other:
        assert other.execute("SELECT count(*) FROM postings").fetchone() == (0,)


def test_two_at_once_each_end_their_own_work(tmp_path: Path) -> None:
    """One deletes while the other, who has cleaned the files, is about to note that."""
    stores = [SQLiteConversationStore(tmp_path / "c") for _ in range(2)]
    stores[0].create(ConversationHead(id="c"), [turn("a", content="Canary"), turn("b", content="Sparrow")])
    deleted, noted = threading.Event(), threading.Event()
    later = threading.Thread(target=stores[1].forget, args=(None,), kwargs={"conversation_id": "c", "turn_id": "b"})

    def first_sees(statement: str) -> None:
        if statement.startswith("UPDATE meta SET value = 0"):
            later.start()
            deleted.wait(30)

    def second_sees(statement: str) -> None:
        if statement.startswith("SELECT value FROM meta WHERE name = 'erasing'"):
            deleted.set()
            noted.wait(30)

    for store, sees in zip(stores, (first_sees, second_sees), strict=True):
        with store._connections.borrow() as connection:
            connection.set_trace_callback(sees)
    stores[0].forget(None, conversation_id="c", turn_id="a")
    noted.set()
    later.join(30)
    assert _holding(tmp_path, "Canary", "Sparrow") == set()
    for store in stores:
        store.close()


def test_a_turn_without_its_conversation(store: SQLiteConversationStore) -> None:
    with pytest.raises(InvalidArgumentError, match="conversation_id"):
        store.forget(None, turn_id="a")


def test_copies_in_unused_space_are_seen(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "x", isolation_level=None)
    connection.execute("CREATE TABLE t (a TEXT)")
    connection.execute("INSERT INTO t VALUES ('a')")
    connection.close()
    assert not has_leftovers(tmp_path / "x")
    data = bytearray((tmp_path / "x").read_bytes())
    data[4096 + 2000 : 4096 + 2006] = b"Canary"
    (tmp_path / "x").write_bytes(data)
    assert has_leftovers(tmp_path / "x")
