"""What a prompt file may hold, and how a wrong one is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ragtime.errors import TemplateNotFoundError, TemplateSyntaxError
from ragtime.utils.templates import PromptDefinition, PromptManager, PromptVariable


def _define(**fields: Any) -> PromptDefinition:
    return PromptDefinition.model_validate({"name": "p", "template": "x", **fields})


def test_the_smallest_prompt() -> None:
    definition = PromptDefinition(name="p", template="Hello {name}")
    assert (definition.version, definition.category, definition.locale) == ("1", "general", None)
    assert definition.effective_syntax == "simple"


def test_lines_are_joined() -> None:
    assert _define(template=["a", "", "b"]).template == "a\n\nb"
    assert _define(partials={"x": ["a", "b"]}).partials == {"x": "a\nb"}


@pytest.mark.parametrize(
    ("text", "syntax"),
    [("{a}", "simple"), ('{"a": {b}}', "simple"), ("{{ a }}", "jinja"), ("{% if a %}{% endif %}", "jinja")],
)
def test_the_syntax_is_seen_from_the_templates(text: str, syntax: str) -> None:
    assert _define(template=text).effective_syntax == syntax


def test_one_jinja_partial_makes_all_jinja_and_the_syntax_can_be_said() -> None:
    assert _define(template="{a}", partials={"b": "{{ c }}"}).effective_syntax == "jinja"
    definition = _define(template="{{a}} {b}", syntax="simple")
    assert definition.effective_syntax == "simple"
    assert PromptManager().add(definition).render(b="x") == "{a} x"


@pytest.mark.parametrize(
    ("given", "usual"), [("EN", "en"), ("pt_br", "pt-BR"), ("zh-hant-tw", "zh-Hant-TW"), ("de", "de")]
)
def test_locales_are_brought_into_their_usual_form(given: str, usual: str) -> None:
    assert _define(locale=given).locale == usual


def test_a_version_may_be_a_whole_number() -> None:
    assert _define(version=3).version == "3"


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"name": ""}, "name"),
        ({"name": "../p"}, "name"),
        ({"name": "a.b"}, "name"),
        ({"name": "NUL"}, "name"),
        ({"name": "a" * 101}, "name"),
        ({"name": "ä"}, "name"),
        ({"version": ""}, "version"),
        ({"version": "1/2"}, "version"),
        ({"version": True}, "version"),
        ({"version": 1.5}, "version"),
        ({"locale": "e"}, "locale"),
        ({"locale": "en/../x"}, "locale"),
        ({"syntax": "mustache"}, "syntax"),
        ({"messages": [{"role": "user", "template": "x"}]}, ""),
        ({"template": None}, ""),
        ({"template": None, "messages": []}, ""),
        ({"template": None, "messages": [{"role": "root", "template": "x"}]}, "messages.0.role.role"),
        ({"template": None, "messages": [{"role": "user"}]}, "messages.0.role.template"),
        ({"template": None, "messages": [{"insert": "h", "roles": ["god"]}]}, "messages.0.insert.roles.0"),
        ({"variables": {"a b": {}}}, "variables"),
        ({"variables": {"a": {"type": "text"}}}, "variables.a.type"),
        ({"variables": {"a": {"required": True, "default": "x"}}}, "variables.a"),
        ({"variables": {"a": {"max_characters": 0}}}, "variables.a.max_characters"),
        ({"variables": {"a": {"cut": "all"}}}, "variables.a.cut"),
        ({"partials": {"a b": "x"}}, "partials.a b.[key]"),
        ({"example_template": "x"}, ""),
        ({"examples": [{"a": 1}], "variables": {"examples": {}}}, ""),
        ({"variants": {"v": {}}}, "variants.v"),
        ({"variants": {"v": {"template": "x", "weight": -1}}}, "variants.v.weight"),
        ({"weight": float("inf")}, "weight"),
        ({"partials": {"a": "x"}, "variables": {"a": {}}}, ""),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_what_is_no_prompt_is_refused_with_its_place(fields: dict[str, Any], place: str) -> None:
    with pytest.raises(ValidationError) as caught:
        _define(**fields)
    assert ".".join(map(str, caught.value.errors()[0]["loc"])) == place


def test_an_insert_names_a_declared_variable_of_type_messages() -> None:
    messages = [{"insert": "h"}]
    for variables in ({}, {"h": {}}, {"x": {"type": "messages"}}):
        with pytest.raises(ValidationError, match="no declared variable of type messages"):
            PromptDefinition.model_validate({"name": "p", "messages": messages, "variables": variables})


def test_all_wrong_fields_are_told_at_once_and_no_value() -> None:
    with pytest.raises(TemplateSyntaxError) as caught:
        PromptManager().add({"name": "canary one", "template": "x", "version": "canary/", "canary": "canary-value"})
    told = str(caught.value)
    assert told.startswith("Not a prompt: ")
    assert all(field in told for field in ("name: ", "version: ", "canary: "))
    assert "canary one" not in told
    assert "canary/" not in told
    assert "canary-value" not in told
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "not JSON"),
        (b"", "not JSON"),
        (b"[]", "expected an object, found list"),
        (b'{"name": "foo", "name": "foo", "template": "x"}', "holds the key 'name' twice"),
        (b'{"name": "foo", "template": "\xff"}', "not UTF-8"),
        (b'{"name": "foo"}', "needs either template or messages"),
        (b'{"name": "foo", "template": "x", "weight": NaN}', "holds NaN"),
        (b'{"name": "foo", "template": "' + b"x" * 1_000_000 + b'"}', "is larger than 1,000,000 bytes"),
        (b'{"name": ' + b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_wrong_file_is_told_and_never_passed_by(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "foo.json").write_bytes(content)
    prompts = PromptManager(tmp_path)
    with pytest.raises(TemplateSyntaxError) as caught:
        prompts.get("foo")
    assert reason in str(caught.value)
    assert "foo.json" in str(caught.value)
    assert prompts.get("greeting").render(name="Ann").startswith("Hello")


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "foo.json").write_bytes(b'\xef\xbb\xbf{"name": "foo", "template": "x"}')
    assert PromptManager(tmp_path).get_prompt("foo") == "x"


def test_hidden_files_and_links_that_lead_out_are_no_prompts(tmp_path: Path) -> None:
    folder = tmp_path / "prompts"
    (folder / ".git").mkdir(parents=True)
    (folder / "deep").mkdir()
    text = json.dumps({"name": "foo", "template": "x"})
    for place in (".foo.json", ".git/foo.json", "foo.json.bak", "foo.txt"):
        (folder / place).write_text(text)
    (tmp_path / "out.json").write_text(text)
    (folder / "link.json").symlink_to(tmp_path / "out.json")
    with pytest.raises(TemplateNotFoundError):
        PromptManager(folder).get("foo")
    (folder / "deep" / "foo.json").write_text(text)
    assert PromptManager(folder).get_prompt("foo") == "x"


def test_a_default_makes_a_variable_optional_even_when_it_is_none() -> None:
    assert not PromptVariable(default=None).required
    assert PromptVariable().required
    assert not PromptVariable(required=False).required


def test_definitions_cannot_be_changed() -> None:
    definition = _define(metadata={"a": {"b": [1]}}, variables={"x": {}})
    with pytest.raises(ValidationError):
        definition.name = "q"
    with pytest.raises(TypeError):
        definition.metadata["a"]["b"] = 1
    with pytest.raises(TypeError):
        definition.variables["y"] = PromptVariable()
