"""The application: its commands, global options, and how a command ends."""

from __future__ import annotations

import functools
import json
import logging
import platform
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, NoReturn

import typer

import ragtime
from ragtime.cli.demo import demo
from ragtime.cli.doctor import doctor
from ragtime.cli.output import print_line
from ragtime.cli.settings import settings
from ragtime.config.settings import get_settings, override_settings
from ragtime.errors import ConfigurationError, InvalidArgumentError, RagtimeError
from ragtime.monitoring.logging import configure_logging, get_logger
from ragtime.monitoring.operations import log_operation

__all__ = ["app", "main"]

_log = get_logger(__name__)
_LEVELS = ("WARNING", "INFO", "DEBUG")  # by the number of -v
_FAILED, _MISUSED = 1, 2  # exit codes: the work failed; the user's arguments or settings are wrong

# Rich tracebacks would print local variables, and with them keys and documents.
app = typer.Typer(name="ragtime", no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)


def _register(function: Callable[..., None]) -> None:
    """Add a command, which logs its end like every public operation."""
    name = function.__name__.replace("_", "-")

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        code = 0
        with log_operation(_log, f"ragtime {name}") as operation:
            try:
                function(*args, **kwargs)
            except typer.Exit as ending:  # a result such as "found problems", not a failure
                code = ending.exit_code
                operation.add(exit_code=code)
        if code:
            raise typer.Exit(code)

    app.command(name)(run)


_register(demo)
_register(doctor)
_register(settings)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it
    if wanted:
        print_line(f"ragtime {ragtime.__version__}, Python {platform.python_version()}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    *,
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, show_default=False, help="Log more; twice: even more.")
    ] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Log errors only, show no progress.")] = False,
    log_format: Annotated[
        Literal["console", "json"] | None, typer.Option("--log-format", help="How log events are written.")
    ] = None,
    version: Annotated[  # noqa: ARG001 - its callback acts
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """ragtime: the learning loop of a RAG system.

    Results go to standard output, logs and progress to standard error.
    """
    level = "ERROR" if quiet else _LEVELS[min(verbose, len(_LEVELS) - 1)]
    configure_logging(format=log_format or "console", level=level)  # before the settings are read, which may warn
    chosen = get_settings()
    if not (quiet or verbose) and chosen.explain("logging.level").kind != "default":
        level = chosen.logging.level
    configure_logging(format=log_format, level=level)
    # main() tells a failure in words; as a log event it is for machines, and for those who ask for more.
    told_twice = level in {"WARNING", "ERROR"} and (log_format or chosen.logging.format) == "console"
    logging.getLogger(__name__).setLevel(logging.CRITICAL if told_twice else logging.NOTSET)
    if quiet:
        context.with_resource(override_settings(logging__progress="off"))


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line, and leave the process.

    Args:
        arguments: What follows the program's name; ``None`` means what the process was started with.

    Raises:
        SystemExit: Always: with 0 when all went well, 1 when the work failed, 2 when arguments or settings are wrong. A
            user's mistake is told in a few words on standard error, as JSON when the command prints JSON; only a bug
            has a traceback.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        typer.main.get_command(app)(args=given, prog_name="ragtime")
    except RagtimeError as error:
        if "--json" in given:
            sys.stderr.write(json.dumps({"error": {"type": type(error).__name__, "message": str(error)}}) + "\n")
        else:
            sys.stderr.write(f"ragtime: {error}\n")
        sys.exit(_MISUSED if isinstance(error, InvalidArgumentError | ConfigurationError) else _FAILED)
    sys.exit(0)
