"""The file of the SQLite store: made, opened, of another version, not ours, damaged."""

from __future__ import annotations

import logging
import random
import sqlite3
import subprocess
import sys
import traceback
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ragtime.errors import InvalidArgumentError, RagtimeError, StorageError
from ragtime.records.conversation import ConversationHead, Feedback, Fork, StoredTurn
from ragtime.storage.conversations import SQLiteConversationStore
from ragtime.storage.conversations.sqlite.errors import storage_error
from ragtime.storage.conversations.sqlite.schema import MIGRATIONS, migrate
from ragtime.testing.store_conformance import turn

VERSION_1 = Path(__file__).with_name("version_1.sql")
START = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)


def _fill(path: Path) -> None:
    with SQLiteConversationStore(path) as store:
        store.create(ConversationHead(id="c", created_at=START), [turn("a"), turn("b", "a")])


def test_it_outlives_the_object(tmp_path: Path) -> None:
    _fill(tmp_path / "folder" / ":memory:")
    with SQLiteConversationStore(tmp_path / "folder" / ":memory:") as store:
        assert list(store.turns(None, "c")) == [turn("a"), turn("b", "a")]
        assert store.head(None, "c") == ConversationHead(id="c", created_at=START, tip="b")


def test_a_relative_path_means_the_folder_of_the_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SQLiteConversationStore("c") as store:
        monkeypatch.chdir("/")
        store.create(ConversationHead(id="c"))
        store._connections.pause()
        store._connections.resume()
        assert store.head(None, "c") is not None
    assert (tmp_path / "c").exists()


def test_an_empty_file_becomes_one(tmp_path: Path) -> None:
    (tmp_path / "c").touch()
    _fill(tmp_path / "c")


def test_wrong_arguments(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="durability"):
        SQLiteConversationStore(tmp_path / "c", durability="none")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="busy_seconds"):
        SQLiteConversationStore(tmp_path / "c", busy_seconds=float("nan"))
    assert not (tmp_path / "c").exists()


def test_a_file_of_version_1_opens(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "c")) as connection:
        connection.executescript(VERSION_1.read_text())
    with SQLiteConversationStore(tmp_path / "c") as store:
        assert store.users() == [None, "Ann"]
        rated = turn("b", "a", "New dogs").interaction.with_feedback(Feedback(id="r", stars=4, created_at=START))
        first, last = turn("a", content="Old cats"), turn("d", "b", "Not indexed cats")
        assert list(store.turns("Ann", "c")) == [first, StoredTurn(interaction=rated, parent_id="a"), last]
        assert list(store.turns("Ann", "f")) == [first, turn("x", "a", "Other cats")]
        head = {"user_id": "Ann", "created_at": START}
        assert store.conversations("Ann") == [
            ConversationHead(id="c", metadata={"a": 1}, tip="a", **head),
            ConversationHead(id="f", fork=Fork(conversation_id="c", turn_id="a"), tip="x", **head),
        ]
        assert [match.turn_id for match in store.lexical_scope("Ann", ["cat"]).matches] == ["a", "x", "d"]
        store.append("Ann", "c", [last, turn("e", "d")])
        assert [number for number, _, _ in store.changes("Ann")] == [1, 2, 3, 5, 6]


def test_a_new_file_is_of_the_version_that_is_frozen(tmp_path: Path) -> None:
    """Whoever changes the tables adds a migration, and a frozen file of the version before."""
    _fill(tmp_path / "c")
    with closing(sqlite3.connect(tmp_path / "c")) as new, closing(sqlite3.connect(tmp_path / "old")) as old:
        old.executescript(VERSION_1.read_text())
        tables = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
        assert new.execute(tables).fetchall() == old.execute(tables).fetchall()
        assert new.execute("PRAGMA user_version").fetchone() == (1,) == (len(MIGRATIONS),)


def test_migrations_run_in_order_and_once(tmp_path: Path) -> None:
    _fill(tmp_path / "c")
    later = [*MIGRATIONS, ["CREATE TABLE more (a)"], ["INSERT INTO more VALUES (1)"]]
    with closing(sqlite3.connect(tmp_path / "c", isolation_level=None)) as connection:
        for _ in range(2):
            migrate(connection, tmp_path / "c", later)
        assert connection.execute("SELECT a FROM more").fetchall() == [(1,)]
        with pytest.raises(sqlite3.OperationalError):
            migrate(connection, tmp_path / "c", [*later, ["CREATE TABLE other (a)", "CREATE TABLE more (a)"]])
        assert not connection.in_transaction
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)
        assert connection.execute("SELECT * FROM sqlite_master WHERE name = 'other'").fetchall() == []
    with pytest.raises(StorageError, match="newer ragtime"):
        SQLiteConversationStore(tmp_path / "c")


