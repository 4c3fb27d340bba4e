"""Prompts and pages beside Jinja's own sandbox, langchain-core, haystack and banks."""

from __future__ import annotations

import functools
import json
import os
import tempfile
import time
import timeit
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jinja2 import BaseLoader, Environment, FileSystemLoader
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ragtime.config.settings import Settings
from ragtime.errors import RenderLimitError, TemplateError, TemplateSyntaxError, TemplateVariableError
from ragtime.utils.standard_library import standard_library_documents
from ragtime.utils.templates import HTMLTemplateManager, PromptManager
from ragtime.utils.templates import pages as packaged_pages
from ragtime.utils.templates.engine.engine import TemplateCache
from ragtime.utils.templates.filters import PAGE_FILTERS
from tests.benchmarks.harness import Area, Bench, Limit, Row, Unavailable

os.environ |= {  # read by the peers when they are imported, which is later: nothing goes out
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "LANGCHAIN_TRACING_V2": "false",
    "LANGSMITH_TRACING": "false",
}

Variables = dict[str, Any]
Call = Callable[[], object]
_SHORTEST_BATCH = 0.02  # seconds of processor time
_SIMPLE, _SMALL, _MEDIUM = "simple prompt", "Jinja prompt, small", "Jinja prompt, medium"
_SIMPLE_CHAT, _JINJA_CHAT = "chat of three messages, simple", "chat of three messages, Jinja"
_RELOADING = f"{_SMALL}, with the reload check"
_INVOKE = "invoke of langchain-core"
_RENDERS, _SOURCES = "1,000 renders", "2,000 distinct sources, cache of 256"


# --- what is rendered -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Task:
    """One prompt in both syntaxes with its values; each text is a message of a chat.

    `simple` is ``None`` where that syntax cannot say it. No template depends on how newlines around blocks are treated,
    for the peers differ in it.
    """

    values: Callable[[], Variables]
    jinja: tuple[str, ...]
    simple: tuple[str, ...] | None = None


def _documents(count: int, characters: int) -> list[dict[str, str]]:
    """Make documents of some length from the documentation strings of the standard library."""
    found = iter(standard_library_documents(1000))
    made = []
    for document in found:
        text = document.content
        while len(text) < characters:
            text += "\n\n" + next(found).content
        made.append({"title": document.title or document.id, "content": text[:characters].strip()})
        if len(made) == count:
            return made
    raise Unavailable("the standard library has too few documentation strings")


@functools.cache
def _small_values() -> Variables:
    context = "\n".join(document["content"] for document in _documents(2, 200))
    return {"product": "the handbook", "language": "English", "context": context, "question": "How do I copy a file?"}


@functools.cache
def _medium_values() -> Variables:
    history = [
        {"role": "user", "content": "How do I copy a file?"},
        {"role": "assistant", "content": "With shutil.copyfile; shutil.copy2 keeps the time stamps, too."},
        {"role": "user", "content": "And a whole folder?"},
        {"role": "assistant", "content": "With shutil.copytree, which makes the target, and all folders above it."},
    ]
    values = {"product": "the handbook", "language": "English", "question": "What if the target is there already?"}
    return {**values, "documents": _documents(5, 1000), "history": history, "audience": "beginners", "cite": True}


