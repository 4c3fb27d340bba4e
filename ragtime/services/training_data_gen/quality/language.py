"""The languages of a corpus, and texts that are in none of them.

A language is told by its script and, where many share one, by its function words: of sixteen lists, the one with
most words in the text, when there are enough of them. That costs a few microseconds, knows nothing of other
languages written in Latin or Cyrillic letters, and never takes names, codes or commands for a language: a text without
function words has none, and passes.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

__all__ = ["CorpusLanguages", "languages_of"]

_LISTS = "function_words.json"
_HEAD = 500  # characters of a text that are looked at
_LEAST_SHARE = 0.01  # of the passages, so many must be in a language for it to be one of the corpus
_LEAST_WORDS = 3  # different function words of a language that a text needs to be in it
_LEAST_WORDS_SHARE = 0.15  # the same as a share of its different words; prose has a third
_LEAD = 2  # times as many function words as of any language of the corpus: a text in another language
_LEAST_SIGNS = 0.5  # of the letters of a text, so many in one foreign script make it foreign

_WORDS = re.compile(r"[^\W\d_]{2,}")  # single letters are units and initials, too
_OTHER_SCRIPT = re.compile(r"[\u0370-\u1dff\u2c00-\ud7ff\uf900-\uffff\U00010000-\U0010ffff]")
_SCRIPTS = (  # the first and the last sign, and what the script is called
    ("\u0041", "\u024f", "latin"),
    ("\u0370", "\u03ff", "greek"),
    ("\u0400", "\u052f", "cyrillic"),
    ("\u0530", "\u058f", "armenian"),
    ("\u0590", "\u05ff", "hebrew"),
    ("\u0600", "\u077f", "arabic"),
    ("\u0900", "\u097f", "devanagari"),
    ("\u0980", "\u0dff", "indic"),
    ("\u0e00", "\u0e7f", "thai"),
    ("\u10a0", "\u10ff", "georgian"),
    ("\u1e00", "\u1eff", "latin"),
    ("\u3040", "\u30ff", "japanese"),
    ("\u3400", "\u9fff", "han"),
    ("\uac00", "\ud7af", "hangul"),
)

_SCRIPT_NAMES = {"other", *(name for _, _, name in _SCRIPTS)}


@cache
def _function_words() -> dict[str, frozenset[str]]:
    """Return the function words of each language."""
    text = files("ragtime.services.training_data_gen.quality").joinpath(_LISTS).read_text("utf-8")
    lists: dict[str, str] = json.loads(text)
    return {language: frozenset(words.split()) for language, words in sorted(lists.items())}


def languages_of(text: str) -> Counter[str]:
    """Count what tells the language of a text's beginning.

    Args:
        text: The text.

    Returns:
        Different function words by language, such as ``en``, where they are enough to tell it, and letters by script,
        such as ``greek``, where they are most; nothing where nothing tells.
    """
    head = text[:_HEAD]
    words = set(_WORDS.findall(head.lower()))
    least = max(_LEAST_WORDS, _LEAST_WORDS_SHARE * len(words))
    counts = ((language, len(words & known)) for language, known in _function_words().items())
    found = Counter({language: count for language, count in counts if count >= least})
    if _OTHER_SCRIPT.search(head):
        letters = [sign for sign in head if sign.isalpha()]
        scripts = Counter(map(_script, letters))
        del scripts["latin"]
        found.update({name: count for name, count in scripts.items() if count >= _LEAST_SIGNS * len(letters)})
    return found


class CorpusLanguages:
    """The languages of a corpus.

    Attributes:
        languages: What ``languages_of`` calls them; empty when nothing told any.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        """Learn the languages of some passages.

        Args:
            texts: The passages.
        """
        passages: Counter[str] = Counter()
        count = 0
        for text in texts:
            count += 1
            found = languages_of(text)
            most = max(found.values(), default=0)
            best = [name for name, number in found.items() if number == most or name in _SCRIPT_NAMES]
            passages.update(best if len(best) == 1 else [name for name in best if name in _SCRIPT_NAMES])
        self.languages = frozenset(name for name, number in passages.items() if number >= _LEAST_SHARE * count)
        self._own = frozenset(
            word for name, words in _function_words().items() if name in self.languages for word in words
        )

    def is_foreign(self, text: str) -> bool:
        """Whether a text is in a language that the corpus is not in.

        Args:
            text: The text.

        Returns:
            Whether it is, for sure: never when it has few function words, or when nothing told the corpus's languages.
        """
        if not self.languages:
            return False
        words = set(text[:_HEAD].lower().split())
        own = len(words & self._own)
        if own >= max(_LEAST_WORDS, _LEAST_WORDS_SHARE * len(words)) and not _OTHER_SCRIPT.search(text[:_HEAD]):
            return False  # as most are: enough for them, and quickly told
        found = languages_of(text)
        if not found:
            return False
        scripts = found.keys() & _SCRIPT_NAMES
        if scripts:
            return scripts.isdisjoint(self.languages)
        return self.languages.isdisjoint(found) and max(found.values()) >= _LEAD * own


def _script(sign: str) -> str:
    return next((name for first, last, name in _SCRIPTS if first <= sign <= last), "other")
