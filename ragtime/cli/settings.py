"""``ragtime settings``: the effective settings, and where each comes from."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer
from pydantic import SecretStr

from ragtime.cli.output import print_json, print_line, print_table
from ragtime.config.reference import settings_env_example, settings_markdown, settings_schema
from ragtime.config.settings import Explanation, get_settings
from ragtime.errors import InvalidArgumentError
from ragtime.monitoring.redaction import redact_text

__all__ = ["settings"]

_GENERATED = {"env": settings_env_example, "markdown": settings_markdown, "schema": settings_schema}


def settings(
    name: Annotated[str | None, typer.Argument(help="One field, such as seed; without it, all.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    generate: Annotated[
        Literal["env", "markdown", "schema"] | None,
        typer.Option("--generate", help="Print a file made from the settings model."),
    ] = None,
) -> None:
    """Show the effective settings, redacted, with the source of each.

    Examples:

      ragtime settings

      ragtime settings embedding.model_name

      ragtime settings --generate env > .env
    """  # noqa: D412 - typer shows this text as it is
    if generate is not None:
        if name is not None or as_json:
            raise InvalidArgumentError("--generate prints a whole file; it goes with no name and not with --json")
        print_line(_GENERATED[generate]().rstrip("\n"))
        return
    current = get_settings()
    if name is not None:
        explanation = current.explain(name)
        if as_json:
            losers = [{"value": _plain(value), "source": source} for value, source in explanation.beaten]
            print_json({"name": explanation.name, **_as_dict(explanation), "beaten": losers})
        else:
            beaten = [f", over {_quoted(value)} ({source})" for value, source in explanation.beaten]
            print_line("".join([f"{explanation.name} = {_quoted(explanation.value)} ({explanation.source})", *beaten]))
        return
    explained = current.explain_all()
    if as_json:
        print_json({explanation.name: _as_dict(explanation) for explanation in explained})
        return
    rows = [(explanation.name, _shown(explanation.value), explanation.source) for explanation in explained]
    print_table(("setting", "value", "source"), rows, title="Settings of ragtime")


def _as_dict(explanation: Explanation) -> dict[str, Any]:
    return {"value": _plain(explanation.value), "kind": explanation.kind, "source": explanation.source}


def _plain(value: object) -> object:
    return value if isinstance(value, int | float | bool | None) else _shown(value)


def _shown(value: object) -> str:
    if value is None:
        return "none"
    # A key may have got into a field that is not meant for keys, such as a command line.
    return "**********" if isinstance(value, SecretStr) else redact_text(str(value))


def _quoted(value: object) -> str:
    shown = _plain(value)
    return repr(shown) if isinstance(value, str) else str(shown)
