"""Errors name template and line, and never tell a value."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from ragtime.errors import (
    RagtimeError,
    TemplateError,
    TemplateNotFoundError,
    TemplateSyntaxError,
    TemplateVariableError,
)
from ragtime.utils.templates import HTMLTemplateManager, PromptManager
from ragtime.utils.templates.engine import Source, TemplateEngine

SECRET = "sk-canary-4111"
SECRETS = [
    "sk-canary-4111",
    "4111 1111",
    "'\"4111",
    "4111\n'x'",
    "a'4111",
    "is undefined 4111",
    "'4111' is undefined",
    "x' has no attribute '4111",
]


def told(error: BaseException) -> str:
    """Return all that an error tells: its text, its arguments, and the errors behind it."""
    parts = [str(error), repr(error), repr(error.args), *traceback.format_exception_only(error)]
    parts += [told(behind) for behind in (error.__cause__, error.__context__) if behind is not None]
    return "\n".join(parts)


LEAKS = [
    "{{ x.y.z }}",
    "{{ d[x] + 1 }}",
    "{{ d[x].y }}",
    "{{ d[x] }}",
    "{{ l[x] }}",
    "{{ d.get(x).y }}",
    "{{ l.index(x) }}",
    "{{ x.index('q') }}",
    "{{ x + 1 }}",
    "{{ 1 + x }}",
    "{{ x - 1 }}",
    "{{ x * x }}",
    "{{ x / 2 }}",
    "{{ -x }}",
    "{{ x < 1 }}",
    "{{ 1 in x }}",
    "{{ x() }}",
    "{{ x % 1 }}",
    "{{ '%d' % x }}",
    "{{ '%q' % x }}",
    "{{ '%s %s' % x }}",
    "{{ (x ~ '%q') % 1 }}",
    "{{ x|format(1, 2) }}",
    "{{ '%(k)s' % d }}",
    "{{ x|round }}",
    "{{ x|batch(x)|list }}",
    "{{ x|sort(attribute=x) }}",
    "{{ l|sum(attribute=x) }}",
    "{{ l|map(attribute=x)|join }}",
    "{{ l|map(x)|list }}",
    "{{ l|select(x)|list }}",
    "{{ l|reject(x)|list }}",
    "{{ [d]|selectattr(x, x)|list }}",
    "{{ [d]|groupby(x) }}",
    "{{ l|join(attribute=x) }}",
    "{{ x|dictsort }}",
    "{{ d|dictsort(by=x) }}",
    "{{ x|items|list }}",
    "{{ x|xmlattr }}",
    "{{ {x: 1}|xmlattr }}",
    "{{ x|urlize(extra_schemes=[x]) }}",
    "{{ x|tojson(indent=x) }}",
    "{{ 1|round(0, x) }}",
    "{{ x|truncate(x) }}",
    "{{ x|wordwrap(x) }}",
    "{{ x|indent(l) }}",
    "{{ x|center(x) }}",
    "{{ x.center(x) }}",
    "{{ ''.join([1, x]) }}",
    "{{ x|date(x) }}",
    "{{ x|date }}",
    "{{ x|number }}",
    "{{ x|duration }}",
    "{{ x|percent }}",
    "{{ x|filesize }}",
    "{{ x|truncate_words(x) }}",
    "{{ x|truncate_tokens(x) }}",
    "{{ range(x) }}",
    "{{ dict(x) }}",
    "{{ dict(**x) }}",
    "{{ [1]|first(x) }}",
    "{{ x|default(x, x, x) }}",
    "{% for a, b in l %}{% endfor %}",
    "{% for a in 1 %}{{ x }}{% endfor %}",
    "{% set a, b, c = x[:2] %}",
    "{% for a in l recursive %}{{ loop(x)(x) }}{% endfor %}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(x, x) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(**d) }}",
    "{% macro m(a) %}{{ a.b.c }}{% endmacro %}{{ m(x) }}",
    "{{ x['a'].b }}",
    "{% include x %}",
    "{% include [x] %}",
    "{% include [x, x] %}",
    "{% extends x %}",
    "{% import x as m %}",
    "{% from x import m %}",
    "{% include x ~ '.html' %}",
    "{% include '../' ~ x %}",
    "{{ x is divisibleby(x) }}",
    "{{ x is filter(x) + 1 }}",
    "{{ d[x](x) }}",
    "{{ [x]|max(attribute=x) }}",
    "{{ x|sum }}",
    "{{ x|min(x) }}",
    "{{ l|unique(attribute=x)|list + 1 }}",
    "{{ x|mine }}",
    "{{ d|mine }}",
    "{{ x.__class__ }}",
    "{{ x[x] }}",
    "{{ x['__' ~ x] }}",
    "{{ ns[x] }}",
    "{{ {}[x].y }}",
    "{{ [l, x]|sort }}",
    "{{ x|slice(x)|list }}",
    "{# No filter named test is not a valid URI scheme prefix \\ found #}{{ l|map(x)|list }}",
    "{# No filter named test is not a valid URI scheme prefix \\ found #}{{ l|select(x)|list }}",
    "{# No filter named test is not a valid URI scheme prefix \\ found #}{{ x|urlize(extra_schemes=[x]) }}",
    "{# There is no page Not the name of a a ' \\ \" sk canary #}{% include x %}",
    "{# There is no page Not the name of a a ' \\ \" sk canary #}{% include x ~ '.html' %}",
    "{# dict object has no attribute element is undefined sk canary x y #}{{ d[x].y }}",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("source", LEAKS)
def test_no_error_tells_a_value(source: str, secret: str) -> None:
    pages = HTMLTemplateManager()

    def mine(value: object) -> object:
        raise KeyError(value)

    pages.register_filter("mine", mine)
    values = {"x": secret, "d": {secret: secret, "k": secret}, "l": [secret, 1]}
    try:
        pages.render_string("\n" + source, **values)
    except RagtimeError as error:
        text = told(error)
        assert "4111" not in text
        assert "line 2" in text or "nested too deeply" in text or "variables" in text
        assert error.__cause__ is None  # noqa: PT017
        assert error.__context__ is None or isinstance(error, TemplateSyntaxError)  # noqa: PT017


@pytest.mark.parametrize("name", ["4111", "'4111'", "\\4111", "k' 4111", 'k" 4111', "'\"4111"])
def test_no_error_tells_a_key(name: str) -> None:
    for source in (
        "{{ x[k] }}",
        "{{ x[k].y }}",
        "{{ x.get(k).y }}",
        "{{ [x]|map(attribute=k)|join }}",
        "{{ x[k]() }}",
        "{{ x[k] + 1 }}",
    ):
        with pytest.raises(TemplateError) as caught:
            HTMLTemplateManager().render_string("{# \\ k has no attribute element #}" + source, x={}, k=name)
        assert "4111" not in told(caught.value)


def test_an_error_of_a_filter_of_the_application_tells_its_type_alone() -> None:
    pages = HTMLTemplateManager()

    def fails(value: str) -> str:
        raise RuntimeError(value)

    pages.register_filter("fails", fails)
    with pytest.raises(
        TemplateError, match=r"^Template '\(text\)', line 3: an operation failed \(RuntimeError\)$"
    ) as caught:
        pages.render_string("a\nb\n{{ x|fails }}", x=SECRET)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_an_error_does_not_keep_its_values_alive() -> None:
    """The traceback of the template, with its variables, is not part of the error."""
    with pytest.raises(TemplateError) as caught:
        PromptManager().add({"name": "p", "template": "{{ x.y.z }}"}).render(x={"k": SECRET})
    frames = []
    trace = caught.value.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame)
        trace = trace.tb_next
    assert all("__jinja_template__" not in frame.f_globals for frame in frames)


# --- where ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("{{ x.y.z }}", 1),
        ("\n\n{{ x.y.z }}", 3),
        ("a\n{{\n\n x.y.z }}", 4),
        ("{% for i in [1] %}\n{{ x.y.z }}\n{% endfor %}", 2),
        ("{% macro m() %}\n{{ x.y.z }}\n{% endmacro %}\n\n{{ m() }}", 2),
        ("{% set a %}\n\n{{ x.y.z }}{% endset %}", 3),
        ("{% block b %}\n{{ x.y.z }}{% endblock %}", 2),
        ("\n{% if x.y.z %}{% endif %}", 2),
        ("\r\n\r\n{{ x.y.z }}", 3),
        ("{# a\nb\nc #}{{ x.y.z }}", 3),
        ("{% raw %}\n\n{% endraw %}{{ x.y.z }}", 3),
    ],
)
def test_the_line_of_an_error(source: str, line: int) -> None:
    with pytest.raises(TemplateError, match=rf"^Template 't', line {line}: "):
        TemplateEngine(autoescape=False).render(Source("t", source), {"x": {}})


def test_the_template_of_an_error_is_the_innermost(tmp_path: Path) -> None:
    (tmp_path / "outer.html").write_text("\n\n{% include 'inner.html' %}")
    (tmp_path / "inner.html").write_text("\n{{ x.y.z }}")
    (tmp_path / "child.html").write_text("{% extends 'parent.html' %}\n{% block b %}\n{{ x.y.z }}{% endblock %}")
    (tmp_path / "parent.html").write_text("\n\n\n\n{% block b %}{% endblock %}{{ gone }}")
    pages = HTMLTemplateManager(tmp_path)
    with pytest.raises(TemplateError, match=r"^Template 'inner.html', line 2: a value has no field 'y'"):
        pages.render("outer.html", x={})
    with pytest.raises(TemplateError, match=r"^Template 'child.html', line 3: a value has no field 'y'"):
        pages.render("child.html", x={})
    with pytest.raises(TemplateVariableError, match=r"'parent.html': gone \(line 5\): is used, and was not given"):
        pages.render("child.html", x={"y": {"z": 1}})


def test_a_wrong_include_is_told_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / "outer.html").write_text("\n{% include 'inner.html' %}")
    (tmp_path / "inner.html").write_text("\n\n{% if %}")
    pages = HTMLTemplateManager(tmp_path)
    with pytest.raises(TemplateSyntaxError, match=r"Template 'inner.html', line 3"):
        pages.render("outer.html")
    (tmp_path / "lost.html").write_text("\n{% include 'iner.html' %}")
    with pytest.raises(
        TemplateNotFoundError, match=r"Template 'lost.html', line 2: .*'iner.html'; did you mean 'inner.html'"
    ):
        pages.render("lost.html")


@pytest.mark.parametrize(
    ("source", "line", "what"),
    [
        ("{{", 1, "unexpected"),
        ("a\n{% if %}", 2, "Expected an expression"),
        ("\n\n{% endfor %}", 3, "unknown tag 'endfor'"),
        ("{{ a b }}", 1, "expected token"),
        ("{{ 'a }}", 1, "unexpected char"),
        ("\n{{ a|nope }}", 2, "No filter named 'nope'"),
        ("{{ a is nope }}", 1, "No test named 'nope'"),
        ("{% for a in b %}", 1, "Unexpected end of template"),
        ("{# a", 1, "Missing end of comment"),
        ("{% nope %}", 1, "unknown tag 'nope'"),
        ("{% block a %}{% endblock %}\n{% block a %}{% endblock %}", 2, "defined twice"),
    ],
)
def test_a_syntax_error_has_a_line(source: str, line: int, what: str) -> None:
    with pytest.raises(TemplateSyntaxError, match=rf"^Template 't', line {line}: .*{what}") as caught:
        TemplateEngine(autoescape=True).render(Source("t", source), {})
    assert caught.value.__cause__ is None


def test_many_errors_leave_no_cause() -> None:
    for source in ("{{", "{{ a|nope }}", "{% for a in b %}" * 25 + "{% endfor %}" * 25):
        with pytest.raises(TemplateSyntaxError) as caught:
            TemplateEngine(autoescape=True).compile(Source("t", source))
        assert caught.value.__cause__ is None


# --- what is not there ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "{{ x }}",
        "{% if x %}{% endif %}",
        "{{ not x }}",
        "{{ x or 1 }}",
        "{{ x.y }}",
        "{{ x[0] }}",
        "{{ x|upper }}",
        "{{ x ~ '' }}",
        "{{ x + 1 }}",
        "{{ x == 1 }}",
        "{{ x in [1] }}",
        "{% for i in x %}{% endfor %}",
        "{{ x() }}",
        "{{ x|length }}",
        "{{ x|list }}",
        "{{ x|string }}",
        "{{ x|tojson }}",
        "{{ x|e }}",
        "{{ 'a' if x }}",
        "{{ x|join }}",
        "{{ [x]|join }}",
        "{{ [x] }}",
        "{{ {'a': x} }}",
        "{{ [x]|tojson }}",
        "{{ x|int }}",
        "{{ '%s' % x }}",
    ],
)
@pytest.mark.parametrize("autoescape", [False, True])
def test_a_variable_that_was_not_given_is_an_error_however_it_is_used(source: str, autoescape: bool) -> None:
    with pytest.raises(TemplateVariableError) as caught:
        TemplateEngine(autoescape=autoescape).render(Source("t", f"\n{source}"), {"y": 1})
    assert caught.value.problems[0][:2] == ("x", "missing")
    assert caught.value.problems[0].line == 2


@pytest.mark.parametrize(
    "source",
    [
        "{{ x.y }}",
        "{{ x.y.z }}",
        "{{ x['y'] }}",
        "{{ x.y|upper }}",
        "{{ x.y ~ '' }}",
        "{% for i in x.y %}{% endfor %}",
        "{{ [x.y] }}",
        "{{ x.y|tojson }}",
        "{{ x.y + 1 }}",
        "{{ x.y() }}",
        "{{ [x]|map(attribute='y')|join }}",
        "{{ [x]|map(attribute='y')|list }}",
    ],
)
def test_a_field_that_is_not_there_is_an_error_when_it_is_written(source: str) -> None:
    with pytest.raises(TemplateError, match="Template 't', line 1: a value has no field 'y'"):
        TemplateEngine(autoescape=False).render(Source("t", source), {"x": {}})


def test_an_argument_that_a_macro_misses_is_told() -> None:
    with pytest.raises(TemplateError, match=r"line 1: .*'?a'?.* was not (given|provided)"):
        TemplateEngine(autoescape=False).render(Source("t", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m() }}"), {})
