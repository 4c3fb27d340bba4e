"""Which threads compute a scan, and that all of them compute the same."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from ragtime.storage.vectors.scan import Scanner, parts_of


class Clock:
    """Returns the given times, and counts how often it was asked."""

    def __init__(self, *times: float) -> None:
        self.times: Iterator[float] = iter(times)
        self.asked = 0

    def __call__(self) -> float:
        self.asked += 1
        return next(self.times)


def test_after_two_stalls_small_scans_run_alone_for_a_while() -> None:
    vectors = np.eye(3, dtype=np.float32)
    parts = parts_of([vectors], [None], None, queries=1)
    query = np.array([1, 2, 3], np.float32)
    # A scan on BLAS's threads asks for the time three times, one that is told to run alone once.
    good, stalled, alone = (0.0, 0.0, 0.0005), (0.0, 0.0, 0.01), (0.0,)
    clock = Clock(
        *(1 + time for time in (*good, *stalled, *good, *stalled, *stalled, *alone)),
        *(1.07 + time for time in (*stalled, *alone)),
        *(1.15 + time for time in alone),
        *(1.2 + time for time in (*good, *stalled, *good)),
    )
    scanner = Scanner(clock=clock)
    asked = []
    for _ in range(12):
        before = clock.asked
        assert scanner.score(parts, query).tolist() == [1, 2, 3]
        asked.append(clock.asked - before)
    assert asked == [3, 3, 3, 3, 3, 1, 3, 1, 1, 3, 3, 3]


@pytest.mark.parametrize("rows", [1, 100, 30_000])
@pytest.mark.parametrize("queries", [1, 32])
def test_every_cut_gives_the_same_scores(rows: int, queries: int) -> None:
    vectors = np.random.default_rng(0).integers(-3, 4, (rows, 512)).astype(np.float32)
    query = vectors[0]
    excluded = np.zeros(8_192, np.bool_)
    excluded[::7] = True
    blocks = [vectors[first : first + 8_192] for first in range(0, rows, 8_192)]
    expected = vectors @ query
    expected[[row for row in range(rows) if row % 8_192 % 7 == 0]] = -np.inf
    parts = parts_of(blocks, [excluded] * len(blocks), None, queries=queries)
    np.testing.assert_array_equal(Scanner().score(parts, query), expected)
    chosen = np.arange(0, rows, 3)
    parts = parts_of(blocks, [None] * len(blocks), chosen, queries=queries)
    np.testing.assert_array_equal(Scanner().score(parts, query), (vectors @ query)[chosen])
