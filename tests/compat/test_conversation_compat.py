"""The wrapper of ``conversation``: its exchanges, its searches, its texts, its dicts."""

from __future__ import annotations

import inspect
import json
import time
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversation_compat import Conversation, Interaction
from ragtime.services.conversation import Conversation as NewConversation

pytestmark = pytest.mark.filterwarnings("ignore::ragtime.errors.RagtimeDeprecationWarning")

NOW = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
PLAIN = Path(__file__).parent / "data" / "conversation_plain.json"
FOLLOW_UP = "it this that these those the your you previous last above earlier before".split()
REFERENCES = [
    *"previous last earlier before above chapter section paragraph summary that it this".split(),
    *("you said", "you mentioned", "you wrote", "you generated"),
]


def talk(count: int) -> Conversation:
    conversation = Conversation(clock=lambda: NOW)
    for number in range(1, count + 1):
        conversation.add_interaction(f"question {number}", f"answer {number}", [f"doc-{number}"], {"number": number})
    return conversation


def queries(interactions: list[Interaction]) -> list[str]:
    return [interaction.query for interaction in interactions]


# --- Interaction ----------------------------------------------------------------------------------------------------


def test_interaction_is_a_dataclass_with_the_old_fields_in_their_order():
    assert is_dataclass(Interaction)
    assert [field.name for field in fields(Interaction)] == [
        *("query", "response", "timestamp", "document_ids", "metadata")
    ]
    made = Interaction("q", "r", 5.5, ["d"], {"k": 1})
    assert (made.query, made.response, made.timestamp, made.document_ids, made.metadata) == (
        *("q", "r", 5.5, ["d"], {"k": 1}),
    )


def test_interaction_defaults_are_now_and_fresh_lists_and_dicts():
    before = time.time()
    one, other = Interaction("q", "r"), Interaction("q", "r")
    assert before <= one.timestamp <= time.time()
    assert (one.document_ids, one.metadata) == ([], {})
    assert one.document_ids is not other.document_ids
    assert one.metadata is not other.metadata


# --- adding and reading ---------------------------------------------------------------------------------------------


def test_conversation_takes_no_argument_and_is_one_of_the_new_class():
    conversation = Conversation()
    assert isinstance(conversation, NewConversation)
    assert conversation.history == []


def test_add_interaction_has_the_old_signature():
    parameters = inspect.signature(Conversation.add_interaction).parameters
    assert list(parameters) == ["self", "query", "response", "document_ids", "metadata"]
    assert (parameters["document_ids"].default, parameters["metadata"].default) == (None, None)


@pytest.mark.parametrize(
    ("name", "old"),
    [
        ("get_history", {}),
        ("clear", {}),
        ("get_last_interaction", {}),
        ("get_last_n_interactions", {"n": 1}),
        ("find_interactions_by_query_keywords", {"keywords": ...}),
        ("find_interactions_by_metadata", {"metadata": ...}),
        ("get_generated_content", {}),
        ("get_most_relevant_content", {"query": ..., "max_interactions": 2}),
        ("is_follow_up_question", {"query": ...}),
        ("get_summary", {"max_interactions": 3}),
        ("to_dict", {}),
    ],
)
def test_calls_have_the_old_names_order_and_defaults(name: str, old: dict[str, object]):
    parameters = list(inspect.signature(getattr(Conversation, name)).parameters.values())[1:]
    assert {one.name: ... if one.default is one.empty else one.default for one in parameters} == old
    assert [one.name for one in parameters] == list(old)


def test_what_from_dict_takes_beside_the_dict_is_optional_and_by_keyword():
    data, *further = inspect.signature(Conversation.from_dict).parameters.values()
    assert (data.name, data.default) == ("data", data.empty)
    assert all(one.kind is one.KEYWORD_ONLY and one.default is None for one in further)


