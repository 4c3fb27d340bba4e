"""What mining costs and which hidden positives it lets in, beside ``sentence_transformers.util.mine_hard_negatives``.

Embeddings are given to both. Each measurement is a process of its own, for peak memory can only be read once.
Queries lie near their own passages, as those of a trained model do: with vectors at random, no margin leaves anything.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from ragtime.protocols import TextEncoder
from ragtime.services.training_data_gen.mining import MiningOptions, MiningTask, mine_negatives
from ragtime.utils.hashing import keyed_order
from ragtime.utils.retrieval_sets import load_retrieval_set

Who = Literal["ragtime", "sentence-transformers"]
Vectors = npt.NDArray[np.float32]

DIMENSION = 384
OPTIONS: Mapping[str, Any] = {"num_negatives": 3, "range_min": 10, "range_max": 100, "relative_margin": 0.05}
"""What both are asked for."""

HIDINGS = (384, 1, 2, 3)
"""Seeds of what is hidden; on the first one the defaults were chosen, the others confirm them."""

_NOISE = 0.9  # of a query, beside its passage: a cosine of 0.74
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Cost:
    """What one run took.

    Attributes:
        seconds: Wall-clock time.
        mebibytes: Peak memory above that of the process with its vectors, before the run.
        negatives: How many negatives came out.
    """

    seconds: float
    mebibytes: float
    negatives: int


def mining_cost(who: Who, queries: int, passages: int) -> Cost:
    """Measure one run in a process of its own, after a small one that loads what is loaded late.

    Args:
        who: Whose miner.
        queries: How many queries.
        passages: How many passages.

    Returns:
        What it took.
    """
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.mining_measures", who, str(queries), str(passages)],
        cwd=Path(__file__).resolve().parents[2],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def differing_negatives(queries: int, passages: int) -> int:
    """Count the negatives that one finds and the other does not, but for scores that differ by rounding alone.

    Args:
        queries: How many queries.
        passages: How many passages.

    Returns:
        Places in the lists of negatives at which the scores differ by more than 1e-6.
    """
    asked, corpus = _vectors(queries, passages)
    differing = 0
    found = [_run(who, asked, corpus) for who in get_args(Who)]
    for query, ours, theirs in zip(asked, *found, strict=True):
        for one, other in zip_longest(ours, theirs):
            missing = one is None or other is None
            differing += missing or abs(float((corpus[one] - corpus[other]) @ query)) > _TOLERANCE
    return differing


def _vectors(queries: int, passages: int) -> tuple[Vectors, Vectors]:
    rng = np.random.default_rng(DIMENSION)
    corpus = _normalized(rng.standard_normal((passages, DIMENSION), dtype=np.float32))
    noise = _normalized(rng.standard_normal((queries, DIMENSION), dtype=np.float32))
    return _normalized(corpus[np.arange(queries) % passages] + np.float32(_NOISE) * noise), corpus


def _normalized(vectors: Vectors) -> Vectors:
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def _run(who: Who, queries: Vectors, corpus: Vectors) -> list[list[int]]:
    positives = [[number % len(corpus)] for number in range(len(queries))]
    if who == "sentence-transformers":
        return their_negatives(queries, corpus, positives, OPTIONS)
    mined = mine_negatives(MiningTask(queries=queries, corpus=corpus, positives=positives), MiningOptions(**OPTIONS))
    return [[one.position for one in mined.of(query)] for query in range(len(queries))]


def their_negatives(
    queries: Vectors, corpus: Vectors, positives: Sequence[Sequence[int]], options: Mapping[str, Any]
) -> list[list[int]]:
    """Mine with sentence-transformers.

    Args:
        queries: float32 of shape ``[q, dimension]``.
        corpus: float32 of shape ``[n, dimension]``.
        positives: For each query the positions of its positives.
        options: Its options.

    Returns:
        For each query the positions of its negatives.
    """
    from datasets import Dataset
    from sentence_transformers.util import dot_score, mine_hard_negatives, pairwise_dot_score

    class Given:
        device = "cpu"
        similarity = staticmethod(dot_score)
        similarity_pairwise = staticmethod(pairwise_dot_score)

        def encode_query(self, texts: list[str], **_: Any) -> Vectors:
            return queries if len(texts) == len(queries) else queries[[int(text) for text in texts]]

        def encode_document(self, texts: list[str], **_: Any) -> Vectors:
            return corpus if len(texts) == len(corpus) else corpus[[int(text) for text in texts]]

    pairs = [(str(query), str(one)) for query, some in enumerate(positives) for one in some]
    mined = mine_hard_negatives(
        Dataset.from_dict({"query": [query for query, _ in pairs], "passage": [passage for _, passage in pairs]}),
        Given(),
        corpus=[str(number) for number in range(len(corpus))],
        output_format="labeled-list",
        output_scores=True,
        verbose=False,
        **options,
    )
    found: list[list[int]] = [[] for _ in positives]
    for query, passages in zip(mined["query"], mined["passage"], strict=True):
        found[int(query)] = [int(passage) for passage in passages[1:]]
    return found


# --- which hidden positives become negatives ------------------------------------------------------------------------


@dataclass(frozen=True)
class LetIn:
    """Negatives that are positives in truth.

    Attributes:
        negatives: Negatives in all.
        hidden: How many of them are hidden positives.
        full: Share of the queries with as many negatives as were asked for.
    """

    negatives: int
    hidden: int
    full: float


def hidden_positives(
    folder: Path, encoder: TextEncoder, *, seed: int = HIDINGS[0], num_negatives: int = 3
) -> dict[str, LetIn]:
    """Hide half of the judged passages of every query that has at least two, mine, and count them among the negatives.

    Args:
        folder: A judged retrieval set, ``conversations-mtrag``.
        encoder: Embeds queries and passages.
        seed: Seed of what is hidden.
        num_negatives: How many negatives to mine for each query.

    Returns:
        What ragtime lets in with its defaults, and what sentence-transformers lets in with its own and with a relative
        margin of 0.05; and all once more, each query cut to the negatives that all of them have.
    """
    judged = load_retrieval_set(folder)
    places = {key: place for place, key in enumerate(judged.corpus)}
    kept, hidden, texts = [], [], []
    for key, text in judged.queries.items():
        relevant = [one for one, grade in judged.judgements[key].items() if grade > 0]
        if len(relevant) < 2:
            continue
        shuffled = [places[one] for one in keyed_order(relevant, seed, "hide", key, key=str)]
        hidden.append(set(shuffled[: len(shuffled) // 2]))
        kept.append(shuffled[len(shuffled) // 2 :])
        texts.append(text)
    queries = encoder.encode(texts, role="query")
    corpus = encoder.encode([page.content for page in judged.corpus.values()])
    mined = mine_negatives(
        MiningTask(queries=queries, corpus=corpus, positives=kept), MiningOptions(num_negatives=num_negatives)
    )
    asked = {"num_negatives": num_negatives}
    found = {
        "ragtime": [[one.position for one in mined.of(query)] for query in range(len(texts))],
        "sentence-transformers": their_negatives(queries, corpus, kept, asked),
        "sentence-transformers, relative_margin=0.05": their_negatives(
            queries, corpus, kept, {**asked, "relative_margin": 0.05}
        ),
    }
    common = [min(map(len, some)) for some in zip(*found.values(), strict=True)]
    figures = {name: _count(some, hidden, num_negatives) for name, some in found.items()}
    for name, some in found.items():
        cut = [negatives[:most] for negatives, most in zip(some, common, strict=True)]
        figures[f"{name}, equal yield"] = _count(cut, hidden, num_negatives)
    return figures


def _count(found: list[list[int]], hidden: list[set[int]], wanted: int) -> LetIn:
    let_in = sum(len(secret.intersection(some)) for some, secret in zip(found, hidden, strict=True))
    full = sum(len(some) >= wanted for some in found) / len(found)
    return LetIn(sum(map(len, found)), let_in, full)


def _peak_kibibytes() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def main() -> None:
    """Measure one run, and print what it took; called by :func:`mining_cost`."""
    who: Any = sys.argv[1]
    _run(who, *_vectors(64, 512))
    queries, corpus = _vectors(*map(int, sys.argv[2:4]))
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
    before, start = _peak_kibibytes(), time.perf_counter()
    found = _run(who, queries, corpus)
    seconds = time.perf_counter() - start
    mebibytes = (_peak_kibibytes() - before) / 1024
    print(json.dumps({"seconds": seconds, "mebibytes": mebibytes, "negatives": sum(map(len, found))}))


if __name__ == "__main__":
    main()
