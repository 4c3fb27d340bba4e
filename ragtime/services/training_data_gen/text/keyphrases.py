"""Phrases that say what a passage is about, without a model.

Candidates are runs of words between stop words and marks, as in RAKE (Rose et al., Automatic Keyword Extraction from
Individual Documents, 2010); what they are worth is not their co-occurrence but the inverse document frequency of their
words in the corpus (Spärck Jones, 1972), so that a phrase tells its passage from the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ragtime.services.training_data_gen.text.sentences import Sentence
from ragtime.services.training_data_gen.text.statistics import WORD, CorpusWords
from ragtime.services.training_data_gen.text.words import (
    AUXILIARIES,
    DETERMINERS,
    GERUNDS,
    NOUNLIKE,
    OPENERS,
    PREPOSITIONS,
    THIRD_PERSON,
    UNCLEAR,
    VERBS,
)
from ragtime.utils.stems import STOP_WORDS

__all__ = ["Keyphrase", "keyphrases_of"]

_LONGEST = 3  # words of a phrase
_SHORTEST = 2  # characters of a word in it
_STOP_SHARE = 0.1  # of English words, stop words are a third or more; of a list of names, few
_GAP = re.compile(r"\s+")
_EARLY = 1.25  # what stands in the first sentence counts more
_BREAKS = (STOP_WORDS | AUXILIARIES | PREPOSITIONS | UNCLEAR | OPENERS | DETERMINERS | frozenset(THIRD_PERSON)) | (
    frozenset(
        "already almost enough ever however less many much next often quite rather really soon still thing things "
        "though together unless usually usual way well whether without yet like need needs want wants able e.g i.e "
        "etc else nothing something anything everything new old good better best called given using used within "
        "mostly possible simply exactly directly automatically currently instead first second third last later "
        "therefore several different various certain particular allows makes made means gives given become "
        "becomes".split()
    )
)


class Keyphrase(NamedTuple):
    """A phrase, and what it is worth.

    Attributes:
        text: Its words, small but for names.
        weight: Sum of the inverse document frequencies of its words; more when it stands early or more than once.
    """

    text: str
    weight: float


def keyphrases_of(sentences: Sequence[Sentence], words: CorpusWords, limit: int) -> list[Keyphrase]:
    """Find the phrases that tell a passage from others.

    Args:
        sentences: The passage.
        words: The words of the corpus.
        limit: Most phrases.

    Returns:
        The best first, equal ones by their text; none that shares a word with a better one. Of text that is not
        English, single words.
    """
    weights: dict[str, float] = {}
    english = _is_english(sentences)
    for number, sentence in enumerate(sentences):
        early = _EARLY if number == 0 else 1.0
        for phrase in _candidates(sentence.text, words, english=english):
            named = len(phrase) > 1 and all(word[0].isupper() for word in phrase)
            text = " ".join(word if named or words.is_name(word) else word.lower() for word in phrase)
            worth = sum(map(words.weight, phrase)) / (1 + 0.25 * (len(phrase) - 1))
            weights[text] = weights[text] + 0.3 * worth if text in weights else worth * early
    found: list[Keyphrase] = []
    taken: set[str] = set()
    for text, weight in sorted(weights.items(), key=lambda pair: (-pair[1], pair[0])):
        own = text.lower().split()
        if weight > 0 and taken.isdisjoint(own):
            found.append(Keyphrase(text, weight))
            taken.update(own)
            if len(found) == limit:
                break
    return found


def _candidates(text: str, words: CorpusWords, *, english: bool) -> Iterable[list[str]]:
    phrase: list[str] = []
    end = 0
    before = ""
    for match in WORD.finditer(text):
        word = match[0]
        lowered = word.lower()
        if phrase and (not english or _GAP.fullmatch(text, end, match.start()) is None):
            yield phrase[-_LONGEST:]
            phrase = []
        if _stands_apart(word, lowered, before, phrase) or (english and not words.is_nominal(word)):
            if phrase:
                yield phrase[-_LONGEST:]  # of a longer run its end, where English has the noun
            phrase = []
        else:
            phrase.append(word)
        end, before = match.end(), lowered
    if phrase:
        yield phrase[-_LONGEST:]


def _stands_apart(word: str, lowered: str, before: str, phrase: Sequence[str]) -> bool:
    """Whether a word is no part of a phrase."""
    if lowered in _BREAKS or lowered in GERUNDS or lowered.endswith("ly") or len(word) < _SHORTEST:
        return True
    # A verb after a determiner or an adjective is a noun: "the order", "your old order".
    noun = before in DETERMINERS or bool(phrase) or (lowered in NOUNLIKE and before in PREPOSITIONS)
    return (lowered in VERBS and not noun) or not any(map(str.isalpha, word))


def _is_english(sentences: Sequence[Sentence]) -> bool:
    said = [word for sentence in sentences for word in sentence.text.lower().split()]
    return sum(word in STOP_WORDS for word in said) >= _STOP_SHARE * len(said)
