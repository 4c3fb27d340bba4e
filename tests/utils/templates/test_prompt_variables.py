"""What a prompt takes: every name is free for a variable, and all that does not fit is told at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from pydantic import BaseModel

from ragtime.errors import TemplateError, TemplateSyntaxError, TemplateVariableError
from ragtime.utils.templates import Prompt, PromptManager, TrustedHTML

TAKEN = ("name", "version", "locale", "settings", "path", "variant", "subject", "prompt", "variables", "values", "cls")


class _Colour(StrEnum):
    RED = "red"


@dataclass
class _Point:
    x: int
    label: str


class _Model(BaseModel):
    title: str


def _add(**fields: Any) -> Prompt:
    return PromptManager().add({"name": "p", **fields})


def _problems(call: Callable[[], object]) -> list[tuple[str, str]]:
    with pytest.raises(TemplateVariableError) as caught:
        call()
    return [(problem.variable, problem.kind) for problem in caught.value.problems]


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*TAKEN, "self"])
def test_every_name_is_free_in_the_simple_syntax(name: str) -> None:
    prompts = PromptManager()
    prompts.add({"name": "p", "template": f"<{{{name}}}>", "variables": {name: {}}})
    assert prompts.get_prompt("p", **{name: "{x}"}) == "<{x}>"
    assert prompts.get_messages("p", **{name: "{x}"}) == [{"role": "user", "content": "<{x}>"}]


@pytest.mark.parametrize(
    "name", [*TAKEN, "loop", "range", "dict", "namespace", "caller", "context", "environment", "kwargs", "varargs"]
)
def test_every_name_is_free_in_jinja(name: str) -> None:
    prompts = PromptManager()
    prompts.add({"name": "p", "template": f"<{{{{ {name} }}}}>", "variables": {name: {}}})
    assert prompts.get_prompt("p", **{name: "{{ x }}"}) == "<{{ x }}>"


def test_self_is_free_in_jinja_or_refused_when_the_prompt_is_added() -> None:
    """Jinja keeps ``self`` for itself; a prompt that declares it must not wait for its first rendering to fail."""
    try:
        prompt = _add(template="{{ self }}", variables={"self": {}})
    except TemplateSyntaxError:
        return
    assert prompt.render(self="x") == "x"


# --- all problems at once -------------------------------------------------------------------------------------------


def test_missing_extra_and_mistyped_are_told_at_once_with_template_version_and_line() -> None:
    prompt = _add(
        version="2.1",
        template="{{ question }}\n\n{{ count }} {{ title }}",
        variables={"question": {}, "count": {"type": "integer"}, "title": {}},
    )
    with pytest.raises(TemplateVariableError) as caught:
        prompt.render(qestion="secret", count="secret", more=1)
    error = caught.value
    assert (error.template, error.version) == ("p", "2.1")
    told = [(problem.variable, problem.kind, problem.line) for problem in error.problems]
    assert told == [
        ("question", "missing", 1),
        ("title", "missing", 3),
        ("count", "mistyped", 3),
        ("more", "extra", None),
        ("qestion", "extra", None),
    ]
    assert str(error).splitlines()[0] == "Template 'p', version 2.1: 5 wrong variables:"
    assert "did you mean 'question'?" in str(error)
    assert "count (line 3): expected a whole number, found str" in str(error)
    assert "secret" not in str(error)


def test_one_problem_is_one_line() -> None:
    with pytest.raises(TemplateVariableError) as caught:
        _add(template="Hello {name}").render()
    assert str(caught.value).startswith("Template 'p', version 1: name (line 1): is missing")
    assert "\n" not in str(caught.value)


def test_messages_and_fit_tell_the_same_problems_as_render() -> None:
    prompt = _add(template="{a} {b}", variables={"a": {}, "b": {}})
    expected = [("b", "missing"), ("c", "extra")]
    assert _problems(lambda: prompt.render(a="x", c="x")) == expected
    assert _problems(lambda: prompt.messages(a="x", c="x")) == expected
    assert _problems(lambda: prompt.fit({"a": "x", "c": "x"}, max_tokens=5)) == expected


def test_a_prompt_without_variables_takes_none() -> None:
    with pytest.raises(TemplateVariableError, match="it takes none"):
        _add(template="x").render(a="x")


def test_the_line_of_a_variable_in_a_partial_is_that_of_the_include() -> None:
    prompt = _add(template="a\n{% include 'part' %}", partials={"part": "b\n\n\n{{ x }}"}, variables={"x": {}})
    with pytest.raises(TemplateVariableError) as caught:
        prompt.render()
    assert caught.value.problems[0].line == 2


# --- types ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("string", "ä{x}", "ä{x}"),
        ("string", "", ""),
        ("string", _Colour.RED, "red"),
        ("integer", 0, "0"),
        ("integer", -(10**30), str(-(10**30))),
        ("number", 1.5, "1.5"),
        ("number", 2, "2"),
        ("boolean", True, "True"),
        ("list", [1, "a"], "[1, 'a']"),
        ("list", (1, 2), "[1, 2]"),
        ("object", {"a": 1}, "{'a': 1}"),
        ("object", _Point(1, "b"), "{'x': 1, 'label': 'b'}"),
        ("object", _Model(title="t"), "{'title': 't'}"),
        ("any", None, ""),
        ("any", Decimal("1.50"), "1.50"),
        ("any", date(2026, 1, 2), "2026-01-02"),
        ("messages", [{"role": "user", "content": "hi", "extra": 1}], "[{'role': 'user', 'content': 'hi'}]"),
        ("messages", [], "[]"),
    ],
)
def test_values_of_every_type_are_taken(kind: str, value: object, shown: str) -> None:
    assert _add(template="{{ x }}", variables={"x": {"type": kind}}).render(x=value) == shown


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("string", 1),
        ("string", None),
        ("string", b"x"),
        ("string", ["x"]),
        ("integer", "1"),
        ("integer", 1.0),
        ("integer", True),
        ("number", True),
        ("number", "1"),
        ("boolean", 1),
        ("boolean", "true"),
        ("list", "ab"),
        ("list", {"a": 1}),
        ("list", {1, 2}),
        ("object", [1]),
        ("object", "x"),
        ("object", object()),
        ("any", object()),
        ("any", print),
        ("messages", "hi"),
        ("messages", ["hi"]),
        ("messages", {"role": "user", "content": "hi"}),
        ("messages", [{"role": "root", "content": "hi"}]),
        ("messages", [{"role": "user"}]),
        ("messages", [{"role": "user", "content": ["hi"]}]),
        ("messages", [{"role": None, "content": "hi"}]),
        pytest.param("messages", [{"role": ["user"], "content": "hi"}], id="messages-role-is-a-list"),
        pytest.param("messages", [{"role": {"a": 1}, "content": "hi"}], id="messages-role-is-a-dict"),
    ],
)
def test_values_of_another_type_are_refused(kind: str, value: object) -> None:
    prompt = _add(template="{{ x }}", variables={"x": {"type": kind}})
    assert _problems(lambda: prompt.render(x=value)) == [("x", "mistyped")]


def test_trusted_html_is_text_to_a_prompt() -> None:
    """``TrustedHTML`` promises that prompts write it as text."""
    assert _add(template="{{ x }}", variables={"x": {}}).render(x=TrustedHTML("<b>&")) == "<b>&"
    assert _add(template="{x}").render(x=TrustedHTML("<b>&")) == "<b>&"


@pytest.mark.parametrize("value", [["a"], {"a": 1}, object(), Decimal(1), date(2026, 1, 1)])
def test_the_simple_syntax_takes_texts_and_numbers_alone(value: object) -> None:
    prompt = _add(template="{x}", variables={"x": {"type": "any"}})
    assert _problems(lambda: prompt.render(x=value)) == [("x", "mistyped")]


@pytest.mark.parametrize(("value", "shown"), [("a", "a"), (1, "1"), (1.5, "1.5"), (True, "True")])
def test_the_simple_syntax_writes_numbers(value: object, shown: str) -> None:
    assert _add(template="{x}").render(x=value) == shown


def test_no_error_quotes_a_value() -> None:
    prompt = _add(template="{{ a }}{{ b }}", variables={"a": {"type": "integer"}, "b": {"max_characters": 3}})
    with pytest.raises(TemplateVariableError) as caught:
        prompt.render(a="canary-1", b="canary-2", c="canary-3")
    assert "canary" not in str(caught.value)
    assert "canary" not in repr(caught.value)


# --- defaults, optional variables, length ---------------------------------------------------------------------------


def test_a_default_makes_a_variable_optional() -> None:
    prompt = _add(
        template="{{ a }} {{ b|length }} {{ c }}",
        variables={"a": {"default": "x"}, "b": {"type": "list", "default": [1, 2]}, "c": {"required": False}},
    )
    assert prompt.render() == "x 2 "
    assert prompt.render(a="y", b=[], c="z") == "y 0 z"
    assert {name: variable.required for name, variable in prompt.variables.items()} == dict.fromkeys("abc", False)


def test_an_optional_variable_may_be_given_as_none() -> None:
    for template in ("<{{ a }}>", "<{a}>"):
        assert _add(template=template, variables={"a": {"default": None}}).render(a=None) == "<>"
        assert _add(template=template, variables={"a": {"required": False}}).render(a=None) == "<>"
    required = _add(template="<{{ a }}>", variables={"a": {}})
    assert _problems(lambda: required.render(a=None)) == [("a", "mistyped")]


def test_an_optional_variable_still_has_its_type() -> None:
    prompt = _add(template="{{ a }}", variables={"a": {"type": "integer", "default": 3}})
    assert _problems(lambda: prompt.render(a="x")) == [("a", "mistyped")]


def test_a_default_is_the_same_after_many_renderings() -> None:
    prompt = _add(template="{{ a }}", variables={"a": {"type": "list", "default": [1]}})
    assert [prompt.render() for _ in range(3)] == ["[1]"] * 3


@pytest.mark.parametrize("default", ["abc", [{"role": "user"}], [{"role": [], "content": "x"}], 5])
def test_a_default_of_another_type_is_a_template_error(default: object) -> None:
    """Wherever it is noticed, it is told as a mistake of the prompt, not as a KeyError or TypeError of ours."""
    with pytest.raises(TemplateError):
        _add(messages=[{"insert": "h"}], variables={"h": {"type": "messages", "default": default}}).messages()


def test_max_characters() -> None:
    prompt = _add(template="{x}", variables={"x": {"max_characters": 3}})
    assert prompt.render(x="äöü") == "äöü"
    with pytest.raises(TemplateVariableError, match=r"x \(line 1\): at most 3 characters, found 1,000"):
        prompt.render(x="a" * 1000)
    free = _add(template="{{ x }}", variables={"x": {"type": "any", "max_characters": 3}})
    assert free.render(x=12345) == "12345"
    assert _problems(lambda: free.render(x="abcd")) == [("x", "mistyped")]


def test_undeclared_variables_are_whatever_the_templates_use() -> None:
    prompt = _add(template="{{ a }}{% if b is defined %}{{ b }}{% endif %}{{ c|default('-') }}")
    assert {name: variable.required for name, variable in prompt.variables.items()} == {
        "a": True,
        "b": False,
        "c": False,
    }
    assert prompt.render(a=1) == "1-"
    assert prompt.render(a=1, b=2, c=3) == "123"
    assert _problems(lambda: prompt.render(d=1)) == [("a", "missing"), ("d", "extra")]


def test_a_variable_that_a_template_uses_without_declaring_it_is_refused_when_added() -> None:
    with pytest.raises(TemplateSyntaxError, match="line 2: uses 'qestion', which it does not declare; did you"):
        _add(template="\n{{ qestion }}", variables={"question": {}})
