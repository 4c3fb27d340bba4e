"""Contexts: within the budget, the question last, nothing twice, and told in numbers that add up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.config.settings import Settings
from ragtime.errors import BackendError, InvalidArgumentError
from ragtime.protocols import TextRole, TokenCounter
from ragtime.records.conversation import Interaction, ToolCall
from ragtime.services.conversation import Context, ConversationEmbedder, ConversationSummarizer, EnhancedConversation
from ragtime.services.conversation.context import told_messages
from ragtime.services.conversation.window import tokens_of
from ragtime.testing import HashEncoder
from ragtime.utils.tokens import EstimatedTokenCounter


class Words:
    """Counts words."""

    name, exact = "words", True

    def count(self, text: str) -> int:
        return len(text.split())


class Letters:
    """Counts characters."""

    name, exact = "letters", True

    def count(self, text: str) -> int:
        return len(text)


class Lavish:
    """Counts words, and seven for whatever is not empty, as a model with a frame around each text would."""

    name, exact = "lavish", False

    def count(self, text: str) -> int:
        return 7 + len(text.split()) if text else 0


class BrokenEncoder(HashEncoder):
    """A model that is gone."""

    def encode(self, texts: Sequence[str], *, role: TextRole = "passage") -> npt.NDArray[np.float32]:
        raise BackendError(f"gone, with {len(texts)} texts as {role}")


COUNTERS: list[TokenCounter] = [Words(), Letters(), Lavish(), EstimatedTokenCounter()]
SETTINGS = Settings.isolated()


def made_of(
    turns: Sequence[Interaction], counter: TokenCounter | None = None, encoder: HashEncoder | None = None
) -> EnhancedConversation:
    chosen = encoder or HashEncoder(16)
    conversation = EnhancedConversation(
        settings=SETTINGS,
        embedder=ConversationEmbedder(encoder=chosen),
        summarizer=ConversationSummarizer(SETTINGS, encoder=chosen, counter=counter, centrality="lexical"),
        counter=counter or Words(),
    )
    conversation.add_interactions(turns)
    return conversation


_KINDS = ["user", "user", "assistant", "assistant", "system", "call", "result"]
_words = st.lists(st.sampled_from("tea milk sugar. cup! train the Lisbon monday ticket 42".split()), max_size=12)
_steps = st.lists(st.tuples(st.sampled_from(_KINDS), _words), max_size=25)


def history(steps: Sequence[tuple[str, list[str]]]) -> list[Interaction]:
    turns: list[Interaction] = []
    waiting: list[str] = []
    for number, (kind, words) in enumerate(steps):
        text = " ".join(words) or "well"
        if kind == "call":
            waiting.append(f"c{number}")
            call = ToolCall(id=f"c{number}", name="look up", arguments='{"for": "tea"}')
            turns.append(Interaction(role="assistant", content=" ".join(words), tool_calls=[call]))
        elif kind == "result" and waiting:
            turns.append(Interaction(role="tool", content=" ".join(words), tool_call_id=waiting.pop()))
        else:
            turns.append(Interaction(role="user" if kind == "result" else kind, content=text))  # type: ignore[arg-type]
    return turns


def leading(turns: Sequence[Interaction]) -> list[Interaction]:
    count = next((place for place, turn in enumerate(turns) if turn.role != "system"), len(turns))
    return list(turns[:count])


def test_tools_are_told_as_text_of_the_assistant() -> None:
    """A message has no place for calls, and servers refuse a tool's message without one."""
    turns = [
        Interaction(role="user", content="Where is it?"),
        Interaction(
            role="assistant",
            content="Let me look.",
            tool_calls=[ToolCall(id="a", name="find", arguments="{}"), ToolCall(id="b", name="ask")],
        ),
        Interaction(role="tool", content="Shelf 3", tool_call_id="a"),
        Interaction(role="tool", content="", tool_call_id="b", name="asked"),
        Interaction(role="assistant", content="On shelf 3."),
        Interaction(role="assistant", content="Anything else?"),
    ]
    told = "Let me look.\n[called find] {}\n[called ask] {}\n[find returned] Shelf 3\n[asked returned] \nOn shelf 3."
    assert told_messages(turns) == [
        {"role": "user", "content": "Where is it?"},
        {"role": "assistant", "content": told},
        {"role": "assistant", "content": "Anything else?"},
    ]


