"""What every encoder checks: the texts that go in and the vectors that come out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragtime.errors import BackendError, InvalidArgumentError
from ragtime.protocols import TextRole
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["check_role", "check_texts", "distinct", "unit_vectors"]

_REPLACEMENT = "\ufffd"


def check_role(role: str) -> TextRole:
    """Return `role` when it is one; raises InvalidArgumentError otherwise."""
    if role not in {"query", "passage"}:
        raise InvalidArgumentError(f"role must be 'query' or 'passage', found {role!r}")
    return role  # type: ignore[return-value]


def check_texts(texts: Sequence[str]) -> list[str]:
    """Return `texts` as a list that every tokenizer can read.

    Args:
        texts: Any number of texts. Lone surrogates, which UTF-8 cannot express, are replaced by U+FFFD.

    Returns:
        The texts.

    Raises:
        InvalidArgumentError: It is a single text, or holds something else than texts.
    """
    if isinstance(texts, str | bytes):
        raise InvalidArgumentError("encode takes a list of texts, found a single one; write encode([text])")
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise InvalidArgumentError(f"encode takes texts, found {type(text).__name__} at position {number}")
    return [text if text.isascii() else _well_formed(text) for text in texts]


def _well_formed(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "".join(_REPLACEMENT if "\ud800" <= character <= "\udfff" else character for character in text)
    return text


def distinct(texts: Sequence[str]) -> tuple[list[str], npt.NDArray[np.intp]]:
    """Separate distinct texts from their places.

    Args:
        texts: Texts, some of them perhaps repeated.

    Returns:
        The distinct texts in order of appearance, and for each of `texts` its place among them, shape ``[len(texts)]``.
    """
    places: dict[str, int] = {}
    inverse = np.fromiter((places.setdefault(text, len(places)) for text in texts), dtype=np.intp, count=len(texts))
    return list(places), inverse


def unit_vectors(vectors: npt.ArrayLike, *, count: int, dimension: int | None, model: str) -> npt.NDArray[np.float32]:
    """Check what a model gave, and scale it to unit length.

    Args:
        vectors: What the model gave, shape ``[count, dimension]``.
        count: Number of texts.
        dimension: Length that vectors must have; ``None`` means any.
        model: The model, for the error.

    Returns:
        Float32 rows of unit length, contiguous.

    Raises:
        BackendError: Another shape, numbers that are not finite, or a vector of zeros.
    """
    try:
        found = np.ascontiguousarray(vectors, dtype=np.float32)
    except (TypeError, ValueError):
        raise BackendError(f"The model {model} gave no table of numbers") from None
    if found.ndim != 2 or len(found) != count or (dimension is not None and found.shape[1] != dimension):  # noqa: PLR2004
        wanted = f"{count} vectors of {dimension if dimension is not None else 'some'} numbers"
        raise BackendError(f"The model {model} gave an array of shape {list(found.shape)} where {wanted} were expected")
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(found.astype(np.float64), axis=1)
    bad = np.flatnonzero(~np.isfinite(lengths) | (lengths == 0))
    if len(bad):
        raise BackendError(f"The model {model} gave {len(bad)} of {count} vectors that are zero or not finite")
    scaled: npt.NDArray[np.float32] = (found / lengths[:, None]).astype(np.float32)
    return scaled
