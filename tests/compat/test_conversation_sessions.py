"""The session helpers of ``conversation`` and ``enhanced_conversation``, and what fits in a cookie."""

from __future__ import annotations

import inspect
import json
from collections import UserDict
from collections.abc import Callable, MutableMapping
from typing import Any

import pytest

import ragtime.services.conversation as new
from conversation_compat import (
    Conversation,
    clear_conversation_in_session,
    get_conversation_from_session,
    update_conversation_in_session,
)
from enhanced_conversation_compat import (
    EnhancedConversation,
    get_enhanced_conversation_from_session,
    update_enhanced_conversation_in_session,
)
from ragtime.errors import InvalidArgumentError

pytestmark = pytest.mark.filterwarnings("ignore::ragtime.errors.RagtimeDeprecationWarning")

COOKIE = 4093  # bytes that browsers keep


class WideEmbeddings:
    """Vectors as long as those of large models; remembers what was asked."""

    def __init__(self, dimension: int = 4096) -> None:
        self.dimension = dimension
        self.asked: list[str] = []

    def embed_query(self, text: str) -> list[float]:
        self.asked.append(text)
        return [len(text) / 7 + place / 1001 for place in range(self.dimension)]


def talk(*, dimension: int = 4096) -> EnhancedConversation:
    conversation = EnhancedConversation()
    conversation.embedder.embeddings = WideEmbeddings(dimension)
    conversation.add_interaction("What does the warranty cover?", "Faults of material.")
    return conversation


def through_json(session: MutableMapping[str, Any]) -> dict[str, Any]:
    """What the next request gets."""
    found: dict[str, Any] = json.loads(json.dumps(dict(session)))
    return found


# --- plain ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("session", [{}, UserDict()])
def test_a_session_without_a_conversation_gets_the_dict_of_an_empty_one(session: MutableMapping[str, Any]):
    conversation = get_conversation_from_session(session)
    assert type(conversation) is Conversation
    assert conversation.history == []
    assert dict(session) == {"conversation": {"history": []}}


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (get_conversation_from_session, ["session"]),
        (update_conversation_in_session, ["session", "conversation"]),
        (clear_conversation_in_session, ["session"]),
        (get_enhanced_conversation_from_session, ["session"]),
        (update_enhanced_conversation_in_session, ["session", "conversation"]),
    ],
    ids=lambda given: getattr(given, "__name__", ""),
)
def test_the_helpers_have_the_old_parameters(function: Callable[..., object], names: list[str]):
    parameters = inspect.signature(function).parameters
    assert list(parameters) == names
    assert all(one.default is one.empty for one in parameters.values())


def test_the_session_changes_when_it_is_updated_and_not_before():
    session: dict[str, Any] = {"user": "ann"}
    conversation = get_conversation_from_session(session)
    conversation.add_interaction("q", "a")
    other = get_conversation_from_session(session)
    assert other is not conversation
    assert other.history == []
    assert update_conversation_in_session(session, conversation) is None
    assert session == {"user": "ann", "conversation": conversation.to_dict()}
    assert type(session["conversation"]) is dict
    assert get_conversation_from_session(through_json(session)).history == conversation.history


def test_clear_takes_the_conversation_out():
    session: dict[str, Any] = {"user": "ann"}
    update_conversation_in_session(session, Conversation())
    assert clear_conversation_in_session(session) is None
    assert session == {"user": "ann"}
    clear_conversation_in_session(session)
    update_enhanced_conversation_in_session(session, talk())
    clear_conversation_in_session(session)
    assert session == {"user": "ann"}


@pytest.mark.parametrize("value", [None, "x", 5, ["q"]])  # C10
def test_a_session_with_no_dict_gets_an_empty_conversation(value: Any):
    for get in (get_conversation_from_session, get_enhanced_conversation_from_session):
        session = {"conversation": value}
        assert get(session).history == []
        assert session == {"conversation": {"history": []}}


def test_sessions_with_damaged_records_keep_the_others():
    good = {"query": "q", "response": "a", "timestamp": 5.0, "document_ids": [], "metadata": {}}
    session = {"conversation": {"history": [{"query": "lost"}, good, None]}}
    assert [one.query for one in get_conversation_from_session(session).history] == ["q"]


def test_a_conversation_of_a_newer_ragtime_is_not_overwritten():
    session = {"conversation": {**new.Conversation().to_dict(), "version": 99}}
    with pytest.raises(InvalidArgumentError):
        get_conversation_from_session(session)
    assert session["conversation"]["version"] == 99


def test_a_session_can_hold_a_conversation_of_the_new_class():
    conversation, session = new.Conversation("one"), dict[str, Any]()
    conversation.add_exchange("q", "a")
    update_conversation_in_session(session, conversation)
    assert get_conversation_from_session(session).conversation_id == "one"
    assert get_enhanced_conversation_from_session(session).history[0].response == "a"


# --- enhanced -------------------------------------------------------------------------------------------------------


def test_an_enhanced_conversation_has_the_same_key():
    session: dict[str, Any] = {}
    conversation = get_enhanced_conversation_from_session(session)
    assert type(conversation) is EnhancedConversation
    assert session == {"conversation": {"history": []}}
    assert update_enhanced_conversation_in_session(session, talk()) is None
    assert get_conversation_from_session(session).history == get_enhanced_conversation_from_session(session).history
    assert len(get_conversation_from_session(session).history) == 1


