"""Prompts within a budget of tokens: always within it, cut in order, never through a message or a block of code."""

from __future__ import annotations

import random
import re
import unicodedata
from typing import Any

import pytest

from ragtime.errors import InvalidArgumentError, TemplateError, TemplateVariableError
from ragtime.utils.hashing import keyed_random
from ragtime.utils.templates import FittedPrompt, Prompt, PromptManager
from ragtime.utils.tokens import EstimatedTokenCounter

ESTIMATE = EstimatedTokenCounter()


class _Characters:
    """Counts every character; exact."""

    name = "characters"
    exact = True

    def count(self, text: str) -> int:
        return len(text)


class _Nasty:
    """Longer texts may cost less: what no search may rely on."""

    name = "nasty"
    exact = False

    def count(self, text: str) -> int:
        return len(text) // 3 + (len(text) * 7919 + sum(map(ord, text[-2:]))) % 23


def _add(template: str = "{a}", **variables: dict[str, Any]) -> Prompt:
    declared = variables or {"a": {"priority": 1}}
    return PromptManager().add({"name": "p", "template": template, "variables": declared})


def _fit(prompt: Prompt, max_tokens: int, counter: Any = None, **values: Any) -> FittedPrompt:
    return prompt.fit(values, max_tokens=max_tokens, counter=counter or _Characters())


# --- what is cut ----------------------------------------------------------------------------------------------------


def test_what_fits_is_not_cut() -> None:
    fitted = _fit(_add("<{a}>"), 5, a="one")
    assert (fitted.text, fitted.tokens, fitted.max_tokens, fitted.cuts) == ("<one>", 5, 5, ())
    assert (fitted.counter, fitted.exact, fitted.source.name) == ("characters", True, "p")
    assert fitted.messages == ({"role": "user", "content": "<one>"},)
    assert str(fitted) == "<one>"


@pytest.mark.parametrize(
    ("cut", "budget", "text", "kept"),
    [
        ("end", 19, "one two three four", 18),
        ("end", 17, "one two three…", 13),
        ("end", 14, "one two three…", 13),
        ("end", 13, "one two…", 7),
        ("end", 4, "one…", 3),
        ("end", 3, "", 0),
        ("start", 17, "…two three four", 14),
        ("start", 5, "…four", 4),
        ("middle", 17, "one two…four", 11),
        ("middle", 11, "one…four", 7),
        ("middle", 5, "one…", 3),
        ("drop", 17, "", 0),
    ],
)
def test_a_text_is_cut_between_words(cut: str, budget: int, text: str, kept: int) -> None:
    fitted = _fit(_add(a={"priority": 1, "cut": cut}), budget, a="one two three four")
    assert fitted.text == text
    assert [(one.variable, one.kept, one.of) for one in fitted.cuts] == ([("a", kept, 18)] if kept < 18 else [])


@pytest.mark.parametrize(
    ("cut", "items"),
    [("end", [1, 2, 3]), ("start", [3, 4, 5]), ("middle", [1, 2, 5]), ("drop", [])],
)
def test_a_list_loses_whole_items(cut: str, items: list[int]) -> None:
    prompt = _add("{{ a|join }}", a={"type": "list", "priority": 1, "cut": cut})
    fitted = _fit(prompt, 3, a=[1, 2, 3, 4, 5])
    assert fitted.text == "".join(map(str, items))
    assert [(one.kept, one.of) for one in fitted.cuts] == [(len(items), 5)]


def test_messages_are_lost_whole_and_the_oldest_first() -> None:
    prompt = PromptManager().add(
        {
            "name": "p",
            "messages": [{"role": "system", "template": "sys"}, {"insert": "h"}, {"role": "user", "template": "{q}"}],
            "variables": {"h": {"type": "messages", "priority": 1, "cut": "start"}, "q": {}},
        }
    )
    history = [
        {"role": role, "content": f"{number}".zfill(10)} for number, role in enumerate(["user", "assistant"] * 4)
    ]
    fitted = prompt.fit({"h": history, "q": "why"}, max_tokens=45, counter=_Characters(), tokens_per_message=2)
    assert list(fitted.messages) == [
        {"role": "system", "content": "sys"},
        *history[-2:],
        {"role": "user", "content": "why"},
    ]
    assert fitted.tokens == 3 + 3 + 20 + 4 * 2
    assert [(one.kept, one.of) for one in fitted.cuts] == [(2, 8)]


