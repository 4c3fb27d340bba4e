"""Looking into the file must not take the locks that SQLite holds on it: see ``sqlite/descriptors.py``."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ragtime.records import ConversationHead
from ragtime.storage.conversations import SQLiteConversationStore
from ragtime.testing.store_conformance import turn

_READ = """
import sys
from ragtime.storage.conversations import SQLiteConversationStore
with SQLiteConversationStore(sys.argv[1]) as store:
    print(*[turn.interaction.id for turn in store.turns(None, "c")])
"""


def _seen_by_another_process(path: Path) -> list[str]:
    """Read in a process that closes the store, and so removes the log where it believes itself alone."""
    done = subprocess.run([sys.executable, "-c", _READ, path], capture_output=True, text=True, check=True)
    return done.stdout.split()


def _forget(store: SQLiteConversationStore, _: Path) -> None:
    store.forget(None, conversation_id="c", turn_id="x")


def _connect_twice(store: SQLiteConversationStore, _: Path) -> None:
    barrier = threading.Barrier(4)

    def read() -> None:
        barrier.wait()
        for _ in range(20):
            list(store.turns(None, "c"))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _open_a_second_store(_: SQLiteConversationStore, path: Path) -> None:
    SQLiteConversationStore(path).close()


@pytest.mark.parametrize("act", [_forget, _connect_twice, _open_a_second_store])
def test_what_is_acknowledged_after_a_look_into_the_file_is_not_lost(tmp_path: Path, act) -> None:
    path = tmp_path / "c"
    store = SQLiteConversationStore(path)
    store.create(ConversationHead(id="c"), [turn("a"), turn("x")])
    act(store, path)
    _seen_by_another_process(path)
    assert (tmp_path / "c-wal").exists()  # it was not alone
    store.append(None, "c", [turn("acknowledged")])
    assert _seen_by_another_process(path)[-1] == "acknowledged"
    store.close()
