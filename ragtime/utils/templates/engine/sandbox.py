"""Jinja in a box: nothing but plain data is reachable, and whatever takes time or memory is charged.

The stock sandbox stops access to Python's internals, and that is kept. It lets a template call any public method of a
value, and repeat, pad or multiply without end; here, values are plain data with a few named methods, constants are not
computed while compiling, and every loop, call, captured text and growing operation goes through the account of the
rendering (``limits``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sized
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any, NoReturn

from jinja2 import Template, Undefined, nodes
from jinja2.compiler import CodeGenerator, Frame, operators
from jinja2.exceptions import SecurityError, TemplateNotFound, TemplateSyntaxError
from jinja2.runtime import Context, LoopContext, Macro, StrictUndefined, markup_join, str_join
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing
from markupsafe import escape

from ragtime.errors import InvalidArgumentError, TemplateNotFoundError
from ragtime.utils.templates.engine.filters import (
    FILTERS,
    HTML_FILTERS,
    METHODS,
    Function,
    charged,
    limited_range,
    make_dict,
)
from ragtime.utils.templates.engine.limits import Rendering, current
from ragtime.utils.templates.engine.operators import OPERATORS
from ragtime.utils.templates.engine.plain import DATE_TYPES, LEAF_TYPES

__all__ = ["REFERENCE", "MissingTemplateError", "OptionalUndefined", "SandboxEnvironment"]

REFERENCE = "\N{INFORMATION SEPARATOR ONE}"
"""Stands between the template that refers and the name it refers to, in what a prompt looks up."""


_STEPS = " steps"  # the name of a filter that no template can write
_MACRO_STEPS = 10  # what calling a macro costs, in iterations of a loop
_INCLUDE_STEPS = 10
_TIMED_FROM = 100  # iterations of a loop that looks at the clock
_CONTAINERS = frozenset({list, tuple, dict})
_TEXT_METHODS = frozenset(
    "capitalize casefold count endswith find index isalnum isalpha isascii isdecimal isdigit isidentifier islower "
    "isnumeric isprintable isspace istitle isupper lower lstrip partition removeprefix removesuffix rfind rindex "
    "rpartition rsplit rstrip split splitlines startswith strip swapcase title upper".split()
)
_LOOP = frozenset("depth depth0 first index index0 last length previtem revindex revindex0".split())
_CLOCK = frozenset("hour minute second microsecond isoformat".split())
_CALENDAR = frozenset("year month day weekday isoweekday isoformat".split())
_ALLOWED: dict[type, frozenset[str]] = {
    str: _TEXT_METHODS,
    list: frozenset({"count", "index"}),
    tuple: frozenset({"count", "index"}),
    dict: frozenset({"get", "items", "keys", "values"}),
    date: _CALENDAR,
    time: _CLOCK,
    datetime: _CALENDAR | _CLOCK | {"date", "time", "timestamp"},
    timedelta: frozenset({"days", "seconds", "total_seconds"}),
}
"""The attributes that a template may use, by the exact type of the value."""


class MissingTemplateError(TemplateNotFound):
    """There is no template of a name; a child of Jinja's own error, so that ``ignore missing`` ignores it."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name)
        self.reason = reason


class DataUndefined(StrictUndefined):
    """A value that is not there: an error wherever it is used, but ``{% if data.key %}`` may ask for it.

    A variable that was not given stays an error in ``if``, too; ``is defined`` asks for it.
    """

    __slots__ = ()

    __repr__ = StrictUndefined._fail_with_undefined_error  # inside a list that is written  # noqa: SLF001

    def __bool__(self) -> bool:  # type: ignore[override]
        if self._undefined_obj is missing or self._undefined_exception is SecurityError:
            self._fail_with_undefined_error()
        return False


class OptionalUndefined(DataUndefined):
    """A declared variable that was not given and need not be: ``{% if name %}`` may ask for it, too."""

    __slots__ = ()

    def __bool__(self) -> bool:  # type: ignore[override]
        return False


