"""A parsed text: its tree, what its names mean, and where each node stands."""

from __future__ import annotations

import ast
import bisect
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import libcst as cst
from libcst.metadata import (
    Assignment,
    ByteSpanPositionProvider,
    ExpressionContext,
    ExpressionContextProvider,
    MetadataWrapper,
    ParentNodeProvider,
    Scope,
    ScopeProvider,
)

__all__ = [
    "Edit",
    "LineTable",
    "Source",
    "UnreadableSourceError",
    "check_syntax",
    "dotted_name",
    "name_of",
    "offset_after",
]


_LINE_BREAK = re.compile(rb"\r\n|\r|\n")


class UnreadableSourceError(Exception):
    """A text cannot be parsed, or not be written again as it is.

    Attributes:
        line: Where, from 1; 0 when that is not known.
    """

    def __init__(self, message: str, line: int = 0) -> None:
        """Say what is wrong.

        Args:
            message: What.
            line: Where, from 1; 0 when that is not known.
        """
        super().__init__(message)
        self.line = line


class Edit(NamedTuple):
    """New bytes for a part of a text.

    Attributes:
        start: Where the part begins, in bytes of the text in UTF-8.
        end: Where it ends; the same for what is put in between.
        text: What takes its place.
    """

    start: int
    end: int
    text: str


class LineTable:
    """Where the lines of a text are, in bytes of its UTF-8; lines and columns count from 1."""

    def __init__(self, text: str) -> None:
        """Find the lines.

        Args:
            text: The text.
        """
        self._data = text.encode("utf-8")
        self._starts = [0, *(match.end() for match in _LINE_BREAK.finditer(self._data))]

    def place_of(self, offset: int) -> tuple[int, int]:
        """Return line and column of an offset."""
        line = bisect.bisect_right(self._starts, offset)
        begin = self._starts[line - 1]
        return line, len(self._data[begin:offset].decode("utf-8")) + 1

    def offset(self, line: int, column: int) -> int:
        """Return the offset of a line and column."""
        begin, end = self._starts[line - 1], self.end(self._starts[line - 1])
        return begin + len(self._data[begin:end].decode("utf-8")[: column - 1].encode("utf-8"))

    def start(self, offset: int) -> int:
        """Return where the line of an offset begins."""
        return self._starts[bisect.bisect_right(self._starts, offset) - 1]

    def end(self, offset: int) -> int:
        """Return where the line of an offset ends, before its line break."""
        found = _LINE_BREAK.search(self._data, offset)
        return found.start() if found else len(self._data)

    def line_break(self, offset: int) -> str:
        """Return the line break behind the line of an offset; empty on the last line when there is none."""
        found = _LINE_BREAK.match(self._data, self.end(offset))
        return found[0].decode() if found else ""


