"""What a plan is made of: which texts a training row holds, and how many tokens each text has."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ragtime.errors import InvalidArgumentError
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Numbers: TypeAlias = npt.NDArray[np.int64]
else:
    np = LazyModule("numpy")

__all__ = ["NumberedTexts", "TrainingRows", "number_texts"]

_MATRIX = 2  # axes


class NumberedTexts(NamedTuple):
    """Distinct texts, and where they stand in the rows.

    Attributes:
        distinct: Each text once, in the order of first appearance, row by row.
        cells: int64 of shape ``[rows, columns]``: the number of each cell's text, -1 where there is none.
    """

    distinct: list[str]
    cells: Numbers


def number_texts(columns: Sequence[Sequence[str | None]]) -> NumberedTexts:
    """Number the distinct texts of some columns, so that each is tokenized and computed once.

    Equal texts get one number wherever they stand. Texts that the model is given with different prompts are different:
    put the prompts before them first.

    Args:
        columns: The query, the response and any further columns, each with one text a row; ``None`` where a row has no
            text, as when it has fewer negatives than others.

    Returns:
        The texts, and the number in each cell.

    Raises:
        InvalidArgumentError: There is no column, or they differ in length.
    """
    if not columns or len({len(column) for column in columns}) > 1:
        raise InvalidArgumentError(
            f"Expected at least one column, and all of one length; found {[len(column) for column in columns]}"
        )
    numbers: dict[str, int] = {}
    cells = np.full((len(columns[0]), len(columns)), -1, np.int64)
    for row, texts in enumerate(zip(*columns, strict=True)):
        for column, text in enumerate(texts):
            if text is not None:
                cells[row, column] = numbers.setdefault(text, len(numbers))
    return NumberedTexts(list(numbers), cells)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRows:
    """The rows of a data set as a plan sees them; the arrays are read-only.

    A row is known by its position: bring the rows into an order of their own, by id for one, before numbering them.

    Attributes:
        cells: int64 of shape ``[rows, columns]``: the number of the text in each cell, -1 for none. The first column
            holds the queries, the second one the responses; both are complete. Negatives come after them.
        lengths: int64 of shape ``[texts]``: the length of each text in tokens, as the model will get it: with its
            prompt, with special tokens, truncated.

    Raises:
        InvalidArgumentError: A shape, a number or a length is wrong.
    """

    cells: Numbers
    lengths: Numbers

    def __post_init__(self) -> None:
        for name in ("cells", "lengths"):
            object.__setattr__(self, name, _integers(getattr(self, name), name))
        if self.cells.ndim != _MATRIX or 0 in self.cells.shape:
            raise InvalidArgumentError(
                f"cells must have the shape [rows, columns], with at least one row and one column; "
                f"found {list(self.cells.shape)}"
            )
        if self.lengths.ndim != 1 or (self.lengths < 1).any():
            raise InvalidArgumentError("lengths must be one row of numbers, each at least 1 token")
        if self.cells.min() < -1 or self.cells.max() >= len(self.lengths):
            raise InvalidArgumentError(
                f"cells must hold -1 or numbers of the {len(self.lengths)} texts; "
                f"found {int(self.cells.min())} to {int(self.cells.max())}"
            )
        if (self.cells[:, :2] < 0).any():
            raise InvalidArgumentError("Every row needs a query and a response: found one without")

    @classmethod
    def from_lengths(cls, lengths: npt.ArrayLike) -> TrainingRows:
        """Make rows that share no text, given the lengths alone.

        Args:
            lengths: Whole numbers of shape ``[rows, columns]``: tokens of each cell, 0 where there is no text.

        Returns:
            The rows.

        Raises:
            InvalidArgumentError: The shape or a length is wrong.
        """
        given = _integers(lengths, "lengths")
        if given.ndim != _MATRIX or (given < 0).any():
            raise InvalidArgumentError(
                f"lengths must have the shape [rows, columns] and be at least 0; found the shape {list(given.shape)}"
            )
        there = given > 0
        cells = np.full(given.shape, -1, np.int64)
        cells[there] = np.arange(int(there.sum()))
        return cls(cells, given[there])

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def tokens(self) -> Numbers:
        """Tokens of each row, all columns together: int64 of shape ``[rows]``."""
        total = np.zeros(len(self), np.int64)
        for column in self.cells.T:  # by columns: no second matrix
            total += np.where(column < 0, 0, self.lengths[column])
        return total

    @property
    def fingerprint(self) -> str:
        """A hash of both arrays, 64 hexadecimal digits; it says nothing about the texts themselves."""
        digest = hashlib.sha256(f"{self.cells.shape}".encode())
        for array in (self.cells, self.lengths):
            digest.update(np.ascontiguousarray(array, "<i8").data)
        return digest.hexdigest()


def _integers(values: npt.ArrayLike, name: str) -> Numbers:
    try:
        array = np.asarray(values)
    except ValueError:  # rows of several lengths
        raise InvalidArgumentError(f"{name} must be an array of whole numbers, found rows of several lengths") from None
    if array.dtype.kind not in "iu" and array.size:
        raise InvalidArgumentError(f"{name} must be an array of whole numbers, found dtype {array.dtype}")
    numbers: Numbers = array.astype(np.int64)  # a copy, so that nobody else can change it
    numbers.flags.writeable = False
    return numbers
