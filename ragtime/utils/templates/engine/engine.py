"""Compiling and rendering: bounded caches, bounded renderings, and errors that tell where but never what."""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ragtime.errors import (
    InvalidArgumentError,
    RenderLimitError,
    TemplateError,
    TemplateNotFoundError,
    TemplateSyntaxError,
    TemplateVariableError,
    VariableProblem,
)
from ragtime.utils.hashing import text_hash
from ragtime.utils.templates.engine.limits import Rendering, RenderLimits, current
from ragtime.utils.templates.engine.simple import MAX_SOURCE_CHARACTERS

if TYPE_CHECKING:
    from jinja2 import Template, nodes

    from ragtime.utils.templates.engine.sandbox import SandboxEnvironment

__all__ = ["Source", "TemplateCache", "TemplateEngine", "no_includes", "syntax_errors"]

_CHUNK = 16_384  # characters of one piece of a stream
_WORD = re.compile(r"[^\W\d]\w*")
_STOPPED: dict[type[Exception], str] = {
    RecursionError: "nested too deeply",
    MemoryError: "too large for the memory",
    OverflowError: "a number that is too large",
}
_PARAMETER = re.compile(r"parameter '(\w+)'")
_OWN_FILTERS = "ragtime.utils.templates.filters."
_NO_FILTER = re.compile(r"No (?:filter|test) named '(\w+)'")
_REFERENCE = "\N{INFORMATION SEPARATOR ONE}"  # as in sandbox.py, which imports Jinja


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a template.

    Attributes:
        name: What it is called in errors, and by other templates.
        text: The text.
        file: Where it stands; ``None`` when it is in no file.
        hash: SHA-256 of the text.
    """

    name: str
    text: str = field(repr=False)
    file: str | None = None
    hash: str = ""

    def __post_init__(self) -> None:
        if not self.hash:
            object.__setattr__(self, "hash", text_hash(self.text))


def no_includes(name: str) -> Source:
    """Find no source: for templates that include none."""
    raise TemplateNotFoundError(f"There is no template {name.rpartition(_REFERENCE)[2][:100]!r} to include here")


class TemplateCache:
    """Compiled templates, the least recently used of which go first.

    One cache may serve several engines. A template is compiled once however many threads want it.

    Attributes:
        size: Most templates kept.
        compiled: How often a template was compiled.
    """

    def __init__(self, size: int) -> None:
        """Start empty.

        Args:
            size: Most templates kept, 1 or more.
        """
        if size < 1:
            raise InvalidArgumentError(f"The size of a template cache is at least 1, found {size}")
        self.size = size
        self.compiled = 0
        self._kept: OrderedDict[tuple[object, ...], Template] = OrderedDict()
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: tuple[object, ...], make: Callable[[], Template]) -> Template:
        """Return the template of `key`, made by `make` when it is not there."""
        with self._lock:  # compiling inside, so that no two threads compile the same
            found = self._kept.get(key)
            if found is None:
                found = make()
                self.compiled += 1
                self._kept[key] = found
                if len(self._kept) > self.size:
                    self._kept.popitem(last=False)
            else:
                self._kept.move_to_end(key)
            return found

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._kept.clear()


class TemplateEngine:
    """Compiles and renders Jinja templates in the sandbox."""

    def __init__(
        self,
        *,
        autoescape: bool,
        limits: RenderLimits | None = None,
        cache: TemplateCache | None = None,
        filters: Callable[[], Mapping[str, Callable[..., Any]]] = dict,
        scoped: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Compile nothing yet; Jinja is imported at the first use.

        Args:
            autoescape: Whether what is written is escaped for HTML.
            limits: Limits of each rendering; ``None`` means the defaults.
            cache: Where compiled templates are kept; ``None`` means a cache of its own for 256.
            filters: Returns further filters by name, at the first use of Jinja; they are code, and trusted.
            scoped: Whether a name that a template refers to means something only together with that template's own; the
                `lookup` of a rendering is then given both, with ``REFERENCE`` of the sandbox between them.
            clock: Returns seconds; only differences count.
        """
        self.autoescape = autoescape
        self.limits = limits or RenderLimits()
        self.cache = TemplateCache(256) if cache is None else cache
        self._filters = filters
        self._scoped = scoped
        self._clock = clock
        self._environment: SandboxEnvironment | None = None
        self._lock = threading.Lock()

    @property
    def environment(self) -> SandboxEnvironment:
        """The Jinja environment, made at first use."""
        if self._environment is None:
            with self._lock:
                if self._environment is None:
                    self._environment = self._make_environment()
        return self._environment

    def _make_environment(self) -> SandboxEnvironment:
        from ragtime.utils.templates.engine.filters import limited  # noqa: PLC0415 - imports Jinja
        from ragtime.utils.templates.engine.sandbox import SandboxEnvironment  # noqa: PLC0415

        environment = SandboxEnvironment(autoescape=self.autoescape, load=self._load, scoped=self._scoped)
        environment.filters.update({name: limited(function) for name, function in self._filters().items()})
        return environment

    def add_filter(self, name: str, function: Callable[..., Any]) -> None:
        """Add or replace a filter; templates that are compiled by then use it, too."""
        from ragtime.utils.templates.engine.filters import limited  # noqa: PLC0415 - imports Jinja

        self.environment.filters[name] = limited(function)

    def _load(self, name: str) -> Template:
        return self.compile(current.get().lookup(name))

    # --- compiling ----------------------------------------------------------------------------------------------

    def compile(self, source: Source) -> Template:
        """Return the compiled template.

        Args:
            source: The template.

        Returns:
            The template, from the cache when it was compiled before.

        Raises:
            TemplateSyntaxError: It cannot be compiled; names template and line.
        """
        return self.cache.get((self.autoescape, id(self), source.name, source.hash), lambda: self._compile(source))

    def _compile(self, source: Source) -> Template:
        from jinja2 import Template  # noqa: PLC0415 - only needed once a Jinja template is used

        environment = self.environment
        with syntax_errors(source):
            code = environment.compile(source.text, source.name, f"<template {source.name!r}>")
            return Template.from_code(environment, code, environment.globals)

    def parse(self, source: Source) -> nodes.Template:
        """Return the syntax tree of a template, for analysis.

        Args:
            source: The template.

        Returns:
            The tree, without what the engine adds.

        Raises:
            TemplateSyntaxError: It cannot be parsed; names template and line.
        """
        environment = self.environment
        with syntax_errors(source):
            return environment.parse_source(source.text, source.name)

    # --- rendering ----------------------------------------------------------------------------------------------

    def render(self, source: Source, values: Mapping[str, Any], lookup: Callable[[str], Source] = no_includes) -> str:
        """Render a template.

        Args:
            source: The template.
            values: Plain data, by variable; see ``plain``.
            lookup: Finds the source of included templates and parents.

        Returns:
            The text.

        Raises:
            RenderLimitError: A limit is reached.
            TemplateError: A variable or field is missing, an operation is not allowed or does not fit its operands;
                names template and line, never a value.
        """
        template = self.compile(source)
        rendering = Rendering(self.limits, lookup, self._clock)
        token = current.set(rendering)
        try:
            return "".join(_pieces(template, values, rendering))
        except Exception as error:  # noqa: BLE001 - a template raises what it likes, and may quote a value
            failure = _explain(error, source)
        finally:
            current.reset(token)
        raise failure

    def stream(
        self, source: Source, values: Mapping[str, Any], lookup: Callable[[str], Source] = no_includes
    ) -> Iterator[str]:
        """Render a template piece by piece; the pieces joined are what ``render`` returns.

        Args:
            source: The template.
            values: Plain data, by variable.
            lookup: Finds the source of included templates and parents.

        Yields:
            Pieces of some thousand characters.

        Raises:
            TemplateError: As ``render``, and only when the rendering gets there: what was yielded before stays.
        """
        template = self.compile(source)
        rendering = Rendering(self.limits, lookup, self._clock)
        pieces = _pieces(template, values, rendering)
        while True:
            token = current.set(rendering)
            failure: TemplateError | None = None
            try:
                chunk = _chunk(pieces)
            except Exception as error:  # noqa: BLE001 - as in render
                failure = _explain(error, source)
            finally:
                current.reset(token)
            if failure is not None:
                raise failure
            if not chunk:
                return
            paused = self._clock()
            yield chunk
            rendering.deadline += self._clock() - paused  # the reader's time is not the rendering's


