"""``ragtime doctor``: what is here and what is not."""

from __future__ import annotations

from typing import Annotated

import typer

from ragtime.backends.diagnosis import diagnose
from ragtime.cli.output import print_json, print_table

__all__ = ["doctor"]


def doctor(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Look at Python, extras, device, model, cache and stores. Exit code 1 when something will fail.

    Example:

      ragtime doctor
    """  # noqa: D412 - typer shows this text as it is
    findings = diagnose()
    if as_json:
        print_json([finding._asdict() for finding in findings])
    else:
        print_table(("what", "state", "found"), findings, title="ragtime doctor")
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(1)
