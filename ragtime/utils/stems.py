"""Words reduced to stems: what full-text search counts."""

from __future__ import annotations

import functools
import re
import threading
import unicodedata
from typing import Any

__all__ = ["STOP_WORDS", "stems_of"]

_IDEOGRAPHS = "\\u3040-\\u30ff\\u3400-\\u4dbf\\u4e00-\\u9fff\\uac00-\\ud7af\\uf900-\\ufaff"
_PIECE = re.compile(rf"(?P<ideographs>[{_IDEOGRAPHS}]+)|(?P<word>[^\W{_IDEOGRAPHS}]+)")
_lock = threading.Lock()
_KEPT = 65_536  # words whose stems are remembered
_LONGEST = 64  # characters of a word that is stemmed and told apart; a longer one is no word
STOP_WORDS = frozenset(
    "a about after all also am an and any are aren as at be because been before being between both but by can "
    "could couldn d did didn do does doesn doing don down during each few for from further had hadn has hasn "
    "have haven having he her here hers him his how i if in into is isn it its itself just let ll m me more "
    "most my no nor not now of off on once only or other our ours out over own re s same she should shouldn so "
    "some such t than that the their theirs them then there these they this those through to too under until "
    "up ve very was wasn we were weren what when where which while who whom why will with won would wouldn you "
    "your yours".split()
)
"""English words that say nothing of what a text is about, and what is left of those with an apostrophe."""


def stems_of(text: str) -> list[str]:
    """Reduce a text to what is searched for.

    Words are brought to one form of Unicode (NFKC) and case, English stop words go, the others become stems by the
    Snowball stemmer for English (Porter, 2001). Writing without spaces, as Chinese and Japanese, becomes pairs of
    signs.

    Args:
        text: Any text.

    Returns:
        The stems, in the order of the text, each as often as it stands there.
    """
    found: list[str] = []
    for piece in _PIECE.finditer(unicodedata.normalize("NFKC", text).casefold()):
        if piece["word"] is None:
            signs = piece[0]
            found.extend(signs[place : place + 2] for place in range(max(1, len(signs) - 1)))
        else:
            stem = _stem(piece[0][:_LONGEST])
            if stem:
                found.append(stem)
    return found


@functools.lru_cache(maxsize=_KEPT)
def _stem(word: str) -> str:
    if word in STOP_WORDS:
        return ""
    if not word.isascii():
        return word
    with _lock:  # a stemmer keeps the word it works on in itself
        return str(_stemmer().stemWord(word))


@functools.cache
def _stemmer() -> Any:
    import snowballstemmer  # noqa: PLC0415 - only needed by those who search

    return snowballstemmer.stemmer("english")
