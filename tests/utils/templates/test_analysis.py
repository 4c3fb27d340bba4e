"""What a template needs: exact sets of required and optional variables, without rendering."""

from __future__ import annotations

import pytest

from ragtime.errors import TemplateError, TemplateNotFoundError, TemplateSyntaxError, TemplateVariableError
from ragtime.utils.templates import Prompt, PromptManager
from ragtime.utils.templates.engine import Source, TemplateEngine
from ragtime.utils.templates.engine.analysis import analyse


def prompt(template: str, **fields: object) -> Prompt:
    return PromptManager().add({"name": "p", "template": template, "syntax": "jinja", **fields})


# Template, required, optional
TEMPLATES = [
    ("", "", ""),
    ("text", "", ""),
    ("{{ a }}", "a", ""),
    ("{{ a }}{{ b }}{{ a }}", "a b", ""),
    ("{{ a.b.c }}", "a", ""),
    ("{{ a['b'] }}{{ a[b] }}{{ c[0] }}", "a b c", ""),
    ("{{ a[b:c:d] }}", "a b c d", ""),
    ("{{ a.b(c, d=e) }}", "a c e", ""),
    ("{{ a|upper }}{{ b|replace(c, d) }}{{ e|join(attribute=f) }}", "a b c d e f", ""),
    ("{{ a + b - c * d }}{{ e ~ f }}{{ -g }}", "a b c d e f g", ""),
    ("{{ a in b }}{{ c is divisibleby(d) }}{{ e == f }}", "a b c d e f", ""),
    ("{{ [a, (b,), {'c': d, e: 1}] }}", "a b d e", ""),
    ("{{ true }}{{ none }}{{ false }}{{ True }}", "", ""),
    ("{{ range(a) }}{{ dict(b=c) }}{{ namespace(d=e).d }}", "a c e", ""),
    ("{# {{ a }} #}{{ b }}", "b", ""),
    ("{% raw %}{{ a }}{% endraw %}{{ b }}", "b", ""),
    # set
    ("{% set a = 1 %}{{ a }}", "", ""),
    ("{% set a = b %}{{ a }}", "b", ""),
    ("{% set a, b = c %}{{ a }}{{ b }}", "c", ""),
    ("{% set a %}{{ b }}{% endset %}{{ a }}", "b", ""),
    ("{{ a }}{% set b = a %}{{ b }}", "a", ""),
    ("{% set ns = namespace(n=a) %}{% for x in b %}{% set ns.n = ns.n + x %}{% endfor %}{{ ns.n }}", "a b", ""),
    ("{% set a = a %}{{ a }}", "a", ""),
    ("{% set a = a|default('x') %}{{ a }}", "", "a"),
    ("{% set a = a or 'x' %}{{ a }}", "a", ""),
    ("{{ a }}{% set a = 1 %}{{ a }}", "a", ""),
    ("{% if c %}{% set a = 1 %}{% endif %}{{ a }}", "c", "a"),
    ("{% if c %}{% set a = 1 %}{% else %}{% set a = 2 %}{% endif %}{{ a }}", "c", ""),
    ("{% if a is not defined %}{% set a = 1 %}{% endif %}{{ a }}", "", "a"),
    # loops
    ("{% for x in a %}{{ x }}{% endfor %}", "a", ""),
    ("{% for x in a %}{{ x.b }}{{ loop.index }}{% else %}{{ c }}{% endfor %}", "a c", ""),
    ("{% for k, v in a.items() %}{{ k }}{{ v }}{% endfor %}", "a", ""),
    ("{% for x in a if x.b > c %}{{ x }}{% endfor %}", "a c", ""),
    ("{% for x in a recursive %}{{ loop(x.b) }}{% endfor %}", "a", ""),
    ("{% for x in a %}{% for y in x %}{{ y }}{{ b }}{% endfor %}{% endfor %}", "a b", ""),
    ("{% for x in a %}{{ x }}{% endfor %}{{ x }}", "a x", ""),
    ("{% for x in x %}{{ x }}{% endfor %}", "x", ""),
    ("{% for x in a|default([]) %}{{ x }}{% endfor %}", "", "a"),
    # macros
    ("{% macro m(a, b=1) %}{{ a }}{{ b }}{% endmacro %}{{ m(c) }}", "c", ""),
    ("{% macro m(a) %}{{ a }}{% endmacro %}{{ m(a) }}", "a", ""),
    ("{% macro m(a=b) %}{{ a }}{{ c }}{% endmacro %}{{ m() }}", "b c", ""),
    ("{% macro m() %}{{ varargs }}{{ kwargs }}{{ caller() }}{% endmacro %}{% call m() %}{{ a }}{% endcall %}", "a", ""),
    ("{% macro m() %}{{ caller(1) }}{% endmacro %}{% call(x) m() %}{{ x }}{{ a }}{% endcall %}", "a", ""),
    ("{% macro m(n) %}{% if n %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(a) }}", "a", ""),
    # with, filter, block
    ("{% with a = b, c = 1 %}{{ a }}{{ c }}{{ d }}{% endwith %}", "b d", ""),
    ("{% with a = a %}{{ a }}{% endwith %}", "a", ""),
    ("{% filter replace(a, b) %}{{ c }}{% endfilter %}", "a b c", ""),
    ("{% block b %}{{ a }}{% endblock %}", "a", ""),
    ("{% for x in a %}{% block b scoped %}{{ x }}{% endblock %}{% endfor %}", "a", ""),
    ("{% block b %}{{ a }}{% endblock %}{{ self.b() }}", "a", ""),
    # default and defined
    ("{{ a|default('x') }}", "", "a"),
    ("{{ a|d }}", "", "a"),
    ("{{ a|default(b) }}", "b", "a"),
    ("{{ a|default(b|default(c)) }}", "c", "a b"),
    ("{{ a|default('x', true)|upper }}", "", "a"),
    ("{{ a|upper|default('x') }}", "a", ""),
    ("{{ a.b|default('x') }}", "a", ""),
    ("{{ a|default('x') }}{{ a }}", "a", ""),
    ("{% if a is defined %}{{ a }}{% endif %}", "", "a"),
    ("{% if a is defined %}{{ a }}{% endif %}{{ a }}", "a", ""),
    ("{% if a is defined %}{{ b }}{% else %}{{ c }}{% endif %}", "b c", "a"),
    ("{% if a is not defined %}{{ b }}{% else %}{{ a }}{% endif %}", "b", "a"),
    ("{% if a is undefined %}{{ b }}{% else %}{{ a }}{% endif %}", "b", "a"),
    ("{% if a is undefined %}{{ a }}{% endif %}", "a", ""),
    ("{% if a is defined %}x{% elif b is defined %}{{ b }}{{ c }}{% else %}{{ d }}{% endif %}", "c d", "a b"),
    ("{% if a is undefined %}x{% elif a.b %}{{ a }}{% endif %}", "", "a"),
    ("{% if a is defined and a.b %}{{ a.b }}{% endif %}", "", "a"),
    ("{% if a is defined and b is defined %}{{ a }}{{ b }}{% endif %}", "", "a b"),
    ("{% if a is defined or b is defined %}{{ a }}{% endif %}", "a", "b"),
    ("{% if a is undefined or a.b %}x{% endif %}", "", "a"),
    ("{% if a is undefined or b is undefined %}x{% else %}{{ a }}{{ b }}{% endif %}", "", "a b"),
    ("{% if not (a is undefined) %}{{ a }}{% endif %}", "", "a"),
    ("{% if not (a is defined and b) %}x{% else %}{{ a }}{% endif %}", "b", "a"),
    ("{% if a is defined %}{% for x in a %}{{ x }}{{ b }}{% endfor %}{% endif %}", "b", "a"),
    ("{{ a if a is defined else b }}", "b", "a"),
    ("{{ a if a is defined }}", "", "a"),
    ("{{ b if a is undefined else a }}", "b", "a"),
    ("{{ (a is defined and a) or b }}", "b", "a"),
    ("{% if a %}{{ a }}{% endif %}", "a", ""),
    ("{% if a is none %}{{ a }}{% endif %}", "a", ""),
    ("{% if a.b is defined %}{{ a.b }}{% endif %}", "a", ""),
    ("{{ a is defined }}{{ b is undefined }}", "", "a b"),
    # names that look special
    ("{{ context }}{{ environment }}{{ name }}{{ template }}", "context environment name template", ""),
    ("{{ übung }}{{ 名前 }}", "übung 名前", ""),
]