def test_short_vectors_go_with_the_session():
    conversation, session = talk(dimension=3), dict[str, Any]()
    update_enhanced_conversation_in_session(session, conversation)
    assert session == {"conversation": conversation.to_dict()}
    assert len(session["conversation"]["embeddings"]) == 1


@pytest.mark.parametrize("update", [update_enhanced_conversation_in_session, update_conversation_in_session])
def test_long_vectors_do_not_fill_the_cookie(update: Any):  # N4
    conversation, session = talk(), dict[str, Any]()
    assert len(json.dumps(conversation.to_dict())) > 10 * COOKIE
    update(session, conversation)
    assert len(json.dumps(session)) < COOKIE // 8


def test_long_vectors_are_found_again_without_asking_anybody():  # N4, N5
    conversation, session = talk(), dict[str, Any]()
    vectors = conversation.interaction_embeddings
    update_enhanced_conversation_in_session(session, conversation)
    again = get_enhanced_conversation_from_session(through_json(session))
    embeddings = WideEmbeddings()
    again.embedder.embeddings = embeddings
    assert again.interaction_embeddings == vectors
    assert embeddings.asked == []
    again.add_interaction("And batteries?", "Six months.")
    update_enhanced_conversation_in_session(session, again)
    third = get_enhanced_conversation_from_session(through_json(session))
    assert third.interaction_embeddings == again.interaction_embeddings
    assert embeddings.asked == ["Q: And batteries? A: Six months."]


def test_vectors_that_are_gone_are_made_when_they_are_needed():  # N4
    session: dict[str, Any] = {}
    update_enhanced_conversation_in_session(session, talk())
    session["conversation"]["vectors"] = "of another process"
    again = get_enhanced_conversation_from_session(session)
    embeddings = WideEmbeddings()
    again.embedder.embeddings = embeddings
    assert embeddings.asked == []
    assert len(again.interaction_embeddings) == 1
    assert embeddings.asked == ["Q: What does the warranty cover? A: Faults of material."]


def test_the_vectors_of_sessions_that_were_not_used_for_long_give_way():  # N4
    first: dict[str, Any] = {}
    update_enhanced_conversation_in_session(first, talk(dimension=1000))
    for number in range(128):
        conversation = talk(dimension=1000)
        conversation.interaction_embeddings = [[1.0, *[float(number)] * 999]]
        update_enhanced_conversation_in_session({}, conversation)
    again = get_enhanced_conversation_from_session(first)
    embeddings = WideEmbeddings(3)
    again.embedder.embeddings = embeddings
    assert len(again.interaction_embeddings[0]) == 3
    assert len(embeddings.asked) == 1


def test_an_update_makes_no_vectors():  # N5
    conversation = EnhancedConversation.from_dict({"history": [{"query": "q", "response": "a"}] * 20})
    embeddings = WideEmbeddings()
    conversation.embedder.embeddings = embeddings
    session: dict[str, Any] = {}
    update_enhanced_conversation_in_session(session, conversation)
    assert embeddings.asked == []
    assert session["conversation"].keys() == {"history"}


def test_the_summary_goes_with_the_session():  # N2
    conversation, session = talk(), dict[str, Any]()
    conversation.summary, conversation.summary_updated_at = "About the warranty.", 1719400000.5
    update_enhanced_conversation_in_session(session, conversation)
    again = get_enhanced_conversation_from_session(through_json(session))
    assert (again.summary, again.summary_updated_at) == ("About the warranty.", 1719400000.5)


def test_values_that_json_cannot_hold_stay_in_a_session_that_is_none():
    conversation, session = EnhancedConversation(), dict[str, Any]()
    conversation.embedder.embeddings = WideEmbeddings(3)
    conversation.add_interaction("q", "a", metadata={"set": {1}})
    update_enhanced_conversation_in_session(session, conversation)
    again = get_enhanced_conversation_from_session(session)
    assert again.history[0].metadata == {"set": {1}}
    assert again.interaction_embeddings == conversation.interaction_embeddings


def test_a_conversation_goes_on_in_the_cookies_of_flask():  # N4, E8
    flask = pytest.importorskip("flask")
    embeddings = WideEmbeddings()
    application = flask.Flask("shop")
    application.secret_key = "test"

    @application.post("/ask")
    def ask() -> Any:
        conversation = get_enhanced_conversation_from_session(flask.session)
        conversation.embedder.embeddings = embeddings
        query = flask.request.json["query"]
        told = {
            "turns": len(conversation.history),
            "follow_up": conversation.is_follow_up_question(query),
            "content": conversation.get_most_relevant_content(query, max_interactions=1),
        }
        conversation.add_interaction(query, f"Answer {len(conversation.history)}", ["doc"], {"style": "standard"})
        update_enhanced_conversation_in_session(flask.session, conversation)
        return flask.jsonify(told)

    @application.post("/clear")
    def clear() -> Any:
        clear_conversation_in_session(flask.session)
        return flask.jsonify({})

    client = application.test_client()
    for turn in range(5):
        reply = client.post("/ask", json={"query": f"Question {turn}"})
        assert len(reply.headers["Set-Cookie"]) < COOKIE
        assert reply.json["turns"] == turn
        assert reply.json["follow_up"] is (turn > 0)
        assert reply.json["content"].count("Query:") == min(turn, 1)
    assert len([text for text in embeddings.asked if text.startswith("Q: ")]) == 5
    client.post("/clear")
    assert client.post("/ask", json={"query": "Question"}).json["turns"] == 0
