"""The table of old names agrees with the wrappers, with ragtime, and with the page on migration."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import subprocess
import sys
from functools import reduce
from pathlib import Path

import pytest

import ragtime
from ragtime.migration.names import NAMES, OLD_MODULES, OldName, find_old_name, wrapper_of

ROOT = Path(__file__).parents[2]
ALSO = {
    "conversation": {
        "ConversationManager", "ConversationEmbedder", "ConversationSummarizer", "EnhancedConversation",
    },
    "prompts": {"PromptManager"},
    "template": {"HTMLTemplateManager"},
    "template_manager": {"PromptManager"},
    "training_data_generator": {"GenerationMetrics", "TrainingExample"},
    "model_finetuner": {"FineTuningMetrics"},
}  # fmt: skip
"""What a wrapper exports besides the names of its old module."""

of_each_name = pytest.mark.parametrize("entry", NAMES, ids=lambda entry: f"{entry.module}.{entry.name}")


@of_each_name
def test_what_stands_for_an_old_name_is_there(entry: OldName) -> None:
    found = reduce(getattr, entry.new_name.split("."), importlib.import_module(entry.new_module))
    assert callable(found)
    assert entry.new == f"{entry.new_module}.{entry.new_name}"


@of_each_name
def test_its_wrapper_has_it(entry: OldName) -> None:
    found = getattr(importlib.import_module(entry.wrapper), entry.name)
    assert inspect.isclass(found) == (entry.kind == "class")
    if entry.kind != "constant":
        assert found.__module__ == entry.wrapper


@pytest.mark.parametrize("module", OLD_MODULES)
def test_a_wrapper_exports_what_the_table_lists_and_the_new_names_of_its_module(module: str) -> None:
    wrapper = importlib.import_module(wrapper_of(module))
    expected = {entry.name for entry in NAMES if entry.module == module} | ALSO.get(module, set())
    assert set(wrapper.__all__) == expected
    assert expected <= set(dir(wrapper))
    assert "deprecated" in (wrapper.__doc__ or "").lower()


@pytest.mark.parametrize("module", OLD_MODULES)
def test_a_name_is_one_object_wherever_it_is_exported(module: str) -> None:
    wrapper = importlib.import_module(wrapper_of(module))
    for name in wrapper.__all__:
        owners = {entry.wrapper for entry in NAMES if entry.name == name}
        for owner in owners:
            if (module, name) in {(entry.module, entry.name) for entry in NAMES}:
                continue
            assert getattr(wrapper, name) is getattr(importlib.import_module(owner), name)


@pytest.mark.parametrize("module", OLD_MODULES)
def test_importing_a_wrapper_is_silent_and_loads_nothing_heavy(module: str, tmp_path: Path) -> None:
    heavy = "torch transformers sentence_transformers peft pandas datasets openai mcp matplotlib scipy".split()
    code = (
        f"import sys, {wrapper_of(module)} as m; print([n for n in m.__all__ if getattr(m, n) is None]); "
        f"print([n for n in {heavy} if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.stdout, done.stderr) == ("[]\n[]\n", "")
    assert list(tmp_path.iterdir()) == []


@of_each_name
def test_a_wrapper_goes_in_the_version_that_the_table_names(entry: OldName) -> None:
    version, removed = (
        tuple(int(part) for part in text.split(".")[:2]) for text in (ragtime.__version__, entry.removed_in)
    )
    assert (importlib.util.find_spec(entry.wrapper) is not None) == (version < removed)


def test_a_name_is_found_by_its_old_module_and_by_the_wrapper() -> None:
    entry = find_old_name("conversation", "Conversation")
    assert entry is not None
    assert find_old_name("conversation_compat", "Conversation") is entry
    assert find_old_name("conversation", "ConversationManager") is None


def test_the_page_on_migration_lists_every_name() -> None:
    page = (ROOT / "docs" / "migration.md").read_text(encoding="utf-8")
    for entry in NAMES:
        assert f"| `{entry.name}` | `{entry.new}` | {entry.change} |" in page
