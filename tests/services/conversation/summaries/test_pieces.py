from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragtime.records.conversation import ImagePart, Interaction, ToolCall
from ragtime.services.conversation.summaries.pieces import Budget, cut_text, pieces_of, write
from ragtime.utils.tokens import EstimatedTokenCounter

COUNTER = EstimatedTokenCounter()


class LetterCounter:
    """Counts characters, and more for a whole than for its parts."""

    name, exact = "letters", True

    def count(self, text: str) -> int:
        return len(text) + len(text) // 10


def test_each_change_of_speaker_begins_a_line():
    """Sentences of one speaker share it, unless one has no end."""
    turns = [
        Interaction(role="user", content="Hello there. A room, please"),
        Interaction(role="user", content="For two."),
        Interaction(role="assistant", name="Desk", content="Here:\n```\nroom 5\n```\nEnjoy."),
    ]
    pieces = [piece for place, turn in enumerate(turns) for piece in pieces_of(turn, place)]
    assert write(pieces) == (
        "User: Hello there. A room, please\nFor two.\nAssistant Desk: Here:\n```\nroom 5\n```\nEnjoy."
    )


def test_tools_images_and_system_turns_have_their_pieces():
    """A call shows its name, an image that it is there, and the system nothing."""
    call = Interaction(role="assistant", tool_calls=(ToolCall(id="1", name="weather", arguments='{"city": "Rome"}'),))
    image = Interaction(role="user", parts=(ImagePart(url="https://example.org/a.png"),))
    result = Interaction(role="tool", tool_call_id="1", content="")
    system = Interaction(role="system", content="Be brief.")
    assert [[piece.text for piece in pieces_of(turn, 0)] for turn in (call, image, result, system)] == [
        ['[calls weather({"city": "Rome"})]'],
        ["[image]"],
        [],
        [],
    ]


@pytest.mark.parametrize(
    ("tokens", "text"), [(9, "one two three four"), (4, "one two three four"), (3, "one two…"), (1, "…"), (0, "")]
)
def test_a_text_is_cut_between_words(tokens, text):
    """An ellipsis marks the cut, and counts."""
    assert cut_text("one two three four", tokens, COUNTER) == text


def test_writing_without_spaces_is_cut_between_signs():
    """As much of it as fits is kept."""
    assert cut_text("User: " + "\u6771" * 300, 203, COUNTER) == "User: " + "\u6771" * 200 + "…"


def test_a_word_longer_than_the_budget_is_cut_inside():
    """There is no other place."""
    assert cut_text("internationalization", 3, COUNTER) == "internation…"


@given(st.text(max_size=200), st.integers(0, 30))
def test_a_cut_text_fits(text, tokens):
    """Whatever the text is."""
    assert COUNTER.count(cut_text(text, tokens, COUNTER)) <= tokens


def test_a_counter_that_charges_more_for_the_whole_is_obeyed():
    """The sum of the parts fits, the whole does not."""
    turn = Interaction(role="user", content="Alpha beta. Gamma delta. Epsilon zeta. Eta theta.")
    taken = Budget(LetterCounter()).fill(pieces_of(turn, 0), 52)
    assert taken
    assert LetterCounter().count(write(taken)) <= 52


def test_the_speaker_goes_before_the_last_word():
    """In a budget too small for both, the words stay."""
    pieces = pieces_of(Interaction(role="user", content="Sunday"), 0)
    assert [write(Budget(COUNTER).fill(pieces, tokens)) for tokens in (3, 2, 1)] == ["User: Sunday", "Sunday", "Sunday"]