class _Compiler(CodeGenerator):
    """Writes the Python code of a template; computes nothing while doing so."""

    def _output_child_to_const(self, node: nodes.Expr, frame: Frame, finalize: Any) -> str:
        if not isinstance(node, nodes.TemplateData):
            raise nodes.Impossible  # else a constant such as 'a'|center(10**8) would be made at compile time
        return super()._output_child_to_const(node, frame, finalize)

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        """Write ``a ~ b`` as a call that is charged."""
        function = "markup_concat" if frame.eval_ctx.autoescape else "text_concat"
        self.write(f"environment.{function}((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        """Write a comparison whose operands are charged: comparing goes through all of them."""
        self.write("(environment.weighed(")
        self.visit(node.expr, frame)
        self.write(")")
        for operand in node.ops:
            self.write(f" {operators[operand.op]} environment.weighed(")
            self.visit(operand.expr, frame)
            self.write(")")
        self.write(")")

    def visit_Pair(self, node: nodes.Pair, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        """Write an item of a dict, whose key is not a nested one: hashing goes through all of it."""
        self.write("environment.key(")
        self.visit(node.key, frame)
        self.write("): ")
        self.visit(node.value, frame)

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        """Write a dict, item by item."""
        self.write("{")
        for item in node.items:
            self.visit(item, frame)
            self.write(", ")
        self.write("}")

    def visit_FilterBlock(self, node: nodes.FilterBlock, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        """Write a filter block whose result is escaped; Jinja itself trusts whatever the filter returns."""
        filter_frame = frame.inner()
        filter_frame.symbols.analyze_node(node)
        self.enter_frame(filter_frame)
        self.buffer(filter_frame)
        self.blockvisit(node.body, filter_frame)
        self.start_write(frame, node)
        self.write("environment.filtered(")
        self.visit_Filter(node.filter, filter_frame)
        self.write(")")
        self.end_write(frame)
        self.leave_frame(filter_frame)

    def visit_AssignBlock(self, node: nodes.AssignBlock, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        """Write a set block with a filter, likewise."""
        if node.filter is None:
            super().visit_AssignBlock(node, frame)
            return
        self.push_assign_tracking()
        block_frame = frame.inner()
        block_frame.require_output_check = False
        block_frame.symbols.analyze_node(node)
        self.enter_frame(block_frame)
        self.buffer(block_frame)
        self.blockvisit(node.body, block_frame)
        self.newline(node)
        self.visit(node.target, frame)
        self.write(" = environment.filtered(")
        self.visit_Filter(node.filter, block_frame)
        self.write(")")
        self.pop_assign_tracking(frame)
        self.leave_frame(block_frame)

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        """Write a slice as a call that is charged; Jinja itself writes it as Python's own."""
        if not isinstance(node.arg, nodes.Slice):
            super().visit_Getitem(node, frame)
            return
        self.write("environment.getitem(")
        self.visit(node.node, frame)
        self.write(", slice(")
        for bound in (node.arg.start, node.arg.stop, node.arg.step):
            if bound is None:
                self.write("None")
            else:
                self.visit(bound, frame)
            self.write(", ")
        self.write("))")


class SandboxEnvironment(ImmutableSandboxedEnvironment):
    """The environment of an engine."""

    code_generator_class = _Compiler
    intercepted_binops = frozenset(OPERATORS)

    def __init__(self, *, autoescape: bool, load: Callable[[str], Template], scoped: bool = False) -> None:
        """Take away what is not needed, and put limits on the rest.

        Args:
            autoescape: Whether what is written is escaped for HTML.
            load: Compiles the template of a name during a rendering, for includes and parents.
            scoped: Whether `load` is told who refers, too; see ``join_path``.
        """
        super().__init__(
            autoescape=autoescape, undefined=DataUndefined, optimized=False, cache_size=0, keep_trailing_newline=True
        )
        self._load_by_name = load
        self._scoped = scoped
        for unwanted in ("lipsum", "cycler", "joiner"):
            del self.globals[unwanted]
        self.globals["range"] = Function(limited_range)
        self.globals["dict"] = Function(make_dict)
        self.binop_table.update(OPERATORS)
        self.filters = dict(HTML_FILTERS if autoescape else FILTERS)
        self.filters[_STEPS] = _charge_loop
        self.finalize = _finalize_html if autoescape else _finalize

    # --- compiling ----------------------------------------------------------------------------------------------

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, _STEPS, [], [], None, None, lineno=loop.iter.lineno)
            loop.iter.environment = self
        for switch in tree.find_all((nodes.EvalContextModifier, nodes.ScopedEvalContextModifier)):
            raise TemplateSyntaxError("escaping cannot be switched", switch.lineno, name, filename)
        return tree

    def parse_source(self, source: str, name: str) -> nodes.Template:
        """Parse `source` as it is, without what the engine adds, for analysis."""
        return super()._parse(source, name, None)

    def join_path(self, template: str, parent: str) -> str:
        """Tell who refers to a template: prompts have partials of their own, whose names are no one else's."""
        return f"{parent}{REFERENCE}{template}" if self._scoped else template

    def _load_template(self, name: str | None, globals: MutableMapping[str, Any] | None) -> Template:  # noqa: A002, ARG002
        current.get().charge(_INCLUDE_STEPS)
        try:
            return self._load_by_name(str(name))
        except (InvalidArgumentError, TemplateNotFoundError) as error:
            reason = str(error)
        raise MissingTemplateError(str(name), reason)

    # --- access -------------------------------------------------------------------------------------------------

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return a field of plain data, or one of the few methods of its type; never an attribute of an object."""
        kind = type(obj)
        if kind is dict:
            try:
                return obj[attribute]
            except KeyError:
                pass
        allowed = _ALLOWED.get(kind)
        if allowed is not None and attribute in allowed:
            found = getattr(obj, attribute)
            if not callable(found):
                return found
            current.get().weigh(obj)  # most methods go through all of it
            return Function(found)
        if kind is str and attribute in METHODS:
            return Function(partial(METHODS[attribute], obj))
        if kind in LEAF_TYPES or kind in _CONTAINERS:
            return self._refused(obj, attribute)
        if kind is LoopContext and attribute in _LOOP:
            return getattr(obj, attribute)
        if isinstance(obj, str):  # markup, which the engine itself has made
            return self.getattr(str(obj), attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return an item of plain data; an attribute by subscript is the same as by name."""
        if type(obj) in _CONTAINERS or isinstance(obj, str):
            if type(argument) is tuple:
                current.get().weigh(argument, 1)
                return self.undefined(obj=obj, name="(nested key)")
            try:
                found = obj[argument]
            except (TypeError, LookupError):
                return self.undefined(obj=obj, name=argument)
            return charged(found) if type(argument) is slice else found
        if type(obj) in LEAF_TYPES or type(obj) in DATE_TYPES:
            return self._refused(obj, argument)
        return super().getitem(obj, argument)

    def _refused(self, obj: Any, attribute: Any) -> Undefined:
        if isinstance(attribute, str) and attribute.startswith("_"):
            return self.unsafe_undefined(obj, attribute)
        return self.undefined(obj=obj, name=attribute)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805, D102, PYI063 - Jinja's names, which leave all others to templates
        rendering = current.get()
        rendering.charge(_MACRO_STEPS if isinstance(__obj, Macro) else 1)
        if isinstance(__obj, LoopContext) and args:  # the next level of a recursive loop
            args = (_charge_loop(args[0]), *args[1:])
        found = super().call(__context, __obj, *args, **kwargs)
        return charged(found)

    # --- what is made -------------------------------------------------------------------------------------------

    @staticmethod
    def concat(pieces: Iterable[str]) -> str:
        """Join captured text."""
        rendering = current.get()
        kept = []
        for piece in pieces:
            rendering.make(len(piece))
            kept.append(piece)
        return "".join(kept)

    @staticmethod
    def weighed(value: Any) -> Any:
        """Charge the operand of a comparison."""
        if type(value) is not int:
            current.get().weigh(value)
        return value

    @staticmethod
    def key(value: Any) -> Any:
        """Refuse a key that is no plain one."""
        if type(value) in _CONTAINERS:
            current.get().weigh(value, 1)
            raise TypeError("not a key")
        return value

    def filtered(self, result: Any) -> str:
        """Write what the filter of a block returned: escaped, unless it is markup."""
        return escape(_finalize_html(result)) if self.autoescape else str(_finalize(result))

    @staticmethod
    def text_concat(parts: tuple[Any, ...]) -> str:
        """Join the operands of ``~``."""
        _weigh_all(parts)
        return str_join(parts)

    @staticmethod
    def markup_concat(parts: tuple[Any, ...]) -> str:
        """Join the operands of ``~`` where HTML is escaped."""
        _weigh_all(parts)
        return markup_join(parts)

    def handle_exception(self, source: str | None = None) -> NoReturn:  # noqa: ARG002 - Jinja passes it
        """Raise what is being handled, without Jinja's rewriting of tracebacks: the engine tells where it was."""
        raise  # noqa: PLE0704 - called while an exception is handled


