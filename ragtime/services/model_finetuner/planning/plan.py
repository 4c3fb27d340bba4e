"""Which rows make up which batch, for all epochs, before the first step.

A plan is a function of the rows, the options and the seed, and of nothing else. The place of a run in it is one
number, the *cursor*: how many steps have been taken since the beginning. A run that goes on at a cursor gets the very
batches that it would have got, at once, whatever came before.

All batches but the last of an epoch have ``batch_size`` rows; every row comes once an epoch. Rows are shuffled and cut
into windows of ``window_batches`` batches, each window is sorted by length and cut into batches, and the batches are
shuffled. What a batch pads depends first on its forward passes (see ``plan_passes``), then on the windows. Measured on
6,817 pairs of queries (13 tokens on average) and passages (120 tokens, 22 to 256), 64 a batch: share of padding, with
the passes of a batch in parentheses, where *likeness* is the intraclass correlation of the ranks of the lengths.

    window_batches           1             4             16            64
    likeness                 0.00          0.93          1.00          1.00
    a pass a column          54 % (2)      28 % (2)      19 % (2)      17 % (2)
    pass_cost=64             6.1 % (12.6)  4.5 % (8.6)   3.7 % (7.0)   3.4 % (6.4)
    pass_cost=256            13 % (7.0)    9.9 % (4.6)   7.6 % (3.9)   7.8 % (3.3)
    pass_cost=1024           25 % (3.9)    20 % (2.4)    16 % (2.0)    14 % (2.0)

Even short windows make all rows of a batch about equally long, so that a query never meets a negative of another
length. So the default leaves batches random samples, and padding to the passes. Where a pass is dear beside its tokens,
as on a GPU with small batches, windows of 4 to 16 spare a third of the padding and of the passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.planning.rows import TrainingRows
from ragtime.utils.extras import LazyModule
from ragtime.utils.hashing import content_hash, keyed_seed

if TYPE_CHECKING:
    import numpy as np

    from ragtime.services.model_finetuner.planning.rows import Numbers
else:
    np = LazyModule("numpy")

__all__ = ["Batch", "BatchPlanner", "EpochPlan", "PlanOptions", "plan_epoch"]

_FORMAT = 1  # of the order; a change of it makes cursors of older runs mean other rows


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """How rows are put into batches.

    Attributes:
        batch_size: Rows of each batch, over all processes; the last batch of an epoch may have fewer.
        window_batches: Batches whose rows are sorted by length together; 1 leaves every batch a random sample.

    Raises:
        InvalidArgumentError: A value is no whole number from 1.
    """

    batch_size: int = 64
    window_batches: int = 1

    def __post_init__(self) -> None:
        for name in ("batch_size", "window_batches"):
            check_whole(name, getattr(self, name), 1)


def check_whole(name: str, value: int, least: int) -> None:
    """Raise InvalidArgumentError when a number is no int, or less than it may be."""
    if type(value) is not int or value < least:
        raise InvalidArgumentError(f"{name} must be a whole number from {least}, found {value!r}")


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The rows of one optimizer step.

    Attributes:
        cursor: Number of the step since the beginning of the run, from 0.
        epoch: Number of the epoch, from 0.
        step: Number of the step within the epoch, from 0.
        rows: Positions of the rows, int64; from short to long where a window is longer than a batch.
    """

    cursor: int
    epoch: int
    step: int
    rows: Numbers

    def share(self, rank: int, world_size: int) -> Numbers:
        """Return the rows of one process, about as many and as long as those of the others.

        Args:
            rank: Number of the process, from 0.
            world_size: How many processes there are.

        Returns:
            Positions of rows. All shares together are the batch; their sizes differ by one at most. In a last batch of
            fewer rows than processes some are empty: such a process takes part in the step without rows.

        Raises:
            InvalidArgumentError: There is no such process.
        """
        check_whole("world_size", world_size, 1)
        check_whole("rank", rank, 0)
        if rank >= world_size:
            raise InvalidArgumentError(f"rank must be under world_size={world_size}, found {rank}")
        return self.rows[rank::world_size]


@dataclass(frozen=True, slots=True, eq=False)
class EpochPlan:
    """The batches of one epoch.

    Attributes:
        order: Positions of all rows in the order of the batches, int64 of shape ``[rows]``, read-only.
        batch_size: Rows of each batch but the last.
    """

    order: Numbers
    batch_size: int

    def __len__(self) -> int:
        """Return the number of batches."""
        return (len(self.order) + self.batch_size - 1) // self.batch_size

    def __getitem__(self, step: int) -> Numbers:
        """Return the positions of the rows of batch `step`, from 0; IndexError after the last one."""
        if not 0 <= step < len(self):
            raise IndexError(f"There are {len(self)} batches, from 0; found {step}")
        return self.order[step * self.batch_size : (step + 1) * self.batch_size]


