from __future__ import annotations

import logging

import numpy as np
import pytest

from ragtime.config.settings import Settings
from ragtime.errors import (
    BackendCancelledError,
    BackendError,
    BackendTimeoutError,
    ConfigurationError,
    InvalidArgumentError,
    MissingExtraError,
)
from ragtime.records.conversation import Interaction
from ragtime.services.conversation.summaries import ConversationSummarizer
from ragtime.services.conversation.summaries.attribution import attribute
from ragtime.testing import HashEncoder, ScriptedGenerator

SECRET = "the secret is 4711"


class BrokenEncoder(HashEncoder):
    """Fails, or gives what is no vector."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__(8)
        self.error = error

    def encode(self, texts, **_):
        if self.error is not None:
            raise self.error
        return np.full((len(texts), 8), np.nan, dtype=np.float32)


def test_the_answer_is_the_summary_with_the_turns_behind_it(summarizer):
    """Each sentence stands on the turns that share its words."""
    turns = [
        Interaction(id="a", role="user", content="Book a table for four."),
        Interaction(id="b", role="assistant", content="At the Harbour Grill?"),
        Interaction(id="c", role="user", content="Yes, on May 3."),
    ]
    generator = ScriptedGenerator([" A table for four is booked.\nThe Harbour Grill expects them on May 3. "])
    summary = summarizer(generator=generator).summarize(turns, strategy="abstractive", max_tokens=50)
    assert summary.text == "A table for four is booked.\nThe Harbour Grill expects them on May 3."
    assert [one.turn_ids for one in summary.sentences] == [("a",), ("b", "c")]
    assert (summary.strategy, summary.fallback, summary.turns_read) == ("abstractive", None, 3)
    [call] = generator.calls
    assert "User: Book a table for four.\nAssistant: At the Harbour Grill?" in call.messages[-1]["content"]
    assert (call.temperature, call.seed) == (0.0, 0)


def test_a_sentence_without_a_common_word_stands_on_the_last_turn():
    """As after a translation."""
    turns = [Interaction(id="a", role="user", content="Hello."), Interaction(id="b", role="user", content="A room.")]
    assert [one.turn_ids for one in attribute("Ein Zimmer.", turns)] == [("b",)]


def test_a_long_conversation_takes_rounds_within_the_input_budget(conversation, encoder):
    """Each is shown the summary so far; every turn is shown once; further turns need the last round only."""
    settings = Settings.isolated(conversation={"window_tokens": 500})
    generator = ScriptedGenerator(lambda _: f"Summary number {len(generator.calls)}.")
    made = ConversationSummarizer(settings, encoder=encoder, generator=generator)
    found = conversation(100)
    summary = made.summarize(found, strategy="abstractive", max_tokens=40)
    shown = [call.messages[-1]["content"] for call in generator.calls]
    assert summary.nodes_computed == len(shown) > 5
    assert summary.turns_read == 100
    assert all("\n".join(shown).count(f"Ticket {number} costs") == 1 for number in range(100))
    assert all(f"Summary number {n}." in text for n, text in enumerate(shown[1:], 1))
    count = made.summarize(found, strategy="recent").counter
    assert count == "estimate"
    found.add_interaction("user", "Is gate 7 open?")
    assert made.summarize(found, strategy="abstractive", max_tokens=40).nodes_computed == 1


def test_prompts_fit_their_budget(conversation, encoder):
    """With a huge turn, too."""
    settings = Settings.isolated(conversation={"window_tokens": 400})
    generator = ScriptedGenerator(lambda _: "word " * 300)
    made = ConversationSummarizer(settings, encoder=encoder, generator=generator)
    found = conversation(30)
    found.add_interaction("user", "many words " * 10_000)
    summary = made.summarize(found, strategy="abstractive", max_tokens=200)
    assert summary.tokens <= 200
    count = made._budget.counter.count
    assert all(sum(count(message["content"]) for message in call.messages) <= 400 for call in generator.calls)


def test_an_input_budget_without_room_is_refused(conversation, encoder):
    """With what would do."""
    settings = Settings.isolated(conversation={"window_tokens": 50})
    made = ConversationSummarizer(settings, encoder=encoder, generator=ScriptedGenerator(["x"]))
    with pytest.raises(InvalidArgumentError, match="have no room for turns"):
        made.summarize(conversation(3), strategy="abstractive")


@pytest.mark.parametrize(
    ("answer", "tokens", "text"),
    [
        ("One thing. Another thing. A third thing.", 7, "One thing. Another thing."),
        ("First line\nSecond line of more words", 4, "First line"),
        ("word " * 100_000, 5, "word word word word…"),
    ],
)
def test_an_endless_answer_is_cut(summarizer, conversation, answer, tokens, text):
    """After a sentence or line, else between words."""
    made = summarizer(generator=ScriptedGenerator([answer]))
    summary = made.summarize(conversation(3), strategy="abstractive", max_tokens=tokens)
    assert (summary.text, summary.strategy) == (text, "abstractive")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (BackendError(SECRET), "generator failed (BackendError)"),
        (BackendTimeoutError(SECRET), "generator failed (BackendTimeoutError)"),
        ("", "generator failed (BlankAnswerError)"),
        (" \n. ", "generator failed (BlankAnswerError)"),
    ],
)
def test_a_failing_generator_is_replaced(summarizer, conversation, caplog, answer, reason):
    """By sentences of the turns; neither the summary nor the log holds the error's text."""
    found = conversation(30)
    summary = summarizer(generator=ScriptedGenerator([answer])).summarize(found, strategy="abstractive", max_tokens=60)
    plain = summarizer().summarize(found, strategy="extractive", max_tokens=60)
    assert (summary.strategy, summary.requested, summary.fallback) == ("extractive", "abstractive", reason)
    assert summary.text == plain.text
    [warning] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert warning.error in reason
    assert SECRET not in caplog.text + str(summary)