def test_add_interaction_returns_none_and_appends_with_the_time_of_now():
    conversation = Conversation(clock=lambda: NOW)
    assert conversation.add_interaction("What is RAG?", "Retrieval first.", ["d"], {"k": [1]}) is None
    assert conversation.history[0] == Interaction(
        "What is RAG?", "Retrieval first.", NOW.timestamp(), ["d"], {"k": [1]}
    )


def test_add_interaction_takes_keywords_and_none_becomes_empty():
    conversation = Conversation()
    conversation.add_interaction(query="q", response="r", document_ids=None, metadata=None)
    assert (conversation.history[0].document_ids, conversation.history[0].metadata) == ([], {})


def test_add_interaction_without_a_response_is_a_type_error():
    with pytest.raises(TypeError):
        Conversation().add_interaction("What is RAG?")
    with pytest.raises(TypeError):
        Conversation().add_interaction("q", "r", metdata={})


def test_exchanges_are_turns_of_user_and_assistant_for_the_new_calls():
    turns = talk(1).get_interactions()
    assert [(turn.role, turn.content) for turn in turns] == [("user", "question 1"), ("assistant", "answer 1")]
    assert (turns[1].document_ids, turns[1].metadata) == (("doc-1",), {"number": 1})


@pytest.mark.parametrize(
    ("query", "response"),
    [("", ""), ("", "r"), ("q", ""), (" ", "\n"), ("q\0", "r\ud800"), (None, "r"), ("q", None), (5, "r")],
)
def test_an_exchange_that_no_turn_can_hold_is_kept_as_it_was_given(query: Any, response: Any):
    conversation = talk(1)
    conversation.add_interaction(query, response)
    conversation.add_interaction("last", "one")
    shown = ["" if text is None else str(text) for text in (query, response)]
    assert [(one.query, one.response) for one in conversation.history] == [
        *(("question 1", "answer 1"), tuple(shown), ("last", "one")),
    ]
    again = Conversation.from_dict(conversation.to_dict())
    assert again.history == conversation.history


def test_ids_and_metadata_that_no_turn_can_hold_are_kept_as_they_were_given():
    conversation, mark = Conversation(), object()
    conversation.add_interaction("q", "r", [7, " padded "], {"mark": mark, "pair": (1, 2)})
    shown = conversation.history[0]
    assert shown.document_ids == [7, " padded "]
    assert shown.metadata["mark"] is mark
    turn = conversation.get_interactions(role="assistant")[0]
    assert (turn.document_ids, turn.metadata) == (("7", "padded"), {})


@pytest.mark.parametrize(
    ("given", "kept"),
    [(None, []), (("a", "b"), ["a", "b"]), ("abc", ["abc"]), (np.array(["a", "b"]), ["a", "b"]), (5, [5]), ([], [])],
    ids=["None", "tuple", "text", "array", "number", "empty"],
)
def test_ids_in_any_form_are_a_list(given: Any, kept: list[Any]):
    conversation = Conversation()
    conversation.add_interaction("q", "r", given)
    assert conversation.history[0].document_ids == kept


@pytest.mark.parametrize(
    "metadata", [None, {}, "text", ["k"], np.arange(2)], ids=["None", "{}", "text", "list", "array"]
)
def test_metadata_that_is_no_dict_is_an_empty_one(metadata: Any):
    conversation = Conversation()
    conversation.add_interaction("q", "r", None, metadata)
    assert conversation.history[0].metadata == {}
    assert conversation.find_interactions_by_metadata(k=1) == []


def test_exchanges_without_any_text_stand_where_they_were_added_however_often_it_is_read():
    conversation, expected = Conversation(), list[str]()
    for place in range(6):
        response = "" if place % 3 else f"answer {place}"
        conversation.add_interaction("", response, metadata={"place": place})
        expected.append(response)
        assert [one.response for one in conversation.history] == expected
    assert [one.metadata["place"] for one in conversation.history] == list(range(6))
    assert Conversation.from_dict(conversation.to_dict()).history == conversation.history