def _pieces(template: Template, values: Mapping[str, Any], rendering: Rendering) -> Iterator[str]:
    left = rendering.limits.max_output_characters
    context = template.new_context(values)  # type: ignore[arg-type]
    for piece in template.root_render_func(context):
        left -= len(piece)
        if left < 0:
            raise rendering.too_long()
        yield piece


def _chunk(pieces: Iterator[str]) -> str:
    """Join pieces into one that is worth sending; ``""`` at the end."""
    kept: list[str] = []
    size = 0
    for piece in pieces:
        kept.append(piece)
        size += len(piece)
        if size >= _CHUNK:
            break
    return "".join(kept)


# --- errors ---------------------------------------------------------------------------------------------------------


@contextmanager
def syntax_errors(source: Source) -> Iterator[None]:
    """Turn whatever parsing and compiling raise into an error that names template and line.

    Args:
        source: The template.

    Yields:
        Nothing.

    Raises:
        TemplateSyntaxError: The template is too long, or the block found something wrong.
    """
    if len(source.text) > MAX_SOURCE_CHARACTERS:
        raise TemplateSyntaxError(f"Template {source.name!r} is longer than {MAX_SOURCE_CHARACTERS:,} characters")
    import jinja2  # noqa: PLC0415 - only needed once a Jinja template is used

    try:
        yield
    except jinja2.TemplateSyntaxError as error:
        where, what = f", line {error.lineno}", error.message or "syntax error"
    except (RecursionError, MemoryError):
        where, what = "", "nested too deeply"
    except TemplateError:
        raise
    except Exception as error:  # noqa: BLE001 - what Jinja accepts and Python does not, and bugs of its compiler
        where, what = "", f"cannot be compiled ({type(error).__name__})"
    else:
        return
    raise TemplateSyntaxError(f"Template {source.name!r}{where}: {what}")


