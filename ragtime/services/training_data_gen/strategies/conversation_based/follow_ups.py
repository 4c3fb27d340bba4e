"""Questions that lean on what was said before, made to stand alone without a language model.

The rule is that of ``EnhancedConversation.is_follow_up`` without its model, and stricter, for a question that is
completed without need is made worse: a word such as "it" does not point back where enough was said before it in the
question itself, nor where it stands for nothing, as in "is it possible".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice

from ragtime.utils.stems import STOP_WORDS, stems_of

__all__ = ["asks_something", "complete_follow_up", "is_follow_up"]

_OPENING = re.compile(
    r"^\W*(?:(?:and|but|so|or|then|also|ok(?:ay)?|well)\b[\s,]*)+(?:(?:what|how) about\b\s*)?"
    r"|^\W*(?:what|how) about\b\s*",
    re.IGNORECASE,
)
_REFERRING = re.compile(
    r"^\W*(?:why|how so|really|same|which one|who else|what else|any other|another)\b"
    r"|\b(?:it|its|that one|this one|these|those|they|them|their|theirs|he|she|him|her|his|hers|above|earlier|"
    r"previous(?:ly)?|you (?:said|mentioned|wrote|told)|before that|after that|again|instead|the same|"
    r"the (?:first|second|third|last|other|others|former|latter|bigger|smaller|cheaper|better) ?(?:one|ones)?)\b"
    r"|\b(?:of|about|for|with|to|on|from|do|does|did|is|was|has|use|need|like) (?:that|this)[\s?.!,]*$"
    r"|\b(?:is|was|does|did|do|would|could|will|about|of|for|with) (?:that|this)\b(?! \w+ing\b)",
    re.IGNORECASE,
)
_EMPTY_IT = re.compile(
    r"\b(?:is|was|would|will|does) it (?:possible|true|ok(?:ay)?|legal|necessary|worth|safe|normal|cost|take|mean|make"
    r" sense)\b|\bit (?:is|'s|was) (?:possible|necessary|true|important)\b",
    re.IGNORECASE,
)
_FEW_WORDS = 1  # of content: a question that has no more leans on what was said before
_OPENED_WORDS = 3  # the same of one that begins with "and", "but" or "what about"
_WORDS_BEFORE = 1  # of content before a word that points back: with more, it points to them
_OWN_WORDS = 3  # of content: a question with more is not completed with words that its answer does not confirm
_TOPIC_WORDS = 6  # carried over, at most
_ENOUGH = 2  # words of a topic after which earlier turns are not asked
_NAMES = 2  # of the last answer
_NAMED_IN = 300  # characters of the last answer
_WORD = re.compile(r"[^\W_]+(?:[-'\u2019/][^\W_]+)*")
_COURTESIES = frozenset(
    "absolutely alright appreciate awesome bye certainly cheers cool correct day definitely everything exactly "
    "excellent fab fine glad good goodbye great hello help helpful hey hi hmm interesting later lot lovely morning "
    "much need nice night nope now ok okay perfect please right soon sounds sure talk thank thanks that'll that's thx "
    "wanted wonderful wow yeah yep yes yup".split()
)
_VAGUE = frozenset(
    "able actually anything bit called check choose could couldn't detail details difference differences different "
    "don't else ever exactly example explain far find first get getting give go going got happen happened happens "
    "help i'd i'll i'm i've information it's keep kind know last let like list look looking lot make many maybe mean "
    "mention mentioned might much must myself need needs new next often one ones part people possible provide put "
    "question really say see seem shall show since something sort still suggest summarize summary sure take tell "
    "thing things think try two use used using via want wanted way well what's who's wonder wondering work works "
    "would yet".split()
)
_EMPTY = _COURTESIES | _VAGUE | STOP_WORDS


def asks_something(text: str) -> bool:
    """Whether a turn of a user asks or says anything but courtesies."""
    return "?" in text or any(
        word not in _COURTESIES and word not in STOP_WORDS for word in map(_plain, _WORD.findall(text))
    )


def is_follow_up(question: str) -> bool:
    """Whether a question leans on what was said before: it says next to nothing, goes on, or has words that point back.

    Args:
        question: The question.

    Returns:
        Whether it does, by its words alone.
    """
    own = len(_content(question))
    if own <= (_OPENED_WORDS if _OPENING.search(question) else _FEW_WORDS):
        return True
    found = _REFERRING.search(_EMPTY_IT.sub(lambda empty: " " * len(empty[0]), question))
    return found is not None and len(_content(question[: found.start()])) <= _WORDS_BEFORE


def complete_follow_up(question: str, context: Sequence[tuple[str, str]], evidence: str = "") -> str | None:
    """Put before a question the words it leans on: what the last questions were about, and names in the last answer.

    Of a question before, those words are carried over that the question lacks and that the conversation uses most, in
    their order. Where the answer to the question is known, only words that stand in it are, if any do: a conversation
    that has gone on to another topic has none.

        >>> complete_follow_up("And the bigger one?", [("user", "What does the small roaster weigh?")])
        'small roaster weigh: the bigger one?'

    Args:
        question: The question.
        context: Role and text of the turns before it, the oldest first.
        evidence: What is known of the answer: its text, the passages that it cites; empty for nothing.

    Returns:
        The completed question; ``None`` when nothing before it has a word to carry over.
    """
    weights = Counter(stem for _, text in context for stem in set(stems_of(text)))
    own = set(stems_of(question))
    found: list[str] = []
    for role, text in reversed(context):
        if role == "user":
            found[:0] = _best(_content(text), weights, _TOPIC_WORDS - len(found))
            if len(found) >= _ENOUGH:
                break
    answer = next((text for role, text in reversed(context) if role == "assistant"), "")
    found.extend(word for name in islice(_names(answer), _NAMES) for word in name)
    words = list(
        {stems: word for word in reversed(found) if (stems := _key(word)) and not own.issuperset(stems)}.values()
    )
    words.reverse()
    known = set(stems_of(evidence))
    confirmed = [word for word in words if known.intersection(_key(word))]
    if not confirmed and evidence and len(_content(question)) > _OWN_WORDS:
        return None
    topic = confirmed or words
    if not topic:
        return None
    rest = _OPENING.sub("", question, count=1).lstrip(" .,;:!-") or question.strip()
    return f"{' '.join(topic)}: {rest}"


def _content(text: str) -> list[str]:
    """Return the words that say what a text is about."""
    words = _WORD.findall(text)
    return [word for word in words if _plain(word) not in _EMPTY]


def _best(words: Sequence[str], weights: Counter[str], most: int) -> list[str]:
    """Return the words that the conversation uses most, in their order."""
    ranked = sorted(
        range(len(words)), key=lambda place: (-max((weights[one] for one in _key(words[place])), default=0), place)
    )
    return [words[place] for place in sorted(ranked[:most])]


def _key(word: str) -> tuple[str, ...]:
    return tuple(stems_of(word))


def _plain(word: str) -> str:
    return word.casefold().replace("\u2019", "'")


def _names(text: str) -> list[list[str]]:
    """Return runs of words with capitals within sentences of a text's beginning."""
    runs: list[list[str]] = []
    end = -1
    for match in _WORD.finditer(text[:_NAMED_IN]):
        word, start = match[0], match.start()
        before = text[:start].rstrip()
        opens = not before or before[-1] in '.!?:;•*-–\n"' or "\n" in text[len(before) : start]
        if not word[0].isupper() or word.casefold() in STOP_WORDS or opens:
            continue
        if runs and start == end + 1 and text[end] == " ":
            runs[-1].append(word)
        else:
            runs.append([word])
        end = match.end()
    return runs
