"""The old module ``template_manager``: legacy-api §5, and bugs T1 to T10."""

from __future__ import annotations

import copy
import inspect
import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import template_manager_compat
from prompts_compat import DEFAULT_TEMPLATES
from ragtime.config.settings import get_settings
from ragtime.errors import RagtimeDeprecationWarning, TemplateNotFoundError, TemplateVariableError
from ragtime.testing import ScriptedGenerator
from ragtime.utils import templates
from ragtime.utils.templates import RenderedPrompt
from template_manager_compat import PromptManager, TemplateManager

pytestmark = pytest.mark.filterwarnings("ignore::ragtime.errors.RagtimeDeprecationWarning")

DATA = Path(__file__).parent / "data"
FLAT = DATA / "prompt_templates_flat.json"
PARTS = DATA / "prompt_templates_parts.json"
HOSTILE = 'Rows: {"a": {1}} {question} {context} {context_section} {{x}} {} {0} {x!r} %s {{ 7 * 7 }}'
PARAMS = {
    "context": "Passages.",
    "question": "Why?",
    "previous_content": "Earlier.",
    "conversation_history": "History.",
    "conversation_summary": "History.",
}
KINDS = ["initial", "follow_up", "with_previous_content"]


def manager_of(folder: Path, content: object) -> TemplateManager:
    path = folder / "prompts.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return TemplateManager(str(path))


# --- the object -----------------------------------------------------------------------------------------------------


def test_signatures() -> None:
    made = inspect.signature(TemplateManager).parameters
    assert next(iter(made)) == "templates_path"
    assert made["templates_path"].default is None
    assert all(made[name].kind is inspect.Parameter.KEYWORD_ONLY for name in list(made)[1:])
    assert list(inspect.signature(TemplateManager.get_prompt).parameters)[:4] == [
        "self",
        "style",
        "query_type",
        "context_params",
    ]
    assert list(inspect.signature(TemplateManager.get_legacy_template).parameters) == ["self", "template_name"]
    assert list(inspect.signature(TemplateManager.get_system_instruction).parameters) == ["self", "style"]


def test_it_is_a_template_manager_and_the_new_prompt_manager_is_exported() -> None:
    assert isinstance(TemplateManager(), templates.TemplateManager)
    assert PromptManager is templates.PromptManager
    assert template_manager_compat.__all__ == ["PromptManager", "TemplateManager"]


def test_making_one_warns_at_the_callers_line() -> None:
    with pytest.warns(RagtimeDeprecationWarning, match=r"(?s)template_manager\.TemplateManager.*2\.0\.0") as caught:
        TemplateManager()
    assert [warning.filename for warning in caught] == [__file__]
    assert "ragtime.utils.templates.TemplateManager" in str(caught[0].message)
    assert "ragtime migrate" in str(caught[0].message)


def test_the_file_is_prompt_templates_json_in_the_current_folder(tmp_path: Path) -> None:
    shutil.copy(FLAT, tmp_path / "prompt_templates.json")
    manager = TemplateManager()
    assert manager.templates_path == "./prompt_templates.json"
    assert manager.templates == json.loads(FLAT.read_bytes())


def test_the_file_is_read_from_prompt_templates_path_when_one_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (FLAT, PARTS):
        monkeypatch.setenv("PROMPT_TEMPLATES_PATH", str(path))
        manager = TemplateManager()
        assert (manager.templates_path, manager.using_legacy) == (str(path), path is FLAT)
    assert TemplateManager(str(FLAT)).templates_path == str(FLAT)
    assert TemplateManager(templates_path=str(FLAT)).using_legacy is True


def test_the_home_folder_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.copy(FLAT, tmp_path / "mine.json")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PROMPT_TEMPLATES_PATH", "~/other.json")
    assert TemplateManager("~/mine.json").templates_path == str(tmp_path / "mine.json")
    assert TemplateManager("~/mine.json").using_legacy is True
    assert TemplateManager().templates_path == str(tmp_path / "other.json")


def test_each_object_reads_the_file_when_it_is_made(tmp_path: Path) -> None:
    first = manager_of(tmp_path, {"standard": "one"})
    second = manager_of(tmp_path, {"standard": "two"})
    assert first.get_prompt("standard", "initial", {}) == "one"
    assert second.get_prompt("standard", "initial", {}) == "two"