def test_history_is_a_sequence_to_index_slice_reverse_test_and_iterate():
    conversation = talk(3)
    history = conversation.history
    assert len(history) == 3
    assert bool(history) is True
    assert bool(Conversation().history) is False
    assert (history[0].query, history[-1].query) == ("question 1", "question 3")
    assert queries(history[1:]) == ["question 2", "question 3"]
    assert isinstance(history[:1], list)
    assert queries(list(reversed(history))) == ["question 3", "question 2", "question 1"]
    assert [interaction.response for interaction in history] == ["answer 1", "answer 2", "answer 3"]
    assert history[1] in history
    assert history.index(history[1]) == 1
    assert history == conversation.get_history()
    assert history != []
    with pytest.raises(IndexError):
        history[3]


def test_history_is_read_only_and_goes_on_with_the_conversation():
    conversation = talk(1)
    history = conversation.history
    conversation.add_interaction("more", "yes")
    assert len(history) == 2
    assert not hasattr(history, "append")
    with pytest.raises(AttributeError):
        conversation.history = []
    with pytest.raises(TypeError):
        history[0] = Interaction("q", "r")


def test_history_does_not_tell_what_was_said_where_it_is_printed():
    assert repr(talk(2).history) == "<history of 2 exchanges>"
    assert talk(2).history != "question 1"


def test_history_can_be_read_while_the_conversation_grows():
    conversation = talk(2)
    for interaction in conversation.history:
        conversation.add_interaction(f"about {interaction.query}", "yes")
    assert len(conversation.history) == 4


def test_get_history_is_a_list():
    found = talk(2).get_history()
    assert isinstance(found, list)
    assert queries(found) == ["question 1", "question 2"]
    assert Conversation().get_history() == []


def test_what_is_read_shares_no_list_and_no_dict():  # C4, C5
    metadata, ids = {"inner": {"n": 1}}, ["a"]
    conversation = Conversation()
    conversation.add_interaction("q", "r", ids, metadata)
    metadata["inner"]["n"] = 2
    ids.append("b")
    conversation.get_history().clear()
    conversation.history[0].metadata["inner"]["n"] = 3
    conversation.history[0].document_ids.clear()
    conversation.to_dict()["history"][0]["metadata"]["inner"]["n"] = 4
    assert conversation.history[0].metadata == {"inner": {"n": 1}}
    assert conversation.history[0].document_ids == ["a"]
    data = conversation.to_dict()
    again = Conversation.from_dict(data)
    data["history"][0]["metadata"]["inner"]["n"] = 5
    assert again.history == conversation.history


def test_clear_forgets_everything():
    conversation = talk(2)
    assert conversation.search("question")
    assert conversation.clear() is None
    assert conversation.history == []
    assert conversation.get_interactions() == []
    assert conversation.search("question") == []
    assert len(conversation.window(1000)) == 0
    conversation.add_interaction("anew", "yes")
    assert conversation.to_dict().keys() == {"history"}
    assert [found.interaction.content for found in conversation.search("anew")] == ["anew"]


def test_get_last_interaction_is_the_last_or_none():
    assert Conversation().get_last_interaction() is None
    last = talk(2).get_last_interaction()
    assert last is not None
    assert last.query == "question 2"


@pytest.mark.parametrize(
    ("n", "expected"),
    [(1, ["3"]), (2, ["2", "3"]), (3, ["1", "2", "3"]), (9, ["1", "2", "3"]), (0, []), (-1, []), (-2, [])],  # C3
)
def test_get_last_n_interactions_is_the_oldest_first(n: int, expected: list[str]):
    assert queries(talk(3).get_last_n_interactions(n)) == [f"question {number}" for number in expected]


def test_get_last_n_interactions_is_one_without_a_number():
    assert queries(talk(3).get_last_n_interactions()) == ["question 3"]


