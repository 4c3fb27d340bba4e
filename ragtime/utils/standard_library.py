"""Real text that every machine has: the documentation strings of the running interpreter's standard library."""

from __future__ import annotations

import ast
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

from ragtime.errors import StorageError
from ragtime.records import Document

__all__ = ["standard_library_documents"]

_MODULES = (
    "argparse bisect bz2 calendar cmd codecs colorsys configparser contextlib copy csv dataclasses datetime "
    "difflib enum filecmp fileinput fnmatch fractions functools getpass gettext glob gzip heapq inspect "
    "ipaddress json linecache logging lzma mimetypes netrc numbers operator pathlib pickle platform pprint "
    "queue random sched secrets selectors shelve shlex shutil smtplib socket statistics string subprocess "
    "tarfile tempfile textwrap threading timeit tokenize trace traceback turtle typing uuid warnings wave "
    "weakref webbrowser zipapp"
).split()
_SHORTEST = 60  # characters; shorter ones say little more than the name
_LONGEST = 1500  # characters that are kept


def standard_library_documents(limit: int, *, per_module: int = 8, modules: Sequence[str] = _MODULES) -> list[Document]:
    """Collect documentation strings of public functions, classes and methods.

    The source files are read, not imported.

    Args:
        limit: Most documents in all.
        per_module: Most documents of one module.
        modules: Names of the modules or packages, such as ``shutil`` or ``http.client``; those that this interpreter
            does not have are passed over.

    Returns:
        Documents whose id is the full name, such as ``shutil.copyfile``, whose title is that name with its arguments,
        and whose text is the documentation, in the order of modules and source.

    Raises:
        StorageError: This interpreter comes without the sources of its library.
    """
    root = Path(sysconfig.get_paths()["stdlib"])
    documents: list[Document] = []
    for module in modules:
        place = root.joinpath(*module.split("."))
        path = next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)
        if path is not None:
            documents.extend(_documents(module, path.read_text(encoding="utf-8"))[:per_module])
    if not documents:
        raise StorageError(f"There are no sources of the standard library in {str(root)!r}")
    return documents[:limit]


def _documents(module: str, source: str) -> list[Document]:
    found: dict[str, Document] = {}
    for name, node in _public(ast.parse(source).body, module):
        text = (ast.get_docstring(node) or "").strip()
        if len(text) >= _SHORTEST and name not in found:
            arguments = f"({ast.unparse(node.args)})" if isinstance(node, ast.FunctionDef) else ""
            found[name] = Document(id=name, title=f"{name}{arguments}", text=text[:_LONGEST])
    return list(found.values())


def _public(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.ClassDef]]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            name = f"{prefix}.{node.name}"
            yield name, node
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body, name)
