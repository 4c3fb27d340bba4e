"""Whoever uses an old name is told so, at their own line."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ragtime.errors import InvalidArgumentError, RagtimeDeprecationWarning
from ragtime.migration.deprecation import deprecated_class, deprecated_function, warn_deprecated


@deprecated_class("conversation")
class Conversation:
    """An old class."""

    def __init__(self, first: int = 1, *, second: str = "") -> None:
        """Keep both."""
        self.kept = (first, second)


@deprecated_class("enhanced_conversation")
class EnhancedConversation(Conversation):
    """One that is derived from another one."""


@deprecated_function("template")
def get_template_path(start: str = "./") -> str:
    """Return a path."""
    return f"{start}template.html"


def told(action: Callable[[], object]) -> list[warnings.WarningMessage]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        action()
    return caught


def in_a_module(name: str, source: str, **names: object) -> ModuleType:
    """Return a module of that name, whose frames say that they are of it."""
    module = ModuleType(name)
    vars(module).update(names)
    exec(compile(source, f"{name}.py", "exec"), vars(module))  # noqa: S102 - our own source
    return module


@pytest.mark.parametrize("use", [Conversation, get_template_path, lambda: Conversation(2, second="x")])
def test_a_warning_names_the_old_place_the_new_one_the_version_and_the_codemod(use: Callable[[], object]) -> None:
    (warning,) = told(use)
    text = str(warning.message)
    assert warning.category is RagtimeDeprecationWarning
    assert any(old in text for old in ("conversation.Conversation", "template.get_template_path"))
    assert "use ragtime." in text
    assert "removed in 2.0.0" in text
    assert "ragtime migrate --to ragtime" in text


def test_it_points_at_the_line_of_the_caller() -> None:
    def use() -> None:
        Conversation()

    (warning,) = told(use)
    assert (warning.filename, warning.lineno) == (__file__, use.__code__.co_firstlineno + 1)


def test_every_construction_and_every_call_warns() -> None:
    assert len(told(lambda: [Conversation() for _ in range(3)])) == 3
    assert len(told(lambda: [get_template_path() for _ in range(3)])) == 3


def test_a_class_keeps_its_arguments_name_and_docstring() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert Conversation(2, second="x").kept == (2, "x")
        assert get_template_path("/") == "/template.html"
    assert get_template_path.__doc__ == "Return a path."
    assert Conversation.__init__.__doc__ == "Keep both."


def test_of_several_wrappers_only_the_nearest_speaks() -> None:
    class Own(EnhancedConversation):
        def __init__(self) -> None:
            super().__init__(3)

    for use in (EnhancedConversation, Own):
        (warning,) = told(lambda use=use: use())
        assert str(warning.message).startswith("enhanced_conversation.EnhancedConversation ")
        assert warning.filename == __file__


def test_what_a_wrapper_uses_itself_is_not_told_again() -> None:
    source = "def make():\n    return old()\n"
    wrapper = in_a_module("conversation_compat", source, old=Conversation)
    assert told(wrapper.make) == []


def test_ragtime_is_passed_over_on_the_way_to_the_caller() -> None:
    service = in_a_module("ragtime.services.sample", "def make():\n    return old()\n", old=Conversation)
    (warning,) = told(service.make)
    assert warning.filename == __file__
    wrapper = in_a_module("conversation_compat", "def make():\n    return inner()\n", inner=service.make)
    assert told(wrapper.make) == []


def test_a_thread_of_the_caller_is_told_too() -> None:
    def use() -> None:
        thread = threading.Thread(target=Conversation)
        thread.start()
        thread.join()

    assert len(told(use)) == 1


def test_each_place_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(3):
            Conversation()
        Conversation()
    events: list[Any] = [record for record in caplog.records if record.getMessage() == "A deprecated name is used"]
    assert [(event.old, event.removed_in) for event in events] == [("conversation.Conversation", "2.0.0")] * 2
    assert events[1].line == events[0].line + 1


def test_a_name_that_the_table_does_not_have_is_a_mistake() -> None:
    with pytest.raises(InvalidArgumentError, match=r"has no conversation\.Nothing"):
        warn_deprecated("conversation", "Nothing")


def test_the_default_filters_show_it_in_a_program_and_a_filter_of_its_category_hides_it(tmp_path: Path) -> None:
    script = tmp_path / "use.py"
    script.write_text(
        "import sys, warnings\n"
        "from ragtime.errors import RagtimeDeprecationWarning\n"
        "from ragtime.migration.deprecation import deprecated_function\n"
        "if sys.argv[1:]:\n"
        "    warnings.filterwarnings('ignore', category=RagtimeDeprecationWarning)\n"
        "@deprecated_function('template')\ndef get_template_path(): ...\n"
        "get_template_path()\n"
    )
    loud, silent = (
        subprocess.run([sys.executable, str(script), *options], capture_output=True, text=True, check=False)
        for options in ([], ["quiet"])
    )
    assert (loud.returncode, silent.returncode) == (0, 0)
    assert "use.py:8: RagtimeDeprecationWarning: template.get_template_path is deprecated" in loud.stderr
    assert silent.stderr == ""
