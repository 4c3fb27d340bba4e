"""The application: its commands, global options, and how a command ends."""

from __future__ import annotations

import functools
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from io import TextIOWrapper
from typing import Annotated, Any, Literal, NoReturn

import typer

import ragtime
from ragtime.cli import conversations, model_exports, models, prompts
from ragtime.cli.demo import demo
from ragtime.cli.doctor import doctor
from ragtime.cli.evaluate import evaluate
from ragtime.cli.failures import failures_told_once
from ragtime.cli.finetune import finetune
from ragtime.cli.forget import forget
from ragtime.cli.generate import generate
from ragtime.cli.learn import learn
from ragtime.cli.lineage import lineage
from ragtime.cli.migrate import migrate
from ragtime.cli.output import print_line
from ragtime.cli.settings import settings
from ragtime.config.settings import get_settings, override_settings
from ragtime.errors import ConfigurationError, InvalidArgumentError, RagtimeError
from ragtime.monitoring.logging import configure_logging, get_logger
from ragtime.monitoring.operations import log_operation

__all__ = ["app", "main"]

_log = get_logger(__name__)
_LEVELS = ("WARNING", "INFO", "DEBUG")  # by the number of -v
_FAILED, _MISUSED, _INTERRUPTED = 1, 2, 130  # exit codes: the work failed; arguments or settings are wrong; Ctrl-C

# Rich tracebacks would print local variables, and with them keys and documents.
app = typer.Typer(name="ragtime", no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)


@dataclass(frozen=True)
class _Options:
    """The global options."""

    verbose: int = 0
    quiet: bool = False
    log_format: Literal["console", "json"] | None = None


_options: ContextVar[_Options | None] = ContextVar("ragtime_cli_options", default=None)


def _register(function: Callable[..., None], *, group: typer.Typer | None = None, name: str | None = None) -> None:
    """Add a command, which logs its end like every public operation."""
    called = name or function.__name__.replace("_", "-")
    full = f"ragtime {group.info.name} {called}" if group else f"ragtime {called}"

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        code = 0
        with _prepared(), log_operation(_log, full) as operation:
            try:
                function(*args, **kwargs)
            except typer.Exit as ending:  # a result such as "found problems", not a failure
                code = ending.exit_code
                operation.add(exit_code=code)
        if code:
            raise typer.Exit(code)

    (group or app).command(called)(run)


_register(demo)
_register(doctor)
_register(settings)
_register(learn)
_register(generate)
_register(finetune)
_register(evaluate)
_register(lineage)
_register(forget)
_register(migrate)
_prompts = typer.Typer(
    name="prompts",
    help="Prompts and pages: list, show, render and check them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(_prompts)
_register(prompts.list_prompts, group=_prompts, name="list")
_register(prompts.show, group=_prompts)
_register(prompts.render, group=_prompts)
_register(prompts.check, group=_prompts)
_conversations = typer.Typer(
    name="conversations",
    help="Conversations: import, export, list, show, search and forget them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(_conversations)
_register(conversations.import_conversations, group=_conversations, name="import")
_register(conversations.export_conversations, group=_conversations, name="export")
_register(conversations.list_conversations, group=_conversations, name="list")
_register(conversations.show, group=_conversations)
_register(conversations.search, group=_conversations)
_register(conversations.forget, group=_conversations)
_models = typer.Typer(
    name="models",
    help="The registry of models: register, compare, promote, roll back, export and check them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(_models)
_register(models.register, group=_models)
_register(models.list_versions, group=_models, name="list")
_register(models.show, group=_models)
_register(models.compare, group=_models)
_register(models.promote, group=_models)
_register(models.rollback, group=_models)
_register(models.delete, group=_models)
_register(model_exports.export, group=_models)
_register(model_exports.check, group=_models)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it
    if wanted:
        print_line(f"ragtime {ragtime.__version__}, Python {platform.python_version()}")
        raise typer.Exit


@app.callback()
def _take_options(
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
    _options.set(_Options(verbose=verbose, quiet=quiet, log_format=log_format))


@contextmanager
def _prepared() -> Iterator[None]:
    """Set up logging and progress for one command, as its global options and the settings say."""
    options = _options.get() or _Options()
    level = "ERROR" if options.quiet else _LEVELS[min(options.verbose, len(_LEVELS) - 1)]
    configure_logging(
        format=options.log_format or "console", level=level
    )  # before the settings are read, which may warn
    style = options.log_format or "console"
    try:
        chosen = get_settings()
    except ConfigurationError:  # a command that needs the settings will say so; help and generated files do not
        chosen = None
    if chosen is not None:
        style = options.log_format or chosen.logging.format
        if not (options.quiet or options.verbose) and chosen.explain("logging.level").kind != "default":
            level = chosen.logging.level
    configure_logging(format=style, level=level)
    with ExitStack() as stack:
        if level in {"WARNING", "ERROR"} and style == "console":  # as events they are for machines, and for those who
            stack.enter_context(failures_told_once())  # ask for more
        if options.quiet and chosen is not None:
            stack.enter_context(override_settings(logging__progress="off"))
        yield


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
    _options.set(_Options())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no reason to fail
    sys.exit(_run(given))


def _run(given: list[str]) -> int:
    as_json = "--json" in given
    try:
        code = typer.main.get_command(app)(args=given, prog_name="ragtime", standalone_mode=False)
        sys.stdout.flush()
    except RagtimeError as error:
        _tell(error, str(error), as_json=as_json)
        return _MISUSED if isinstance(error, InvalidArgumentError | ConfigurationError) else _FAILED
    except typer.Abort:
        _tell(KeyboardInterrupt(), "interrupted", as_json=as_json)
        return _INTERRUPTED
    except OSError as error:  # standard output is full or gone
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # so that the interpreter does not stumble over it once more
        _tell(error, f"cannot write the result: {error.strerror}", as_json=as_json)
        return _FAILED
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        if as_json:
            _tell(error, error.format_message(), as_json=True)
        else:
            error.show()  # type: ignore[attr-defined]
        return _MISUSED
    if code == _INTERRUPTED:  # typer makes an exit code of Ctrl-C
        _tell(KeyboardInterrupt(), "interrupted", as_json=as_json)
    return code if isinstance(code, int) else 0


def _tell(error: BaseException, message: str, *, as_json: bool) -> None:
    line = (
        json.dumps({"error": {"type": type(error).__name__, "message": message}}) if as_json else f"ragtime: {message}"
    )
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            sys.stderr.write(f"{line}\n")