# --- searches -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        (["WARRANTY"], [0]),
        (["batter", "warrant"], [0, 1]),
        (["ear"], []),
        (["Faults"], []),  # stands in a response
        ([], []),
        ([""], []),  # C6
        ([" "], [0, 1]),
        (["", "batteries"], [1]),
        ("batteries", [1]),
    ],
)
def test_find_by_query_keywords(keywords: list[str], expected: list[int]):
    conversation = Conversation()
    conversation.add_interaction("What does the Warranty cover?", "Faults, this year.")
    conversation.add_interaction("And batteries?", "For six months.")
    found = conversation.find_interactions_by_query_keywords(keywords)
    assert found == [conversation.history[place] for place in expected]


def test_find_by_metadata_needs_all_values_to_be_equal():
    conversation = Conversation()
    conversation.add_interaction("one", "r", metadata={"style": "short", "n": 1, "nothing": None})
    conversation.add_interaction("two", "r", metadata={"style": "short", "n": 2})
    assert queries(conversation.find_interactions_by_metadata(style="short")) == ["one", "two"]
    assert queries(conversation.find_interactions_by_metadata(style="short", n=2)) == ["two"]
    assert conversation.find_interactions_by_metadata(style="short", n=3) == []
    assert conversation.find_interactions_by_metadata() == []  # C7: no filter
    assert queries(conversation.find_interactions_by_metadata(nothing=None)) == ["one"]  # C7: None is a value
    assert conversation.find_interactions_by_metadata(missing=None) == []  # C7


@pytest.mark.parametrize("value", [(1, 2), [1, 2], {"inner": (1, [2])}, {1, 2}, None, 1.5])
def test_find_by_metadata_finds_what_is_equal_to_the_value_that_was_given(value: Any):
    conversation = Conversation()
    conversation.add_interaction("one", "r", metadata={"k": value})
    assert queries(conversation.find_interactions_by_metadata(k=value)) == ["one"]
    assert queries(Conversation.from_dict(conversation.to_dict()).find_interactions_by_metadata(k=value)) == ["one"]


# --- texts ----------------------------------------------------------------------------------------------------------


def test_generated_content():
    assert Conversation().get_generated_content() == ""
    assert talk(2).get_generated_content() == (
        "Previously generated content:\n\n"
        "Content 1:\nQuery: question 1\nResponse: answer 1\n\n"
        "Content 2:\nQuery: question 2\nResponse: answer 2\n\n"
    )


def test_most_relevant_content_tells_the_last_two_the_oldest_first():
    told = talk(3).get_most_relevant_content("What did you say before?")
    assert told == (  # each is called most recent: C2 stays
        "Relevant previous content:\n\n"
        "Content 1 (most recent):\nQuery: question 2\nResponse: answer 2\n\n"
        "Content 2 (most recent):\nQuery: question 3\nResponse: answer 3\n\n"
    )


@pytest.mark.parametrize("word", REFERENCES)
def test_most_relevant_content_knows_the_reference(word: str):
    assert talk(1).get_most_relevant_content(f"Now {word.upper()}, please") != ""


@pytest.mark.parametrize("query", ["Explain architecture", "A hospital", "What is RAG?", "lastly, sections", ""])  # C1
def test_most_relevant_content_needs_a_reference_as_a_word(query: str):
    assert talk(2).get_most_relevant_content(query) == ""


@pytest.mark.parametrize(("most", "count"), [(0, 0), (-1, 0), (1, 1), (3, 3), (9, 3)])
def test_most_relevant_content_tells_so_many(most: int, count: int):
    assert talk(3).get_most_relevant_content("the summary", max_interactions=most).count("Query:") == count
    assert Conversation().get_most_relevant_content("the summary", most) == ""


@pytest.mark.parametrize("word", FOLLOW_UP)
def test_follow_up_words_count_as_whole_words_in_any_case(word: str):
    assert talk(1).is_follow_up_question(f"Explain {word.upper()}?") is True
    assert Conversation().is_follow_up_question(f"Explain {word}?") is False


