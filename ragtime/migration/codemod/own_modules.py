"""Whether an import means the old module, or one of the user's own that has the same name."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from ragtime.migration.names import NAMES

__all__ = ["Neighbours", "Standing", "is_old_module"]

Standing = Literal["old", "own", "absent"]
"""What lies there: the old module, something else of this name, or nothing."""

_TOPS = (".git", "pyproject.toml", "setup.py", "setup.cfg")  # what the topmost folder of a project holds


class Neighbours:
    """Looks at the modules that lie around a file."""

    def __init__(self, roots: Iterable[Path] = ()) -> None:
        """Know of nothing yet; what was looked at is remembered.

        Args:
            roots: Folders that are migrated as a whole: modules may lie anywhere between a file and them.
        """
        self._roots = frozenset(root.resolve() for root in roots)
        self._known: dict[Path, Standing] = {}

    def standing(self, file: Path | None, module: str, *, level: int = 0) -> Standing:
        """Tell what an import means.

        Args:
            file: The file that imports; ``None`` when it lies nowhere.
            module: Full name of the module.
            level: Dots before it; 0 means an absolute import, for which the folders above are looked at, too, as far as
                the project goes.

        Returns:
            What lies there.
        """
        if file is None:
            return "absent"
        folder = file.resolve().parent
        if level:
            folders = [folder, *folder.parents][level - 1 : level]
        else:
            folders = [one for found in self._project_folders(folder) for one in (found, found / "src")]
        standings = (self._at(found.joinpath(*module.split("."))) for found in folders)
        return next((standing for standing in standings if standing != "absent"), "absent")

    def _at(self, path: Path) -> Standing:
        if path not in self._known:
            file = path.with_name(f"{path.name}.py")
            if file.is_file():
                self._known[path] = "old" if is_old_module(file) else "own"
            else:
                self._known[path] = "own" if any(path.glob("*.py")) else "absent"
        return self._known[path]

    def _project_folders(self, folder: Path) -> list[Path]:
        """Return a folder and those above it, as far as the project goes."""
        chain = [folder, *folder.parents]
        marked = next((number for number, one in enumerate(chain) if any((one / name).exists() for name in _TOPS)), 0)
        given = max((number for number, one in enumerate(chain) if one in self._roots), default=0)
        return chain[: max(marked, given) + 1]


def is_old_module(file: Path) -> bool:
    """Tell whether a file is an old module: it has its name, and defines all that the table says it had.

    Args:
        file: The file.

    Returns:
        Whether it is; not when it cannot be read or parsed.
    """
    expected = {(entry.name, entry.kind) for entry in NAMES if entry.module == file.stem}
    if not expected:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return expected <= set(_defined(tree.body))


def _defined(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    """Yield what a module defines, and of what kind, also under a condition."""
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            yield statement.name, "class"
        elif isinstance(statement, ast.FunctionDef):
            yield statement.name, "function"
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            yield from ((target.id, "constant") for target in targets if isinstance(target, ast.Name))
        elif isinstance(statement, ast.If | ast.Try):
            handlers = statement.handlers if isinstance(statement, ast.Try) else []
            for inner in (statement.body, statement.orelse, *(handler.body for handler in handlers)):
                yield from _defined(inner)
