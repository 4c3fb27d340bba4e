"""Notebooks: the Python of all code cells as one text, and back into the same JSON, byte for byte but for changes."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from ragtime.migration.codemod.findings import Finding
from ragtime.migration.codemod.source import UnreadableSourceError, check_syntax

__all__ = ["Notebook", "UnreadableNotebookError"]

_PYTHON_MAGICS = re.compile(r"%%(?:capture|prun|time|timeit)\b")  # behind which a cell goes on in Python
_MAGIC = re.compile(r"(?P<before>[ \t]*(?:[\w.,\[\]'\" \t]+=[ \t]*)?)(?P<magic>[%!?].*|[\w.]+\?{1,2}[ \t]*)")
_SPACE = re.compile(r"[ \t\r\n]*")
_VERSION = 4
_DECODER = json.JSONDecoder()


class UnreadableNotebookError(Exception):
    """A notebook cannot be read, or one of its cells not be parsed."""


class _Span(NamedTuple):
    """A value in the JSON text: where it begins, and where it ends."""

    start: int
    end: int


@dataclass(frozen=True)
class _Cell:
    """A cell of Python.

    Attributes:
        number: Its number among all cells, from 1.
        source: Where its ``source`` stands in the JSON text.
        strings: Where the strings of that stand.
        text: What they say together.
    """

    number: int
    source: _Span
    strings: tuple[_Span, ...]
    text: str


class Notebook:
    """A notebook whose Python can be taken out as one text, for cells share their names, and put back.

    Attributes:
        python: The Python of all cells. Lines that are none, such as ``%pip``, stand as placeholders in it.
    """

    def __init__(self, text: str) -> None:
        """Read a notebook.

        Args:
            text: The JSON text.

        Raises:
            UnreadableNotebookError: It is no notebook of version 4, or a cell of it cannot be parsed.
        """
        self._text = text
        self._mark = "__ragtime_"
        while self._mark in text:
            self._mark += "_"
        self._magics: list[str] = []
        self._cells: list[_Cell] = []
        self.python = ""
        for cell in _code_cells(text):
            masked = self._masked(cell.text)
            try:
                check_syntax(masked)
            except UnreadableSourceError as error:
                raise UnreadableNotebookError(f"cell {cell.number}, line {error.line}: {error}") from None
            self._cells.append(cell)
            self.python += f"# {self._mark}cell_{cell.number}__\n"
            self.python += f"{masked}\n"

    def _masked(self, text: str) -> str:
        """Put placeholders in the place of lines that are no Python."""
        lines = text.split("\n")
        for number, line in enumerate(lines):
            previous = self._magics[-1] if number and self._mark in lines[number - 1] and self._magics else ""
            match = _MAGIC.fullmatch(line)
            if previous.endswith("\\"):  # a magic that goes on
                lines[number] = f"# {self._placeholder(line)}"
            elif match is not None and not (number and match["magic"].startswith("%%")):
                lines[number] = f"{match['before']}{self._placeholder(match['magic'])}"
        return "\n".join(lines)

    def _placeholder(self, magic: str) -> str:
        self._magics.append(magic)
        return f"{self._mark}magic_{len(self._magics) - 1}__"

    def located(self, finding: Finding, python: str) -> Finding:
        """Return a finding in the Python of all cells as one in its cell.

        Args:
            finding: The finding.
            python: `python`, or what became of it.

        Returns:
            The same place, told by its cell.
        """
        head = re.compile(rf"# {self._mark}cell_(\d+)__")
        for number, line in reversed(list(enumerate(python.split("\n")[: finding.line], start=1))):
            match = head.fullmatch(line)
            if match is not None:
                return replace(finding, cell=int(match[1]), line=finding.line - number)
        return finding

    def with_python(self, python: str) -> str:
        """Return the JSON text with other Python in its cells.

        Args:
            python: What `python` became; placeholders are as they were.

        Returns:
            The JSON text: what did not change in `python` is as it was.
        """
        parts, position = [], 0
        texts = re.split(rf"^# {self._mark}cell_\d+__\n", python, flags=re.MULTILINE)[1:]
        for cell, masked in zip(self._cells, texts, strict=True):
            text = re.sub(rf"# {self._mark}magic_(\d+)__", self._magic, masked.removesuffix("\n"))
            text = re.sub(rf"{self._mark}magic_(\d+)__", self._magic, text)
            if text != cell.text:
                parts += [self._text[position : cell.source.start], self._source(cell, text)]
                position = cell.source.end
        return "".join([*parts, self._text[position:]])

    def _magic(self, match: re.Match[str]) -> str:
        return self._magics[int(match[1])]

    def _source(self, cell: _Cell, text: str) -> str:
        """Return the JSON of a cell's new text, in the form of the old one."""
        raw = self._text
        if not raw.startswith("[", cell.source.start):
            return _dumped(text, raw[cell.source.start : cell.source.end])
        opening = raw[cell.source.start : cell.strings[0].start]
        closing = raw[cell.strings[-1].end : cell.source.end]
        between = raw[cell.strings[0].end : cell.strings[1].start] if len(cell.strings) > 1 else f",{opening[1:]}"
        before = [_decoded(raw, span) for span in cell.strings]
        after = text.splitlines(keepends=True)
        pieces: list[str] = []
        matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
        for kind, first, last, start, end in matcher.get_opcodes():
            if kind == "equal":
                pieces.append(raw[cell.strings[first].start : cell.strings[last - 1].end])
            else:
                pieces += [_dumped(line, raw[cell.source.start : cell.source.end]) for line in after[start:end]]
        return f"{opening}{between.join(pieces)}{closing}"


