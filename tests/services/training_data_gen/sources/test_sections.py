"""Sections of Markdown and HTML, and dividing what is too long."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.services.training_data_gen.sources.html_text import is_html, plain_text
from ragtime.services.training_data_gen.sources.passages import divide
from ragtime.services.training_data_gen.sources.sections import html_sections, markdown_sections, slug_of

MARKDOWN = """---
title: "Help"
layout: page
---
Before any heading.

# Returns

Free for 30 days.

## How `long` does *it* take? {#how-long}

- one
- two

```sh
# no heading
```

> # quoted

Setext
------
Under it.

### Deep

#### Deeper
Down here.
"""


def test_markdown_is_divided_by_its_headings() -> None:
    found = markdown_sections(MARKDOWN)
    assert found.title == "Help"
    assert [(one.headings, one.slug) for one in found.sections] == [
        ((), "top"),
        (("Returns",), "returns"),
        (("Returns", "How long does it take?"), "how-long"),
        (("Returns", "Setext"), "setext"),
        (("Returns", "Setext", "Deep", "Deeper"), "deeper"),
    ]
    assert found.sections[2].text.startswith("- one\n- two")
    assert "# no heading" in found.sections[2].text
    assert found.sections[2].text.endswith("> # quoted")


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_a_section_stands_in_the_file_where_it_says(line_break: str) -> None:
    text = MARKDOWN.split("---\n", 2)[2].replace("\n", line_break)
    found = markdown_sections(text)
    assert len(found.sections) == 5
    for section in found.sections:
        assert section.start is not None
        assert text[section.start : section.start + len(section.text)] == section.text


def test_headings_of_one_name_have_different_slugs() -> None:
    text = "# A\none\n# A\ntwo\n# A-1\nthree\n# A\nfour\n"
    assert [one.slug for one in markdown_sections(text).sections] == ["a", "a-1", "a-1-1", "a-2"]


@pytest.mark.parametrize(("heading", "slug"), [("How long?", "how-long"), ("Über uns", "über-uns"), ("!?", "section")])
def test_slugs_are_those_of_hosts_of_markdown(heading: str, slug: str) -> None:
    assert slug_of(heading) == slug


@settings(max_examples=150)
@given(st.text(alphabet="# \n\r-=>`{}ab.", max_size=80))
def test_no_word_of_markdown_is_lost_but_for_headings(text: str) -> None:
    found = markdown_sections(text)
    end = 0
    for section in found.sections:
        assert section.text.strip()
        assert section.start is not None
        assert section.start >= end
        end = section.start + len(section.text)
        assert text[section.start : end] == section.text
    assert len({one.slug for one in found.sections}) == len(found.sections)


HTML = """<!doctype html><html><head><title>Shop &amp; more</title><style>p {color: red}</style></head><body>
<nav><ul><li>Home</li></ul></nav><script>if (a < b) alert("x")</script>
<p>Before.</p>
<h1 id="ret">Returns</h1><p>Free for<br>30&nbsp;days.</p><ul><li>one</li><li><p>two</p></li><li></li></ul>
<h2>Prices</h2><table><tr><th>Kind</th><th>Price</th></tr><tr><td><p>Small</p></td><td>3</td></tr></table>
<pre>
a  = 1
  b
</pre>
<h3>Empty</h3></body></html>"""


def test_html_is_divided_by_its_headings() -> None:
    found = html_sections(HTML)
    assert found.title == "Shop & more"
    assert [(one.headings, one.slug, one.text) for one in found.sections] == [
        ((), "top", "Before."),
        (("Returns",), "ret", "Free for\n30 days.\n\n- one\n- two"),
        (("Returns", "Prices"), "prices", "Kind | Price\nSmall | 3\n\na  = 1\n  b"),
    ]


@pytest.mark.parametrize("text", ["a List<int> b", "replace <your-name>", "1 < 2 and 3 > 2", "plain", "<see below>"])
def test_angle_brackets_alone_are_no_html(text: str) -> None:
    assert not is_html(text)


@pytest.mark.parametrize("text", ["<p>x</p>", "a<br>b", "a<br/>b", "<b>x</b>", "<P CLASS='y'>x", "<ul><li>x</ul>"])
def test_tags_are_html(text: str) -> None:
    assert is_html(text)


@settings(max_examples=150)
@given(
    st.lists(
        st.sampled_from(["<p>", "</p>", "<li>", "<td>", "</nav>", "<nav>", "<h2>", "<![x", "<!--", "&lt;", "a b", "<"])
    )
)
def test_any_html_gives_text_or_a_value_error(parts: list[str]) -> None:
    try:
        text = plain_text("".join(parts))
    except ValueError:
        return
    assert text == text.strip()


def test_html_that_nobody_can_parse_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="cannot be parsed"):
        plain_text("<p>a</p><![unknown[ b ]]>")


WORDS = st.lists(st.text(alphabet="ab.!?\u3002", min_size=1, max_size=12), min_size=1, max_size=60)
SPACES = st.sampled_from([" ", "\n", "\n\n", ". ", "  \n \n"])


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.text(alphabet="abc.!", min_size=1, max_size=12), SPACES), min_size=1, max_size=60),
    st.integers(1, 50),
)
def test_parts_hold_every_word_whole_and_none_is_too_long(pieces: list[tuple[str, str]], limit: int) -> None:
    text = "".join(word + space for word, space in pieces).strip()
    spans = divide(text, limit)
    parts = [text[start:end] for start, end in spans]
    assert " ".join(parts).split() == text.split()
    assert all(part == part.strip() for part in parts)
    assert all(len(part) <= limit or len(part.split()) == 1 for part in parts)
    assert [end for _, end in spans] == sorted({end for _, end in spans})


def test_text_is_divided_at_paragraphs_before_sentences_before_words() -> None:
    assert _parts("One two. Three\n\nfour five", 20) == ["One two. Three", "four five"]
    assert _parts("One two three. Four five six seven", 20) == ["One two three.", "Four five six seven"]
    assert _parts("one two three four five six", 20) == ["one two three four", "five six"]
    assert _parts("\u4e00\u4e8c\u3002\u4e09\u56db\u3002\u4e94", 4) == ["\u4e00\u4e8c\u3002", "\u4e09\u56db\u3002\u4e94"]


def _parts(text: str, limit: int) -> list[str]:
    return [text[start:end] for start, end in divide(text, limit)]
