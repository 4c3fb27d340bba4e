"""The public surface: what each module exports, and that the lazy names work."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import ragtime

MODULES = [
    "ragtime",
    *(module.name for module in pkgutil.walk_packages(ragtime.__path__, "ragtime.") if "__main__" not in module.name),
]


@pytest.mark.parametrize("name", MODULES)
def test_every_module_is_described_and_exports_existing_names(name: str) -> None:
    module = importlib.import_module(name)
    assert (module.__doc__ or "").strip()
    exported = getattr(module, "__all__", None)
    if exported is None:
        rooms = "backends backends.servers config migration monitoring services storage utils"
        packages = {f"ragtime.{room}" for room in rooms.split()}
        assert name in packages  # those that only hold modules
        return
    assert len(set(exported)) == len(exported)
    for public in exported:
        assert hasattr(module, public), public


@pytest.mark.parametrize("name", MODULES)
def test_every_public_class_and_function_is_described(name: str) -> None:
    module = importlib.import_module(name)
    for public in getattr(module, "__all__", ()):
        value = getattr(module, public)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert (value.__doc__ or "").strip(), public


def test_the_names_of_the_package() -> None:
    assert ragtime.__all__ == [
        "RagtimeError",
        "Settings",
        "__version__",
        "configure_logging",
        "get_logger",
        "get_settings",
        "override_settings",
    ]
    from ragtime.config.settings import Settings

    assert ragtime.Settings is Settings
    assert set(ragtime.__all__) <= set(dir(ragtime))


def test_an_unknown_name_is_missed_with_the_nearest() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Setings'; did you mean 'Settings'"):
        ragtime.Setings  # noqa: B018


def test_the_version_follows_semantic_versioning_and_stands_in_the_changelog(root: Path) -> None:
    assert re.fullmatch(r"1\.\d+\.\d+", ragtime.__version__)
    assert f"## [{ragtime.__version__}]" in (root / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_seams_can_be_checked_at_run_time() -> None:
    from ragtime.protocols import TextEncoder, TextGenerator, TokenCounter
    from ragtime.utils.tokens import EstimatedTokenCounter

    assert isinstance(EstimatedTokenCounter(), TokenCounter)
    assert not isinstance(EstimatedTokenCounter(), TextEncoder | TextGenerator)
