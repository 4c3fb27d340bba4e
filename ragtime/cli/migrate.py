"""``ragtime migrate``: programs leave the old modules."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ragtime.cli.output import CONTROL_ESCAPES, print_json, print_line
from ragtime.errors import InvalidArgumentError, MissingExtraError
from ragtime.migration.codemod import FileResult, MigrationReport, Target
from ragtime.migration.codemod import migrate as migrate_files

__all__ = ["migrate"]

_NOT_DONE = 2


def migrate(
    paths: Annotated[list[Path], typer.Argument(help="Python files, notebooks, and folders of them.")],
    *,
    to: Annotated[
        Target,
        typer.Option("--to", help="compat: the wrappers of the old modules; ragtime: the new names, as far as proven."),
    ] = "compat",
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; tell what is to be done. The default.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Write nothing; show the changes, too.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Write the changed files.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make programs that use the old modules use their wrappers, or the new names.

    With --to compat only imports change. With --to ragtime, what means the same by proof of the file itself changes;
    the rest stays with the wrappers, so that the program runs as before, and is listed with what to do. One thing the
    new names do not take: an exchange whose question or answer is empty.

    Exit code 0: nothing is to be done, or with --write all changes are written. 1: without --write, there are changes
    or listed places. 2: a file was left alone because it cannot be read, parsed or written.

    Examples:

      ragtime migrate --to compat --write app/

      ragtime migrate --to ragtime --diff app/
    """  # noqa: D412 - typer shows this text as it is
    if check + diff + write > 1:
        raise InvalidArgumentError("Give one of --check, --diff and --write")
    try:
        report = migrate_files(paths, to, write=write)
    except MissingExtraError as error:
        _tell(error, as_json=as_json)
        raise typer.Exit(_NOT_DONE) from None  # 1 would say that there is something to change
    if as_json:
        diffs = {"diffs": {str(file.path): file.diff() for file in report.files if file.is_changed}} if diff else {}
        print_json({**report.to_dict(), **diffs})
    else:
        _print(report, diff=diff)
    if report.exit_code:
        raise typer.Exit(report.exit_code)


def _print(report: MigrationReport, *, diff: bool) -> None:
    for file in report.files:
        if file.is_changed and diff:
            sys.stdout.write(file.diff())
        _print_findings(file)
    if not diff:
        for file in report.files:
            if file.is_changed:
                print_line(f"{'changed' if report.written else 'would change'}: {_shown(str(file.path))}")
    for problem in report.problems:
        print_line(_shown(str(problem)))
    print_line(
        f"Files checked: {report.checked}, {'changed' if report.written else 'to change'}: {report.changed}, "
        f"left alone: {len(report.problems)}; places to look at: {report.open_places}"
    )


def _print_findings(file: FileResult) -> None:
    for finding in file.findings:
        print_line(_shown(f"{file.where(finding)}: {finding.old}: {finding.message}"))


def _shown(text: str) -> str:
    return text.translate(CONTROL_ESCAPES)


def _tell(error: MissingExtraError, *, as_json: bool) -> None:
    told = {"error": {"type": type(error).__name__, "message": str(error)}}
    sys.stderr.write(f"{json.dumps(told)}\n" if as_json else f"ragtime: {error}\n")
