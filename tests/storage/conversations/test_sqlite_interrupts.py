"""Ctrl-C may come between any two steps: nothing is done twice, and nobody waits for ever after."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ragtime.storage.conversations.sqlite.connections import Connections
from ragtime.storage.conversations.sqlite.writer import Writer


class _InterruptedConnection(sqlite3.Connection):
    """Commits, and is interrupted before it can tell, when there is something in ``interrupts``."""

    interrupts: list[BaseException]

    def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:  # type: ignore[override]
        cursor = super().execute(sql, *parameters)  # type: ignore[arg-type]
        if sql == "COMMIT" and self.interrupts:
            raise self.interrupts.pop()
        return cursor


class _InterruptedConnections(Connections):
    def _connect(self) -> sqlite3.Connection:
        made = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, factory=_InterruptedConnection)
        made.interrupts = self.interrupts = []
        return made


def test_what_was_committed_as_the_interrupt_came_is_not_done_again(tmp_path: Path) -> None:
    """Doing it again would fail, and tell those who wait that nothing was kept."""
    connections = _InterruptedConnections(tmp_path / "c", synchronous="NORMAL", busy_seconds=5, clock=time.monotonic)
    writer = Writer(connections)
    came: dict[str, object] = {}
    begun, go_on = threading.Event(), threading.Event()

    def first(_: sqlite3.Connection) -> None:
        begun.set()
        go_on.wait(30)

    def run(name: str) -> None:
        def work(connection: sqlite3.Connection) -> str:
            connection.interrupts[:] = [KeyboardInterrupt()]  # type: ignore[attr-defined]
            connection.execute("INSERT INTO users (hash, name) VALUES (?, ?)", (name.encode(), name))
            return name

        try:
            came[name] = writer.run(work)
        except KeyboardInterrupt:
            came[name] = "interrupted"

    leader = threading.Thread(target=writer.run, args=(first,))
    leader.start()
    begun.wait(30)
    threads = [threading.Thread(target=run, args=(name,)) for name in "abcdef"]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 30
    while len(writer._queue.waiting) < len(threads) and time.monotonic() < deadline:
        time.sleep(0.001)
    go_on.set()
    for thread in [leader, *threads]:
        thread.join(30)
    (led,) = (name for name, outcome in came.items() if outcome == "interrupted")
    assert came == {**{name: name for name in "abcdef"}, led: "interrupted"}
    with connections.borrow() as connection:
        assert connection.execute("SELECT name FROM users ORDER BY name").fetchall() == [(name,) for name in "abcdef"]
    connections.close()


_STORM = """
import faulthandler, random, signal, sys, threading, time
from ragtime.records.conversation import ConversationHead, Interaction, StoredTurn
from ragtime.storage.conversations import SQLiteConversationStore

faulthandler.dump_traceback_later(100, exit=True)
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a job in the background has not
store = SQLiteConversationStore(sys.argv[1])
store.create(ConversationHead(id="c"))
rng, main, stop = random.Random(3), threading.main_thread().ident, threading.Event()
acknowledged, errors, interrupts = [], [], 0

def append(name):
    store.append(None, "c", [StoredTurn(interaction=Interaction(id=name, role="user", content=name))])
    acknowledged.append(name)

def write(name):
    number = 0
    while not stop.is_set():
        number += 1
        try:
            append(f"{name}-{number}")
            store.create(ConversationHead(id=f"{name}-{number}"))
            store.forget(None, conversation_id=f"{name}-{number}")
        except Exception as error:
            errors.append(error)

def interrupt():
    while not stop.is_set():
        time.sleep(rng.uniform(0.0005, 0.005))
        signal.pthread_kill(main, signal.SIGINT)

def work():
    number = 0
    while interrupts < 400:
        number += 1
        append(f"main-{interrupts}-{number}")
        store.head(None, "c")

threads = [threading.Thread(target=write, args=(f"t{each}",)) for each in range(2)]
threads.append(threading.Thread(target=interrupt))
for thread in threads:
    thread.start()
while not stop.is_set():
    try:
        while interrupts < 400:
            try:
                work()
            except KeyboardInterrupt:
                interrupts += 1
        stop.set()
    except KeyboardInterrupt:
        interrupts += 1
signal.signal(signal.SIGINT, signal.SIG_IGN)
for thread in threads:
    thread.join()
assert not errors, errors[0]
found = [turn.interaction.id for turn in store.turns(None, "c")]
assert len(found) == len(set(found))
assert set(acknowledged) <= set(found)
store.close()
"""


@pytest.mark.timeout(120)
def test_after_a_storm_of_interrupts_others_have_failed_in_nothing_and_the_store_closes(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _STORM, tmp_path / "c"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