@pytest.mark.parametrize("query", ["mentioned", "their lastly item", "yourself theory italy", "What is RAG?", ""])
def test_other_words_make_no_follow_up(query: str):
    assert talk(1).is_follow_up_question(query) is False


def test_summary_of_a_short_conversation_is_all_of_it():
    assert Conversation().get_summary() == ""
    assert talk(2).get_summary() == (
        "Conversation history:\nUser: question 1\nAssistant: answer 1\n\nUser: question 2\nAssistant: answer 2\n"
    )
    assert talk(3).get_summary().startswith("Conversation history:\n")


def test_summary_of_a_long_conversation_tells_its_beginning_and_its_end():
    assert talk(5).get_summary(max_interactions=2) == (
        "Previous conversation summary:\n"
        "- 3 earlier exchanges occurred.\n"
        '- The conversation began with: "question 1"\n'
        "\n"
        "Recent conversation:\n"
        "User: question 4\nAssistant: answer 4\n\nUser: question 5\nAssistant: answer 5\n"
    )
    assert talk(4).get_summary().startswith("Previous conversation summary:\n- 1 earlier exchanges occurred.\n")


@pytest.mark.parametrize("most", [0, -1])  # C8
def test_summary_of_no_exchanges_tells_none_whole(most: int):
    assert talk(2).get_summary(most) == (
        "Previous conversation summary:\n- 2 earlier exchanges occurred.\n"
        '- The conversation began with: "question 1"\n\nRecent conversation:\n'
    )


# --- dicts ----------------------------------------------------------------------------------------------------------


def test_to_dict_has_the_old_form():
    assert Conversation().to_dict() == {"history": []}
    stamp = NOW.timestamp()
    record = {"query": "question 1", "response": "answer 1", "timestamp": stamp}
    assert talk(1).to_dict() == {"history": [{**record, "document_ids": ["doc-1"], "metadata": {"number": 1}}]}
    assert json.loads(json.dumps(talk(1).to_dict())) == talk(1).to_dict()


def test_a_dict_of_the_old_system_loads_and_comes_back_as_it_was():
    text = PLAIN.read_text(encoding="utf-8")
    conversation = Conversation.from_dict(json.loads(text))
    assert queries(conversation.get_history()) == ["What does the warranty cover?", "And batteries?"]
    assert conversation.history[0].timestamp == 1719400000.1234567
    assert json.dumps(conversation.to_dict()) == json.dumps(json.loads(text))
    assert conversation.get_interactions()[0].created_at == datetime.fromtimestamp(1719400000.1234567, UTC)


def test_a_dict_of_the_old_system_loads_in_the_new_class_with_its_times():
    data = json.loads(PLAIN.read_text(encoding="utf-8"))
    new = NewConversation.from_dict(data)
    again = NewConversation.from_dict(json.loads(json.dumps(new.to_dict())))
    times = [turn.created_at.timestamp() for turn in again.get_interactions()]
    assert times == pytest.approx([1719400000.123457] * 2 + [1719400060] * 2, abs=1e-6)
    back = Conversation.from_dict(new.to_dict())
    assert [(one.query, one.response, one.document_ids, one.metadata) for one in back.history] == [
        (one["query"], one["response"], one["document_ids"], one["metadata"]) for one in data["history"]
    ]
    assert [one.timestamp for one in back.history] == pytest.approx([1719400000.123457, 1719400060], abs=1e-6)


@pytest.mark.parametrize("unknown", [{"format": "json"}, {"version": 2}, {"ragtime": {"seen": True}}, {"turns": []}])
def test_unknown_keys_are_ignored_also_where_ragtime_has_them(unknown: dict[str, Any]):
    data = {"history": [{"query": "q", "response": "r"}], **unknown}
    assert queries(Conversation.from_dict(data).history) == ["q"]