def test_the_lowest_priority_is_cut_first_and_only_as_far_as_needed() -> None:
    prompt = _add("{a}|{b}|{c}|{d}", a={"priority": 2}, b={"priority": 1}, c={"priority": 2}, d={})
    values = {name: f"{name} {name} {name}" for name in "abcd"}
    assert _fit(prompt, 23, **values).cuts == ()
    assert _fit(prompt, 22, **values).text == "a a a|b b…|c c c|d d d"
    assert _fit(prompt, 18, **values).text == "a a a||c c c|d d d"
    assert _fit(prompt, 17, **values).text == "a a…||c c c|d d d"
    fitted = _fit(prompt, 11, **values)
    assert fitted.text == "||c…|d d d"
    assert [one.variable for one in fitted.cuts] == ["b", "a", "c"]


def test_a_variable_without_priority_stays_whole_and_what_it_needs_is_told() -> None:
    prompt = _add("{a} {b}", a={"priority": 1}, b={})
    with pytest.raises(TemplateError) as caught:
        _fit(prompt, 100, a="canary", b="x" * 1200)
    assert str(caught.value) == (
        "Prompt 'p' does not fit: it needs 1,201 tokens with everything cut that has a priority, and may have 100"
    )
    assert _fit(prompt, 1201, a="canary", b="x" * 1200).tokens == 1201


def test_what_cannot_be_cut_is_left_alone() -> None:
    prompt = _add(
        "{{ n }}{{ o }}{{ a }}{{ e }}",
        n={"type": "integer", "priority": 1},
        o={"type": "object", "priority": 1},
        e={"priority": 1, "default": None},
        a={"priority": 9},
    )
    fitted = _fit(prompt, 17, n=12345, o={"k": 1}, a="one two")
    assert fitted.text == "12345{'k': 1}one…"
    assert [one.variable for one in fitted.cuts] == ["a"]


def test_variables_are_checked_first() -> None:
    with pytest.raises(TemplateVariableError, match=r"a .*is missing"):
        _fit(_add(), 5)


@pytest.mark.parametrize(
    "options", [{"max_tokens": 0}, {"max_tokens": -1}, {"max_tokens": 5, "tokens_per_message": -1}]
)
def test_a_budget_is_positive(options: dict[str, int]) -> None:
    with pytest.raises(InvalidArgumentError, match="max_tokens is at least 1"):
        _add().fit({"a": "x"}, **options)


def test_the_values_of_the_caller_stay_as_they_are() -> None:
    items = ["one", "two", "three"]
    values = {"a": items}
    _add("{{ a|join }}", a={"type": "list", "priority": 1}).fit(values, max_tokens=3, counter=_Characters())
    assert values == {"a": ["one", "two", "three"]}


def test_the_counter_that_is_taken_when_none_is_given() -> None:
    fitted = _add().fit({"a": "one two three"}, max_tokens=3)
    assert (fitted.counter, fitted.exact, fitted.tokens) == ("estimate", False, 3)


# --- blocks of code -------------------------------------------------------------------------------------------------

FENCES = [
    "```\none two\n\nthree\n```",
    "```python\nx = 1  # a b c\n```",
    "~~~\na b ``` c\n~~~",
    "````\n```\ninner one\n```\n````",
    "```\nnever closed one two three",
]


@pytest.mark.parametrize("fence", FENCES)
@pytest.mark.parametrize("cut", ["start", "end", "middle"])
def test_a_fenced_block_is_kept_or_cut_as_a_whole(fence: str, cut: str) -> None:
    closed = "never closed" not in fence
    text = f"before it\n{fence}\nafter it all" if closed else f"before it\n{fence}"
    prompt = _add(a={"priority": 1, "cut": cut})
    seen = set()
    for budget in range(1, len(text) + 1):
        fitted = _fit(prompt, budget, a=text).text
        inside = fence in fitted
        seen.add(inside)
        if not inside:
            assert not any(word in fitted for word in ("one", "two", "three", "x =", "inner", "`", "~", "never"))
    assert seen == {True, False}


