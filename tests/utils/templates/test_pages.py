"""Pages: folders over folders, variables told at once, values that stay text."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragtime.config.settings import get_settings
from ragtime.errors import (
    InvalidArgumentError,
    RenderLimitError,
    TemplateError,
    TemplateNotFoundError,
    TemplateSyntaxError,
    TemplateVariableError,
)
from ragtime.utils.templates import HTMLTemplateManager, TrustedHTML

PACKAGED = ["base.html", "conversation.html", "error.html", "learning.html", "report.html", "template.html"]


def _pages(tmp_path: Path, **files: str) -> HTMLTemplateManager:
    for name, text in files.items():
        path = tmp_path / f"{name.replace('__', '/')}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return HTMLTemplateManager(tmp_path)


# --- folders --------------------------------------------------------------------------------------------------------


def test_an_explicit_folder_wins_over_the_users_and_that_over_the_packaged_one(tmp_path: Path) -> None:
    (tmp_path / "user" / "pages").mkdir(parents=True)
    (tmp_path / "explicit").mkdir()
    for name in ("template.html", "error.html"):
        (tmp_path / "user" / "pages" / name).write_text("user")
    (tmp_path / "explicit" / "error.html").write_text("explicit")
    settings = get_settings().replace(templates__directory=tmp_path / "user")
    pages = HTMLTemplateManager(tmp_path / "explicit", settings=settings)
    assert pages.render("error.html") == "explicit"
    assert pages.render("template.html") == "user"
    assert pages.render("report.html", title="t").strip().startswith("<!DOCTYPE html>")
    assert pages.find("error.html") == (tmp_path / "explicit" / "error.html").resolve()
    assert pages.find("report.html").parent.name == "packaged"
    assert HTMLTemplateManager(settings=settings).render("error.html") == "user"


def test_a_path_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("x")
    for path in (tmp_path / "a.html", tmp_path / "nowhere"):
        with pytest.raises(InvalidArgumentError, match="There is no folder of pages"):
            HTMLTemplateManager(path)


def test_pages_of_all_folders_are_listed_once_and_sorted(tmp_path: Path) -> None:
    pages = _pages(tmp_path, template="x", mail__welcome="y", zebra="z")
    (tmp_path / ".hidden.html").write_text("x")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "a.html").write_text("x")
    (tmp_path / "a.txt").write_text("x")
    assert pages.list_templates() == sorted([*PACKAGED, "mail/welcome.html", "zebra.html"])
    assert pages.render("mail/welcome.html") == "y"
    assert HTMLTemplateManager().list_templates() == PACKAGED


@pytest.mark.parametrize("odd", ["link", "a:b.html", "a*b.html", "CON.html", " x.html", "a\nb.html", "pipe"])
def test_a_file_that_is_no_page_stops_no_other(tmp_path: Path, odd: str) -> None:
    """Lists and hints leave it out; an odd name in a folder must not make every wrong name an error about it."""
    import os

    folder = tmp_path / "pages"
    folder.mkdir()
    (folder / "mine.html").write_text("mine")
    (tmp_path / "outside.html").write_text("outside")
    if odd == "link":
        (folder / "link.html").symlink_to(tmp_path / "outside.html")
    elif odd == "pipe":
        os.mkfifo(folder / "pipe.html")
    else:
        (folder / odd).write_text("x")
    pages = HTMLTemplateManager(folder)
    assert pages.list_templates() == sorted([*PACKAGED, "mine.html"])
    assert pages.render("mine.html") == "mine"
    with pytest.raises(TemplateNotFoundError, match=r"did you mean 'mine.html'"):
        pages.render("mne.html")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x",
        "x.txt",
        ".html",
        "../x.html",
        "a/../x.html",
        "/etc/x.html",
        "a//x.html",
        "a/./x.html",
        "./x.html",
        "..\\x.html",
        "a\\x.html",
        "C:x.html",
        "~/x.html",
        "x.html/",
        "x.html\0",
        "x\0.html",
        "x\n.html",
        "%2e%2e/x.html",
        "nul.html",
        "com1.html",
        ".git/x.html",
        "a*.html",
        "x.html ",
        "a./x.html",
        "a" * 200 + ".html",
    ],
)
def test_a_name_that_could_lead_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "x.html").write_text("canary")
    (tmp_path / "pages").mkdir()
    pages = HTMLTemplateManager(tmp_path / "pages")
    for call in (pages.render, pages.find, pages.stream, pages.validate):
        with pytest.raises(InvalidArgumentError):
            call(name)


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.html").write_text("canary")
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "template.html").symlink_to(tmp_path / "secret.html")
    with pytest.raises((InvalidArgumentError, TemplateNotFoundError)):
        HTMLTemplateManager(tmp_path / "pages").render("template.html")


def test_a_missing_page_is_told_with_the_nearest() -> None:
    pages = HTMLTemplateManager()
    with pytest.raises(TemplateNotFoundError, match=r"no page 'templat.html'; did you mean 'template.html'"):
        pages.render("templat.html", title="x")
    with pytest.raises(TemplateNotFoundError, match=r"there are: base.html, conversation.html"):
        pages.render("zzzzzzzz.html")


def test_a_page_in_windows_line_ends_or_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(b"\xef\xbb\xbf{# variables: x #}\r\n{{ x }}\r\nb\r\n")
    assert HTMLTemplateManager(tmp_path).render("a.html", x=1) == "\n1\nb\n"


def test_a_page_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(b"ab\xff")
    (tmp_path / "b.html").write_bytes(b"x" * 1_000_001)
    (tmp_path / "c.html").write_text("a\n{% if %}")
    pages = HTMLTemplateManager(tmp_path)
    for name, reason in (
        ("a.html", "Page 'a.html': is not UTF-8, from byte 2 on"),
        ("b.html", "Page 'b.html': is larger than 1,000,000 bytes"),
        ("c.html", "Template 'c.html', line 2: "),
    ):
        with pytest.raises(TemplateSyntaxError) as caught:
            pages.render(name)
        assert str(caught.value).startswith(reason)


# --- variables ------------------------------------------------------------------------------------------------------


def test_missing_and_undeclared_variables_are_told_at_once(tmp_path: Path) -> None:
    pages = _pages(tmp_path, a="{# variables: title, body, lang? #}\n{{ title }}{{ body }}")
    with pytest.raises(TemplateVariableError) as caught:
        pages.render("a.html", titel="canary", more="canary", lang=object())
    error = caught.value
    assert (error.template, error.version) == ("a.html", None)
    assert [(problem.variable, problem.kind) for problem in error.problems] == [
        ("title", "missing"),
        ("body", "missing"),
        ("more", "extra"),
        ("titel", "extra"),
        ("lang", "mistyped"),
    ]
    assert "did you mean 'title'?" in str(error)
    assert "it takes title, body, lang" in str(error)
    assert "canary" not in str(error)


def test_a_page_that_declares_nothing_takes_anything(tmp_path: Path) -> None:
    pages = _pages(tmp_path, a="{{ x }}")
    assert pages.render("a.html", x=1, y=2) == "1"
    with pytest.raises(TemplateVariableError) as caught:
        pages.render("a.html")
    assert [(problem.variable, problem.kind, problem.line) for problem in caught.value.problems] == [
        ("x", "missing", 1)
    ]


@pytest.mark.parametrize(
    "declaration",
    ["{# variables: a, b? #}", "{#- variables:a,b?-#}", "\n  {#  variables:  a ,\n b? , #}"],
)
def test_ways_to_declare(tmp_path: Path, declaration: str) -> None:
    pages = _pages(tmp_path, a=declaration + "{{ a }}{{ b|default('') }}")
    assert pages.render("a.html", a=1).strip() == "1"
    with pytest.raises(TemplateVariableError, match="c: is no variable of this page"):
        pages.render("a.html", a=1, c=1)


def test_every_name_is_free_for_a_variable(tmp_path: Path) -> None:
    names = ("name", "source", "settings", "path", "context", "template", "version", "loop")
    pages = _pages(tmp_path, a="".join(f"{{{{ {name} }}}}," for name in names))
    assert pages.render("a.html", **dict.fromkeys(names, "<")) == "&lt;," * len(names)
    assert pages.render_string("{{ source }}{{ name }}", source="a", name="b") == "ab"


@dataclass
class _Item:
    name: str
    password: str = "canary"

    def secret(self) -> str:
        return self.password


@pytest.mark.parametrize("value", [object(), {1, 2}, print, lambda: 1, b"x", iter([1]), type])
def test_what_is_no_data_is_refused(value: object) -> None:
    with pytest.raises(TemplateVariableError, match="x: cannot be shown to a template: found a value of type"):
        HTMLTemplateManager().render_string("{{ x }}", x=value)


def test_objects_are_their_fields_and_have_no_methods() -> None:
    pages = HTMLTemplateManager()
    assert pages.render_string("{{ x.name }}", x=_Item("<a>")) == "&lt;a&gt;"
    with pytest.raises(TemplateError) as caught:
        pages.render_string("{{ x.secret() }}", x=_Item("a"))
    assert "canary" not in str(caught.value)


# --- escaping -------------------------------------------------------------------------------------------------------


@given(st.text())
def test_any_text_is_escaped(text: str) -> None:
    shown = _SHARED.render_string("{{ x }}", x=text)
    assert not set(shown) & set("<>\"'")
    for name, sign in (("&lt;", "<"), ("&gt;", ">"), ("&#34;", '"'), ("&#39;", "'"), ("&amp;", "&")):
        shown = shown.replace(name, sign)
    assert shown == text


_SHARED = HTMLTemplateManager()


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("{{ x }}", "&lt;b&gt;"),
        ("{{ x ~ '<i>' }}", "&lt;b&gt;&lt;i&gt;"),
        ("{{ [x]|join('<br>') }}", "&lt;b&gt;"),
        ("{{ '%s'|format(x) }}", "&lt;b&gt;"),
        ("{{ {'a': x}.a }}", "&lt;b&gt;"),
        ("{% set y = x %}{{ y }}", "&lt;b&gt;"),
        ("{% set y %}<i>{{ x }}</i>{% endset %}{{ y }}", "<i>&lt;b&gt;</i>"),
        ("{% macro m(a) %}<i>{{ a }}</i>{% endmacro %}{{ m(x) }}", "<i>&lt;b&gt;</i>"),
        ("{{ x|upper }}", "&lt;B&gt;"),
        ("{{ x|default('') }}", "&lt;b&gt;"),
        ("{{ x|e }}", "&lt;b&gt;"),
        ("{{ x|tojson }}", '"\\u003cb\\u003e"'),
    ],
)
def test_every_way_of_writing_escapes(template: str, shown: str) -> None:
    assert _SHARED.render_string(template, x="<b>") == shown


def test_trusted_html_is_the_one_way_past_the_escaping() -> None:
    assert _SHARED.render_string("{{ x }}", x=TrustedHTML("<b>")) == "<b>"
    from markupsafe import Markup

    assert _SHARED.render_string("{{ x }}", x=Markup("<b>")) == "&lt;b&gt;"
    assert _SHARED.render_string("{{ x.y[0] }}", x={"y": [TrustedHTML("<b>")]}) == "<b>"


# --- inheritance, filters, streams ----------------------------------------------------------------------------------


def test_a_page_extends_a_packaged_one_and_overrides_a_block(tmp_path: Path) -> None:
    pages = _pages(
        tmp_path,
        mine=(
            "{% extends 'base.html' %}{% block main %}<p>{{ text }}</p>{% endblock %}"
            "{% block style %}p { margin: 0 }{% endblock %}"
        ),
        base2="{% extends 'base.html' %}{% block footer %}F{% endblock %}",
        third="{% extends 'base2.html' %}{% block footer %}{{ super() }}!{% endblock %}",
    )
    html = pages.render("mine.html", title="T", text="<x>")
    assert "<p>&lt;x&gt;</p>" in html
    assert "p { margin: 0 }" in html
    assert "<title>T</title>" in html
    assert "Content-Security-Policy" in html
    assert "F!" in pages.render("third.html", title="T")


def test_a_users_base_is_the_parent_of_packaged_pages(tmp_path: Path) -> None:
    pages = _pages(tmp_path, base="MINE {% block main %}{% endblock %}")
    html = pages.render("template.html", title="T", body="B")
    assert html.strip().startswith("MINE")
    assert "<p>B</p>" in html


def test_includes_and_imports(tmp_path: Path) -> None:
    pages = _pages(
        tmp_path,
        part="[{{ x }}]",
        macros="{% macro m(a) %}<{{ a }}>{% endmacro %}",
        page="{% include 'part.html' %}{% from 'macros.html' import m %}{{ m('<') }}",
    )
    assert pages.render("page.html", x="&") == "[&amp;]<&lt;>"


@pytest.mark.parametrize("include", ["'nothing.html' ignore missing", "['nothing.html', 'part.html']"])
def test_an_include_may_say_what_to_do_when_there_is_no_such_page(tmp_path: Path, include: str) -> None:
    pages = _pages(tmp_path, part="part", page=f"<{{% include {include} %}}>")
    assert pages.render("page.html") == ("<>" if "ignore" in include else "<part>")


def test_an_include_of_what_there_is_not_is_told_with_its_place(tmp_path: Path) -> None:
    pages = _pages(tmp_path, page="a\n{% include 'nothing.html' %}", up="{% include '../x.html' %}")
    with pytest.raises(TemplateNotFoundError, match=r"'page.html', line 2"):
        pages.render("page.html")
    with pytest.raises(TemplateNotFoundError):
        pages.render("up.html")


def test_the_name_of_an_include_from_a_value_leads_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "secret.html").write_text("canary")
    pages = _pages(tmp_path / "pages", page="{% include x %}", part="part")
    assert pages.render("page.html", x="part.html") == "part"
    for name in ("../secret.html", str(tmp_path / "secret.html"), "no-canary.html"):
        with pytest.raises(TemplateNotFoundError) as caught:
            pages.render("page.html", x=name)
        assert "canary" not in str(caught.value)


def test_a_page_that_includes_itself_is_stopped(tmp_path: Path) -> None:
    pages = _pages(tmp_path, page="{% include 'page.html' %}")
    with pytest.raises(RenderLimitError, match=r"nested too deeply|steps"):
        pages.render("page.html")


def test_a_filter_of_the_application() -> None:
    pages = HTMLTemplateManager()
    pages.register_filter("shout", lambda value, mark="!": f"{value.upper()}{mark}")
    pages.register_filter("bold", lambda value: TrustedHTML(f"<b>{len(value)}</b>"))
    assert (
        pages.render_string("{{ x|shout }}{{ x|shout('<') }}{{ x|bold }}", x="<a>") == "&lt;A&gt;!&lt;A&gt;&lt;<b>3</b>"
    )
    pages.register_filter("shout", lambda _: "replaced")
    assert pages.render_string("{{ x|shout }}", x="a") == "replaced"
    with pytest.raises(TemplateSyntaxError):
        HTMLTemplateManager().render_string("{{ x|shout }}", x="a")


@pytest.mark.parametrize(("name", "function"), [("a b", str), ("", str), ("a", "no function"), ("a-b", str)])
def test_what_is_no_filter_is_refused(name: str, function: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="A filter is an identifier and a function"):
        HTMLTemplateManager().register_filter(name, function)


def test_a_filter_that_fails_quotes_no_value() -> None:
    pages = HTMLTemplateManager()

    def fail(value: str) -> str:
        raise ValueError(f"bad {value}")

    pages.register_filter("fail", fail)
    with pytest.raises(TemplateError, match=r"line 2: an operation failed \(ValueError\)") as caught:
        pages.render_string("\n{{ x|fail }}", x="canary")
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("name", ["template.html", "report.html", "conversation.html", "error.html"])
def test_a_stream_is_what_render_returns(name: str) -> None:
    values: dict[str, Any] = {"title": "Ä <b>"}
    if name == "conversation.html":
        values["turns"] = [{"role": "user", "content": f"<{number}> *x*" * 50} for number in range(200)]
    pieces = list(_SHARED.stream(name, **values))
    assert "".join(pieces) == _SHARED.render(name, **values)
    assert all(pieces)
    if name == "conversation.html":
        assert len(pieces) > 3


def test_a_stream_checks_its_variables_before_the_first_piece() -> None:
    for values in ({}, {"title": "x", "bdy": "y"}):
        with pytest.raises(TemplateVariableError):
            _SHARED.stream("template.html", **values)
    with pytest.raises(TemplateNotFoundError):
        _SHARED.stream("nothing.html")


def test_a_stream_that_fails_in_the_middle_keeps_what_was_given(tmp_path: Path) -> None:
    pages = _pages(tmp_path, a="{% for x in xs %}" + "y" * 20_000 + "{{ 1 // x }}{% endfor %}")
    stream = pages.stream("a.html", xs=[1, 0])
    assert next(stream).startswith("y" * 20_000)
    with pytest.raises(TemplateError, match="ZeroDivisionError"):
        list(stream)


def test_two_streams_at_once_and_one_left_alone() -> None:
    values = {"title": "t", "turns": [{"role": "user", "content": "x" * 3000}] * 50}
    whole = _SHARED.render("conversation.html", **values)
    left = _SHARED.stream("conversation.html", **values)
    next(left)
    pair = [_SHARED.stream("conversation.html", **values) for _ in range(2)]
    joined = ["", ""]
    for pieces in zip(*pair, strict=True):
        joined = [before + piece for before, piece in zip(joined, pieces, strict=True)]
    assert joined == [whole, whole]
    left.close()


def test_limits_are_those_of_the_settings() -> None:
    pages = HTMLTemplateManager(settings=get_settings().replace(templates__max_output_characters=100))
    assert len(pages.render_string("{{ x }}", x="y" * 100)) == 100
    with pytest.raises(RenderLimitError, match="more than 100 characters"):
        pages.render_string("{{ x }}", x="y" * 101)
    pages = HTMLTemplateManager(settings=get_settings().replace(templates__max_steps=50))
    with pytest.raises(RenderLimitError, match=r"templates.max_steps"):
        pages.render_string("{% for x in range(40) %}{% for y in range(40) %}{% endfor %}{% endfor %}")


def test_many_threads_render_pages(tmp_path: Path) -> None:
    pages = _pages(tmp_path, a="{% extends 'base.html' %}{% block main %}<{{ x }}>{% endblock %}")
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda number: pages.render("a.html", title="t", x=number), range(200)))
    assert all(f"<{number}>" in html for number, html in enumerate(found))


def test_no_log_event_holds_a_value(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    pages = HTMLTemplateManager()
    pages.render("template.html", title="canary")
    pages.reload()
    assert [record.getMessage() for record in caplog.records][-1] == "reload_pages finished"
    assert "canary" not in str([vars(record) for record in caplog.records])
