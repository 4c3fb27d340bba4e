"""Dividing Markdown and HTML into sections by their headings."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from ragtime.services.training_data_gen.sources.html_text import HtmlBlock, join_blocks, read_html

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

__all__ = ["Section", "Sectioned", "html_sections", "markdown_sections", "slug_of"]

_TOP = "top"
_LINE_BREAK = re.compile(r"\r\n?|\n")  # as the parser counts lines
_FRONT_MATTER = re.compile(r"---[ \t]*\r?\n(.*?\r?\n)?(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:[ \t]*(?P<quote>[\"']?)(?P<title>.+?)(?P=quote)[ \t]*\r?$", re.MULTILINE)
_ATTRIBUTES = re.compile(r"[ \t]*\{:?[^{}]*#(?P<slug>[\w.:-]+)[^{}]*\}[ \t]*\Z")  # {#slug}, as many generators take it
_NOT_IN_SLUG = re.compile(r"[^\w\- ]")


class Section(NamedTuple):
    """The text below one heading, without that of the headings below it.

    Attributes:
        headings: The heading and those above it, the highest first; empty for text before any heading.
        level: Level of the highest of these, 1 to 6; 0 without any.
        slug: Names it among the sections of the document.
        text: The text, not blank.
        start: Where it begins in the document, in characters; ``None`` when it does not stand there as it is.
    """

    headings: tuple[str, ...]
    level: int
    slug: str
    text: str
    start: int | None = None


class Sectioned(NamedTuple):
    """A document in sections.

    Attributes:
        title: The title that it gives itself; ``None`` when it does not, or only as a heading.
        sections: Its sections in their order.
    """

    title: str | None
    sections: list[Section]


class _Head(NamedTuple):
    level: int
    text: str
    slug: str


def slug_of(heading: str) -> str:
    """Return a heading as the end of an address, as hosts of Markdown make it: small letters, hyphens for spaces."""
    return _NOT_IN_SLUG.sub("", heading.lower().strip()).replace(" ", "-") or "section"


def markdown_sections(text: str) -> Sectioned:
    """Divide Markdown by its headings; those in quotations, lists and code do not count.

    Args:
        text: CommonMark, with or without YAML front matter, of which only ``title`` is read.

    Returns:
        The sections, their texts as they stand in `text`.
    """
    front = _FRONT_MATTER.match(text)
    begin = front.end() if front else 0
    named = _FRONT_TITLE.search(front[1] or "") if front else None
    body = text[begin:]
    lines = [0, *(match.end() for match in _LINE_BREAK.finditer(body)), len(body)]
    marks: list[tuple[_Head | None, int, int]] = [(None, 0, 0)]  # heading, its first line, the line after it
    tokens = _parser(lines=False).parse(body)
    for token, inline in pairwise(tokens):
        if token.type == "heading_open" and token.level == 0 and token.map:
            marks.append((_markdown_heading(int(token.tag[1]), inline.content), token.map[0], token.map[1]))
    marks.append((None, len(lines) - 1, len(lines) - 1))
    pieces = []
    for (head, _, first), (_, last, _) in pairwise(marks):
        start, raw = lines[first], body[lines[first] : lines[last]]
        pieces.append((head, raw.strip(), begin + start + len(raw) - len(raw.lstrip())))
    return Sectioned(named["title"].strip() if named else None, list(_sections(pieces)))


def _markdown_heading(level: int, content: str) -> _Head:
    attributes = _ATTRIBUTES.search(content)
    if attributes:
        content = content[: attributes.start()]
    parts = _parser(lines=True).parseInline(content)[0].children or []
    text = "".join(
        " " if part.type in {"softbreak", "hardbreak"} else part.content
        for part in parts
        if part.type in {"text", "code_inline", "image", "softbreak", "hardbreak"}
    )
    return _Head(level, " ".join(text.split()), attributes["slug"] if attributes else "")


@functools.cache
def _parser(*, lines: bool) -> MarkdownIt:
    """Return a parser of blocks, and on demand of what stands in their lines, where most of the time goes."""
    from markdown_it import MarkdownIt  # noqa: PLC0415 - needed only where Markdown is read

    parser = MarkdownIt("commonmark")
    return parser if lines else parser.disable(["inline", "text_join"])


def html_sections(text: str) -> Sectioned:
    """Divide HTML by its headings.

    Args:
        text: The HTML; scripts, styles and navigation are left out.

    Returns:
        The sections as plain text.

    Raises:
        ValueError: It holds a declaration that nobody can parse.
    """
    page = read_html(text)
    pieces: list[tuple[_Head | None, list[HtmlBlock]]] = [(None, [])]
    for block in page.blocks:
        if block.level:
            pieces.append((_Head(block.level, block.text, block.anchor), []))
        else:
            pieces[-1][1].append(block)
    sections = _sections((head, join_blocks(blocks), None) for head, blocks in pieces)
    return Sectioned(page.title or None, list(sections))


def _sections(pieces: Iterable[tuple[_Head | None, str, int | None]]) -> Iterator[Section]:
    """Yield the pieces that have a text, each under its headings and a slug of its own."""
    path: list[_Head] = []
    taken: set[str] = set()
    for head, text, start in pieces:
        slug = _TOP
        if head is not None:
            path = [one for one in path if one.level < head.level] + [head]
            slug = "-".join(head.slug.split()) or slug_of(head.text)
        if not text:
            continue
        unique, number = slug, 0
        while unique in taken:
            number += 1
            unique = f"{slug}-{number}"
        taken.add(unique)
        yield Section(tuple(one.text for one in path if one.text), path[0].level if path else 0, unique, text, start)
