"""The wrapper of ``conversation`` with turns: which call is meant, how turns show as exchanges, and what is written."""

from __future__ import annotations

import importlib
import inspect
import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import conversation_compat
import ragtime.services.conversation as new
from conversation_compat import Conversation, Interaction
from ragtime.config.settings import Settings
from ragtime.errors import InvalidArgumentError, RagtimeDeprecationWarning
from ragtime.migration.names import NAMES, OLD_MODULES, wrapper_of
from ragtime.services.conversation import ToolCall

pytestmark = pytest.mark.filterwarnings("ignore::ragtime.errors.RagtimeDeprecationWarning")

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
HEAVY = "torch transformers sentence_transformers pandas datasets openai numpy"


def pairs(conversation: Conversation) -> list[tuple[str, str]]:
    return [(interaction.query, interaction.response) for interaction in conversation.history]


# --- which call is meant --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_a_first_argument_that_is_exactly_a_role_means_a_turn(role: str):
    conversation = Conversation()
    turn = conversation.add_interaction(role, "Hello", metadata={"k": 1})
    assert isinstance(turn, new.Interaction)
    assert (turn.role, turn.content, turn.metadata) == (role, "Hello", {"k": 1})
    assert conversation.get_interactions() == [turn]


def test_a_turn_of_a_tool_answers_its_call():
    conversation = Conversation()
    conversation.add_interaction("assistant", tool_calls=(ToolCall(id="c", name="search"),))
    assert conversation.add_interaction("tool", "found", tool_call_id="c").role == "tool"


@pytest.mark.parametrize("arguments", [(), (["d"],), (["d"], {"k": 1})])
def test_the_word_tool_alone_is_a_question_for_such_a_turn_names_its_call(arguments: tuple[Any, ...]):
    conversation = Conversation()
    assert conversation.add_interaction("tool", "A tool is a thing to work with.", *arguments) is None
    assert conversation.history[0].query == "tool"


def test_a_turn_takes_ids_and_metadata_in_the_places_of_the_old_call():
    turn = Conversation().add_interaction("assistant", "Hello", ["d"], {"k": 1})
    assert (turn.document_ids, turn.metadata) == (("d",), {"k": 1})


@pytest.mark.parametrize("query", ["User", "users", "user ", "What does a user do?"])
def test_any_other_first_argument_means_an_exchange(query: str):
    conversation = Conversation()
    assert conversation.add_interaction(query, "r") is None
    assert pairs(conversation) == [(query, "r")]


@pytest.mark.parametrize(
    "add",
    [
        lambda one: one.add_interaction(query="user", response="Hello"),
        lambda one: one.add_interaction("user", response="Hello"),
    ],
)
def test_the_old_keywords_mean_an_exchange_whatever_the_question_is(add: Callable[[Any], None]):
    conversation = Conversation()
    assert add(conversation) is None
    assert pairs(conversation) == [("user", "Hello")]


@pytest.mark.parametrize(
    "add",
    [
        lambda one: one.add_interaction(role="user", content="Hello"),
        lambda one: one.add_interaction("user", content="Hello"),
        lambda one: one.add_interaction(content="Hello", role="user", document_ids=["d"]),
        lambda one: one.add_interaction("user", "Hello", name="Ann"),
    ],
)
def test_the_new_keywords_mean_a_turn(add: Callable[[Any], new.Interaction]):
    turn = add(Conversation())
    assert (turn.role, turn.content) == ("user", "Hello")


def test_a_turn_that_is_wrong_raises_as_in_the_new_class():
    with pytest.raises(ValidationError):
        Conversation().add_interaction("user", " ")
    with pytest.raises(ValidationError):
        Conversation().add_interaction("What is RAG?", content="x")
    with pytest.raises(InvalidArgumentError):
        Conversation().add_interaction("tool", "x", tool_call_id="none")
    with pytest.raises(TypeError):
        Conversation().add_interaction(query="q", response="r", role="user")