@pytest.mark.parametrize("kind", ["text", "short", "database", "wal", "named", "noise"])
def test_a_file_of_another_kind_is_refused_untouched(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if kind in ("database", "wal", "named"):
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute(f"PRAGMA journal_mode = {'wal' if kind == 'wal' else 'delete'}")
            connection.execute(f"PRAGMA application_id = {7 if kind == 'named' else 0}")
            connection.execute("CREATE TABLE turns (a)")
    else:
        noise = random.Random(1).randbytes(9000)  # noqa: S311 - a test
        path.write_bytes({"text": b"no database " * 500, "short": b"SQLite format 3\0", "noise": noise}[kind])
    before = path.read_bytes()
    with pytest.raises(StorageError, match=r"another program|no file of conversations"):
        SQLiteConversationStore(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="Is a directory"):
        SQLiteConversationStore(tmp_path)


def test_a_file_in_the_place_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(StorageError, match="cannot be"):
        SQLiteConversationStore(tmp_path / "x" / "c")


def test_a_damaged_file(tmp_path: Path) -> None:
    """Is told, not read wrongly, and left as it is; no error quotes a turn."""
    with SQLiteConversationStore(tmp_path / "c") as store:
        store.create(ConversationHead(id="c"), [turn(str(number), content="secret " * 200) for number in range(100)])
    data = bytearray((tmp_path / "c").read_bytes())
    for page in range(2, len(data) // 4096):
        data[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    (tmp_path / "c").write_bytes(data)
    with pytest.raises(StorageError, match="restore it from a backup") as raised:  # noqa: SIM117
        with SQLiteConversationStore(tmp_path / "c") as store:
            list(store.turns(None, "c"))
    assert "secret" not in str(raised.value)
    assert (tmp_path / "c").exists()


def test_a_damaged_turn(tmp_path: Path) -> None:
    _fill(tmp_path / "c")
    with closing(sqlite3.connect(tmp_path / "c", isolation_level=None)) as connection:
        connection.execute("""UPDATE turns SET body = '{"role": "secret"}' WHERE number = 2""")
    with SQLiteConversationStore(tmp_path / "c") as store:
        with pytest.raises(StorageError, match="Turn number 2") as raised:
            list(store.turns(None, "c"))
        assert "secret" not in str(raised.value) + repr(raised.value.__cause__)


def test_a_text_that_is_none(tmp_path: Path) -> None:
    """What cannot be decoded is quoted by the sqlite3 module; it must not stand in the traceback of our error."""
    _fill(tmp_path / "c")
    with closing(sqlite3.connect(tmp_path / "c", isolation_level=None)) as connection:
        connection.execute("UPDATE turns SET body = CAST(x'736563726574ff' AS TEXT) WHERE number = 2")
    with SQLiteConversationStore(tmp_path / "c") as store:
        with pytest.raises(StorageError, match="it is damaged") as raised:
            list(store.turns(None, "c"))
        assert "secret" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    ("damage", "act"),
    [
        ("DELETE FROM descriptions", lambda store: store.head(None, "c")),
        ("DELETE FROM descriptions", lambda store: store.update(None, "c", metadata={})),
        ("DELETE FROM meta WHERE name = 'erasing'", lambda store: store.forget(None)),
    ],
)
def test_a_missing_row(tmp_path: Path, damage: str, act) -> None:
    with SQLiteConversationStore(tmp_path / "c") as store:
        store.create(ConversationHead(id="c", created_at=START), [turn("a"), turn("b", "a")])
        with closing(sqlite3.connect(tmp_path / "c", isolation_level=None)) as connection:
            connection.execute(damage)
        with pytest.raises(StorageError, match="it is damaged"):
            act(store)


def test_damage_anywhere_is_told(tmp_path: Path) -> None:
    """By an error of ours, and soon: an index may name a turn that is not there."""
    with SQLiteConversationStore(tmp_path / "whole") as store:
        turns = [turn(str(number), content=f"secret {number} " * 50) for number in range(30)]
        store.create(ConversationHead(id="c", user_id="u"), turns)
        store.create(ConversationHead(id="f", user_id="u", fork=Fork(conversation_id="c", turn_id="20")))
        store.lexical_scope("u", ["secret"])
    whole = (tmp_path / "whole").read_bytes()
    rng = random.Random(5)  # noqa: S311 - a test
    told: list[str] = []
    for number in range(25):
        damaged, path = bytearray(whole), tmp_path / str(number)
        for _ in range(rng.choice([5, 50, 500])):
            damaged[rng.randrange(100, len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            with SQLiteConversationStore(path) as store:
                store.head("u", "c")
                for name in "cf":
                    list(store.turns("u", name))
                    store.turn("u", name, "3")
                store.append("u", "f", [turn("x", "20")])
                store.conversations("u")
                store.forget("u", conversation_id="c")
                store.forget("u")
        except RagtimeError as error:
            told += traceback.format_exception(error)
    assert told
    assert "secret" not in "".join(told)


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    """Permissions do not stop an administrator, so the error is one that SQLite raised elsewhere."""
    _fill(tmp_path / "c")
    with closing(sqlite3.connect(f"file:{tmp_path}/c?mode=ro", uri=True)) as connection:
        with pytest.raises(sqlite3.OperationalError) as raised:
            connection.execute("DELETE FROM turns")
        assert "make the file and its folder writable" in str(storage_error(tmp_path / "c", raised.value))
        with pytest.raises(sqlite3.ProgrammingError) as misused:
            connection.execute("SELECT ?", ("secret", 2))
        assert "secret" not in str(storage_error(tmp_path / "c", misused.value))


def test_a_file_that_is_replaced_while_it_is_open(tmp_path: Path) -> None:
    """Its ids have other hashes: what was stored under the old ones would never be found again."""
    with SQLiteConversationStore(tmp_path / "c") as store:
        store.create(ConversationHead(id="c"))
        for file in tmp_path.glob("c*"):
            file.unlink()
        store._connections.pause()  # as before a fork
        store._connections.resume()
        with pytest.raises(StorageError, match="deleted or replaced while the store was open"):
            store.create(ConversationHead(id="d"))


def test_long_turns_are_read_page_by_page(tmp_path: Path) -> None:
    with SQLiteConversationStore(tmp_path / "c") as store:
        long = [turn(str(number), content="x" * 3_000_000) for number in range(5)]
        store.create(ConversationHead(id="c"), long)
        store.create(ConversationHead(id="f", fork=Fork(conversation_id="c", turn_id="4")))
        assert [each.interaction.id for each in store.turns(None, "c")] == list("01234")
        assert [each[2].interaction.id for each in store.changes(None, after=1)] == list("1234")


def test_an_iteration_leaves_no_transaction_open(tmp_path: Path) -> None:
    """So that forget and checkpoints never wait for somebody who does not go on."""
    with SQLiteConversationStore(tmp_path / "c", busy_seconds=0.1) as store:
        store.create(ConversationHead(id="c"), [turn(str(number)) for number in range(1200)])
        begun = store.turns(None, "c")
        next(begun)
        store.forget(None, conversation_id="c", turn_id="1100")
        assert sum(1 for _ in begun) == 1198


def test_forget_and_failures_are_logged_without_content(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with SQLiteConversationStore(tmp_path / "c") as store:
        store.create(ConversationHead(id="c", user_id="Ann"), [turn("a", content="secret")])
        store.forget("Ann")
    assert "forget_conversations finished" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_million_turns_are_read_in_little_memory(tmp_path: Path) -> None:
    code = """
import pathlib, sys
from ragtime.records.conversation import ConversationHead, Interaction, StoredTurn
from ragtime.storage.conversations import SQLiteConversationStore
store = SQLiteConversationStore(sys.argv[1])
store.create(ConversationHead(id="c"))
for start in range(0, 1_000_000, 5_000):
    turns = [Interaction(id=str(number), role="user", content="x" * 200) for number in range(start, start + 5_000)]
    store.append(None, "c", [StoredTurn(interaction=each) for each in turns])
assert sum(1 for _ in store.turns(None, "c")) == 1_000_000
assert sum(1 for _ in store.changes(None)) == 1_000_000
# Not ru_maxrss: that begins with the memory of the process that started this one.
status = pathlib.Path("/proc/self/status").read_text()
print(int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) // 1024)
"""
    told = subprocess.run([sys.executable, "-c", code, tmp_path / "c"], check=True, capture_output=True, text=True)
    assert int(told.stdout) < 250  # MiB
