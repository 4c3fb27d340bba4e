"""The pages of an application: HTML from templates, in which no value can become markup."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ragtime.config.settings import Settings, get_settings
from ragtime.errors import InvalidArgumentError, TemplateVariableError, VariableProblem
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.utils.templates.engine.engine import Source, TemplateCache, TemplateEngine
from ragtime.utils.templates.engine.limits import RenderLimits
from ragtime.utils.templates.engine.plain import UnsupportedValueError, plain
from ragtime.utils.templates.findings import Finding
from ragtime.utils.templates.pages.declaration import declared_variables, variable_problems
from ragtime.utils.templates.pages.loader import PageFiles

__all__ = ["HTMLTemplateManager"]

_log = get_logger(__name__)
_PACKAGED = Path(__file__).parent / "packaged"
_UNNAMED = "(text)"
_GUARDS = frozenset({"e", "escape", "forceescape", "markdown", "safe", "safe_url", "tojson", "xmlattr"})


class HTMLTemplateManager:
    """Pages by name.

        >>> pages = HTMLTemplateManager()
        >>> "&lt;b&gt;" in pages.render("template.html", title="<b>")
        True

    Templates are Jinja's, in a sandbox: values are plain data and always escaped, time and memory of a rendering are
    limited. HTML that is meant as such is wrapped in ``TrustedHTML`` by the one who vouches for it. Pages come from the
    package, from ``pages`` in the folder that ``templates.directory`` names, and from `path`; the later wins. A page
    may declare its variables in its first line, ``{# variables: title, body? #}``; those that are missing or not
    declared are then told all at once. All methods may be called from many threads.
    """

    def __init__(
        self, path: str | Path | None = None, *, settings: Settings | None = None, cache: TemplateCache | None = None
    ) -> None:
        """Set up; pages are read when they are needed.

        Args:
            path: A folder of pages; wins over all others. ``None`` means none.
            settings: The settings; ``None`` means the current ones.
            cache: Where compiled templates are kept; ``None`` means a cache of its own, of ``templates.cache_size``.

        Raises:
            InvalidArgumentError: `path` is no folder.
        """
        chosen = (settings or get_settings()).templates
        if path is not None and not Path(path).is_dir():
            raise InvalidArgumentError(f"There is no folder of pages {str(path)!r}")
        folders = [path, chosen.directory / "pages" if chosen.directory else None, _PACKAGED]
        self._engine = TemplateEngine(
            autoescape=True,
            limits=RenderLimits.from_settings(chosen),
            cache=TemplateCache(chosen.cache_size) if cache is None else cache,
            filters=_page_filters,
        )
        self._files = PageFiles(
            [Path(folder) for folder in folders if folder is not None],
            check=self._engine.compile,
            auto_reload=chosen.auto_reload,
        )

    def register_filter(self, name: str, function: Callable[..., Any]) -> None:
        """Add a filter for templates, or replace one.

        Args:
            name: Its name in templates, an identifier.
            function: Takes the value and further arguments, and returns plain data; a text is escaped, so return
                ``TrustedHTML`` for markup. It is code of the application, and trusted; what it returns is held to the
                limits of the rendering.

        Raises:
            InvalidArgumentError: The name is no identifier, or that of a filter which keeps pages safe; or the function
                cannot be called.
        """
        if not name.isidentifier() or not callable(function):
            raise InvalidArgumentError(f"A filter is an identifier and a function, found {name[:50]!r}")
        if name in _GUARDS:
            raise InvalidArgumentError(f"The filter {name!r} keeps pages safe, and is not replaced")
        self._engine.add_filter(name, function)

    def render(self, name: str, /, **context: Any) -> str:
        """Render a page.

        Args:
            name: Name of the page, such as ``template.html``; by position, so that every name is free for variables.
            **context: The variables.

        Returns:
            The HTML.

        Raises:
            TemplateNotFoundError: There is no such page, or one that it includes; names the nearest.
            TemplateVariableError: Variables are missing, not declared, or no plain data.
            TemplateSyntaxError: The page cannot be used.
            RenderLimitError: A limit is reached.
            TemplateError: The rendering failed.
        """
        source = self._files.source(name)
        return self._engine.render(source, _checked(source, context), self._files.source)

    def render_string(self, source: str, /, **context: Any) -> str:
        """Render a template that is no file.

        Args:
            source: The template, which may include and extend pages. A value must never get in here.
            **context: The variables.

        Returns:
            The HTML.

        Raises:
            TemplateError: As ``render``.
        """
        template = Source(_UNNAMED, source)
        return self._engine.render(template, _checked(template, context), self._files.source)

    def stream(self, name: str, /, **context: Any) -> Iterator[str]:
        """Render a large page piece by piece; the pieces joined are what ``render`` returns.

        Args:
            name: Name of the page.
            **context: The variables.

        Returns:
            The pieces. The variables are checked before the first is asked for.

        Raises:
            TemplateError: As ``render``; in the middle of it only when that is where the rendering fails.
        """
        source = self._files.source(name)
        return self._engine.stream(source, _checked(source, context), self._files.source)

    def list_templates(self) -> list[str]:
        """Return the names of all pages, sorted."""
        return self._files.names()

    def find(self, name: str) -> Path:
        """Return the file that a page is read from.

        Args:
            name: Name of the page.

        Returns:
            Its path.

        Raises:
            TemplateNotFoundError: There is no such page; names the nearest.
        """
        return self._files.file(name)

    def reload(self) -> int:
        """Read changed files again.

        A page that has become wrong or unreadable keeps what it said before, with an error in the log; one that is gone
        makes way for that of a weaker folder.

        Returns:
            How many of the pages in use were read anew, or have gone.
        """
        with log_operation(_log, "reload_pages") as operation:
            changed = self._files.reload()
            operation.add(changed=changed)
        return changed

    def validate(self, name: str) -> list[Finding]:
        """Look for mistakes in a page and in those that it includes, extends and imports.

        Args:
            name: Name of the page.

        Returns:
            The findings, with file and line: syntax, undeclared variables, missing parents, marks and places that are
            not safe.

        Raises:
            TemplateNotFoundError: There is no such page.
        """
        from ragtime.utils.templates.pages.lint import lint_page  # noqa: PLC0415 - imports Jinja

        return lint_page(self._engine, self._files, name)


def _page_filters() -> Mapping[str, Callable[..., Any]]:
    from ragtime.utils.templates.filters import PAGE_FILTERS  # noqa: PLC0415 - imports what Jinja brings

    return PAGE_FILTERS


def _checked(source: Source, context: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables as plain data; raises one error for all that do not fit."""
    declared = declared_variables(source.text)
    problems = variable_problems(declared, set(context)) if declared is not None else []
    values: dict[str, Any] = {}
    for name, value in context.items():
        try:
            values[name] = plain(value)
        except UnsupportedValueError as error:
            message = f"cannot be shown to a template: found {error}"
            problems.append(VariableProblem(name, "mistyped", message))
    if problems:
        raise TemplateVariableError(source.name, None, problems)
    absent = [name for name in declared or () if name not in values]
    if absent:
        from ragtime.utils.templates.engine.sandbox import OptionalUndefined  # noqa: PLC0415 - imports Jinja

        values.update((name, OptionalUndefined(name=name)) for name in absent)
    return values
