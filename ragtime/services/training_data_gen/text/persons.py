"""From the one who answers to the one who asks."""

from __future__ import annotations

import re

__all__ = ["as_asked"]

_SWAPPED = {
    "your": "my",
    "yours": "mine",
    "yourself": "myself",
    "you're": "I'm",
    "you've": "I've",
    "you'll": "I'll",
    "our": "your",
    "ours": "yours",
}
_YOU = re.compile(
    r"(?:^|(?<=\bif )|(?<=\bwhen )|(?<=\bwhat )|(?<=\bthat )|(?<=\bwhere )|(?<=\bafter )|(?<=\bthing )"
    r"|(?<=\bonce )|(?<=\bbefore ))you are\b"
)
_SUBJECT = re.compile(r"(?:^|(?<=\bif )|(?<=\bwhen )|(?<=\bwhat )|(?<=\bthat )|(?<=\bwhere )|(?<=\bonce ))you\b")
_WORD = re.compile(r"\b(?:your|yours|yourself|you're|you've|you'll|our|ours)\b", re.IGNORECASE)
_LEFT = re.compile(r"\b(?:you|we|us|I'd|you'd)\b", re.IGNORECASE)


def as_asked(clause: str) -> str | None:
    """Turn a clause that speaks to the reader into one that the reader would say: "your order" becomes "my order".

    Args:
        clause: The clause.

    Returns:
        It as the reader would say it; ``None`` when it has a "you" or a "we" whose part in it is not clear.
    """
    text = _SUBJECT.sub("I", _YOU.sub("I am", clause.replace("\u2019", "'")))
    if _LEFT.search(text):
        return None
    return _WORD.sub(lambda found: _SWAPPED[found[0].lower()], text)