_SMALL_SIMPLE = (
    "You answer questions about {product}. Answer in {language}.\n\n"
    "Context:\n{context}\n\nQuestion: {question}\nAnswer:"
)
_SMALL_JINJA = (
    "You answer questions about {{ product }}{% if language %}, in {{ language }}{% endif %}.\n\n"
    "Context:\n{{ context }}\n\nQuestion: {{ question|trim }}\nAnswer:"
)
_MEDIUM_JINJA = """\
You answer questions about {{ product }}{% if audience %} for {{ audience }}{% endif %}, in {{ language|upper }}.
Use nothing but the {{ documents|length }} documents below. When they do not hold the answer, say so, and ask one \
question back. {% if cite %}Cite the documents by their numbers, as in [1].{% else %}Cite nothing.{% endif %} Be brief.

{% for document in documents -%}
[{{ loop.index }}] {{ document.title }}
{{ document.content }}

{% endfor -%}
{% if history -%}
The conversation so far:
{% for turn in history -%}
{{ "User" if turn.role == "user" else "Assistant" }}: {{ turn.content }}
{% endfor -%}
{% endif -%}
User: {{ question }}
Assistant:"""
_TASKS = {
    _SIMPLE: _Task(
        _small_values,
        jinja=(_SMALL_SIMPLE.replace("{", "{{ ").replace("}", " }}"),),
        simple=(_SMALL_SIMPLE,),
    ),
    _SMALL: _Task(_small_values, jinja=(_SMALL_JINJA,)),
    _MEDIUM: _Task(_medium_values, jinja=(_MEDIUM_JINJA,)),
    _SIMPLE_CHAT: _Task(
        _small_values,
        jinja=(
            "You answer questions about {{ product }}. Answer in {{ language }}.",
            "Context:\n{{ context }}",
            "{{ question }}",
        ),
        simple=("You answer questions about {product}. Answer in {language}.", "Context:\n{context}", "{question}"),
    ),
    _JINJA_CHAT: _Task(
        _small_values,
        jinja=(
            "You answer questions about {{ product }}{% if language %}, in {{ language }}{% endif %}.",
            "Context:\n{{ context }}",
            "{{ question|trim }}",
        ),
    ),
}
_ROLES = ("system", "user", "user")  # haystack renders no other


# --- who renders it -------------------------------------------------------------------------------------------------


def _definition(task: _Task) -> Variables:
    texts = task.simple or task.jinja
    syntax = "simple" if task.simple else "jinja"
    if len(texts) == 1:
        return {"name": "task", "syntax": syntax, "template": texts[0]}
    messages = [{"role": role, "template": text} for role, text in zip(_ROLES, texts, strict=True)]
    return {"name": "task", "syntax": syntax, "messages": messages}


def _ragtime(task: _Task, cache: TemplateCache | None = None) -> Call:
    manager = PromptManager(settings=Settings.isolated(), cache=cache)
    manager.add(_definition(task))
    values = task.values()
    if len(task.jinja) == 1:
        return lambda: manager.get_prompt("task", **values)
    return lambda: manager.get_messages("task", **values)


def _ragtime_reloading(task: _Task) -> Call:
    folder = tempfile.TemporaryDirectory()
    file = Path(folder.name) / "prompts" / "task.json"
    file.parent.mkdir()
    file.write_text(json.dumps(_definition(task)), encoding="utf-8")
    hour_ago = time.time() - 3600  # a file that was written just now is read again each time
    os.utime(file, (hour_ago, hour_ago))
    settings = Settings.isolated(templates__directory=Path(folder.name), templates__auto_reload=True)
    manager = PromptManager(settings=settings)
    values = task.values()

    def call() -> str:
        assert folder.name  # refers to it, else it would be removed
        return manager.get_prompt("task", **values)

    return call


def _sandbox(loader: BaseLoader | None = None, *, autoescape: bool = False) -> Environment:
    return ImmutableSandboxedEnvironment(loader=loader, autoescape=autoescape, keep_trailing_newline=True)


def _jinja(task: _Task) -> Call:
    template = _sandbox().from_string(task.jinja[0])
    values = task.values()
    return lambda: template.render(**values)


def _langchain(task: _Task, way: str) -> Call:
    from langchain_core.prompts import ChatPromptTemplate, PromptTemplate

    values = task.values()
    texts, syntax = (task.simple, "f-string") if task.simple else (task.jinja, "jinja2")
    if len(texts) == 1:
        prompt = PromptTemplate.from_template(texts[0], template_format=syntax)
        return (lambda: prompt.format(**values)) if way == "format" else (lambda: prompt.invoke(values))
    chat = ChatPromptTemplate.from_messages(list(zip(_ROLES, texts, strict=True)), template_format=syntax)
    return (lambda: chat.format_messages(**values)) if way == "format" else (lambda: chat.invoke(values))


def _haystack(task: _Task) -> Call:
    from haystack.components.builders import ChatPromptBuilder, PromptBuilder
    from haystack.dataclasses import ChatMessage

    values = task.values()
    if len(task.jinja) == 1:
        builder = PromptBuilder(task.jinja[0])
        return lambda: builder.run(**values)["prompt"]
    make = {"system": ChatMessage.from_system, "user": ChatMessage.from_user}
    chat = ChatPromptBuilder([make[role](text) for role, text in zip(_ROLES, task.jinja, strict=True)])
    return lambda: chat.run(**values)["prompt"]


