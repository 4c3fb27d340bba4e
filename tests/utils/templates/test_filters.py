"""The filters of prompts and pages: exact examples, bounds that always hold, hostile values."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from ragtime.errors import TemplateError
from ragtime.utils.templates import HTMLTemplateManager, PromptManager, TrustedHTML
from ragtime.utils.templates.filters import MAX_MARKDOWN_CHARACTERS, PAGE_FILTERS, PROMPT_FILTERS
from ragtime.utils.tokens import EstimatedTokenCounter

COUNT = EstimatedTokenCounter().count
THIN = "\u202f"
TEXT = st.text(max_size=80)
LONG = st.lists(
    st.sampled_from(["a", "word", "Löwe", "x" * 60, "漢字仮名", "👩‍👩‍👧", "e\u0301", "123456", " ", "\n", "…", "<b>"])
).map("".join)


def _filter(name: str) -> Callable[..., Any]:
    return PAGE_FILTERS[name]


def test_the_filters_that_there_are() -> None:
    assert sorted(PROMPT_FILTERS) == [
        "date",
        "datetime",
        "duration",
        "filesize",
        "isodatetime",
        "number",
        "percent",
        "truncate_tokens",
        "truncate_words",
    ]
    assert sorted(PAGE_FILTERS.keys() - PROMPT_FILTERS.keys()) == ["highlight", "markdown", "paragraphs", "safe_url"]


def test_prompts_and_pages_have_them() -> None:
    assert PromptManager().add({"name": "p", "template": "{{ x|number }} {{ x|percent }}"}).render(x=1234.5) == (
        f"1{THIN}234.5 123{THIN}450.0%"
    )
    pages = HTMLTemplateManager()
    assert (
        pages.render_string("{{ x|number }}|{{ y|truncate_words(1) }}", x=1234, y="<b> c") == f"1{THIN}234|&lt;b&gt;…"
    )
    with pytest.raises(TemplateError, match="markdown"):
        PromptManager().add({"name": "p", "template": "{{ x|markdown }}"})


# --- numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "arguments", "shown"),
    [
        (0, (), "0"),
        (-0.0, (), "0"),
        (999, (), "999"),
        (1000, (), f"1{THIN}000"),
        (-1234567, (), f"-1{THIN}234{THIN}567"),
        (12345.6, (), f"12{THIN}345.6"),
        (2.0, (), "2"),
        (0.1 + 0.2, (), "0.30000000000000004"),
        (1e-7, (), "1e-07"),
        (1e21, (), "1e+21"),
        (1e20, (), THIN.join(["100", *["000"] * 6])),
        (Decimal("1234.50"), (), f"1{THIN}234.5"),
        (math.nan, (), "n/a"),
        (math.inf, (), "∞"),
        (-math.inf, (), "-∞"),
        (math.nan, (2,), "n/a"),
        (1234.567, (2,), f"1{THIN}234.57"),
        (1234, (2,), f"1{THIN}234.00"),
        (-0.001, (2,), "0.00"),
        (0.5, (0,), "0"),
        (1.5, (0,), "2"),
        (10**30, (), THIN.join(["1", *["000"] * 10])),
        (12345678901234567, (0,), THIN.join(["12", "345", "678", "901", "234", "567"])),
    ],
)
def test_numbers(value: object, arguments: tuple[int, ...], shown: str) -> None:
    assert _filter("number")(value, *arguments) == shown


def test_a_large_decimal_is_not_infinite() -> None:
    with pytest.raises(ValueError, match="too large"):
        _filter("number")(Decimal("1e400"))


@given(st.integers(-(10**40), 10**40))
def test_a_whole_number_can_be_read_back(value: int) -> None:
    assert int(_filter("number")(value).replace(THIN, "")) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_can_be_read_back(value: float) -> None:
    assert float(_filter("number")(value).replace(THIN, "")) == value


@given(st.floats(-1e15, 1e15), st.integers(0, 12))
def test_digits_are_as_many_as_asked_for(value: float, digits: int) -> None:
    whole, point, rest = _filter("number")(value, digits).partition(".")
    assert len(rest) == digits
    assert bool(point) == bool(digits)
    assert re.fullmatch(rf"-?\d{{1,3}}(?:{THIN}\d{{3}})*", whole)


@pytest.mark.parametrize("name", ["number", "percent", "filesize", "duration"])
@pytest.mark.parametrize("value", ["1", None, True, [1], b"1", 1j, object()])
def test_what_is_no_number_is_refused(name: str, value: object) -> None:
    with pytest.raises(TypeError, match=r"^Expected a"):
        _filter(name)(value)


@pytest.mark.parametrize("digits", [-1, 21, 10**9])
def test_digits_are_bounded(digits: int) -> None:
    for name in ("number", "percent"):
        with pytest.raises(ValueError, match="from 0 to 20"):
            _filter(name)(1.5, digits)
    with pytest.raises(TypeError):
        _filter("number")(1.5, "2")


@pytest.mark.parametrize(
    ("value", "arguments", "shown"),
    [
        (0, (), "0.0%"),
        (0.125, (), "12.5%"),
        (1, (0,), "100%"),
        (12.5, (0,), f"1{THIN}250%"),
        (-0.5, (0,), "-50%"),
        (math.nan, (), "n/a"),
        (-0.00001, (), "0.0%"),
    ],
)
def test_percentages(value: float, arguments: tuple[int, ...], shown: str) -> None:
    assert _filter("percent")(value, *arguments) == shown


@pytest.mark.parametrize("value", [math.inf, -math.inf, 1e307])
def test_an_infinite_percentage_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        _filter("percent")(value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1023.4, "1023 B"),
        (1023.6, "1.0 KiB"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (1024**2, "1.0 MiB"),
        (3.2 * 1024**3, "3.2 GiB"),
        (1024**4, "1.0 TiB"),
        (1024**5 * 2, f"2{THIN}048.0 TiB"),
    ],
)
def test_sizes(value: float, shown: str) -> None:
    assert _filter("filesize")(value) == shown


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, 10**400])
def test_what_is_no_size_or_duration_is_refused(value: float) -> None:
    for name in ("filesize", "duration"):
        with pytest.raises(ValueError, match=r"^Not a"):
            _filter(name)(value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0 ms"),
        (0.0001, "<1 ms"),
        (0.0004, "<1 ms"),
        (0.045, "45 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (3.21, "3.2 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"),
        (3720, "1 h 02 min"),
        (86399, "1 d 0 h"),
        (86400 * 2 + 3600 * 3, "2 d 3 h"),
        (timedelta(seconds=90), "1 min 30 s"),
        (Decimal("1.5"), "1.5 s"),
    ],
)
def test_durations(value: object, shown: str) -> None:
    assert _filter("duration")(value) == shown


@given(st.floats(0, 1e300))
def test_any_duration_has_one_or_two_units(value: float) -> None:
    shown = _filter("duration")(value)
    pattern = r"<1 ms|\d{1,3} ms|\d{1,2}\.\d s|\d{1,2} min \d\d s|\d{1,2} h \d\d min|\d+ d \d{1,2} h"
    assert re.fullmatch(pattern, shown)
    assert not re.search(r"\b60 (?:s|min)|\b24 h", shown)


def test_the_longest_float_is_a_duration_or_a_value_error() -> None:
    for value in (1e306, 1.7e308):
        try:
            assert _filter("duration")(value).endswith(" h")
        except ValueError:
            continue


# --- dates ----------------------------------------------------------------------------------------------------------

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    ("value", "shown", "with_time", "for_machines"),
    [
        (date(2026, 1, 2), "2026-01-02", "2026-01-02 00:00", "2026-01-02T00:00:00"),
        (datetime(2026, 1, 2, 3, 4, 5), "2026-01-02", "2026-01-02 03:04", "2026-01-02T03:04:05"),  # noqa: DTZ001
        (MOMENT, "2026-01-02", "2026-01-02 01:04 UTC", "2026-01-02T01:04:05Z"),
        ("2026-01-02", "2026-01-02", "2026-01-02 00:00", "2026-01-02T00:00:00"),
        (" 2026-01-02T03:04:05Z\n", "2026-01-02", "2026-01-02 03:04 UTC", "2026-01-02T03:04:05Z"),
        ("2026-01-02T00:30:00+02:00", "2026-01-01", "2026-01-01 22:30 UTC", "2026-01-01T22:30:00Z"),
        (0, "1970-01-01", "1970-01-01 00:00 UTC", "1970-01-01T00:00:00Z"),
        (-1.5, "1969-12-31", "1969-12-31 23:59 UTC", "1969-12-31T23:59:58Z"),
    ],
)
def test_dates(value: object, shown: str, with_time: str, for_machines: str) -> None:
    assert _filter("date")(value) == shown
    assert _filter("datetime")(value) == with_time
    assert _filter("isodatetime")(value) == for_machines


def test_a_year_has_four_digits() -> None:
    assert _filter("date")(date(33, 4, 3)) == "0033-04-03"
    assert _filter("datetime")("0033-04-03T01:02") == "0033-04-03 01:02"
    assert _filter("isodatetime")(date(33, 4, 3)) == "0033-04-03T00:00:00"


@pytest.mark.parametrize(
    ("format", "shown"),
    [
        ("%d.%m.%y", "02.01.26"),
        ("%A, %d %B %Y", "Friday, 02 January 2026"),
        ("%a %b", "Fri Jan"),
        ("%H:%M:%S.%f %p %I", "01:04:05.000678 AM 01"),
        ("%j %U %u %w %V %G", "002 00 5 5 01 2026"),
        ("100%%", "100%"),
        ("", ""),
        ("Ärger <b>", "Ärger <b>"),
        ("%Z", "UTC"),
        ("%z", "+0000"),
    ],
)
def test_formats_of_dates(format: str, shown: str) -> None:  # noqa: A002
    assert _filter("date")(MOMENT, format) == shown


@pytest.mark.parametrize(
    "format",
    [
        "%",
        "%s",
        "%c",
        "%x",
        "%X",
        "%D",
        "%1000000000d",
        "%-d",
        "%Ed",
        "%Od",
        "%d%",
        "%d\n",
        "\0",
        "%n",
        "%t",
        "x" * 101,
        "%\ud800",
    ],
)
def test_hostile_formats_are_refused(format: str) -> None:  # noqa: A002
    for name in ("date", "datetime"):
        with pytest.raises(ValueError, match="Not a date format"):
            _filter(name)(MOMENT, format)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "yesterday",
        "2026-13-01",
        "2026-01-02T25:00",
        "canary" * 1000,
        1e18,
        -1e18,
        math.nan,
        math.inf,
        10**40,
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
    ],
)
@pytest.mark.parametrize("name", ["date", "datetime", "isodatetime"])
def test_what_is_no_date_is_refused_and_not_quoted(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=r"^Not a date: expected ISO 8601 text") as caught:
        _filter(name)(value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("value", [None, True, [2026], b"2026-01-02", timedelta(1), object()])
@pytest.mark.parametrize("name", ["date", "datetime", "isodatetime"])
def test_what_cannot_be_a_date_is_refused(name: str, value: object) -> None:
    with pytest.raises(TypeError, match=r"^Expected a date, text or seconds, found "):
        _filter(name)(value)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_can_be_read_back(moment: datetime) -> None:
    assert datetime.fromisoformat(_filter("isodatetime")(moment)) == moment.replace(microsecond=0)


@given(st.text(max_size=40) | st.floats() | st.integers())
def test_any_value_is_a_date_or_a_value_error(value: object) -> None:
    try:
        shown = _filter("isodatetime")(value)
    except ValueError:
        return
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ?", shown)


# --- cutting texts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "arguments", "shown"),
    [
        ("one two three", (3,), "one two three"),
        ("one two three", (2,), "one two…"),
        ("  one\n\ntwo   three ", (2,), "  one\n\ntwo…"),
        ("one two", (1, ""), "one"),
        ("one two", (1, " [more]"), "one [more]"),
        ("", (1,), ""),
        (Markup("<b>one two</b> &amp; three"), (3,), "one two &…"),
    ],
)
def test_words(text: str, arguments: tuple[Any, ...], shown: str) -> None:
    assert _filter("truncate_words")(text, *arguments) == shown


@given(LONG, st.integers(1, 8))
def test_never_more_words_than_asked_for(text: str, count: int) -> None:
    shown = _filter("truncate_words")(text, count, "")
    assert len(shown.split()) <= count
    assert text.startswith(shown)
    assert shown == text or len(text.split()) > count


@pytest.mark.parametrize(
    ("text", "count", "shown"),
    [
        ("one two three", 3, "one two three"),
        ("one two three", 2, "one…"),
        ("one two three", 1, "…"),
        ("漢字仮名交", 3, "漢字…"),
        ("", 1, ""),
        ("   ", 1, "   "),
    ],
)
def test_tokens(text: str, count: int, shown: str) -> None:
    assert _filter("truncate_tokens")(text, count) == shown


@given(LONG | TEXT, st.integers(1, 40), st.sampled_from(["", "…", " [more]", "x", "漢", "..."]))
def test_never_more_tokens_than_asked_for(text: str, count: int, end: str) -> None:
    if COUNT(end) > count:
        with pytest.raises(ValueError, match="more tokens than"):
            _filter("truncate_tokens")(text, count, end)
        return
    shown = _filter("truncate_tokens")(text, count, end)
    assert COUNT(shown) <= count
    if COUNT(text) <= count:
        assert shown == text
    else:
        assert shown.endswith(end)
        assert text.startswith(shown[: len(shown) - len(end)])


@pytest.mark.parametrize("name", ["truncate_words", "truncate_tokens"])
def test_how_texts_are_cut_is_checked(name: str) -> None:
    cut = _filter(name)
    for count in (0, -1):
        with pytest.raises(ValueError, match="1 or more"):
            cut("x", count)
    for value, count in ((1, 1), (None, 1), ("x", "1"), ("x", True), ("x", 1.5)):
        with pytest.raises(TypeError):
            cut(value, count)
    with pytest.raises(ValueError, match="at most 100"):
        cut("x", 1000, "x" * 101)


# --- HTML -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "terms", "shown"),
    [
        ("a cat and a Cat", "cat", "a <mark>cat</mark> and a <mark>Cat</mark>"),
        ("concatenate", "cat", "concatenate"),
        ("<b> & cat", "b cat", "&lt;<mark>b</mark>&gt; &amp; <mark>cat</mark>"),
        ("amp & lt", "amp lt", "<mark>amp</mark> &amp; <mark>lt</mark>"),
        ("new york city", ["new york", "york"], "<mark>new york</mark> city"),
        ("why?", "Why? (really)", "<mark>why</mark>?"),
        ("a.b", ".*", "a.b"),
        ("x", "", "x"),
        ("x", [], "x"),
        ("x", ["", " "], "x"),
        ("Straße", "straße", "<mark>Straße</mark>"),
        (Markup("<i>cat</i> &amp; <script>"), "cat", "<mark>cat</mark> &amp; "),
    ],
)
def test_highlighting(text: str, terms: object, shown: str) -> None:
    assert _filter("highlight")(text, terms) == shown


@given(TEXT, TEXT | st.lists(TEXT, max_size=5))
def test_highlighting_adds_marks_alone(text: str, terms: object) -> None:
    shown = _filter("highlight")(text, terms)
    assert isinstance(shown, Markup)
    bare = str(shown).replace("<mark>", "").replace("</mark>", "")
    assert "<" not in bare
    assert ">" not in bare
    assert html.unescape(bare) == text
    assert shown.count("<mark>") == shown.count("</mark>")


def test_highlighting_is_bounded() -> None:
    words = [f"w{number}" for number in range(60)]
    assert str(_filter("highlight")(" ".join(words), words)).count("<mark>") == 50
    assert _filter("highlight")("a" * 101, "a" * 101) == "a" * 101
    for terms in (5, None, [1], {"a"}):
        with pytest.raises(TypeError):
            _filter("highlight")("x", terms)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        (" \n\n ", ""),
        ("a", "<p>a</p>"),
        ("a\nb", "<p>a<br>\nb</p>"),
        ("a\n\n \n\nb\r\nc", "<p>a</p>\n<p>b<br>\nc</p>"),
        ("<b>&'\"", "<p>&lt;b&gt;&amp;&#39;&#34;</p>"),
    ],
)
def test_paragraphs(text: str, shown: str) -> None:
    assert _filter("paragraphs")(text) == shown
    assert _filter("paragraphs")(TrustedHTML(f"<i>{text}</i>")) == f"<i>{text}</i>"


@given(TEXT)
def test_paragraphs_keep_every_line(text: str) -> None:
    shown = str(_filter("paragraphs")(text))
    lines = [html.unescape(line) for line in re.split(r"<p>|</p>\n?|<br>\n", shown) if line]
    assert not re.search(r"<(?!p>|/p>|br>)", shown)
    assert lines == [line for line in text.splitlines() if line.strip()]


# --- addresses ------------------------------------------------------------------------------------------------------


def _scheme(url: str) -> str | None:
    """Read the scheme of an address as a browser does: https://url.spec.whatwg.org/#concept-basic-url-parser."""
    plain = url.strip("".join(map(chr, range(0x21))))
    plain = re.sub(r"[\t\n\r]", "", plain)
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", plain)
    return found[1].lower() if found else None


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a?b=c#d",
        "HTTP://example.org",
        "mailto:ann@example.org",
        "/a/b:c",
        "a/b.html",
        "?q=a:b",
        "#a:b",
        "../x",
        "file.txt",
        "ä/ö",
    ],
)
def test_harmless_addresses_stay(url: str) -> None:
    assert _filter("safe_url")(url) == url


