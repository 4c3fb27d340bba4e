"""A migration: many files, each on its own, and what is told of them together."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.migration.codemod.files import TextFile, UnreadableFileError, find_files, read_file
from ragtime.migration.codemod.findings import FileResult, Finding, MigrationReport, Problem, SourceResult, Target
from ragtime.migration.codemod.own_modules import Neighbours, is_old_module
from ragtime.migration.members import FAMILIES
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.utils.extras import require
from ragtime.utils.files import write_bytes

if TYPE_CHECKING:
    from ragtime.migration.codemod.values import Hearsay

__all__ = ["migrate"]

_log = get_logger(__name__)
_WORD = re.compile(r"\w+")


def migrate(paths: Iterable[str | Path], target: Target = "compat", *, write: bool = False) -> MigrationReport:
    """Migrate Python files and notebooks from the old modules.

    A file that cannot be read, parsed, or written again byte for byte is left as it is, and told.

    Args:
        paths: Files and folders; see ``find_files`` for what is passed over.
        target: ``compat``: imports come from the wrappers, nothing else changes. ``ragtime``: what is proven to mean
            the same comes from the new modules, the rest stays with the wrappers and is told.
        write: Whether to write the changed files, each whole or not at all; else nothing is written.

    Returns:
        What was found and done.

    Raises:
        InvalidArgumentError: A path does not exist, there is no file, or no such target.
        MissingExtraError: The extra ``migrate`` is not installed.
    """
    if target not in get_args(Target):
        raise InvalidArgumentError(f"target is one of {', '.join(get_args(Target))}, found {target!r}")
    given = [Path(path) for path in paths]
    files = find_files(given)
    require("libcst", "migrate")
    with log_operation(_log, "migrate", to=target) as operation:
        run = _Run(target, Neighbours(path for path in given if path.is_dir()))
        for path in files:
            run.look_at(path)
        run.look_again()
        report = run.report(write=write, checked=len(files))
        operation.add(
            checked=report.checked, changed=report.changed, open=report.open_places, problems=len(report.problems)
        )
    return report


@dataclass(frozen=True)
class _Looked:
    """What was found in a file, before it is known what the others still hold."""

    file: TextFile
    result: SourceResult


class _Run:
    def __init__(self, target: Target, neighbours: Neighbours) -> None:
        self._target = target
        self._neighbours = neighbours
        self._files: list[TextFile] = []
        self._looked: dict[Path, _Looked] = {}
        self._problems: list[Problem] = []

    def look_at(self, path: Path) -> None:
        """Migrate one file, in memory."""
        from ragtime.migration.codemod.rewriting import may_concern  # noqa: PLC0415 - needs the extra

        try:
            file = read_file(path)
        except UnreadableFileError as error:
            self._problems.append(Problem(path, str(error)))
            return
        if is_old_module(path):
            note = Finding(1, 1, "note", path.stem, "left alone: the old module; remove it when nothing imports it")
            self._looked[path] = _Looked(file, SourceResult(file.text, (note,)))
            return
        self._files.append(file)
        if may_concern(file.text, self._target):
            self._migrate(file)

    def look_again(self) -> None:
        """Look anew at those files that others tell something of, until there is nothing new."""
        from ragtime.migration.codemod.values import Hearsay  # noqa: PLC0415 - needs the extra

        known = Hearsay()
        while True:
            told = [one.result.hearsay for one in self._looked.values() if one.result.hearsay is not None]
            heard = functools.reduce(operator.or_, told, known)
            if known.covers(heard):
                return
            known = heard
            names = {*known.handed_on, *known.holders}
            for file in self._files:
                imports = file.path in self._looked and self._looked[file.path].result.modules
                if imports or not names.isdisjoint(_WORD.findall(file.text)):
                    self._migrate(file, known)

    def _migrate(self, file: TextFile, hearsay: Hearsay | None = None) -> None:
        from ragtime.migration.codemod.source import UnreadableSourceError  # noqa: PLC0415 - needs the extra

        if any(problem.path == file.path for problem in self._problems):
            return
        try:
            self._looked[file.path] = _Looked(file, self._rewritten(file, hearsay))
        except UnreadableSourceError as error:
            self._problems.append(Problem(file.path, str(error), error.line))
        except UnreadableFileError as error:
            self._problems.append(Problem(file.path, str(error)))

    def _rewritten(self, file: TextFile, hearsay: Hearsay | None) -> SourceResult:
        from ragtime.migration.codemod.notebooks import Notebook, UnreadableNotebookError  # noqa: PLC0415 - as above
        from ragtime.migration.codemod.rewriting import rewrite_source  # noqa: PLC0415 - as above

        rewrite = functools.partial(
            rewrite_source, target=self._target, file=file.path, neighbours=self._neighbours, hearsay=hearsay
        )
        if not file.is_notebook:
            return rewrite(file.text)
        try:
            notebook = Notebook(file.text)
        except UnreadableNotebookError as error:
            raise UnreadableFileError(str(error)) from None
        result = rewrite(notebook.python)
        return replace(
            result,
            text=notebook.with_python(result.text),
            findings=tuple(notebook.located(one, notebook.python) for one in result.findings),
            possible=tuple(notebook.located(one, notebook.python) for one in result.possible),
            moved={
                notebook.located(one, notebook.python): notebook.located(new, result.text)
                for one, new in result.moved.items()
            },
        )

    def report(self, *, write: bool, checked: int) -> MigrationReport:
        """Put together what was found, and write what changed."""
        live = {module for one in self._looked.values() for module in one.result.modules}
        live |= {module for family in FAMILIES if live & family for module in family}
        files = []
        for _, one in sorted(self._looked.items()):
            possible = [finding for finding in one.result.possible if finding.old.partition(".")[0] in live]
            findings = [*one.result.findings, *possible]
            if write:
                findings = [one.result.moved.get(finding, finding) for finding in findings]
            file = FileResult(
                one.file.path, one.file.text, one.result.text, one.file.encoding, tuple(sorted(findings, key=_place))
            )
            if (file.is_changed or findings) and not (write and self._failed(file)):
                files.append(file)
        problems = tuple(sorted(self._problems, key=lambda problem: problem.path))
        return MigrationReport(self._target, write, tuple(files), problems, checked)

    def _failed(self, file: FileResult) -> bool:
        """Write a file when it changes; returns whether that failed."""
        if not file.is_changed:
            return False
        try:
            write_bytes(file.path, file.after.encode(file.encoding))
        except StorageError as error:
            self._problems.append(Problem(file.path, str(error)))
            return True
        return False


def _place(finding: Finding) -> tuple[int, Finding]:
    return finding.cell, finding
