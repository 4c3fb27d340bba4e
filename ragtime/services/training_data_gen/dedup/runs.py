"""Sorted runs of band keys: what finds candidates, on disk and flat in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from ragtime.services.training_data_gen.dedup.shingles import Hashes, Offsets, ranges
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["Entries", "entries_of", "find_rows", "merge_runs"]

Entries: TypeAlias = "npt.NDArray[np.uint64]"

_LARGEST_RUN = 1 << 22  # entries, 32 MiB: larger runs are not merged, so that memory stays flat
_LOW = 0xFFFFFFFF


def entries_of(keys: Hashes, rows: Offsets) -> Entries:
    """Make a run.

    Args:
        keys: Band keys, uint32 of shape ``[n, bands]``.
        rows: The row of each, int64 of shape ``[n]``.

    Returns:
        Each key above its row in one number, ascending.
    """
    return np.sort(((keys.astype(np.uint64) << np.uint64(32)) | rows.astype(np.uint64)[:, None]).ravel())


def find_rows(runs: Sequence[Entries], keys: Hashes) -> tuple[Offsets, Offsets]:
    """Find the rows that share a band key.

    Args:
        runs: The runs.
        keys: uint32 of shape ``[n, bands]``.

    Returns:
        Pairs of a place in `keys` and a row, each once for each key and run that they share.
    """
    # In order, so that neighbours are on one page of the file. Sorting numbers is much faster than sorting places.
    wanted = np.sort((keys.ravel().astype(np.uint64) << np.uint64(32)) | np.arange(keys.size, dtype=np.uint64))
    owners = (wanted & np.uint64(_LOW)).astype(np.int64) // keys.shape[1]
    wanted &= np.uint64(_LOW << 32)
    places, rows = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for run in runs:
        first = np.searchsorted(run, wanted)
        found = np.flatnonzero(run[np.minimum(first, len(run) - 1)] - wanted <= _LOW)  # below 0 it wraps, far above
        found = found[first[found] < len(run)]
        counts = np.searchsorted(run, wanted[found] | np.uint64(_LOW), side="right") - first[found]
        places.append(np.repeat(owners[found], counts))
        rows.append((run[ranges(first[found], counts)] & np.uint64(_LOW)).astype(np.int64))
    return np.concatenate(places), np.concatenate(rows)


def merge_runs(runs: list[Entries]) -> list[Entries]:
    """Merge the newest runs until each is at least twice as long as the next, or as long as runs become.

    Args:
        runs: The runs, oldest first.

    Returns:
        The runs; those that are not merged are the same objects.
    """
    merged = list(runs)
    while len(merged) > 1 and len(merged[-2]) < 2 * len(merged[-1]) and len(merged[-2]) < _LARGEST_RUN:
        merged[-2:] = [np.sort(np.concatenate(merged[-2:]))]
    return merged
