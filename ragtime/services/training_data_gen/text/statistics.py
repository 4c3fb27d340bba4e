"""What is known of the words of a corpus."""

from __future__ import annotations

import math
import re
import threading
from collections import Counter
from collections.abc import Iterable, Mapping

from ragtime.records.retrieval import Document
from ragtime.services.training_data_gen.corpus import Corpus
from ragtime.utils.stems import STOP_WORDS

__all__ = ["WORD", "CorpusWords", "CorpusWordsCache"]

WORD = re.compile(r"\w+(?:['\u2019.\-]\w+)*")
"""A word, with what stands inside of it: ``it's``, ``follow-up``, ``os.path``."""

_AFTER_DETERMINER = re.compile(
    r"\b(?:the|an?|your|my|our|its|their|this|each|every|any|no|of|with|for|in|on|by|from|without)\s+([a-z][\w\-]+)",
    re.IGNORECASE,
)
_WITHIN = re.compile(r"(?<=[a-z0-9,] )[A-Z][\w\-]*")
_DOCUMENTS = 20_000  # of a larger corpus so many are counted, spread evenly over the order of ids


class CorpusWords:
    """In how many passages each word stands, and which are written small.

    Attributes:
        documents: How many passages were counted.
    """

    def __init__(
        self, documents: int, counts: Mapping[str, int], *, names: Iterable[str], nominal: Iterable[str]
    ) -> None:
        """Keep the counts.

        Args:
            documents: How many passages were counted.
            counts: In how many of them each word stands, in any case.
            names: Words that have a capital also within a sentence, more often than not.
            nominal: Words that follow a determiner or a preposition somewhere, as nouns and adjectives do, not verbs.
        """
        self.documents = documents
        self._idf = {
            word: math.log(1 + (documents - count + 0.5) / (count + 0.5)) if word not in STOP_WORDS else 0.0
            for word, count in counts.items()
        }
        self._unseen = math.log(1 + (documents + 0.5) / 0.5)
        self._names = frozenset(names)
        self._nominal = frozenset(nominal)

    @classmethod
    def of(cls, corpus: Iterable[Document], size: int) -> CorpusWords:
        """Count the words of some passages.

        Args:
            corpus: The passages, in an order of their own.
            size: How many there are.

        Returns:
            The counts; of more than 20,000 passages, those of every second, third and so on.
        """
        step = max(1, -(-size // _DOCUMENTS))
        counts: Counter[str] = Counter()
        capitals: Counter[str] = Counter()
        nominal: set[str] = set()
        counted = 0
        for number, document in enumerate(corpus):
            if number % step:
                continue
            found = set(WORD.findall(document.content))
            counts.update({word.lower() for word in found})
            capitals.subtract({word for word in found if word.islower()})
            capitals.update({word.lower() for word in _WITHIN.findall(document.text)})
            nominal.update(word.lower() for word in _AFTER_DETERMINER.findall(document.content))
            counted += 1
        return cls(counted, counts, names=[word for word, count in capitals.items() if count > 0], nominal=nominal)

    def weight(self, word: str) -> float:
        """Return how much a word tells of what a passage is about: its inverse document frequency; 0 for stop words."""
        lowered = word.lower()
        found = self._idf.get(lowered)
        if found is None:
            return 0.0 if lowered in STOP_WORDS else self._unseen
        return found

    def knows(self, word: str) -> bool:
        """Whether a word stands in the corpus, in any case."""
        return word.lower() in self._idf

    def is_name(self, word: str) -> bool:
        """Whether a word keeps its capitals: it has one inside, or is written with one within sentences, too."""
        if not word[1:].islower() and any(map(str.isupper, word[1:])):
            return True
        lowered = word.lower()
        return word != lowered and lowered in self._names and lowered not in STOP_WORDS

    def is_nominal(self, word: str) -> bool:
        """Whether a word can be part of a name for a thing: a noun or an adjective, or a name."""
        lowered = word.lower()
        return lowered in self._nominal or lowered.removesuffix("s") in self._nominal or self.is_name(word)


class CorpusWordsCache:
    """The words of the corpus that was asked for last, counted once; safe to use from threads."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._lock = threading.Lock()
        self._fingerprint = ""
        self._words: CorpusWords | None = None

    def of(self, corpus: Corpus) -> CorpusWords:
        """Return the words of a corpus."""
        with self._lock:
            if self._words is None or self._fingerprint != corpus.fingerprint:
                self._words = CorpusWords.of(corpus, len(corpus))
                self._fingerprint = corpus.fingerprint
            return self._words
