"""Writing with SQLite: many in one transaction, and each for itself when it fails."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragtime.errors import ConversationNotFoundError, InvalidArgumentError, StorageError
from ragtime.records.conversation import ConversationHead, Interaction, StoredTurn
from ragtime.storage.conversations import SQLiteConversationStore
from ragtime.storage.conversations.sqlite.connections import Connections
from ragtime.storage.conversations.sqlite.writer import Writer
from ragtime.testing.store_conformance import turn


def _connections(path: Path) -> Connections:
    return Connections(path, synchronous="NORMAL", busy_seconds=5, clock=time.monotonic)


def _add(name: str):
    def work(connection: sqlite3.Connection) -> str:
        connection.execute("INSERT INTO users (hash, name) VALUES (?, ?)", (name.encode(), name))
        if name.startswith("wrong"):
            raise InvalidArgumentError(name)
        if name.startswith("broken"):
            connection.execute("INSERT INTO nowhere VALUES (1)")
        if name.startswith("fatal"):  # as SQLite does when the disk is full
            connection.execute("ROLLBACK")
            raise sqlite3.OperationalError("gone")
        return name

    return work


def _run_together(writer: Writer, connections: Connections, names: list[str]) -> dict[str, object]:
    """Let all of them wait behind one that is at work."""
    came: dict[str, object] = {}
    begun, go_on = threading.Event(), threading.Event()

    def first(_: sqlite3.Connection) -> None:
        begun.set()
        go_on.wait(30)

    def run(name: str) -> None:
        try:
            came[name] = writer.run(_add(name))
        except Exception as error:  # noqa: BLE001 - told by the test
            came[name] = error

    leader = threading.Thread(target=writer.run, args=(first,))
    leader.start()
    begun.wait(30)
    threads = [threading.Thread(target=run, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 30
    while len(writer._queue.waiting) < len(names) and time.monotonic() < deadline:
        time.sleep(0.001)
    go_on.set()
    for thread in [leader, *threads]:
        thread.join()
    with connections.borrow() as connection:
        assert not connection.in_transaction
        came["stored"] = {row[0] for row in connection.execute("SELECT name FROM users")}
    return came


def test_those_who_wait_share_a_transaction(tmp_path: Path) -> None:
    connections = _connections(tmp_path / "c")
    writer = Writer(connections)
    names = [f"n{number}" for number in range(40)]
    came = _run_together(writer, connections, names)
    assert came == {**{name: name for name in names}, "stored": set(names)}
    assert writer.commits == 2
    connections.close()


@pytest.mark.parametrize("wrong", ["wrong", "broken", "fatal"])
def test_one_that_fails_fails_alone(tmp_path: Path, wrong: str) -> None:
    connections = _connections(tmp_path / "c")
    came = _run_together(Writer(connections), connections, ["a", "b", f"{wrong}1", "c", f"{wrong}2", "d"])
    assert came["stored"] == {"a", "b", "c", "d"}
    expected = InvalidArgumentError if wrong == "wrong" else StorageError
    assert isinstance(came[f"{wrong}1"], expected)
    assert isinstance(came[f"{wrong}2"], expected)
    assert [came[name] for name in "abcd"] == ["a", "b", "c", "d"]
    connections.close()


def test_a_statement_that_fails_in_a_group_fails_alone(tmp_path: Path) -> None:
    """It has no savepoint, so all of the transaction is undone, and each of the others is done by itself, once."""
    with SQLiteConversationStore(tmp_path / "c") as store:
        store.create(ConversationHead(id="c"))
        begun, go_on = threading.Event(), threading.Event()
        came: dict[str, object] = {}

        def first(connection: sqlite3.Connection) -> None:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 100_000)
            begun.set()
            go_on.wait(30)

        def append(name: str) -> None:
            try:
                store.append(None, "c", [turn(name, content="x" * (200_000 if name == "long" else 10))])
            except StorageError as error:
                came[name] = error

        leader = threading.Thread(target=store._writer.run, args=(first,))
        leader.start()
        begun.wait(30)
        threads = [threading.Thread(target=append, args=(name,)) for name in ("a", "b", "long", "d")]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 30
        while len(store._writer._queue.waiting) < len(threads) and time.monotonic() < deadline:
            time.sleep(0.001)
        go_on.set()
        for thread in [leader, *threads]:
            thread.join(30)
        assert list(came) == ["long"]
        assert Counter(one.interaction.id for one in store.turns(None, "c")) == Counter("abd")


def test_many_writers_commit_together(tmp_path: Path) -> None:
    with SQLiteConversationStore(tmp_path / "c", durability="full") as store:
        for number in range(64):
            store.create(ConversationHead(id=str(number)))
        before = store._writer.commits

        def write(number: int) -> None:
            for each in range(10):
                store.append(None, str(number), [turn(str(each))])

        threads = [threading.Thread(target=write, args=(number,)) for number in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store._writer.commits - before < 320
        assert sum(1 for _ in store.changes(None)) == 640


def test_among_many_appends_just_the_wrong_ones_fail(tmp_path: Path) -> None:
    with SQLiteConversationStore(tmp_path / "c") as store:
        store.create(ConversationHead(id="c"), [turn("first")])
        wrong = [
            ("nowhere", turn("t")),
            ("c", turn("orphan", "nobody")),
            ("c", StoredTurn(Interaction(id="first", role="user", content="Another"))),
        ]
        came: list[Exception] = []

        def write(number: int) -> None:
            for each in range(20):
                store.append(None, "c", [turn(f"{number}-{each}", "first")])
                store.append(None, "c", [turn("first")])  # which is there
                for conversation, bad in wrong:
                    try:
                        store.append(None, conversation, [bad])
                    except (InvalidArgumentError, ConversationNotFoundError) as error:
                        came.append(error)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stored = {(one.interaction.id, one.parent_id) for one in store.turns(None, "c")}
    assert stored == {("first", None), *((f"{n}-{each}", "first") for n in range(8) for each in range(20))}
    texts = Counter(str(error).split(";")[0] for error in came)
    assert sorted(texts.values()) == [160, 160, 160]


@pytest.mark.parametrize(("durability", "synchronous"), [("normal", 1), ("full", 2)])
def test_every_connection_is_as_durable_as_told(tmp_path: Path, durability, synchronous: int) -> None:
    with SQLiteConversationStore(tmp_path / "c", durability=durability) as store:
        borrowed = [store._connections.borrow() for _ in range(3)]
        for each in borrowed:
            connection = each.__enter__()
            assert connection.execute("PRAGMA synchronous").fetchone() == (synchronous,)
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert connection.execute("PRAGMA secure_delete").fetchone() == (1,)
        for each in borrowed:
            each.__exit__(None, None, None)


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    """The process may not make larger files for a while, which is what a full disk does to SQLite."""
    code = """