@pytest.mark.parametrize(
    ("template", "required", "optional"), TEMPLATES, ids=[one[0] or "(empty)" for one in TEMPLATES]
)
def test_the_variables_of_a_template_are_exact(template: str, required: str, optional: str) -> None:
    variables = prompt(template).variables
    assert {name for name, variable in variables.items() if variable.required} == set(required.split())
    assert {name for name, variable in variables.items() if not variable.required} == set(optional.split())


@pytest.mark.parametrize(
    ("template", "required", "optional"), TEMPLATES, ids=[one[0] or "(empty)" for one in TEMPLATES]
)
def test_what_is_required_is_missing_when_it_is_not_given(template: str, required: str, optional: str) -> None:
    made = prompt(template)
    for name in required.split():
        given = dict.fromkeys((required + " " + optional).split(), 1)
        del given[name]
        with pytest.raises(TemplateVariableError) as caught:
            made.render(**given)
        assert [(problem.variable, problem.kind) for problem in caught.value.problems] == [(name, "missing")]


CLOSURES = [
    ("{% include 'a' %}", {"a": "{{ x }}"}, "x", ""),
    ("{% include 'a' %}", {"a": "{% include 'b' %}{{ x|d }}", "b": "{{ y }}"}, "y", "x"),
    ("{% include 'a' %}{{ x }}", {"a": "{{ x|default('') }}"}, "x", ""),
    ("{% include ['a', 'b'] %}", {"a": "{{ x }}", "b": "{{ y }}"}, "x y", ""),
    ("{% extends 'a' %}{% block c %}{{ x }}{% endblock %}", {"a": "{{ y }}{% block c %}{% endblock %}"}, "x y", ""),
    ("{% extends 'a' %}{% block c %}{{ super() }}{% endblock %}", {"a": "{% block c %}{{ y }}{% endblock %}"}, "y", ""),
    ("{% import 'a' as m %}{{ m.f(x) }}", {"a": "{% macro f(z) %}{{ z }}{% endmacro %}"}, "x", ""),
    ("{% from 'a' import f as g %}{{ g(x) }}", {"a": "{% macro f(z) %}{{ z }}{% endmacro %}"}, "x", ""),
    ("{% from 'a' import f %}{{ f(x) }}", {"a": "{% macro f(x) %}{{ x }}{% endmacro %}"}, "x", ""),
    ("{% for d in docs %}{% include 'a' %}{% endfor %}", {"a": "{{ d.title }}"}, "docs", ""),
    ("{% for d in docs %}{% include 'a' %}{% endfor %}", {"a": "{{ d }}{{ loop.index }}{{ x }}"}, "docs x", ""),
    ("{% set d = 1 %}{% include 'a' %}", {"a": "{{ d }}"}, "", ""),
    ("{% with d = x %}{% include 'a' %}{% endwith %}", {"a": "{{ d }}"}, "x", ""),
    ("{% macro m(d) %}{% include 'a' %}{% endmacro %}{{ m(x) }}", {"a": "{{ d }}"}, "x", ""),
    ("{% include 'a' without context %}", {"a": "text"}, "", ""),
    ("{% if x is defined %}{% include 'a' %}{% endif %}", {"a": "{{ x }}"}, "", "x"),
]


