"""The old module ``prompts``: legacy-api §7, and bugs P1 to P3."""

from __future__ import annotations

import inspect
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import prompts_compat
from prompts_compat import DEFAULT_TEMPLATES, PromptManager, get_template, get_templates_file, load_templates
from ragtime.errors import RagtimeDeprecationWarning
from ragtime.utils import templates
from ragtime_compat.prompt_files import whole_texts
from template_manager_compat import TemplateManager

pytestmark = pytest.mark.filterwarnings("ignore::ragtime.errors.RagtimeDeprecationWarning")

DATA = Path(__file__).parent / "data"
BROKEN = {
    "no JSON": b"{",
    "empty": b"",
    "a list": b"[]",
    "a text": b'"standard"',
    "not UTF-8": b'{"standard": "\xff"}',
    "too deep": b"[" * 100_000,
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The place of the file."""
    return tmp_path / "prompt_templates.json"


def use(name: str, file: Path) -> dict[str, Any]:
    shutil.copy(DATA / f"prompt_templates_{name}.json", file)
    found: dict[str, Any] = json.loads(file.read_bytes())
    return found


def test_signatures() -> None:
    assert not inspect.signature(get_templates_file).parameters
    assert not inspect.signature(load_templates).parameters
    (parameter,) = inspect.signature(get_template).parameters.values()
    assert (parameter.name, parameter.default) == ("template_name", "standard")


def test_the_new_manager_is_exported_as_it_is() -> None:
    assert PromptManager is templates.PromptManager
    assert set(prompts_compat.__all__) == {
        "DEFAULT_TEMPLATES",
        "PromptManager",
        "get_template",
        "get_templates_file",
        "load_templates",
    }


# --- DEFAULT_TEMPLATES ----------------------------------------------------------------------------------------------


def test_the_defaults_are_a_dict_of_standard_and_creative() -> None:
    assert isinstance(DEFAULT_TEMPLATES, dict)
    assert list(DEFAULT_TEMPLATES) == ["standard", "creative"]
    assert DEFAULT_TEMPLATES["standard"] != DEFAULT_TEMPLATES["creative"]


@pytest.mark.parametrize("name", ["standard", "creative"])
def test_a_default_has_context_and_question_and_takes_format(name: str) -> None:
    text = DEFAULT_TEMPLATES[name]
    assert text.count("{context}") == 1
    assert text.count("{question}") == 1
    filled = text.format(context="{x} {question}", question="{context}?")
    assert "<context>\n{x} {question}\n</context>\n\nQuestion: {context}?" in filled


def test_the_defaults_are_written_as_json_and_read_back() -> None:
    assert json.loads(json.dumps(DEFAULT_TEMPLATES)) == DEFAULT_TEMPLATES


@pytest.mark.parametrize("file", ["missing", "broken"])
def test_what_is_done_to_the_dict_of_a_call_is_not_done_to_the_defaults(  # P3
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "prompts.json"
    if file == "broken":
        path.write_text("{")
    monkeypatch.setenv("PROMPT_TEMPLATES_PATH", str(path))
    before = dict(DEFAULT_TEMPLATES)
    found = load_templates()
    found.clear()
    assert before == DEFAULT_TEMPLATES
    assert get_template("creative") == before["creative"]


def test_a_program_may_add_a_prompt_of_its_own_to_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPT_TEMPLATES_PATH", str(tmp_path / "prompts.json"))
    monkeypatch.setitem(DEFAULT_TEMPLATES, "mine", "{context} {question}")
    assert get_template("mine") == "{context} {question}"


# --- get_templates_file ---------------------------------------------------------------------------------------------


def test_the_file_is_prompt_templates_json_in_the_current_folder() -> None:
    assert get_templates_file() == "./prompt_templates.json"


def test_the_file_is_read_from_prompt_templates_path_at_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("/a/prompts.json", "b/prompts.json"):
        monkeypatch.setenv("PROMPT_TEMPLATES_PATH", path)
        assert get_templates_file() == path
    monkeypatch.setenv("PROMPT_TEMPLATES_PATH", "")
    assert get_templates_file() == "./prompt_templates.json"


def test_the_home_folder_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PROMPT_TEMPLATES_PATH", "~/prompts.json")
    assert get_templates_file() == str(tmp_path / "prompts.json")


# --- load_templates -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["flat", "parts"])
def test_what_the_file_holds_is_returned(shape: str, file: Path) -> None:
    held = use(shape, file)
    assert load_templates() == held != DEFAULT_TEMPLATES


def test_the_file_is_read_at_each_call(file: Path) -> None:
    for text in ("one", "two"):
        file.write_text(json.dumps({"standard": text}), encoding="utf-8")
        assert load_templates() == {"standard": text}
        assert get_template() == text


def test_a_file_with_a_byte_order_mark_is_read(file: Path) -> None:
    file.write_text('{"standard": "É {context}"}', encoding="utf-8-sig")
    assert get_template() == "É {context}"


def test_a_missing_file_is_made_with_the_defaults_in_json_of_indent_2(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert load_templates() == DEFAULT_TEMPLATES
    text = file.read_text(encoding="utf-8")
    assert text.strip() == json.dumps(DEFAULT_TEMPLATES, indent=2)
    assert list(file.parent.iterdir()) == [file]
    assert "The prompt file was made with the built-in prompts" in caplog.text
    assert load_templates() == DEFAULT_TEMPLATES


def test_get_template_makes_a_missing_file_too(file: Path) -> None:
    assert get_template("creative") == DEFAULT_TEMPLATES["creative"]
    assert json.loads(file.read_bytes()) == DEFAULT_TEMPLATES


def test_a_file_made_so_is_flat_and_the_template_manager_composes_from_it(file: Path) -> None:  # P1
    load_templates()
    assert file.is_file()
    manager = TemplateManager()
    assert manager.using_legacy is True
    for kind in ("initial", "follow_up", "with_previous_content"):
        prompt = manager.get_prompt("standard", kind, {"context": "{c}", "question": "{q}?"})
        assert prompt == DEFAULT_TEMPLATES["standard"].format(context="{c}", question="{q}?")


def test_a_file_that_cannot_be_made_gives_the_defaults(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PROMPT_TEMPLATES_PATH", str(tmp_path / "none" / "prompts.json"))
    assert load_templates() == DEFAULT_TEMPLATES
    assert get_template() == DEFAULT_TEMPLATES["standard"]
    assert not (tmp_path / "none").exists()
    assert "There is no folder for the prompt file" in caplog.text


@pytest.mark.parametrize(
    ("name", "told"),
    [("folder/", "The prompt file cannot be made"), ("n" * 300, "The prompt file cannot be read")],
    ids=["a folder's name", "a name too long"],
)
def test_a_file_that_cannot_be_called_so_gives_the_defaults(
    name: str, told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PROMPT_TEMPLATES_PATH", f"{tmp_path}/{name}")
    assert load_templates() == DEFAULT_TEMPLATES
    assert list(tmp_path.iterdir()) == []
    assert f"{told}; the built-in prompts are taken" in caplog.text


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_gives_the_defaults_and_is_left_alone(
    content: bytes, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_bytes(content)
    assert load_templates() == DEFAULT_TEMPLATES
    assert get_template("creative") == DEFAULT_TEMPLATES["creative"]
    assert file.read_bytes() == content
    assert "The prompt file cannot be read; the built-in prompts are taken" in caplog.text


def test_a_folder_in_the_place_of_the_file_gives_the_defaults(file: Path) -> None:
    file.mkdir()
    assert load_templates() == DEFAULT_TEMPLATES
    assert get_template() == DEFAULT_TEMPLATES["standard"]


@pytest.mark.parametrize("content", [None, b"{"], ids=["made", "broken"])
def test_the_defaults_that_are_returned_are_the_callers_own(content: bytes | None, file: Path) -> None:  # P3
    if content is not None:
        file.write_bytes(content)
    found = load_templates()
    assert type(found) is dict
    found["standard"] = "changed"
    file.unlink(missing_ok=True)
    assert load_templates()["standard"] == DEFAULT_TEMPLATES["standard"] != "changed"


# --- get_template ---------------------------------------------------------------------------------------------------


def test_a_template_is_the_text_of_the_file(file: Path) -> None:
    held = use("flat", file)
    assert get_template() == get_template(template_name="standard") == held["standard"]
    for name, text in held.items():
        assert get_template(name) == text


def test_an_unknown_name_gives_the_files_standard(file: Path) -> None:
    held = use("flat", file)
    assert get_template("sixthwood") == held["standard"]


@pytest.mark.parametrize("name", [None, 5, ["standard"], {}], ids=["None", "number", "list", "dict"])
def test_what_is_no_name_never_raises_and_is_never_none(name: Any, file: Path) -> None:
    held = use("flat", file)
    assert get_template(name) == held["standard"]


@pytest.mark.parametrize("content", [{}, {"creative": "c"}, {"standard": None}, {"standard": {"text": "s"}}])
def test_where_the_file_has_no_standard_the_built_in_one_serves(content: dict[str, Any], file: Path) -> None:
    file.write_text(json.dumps(content), encoding="utf-8")
    assert get_template("sixthwood") == DEFAULT_TEMPLATES["standard"]
    assert get_template("standard") == DEFAULT_TEMPLATES["standard"]


def test_a_style_of_the_newer_shape_is_put_together(file: Path) -> None:  # P2
    use("parts", file)
    assert get_template("creative").startswith("You are inventive.\n\nCreative, like ")
    assert get_template("plain") == "Plain.\nContext: {context}\nQuestion: {question}"
    assert get_template("by_hand") == "By hand. {question}"
    assert get_template("standard") == "Legacy. Context: {context}\nQuestion: {question}"
    assert get_template("sixthwood") == get_template("standard")


@pytest.mark.parametrize("name", ["base_templates", "system_instructions", "context_formats", "legacy_templates"])
def test_a_section_of_the_newer_shape_is_no_template(name: str, file: Path) -> None:  # P2
    use("parts", file)
    assert get_template(name) == get_template("standard")


@pytest.mark.parametrize("style", ["standard", "creative", "plain"])
def test_such_a_style_filled_is_what_the_template_manager_composes_first(style: str, file: Path) -> None:  # P2
    held = use("parts", file)
    del held["legacy_templates"]
    file.write_text(json.dumps(held), encoding="utf-8")
    params = {"context": 'Rows: {"a": {1}} {question}', "question": "Why {context}?"}
    composed = TemplateManager().get_prompt(style, "initial", params)
    assert get_template(style).format(**params) == composed


PARTS = st.text(alphabet="ab{}\n", max_size=12)


@settings(max_examples=150)
@given(base=PARTS, instruction=PARTS, params=st.fixed_dictionaries({"context": PARTS, "question": PARTS}))
def test_whatever_braces_a_style_holds_it_takes_format(base: str, instruction: str, params: dict[str, str]) -> None:
    text = f"{base} {{context_section}} {{question}}"
    held = {
        "base_templates": {"standard": text},
        "system_instructions": {"standard": instruction},
        "context_formats": {"initial": "[{context}]"},
    }
    filled = whole_texts(held)["standard"].format(**params)
    assert filled.endswith(f" [{params['context']}] {params['question']}")


def test_an_old_caller_fills_a_template_with_documents_that_hold_braces(file: Path) -> None:
    use("flat", file)
    documents = '{"price": {"eur": 3}} {context} {question}'
    for name in ("standard", "creative", "sixthwood", "as_escaped_json"):
        prompt = get_template(name).format(context=documents, question="What {is} it?")
        assert prompt.endswith(f"Context: {documents}\nQuestion: What {{is}} it?")


@pytest.mark.parametrize(
    "function", [get_templates_file, load_templates, get_template], ids=lambda function: function.__name__
)
def test_each_call_warns_once_at_its_own_line(function: Callable[[], object]) -> None:
    with pytest.warns(
        RagtimeDeprecationWarning, match=r"use ragtime\.utils\.templates\.Prompt.*removed in 2\.0\.0"
    ) as caught:
        function()
    assert [warning.filename for warning in caught] == [__file__]
    assert f"prompts.{function.__name__}" in str(caught[0].message)


def test_reading_the_constant_is_silent(recwarn: pytest.WarningsRecorder) -> None:
    assert prompts_compat.DEFAULT_TEMPLATES is DEFAULT_TEMPLATES
    assert not recwarn.list