@dataclass(eq=False)
class Source:
    """A text and all that is known of it.

    Attributes:
        text: The text, line breaks as they are.
        module: Its tree.
    """

    text: str
    module: cst.Module
    _wrapper: MetadataWrapper

    @classmethod
    def parse(cls, text: str) -> Source:
        """Parse a text.

        Args:
            text: The text of a module; ``await`` may stand outside of functions, as in notebooks.

        Returns:
            The source.

        Raises:
            UnreadableSourceError: It is no Python that this interpreter knows, is nested too deeply, or holds
                characters that its tree loses.
        """
        check_syntax(text)
        try:
            wrapper = MetadataWrapper(_parsed(text), unsafe_skip_copy=True)
        except cst.ParserSyntaxError as error:
            raise UnreadableSourceError("cannot be parsed", error.raw_line) from None
        except RecursionError:
            raise UnreadableSourceError("is nested too deeply") from None
        return cls(text, wrapper.module, wrapper)

    @cached_property
    def data(self) -> bytes:
        """The text in UTF-8, which positions count in."""
        return self.text.encode("utf-8")

    @cached_property
    def _spans(self) -> dict[cst.CSTNode, tuple[int, int]]:
        found = self._wrapper.resolve(ByteSpanPositionProvider)
        return {node: (span.start, span.start + span.length) for node, span in found.items()}

    @cached_property
    def _parents(self) -> dict[cst.CSTNode, cst.CSTNode]:
        return dict(self._wrapper.resolve(ParentNodeProvider))

    @cached_property
    def _children(self) -> dict[cst.CSTNode, list[cst.CSTNode]]:
        children: dict[cst.CSTNode, list[cst.CSTNode]] = {}
        for child, parent in self._parents.items():  # those of one parent come in their order
            children.setdefault(parent, []).append(child)
        return children

    @cached_property
    def _scopes(self) -> dict[cst.CSTNode, Scope]:
        return {node: scope for node, scope in self._wrapper.resolve(ScopeProvider).items() if scope is not None}

    @cached_property
    def _contexts(self) -> dict[cst.CSTNode, ExpressionContext | None]:
        return dict(self._wrapper.resolve(ExpressionContextProvider))

    @cached_property
    def lines(self) -> LineTable:
        """Where its lines are."""
        return LineTable(self.text)

    # --- places -------------------------------------------------------------------------------------------------

    def span(self, node: cst.CSTNode) -> tuple[int, int]:
        """Return where a node begins and ends, without parentheses and spaces around it."""
        return self._spans[node]

    def place(self, node: cst.CSTNode) -> tuple[int, int]:
        """Return line and column of a node, from 1."""
        return self.lines.place_of(self.span(node)[0])

    def code(self, node: cst.CSTNode) -> str:
        """Return the text of a node."""
        start, end = self.span(node)
        return self.data[start:end].decode("utf-8")

    # --- meaning ------------------------------------------------------------------------------------------------

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """Return the node around a node; ``None`` for the module."""
        return self._parents.get(node)

    def parents(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """Yield the nodes around a node, the nearest first."""
        around = self.parent(node)
        while around is not None:
            yield around
            around = self.parent(around)

    def is_read(self, node: cst.CSTNode) -> bool:
        """Tell whether an expression is read, not assigned, deleted, imported, or a mere part of syntax."""
        if self.is_imported(node):
            return False
        if isinstance(node, cst.Name | cst.Attribute):
            return self._contexts.get(node) is ExpressionContext.LOAD
        return isinstance(node, cst.BaseExpression)

    def is_imported(self, node: cst.CSTNode) -> bool:
        """Tell whether a name is one of an import, which is read nowhere."""
        around = next((one for one in self.parents(node) if not isinstance(one, cst.Attribute)), None)
        return isinstance(around, cst.ImportFrom | cst.ImportAlias)

    def scope(self, node: cst.CSTNode) -> Scope:
        """Return the scope that a node stands in."""
        for candidate in (node, *self.parents(node)):
            if candidate in self._scopes:
                return self._scopes[candidate]
        return self._scopes[self.module]

    def assignments(self) -> Iterator[Assignment]:
        """Yield all bindings of all scopes, imports included."""
        for scope in dict.fromkeys(self._scopes.values()):
            for assignment in scope.assignments:
                if isinstance(assignment, Assignment):
                    yield assignment

    def walk(self, node: cst.CSTNode | None = None) -> Iterator[cst.CSTNode]:
        """Yield a node and all below it, in the order of the text; without one, all of the module."""
        waiting: list[cst.CSTNode] = [node or self.module]
        while waiting:
            found = waiting.pop()
            yield found
            waiting.extend(reversed(self._children.get(found, ())))

    def edited(self, edits: Sequence[Edit]) -> str:
        """Return the text with parts of it replaced.

        Args:
            edits: The parts, in any order, which must not overlap.

        Returns:
            The new text.
        """
        parts: list[bytes] = []
        position = 0
        for edit in sorted(edits):
            assert edit.start >= position, "edits overlap"  # noqa: S101 - else bytes would be lost
            parts += [self.data[position : edit.start], edit.text.encode("utf-8")]
            position = edit.end
        return b"".join([*parts, self.data[position:]]).decode("utf-8")


def _parsed(text: str) -> cst.Module:
    """Return a tree that stands for the very bytes of a text, but for comments and blank lines at its end.

    LibCST loses spaces among them, and they hold nothing that is looked at.
    """
    lines = text.split("\n")
    while len(lines) > 1 and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
        lines.pop()
    code = "\n".join([*lines, ""])
    for body in (code, text) if text.startswith(code) else (text,):
        try:
            module = cst.parse_module(body)
        except cst.ParserSyntaxError:
            if body == text:
                raise
            continue  # what looked like a comment was the end of a string
        if module.code == body:
            return module
    raise UnreadableSourceError(
        "would not stay the same byte for byte; look for form feeds, and line breaks that are mere carriage returns"
    )


def offset_after(offset: int, edits: Sequence[Edit]) -> int:
    """Return where an offset is once parts of the text are replaced; one within a part goes to its beginning."""
    moved = offset
    for edit in edits:
        if edit.end <= offset:
            moved += len(edit.text.encode("utf-8")) - (edit.end - edit.start)
        elif edit.start < offset:
            moved -= offset - edit.start
    return moved


def check_syntax(text: str) -> None:
    """Refuse what the interpreter cannot parse.

    Its parser bounds how deeply a text is nested; that of LibCST has no such bound, and takes the process with it.

    Args:
        text: The text.

    Raises:
        UnreadableSourceError: It is no Python that this interpreter knows, or nested too deeply.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of strings like "\d": they are the file's own matter
            flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            compile(text, "<source>", "exec", flags=flags, dont_inherit=True)
    except SyntaxError as error:
        raise UnreadableSourceError(f"cannot be parsed: {error.msg}", error.lineno or 0) from None
    except ValueError as error:  # a NUL character
        raise UnreadableSourceError(f"cannot be parsed: {error}") from None
    except (RecursionError, MemoryError):
        raise UnreadableSourceError("is nested too deeply") from None


def dotted_name(node: cst.CSTNode | None) -> str:
    """Return a dotted name as text, such as ``a.b.c``; empty for what is none."""
    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute):
        base = dotted_name(node.value)
        return f"{base}.{node.attr.value}" if base else ""
    return ""


def name_of(node: cst.CSTNode) -> str:
    """Return the last part of a name, such as ``c`` of ``a.b.c`` and of ``f().c``; empty for what is no name."""
    if isinstance(node, cst.Attribute):
        return node.attr.value
    return node.value if isinstance(node, cst.Name) else ""
