"""The texts of a batch: each once, and which of them are no negatives of which query.

Rows that share a text may share a batch. The text is computed once, and where it would be a negative of a query that
it answers, the pair is left out of the loss; no row has to wait for another batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.planning.rows import TrainingRows
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ragtime.services.model_finetuner.planning.rows import Numbers
else:
    np = LazyModule("numpy")

__all__ = ["BatchTexts", "FalseNegatives", "distinct_texts"]


@dataclass(frozen=True, slots=True, eq=False)
class BatchTexts:
    """The distinct texts of some rows.

    Attributes:
        numbers: The number of each text, ascending, int64 of shape ``[texts]``.
        positions: For each cell of the rows the position of its text in `numbers`, int64 of shape ``[rows, columns]``,
            -1 where there is none: ``embeddings[positions[:, 0]]`` are those of the queries.
    """

    numbers: Numbers
    positions: Numbers


def distinct_texts(rows: TrainingRows, batch: Numbers) -> BatchTexts:
    """Find the distinct texts of a batch, over all columns.

    Args:
        rows: The rows of the data set.
        batch: Positions of the batch's rows.

    Returns:
        The texts, and where they stand; their lengths are ``rows.lengths[texts.numbers]``.
    """
    cells = rows.cells[batch]
    numbers, inverse = np.unique(cells, return_inverse=True)
    missing = int(len(numbers) > 0 and numbers[0] < 0)
    return BatchTexts(numbers[missing:], inverse.reshape(cells.shape).astype(np.int64, copy=False) - missing)


class FalseNegatives:
    """Finds the candidates in a batch that are known to be no negatives of a query.

    The candidates of a batch are the texts of its second column, row by row, then those of its third, and so on. A
    candidate is no negative when some row of the data set pairs the query with it, when it is the query's own text, or
    when there is no text in its place.
    """

    def __init__(self, rows: TrainingRows) -> None:
        """Collect the pairs of query and response.

        Args:
            rows: All rows that are known, those held out for validation included where their pairs are known, too.

        Raises:
            InvalidArgumentError: There is no column of responses.
        """
        if rows.cells.shape[1] < 2:  # noqa: PLR2004 - a query and its response
            raise InvalidArgumentError("Expected a column of queries and one of responses, found one column")
        self._rows = rows
        self._texts = len(rows.lengths)
        self._pairs = np.unique(rows.cells[:, 0] * self._texts + rows.cells[:, 1])

    def mask(self, batch: Numbers) -> npt.NDArray[np.bool_]:
        """Tell which candidates are to be left out.

        Args:
            batch: Positions of the batch's rows.

        Returns:
            Booleans of shape ``[rows, rows * (columns - 1)]``, true where the candidate is no negative of the row's
            query. The row's own response, at ``[i, i]``, is false: it is what the query is to find.
        """
        cells = self._rows.cells[batch]
        queries, query_of = np.unique(cells[:, 0], return_inverse=True)
        candidates, candidate_at = np.unique(cells[:, 1:].T, return_inverse=True)
        owners, texts = self._answers(queries)
        places = np.searchsorted(candidates, texts)
        found = candidates[np.minimum(places, len(candidates) - 1)] == texts if len(candidates) else places < 0
        answered = np.zeros((len(queries), len(candidates)), np.bool_)
        answered[owners[found], places[found]] = True
        answered[:, candidates < 0] = True
        mask: npt.NDArray[np.bool_] = answered[query_of.reshape(-1)][:, candidate_at.reshape(-1)]
        np.fill_diagonal(mask, val=False)
        return mask

    def _answers(self, queries: Numbers) -> tuple[Numbers, Numbers]:
        """Return the known answers of some queries, themselves included: places of the queries, and texts."""
        first = np.searchsorted(self._pairs, queries * self._texts)
        counts = np.searchsorted(self._pairs, (queries + 1) * self._texts) - first
        owners = np.repeat(np.arange(len(queries)), counts)
        within = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
        texts = self._pairs[first[owners] + within] - queries[owners] * self._texts
        return np.concatenate([owners, np.arange(len(queries))]), np.concatenate([texts, queries])
