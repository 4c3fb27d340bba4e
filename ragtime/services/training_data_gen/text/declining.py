"""Answers that say that there is none."""

from __future__ import annotations

import re

__all__ = ["declines"]

_SENTENCE = re.compile(r"[^.!?\n]+")
_REGRET = r"(?:(?:i am|i'm|we are|we're)\s+)?(?:so |very )?(?:sorry|afraid|unfortunately|apologies|regrettably)"
_LACK = (
    r"(?:(?:i|we)\s+(?:currently |really )?(?:do not|don't|cannot|can't|could not|couldn't|did not|didn't|am unable to|"
    r"are unable to|am not able to|have no|lack)|there\s+(?:is|are)\s+(?:no|not any))"
)
_KNOWLEDGE = r"(?:information|answers?|details|data|knowledge|know|find|idea)"
_DECLINING = re.compile(rf"^\W*(?:{_REGRET}\b[^.!?\n]{{0,60}}?)?{_LACK}\b[^.!?\n]{{0,40}}?\b{_KNOWLEDGE}\b")
_SHARE = 0.5  # of the text: a longer rest may answer all the same
_APOSTROPHES = str.maketrans({"\u2019": "'", "\u2018": "'"})


def declines(answer: str) -> bool:
    """Tell whether an answer says, in English, that nothing is known, and little else.

    Args:
        answer: The answer.

    Returns:
        Whether its first sentence says so, and is at least half of it.
    """
    text = answer.strip().translate(_APOSTROPHES)
    first = _SENTENCE.search(text)
    if first is None or len(first.group()) < _SHARE * len(text):
        return False
    return _DECLINING.match(first.group().lower()) is not None
