"""What a turn is searched by: its own words, who speaks and when, and, weighted less, the turns around it.

A turn such as "Yes, that one." says little by itself. Its key therefore holds its neighbours, too: on the lexical side
their stems count as a fraction of its own, on the dense side their vectors are added as a fraction of its own. Either
way each turn is embedded and counted once, and a turn that is appended changes only the keys of those just before it.

The weights were chosen on one half of a set of task dialogues, and measured on the other. There the role helped in the
text that is embedded and not among the stems, where it stands in every other turn; a person's name is no such word. The
date helped among the stems, most of all where the question names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from ragtime.records.conversation import Interaction
from ragtime.services.conversation.embedder import embedded_text
from ragtime.services.conversation.time_words import MONTH_NAMES
from ragtime.utils.extras import LazyModule
from ragtime.utils.stems import stems_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["NEIGHBOUR_WEIGHTS", "Neighbours", "key_stems", "key_text", "mix_vectors", "neighbours_of"]

_EMBEDDED = 32_768  # characters: more than models read, and a turn of megabytes takes no seconds

Neighbours: TypeAlias = "npt.NDArray[np.int32]"
"""For each distance 1, 2, … a row of the turns before, then one of the turns after; where there is none, -1."""

NEIGHBOUR_WEIGHTS = (0.3, 0.2, 0.1)
"""What a neighbour counts in a key, by its distance of 1, 2 and 3 turns; the turn itself counts 1."""

_ROWS_AT_ONCE = 4096  # bounds the memory that mixing takes besides its result


def key_text(turn: Interaction) -> str:
    """Return the text that is embedded for a turn: who speaks, and the beginning of what is said."""
    return f"{turn.name or turn.role}: {embedded_text(turn)[:_EMBEDDED]}"


def key_stems(turn: Interaction) -> list[str]:
    """Return the stems that a turn is found by: of the speaker's name, if there is one, what is said, and the date."""
    day = turn.created_at
    date = f"{day.day} {MONTH_NAMES[day.month - 1]} {day.year}"
    return [*stems_of(turn.name or ""), *stems_of(turn.content), *stems_of(date)]


def neighbours_of(previous: npt.NDArray[np.int32], reach: int) -> Neighbours:
    """Find the turns around each turn.

    Where a conversation branches, the turn after is the one that was stored first, so that a new branch leaves the keys
    of the turns before it as they are.

    Args:
        previous: int32 of shape ``[n]``: for each turn the position of the one before it, which is smaller than its
            own; -1 for a first turn.
        reach: Largest distance of a neighbour, in turns.

    Returns:
        int32 of shape ``[2 * reach, n]``: a row for distance 1 before, distance 1 after, distance 2 before, and so on.
    """
    count = len(previous)
    # One more place, which leads to itself, stands for "none": so each step is one look-up without a condition.
    before = np.append(previous, np.int32(-1))
    after = np.full(count + 1, -1, np.int32)
    linked = np.flatnonzero(previous >= 0)[::-1].astype(np.int32)
    after[previous[linked]] = linked  # of several the last assignment holds: that of the first turn
    table = np.empty((2 * reach, count), np.int32)
    for row, step in enumerate((before, after)):
        here = step
        for distance in range(reach):
            table[2 * distance + row] = here[:count]
            here = step[here]
    return table


def mix_vectors(
    vectors: npt.NDArray[np.float32], neighbours: Neighbours, *, weights: Sequence[float] = NEIGHBOUR_WEIGHTS
) -> npt.NDArray[np.float32]:
    """Add to the vector of each turn those of its neighbours.

    Args:
        vectors: float32 of shape ``[n, dimension]``: those of the turns by themselves, of unit length.
        neighbours: As :func:`neighbours_of` finds them, with two rows for each weight.
        weights: What neighbours count, by distance.

    Returns:
        float32 of shape ``[n, dimension]``, of unit length. Each depends only on the turn and its neighbours.
    """
    mixed = np.empty_like(vectors)
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        own = vectors[start : start + _ROWS_AT_ONCE]
        total = own.astype(np.float64)
        for row, places in enumerate(neighbours[:, start : start + _ROWS_AT_ONCE]):
            there = np.flatnonzero(places >= 0)
            total[there] += weights[row // 2] * vectors[places[there]]
        lengths = np.sqrt(np.einsum("ij,ij->i", total, total))[:, None]
        # Neighbours that say the very opposite could cancel a turn out; it is then found by itself.
        mixed[start : start + _ROWS_AT_ONCE] = np.divide(total, lengths, out=own.astype(np.float64), where=lengths > 0)
    return mixed
