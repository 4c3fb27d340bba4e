"""Questions that a sentence answers, by rules of English.

Rules look at words, not at a parse, and say nothing where they are not sure: a question that does not read well is
worse than none. They follow the transformations of Heilman and Smith, Good Question! Statistical Ranking for Question
Generation, 2010 (auxiliary before subject, answer phrase out), for the few forms that can be told without a parser.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ragtime.services.training_data_gen.text.persons import as_asked
from ragtime.services.training_data_gen.text.statistics import CorpusWords
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

__all__ = ["Question", "headline_questions", "questions_of"]

_SHORT = 9  # words of an instruction that is left whole
_LONGEST = 14  # words of a question's core
_FEWEST, _MOST = 3, 60  # words of a sentence that is looked at
_SUBJECT = 7  # most words of a subject
_CUT = re.compile(
    r"[,;:(\u2013\u2014]|\s[-/]\s|\s(?:so that|which|because|since|unless|although|whereas|while|and then|"
    r"but|instead of|rather than|as soon as|such as)\s"
)
_LEAD = re.compile(r"^(?:To|In order to)\s+(?P<rest>[a-z][^,]{3,90}),\s+\S")
_CONDITION = re.compile(r"^(?P<word>If|When|Once)\s+(?P<rest>[^,;:()]{6,90}),\s+(?P<main>\S+)\s+(?P<next>\S+)")
_PERSON = re.compile(
    r"^(?:[A-Z][a-z]+ )?(?:You|you|Users|Customers|Members|Guests|Visitors)\s+(?P<modal>can also|can|may|could|cannot"
    r"|can't|must not|must|should not|should|have to|need to|do not need to|don't need to)\s+(?P<rest>[a-z].*)$"
)
_ASKING = {
    "can": "Can I",
    "may": "Can I",
    "could": "Can I",
    "can also": "Can I",
    "cannot": "Can I",
    "can't": "Can I",
    "must": "Do I have to",
    "have to": "Do I have to",
    "need to": "Do I need to",
    "should": "Should I",
    "must not": "Can I",
    "should not": "Should I",
    "do not need to": "Do I need to",
    "don't need to": "Do I need to",
}
_WISH = re.compile(r"^you (?:want|need|would like|wish|have) to (?P<rest>[a-z].*)$")
_NO_CLAUSE = frozenset("not no necessary possible needed so all both none given set true any".split())
_CLAUSE = 3  # fewest words that are a clause
_COUNTED = (
    r"(?:(?:about|at least|up to|around|only|roughly|a|an|one|two|three|four|five|six|seven|eight|nine|ten|twelve|"
    r"twenty|thirty|sixty|ninety|half|few|several|another|\d[\d.,]*(?:\s?(?:to|or|-)\s?\d+)?)\s)+"
)
_DURATION = re.compile(rf"\s(?:for|within|up to|after)\s{_COUNTED}(?:second|minute|hour|day|week|month|year|night)s?\b")
_TAKES = re.compile(rf"^(?P<subject>.+?)\s(?P<verb>takes?|lasts?|costs?)\s(?P<what>{_COUNTED}\w+|[$\u20ac\u00a3]\d)")
_GOES_ON = re.compile(r"\s(?:and|or|as)\s(?:is|are|was|can|will|must|may|has|have|should|does|do)\b")
_ASKED_VERBS = frozenset(
    "allow require support contain include provide remove create define determine describe "
    "identify maintain prevent protect reduce generate return receive enable disable".split()
)
_STARTS_NO_SUBJECT = (
    PREPOSITIONS
    | UNCLEAR
    | OPENERS
    | AUXILIARIES
    | frozenset(
        "if when while where what who how why which because since although though unless whether once you i we as "
        "there not most many few some someone anyone everyone nobody nothing everything only even more less example "
        "three two".split()
    )
)
_NO_SUBJECT = AUXILIARIES | frozenset(
    "that which who whom whose if when while where because since although unless whether than to not only you i we "
    "it they he she this these those there then what how why as".split()
)
_NO_END = (STOP_WORDS | PREPOSITIONS | frozenset("named called like such e.g".split())) - frozenset(
    "up off on in out down over".split()
)
_NO_PREDICATE = frozenset("also why how what where when that because to if no none another".split())
_PASSED_OVER = frozenset("also still probably simply just easily now even then always only first directly".split())
_ASKED_WITH = AUXILIARIES | frozenset("how what what's where when why who which whose".split())
_POINTING = re.compile(
    r"^(?:learn|read|see|find out) (?:more|about|how)\b|^(?:click|refer|visit|note|check out|see)\b", re.IGNORECASE
)
_COMMON = " '-.?/\u2019,"
_ROUGH = "~|="
_MARKS = 2  # most marks of other kinds
_TELLING = 2  # fewest words that are no stop words
_HOW = ("How do I {}?", "How can I {}?", "how to {}", "What is the best way to {}?")


class Question(NamedTuple):
    """A question, and by which rule it was made.

    Attributes:
        text: The question.
        kind: The rule, such as ``how``.
    """

    text: str
    kind: str


def questions_of(sentence: str, words: CorpusWords, *, form: int = 0) -> Iterator[Question]:
    """Find questions that a sentence answers.

    Args:
        sentence: The sentence, without markup.
        words: The words of the corpus, which tell names.
        form: A number that says which of several forms of a question is taken.

    Yields:
        The questions; none that points to another sentence, as with "it" or "this".
    """
    said = sentence.split()
    while len(said) > _FEWEST and said[0].rstrip(",").lower() in OPENERS:
        said = said[1:]
    if not _FEWEST <= len(said) <= _MOST:
        return
    text = " ".join(said).removeprefix("Q: ")
    if text.endswith("?"):
        if len(said) <= _LONGEST and said[0].lower() in _ASKED_WITH and not _is_unclear(said):
            yield Question(text[0].upper() + text[1:], "asked")
        return
    text = text.rstrip(" .!\u2026:")
    first = said[0].lower()
    found = list(_conditions(text, form))
    core = _CUT.split(text, maxsplit=1)[0].split()
    if len(core) <= _LONGEST + 4:
        found += _instructions(core, first, form) or _statements(text, core, words)
    for question in found:
        if _reads_well(question):
            yield question


def headline_questions(title: str, words: CorpusWords, *, form: int = 0) -> Iterator[Question]:
    """Find questions that the section under a heading answers.

    Args:
        title: The heading, without markup.
        words: As for ``questions_of``.
        form: As for ``questions_of``.

    Yields:
        The questions; none for a heading that is just the name of a thing.
    """
    said = title.rstrip(" .:").split()
    first = said[0].lower() if said else ""
    verb = GERUNDS.get(first)
    rest = said[1:]
    if title.endswith("?") or not rest or any(word in AUXILIARIES or word.endswith("n't") for word in rest):
        return
    if first == "how" and rest[0].lower() == "to" and len(rest) > 1:
        yield from _how(rest[1:], form)
    elif verb is not None and rest[0].lower() not in AUXILIARIES | PREPOSITIONS - {
        "up",
        "off",
        "on",
        "in",
        "out",
        "to",
    }:
        yield from _how([verb, *_small(rest, words)], form)
    elif first in VERBS and (first not in NOUNLIKE or rest[0].lower() in DETERMINERS) and not rest[-1].endswith("ed"):
        yield from _how([first, *_small(rest, words)], form)


def _small(said: Sequence[str], words: CorpusWords) -> list[str]:
    """Return words of a heading without the capitals that only headings have, and its further gerunds as verbs."""
    small = [word if words.is_name(word) else word.lower() for word in said]
    return [
        GERUNDS.get(word, word) if place and small[place - 1] in {"and", "or"} else word
        for place, word in enumerate(small)
    ]


def _how(clause: Sequence[str], form: int) -> Iterator[Question]:
    text = as_asked(" ".join(clause))
    if text is not None and len(clause) <= _LONGEST and not _POINTING.match(text):
        yield Question(_HOW[form % len(_HOW)].format(text), "how")


def _conditions(text: str, form: int) -> Iterator[Question]:
    lead = _LEAD.match(text)
    if lead is not None and lead["rest"].split(None, 1)[0] in VERBS:
        yield from _how(lead["rest"].split(), form)
    condition = _CONDITION.match(text)
    if condition is None:
        return
    word = condition["word"].lower()
    wish = _WISH.match(condition["rest"])
    if wish is not None:
        if wish["rest"].split(None, 1)[0] in VERBS:
            yield from _how(wish["rest"].split(), form)
        return
    clause = as_asked(condition["rest"])
    if clause is None or len(clause.split()) < _CLAUSE or clause.split(None, 1)[0].lower() in _NO_CLAUSE:
        return
    main, following = condition["main"].lower(), condition["next"].lower()
    if main in VERBS and following not in AUXILIARIES:
        yield Question(f"What should I do {word} {clause}?", "condition")
    elif main == "you" and following in {"can", "may", "could"}:
        yield Question(f"What can I do {word} {clause}?", "condition")
    elif word != "once":
        yield Question(f"What happens {word} {clause}?", "condition")


def _instructions(core: list[str], first: str, form: int) -> list[Question]:
    """Return the questions of a sentence that tells what to do, or what one may, can or must do."""
    person = _PERSON.match(" ".join(core))
    if person is not None:
        rest = person["rest"].split()
        while rest[0].lower() in _PASSED_OVER and len(rest) > 1:
            rest = rest[1:]
        clause = as_asked(" ".join(rest))
        if clause is None or len(rest) < _TELLING or _POINTING.match(clause):
            return []
        modal = person["modal"]
        found = [Question(f"{_ASKING[modal]} {clause}?", "may")]
        if modal in {"can", "can also", "may"} and rest[0] in VERBS:
            found = [*_how(rest, form), *found]
        return found
    if first not in VERBS or len(core) < _FEWEST or not core[0][:1].isupper():
        return []
    second = core[1].lower()
    object_follows = second in DETERMINERS or second in {"up", "off", "on", "out", "down", "in", "to"}
    if first in NOUNLIKE and not object_follows:
        return []
    if AUXILIARIES.intersection(word.lower() for word in core[1:5]) or second in AUXILIARIES:
        return []
    told = [first, *core[1:]]
    both = next((place for place, word in enumerate(told) if place > _TELLING and word == "and"), 0)
    if both and told[both + 1 : both + 2] and told[both + 1] in VERBS and len(told) > _SHORT:
        told = told[:both]
    return list(_how(told, form))


def _statements(text: str, core: list[str], words: CorpusWords) -> list[Question]:
    """Return the questions of a sentence that says how something is."""
    taking = _TAKES.match(" ".join(core))
    if taking is not None:
        subject = _subject(taking["subject"].split(), words)
        if subject:
            many = not taking["verb"].endswith("s")
            helper, verb = ("do" if many else "does"), taking["verb"].rstrip("s")
            asked = "How much" if verb == "cost" else "How long"
            return [Question(f"{asked} {helper} {subject} {verb}?", "amount")]
        return []
    for place, word in enumerate(core[1 : _SUBJECT + 1], 1):
        lowered = word.lower()
        if lowered in {"is", "are", "was", "were", "can", "will", "should", "must", "may", "cannot"}:
            subject = _subject(core[:place], words)
            return _inverted(text, subject, lowered, core[place + 1 :]) if subject else []
        if lowered in THIRD_PERSON and THIRD_PERSON[lowered] in _ASKED_VERBS and len(core) > place + 1:
            subject = _subject(core[:place], words)
            return [Question(f"What does {subject} {THIRD_PERSON[lowered]}?", "what")] if subject else []
    return []


def _inverted(text: str, subject: str, helper: str, rest: list[str]) -> list[Question]:
    if not rest:
        return []
    if rest[0] == "not":
        rest = rest[1:]
    helper = "can" if helper == "cannot" else helper
    if not rest or rest[0] in _NO_PREDICATE:
        return []
    if helper in {"is", "are"} and rest[0] in {"a", "an", "the", "our"} and len(rest) > _TELLING:
        return [Question(f"What {helper} {subject}?", "definition")]
    predicate = _without_further_verb(_GOES_ON.split(" ".join(rest), maxsplit=1)[0])
    duration = _DURATION.search(f" {predicate}")
    if duration is not None:
        predicate = predicate[: max(0, duration.start() - 1)]
        asked = as_asked(f"{helper} {subject} {predicate}".strip())
        return [Question(f"How long {asked}?", "amount")] if asked and predicate else []
    asked = as_asked(f"{helper} {subject} {predicate}")
    if asked is None:
        return []
    if " because " in text and helper in {"is", "are", "can", "must", "should"}:
        return [Question(f"Why {asked}?", "why")]
    return [Question(f"{asked[0].upper()}{asked[1:]}?", "whether")]


def _without_further_verb(predicate: str) -> str:
    """Cut a predicate before an "and" that a second verb may follow: "is small and fits" asks only "is it small"."""
    before, joint, after = predicate.partition(" and ")
    following = after.split(None, 1)[0] if after else ""
    return before if joint and (following.endswith("s") or following in VERBS) else predicate


def _subject(said: Sequence[str], words: CorpusWords) -> str:
    """Return the words before a verb as the subject of a question; empty when they do not look like one."""
    if not 0 < len(said) <= _SUBJECT or said[0].lower() in _STARTS_NO_SUBJECT or not any(map(_spelled, said)):
        return ""
    lowered = [word.lower() for word in said]
    if not _NO_SUBJECT.isdisjoint(lowered) or any(word in THIRD_PERSON for word in lowered):
        return ""
    if lowered[0] in VERBS and lowered[0] not in NOUNLIKE:
        return ""
    if not lowered[-1][-1:].isalnum() or lowered[-1] in STOP_WORDS or lowered[-1].endswith(("ed", "ly")):
        return ""
    named = words.is_name(said[0]) or (len(said) > 1 and said[0][0].isupper() and said[1][0].isupper())
    head = said[0] if named else lowered[0]
    return " ".join([head, *said[1:]])


def _spelled(word: str) -> bool:
    return word.isalpha() and len(word) > 1 and word.lower() not in STOP_WORDS


def _is_unclear(said: Sequence[str]) -> bool:
    return not UNCLEAR.isdisjoint(word.strip(".,;:?!()\"'").lower() for word in said)


def _reads_well(found: Question) -> bool:
    question = found.text
    said = question.rstrip("?").split()
    if not _FEWEST <= len(said) <= _LONGEST + 5 or _is_unclear(said) or said[-1].lower() in _NO_END:
        return False
    if any(word[0].isupper() and word != "I" and word.lower() in STOP_WORDS for word in said[1:]):
        return False  # a line of links or a slogan, with a capital on every word
    marks = sum(not (mark.isalnum() or mark in _COMMON) for mark in question)
    telling = sum(len(word) > 1 and word.lower() not in STOP_WORDS for word in said)
    if any(mark in question for mark in _ROUGH):
        return False
    balanced = question.count('"') % 2 == 0 and question.count("(") == question.count(")")
    return balanced and marks <= _MARKS and telling >= (1 if found.kind == "definition" else _TELLING)
