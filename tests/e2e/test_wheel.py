"""The built wheel: what is in it, and that it works alone in an empty environment; editable installs are the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from ragtime.migration.names import OLD_MODULES, wrapper_of

pytestmark = [pytest.mark.wheel, pytest.mark.timeout(900)]

_EVERY_MODULE = """
import importlib, pkgutil, ragtime
names = [module.name for module in pkgutil.walk_packages(ragtime.__path__, "ragtime.")]
from ragtime.migration.names import OLD_MODULES, wrapper_of
of_pytest = ("__main__", "fixtures")
of_extras = ("store_conformance.", "migration.codemod.")  # imported by what asks for the extra first
names = [name for name in names if not name.endswith(of_pytest) and not any(part in name for part in of_extras)]
for name in [*names, *map(wrapper_of, OLD_MODULES)]:
    importlib.import_module(name)
print(len(names), ragtime.__file__)
"""


def _run(*command: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAGTIME_", "PYTHON"))}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _build(project: Path, out: Path) -> Path:
    """Build a wheel with the build backend that is installed here."""
    _run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", out, project, cwd=out)
    (wheel,) = out.glob("*.whl")
    return wheel


def _environment(folder: Path) -> Path:
    venv.create(folder, with_pip=True)
    return folder / "bin"


@pytest.fixture(scope="module")
def wheel(root_of_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the project as it stands."""
    return _build(root_of_project, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def root_of_project() -> Path:
    """The folder of the project."""
    return Path(__file__).resolve().parents[2]


@pytest.fixture
def with_wrapper(root_of_project: Path, tmp_path: Path) -> Path:
    """A copy of the project that has a wrapper module in compat/."""
    project = tmp_path / "project"
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        project.mkdir(exist_ok=True)
        shutil.copy(root_of_project / name, project)
    shutil.copytree(root_of_project / "ragtime", project / "ragtime", ignore=shutil.ignore_patterns("__pycache__"))
    (project / "compat").mkdir()
    (project / "compat" / "sample_compat.py").write_text("from ragtime.errors import RagtimeError\n")
    return project


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert wheel.name.startswith("ragtime_gal-1.")
    wrappers = {f"{wrapper_of(module)}.py" for module in OLD_MODULES}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"ragtime", "ragtime_compat", *wrappers}
    assert "ragtime/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_the_wheel_alone_imports_and_prints_its_settings(wheel: Path, root_of_project: Path, tmp_path: Path) -> None:
    bin_folder = _environment(tmp_path / "empty")
    python = bin_folder / "python"
    constraints = root_of_project / "constraints.txt"
    _run(python, "-m", "pip", "install", "-q", "-c", constraints, wheel, cwd=tmp_path)
    _run(python, "-m", "pip", "check", cwd=tmp_path)
    count, file = _run(python, "-c", _EVERY_MODULE, cwd=tmp_path).split()
    assert int(count) > 20
    assert Path(file).is_relative_to(tmp_path)
    assert json.loads(_run(bin_folder / "ragtime", "settings", "--json", cwd=tmp_path))["seed"]["value"] == 42
    assert _run(python, "-m", "ragtime", "settings", cwd=tmp_path).startswith("setting\tvalue\tsource\n")
    assert "ragtime-gal[embeddings]" in _run(bin_folder / "ragtime", "doctor", cwd=tmp_path)


def test_wrappers_are_top_level_modules_of_the_wheel(with_wrapper: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    names = zipfile.ZipFile(_build(with_wrapper, out)).namelist()
    assert "sample_compat.py" in names
    assert not [name for name in names if name.startswith("compat/")]


def test_wrappers_are_top_level_modules_of_an_editable_install(with_wrapper: Path, tmp_path: Path) -> None:
    python = tmp_path / "env" / "bin" / "python"
    venv.create(tmp_path / "env", with_pip=True, system_site_packages=False)
    _run(python, "-m", "pip", "install", "-q", "hatchling", "editables", cwd=tmp_path)
    _run(python, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "-e", with_wrapper, cwd=tmp_path)
    told = _run(
        python, "-c", "import ragtime, sample_compat; print(sample_compat.RagtimeError.__module__)", cwd=tmp_path
    )
    assert told == "ragtime.errors\n"
