"""The wrapper of ``conversation_embedder``: signatures, texts, failure values, and what of the new class it lets in."""

from __future__ import annotations

import inspect
import json
import logging
import math
import sys
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversation_embedder_compat import ConversationEmbedder
from ragtime.config.settings import Settings
from ragtime.errors import BackendError, InvalidArgumentError, RagtimeDeprecationWarning
from ragtime.protocols import TextEncoder
from ragtime.records.conversation import Interaction
from ragtime.services.conversation import ConversationEmbedder as NewEmbedder
from ragtime.testing import HashEncoder, LocalModelServer

pytestmark = pytest.mark.filterwarnings("ignore::ragtime.errors.RagtimeDeprecationWarning")

SECRET = "a private question about my health"
IMPATIENT = Settings.isolated(embedding__max_retries=0, embedding__timeout_seconds=5)
numbers = st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=6)


def asking(server: LocalModelServer, model: str = "mistral") -> ConversationEmbedder:
    return ConversationEmbedder(model, server.base_url, settings=IMPATIENT)


class _Replaced:
    """What callers put in the place of ``embeddings``."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.texts: list[str] = []

    def embed_query(self, text: str) -> Sequence[float]:
        self.texts.append(text)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[return-value]  # anything, as callers do


class Broken:
    """A vector whose reading fails in a way of its own."""

    def __array__(self, *_: object, **__: object) -> object:
        raise RuntimeError("still on the accelerator")


@pytest.fixture
def embedder() -> ConversationEmbedder:
    return ConversationEmbedder(encoder=HashEncoder(16))


# --- construction -------------------------------------------------------------------------------------------------


def test_it_is_the_new_class_and_warns() -> None:
    with pytest.warns(
        RagtimeDeprecationWarning, match=r"conversation_embedder\.ConversationEmbedder .* 2\.0\.0"
    ) as told:
        made = ConversationEmbedder()
    assert isinstance(made, NewEmbedder)
    assert [warning.filename for warning in told] == [__file__]
    assert "ragtime.services.conversation.ConversationEmbedder" in str(told[0].message)
    assert "ragtime migrate" in str(told[0].message)


@pytest.mark.parametrize(
    ("name", "old"),
    [
        ("__init__", {"model": None, "base_url": None}),
        ("embed_query", {"query": ...}),
        ("embed_interaction", {"query": ..., "response": ...}),
        ("cosine_similarity", {"vec1": ..., "vec2": ...}),
        ("find_most_similar", {"query_embedding": ..., "embeddings": ..., "top_k": 2}),
    ],
)
def test_parameters_have_their_names_order_and_defaults(name: str, old: dict[str, object]) -> None:
    found = inspect.signature(getattr(ConversationEmbedder, name)).parameters
    positional = [parameter for parameter in found.values() if parameter.kind is parameter.POSITIONAL_OR_KEYWORD][1:]
    assert [parameter.name for parameter in positional] == list(old)
    for parameter in positional:
        if old[parameter.name] is not ...:
            assert parameter.default == old[parameter.name]


def test_model_and_base_url_are_argument_else_environment_else_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EMBEDDING_MODEL", "OLLAMA_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    made = ConversationEmbedder()
    assert (made.model, made.base_url) == ("mistral", "http://localhost:11434")
    monkeypatch.setenv("EMBEDDING_MODEL", "nomic-embed-text")
    monkeypatch.setenv("OLLAMA_BASE_URL", "http://models:11434")
    made = ConversationEmbedder()  # the environment is read now, not at import
    assert (made.model, made.base_url) == ("nomic-embed-text", "http://models:11434")
    made = ConversationEmbedder("bge-m3", "http://other:1")
    assert (made.model, made.base_url) == ("bge-m3", "http://other:1")
    made = ConversationEmbedder(base_url="http://other:1", model="bge-m3")
    assert (made.model, made.base_url) == ("bge-m3", "http://other:1")


def test_construction_needs_neither_server_nor_package(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    made = ConversationEmbedder(base_url="http://127.0.0.1:9")
    assert made.embed_query("Where is it?") == [0.0] * 384
    assert caplog.records[-1].error == "MissingExtraError"
    assert caplog.records[-1].remedy == 'pip install "ragtime-gal[llm]"'


# --- embed_query and embed_interaction ----------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/"])
def test_embed_query_asks_the_server_of_base_url(end: str) -> None:
    with LocalModelServer(embed=lambda _: [3.0, 4.0]) as server:
        address = server.base_url.removesuffix("/v1") + end
        vector = ConversationEmbedder("mistral", address, settings=IMPATIENT).embed_query("Where is it?")
    assert vector == pytest.approx([0.6, 0.8])
    request = server.requests[-1]
    assert (request.path, request.body["model"], request.body["input"]) == (
        "/v1/embeddings",
        "mistral",
        ["Where is it?"],
    )


def test_embed_query_gives_a_list_of_plain_floats() -> None:  # E8
    with LocalModelServer() as server:
        vector = asking(server).embed_query("Where is it?")
    assert type(vector) is list
    assert {type(number) for number in vector} == {float}
    assert json.loads(json.dumps(vector)) == vector


def test_vectors_stored_by_the_old_system_differ_in_length_only() -> None:
    with LocalModelServer(embed=lambda text: [len(text), -7.5, 100.0, 0.25]) as server:
        made = asking(server)
        stored = server.embed("Q: How? A: So.")
        assert made.cosine_similarity(made.embed_interaction("How?", "So."), stored) == pytest.approx(1.0)


def test_embed_interaction_embeds_question_and_answer_as_one_text() -> None:
    with LocalModelServer() as server:
        made = asking(server)
        vector = made.embed_interaction("How {long}?", "Five\nseconds.")
        assert server.requests[-1].body["input"] == ["Q: How {long}? A: Five\nseconds."]
        assert vector == made.embed_interaction(response="Five\nseconds.", query="How {long}?")
        assert vector == made.embed_query("Q: How {long}? A: Five\nseconds.")


def test_embed_exchanges_asks_once_for_all() -> None:  # N5
    with LocalModelServer() as server:
        made = asking(server)
        one = made.embed_interaction("c", "d")
        before = len(server.requests)
        vectors = made.embed_exchanges([("a", "b"), ("c", "d"), ("e", "f")])
        assert len(server.requests) == before + 1
        assert (len(vectors), vectors[1]) == (3, pytest.approx(one))
        assert made.embed_exchanges([]) == []


def test_the_key_of_another_server_stays_here() -> None:
    with LocalModelServer() as server:
        own = Settings.isolated(embedding__api_key="canary-key", embedding__base_url="https://api.example.com/v1")
        made = ConversationEmbedder("mistral", server.base_url, settings=own)
        assert any(made.embed_query("Where is it?"))
        assert not any("canary" in value for request in server.requests for value in request.headers.values())


@pytest.mark.parametrize("fault", ["close", "status", "html", "wrong_shape", "nan", "empty"])
@pytest.mark.parametrize("call", ["embed_query", "embed_interaction"])
def test_after_any_failure_384_zeros_and_a_log_event_without_texts(
    fault: str, call: str, caplog: pytest.LogCaptureFixture
) -> None:
    with LocalModelServer(faults=[fault, fault]) as server:
        made = asking(server)
        vector = made.embed_query(SECRET) if call == "embed_query" else made.embed_interaction(SECRET, SECRET)
    assert vector == [0.0] * 384
    events = [record for record in caplog.records if record.name == "ragtime.conversation_embedder_compat"]
    assert [(event.levelno, event.error, event.dimension) for event in events] == [
        (logging.WARNING, "BackendError", 384)
    ]
    assert SECRET not in caplog.text


def test_zeros_have_the_length_of_the_models_vectors_once_it_is_known() -> None:  # E3
    with LocalModelServer(dimension=8) as server:
        made = asking(server)
        assert len(made.embed_query("a")) == 8
        server.add_faults("close")
        assert made.embed_query("b") == [0.0] * 8
        server.add_faults("close")
        assert made.embed_exchanges([("a", "b"), ("c", "d")]) == [[0.0] * 8] * 2
        assert any(made.embed_query("b"))


def test_an_address_that_is_none_fails_at_the_call_not_before() -> None:
    made = ConversationEmbedder("mistral", "no address at all")
    assert made.embed_query("a") == [0.0] * 384


# --- the attribute embeddings -------------------------------------------------------------------------------------


def test_embeddings_embeds_by_embed_query(embedder: ConversationEmbedder) -> None:
    assert embedder.embeddings.embed_query("a") == embedder.embed_query("a")


def test_embeddings_may_be_replaced(embedder: ConversationEmbedder) -> None:
    embedder.embeddings = replaced = _Replaced([1, 2], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0])
    assert embedder.embed_query("a") == [1.0, 2.0]
    assert embedder.embed_interaction("b", "c") == [3.0, 4.0]
    assert embedder.embed_exchanges([("d", "e"), ("f", "g")]) == [[5.0, 6.0], [7.0, 8.0]]
    assert replaced.texts == ["a", "Q: b A: c", "Q: d A: e", "Q: f A: g"]


@pytest.mark.parametrize("failure", [RuntimeError(SECRET), KeyError(SECRET), ConnectionError(SECRET), None, ["x"]])
def test_whatever_fails_in_embeddings_zeros_come_back(
    failure: object, embedder: ConversationEmbedder, caplog: pytest.LogCaptureFixture
) -> None:
    embedder.embeddings = _Replaced(failure, [1.0, 2.0, 3.0], failure)
    assert embedder.embed_query("a") == [0.0] * 384
    assert embedder.embed_query("a") == [1.0, 2.0, 3.0]
    assert embedder.embed_query("a") == [0.0] * 3  # E3
    assert SECRET not in caplog.text


def test_arrays_of_embeddings_become_plain_floats(embedder: ConversationEmbedder) -> None:  # E8
    embedder.embeddings = _Replaced(np.array([0.5, 1.5], dtype=np.float32))
    found = embedder.embed_query("a")
    assert (found, {type(number) for number in found}) == ([0.5, 1.5], {float})


def test_zeros_are_nobody_elses_list(embedder: ConversationEmbedder) -> None:
    embedder.embeddings = _Replaced(OSError(), OSError())
    first = embedder.embed_query("a")
    first[0] = 9.0
    assert embedder.embed_query("a") == [0.0] * 384


# --- cosine_similarity --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vec1", "vec2", "expected"),
    [
        ([1.0, 0.0], [1.0, 0.0], 1.0),
        ([1.0, 0.0], [0.0, 2.0], 0.0),
        ([1.0, 2.0], [-2.0, -4.0], -1.0),
        ([3.0, 4.0], [4.0, 3.0], 0.96),
        ([1, 2], (2, 4), 1.0),
        ([1e300, 1e300], [1e-300, 1e-300], 1.0),
        ([5e-324, 0.0], [5e-324, 0.0], 1.0),
    ],
)
def test_cosine_similarity_is_a_plain_float(vec1: object, vec2: object, expected: float) -> None:  # E8
    found = ConversationEmbedder().cosine_similarity(vec1, vec2)
    assert type(found) is float
    assert found == pytest.approx(expected)
    assert type(found > 0.8) is bool
    assert -1.0 <= found <= 1.0


@pytest.mark.parametrize(
    ("vec1", "vec2"),
    [
        pytest.param([], [1.0], id="empty first"),
        pytest.param([1.0], [], id="empty second"),
        pytest.param([], [], id="both empty"),
        pytest.param([0.0, 0.0], [1.0, 2.0], id="E1 zeros"),
        pytest.param([0.0] * 384, [0.0] * 384, id="E1 zeros twice"),
        pytest.param([math.nan, 1.0], [1.0, 1.0], id="E2 NaN"),
        pytest.param([None, 1.0], [1.0, 1.0], id="null"),
        pytest.param([math.inf, 1.0], [1.0, 1.0], id="infinite"),
    ],
)
def test_cosine_similarity_of_empty_zero_and_endless_vectors_is_0(
    vec1: list[float], vec2: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    found = ConversationEmbedder().cosine_similarity(vec1, vec2)
    assert (found, type(found)) == (0.0, float)
    assert "cannot be compared" not in caplog.text


@pytest.mark.parametrize(
    ("vec1", "vec2"),
    [
        pytest.param([1.0], [1.0, 2.0], id="E4 lengths"),
        pytest.param(np.ones(384), np.ones(4096), id="E4 lengths of arrays"),
        pytest.param(["a"], [1.0], id="text"),
        pytest.param([[1.0]], [[1.0]], id="nested"),
        pytest.param(None, [1.0], id="nothing"),
        pytest.param([10**400], [1], id="too large"),
        pytest.param(Broken(), [1.0, 2.0], id="any error"),
    ],
)
def test_cosine_similarity_of_what_cannot_be_compared_is_0_and_logged(
    vec1: object, vec2: object, caplog: pytest.LogCaptureFixture
) -> None:
    found = ConversationEmbedder().cosine_similarity(vec1, vec2)
    assert (found, type(found)) == (0.0, float)
    assert "Vectors cannot be compared" in caplog.text


def test_cosine_similarity_takes_arrays() -> None:  # E5
    found = ConversationEmbedder().cosine_similarity(np.array([3.0, 4.0], dtype=np.float32), np.array([4.0, 3.0]))
    assert (found, type(found)) == (pytest.approx(0.96), float)


@settings(max_examples=100)
@given(first=numbers, second=numbers)
def test_cosine_similarity_is_a_number_from_minus_1_to_1(first: list[float], second: list[float]) -> None:
    made = ConversationEmbedder()
    found = made.cosine_similarity(first, second)
    assert -1.0 <= found <= 1.0
    assert found == pytest.approx(made.cosine_similarity(second, first))


# --- find_most_similar --------------------------------------------------------------------------------------------

VECTORS = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [2.0, 0.0], [-1.0, 0.0]]


@pytest.mark.parametrize(
    ("options", "places"),
    [
        pytest.param({}, [1, 3], id="top_k is 2, ties in input order"),
        pytest.param({"top_k": 1}, [1], id="one"),
        pytest.param({"top_k": 9}, [1, 3, 2, 0, 4], id="more than there are"),
        pytest.param({"top_k": 0}, [], id="none"),
        pytest.param({"top_k": -1}, [], id="E7 negative"),
    ],
)
def test_find_most_similar_gives_places_and_cosines_best_first(options: dict[str, int], places: list[int]) -> None:
    found = ConversationEmbedder().find_most_similar([1.0, 0.0], VECTORS, **options)
    assert [place for place, _ in found] == places
    assert all(type(pair) is tuple and type(pair[0]) is int and type(pair[1]) is float for pair in found)
    cosines = {0: 0.0, 1: 1.0, 2: math.sqrt(0.5), 3: 1.0, 4: -1.0}
    assert [cosine for _, cosine in found] == pytest.approx([cosines[place] for place in places])


@pytest.mark.parametrize("embeddings", [[], (), None, np.empty((0, 2))], ids=["list", "tuple", "None", "array"])
def test_find_most_similar_among_none_is_empty(embeddings: object) -> None:
    assert ConversationEmbedder().find_most_similar([1.0, 0.0], embeddings) == []


def test_find_most_similar_takes_arrays() -> None:  # E5
    made = ConversationEmbedder()
    assert made.find_most_similar(np.array([1.0, 0.0]), np.array(VECTORS)) == [(1, 1.0), (3, 1.0)]


def test_zeros_and_nan_do_not_spoil_the_order() -> None:  # E2
    vectors = [[0.0, 0.0], [1.0, 1.0], [math.nan, 0.0], [1.0, 0.0], [0.0, 0.0]]
    found = ConversationEmbedder().find_most_similar([1.0, 0.0], vectors, top_k=5)
    assert [place for place, _ in found] == [3, 1, 0, 2, 4]


def test_vectors_of_another_length_count_as_unlike_and_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:  # E4
    found = ConversationEmbedder().find_most_similar([1.0, 0.0], [[1.0], [-1.0, 0.0], [1.0], [1.0, 0.0]], top_k=4)
    assert found == [(3, 1.0), (0, 0.0), (2, 0.0), (1, -1.0)]
    assert [(record.count, record.vectors) for record in caplog.records if hasattr(record, "vectors")] == [(2, 4)]


# --- the new calls ------------------------------------------------------------------------------------------------


def test_the_keyword_text_means_the_new_embed_query(embedder: ConversationEmbedder) -> None:
    found = embedder.embed_query(text="Where is it?")
    assert (found.dtype, found.shape) == (np.float32, (16,))
    with pytest.raises(InvalidArgumentError):
        embedder.embed_query(text=" ")


@pytest.mark.parametrize("name", ["interaction", "query"])
def test_a_turn_means_the_new_embed_interaction(name: str, embedder: ConversationEmbedder) -> None:
    turn = Interaction(role="user", content="Where is it?")
    found = embedder.embed_interaction(**{name: turn})
    assert np.array_equal(found, NewEmbedder(encoder=HashEncoder(16)).embed_interaction(turn))
    assert np.array_equal(found, embedder.embed_interaction(turn))


def test_the_encoder_of_the_server_is_a_text_encoder() -> None:
    with LocalModelServer(dimension=8) as server:
        made = asking(server)
        assert isinstance(made.encoder, TextEncoder)
        assert made.dimension == 8
        assert made.encoder.encode(["a", "b"]).shape == (2, 8)
        assert made.encoder.fingerprint("query") != asking(server, "bge-m3").encoder.fingerprint("query")


def test_new_calls_raise_where_old_ones_give_zeros() -> None:
    with LocalModelServer(faults=["close"] * 4) as server:
        made = asking(server)
        with pytest.raises(BackendError):
            made.embed_query(text="a")
        with pytest.raises(BackendError):
            made.embed_interactions([Interaction(role="user", content="a")])
        assert made.embed_query("a") == [0.0] * 384
