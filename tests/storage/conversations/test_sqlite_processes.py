"""The SQLite store among processes: killed, forked, many at once, one that reads for too long."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from ragtime.errors import StorageError
from ragtime.records.conversation import ConversationHead
from ragtime.storage.conversations import SQLiteConversationStore
from ragtime.testing.store_conformance import turn

_WRITER = """
import sys
from ragtime.errors import ConversationExistsError
from ragtime.records.conversation import ConversationHead, Interaction, StoredTurn
from ragtime.storage.conversations import SQLiteConversationStore
store = SQLiteConversationStore(sys.argv[1])
try:
    store.create(ConversationHead(id="c"))
except ConversationExistsError:
    pass
print("ready", flush=True)
number = 0
while True:
    name = f"{sys.argv[2]}-{number}"
    parent = f"{sys.argv[2]}-{number - 1}" if number else None
    interaction = Interaction(id=name, role="user", content=name)
    store.append(None, "c", [StoredTurn(interaction=interaction, parent_id=parent)])
    print(name, flush=True)
    number += 1
"""
_APPENDER = """
import sys, threading
from ragtime.errors import ConversationExistsError
from ragtime.records.conversation import ConversationHead, Interaction, StoredTurn
from ragtime.storage.conversations import SQLiteConversationStore
sys.stdin.readline()
store = SQLiteConversationStore(sys.argv[1])
try:
    store.create(ConversationHead(id="c"))
except ConversationExistsError:
    pass
def write(thread):
    for number in range(int(sys.argv[4])):
        interaction = Interaction(id=f"{sys.argv[2]}-{thread}-{number}", role="user", content="x")
        store.append(None, "c", [StoredTurn(interaction=interaction)])
threads = [threading.Thread(target=write, args=(thread,)) for thread in range(int(sys.argv[3]))]
for thread in threads: thread.start()
for thread in threads: thread.join()
store.close()
"""


def _start(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _names(store: SQLiteConversationStore) -> list[str]:
    return [each.interaction.id for each in store.turns(None, "c")]


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    rng = random.Random(7)  # noqa: S311 - a test
    acknowledged: list[str] = []
    for round_number in range(3):
        processes = [_start(_WRITER, tmp_path / "c", f"{round_number}-{each}") for each in range(4)]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.05, 0.3))
        for process in processes:
            process.send_signal(signal.SIGKILL)
        for process in processes:
            assert process.stdout is not None
            told = process.stdout.read()
            process.communicate()
            acknowledged += [line.rstrip() for line in told.splitlines(keepends=True) if line.endswith("\n")]
        with SQLiteConversationStore(tmp_path / "c") as store:
            found = Counter(_names(store))
            assert found.keys() >= set(acknowledged)
            assert set(found.values()) <= {1}
            scope = store.lexical_scope(None, [])
            assert scope.turns == len(found)
    assert len(acknowledged) > 12
    with closing(sqlite3.connect(tmp_path / "c")) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_processes_and_threads_append_to_a_fresh_file(tmp_path: Path) -> None:
    _append_at_once(tmp_path / "c", processes=4, threads=4, turns=25)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_many_processes_and_threads_append_to_a_fresh_file(tmp_path: Path) -> None:
    _append_at_once(tmp_path / "c", processes=8, threads=8, turns=1000)


def _append_at_once(path: Path, *, processes: int, threads: int, turns: int) -> None:
    started = [_start(_APPENDER, path, each, threads, turns) for each in range(processes)]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in started:
        process.communicate()
        assert process.returncode == 0
    with SQLiteConversationStore(path) as store:
        found = _names(store)
    names = {(p, t): [f"{p}-{t}-{n}" for n in range(turns)] for p in range(processes) for t in range(threads)}
    assert Counter(found) == Counter(name for each in names.values() for name in each)
    order = {name: place for place, name in enumerate(found)}
    for each in names.values():
        assert sorted(each, key=order.__getitem__) == each


def test_a_child_process_goes_on_with_the_store_and_so_does_its_parent(tmp_path: Path) -> None:
    store = SQLiteConversationStore(tmp_path / "c")
    store.create(ConversationHead(id="c"))
    done = threading.Event()

    def write() -> None:
        number = 0
        while not done.is_set():
            store.append(None, "c", [turn(f"parent-{number}")])
            number += 1

    writers = [threading.Thread(target=write) for _ in range(2)]
    reader = store.turns(None, "c")
    for writer in writers:
        writer.start()
    try:
        for child in range(5):
            process = multiprocessing.get_context("fork").Process(target=_child, args=(store, child))
            process.start()
            process.join(60)
            assert process.exitcode == 0
    finally:
        done.set()
        for writer in writers:
            writer.join()
    assert {f"child-{child}-{number}" for child in range(5) for number in range(10)} <= set(_names(store))
    list(reader)
    store.close()


def _child(store: SQLiteConversationStore, child: int) -> None:
    for number in range(10):
        store.append(None, "c", [turn(f"child-{child}-{number}")])
    store.lexical_scope(None, ["x"])
    store.close()
    os._exit(0)


def test_a_process_that_reads_keeps_forget_from_ending_but_not_silently(tmp_path: Path) -> None:
    store = SQLiteConversationStore(tmp_path / "c", busy_seconds=0.2)
    store.create(ConversationHead(id="c"), [turn("a", content="Canary flies"), turn("b", "a")])
    reader = sqlite3.connect(tmp_path / "c", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM turns").fetchone()
    with pytest.raises(StorageError, match="until another process has finished reading"):
        store.forget(None, conversation_id="c", turn_id="a")
    assert _names(store) == ["b"]
    assert _files_hold(tmp_path, b"Canary")
    with SQLiteConversationStore(tmp_path / "c", busy_seconds=0.2) as other:  # opens, although it cannot end the work
        assert _names(other) == ["b"]
    reader.execute("COMMIT")
    reader.close()
    assert store.forget("nobody") == []
    assert not _files_hold(tmp_path, b"Canary")
    store.close()


def test_opening_ends_what_forget_could_not(tmp_path: Path) -> None:
    store = SQLiteConversationStore(tmp_path / "c", busy_seconds=0.2)
    store.create(ConversationHead(id="c"), [turn("a", content="Canary flies")])
    reader = sqlite3.connect(tmp_path / "c", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM turns").fetchone()
    with pytest.raises(StorageError):
        store.forget(None)
    (tmp_path / "copy").mkdir()
    for file in tmp_path.glob("c*"):
        if file.is_file():
            shutil.copy(file, tmp_path / "copy" / file.name)
    reader.close()
    store.close()
    (tmp_path / "copy" / "c-shm").unlink()  # as after a crash of the machine
    SQLiteConversationStore(tmp_path / "copy" / "c").close()
    assert not _files_hold(tmp_path / "copy", b"Canary")


def test_a_writer_in_another_process_is_waited_for(tmp_path: Path) -> None:
    with SQLiteConversationStore(tmp_path / "c", busy_seconds=0.1) as store:
        store.create(ConversationHead(id="c"))
        other = sqlite3.connect(tmp_path / "c", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="locked it for too long"):
            store.append(None, "c", [turn("a")])
        assert _names(store) == []
        other.execute("ROLLBACK")
        other.close()
        store.append(None, "c", [turn("a")])


@pytest.mark.slow
@pytest.mark.parametrize(("durability", "least"), [("full", 50), ("normal", 0)])
def test_full_flushes_every_append(tmp_path: Path, durability: str, least: int) -> None:
    """Counts system calls with strace, which must be installed: ``apt-get install strace``."""
    code = """
