"""The checks of pages behind ``HTMLTemplateManager.validate`` and ``ragtime prompts check``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ragtime.errors import InvalidArgumentError, TemplateError, TemplateNotFoundError
from ragtime.utils.templates.engine.analysis import TemplateFacts, analyse
from ragtime.utils.templates.engine.engine import Source, TemplateEngine
from ragtime.utils.templates.findings import Finding
from ragtime.utils.templates.pages.declaration import declared_variables
from ragtime.utils.templates.pages.html_context import HTMLContext, Place
from ragtime.utils.templates.pages.loader import PageFiles

__all__ = ["lint_page"]

_ADDRESSES = set("action background cite data formaction href poster src srcset xlink:href".split())


@dataclass
class _Page:
    """A page with what it needs; ``facts`` is ``None`` when it cannot be parsed."""

    source: Source
    facts: TemplateFacts | None


def lint_page(engine: TemplateEngine, files: PageFiles, name: str) -> list[Finding]:
    """Check a page, and with it those that it refers to.

    Args:
        engine: Parses the pages.
        files: Finds them.
        name: Name of the page.

    Returns:
        The findings, page by page.

    Raises:
        TemplateNotFoundError: There is no such page.
    """
    pages: dict[str, _Page] = {}
    found = [*_collect(engine, files, files.source(name), (name,), pages)]
    for page in pages.values():
        if page.facts is not None:
            found += _lint_places(engine, page)
    root = pages[name]
    if root.facts is not None:
        found += _lint_variables(root, pages)
    return found


def _finding(source: Source, rule: str, message: str, line: int | None = None) -> Finding:
    severe = rule not in {"H004", "H008"}
    return Finding(source.name, rule, message, line, source.file, severity="error" if severe else "warning")


def _collect(
    engine: TemplateEngine, files: PageFiles, source: Source, path: tuple[str, ...], pages: dict[str, _Page]
) -> Iterator[Finding]:
    """Parse a page and all that it refers to, and tell what is missing or wrong on the way."""
    page = pages[source.name] = _Page(source, None)
    try:
        engine.compile(source)
        facts = page.facts = analyse(engine, source)
    except TemplateError as error:
        yield _finding(source, "H001", str(error))
        return
    for name, line in facts.references.items():
        if name in path:
            yield _finding(source, "H003", f"{name!r} refers to itself: {' → '.join([*path, name])}", line)
            continue
        if name in pages:
            continue
        try:
            other = files.source(name)
        except (TemplateNotFoundError, InvalidArgumentError, TemplateError) as error:
            yield _finding(source, "H003", str(error), line)
            continue
        yield from _collect(engine, files, other, (*path, name), pages)


def _lint_variables(root: _Page, pages: dict[str, _Page]) -> Iterator[Finding]:
    declared = declared_variables(root.source.text)
    if declared is None:
        return
    used: set[str] = set()
    for page in pages.values():
        facts = page.facts or TemplateFacts()
        used |= facts.used.keys() | facts.perhaps.keys()
        for name, line in facts.used.items():
            if name not in declared:
                yield _finding(page.source, "H002", f"{name!r} is not declared by {root.source.name}", line)
            elif name in facts.required and not declared[name] and page is root:
                yield _finding(page.source, "H002", f"{name!r} is declared optional, and used without a test", line)
    for name in declared:
        if name not in used:
            yield _finding(root.source, "H008", f"{name!r} is declared, and used by no template", 1)


def _lint_places(engine: TemplateEngine, page: _Page) -> Iterator[Finding]:
    """Follow the page's HTML, and look at where each value stands."""
    facts = page.facts or TemplateFacts()
    for line in facts.unescaped:
        yield _finding(page.source, "H004", "a value is marked as safe, and not escaped", line)
    context = HTMLContext()
    filters: list[str] = []
    piped = inside = False
    for line, kind, value in engine.environment.lex(page.source.text):
        if kind == "data":
            context.feed(value)
        elif kind == "variable_begin":
            inside, filters = True, []
        elif kind == "variable_end":
            inside = False
            yield from _lint_place(page.source, context, filters[-1] if filters else "", line)
            context.skip_value()
        elif inside:
            if kind == "name" and piped:
                filters.append(value)
            if kind != "whitespace":
                piped = kind == "operator" and value == "|"


def _lint_place(source: Source, context: HTMLContext, last_filter: str, line: int) -> Iterator[Finding]:
    attribute = context.attribute
    if context.place in {Place.TAG, Place.UNQUOTED}:
        yield _finding(source, "H005", "a value stands in a tag without quotes round it", line)
    if context.place is Place.RAW and (context.tag == "style" or last_filter != "tojson"):
        yield _finding(
            source, "H007", f"a value stands in <{context.tag}>; only tojson makes one safe in a script", line
        )
    if context.place in {Place.QUOTED, Place.UNQUOTED}:
        if attribute in _ADDRESSES and not context.value_begun and last_filter not in {"safe_url", "urlencode"}:
            yield _finding(
                source, "H006", f"the address in {attribute} may be javascript:; put it through safe_url", line
            )
        if attribute == "style" or (attribute.startswith("on") and last_filter != "tojson"):
            yield _finding(source, "H007", f"a value stands in {attribute}, which is code", line)
