"""HTML as blocks of plain text: what a reader sees, without scripts, styles and navigation."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import NamedTuple

__all__ = ["HtmlBlock", "HtmlDocument", "is_html", "join_blocks", "plain_text", "read_html"]

_SKIPPED = frozenset("script style nav noscript template svg iframe select button".split())
_BLOCKS = frozenset(
    "address article aside blockquote body dd details div dl dt fieldset figcaption figure footer form head header hr "
    "html li main ol p pre section summary table tbody tfoot thead title tr ul".split()
)
_HEADING = re.compile(r"h[1-6]")
_MARKUP = re.compile(
    r"</(?:p|div|span|ul|ol|li|strong|em|b|i|u|a|h[1-6]|table|tr|td|th|pre|code|blockquote|body|html)\s*>"
    r"|<(?:br|hr)\s*/?>|<(?:p|div|li)(?:\s[^<>]*)?>",
    re.IGNORECASE,
)


class HtmlBlock(NamedTuple):
    """A heading, or a piece of text.

    Attributes:
        level: 1 to 6 of a heading; 0 of text.
        text: The text.
        anchor: The heading's ``id``; empty when it has none.
        tight: Whether it is an item of a list or a row of a table.
    """

    level: int
    text: str
    anchor: str = ""
    tight: bool = False


class HtmlDocument(NamedTuple):
    """What was read of a page.

    Attributes:
        title: Its title; empty when it has none.
        blocks: Its blocks in their order.
    """

    title: str
    blocks: list[HtmlBlock]


def is_html(text: str) -> bool:
    """Whether a text holds tags of HTML; angle brackets of other kinds, as in ``List<int>``, do not count."""
    return _MARKUP.search(text) is not None


def plain_text(html: str) -> str:
    """Return what a reader sees of some HTML.

    Args:
        html: The HTML.

    Returns:
        The text: blank lines between paragraphs, ``- `` before items of lists, `` | `` between cells of tables.

    Raises:
        ValueError: It holds a declaration that nobody can parse.
    """
    return join_blocks(read_html(html).blocks)


def join_blocks(blocks: list[HtmlBlock]) -> str:
    """Join blocks by blank lines; items of a list and rows of a table by line breaks."""
    text, former = "", HtmlBlock(0, "")
    for block in blocks:
        text += ("\n" if former.tight and block.tight else "\n\n") + block.text
        former = block
    return text.strip()


def read_html(html: str) -> HtmlDocument:
    """Read a page or a piece of one.

    Args:
        html: The HTML.

    Returns:
        Its title and its blocks.

    Raises:
        ValueError: It holds a declaration that nobody can parse.
    """
    parser = _Parser()
    try:
        parser.feed(html)
        parser.close()
    except AssertionError:  # how the standard library's parser says it
        raise ValueError("HTML cannot be parsed") from None
    parser.flush()
    return HtmlDocument(parser.title, parser.blocks)


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self.blocks: list[HtmlBlock] = []
        self._pieces: list[str] = []
        self._skipping, self._skipped = "", 0
        self._heading, self._anchor = 0, ""
        self._preformatted = self._in_title = self._in_cell = self._tight = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._skipping:
            self._skipped += tag == self._skipping
        elif tag in _SKIPPED:
            self._skipping, self._skipped = tag, 1
        elif _HEADING.fullmatch(tag):
            self.flush()
            self._in_cell, self._heading, self._anchor = False, int(tag[1]), dict(attrs).get("id") or ""
        elif tag in {"td", "th"}:
            self._pieces.append(" | " if self._in_row() else "")
            self._in_cell = self._tight = True
        elif tag == "br":
            self._pieces.append("\n")
        elif tag in _BLOCKS:
            self._begin(tag)

    def _in_row(self) -> bool:
        return any(piece.strip() for piece in self._pieces)

    def _begin(self, tag: str) -> None:
        if tag in {"tr", "table"}:
            self._in_cell = False
        if self._in_cell:
            self._pieces.append(" ")
            return
        self.flush()
        if tag == "li":
            self._pieces, self._tight = ["- "], True
        self._preformatted = self._preformatted or tag == "pre"
        self._in_title = tag == "title" and not self.title

    def handle_endtag(self, tag: str) -> None:
        if self._skipping:
            self._skipped -= tag == self._skipping
            self._skipping = self._skipping if self._skipped else ""
        elif tag in {"tr", "table"}:
            self._in_cell = False
            self.flush()
        elif _HEADING.fullmatch(tag) or (tag in _BLOCKS and not self._in_cell):
            self.flush(ends_item=tag == "li")
            self._preformatted = self._preformatted and tag != "pre"
            self._in_title = False

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self._pieces.append(data)

    def flush(self, *, ends_item: bool = False) -> None:
        """End the block, if there is anything in it."""
        text = "".join(self._pieces)
        if self._preformatted:
            text = text.strip("\n").rstrip()
        else:
            text = "\n".join(filter(None, (" ".join(line.split()) for line in text.split("\n")))).strip()
        if self._tight and text == "-" and not ends_item:  # the item's text comes in a paragraph of its own
            return
        if text.strip(" |") and (text != "-" or not self._tight):
            if self._in_title:
                self.title = " ".join(text.split())
            elif self._heading:
                self.blocks.append(HtmlBlock(self._heading, " ".join(text.split()), self._anchor))
            else:
                self.blocks.append(HtmlBlock(0, text, tight=self._tight))
        self._pieces, self._heading, self._anchor, self._tight = [], 0, "", False
