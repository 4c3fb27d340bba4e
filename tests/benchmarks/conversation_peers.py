"""What conversations are measured with and beside: turns of plain words, and how others keep and find them.

A peer does as little as the same promise asks for: nothing in front of it, its own defaults but for the durability,
which is set alike for all in one case. Peers that cannot keep a promise say so where they are named.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import json
import os
import random
import sqlite3
import threading
import time
import uuid
import warnings
import zlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ragtime.records.conversation import ConversationHead, Interaction, StoredTurn
from ragtime.storage.conversations import SQLiteConversationStore
from ragtime.utils.standard_library import standard_library_documents
from ragtime.utils.stems import STOP_WORDS

os.environ |= {  # read by the peers when they are imported, which is later: nothing goes out
    "LANGCHAIN_TRACING_V2": "false",
    "LANGSMITH_TRACING": "false",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
}

Durability = Literal["normal", "full"]
Vectors = npt.NDArray[np.float32]

DIMENSION = 384
CANDIDATES = 100  # of words and of vectors, as many as ragtime looks at
_WORDS_OF_A_TURN, _WORDS_OF_A_QUERY = 30, 8
_BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
_DISTINCT = 4096


# --- what is said ---------------------------------------------------------------------------------------------------


@functools.cache
def _words() -> list[str]:
    documents = standard_library_documents(2000, per_module=40)
    return " ".join(document.content for document in documents).split()


@functools.lru_cache(maxsize=4)
def turn_texts(count: int) -> list[str]:
    """Return passages of 30 words from the documentation of the standard library, the same ones each time."""
    words, draw = _words(), random.Random(1)  # noqa: S311 - the same each time
    starts = (draw.randrange(len(words) - _WORDS_OF_A_TURN) for _ in range(count))
    return [" ".join(words[start : start + _WORDS_OF_A_TURN]) for start in starts]


def queries(count: int) -> list[str]:
    """Return passages of 8 words."""
    words, draw = _words(), random.Random(2)  # noqa: S311 - the same each time
    starts = (draw.randrange(len(words) - _WORDS_OF_A_QUERY) for _ in range(count))
    return [" ".join(words[start : start + _WORDS_OF_A_QUERY]) for start in starts]


def role_of(number: int) -> Literal["user", "assistant"]:
    """Return who says the turn of this number."""
    return "assistant" if number % 2 else "user"


@functools.lru_cache(maxsize=4)
def turns(count: int) -> list[Interaction]:
    """Return turns, a minute apart."""
    return [
        Interaction(
            id=f"{number:08}", role=role_of(number), content=text, created_at=_BEGIN + timedelta(minutes=number)
        )
        for number, text in enumerate(turn_texts(count))
    ]


# --- vectors that cost nothing --------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=4)
def random_vectors(count: int, seed: int) -> Vectors:
    """Return random vectors of unit length."""
    made = np.random.default_rng(seed).standard_normal((count, DIMENSION), dtype=np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made


class FreeEncoder:
    """Gives one of some random vectors by a checksum of the text: the time of a model is in no row but its own."""

    dimension = DIMENSION

    def encode(self, texts: Sequence[str], *, role: str = "passage") -> Vectors:
        """Look up vectors; see ``ragtime.protocols.TextEncoder``."""
        del role
        return random_vectors(_DISTINCT, 3)[[zlib.crc32(text.encode()) % _DISTINCT for text in texts]]

    def fingerprint(self, role: str) -> str:
        """Name the vectors of a role."""
        return f"free {role}"


# --- appending one by one -------------------------------------------------------------------------------------------


_RAW_TABLES = """
CREATE TABLE turns (
    number INTEGER PRIMARY KEY, conversation INTEGER NOT NULL, parent INTEGER, hash BLOB NOT NULL,
    id TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (conversation, hash)
);
CREATE INDEX turns_by_conversation ON turns (conversation);
"""  # as in ragtime.storage.conversations.sqlite.schema
_REST = {
    name: value
    for name, value in Interaction(role="user", content="-").model_dump(mode="json").items()
    if name not in {"id", "role", "content", "created_at"}
}
_RAW_INSERT = "INSERT INTO turns (conversation, parent, hash, id, body) VALUES (?, ?, ?, ?, ?)"


def stored_turns(count: int, prefix: str = "") -> list[StoredTurn]:
    """Return turns ready for a store, each after the one before, with ids as long as UUIDs."""
    made: list[StoredTurn] = []
    for number, turn in enumerate(turns(count)):
        turn_id = f"{prefix}{number:0{36 - len(prefix)}}"
        parent = made[-1].interaction.id if made else None
        made.append(StoredTurn(interaction=turn.model_copy(update={"id": turn_id}), parent_id=parent))
    return made


def _raw_rows(stored: Sequence[StoredTurn], conversation: int = 1) -> list[tuple[Any, ...]]:
    draw = random.Random(conversation)  # noqa: S311 - the same each time
    return [
        (conversation, number or None, draw.randbytes(16), turn.interaction.id, turn.interaction.model_dump_json())
        for number, turn in enumerate(stored)
    ]


def _raw(path: Path, durability: Durability) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=60, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {durability}")
    return connection


def append_raw(folder: Path, count: int, durability: Durability) -> float:
    """Insert and commit rows that are ready, as many and as large as those of ragtime; returns seconds."""
    rows = _raw_rows(stored_turns(count))
    connection = _raw(folder / "raw.sqlite", durability)
    connection.executescript(_RAW_TABLES)
    start = time.perf_counter()
    for row in rows:
        connection.execute(_RAW_INSERT, row)
        connection.commit()
    seconds = time.perf_counter() - start
    connection.close()
    return seconds


def append_raw_said(folder: Path, count: int, durability: Durability) -> float:
    """Make rows of what is said, with an id and the time, and insert and commit each; returns seconds."""
    texts = turn_texts(count)
    connection = _raw(folder / "raw.sqlite", durability)
    connection.executescript(_RAW_TABLES)
    parent = None
    start = time.perf_counter()
    for number, text in enumerate(texts):
        turn_id = str(uuid.uuid4())
        said = {"id": turn_id, "role": role_of(number), "content": text, "created_at": datetime.now(UTC).isoformat()}
        body = json.dumps({**said, **_REST})
        row = (1, parent, hashlib.blake2b(turn_id.encode(), digest_size=16).digest(), turn_id, body)
        parent = connection.execute(_RAW_INSERT, row).lastrowid
        connection.commit()
    seconds = time.perf_counter() - start
    connection.close()
    return seconds


def append_to_store(folder: Path, count: int, durability: Durability) -> float:
    """Append to ragtime's store turns that are ready; returns seconds."""
    stored = stored_turns(count)
    with SQLiteConversationStore(folder / "store.sqlite", durability=durability) as store:
        store.create(ConversationHead(id="c"))
        start = time.perf_counter()
        for turn in stored:
            store.append(None, "c", [turn])
        return time.perf_counter() - start