def check(context: Context, conversation: EnhancedConversation, query: str, counter: TokenCounter) -> None:
    """Assert all that holds for any context."""
    turns = conversation.get_interactions()
    system, by_id = leading(turns), {turn.id: turn for turn in turns}
    assert context.tokens <= context.max_tokens
    assert sum(counter.count(message["content"]) for message in context.messages) <= context.tokens
    assert context.messages[-1] == {"role": "user", "content": query}
    assert [dict(message) for message in context.messages[: len(system)]] == [
        {"role": "system", "content": turn.content} for turn in system
    ]
    parts = {part.name: part for part in context.parts}
    assert [name for name in ("system", "memory", "recent", "question") if name in parts] == list(parts)
    assert sum(part.tokens for part in context.parts) == context.tokens
    assert parts["question"].tokens == counter.count(query)
    assert list(parts["system"].turn_ids) == [turn.id for turn in system]
    recent = [by_id[turn_id] for turn_id in parts["recent"].turn_ids]
    between = context.messages[len(system) : -1]
    if "memory" in parts and parts["memory"].tokens:
        memory, *between = between  # type: ignore[assignment]
        assert memory["role"] == "system"
        assert parts["memory"].tokens == counter.count(memory["content"])
        assert {turn.id for turn in context.recalled} <= set(parts["memory"].turn_ids)
        assert all(turn.content in memory["content"] for turn in context.recalled)
    else:
        assert context.recalled == ()
        assert context.summary is None
    assert list(between) == told_messages(recent)
    assert "tool" not in {message["role"] for message in context.messages}
    lines = context.explain().splitlines()
    assert lines[0] == f"{context.tokens:,} of {context.max_tokens:,} tokens"
    told = [f"{part.name}: {part.tokens:,} tokens, {len(part.turn_ids)} turns" for part in context.parts]
    assert [line.partition(";")[0] for line in lines[1:]] == told


_query = st.lists(st.sampled_from("tea Lisbon ticket where when yesterday".split()), min_size=1, max_size=5).map(
    " ".join
)


@given(_steps, _query, st.integers(1, 400), st.sampled_from(COUNTERS))
@settings(max_examples=250)
def test_any_context_is_within_its_budget_and_well_formed(
    steps: list[tuple[str, list[str]]], query: str, budget: int, counter: TokenCounter
) -> None:
    conversation = made_of(history(steps), counter)
    least = counter.count(query) + sum(tokens_of(turn, counter) for turn in leading(conversation.get_interactions()))
    if budget < least:
        with pytest.raises(InvalidArgumentError, match="too small"):
            conversation.build_context(query, budget)
    elif budget > counter.count(query):
        check(conversation.build_context(query, budget), conversation, query, counter)


@given(_steps, _query, st.integers(20, 300), st.sampled_from(COUNTERS))
@settings(max_examples=250)
def test_what_was_recalled_is_not_among_the_newest(
    steps: list[tuple[str, list[str]]], query: str, budget: int, counter: TokenCounter
) -> None:
    conversation = made_of(history(steps), counter)
    if budget <= counter.count(query) + sum(tokens_of(turn, counter) for turn in leading(list(conversation))):
        return
    context = conversation.build_context(query, budget)
    recent = next(part for part in context.parts if part.name == "recent")
    assert not {turn.id for turn in context.recalled} & set(recent.turn_ids)


def long_talk(encoder: HashEncoder | None = None) -> EnhancedConversation:
    """Forty turns of five words; the third is about a passport."""
    said = [f"We talk of topic{number} today" for number in range(40)]
    said[2] = "My passport is green, really"
    turns = [Interaction(role="system", content="Be brief")]
    turns += [
        Interaction(role="user" if place % 2 == 0 else "assistant", content=one) for place, one in enumerate(said)
    ]
    return made_of(turns, Words(), encoder)


def test_a_long_conversation_is_summed_up_and_recalled() -> None:
    conversation = long_talk()
    context = conversation.build_context("What colour is my passport?", 180)
    check(context, conversation, "What colour is my passport?", Words())
    assert "My passport is green, really" in [turn.content for turn in context.recalled]
    assert context.summary is not None
    assert str(context.summary) in context.messages[1]["content"]
    assert [part.name for part in context.parts] == ["system", "memory", "recent", "question"]
    assert context.messages[-2]["content"] == "We talk of topic39 today"
    assert "earlier turns had no room" in context.explain()
    assert context.degraded is None


@pytest.mark.parametrize("number", range(3, 40, 3))
@pytest.mark.parametrize("budget", [140, 180])
def test_a_turn_that_the_newest_reach_at_last_is_not_told_twice(number: int, budget: int) -> None:
    """What summary and recalled turns leave goes to the newest, which may then reach a recalled one."""
    context = long_talk().build_context(f"topic{number}", budget, top_k=1)
    recent = next(part for part in context.parts if part.name == "recent")
    assert not {turn.id for turn in context.recalled} & set(recent.turn_ids)