@pytest.mark.parametrize(
    ("template", "partials", "required", "optional"), CLOSURES, ids=[str(one[:2]) for one in CLOSURES]
)
def test_what_is_included_counts(template: str, partials: dict[str, str], required: str, optional: str) -> None:
    variables = prompt(template, partials=partials).variables
    assert {name for name, variable in variables.items() if variable.required} == set(required.split())
    assert {name for name, variable in variables.items() if not variable.required} == set(optional.split())


@pytest.mark.parametrize(
    ("template", "values", "text"),
    [
        ("{% macro m(name) %}Hi {{ name }}{% endmacro %}{{ m(name) }}", {"name": "A"}, "Hi A"),
        ("{% for x in xs %}{{ x }}{% endfor %}{{ x }}", {"xs": [1, 2], "x": 3}, "123"),
        ("{% set n = n|default('you') %}{{ n }}", {}, "you"),
        ("{% set n = n|default('you') %}{{ n }}", {"n": "A"}, "A"),
        ("{% if c %}{% set n = 1 %}{% endif %}{{ n }}", {"c": True}, "1"),
        ("{% if c %}{% set n = 1 %}{% endif %}{{ n }}", {"c": False, "n": 2}, "2"),
        ("{% for d in docs %}{% include 'part' %}{% endfor %}", {"docs": ["a", "b"]}, "<a><b>"),
    ],
)
def test_what_is_inferred_can_be_rendered(template: str, values: dict[str, object], text: str) -> None:
    partials = {"part": "<{{ d }}>"} if "part" in template else {}
    assert prompt(template, partials=partials).render(**values) == text


