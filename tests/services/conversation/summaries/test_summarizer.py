from __future__ import annotations

import logging
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ragtime.config.settings import Settings
from ragtime.errors import InvalidArgumentError
from ragtime.records.conversation import Interaction, ToolCall
from ragtime.services.conversation.conversation import Conversation
from ragtime.services.conversation.summaries import ConversationSummarizer
from ragtime.testing import HashEncoder, ScriptedGenerator
from ragtime.utils.tokens import EstimatedTokenCounter

STRATEGIES = ("extractive", "recent", "rolling", "hierarchical", "abstractive")
EXTRACTS = STRATEGIES[:4]
COUNTER = EstimatedTokenCounter()

texts = st.text(max_size=80).filter(lambda text: text.strip() and "\0" not in text) | st.sampled_from(
    [
        "Hi.",
        "Thanks!",
        "A room in Porto costs 90 euros. It is free.",
        "```\ncode()\n```",
        "営業中です。月曜は休み。",
        "x" * 900,
    ]
)
conversations = st.lists(texts, max_size=12).map(
    lambda found: [
        Interaction(id=f"t{n}", role=("user", "assistant", "system")[n % 5 % 3], content=text)
        for n, text in enumerate(found)
    ]
)


@given(conversations, st.sampled_from(STRATEGIES), st.integers(1, 60))
@hypothesis_settings(max_examples=300)
def test_budget_and_provenance_hold_for_every_strategy(turns, strategy, max_tokens):
    """Never a token more, never a turn that there is not, never nothing where something was said."""
    generator = ScriptedGenerator(lambda call: call.messages[-1]["content"])
    summarizer = ConversationSummarizer(
        Settings.isolated(), encoder=HashEncoder(16), generator=generator, fan_out=2, depth=3
    )
    summary = summarizer.summarize(turns, strategy=strategy, max_tokens=max_tokens)
    assert COUNTER.count(summary.text) == summary.tokens <= max_tokens
    assert str(summary) == summary.text
    spoken = {turn.id for turn in turns if turn.role != "system"}
    assert all(set(sentence.turn_ids) <= spoken and sentence.turn_ids for sentence in summary.sentences)
    assert bool(summary.sentences) == bool(summary.text) == bool(spoken)
    assert (summary.turns, summary.requested) == (len(turns), strategy)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_empty_conversation_has_an_empty_summary(summarizer, strategy):
    """No model is asked for it."""
    summary = summarizer(generator=ScriptedGenerator([])).summarize(
        Conversation(settings=Settings.isolated()), strategy=strategy
    )
    assert (summary.text, summary.tokens, summary.sentences, summary.fallback) == ("", 0, (), None)


@pytest.mark.parametrize("strategy", EXTRACTS)
def test_one_turn_is_its_own_summary(summarizer, strategy):
    """When it fits."""
    turn = Interaction(role="user", content="Where is room 5?")
    summary = summarizer().summarize([turn], strategy=strategy)
    assert summary.text == "User: Where is room 5?"
    assert [(one.text, one.turn_ids) for one in summary.sentences] == [("Where is room 5?", (turn.id,))]


@pytest.mark.parametrize("strategy", EXTRACTS)
def test_a_huge_turn_is_cut(summarizer, strategy):
    """One of a million words without a stop."""
    turns = [Interaction(role="user", content="word " * 1_000_000)]
    summary = summarizer().summarize(turns, strategy=strategy, max_tokens=20)
    assert 10 < summary.tokens <= 20
    assert summary.text.endswith("word…")


@pytest.mark.parametrize("strategy", EXTRACTS)
def test_nothing_depends_on_ids(summarizer, strategy, make_turns):
    """The same turns under ids of another order give the same bytes."""
    ascending = make_turns(150)
    descending = [turn.model_copy(update={"id": f"z{999 - n}"}) for n, turn in enumerate(ascending)]
    made = [
        summarizer(fan_out=4).summarize(turns, strategy=strategy, max_tokens=80) for turns in (ascending, descending)
    ]
    assert made[0].text == made[1].text
    assert made[0].sentences != made[1].sentences


@pytest.mark.parametrize("strategy", EXTRACTS)
def test_nothing_depends_on_when_summaries_were_asked_for(summarizer, conversation, strategy, make_turns):
    """After every turn, or once at the end: the same text."""
    early, late = summarizer(fan_out=4, depth=3), summarizer(fan_out=4, depth=3)
    growing = conversation(0)
    for turn in make_turns(40):
        growing.add_interactions([turn])
        step = early.summarize(growing, strategy=strategy, max_tokens=60)
    assert step.text == late.summarize(conversation(40), strategy=strategy, max_tokens=60).text


