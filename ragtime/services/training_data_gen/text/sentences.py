"""Sentences of a passage, and where they stand in it."""

from __future__ import annotations

import re
from typing import NamedTuple

from ragtime.services.training_data_gen.text.markup import plain

__all__ = ["Sentence", "sentences_of"]

_UNIT = 2  # words: a number, and what it counts
_READ = 40_000  # characters of a passage that are read; the rest is left
_END = re.compile(
    r"(?P<narrow>[.!?\u2026]+)[\"'\u2019\u201d)\]*_]*(?=\s|$)"
    r"|[\u3002\uff01\uff1f\uff61]+[\u300d\u300f\u3011\uff09]*"
    r"|(?P<line>\n)"
)
_APART = re.compile(r"[^\S\n]*(?:\n|[-*+\u2022>#|]|\d{1,3}[.)]\s|[^a-z\s(])")
_FENCE = re.compile(r"^[^\S\n]*(?P<mark>`{3,}|~{3,}|/{3,}).*$", re.MULTILINE)
_ABBREVIATIONS = frozenset("mr mrs ms dr prof st vs cf fig vol approx dept est e.g i.e no inc ltd nr ca".split())
_CLOSED = re.compile(r"[.!?\u2026\u3002\uff01\uff1f\uff61][\"'\u2019\u201d)\]*_\u300d\u300f\u3011\uff09]*$")
_CODE_LINE = re.compile(r"^(?: {4,}|\t)\S|[{};=<>]\s*$|^\s*(?:>>>|\$|import |from \w+ import|def |class |return )")


class Sentence(NamedTuple):
    """A sentence of a passage.

    Attributes:
        start: Where it begins, in characters of the passage.
        end: Where it ends.
        text: What is read of it, without markup.
        closed: Whether a mark ends it; else it may be a heading, an item of a list, or a piece.
    """

    start: int
    end: int
    text: str
    closed: bool


def sentences_of(text: str) -> list[Sentence]:
    """Split a passage into sentences.

    A sentence ends with a mark of any script, but for the stops of abbreviations, initials and numbers, or with its
    line, unless the next one goes on with a small letter. Fenced blocks and lines of code are left out.

    Args:
        text: The passage; of a very long one its beginning.

    Returns:
        The sentences in order. They do not overlap; ``text[start:end]`` without its markup is ``Sentence.text``.
    """
    text = text[:_READ]
    found: list[Sentence] = []
    for begin, end in _prose(text):
        start = begin
        for stop in _END.finditer(text, begin, end):
            if stop["line"] is not None:
                if stop.end() < end and not _APART.match(text, stop.end()):
                    continue
            elif stop["narrow"] == "." and _abbreviates(text, start, stop):
                continue
            _add(found, text, start, stop.end())
            start = stop.end()
        _add(found, text, start, end)
    return found


def _prose(text: str) -> list[tuple[int, int]]:
    """Return the parts of a text outside of fences."""
    fences = list(_FENCE.finditer(text)) if "```" in text or "~~~" in text or "///" in text else []
    parts: list[tuple[int, int]] = []
    start, mark = 0, ""
    for fence in fences:
        if fence["mark"][0] == "/":  # begins and ends a note or a tab, whose text is prose
            if not mark:
                parts.append((start, fence.start()))
                start = fence.end()
        elif not mark:
            parts.append((start, fence.start()))
            mark = fence["mark"]
        elif fence["mark"].startswith(mark):
            start, mark = fence.end(), ""
    if not mark:
        parts.append((start, len(text)))
    return parts


def _abbreviates(text: str, start: int, stop: re.Match[str]) -> bool:
    before = text[max(start, stop.start() - 20) : stop.start()].split()
    last = before[-1].lstrip("(\"'[").casefold() if before else ""
    if len(last) == 1 and last.isalpha() and last != "i":
        return len(before) < _UNIT or not before[-2][-1].isdigit()  # an initial, but not the unit of "230 V."
    following = text[stop.end() : stop.end() + 3].lstrip()[:1]
    # "etc. and" goes on; "1. Fill" is an item.
    return (
        last in _ABBREVIATIONS
        or following.islower()
        or (last.isdigit() and not text[start : stop.start()].strip("0123456789 \n"))
    )


def _add(found: list[Sentence], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    bare = piece.strip()
    if not bare or _CODE_LINE.search(piece.strip("\n")):
        return
    begin = start + piece.index(bare[0])
    words = plain(bare)
    if any(map(str.isalnum, words)):
        found.append(Sentence(begin, begin + len(bare), words, _CLOSED.search(bare) is not None))
