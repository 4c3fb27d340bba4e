"""What commands print: results on standard output, for people or as JSON; everything else on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["print_json", "print_line", "print_table"]


def print_json(value: Any) -> None:
    """Print a JSON value, and nothing else, on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def print_line(text: str) -> None:
    """Print a line of text on standard output, as it is."""
    sys.stdout.write(f"{text}\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None) -> None:
    """Print a table on standard output: drawn to its width on a terminal, tab-separated lines elsewhere.

    Args:
        columns: Names of the columns.
        rows: Cells of each row, as many as there are columns; nothing in them is markup.
        title: Stands above the table on a terminal; ``None`` means no title.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        for row in (columns, *rows):
            print_line("\t".join(" ".join(cell.split()) for cell in row))
        return
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(cell.replace("[", r"\[") for cell in row))
    console.print(table)
