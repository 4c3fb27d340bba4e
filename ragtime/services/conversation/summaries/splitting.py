"""Sentences of a text, in any script; blocks of code stay whole."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["LONGEST", "READ", "clip", "is_closed", "is_question", "split_sentences"]

READ = 40_000
"""Characters of one turn that are read: of a longer one the first and the last half of so many."""

LONGEST = 600
"""Characters of a sentence; a longer one, as in data and in text without punctuation, is cut between words."""

ELLIPSIS = "\u2026"
_WIDE = "\u3002\uff01\uff1f\uff61"  # ideographic; no space follows
_NARROW = ".!?\u2026\u061f\u06d4\u0964\u0965\u0589\u1362\u17d4\u104b"
_QUESTION = "?\uff1f\u061f\u037e\u1367"
_CLOSING = "\"'\u2019\u201d\u00bb\u203a)\\]}\u300d\u300f\u3011\uff09"
_CLOSING_MARKS = _CLOSING.replace("\\", "")
_STOP = re.compile(rf"[{_WIDE}]+[{_CLOSING}]*|(?P<narrow>[{_NARROW}]+)[{_CLOSING}]*(?=\s)")
_FENCE = re.compile(r"^[^\S\n]*(?P<mark>`{3,}|~{3,}).*?(?:^[^\S\n]*(?P=mark)[^\S\n]*$|\Z)", re.MULTILINE | re.DOTALL)
_INLINE_CODE = re.compile(r"`[^`\n]+`")
_ITEM = re.compile(r"\s*(?:[-*+\u2022\u2013]|\d{1,3}[.)]|#{1,6}|>)\s")
_LAST_WORD = re.compile(r"[^\s(\[{\"'\u201c\u00ab]*\Z")
_DOTTED = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")
# What never ends a sentence; those that may, as "etc." and "Inc.", are judged by the letter that follows.
_ABBREVIATIONS = frozenset(
    "mr mrs ms mx dr prof st mt vs cf fig vol approx dept est gen sen rep rev hon capt lt col sgt sra srta "
    "mme mlle bzw ca ggf inkl nr resp".split()
)
_AT_THE_END = frozenset({"a.m", "p.m"})


def split_sentences(text: str) -> list[str]:
    """Split a text into sentences.

    A sentence ends with a full stop, question mark, exclamation mark or ellipsis of any script, closing quotes and
    brackets included, or with its line. No end is the stop of an abbreviation, initial, number or address, one before
    a small letter, and one in code between backticks. Lines that go on with a small letter are one. A fenced block of
    code is one piece, with its line breaks; in all others white space becomes single spaces.

    Args:
        text: Any text; of one with more than ``READ`` characters, the first and last half of so many are read.

    Returns:
        The sentences in order, none blank, each of at most ``LONGEST`` characters and an ellipsis.
    """
    if len(text) > READ:
        text = f"{text[: READ // 2]}\n{text[-READ // 2 :]}"
    found: list[str] = []
    end = 0
    for fence in _FENCE.finditer(text):
        found.extend(_prose(text[end : fence.start()]))
        found.append(_clip_code(fence[0].strip("\n")))
        end = fence.end()
    found.extend(_prose(text[end:]))
    return found


def is_question(sentence: str) -> bool:
    """Whether a sentence ends with a question mark, that of any script."""
    return sentence.rstrip(_CLOSING_MARKS).endswith(tuple(_QUESTION))


def is_closed(sentence: str) -> bool:
    """Whether a sentence ends with a mark that closes it, so that another can follow on the line."""
    return sentence.rstrip(_CLOSING_MARKS).endswith((*_WIDE, *_NARROW))


def clip(text: str, characters: int = LONGEST) -> str:
    """Cut a text between words to so many characters and an ellipsis; a single word is cut inside."""
    if len(text) <= characters:
        return text
    space = text.rfind(" ", characters // 2, characters + 1)
    return text[: characters if space < 0 else space].rstrip() + ELLIPSIS


def _clip_code(block: str) -> str:
    """Cut a fenced block between lines, and close it again."""
    if len(block) <= LONGEST:
        return block
    mark = block.lstrip()[:3]
    cut = block.rfind("\n", 0, LONGEST)
    return f"{block[:cut]}\n{ELLIPSIS}\n{mark}" if cut > 0 else clip(block)


def _prose(text: str) -> Iterator[str]:
    for line in _lines(text):
        for sentence in _line_sentences(line):
            yield clip(sentence)


def _lines(text: str) -> Iterator[str]:
    """Yield lines with single spaces; one that goes on with a small letter is joined to the one before."""
    held = ""
    for line in text.splitlines():
        plain = " ".join(line.split())
        if held and plain and plain[0].islower() and not _ITEM.match(line):
            held = f"{held} {plain}"
            continue
        if held:
            yield held
        held = plain
    if held:
        yield held


def _line_sentences(line: str) -> Iterator[str]:
    item = _ITEM.match(line)
    code = [match.span() for match in _INLINE_CODE.finditer(line)]
    small = not any(character.isupper() for character in line)  # many chat without capitals
    start, first = 0, item.end() if item else 0
    for stop in _STOP.finditer(line, first):
        if any(begin <= stop.start() < end for begin, end in code):
            continue
        if stop["narrow"] and not _ends(line, start, stop, small=small):
            continue
        yield line[start : stop.end()].strip()
        start = stop.end()
    rest = line[start:].strip()
    if rest:
        yield rest


def _ends(line: str, start: int, stop: re.Match[str], *, small: bool) -> bool:
    """Whether a mark before a space is the end of a sentence."""
    mark = stop["narrow"]
    following = line[stop.end() :].lstrip()[:1]
    if mark[-1] not in ".\u2026":
        return True
    word = _LAST_WORD.search(line[max(start, stop.start() - 40) : stop.start()])
    last = word[0] if word else ""
    if mark == ".":
        if last.casefold() in _ABBREVIATIONS or (len(last) == 1 and last.isupper() and last != "I"):
            return False
        if last.casefold() == "no" and following.isdigit():
            return False
        if _DOTTED.fullmatch(last):
            return last.casefold() in _AT_THE_END and following.isupper()
    return small if following.islower() else True
