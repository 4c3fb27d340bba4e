"""Bombs: what makes much of little is stopped by the account of the rendering, before it is made."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragtime.config.settings import Settings
from ragtime.errors import InvalidArgumentError, RenderLimitError, TemplateError, TemplateSyntaxError
from ragtime.utils.templates import HTMLTemplateManager, PromptManager, RenderLimits
from ragtime.utils.templates.engine import Source, TemplateCache, TemplateEngine, plain

SMALL = RenderLimits(max_output_characters=10_000, max_steps=1_000, max_intermediate=5_000)
MEGABYTE = 1_000_000
NESTED = "{% set ns = namespace(l=[1]) %}{% for i in range(5) %}{% set ns.l = [ns.l] * 10 %}{% endfor %}"
LAUGHS = "{% set a = ['lol'] %}" + "{% set a = [a, a] %}" * 16
TWINS = "{% set a = (1,) %}{% set b = (1,) %}" + "{% set a = (a, a) %}{% set b = (b, b) %}" * 18


def render(source: str, *, autoescape: bool = False, limits: RenderLimits = SMALL, **values: object) -> str:
    return TemplateEngine(autoescape=autoescape, limits=limits).render(Source("t", source), values)


@pytest.fixture(params=[False, True], ids=["prompt", "page"])
def autoescape(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def _little_memory() -> Iterator[None]:
    """Refusing what was made already is too late."""
    render("{{ 'a'|upper }}", autoescape=True)
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 8 * MEGABYTE
    finally:
        tracemalloc.stop()


SINGLE_BOMBS = [
    # repeating, padding, numbers
    "{{ 'a' * 100000000 }}",
    "{{ 100000000 * 'a' }}",
    "{{ [1] * 100000000 }}",
    "{{ (1,) * 100000000 }}",
    "{{ ('a'|safe) * 100000000 }}",
    "{{ 9 ** (9 ** 9) }}",
    "{{ 9 ** 9999999 }}",
    "{{ (-9) ** 9999999 }}",
    "{{ (9 ** 1000) * (9 ** 1000) }}",
    "{{ ('9' * 4000)|int * ('9' * 4000)|int }}",
    "{{ range(100000000) }}",
    "{{ range(10 ** 30)|length }}",
    "{{ range(1, 100000000, 2)|list }}",
    "{{ 'a'.ljust(100000000) }}",
    "{{ 'a'.rjust(100000000) }}",
    "{{ 'a'.center(100000000) }}",
    "{{ '1'.zfill(100000000) }}",
    "{{ 'a'|center(100000000) }}",
    "{{ 'a\nb'|indent(100000000) }}",
    "{{ ('a\n' * 500)|indent('x' * 5000) }}",
    "{{ ('\r' * 4000)|indent(900, blank=true) }}",
    "{{ ('\u2028a' * 2000)|indent(900) }}",
    "{{ ('\x0ba' * 2000)|indent('y' * 4000) }}",
    "{{ 1|round(100000000) }}",
    "{{ 1|round(-100000000) }}",
    "{{ [1]|batch(100000000, 0)|list }}",
    "{{ [1]|slice(100000000)|list }}",
    "{{ [1]|slice(10 ** 30)|list }}",
    "{{ [1]|tojson(indent=100000000) }}",
    # format
    "{{ '%100000000d' % 1 }}",
    "{{ '%-100000000d' % 1 }}",
    "{{ '%.100000000f' % 1 }}",
    "{{ '%.100000000d' % 1 }}",
    "{{ '%*d' % (100000000, 1) }}",
    "{{ '%.*f' % (100000000, 1) }}",
    "{{ '%(a)100000000d' % {'a': 1} }}",
    "{{ '%(a(b))90000000d' % {'a(b)': 1} }}",
    "{{ '%(a(b)c(d))90000000d' % {'a(b)c(d)': 1} }}",
    "{{ '%%(%90000000d)' % 1 }}",
    "{{ '%%%90000000d' % 1 }}",
    "{{ '%%%%(%90000000d)' % 1 }}",
    "{{ ('%90000' ~ '000d') % 1 }}",
    "{{ ('%(a)1000d' * 400) % {'a': 1} }}",
    "{{ '%.1000f%.1000f%.1000f%.1000f%.1000f%.1000f' % (1, 2, 3, 4, 5, 6) * 40 }}",
    "{{ ('%(a)s' * 900) % {'a': 'x' * 5000} }}",
    "{{ ('%(a)s' * 900) % {'a': ['x' * 5000]} }}",
    "{{ '%(a)s%(a)s' % {'a': ['x' * 5000] * 5000} }}",
    "{{ '%100000000d'|format(1) }}",
    "{{ '%*d'|format(100000000, 1) }}",
    "{{ '%%(%90000000d)'|format(1) }}",
    "{{ '%(a(b))90000000d'|format(**{'a(b)': 1}) }}",
    "{{ ('%(a)s' * 900)|format(a='x' * 5000) }}",
    # joining and replacing
    "{{ ['x' * 5000] * 600 }}",
    "{{ (['x' * 5000] * 600)|join }}",
    "{{ (['x' * 5000] * 600)|string|length }}",
    "{{ (['x' * 5000] * 600)|upper|length }}",
    "{{ (['x' * 5000] * 600)|tojson|length }}",
    "{{ (['x' * 5000] * 600)|e|length }}",
    "{{ (['x' * 5000] * 600)|replace('q', 'p')|length }}",
    "{{ ((['x' * 5000] * 600) ~ '')|length }}",
    "{{ ('%s' % [['x' * 5000] * 600])|length }}",
    "{{ ([['x' * 5000] * 600])|join|length }}",
    "{{ ([['x' * 4000] * 10] * 10)|map('string')|list|length }}",
    "{{ ''.join(['x' * 5000] * 600) }}",
    "{{ ('x' * 5000).join(['a'] * 600) }}",
    "{{ (['a'] * 600)|join('x' * 5000) }}",
    "{{ ('a' * 5000)|replace('a', 'x' * 5000) }}",
    "{{ ('a' * 5000).replace('a', 'x' * 5000) }}",
    "{{ ('a' * 5000)|replace('', 'x' * 5000) }}",
    "{{ ('a ' * 2500)|wordwrap(1, true, 'x' * 5000) }}",
    "{{ ('a ' * 2500)|wordwrap(width=1, wrapstring='x' * 5000) }}",
    "{{ ('www.a.co ' * 500)|urlize(rel='x' * 5000) }}",
    "{{ ('www.a.co ' * 500)|urlize(target='x' * 5000) }}",
    "{{ (['']*600)|map('default', 'x' * 5000, true)|join }}",
    "{{ ([[1] * 600] * 600)|sum(start=[])|length }}",
    "{{ '\"'" + "|tojson" * 24 + "|length }}",
    "{{ '\\\\'" + "|tojson" * 24 + "|length }}",
    # shared and nested lists
    LAUGHS + "{{ a }}",
    LAUGHS + "{{ a|string|length }}",
    LAUGHS + "{{ a|tojson|length }}",
    LAUGHS + "{{ (a ~ '')|length }}",
    LAUGHS + "{{ ('%s' % [a])|length }}",
    LAUGHS + "{{ [a]|join|length }}",
    LAUGHS + "{{ a|replace('x', 'y')|length }}",
    LAUGHS + "{{ {'a': a}|tojson|length }}",
    LAUGHS + "{{ a|e|length }}",
    NESTED + "{{ ns.l|tojson(indent=16)|length }}",
    TWINS + "{{ a == b }}",
    TWINS + "{{ a in [b] }}",
    TWINS + "{{ a < b }}",
    TWINS + "{{ {a: 1}|length }}",
    TWINS + "{{ {}[a] is defined }}",
    TWINS + "{{ [a, b]|unique|list|length }}",
    TWINS + "{{ [a, b]|sort|length }}",
    TWINS + "{{ [a, b]|max|length }}",
    TWINS + "{{ [a].count(b) }}",
]


@pytest.mark.usefixtures("_little_memory")
@pytest.mark.parametrize("source", SINGLE_BOMBS)
def test_a_single_operation_is_limited(source: str) -> None:
    with pytest.raises(RenderLimitError):
        render(source)


@pytest.mark.usefixtures("_little_memory")
@pytest.mark.parametrize("source", SINGLE_BOMBS)
def test_a_single_operation_of_a_page_is_limited(source: str) -> None:
    with pytest.raises(RenderLimitError):
        render(source, autoescape=True)


GROWTH = [
    "{% set x = x ~ x %}",
    "{% set x = x + x %}",
    "{% set x = x * 2 %}",
    "{% set x %}{{ x }}{{ x }}{% endset %}",
    "{% set x = x|replace('a', 'aa') %}",
    "{% set x = x.replace('a', 'aa') %}",
    "{% set x = [x, x]|join %}",
    "{% set x = ''.join([x, x]) %}",
    "{% set x = '%s%s' % (x, x) %}",
    "{% set x = '%s%s'|format(x, x) %}",
    "{% set x = x|list + x|list %}{% set x = x|join %}",
    "{% set x = m(x) %}",
    "{% set x | upper | lower %}{{ x }}{{ x }}{% endset %}",
    "{% set x = x|indent(x) ~ x %}",
    "{% set x = (x ~ x)[:] %}",
    "{% set x = (x ~ x).title()|lower %}",
]


@pytest.mark.usefixtures("_little_memory")
@pytest.mark.parametrize("step", GROWTH)
def test_growth_by_doubling_is_limited(step: str, autoescape: bool) -> None:
    source = "{% macro m(y) %}{{ y }}{{ y }}{% endmacro %}{% set x = 'aaaaaaaa' %}" + step * 24 + "{{ x|length }}"
    with pytest.raises(RenderLimitError):
        render(source, autoescape=autoescape)


HOARDS = [
    "'a' * 5000 ~ i",
    "x ~ i",
    "x + 'b'",
    "x|upper",
    "x.upper()",
    "x.lower()",
    "x.title()",
    "x.swapcase()",
    "x.strip('b') ~ ''",
    "x[1:]",
    "x[::2]",
    "x.partition('b')",
    "x.rpartition('b')",
    "x.split('b')",
    "('b' ~ x).split('b')",
    "x.removeprefix('a')",
    "x.lstrip('b')[1:]",
    "x|replace('b', 'c')",
    "x|list",
    "x|reverse",
    "x|title",
    "x|trim ~ 'b'",
    "x|e|forceescape",
    "x|tojson",
    "x|center(900)",
    "'a'.center(900)",
    "'a'.ljust(900)",
    "x|wordwrap(9)",
    "x|urlencode",
    "'%900d' % 1",
    "range(900)|list",
    "[1] * 900",
    "l + l",
    "l[:]",
    "l|list",
    "l|map('string')|list",
    "l|batch(2)|list",
    "l|sort",
    "l|unique|list",
    "l|reverse|list",
    "dict(a=l|list)",
    "dict(d)",
    "d.items()|list",
    "d|dictsort",
    "d|items|list",
    "m()",
    "[x|upper]",
    "{'a': x|upper}",
    "(x|upper, 1)",
    "('a', x|upper)[1]",
]


@pytest.mark.usefixtures("_little_memory")
@pytest.mark.parametrize("made", HOARDS)
def test_nothing_can_be_hoarded(made: str, autoescape: bool) -> None:
    """What each operation makes counts towards the rendering, else many small ones would fill the memory."""
    source = (
        "{% set x = 'a' * 4000 %}"
        "{% macro m() %}{{ x }}{% endmacro %}"
        "{% set ns = namespace(all=none) %}{% for i in range(600) %}{% set ns.all = [ns.all, "
        + made
        + "] %}{% endfor %}"
    )
    with pytest.raises(RenderLimitError):
        render(source, autoescape=autoescape, l=list(range(300)), d={str(n): n for n in range(300)})


LONG_LOOPS = [
    "{% for i in range(100) %}{% for j in range(100) %}{% endfor %}{% endfor %}",
    "{% for i in l %}{% for j in l %}{% endfor %}{% endfor %}",
    "{% for i in l %}{% for j in l if j < 0 %}{% endfor %}{% endfor %}",
    "{% for i in l|map('string') %}{% for j in l|map('string') %}{% endfor %}{% endfor %}",
    "{% for i in 'a' * 4000 %}{% endfor %}",
    "{% for i in l %}{{ l|sum }}{% endfor %}",
    "{% for i in l %}{{ l|map('string')|join|length }}{% endfor %}",
    "{% for i in l %}{{ l|select('odd')|list|length }}{% endfor %}",
    "{% for i in l %}{% if 2000 in l|map('abs') %}{% endif %}{% endfor %}",
    "{% for i in l %}{{ l|max }}{% endfor %}",
    "{% for x in [l, l, l, l, l] recursive %}{% if x is iterable %}{{ loop(x) }}{{ loop(x) }}{% endif %}{% endfor %}",
    "{% macro m(n) %}{% if n > 0 %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(30) }}",
    "{% macro m(n) %}{{ caller(n) }}{{ caller(n) }}{% endmacro %}" + "{% call(n) m(1) %}" * 12 + "{% endcall %}" * 12,
]


@pytest.mark.parametrize("source", LONG_LOOPS)
def test_steps_are_limited(source: str, autoescape: bool) -> None:
    with pytest.raises(RenderLimitError):
        render(source, autoescape=autoescape, l=list(range(300)))


@pytest.mark.parametrize(
    "source",
    [
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% block b %}{{ self.b() }}{% endblock %}",
        "{% set ns = namespace(l=[]) %}{% for i in range(100000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}",
        "{% set ns = namespace(l=[]) %}{% for i in range(90000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l|tojson }}",
    ],
)
def test_endless_nesting_is_stopped_by_the_default_limits(source: str, autoescape: bool) -> None:
    with pytest.raises(RenderLimitError):
        render(source, autoescape=autoescape, limits=RenderLimits())


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a' * 10 ** 8 }}",
        "{{ 9 ** (9 ** 6) }}",
        "{{ 'a'.ljust(10 ** 8) }}",
        "{{ '%100000000d' % 1 }}",
        "{{ 'a'|center(10 ** 8) }}",
        "{% for i in range(3000) %}{% for j in range(3000) %}{% endfor %}{% endfor %}",
        "{% for i in range(10 ** 6) %}{% endfor %}",
        "{% for i in range(1000) %}{{ 'a' * 10000 }}{% endfor %}",
        "{% for i in range(150000) %}{% set x = 'a' * 1000000 %}{% endfor %}",
        "{% set x %}{% for i in range(1000) %}{{ 'a' * 100000 }}{% endfor %}{% endset %}",
        "{% set a = ('f' * 200000)|int(0, 16) %}{% set b = ('f' * 100000)|int(0, 16) %}{{ (a // b) > 0 }}",
        "{% set a = ('f' * 200000)|int(0, 16) %}{% set b = ('f' * 100000)|int(0, 16) %}{{ (a % b) > 0 }}",
    ],
)
def test_the_bombs_of_the_stock_sandbox_are_stopped_by_the_default_limits(source: str, autoescape: bool) -> None:
    with pytest.raises(RenderLimitError):
        render(source, autoescape=autoescape, limits=RenderLimits())


@pytest.mark.parametrize("name", ["lipsum", "cycler", "joiner"])
def test_what_makes_text_of_nothing_is_not_there(name: str) -> None:
    with pytest.raises(TemplateError):
        render("{{ " + name + "(2000) }}")


# --- includes -------------------------------------------------------------------------------------------------------

TWICE = "{% set n = n - 1 %}{% if n > 0 %}{% include 'self.html' %}{% include 'self.html' %}{% endif %}"


@pytest.mark.parametrize(
    "tag",
    ["include 'self.html'", "import 'self.html' as m", "extends 'self.html'", "from 'self.html' import m with context"],
)
def test_a_page_that_includes_itself_is_stopped(tmp_path: Path, tag: str) -> None:
    (tmp_path / "self.html").write_text("{% " + tag + " %}")
    with pytest.raises(TemplateError):
        HTMLTemplateManager(tmp_path).render("self.html")


def test_a_page_that_includes_itself_twice_and_ends_is_stopped(tmp_path: Path) -> None:
    """Includes are steps: 2 to the power of 12 of them write nothing and loop nowhere."""
    (tmp_path / "self.html").write_text(TWICE)
    settings = Settings.isolated(templates__max_steps=1000)
    with pytest.raises(RenderLimitError, match="steps"):
        HTMLTemplateManager(tmp_path, settings=settings).render("self.html", n=12)


def test_partials_that_include_each_other_twice_are_stopped() -> None:
    partials = {f"p{n}": f"{{% include 'p{n + 1}' %}}{{% include 'p{n + 1}' %}}" for n in range(12)}
    prompts = PromptManager(settings=Settings.isolated(templates__max_steps=1000))
    made = prompts.add({"name": "p", "template": "{% include 'p0' %}", "partials": {**partials, "p12": ""}})
    with pytest.raises(RenderLimitError, match="steps"):
        made.render()


def test_many_ways_to_the_same_partial_are_followed_once() -> None:
    """There are thousands of ways through these; a few more partials, and following each would take for ever."""
    partials = {f"p{n}": f"{{% include 'p{n + 1}' %}}{{% include 'p{n + 2}' %}}" for n in range(18)}
    prompts = PromptManager()
    parsed: list[str] = []
    engine = prompts._engine
    parse = engine.parse
    engine.parse = lambda source: (parsed.append(source.name), parse(source))[1]  # type: ignore[method-assign]
    try:
        made = prompts.add(
            {"name": "p", "template": "{% include 'p0' %}", "partials": {**partials, "p18": "a", "p19": ""}}
        )
    finally:
        engine.parse = parse  # type: ignore[method-assign]
    assert made.included == {f"p{n}" for n in range(20)}
    assert len(parsed) <= 42


@pytest.mark.usefixtures("_little_memory")
def test_partials_of_the_simple_syntax_do_not_explode() -> None:
    partials = {f"p{n}": f"{{p{n + 1}}}{{p{n + 1}}}" for n in range(16)}
    with pytest.raises(TemplateError):
        PromptManager(settings=Settings.isolated(templates__max_output_characters=10_000)).add(
            {"name": "p", "template": "{p0}", "partials": {**partials, "p16": "ten chars."}}
        ).render()


@pytest.mark.usefixtures("_little_memory")
def test_the_simple_syntax_is_held_to_the_longest_result() -> None:
    prompts = PromptManager(settings=Settings.isolated(templates__max_output_characters=10_000))
    made = prompts.add({"name": "p", "template": "{x}" * 1000})
    assert len(made.render(x="a" * 10)) == 10_000
    with pytest.raises(RenderLimitError, match=r"templates\.max_output_characters"):
        made.render(x="a" * 11)
    with pytest.raises(RenderLimitError):
        made.messages(x="a" * 100_000)


@pytest.mark.parametrize("template", ["{{ x }}", "{x}"])
def test_the_messages_of_a_prompt_are_held_to_the_longest_result_together(template: str) -> None:
    prompts = PromptManager(settings=Settings.isolated(templates__max_output_characters=1000))
    made = prompts.add({"name": "p", "messages": [{"role": "user", "template": template}] * 20})
    assert len(made.messages(x="a" * 40)) == 20
    for call in (made.messages, made.render):
        with pytest.raises(RenderLimitError):
            call(x="a" * 900)


# --- exactness ------------------------------------------------------------------------------------------------------


def test_the_longest_result_is_exact(autoescape: bool) -> None:
    allowed = RenderLimits(max_output_characters=100)
    assert len(render("{% for i in x %}aa{% endfor %}", autoescape=autoescape, limits=allowed, x=[0] * 50)) == 100
    with pytest.raises(RenderLimitError, match="more than 100 characters"):
        render("{% for i in x %}aa{% endfor %}b", autoescape=autoescape, limits=allowed, x=[0] * 50)
    with pytest.raises(RenderLimitError):
        render("{{ x }}", autoescape=autoescape, limits=allowed, x="a" * 101)


def test_the_most_steps_are_exact() -> None:
    allowed = RenderLimits(max_steps=50)
    assert render("{% for i in x %}{% endfor %}", limits=allowed, x=[0] * 48) == ""
    with pytest.raises(RenderLimitError, match="more than 50 steps"):
        render("{% for i in x %}{% endfor %}", limits=allowed, x=[0] * 51)


def test_every_rendering_has_an_account_of_its_own() -> None:
    engine = TemplateEngine(autoescape=False, limits=RenderLimits(max_steps=50, max_output_characters=100))
    source = Source("t", "{% for i in x %}{{ 'a' }}{% endfor %}")
    for _ in range(100):
        assert engine.render(source, {"x": [0] * 40}) == "a" * 40


def test_a_stream_is_limited_and_keeps_what_it_gave() -> None:
    engine = TemplateEngine(autoescape=True, limits=RenderLimits(max_output_characters=50_000))
    given = []
    with pytest.raises(RenderLimitError):
        for piece in engine.stream(Source("t", "{% for i in x %}{{ i }}{% endfor %}"), {"x": ["a" * 1000] * 100}):
            given.append(piece)  # noqa: PERF402 - what came before the error is looked at
    assert 0 < len("".join(given)) <= 50_000


def test_the_clock_stops_a_rendering() -> None:
    moments = iter(range(1_000_000))
    engine = TemplateEngine(autoescape=False, clock=lambda: float(next(moments)))
    with pytest.raises(RenderLimitError, match=r"longer than 5 s \(templates.timeout_seconds\)"):
        engine.render(Source("t", "{% for i in x %}{{ i|upper }}{% endfor %}"), {"x": ["a"] * 50})


def test_the_pauses_of_who_takes_a_stream_do_not_count() -> None:
    """A slow client is no slow template."""
    now = [0.0]
    engine = TemplateEngine(autoescape=True, clock=lambda: now[0])
    given = 0
    for piece in engine.stream(Source("t", "{% for i in x %}{{ i|upper }}{% endfor %}"), {"x": ["a" * 1000] * 100}):
        given += len(piece)
        now[0] += 60.0
    assert given == 100_000


def test_limits_come_from_the_settings() -> None:
    chosen = Settings.isolated(
        templates__max_steps=7, templates__max_output_characters=70, templates__timeout_seconds=0.7
    ).templates
    assert RenderLimits.from_settings(chosen) == RenderLimits(70, 7, 0.7, 70)


def test_a_cache_needs_a_place() -> None:
    with pytest.raises(InvalidArgumentError, match="at least 1, found 0"):
        TemplateCache(0)


# --- sources and values ---------------------------------------------------------------------------------------------

DEEP = [
    "{{ " + "(" * 3000 + "x" + ")" * 3000 + " }}",
    "{{ " + "[" * 3000 + "]" * 3000 + " }}",
    "{{ " + "{1:" * 3000 + "1" + "}" * 3000 + " }}",
    "{{ " + "-" * 5000 + "1 }}",
    "{{ " + "not " * 5000 + "x }}",
    "{{ x" + ".a" * 3000 + " }}",
    "{{ x" + "['a']" * 3000 + " }}",
    "{{ x" + "()" * 3000 + " }}",
    "{{ x" + "|upper" * 3000 + " }}",
    "{{ x" + " + x" * 3000 + " }}",
    "{{ x" + " - x" * 3000 + " }}",
    "{{ x" + " or x" * 3000 + " }}",
    "{{ x" + " ** x" * 3000 + " }}",
    "{{ x" + " is defined" * 3000 + " }}",
    "{{ x" + " if x else x" * 3000 + " }}",
    "{% if x %}" * 3000 + "{% endif %}" * 3000,
    "{% if x %}" + "{% elif x %}" * 5000 + "{% endif %}",
    "{% for a in x %}" * 3000 + "{% endfor %}" * 3000,
    "{% for a in x %}" * 25 + "{% endfor %}" * 25,
    "{% set x %}" * 3000 + "{% endset %}" * 3000,
    "{% filter upper %}" * 3000 + "{% endfilter %}" * 3000,
    "{% with %}" * 3000 + "{% endwith %}" * 3000,
    "{% macro m() %}" * 3000 + "{% endmacro %}" * 3000,
]


@pytest.mark.parametrize("source", DEEP)
def test_a_template_nested_too_deeply_is_a_syntax_error(source: str) -> None:
    try:
        PromptManager().add({"name": "p", "template": source}).render(x="a")
    except TemplateError as error:
        assert error.__cause__ is None  # noqa: PT017


@pytest.mark.parametrize("source", DEEP)
def test_a_page_nested_too_deeply_is_a_syntax_error(tmp_path: Path, source: str) -> None:
    (tmp_path / "p.html").write_text(source)
    pages = HTMLTemplateManager(tmp_path)
    try:
        pages.render("p.html", x="a")
    except TemplateError as error:
        assert error.__cause__ is None  # noqa: PT017
    assert isinstance(pages.validate("p.html"), list)


def test_an_oversize_source_is_refused() -> None:
    engine = TemplateEngine(autoescape=False)
    assert engine.render(Source("t", "a" * 1_000_000), {}) == "a" * 1_000_000
    for call in (engine.compile, engine.parse):
        with pytest.raises(TemplateSyntaxError, match="'t' is longer than 1,000,000 characters"):
            call(Source("t", "a" * 1_000_001))


def test_shared_values_do_not_explode_when_they_are_copied() -> None:
    """300 bytes of YAML with aliases are such a value."""
    value: list[object] = ["lol"]
    for _ in range(20):
        value = [value, value]
    with pytest.raises(TemplateError, match="x"):
        HTMLTemplateManager().render_string("{{ x|length }}", x=value)
    with pytest.raises(TemplateError, match="x"):
        PromptManager().add({"name": "p", "template": "{{ x|length }}"}).render(x=value)


def test_a_value_that_stands_in_two_places_is_no_bomb() -> None:
    shared = {"a": [1, 2]}
    assert plain([shared, shared]) == [{"a": [1, 2]}, {"a": [1, 2]}]


# --- filters of the application -------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", ["a" * 100_000, ["a"] * 2_000, (n for n in range(2_000))])
def test_what_a_filter_of_the_application_returns_is_limited(made: object) -> None:
    settings = Settings.isolated(templates__max_steps=1000, templates__max_output_characters=10_000)
    pages = HTMLTemplateManager(settings=settings)
    pages.register_filter("much", lambda _: made)
    with pytest.raises(RenderLimitError):
        pages.render_string("{{ x|much|list|length }}", x="a")


def test_a_filter_of_the_application_is_charged_for_what_it_is_given() -> None:
    pages = HTMLTemplateManager(settings=Settings.isolated(templates__max_steps=1000))
    pages.register_filter("first_of", lambda value: value[0])
    with pytest.raises(RenderLimitError):
        pages.render_string("{% for i in x[:5] %}{{ x|first_of }}{% endfor %}", x=[1] * 300)