def append_openai_agents(folder: Path, count: int, durability: Durability) -> float:
    """Append to a session of openai-agents on a file; returns seconds."""
    return asyncio.run(_append_openai_agents(folder, count, durability))


async def _append_openai_agents(folder: Path, count: int, durability: Durability) -> float:
    session = openai_agents_session(folder / "agents.sqlite", "c", durability)
    items = [{"role": role_of(number), "content": text} for number, text in enumerate(turn_texts(count))]
    start = time.perf_counter()
    for item in items:
        await session.add_items([item])
    seconds = time.perf_counter() - start
    session.close()
    return seconds


def openai_agents_session(path: Path, name: str, durability: Durability) -> Any:
    """Open a session; WAL is its own choice, FULL what SQLite does when nobody says otherwise."""
    from agents.memory import SQLiteSession

    class Session(SQLiteSession):
        @staticmethod
        def _configure_connection(conn: sqlite3.Connection) -> None:
            SQLiteSession._configure_connection(conn)  # there is no other way to set the durability
            conn.execute(f"PRAGMA synchronous = {durability}")

    return Session(name, path)


def append_llama_index(folder: Path, count: int, durability: Durability) -> float:
    """Append to a memory of llama-index on a file by SQLAlchemy, in WAL as the others; returns seconds."""
    return asyncio.run(_append_llama_index(folder, count, durability))


async def _append_llama_index(folder: Path, count: int, durability: Durability) -> float:
    from llama_index.core.llms import ChatMessage
    from llama_index.core.memory import Memory
    from sqlalchemy import event
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(f"sqlite+aiosqlite:///{folder / 'llama.sqlite'}")

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, _: object) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {durability}")

    memory = Memory.from_defaults(session_id="c", async_engine=engine, token_limit=10**9, tokenizer_fn=str.split)
    messages = [ChatMessage(role=role_of(number), content=text) for number, text in enumerate(turn_texts(count))]
    await memory.aput(ChatMessage(role="user", content="The table is made by the first message."))
    start = time.perf_counter()
    for message in messages:
        await memory.aput(message)
    seconds = time.perf_counter() - start
    await engine.dispose()
    return seconds


def append_langchain(_: Path, count: int, __: Durability) -> float:
    """Append to a list in memory, the only history of langchain-core; returns seconds."""
    from langchain_core.chat_history import InMemoryChatMessageHistory
    from langchain_core.messages import AIMessage, HumanMessage

    with warnings.catch_warnings(action="ignore"):  # it is deprecated, and the only one there
        history = InMemoryChatMessageHistory()
    texts = turn_texts(count)
    start = time.perf_counter()
    for number, text in enumerate(texts):
        history.add_message(AIMessage(text) if number % 2 else HumanMessage(text))
    return time.perf_counter() - start


# --- many writers at once -------------------------------------------------------------------------------------------


def _together(works: Sequence[Callable[[], None]]) -> float:
    """Run each in a thread of its own, all from one moment on; returns seconds."""
    barrier, errors = threading.Barrier(len(works) + 1), []

    def run(work: Callable[[], None]) -> None:
        barrier.wait()
        try:
            work()
        except Exception as error:  # noqa: BLE001 - raised below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    barrier.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    if errors:
        raise errors[0]
    return seconds


