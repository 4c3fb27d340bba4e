"""The wrapper of ``enhanced_conversation``: exchanges found by their vectors, and what is told where there are none."""

from __future__ import annotations

import inspect
import json
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import conversation_compat
import ragtime.services.conversation as new
from conversation_embedder_compat import ConversationEmbedder
from enhanced_conversation_compat import EnhancedConversation, get_enhanced_conversation_from_session
from ragtime.errors import RagtimeDeprecationWarning
from ragtime.services.conversation import ConversationSummarizer
from ragtime.testing import HashEncoder

pytestmark = pytest.mark.filterwarnings("ignore::ragtime.errors.RagtimeDeprecationWarning")

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
ENHANCED = Path(__file__).parent / "data" / "conversation_enhanced.json"
PLAIN = Path(__file__).parent / "data" / "conversation_plain.json"
VECTORS = {
    "Q: cats A: purr": [1.0, 0.0, 0.0],
    "Q: dogs A: bark": [0.0, 1.0, 0.0],
    "Q: cars A: honk": [-1.0, 0.0, 0.2],
    "cats": [0.9, 0.1, 0.0],
    "kittens": [0.9, 0.2, 0.0],
    "hounds": [0.1, 0.9, 0.0],
}


class Embeddings:
    """Vectors of known texts; remembers what was asked, and fails when it is told to."""

    def __init__(self, vectors: dict[str, list[float]] | None = None, *, down: bool = False) -> None:
        self.vectors = VECTORS if vectors is None else vectors
        self.down = down
        self.asked: list[str] = []

    def embed_query(self, text: str) -> list[float]:
        self.asked.append(text)
        if self.down:
            raise ConnectionError("the server does not answer")
        return self.vectors.get(text, [0.0, 0.0, 1.0])


def equipped(embeddings: Embeddings, conversation: EnhancedConversation | None = None) -> EnhancedConversation:
    made = EnhancedConversation(clock=lambda: NOW) if conversation is None else conversation
    made.embedder.embeddings = embeddings
    return made


def animals(embeddings: Embeddings | None = None) -> EnhancedConversation:
    conversation = equipped(embeddings or Embeddings())
    for query, response in (("cats", "purr"), ("dogs", "bark"), ("cars", "honk")):
        conversation.add_interaction(query, response)
    return conversation


def queries(interactions: Sequence[Any]) -> list[str]:
    return [interaction.query for interaction in interactions]


# --- construction ---------------------------------------------------------------------------------------------------


def test_it_is_a_conversation_of_the_old_kind_and_of_the_new_class():
    conversation = EnhancedConversation()
    assert isinstance(conversation, conversation_compat.Conversation)
    assert isinstance(conversation, new.EnhancedConversation)


