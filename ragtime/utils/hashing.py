"""Content ids, and random choices that depend on a seed and on what is chosen, never on the order of work.

Everything here is a pure function: the same on every platform, in every process, whatever ``PYTHONHASHSEED`` is.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from ragtime.errors import InvalidArgumentError

__all__ = [
    "canonical_json",
    "content_hash",
    "file_hash",
    "keyed_order",
    "keyed_random",
    "keyed_seed",
    "keyed_uniform",
    "text_hash",
]

T = TypeVar("T")

_BLOCK = 1 << 20


def canonical_json(value: Any) -> str:
    """Write a JSON value in the one form that equal values share.

    Keys are sorted, nothing is indented, non-ASCII stands as it is, and ``1`` and ``1.0`` differ. Tuples count as
    lists.

    Args:
        value: Nested dicts with text keys, lists, texts, numbers, booleans and ``None``.

    Returns:
        The text.

    Raises:
        InvalidArgumentError: The value holds something else, a key that is not a text, or a number that is not finite.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        reason = "a value of another type, a circular one, or a number that is not finite"
        raise InvalidArgumentError(
            f"Only plain JSON values can be hashed; found {reason} ({type(error).__name__})"
        ) from None
    _check_keys(value)
    return text


def _check_keys(value: Any) -> None:
    # json.dumps turns 1, True and None into text keys, so that different values would share a hash.
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            wrong = next((key for key in item if not isinstance(key, str)), None)
            if wrong is not None or None in item:
                raise InvalidArgumentError(
                    f"Only plain JSON values can be hashed: found a key of type {type(wrong).__name__}"
                )
            pending.extend(item.values())
        elif isinstance(item, list | tuple):
            pending.extend(item)


def content_hash(value: Any) -> str:
    """Hash a JSON value; values of one canonical form have one hash.

    Args:
        value: As for ``canonical_json``.

    Returns:
        The SHA-256 of its canonical form, 64 hexadecimal digits.

    Raises:
        InvalidArgumentError: As ``canonical_json``.
    """
    return text_hash(canonical_json(value))


def text_hash(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8, 64 hexadecimal digits; lone surrogates are hashed, too."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def file_hash(path: str | Path) -> str:
    """Hash the bytes of a file, block by block.

    Args:
        path: The file.

    Returns:
        The SHA-256, 64 hexadecimal digits.

    Raises:
        OSError: The file cannot be read.
    """
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def keyed_seed(seed: int, *keys: Any, bits: int = 64) -> int:
    """Return a number that is fixed by a seed and by what it is for.

    Args:
        seed: The seed of the run.
        *keys: JSON values that name the purpose, such as ``"crop"`` and an example's id.
        bits: Size of the number, 1 to 256.

    Returns:
        A number from 0 to ``2**bits - 1``, for ``numpy.random.default_rng`` or ``torch.manual_seed``.

    Raises:
        InvalidArgumentError: A key is no JSON value, or `bits` is out of range.
    """
    if type(bits) is not int or not 1 <= bits <= hashlib.sha256().digest_size * 8:
        raise InvalidArgumentError(f"bits must be from 1 to 256, found {bits!r}")
    return int(content_hash([seed, *keys]), 16) >> (256 - bits)


def keyed_uniform(seed: int, *keys: Any) -> float:
    """Return a number from 0 to under 1 that is fixed by a seed and by what it is for; see ``keyed_seed``."""
    return float(keyed_seed(seed, *keys, bits=53) / 2**53)


def keyed_random(seed: int, *keys: Any) -> random.Random:
    """Return a generator of random numbers of its own for one purpose; see ``keyed_seed``."""
    return random.Random(keyed_seed(seed, *keys, bits=256))  # noqa: S311 - repeatable on purpose, guards nothing


def keyed_order(items: Iterable[T], seed: int, *purpose: Any, key: Callable[[T], Any]) -> list[T]:
    """Shuffle `items` so that their order in the input does not matter.

    Args:
        items: What to shuffle.
        seed: The seed of the run.
        *purpose: JSON values that name the purpose; orders of two purposes have nothing to do with each other, nor
            with the numbers of ``keyed_uniform``.
        key: Gives each item a JSON value that identifies it; items with equal ones stay in the order of the input.

    Returns:
        The items, in the order of their keyed hashes. To sample, take the first ones: a larger sample contains a
        smaller one.

    Raises:
        InvalidArgumentError: A key is no JSON value.
    """
    return sorted(items, key=lambda item: content_hash(["order", seed, list(purpose), key(item)]))