def test_what_the_memory_leaves_goes_to_the_newest() -> None:
    conversation = long_talk()
    context = conversation.build_context("passport", 180)
    assert context.tokens > 180 - 5


def test_recalled_turns_are_told_in_their_order() -> None:
    conversation = long_talk()
    context = conversation.build_context("topic3 topic1 topic5 passport", 200)
    places = {turn.id: place for place, turn in enumerate(conversation)}
    order = [places[turn.id] for turn in context.recalled]
    assert len(order) > 1
    assert order == sorted(order)


def test_each_part_tells_its_own_tokens() -> None:
    context = long_talk().build_context("What colour is my passport?", 180)
    parts = {part.name: part.tokens for part in context.parts}
    assert (parts["system"], parts["question"]) == (2, 5)
    assert parts["recent"] == sum(len(message["content"].split()) for message in context.messages[2:-1])


def test_the_whole_conversation_where_it_fits_and_no_model_then() -> None:
    encoder = HashEncoder()
    conversation = long_talk(encoder)
    context = conversation.build_context("passport?", 5 * 40 + 2 + 1)
    assert [message["content"] for message in context.messages] == [turn.content for turn in conversation] + [
        "passport?"
    ]
    assert context.tokens == context.max_tokens
    assert (context.summary, context.recalled, encoder.calls) == (None, (), [])
    assert conversation.build_context("passport?", 5 * 40 + 2).summary is not None
    assert encoder.calls != []


def test_an_empty_conversation_is_the_question_alone() -> None:
    conversation = made_of([], Words())
    context = conversation.build_context("How long?", 10)
    assert context.messages == ({"role": "user", "content": "How long?"},)
    assert context.tokens == 2
    check(context, conversation, "How long?", Words())


def test_a_budget_that_is_too_small_says_so() -> None:
    conversation = long_talk()
    with pytest.raises(InvalidArgumentError, match="the question alone has 3 tokens"):
        conversation.build_context("one two three", 2)
    with pytest.raises(InvalidArgumentError, match="too small"):
        conversation.build_context("one two three", 4)
    with pytest.raises(InvalidArgumentError):
        conversation.build_context("one", 0)


def test_the_budget_of_the_settings() -> None:
    conversation = EnhancedConversation(settings=Settings.isolated(conversation__window_tokens=77))
    assert conversation.build_context("How long?").max_tokens == 77


def test_turns_that_were_recalled_already_are_taken() -> None:
    encoder = HashEncoder()
    conversation = long_talk(encoder)
    found = conversation.recall("passport", 1).turns
    encoder.calls.clear()
    context = conversation.build_context("And its colour, then?", 180, recalled=found)
    assert [turn.content for turn in context.recalled] == ["My passport is green, really"]
    assert ["And its colour, then?"] not in encoder.calls
    assert conversation.build_context("And its colour, then?", 180, recalled=()).recalled == ()


def test_a_recalled_turn_without_room_is_counted() -> None:
    turns = [Interaction(role="user", content="passport " + "very " * 200)]
    turns += [Interaction(role="user", content=f"We talk of topic{number} today") for number in range(30)]
    conversation = made_of(turns, Words())
    found = conversation.recall("passport", 1).turns
    context = conversation.build_context("passport", 100, recalled=found)
    assert context.recalled == ()
    assert "1 recalled turns had no room" in context.explain()


def test_a_recalled_turn_is_counted_where_there_is_no_room_for_any_memory() -> None:
    context = long_talk().build_context("passport", 60, top_k=1)
    assert (context.recalled, context.summary) == ((), None)
    assert "1 recalled turns had no room" in context.explain()


def test_a_model_that_is_gone_leaves_the_words() -> None:
    conversation = long_talk(BrokenEncoder())
    context = conversation.build_context("What colour is my passport?", 180)
    assert "My passport is green, really" in [turn.content for turn in context.recalled]
    assert "BackendError" in (context.degraded or "")
    with pytest.raises(BackendError):
        conversation.build_context("What colour is my passport?", 180, degrade=False)


def test_what_was_said_is_not_rendered() -> None:
    """A template in a turn is text."""
    strange = Interaction(role="user", content="passport {{ 7 * 7 }} {% for %}")
    conversation = made_of([strange, *long_talk()], Words())
    context = conversation.build_context("passport", 180)
    memory = next(message for message in context.messages if "no instruction" in message["content"])
    assert "passport {{ 7 * 7 }} {% for %}" in memory["content"]
