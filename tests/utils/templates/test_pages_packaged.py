"""The pages that come with the package, read as a browser would: whole, inert, without anything from elsewhere."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from pydantic import BaseModel

from ragtime.errors import TemplateVariableError
from ragtime.utils.templates import HTMLTemplateManager, TrustedHTML

PAGES = HTMLTemplateManager()
VOID = set("area base br col embed hr img input link meta source track wbr".split())
ADDRESSES = {"href", "src", "action", "formaction", "data", "poster", "background", "cite", "srcset", "xlink:href"}
HOSTILE = [
    "<script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "--><script>alert(1)</script>",
    "</textarea></pre></code><img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    '" onfocus="alert(1)" autofocus="',
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java&#x0a;script:alert(1))",
    "<javascript:alert(1)>",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "![x](https://evil.example/pixel.png)",
    "[x]: javascript:alert(1)\n[x]",
    "[x](//evil.example)",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<base href='https://evil.example/'>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<style>*{background:url(https://evil.example)}</style>",
    "<math><mtext><style><img src=x onerror=alert(1)></style></mtext></math>",
    "{{ 7 * 7 }} {% include 'x' %} {# c #}",
    "`<script>`\n```html\n<script>alert(1)</script>\n```",
    "\ud800\x00\x1b",
]


class _Tree(HTMLParser):
    """Follows tags as they are, and tells what is not balanced."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, str] = {}
        self.feed(html)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for tag in self.open:
            self.text[tag] = self.text.get(tag, "") + data

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def _tree(html: str) -> _Tree:
    """Parse a page and check what holds for each."""
    assert html.lstrip().startswith("<!DOCTYPE html>")
    tree = _Tree(html)
    names = {tag for tag, _ in tree.tags}
    assert not names & {"script", "iframe", "object", "embed", "base", "form", "img", "svg", "math", "audio", "video"}
    identities = [attributes["id"] for _, attributes in tree.tags if "id" in attributes]
    assert len(identities) == len(set(identities))
    for tag, attributes in tree.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), f"<{tag} {name}>"
            assert re.fullmatch(r"[a-z][a-z:-]*", name), f"<{tag}> has the attribute {name!r}"
            if name in ADDRESSES:
                _check_address(tag, value or "")
            if name == "style":
                assert value in {"text-align:left", "text-align:right", "text-align:center"}
    assert len(tree.all("style")) == 1
    assert not re.search(r"url\(|@import|expression|</", tree.text["style"])
    (policy,) = [one["content"] for one in tree.all("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "base-uri 'none'" in policy
    assert "form-action 'none'" in policy
    assert "script-src" not in policy
    assert len([one for one in tree.all("meta") if "http-equiv" in one]) == 1
    assert len(tree.all("main")) == len(tree.all("h1")) == len(tree.all("title")) == 1
    return tree


def _check_address(tag: str, value: str) -> None:
    """Nothing is loaded from elsewhere, and links lead only where a reader may be led."""
    plain = re.sub(r"[\t\n\r]", "", value).strip("".join(map(chr, range(33)))).lower()
    if tag == "link":
        assert value == "data:,"
    else:
        assert tag in {"a", "blockquote"}, f"<{tag}> loads {value!r}"
        assert re.match(r"(?:https?:|mailto:|#|/(?!/)|[^:/?#]*(?:[/?#]|$))", plain), value


def _render(name: str, **values: Any) -> _Tree:
    return _tree(PAGES.render(name, **values))


NOW = datetime(2026, 11, 22, 15, 31, 45, tzinfo=UTC)
TURNS: list[dict[str, Any]] = [
    {"role": "system", "content": "Be kind. " * 100, "created_at": NOW},
    {
        "role": "user",
        "id": "u-1",
        "name": "Ann",
        "content": "# Why?\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n1. x\n2. y\n\n> quote\n\n---\n\n**b** ~~s~~ `c`",
        "created_at": "2026-11-22T15:31:45+01:00",
    },
    {
        "role": "assistant",
        "content": "Because [this](https://example.org).",
        "created_at": date(2026, 11, 23),
        "document_ids": ["doc-1", "doc-<2>"],
        "ratings": [{"stars": 4, "comment": "good why"}, {"stars": 1}],
    },
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"name": "search", "arguments": '{"q": "<x>"}'}, {"name": "x"}],
    },
    {"role": "tool", "content": "<result>" * 200},
    {"role": "moderator", "content": "odd role"},
]
FULL: dict[str, dict[str, Any]] = {
    "base.html": {"title": "T", "lang": "de", "generated_at": NOW},
    "template.html": {"title": "T", "body": "a\n\nb", "subtitle": "S", "lang": "de", "generated_at": NOW},
    "error.html": {
        "title": "T",
        "message": "m\n\nn",
        "detail": "d\nd",
        "hint": "h",
        "status": 404,
        "generated_at": NOW,
    },
    "conversation.html": {
        "title": "T",
        "turns": TURNS,
        "subtitle": "why not",
        "summary": "a\n\nwhy",
        "query": "why",
        "generated_at": NOW,
    },
    "report.html": {
        "title": "T",
        "subtitle": "S",
        "verdict": {"label": "Better", "tone": "good", "reason": "r"},
        "facts": [
            {"name": "n", "value": 12345.5, "note": "x"},
            {"name": "m", "value": "v"},
            {"name": "b", "value": True},
        ],
        "sections": [
            {
                "title": f"Section {number}",
                "text": "*t*",
                "notes": ["n"],
                "table": {
                    "columns": ["a", "b"],
                    "rows": [["x", 1], ["y", None], ["z", 2.5], [True, False]],
                    "align": ["left"],
                },
            }
            for number in range(5)
        ],
        "warnings": ["w1", "w2"],
        "generated_at": NOW,
    },
}
SMALLEST: dict[str, dict[str, Any]] = {
    "base.html": {"title": ""},
    "template.html": {"title": ""},
    "error.html": {"title": ""},
    "conversation.html": {"title": "", "turns": []},
    "report.html": {"title": ""},
}


