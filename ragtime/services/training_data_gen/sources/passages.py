"""From documents to passages: by sections, then by paragraphs and sentences, never inside a word."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ragtime.records.retrieval import Document
from ragtime.services.training_data_gen.sources.given import UnusableError, made
from ragtime.services.training_data_gen.sources.items import BadRecord
from ragtime.services.training_data_gen.sources.sections import Section, Sectioned, html_sections, markdown_sections

__all__ = ["RawDocument", "TextKind", "divide", "passages_of"]

TextKind = Literal["text", "markdown", "html"]
"""How a document is written."""

_SEPARATOR = " \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} "
# Where a long text may be divided, the best places first.
_ENDS = (
    re.compile(r"\n[^\S\n]*\n\s*"),
    re.compile(r"[.!?\u2026]['\")\]\u201d\u2019\u00bb]*\s+|[\u3002\uff01\uff1f]['\")\]\u201d\u300d]*\s*"),
    re.compile(r"\n\s*"),
    re.compile(r"\s+"),
)
_WORD = re.compile(r"\S+")
_LEAST = 4  # a part has at least a quarter of what it may have, where a place of a lesser kind allows it


@dataclass(frozen=True, slots=True)
class RawDocument:
    """A document as it was given.

    Attributes:
        id: Identifies it.
        text: Its text.
        kind: How it is written.
        title: Its title; ``None`` when it has none, or tells it itself.
        metadata: Anything else that JSON can hold.
    """

    id: str
    text: str
    kind: TextKind
    title: str | None
    metadata: Mapping[str, Any]


def passages_of(raw: RawDocument, limit: int, where: str) -> Iterator[Document | BadRecord]:
    """Make passages of a document.

    Markdown and HTML are divided by their headings; the passage ``ID#SLUG`` has the headings as its title. What is
    longer than the limit, with its title, becomes ``…#1``, ``…#2`` and so on. The metadata of a part name the
    document as ``parent``, its ``headings`` if any, and where it stands in the document's text, in characters, as
    ``start`` and ``end``; text taken out of HTML has no such place.

    Args:
        raw: The document.
        limit: Most characters of a passage.
        where: Which it is, for ``BadRecord``.

    Yields:
        The passages, and a ``BadRecord`` for each part that cannot be used.
    """
    if "\0" in raw.text:
        yield BadRecord("text holds NUL characters", where)
        return
    try:
        sectioned = _sectioned(raw)
    except UnusableError as error:
        yield BadRecord(str(error), where)
        return
    if not sectioned.sections:
        yield BadRecord("text is blank", where)
        return
    for section in sectioned.sections:
        yield from _parts(raw, section, raw.title or sectioned.title, limit, where)


def _sectioned(raw: RawDocument) -> Sectioned:
    if raw.kind == "markdown":
        found = markdown_sections(raw.text)
    elif raw.kind == "html":
        try:
            found = html_sections(raw.text)
        except ValueError as error:
            raise UnusableError(str(error)) from None
    else:
        found = Sectioned(None, [Section((), 0, "", raw.text, 0)] if raw.text.strip() else [])
    if len(found.sections) == 1 and not found.sections[0].headings:  # nothing to divide
        only = found.sections[0]
        return Sectioned(found.title, [only._replace(slug="")])
    return found


def _parts(
    raw: RawDocument, section: Section, title: str | None, limit: int, where: str
) -> Iterator[Document | BadRecord]:
    # The highest heading of a document is its title as a rule, which would else stand there twice.
    above = [title] if title and section.level != 1 and title not in section.headings else []
    full_title = _SEPARATOR.join([*above, *section.headings]) or None
    section_id = f"{raw.id}#{section.slug}" if section.slug else raw.id
    room = limit if full_title is None else max(limit // 2, limit - len(full_title) - 1)
    spans = divide(section.text, room)
    for number, (start, end) in enumerate(spans, start=1):
        if end - start > room:
            yield BadRecord("a word is longer than a passage may be", f"{where}, {section.slug or 'part'} {number}")
            continue
        passage_id = section_id if len(spans) == 1 else f"{section_id}#{number}"
        metadata = dict(raw.metadata)
        if passage_id != raw.id:
            metadata["parent"] = raw.id
            if section.headings:
                metadata["headings"] = list(section.headings)
            if section.start is not None:
                metadata |= {"start": section.start + start, "end": section.start + end}
        text = section.text[start:end]

        def make(passage_id: str = passage_id, text: str = text, metadata: Mapping[str, Any] = metadata) -> Document:
            return Document(id=passage_id, text=text, title=full_title, metadata=metadata)

        yield made(make, where)


def divide(text: str, limit: int) -> list[tuple[int, int]]:
    """Divide a text at the ends of paragraphs, else of sentences, else of lines, else between words.

    Args:
        text: The text, not blank.
        limit: Most characters of a part.

    Returns:
        Where each part begins and ends; of several, none has white space round it. Only a part that is a single word
        is longer.
    """
    if len(text) <= limit:
        return [(0, len(text))]
    spans: list[tuple[int, int]] = []
    start, stop = _skip_space(text, 0), len(text.rstrip())
    while start < stop:
        end = stop if stop - start <= limit else _end(text, start, limit, stop)
        spans.append((start, start + len(text[start:end].rstrip())))
        start = _skip_space(text, end)
    return spans


def _skip_space(text: str, start: int) -> int:
    while start < len(text) and text[start].isspace():
        start += 1
    return start


def _end(text: str, start: int, limit: int, stop: int) -> int:
    """Return where the part that begins at `start` ends at best."""
    best = start
    for pattern in _ENDS:
        # One character more: white space right behind the limit is a place, too.
        found = [match.start() + _kept(match[0]) for match in pattern.finditer(text, start, start + limit + 1)]
        last = max((end for end in found if start < end <= start + limit), default=start)
        if last > start and last - start >= limit // _LEAST:
            return last
        best = best if best > start else last
    if best > start:
        return best
    word = _WORD.match(text, start, stop)
    return word.end() if word else stop


def _kept(mark: str) -> int:
    return len(mark.rstrip())
