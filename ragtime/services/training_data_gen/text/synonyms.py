"""Words that can stand for each other, found in the corpus itself.

Three sources, none of which needs a dictionary: long forms whose short form stands behind them in brackets, as in
"Large Language Model (LLM)" (Schwartz and Hearst, A Simple Algorithm for Identifying Abbreviation Definitions, 2003);
words that the corpus writes as one and as two, as "file system"; and words that stand in the same frames, between the
same two words (distributional similarity, Harris 1954). The last finds members of one list and opposites, too; so few
are taken, no numbers, and none that are ever listed beside each other.
"""

from __future__ import annotations

import re
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import combinations, pairwise

from ragtime.records.retrieval import Document
from ragtime.services.training_data_gen.corpus import Corpus
from ragtime.services.training_data_gen.text.statistics import WORD
from ragtime.services.training_data_gen.text.words import AUXILIARIES, PREPOSITIONS
from ragtime.utils.stems import STOP_WORDS

__all__ = ["Synonyms", "SynonymsCache"]

_DOCUMENTS = 5_000  # of a larger corpus so many are read, spread evenly over the order of ids
_SHORTEST = 4  # letters of a word that gets a synonym
_FRAMES = 5  # fewest frames that two words share
_SHARE = 0.4  # least share of the frames of the rarer word
_CROWDED = 12  # words in a frame; a frame that takes more says nothing
_NEAREST = 2  # a word is a synonym of another when each is among so many nearest of the other
_BRACKETS = re.compile(r"\b(?P<long>(?:[\w\-]{1,40} ){1,6}[\w\-]{1,40}) \((?P<short>[A-Z][A-Za-z]{2,7})\)")
_LISTED = re.compile(
    r"\b(?P<one>\w{1,40}),? (?:and|or|nor|versus|vs|than|to|not|,) (?P<other>\w{1,40})\b"
    r"|\b(?P<a>\w{1,40})[,/] ?(?P<b>\w{1,40})\b"
)
_FUNCTION = STOP_WORDS | AUXILIARIES | PREPOSITIONS
_EDGE = "|"
_COUNTING = frozenset(
    "one two three four five six seven eight nine ten eleven twelve twenty thirty hundred thousand million first "
    "second third fourth fifth sixth last next previous former latter half double monday tuesday wednesday thursday "
    "friday saturday sunday january february march april june july august september october november december".split()
)
_SKIPPED = _FUNCTION | _COUNTING
_LETTERS = 3  # fewest letters of a short form; those of two mean too many things
_RARER = 5  # times; the rarer one of two spellings may be a name or a slip
_COMPOUND = 6  # fewest letters of a word that may be written as two