def test_an_exchange_is_stored_whole_or_not_at_all():
    conversation = Conversation()
    manager = new.ConversationManager(Settings.isolated(conversation__store="memory"))
    conversation.add_interaction("q", "r")
    manager.save_conversation(conversation)
    kept = manager.get_conversation(conversation.conversation_id)
    assert [(turn.role, turn.content) for turn in kept] == [("user", "q"), ("assistant", "r")]


def test_all_keywords_of_the_new_class_work():
    conversation = Conversation(
        conversation_id="one", user_id="ann", metadata={"k": 1}, settings=Settings.isolated(), clock=lambda: NOW
    )
    assert (conversation.conversation_id, conversation.user_id) == ("one", "ann")
    assert (conversation.metadata, conversation.created_at) == ({"k": 1}, NOW)
    assert Conversation("two").conversation_id == "two"
    parameters = inspect.signature(new.Conversation).parameters
    assert inspect.signature(Conversation).parameters.keys() == parameters.keys()


# --- how turns show -------------------------------------------------------------------------------------------------


def _added(*turns: tuple[str, str]) -> Conversation:
    conversation = Conversation(clock=lambda: NOW)
    for role, content in turns:
        conversation.add_interaction(role=role, content=content)
    return conversation


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([("user", "q"), ("assistant", "a")], [("q", "a")]),
        ([("system", "Be brief."), ("user", "q"), ("assistant", "a")], [("q", "a")]),
        ([("system", "Be brief.")], []),
        ([("user", "q")], [("q", "")]),
        ([("user", "q1"), ("user", "q2"), ("assistant", "a")], [("q1", ""), ("q2", "a")]),
        ([("user", "q"), ("assistant", "a1"), ("assistant", "a2")], [("q", "a1\n\na2")]),
        ([("user", "q"), ("system", "Go on."), ("assistant", "a")], [("q", "a")]),
        ([("assistant", "Welcome!"), ("user", "q"), ("assistant", "a")], [("", "Welcome!"), ("q", "a")]),
    ],
)
def test_turns_show_as_exchanges(turns: list[tuple[str, str]], expected: list[tuple[str, str]]):
    assert pairs(_added(*turns)) == expected


def test_the_calls_of_tools_do_not_show_but_the_answers_around_them_do():
    conversation = _added(("user", "Where is my parcel?"))
    conversation.add_interaction("assistant", tool_calls=(ToolCall(id="c", name="track"),))
    conversation.add_interaction("tool", "Leipzig", tool_call_id="c")
    conversation.add_interaction("assistant", "In Leipzig.")
    assert pairs(conversation) == [("Where is my parcel?", "In Leipzig.")]


def test_an_exchange_of_turns_has_time_documents_and_metadata_of_its_answer():
    conversation = Conversation()
    conversation.add_interaction("user", "q", created_at=NOW, metadata={"by": "ann", "n": 1})
    later = datetime(2026, 1, 31, 12, 0, 5, tzinfo=UTC)
    conversation.add_interaction("assistant", "a", created_at=later, document_ids=["b", "a"], metadata={"n": 2})
    conversation.add_interaction("assistant", "c", document_ids=["a", "c"])
    (one,) = conversation.history
    assert one == Interaction("q", "a\n\nc", later.timestamp(), ["b", "a", "c"], {"by": "ann", "n": 2})
    assert conversation.find_interactions_by_metadata(n=2, by="ann") == [one]


def test_a_question_is_answered_later_and_the_exchange_shows_it():
    conversation = _added(("user", "q"))
    history = conversation.history
    assert history[0].response == ""
    conversation.add_interaction("assistant", "a")
    assert history[0].response == "a"
    conversation.add_interaction("more", "yes")
    assert pairs(conversation) == [("q", "a"), ("more", "yes")]


def test_an_answer_that_is_added_to_an_exchange_of_the_old_way_joins_it():
    conversation = Conversation()
    conversation.add_interaction("q", "a", ["d"], {"k": 1})
    conversation.add_interaction("assistant", "b", document_ids=["e"])
    (one,) = conversation.history
    assert (one.query, one.response, one.document_ids, one.metadata) == ("q", "a\n\nb", ["d", "e"], {"k": 1})