def test_nothing_depends_on_the_seed_of_hashes(root):
    """Two processes that order sets differently write the same text."""
    script = (
        "from ragtime.records.conversation import Interaction\n"
        "from ragtime.services.conversation.summaries import ConversationSummarizer\n"
        "turns = [Interaction(role='user', content=f'Ticket {n % 17} to Porto is {n} euros.') for n in range(300)]\n"
        "made = ConversationSummarizer(centrality='lexical', fan_out=4)\n"
        "for strategy in ('extractive', 'rolling', 'hierarchical'):\n"
        "    print(made.summarize(turns, strategy=strategy, max_tokens=60))\n"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1


def test_the_conversation_stays_as_it_is(summarizer, conversation):
    """A summary is a view."""
    found = conversation(50)
    before = found.to_dict()
    for strategy in EXTRACTS:
        summarizer().summarize(found, strategy=strategy, max_tokens=30)
    assert found.to_dict() == before


def test_recent_reads_from_the_end(summarizer, make_turns):
    """Whole turns, and no more of them than fit and one."""
    summary = summarizer().summarize(make_turns(1000), strategy="recent", max_tokens=60)
    places = [int(one.turn_ids[0][1:]) for one in summary.sentences]
    assert places == sorted(places)
    assert places[-1] == 999
    assert summary.turns_read == len(set(places)) + 1


def test_tools_are_told_apart(summarizer):
    """A call, its result and the answer, each with its speaker."""
    turns = [
        Interaction(role="user", content="Is it warm in Rome?"),
        Interaction(role="assistant", tool_calls=(ToolCall(id="c", name="weather", arguments='{"city": "Rome"}'),)),
        Interaction(role="tool", name="weather", tool_call_id="c", content='{"celsius": 31}'),
        Interaction(role="assistant", content="Yes, 31 degrees."),
    ]
    assert str(summarizer().summarize(turns)).splitlines() == [
        "User: Is it warm in Rome?",
        'Assistant: [calls weather({"city": "Rome"})]',
        'Tool weather: {"celsius": 31}',
        "Assistant: Yes, 31 degrees.",
    ]


def test_a_short_conversation_needs_no_model(summarizer, encoder, make_turns):
    """Nothing is left out, so nothing is compared."""
    summarizer().summarize(make_turns(3))
    assert encoder.calls == []


def test_one_more_turn_embeds_only_new_sentences(summarizer, conversation, encoder):
    """The vectors of the last candidates are kept for the conversation."""
    found = conversation(60)
    made = summarizer()
    made.summarize(found, max_tokens=60)
    found.add_interaction("user", "A taxi to Obidos costs 70 euros.")
    made.summarize(found, max_tokens=60)
    assert [len(call) for call in encoder.calls] == [120, 1]


def test_words_alone_need_no_encoder(make_turns):
    """With lexical centrality none is made."""
    made = ConversationSummarizer(Settings.isolated(), centrality="lexical")
    assert 0 < made.summarize(make_turns(60), max_tokens=60).tokens <= 60


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"strategy": "magic"}, "magic"),
        ({"max_tokens": 0}, "found 0"),
        ({"depth": 0}, "depth"),
    ],
)
def test_wrong_arguments_are_refused(summarizer, options, wrong):
    """With what was found."""
    with pytest.raises(InvalidArgumentError, match=wrong):
        summarizer().summarize([], **options)


@pytest.mark.parametrize("options", [{"centrality": "magic"}, {"fan_out": 1}, {"depth": 0}, {"max_conversations": 0}])
def test_wrong_options_are_refused(options):
    """Before any work."""
    with pytest.raises(InvalidArgumentError):
        ConversationSummarizer(Settings.isolated(), **options)


def test_each_summary_is_one_event_without_its_text(summarizer, conversation, caplog):
    """Operation, conversation, strategy, turns, tokens, seconds."""
    caplog.set_level(logging.INFO, logger="ragtime")
    summary = summarizer().summarize(conversation(30, conversation_id="c1"), max_tokens=40)
    [event] = caplog.records
    assert (event.operation, event.conversation_id, event.strategy) == ("summarize", "c1", "extractive")
    assert (event.turns, event.tokens) == (30, summary.tokens)
    assert event.seconds >= 0
    assert "Ticket" not in caplog.text


def test_many_threads_give_what_one_gives(summarizer, conversation):
    """On one conversation, with every strategy at once."""
    shared, found = summarizer(fan_out=4, depth=3), conversation(120)
    expected = [summarizer(fan_out=4, depth=3).summarize(found, strategy=one, max_tokens=50).text for one in EXTRACTS]
    made: list[list[str]] = []

    def work() -> None:
        made.append([shared.summarize(found, strategy=one, max_tokens=50).text for one in EXTRACTS])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [expected] * 8
