"""What makes a text unfit for training: its length, or that it says nothing."""

from __future__ import annotations

import re

__all__ = ["asks_back", "is_boilerplate", "is_copied", "says_unknown", "speaks"]

_LEAST_LINES = 4  # non-blank, for repeated lines to say anything
_LEAST_LINE = 4  # characters; a shorter one is a mark or a number
_REPEATED = 0.5  # share of a passage's text in lines that repeat another one, from which it is no passage
_BOILERPLATE = 0.5  # share of a passage's words that stand in sentences of boilerplate, from which it is no passage
_SHORT = 15  # words of a sentence; a longer one says something besides
_COPIED_WORDS = 12  # a query of so many words that stands in its passage word for word teaches to find equal strings

# A phrase is looked for only where its key stands in the text: a search for a fixed string is a hundred times as fast.
_KEYS = (
    *(
        "cookie",
        "javascript",
        "click here",
        "skip to",
        "back to top",
        "rights reserved",
        "privacy policy",
        "newsletter",
    ),
    *(
        "share this",
        "share on",
        "navigation",
        "read more",
        "terms of",
        "loading",
        " | ",
        " \u203a ",
        " » ",
        "follow us",
    ),
)
_PHRASES = re.compile(
    r"we use (?:\w+ )?cookies|(?:accept|allow|reject|manage|about|use of) (?:all )?cookies|cookie (?:policy|settings|"
    r"preferences|notice)|(?:enable|requires?|turn on|without) javascript|click here|skip to (?:the )?(?:main )?"
    r"(?:content|navigation)|back to top|all rights reserved|privacy policy|(?:our|the) newsletter|(?:sign|log) in\b|"
    r"sign up\b|share (?:this|on)\b|toggle navigation|read more\b|terms of (?:service|use)|loading ?(?:…|\.\.\.)|"
    r"follow us"
)
_SENTENCE = re.compile(r"[^.!?\n]+[.!?…]*")
_MENU = re.compile(r"[^|\u203a»\n]{1,30}(?: [|\u203a»] [^|\u203a»\n]{1,30}){3,}")
_NOT = (
    r"(?:(?:do|did|could) not|don['\u2019]t|didn['\u2019]t|couldn['\u2019]t|cannot|can['\u2019]t"
    r"|(?:am|are) (?:not able|unable) to)"
)
_UNKNOWN = re.compile(
    rf"\b(?:i|we) (?:(?:also|currently|really|unfortunately) )?{_NOT} (?:\w+ ){{0,2}}?(?:know|answer|provide|help"
    r"|have (?:\w+ ){0,3}?(?:information|answer|details|data|knowledge)|find (?:\w+ ){0,3}?(?:information|answer))\b"
    r"|\b(?:i|we) have no (?:\w+ ){0,2}?(?:information|idea|knowledge|answer)\b"
    r"|\bno (?:relevant )?information (?:is |was )?(?:available|found|about)\b"
    r"|\bas an ai\b|\bi(?:['\u2019]m| am) (?:not sure|unsure)\b|\bnot enough information\b",
    re.IGNORECASE,
)
_OPENS = 160  # characters of an answer within which it says that it does not know
_ASKING = re.compile(r"[^.!?]*\?\s*")


def speaks(text: str) -> bool:
    """Whether a text holds a letter or a digit at all."""
    return any(sign.isalnum() for sign in text)


def is_boilerplate(passage: str) -> bool:
    """Whether a passage is a cookie banner, a menu, a footer, or the same lines again and again.

    Single phrases do no harm: half of the words must stand in short sentences with them, or half of the text in lines
    that repeat others. Tables of Markdown are no menus.

    Args:
        passage: The passage.

    Returns:
        Whether it is.
    """
    if passage.count("\n") >= _LEAST_LINES - 1:
        lines = [line for raw in passage.splitlines() if len(line := raw.strip()) >= _LEAST_LINE]
        length = sum(map(len, lines))
        if len(lines) >= _LEAST_LINES and length - sum(map(len, set(lines))) >= _REPEATED * length:
            return True
    lower = passage.lower()
    keys = [key for key in _KEYS if key in lower]
    if not keys:
        return False
    total = len(lower.split())
    found = 0
    for match in _SENTENCE.finditer(lower):
        sentence = match[0]
        if any(key in sentence for key in keys):
            count = len(sentence.split())
            menu = not sentence.lstrip().startswith("|") and _MENU.search(sentence)
            found += count if menu or (count <= _SHORT and _PHRASES.search(sentence)) else 0
    return found >= _BOILERPLATE * total


def is_copied(query: str, passage: str) -> bool:
    """Whether a long query stands in its passage word for word.

    Args:
        query: The query.
        passage: The passage.

    Returns:
        Whether it does; never for a query of less than twelve words: headings and names are asked for as they stand.
    """
    words = query.casefold().split()
    return len(words) >= _COPIED_WORDS and " ".join(words) in " ".join(passage.casefold().split())


def says_unknown(answer: str) -> bool:
    """Whether an answer begins with saying, in English, that there is none."""
    return _UNKNOWN.search(answer[:_OPENS]) is not None


def asks_back(answer: str) -> bool:
    """Whether an answer is nothing but a question."""
    return _ASKING.fullmatch(answer.strip()) is not None
