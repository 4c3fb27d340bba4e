"""Checks of what callers hand to an index, all of them before anything is written."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ragtime.errors import InvalidArgumentError
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["Matrix", "Rows", "check_dimension", "check_ids", "check_k", "check_queries", "check_vectors"]

Matrix: TypeAlias = "npt.NDArray[np.float32]"
Rows: TypeAlias = "npt.NDArray[np.int64]"

_LARGEST_DIMENSION = 1 << 16
_LARGEST_NORM = 1e15  # inner products of two such vectors stay far from the end of float32
_NORM_BYTES = 4 << 20
_NAMED = 3  # how many ids an error names


class CheckedVectors(NamedTuple):
    """Vectors that an index can take.

    Attributes:
        values: float32, C-contiguous, of shape ``[n, dimension]``, all finite.
        norms: Their Euclidean lengths, float64, of shape ``[n]``.
    """

    values: Matrix
    norms: npt.NDArray[np.float64]


def check_dimension(dimension: int) -> int:
    """Return the dimension of an index when it is a number from 1 to 65,536, else raise InvalidArgumentError."""
    value = _integer(dimension)
    if value is None or not 1 <= value <= _LARGEST_DIMENSION:
        raise InvalidArgumentError(f"dimension must be a number from 1 to {_LARGEST_DIMENSION:,}, found {dimension!r}")
    return value


def check_k(k: int) -> int:
    """Return the number of hits asked for when it is at least 1, else raise InvalidArgumentError."""
    value = _integer(k)
    if value is None or value < 1:
        raise InvalidArgumentError(f"k must be a number from 1, found {k!r}")
    return value


def _integer(value: Any) -> int | None:
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def check_ids(ids: Iterable[object], *, name: str = "ids") -> list[str]:
    """Return ids as a list.

    Args:
        ids: The ids, texts of any kind.
        name: What the caller knows them as.

    Returns:
        The ids, in their order.

    Raises:
        InvalidArgumentError: They are a single text, which would be taken apart into letters, or one is no text.
    """
    if isinstance(ids, str | bytes):
        raise InvalidArgumentError(f"{name} must be a sequence of texts, found a single {type(ids).__name__}")
    given = list(ids)
    checked = [one for one in given if isinstance(one, str)]
    if len(checked) != len(given):
        wrong = next(position for position, one in enumerate(given) if not isinstance(one, str))
        raise InvalidArgumentError(
            f"{name} must be texts, found {type(given[wrong]).__name__} at position {wrong}; turn them into texts"
        )
    return checked


def named(ids: Iterable[str]) -> str:
    """Quote the first few ids for a message."""
    first = list(ids)
    shown = ", ".join(repr(one[:100]) for one in first[:_NAMED])
    return f"{shown} and {len(first) - _NAMED} more" if len(first) > _NAMED else shown


def check_distinct(ids: list[str]) -> None:
    """Raise InvalidArgumentError when an id stands twice in `ids`."""
    if len(set(ids)) == len(ids):
        return
    seen: set[str] = set()
    twice = dict.fromkeys(one for one in ids if one in seen or seen.add(one))  # type: ignore[func-returns-value]
    raise InvalidArgumentError(f"Ids must be distinct within one call; found more than once: {named(twice)}")


def check_vectors(vectors: npt.ArrayLike, dimension: int, *, count: int | None = None) -> CheckedVectors:
    """Turn what a caller gives into float32 rows.

    Args:
        vectors: Numbers of shape ``[n, dimension]``.
        dimension: Length that the vectors must have.
        count: How many there must be; ``None`` means any number.

    Returns:
        The vectors, not copied when they are float32 and contiguous already, and their lengths.

    Raises:
        InvalidArgumentError: Wrong shape, no numbers, not finite, or longer than 1e15.
    """
    array = _numbers(vectors)
    if array.ndim != 2 or array.shape[1] != dimension:  # noqa: PLR2004
        raise InvalidArgumentError(
            f"Vectors must have the shape [n, {dimension}], found {list(array.shape)}; "
            "an index holds vectors of one dimension, that of its encoder"
        )
    if count is not None and len(array) != count:
        raise InvalidArgumentError(f"Expected one vector for each id: found {count} ids and {len(array)} vectors")
    if array.dtype == np.float32:
        values = np.ascontiguousarray(array)
    else:
        with np.errstate(over="ignore"):  # becomes infinite, which is found below
            values = np.ascontiguousarray(array, dtype=np.float32)
    return CheckedVectors(values, _norms(values))


def check_queries(queries: npt.ArrayLike, dimension: int) -> CheckedVectors:
    """Turn queries of shape ``[q, dimension]`` or ``[dimension]`` into rows; errors as :func:`check_vectors`."""
    array = _numbers(queries)
    return check_vectors(array[None] if array.ndim == 1 else array, dimension)


def _numbers(values: npt.ArrayLike) -> npt.NDArray[Any]:
    try:
        array = np.asarray(values)
    except ValueError:  # rows of several lengths
        raise InvalidArgumentError("Vectors must be an array of numbers, found rows of several lengths") from None
    if array.dtype.kind not in "fiu":
        raise InvalidArgumentError(f"Vectors must be an array of real numbers, found dtype {array.dtype}")
    return array


def _norms(values: Matrix) -> npt.NDArray[np.float64]:
    norms = np.empty(len(values), np.float64)
    step = max(1, _NORM_BYTES // (8 * values.shape[1]))
    for first in range(0, len(values), step):
        rows = values[first : first + step].astype(np.float64)
        norms[first : first + step] = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    # Not a number compares as false, so that this finds what is not finite, too.
    right = norms <= _LARGEST_NORM
    if not right.all():
        wrong = np.flatnonzero(~right)
        row = int(wrong[0])
        what = "is longer than 1e15" if np.isfinite(values[row]).all() else "holds a value that is not finite"
        raise InvalidArgumentError(f"Vector {row} {what}; {len(wrong)} of {len(values)} vectors are wrong")
    return norms