def _weigh_all(parts: tuple[Any, ...]) -> None:
    rendering = current.get()
    for part in parts:
        rendering.weigh(part, 1)


def _finalize(value: Any) -> Any:
    """Let through what can be written: data, not a method, an iterator or another object with an address."""
    kind = type(value)
    if kind is str:
        return value
    if value is None:
        return ""
    if kind in _CONTAINERS:
        current.get().weigh(value, 1)
        return value
    if kind in LEAF_TYPES or isinstance(value, str | Undefined):
        return value
    raise TypeError("not data")


def _finalize_html(value: Any) -> Any:
    """Charge what is about to be escaped, which makes a text anew each time."""
    if isinstance(value, str):
        current.get().make(len(value))
        return value
    return _finalize(value)


def _charge_loop(iterable: Any) -> Any:
    """Charge the iterations of a loop: at once where their number is known, else one by one."""
    if isinstance(iterable, Undefined):
        return iterable
    if not isinstance(iterable, Sized):
        return _counted(iterable)
    rendering = current.get()
    rendering.charge(len(iterable))
    return iterable if len(iterable) < _TIMED_FROM else _Timed(iterable, rendering)


def _counted(iterable: Iterable[Any]) -> Iterator[Any]:
    rendering = current.get()
    for item in iterable:
        rendering.charge(1)
        yield item


class _Timed:
    """A long collection that looks at the clock while a loop goes through it: an iteration may be slow."""

    def __init__(self, items: Any, rendering: Rendering) -> None:
        self._items, self._rendering = items, rendering

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Any]:
        for item in self._items:
            self._rendering.check_time()
            yield item
