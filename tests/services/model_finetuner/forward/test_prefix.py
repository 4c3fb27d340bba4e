"""What is frozen is computed without dropout, and once where nothing but its output is used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ragtime.errors import FineTuningError
from ragtime.services.model_finetuner.forward import BatchEncoder, FrozenCache, TextModel, prepare_encoder
from tests.services.model_finetuner.forward.models import (
    TEXTS,
    batch,
    contrastive,
    distance,
    gradients,
    tokens_of,
    trained_model,
)

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

pytestmark = pytest.mark.models


def with_head(*, dropout: float = 0.0) -> SentenceTransformer:
    """A frozen model with a trained map before its normalisation."""
    import torch
    from sentence_transformers.sentence_transformer import modules

    model = trained_model(dropout)
    model.requires_grad_(requires_grad=False)
    torch.manual_seed(3)
    model.insert(2, modules.Dense(16, 16, activation_function=torch.nn.Identity()))
    return model


def frozen_below(depth: int, *, dropout: float = 0.0) -> SentenceTransformer:
    """A model of three layers of which the embeddings and some layers are frozen."""
    model = trained_model(dropout, layers=3)
    model[0].model.embeddings.requires_grad_(requires_grad=False)
    model[0].model.encoder.layer[:depth].requires_grad_(requires_grad=False)
    return model


@pytest.mark.parametrize("in_a_file", [True, False])
def test_a_head_on_cached_embeddings_learns_as_on_the_whole_model(tmp_path: Path, in_a_file: bool) -> None:
    numbers, places = batch()
    model = with_head()
    whole = BatchEncoder(TextModel(model, tokens_of(model)))
    whole.step(numbers, contrastive(places))
    expected = {name: gradient.clone() for name, gradient in gradients(model).items()}
    embeddings = whole.embed(np.arange(len(TEXTS)))
    model.zero_grad()
    head = prepare_encoder(
        model, tokens_of(model), frozen_depth=None, cache=FrozenCache(tmp_path) if in_a_file else None
    )
    head.step(numbers, contrastive(places))
    assert distance(gradients(model), expected) < 1e-6
    np.testing.assert_allclose(head.embed(np.arange(len(TEXTS))), embeddings, atol=1e-6)


def test_a_head_on_queries_alone_leaves_passages_as_they_are() -> None:
    import torch
    from sentence_transformers.sentence_transformer import modules

    from ragtime.services.model_finetuner.forward import tokenize_texts

    model = trained_model()
    model.requires_grad_(requires_grad=False)
    torch.manual_seed(3)
    plain = model.encode(TEXTS)
    head = modules.Dense(16, 16, activation_function=torch.nn.Identity())
    model.insert(2, modules.Router.for_query_document([head], [modules.Normalize()]))
    texts = tokenize_texts(model, TEXTS, ["query", "passage"] * 12)
    encoder = prepare_encoder(model, texts, frozen_depth=None)
    found = encoder.embed(np.arange(len(TEXTS)))
    np.testing.assert_allclose(found[1::2], plain[1::2], atol=1e-6)
    np.testing.assert_allclose(found[::2], model.encode_query(TEXTS[::2]), atol=1e-6)
    encoder.step(np.arange(4), lambda embeddings: embeddings[0] @ embeddings[1])
    assert len(gradients(model)) == 2


def test_a_model_without_trained_weights_is_refused() -> None:
    model = trained_model()
    model.requires_grad_(requires_grad=False)
    with pytest.raises(FineTuningError, match="no weight needs a gradient"):
        prepare_encoder(model, tokens_of(model), frozen_depth=None)


@pytest.mark.parametrize("depth", [0, 2, 3])
def test_frozen_layers_have_no_dropout_and_the_others_do(depth: int) -> None:
    model = frozen_below(depth, dropout=0.4)
    encoder = TextModel(model, tokens_of(model), frozen=_frozen(model, depth))
    with encoder.mode(training=True):
        assert not model[0].model.embeddings.dropout.training
        layers = model[0].model.encoder.layer
        assert [layer.output.dropout.training for layer in layers] == [number >= depth for number in range(3)]


@pytest.mark.parametrize("depth", [-1, 0, 2])
def test_gradients_above_a_frozen_part_are_those_of_the_whole_model(depth: int) -> None:
    numbers, places = batch()
    plain = trained_model(layers=3)
    prepare_encoder(plain, tokens_of(plain), max_tokens=24).step(numbers, contrastive(places))
    model = frozen_below(depth) if depth >= 0 else trained_model(layers=3)
    prepare_encoder(model, tokens_of(model), frozen_depth=depth, gradient_cache="on", max_tokens=24).step(
        numbers, contrastive(places)
    )
    found = gradients(model)
    assert len(found) < len(gradients(plain)) or depth < 0
    assert distance(found, {name: gradients(plain)[name] for name in found}) < 1e-6


def test_more_frozen_layers_than_there_are_is_an_error() -> None:
    model = trained_model()
    with pytest.raises(FineTuningError, match="at most 2 frozen layers, found 3"):
        prepare_encoder(model, tokens_of(model), frozen_depth=3)


def _frozen(model: SentenceTransformer, depth: int) -> list[object]:
    from ragtime.services.model_finetuner.forward import frozen_modules

    return list(frozen_modules(model, depth))


@pytest.mark.parametrize("side", ["left", "right"])
def test_upper_layers_on_cached_states_learn_as_in_the_whole_model(tmp_path: Path, side: str) -> None:
    numbers, places = batch()
    found, embeddings = [], []
    for hidden_bytes in (0, 10**6):
        model = frozen_below(2)
        model.tokenizer.padding_side = side
        cache = FrozenCache(tmp_path, hidden_bytes)
        encoder = prepare_encoder(
            model, tokens_of(model), frozen_depth=2, gradient_cache="on", max_tokens=24, cache=cache
        )
        encoder.step(numbers, contrastive(places))
        found.append(gradients(model))
        embeddings.append(encoder.embed(np.arange(len(TEXTS))))
        assert len(model[0].model.encoder.layer) == 3
    assert (tmp_path / "frozen-hidden-states.npy").exists()
    assert distance(found[1], found[0]) < 1e-6
    np.testing.assert_allclose(embeddings[1], embeddings[0], atol=1e-6)


def test_a_cache_that_does_not_fit_is_not_made(tmp_path: Path) -> None:
    model = frozen_below(2)
    prepare_encoder(model, tokens_of(model), frozen_depth=2, cache=FrozenCache(tmp_path, 100))
    assert not list(tmp_path.iterdir())


def test_a_model_that_cannot_be_cut_runs_its_frozen_layers_in_every_step(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = frozen_below(2)
    encoder = model[0].model.encoder
    inner = encoder.forward
    # A model that adds something to the embeddings: it would be added to the cached states a second time.
    encoder.forward = lambda states, **options: inner(states + 0.5, **options)
    expected = model.encode(TEXTS)
    made = prepare_encoder(model, tokens_of(model), frozen_depth=2, cache=FrozenCache(tmp_path, 10**6))
    assert "Frozen layers are run in every step" in caplog.text
    np.testing.assert_allclose(made.embed(np.arange(len(TEXTS))), expected, atol=1e-6)