def test_the_old_attributes_stand_at_their_beginning(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EMBEDDING_MODEL", "some-model")
    monkeypatch.setenv("OLLAMA_BASE_URL", "http://127.0.0.1:9")
    conversation = EnhancedConversation()
    assert isinstance(conversation.embedder, ConversationEmbedder)
    assert (conversation.embedder.model, conversation.embedder.base_url) == ("some-model", "http://127.0.0.1:9")
    assert conversation.interaction_embeddings == []
    assert (conversation.summary, conversation.summary_updated_at) == ("", 0)


def test_the_environment_counts_as_it_is_when_the_conversation_is_made(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EMBEDDING_MODEL", "then")
    monkeypatch.setenv("OLLAMA_BASE_URL", "http://127.0.0.1:9")
    made = [EnhancedConversation(), EnhancedConversation.from_dict({"history": []})]
    monkeypatch.setenv("EMBEDDING_MODEL", "later")
    monkeypatch.delenv("OLLAMA_BASE_URL")
    assert {(one.embedder.model, one.embedder.base_url) for one in made} == {("then", "http://127.0.0.1:9")}


def test_the_keywords_of_the_new_class_work():
    assert inspect.signature(EnhancedConversation).parameters.keys() == (
        inspect.signature(new.EnhancedConversation).parameters.keys()
    )
    embedder = new.ConversationEmbedder(encoder=HashEncoder(16))
    summarizer = ConversationSummarizer(encoder=HashEncoder(16))
    conversation = EnhancedConversation("one", user_id="ann", embedder=embedder, summarizer=summarizer)
    assert (conversation.conversation_id, conversation.user_id) == ("one", "ann")
    assert conversation.embedder is embedder
    assert conversation.summarizer is summarizer


def test_old_calls_work_with_an_embedder_of_the_new_class():
    conversation = EnhancedConversation(embedder=new.ConversationEmbedder(encoder=HashEncoder(64)))
    conversation.add_interaction("Where is the manual of the oven?", "In the blue folder.")
    conversation.add_interaction("When do trains leave?", "At nine.")
    assert [len(vector) for vector in conversation.interaction_embeddings] == [64, 64]
    assert all(type(number) is float for number in conversation.interaction_embeddings[0])
    found = conversation.get_relevant_interactions("Where is the manual of the oven?", top_k=1)
    assert [one.response for one in found] == ["In the blue folder."]


def test_new_calls_work_with_turns():
    conversation = EnhancedConversation(embedder=new.ConversationEmbedder(encoder=HashEncoder(64)))
    conversation.add_interaction("user", "Where is the manual of the oven?")
    conversation.add_interaction("assistant", "In the blue folder.")
    conversation.add_interaction("When do trains leave?", "At nine.")
    assert [one.interaction.content for one in conversation.recall("blue folder", 1).turns] == ["In the blue folder."]
    assert conversation.build_context("And the oven?").messages[-1] == {"role": "user", "content": "And the oven?"}


def test_its_exchanges_are_those_of_the_module_conversation():
    assert type(animals().history[0]) is conversation_compat.Interaction
    assert type(animals().get_relevant_interactions("kittens")[0]) is conversation_compat.Interaction


# --- adding ---------------------------------------------------------------------------------------------------------


def test_add_interaction_stores_one_vector_of_question_and_answer():
    embeddings = Embeddings()
    conversation = equipped(embeddings)
    assert conversation.add_interaction("cats", "purr", ["d"], {"k": 1}) is None
    assert embeddings.asked == ["Q: cats A: purr"]
    assert conversation.interaction_embeddings == [[1.0, 0.0, 0.0]]
    assert (conversation.history[0].document_ids, conversation.history[0].metadata) == (["d"], {"k": 1})


def test_add_interaction_marks_the_summary_as_old():
    conversation = animals()
    conversation.summary, conversation.summary_updated_at = "Animals.", 5
    conversation.add_interaction("cats", "purr")
    assert (conversation.summary, conversation.summary_updated_at) == ("Animals.", 0)
    conversation.summary_updated_at = 6
    conversation.add_interaction("user", "cats")
    assert conversation.summary_updated_at == 0


def test_an_embedder_that_fails_loses_no_exchange():
    conversation = animals(Embeddings(down=True))
    assert queries(conversation.history) == ["cats", "dogs", "cars"]
    assert conversation.interaction_embeddings == [[0.0] * 384] * 3


class _Broken:
    """Nothing that an embedder has works."""

    def embed_interaction(self, *texts: str) -> list[float]:
        raise RuntimeError(f"broken by {len(texts)} texts")

    embed_query = embed_interaction


def test_a_broken_embedder_of_the_callers_loses_no_exchange():
    conversation = EnhancedConversation()
    conversation.embedder = _Broken()
    conversation.add_interaction("cats", "purr")
    conversation.add_interaction("dogs", "bark")
    assert queries(conversation.get_relevant_interactions("x", 1)) == ["dogs"]
    assert conversation.is_follow_up_question("Explain birds") is False


def test_an_embedder_that_is_none_loses_no_exchange():
    conversation = EnhancedConversation()
    conversation.embedder = object()
    conversation.add_interaction("cats", "purr")
    assert conversation.to_dict()["embeddings"] == [[0.0] * 384]
    assert queries(conversation.get_relevant_interactions("cats")) == ["cats"]
    assert conversation.is_follow_up_question("dogs") is False


def test_an_embedder_of_ones_own_after_the_new_class_works():
    class Own(new.ConversationEmbedder):
        pass

    conversation = EnhancedConversation(embedder=Own(encoder=HashEncoder(64)))
    conversation.add_interaction("cats", "purr")
    conversation.add_interaction("dogs", "bark")
    assert queries(conversation.get_relevant_interactions("cats", 1)) == ["cats"]


def test_turns_get_their_vectors_when_one_is_needed():
    embeddings = Embeddings()
    conversation = equipped(embeddings)
    conversation.add_interaction("user", "cats")
    conversation.add_interaction("assistant", "purr")
    assert embeddings.asked == []
    assert conversation.interaction_embeddings == [[1.0, 0.0, 0.0]]


def test_one_vector_stands_for_each_exchange_and_none_beside_another():
    conversation = animals()
    conversation.regenerate(conversation.get_interactions()[-1], "beep")
    assert conversation.interaction_embeddings[2] == [0.0, 0.0, 1.0]
    assert len(conversation.interaction_embeddings) == len(conversation.history) == 3


def test_vectors_may_be_set_and_are_copied():
    conversation = animals()
    vectors = [[0.5, 0.5, 0.0], [0.1, 0.0, 0.0], [0.0, 0.0, 1.0]]
    conversation.interaction_embeddings = vectors
    vectors[0][0] = 9.0
    conversation.to_dict()["embeddings"][1][0] = 9.0
    conversation.interaction_embeddings.clear()
    assert conversation.interaction_embeddings == [[0.5, 0.5, 0.0], [0.1, 0.0, 0.0], [0.0, 0.0, 1.0]]


def test_clear_empties_vectors_summary_and_stamp():
    conversation = animals()
    conversation.summary, conversation.summary_updated_at = "Animals.", 5
    conversation.clear()
    assert conversation.history == []
    assert conversation.interaction_embeddings == []
    assert (conversation.summary, conversation.summary_updated_at) == ("", 0)
    assert conversation.to_dict() == {"history": []}


def test_after_clear_nothing_old_is_recalled():
    conversation = EnhancedConversation(embedder=new.ConversationEmbedder(encoder=HashEncoder(16)))
    conversation.add_interaction("cats", "purr")
    conversation.recall("cats")
    conversation.clear()
    assert conversation.recall("cats").turns == ()
    conversation.add_interaction("dogs", "bark")
    assert {one.interaction.content for one in conversation.recall("cats").turns} == {"dogs", "bark"}


# --- finding --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "old"),
    [
        ("add_interaction", {"query": ..., "response": ..., "document_ids": None, "metadata": None}),
        ("get_relevant_interactions", {"query": ..., "top_k": 2}),
        ("get_most_relevant_content", {"query": ..., "max_interactions": 2}),
        ("is_follow_up_question", {"query": ...}),
    ],
)
def test_calls_have_the_old_names_order_and_defaults(name: str, old: dict[str, object]):
    parameters = list(inspect.signature(getattr(EnhancedConversation, name)).parameters.values())[1:]
    assert {one.name: ... if one.default is one.empty else one.default for one in parameters} == old
    assert [one.name for one in parameters] == list(old)


def test_get_relevant_interactions_are_the_nearest_the_best_first():
    conversation = animals()
    assert queries(conversation.get_relevant_interactions("kittens")) == ["cats", "dogs"]
    assert queries(conversation.get_relevant_interactions("hounds", top_k=1)) == ["dogs"]
    assert queries(conversation.get_relevant_interactions("hounds", 9)) == ["dogs", "cats", "cars"]
    assert conversation.get_relevant_interactions("hounds", 0) == []
    assert conversation.get_relevant_interactions("hounds", -1) == []
    assert EnhancedConversation().get_relevant_interactions("hounds") == []


def test_with_the_embedder_down_the_newest_come_back():  # N3
    embeddings = Embeddings()
    conversation = animals(embeddings)
    embeddings.down = True
    assert queries(conversation.get_relevant_interactions("kittens", 1)) == ["cars"]
    assert queries(conversation.get_relevant_interactions("kittens", 2)) == ["cars", "dogs"]
    assert queries(animals(Embeddings(down=True)).get_relevant_interactions("kittens", 2)) == ["cars", "dogs"]


def test_zeros_are_no_likeness():  # N3, E1
    conversation = animals()
    conversation.interaction_embeddings = [[-1.0, 0.0, 0.0], [0.0] * 384, [-0.5, 0.5, 0.0]]
    conversation.embedder.embeddings = Embeddings({"kittens": [1.0, 0.0, 0.0], "Q: dogs A: bark": [0.0, 0.0, 0.0]})
    assert queries(conversation.get_relevant_interactions("kittens", 3)) == ["cars", "cats", "dogs"]


def test_vectors_of_another_length_and_zeros_are_made_anew():  # E3, E4
    embeddings = Embeddings(down=True)
    conversation = animals(embeddings)
    embeddings.down = False
    assert queries(conversation.get_relevant_interactions("kittens", 1)) == ["cats"]
    assert conversation.interaction_embeddings == [
        VECTORS[f"Q: {one.query} A: {one.response}"] for one in conversation.history
    ]
    conversation.interaction_embeddings = [[1.0], [1.0], [1.0]]
    assert queries(conversation.get_relevant_interactions("hounds", 1)) == ["dogs"]


class _Picky(Embeddings):
    """Refuses one text."""

    def embed_query(self, text: str) -> list[float]:
        if "dogs" in text:
            raise ValueError("too long")
        return super().embed_query(text)


def test_an_exchange_that_the_embedder_refuses_costs_only_itself():
    conversation = equipped(_Picky(), EnhancedConversation.from_dict(_dict_of_animals()))
    assert queries(conversation.get_relevant_interactions("kittens", 3)) == ["cats", "cars", "dogs"]


def test_an_exchange_that_an_embedder_of_the_callers_refuses_costs_only_itself():
    class Own:
        def embed_query(self, text: str) -> list[float]:
            return VECTORS[text]

        def embed_interaction(self, query: str, response: str) -> list[float]:
            if query == "dogs":
                raise ValueError("too long")
            return VECTORS[f"Q: {query} A: {response}"]

        def find_most_similar(self, vector: list[float], vectors: Any, top_k: int) -> list[tuple[int, float]]:
            return ConversationEmbedder().find_most_similar(vector, vectors, top_k)

    conversation = EnhancedConversation.from_dict(_dict_of_animals())
    conversation.embedder = Own()
    assert queries(conversation.get_relevant_interactions("kittens", 3)) == ["cats", "cars", "dogs"]
    assert conversation.interaction_embeddings[1] == [0.0] * 384


def test_get_most_relevant_content_needs_no_reference_words():
    conversation = animals()
    assert conversation.get_most_relevant_content("hounds") == (
        "Relevant previous content:\n\n"
        "Content 1 (relevance: high):\nQuery: dogs\nResponse: bark\n\n"
        "Content 2 (relevance: medium):\nQuery: cats\nResponse: purr\n\n"
    )
    assert conversation.get_most_relevant_content("hounds", max_interactions=3).count("(relevance: medium)") == 2
    assert EnhancedConversation().get_most_relevant_content("hounds") == ""
    assert conversation.get_most_relevant_content("hounds", 0) == ""


@pytest.mark.parametrize(
    ("vector", "expected"),
    [([1.0, 0.0], True), ([0.81, 0.5864], True), ([0.8, 0.6], False), ([0.0, 1.0], False), ([0.0, 0.0], False)],
)
def test_a_question_near_to_the_last_one_is_a_follow_up(vector: list[float], expected: bool):
    conversation = equipped(Embeddings({"cats": [0.0, 1.0], "dogs": [1.0, 0.0], "kittens": vector}))
    conversation.add_interaction("cats", "kittens")
    conversation.add_interaction("dogs", "kittens")
    assert conversation.is_follow_up_question("kittens") is expected


def test_follow_up_words_come_first_and_need_no_model():
    embeddings = Embeddings()
    conversation = animals(embeddings)
    embeddings.asked.clear()
    assert conversation.is_follow_up_question("And the dogs?") is True
    assert embeddings.asked == []
    assert equipped(embeddings).is_follow_up_question("And the dogs?") is False
    assert equipped(embeddings).is_follow_up_question("dogs") is False
    assert embeddings.asked == []


def test_the_last_question_alone_is_compared_without_its_answer():
    embeddings = Embeddings()
    conversation = animals(embeddings)
    embeddings.asked.clear()
    conversation.is_follow_up_question("kittens")
    assert embeddings.asked == ["kittens", "cars"]


def test_is_follow_up_question_is_a_bool_that_json_takes():  # E8
    found = animals().is_follow_up_question("kittens")
    assert type(found) is bool
    assert json.dumps({"is_follow_up": found}) == '{"is_follow_up": false}'
    assert type(animals(Embeddings(down=True)).is_follow_up_question("kittens")) is bool


def test_a_question_after_an_answer_without_a_question_is_none():
    conversation = equipped(Embeddings())
    conversation.add_interaction("assistant", "Welcome!")
    assert conversation.is_follow_up_question("kittens") is False


# --- dicts ----------------------------------------------------------------------------------------------------------


def _dict_of_animals() -> dict[str, Any]:
    data = animals().to_dict()
    del data["embeddings"]
    return data


def test_to_dict_has_vectors_only_when_there_are_any():
    assert EnhancedConversation().to_dict() == {"history": []}
    conversation = animals()
    data = conversation.to_dict()
    assert data.keys() == {"history", "embeddings"}
    assert data["embeddings"] == [VECTORS["Q: cats A: purr"], VECTORS["Q: dogs A: bark"], VECTORS["Q: cars A: honk"]]
    assert data["history"] == conversation_compat.Conversation.to_dict(conversation)["history"]
    assert json.loads(json.dumps(data)) == data


def test_vectors_of_a_dict_are_used_without_asking():
    embeddings = Embeddings()
    conversation = equipped(embeddings, EnhancedConversation.from_dict(animals().to_dict()))
    assert conversation.interaction_embeddings == animals().interaction_embeddings
    assert conversation.to_dict() == animals().to_dict()
    assert embeddings.asked == []


@pytest.mark.parametrize("found", [None, [], [[1.0]], [[1.0]] * 4, "x", 5, [["a"], ["b"], ["c"]]])  # N6: null
def test_vectors_that_do_not_fit_are_made_anew_and_not_before_they_are_needed(found: Any):  # N5
    embeddings = Embeddings()
    data = {**_dict_of_animals(), "embeddings": found}
    conversation = equipped(embeddings, EnhancedConversation.from_dict(data))
    assert embeddings.asked == []
    assert conversation.interaction_embeddings == animals().interaction_embeddings
    assert sorted(embeddings.asked) == ["Q: cars A: honk", "Q: cats A: purr", "Q: dogs A: bark"]


def test_a_dict_without_vectors_embeds_every_exchange_in_one_request():  # N5
    class Counting(HashEncoder):
        calls = 0

        def encode(self, texts: Sequence[str], *, role: Any = "passage") -> Any:
            Counting.calls += 1
            return super().encode(texts, role=role)

    conversation = EnhancedConversation.from_dict(_dict_of_animals())
    conversation.embedder = ConversationEmbedder(encoder=Counting(16))
    assert len(conversation.interaction_embeddings) == 3
    assert Counting.calls == 1


def test_vectors_of_a_dict_may_be_arrays():  # E5
    embeddings, data = Embeddings(), animals().to_dict()
    vectors = np.array(data["embeddings"])
    loaded = equipped(embeddings, EnhancedConversation.from_dict({**data, "embeddings": vectors}))
    assert loaded.to_dict() == data
    assert embeddings.asked == []


def test_the_vectors_of_a_loaded_conversation_are_its_own():  # N1
    data = animals().to_dict()
    before = json.dumps(data)
    conversation = equipped(Embeddings(), EnhancedConversation.from_dict(data))
    conversation.add_interaction("cats", "meow")
    assert json.dumps(data) == before
    assert len(conversation.interaction_embeddings) == 4
    embeddings = Embeddings()
    again = equipped(embeddings, EnhancedConversation.from_dict(conversation.to_dict()))
    assert len(again.interaction_embeddings) == 4
    assert embeddings.asked == []


def test_the_summary_is_kept():  # N2
    conversation = animals()
    conversation.summary, conversation.summary_updated_at = "Animals.", 1719400000.5
    again = EnhancedConversation.from_dict(json.loads(json.dumps(conversation.to_dict())))
    assert (again.summary, again.summary_updated_at) == ("Animals.", 1719400000.5)
    damaged = EnhancedConversation.from_dict({"history": [], "summary": None, "summary_updated_at": "x"})
    assert (damaged.summary, damaged.summary_updated_at) == ("", 0)


def test_a_dict_of_the_old_system_loads_and_comes_back_as_it_was():
    text = ENHANCED.read_text(encoding="utf-8")
    conversation = EnhancedConversation.from_dict(json.loads(text))
    assert json.dumps(conversation.to_dict()) == json.dumps(json.loads(text))


def test_either_class_reads_the_dict_of_the_other():
    enhanced, plain = (json.loads(path.read_text(encoding="utf-8")) for path in (ENHANCED, PLAIN))
    read = conversation_compat.Conversation.from_dict(enhanced)
    assert read.to_dict() == {"history": enhanced["history"]}
    assert EnhancedConversation.from_dict(plain).history == conversation_compat.Conversation.from_dict(plain).history
    found = new.EnhancedConversation.from_dict(enhanced)
    assert [turn.content for turn in found][::2] == [record["query"] for record in enhanced["history"]]


@pytest.mark.parametrize("data", [None, [], "x"])
def test_what_is_no_dict_is_an_empty_conversation(data: Any):
    assert EnhancedConversation.from_dict(data).to_dict() == {"history": []}


def test_turns_and_vectors_come_back_together():
    conversation = animals()
    conversation.add_interaction("system", "Be brief.")
    again = EnhancedConversation.from_dict(json.loads(json.dumps(conversation.to_dict())))
    assert again.stored_turns() == conversation.stored_turns()
    assert again.to_dict() == conversation.to_dict()


def test_a_fork_has_the_vectors():
    embeddings = Embeddings()
    made = animals(embeddings).fork()
    embeddings.asked.clear()
    assert type(made) is EnhancedConversation
    assert made.interaction_embeddings == animals().interaction_embeddings
    assert embeddings.asked == []


def test_a_subclass_that_embeds_exchanges_in_its_own_way_does():
    class Loud(ConversationEmbedder):
        def embed_interaction(self, query: str, response: str) -> list[float]:
            return [float(len(query)), float(len(response))]

    conversation = EnhancedConversation.from_dict(_dict_of_animals())
    conversation.embedder = Loud(encoder=HashEncoder(16))
    assert conversation.interaction_embeddings == [[4.0, 4.0]] * 3


# --- warnings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("use", "name"),
    [
        (EnhancedConversation, "EnhancedConversation"),
        (
            lambda: EnhancedConversation.from_dict({"history": [{"query": "q", "response": "r"}]}),
            "EnhancedConversation",
        ),
        (lambda: get_enhanced_conversation_from_session({}), "get_enhanced_conversation_from_session"),
    ],
)
def test_every_use_warns_once_at_the_line_of_the_caller(use: Callable[[], object], name: str):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        use()
    (one,) = told
    assert issubclass(one.category, RagtimeDeprecationWarning)
    assert one.filename == __file__
    assert str(one.message).startswith(f"enhanced_conversation.{name} is deprecated")
    assert "2.0.0" in str(one.message)


def test_using_it_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        conversation = animals()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        conversation.add_interaction("cats", "purr")
        conversation.get_relevant_interactions("kittens")
        conversation.is_follow_up_question("kittens")
        conversation.to_dict()


def test_nothing_that_was_said_is_logged(caplog: pytest.LogCaptureFixture):
    with caplog.at_level("DEBUG"):
        conversation = animals(Embeddings(down=True))
        conversation.get_relevant_interactions("kittens")
        conversation.is_follow_up_question("kittens")
        conversation_compat.Conversation.from_dict({"history": [{"query": "kittens"}]})
        conversation.add_interaction("q", "purr", metadata={"kittens": {1}})
    told = " ".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "could not be embedded" in told
    assert "left out" in told
    assert not any(word in told for word in ("kittens", "cats", "purr", "does not answer"))
