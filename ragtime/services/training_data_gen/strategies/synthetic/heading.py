"""Headings as queries for the sections under them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ragtime.records.retrieval import Document
from ragtime.services.training_data_gen.strategies.synthetic.pair import Pair, Passage
from ragtime.services.training_data_gen.text import CorpusWords, headline_questions, plain

__all__ = ["heading_pairs", "is_generic", "is_identifier", "read_passage"]

_HEADING = re.compile(r"^(?P<marks>#{1,6})[ \t]+(?P<title>\S[^\n]*)$", re.MULTILINE)
_ARGUMENTS = re.compile(r"\(.*\)$", re.DOTALL)
_IDENTIFIER = re.compile(r"\w+(?:[._\-/:]\w+)*(?: [a-z][\w\-]*)?")
_SHORTEST_SECTION = 40  # characters
_LONGEST_TITLE = 120
_BELOW = " › "  # between the headings in the title of a section
_FEW_WORDS = 3
_GENERIC = frozenset(
    "about abstract acknowledgements additional alternatives answer appendix arguments attributes background basics "
    "caution conclusion conclusions content contents description details discussion example examples faq faqs features "
    "footnotes general home important index info information intro introduction links main message methods misc "
    "miscellaneous more next next steps note notes options other others overview parameters preface prerequisites "
    "question questions readme recap reference references related remarks requirements resources results returns "
    "section see also steps summary syntax table of contents tip tips topics untitled usage warning warnings "
    "what's next".split()
)


def read_passage(document: Document) -> Passage:
    """Read a passage, whose title may stand as a heading at the beginning of its text.

    Args:
        document: The passage.

    Returns:
        What was read.
    """
    text = document.text
    title = _nearest(_bare(document.title or ""))
    first = _HEADING.match(text)
    start = 0
    if first is not None and (not title or _bare(first["title"]) == title):
        title = _bare(first["title"])
        start = len(text) - len(text[first.end() :].lstrip())
    return Passage(document, title, start)


def is_generic(title: str) -> bool:
    """Whether a heading says nothing of what stands under it, as "Overview" does."""
    return not title or all(word.strip(".:!?").lower() in _GENERIC or word.isdigit() for word in title.split())


def is_identifier(title: str, text: str) -> bool:
    """Whether a title is the name of a command, a function or the like, as its marks or its use in the text tell."""
    name = _ARGUMENTS.sub("", title)
    if _IDENTIFIER.fullmatch(name) is None:
        return False
    if name != title or any(mark in name for mark in "._/:") or (name.islower() and any(map(str.isdigit, name))):
        return True
    return name.islower() and any(used in text for used in (f": {name}", f"`{name}", f"{name} -", f"{name}("))


def heading_pairs(passage: Passage, words: CorpusWords, *, form: int) -> Iterator[Pair]:
    """Make queries of the title of a passage, and of the headings within it.

    The response is the section without its heading: a query that stands in it word for word would teach little.

    Args:
        passage: The passage.
        words: The words of the corpus.
        form: A number that says which of several forms of a question is taken.

    Yields:
        The pairs; none for headings that say nothing, such as "Overview".
    """
    text = passage.document.text
    body = text[passage.start :].rstrip()
    for query in _forms(passage.title, body, words, form):
        yield Pair(query, body, "heading", (passage.start, passage.start + len(body)))
    inner = list(_HEADING.finditer(text, passage.start))
    for number, heading in enumerate(inner):
        title = _bare(heading["title"])
        depth = len(heading["marks"])
        end = next((one.start() for one in inner[number + 1 :] if len(one["marks"]) <= depth), len(text))
        section = text[heading.end() : end].strip()
        if len(section) < _SHORTEST_SECTION or text.count("```", 0, heading.start()) % 2:
            continue  # in a block of code it is a remark
        start = heading.end() + len(text[heading.end() : end]) - len(text[heading.end() : end].lstrip())
        for query in _forms(title, section, words, form + number + 1):
            yield Pair(query, section, "heading", (start, start + len(section)))


def _forms(title: str, text: str, words: CorpusWords, form: int) -> Iterator[str]:
    if is_generic(title) or not any(map(str.isalpha, title)):
        return
    name = _ARGUMENTS.sub("", title)
    if is_identifier(title, text):
        yield (f"What does {name} do?", f"how to use {name}", f"What is {name} used for?")[form % 3]
        return
    if len(title) > _LONGEST_TITLE:
        return
    yield title
    for question in headline_questions(title, words, form=form):
        yield question.text


def _nearest(path: str) -> str:
    """Return the last heading of a path of headings; with the one above it where it is too short to stand alone."""
    *above, last = [heading.strip() for heading in path.split(_BELOW)]
    return f"{above[-1]} {last}" if above and len(last.split()) < _FEW_WORDS and not is_generic(last) else last


def _bare(title: str) -> str:
    return plain(title).strip(" #:").strip()