def test_from_dict_gives_defaults_and_passes_over_unknown_keys():
    before = time.time()
    data = {"history": [{"query": "q", "response": "r", "mood": "good"}], "embeddings": [[1.0]], "other": 1}
    (one,) = Conversation.from_dict(data).history
    assert before <= one.timestamp <= time.time()
    assert (one.document_ids, one.metadata) == ([], {})


def test_history_of_a_dict_is_optional():
    assert Conversation.from_dict({}).history == []
    assert Conversation.from_dict({"history": None}).history == []  # C11
    assert Conversation.from_dict({"history": {"query": "q", "response": "r"}}).history == []


@pytest.mark.parametrize(
    "bad", [{"query": "q"}, {"response": "r"}, {"query": None, "response": "r"}, None, "q", 5]
)  # C9
def test_a_bad_record_costs_only_itself(bad: Any):
    good = {"query": "q", "response": "r", "timestamp": 5.0, "document_ids": [], "metadata": {}}
    assert Conversation.from_dict({"history": [bad, good]}).to_dict() == {"history": [good]}


def test_null_lists_and_times_of_a_record_get_their_defaults():  # C10, C11
    record = {"query": "q", "response": "r", "timestamp": None, "document_ids": None, "metadata": None}
    (one,) = Conversation.from_dict({"history": [record]}).history
    assert isinstance(one.timestamp, float)
    assert (one.document_ids, one.metadata) == ([], {})


def test_records_of_other_types_are_read_as_add_interaction_takes_them():
    history = [{"query": "q", "response": None}, {"query": 5, "response": 6.5}]
    added = Conversation()
    for record in history:
        added.add_interaction(record["query"], record["response"])
    loaded = Conversation.from_dict({"history": history})
    assert [(one.query, one.response) for one in loaded.history] == [("q", ""), ("5", "6.5")]
    assert [(one.query, one.response) for one in added.history] == [("q", ""), ("5", "6.5")]


@pytest.mark.parametrize("data", [None, [], "x", 5])  # C10
def test_what_is_no_dict_is_an_empty_conversation(data: Any):
    assert Conversation.from_dict(data).to_dict() == {"history": []}


@pytest.mark.parametrize("stamp", [0, -1.5, 1719400000123, 1e30, 253402300799.9, 10**400, "2024-06-26T11:06:40", True])
def test_timestamps_are_kept_as_given_also_where_they_are_no_time(stamp: float):
    data = {"history": [{"query": "q", "response": "r", "timestamp": stamp, "document_ids": [], "metadata": {}}]}
    assert json.dumps(Conversation.from_dict(data).to_dict()) == json.dumps(data)


def test_timestamps_of_numpy_are_kept_as_given():
    history = [{"query": "q", "response": "r", "timestamp": stamp} for stamp in (np.float32(5.5), np.int64(7))]
    assert [one.timestamp for one in Conversation.from_dict({"history": history}).history] == [5.5, 7]


_texts = st.text(max_size=8)
_values = st.recursive(st.none() | st.booleans() | st.integers() | _texts, lambda inner: st.lists(inner, max_size=2))
_records = st.fixed_dictionaries(
    {
        "query": _texts,
        "response": _texts,
        "timestamp": st.floats(0, 4e9, allow_nan=False),
        "document_ids": st.lists(_texts, max_size=2),
        "metadata": st.dictionaries(_texts, _values, max_size=2),
    }
)


@settings(max_examples=40)
@given(st.lists(_records, max_size=4))
def test_any_dict_of_the_old_form_comes_back_as_it_was(records: list[dict[str, Any]]):
    conversation = Conversation.from_dict({"history": records})
    assert conversation.to_dict() == {"history": records}
    assert [one.query for one in conversation.history] == [record["query"] for record in records]
    again = Conversation()
    for record in records:
        again.add_interaction(
            query=record["query"],
            response=record["response"],
            document_ids=record["document_ids"],
            metadata=record["metadata"],
        )
    assert [(one.query, one.response, one.metadata) for one in again.history] == [
        (record["query"], record["response"], record["metadata"]) for record in records
    ]