def _explain(error: Exception, source: Source) -> TemplateError:
    """Turn whatever a rendering raised into an error that names template and line, and no value."""
    import jinja2  # noqa: PLC0415 - it was imported to render

    if isinstance(error, TemplateVariableError):
        return error
    name, line, text = _locate(error.__traceback__, source)
    where = f"Template {name!r}" + (f", line {line}" if line else "")
    if isinstance(error, jinja2.UndefinedError):
        return _undefined(error, where, name, line, text)
    if isinstance(error, RenderLimitError | RecursionError | MemoryError | OverflowError):
        return RenderLimitError(f"{where}: stopped: {_STOPPED.get(type(error), error)}")
    if isinstance(error, jinja2.TemplateNotFound):
        asked = str(error.name).rpartition(_REFERENCE)[2]
        written_out = f"'{asked}'" in text or f'"{asked}"' in text
        told = str(getattr(error, "reason", "")) if written_out else "includes a template that there is not"
        return TemplateNotFoundError(f"{where}: {told}")
    return _failed(error, where, text)


def _failed(error: Exception, where: str, text: str) -> TemplateError:
    import jinja2  # noqa: PLC0415 - it was imported to render

    if isinstance(error, TemplateError):
        return type(error)(f"{where}: {error}")
    if isinstance(error, jinja2.exceptions.SecurityError):
        return TemplateError(f"{where}: access to an attribute that is not data")
    if isinstance(error, jinja2.TemplateRuntimeError):
        return TemplateError(f"{where}: {_harmless(str(error.message), text)}")
    if _raised_by_own_filter(error):  # whose texts quote no value
        return TemplateError(f"{where}: {error}")
    return TemplateError(f"{where}: an operation failed ({type(error).__name__})")


def _raised_by_own_filter(error: Exception) -> bool:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and str(trace.tb_frame.f_globals.get("__name__")).startswith(_OWN_FILTERS)


def _undefined(error: Exception, where: str, name: str, line: int | None, text: str) -> TemplateError:
    told = _WORD.findall(str(error))
    if str(error).endswith("is undefined") and told and told[0] in _words(text):
        problem = VariableProblem(told[0], "missing", "is used, and was not given", line)
        return TemplateVariableError(name, None, [problem])
    if "was not provided" in str(error):
        argument = next((word for word in _PARAMETER.findall(str(error)) if word in _words(text)), "?")
        return TemplateError(f"{where}: a macro's argument {argument!r} was not given")
    missing = [word for word in re.findall(r"'([^']*)'$|element ([^ ]*)$", str(error)) for word in word if word]
    if missing and missing[0] in _words(text):
        return TemplateError(f"{where}: a value has no field {missing[0]!r}")
    return TemplateError(f"{where}: a value has no field or item of that name")


def _words(text: str) -> set[str]:
    """Return the words of a template: what an error may quote, for values are not among them."""
    return set(_WORD.findall(text))


def _harmless(message: str, text: str) -> str:
    named = _NO_FILTER.match(message)
    return message if named is not None and named[1] in _words(text) else "cannot be rendered"


def _locate(trace: TracebackType | None, source: Source) -> tuple[str, int | None, str]:
    """Find the template, the line and the text where an error came up, from the innermost frame of a template."""
    name, line, text = source.name, None, source.text
    while trace is not None:
        template = trace.tb_frame.f_globals.get("__jinja_template__")
        if template is not None:
            name, line = template.name or source.name, template.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    if name != source.name:
        try:
            text = current.get().lookup(name).text
        except (TemplateError, LookupError):
            text = ""
    return name, line, text