class _KeepsNothing:
    """In the place of banks' cache of rendered texts, which would be all that is measured."""

    def get(self, _context: Variables) -> None:
        return None

    def set(self, _context: Variables, _text: str) -> None:
        return None


def _banks(task: _Task, *, keep: bool = False) -> Call:
    from banks import Prompt

    texts = task.jinja
    if len(texts) > 1:
        blocks = (
            f'{{% chat role="{role}" %}}{text}{{% endchat %}}\n' for role, text in zip(_ROLES, texts, strict=True)
        )
        texts = ("".join(blocks),)
    prompt = Prompt(texts[0], render_cache=None if keep else _KeepsNothing())
    values = task.values()
    return (lambda: prompt.text(values)) if len(task.jinja) == 1 else (lambda: prompt.chat_messages(values))


_WAYS: dict[str, tuple[str | None, Callable[[_Task], Call]]] = {
    "ragtime": (None, _ragtime),
    "jinja2": ("jinja2", _jinja),
    "format of langchain-core": ("langchain-core", functools.partial(_langchain, way="format")),
    _INVOKE: ("langchain-core", functools.partial(_langchain, way="invoke")),
    "haystack": ("haystack-ai", _haystack),
    "banks": ("banks", _banks),
    "kept text of banks": ("banks", functools.partial(_banks, keep=True)),
}
"""By the name of the row: the distribution, and what builds the call that is measured."""


def _texts(made: Any) -> list[str]:
    """Return what a call has made as texts, whoever made it."""
    made = getattr(made, "text", made)
    if isinstance(made, str):
        return [str(made)]
    return [_content(message) for message in (made.to_messages() if hasattr(made, "to_messages") else made)]


def _content(message: Any) -> str:
    if isinstance(message, Mapping):
        return str(message["content"])
    content = getattr(message, "content", None)
    if content is None:
        return str(message.text)
    return content if isinstance(content, str) else "".join(block.text for block in content)


# --- time -----------------------------------------------------------------------------------------------------------


@functools.cache
def _expected(case: str) -> list[str]:
    """Return what everybody has to make."""
    task = _TASKS[case]
    return [_sandbox().from_string(text).render(**task.values()) for text in task.jinja]


@functools.cache
def _timer(case: str, way: str) -> tuple[timeit.Timer, int]:
    """Build the call, check what it makes, and find how many calls make a batch."""
    case, build = (_SMALL, _ragtime_reloading) if case == _RELOADING else (case, _WAYS[way][1])
    call = build(_TASKS[case])
    assert _texts(call()) == _expected(case), f"{way} makes another text"
    timer = timeit.Timer(call, timer=time.process_time)
    number = 10
    while (took := timer.timeit(number)) < _SHORTEST_BATCH:
        number = int(number * min(10, 1.2 * _SHORTEST_BATCH / max(took, 1e-6))) + 1
    return timer, number


def _microseconds(_: Bench, case: str, way: str) -> float:
    timer, number = _timer(case, way)
    return timer.timeit(number) / number * 1e6


# --- compilations ---------------------------------------------------------------------------------------------------


@contextmanager
def _compilations() -> Iterator[list[int]]:
    """Count the compilations of all environments of this process."""
    counted = [0]
    original = Environment.compile

    def compile_counted(self: Environment, *args: Any, **kwargs: Any) -> Any:
        counted[0] += 1
        return original(self, *args, **kwargs)

    Environment.compile = compile_counted  # type: ignore[method-assign]
    try:
        yield counted
    finally:
        Environment.compile = original  # type: ignore[method-assign]


def _compiles(_: Bench, way: str) -> float:
    task = _TASKS[_SMALL]
    cache = TemplateCache(256)
    with _compilations() as counted:
        call = _ragtime(task, cache) if way == "ragtime" else _WAYS[way][1](task)
        for _number in range(1000):
            call()
    assert way != "ragtime" or cache.compiled == counted[0]
    return counted[0]


def _kept_templates(_: Bench) -> float:
    cache = TemplateCache(256)
    manager = PromptManager(settings=Settings.isolated(), cache=cache)
    for number in range(2000):
        manager.add({"name": "task", "template": f"{number}: {{{{ question }}}}"}, overwrite=True)
        assert manager.get_prompt("task", question="?") == f"{number}: ?"
    assert cache.compiled == 2000
    return len(cache)


