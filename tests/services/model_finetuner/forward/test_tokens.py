"""Texts are tokenized once, and exactly as the model would do it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.forward import role_prompts, roles_differ, text_limit, tokenize_texts
from ragtime.testing import tiny_model

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def model() -> SentenceTransformer:
    return tiny_model(dimension=16)


@settings(max_examples=25, deadline=None)
@given(texts=st.lists(st.text(alphabet="abc XYZ,.é\ud800", max_size=40), min_size=1, max_size=8), left=st.booleans())
def test_padded_texts_are_those_of_the_model(model: SentenceTransformer, texts: list[str], left: bool) -> None:
    model.tokenizer.padding_side = "left" if left else "right"
    found = tokenize_texts(model, texts, query_prompt="ab: ", passage_prompt="cd: ").padded(np.arange(len(texts)))
    clean = [text.replace("\ud800", "\ufffd") for text in texts]
    expected = model.preprocess(clean, prompt="cd: ")
    assert found.keys() == {"input_ids", "attention_mask", "token_type_ids"}
    for name, values in found.items():
        assert values.tolist() == expected[name].tolist()
    model.tokenizer.padding_side = "right"


def test_any_texts_share_a_pass(model: SentenceTransformer) -> None:
    texts = ["aa bb cc dd", "aa", "bb cc"]
    found = tokenize_texts(model, texts).padded(np.array([2, 1]))
    assert found["input_ids"].tolist() == model.preprocess(["bb cc", "aa"])["input_ids"].tolist()


def test_texts_of_each_role_get_its_prompt(model: SentenceTransformer) -> None:
    found = tokenize_texts(model, ["aa", "aa"], ["query", "passage"], query_prompt="bb ", passage_prompt="")
    assert found.padded(np.array([0]))["input_ids"].tolist() == model.preprocess(["bb aa"])["input_ids"].tolist()
    assert found.padded(np.array([1]))["input_ids"].tolist() == model.preprocess(["aa"])["input_ids"].tolist()
    assert len(found.routes) == 1  # pooling reads the prompts, too: they may share a pass


def test_pooling_that_leaves_prompts_out_separates_the_roles() -> None:
    other = tiny_model(dimension=16)
    other.set_pooling_include_prompt(include_prompt=False)
    found = tokenize_texts(other, ["aa", "aa"], ["query", "passage"], query_prompt="bb ")
    expected = other.preprocess(["aa"], prompt="bb ")["prompt_length"]
    assert [found.routes[route].prompt_length for route in found.route_of] == [expected, 0]


def test_long_texts_are_cut_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    model = tiny_model(dimension=16)
    model.max_seq_length = 6
    inside = len(model.tokenizer("aa bb")["input_ids"])
    assert inside < 6
    fitting = "aa bb" + " cc" * (6 - inside)
    with caplog.at_level(logging.WARNING, "ragtime"):
        found = tokenize_texts(model, ["aa bb", fitting, fitting + " dd", "aa " * 90])
    assert found.lengths.tolist() == [inside, 6, 6, 6]
    assert found.truncated == 2
    (record,) = caplog.records
    assert (record.count, record.tokens) == (2, 6)  # type: ignore[attr-defined]


def test_the_positions_of_a_model_are_a_limit() -> None:
    model = tiny_model(dimension=16)
    positions = model.transformers_model.config.max_position_embeddings  # type: ignore[union-attr]
    model.max_seq_length = 10_000
    assert text_limit(model) == text_limit(model, 20_000) == positions
    assert text_limit(model, 7) == 7
    assert tokenize_texts(model, ["a " * 500]).lengths.tolist() == [positions]


def test_prompts_are_the_given_ones_before_those_of_the_model() -> None:
    other = tiny_model(dimension=16)
    assert role_prompts(other) == {"query": "", "passage": ""}
    other.prompts = {"query": "q: ", "passage": "p: "}
    assert role_prompts(other) == {"query": "q: ", "passage": "p: "}
    assert role_prompts(other, "", "x: ") == {"query": "", "passage": "x: "}


def test_roles_differ_by_prompts_and_routers(model: SentenceTransformer) -> None:
    from sentence_transformers.sentence_transformer import modules

    assert not roles_differ(model)
    assert roles_differ(model, query_prompt="q: ")
    assert not roles_differ(model, query_prompt="q: ", passage_prompt="q: ")
    router = modules.Router.for_query_document([modules.Dense(16, 16)], [modules.Normalize()])
    routed = tiny_model(dimension=16)
    routed.append(router)
    assert roles_differ(routed)
    found = tokenize_texts(routed, ["aa", "aa"], ["query", "passage"])
    assert [found.routes[route].task for route in found.route_of] == ["query", "document"]


def test_every_text_needs_a_role(model: SentenceTransformer) -> None:
    with pytest.raises(InvalidArgumentError, match="a role for each of 2 texts, found 1"):
        tokenize_texts(model, ["aa", "bb"], ["query"])
