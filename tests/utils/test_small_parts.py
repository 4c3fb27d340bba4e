"""Token estimates, extras, and worker pools."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragtime.errors import InvalidArgumentError, MissingExtraError
from ragtime.utils.extras import EXTRA_MODULES, LazyModule, installed_extras, require
from ragtime.utils.tokens import EstimatedTokenCounter
from ragtime.utils.workers import WorkerPool

# --- tokens ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        (" \n\t", 0),
        ("word", 1),
        ("letters", 1),
        ("language", 2),
        ("internationalisation", 5),
        ("Hold the button for 5 seconds.", 7),
        ("2026", 2),
        ("12345", 3),
        ("a_b", 3),
        ("x = f(1)", 6),
        ("日本語", 3),
        ("한국어", 3),
        ("привет", 3),
        ("naïve", 3),
        ("日本語とpython", 5),
        ("…—", 2),
        ("\ud800", 1),
    ],
)
def test_estimates(text: str, tokens: int) -> None:
    assert EstimatedTokenCounter().count(text) == tokens


@given(st.text(), st.text())
def test_texts_apart_count_what_they_count_together(first: str, second: str) -> None:
    count = EstimatedTokenCounter().count
    assert count(f"{first}\n{second}") == count(first) + count(second)
    assert 0 <= count(first) <= len(first)


def test_an_estimate_says_that_it_is_one() -> None:
    assert (EstimatedTokenCounter().exact, EstimatedTokenCounter().name) == (False, "estimate")


# --- extras ---------------------------------------------------------------------------------------------------------


def test_what_is_installed_is_imported() -> None:
    import json.decoder

    assert require("json.decoder", "llm") is json.decoder


@pytest.mark.parametrize(
    ("extra", "module"), [(extra, module) for extra, modules in EXTRA_MODULES.items() for module in modules]
)
def test_a_missing_extra_names_the_pip_command(monkeypatch: pytest.MonkeyPatch, extra: str, module: str) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)  # blocks the import, installed or not
    with pytest.raises(MissingExtraError) as caught:
        require(f"{module}.inner", extra)
    assert f'pip install "ragtime-gal[{extra}]"' in str(caught.value)
    assert isinstance(caught.value, ImportError)


def test_a_package_that_is_there_but_broken_keeps_its_own_error(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    (tmp_path / "half_installed.py").write_text("import a_dependency_that_is_missing\n")
    (tmp_path / "broken_binary.py").write_text("raise ImportError('cannot open shared object file')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for module, told in (("half_installed", "a_dependency_that_is_missing"), ("broken_binary", "shared object")):
        with pytest.raises(ImportError, match=told) as caught:
            require(module, "llm")
        assert not isinstance(caught.value, MissingExtraError)


def test_a_part_that_a_package_does_not_have_is_its_own_error() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"json\.nope") as caught:
        require("json.nope", "llm")
    assert not isinstance(caught.value, MissingExtraError)


def test_an_extra_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="There is no extra 'embedings'"):
        require("torch", "embedings")


def test_a_lazy_module_is_imported_at_its_first_use(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    (tmp_path / "late_module.py").write_text("VALUE = 7\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    late = LazyModule("late_module")
    assert "late_module" not in sys.modules
    assert late.VALUE == 7
    assert "late_module" in sys.modules
    with pytest.raises(AttributeError):
        _ = late.nothing


def test_the_extras_are_those_of_the_package(root) -> None:
    import tomllib

    declared = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(EXTRA_MODULES) == set(declared) - {"all", "dev", "bench"}
    (everything,) = declared["all"]
    assert everything == f"ragtime-gal[{','.join(sorted(EXTRA_MODULES))}]"


def test_installed_extras_tells_what_is_missing() -> None:
    assert set(installed_extras()) == set(EXTRA_MODULES)
    assert all(set(missing) <= set(EXTRA_MODULES[extra]) for extra, missing in installed_extras().items())


# --- workers --------------------------------------------------------------------------------------------------------


def test_errors_and_results_come_back() -> None:
    with WorkerPool(2) as pool:
        assert pool.submit(divmod, 7, 3).result() == (2, 1)
        assert pool.submit(int, "ff", base=16).result() == 255
        with pytest.raises(ZeroDivisionError):
            pool.submit(lambda: 1 / 0).result()