def write_together_to_store(folder: Path, writers: int, each: int, *, grouped: bool) -> float:
    """Append to ragtime's store from many threads, each to a conversation of its own; returns seconds.

    Args:
        folder: For the file.
        writers: How many threads.
        each: Turns of each.
        grouped: Whether they come when they like, so that commits are shared, or take turns, a commit each.
    """
    turn_taking: contextlib.AbstractContextManager[object] = contextlib.nullcontext() if grouped else threading.Lock()
    with SQLiteConversationStore(folder / "store.sqlite", durability="full") as store:

        def work(name: str, stored: list[StoredTurn]) -> None:
            for turn in stored:
                with turn_taking:
                    store.append(None, name, [turn])

        works = []
        for number in range(writers):
            store.create(ConversationHead(id=str(number)))
            works.append(functools.partial(work, str(number), stored_turns(each, f"{number}-")))
        return _together(works)


def write_together_raw(folder: Path, writers: int, each: int, *, shared: bool) -> float:
    """Insert and commit from many threads; returns seconds.

    Args:
        folder: For the file.
        writers: How many threads.
        each: Rows of each.
        shared: Whether the threads take turns with one connection, or have one each and leave the waiting to SQLite.
    """
    path = folder / "raw.sqlite"
    first, lock = _raw(path, "full"), threading.Lock()
    first.executescript(_RAW_TABLES)

    def work(rows: list[tuple[Any, ...]]) -> None:
        if shared:
            for row in rows:
                with lock:
                    first.execute(_RAW_INSERT, row)
                    first.commit()
            return
        connection = _raw(path, "full")
        for row in rows:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(_RAW_INSERT, row)
            connection.commit()
        connection.close()

    rows = [_raw_rows(stored_turns(each, f"{number}-"), number) for number in range(writers)]
    seconds = _together([functools.partial(work, some) for some in rows])
    first.close()
    return seconds


def write_together_openai_agents(folder: Path, writers: int, each: int) -> float:
    """Append to many sessions of openai-agents on one file, from tasks, as its interface wants it; returns seconds."""

    async def run() -> float:
        sessions = [openai_agents_session(folder / "agents.sqlite", str(number), "full") for number in range(writers)]

        async def work(session: Any) -> None:
            for number, text in enumerate(turn_texts(each)):
                await session.add_items([{"role": role_of(number), "content": text}])

        start = time.perf_counter()
        await asyncio.gather(*map(work, sessions))
        seconds = time.perf_counter() - start
        for session in sessions:
            session.close()
        return seconds

    return asyncio.run(run())


# --- recall ---------------------------------------------------------------------------------------------------------


class PlainRecall:
    """The best 100 by numpy, the best 100 by FTS5, and the best by their reciprocal ranks."""

    def __init__(self, texts: Sequence[str], vectors: Vectors) -> None:
        """Index some texts, in memory."""
        self._vectors = vectors
        self._database = sqlite3.connect(":memory:")
        self._database.execute("CREATE VIRTUAL TABLE turns USING fts5 (content, tokenize = 'porter unicode61')")
        self._database.executemany("INSERT INTO turns VALUES (?)", ((text,) for text in texts))
        self._database.execute("INSERT INTO turns (turns) VALUES ('optimize')")

    @staticmethod
    def expression(query: str) -> str:
        """Return a query for FTS5: the words but for stop words, as ragtime searches them."""
        words = "".join(sign if sign.isalnum() else " " for sign in query.lower()).split()
        return " OR ".join(f'"{word}"' for word in dict.fromkeys(words) if word not in STOP_WORDS) or '"nothing"'

    def find(self, expression: str, vector: Vectors, k: int) -> list[int]:
        """Return the places of the best turns."""
        scores = self._vectors @ vector
        near = np.argpartition(scores, -CANDIDATES)[-CANDIDATES:]
        near = near[np.argsort(-scores[near])]
        found = self._database.execute(
            "SELECT rowid FROM turns WHERE turns MATCH ? ORDER BY rank LIMIT ?", (expression, CANDIDATES)
        )
        totals: dict[int, float] = {}
        for ranking in (near.tolist(), [row[0] - 1 for row in found]):
            for rank, place in enumerate(ranking, start=1):
                totals[place] = totals.get(place, 0.0) + 1 / (60 + rank)
        return sorted(totals, key=lambda place: -totals[place])[:k]


def langchain_store(texts: Sequence[str], vectors: Vectors) -> Any:
    """Fill the vector store of langchain-core."""
    from langchain_core.embeddings import Embeddings
    from langchain_core.vectorstores import InMemoryVectorStore

    class Given(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            assert len(texts) == len(vectors)
            return vectors.tolist()

        def embed_query(self, _: str) -> list[float]:
            raise AssertionError("queries come as vectors")

    store = InMemoryVectorStore(Given())
    store.add_texts(list(texts))
    return store