@pytest.mark.parametrize("name", FULL)
def test_a_full_page_and_the_smallest_one_are_whole(name: str) -> None:
    for values in (FULL[name], SMALLEST[name]):
        tree = _render(name, **values)
        assert tree.text.get("title", "").strip() == values["title"]
        assert tree.all("html")[0]["lang"] == values.get("lang", "en")


@pytest.mark.parametrize("name", FULL)
def test_values_that_are_none_are_as_if_not_given(name: str) -> None:
    values = {**dict.fromkeys(FULL[name]), **SMALLEST[name]}
    assert PAGES.render(name, **values) == PAGES.render(name, **SMALLEST[name])
    assert "None" not in PAGES.render(name, **values)


def _everywhere(value: Any, text: str) -> Any:
    """Put `text` in the place of every text of a value."""
    if isinstance(value, dict):
        return {key: _everywhere(inner, text) for key, inner in value.items()}
    if isinstance(value, list):
        return [_everywhere(inner, text) for inner in value]
    return text if isinstance(value, str) else value


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("name", FULL)
def test_hostile_texts_everywhere_are_inert(name: str, hostile: str) -> None:
    values = {key: _everywhere(value, hostile) for key, value in FULL[name].items()}
    if "turns" in values:
        roles = ["system", "user", "assistant", "assistant", "tool", hostile]
        values["turns"] = [
            {**turn, "role": role, "created_at": NOW, "id": f"{hostile}{number}"}
            for number, (turn, role) in enumerate(zip(values["turns"], roles, strict=True))
        ]
    tree = _render(name, **values)
    assert tree.text["title"] == hostile


