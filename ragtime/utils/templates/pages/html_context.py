"""Where in HTML a value stands: what escaping alone does not make safe."""

from __future__ import annotations

import re
from enum import Enum, auto

__all__ = ["HTMLContext", "Place"]

_TAG_NAME = re.compile(r"</?([A-Za-z][^\s/>]*)")
_ATTRIBUTE = re.compile(r"""\s*/?\s*(?:([^\s=>"'/]+)\s*(=)?\s*)?""")
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
        value_begun: Whether something of the attribute's value stands already.
    """

    def __init__(self) -> None:
        """Begin in the text of an empty page."""
        self.place = Place.TEXT
        self.tag = ""
        self.attribute = ""
        self.value_begun = False
        self._quote = ""

    def feed(self, data: str) -> None:
        """Go on with a piece of the page."""
        position = 0
        while position < len(data):
            position = getattr(self, f"_in_{self.place.name.lower()}")(data, position)

    def skip_value(self) -> None:
        """Go on with a value that is not known."""
        self.value_begun = True
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
        if name is None:
            return begin + 1
        self.tag = name[1].lower() if not data.startswith("</", begin) else ""
        self.place, self.attribute = Place.TAG, ""
        return name.end()

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
        self.attribute, self.value_begun = found[1].lower(), False
        if not found[2]:
            self.attribute = ""
        elif data[end : end + 1] in {'"', "'"}:
            self.place, self._quote = Place.QUOTED, data[end]
            return end + 1
        else:
            self.place = Place.UNQUOTED
        return end

    def _in_quoted(self, data: str, position: int) -> int:
        end = data.find(self._quote, position)
        if end < 0:
            self.value_begun = True
            return len(data)
        self.place, self.attribute = Place.TAG, ""
        return end + 1

    def _in_unquoted(self, data: str, position: int) -> int:
        end = re.compile(r"[\s>]").search(data, position)
        if end is None:
            self.value_begun = True
            return len(data)
        self.place, self.attribute = Place.TAG, ""
        return end.start()
