"""Other ways to ask the same, by rules."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping

from ragtime.services.training_data_gen.dedup.shingles import normalize_text
from ragtime.services.training_data_gen.strategies.augmentation.typos import with_typos
from ragtime.services.training_data_gen.text import CorpusWords, Synonyms, headline_questions
from ragtime.services.training_data_gen.text.words import PREPOSITIONS, VERBS
from ragtime.utils.stems import STOP_WORDS

__all__ = ["GUESSED", "variations_of"]

GUESSED = frozenset({"dropped", "synonym", "paraphrase"})
"""Methods that may change what is asked; what they make is weak."""

_HOW = re.compile(
    r"^(?:how (?:do|can|should|could|would) (?:i|you|we|one)|how to|what is the best way to|is there a way to|"
    r"what's the best way to) (?P<rest>.+?)[?.!]*$",
    re.IGNORECASE,
)
_HOW_FORMS = ("How do I {}?", "how to {}", "What is the best way to {}?", "Is there a way to {}?")
_TOPIC_FORMS = ("Can you tell me about {}?", "I am looking for information about {}", "What should I know about {}?")
_CLAUSE = re.compile(
    r"^(?P<main>(?:how|what|where|why|who|which|do|does|can|is|are|should|will|must|may|did)\b.+?) "
    r"(?P<word>if|when|after|before|while|once) (?P<clause>\w+ \w+.*?)\?$",
    re.IGNORECASE,
)
_LED = re.compile(r"^(?P<word>if|when|after|before|while|once) (?P<clause>[^,?]+), (?P<main>[^,?]+)\?$", re.IGNORECASE)
_PLACE = re.compile(
    r"^(?P<main>(?:how (?:do|can|should)|what (?:is|are|does|do)|where|why|which|do|does|can|should)\b.{8,}?) "
    r"(?P<place>(?:in|on|with|for|at|during|without) (?:(?:the|a|an|my|your) )?[\w\-]+(?: [\w\-]+)?)\?$",
    re.IGNORECASE,
)
_SEVERAL = re.compile(r"[.?!;]\s")
_CONTRACTED = (
    ("do not", "don't"),
    ("does not", "doesn't"),
    ("cannot", "can't"),
    ("what is", "what's"),
    ("is not", "isn't"),
    ("are not", "aren't"),
    ("where is", "where's"),
    ("I am", "I'm"),
)
_ASKING = frozenset("how what where why who when which whose can do does is are should will must may did could".split())
_KEPT = 5  # fewest telling words of a query of which one is dropped
_SHORT = 8  # most words of keywords
_THING = 5  # most words of the name of a thing
_DENIED = frozenset("no not without never".split())
_AMOUNTS = frozenset("much many long often far old late hot big soon".split())
_JOINTS = frozenset("and or but then so".split())
_SAYING = frozenset("know tell say ask see remember wonder think mean matter".split())
_FEWEST = 2


def variations_of(
    query: str, words: CorpusWords, synonyms: Synonyms, chance: Callable[[str], random.Random]
) -> list[tuple[str, str]]:
    """Vary a query.

    Args:
        query: The query.
        words: The words of the corpus, which tell what may be dropped.
        synonyms: Words of the corpus that can stand for each other.
        chance: Random numbers for a method.

    Returns:
        Pairs of a method and what it made, at most one a method; none equal to the query or to another, but for case
        and white space.
    """
    said = query.split()
    if not said:
        return []
    made: Mapping[str, str] = {
        "form": _other_form(query, words, chance("form")),
        "reordered": _reordered(query, said, chance("reordered")),
        "keywords": _keywords(said),
        "dropped": _dropped(said, words),
        "synonym": _first(synonyms.replace(query), chance("synonym")),
        "typo": with_typos(query, chance("typo")),
        "casing": _respelled(query, said, chance("casing")),
    }
    seen = {normalize_text(query)}
    found: list[tuple[str, str]] = []
    for method, text in made.items():
        if text.strip() and normalize_text(text) not in seen:
            seen.add(normalize_text(text))
            found.append((method, text))
    return found


def _other_form(query: str, words: CorpusWords, chance: random.Random) -> str:
    """Turn a question into another kind of question, and keywords into a question."""
    how = _HOW.match(query)
    if how is not None:
        return chance.choice(_HOW_FORMS).format(how["rest"])
    bare = query.rstrip(" ?.!")
    first = bare.split(None, 1)[0].lower() if bare else ""
    if query.endswith("?") or "," in query or first in _ASKING or len(bare.split()) > _SHORT:
        return ""
    question = next(headline_questions(bare, words, form=chance.randrange(4)), None)
    if question is not None:
        return question.text
    thing = all(
        words.is_nominal(word) for word in bare.split() if word.lower() not in {"of", "the", "and", "for", "in"}
    )
    if not thing or len(bare.split()) > _THING or first in VERBS:
        return ""
    titled = all(word[0].isupper() for word in bare.split()[:2])
    return chance.choice(_TOPIC_FORMS).format(bare if titled or words.is_name(bare.split()[0]) else _lower(bare))


def _reordered(query: str, said: list[str], chance: random.Random) -> str:
    """Put a clause or a phrase of place first, or last; of keywords, the last in front."""
    if _SEVERAL.search(query):
        return ""
    clause = _CLAUSE.match(query)
    if clause is not None:
        last = clause["main"].split()[-1].lower()
        if "," in query or last in STOP_WORDS | _SAYING or len(clause["main"].split()) < _FEWEST:
            return ""
        return f"{_upper(clause['word'])} {clause['clause']}, {_lower(clause['main'])}?"
    led = _LED.match(query)
    if led is not None and led["main"].split()[0].lower() not in _JOINTS:
        return f"{_upper(led['main'])} {led['word'].lower()} {led['clause']}?"
    place = _PLACE.match(query)
    if place is not None and place["main"].split()[-1].lower() not in PREPOSITIONS | STOP_WORDS:
        return f"{_upper(place['place'])}, {_lower(place['main'])}?"
    plain_words = not any(word.lower() in STOP_WORDS | PREPOSITIONS or not word.isalnum() for word in said)
    if plain_words and _FEWEST < len(said) <= _SHORT:
        turn = chance.randrange(1, len(said))
        return " ".join([*said[turn:], *said[:turn]])
    return ""


def _keywords(said: list[str]) -> str:
    """Leave what tells something, and what would change the meaning if it went: "not", and "how" of "how much"."""
    bare = [word.strip("?.!,;:\"'()") for word in said]
    kept = [
        word
        for word, following in zip(bare, [*bare[1:], ""], strict=True)
        if word
        and (
            word.lower() not in STOP_WORDS
            or word.lower() in _DENIED
            or (word.lower() == "how" and following.lower() in _AMOUNTS)
        )
    ]
    telling = sum(word.lower() not in STOP_WORDS for word in kept)
    if telling < _FEWEST or len(kept) == len(said):
        return ""
    if kept[0] == bare[0] and kept[0][1:].islower():
        kept[0] = kept[0].lower()
    return " ".join(kept)


def _dropped(said: list[str], words: CorpusWords) -> str:
    """Drop what tells least: stop words but the one that asks, and of many other words the most common one."""
    kept = [
        word.strip("?!,;:")
        for place, word in enumerate(said)
        if word.strip("?!.,;:").lower() not in STOP_WORDS - _DENIED or (place == 0 and word.lower() in _ASKING)
    ]
    kept = [word for word in kept if word]
    telling = [word for word in kept if word.lower() not in STOP_WORDS]
    if len(telling) >= _KEPT:
        least = min(telling, key=lambda word: (words.weight(word), word))
        kept.remove(least)
    elif len(telling) < _FEWEST:
        return ""
    return " ".join(kept).rstrip(".").lower() if len(kept) < len(said) else ""


def _respelled(query: str, said: list[str], chance: random.Random) -> str:
    """Write a query carelessly: without marks and capitals, without hyphens, or contracted."""
    forms = []
    bare = " ".join(word.strip(',;:!?"') for word in said).rstrip(".?! ")
    if normalize_text(bare) != normalize_text(query):
        forms.append(bare.lower())
        forms.append(bare)
    if said and said[0].lower() in _ASKING and query[-1].isalnum() and said[1:2] != ["to"]:
        forms.append(f"{query[0].upper()}{query[1:]}?")
    forms += [
        re.sub(rf"\b{long}\b", short, query, count=1, flags=re.IGNORECASE)
        for long, short in _CONTRACTED
        if re.search(rf"\b{long}\b", query, re.IGNORECASE)
    ]
    if any("-" in word.strip("-") for word in said):
        forms.append(re.sub(r"(?<=\w)-(?=[^\W\d])", " ", query))
    return _first(forms, chance)


def _first(forms: list[str], chance: random.Random) -> str:
    return chance.choice(forms) if forms else ""


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]
