"""Where in HTML a value stands: what escaping alone does not make safe."""

from __future__ import annotations

import copy
import re
from enum import Enum, auto
from typing import Self

__all__ = ["HTMLContext", "Place"]

_TAG_NAME = re.compile(r"</?([A-Za-z][^\s/>]*)")
_ATTRIBUTE = re.compile(r"""\s*/?\s*(?:([^\s=>"'/]+)\s*(=)?\s*)?""")
_UNQUOTED_END = re.compile(r"[\s>]")
_OPENING = re.compile(r"</?$")
_RAW = {"script", "style"}


class Place(Enum):
    """Kinds of places."""

    TEXT = auto()
    TAG = auto()
    UNQUOTED = auto()
    QUOTED = auto()
    RAW = auto()
    COMMENT = auto()


class HTMLContext:
    """Follows the text of a page as a browser's tokenizer would, as far as places of values go.

    Attributes:
        place: Where the end of what was fed stands.
        tag: Name of the tag that is open, or of the element whose raw text this is, in lower case.
        attribute: Name of the attribute that is being written, in lower case.
        value: What stands of the attribute's value so far, without white space before it.
        quote: The quotation mark round the attribute's value.
    """

    def __init__(self) -> None:
        """Begin in the text of an empty page."""
        self.place = Place.TEXT
        self.tag = ""
        self.attribute = ""
        self.value = ""
        self.quote = ""

    def copy(self) -> Self:
        """Return another one at the same place."""
        return copy.copy(self)

    def feed(self, data: str) -> None:
        """Go on with a piece of the page."""
        position = 0
        while position < len(data):
            position = getattr(self, f"_in_{self.place.name.lower()}")(data, position)

    def skip_value(self) -> None:
        """Go on with a value that is not known."""
        self.value += "\0"
        if self.place is Place.TAG:
            self.attribute = ""

    def _in_text(self, data: str, position: int) -> int:
        begin = data.find("<", position)
        if begin < 0:
            return len(data)
        if data.startswith("<!--", begin):
            self.place = Place.COMMENT
            return begin + 4
        name = _TAG_NAME.match(data, begin)
        if name is None and not _OPENING.search(data, begin):
            return begin + 1
        # A name that is not there yet is a value's
        self.tag = name[1].lower() if name and not data.startswith("</", begin) else ""
        self.place, self.attribute = Place.TAG, ""
        return name.end() if name else len(data)

    def _in_comment(self, data: str, position: int) -> int:
        end = data.find("-->", position)
        if end < 0:
            return len(data)
        self.place = Place.TEXT
        return end + 3

    def _in_raw(self, data: str, position: int) -> int:
        end = data.lower().find(f"</{self.tag}", position)
        if end < 0:
            return len(data)
        self.place = Place.TEXT
        return end

    def _in_tag(self, data: str, position: int) -> int:
        if data[position] == ">":
            self.place = Place.RAW if self.tag in _RAW else Place.TEXT
            return position + 1
        found = _ATTRIBUTE.match(data, position)
        end = found.end() if found else position
        if found is None or found[1] is None:
            return max(end, position + 1)
        self.attribute, self.value = found[1].lower(), ""
        if not found[2]:
            self.attribute = ""
        elif data[end : end + 1] in {'"', "'"}:
            self.place, self.quote = Place.QUOTED, data[end]
            return end + 1
        else:
            self.place = Place.UNQUOTED
        return end

    def _in_quoted(self, data: str, position: int) -> int:
        return self._in_value(data, position, data.find(self.quote, position), 1)

    def _in_unquoted(self, data: str, position: int) -> int:
        end = _UNQUOTED_END.search(data, position)
        return self._in_value(data, position, end.start() if end else -1, 0)

    def _in_value(self, data: str, position: int, end: int, mark: int) -> int:
        self.value = (self.value + (data[position:] if end < 0 else data[position:end])).lstrip()
        if end < 0:
            return len(data)
        self.place, self.attribute = Place.TAG, ""
        return end + mark