DANGEROUS = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " \x01javascript:alert(1)",
    "java\nscript:alert(1)",
    "java\tscript\r:alert(1)",
    "\x00javascript:alert(1)",
    "javascript\n:alert(1)",
    "javascript://example.org/%0aalert(1)",
    "vbscript:x",
    "data:text/html,<script>",
    "file:///etc/passwd",
    "blob:x",
    "//evil.example",
    "\\\\evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "/\n/evil.example",
    " //evil.example",
    "ftp://x",
    "unknown:x",
    ":x",
    "",
    " ",
]


@pytest.mark.parametrize("url", DANGEROUS)
def test_dangerous_addresses_go(url: str) -> None:
    assert _filter("safe_url")(url) == "#"
    shown = HTMLTemplateManager().render_string('<a href="{{ x|safe_url }}">', x=url)
    assert shown == '<a href="#">'


@given(
    st.lists(st.sampled_from([*"java script data http https &#58;".split(), *":/\\\t\n \x00a@?#."])).map("".join)
    | st.text(max_size=30)
)
def test_no_address_leads_to_another_scheme_or_host_by_the_way(url: str) -> None:
    shown = _filter("safe_url")(url)
    assert _scheme(shown) in {None, "http", "https", "mailto"}
    assert not re.match(r"[\\/]{2}", re.sub(r"[\t\n\r]", "", shown).strip("".join(map(chr, range(0x21)))))
    assert shown == "#" or shown in re.sub(r"[\t\n\r]", "", url)