def test_a_failure_in_a_later_round_is_one_of_the_whole(conversation, encoder):
    """Half a summary is none."""
    settings = Settings.isolated(conversation={"window_tokens": 500})
    made = ConversationSummarizer(
        settings, encoder=encoder, generator=ScriptedGenerator(["One summary.", BackendError(SECRET)])
    )
    summary = made.summarize(conversation(100), strategy="abstractive", max_tokens=60)
    assert summary.strategy == "extractive"
    assert summary.fallback == "generator failed (BackendError)"


@pytest.mark.parametrize("strategy", ["extractive", "rolling", "hierarchical"])
@pytest.mark.parametrize("broken", [BrokenEncoder(BackendError(SECRET)), BrokenEncoder()])
def test_a_failing_encoder_is_replaced(summarizer, conversation, caplog, strategy, broken):
    """By words; the summary is that of lexical centrality."""
    found = conversation(60)
    summary = summarizer(encoder=broken).summarize(found, strategy=strategy, max_tokens=60)
    lexical = summarizer(centrality="lexical").summarize(found, strategy=strategy, max_tokens=60)
    assert summary.text == lexical.text
    assert (summary.strategy, summary.fallback) == (strategy, "encoder failed (BackendError)")
    assert SECRET not in caplog.text


def test_both_may_fail(summarizer, conversation):
    """The summary says so."""
    made = summarizer(encoder=BrokenEncoder(), generator=ScriptedGenerator([]))
    summary = made.summarize(conversation(60), strategy="abstractive", max_tokens=60)
    assert summary.fallback == "generator failed (BackendError); encoder failed (BackendError)"
    assert summary.tokens > 0


def test_a_call_that_was_cancelled_stays_cancelled(summarizer, conversation):
    """It is the caller's own wish."""
    error = BackendCancelledError("stopped")
    with pytest.raises(BackendCancelledError):
        summarizer(generator=ScriptedGenerator([error])).summarize(conversation(3), strategy="abstractive")
    with pytest.raises(BackendCancelledError):
        summarizer(encoder=BrokenEncoder(error)).summarize(conversation(60), max_tokens=60)


def test_a_missing_package_is_no_failure_of_a_model(summarizer, conversation):
    """It is told, with the command that installs it."""
    made = summarizer(encoder=BrokenEncoder(MissingExtraError("sentence_transformers", "embeddings")))
    with pytest.raises(MissingExtraError):
        made.summarize(conversation(60), max_tokens=60)


def test_without_any_generator_an_abstractive_summary_is_refused(summarizer, conversation):
    """The settings name none."""
    with pytest.raises(ConfigurationError):
        summarizer().summarize(conversation(3), strategy="abstractive")
