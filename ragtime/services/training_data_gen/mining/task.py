"""What is mined: vectors, positives, and what is known to be alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ragtime.errors import InvalidArgumentError
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["Keys", "Labels", "MiningTask", "Pairs", "Vectors"]

Vectors: TypeAlias = "npt.NDArray[np.float32]"
Labels: TypeAlias = "npt.NDArray[np.int64]"
Keys: TypeAlias = "npt.NDArray[np.uint64]"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MiningTask:
    """Queries, a corpus, and which passages answer which query.

    Queries and passages are named by their positions. The vectors are not copied.

    Attributes:
        queries: float32 of shape ``[q, dimension]``, rows of unit length; each query once.
        corpus: float32 of shape ``[n, dimension]``, rows of unit length.
        positives: For each query the positions of its positives in the corpus, at least one.
        query_groups: A number for each query, the same for queries that are near-duplicates; the positives of one are
            never negatives of the other. ``None`` means that each query stands alone.
        corpus_groups: A number for each passage, the same for copies; the first of a group stands for it, and no copy
            of a positive becomes a negative. ``None`` means that all differ.
        known_negatives: For each query positions that are known as bad, from ratings; the caller has them already, so
            that they are not mined. ``None`` means none.
        query_keys: A number for each query by which keyed choices know it, such as a hash of its text; ``None`` means
            its position, so that choices follow the order of the input.
        corpus_keys: The same for passages.

    Raises:
        InvalidArgumentError: Shapes or lengths do not fit, a query has no positive, or a position is not in the corpus.
    """

    queries: Vectors
    corpus: Vectors
    positives: Sequence[Sequence[int]]
    query_groups: Labels | None = None
    corpus_groups: Labels | None = None
    known_negatives: Sequence[Sequence[int]] | None = None
    query_keys: Keys | None = None
    corpus_keys: Keys | None = None

    def __post_init__(self) -> None:
        for name, vectors in (("queries", self.queries), ("corpus", self.corpus)):
            if vectors.ndim != 2 or not len(vectors) or vectors.dtype != np.float32:  # noqa: PLR2004
                raise InvalidArgumentError(
                    f"{name} must be float32 vectors of shape [n, dimension], at least one; found {vectors.dtype} of "
                    f"shape {list(vectors.shape)}"
                )
        if self.queries.shape[1] != self.corpus.shape[1]:
            raise InvalidArgumentError(
                f"Queries and corpus must have one dimension, found {self.queries.shape[1]} and "
                f"{self.corpus.shape[1]}; embed both with one model"
            )
        numbers = {"positives": self.queries, "query_groups": self.queries, "known_negatives": self.queries}
        numbers |= {"query_keys": self.queries, "corpus_groups": self.corpus, "corpus_keys": self.corpus}
        for name, vectors in numbers.items():
            given = getattr(self, name)
            if given is not None and len(given) != len(vectors):
                raise InvalidArgumentError(f"{name} must have {len(vectors)} entries, found {len(given)}")
        lonely = next((number for number, some in enumerate(self.positives) if not len(some)), None)
        if lonely is not None:
            raise InvalidArgumentError(f"Each query needs a positive; query {lonely} has none")


class Pairs:
    """Pairs of a query and a passage, in the order of the queries.

    Attributes:
        queries: Positions of the queries, int64, ascending.
        passages: Positions of the passages, int64.
        most: The largest number of pairs of one query.
    """

    def __init__(self, positions: Sequence[Sequence[int]], corpus_size: int, *, name: str) -> None:
        """Flatten `positions`, which must lie in a corpus of `corpus_size`; errors call them `name`."""
        sizes = np.fromiter((len(some) for some in positions), np.int64, len(positions))
        flat = np.fromiter((one for some in positions for one in some), np.int64, int(sizes.sum()))
        if len(flat) and not 0 <= flat.min() <= flat.max() < corpus_size:
            raise InvalidArgumentError(
                f"{name} must be positions in the corpus, from 0 to {corpus_size - 1}; found {flat.min()} to "
                f"{flat.max()}"
            )
        self.queries: Labels = np.repeat(np.arange(len(positions)), sizes)
        self.passages: Labels = flat
        self.most = int(sizes.max(initial=0))
