"""What commands print: results on standard output, for people or as JSON; everything else on standard error."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["CONTROL_ESCAPES", "print_json", "print_line", "print_table"]

CONTROL_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
"""How control characters are shown, for ``str.translate``: a value must not move the cursor."""


def print_json(value: Any) -> None:
    """Print a JSON value, and nothing else, on standard output."""
    _write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def print_line(text: str) -> None:
    """Print a line of text on standard output, as it is."""
    _write(f"{text}\n")


def _write(text: str) -> None:
    if sys.stdout is None:  # closed before we were started
        raise OSError(errno.EBADF, "standard output is closed")
    sys.stdout.write(text)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None) -> None:
    """Print a table on standard output: drawn to its width on a terminal, tab-separated lines elsewhere.

    Args:
        columns: Names of the columns.
        rows: Cells of each row, as many as there are columns; nothing in them is markup.
        title: Stands above the table on a terminal; ``None`` means no title.
    """
    if sys.stdout is None or not sys.stdout.isatty():
        for row in (columns, *rows):
            print_line("\t".join(cell.translate(CONTROL_ESCAPES) for cell in row))
        return
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell.translate(CONTROL_ESCAPES)) for cell in row))
    Console(highlight=False).print(table)