# --- a page ---------------------------------------------------------------------------------------------------------

_PAGE = "conversation.html"


@functools.cache
def _conversation() -> Variables:
    start = datetime(2026, 3, 2, 9, tzinfo=UTC)
    turns = []
    for number, document in enumerate(standard_library_documents(200)):
        says = {"role": "user", "content": f"What does `{document.id}` do?"}
        if number % 2:
            sentence, _, rest = document.content.partition("\n")
            code = f"```python\nimport {document.id.partition('.')[0]}\n\nhelp({document.id})\n```"
            says = {"role": "assistant", "content": f"**{document.title}**\n\n{sentence}\n\n{code}\n\n{rest}"}
        turns.append({**says, "created_at": start + timedelta(minutes=7 * number)})
    if len(turns) < 200:
        raise Unavailable("the standard library has too few documentation strings")
    return {"title": "The standard library", "turns": turns}


def _own_page() -> Call:
    manager = HTMLTemplateManager(settings=Settings.isolated())
    values = _conversation()
    return lambda: manager.render(_PAGE, **values)


def _jinja_page() -> Call:
    environment = _sandbox(FileSystemLoader(Path(packaged_pages.__path__[0]) / "packaged"), autoescape=True)
    environment.filters.update(PAGE_FILTERS)
    values = _conversation()
    return lambda: environment.get_template(_PAGE).render(**values)


_PAGES: dict[str, Callable[[], Call]] = {"ragtime": _own_page, "jinja2": _jinja_page}


@functools.cache
def _ready_page(who: str) -> Call:
    call = _PAGES[who]()
    assert call() == _PAGES["ragtime"]()(), f"{who} makes another page"
    return call


def _milliseconds(call: Call) -> float:
    start = time.process_time()
    call()
    return (time.process_time() - start) * 1e3


def _cold_page(_: Bench, who: str) -> float:
    _conversation()
    start = time.process_time()
    _PAGES[who]()()
    return (time.process_time() - start) * 1e3


def _cached_page(_: Bench, who: str) -> float:
    return _milliseconds(_ready_page(who))


# --- bombs ----------------------------------------------------------------------------------------------------------

_DEEP = 3000
_BOMBS: dict[str, tuple[str, type[TemplateError]]] = {
    "repetition": ("{{ 'a' * 10**8 }}", RenderLimitError),
    "power": ("{{ 9**(9**6) }}", RenderLimitError),
    "ljust": ("{{ 'a'.ljust(10**8) }}", RenderLimitError),
    "str.format": ("{{ '{:100000000}'.format(1) }}", TemplateError),  # there is no such method
    "percent format": ("{{ '%100000000d' % 1 }}", RenderLimitError),
    "center": ("{{ 'a'|center(10**8) }}", RenderLimitError),
    "lipsum": ("{{ lipsum(2000) }}", TemplateVariableError),  # nor such a function
    "nested loops": (
        "{% for i in range(3000) %}{% for j in range(3000) %}{{ j }}{% endfor %}{% endfor %}",
        RenderLimitError,
    ),
    "recursive macro": ("{% macro again(n) %}{{ again(n + 1) }}{% endmacro %}{{ again(0) }}", RenderLimitError),
    "parentheses": (f"{{{{ {'(' * _DEEP}1{')' * _DEEP} }}}}", TemplateSyntaxError),
}
"""By name: what uses up a process in the stock sandbox, and the error that stops it here."""
_SURVIVED = ("repetition", "center", "nested loops")  # by the stock sandbox, within a second or two


def _set_off(name: str) -> None:
    text, error = _BOMBS[name]
    manager = PromptManager(settings=Settings.isolated())
    try:
        manager.add({"name": "bomb", "syntax": "jinja", "template": text}).render()
    except error:
        return
    raise AssertionError(f"the bomb {name!r} is not stopped")


def _bomb(_: Bench, name: str) -> float:
    return _milliseconds(lambda: _set_off(name))


def _slowest_bomb(bench: Bench) -> float:
    return max(_bomb(bench, name) for name in _BOMBS)