def _dumped(text: str, like: str) -> str:
    """Return a JSON string; other characters than those of ASCII are escaped unless they were not before."""
    return json.dumps(text, ensure_ascii=like.isascii())


def _decoded(text: str, span: _Span) -> str:
    return str(json.loads(text[span.start : span.end]))


def _code_cells(text: str) -> Iterator[_Cell]:
    """Yield the cells of Python, but for those that a magic gives to something else."""
    try:
        notebook = json.loads(text)
    except (ValueError, RecursionError):
        raise UnreadableNotebookError("is no JSON") from None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise UnreadableNotebookError(f"is no notebook of version {_VERSION}: it has no list of cells")
    members = dict(_members(text, _skipped(text, 0)))
    if _language(notebook) != "python":
        return
    for number, (span, cell) in enumerate(
        zip(_elements(text, members["cells"].start), notebook["cells"], strict=True), start=1
    ):
        if not isinstance(cell, dict) or cell.get("cell_type") != "code" or not cell.get("source"):
            continue
        lines = [cell["source"]] if isinstance(cell["source"], str) else cell["source"]
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            raise UnreadableNotebookError(f"cell {number}: its source is no text")
        source = dict(_members(text, span.start))["source"]
        strings = (source,) if isinstance(cell["source"], str) else tuple(_elements(text, source.start))
        whole = "".join(lines)
        if not whole.lstrip().startswith("%%") or _PYTHON_MAGICS.match(whole.lstrip()):
            yield _Cell(number, source, strings, whole)


def _language(notebook: dict[str, object]) -> str:
    metadata = notebook.get("metadata")
    for section, name in (("kernelspec", "language"), ("language_info", "name")):
        found = metadata.get(section) if isinstance(metadata, dict) else None
        if isinstance(found, dict) and isinstance(found.get(name), str):
            return str(found[name]).lower()
    return "python"


# --- places in JSON -----------------------------------------------------------------------------------------------


def _skipped(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _members(text: str, position: int) -> Iterator[tuple[str, _Span]]:
    """Yield the keys of an object, and where their values stand; of a key that stands twice, the last one counts."""
    position = _skipped(text, position + 1)
    while text[position] != "}":
        key, end = _DECODER.raw_decode(text, position)
        start = _skipped(text, _skipped(text, end) + 1)
        _, end = _DECODER.raw_decode(text, start)
        yield key, _Span(start, end)
        position = _skipped(text, end)
        if text[position] == ",":
            position = _skipped(text, position + 1)


def _elements(text: str, position: int) -> Iterator[_Span]:
    """Yield where the elements of an array stand."""
    position = _skipped(text, position + 1)
    while text[position] != "]":
        _, end = _DECODER.raw_decode(text, position)
        yield _Span(position, end)
        position = _skipped(text, end)
        if text[position] == ",":
            position = _skipped(text, position + 1)
