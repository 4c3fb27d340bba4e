"""Windows: the newest turns within a budget, with every tool call and its results together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ragtime.config.settings import Settings
from ragtime.errors import InvalidArgumentError
from ragtime.records.conversation import ImagePart, Interaction, TextPart, ToolCall
from ragtime.services.conversation import Conversation, Window
from ragtime.services.conversation.window import TOKENS_PER_IMAGE, WindowIndex, tokens_of


class WordCounter:
    """Counts words, and how often it was asked."""

    def __init__(self, name: str = "words", *, exact: bool = True) -> None:
        self.name, self.exact, self.asked = name, exact, 0

    def count(self, text: str) -> int:
        self.asked += 1
        return len(text.split())


WORDS = WordCounter()


# --- random histories -------------------------------------------------------------------------------------------

_KINDS = ["user", "user", "assistant", "system", "call", "call", "result", "result", "result", "image"]
_steps = st.lists(st.tuples(st.sampled_from(_KINDS), st.integers(1, 9), st.integers(0, 5)), max_size=24)
_budgets = st.integers(1, 160)
_unanswered = st.sampled_from(["drop", "keep"])
_first_roles = st.sampled_from([None, "user", "assistant"])


def history(steps: Sequence[tuple[str, int, int]], *, reused: bool = True) -> list[Interaction]:
    """Make turns with parallel, interrupted, reordered, late and never answered calls; ids may be used again."""
    turns: list[Interaction] = []
    waiting: list[str] = []
    for number, (kind, size, choice) in enumerate(steps):
        text = " ".join([f"w{number}"] * size)
        if kind == "call":
            ids = [f"c{(choice + place) % 4}" if reused else f"c{number}-{place}" for place in range(1 + size % 3)]
            calls = [ToolCall(id=one, name="look up", arguments="{}") for one in ids]
            turns.append(Interaction(role="assistant", content=text if choice % 2 else "", tool_calls=calls))
            waiting = [one for one in waiting if one not in ids] + ids
        elif kind == "result" and waiting:
            call = waiting.pop(choice % len(waiting))
            turns.append(Interaction(role="tool", content=text if choice else "", tool_call_id=call))
        elif kind == "image":
            turns.append(Interaction(role="user", parts=[TextPart(text=text), ImagePart(url="a", detail="low")]))
        else:
            turns.append(Interaction(role="user" if kind == "result" else kind, content=text))  # type: ignore[arg-type]
    return turns


def pairs(turns: Sequence[Interaction]) -> dict[str, list[str | None]]:
    """Return the ids of the results of each turn that calls; ``None`` for each call that was never answered."""
    found: dict[str, list[str | None]] = {}
    last: dict[str, tuple[str, int]] = {}
    for turn in turns:
        if turn.tool_call_id is not None:
            caller, place = last.pop(turn.tool_call_id)  # a KeyError is an orphan
            found[caller][place] = turn.id
        if turn.tool_calls:
            found[turn.id] = [None] * len(turn.tool_calls)
            last.update({call.id: (turn.id, place) for place, call in enumerate(turn.tool_calls)})
    return found


def check_pairs(window: Sequence[Interaction], turns: Sequence[Interaction], unanswered: str) -> None:
    """Assert that calls and results are together, each result with the call that it answered in the whole."""
    whole, inside = pairs(turns), pairs(window)
    present = {turn.id for turn in window}
    for caller, results in whole.items():
        known = {result for result in results if result is not None}
        if caller in present:
            assert inside[caller] == results
        else:
            assert not known & present
        if None in results and unanswered == "drop":
            assert caller not in present


def made_of(turns: Sequence[Interaction]) -> Conversation:
    conversation = Conversation()
    conversation.add_interactions(turns)
    return conversation


def window_of(turns: Sequence[Interaction], budget: int, **options: object) -> Window:
    return made_of(turns).window(budget, counter=WORDS, **options)  # type: ignore[arg-type]


def leading_system(turns: Sequence[Interaction]) -> int:
    return next((place for place, turn in enumerate(turns) if turn.role != "system"), len(turns))


@given(_steps, _budgets, _unanswered, _first_roles)
@settings(max_examples=300)
def test_any_window_is_safe_within_its_budget_and_counted_exactly(
    steps: list[tuple[str, int, int]], budget: int, unanswered: str, first_role: str | None
) -> None:
    turns = history(steps)
    pinned = leading_system(turns)
    system = sum(tokens_of(turn, WORDS) for turn in turns[:pinned])
    if budget < system:
        with pytest.raises(InvalidArgumentError, match="too small"):
            window_of(turns, budget, unanswered=unanswered, first_role=first_role)
        return
    window = window_of(turns, budget, unanswered=unanswered, first_role=first_role)
    check_pairs(window, turns, unanswered)
    assert window.tokens == sum(tokens_of(turn, WORDS) for turn in window) <= budget
    assert (window.max_tokens, window.counter, window.exact) == (budget, "words", True)
    assert window.pinned == pinned
    assert list(window[:pinned]) == turns[:pinned]
    assert len(window) + window.omitted + window.unanswered == len(turns)
    # What is left is one run of the newest turns, but for those whose calls were never answered.
    rest = [turn.id for turn in window[pinned:]]
    places = {turn.id: place for place, turn in enumerate(turns)}
    lost = {result for results in pairs(turns).values() if None in results for result in results}
    lost |= {caller for caller, results in pairs(turns).items() if None in results}
    if rest:
        newest = [turn.id for turn in turns[places[rest[0]] :]]
        assert rest == [one for one in newest if unanswered == "keep" or one not in lost]
        assert first_role in {None, window[pinned].role}


@given(_steps, _budgets, _unanswered, _first_roles)
@settings(max_examples=300)
def test_the_window_of_a_window_is_itself(
    steps: list[tuple[str, int, int]], budget: int, unanswered: str, first_role: str | None
) -> None:
    turns = history(steps)
    assume(sum(tokens_of(turn, WORDS) for turn in turns[: leading_system(turns)]) <= budget)
    window = window_of(turns, budget, unanswered=unanswered, first_role=first_role)
    again = window_of(list(window), budget, unanswered=unanswered, first_role=first_role)
    assert (again.interactions, again.tokens) == (window.interactions, window.tokens)
    assert (again.omitted, again.unanswered) == (0, 0) or unanswered == "keep"


@given(_steps, _unanswered, _first_roles)
@settings(max_examples=300)
def test_a_larger_budget_never_gives_fewer_turns(
    steps: list[tuple[str, int, int]], unanswered: Literal["drop", "keep"], first_role: str | None
) -> None:
    turns = history(steps)
    index = WindowIndex(WORDS)
    index.extend(turns)
    system = sum(tokens_of(turn, WORDS) for turn in turns[: leading_system(turns)])
    former: set[str] = set()
    for budget in range(max(1, system), system + 300, 3):
        window = index.window(turns, budget, unanswered=unanswered, first_role=first_role)
        present = {turn.id for turn in window}
        assert former <= present
        former = present
    if first_role is None:
        everything = index.window(turns, 10**9, unanswered=unanswered)
        assert everything.omitted == 0
        assert unanswered == "drop" or list(everything) == turns


@given(_steps, _budgets, _unanswered)
@settings(max_examples=300)
def test_a_window_that_grew_with_the_conversation_is_the_one_from_scratch(
    steps: list[tuple[str, int, int]], budget: int, unanswered: Literal["drop", "keep"]
) -> None:
    turns = history(steps)
    assume(sum(tokens_of(turn, WORDS) for turn in turns[: leading_system(turns)]) <= budget)
    conversation, index = Conversation(), WindowIndex(WORDS)
    for length, turn in enumerate(turns, start=1):
        conversation.add_interactions([turn])
        index.extend(turns[:length])
        fresh = WindowIndex(WORDS)
        fresh.extend(turns[:length])
        expected = fresh.window(turns[:length], budget, unanswered=unanswered)
        assert index.window(turns[:length], budget, unanswered=unanswered) == expected
        assert conversation.window(budget, counter=WORDS, unanswered=unanswered) == expected


@given(_steps, _budgets, _unanswered, _first_roles)
@settings(max_examples=300)
def test_no_safe_window_that_fits_is_longer(
    steps: list[tuple[str, int, int]], budget: int, unanswered: str, first_role: str | None
) -> None:
    """Compared with every place where a window can begin, one by one."""
    turns = history(steps)
    pinned = leading_system(turns)
    room = budget - sum(tokens_of(turn, WORDS) for turn in turns[:pinned])
    assume(room >= 0)
    found = pairs(turns)
    lost = {one for caller, results in found.items() if None in results for one in (caller, *results)}
    kept = [turn for turn in turns[pinned:] if unanswered == "keep" or turn.id not in lost]
    places = {turn.id: place for place, turn in enumerate(kept)}
    spans = [
        (places[caller], places[one]) for caller, results in found.items() for one in results if one and one in places
    ]
    starts = [
        start
        for start in range(len(kept) + 1)
        if sum(tokens_of(turn, WORDS) for turn in kept[start:]) <= room
        and not any(caller < start <= result for caller, result in spans)
        and (start == len(kept) or first_role in {None, kept[start].role})
    ]
    window = window_of(turns, budget, unanswered=unanswered, first_role=first_role)
    assert list(window[pinned:]) == kept[starts[0] :]


# --- what went wrong before -------------------------------------------------------------------------------------


def user(text: str) -> Interaction:
    return Interaction(role="user", content=text)


def calling(*ids: str, content: str = "") -> Interaction:
    calls = [ToolCall(id=one, name="f", arguments="") for one in ids]
    return Interaction(role="assistant", content=content, tool_calls=calls)


def result(call: str, content: str = "done") -> Interaction:
    return Interaction(role="tool", content=content, tool_call_id=call)


def test_no_result_stands_alone_at_the_cut() -> None:
    turns = [user("one"), calling("a"), result("a", "x y z"), user("two"), user("three")]
    assert [list(window_of(turns, budget)) for budget in (2, 5, 6, 7)] == [turns[3:], turns[3:], turns[1:], turns]


def test_the_systems_turns_at_the_beginning_are_never_lost() -> None:
    rules = [Interaction(role="system", content="be kind"), Interaction(role="system", content="be brief")]
    turns = [*rules, user("one two three"), user("four")]
    assert list(window_of(turns, 4)) == rules
    assert list(window_of(turns, 5)) == [*rules, turns[3]]
    with pytest.raises(InvalidArgumentError, match="too small: the system's turns alone have 4 tokens"):
        window_of(turns, 3)


def test_a_later_turn_of_the_system_is_one_like_others() -> None:
    turns = [user("one"), Interaction(role="system", content="now in French"), user("two")]
    assert list(window_of(turns, 1)) == [turns[2]]
    assert window_of(turns, 4).pinned == 0


def test_parallel_calls_go_together() -> None:
    turns = [calling("a", "b", "c"), result("c"), result("a"), result("b"), user("so")]
    assert list(window_of(turns, 6)) == turns[4:]
    assert list(window_of(turns, 7)) == turns


def test_turns_between_a_call_and_its_late_result_go_with_them() -> None:
    turns = [calling("a"), user("well"), calling("b"), result("b"), user("and"), result("a"), user("so")]
    assert list(window_of(turns, 6)) == turns[6:]
    assert list(window_of(turns, 7)) == turns


def test_a_call_that_was_never_answered_is_left_out_with_what_was_answered() -> None:
    turns = [user("one"), calling("a", "b"), result("a"), user("two")]
    window = window_of(turns, 100)
    assert list(window) == [turns[0], turns[3]]
    assert (window.unanswered, window.omitted, window.tokens) == (2, 0, 2)
    assert list(window_of(turns, 100, unanswered="keep")) == turns


def test_a_call_that_waits_comes_back_with_its_result() -> None:
    conversation = made_of([user("one"), calling("a")])
    assert [turn.role for turn in conversation.window(100)] == ["user"]
    conversation.add_interactions([result("a")])
    assert [turn.role for turn in conversation.window(100)] == ["user", "assistant", "tool"]


def test_what_is_left_out_takes_no_room() -> None:
    turns = [user("one"), calling("a", content="let me see that at once"), user("two")]
    assert list(window_of(turns, 2)) == [turns[0], turns[2]]


def test_a_left_out_call_with_a_late_answer_does_not_hold_back_other_turns() -> None:
    """The turns between are free to begin a window, for neither the call nor the answer is in any."""
    turns = [calling("a", "b"), user("one"), user("two"), result("a"), user("three")]
    assert list(window_of(turns, 2)) == [turns[2], turns[4]]


def test_the_first_turn_has_the_role_asked_for() -> None:
    system, answer = Interaction(role="system", content="rules"), Interaction(role="assistant", content="yes")
    turns = [system, user("one"), answer, user("two")]
    assert list(window_of(turns, 3, first_role="user")) == [system, turns[3]]
    assert list(window_of(turns, 3)) == [system, answer, turns[3]]
    assert list(window_of([system, answer], 9, first_role="user")) == [system]


@pytest.mark.parametrize(
    ("image", "tokens"),
    [
        (ImagePart(url="x " * 500), TOKENS_PER_IMAGE),
        (ImagePart(url="a", width=512), 765),
        (ImagePart(url="a", width=512, height=512), 255),
        (ImagePart(url="a", width=513, height=1024), 85 + 170 * 4),
        (ImagePart(url="a", width=4096, height=4096, detail="low"), 85),
    ],
)
def test_images_count_by_their_size_and_not_as_text(image: ImagePart, tokens: int) -> None:
    turn = Interaction(role="user", parts=[TextPart(text="two words"), image])
    assert tokens_of(turn, WORDS) == 2 + tokens
    assert list(window_of([turn], 1 + tokens)) == []
    assert window_of([turn], 2 + tokens).tokens == 2 + tokens


def test_calls_count_by_name_and_arguments() -> None:
    call = ToolCall(id="a b c d", name="look up", arguments='{"x": 1}')
    assert tokens_of(Interaction(role="assistant", content="one", tool_calls=[call]), WORDS) == 1 + 2 + 2


def test_a_known_count_is_taken_and_each_turn_counted_once() -> None:
    counter = WordCounter()
    conversation = Conversation()
    conversation.add_interaction("user", "one two three", token_counts={"words": 40, "other": 7})
    conversation.add_interaction("user", "four")
    for budget in (1, 41, 100):
        conversation.window(budget, counter=counter)
    assert conversation.window(41, counter=counter).tokens == 41
    assert counter.asked == 1


def test_an_edited_turn_is_counted_anew() -> None:
    conversation = Conversation()
    turn = conversation.add_interaction("user", "one", token_counts={"words": 40})
    assert conversation.window(100, counter=WORDS).tokens == 40
    conversation.edit(turn, "one two")
    assert conversation.window(100, counter=WORDS).tokens == 2


def test_counters_do_not_mix() -> None:
    class Letters(WordCounter):
        def count(self, text: str) -> int:
            return len(text)

    conversation = made_of([user("four four")])
    assert conversation.window(100, counter=WORDS).tokens == 2
    assert conversation.window(100, counter=Letters("words")).tokens == 9
    assert conversation.window(100, counter=Letters("estimate")).tokens == 9
    assert conversation.window(100).tokens == 2


def test_a_window_follows_the_branch_and_knows_feedback() -> None:
    conversation = Conversation()
    question = conversation.add_interaction("user", "one")
    first = conversation.add_interaction("assistant", "two")
    assert list(conversation.window(10)) == [question, first]
    other = conversation.regenerate(first, "three")
    assert list(conversation.window(10)) == [question, other]
    conversation.add_feedback(other, 5)
    assert conversation.window(10)[-1].stars == 5
    conversation.switch(first)
    assert list(conversation.window(10)) == [question, first]


def test_the_budget_comes_from_the_settings() -> None:
    conversation = Conversation(settings=Settings.isolated(conversation__window_tokens=321))
    window = conversation.window()
    assert (window.max_tokens, len(window), window.tokens, window.exact) == (321, 0, 0, False)


@pytest.mark.parametrize("budget", [0, -1])
def test_a_budget_is_positive(budget: int) -> None:
    with pytest.raises(InvalidArgumentError, match="at least 1"):
        Conversation().window(budget)


def test_a_window_is_a_sequence_that_stays_as_it_is() -> None:
    conversation = made_of([user("one"), user("two")])
    window = conversation.window(10)
    conversation.add_interaction("user", "three")
    assert [turn.content for turn in window] == ["one", "two"]
    assert (window[-1].content, len(window[:1]), window[0] in window) == ("two", 1, True)


@given(_steps, _budgets, _unanswered)
@settings(max_examples=100)
def test_a_window_knows_the_tokens_of_each_turn_and_where_it_begins(
    steps: list[tuple[str, int, int]], budget: int, unanswered: Literal["drop", "keep"]
) -> None:
    """So that nobody has to count again, or to search."""
    turns = history(steps)
    index = WindowIndex(WORDS)
    for count in range(len(turns) + 1):  # what was dropped before may be answered now
        index.extend(turns[:count])
        index.window(turns[:count], 10**6, unanswered=unanswered)
    if budget < sum(tokens_of(turn, WORDS) for turn in turns[: index.window(turns, 10**6).pinned]):
        return
    window = index.window(turns, budget, unanswered=unanswered)
    assert window.turn_tokens == tuple(tokens_of(turn, WORDS) for turn in window)
    assert sum(window.turn_tokens) == window.tokens
    newest = window.interactions[window.pinned :]
    assert [turn for turn in turns[window.start :] if turn in newest] == list(newest)
    assert not newest or turns[window.start] == newest[0]
    fresh = WindowIndex(WORDS)
    fresh.extend(turns)
    assert fresh.window(turns, budget, unanswered=unanswered) == window


@pytest.mark.parametrize("name", ["openai", "anthropic", "sharegpt", "hf"])
def test_a_window_is_told_in_every_format_with_its_tool_calls(
    name: Literal["openai", "anthropic", "sharegpt", "hf"],
) -> None:
    conversation = Conversation()
    conversation.add_exchange("A question of many words that has no room.", "And its answer.")
    conversation.add_interaction("user", "Where is order 17?")
    conversation.add_interaction("assistant", tool_calls=[ToolCall(id="c1", name="find", arguments='{"order":17}')])
    conversation.add_interaction("tool", "In Lisbon.", tool_call_id="c1")
    conversation.add_interaction("assistant", "In Lisbon.")
    window = conversation.window(12, counter=WORDS)
    assert len(window) == 4
    assert window.to_messages(name) == made_of(list(window)).to_messages(name)
    assert window.to_messages() == window.to_messages("openai")


def test_a_window_is_told_in_no_other_format() -> None:
    with pytest.raises(InvalidArgumentError, match="There is no format 'gemini'"):
        Conversation().window(10).to_messages("gemini")  # type: ignore[arg-type]