def _most_memory(_: Bench) -> float:
    most = 0
    for name in _BOMBS:
        tracemalloc.start()
        try:
            _set_off(name)
            most = max(most, tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    return most / 2**20


def _stock_bomb(_: Bench, name: str) -> float:
    return _milliseconds(lambda: ImmutableSandboxedEnvironment().from_string(_BOMBS[name][0]).render())


# --- the table ------------------------------------------------------------------------------------------------------


def _rows() -> list[Row]:
    rows = []
    for case, task in _TASKS.items():
        for way, (package, _) in _WAYS.items():
            if len(task.jinja) > 1 and way == "jinja2":
                continue  # it knows no messages
            sample = functools.partial(_microseconds, case=case, way=way)
            rows.append(Row(case, way, sample, "µs", package, rounds=15))
    reloading = functools.partial(_microseconds, case=_RELOADING, way="ragtime")
    rows.append(Row(_RELOADING, "ragtime", reloading, "µs", rounds=15))
    for way in ("ragtime", "format of langchain-core", "haystack", "banks"):
        sample = functools.partial(_compiles, way=way)
        rows.append(Row(_RENDERS, way, sample, "compiles", _WAYS[way][0], rounds=1, warm_up=0))
    rows.append(Row(_SOURCES, "ragtime", _kept_templates, "templates", rounds=1, warm_up=0))
    for state, measured in (("cold", _cold_page), ("cached", _cached_page)):
        for who in _PAGES:
            sample = functools.partial(measured, who=who)
            rows.append(Row(f"{_PAGE}, 200 turns, {state}", who, sample, "ms", _WAYS[who][0], rounds=7))
    for name in _BOMBS:
        rows.append(Row(f"bomb: {name}", "ragtime", functools.partial(_bomb, name=name), "ms", rounds=5))
        if name in _SURVIVED:
            sample = functools.partial(_stock_bomb, name=name)
            rows.append(Row(f"bomb: {name}", "jinja2", sample, "ms", "jinja2", rounds=3, warm_up=0))
    rows.append(Row("bombs: slowest", "ragtime", _slowest_bomb, "ms", rounds=5))
    rows.append(Row("bombs: most extra memory", "ragtime", _most_memory, "MiB", rounds=2))
    return rows


def _beside(case: str, way: str) -> Callable[[dict[str, float]], float]:
    """How long ragtime takes, in times of the other."""
    return lambda median: median[f"{case} | ragtime"] / median[f"{case} | {way}"]


def _times_ours(case: str, way: str) -> Callable[[dict[str, float]], float]:
    """How long the other takes, in times of ragtime."""
    return lambda median: median[f"{case} | {way}"] / median[f"{case} | ragtime"]


def _figure(case: str) -> Callable[[dict[str, float]], float]:
    return lambda median: median[f"{case} | ragtime"]


AREA = Area(
    title="Templates",
    about="Processor time of a call with the same text and values for all; each peer's template is built beforehand. "
    "jinja2 is its immutable sandbox with a compiled template. banks renders anew; its kept text is a hit in its cache "
    "of rendered texts. The medium prompt has five documents of 1,000 characters and four turns.",
    rows=_rows(),
    limits=[
        Limit("simple prompt, beside jinja2", _beside(_SIMPLE, "jinja2"), at_most=0.5, unit="×"),
        Limit("small Jinja prompt, beside jinja2", _beside(_SMALL, "jinja2"), at_most=1.5, unit="×"),
        Limit("medium Jinja prompt, beside jinja2", _beside(_MEDIUM, "jinja2"), at_most=1.25, unit="×"),
        Limit("simple chat, invoke of langchain-core", _times_ours(_SIMPLE_CHAT, _INVOKE), at_least=10, unit="× ours"),
        Limit("Jinja chat, invoke of langchain-core", _times_ours(_JINJA_CHAT, _INVOKE), at_least=3, unit="× ours"),
        Limit("simple chat, haystack", _times_ours(_SIMPLE_CHAT, "haystack"), at_least=10, unit="× ours"),
        Limit("Jinja chat, haystack", _times_ours(_JINJA_CHAT, "haystack"), at_least=10, unit="× ours"),
        Limit("compilations in 1,000 renders", _figure(_RENDERS), at_most=1),
        Limit("templates kept of 2,000", _figure(_SOURCES), at_most=256),
        Limit("slowest bomb", _figure("bombs: slowest"), at_most=100, unit="ms"),
        Limit("most extra memory of a bomb", _figure("bombs: most extra memory"), at_most=32, unit="MiB"),
    ],
    requires=["langchain-core", "haystack-ai", "banks"],
)
