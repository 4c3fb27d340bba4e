"""The direction of imports is held: a deliberate wrong-way import makes the check fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def _check(project: Path) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).parent / "lint-imports"
    return subprocess.run([tool, "--no-cache"], cwd=project, capture_output=True, text=True, check=False)


@pytest.fixture
def project(root: Path, tmp_path: Path) -> Path:
    """A copy of the package and its configuration."""
    shutil.copytree(root / "ragtime", tmp_path / "ragtime", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_package_as_it_is_keeps_the_contracts(project: Path) -> None:
    done = _check(project)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("file", "statement", "contract"),
    [
        ("errors.py", "from ragtime.config.settings import Settings", "Imports run one way"),
        ("config/sources.py", "from ragtime.utils.files import write_text", "Imports run one way"),
        ("monitoring/logging.py", "def later():\n    from ragtime.cli import main", "Imports run one way"),
        ("testing/datasets.py", "import ragtime.cli", "Imports run one way"),
        ("backends/tokens.py", "from ragtime.testing import HashEncoder", "Imports run one way"),
        ("utils/files.py", "import typer", "Only the command line knows typer"),
        ("cli/main.py", "from conversation_compat import Conversation", "Nothing in ragtime imports the wrappers"),
    ],
)
def test_a_wrong_way_import_is_refused(project: Path, file: str, statement: str, contract: str) -> None:
    path = project / "ragtime" / file
    path.write_text(f"{path.read_text(encoding='utf-8')}\n\n{statement}\n", encoding="utf-8")
    done = _check(project)
    assert done.returncode == 1
    assert f"{contract}" in done.stdout
    assert "BROKEN" in done.stdout


def _package(project: Path, name: str, code: str = "") -> None:
    folder = project / "ragtime" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "__init__.py").write_text(code)


def test_parts_that_come_later_are_held_too(project: Path) -> None:
    for name in ("services", "services/conversation", "services/learning", "migration"):
        _package(project, name)
    assert _check(project).returncode == 0
    for name, code in (
        ("services/conversation", "import ragtime.services.learning"),
        ("services/conversation", "import ragtime.testing"),
        ("migration", "import ragtime.services.learning"),
        ("migration", "import ragtime.cli"),
    ):
        _package(project, name, code)
        assert _check(project).returncode == 1, code
        _package(project, name)


def test_a_new_room_must_find_its_place(project: Path) -> None:
    _package(project, "extra_room")
    assert _check(project).returncode == 1
