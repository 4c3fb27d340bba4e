"""The checks of pages behind ``HTMLTemplateManager.validate`` and ``ragtime prompts check``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ragtime.errors import InvalidArgumentError, TemplateError, TemplateNotFoundError, TemplateSyntaxError
from ragtime.utils.templates.engine.analysis import TemplateFacts, analyse
from ragtime.utils.templates.engine.engine import Source, TemplateEngine
from ragtime.utils.templates.findings import Finding
from ragtime.utils.templates.pages.declaration import declared_variables
from ragtime.utils.templates.pages.html_context import HTMLContext
from ragtime.utils.templates.pages.loader import PageFiles
from ragtime.utils.templates.pages.places import lint_places

__all__ = ["lint_page"]


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
    try:
        source = files.source(name)
    except TemplateSyntaxError as error:
        return [Finding(name, "H001", str(error))]
    found = [*_collect(engine, files, source, (name,), pages)]
    blocks: dict[str, HTMLContext] = {}
    for page in reversed(pages.values()):  # parents first: they tell where the blocks of their children stand
        if page.facts is not None:
            found += [_finding(page.source, "H004", "a value is marked as safe", line) for line in page.facts.unescaped]
            places = lint_places(engine.parse(page.source), blocks)
            found += [_finding(page.source, rule, message, line) for rule, message, line in places]
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
        # What a parent asks for only if it is there, its children need not know.
        for name, line in (facts.used if page is root else facts.required).items():
            if name not in declared:
                yield _finding(page.source, "H002", f"{name!r} is not declared by {root.source.name}", line)
            elif name in facts.required and name not in facts.tested and not declared[name] and page is root:
                yield _finding(page.source, "H002", f"{name!r} is declared optional, and used without a test", line)
    for name in declared:
        if name not in used:
            yield _finding(root.source, "H008", f"{name!r} is declared, and used by no template", 1)