@pytest.mark.parametrize("indent", [" ", "  ", "   "])
def test_a_fence_may_be_indented_by_up_to_three_spaces(indent: str) -> None:
    """As in a list; CommonMark 4.5."""
    text = f"- item\n{indent}```\n{indent}one two three\n{indent}```\n"
    for budget in range(1, len(text)):
        fitted = _fit(_add(), budget, a=text).text
        assert "one" not in fitted or "one two three" in fitted


# --- scripts without spaces -----------------------------------------------------------------------------------------


def _breaks_a_character(whole: str, head: str) -> bool:
    """Whether a cut behind `head` leaves a mark, joiner or modifier without what it belongs to."""
    if not head or len(head) == len(whole):
        return False
    following, last = whole[len(head)], head[-1]
    return (
        unicodedata.category(following).startswith("M")
        or following == "\u200d"
        or last == "\u200d"
        or "\U0001f3fb" <= following <= "\U0001f3ff"
    )


@pytest.mark.parametrize(
    "unit",
    ["漢字仮名", "한국어", "e\u0301", "ที่นี่กำลัง", "नमस्ते", "👩‍👩‍👧‍👦", "❤️", "👍🏽"],
    ids=["cjk", "hangul", "combining", "thai", "devanagari", "zwj", "variation", "skin"],
)
@pytest.mark.parametrize("cut", ["end", "start"])
def test_a_long_word_is_cut_between_what_readers_see_as_characters(unit: str, cut: str) -> None:
    text = unit * 20
    prompt = _add(a={"priority": 1, "cut": cut})
    for budget in range(2, len(text), 3):
        fitted = _fit(prompt, budget, a=text)
        assert fitted.tokens <= budget
        kept = fitted.text.strip("…")
        if cut == "end":
            assert text.startswith(kept)
            assert not _breaks_a_character(text, kept)
        else:
            assert text.endswith(kept)
            assert not kept or not _breaks_a_character(text, text[: len(text) - len(kept)])


def test_writing_without_spaces_is_not_lost_as_a_whole() -> None:
    fitted = _fit(_add(), 51, a="漢" * 1000)
    assert fitted.text == "漢" * 50 + "…"


# --- 1,000 cases ----------------------------------------------------------------------------------------------------

WORDS = [
    *"a word Löwe naïve 漢字仮名交じり文 العربية 👩‍👩‍👧 1234567 … ' {a} ``` <|im_end|>".split(),
    *("x" * 45, "e\u0301" * 30, "{{ a }}", "~~~\ncode here\n~~~", "\n```py\nprint(1) # x y\n```\n", "\n\n", "\t"),
]
CODE = re.compile(r"^(?:```py\nprint\(1\) # x y\n```|~~~\ncode here\n~~~)$", re.MULTILINE)
MESSAGES = [{"role": "user", "content": "q1 q1"}, {"role": "assistant", "content": "a1\n\n```\nx y\n```"}] * 3


def _text(chance: random.Random) -> str:
    return " ".join(chance.choice(WORDS) for _ in range(chance.randrange(25)))


def _case(chance: random.Random) -> tuple[Prompt, dict[str, Any]]:
    chat = chance.random() < 0.4
    variables: dict[str, dict[str, Any]] = {}
    values: dict[str, Any] = {}
    for name in "abc":
        kind = chance.choice(["string", "string", "list", "any"])
        variables[name] = {"type": kind, "cut": chance.choice(["start", "end", "middle", "drop"])}
        if chance.random() < 0.85:
            variables[name]["priority"] = chance.randrange(3)
        items = [_text(chance) for _ in range(chance.randrange(6))]
        values[name] = items if kind == "list" or (kind == "any" and chance.random() < 0.5) else _text(chance)
    body: dict[str, Any] = {"template": "Head {{ a }} mid {{ b if b is string else b|join(' / ') }}\n{{ c }} tail"}
    if chat:
        variables["h"] = {"type": "messages", "priority": chance.randrange(3), "cut": chance.choice(["start", "end"])}
        values["h"] = MESSAGES[: chance.randrange(7)]
        body = {"messages": [{"role": "system", "template": "S {{ a }}"}, {"insert": "h"}, {"role": "user", **body}]}
    return PromptManager().add({"name": "p", "variables": variables, **body}), values