def test_what_is_done_to_the_templates_of_one_object_does_not_reach_another() -> None:
    changed = TemplateManager()
    changed.templates["base_templates"]["standard"] = "changed"
    assert TemplateManager().templates["base_templates"]["standard"] != "changed"
    assert changed.get_prompt("standard", "initial", PARAMS).endswith("changed")


@pytest.mark.parametrize(
    ("content", "flat"),
    [
        ({"base_templates": {}, "context_formats": {}}, False),
        ({"base_templates": {}}, True),
        ({"context_formats": {}, "system_instructions": {}}, True),
        ({"standard": "x"}, True),
        ({}, True),
    ],
)
def test_using_legacy_is_false_exactly_when_bases_and_formats_are_there(
    content: dict[str, Any], flat: bool, tmp_path: Path
) -> None:
    manager = manager_of(tmp_path, content)
    assert manager.using_legacy is flat
    assert manager.templates == content
    assert manager.get_prompt("standard", "initial", PARAMS)


# --- the built-in prompts -------------------------------------------------------------------------------------------


BROKEN = {
    "missing": None,
    "no JSON": b"{",
    "empty": b"",  # T7
    "a list": b"[]",  # T8
    "null": b"null",
    "not UTF-8": b'{"standard": "\xff"}',
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_file_that_is_missing_or_broken_means_the_built_in_prompts_and_nothing_is_written(
    content: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "folder" / "prompts.json"
    if content is not None:
        path.parent.mkdir()
        path.write_bytes(content)
    manager = TemplateManager(str(path))
    assert manager.using_legacy is False
    assert manager.templates == TemplateManager().templates
    assert "Why?" in manager.get_prompt("standard", "initial", PARAMS)
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == ([] if content is None else [path])
    assert content is None or path.read_bytes() == content


def test_a_broken_file_is_logged_by_the_type_of_the_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "prompts.json"
    path.write_text('{"standard": "a canary"', encoding="utf-8")
    TemplateManager(str(path))
    (record,) = [record for record in caplog.records if record.name == "ragtime.template_manager_compat"]
    assert record.levelno == logging.ERROR
    assert record.__dict__["error"] == "JSONDecodeError"
    assert "canary" not in str(vars(record))


def test_the_built_in_styles_are_standard_and_creative() -> None:
    held = TemplateManager().templates
    assert set(held["base_templates"]) == {"standard", "creative"}
    assert all("{context_section}" in text and "{question}" in text for text in held["base_templates"].values())
    assert set(held["system_instructions"]) == {"standard", "creative"}
    assert held["system_instructions"]["standard"] != held["system_instructions"]["creative"]


def test_the_built_in_context_formats_hold_their_placeholders() -> None:
    formats = TemplateManager().templates["context_formats"]
    assert set(formats) == set(KINDS)
    assert "{context}" in formats["initial"]
    assert "{previous_content}" not in formats["initial"]
    for kind in KINDS[1:]:
        assert formats[kind].index("{previous_content}") < formats[kind].index("{context}")


@pytest.mark.parametrize("style", ["standard", "creative"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_built_in_prompts_are_filled_in_full(style: str, kind: str) -> None:
    prompt = TemplateManager().get_prompt(style, kind, PARAMS)
    assert "{" not in prompt
    assert prompt.startswith(TemplateManager().get_system_instruction(style))
    assert "<context>\nPassages.\n</context>" in prompt
    assert ("Earlier." in prompt) == (kind != "initial")
    assert prompt.endswith("Question: Why?")


# --- legacy templates and system instructions -----------------------------------------------------------------------


def test_a_legacy_template_comes_from_a_flat_file() -> None:
    manager = TemplateManager(str(FLAT))
    assert manager.get_legacy_template("standard_with_history") == manager.templates["standard_with_history"]
    assert manager.get_legacy_template(template_name="creative") == manager.templates["creative"]
    assert manager.get_legacy_template("by_hand") is None


def test_a_legacy_template_comes_from_the_legacy_templates_of_a_file_in_parts() -> None:
    manager = TemplateManager(str(PARTS))
    assert manager.get_legacy_template("by_hand") == "By hand. {question}"
    assert manager.get_legacy_template("creative") is None
    assert manager.get_legacy_template("base_templates") is None


def test_there_is_no_legacy_template_without_legacy_templates() -> None:
    assert TemplateManager().get_legacy_template("standard") is None


def test_a_system_instruction_is_that_of_the_style() -> None:
    manager = TemplateManager(str(PARTS))
    assert manager.get_system_instruction("standard") == "You are exact."
    assert manager.get_system_instruction(style="creative") == "You are inventive."
    assert manager.get_system_instruction("plain") == ""


def test_a_system_instruction_is_empty_for_an_unknown_style_and_in_a_flat_file() -> None:
    assert TemplateManager(str(PARTS)).get_system_instruction("sixthwood") == ""
    assert TemplateManager(str(FLAT)).get_system_instruction("standard") == ""


@pytest.mark.parametrize("instructions", [{}, {"system_instructions": None}, {"system_instructions": {"standard": 1}}])
def test_a_file_without_system_instructions_serves(instructions: dict[str, Any], tmp_path: Path) -> None:  # T6
    content = {"base_templates": {"standard": "{context_section} {question}"}, "context_formats": {}, **instructions}
    manager = manager_of(tmp_path, content)
    assert manager.get_system_instruction("standard") == ""
    assert manager.get_prompt("standard", "initial", PARAMS) == "<context>\nPassages.\n</context> Why?"


# --- get_prompt, the newer shape ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "section"),
    [
        ("initial", "Context: Passages."),
        ("follow_up", "Before: Earlier.\nContext: Passages."),
        ("with_previous_content", "Content: Earlier.\nContext: Passages."),
    ],
)
def test_the_context_format_of_the_kind_goes_into_the_base_of_the_style(kind: str, section: str) -> None:
    prompt = TemplateManager(str(PARTS)).get_prompt("plain", kind, PARAMS)
    assert prompt == f"Plain.\n{section}\nQuestion: Why?"


def test_the_system_instruction_goes_in_front_with_a_blank_line() -> None:
    prompt = TemplateManager(str(PARTS)).get_prompt("standard", "initial", PARAMS)
    assert prompt == "You are exact.\n\nStandard.\nContext: Passages.\nQuestion: Why?"


def test_the_system_instruction_is_in_the_prompt_once_and_apart_in_composed_messages() -> None:  # T9
    manager = TemplateManager(str(PARTS))
    instruction = manager.get_system_instruction("creative")
    assert manager.get_prompt("creative", "follow_up", PARAMS).count(instruction) == 1
    system, user = manager.compose("creative", "follow_up", PARAMS).messages
    assert (system["role"], user["role"]) == ("system", "user")


def test_an_unknown_style_takes_the_standard_text_without_system_instruction(  # T10
    caplog: pytest.LogCaptureFixture,
) -> None:
    manager = TemplateManager(str(PARTS))
    for _ in range(2):
        assert manager.get_prompt("sixthwood", "initial", PARAMS) == "Standard.\nContext: Passages.\nQuestion: Why?"
    (record,) = [record for record in caplog.records if "wanted" in vars(record)]
    assert (record.levelno, record.__dict__["wanted"]) == (logging.WARNING, "sixthwood")


@pytest.mark.parametrize("name", [None, 5, ["standard"], {}], ids=["None", "number", "list", "dict"])
@pytest.mark.parametrize("path", [PARTS, FLAT], ids=["parts", "flat"])
def test_what_is_no_name_is_an_unknown_one(path: Path, name: Any) -> None:
    manager = TemplateManager(str(path))
    assert manager.get_prompt(name, "initial", PARAMS) == manager.get_prompt("sixthwood", "initial", PARAMS)
    assert manager.get_prompt("standard", name, PARAMS) == manager.get_prompt("standard", "initial", PARAMS)
    assert manager.get_system_instruction(name) == ""
    assert manager.get_legacy_template(name) is None


def test_an_unknown_kind_takes_the_initial_format() -> None:
    manager = TemplateManager(str(PARTS))
    assert manager.get_prompt("plain", "comparison", PARAMS) == manager.get_prompt("plain", "initial", PARAMS)


def test_a_kind_of_the_files_own_is_taken(tmp_path: Path) -> None:
    content = {
        "base_templates": {"standard": "{context_section}"},
        "context_formats": {"recap": "So far: {conversation_history} {conversation_summary}"},
    }
    manager = manager_of(tmp_path, content)
    assert manager.get_prompt("standard", "recap", PARAMS) == "So far: History. History."
    assert manager.get_prompt("standard", "initial", PARAMS) == "<context>\nPassages.\n</context>"


def test_the_question_is_filled_in_when_it_is_given_and_stays_open_when_not() -> None:  # T1
    for kind in KINDS:
        given = TemplateManager(str(PARTS)).get_prompt("plain", kind, PARAMS)
        without = {name: text for name, text in PARAMS.items() if name != "question"}
        left_open = TemplateManager(str(PARTS)).get_prompt("plain", kind, without)
        assert given.endswith("\nQuestion: Why?")
        assert left_open.endswith("\nQuestion: {question}")
        assert left_open.replace("{question}", "Why?") == given


@pytest.mark.parametrize("path", [PARTS, FLAT], ids=["parts", "flat"])
def test_both_shapes_fill_the_question(path: Path) -> None:  # T2
    manager = TemplateManager(str(path))
    for kind in KINDS:
        assert manager.get_prompt("standard", kind, PARAMS).endswith("\nQuestion: Why?")


@pytest.mark.parametrize("path", [PARTS, FLAT, DATA / "missing.json"], ids=["parts", "flat", "built-in"])
@pytest.mark.parametrize("kind", KINDS)
def test_text_in_documents_and_questions_is_never_interpreted(path: Path, kind: str) -> None:  # T3
    marks = {name: f"«{name}»" for name in PARAMS}
    hostile = {name: f"{name} {HOSTILE}" for name in PARAMS}
    manager = TemplateManager(str(path))
    expected = manager.get_prompt("standard", kind, marks)
    for name, mark in marks.items():
        expected = expected.replace(mark, hostile[name])
    assert manager.get_prompt("standard", kind, hostile) == expected


def test_a_context_key_that_is_missing_takes_the_legacy_standard(caplog: pytest.LogCaptureFixture) -> None:
    params = {"context": HOSTILE, "question": "Why?"}
    prompt = TemplateManager(str(PARTS)).get_prompt("creative", "follow_up", params)
    assert prompt == f"Legacy. Context: {HOSTILE}\nQuestion: Why?"
    (record,) = [record for record in caplog.records if "wanted" in vars(record)]
    assert "needs previous_content" in record.__dict__["reason"]
    assert "Rows" not in str(vars(record))


def test_a_key_of_the_files_own_that_is_missing_takes_it_too(tmp_path: Path) -> None:
    content = json.loads(PARTS.read_bytes())
    content["context_formats"]["initial"] = "For {reader}: {context}"
    manager = manager_of(tmp_path, content)
    assert manager.get_prompt("plain", "initial", PARAMS).startswith("Legacy. ")
    assert manager.get_prompt("plain", "initial", {**PARAMS, "reader": "Ann"}).startswith("Plain.\nFor Ann: Passages.")


@pytest.mark.parametrize("legacy", [{}, {"legacy_templates": {}}, {"legacy_templates": []}])
def test_without_a_legacy_standard_the_built_in_one_serves(legacy: dict[str, Any], tmp_path: Path) -> None:  # T4
    content = {key: value for key, value in json.loads(PARTS.read_bytes()).items() if key != "legacy_templates"}
    manager = manager_of(tmp_path, {**content, **legacy})
    prompt = manager.get_prompt("creative", "follow_up", {"context": HOSTILE, "question": "Why?"})
    assert prompt == DEFAULT_TEMPLATES["standard"].format(context=HOSTILE, question="Why?")


def test_without_any_key_there_is_a_prompt_all_the_same() -> None:  # T4
    for path in (PARTS, FLAT, DATA / "missing.json"):
        for kind in KINDS:
            assert "Question: {question}" in TemplateManager(str(path)).get_prompt("standard", kind, {})


def test_braces_of_bases_and_instructions_stay_as_they_are(tmp_path: Path) -> None:
    manager = manager_of(
        tmp_path,
        {
            "base_templates": {"standard": 'Like {"a": {{b}}} {other}: {context_section} {question}'},
            "system_instructions": {"standard": "Write {json}, never {question} or {{x}}."},
            "context_formats": {"initial": 'Rows {"n": {"m": 1}}: {context}'},
        },
    )
    assert manager.get_prompt("standard", "initial", PARAMS) == (
        'Write {json}, never {question} or {{x}}.\n\nLike {"a": {{b}}} {other}: Rows {"n": {"m": 1}}: Passages. Why?'
    )


# --- get_prompt, the flat shape -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("initial", "Standard. Context: Passages.\nQuestion: Why?"),
        ("follow_up", "Follow-up. Before: Earlier.\nContext: Passages.\nQuestion: Why?"),
        ("with_previous_content", "With content. Before: Earlier.\nContext: Passages.\nQuestion: Why?"),
        ("comparison", "Standard. Context: Passages.\nQuestion: Why?"),
    ],
)
def test_a_flat_text_is_named_by_style_and_kind_and_filled_in_full(kind: str, expected: str) -> None:
    assert TemplateManager(str(FLAT)).get_prompt("standard", kind, PARAMS) == expected


@pytest.mark.parametrize(("style", "kind"), [("creative", "follow_up"), ("sixthwood", "initial")])
def test_a_flat_text_that_is_missing_gives_standard(style: str, kind: str) -> None:
    prompt = TemplateManager(str(FLAT)).get_prompt(style, kind, PARAMS)
    assert prompt == "Standard. Context: Passages.\nQuestion: Why?"


def test_a_flat_text_takes_the_history_too() -> None:
    prompt = TemplateManager(str(FLAT)).get_prompt("standard_with_history", "initial", PARAMS)
    assert prompt == "With history. So far: History.\nContext: Passages.\nQuestion: Why?"


def test_an_example_in_json_in_a_flat_text_stays_as_it_is() -> None:  # T5
    manager = TemplateManager(str(FLAT))
    plain = manager.get_prompt("as_json", "initial", {**PARAMS, "context": HOSTILE})
    assert plain == f'Answer like {{"answer": {{"text": "..."}}}}.\nContext: {HOSTILE}\nQuestion: Why?'
    escaped = manager.get_prompt("as_escaped_json", "initial", {**PARAMS, "context": HOSTILE})
    assert escaped == f'Answer like {{"answer": "..."}}.\nContext: {HOSTILE}\nQuestion: Why?'


@pytest.mark.parametrize("text", [r"\frac{a}{b} {context}", "{} {0} {context}", "{context.x} {context}", "} {context}"])
def test_other_braces_in_a_flat_text_stay_too(text: str, tmp_path: Path) -> None:  # T5
    prompt = manager_of(tmp_path, {"standard": text}).get_prompt("standard", "initial", PARAMS)
    assert prompt == text.removesuffix("{context}") + "Passages."


def test_a_specification_of_str_format_is_kept(tmp_path: Path) -> None:
    manager = manager_of(tmp_path, {"standard": "{context:.4} {question!r}"})
    assert manager.get_prompt("standard", "initial", PARAMS) == "Pass 'Why?'"


@pytest.mark.parametrize("content", [{}, {"standard": None}, {"standard": ["{context}"]}, {"creative": "c"}])
def test_a_flat_file_without_standard_takes_the_built_in_one(content: dict[str, Any], tmp_path: Path) -> None:  # T7
    prompt = manager_of(tmp_path, content).get_prompt("sixthwood", "initial", PARAMS)
    assert prompt == DEFAULT_TEMPLATES["standard"].format(context="Passages.", question="Why?")


def test_a_flat_text_whose_values_are_missing_gives_standard() -> None:
    prompt = TemplateManager(str(FLAT)).get_prompt("standard", "follow_up", {"context": "C.", "question": "Why?"})
    assert prompt == "Standard. Context: C.\nQuestion: Why?"


# --- what both shapes share -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [PARTS, FLAT], ids=["parts", "flat"])
def test_context_params_are_not_changed_and_further_ones_are_ignored(path: Path) -> None:
    params: dict[str, Any] = {**PARAMS, "classification": {"confidence": 0.5}, "documents": ["a"]}
    before = copy.deepcopy(params)
    manager = TemplateManager(str(path))
    assert manager.get_prompt("standard", "follow_up", params) == manager.get_prompt("standard", "follow_up", PARAMS)
    assert params == before


def test_a_value_that_no_text_names_is_not_even_written() -> None:
    class Unwritable:
        def __str__(self) -> str:
            raise RuntimeError

    manager = TemplateManager(str(PARTS))
    expected = manager.get_prompt("plain", "initial", PARAMS)
    assert manager.get_prompt("plain", "initial", {**PARAMS, "conversation": Unwritable()}) == expected


@pytest.mark.parametrize("path", [PARTS, FLAT], ids=["parts", "flat"])
def test_values_that_are_no_texts_are_written_and_none_is_nothing(path: Path) -> None:
    prompt = TemplateManager(str(path)).get_prompt("standard", "initial", {"context": None, "question": 42})
    assert prompt.endswith("Context: \nQuestion: 42")


@settings(max_examples=100)
@given(
    text=st.text(alphabet="ab{}!:.\"' context", max_size=30),
    params=st.fixed_dictionaries({"context": st.text(max_size=10), "question": st.text(max_size=10)}),
    parts=st.booleans(),
)
def test_no_text_and_no_value_makes_it_raise(
    text: str, params: dict[str, str], parts: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    texts = {"standard": text}
    held = {"base_templates": texts, "system_instructions": texts, "context_formats": {"initial": text}}
    manager = manager_of(tmp_path_factory.mktemp("held"), held if parts else texts)
    for kind in KINDS:
        assert type(manager.get_prompt("standard", kind, params)) is str


# --- the new call ---------------------------------------------------------------------------------------------------


def test_a_further_keyword_or_a_name_alone_is_the_new_call() -> None:
    manager = TemplateManager(str(PARTS))
    greeting = manager.get_prompt("greeting", name="User {x}")
    assert isinstance(greeting, RenderedPrompt)
    assert "User {x}" in greeting
    manager.prompts.add({"name": "hello", "template": "Hello."})
    assert manager.get_prompt("hello") == "Hello."
    assert manager.render("template.html", title="Test")
    for wrong in ({}, {"name": "User", "surplus": 1}):
        with pytest.raises(TemplateVariableError):
            manager.get_prompt("greeting", **wrong)
    with pytest.raises(TemplateNotFoundError):
        manager.get_prompt("standard")


def test_a_variable_may_be_called_like_an_old_parameter_when_another_keyword_tells_the_call() -> None:
    manager = TemplateManager()
    manager.prompts.add({"name": "route", "template": "{query_type}: {text}"})
    assert manager.get_prompt("route", query_type="why", text="x") == "why: x"


def test_the_old_call_is_told_by_position_and_by_keyword() -> None:
    manager = TemplateManager(str(PARTS))
    expected = manager.get_prompt("plain", "follow_up", PARAMS)
    assert manager.get_prompt(style="plain", query_type="follow_up", context_params=PARAMS) == expected
    assert manager.get_prompt("plain", "follow_up", context_params=PARAMS) == expected
    assert type(expected) is str


def test_settings_and_a_folder_of_new_prompts_are_taken(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "hello.json").write_text(json.dumps({"name": "hello", "template": "Hello, {name}."}))
    manager = TemplateManager(str(PARTS), path=tmp_path)
    assert manager.get_prompt("hello", name="Ann") == "Hello, Ann."
    assert manager.using_legacy is False
    chosen = get_settings().replace(templates__directory=tmp_path)
    assert TemplateManager(settings=chosen).get_prompt("hello", name="Ann") == "Hello, Ann."


# --- an old caller --------------------------------------------------------------------------------------------------


class Answering:
    """A caller as the old system had it: it chooses style and kind, composes, fills what is open, and asks a model."""

    def __init__(self, generator: ScriptedGenerator) -> None:
        self.template_manager = TemplateManager()
        self.generator = generator

    def prompt_of(self, question: str, documents: list[str], style: str, params: Mapping[str, str]) -> dict[str, str]:
        kind = "follow_up" if params["previous_content"] else "initial"
        values = {"context": "\n".join(documents), "question": question, **params}
        return {
            "prompt": self.template_manager.get_prompt(style, kind, values),
            "system_instruction": self.template_manager.get_system_instruction(style),
        }

    def answer(self, question: str, documents: list[str], style: str, params: Mapping[str, str]) -> str:
        prompt = self.prompt_of(question, documents, style, params)["prompt"]
        if question not in prompt:
            prompt = prompt.replace("{question}", question)
        return self.generator.generate([{"role": "user", "content": prompt}])


@pytest.mark.parametrize("path", [PARTS, FLAT, DATA / "missing.json"], ids=["parts", "flat", "built-in"])
@pytest.mark.parametrize("style", ["standard", "creative", "sixthwood"])
def test_documents_and_questions_with_braces_reach_the_model_of_an_old_caller(
    path: Path, style: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMPT_TEMPLATES_PATH", str(path))
    generator = ScriptedGenerator(["It is 3 EUR."])
    documents = ['{"price": {"eur": 3}}', "def f(x): return {x: '{question}'}", r"\frac{a}{b} {context} {0} {{ y }}"]
    question = 'What does {"price"} mean in {question}?'
    before = "Relevant previous exchanges:\n\nExchange 1:\nQ: {q}\nA: {a}\n\n"
    params = {"previous_content": before, "conversation_history": before, "conversation_summary": before}
    answer = Answering(generator).answer(question, documents, style, params)
    assert answer == "It is 3 EUR."
    (sent,) = generator.calls[0].messages
    assert "\n".join(documents) in sent["content"]
    assert sent["content"].endswith(f"Question: {question}")
