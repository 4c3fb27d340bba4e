"""What the codemod tells: places that a person has to look at, changed files, and files that it left alone."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from ragtime.migration.codemod.values import Hearsay

__all__ = ["FileResult", "Finding", "FindingKind", "MigrationReport", "Problem", "SourceResult", "Target"]

Target = Literal["compat", "ragtime"]
"""Where to: the wrappers, or the new names."""

FindingKind = Literal["import", "use", "result", "leaves", "possible", "string", "star", "note"]
"""What is found: an import that stays, a use, a use of what an old call returned, an object that goes where it cannot
be followed, a use of a value of unknown type, a name in a string, a star import, or something left alone on purpose."""


@dataclass(frozen=True, order=True)
class Finding:
    """A place, and what to do there.

    Attributes:
        line: Its line, from 1; in a notebook, that of its cell.
        column: Its column, from 1.
        kind: What it is.
        old: The old name, such as ``conversation.Conversation.history``.
        message: What to do.
        cell: The cell of a notebook, from 1, text cells counted, too; 0 in a Python file.
    """

    line: int
    column: int
    kind: FindingKind
    old: str
    message: str
    cell: int = 0

    @property
    def is_open(self) -> bool:
        """Whether something is to be done; a note says that nothing is."""
        return self.kind != "note"


@dataclass(frozen=True)
class SourceResult:
    """What became of a text.

    Attributes:
        text: The new text.
        findings: What a person has to look at, in the order of the places in the old text.
        possible: Uses of values of unknown type: they count as findings where old objects may still reach them.
        modules: The old modules that the old text imports, under either name.
        hearsay: What the text tells others; ``None`` when nothing.
        moved: What was found, as it stands in the new text, where that is another place.
    """

    text: str
    findings: tuple[Finding, ...] = ()
    possible: tuple[Finding, ...] = ()
    modules: frozenset[str] = frozenset()
    hearsay: Hearsay | None = None
    moved: Mapping[Finding, Finding] = field(default_factory=dict)


@dataclass(frozen=True)
class FileResult:
    """What became of a file.

    Attributes:
        path: The file.
        before: Its text, line breaks as they are.
        after: The new one, equal when nothing changes.
        encoding: How the file is encoded.
        findings: What a person has to look at.
    """

    path: Path
    before: str = field(repr=False)
    after: str = field(repr=False)
    encoding: str = "utf-8"
    findings: tuple[Finding, ...] = ()  # in the new text when that was written, else in the old one

    @property
    def is_changed(self) -> bool:
        """Whether the text changes."""
        return self.before != self.after

    def where(self, finding: Finding) -> str:
        """Return the place of a finding, as terminals and editors know it."""
        cell = f"cell {finding.cell}:" if finding.cell else ""
        return f"{self.path}:{cell}{finding.line}:{finding.column}"

    def diff(self) -> str:
        """Return the unified diff; empty when nothing changes."""
        if not self.is_changed:
            return ""
        before, after = (text.splitlines(keepends=True) for text in (self.before, self.after))
        lines = difflib.unified_diff(before, after, str(self.path), str(self.path))
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


@dataclass(frozen=True)
class Problem:
    """A file that was left alone because it cannot be read, parsed or written.

    Attributes:
        path: The file.
        message: Why.
        line: Where, from 1; 0 when it is no matter of a line.
    """

    path: Path
    message: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}" if self.line else f"{self.path}: {self.message}"


@dataclass(frozen=True)
class MigrationReport:
    """What a run found and did.

    Attributes:
        target: Where to.
        written: Whether the changed files were written.
        files: The files that change, or hold findings, in the order of their paths.
        problems: The files that were left alone.
        checked: How many files were looked at.
    """

    target: Target
    written: bool
    files: tuple[FileResult, ...]
    problems: tuple[Problem, ...]
    checked: int

    @property
    def changed(self) -> int:
        """How many files change."""
        return sum(file.is_changed for file in self.files)

    @property
    def open_places(self) -> int:
        """How many places a person has to change."""
        return sum(finding.is_open for file in self.files for finding in file.findings)

    @property
    def exit_code(self) -> int:
        """2 when a file was left alone, else 1 when something is to be done and was only shown, else 0."""
        if self.problems:
            return 2
        return int(not self.written and bool(self.changed or self.open_places))

    def to_dict(self) -> dict[str, Any]:
        """Return all of it but the texts, as a JSON object."""
        return {
            "to": self.target,
            "written": self.written,
            "checked": self.checked,
            "changed": [str(file.path) for file in self.files if file.is_changed],
            "findings": [
                {
                    "path": str(file.path),
                    "cell": finding.cell or None,
                    "line": finding.line,
                    "column": finding.column,
                    "kind": finding.kind,
                    "old": finding.old,
                    "message": finding.message,
                }
                for file in self.files
                for finding in file.findings
            ],
            "problems": [
                {"path": str(one.path), "line": one.line or None, "message": one.message} for one in self.problems
            ],
        }
