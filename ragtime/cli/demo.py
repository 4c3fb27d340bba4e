"""``ragtime demo``: says what is there."""

from __future__ import annotations

from typing import Annotated

import typer

import ragtime
from ragtime.cli.output import print_json, print_line
from ragtime.config.settings import get_settings
from ragtime.utils.extras import installed_extras

__all__ = ["demo"]


def demo(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Say what is installed, and what this version can do. Works without a network.

    Example:

      ragtime demo
    """  # noqa: D412 - typer shows this text as it is
    missing = installed_extras()
    settings = get_settings()
    if as_json:
        complete = {extra: not modules for extra, modules in missing.items()}
        print_json({"version": ragtime.__version__, "data_dir": str(settings.data_path()), "extras": complete})
        return
    print_line(f"ragtime {ragtime.__version__} is installed.")
    print_line("")
    print_line("There are settings with provenance (`ragtime settings`), structured logging with redaction, atomic")
    print_line("files, content ids, records, and the seams that models plug into. The services that learn are still")
    print_line("to come; nothing is trained yet.")
    print_line("")
    print_line(f"Everything it keeps will rest in {settings.data_path()}.")
    print_line("Optional parts:")
    for extra, modules in missing.items():
        state = "installed" if not modules else f'pip install "ragtime-gal[{extra}]"'
        print_line(f"  {extra:<12} {state}")