@pytest.mark.parametrize("name", FULL)
def test_the_title_is_escaped(name: str) -> None:
    html = PAGES.render(name, **{**FULL[name], "title": '<b>A & "B"</b>'})
    assert "<title>&lt;b&gt;A &amp; &#34;B&#34;&lt;/b&gt;</title>" in html
    assert _tree(html).text["h1"].strip() == '<b>A & "B"</b>'


def test_the_language_cannot_leave_its_attribute() -> None:
    tree = _render("template.html", title="T", lang='"><script>alert(1)</script>')
    assert tree.all("html")[0]["lang"] == '"><script>alert(1)</script>'


def test_text_becomes_paragraphs_and_trusted_html_stays() -> None:
    assert "<p>a &lt;b&gt;<br>\nc</p>\n<p>d</p>" in PAGES.render("template.html", title="T", body="a <b>\nc\n\nd")
    trusted = TrustedHTML('<p class="mine">a <b>b</b></p>')
    assert '<p class="mine">a <b>b</b></p>' in PAGES.render("template.html", title="T", body=trusted)


def test_writing_from_right_to_left_is_left_to_the_browser() -> None:
    arabic = "مرحبا (world) 123"
    tree = _render(
        "conversation.html", title=arabic, lang="ar", turns=[{"role": "user", "name": arabic, "content": arabic}]
    )
    assert tree.all("html")[0]["lang"] == "ar"
    assert tree.all("h1")[0]["dir"] == "auto"
    assert {one["dir"] for one in tree.all("div") if one.get("class") == "prose"} == {"auto"}
    assert arabic in tree.text["bdi"]


def test_no_variable_may_be_misspelt() -> None:
    with pytest.raises(TemplateVariableError, match="did you mean 'body'"):
        PAGES.render("template.html", title="T", bdy="x")
    with pytest.raises(TemplateVariableError, match="turns: is missing"):
        PAGES.render("conversation.html", title="T")


# --- conversations --------------------------------------------------------------------------------------------------


def test_turns_of_a_conversation() -> None:
    tree = _render("conversation.html", **FULL["conversation.html"])
    articles = tree.all("article")
    assert [(one["class"] or "").split()[1] for one in articles] == [
        "system", "user", "assistant", "assistant", "tool", "other"
    ]  # fmt: skip
    assert articles[1]["id"] == "turn-u-1"
    assert [one["datetime"] for one in tree.all("time")][:2] == ["2026-11-22T15:31:45Z", "2026-11-23T00:00:00"]
    assert "moderator" in tree.text["bdi"]
    assert "2.5 of 5" in tree.text["dd"]
    assert tree.text["mark"].lower().replace("why", "") == ""
    assert "doc-<2>" in tree.text["code"]
    assert "(no text)" not in tree.text["article"]


def test_a_conversation_without_turns() -> None:
    assert "This conversation has no turns yet." in _render("conversation.html", title="T", turns=[]).text["main"]


def test_minimal_turns() -> None:
    tree = _render(
        "conversation.html", title="T", turns=[{"role": "user", "content": "hi"}, {"role": "tool", "content": ""}]
    )
    assert [one["id"] for one in tree.all("article")] == ["turn-1", "turn-2"]
    assert "(no text)" in tree.text["article"]
    assert not tree.all("time")


def test_two_hundred_turns_are_all_there_and_in_order() -> None:
    turns = [
        {"role": "user" if number % 2 else "assistant", "content": f"Turn *{number}* said"} for number in range(200)
    ]
    tree = _render("conversation.html", title="T", turns=turns)
    assert len(tree.all("article")) == 200
    assert re.findall(r"Turn (\d+) said", tree.text["article"]) == [str(number) for number in range(200)]


def test_a_day_is_told_once() -> None:
    turns = [{"role": "user", "content": "x", "created_at": f"2026-11-2{day}T10:0{day}:00"} for day in (2, 2, 3, 3)]
    html = PAGES.render("conversation.html", title="T", turns=turns)
    assert html.count("Sunday, 22 November 2026") == html.count("Monday, 23 November 2026") == 1


