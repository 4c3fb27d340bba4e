"""Sentences, questions, keyphrases, synonyms and the answers of models."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.records import Document
from ragtime.services.training_data_gen.text import (
    CorpusWords,
    Synonyms,
    declines,
    headline_questions,
    keyphrases_of,
    plain,
    questions_of,
    sentences_of,
    texts_in,
)
from ragtime.utils.standard_library import standard_library_documents

WORDS = CorpusWords.of(
    [Document(id="1", text="The filter and the settings of FastAPI. We like FastAPI. the button")], 1
)


# --- sentences ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Fill it. Boil it twice! Why?", ["Fill it.", "Boil it twice!", "Why?"]),
        ("Use e.g. vinegar. Dr. Smith said 3.5 l are fine.", ["Use e.g. vinegar.", "Dr. Smith said 3.5 l are fine."]),
        ("A line that\ngoes on here.\nAnother one", ["A line that goes on here.", "Another one"]),
        ("- First thing\n- Second thing", ["First thing", "Second thing"]),
        ("Read [the guide](https://example.org/a_b) and `run_it`.", ["Read the guide and run_it."]),
        ("Before.\n```\ncode = 1.\n```\nAfter.", ["Before.", "After."]),
        ("按住按钮。指示灯闪烁。", ["按住按钮。", "指示灯闪烁。"]),
        ("1. Fill the tank.\n2. Press Start.", ["Fill the tank.", "Press Start."]),
        ("The plug is for 230 V. It fits.", ["The plug is for 230 V.", "It fits."]),
        ("J. Smith wrote it.", ["J. Smith wrote it."]),
        ("", []),
    ],
)
def test_sentences_end_where_a_reader_says(text: str, expected: list[str]) -> None:
    assert [one.text for one in sentences_of(text)] == expected


@given(st.text(max_size=300))
def test_sentences_stand_where_they_say(text: str) -> None:
    last = 0
    for sentence in sentences_of(text):
        assert last <= sentence.start < sentence.end <= len(text)
        assert plain(text[sentence.start : sentence.end]) == sentence.text
        last = sentence.end


@given(st.text(max_size=200))
def test_text_without_markup_has_none_to_lose(text: str) -> None:
    once = plain(text)
    assert once == " ".join(once.split())


@pytest.mark.timeout(60)  # a pattern that goes back and forth over such a text takes many minutes
@pytest.mark.parametrize(
    "piece",
    ["[", "<a ", "*a", "`", "a. ", "((", "\n", "a", "[a](", " {#", "<!--", "one two ", "word word (ABC ", "1. "],
)
def test_hostile_text_is_read_like_any_other(piece: str) -> None:
    hostile = piece * (400_000 // len(piece))
    sentences = sentences_of(hostile)
    for sentence in sentences[:50]:
        list(questions_of(sentence.text, WORDS))
    assert plain(hostile[:40_000]) == " ".join(plain(hostile[:40_000]).split())
    keyphrases_of(sentences, WORDS, 5)
    texts_in(hostile)
    Synonyms.of([Document(id="1", text=f"x {hostile}")], 1)


# --- questions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Reset the router with the small button.", "How do I reset the router with the small button?"),
        ("To reset the router, hold the button.", "How do I reset the router?"),
        ("If you want to reset the router, hold the button.", "How do I reset the router?"),
        ("You can return your order within a week.", "Can I return my order within a week?"),
        ("You must enter the password again.", "Do I have to enter the password again?"),
        ("Limescale is a hard deposit of calcium.", "What is limescale?"),
        ("FastAPI is a framework for the web.", "What is FastAPI?"),
        ("The filter takes two minutes to rinse.", "How long does the filter take?"),
        ("A new filter costs about 20 euros.", "How much does a new filter cost?"),
        ("Returns are free for 30 days.", "How long are returns free?"),
        ("If the red lamp blinks, call the support.", "What should I do if the red lamp blinks?"),
        ("When you log in, the old session ends.", "What happens when I log in?"),
        ("Gift cards are not valid in the online shop.", "Are gift cards valid in the online shop?"),
        ("The filter removes the smell of roasting.", "What does the filter remove?"),
    ],
)
def test_a_sentence_answers_its_question(sentence: str, expected: str) -> None:
    assert expected in [question.text for question in questions_of(sentence, WORDS)]


@pytest.mark.parametrize(
    "sentence",
    [
        "It is a hard deposit.",
        "Boil it once.",
        "This is the end of the road.",
        "There are two buttons on the lid.",
        "Orders, returns and gift cards.",
        "In the app the button is green.",
        "Passionate about the environment?",
        "Read more about the weather in the guide.",
        "Which of them is the best?",
        "Learn About Our Services and Read More",
    ],
)
def test_where_a_sentence_is_not_clear_nothing_is_asked(sentence: str) -> None:
    assert list(questions_of(sentence, WORDS)) == []


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Changing the mail address", "How do I change the mail address?"),
        ("Importing and exporting curves", "How do I import and export curves?"),
        ("How to pack a return", "How do I pack a return?"),
        ("Reset the router", "How do I reset the router?"),
        ("Putting it in FastAPI", "How do I put it in FastAPI?"),
    ],
)
def test_headings_become_questions(title: str, expected: str) -> None:
    assert [question.text for question in headline_questions(title, WORDS)] == [expected]


@pytest.mark.parametrize(
    "title", ["Return policy", "Where is my order?", "Settings", "Tracking hasn't changed", "Export link expired"]
)
def test_names_of_things_are_no_questions(title: str) -> None:
    assert list(headline_questions(title, WORDS)) == []


@settings(max_examples=200)
@given(st.text(max_size=200), st.integers(0, 7))
def test_questions_are_one_line_with_words(sentence: str, form: int) -> None:
    for question in questions_of(sentence, WORDS, form=form):
        assert question.text == " ".join(question.text.split())
        assert len(question.text.split()) >= 3


# --- keyphrases and synonyms ----------------------------------------------------------------------------------------


def test_keyphrases_tell_a_passage_from_others() -> None:
    documents = standard_library_documents(200)
    words = CorpusWords.of(documents, len(documents))
    long = next(document for document in documents if len(document.text) > 500)
    phrases = keyphrases_of(sentences_of(long.text), words, 5)
    assert phrases
    assert [phrase.weight for phrase in phrases] == sorted((phrase.weight for phrase in phrases), reverse=True)
    said = [word for phrase in phrases for word in phrase.text.lower().split()]
    assert len(said) == len(set(said))
    assert all(words.weight(word) > 0 for word in said)


def test_stop_words_tell_nothing_and_rare_words_most() -> None:
    documents = [Document(id=str(number), text=f"the kettle {'rare' if number == 3 else ''}") for number in range(9)]
    words = CorpusWords.of(documents, 9)
    assert words.weight("the") == 0.0
    assert words.weight("unseen") > words.weight("rare") > words.weight("Kettle") > 0


def test_synonyms_are_short_forms_and_spellings_of_the_corpus() -> None:
    texts = [
        "A Large Language Model (LLM) writes. The file system is slow.",
        "The filesystem is a tree, and the file system stays. The LLM reads.",
        "A filesystem has a root. Try the Code (xyz) now.",
    ]
    synonyms = Synonyms.of([Document(id=str(place), text=text) for place, text in enumerate(texts)], 3)
    assert synonyms.replace("which large language model is best") == ["which LLM is best"]
    assert synonyms.replace("Is the LLM slow?") == ["Is the large language model slow?"]
    assert synonyms.replace("filesystem root") == ["file system root"]
    assert synonyms.replace("file system root") == ["filesystem root"]
    assert synonyms.replace("nothing known") == []


def test_words_in_the_same_frames_stand_for_each_other_unless_they_are_listed_together() -> None:
    frames = [
        "open the {} door",
        "paint your {} wall",
        "one small {} window",
        "sell every {} bicycle",
        "lock our {} cellar",
    ]
    texts = [frame.format(word) for frame in frames for word in ("rear", "back", "left", "right")]
    documents = [Document(id=str(place), text=text) for place, text in enumerate([*texts, "turn left or right"])]
    replaced = Synonyms.of(documents, len(documents)).replace("the left door")
    assert "the right door" not in replaced


# --- answers of models ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        '["one thing", "another thing"]',
        'Here you are:\n```json\n["one thing", "another thing",]\n```\nAnything else?',
        '{"queries": ["one thing", "another thing"]}',
        '[{"query": "one thing"}, {"question": "another thing"}]',
        "[\u201cone thing\u201d, \u201canother thing\u201d]",
        '["one thing", "another thing", "a third that breaks o',
        "1. one thing\n2) another thing",
        '- one thing\n* "another thing"',
        '["one thing", "ONE THING", "", "another  thing"]',
    ],
)
def test_slightly_broken_answers_are_repaired(answer: str) -> None:
    assert texts_in(answer) == ["one thing", "another thing"]


@pytest.mark.parametrize(
    "answer", ["", "Sorry, no.", "]]]{{{", "[]", "[1, 2]", "```json\n```", '["' + "x" * 400 + '"]']
)
def test_what_is_no_list_of_texts_gives_none(answer: str) -> None:
    assert texts_in(answer) == []


@given(st.lists(st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=40), max_size=8))
def test_a_clean_answer_is_read_as_it_is(texts: list[str]) -> None:
    found = texts_in(json.dumps(texts))
    assert all(text == " ".join(text.split()) for text in found)
    assert len({text.casefold() for text in found}) == len(found) <= len(texts)


@given(st.text(max_size=300))
def test_no_answer_breaks_the_reader(answer: str) -> None:
    assert all(text.strip() for text in texts_in(answer))


# --- answers that say that there is none ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        "I do not have that information.",
        "Sorry, I don\u2019t have that specific information.",
        "I'm sorry, but I do not have the answer to that.",
        "I am sorry that I do not have that information. Ask me something else.",
        "Unfortunately, there is no information about it",
        "We could not find any details on this.",
        "  I have no idea!",
    ],
)
def test_answers_that_say_that_nothing_is_known(answer: str) -> None:
    assert declines(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "...",
        "I am sorry that your parcel is late. It will come on Friday.",
        "I do not have the exact date, but it was in the spring of 1998, when the line was opened.",
        "I don't have information on the name. However, the syrup is made of pomegranates, and used in many drinks.",
        "There is no fee.",
        "You do not have to give any information.",
        "The database has no information about deleted rows.",
    ],
)
def test_answers_that_say_something(answer: str) -> None:
    assert not declines(answer)


@given(st.text(max_size=300))
def test_any_text_can_be_asked(answer: str) -> None:
    assert declines(answer) in {True, False}
