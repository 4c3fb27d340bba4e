"""How attention is computed in training: step by step where that is faster, and the same but for rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ragtime.services.model_finetuner.forward import set_dropout, tokenize_texts
from ragtime.services.model_finetuner.forward.attention import eager_attention
from ragtime.services.model_finetuner.forward.models import TextModel
from ragtime.testing import tiny_model

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.models

TEXTS = ["a box", "a box of coffee for the office", "the filter of the roaster is blocked"]


def way_of(model: Any) -> str:
    return str(model[0].auto_model.config._attn_implementation)


def test_it_is_switched_in_the_block_alone_and_gives_the_same() -> None:
    model = tiny_model(seed=3).train()
    assert way_of(model) == "sdpa"
    features = model.tokenize(TEXTS)
    torch.manual_seed(0)
    fused = model(dict(features))["sentence_embedding"]
    torch.manual_seed(0)
    with eager_attention(model):
        assert way_of(model) == "eager"
        eager = model(dict(features))["sentence_embedding"]
    assert way_of(model) == "sdpa"
    assert torch.allclose(fused, eager, atol=1e-5)  # the same dropout, too


def test_it_is_switched_back_when_the_block_fails() -> None:
    model = tiny_model()
    with pytest.raises(ZeroDivisionError), eager_attention(model):
        raise ZeroDivisionError
    assert way_of(model) == "sdpa"


def test_without_dropout_it_stays_fused() -> None:
    model = tiny_model()
    set_dropout(model, 0.0)
    with eager_attention(model):
        assert way_of(model) == "sdpa"


@pytest.mark.parametrize(
    ("precision", "training", "frozen", "way"),
    [
        ("bfloat16", True, False, "eager"),
        ("float32", True, False, "sdpa"),
        ("bfloat16", False, False, "sdpa"),
        ("bfloat16", True, True, "sdpa"),
    ],
)
def test_passes_choose_it_where_it_is_faster(precision: Any, training: bool, frozen: bool, way: str) -> None:
    model = tiny_model()
    texts = tokenize_texts(model, TEXTS, ["passage"] * len(TEXTS))
    passes = TextModel(model, texts, precision=precision, frozen=[model[0].auto_model.embeddings] if frozen else [])
    with passes.mode(training=training):
        assert way_of(model) == way
        assert passes(np.arange(len(TEXTS))).shape == (len(TEXTS), passes.dimension)
    assert way_of(model) == "sdpa"