@pytest.mark.parametrize("value", [1, None, b"x", ["x"]])
def test_what_is_no_text_is_refused(value: object) -> None:
    for name in ("safe_url", "paragraphs", "markdown"):
        with pytest.raises(TypeError, match="Expected text, found"):
            _filter(name)(value)
    with pytest.raises(TypeError, match="Expected text, found"):
        _filter("highlight")(value, "x")


# --- Markdown -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("a *b* **c** `d` ~~e~~", "<p>a <em>b</em> <strong>c</strong> <code>d</code> <s>e</s></p>\n"),
        ("a\nb  \nc", "<p>a\nb<br>\nc</p>\n"),
        ("# A\n## B\n### C\n###### F", "<h3>A</h3>\n<h4>B</h4>\n<h5>C</h5>\n<h6>F</h6>\n"),
        ("A\n===\nB\n---", "<h3>A</h3>\n<h4>B</h4>\n"),
        ("<b>x</b>", "<p>&lt;b&gt;x&lt;/b&gt;</p>\n"),
        ("![alt text](https://example.org/x.png)", "<p>alt text</p>\n"),
        ("![a<b](x.png)", "<p>a&lt;b</p>\n"),
        ("3. x\n4. y", '<ol start="3">\n<li>x</li>\n<li>y</li>\n</ol>\n'),
        (
            '[x](https://example.org "t")',
            '<p><a href="https://example.org" title="t" rel="noopener noreferrer nofollow">x</a></p>\n',
        ),
        ("[x](/a?b=c#d)", '<p><a href="/a?b=c#d" rel="noopener noreferrer nofollow">x</a></p>\n'),
        ("https://example.org", "<p>https://example.org</p>\n"),
        ("{{ 7 * 7 }}", "<p>{{ 7 * 7 }}</p>\n"),
        (
            "| a | b |\n|:--|--:|\n| 1 | 2 |",
            (
                '<div class="scroll"><table>\n<thead>\n<tr>\n<th style="text-align:left">a</th>\n'
                '<th style="text-align:right">b</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n'
                '<td style="text-align:left">1</td>\n'
                '<td style="text-align:right">2</td>\n</tr>\n</tbody>\n</table></div>\n'
            ),
        ),
    ],
)
def test_markdown(text: str, shown: str) -> None:
    assert _filter("markdown")(text) == shown


