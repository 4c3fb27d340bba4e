"""The old module ``template``: legacy-api §6, and bug H1."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from jinja2 import Environment

import template_compat
from ragtime.errors import RagtimeDeprecationWarning
from ragtime.utils import templates
from template_compat import HTMLTemplateManager, get_template_path, load_html_template

pytestmark = pytest.mark.filterwarnings("ignore::ragtime.errors.RagtimeDeprecationWarning")

PAGE = "<h1>{{ title }}</h1>\n{% for turn in turns %}<p>{{ turn }} & “more”</p>{% endfor %}\n"


def test_signatures() -> None:
    assert not inspect.signature(get_template_path).parameters
    assert not inspect.signature(load_html_template).parameters


def test_the_new_manager_is_exported_as_it_is() -> None:
    assert HTMLTemplateManager is templates.HTMLTemplateManager
    assert template_compat.__all__ == ["HTMLTemplateManager", "get_template_path", "load_html_template"]


def test_the_path_is_template_html_in_the_current_folder() -> None:
    assert get_template_path() == "./template.html"


def test_the_path_is_read_from_template_path_at_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("/a/page.html", "pages/b.html"):
        monkeypatch.setenv("TEMPLATE_PATH", path)
        assert get_template_path() == path
    monkeypatch.delenv("TEMPLATE_PATH")
    assert get_template_path() == "./template.html"


def test_an_empty_template_path_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPLATE_PATH", "")
    assert get_template_path() == "./template.html"


def test_the_home_folder_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TEMPLATE_PATH", "~/page.html")
    assert get_template_path() == str(tmp_path / "page.html")
    (tmp_path / "page.html").write_text("<p>home</p>", encoding="utf-8")
    assert load_html_template() == "<p>home</p>"


def test_the_page_comes_as_utf_8_text_with_its_placeholders_untouched(tmp_path: Path) -> None:
    (tmp_path / "template.html").write_bytes(PAGE.encode("utf-8"))
    assert load_html_template() == PAGE


def test_the_page_is_read_at_each_call(tmp_path: Path) -> None:
    for text in ("one", "two"):
        (tmp_path / "template.html").write_text(text, encoding="utf-8")
        assert load_html_template() == text


def test_a_missing_page_gives_one_that_tells_the_error_and_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPLATE_PATH", "/no/such/page.html")
    page = load_html_template()
    assert isinstance(page, str)
    assert page.startswith("<!DOCTYPE html>")
    assert "Template Error" in page
    assert "/no/such/page.html" in page
    assert "[Errno 2] No such file or directory: '/no/such/page.html'" in page


@pytest.mark.parametrize("content", [None, b"\xff\xfe<p>"], ids=["a folder", "not UTF-8"])
def test_no_page_that_cannot_be_read_raises(
    content: bytes | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "template.html"
    path.mkdir() if content is None else path.write_bytes(content)
    assert "Template Error" in load_html_template()
    (record,) = [record for record in caplog.records if record.name == "ragtime.template_compat"]
    assert record.levelno == logging.ERROR
    assert record.__dict__["error"] in {"IsADirectoryError", "UnicodeDecodeError"}


def test_the_error_page_is_html_in_which_the_path_is_only_shown(monkeypatch: pytest.MonkeyPatch) -> None:  # H1
    monkeypatch.setenv("TEMPLATE_PATH", "/no/<script>alert(1)</script>&")
    page = load_html_template()
    assert "<script>" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;&amp;") == 2


@pytest.mark.parametrize("path", ["/no/{{ 7 * 7 }}", "/no/{% if %}", "/no/{# hidden #}"])
def test_the_error_page_survives_its_caller_who_renders_it_by_jinja(  # H1
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPLATE_PATH", path)
    page = load_html_template()
    rendered = Environment(autoescape=True).from_string(page).render(title="Chat")
    assert rendered == page.removesuffix("\n")  # which is Jinja's way
    assert "49" not in rendered
    assert path.translate(str.maketrans({"{": "&#123;", "}": "&#125;"})) in rendered


def test_an_old_caller_renders_its_own_page(tmp_path: Path) -> None:
    (tmp_path / "template.html").write_text(PAGE, encoding="utf-8")
    rendered = Environment(autoescape=True).from_string(load_html_template()).render(title="Chat", turns=["<b>"])
    assert rendered == "<h1>Chat</h1>\n<p>&lt;b&gt; & “more”</p>"


@pytest.mark.parametrize("function", [get_template_path, load_html_template], ids=lambda function: function.__name__)
def test_each_call_warns_at_its_own_line(function: Callable[[], object]) -> None:
    with pytest.warns(
        RagtimeDeprecationWarning, match=r"use ragtime\.utils\.templates\.HTML.*removed in 2\.0\.0"
    ) as caught:
        function()
    assert [warning.filename for warning in caught] == [__file__]
    assert f"template.{function.__name__}" in str(caught[0].message)
