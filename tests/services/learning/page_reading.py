"""Reads a page as a browser and a reader of screens would, and checks what holds for each."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree as ET

__all__ = ["Page", "drawings_of"]

_VOID = set("area base br col embed hr img input link meta source track wbr".split())
_LOADING = set("script iframe object embed base form img image audio video use foreignobject animate".split())
_ADDRESSES = {"href", "src", "action", "formaction", "data", "poster", "background", "cite", "srcset", "xlink:href"}
_CLOSES_ITSELF = set("rect line circle path polyline".split())


class Page(HTMLParser):
    """A page that is whole and loads nothing.

    Attributes:
        tags: The tags with their attributes, in order.
        text: All that stands in the page to be read.
        cells: The texts of the table cells, table by table and row by row.
        headings: Level and text of each heading.
    """

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.style = ""
        self.cells: list[list[list[str]]] = []
        self.headings: list[tuple[int, str]] = []
        self._open: list[str] = []
        assert html.lstrip().startswith("<!DOCTYPE html>")
        self.feed(html)
        self.close()
        assert self._open == [], f"never closed: {self._open}"
        self._check()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice"
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append((int(tag[1]), ""))
        if tag == "table":
            self.cells.append([])
        if tag == "tr":
            self.cells[-1].append([])
        if tag in {"td", "th"}:
            self.cells[-1][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _CLOSES_ITSELF, f"<{tag}/> is no element without content"
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1] == tag, f"</{tag}> closes <{self._open[-1]}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            self.style += data
            return
        self.text += data
        if self.headings and f"h{self.headings[-1][0]}" in self._open:
            level, text = self.headings[-1]
            self.headings[-1] = (level, text + data)
        if {"td", "th"} & set(self._open):
            self.cells[-1][-1][-1] += data

    def all(self, name: str) -> list[dict[str, str | None]]:
        """Return the attributes of all elements of a name."""
        return [attributes for tag, attributes in self.tags if tag == name]

    @property
    def identities(self) -> list[str]:
        """The ids in the page."""
        return [value for _, attributes in self.tags if (value := attributes.get("id")) is not None]

    def _check(self) -> None:
        assert not {tag for tag, _ in self.tags} & _LOADING
        assert len(self.identities) == len(set(self.identities))
        for tag, attributes in self.tags:
            for name, value in attributes.items():
                self._check_attribute(tag, name, value or "")
        assert not re.search(r"url\(|@import|expression|</", self.style)
        assert len(self.all("style")) == len(self.all("main")) == len(self.all("h1")) == 1
        levels = [level for level, _ in self.headings]
        assert levels[0] == 1
        assert all(after <= before + 1 for before, after in pairwise(levels)), levels
        assert all(text.strip() for _, text in self.headings)
        assert all("scope" in attributes for attributes in self.all("th"))

    def _check_attribute(self, tag: str, name: str, value: str) -> None:
        assert not name.startswith("on"), f"<{tag} {name}>"
        assert name != "style", f"<{tag} style>"
        assert re.fullmatch(r"[a-z][a-z0-9:-]*", name), f"<{tag}> has the attribute {name!r}"
        assert "url(" not in value or name == "content" or tag == "meta"
        if name == "aria-labelledby":
            assert set(value.split()) <= set(self.identities), f"<{tag}> is labelled by nothing"
        if name in _ADDRESSES:
            own = value.startswith("#") and value[1:] in self.identities
            beside = tag == "a" and value == "report.json"
            assert own or beside or (tag, value) == ("link", "data:,"), f"<{tag} {name}={value!r}>"


def drawings_of(html: str) -> list[ET.Element]:
    """Return the drawings of a page that can be read aloud, each of which is XML of its own with a title and a text."""
    found = [ET.fromstring(one) for one in re.findall(r"<svg .*?</svg>", html, re.DOTALL)]  # noqa: S314 - our own
    spoken = [one for one in found if one.get("aria-hidden") != "true"]
    for drawing in spoken:
        title, description = drawing[0], drawing[1]
        assert (drawing.get("role"), title.tag, description.tag) == ("img", "title", "desc")
        assert (title.text or "").strip()
        assert (description.text or "").strip()
        assert drawing.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    return spoken
