"""Forward passes: the texts of a batch by length, under a limit of tokens.

Which rows share a batch decides what is learnt; which texts share a forward pass decides only how much is padded. So
the texts of a batch, those of all columns together, are cut into passes of about equal lengths, whatever their rows
are. The embeddings are put together again before the loss: the gradients are those of one large pass, but for what
dropout draws. Since that depends on the passes, a run that is to go on exactly keeps its limit in its checkpoints.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.planning.plan import check_whole
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np

    from ragtime.services.model_finetuner.planning.rows import Numbers
else:
    np = LazyModule("numpy")

__all__ = ["Passes", "plan_passes"]

_CPU_PASS_COST = 64
"""Tokens that take as long as the fixed part of a pass: at most, on a CPU core, with a model of six layers."""


@dataclass(frozen=True, slots=True, eq=False)
class Passes:
    """The forward passes of some texts.

    Attributes:
        texts: For each pass the positions of its texts, int64, the longest text first; the longest pass comes first.
        real_tokens: Tokens of all texts.
        padded_tokens: Tokens that are computed: those of the longest text in each pass, for each text in it.
    """

    texts: tuple[Numbers, ...]
    real_tokens: int
    padded_tokens: int

    def __len__(self) -> int:
        """Return the number of passes."""
        return len(self.texts)

    @property
    def places(self) -> Numbers:
        """For each text its place in the outputs of all passes, one after the other: ``torch.cat(outputs)[places]``."""
        places = np.empty(sum(map(len, self.texts)), np.int64)
        if self.texts:
            places[np.concatenate(self.texts)] = np.arange(len(places))
        return places

    @property
    def padding(self) -> float:
        """Share of the computed tokens that are padding, 0 to 1; 0 when there are no texts."""
        return 1 - self.real_tokens / self.padded_tokens if self.padded_tokens else 0.0


def plan_passes(lengths: Numbers, *, max_tokens: int | None = None, pass_cost: int = _CPU_PASS_COST) -> Passes:
    """Cut texts into forward passes so that the padding and the passes together cost least.

    The limit can change from one step to the next, as after an out-of-memory error: the batches stay what they are.

    Args:
        lengths: Tokens of each text, int64 of shape ``[texts]``.
        max_tokens: Most tokens of a pass, padding included; a longer text gets a pass of its own. ``None`` means no
            limit.
        pass_cost: How many tokens take as long as the fixed part of a pass. Few on a CPU; on a GPU as many as it
            computes in the time in which it starts the kernels of a pass, thousands for a small model.

    Returns:
        The passes; texts of one length stay in their order.

    Raises:
        InvalidArgumentError: A length or a number is out of its range.
    """
    check_whole("pass_cost", pass_cost, 0)
    if max_tokens is not None:
        check_whole("max_tokens", max_tokens, 1)
    if len(lengths) and int(lengths.min()) < 1:
        raise InvalidArgumentError(f"Every text has at least 1 token; found a length of {int(lengths.min())}")
    descending = np.argsort(-lengths, kind="stable")
    longest, counts = np.unique(lengths, return_counts=True)
    bounds = [0]
    for count in _group_counts(longest[::-1], counts[::-1], max_tokens, pass_cost):
        bounds.append(bounds[-1] + count)
    passes: list[Numbers] = []
    for start, stop in pairwise(bounds):
        group = descending[start:stop]
        most = _most(int(lengths[group[0]]), len(group), max_tokens)
        passes += np.array_split(group, -(-len(group) // most))
    padded = sum(len(one) * int(lengths[one[0]]) for one in passes)
    return Passes(tuple(passes), int(lengths.sum()), padded)


def _most(length: int, count: int, max_tokens: int | None) -> int:
    return count if max_tokens is None else max(1, max_tokens // length)


def _group_counts(longest: Numbers, counts: Numbers, max_tokens: int | None, pass_cost: int) -> list[int]:
    """Cut lengths, given in descending order, into the groups that cost least, and return the texts of each.

    The cost of what comes after a length is known before that of the lengths above it, so that one look at each pair
    of lengths finds the optimum.
    """
    total = len(longest)
    before = np.concatenate([[0], np.cumsum(counts)])
    cost = np.zeros(total + 1, np.int64)
    stop = np.zeros(total, np.int64)
    for first in range(total - 1, -1, -1):
        texts = before[first + 1 :] - before[first]
        most = np.maximum(1, max_tokens // longest[first]) if max_tokens is not None else texts
        costs = longest[first] * texts + pass_cost * -(-texts // most) + cost[first + 1 :]
        best = int(np.argmin(costs))
        cost[first], stop[first] = costs[best], first + 1 + best
    groups, first = [], 0
    while first < total:
        last = int(stop[first])
        groups.append(int(before[last] - before[first]))
        first = last
    return groups
