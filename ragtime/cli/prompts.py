"""``ragtime prompts …``: what prompts there are, how they render, and whether they are sound."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ragtime.cli.output import print_json, print_line, print_table
from ragtime.errors import InvalidArgumentError
from ragtime.utils.files import parse_json_object
from ragtime.utils.templates import RULES, PromptManager
from ragtime.utils.templates.checking import check_templates

__all__ = ["check", "list_prompts", "render", "show"]

_Path = Annotated[
    Path | None, typer.Option("--path", help="Folder of prompt files, or one file, over those of the settings.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Version = Annotated[str | None, typer.Option("--version", help="Version; the highest when none is given.")]
_Locale = Annotated[str | None, typer.Option("--locale", help="Locale; that of the settings when none is given.")]
_Variant = Annotated[
    str | None, typer.Option("--variant", help="Variant; the prompt's own wording when none is given.")
]


def list_prompts(
    *,
    path: _Path = None,
    category: Annotated[str | None, typer.Option("--category", help="Only those of this category.")] = None,
    as_json: _Json = False,
) -> None:
    """List the prompts of every layer, the winning one first.

    Example:

      ragtime prompts list --category training-data
    """  # noqa: D412 - typer shows this text as it is
    rows: list[dict[str, Any]] = [
        {
            "name": entry.definition.name,
            "version": entry.definition.version,
            "locale": entry.definition.locale,
            "variants": list(entry.definition.variants),
            "category": entry.definition.category,
            "layer": entry.layer,
            "description": entry.definition.description,
            "file": str(entry.file) if entry.file else None,
        }
        for entry in PromptManager(path).entries()
        if category in {None, entry.definition.category}
    ]
    if as_json:
        print_json(rows)
        return
    columns = ("name", "version", "locale", "variants", "category", "layer", "description")
    cells = [
        [", ".join(cell) if isinstance(cell := row[column], list) else str(cell or "") for column in columns]
        for row in rows
    ]
    print_table(columns, cells, title="ragtime prompts")


def show(
    name: Annotated[str, typer.Argument(help="Name of the prompt.")],
    *,
    path: _Path = None,
    version: _Version = None,
    locale: _Locale = None,
    variant: _Variant = None,
    as_json: _Json = False,
) -> None:
    """Show a prompt: where it comes from and why, what it takes, and its text.

    Example:

      ragtime prompts show answer --variant creative
    """  # noqa: D412 - typer shows this text as it is
    prompts = PromptManager(path)
    explanation = prompts.explain(name, version=version, locale=locale, variant=variant)
    prompt = prompts.get(name, version=version, locale=locale, variant=variant)
    definition = prompt.definition.model_dump(mode="json", exclude_defaults=True)
    if as_json:
        told = {"source": explanation.source.to_dict(), "layer": explanation.layer, "fallback": explanation.fallback}
        variables = {key: value.model_dump(mode="json") for key, value in prompt.variables.items()}
        print_json({**told, "steps": explanation.steps, "variables": variables, "definition": definition})
        return
    print_line(str(explanation))
    for key, variable in prompt.variables.items():
        needed = "required" if variable.required else f"optional, default {variable.default!r}"
        print_line(f"  {{{key}}}: {variable.type}, {needed}. {variable.description}".rstrip())
    body = prompt.definition if variant is None else prompt.definition.variants[variant]
    for index, entry in enumerate(body.messages or ()):
        kind = next(iter(entry.model_dump(exclude={"template"}).items()))
        print_line(f"messages[{index}]: {kind[0]} {kind[1] if isinstance(kind[1], str) else ', '.join(kind[1])}")
    for place, text in body.texts():
        print_line(f"\n--- {place}\n{text}")


def render(
    name: Annotated[str, typer.Argument(help="Name of the prompt.")],
    *,
    variables: Annotated[
        list[str] | None,
        typer.Option("--var", metavar="NAME=VALUE", help="A variable as text; NAME:=JSON for numbers, lists, objects."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--vars", help="JSON file of variables; - for standard input.", allow_dash=True)
    ] = None,
    path: _Path = None,
    version: _Version = None,
    locale: _Locale = None,
    variant: _Variant = None,
    as_json: _Json = False,
) -> None:
    """Render a prompt. With --json, as messages with what made them.

    Examples:

      ragtime prompts render greeting --var name=Ann

      ragtime prompts render query-generation --var passage=- --var count:=3 < passage.txt
    """  # noqa: D412 - typer shows this text as it is
    prompt = PromptManager(path).get(name, version=version, locale=locale, variant=variant)
    given: dict[str, Any] = {}
    for text in variables or ():
        key, value = _variable(text)
        if key in given:
            raise InvalidArgumentError(f"The variable {key!r} is given twice")
        given[key] = value
    values = {**(_read_variables(file) if file else {}), **given}
    if as_json:
        messages = prompt.messages(**values)
        print_json({"source": prompt.source.to_dict(), "messages": messages})
    else:
        print_line(prompt.render(**values))


def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders or files of prompts (.json) and pages (.html); those of the settings when none."),
    ] = None,
    *,
    packaged: Annotated[bool, typer.Option("--packaged", help="Check what comes with ragtime, too.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    rules: Annotated[bool, typer.Option("--rules", help="List the rules, and check nothing.")] = False,
    as_json: _Json = False,
) -> None:
    """Look for mistakes in prompts and pages, and run the tests of prompts. Exit code 1 when there are any.

    Example:

      ragtime prompts check prompts/ pages/
    """  # noqa: D412 - typer shows this text as it is
    if rules:
        if as_json:
            print_json(RULES)
        else:
            print_table(("rule", "meaning"), RULES.items())
        return
    report = check_templates(paths or (), packaged=packaged)
    severe = [one for one in report.findings if strict or one.severity == "error"]
    if as_json:
        found = [finding.to_dict() for finding in report.findings]
        print_json({"prompts": report.prompts, "pages": report.pages, "tests": report.tests, "findings": found})
    else:
        for finding in report.findings:
            print_line(str(finding))
        print_line(
            f"{report.prompts} prompts with {report.tests} tests and {report.pages} pages checked: "
            f"{len(severe)} errors, {len(report.findings) - len(severe)} warnings"
        )
    if severe:
        raise typer.Exit(1)


def _variable(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign or not name.removesuffix(":").isidentifier():
        raise InvalidArgumentError(
            f"--var takes NAME=VALUE or NAME:=JSON, with an identifier as name; found {name[:50]!r}"
        )
    if name.endswith(":"):
        try:
            return name[:-1], json.loads(value)
        except (ValueError, RecursionError):
            raise InvalidArgumentError(f"--var {name}=… is no JSON") from None
    return name, _read_text() if value == "-" else value


def _read_text() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(f"Standard input is not UTF-8, from byte {error.start} on") from None


def _read_variables(file: Path) -> dict[str, Any]:
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise InvalidArgumentError(f"Cannot read {str(file)!r}: {error.strerror}") from None
    try:
        return parse_json_object(data)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"--vars {file}: {error}") from None