import sys
from ragtime.records.conversation import ConversationHead, Interaction, StoredTurn
from ragtime.storage.conversations import SQLiteConversationStore
store = SQLiteConversationStore(sys.argv[1], durability=sys.argv[2])
store.create(ConversationHead(id="c"))
for number in range(50):
    open(f"{sys.argv[1]}.begin{number}", "w").close()
    store.append(None, "c", [StoredTurn(interaction=Interaction(role="user", content="x"))])
    open(f"{sys.argv[1]}.end{number}", "w").close()
import os; os._exit(0)
"""
    log = tmp_path / "log"
    command = ["strace", "-f", "-e", "trace=fdatasync,fsync,openat", "-o", log, sys.executable, "-c", code]
    subprocess.run([*command, tmp_path / "c", durability], check=True, capture_output=True)
    flushed = inside = 0
    for line in log.read_text().splitlines():
        if ".begin" in line:
            inside = 1
        elif ".end" in line:
            flushed += inside == 2
            inside = 0
        elif "sync(" in line and inside:
            inside = 2
    assert flushed == least


def _files_hold(folder: Path, needle: bytes) -> bool:
    """Look in a process of its own: closing a file here would take the locks of the store that has it open."""
    found = "any(sys.argv[2].encode() in file.read_bytes() for file in pathlib.Path(sys.argv[1]).iterdir())"
    code = f"import pathlib, sys; print({found})"
    done = subprocess.run(
        [sys.executable, "-c", code, folder, needle.decode()], capture_output=True, text=True, check=True
    )
    return done.stdout.strip() == "True"


def test_forget_ends_its_work_while_others_write(tmp_path: Path) -> None:
    store = SQLiteConversationStore(tmp_path / "c")
    store.create(ConversationHead(id="c"))
    writers = [_start(_WRITER, tmp_path / "c", each) for each in range(3)]
    try:
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
        for number in range(10):
            store.append(None, "c", [turn(f"t{number}", content=f"Canary{number}")])
            store.forget(None, conversation_id="c", turn_id=f"t{number}")
            assert not _files_hold(tmp_path, f"Canary{number}".encode())
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    store.close()
