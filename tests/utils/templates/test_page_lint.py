"""The checks of pages: each seeded mistake is found by its own rule on its own line, and a sound page has none."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragtime.errors import InvalidArgumentError, TemplateNotFoundError
from ragtime.utils.templates import RULES, Finding, HTMLTemplateManager


def _check(tmp_path: Path, source: str, **others: str) -> list[Finding]:
    for name, text in {"page": source, **others}.items():
        (tmp_path / f"{name}.html").write_text(text)
    return HTMLTemplateManager(tmp_path).validate("page.html")


CLEAN = [
    "",
    "<p>{{ x }}</p>",
    "{# variables: title, body? #}\n<h1>{{ title }}</h1>{% if body is defined %}{{ body|paragraphs }}{% endif %}",
    "{# variables: title, lang?, generated_at? #}{% extends 'base.html' %}{% block main %}{{ title }}{% endblock %}",
    '<a href="{{ url|safe_url }}" title="{{ x }}">{{ x }}</a>',
    "<a href='{{ url|safe_url }}'>{{ x|upper }}</a>",
    '<a href="/search?q={{ x|urlencode }}">x</a>',
    '<a href="https://example.org/{{ x }}">x</a>',
    '<a href="#{{ x }}">x</a>',
    '<a href="{{ x|urlencode }}">x</a>',
    '<img src="{{ url|safe_url }}" alt="{{ x }}">',
    "<script>const data = {{ x|tojson }};</script>",
    "<SCRIPT type='text/plain'>\n{{ x|tojson }}\n</SCRIPT><p>{{ x }}</p>",
    '<p class="a {{ x }} b" data-x="{{ y }}" hidden>{{ z }}</p>',
    "<p class='{{ x }}'{% if y %} hidden{% endif %}>{{ z }}</p>",
    "<!-- <a href={{ x }}> --><p>{{ x }}</p>",
    "{# <a href={{ x }}> #}<p>{{ x }}</p>",
    "{% raw %}<a href={{ x }}>{% endraw %}",
    "<style>p { color: red }</style><p>{{ x }}</p>",
    "<p>1 < 2 {{ x }} and 3 <= 4</p>",
    "<textarea>{{ x }}</textarea><title>{{ x }}</title>",
    "{% macro row(a) %}<tr><td>{{ a }}</td></tr>{% endmacro %}{{ row(x) }}",
    "{% for a in xs %}{% for b in a %}{{ loop.index }}{{ b }}{% endfor %}{% endfor %}",
    "{% set a = x %}{{ a }}",
    "{# variables: x? #}\n{{ x|default('') }}",
    "{# variables: xs #}\n{% for x in xs %}{{ x }}{% else %}none{% endfor %}",
]


@pytest.mark.parametrize("source", CLEAN)
def test_a_sound_page_has_no_findings(tmp_path: Path, source: str) -> None:
    assert _check(tmp_path, source) == []


DEFECTS: list[tuple[str, int | None, str]] = [
    ("H001", None, "a\n{% if %}"),
    ("H001", None, "{{ x"),
    ("H001", None, "{% block a %}{% block a %}{% endblock %}{% endblock %}"),
    ("H001", None, "{{ x|no_such_filter }}"),
    ("H001", None, "{% autoescape false %}{{ x }}{% endautoescape %}"),
    ("H002", 3, "{# variables: title #}\n{{ title }}\n{{ ttle }}"),
    ("H002", 2, "{# variables: title? #}\n{{ title }}"),
    ("H002", 2, "{# variables: #}\n{% for x in xs %}{{ x }}{% endfor %}"),
    ("H003", 2, "a\n{% include 'nothing.html' %}"),
    ("H003", 1, "{% extends 'nothing.html' %}"),
    ("H003", 2, "a\n{% from 'nothing.html' import a %}"),
    ("H003", 2, "a\n{% include 'page.html' %}"),
    ("H003", 1, "{% include '../page.html' %}"),
    ("H003", 1, "{% include '/etc/passwd' %}"),
    ("H004", 2, "<p>\n{{ x|safe }}</p>"),
    ("H004", 1, "{{ (x|safe)|upper }}"),
    ("H005", 2, "<p>\n<input value={{ x }}>"),
    ("H005", 1, "<p {{ x }}>"),
    ("H005", 1, "<p class=a{{ x }}>"),
    ("H005", 1, "<p a='b'{{ x }}>"),
    ("H006", 2, '<p>\n<a href="{{ x }}">'),
    ("H006", 1, "<img src='{{ x }}'>"),
    ("H006", 1, '<form action="{{ x|upper }}">'),
    ("H006", 1, '<a HREF="{{ x|safe_url|replace("a", "b") }}">'),
    ("H006", 1, '<svg><a xlink:href="{{ x }}">'),
    ("H006", 3, "<a\n  href =\n  '{{ x }}'>"),
    ("H007", 2, "<script>\nlet a = '{{ x }}';</script>"),
    ("H007", 1, "<style>p { color: {{ x }} }</style>"),
    ("H007", 1, "<style>p { color: {{ x|tojson }} }</style>"),
    ("H007", 1, "<p onclick=\"f('{{ x }}')\">"),
    ("H007", 1, '<p style="color: {{ x }}">'),
    ("H007", 1, "<p ONCLICK='f({{ x }})'>"),
    ("H008", 1, "{# variables: title, body? #}\n{{ title }}"),
]


@pytest.mark.parametrize(("rule", "line", "source"), DEFECTS)
def test_a_mistake_is_found_by_its_own_rule_on_its_line(
    tmp_path: Path, rule: str, line: int | None, source: str
) -> None:
    found = _check(tmp_path, source)
    assert [(finding.rule, finding.line) for finding in found] == [(rule, line)]
    assert (found[0].template, found[0].file) == ("page.html", str((tmp_path / "page.html").resolve()))
    assert found[0].severity == ("warning" if rule in {"H004", "H008"} else "error")


def test_every_rule_of_pages_has_a_mistake_here() -> None:
    assert {rule for rule, *_ in DEFECTS} == {rule for rule in RULES if rule.startswith("H")}


# What escaping alone does not make safe; each was shown to run a script, or to break out, in a rendered page.
UNSAFE = [
    '<div data-x="{{ x|tojson }}">',
    '<button onclick="f({{ x|tojson }})">',
    '<div title="{{ x|markdown }}">',
    '<iframe srcdoc="{{ x }}"></iframe>',
    '<a href=" {{ x }}">',
    '<a href="{{ y ~ (x|safe_url) }}">',
    '<a href="{{ y if y else x|safe_url }}">',
    '<a href="{% if y %}/{% else %}{{ x }}{% endif %}">',
    "<a href=\"javascript:f('{{ x }}')\">",
    "<script>let a = {{ y ~ (x|tojson) }};</script>",
    "{% extends 'base.html' %}{% block style %}p { color: {{ x }} }{% endblock %}",
    "<{{ x }}>",
]


@pytest.mark.parametrize("source", UNSAFE)
def test_a_place_that_escaping_does_not_make_safe_is_found(tmp_path: Path, source: str) -> None:
    assert {finding.rule for finding in _check(tmp_path, source)} & {"H005", "H006", "H007"}


def test_mistakes_of_included_and_extended_pages_are_found_with_their_place(tmp_path: Path) -> None:
    found = _check(
        tmp_path,
        "{# variables: a #}\n{% extends 'parent.html' %}{% block b %}{% include 'part.html' %}{{ a }}{% endblock %}",
        parent="<a\nhref={{ url }}>{% block b %}{% endblock %}",
        part="\n\n{{ missing }}",
    )
    assert sorted((finding.rule, finding.template, finding.line) for finding in found) == [
        ("H002", "parent.html", 2),
        ("H002", "part.html", 3),
        ("H005", "parent.html", 2),
        ("H006", "parent.html", 2),
    ]


def test_what_a_parent_uses_only_when_it_is_there_need_not_be_declared(tmp_path: Path) -> None:
    """``base.html`` asks for ``lang`` and ``generated_at`` by ``default`` and ``is defined``; the page renders."""
    source = "{# variables: title #}\n{% extends 'base.html' %}\n{% block main %}{{ title }}{% endblock %}"
    assert _check(tmp_path, source) == []
    assert "<main" in HTMLTemplateManager(tmp_path).render("page.html", title="x")


def test_a_syntax_error_in_an_included_page_is_found(tmp_path: Path) -> None:
    found = _check(tmp_path, "{% include 'part.html' %}", part="\n{% if %}")
    assert [(finding.rule, finding.template) for finding in found] == [("H001", "part.html")]
    assert "line 2" in found[0].message


def test_pages_that_include_each_other_are_found(tmp_path: Path) -> None:
    found = _check(tmp_path, "{% include 'part.html' %}", part="\n{% include 'page.html' %}")
    assert [(finding.rule, finding.template, finding.line) for finding in found] == [("H003", "part.html", 2)]
    assert "page.html → part.html → page.html" in found[0].message


def test_the_nearest_page_is_told(tmp_path: Path) -> None:
    (finding,) = _check(tmp_path, "{% extends 'bse.html' %}")
    assert "did you mean 'base.html'" in finding.message


def test_a_page_that_is_not_there_or_no_name() -> None:
    with pytest.raises(TemplateNotFoundError, match=r"did you mean 'report.html'"):
        HTMLTemplateManager().validate("reprt.html")
    with pytest.raises(InvalidArgumentError):
        HTMLTemplateManager().validate("../report.html")


@pytest.mark.parametrize("name", ["base.html", "conversation.html", "error.html", "report.html", "template.html"])
def test_the_packaged_pages_are_sound(name: str) -> None:
    assert HTMLTemplateManager().validate(name) == []