def test_the_description_of_an_image_is_its_plain_text() -> None:
    """https://spec.commonmark.org/0.31.2/#image-description: rendered without its marks."""
    assert _filter("markdown")("![alt *text*](x.png)") == "<p>alt text</p>\n"


XSS = [
    "<script>alert(1)</script>",
    "<ScRiPt src=//evil.example></sCrIpT>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img src onerror=alert(1)>",
    "<style>@import 'https://evil.example';</style>",
    "<iframe src=javascript:alert(1)>",
    "<object data=javascript:alert(1)>",
    "<form action=javascript:alert(1)><button>x",
    "<a href=javascript:alert(1)>x</a>",
    "<details open ontoggle=alert(1)>",
    "<base href=//evil.example>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?php alert(1) ?>",
    "[x](javascript:alert(1))",
    "[x](JAVASCRIPT:alert(1))",
    "[x]( javascript:alert(1))",
    "[x](<javascript:alert(1)>)",
    "[x](<java\tscript:alert(1)>)",
    "[x](javascript&colon;alert(1))",
    "[x](javascript&#58;alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](java%0ascript:alert(1))",
    "[x](\\javascript:alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](vbscript:alert(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "[x](data:image/svg+xml;base64,PHN2Zz4=)",
    "[x](data:image/png;base64,AAAA)",
    "[x](//evil.example)",
    "[x](\\\\evil.example)",
    "[x](/\\evil.example)",
    "[x](file:///etc/passwd)",
    "<javascript:alert(1)>",
    "<data:text/html,x>",
    '<mailto:x" onclick="alert(1)>',
    "[x]\n\n[x]: javascript:alert(1)",
    "[x](https://example.org \"' onmouseover='alert(1)\")",
    "[x](https://example.org '\" onmouseover=\"alert(1)')",
    '[x](https://example.org" onmouseover="alert(1))',
    "![x](javascript:alert(1))",
    '![x" onerror="alert(1)](y)',
    "![x](https://evil.example/pixel.png)",
    "![![x](y)](z)",
    "[![x](y)](javascript:alert(1))",
    '```" onmouseover="alert(1)\nx\n```',
    "```<script>\nx\n```",
    "~~~ js onload=alert(1)\n<script>alert(1)</script>\n~~~",
    "| a |\n|---|\n| <script>alert(1)</script> |",
    '| a |\n|:---" onclick="x|\n| b |',
    "# <script>alert(1)</script>",
    "> <script>alert(1)</script>",
    "* <img src=x onerror=alert(1)>",
    "`<script>alert(1)</script>`",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "a\x00<script\x00>alert(1)</script>",
    "<x\u2028onclick=alert(1)>",
    "\ud800<script>alert(1)</script>\udfff",
    "[\ud800](https://example.org/\udc00)",
    "\u202ejavascript:alert(1)",
]
TAGS = set("a blockquote br code div em h3 h4 h5 h6 hr li ol p pre s strong table tbody td th thead tr ul".split())


