"""Compiling once, rendering side by side, streaming, and what the filters write."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from ragtime.config.settings import Settings
from ragtime.errors import InvalidArgumentError, TemplateError, TemplateVariableError
from ragtime.utils.templates import HTMLTemplateManager, PromptManager, TemplateManager, TrustedHTML
from ragtime.utils.templates.engine import Source, TemplateCache, TemplateEngine
from ragtime.utils.templates.engine.limits import current

PROMPTS = TemplateEngine(autoescape=False)
PAGES = TemplateEngine(autoescape=True)


def write(source: str, **values: object) -> str:
    return PROMPTS.render(Source("t", source), values)


# --- the cache ------------------------------------------------------------------------------------------------------


def test_a_thousand_renderings_compile_once() -> None:
    cache = TemplateCache(10)
    engine = TemplateEngine(autoescape=False, cache=cache)
    for number in range(1000):
        assert engine.render(Source("t", "{{ n }}"), {"n": number}) == str(number)
    assert (cache.compiled, len(cache)) == (1, 1)


def test_managers_compile_once() -> None:
    templates = TemplateManager()
    templates.prompts.add({"name": "p", "template": "{{ x }}{% include 'a' %}", "partials": {"a": "{{ x }}"}})
    for _ in range(100):
        assert templates.get_prompt("p", x=1) == "11"
        templates.render("template.html", title="a")
        templates.render_string("{{ x }}", x=1)
    before = templates.cache.compiled
    templates.get_prompt("p", x=1)
    templates.render("template.html", title="b")
    assert templates.cache.compiled == before < 10


def test_the_cache_is_bounded_and_forgets_the_least_recently_used() -> None:
    cache = TemplateCache(5)
    engine = TemplateEngine(autoescape=False, cache=cache)
    kept = Source("kept", "kept")
    for number in range(200):
        assert engine.render(Source("t", f"{number}"), {}) == str(number)
        assert engine.render(kept, {}) == "kept"
        assert len(cache) <= 5
    assert cache.compiled == 201
    cache.clear()
    assert len(cache) == 0
    assert engine.render(kept, {}) == "kept"
    assert cache.compiled == 202


def test_two_thousand_sources_leave_as_many_as_the_cache_holds() -> None:
    cache = TemplateCache(16)
    made: list[int] = []
    for number in range(2000):
        cache.get((number,), lambda number=number: made.append(number))  # type: ignore[misc, arg-type, return-value]
    assert len(cache) == 16
    assert made == list(range(2000))


def test_the_same_text_under_another_name_is_another_template() -> None:
    for name in ("a", "b"):
        with pytest.raises(TemplateError, match=f"Template '{name}'"):
            PROMPTS.render(Source(name, "{{ x.y.z }}"), {"x": {}})


def test_engines_that_share_a_cache_do_not_share_templates() -> None:
    cache = TemplateCache(10)
    source = Source("t", "{{ x|mine }}")
    engines = [
        TemplateEngine(autoescape=escape, cache=cache, filters=lambda mark=mark: {"mine": lambda _: mark})  # type: ignore[misc]
        for escape, mark in ((False, "<1>"), (False, "<2>"), (True, "<3>"))
    ]
    assert [engine.render(source, {"x": 1}) for engine in engines] == ["<1>", "<2>", "&lt;3&gt;"]


def test_a_source_that_failed_is_not_kept() -> None:
    cache = TemplateCache(10)
    engine = TemplateEngine(autoescape=False, cache=cache)
    for _ in range(2):
        with pytest.raises(TemplateError):
            engine.compile(Source("t", "{{"))
    assert (cache.compiled, len(cache)) == (0, 0)


def test_sixteen_threads_compile_once() -> None:
    cache = TemplateCache(10)
    engine = TemplateEngine(autoescape=False, cache=cache)
    start = threading.Barrier(16)

    def run(number: int) -> str:
        start.wait()
        return engine.render(Source("t", "{% for i in l %}{{ i }}{% endfor %}" * 20), {"l": [number]})

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(run, range(16))) == [str(number) * 20 for number in range(16)]
    assert cache.compiled == 1


# --- side by side ---------------------------------------------------------------------------------------------------

MIXED = "{% for i in l %}{{ i|upper }}{% include 'part' %}{% endfor %}"


def mixed(mark: str) -> str:
    def lookup(name: str) -> Source:
        assert name == "part"
        return Source("part", f"[{mark}{{{{ i }}}}]")

    return PROMPTS.render(Source("t", MIXED), {"l": [mark] * 50}, lookup)


def test_threads_do_not_see_each_other() -> None:
    marks = [f"m{number}" for number in range(8)] * 20
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(mixed, marks)) == [f"{mark.upper()}[{mark}{mark}]" * 50 for mark in marks]


def test_tasks_do_not_see_each_other() -> None:
    async def consume(mark: str) -> str:
        pieces = PAGES.stream(Source("t", "{% for i in l %}{{ i|e }}{% endfor %}"), {"l": [mark * 1000] * 50})
        kept = []
        for piece in pieces:
            kept.append(piece)
            await asyncio.sleep(0)
        return "".join(kept)

    async def all_of_them() -> list[str]:
        return await asyncio.gather(*(consume(mark) for mark in "abcdefgh"))

    assert asyncio.run(all_of_them()) == [mark * 50_000 for mark in "abcdefgh"]


def test_a_rendering_inside_a_rendering_has_its_own_account() -> None:
    settings = Settings.isolated(templates__max_steps=300)
    pages = HTMLTemplateManager(settings=settings)
    pages.register_filter(
        "inner", lambda value: pages.render_string("{% for i in x %}{{ i }}{% endfor %}", x=[value] * 200)
    )
    assert pages.render_string("{% for i in x %}{{ i|inner }}{% endfor %}", x=[1] * 20) == "1" * 4000


def test_no_account_is_left_behind() -> None:
    write("{{ x }}", x=1)
    with pytest.raises(TemplateError):
        write("{{ x.y.z }}", x={})
    stream = PAGES.stream(Source("t", "{{ x }}"), {"x": "a"})
    next(stream)
    assert current.get(None) is None


# --- streams --------------------------------------------------------------------------------------------------------

LONG = Source("long", "{% for i in l %}{{ i|upper }}{% endfor %}")


def stream(mark: str, count: int = 100) -> Iterator[str]:
    return PAGES.stream(LONG, {"l": [mark * 1000] * count})


def test_the_pieces_of_a_stream_make_the_whole(tmp_path: Path) -> None:
    (tmp_path / "p.html").write_text("{% for i in l %}<p>{{ i }}</p>{% endfor %}\n")
    pages = HTMLTemplateManager(tmp_path)
    values = {"l": ["<&>" * 500] * 100}
    pieces = list(pages.stream("p.html", **values))
    assert len(pieces) > 5
    assert "".join(pieces) == pages.render("p.html", **values)


def test_two_streams_of_one_thread_take_turns() -> None:
    first, second = stream("a"), stream("b")
    kept: dict[str, str] = {"a": "", "b": ""}
    for one, other in zip(first, second, strict=True):
        kept["a"] += one
        kept["b"] += other
        assert write("{{ x|upper }}", x="c") == "C"
    assert kept == {"a": "A" * 100_000, "b": "B" * 100_000}


def test_a_stream_may_be_left_half_way() -> None:
    left = stream("a")
    assert next(left).startswith("A")
    left.close()  # type: ignore[attr-defined]
    assert "".join(stream("b")) == "B" * 100_000
    forgotten = stream("c")
    next(forgotten)
    del forgotten
    assert current.get(None) is None


def test_a_stream_may_go_on_in_another_thread() -> None:
    pieces = stream("a")
    first = next(pieces)
    with ThreadPoolExecutor(1) as pool:
        rest = pool.submit(lambda: "".join(pieces)).result()
    assert first + rest == "A" * 100_000


def test_the_variables_of_a_stream_are_checked_before_it_begins(tmp_path: Path) -> None:
    (tmp_path / "p.html").write_text("{# variables: a #}{{ a }}")
    pages = HTMLTemplateManager(tmp_path)
    with pytest.raises(TemplateVariableError):
        pages.stream("p.html", b=1)
    with pytest.raises(TemplateVariableError):
        pages.stream("p.html", a=object())


# --- what is written ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ none }}", ""),
        ("{{ x }}", ""),
        ("{{ [none] }}", "[None]"),
        ("{{ true }}", "True"),
        ("{{ 1.0 }}", "1.0"),
        ("a\n", "a\n"),
        ("a\n\n", "a\n\n"),
        ("\n{{ 1 }}\n", "\n1\n"),
        ("{% if true %}\na\n{% endif %}\n", "\na\n\n"),
        ("{{ 'a' ~ none ~ 1 }}", "aNone1"),
        ("{{ x ~ '' }}", "None"),
        ("{{ d }}", "2026-01-02"),
        ("{{ n }}", "1.50"),
        ("{{ n + 1 }}", "2.50"),
        ("{{ l }}", "[1, 'a']"),
        ("{{ m }}", "{'k': 'v'}"),
        ("{{ m.k }}", "v"),
        ("{{ m['k'] }}", "v"),
        ("{{ m.items()|list }}", "[('k', 'v')]"),
        ("{{ own.items }}", "data"),
        ("{{ own.get }}", "1"),
        ("{{ l[1] }}", "a"),
        ("{{ l[-1] }}{{ l[0:1] }}{{ 'abc'[::-1] }}", "a[1]cba"),
        ("{{ d.year }}", "2026"),
        ("{{ 'a b'.split() }}", "['a', 'b']"),
        ("{{ ', '.join(['a', 'b']) }}", "a, b"),
        ("{{ 'a'.center(3) }}|", " a |"),
        ("{{ '7'.zfill(3) }}", "007"),
        ("{{ 'aXa'.replace('X', '-') }}", "a-a"),
        ("{{ 'a'|center(3) }}|", " a |"),
        ("{{ 'a\nb'|indent }}", "a\n    b"),
        ("{{ 'a\nb'|indent('> ', true) }}", "> a\n> b"),
        ("{{ '%s-%05.1f' % ('a', 1.25) }}", "a-001.2"),
        ("{{ '%s'|format('a') }}", "a"),
        ("{{ '%(a)s %%' % {'a': 1} }}", "1 %"),
        ("{{ [3, 1, 2]|sort }}", "[1, 2, 3]"),
        ("{{ ['b', 'A']|sort|join }}", "Ab"),
        ("{{ [1, 1, 2]|unique|list }}", "[1, 2]"),
        ("{{ [1, 2, 3]|batch(2)|list }}", "[[1, 2], [3]]"),
        ("{{ [1, 2, 3]|slice(2)|list }}", "[[1, 2], [3]]"),
        ("{{ [1, 2]|sum }}", "3"),
        ("{{ [{'a': 1}]|sum(attribute='a') }}", "1"),
        ("{{ [{'a': 'x'}]|map(attribute='a')|join }}", "x"),
        ("{{ [{'a': 1}, {}]|selectattr('a')|list }}", "[{'a': 1}]"),
        ("{% for k, g in [{'a': 1}]|groupby('a') %}{{ k }}{{ g }}{% endfor %}", "1[{'a': 1}]"),
        ("{{ {'b': 1, 'a': 2}|dictsort }}", "[('a', 2), ('b', 1)]"),
        ("{{ 2.567|round(1) }}", "2.6"),
        ("{{ 3|round }}", "3.0"),
        ("{{ 'a b c'|wordwrap(3) }}", "a b\nc"),
        ("{{ '<b>x</b>'|striptags }}", "x"),
        ("{{ 2 ** 10 }}{{ 7 % 3 }}{{ 7 // 2 }}{{ 'a' * 3 }}{{ [1] * 2 }}", "102413aaa[1, 1]"),
        ("{{ [1] + [2] }}", "[1, 2]"),
        ("{{ range(3)|list }}", "[0, 1, 2]"),
        ("{% for i in range(2) %}{{ loop.index }}{{ loop.last }}{% endfor %}", "1False2True"),
        ("{% for i in [1, 2, 3] %}{{ loop.cycle('a', 'b') }}{% endfor %}", "aba"),
        ("{% for i in [1, 1] %}{{ loop.changed(i) }}{% endfor %}", "TrueFalse"),
        ("{% for i in [[1, [2]]] recursive %}{{ loop(i) if i is iterable else i }}{% endfor %}", "12"),
        ("{{ 'ß'.upper() }}", "SS"),
        ("{{ 'a' if m.nothing else 'b' }}", "b"),
        ("{{ m.nothing|default('z') }}", "z"),
        ("{{ m.nothing is defined }}", "False"),
        ("{% if m.nothing %}a{% else %}b{% endif %}", "b"),
        ("{{ not m.nothing }}", "True"),
        ("{{ m.nothing or 'z' }}", "z"),
        ("{% if m.nothing and l %}a{% endif %}", ""),
        ("{{ dict(a=1) }}", "{'a': 1}"),
        ("{% set n = namespace(a=1) %}{% set n.a = 2 %}{{ n.a }}", "2"),
        ("{{ 'é🙂'|tojson }}", '"é🙂"'),
        ("{{ {'a': ['<', '&', \"'\"]}|tojson }}", """{"a": ["<", "&", "'"]}"""),
        ("{{ d|tojson }}", '"2026-01-02"'),
        ("{{ n|tojson }}", '"1.50"'),
        ("{{ [1]|tojson(indent=2) }}", "[\n  1\n]"),
    ],
)
def test_what_a_template_writes(source: str, text: str) -> None:
    values = {
        "x": None,
        "d": date(2026, 1, 2),
        "n": Decimal("1.50"),
        "l": [1, "a"],
        "m": {"k": "v"},
        "own": {"items": "data", "get": 1},
    }
    assert write(source, **values) == text


def test_json_in_a_page_may_stand_in_a_script() -> None:
    written = PAGES.render(Source("t", "{{ x|tojson }}"), {"x": ["</script>", "&", "'"]})
    assert written == '["\\u003c/script\\u003e", "\\u0026", "\\u0027"]'


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ x }}", "&lt;b&gt;"),
        ("{{ t }}", "<i>"),
        ("{{ [x] }}", "[&#39;&lt;b&gt;&#39;]"),
        ("{{ x|safe }}", "<b>"),
        ("{{ t ~ x }}", "<i>&lt;b&gt;"),
        ("{{ t + x }}", "&lt;i&gt;&lt;b&gt;"),
        ("{{ t|upper }}", "&lt;I&gt;"),
        ("{{ x|e }}", "&lt;b&gt;"),
        ("{{ x|e|e }}", "&lt;b&gt;"),
        ("{{ none }}", ""),
        ("<b>", "<b>"),
        ("{{ '<b>' }}", "&lt;b&gt;"),
        ("{% set y %}<u>{{ x }}</u>{% endset %}{{ y }}", "<u>&lt;b&gt;</u>"),
        ("{{ t|e }}", "<i>"),
        ("{{ t|tojson }}", '"\\u003ci\\u003e"'),
        ("{% macro m(v) %}<u>{{ v }}</u>{% endmacro %}{{ m(x) }}", "<u>&lt;b&gt;</u>"),
        ("{{ x|length }}{{ t|length }}", "33"),
        ("{% filter upper %}<u>{{ x }}{% endfilter %}", "<U>&LT;B&GT;"),
        ("{{ t.upper() }}", "&lt;I&gt;"),
    ],
)
def test_what_a_page_escapes(source: str, text: str) -> None:
    assert HTMLTemplateManager().render_string(source, x="<b>", t=TrustedHTML("<i>")) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{% include 'gone.html' ignore missing %}a", "a"),
        ("{% include ['gone.html', 'here.html'] %}", "here"),
        ("{% include ['gone.html', 'away.html'] ignore missing %}a", "a"),
        ("{% include 'here.html' ignore missing %}", "here"),
    ],
)
def test_an_include_may_be_missing_where_the_template_says_so(tmp_path: Path, source: str, text: str) -> None:
    (tmp_path / "here.html").write_text("here")
    assert HTMLTemplateManager(tmp_path).render_string(source) == text


def test_values_of_examples_are_plain_data() -> None:
    prompts = PromptManager()
    made = prompts.add(
        {"name": "p", "template": "{{ examples[0].a.items }}{{ examples[0].a }}", "examples": [{"a": {"items": "b"}}]}
    )
    assert made.render() == "b{'items': 'b'}"
    told = prompts.add(
        {
            "name": "q",
            "template": "{{ examples }}",
            "example_template": "{{ a.k }}{{ a }}",
            "examples": [{"a": {"k": 1}}],
        }
    )
    assert told.render() == "1{'k': 1}"


def test_filters_of_the_application_take_part() -> None:
    pages = HTMLTemplateManager()
    pages.register_filter("loud", lambda value, mark="!": f"{value}{mark}")
    assert pages.render_string("{{ x|loud }}{{ x|loud('<') }}", x="a") == "a!a&lt;"
    pages.register_filter("loud", lambda value: TrustedHTML(f"<b>{value}</b>"))
    assert pages.render_string("{{ x|loud }}", x="a") == "<b>a</b>"


@pytest.mark.parametrize(("name", "function"), [("a b", len), ("", len), ("a", None), (" steps", len), ("1a", len)])
def test_a_filter_is_an_identifier_and_a_function(name: str, function: object) -> None:
    with pytest.raises(InvalidArgumentError):
        HTMLTemplateManager().register_filter(name, function)  # type: ignore[arg-type]