@pytest.mark.parametrize("counter", [ESTIMATE, _Characters(), _Nasty()], ids=lambda counter: counter.name)
def test_a_thousand_cases(counter: Any) -> None:
    chance = keyed_random(7, "fit", counter.name)
    fitting = refused = 0
    for _ in range(1000 if counter is ESTIMATE else 300):
        prompt, values = _case(chance)
        per_message = chance.randrange(4)
        whole = sum(counter.count(message["content"]) + per_message for message in prompt.messages(**values))
        budget = chance.randrange(1, whole + 10)
        options = {"max_tokens": budget, "counter": counter, "tokens_per_message": per_message}
        try:
            fitted = prompt.fit(values, **options)
        except TemplateError as error:
            refused += 1
            needed = re.search(r"it needs ([\d,]+) tokens .* may have ([\d,]+)$", str(error))
            assert needed is not None
            assert int(needed[2].replace(",", "")) == budget < int(needed[1].replace(",", ""))
            continue
        fitting += 1
        assert fitted.tokens <= budget == fitted.max_tokens
        assert fitted.tokens == sum(counter.count(message["content"]) + per_message for message in fitted.messages)
        assert (fitted.cuts == ()) == (whole <= budget)
        assert prompt.fit(values, **options) == fitted
        _check_cuts(prompt, values, fitted)
    assert fitting > 100
    assert refused > 10


def _check_cuts(prompt: Prompt, values: dict[str, Any], fitted: FittedPrompt) -> None:
    """Cut variables come in the order of their priority, all but the last one as far as can be."""
    variables = prompt.variables
    places = list(variables)
    order = [(variables[cut.variable].priority, places.index(cut.variable)) for cut in fitted.cuts]
    assert order == sorted(order)
    assert None not in [priority for priority, _ in order]
    for cut in fitted.cuts:
        assert cut.of == len(values[cut.variable])
        assert 0 <= cut.kept < cut.of or (cut.kept == cut.of and isinstance(values[cut.variable], str))
        if variables[cut.variable].cut == "drop":
            assert cut.kept == 0
    for cut in fitted.cuts[:-1]:
        assert cut.kept == 0
    for name, value in values.items():  # none that is cut earlier than the last one is left whole
        variable = variables[name]
        if fitted.cuts and variable.priority is not None and value and variable.type != "object":
            before = (variable.priority, places.index(name)) < order[-1]
            assert not before or name in {cut.variable for cut in fitted.cuts}
    if "h" in values:
        assert all(message in values["h"] for message in fitted.messages[1:-1])


def test_a_text_that_fits_is_left_as_it_is_when_fitted_again() -> None:
    chance = keyed_random(7, "again")
    prompt = _add("{a}", a={"priority": 1, "cut": "end"})
    for _ in range(200):
        text = _text(chance)
        budget = chance.randrange(1, 60)
        first = prompt.fit({"a": text}, max_tokens=budget)
        again = prompt.fit({"a": first.text}, max_tokens=budget)
        assert (again.text, again.cuts, again.tokens) == (first.text, (), first.tokens)


@pytest.mark.parametrize("cut", ["start", "end", "middle", "drop"])
def test_what_is_left_of_a_text_is_what_the_report_says(cut: str) -> None:
    chance = keyed_random(7, "report", cut)
    prompt = _add("{a}", a={"priority": 1, "cut": cut})
    for _ in range(150):
        text = _text(chance).replace("…", "")
        fitted = prompt.fit({"a": text}, max_tokens=chance.randrange(1, 60))
        if not fitted.cuts:
            assert fitted.text == text
            continue
        (one,) = fitted.cuts
        assert (one.variable, one.of) == ("a", len(text))
        head, mark, tail = fitted.text.partition("…")
        assert len(head) + len(tail) == one.kept
        assert bool(mark) == bool(one.kept)
        assert text.startswith(head)
        assert text.endswith(tail)
        assert cut != "end" or not tail
        assert cut != "start" or not head
        assert cut != "drop" or not one.kept
        # a block of code is all there, or not at all
        blocks = CODE.findall(text)
        assert all(block in head or block in tail for block in CODE.findall(head + "\n" + tail) if block in blocks)


def test_the_best_that_fits_is_kept_by_an_honest_counter() -> None:
    """One word more would be too much."""
    words = [f"w{number}" for number in range(40)]
    for budget in range(5, 120):
        fitted = _fit(_add(), budget, a=" ".join(words))
        if fitted.cuts:
            count = len(fitted.text.strip("…").split())
            assert len(" ".join(words[: count + 1]) + "…") > budget
