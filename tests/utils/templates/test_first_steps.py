"""Mistakes that newcomers make, each told where it is made and not where it hurts."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragtime.errors import InvalidArgumentError, TemplateError, TemplateSyntaxError
from ragtime.utils.templates import HTMLTemplateManager, PromptManager


def test_single_braces_in_jinja_are_told_without_a_declaration() -> None:
    prompts = PromptManager()
    prompts.add({"name": "p", "template": "Hello {name}, {{ other }}"})
    assert [finding.rule for finding in prompts.validate("p")] == ["P011"]


def test_an_example_without_a_field_is_refused_when_it_is_added() -> None:
    with pytest.raises(TemplateSyntaxError, match="an example has no field 'label'"):
        PromptManager().add(
            {
                "name": "p",
                "messages": [
                    {"examples": {"user": "{text}", "assistant": "{label}"}},
                    {"role": "user", "template": "{x}"},
                ],
                "examples": [{"text": "good"}],
            }
        )


def test_an_optional_variable_of_a_page_may_be_asked_for(tmp_path: Path) -> None:
    page = tmp_path / "p.html"
    page.write_text(
        "{# variables: a? #}{% if a %}{{ a }}{% else %}none{% endif %}{{ a|default('!') }}", encoding="utf-8"
    )
    pages = HTMLTemplateManager(tmp_path)
    assert (pages.render("p.html"), pages.render("p.html", a="<")) == ("none!", "&lt;&lt;")
    assert pages.validate("p.html") == []
    page.write_text("{# variables: a? #}{{ a }}", encoding="utf-8")
    pages.reload()
    assert [finding.rule for finding in pages.validate("p.html")] == ["H002"]
    with pytest.raises(TemplateError, match="a"):
        pages.render("p.html")


def test_a_page_that_cannot_be_read_is_a_finding_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "latin.html").write_bytes("é".encode("latin-1"))
    (finding,) = HTMLTemplateManager(tmp_path).validate("latin.html")
    assert (finding.rule, "not UTF-8" in finding.message) == ("H001", True)


@pytest.mark.parametrize("name", ["escape", "e", "safe_url", "tojson", "markdown", "safe"])
def test_a_filter_that_keeps_pages_safe_is_not_replaced(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="keeps pages safe"):
        HTMLTemplateManager().register_filter(name, str)


def test_a_counter_that_is_none_is_told() -> None:
    with pytest.raises(InvalidArgumentError, match="TokenCounter"):
        PromptManager().get("greeting").fit({"name": "Ann"}, max_tokens=100, counter=len)  # type: ignore[arg-type]


def test_what_a_filter_expected_is_told() -> None:
    pages = HTMLTemplateManager()
    with pytest.raises(TemplateError, match=r"line 1: Not a date: expected ISO 8601 text"):
        pages.render_string("{{ x|date }}", x="yesterday")
