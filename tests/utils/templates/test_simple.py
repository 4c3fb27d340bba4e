"""The simple syntax: what is a slot, what stays as it is, and that nothing is read twice."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragtime.errors import TemplateSyntaxError, TemplateVariableError
from ragtime.utils.templates import PromptManager
from ragtime.utils.templates.engine import SimpleTemplate
from ragtime.utils.templates.engine.simple import expand_partials

VALUES = {"x": "X", "y": "Y", "ä": "Ä", "名前": "N", "_": "U", "x1": "1", "class": "C"}


@pytest.mark.parametrize(
    ("template", "result"),
    [
        ("", ""),
        ("no slot", "no slot"),
        ("{x}", "X"),
        ("{x}{y}{x}", "XYX"),
        ("a{x}b", "aXb"),
        ("{ä} {名前} {_} {x1} {class}", "Ä N U 1 C"),
        ("{{x}}", "{x}"),
        ("{{{x}}}", "{{x}}"),
        ("{{{{x}}}}", "{{{x}}}"),
        ("{{x}", "{X"),
        ("{x}}", "X}"),
        ("{{x} {y}}", "{X Y}"),
        ("{{nobody}}", "{nobody}"),
        ("{{x}}{x}", "{x}X"),
        ("{x}{{x}}", "X{x}"),
        ("{a{x}b}", "{aXb}"),
        ("{", "{"),
        ("}", "}"),
        ("{{", "{{"),
        ("}}", "}}"),
        ("{}", "{}"),
        ("{{}}", "{{}}"),
        ("{ x }", "{ x }"),
        ("{x }", "{x }"),
        ("{ x}", "{ x}"),
        ("{x\n}", "{x\n}"),
        ("{0}", "{0}"),
        ("{1x}", "{1x}"),
        ("{x.y}", "{x.y}"),
        ("{x[0]}", "{x[0]}"),
        ("{x!r}", "{x!r}"),
        ("{x:>9}", "{x:>9}"),
        ("{x:{y}}", "{x:Y}"),
        ("{x-y}", "{x-y}"),
        ("{x,y}", "{x,y}"),
        ("{*x}", "{*x}"),
        ("{$x}", "{$x}"),
        ("${x}", "$X"),
        ("%(x)s %s {x}%", "%(x)s %s X%"),
        ("\\{x\\}", "\\{x\\}"),
        ("\\{x}", "\\X"),
        ("{x}\r\n{y}\n\n", "X\r\nY\n\n"),
        ("\x00{x}\ud800", "\x00X\ud800"),
        ('{"a": {"b": [1, {"c": "{x}"}]}}', '{"a": {"b": [1, {"c": "X"}]}}'),
        ('{"x": {x}, "y": {{x}}}', '{"x": X, "y": {x}}'),
        (r"\sum_{i=1}^{n-1} \frac{{x}}{2} \textbf{ x }", r"\sum_{i=1}^{n-1} \frac{x}{2} \textbf{ x }"),
        ("def f(): return {'x': 1, **{}}", "def f(): return {'x': 1, **{}}"),
        ("body { color: red; } a{}", "body { color: red; } a{}"),
    ],
)
def test_slots_are_filled_and_the_rest_stays(template: str, result: str) -> None:
    assert SimpleTemplate(template).render(VALUES) == result


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("", ""),
        (None, ""),
        (0, "0"),
        (-1, "-1"),
        (1.5, "1.5"),
        (True, "True"),
        (10**30, "1" + "0" * 30),
        ("{y}", "{y}"),
    ],
)
def test_texts_and_numbers_are_written(value: object, written: str) -> None:
    assert SimpleTemplate("<{x}>").render({"x": value, "y": "never"}) == f"<{written}>"


def test_names_come_with_the_line_of_their_first_use() -> None:
    assert SimpleTemplate("{a}\n{b} {{d}}\n\n{c}{a}").names == {"a": 1, "b": 2, "c": 4}


def test_a_slot_without_a_value_is_told() -> None:
    with pytest.raises(KeyError, match="x"):
        SimpleTemplate("{x}").render({})


@given(st.text(st.characters(exclude_categories=())), st.text(st.sampled_from("{xy}. ")))
def test_what_is_filled_in_is_never_read_again(value: str, template: str) -> None:
    """Filling is one pass: it is the same as splitting at the slots."""
    expected = re.sub(
        r"\{\{([^\W\d]\w*)\}\}|\{([^\W\d]\w*)\}", lambda found: (found[1] and f"{{{found[1]}}}") or value, template
    )
    names = SimpleTemplate(template).names
    assert SimpleTemplate(template).render(dict.fromkeys(names, value)) == expected


@given(st.text(st.sampled_from("{xy}. \n")), st.text())
def test_rendering_is_repeatable(template: str, value: str) -> None:
    made = SimpleTemplate(template)
    values = dict.fromkeys(made.names, value)
    assert made.render(values) == made.render(values)


@given(st.text())
def test_a_text_without_braces_is_its_own_rendering(text: str) -> None:
    without = text.replace("{", "").replace("}", "")
    assert SimpleTemplate(without).render({}) == without


# --- partials -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "partials", "result"),
    [
        ("{a}", {"a": "A"}, "A"),
        ("{a}{a}", {"a": "A"}, "AA"),
        ("{a} {x}", {"a": "[{x}]"}, "[{x}] {x}"),
        ("{a}", {"a": "{b}{b}", "b": "{c}", "c": "C"}, "CC"),
        ("{{a}}", {"a": "A"}, "{{a}}"),
        ("{a}", {"a": "{{a}}"}, "{{a}}"),
        ("{x}", {}, "{x}"),
        ("{a}", {"a": ""}, ""),
        ("{a}", {"a": r"\1 \g<0>"}, r"\1 \g<0>"),
    ],
)
def test_partials_take_the_place_of_their_slots(text: str, partials: dict[str, str], result: str) -> None:
    assert expand_partials(text, partials) == result


@pytest.mark.parametrize(
    ("partials", "circle"),
    [
        ({"a": "{a}"}, "a → a"),
        ({"a": "{b}", "b": "{c}", "c": "{a}"}, "a → b → c → a"),
        ({"a": "{b}", "b": "{b}"}, "b → b"),
    ],
)
def test_a_circle_of_partials_is_told(partials: dict[str, str], circle: str) -> None:
    with pytest.raises(TemplateSyntaxError, match=circle):
        expand_partials("{a}", partials)
    with pytest.raises(TemplateSyntaxError, match=circle):
        PromptManager().add({"name": "p", "template": "{a}", "partials": partials})


def test_a_long_chain_of_partials_is_followed_or_refused() -> None:
    partials = {f"p{n}": f"{{p{n + 1}}}" for n in range(3000)}
    with pytest.raises(TemplateSyntaxError):
        PromptManager().add({"name": "p", "template": "{p0}", "partials": {**partials, "p3000": "x"}})


def test_a_partial_beside_another_is_no_circle() -> None:
    made = PromptManager().add({"name": "p", "template": "{a}{b}", "partials": {"a": "{c}", "b": "{c}", "c": "{x}"}})
    assert made.render(x="1") == "11"
    assert made.included == {"a", "b", "c"}


def test_a_value_is_no_partial() -> None:
    made = PromptManager().add({"name": "p", "template": "{x} {a}", "partials": {"a": "A"}})
    assert made.render(x="{a}") == "{a} A"


# --- through the manager --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [[], {}, ["a"], (1,), object(), b"a", {"a"}, len, 1j])
def test_other_values_are_refused(value: object) -> None:
    with pytest.raises(TemplateVariableError, match="x"):
        PromptManager().add({"name": "p", "template": "{x}"}).render(x=value)


def test_a_number_with_thousands_of_digits_is_refused() -> None:
    with pytest.raises(TemplateVariableError, match="x"):
        PromptManager().add({"name": "p", "template": "{x}"}).render(x=10**5000)


@pytest.mark.parametrize("template", ["{{name}}", "{name} {{ name }}", "{name}{% raw %}", "{name}{# a #}"])
def test_the_marks_of_jinja_choose_jinja_unless_the_syntax_is_named(template: str) -> None:
    assert PromptManager().add({"name": "p", "template": "{name}"}).render(name="A") == "A"
    simple = PromptManager().add({"name": "p", "template": template, "syntax": "simple"})
    assert simple.render(**dict.fromkeys(simple.variables, "A")) == SimpleTemplate(template).render({"name": "A"})
