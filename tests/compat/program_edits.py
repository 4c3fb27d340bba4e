"""Edits that are kept as a patch without context lines: what it touches, and how it is applied."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

_HEAD = re.compile(r"@@ -(\d+)(?:,(\d+))? \+\d+(?:,\d+)? @@")
_WITH_BODY = (ast.If, ast.For, ast.While, ast.With, ast.Try)


@dataclass
class Hunk:
    """Lines that are taken out of a file, and what takes their place.

    Attributes:
        path: The file, in its folder.
        start: The first line, from 1; 0 in a new file.
        removed: What stands there.
        added: What is to stand there.
    """

    path: str
    start: int
    removed: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)

    @property
    def lines(self) -> set[int]:
        """The lines that it touches."""
        return set(range(self.start, self.start + len(self.removed)))


def read_patch(text: str) -> list[Hunk]:
    """Read a patch."""
    path, hunks = "", list[Hunk]()
    for line in text.splitlines(keepends=True):
        if line.startswith("+++ b/"):
            path = line.removeprefix("+++ b/").strip()
        elif head := _HEAD.match(line):
            hunks.append(Hunk(path, int(head[1])))
        elif not line.startswith("--- a/"):
            (hunks[-1].removed if line.startswith("-") else hunks[-1].added).append(line[1:])
    return hunks


def apply_patch(folder: Path, hunks: Iterable[Hunk]) -> None:
    """Apply a patch; what is taken out has to be there to the letter."""
    for hunk in reversed(list(hunks)):  # from the end, so that the numbers of the lines before stay right
        path = folder / hunk.path
        lines = path.read_text().splitlines(keepends=True) if hunk.start else []
        first = max(hunk.start - 1, 0)
        last = first + len(hunk.removed)
        assert lines[first:last] == hunk.removed, (hunk.path, hunk.start)
        lines[first:last] = hunk.added
        path.write_text("".join(lines))


def lines_of_places(source: str, places: set[int], touched: set[int]) -> set[int]:
    """Return the lines that a list of places gives leave to change.

    Args:
        source: The program.
        places: The lines that the list names.
        touched: The lines that are changed.

    Returns:
        All lines of the statements in which the places are; of one with a body only its head, but for one that goes as
        a whole.
    """
    allowed: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.stmt):
            continue
        whole = set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        body = getattr(node, "body", None)
        head = set(range(node.lineno, body[0].lineno)) if body else whole
        if places & head:
            allowed |= whole if isinstance(node, _WITH_BODY) and whole <= touched else head
    return allowed