def test_declared_variables_need_not_hold_the_names_that_a_template_sets() -> None:
    made = prompt(
        "{% for d in docs %}{% include 'part' %}{% endfor %}",
        partials={"part": "<{{ d }}>"},
        variables={"docs": {"type": "list"}},
    )
    assert made.render(docs=["a"]) == "<a>"


def test_lines_are_those_of_the_first_use() -> None:
    engine = TemplateEngine(autoescape=False)
    facts = analyse(
        engine,
        Source(
            "t",
            "\n{{ b|d }}\n{{ a }}\n{% include 'x' %}\n{% include ['y', 'x'] %}\n{{ b|d }}{{ a|safe }}\n{% include a %}",
        ),
    )
    assert facts.required == {"a": 3}
    assert facts.optional == {"b": 2}
    assert facts.used == {"a": 3, "b": 2}
    assert facts.references == {"x": 4, "y": 5}
    assert facts.dynamic == (7,)
    assert facts.unescaped == (6,)


@pytest.mark.parametrize(
    "source",
    [
        "{{ a|nope }}",
        "{{ a|attr('b') }}",
        "{% break %}",
        "{{",
        "{% if %}",
        "{% for %}",
        "{% endfor %}",
        "{{ a b }}",
        "{{ 'a }}",
        "{% block b %}",
        "{% block b %}{% endblock %}{% block b %}{% endblock %}",
        "{{ a.1b }}",
        "{% set 1 = a %}",
        "{% extends %}",
        "{{ loop = 1 }}",
        "{% macro m(a, a) %}{% endmacro %}",
        "{% include 'a' ignore %}",
        "{{ '\\N{nope}' }}",
        "{{ a\x00 }}",
    ],
)
def test_what_cannot_be_parsed_is_a_syntax_error(source: str) -> None:
    with pytest.raises(TemplateSyntaxError, match="Template 'p'") as caught:
        made = prompt(f"\n{source}")
        made.render(**dict.fromkeys(made.variables, 1))
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("source", ["{% if a is nope %}{% endif %}", "{% if a|nope %}{% endif %}", "{{ a|nope if a }}"])
def test_an_unknown_filter_in_a_branch_is_told_by_name(source: str) -> None:
    with pytest.raises(TemplateError, match=r"Template 'p', line 1: No (filter|test) named 'nope'"):
        prompt(source).render(a=1)


def test_the_filter_of_a_set_block_takes_a_variable_or_is_a_syntax_error() -> None:
    """Jinja itself stumbles over it."""
    try:
        made = prompt("{% set a | replace(c, '') %}{{ b }}{% endset %}{{ a }}")
    except TemplateSyntaxError:
        return
    assert made.render(b="xyz", c="y") == "xz"


@pytest.mark.parametrize(
    ("partials", "told"),
    [
        ({"a": "{% include 'a' %}"}, "includes itself: p → p, partial a → p, partial a"),
        (
            {"a": "{% include 'b' %}", "b": "{% extends 'c' %}", "c": "{% import 'a' as m %}"},
            "partial a → p, partial b → p, partial c → p, partial a",
        ),
        ({"a": "\n{% include 'gone' %}"}, "Template 'p, partial a', line 2: includes 'gone', which is neither"),
    ],
)
def test_what_is_included_is_found_before_rendering(partials: dict[str, str], told: str) -> None:
    with pytest.raises((TemplateSyntaxError, TemplateNotFoundError), match=told):
        prompt("{% include 'a' %}", partials=partials)


def test_another_prompt_may_be_included() -> None:
    prompts = PromptManager()
    prompts.add({"name": "other", "template": "<{{ x }}>"})
    made = prompts.add({"name": "p", "template": "{% include 'a' %}", "partials": {"a": "{% include 'other' %}"}})
    assert made.render(x=1) == "<1>"
    assert made.included == {"a"}
    with pytest.raises(TemplateNotFoundError, match="nor a text prompt in Jinja's syntax"):
        prompts.add({"name": "q", "template": "{% include 'greeting' %}"})