def test_exchanges_and_imported_messages_show():
    conversation = Conversation()
    conversation.add_exchange("q", "a", document_ids=["d"])
    assert pairs(conversation) == [("q", "a")]
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    assert pairs(Conversation.from_messages(messages)) == [("q", "a")]


def test_history_is_that_of_the_active_branch():
    conversation = Conversation()
    conversation.add_interaction("q", "a")
    question, answer = conversation.get_interactions()
    other = conversation.regenerate(answer, "b")
    assert pairs(conversation) == [("q", "b")]
    conversation.switch(answer)
    assert pairs(conversation) == [("q", "a")]
    conversation.switch(other)
    conversation.edit(question, "p")
    assert pairs(conversation) == [("p", "")]


def test_a_fork_shows_the_exchanges_as_they_were_given():
    conversation = Conversation.from_dict({"history": [{"query": "q", "response": "", "timestamp": 5.123456789}]})
    made = conversation.fork()
    made.add_interaction("only", "here")
    assert type(made) is Conversation
    assert made.history[0].timestamp == 5.123456789
    assert pairs(made) == [("q", ""), ("only", "here")]
    assert pairs(conversation) == [("q", "")]


def test_what_the_old_calls_find_they_find_in_turns_too():
    conversation = _added(("user", "What is the warranty?"), ("assistant", "Two years."))
    assert [one.response for one in conversation.find_interactions_by_query_keywords(["warranty"])] == ["Two years."]
    assert conversation.get_summary() == "Conversation history:\nUser: What is the warranty?\nAssistant: Two years.\n"
    assert conversation.is_follow_up_question("And that?") is True
    assert _added(("system", "Be brief.")).is_follow_up_question("And that?") is False


# --- what is written ------------------------------------------------------------------------------------------------


def test_exchanges_alone_are_written_in_the_old_form_alone():
    conversation = Conversation()
    conversation.add_interaction("q", "a")
    assert conversation.to_dict().keys() == {"history"}


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one.add_interaction("system", "Be brief."),
        lambda one: one.add_interaction("assistant", "b"),
        lambda one: one.add_feedback(one.get_interactions()[1], 5),
        lambda one: one.regenerate(one.get_interactions()[1], "b"),
        lambda one: one.update_metadata(k=1),
    ],
)
def test_what_exchanges_do_not_tell_is_written_beside_them_and_read(change: Callable[[Conversation], object]):
    conversation = Conversation.from_dict({"history": [{"query": "q", "response": "a", "timestamp": 5.123456789}]})
    change(conversation)
    data = json.loads(json.dumps(conversation.to_dict()))
    assert data.keys() == {"history", "ragtime"}
    again = Conversation.from_dict(data)
    assert again.stored_turns() == conversation.stored_turns()
    assert (again.head, again.to_dict()) == (conversation.head, data)
    assert again.history == conversation.history


def test_an_id_that_was_chosen_is_kept():
    conversation = Conversation(conversation_id="kept")
    assert Conversation.from_dict(conversation.to_dict()).conversation_id == "kept"


def test_a_dict_of_the_new_class_loads():
    conversation = new.Conversation("one")
    conversation.add_exchange("q", "a", document_ids=["d"])
    loaded = Conversation.from_dict(conversation.to_dict())
    assert type(loaded) is Conversation
    assert loaded.get_interactions() == conversation.get_interactions()
    assert (pairs(loaded), loaded.history[0].document_ids) == ([("q", "a")], ["d"])


def test_a_dict_with_turns_loads_in_the_new_class_by_its_exchanges():
    conversation = _added(("user", "q"), ("assistant", "a"))
    turns = new.Conversation.from_dict(conversation.to_dict()).get_interactions()
    assert [(turn.role, turn.content, turn.created_at) for turn in turns] == [
        ("user", "q", NOW),
        ("assistant", "a", NOW),
    ]


