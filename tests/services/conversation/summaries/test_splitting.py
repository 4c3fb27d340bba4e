# ruff: noqa: RUF001 - punctuation of many scripts is what is tested
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragtime.services.conversation.summaries.splitting import (
    LONGEST,
    READ,
    clip,
    is_closed,
    is_question,
    split_sentences,
)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", []),
        ("  \n ", []),
        ("Book a table. For four!", ["Book a table.", "For four!"]),
        ("It costs 3.50 euros. See a.b.example/x.y first.", ["It costs 3.50 euros.", "See a.b.example/x.y first."]),
        ("Ask Dr. Brown or J. Smith. They know.", ["Ask Dr. Brown or J. Smith.", "They know."]),
        ("Take fruit, e.g. apples, vs. none. Done.", ["Take fruit, e.g. apples, vs. none.", "Done."]),
        ("Come at 5 p.m. The door is open.", ["Come at 5 p.m.", "The door is open."]),
        ("Room No. 5 is free. No. It is not.", ["Room No. 5 is free.", "No.", "It is not."]),
        ('He said "Go." Then he left.', ['He said "Go."', "Then he left."]),
        ("i need a hotel. in paris please", ["i need a hotel.", "in paris please"]),
        ("Wait... what? Really?!", ["Wait... what?", "Really?!"]),
        ("1. Boil water.\n2. Add tea.", ["1. Boil water.", "2. Add tea."]),
        ("- one thing\n- another thing", ["- one thing", "- another thing"]),
        ("A line that is\nwrapped ends here.\nNext", ["A line that is wrapped ends here.", "Next"]),
        ("Call `a. B()` now. Then stop.", ["Call `a. B()` now.", "Then stop."]),
        ("営業中です。月曜は休み！次は？", ["営業中です。", "月曜は休み！", "次は？"]),
        ("यह पहला है। यह दूसरा है।", ["यह पहला है।", "यह दूसरा है।"]),
        ("هل هذا صحيح؟ نعم هو صحيح۔", ["هل هذا صحيح؟", "نعم هو صحيح۔"]),
        ("See:\n```python\nx = 1. \ny = 2\n```\nGood.", ["See:", "```python\nx = 1. \ny = 2\n```", "Good."]),
        ("```\nnever closed. Yes", ["```\nnever closed. Yes"]),
    ],
)  # fmt: skip
def test_sentences_end_where_a_reader_would_end_them(text, sentences):
    """Abbreviations, numbers, code and every script."""
    assert split_sentences(text) == sentences


def test_a_text_without_punctuation_is_cut_between_words():
    """No sentence is longer than LONGEST and an ellipsis."""
    [sentence] = split_sentences("word " * 1000)
    assert len(sentence) <= LONGEST + 1
    assert sentence.endswith("word…")


def test_long_code_is_cut_between_lines_and_closed():
    """What is left of it is a block of code still."""
    [block] = split_sentences("```\n" + "line = 1\n" * 200 + "```")
    assert block.startswith("```\nline = 1")
    assert block.endswith("line = 1\n…\n```")
    assert len(block) < LONGEST + 10


def test_of_a_huge_text_the_beginning_and_the_end_are_read():
    """The middle of 16 million characters is passed over."""
    found = split_sentences("First. " + "Middle. " * 1_000_000 + "Last.")
    assert found[0] == "First."
    assert found[-1] == "Last."
    assert len(found) <= READ // 7


@given(st.text(max_size=300))
def test_no_word_is_lost(text):
    """Sentences hold the words of the text, in order."""
    if "`" not in text and "~~~" not in text:
        assert "".join("".join(split_sentences(text)).split()) == "".join(text.split())


def test_questions_are_told_by_their_mark():
    """Of any script, within quotes too."""
    assert [is_question(text) for text in ("Why?", 'He asked "why?"', "なぜ？", "Why.")] == [True, True, True, False]


def test_closed_sentences_are_told_by_their_mark():
    """What has no mark needs a line of its own."""
    assert [is_closed(text) for text in ("Yes.", "Yes!)", "はい。", "Yes")] == [True, True, True, False]


def test_one_long_word_is_cut_inside():
    """There is no space to cut at."""
    assert clip("a" * 50, 10) == "a" * 10 + "…"
