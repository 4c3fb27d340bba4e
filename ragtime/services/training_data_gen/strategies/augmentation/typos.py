"""Slips of the fingers."""

from __future__ import annotations

import random
import re

__all__ = ["with_typos"]

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_WORD = re.compile(r"[A-Za-z]{4,}")
_LONG = 8  # words of a query that gets a second slip


def _beside() -> dict[str, str]:
    """Return the letters beside each letter on a keyboard of the United States: left, right, and in the row below."""
    beside: dict[str, str] = {}
    for row, letters in enumerate(_ROWS):
        for place, letter in enumerate(letters):
            below = _ROWS[row + 1][max(0, place - 1) : place + 1] if row + 1 < len(_ROWS) else ""
            beside[letter] = letters[max(0, place - 1) : place] + letters[place + 1 : place + 2] + below
    return beside


_BESIDE = _beside()


def with_typos(query: str, chance: random.Random) -> str:
    """Misspell a word of a query, or two words of a long one.

    The slips are those that people make most (Damerau, 1964): two letters swapped, one left out, one typed twice, one
    replaced by its neighbour on the keyboard. The first letter stays, as it does in most real ones.

    Args:
        query: The query.
        chance: Decides where and how.

    Returns:
        The misspelled query; empty when it has no word of four letters.
    """
    places = [found.span() for found in _WORD.finditer(query)]
    if not places:
        return ""
    slips = 2 if len(places) >= _LONG else 1
    for start, end in sorted(chance.sample(places, slips), reverse=True):
        query = f"{query[:start]}{_slip(query[start:end], chance)}{query[end:]}"
    return query


def _slip(word: str, chance: random.Random) -> str:
    place = chance.randrange(1, len(word) - 1)
    before, letter, after = word[:place], word[place], word[place + 1 :]
    kind = chance.randrange(4)
    if kind == 0 and after[0] != letter:
        return f"{before}{after[0]}{letter}{after[1:]}"
    if kind == 1:
        return f"{before}{after}"
    if kind == 2:  # noqa: PLR2004 - the third of four
        return f"{before}{letter}{letter}{after}"
    near = _BESIDE.get(letter.lower(), letter)
    return f"{before}{chance.choice(near)}{after}"
