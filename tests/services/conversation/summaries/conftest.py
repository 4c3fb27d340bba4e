"""Conversations, models and summarizers for the tests of summaries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ragtime.config.settings import Settings
from ragtime.records.conversation import Interaction
from ragtime.services.conversation.conversation import Conversation
from ragtime.services.conversation.summaries import ConversationSummarizer
from ragtime.testing import HashEncoder

PLACES = ("Lisbon", "Porto", "Faro", "Braga", "Coimbra", "Evora", "Sintra")
SUBJECTS = ("train", "hotel", "museum", "ferry", "concert", "dinner")


def turn_text(number: int) -> str:
    """Return what is said in a turn: two sentences, different in every turn."""
    place, subject = PLACES[number % 7], SUBJECTS[number % 6]
    return f"The {subject} in {place} starts at {number % 24}:{number % 60:02d}. Ticket {number} costs {number} euros."


def _turns(count: int) -> list[Interaction]:
    return [Interaction(id=f"t{n}", role="assistant" if n % 2 else "user", content=turn_text(n)) for n in range(count)]


@pytest.fixture
def make_turns() -> Callable[[int], list[Interaction]]:
    """Make so many turns, of user and assistant in turn."""
    return _turns


@pytest.fixture
def encoder() -> HashEncoder:
    return HashEncoder(64)


@pytest.fixture
def summarizer(encoder: HashEncoder) -> Callable[..., ConversationSummarizer]:
    """Make a summarizer without a real model."""

    def make(**options: Any) -> ConversationSummarizer:
        options.setdefault("encoder", encoder)
        return ConversationSummarizer(Settings.isolated(), **options)

    return make


@pytest.fixture
def conversation() -> Callable[..., Conversation]:
    """Make a conversation with so many turns."""

    def make(count: int, **options: Any) -> Conversation:
        made = Conversation(settings=Settings.isolated(), **options)
        made.add_interactions(_turns(count))
        return made

    return make