import resource, signal, sys
from ragtime.errors import StorageError
from ragtime.records.conversation import ConversationHead, Interaction, StoredTurn
from ragtime.storage.conversations import SQLiteConversationStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = SQLiteConversationStore(sys.argv[1])
def turns(start, size):
    made = [Interaction(id=str(number), role="user", content="x" * size) for number in range(start, start + 20)]
    return [StoredTurn(interaction=each) for each in made]
store.create(ConversationHead(id="c"), turns(0, 10))
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
for attempt in range(3):
    try:
        store.append(None, "c", turns(20, 100_000))
    except StorageError as error:
        assert "nothing of this call was kept" in str(error), error
    else:
        raise AssertionError
assert sum(1 for _ in store.turns(None, "c")) == 20
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.append(None, "c", turns(20, 100_000))
assert sum(1 for _ in store.turns(None, "c")) == 40
"""
    subprocess.run([sys.executable, "-c", code, tmp_path / "c"], check=True)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let SIGINT interrupt, as at a terminal; it does not in a job in the background."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_of_the_one_who_writes_leaves_the_others_going(tmp_path: Path) -> None:
    connections = _connections(tmp_path / "c")
    writer = Writer(connections)
    came: list[str] = []

    def interrupted(_: sqlite3.Connection) -> None:
        follower.start()
        deadline = time.monotonic() + 30
        while not writer._queue.waiting and time.monotonic() < deadline:
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(30)

    follower = threading.Thread(target=lambda: came.append(writer.run(_add("a"))))
    with pytest.raises(KeyboardInterrupt):
        writer.run(interrupted)
    follower.join(30)
    assert came == ["a"]
    assert writer.run(_add("b")) == "b"
    connections.close()


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_of_one_who_waits(tmp_path: Path) -> None:
    connections = _connections(tmp_path / "c")
    writer = Writer(connections)
    begun, go_on = threading.Event(), threading.Event()

    def slow(_: sqlite3.Connection) -> None:
        begun.set()
        go_on.wait(30)

    def interrupt() -> None:
        deadline = time.monotonic() + 30
        while not writer._queue.waiting and time.monotonic() < deadline:
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)

    leader, helper = threading.Thread(target=writer.run, args=(slow,)), threading.Thread(target=interrupt)
    leader.start()
    begun.wait(30)
    helper.start()
    with pytest.raises(KeyboardInterrupt):
        writer.run(_add("never"))
    go_on.set()
    leader.join(30)
    helper.join(30)
    assert writer.run(_add("b")) == "b"
    with connections.borrow() as connection:
        assert connection.execute("SELECT name FROM users").fetchall() == [("b",)]
    connections.close()