def test_a_dict_of_a_newer_version_is_refused():
    data = {**new.Conversation().to_dict(), "version": 99}
    with pytest.raises(InvalidArgumentError, match="version 99"):
        Conversation.from_dict(data)


# --- the module -----------------------------------------------------------------------------------------------------


def test_the_module_exports_the_wrappers_and_the_new_manager():
    import conversation_embedder_compat
    import conversation_summarizer_compat
    import enhanced_conversation_compat

    assert conversation_compat.EnhancedConversation is enhanced_conversation_compat.EnhancedConversation
    assert conversation_compat.ConversationEmbedder is conversation_embedder_compat.ConversationEmbedder
    assert conversation_compat.ConversationSummarizer is conversation_summarizer_compat.ConversationSummarizer
    assert conversation_compat.ConversationManager is new.ConversationManager
    assert set(conversation_compat.__all__) <= set(dir(conversation_compat))
    assert all(hasattr(conversation_compat, name) for name in conversation_compat.__all__)
    with pytest.raises(AttributeError, match="conversation_compat"):
        conversation_compat.NoSuchName  # noqa: B018 - the attribute is what is tested
    assert Interaction.__module__ == "conversation_compat"


@pytest.mark.parametrize("module", OLD_MODULES)
def test_an_old_name_is_its_wrapper_in_whichever_module_it_is_found(module: str):
    wrapper = importlib.import_module(wrapper_of(module))
    for old in NAMES:
        found = getattr(wrapper, old.name, None)
        assert found is None or found is getattr(importlib.import_module(wrapper_of(old.module)), old.name)


@pytest.mark.parametrize("module", ["conversation_compat", "enhanced_conversation_compat"])
def test_importing_is_silent_and_loads_nothing_heavy(module: str, tmp_path: Path):
    code = f"import sys, {module}; print(*(name for name in {HEAVY.split()!r} if name in sys.modules))"
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert (done.stdout.strip(), done.stderr) == ("", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("use", "old", "now"),
    [
        (Conversation, "conversation.Conversation", "ragtime.services.conversation.Conversation"),
        (lambda: Conversation.from_dict({}), "conversation.Conversation", "ragtime.services.conversation.Conversation"),
        (
            lambda: Conversation.from_messages([]),
            "conversation.Conversation",
            "ragtime.services.conversation.Conversation",
        ),
        (lambda: Interaction("q", "r"), "conversation.Interaction", "ragtime.services.conversation.Interaction"),
        (
            lambda: conversation_compat.get_conversation_from_session({}),
            "conversation.get_conversation_from_session",
            "ragtime.services.conversation.ConversationManager.get_conversation",
        ),
        (
            lambda: conversation_compat.clear_conversation_in_session({}),
            "conversation.clear_conversation_in_session",
            "ragtime.services.conversation.ConversationManager.delete_conversation",
        ),
    ],
)
def test_every_use_warns_once_at_the_line_of_the_caller(use: Callable[[], object], old: str, now: str):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        use()
    (one,) = told
    assert issubclass(one.category, RagtimeDeprecationWarning)
    assert one.filename == __file__
    text = str(one.message)
    assert text.startswith(f"{old} is deprecated")
    assert f"use {now} instead" in text
    assert "2.0.0" in text
    assert "ragtime migrate --to ragtime" in text


def test_a_fork_and_an_update_warn_too():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        conversation = Conversation()
        conversation.add_interaction("q", "a")
    with pytest.warns(RagtimeDeprecationWarning, match=r"^conversation\.Conversation is") as told:
        conversation.fork()
    assert [one.filename for one in told] == [__file__]
    with pytest.warns(RagtimeDeprecationWarning, match="update_conversation_in_session"):
        conversation_compat.update_conversation_in_session({}, conversation)


def test_reading_and_adding_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        conversation = Conversation()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        conversation.add_interaction("q", "a")
        conversation.get_history()
        conversation.get_last_n_interactions(2)
        conversation.to_dict()
        conversation.get_summary()
