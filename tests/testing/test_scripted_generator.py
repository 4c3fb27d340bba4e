"""ScriptedGenerator: answers, records, errors."""

from __future__ import annotations

import pytest

from ragtime.errors import BackendError, BackendTimeoutError
from ragtime.protocols import AsyncTextGenerator, TextGenerator
from ragtime.testing import ScriptedCall, ScriptedGenerator
from tests.backends.asking import MESSAGES, WAYS, generate, stream


def test_it_is_what_the_protocols_describe() -> None:
    assert isinstance(ScriptedGenerator([]), TextGenerator)
    assert isinstance(ScriptedGenerator([]), AsyncTextGenerator)


@pytest.mark.parametrize("ask", WAYS)
def test_answers_come_in_order_and_calls_are_recorded(ask) -> None:
    generator = ScriptedGenerator(["one two", "three"])
    used = []
    assert ask(generator, max_tokens=3, temperature=0.1, seed=4, stop=["x"], on_usage=used.append) == "one two"
    assert ask(generator) == "three"
    assert generator.calls == [ScriptedCall(tuple(MESSAGES), 3, 0.1, 4, ("x",)), ScriptedCall(tuple(MESSAGES))]
    assert used == [{"prompt_tokens": 6, "completion_tokens": 2}]


@pytest.mark.parametrize("ask", WAYS)
def test_a_function_may_answer(ask) -> None:
    assert ask(ScriptedGenerator(lambda call: call.messages[0]["content"].upper())) == "HOW DO I RESET IT?"


@pytest.mark.parametrize("ask", WAYS)
def test_errors_are_raised_in_their_turn(ask) -> None:
    generator = ScriptedGenerator([BackendTimeoutError("late"), "then this"])
    with pytest.raises(BackendTimeoutError, match="late"):
        ask(generator)
    assert ask(generator) == "then this"
    with pytest.raises(BackendError, match="has 2 answers and this is call 3"):
        ask(generator)


def test_streams_come_word_by_word_and_stop_texts_cut() -> None:
    assert list(ScriptedGenerator(["  one two\nthree"]).stream(MESSAGES)) == ["  ", "one ", "two\n", "three"]
    assert generate(ScriptedGenerator(["one END two"]), stop=["END"]) == "one "
    assert stream(ScriptedGenerator(["one EN"]), stop=["END"]) == "one EN"
