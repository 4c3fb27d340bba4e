"""The command line: ``ragtime …``, also ``python -m ragtime …``; one thin file a command, no logic of its own."""

from ragtime.cli.main import main

__all__ = ["main"]