class Synonyms:
    """Words and the ones that can stand for them.

    >>> documents = [Document(id="1", text="A Large Language Model (LLM) writes. The LLM reads.")]
    >>> Synonyms.of(documents, 1).replace("which large language model is best")
    ['which LLM is best']
    """

    def __init__(self, others: Mapping[str, str]) -> None:
        """Keep them.

        Args:
            others: For each phrase what can stand for it. One in small letters is found in any case, a short form in
                its own alone, for many of them are words as well.
        """
        self._others = dict(others)
        phrases = sorted(self._others, key=lambda phrase: (-len(phrase), phrase))
        # One look through the query for words, and one a phrase: long forms are few.
        self._long = [
            (phrase, re.compile(rf"\b{re.escape(phrase)}\b", re.IGNORECASE)) for phrase in phrases if " " in phrase
        ]

    @classmethod
    def of(cls, corpus: Iterable[Document], size: int) -> Synonyms:
        """Look for synonyms.

        Args:
            corpus: The passages, in an order of their own; they are read twice.
            size: How many there are.

        Returns:
            What was found; the same for the same passages.
        """
        step = max(1, -(-size // _DOCUMENTS))
        frames: dict[tuple[str, str], set[str]] = defaultdict(set)
        listed: set[tuple[str, str]] = set()
        short: dict[str, Counter[str]] = defaultdict(Counter)
        vocabulary: Counter[str] = Counter()
        for number, document in enumerate(corpus):
            if number % step:
                continue
            _read(document.text, frames, listed)
            vocabulary.update({word.lower() for word in WORD.findall(document.text) if len(word) >= _COMPOUND})
            for found in _BRACKETS.finditer(document.text):
                long = _long_form(found["long"], found["short"])
                if long:
                    short[found["short"]][long.lower()] += 1
        others = _by_frames(frames, listed)
        others.update(_compounds(corpus, vocabulary, step))
        for name, forms in sorted(short.items()):
            long = min(forms, key=lambda form: (-forms[form], form))
            others[name] = long
            others[long] = name
        return cls(others)

    def __len__(self) -> int:
        return len(self._others)

    def replace(self, query: str) -> list[str]:
        """Put other words into a query, one at a time.

        Args:
            query: The query.

        Returns:
            The query with one word or phrase replaced, for each that has a synonym, in their order.
        """
        found = [
            pattern.sub(self._others[phrase], query, count=1) for phrase, pattern in self._long if pattern.search(query)
        ]
        for match in WORD.finditer(query):
            other = self._others.get(match[0]) or self._others.get(match[0].lower())
            if other is not None:
                found.append(f"{query[: match.start()]}{other}{query[match.end() :]}")
        return found


class SynonymsCache:
    """The synonyms of the corpus that was asked for last, looked for once; safe to use from threads."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._lock = threading.Lock()
        self._fingerprint = ""
        self._synonyms: Synonyms | None = None

    def of(self, corpus: Corpus) -> Synonyms:
        """Return the synonyms of a corpus."""
        with self._lock:
            if self._synonyms is None or self._fingerprint != corpus.fingerprint:
                self._synonyms = Synonyms.of(corpus, len(corpus))
                self._fingerprint = corpus.fingerprint
            return self._synonyms


def _read(text: str, frames: dict[tuple[str, str], set[str]], listed: set[tuple[str, str]]) -> None:
    for line in text.splitlines():
        words = [_EDGE, *(word.lower() for word in WORD.findall(line)), _EDGE]
        for place in range(1, len(words) - 1):
            word = words[place]
            if len(word) < _SHORTEST or word in _SKIPPED or not word.isalpha():
                continue
            left, right = words[place - 1], words[place + 1]
            # A frame of two function words takes every noun; one has to say something.
            if (left in _FUNCTION or left == _EDGE) and (right in _FUNCTION or right == _EDGE):
                continue
            frame = frames[left, right]
            if len(frame) <= _CROWDED:
                frame.add(word)
        for found in _LISTED.finditer(line.lower()):
            one, other = (found["one"], found["other"]) if found["one"] else (found["a"], found["b"])
            listed.add((one, other) if one < other else (other, one))


def _compounds(corpus: Iterable[Document], vocabulary: Mapping[str, int], step: int) -> dict[str, str]:
    """Return words that stand in one document as one and in another as two, each for the other."""
    found: Counter[tuple[str, str]] = Counter()
    for number, document in enumerate(corpus):
        if number % step:
            continue
        said = document.text.lower().split()
        found.update(
            {
                (one, other)
                for one, other in pairwise(said)
                if one.isalpha()
                and other.isalpha()
                and one not in _SKIPPED
                and other not in _SKIPPED
                and one + other in vocabulary
            }
        )
    twice = {
        pair for pair, count in found.items() if 1 / _RARER <= vocabulary["".join(pair)] / count <= _RARER and count > 1
    }
    others = {f"{one} {other}": one + other for one, other in sorted(twice)}
    return {**others, **{word: phrase for phrase, word in others.items()}}


def _by_frames(frames: Mapping[tuple[str, str], set[str]], listed: set[tuple[str, str]]) -> dict[str, str]:
    own: Counter[str] = Counter()
    shared: Counter[tuple[str, str]] = Counter()
    for words in frames.values():
        if len(words) > _CROWDED:
            continue
        own.update(words)
        shared.update(combinations(sorted(words), 2))
    near: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for (one, other), count in shared.items():
        share = count / min(own[one], own[other])
        if count < _FRAMES or share < _SHARE or (one, other) in listed or not _alike(one, other):
            continue
        near[one].append((-share, other))
        near[other].append((-share, one))
    nearest = {word: [other for _, other in sorted(others)[:_NEAREST]] for word, others in near.items()}
    return {word: others[0] for word, others in sorted(nearest.items()) if word in nearest.get(others[0], ())}


def _alike(one: str, other: str) -> bool:
    """Whether two words have the same ending, as words of one kind do, and are not forms of one word or opposites."""
    endings = ("ing", "ed", "ly", "s")
    kinds = [next((ending for ending in endings if word.endswith(ending)), "") for word in (one, other)]
    opposite = one.endswith(other) or other.endswith(one)  # "install" and "uninstall"
    return kinds[0] == kinds[1] and not opposite and one[:_SHORTEST] != other[:_SHORTEST]


def _long_form(words: str, short: str) -> str:
    """Return the words that a short form in brackets is made of: its letters begin them, in their order."""
    said = words.split()
    letters = [letter.lower() for letter in short if letter.isupper()]
    tail = said[-len(letters) :]
    fits = len(letters) >= _LETTERS and [word[0].lower() for word in tail] == letters
    return " ".join(tail) if fits else ""
