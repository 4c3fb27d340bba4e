"""The wrappers are typed: ``data/typed.py`` uses every old name, and passes mypy with the types that it asserts."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from ragtime.migration.names import EXPORTED_TOO, NAMES

ROOT = Path(__file__).parents[2]
TYPED = Path(__file__).parent / "data" / "typed.py"
TREE = ast.parse(TYPED.read_text())


def _used() -> set[tuple[str, str]]:
    """What is imported from each module, and what is read of each module itself, as far as it is used."""
    read = {node.id for node in ast.walk(TREE) if isinstance(node, ast.Name)}
    imported = {
        (node.module, alias.name)
        for node in TREE.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
        if alias.name in read
    }
    return imported | {
        (node.value.id, node.attr)
        for node in ast.walk(TREE)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }


def test_the_file_uses_every_old_name() -> None:
    assert {(entry.wrapper, entry.name) for entry in NAMES} <= _used()


def test_the_file_uses_every_other_name_that_a_wrapper_has() -> None:
    used = {name for module, name in _used() if module.endswith("_compat")}
    assert {path.rpartition(".")[2] for paths in EXPORTED_TOO.values() for path in paths} <= used


@pytest.mark.models  # whose packages have the types of losses and evaluators
@pytest.mark.slow
def test_the_file_passes_strict_mypy_with_the_right_types() -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(TYPED)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