@pytest.mark.parametrize("stars", [0, 1, 3, 5, 4.0, 4.5, 2.25])
def test_ratings_of_any_number_are_shown(stars: float) -> None:
    """Ratings are numbers, not only whole ones: ``training_data.positive_rating`` is a float."""
    turns = [{"role": "user", "content": "x", "ratings": [{"stars": stars}]}]
    text = _render("conversation.html", title="T", turns=turns).text["article"]
    assert f"{stars:g} of 5" in text.replace(".0 of 5", " of 5")


def test_a_very_long_content_is_shown_as_it_is() -> None:
    tree = _render("conversation.html", title="T", turns=[{"role": "user", "content": "<x> " * 30_000}])
    assert tree.text["pre"].count("<x>") == 30_000


@dataclass
class _Rating:
    stars: int
    comment: str | None = None


@dataclass
class _Turn:
    role: str
    content: str
    created_at: datetime | None = None
    id: str | None = None
    name: str | None = None
    ratings: list[_Rating] = field(default_factory=list)
    document_ids: tuple[str, ...] = ()


class _RatingModel(BaseModel):
    stars: int
    comment: str | None = None


class _TurnModel(BaseModel):
    role: str
    content: str
    created_at: datetime | None = None
    id: str | None = None
    name: str | None = None
    ratings: list[_RatingModel] = []
    document_ids: tuple[str, ...] = ()


def test_turns_may_be_dicts_dataclasses_or_models() -> None:
    fields: dict[str, Any] = {"role": "user", "content": "hi <b>", "created_at": NOW, "id": "7", "document_ids": ("d",)}
    rating = {"stars": 3, "comment": "ok"}
    given: list[Any] = [
        {**fields, "ratings": [rating], "name": None},
        _Turn(**fields, ratings=[_Rating(**rating)]),
        _TurnModel(**fields, ratings=[_RatingModel(**rating)]),
    ]
    pages = [PAGES.render("conversation.html", title="T", turns=[turn]) for turn in given]
    assert pages[0] == pages[1] == pages[2]
    assert _tree(pages[0]).all("article")[0]["id"] == "turn-7"
    plain = [
        PAGES.render("conversation.html", title="T", turns=[kind(role="user", content="x")])
        for kind in (_Turn, _TurnModel)
    ]
    assert (
        plain[0] == plain[1] == PAGES.render("conversation.html", title="T", turns=[{"role": "user", "content": "x"}])
    )


# --- reports and errors ---------------------------------------------------------------------------------------------


def test_a_report() -> None:
    tree = _render("report.html", **FULL["report.html"])
    assert len(tree.all("table")) == 5
    assert len([one for one in tree.all("a") if str(one["href"]).startswith("#section-")]) == 5
    assert "12\u202f345.5" in tree.text["dd"]
    assert tree.all("section")[0]["class"] == "verdict good"
    assert "yes" in tree.text["td"]
    assert "–" in tree.text["td"]


@pytest.mark.parametrize("tone", ["good", "bad", "neutral", "x y", '"><script>', None, 5])
def test_the_tone_of_a_verdict_is_one_of_three(tone: object) -> None:
    tree = _render("report.html", title="T", verdict={"label": "L", "tone": tone})
    (verdict,) = tree.all("section")
    assert verdict["class"] == f"verdict {tone if tone in {'good', 'bad'} else 'neutral'}"


def test_a_table_without_rows() -> None:
    tree = _render(
        "report.html", title="T", sections=[{"title": "S", "table": {"columns": ["a", "b", "c"], "rows": []}}]
    )
    assert tree.all("td") == [{"class": "muted", "colspan": "3"}]


def test_an_error_page() -> None:
    tree = _render("error.html", **FULL["error.html"])
    assert "Error 404" in tree.text["p"]
    assert tree.text["pre"] == "d\nd"