def plan_epoch(rows: TrainingRows, options: PlanOptions, *, seed: int, epoch: int) -> EpochPlan:
    """Put every row into exactly one batch.

    Args:
        rows: The rows.
        options: How to do it.
        seed: Seed of the run.
        epoch: Number of the epoch, from 0; each has another order.

    Returns:
        The batches; the same on every platform and with every version of numpy.

    Raises:
        InvalidArgumentError: The epoch is no whole number from 0.
    """
    check_whole("epoch", epoch, 0)
    return _plan(rows.tokens, options, seed, epoch)


def _plan(tokens: Numbers, options: PlanOptions, seed: int, epoch: int) -> EpochPlan:
    size = options.batch_size
    order = _shuffled(len(tokens), seed, "rows", epoch)
    # The rows of the short batch are taken before anything is sorted: otherwise it would always get the longest ones.
    whole = len(order) // size * size
    window = options.window_batches * size
    if options.window_batches > 1:
        for start in range(0, whole, window):
            some = order[start : min(start + window, whole)]
            order[start : start + len(some)] = some[np.argsort(tokens[some], kind="stable")]
    batches = order[:whole].reshape(-1, size)
    order[:whole] = batches[_shuffled(len(batches), seed, "batches", epoch)].reshape(-1)
    order.flags.writeable = False
    return EpochPlan(order, size)


def _shuffled(count: int, seed: int, purpose: str, epoch: int) -> Numbers:
    # The raw numbers of a bit generator are promised to stay as they are; what Generator makes of them is not.
    draws = np.random.Philox(key=keyed_seed(seed, "plan", purpose, epoch, bits=128)).random_raw(count)
    order: Numbers = np.argsort(draws, kind="stable").astype(np.int64, copy=False)
    return order


class BatchPlanner:
    """The batches of a whole run.

        >>> rows = TrainingRows.from_lengths([[4, 20], [5, 30], [6, 25]])
        >>> planner = BatchPlanner(rows, PlanOptions(batch_size=2), seed=7)
        >>> len(planner)
        2
        >>> [batch.cursor for batch in planner.batches(epochs=3, start=4)]
        [4, 5]

    Attributes:
        rows: The rows.
        options: How they are put into batches.
        seed: Seed of the run.
    """

    def __init__(self, rows: TrainingRows, options: PlanOptions | None = None, *, seed: int) -> None:
        """Plan the run.

        Args:
            rows: The rows.
            options: How they are put into batches; ``None`` means the defaults.
            seed: Seed of the run.

        Raises:
            InvalidArgumentError: The seed is no whole number.
        """
        if type(seed) is not int:
            raise InvalidArgumentError(f"seed must be a whole number, found {seed!r}")
        self.rows = rows
        self.options = options if options is not None else PlanOptions()
        self.seed = seed
        self._tokens = rows.tokens
        self._current: tuple[int, EpochPlan] | None = None

    def __len__(self) -> int:
        """Return the number of steps in an epoch, the same in each."""
        return (len(self.rows) + self.options.batch_size - 1) // self.options.batch_size

    @property
    def fingerprint(self) -> str:
        """A hash of all that the plan depends on; a cursor has a meaning only together with it."""
        options = {"batch_size": self.options.batch_size, "window_batches": self.options.window_batches}
        return content_hash({"format": _FORMAT, "rows": self.rows.fingerprint, "seed": self.seed, **options})

    def epoch(self, epoch: int) -> EpochPlan:
        """Return the batches of an epoch; the last one asked for is kept.

        Args:
            epoch: Its number, from 0.

        Returns:
            The batches.

        Raises:
            InvalidArgumentError: It is no whole number from 0.
        """
        check_whole("epoch", epoch, 0)
        if self._current is None or self._current[0] != epoch:
            self._current = epoch, _plan(self._tokens, self.options, self.seed, epoch)
        return self._current[1]

    def batch(self, cursor: int) -> Batch:
        """Return the batch of a step.

        Args:
            cursor: Number of the step since the beginning of the run, from 0.

        Returns:
            The batch.

        Raises:
            InvalidArgumentError: The cursor is no whole number from 0.
        """
        check_whole("cursor", cursor, 0)
        epoch, step = divmod(cursor, len(self))
        return Batch(cursor, epoch, step, self.epoch(epoch)[step])

    def batches(self, *, epochs: int, start: int = 0) -> Iterator[Batch]:
        """Give the batches that are left of a run.

        Args:
            epochs: Epochs of the whole run.
            start: The cursor: how many steps have been taken already.

        Returns:
            The batches, from that of step `start` to the last one of the last epoch; none when all have been taken.

        Raises:
            InvalidArgumentError: A number is out of its range.
        """
        check_whole("epochs", epochs, 0)
        check_whole("start", start, 0)
        return map(self.batch, range(start, epochs * len(self)))
