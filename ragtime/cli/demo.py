"""``ragtime demo``: a search over real text, offline."""

from __future__ import annotations

from typing import Annotated

import typer

import ragtime
from ragtime.backends.demo import run_search_demo
from ragtime.cli.output import print_json, print_line
from ragtime.config.settings import get_settings

__all__ = ["demo"]


def demo(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Embed 200 documentation strings of the standard library and answer three questions. Needs no network.

    Example:

      ragtime demo
    """  # noqa: D412 - typer shows this text as it is
    settings = get_settings()
    shown = run_search_demo(settings)
    if as_json:
        answers = [answer._asdict() for answer in shown.answers]
        print_json({"documents": shown.documents, "seconds": round(shown.seconds, 3), "answers": answers})
        return
    print_line(
        f"ragtime {ragtime.__version__}: {shown.documents} documentation strings of this Python's standard library,"
    )
    print_line(
        f"embedded by {settings.embedding.model_name} in {shown.seconds:.1f} s; a second run takes them from the cache."
    )
    for answer in shown.answers:
        print_line(f"\n{answer.question}")
        print_line(f"  {answer.first_line}")
        for name, score in answer.found:
            print_line(f"    {score:.3f}  {name}")
    print_line(
        "\nThe learning loop is still to come: nothing is trained yet. `ragtime doctor` tells what is installed."
    )