class _Parsed(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.comments: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    handle_decl = handle_pi = unknown_decl = handle_comment


def _check_harmless(shown: str) -> None:
    parsed = _Parsed(shown)
    assert parsed.comments == []
    for tag, attributes in parsed.tags:
        assert tag in TAGS
        allowed = {"a": {"href", "title", "rel"}, "ol": {"start"}, "div": {"class"}, "td": {"style"}, "th": {"style"}}
        assert attributes.keys() <= allowed.get(tag, set())
        if tag == "a" and "href" in attributes:
            assert _scheme(attributes["href"] or "") in {None, "http", "https", "mailto"}
            assert not re.match(r"\s*[\\/]{2}", attributes["href"] or "")
            assert attributes["rel"] == "noopener noreferrer nofollow"
        assert attributes.get("class") in {None, "scroll"}
        assert attributes.get("style") in {None, "text-align:left", "text-align:right", "text-align:center"}
    shown.encode()


@pytest.mark.parametrize("text", XSS)
def test_markdown_leaves_nothing_that_acts(text: str) -> None:
    for variant in (text, f"a {text} b", f"> {text}", f"* {text}", f"| a |\n|---|\n| {text} |", f"[{text}](x)"):
        _check_harmless(_filter("markdown")(variant))


@given(
    st.lists(
        st.sampled_from([*XSS, "\n", "\n\n", " ", "*", "**", "`", "[", "](", ")", "<", ">", "|", "&", "#", '"', "'"]),
        max_size=8,
    ).map("".join)
)
def test_mixtures_of_payloads_are_harmless(text: str) -> None:
    _check_harmless(_filter("markdown")(text))


@given(st.text(max_size=200))
def test_any_text_is_harmless_markdown(text: str) -> None:
    _check_harmless(_filter("markdown")(text))


def test_markdown_shows_no_image() -> None:
    shown = _filter("markdown")("![x](y) <img src=z> [![a](b)](https://example.org)")
    assert "img" not in {tag for tag, _ in _Parsed(shown).tags}
    assert "<p>x " in shown


def test_markdown_that_is_deep_or_long_is_bounded() -> None:
    deep = _filter("markdown")("> " * 500 + "x")
    assert deep.count("<blockquote>") <= 20
    for text in ("[" * 5000, "*a " * 5000, "`" * 5000, "<" * 5000, "- " * 3000, "|" * 3000):
        _check_harmless(_filter("markdown")(text))
    with pytest.raises(ValueError, match="at most 100000 are rendered"):
        _filter("markdown")("x" * (MAX_MARKDOWN_CHARACTERS + 1))


def test_trusted_html_is_left_as_it_is() -> None:
    assert _filter("markdown")(TrustedHTML("<b onclick=x>")) == "<b onclick=x>"


def test_a_filter_in_a_template_quotes_no_value() -> None:
    pages = HTMLTemplateManager()
    for call in ("date", "number", "duration", "markdown", "safe_url", "truncate_tokens(5)", "highlight('x')"):
        with pytest.raises(TemplateError, match="line 2") as caught:
            pages.render_string(f"\n{{{{ x|{call} }}}}", x=["canary"])
        assert "canary" not in str(caught.value)
