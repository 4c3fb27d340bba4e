"""The head stands before the normalisation, for all texts or for queries alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sentence_transformers")

from sentence_transformers import SentenceTransformer  # noqa: E402
from sentence_transformers.sentence_transformer import modules  # noqa: E402

from ragtime.backends.encoders import SentenceTransformerEncoder  # noqa: E402
from ragtime.config.settings import Settings  # noqa: E402
from ragtime.errors import FineTuningError  # noqa: E402
from ragtime.services.model_finetuner.saving import load_encoder, save_model  # noqa: E402
from ragtime.services.model_finetuner.strategies.comparison import (  # noqa: E402
    CHECK_TEXTS,
    embed_for_check,
    largest_difference,
)
from ragtime.testing import tiny_model  # noqa: E402
from tests.services.model_finetuner.strategies.models import strategy_of, train, with_modules  # noqa: E402

pytestmark = pytest.mark.models

TEXTS = list(CHECK_TEXTS)


def encoder_of(model: SentenceTransformer) -> SentenceTransformerEncoder:
    return SentenceTransformerEncoder(Settings.isolated(), model_name="a model", model=model)


def names(model: SentenceTransformer) -> list[str]:
    return [type(module).__name__ for module in model]


def test_it_stands_before_the_normalisation() -> None:
    model = strategy_of(strategy="adapter").prepare(tiny_model())
    assert names(model) == ["Transformer", "Pooling", "Dense", "Normalize"]
    assert [name for name, _ in model.named_children()] == ["0", "1", "2", "3"]
    assert torch.equal(model[2].linear.weight, torch.eye(32))
    assert torch.equal(model[2].linear.bias, torch.zeros(32))


@pytest.mark.parametrize("query_only", [False, True])
@pytest.mark.parametrize(
    ("parts", "place"),
    [
        (["mean"], 2),
        (["mean", "normalize"], 2),
        ([("mean", "cls", "max")], 2),
        (["mean", "dense", "normalize"], 3),
        (["mean", "normalize", "dense", "normalize", "normalize"], 4),
    ],
)
def test_other_ends_of_a_model(
    parts: list[str | tuple[str, ...]], place: int, query_only: bool, tmp_path: Path
) -> None:
    """Several poolings, layers of the model's own after them, and models that do not normalise."""
    made = [
        modules.Normalize()
        if part == "normalize"
        else modules.Dense(32, 32)
        if part == "dense"
        else modules.Pooling(32, part)  # type: ignore[arg-type]
        for part in parts
    ]
    model = with_modules(tiny_model()[0], *made)
    before = embed_for_check(model)
    strategy = strategy_of(strategy="adapter", adapter_query_only=query_only)
    strategy.prepare(model)
    assert names(model)[place] == ("Router" if query_only else "Dense")
    assert largest_difference(before, embed_for_check(model)) <= 1e-6
    with torch.no_grad():
        for weight in strategy.parameters(model).values():
            weight.mul_(0.5).add_(0.01)
    after = embed_for_check(model)
    assert not np.allclose(before.queries, after.queries, atol=1e-4)
    assert np.array_equal(before.passages, after.passages) == query_only
    assert save_model(strategy.finished(model), tmp_path / "model").difference <= 1e-5


def test_a_model_that_pools_nothing_is_refused() -> None:
    model = with_modules(tiny_model()[0])
    with pytest.raises(FineTuningError, match=r"needs a model that pools .* found Transformer"):
        strategy_of(strategy="adapter").prepare(model)


def test_passages_stay_as_they_are_bit_by_bit(tmp_path: Path) -> None:
    """In plain sentence-transformers and in ragtime's encoder, with the fingerprint that indexes are known by."""
    base = tiny_model()
    passages = base.encode_document(TEXTS)
    fingerprint, vectors = encoder_of(base).fingerprint("passage"), encoder_of(base).encode(TEXTS, role="passage")
    query_fingerprint = encoder_of(base).fingerprint("query")
    strategy = strategy_of(strategy="adapter", adapter_query_only=True)
    model = strategy.prepare(tiny_model())
    train(model, strategy)
    saved = save_model(strategy.finished(model), tmp_path / "model")

    plain = SentenceTransformer(str(saved.path), device="cpu", trust_remote_code=False, local_files_only=True)
    assert np.array_equal(plain.encode_document(TEXTS), passages)
    assert np.array_equal(plain.encode(TEXTS), passages)  # who says nothing embeds documents
    assert not np.allclose(plain.encode_query(TEXTS), passages, atol=1e-3)
    assert np.array_equal(plain.encode_query(TEXTS), model.encode_query(TEXTS))

    encoder = load_encoder(saved.path, Settings.isolated())
    assert np.array_equal(encoder.encode(TEXTS, role="passage"), vectors)
    assert encoder.fingerprint("passage") == fingerprint
    assert encoder.fingerprint("query") != query_fingerprint
    assert np.allclose(encoder.encode(TEXTS, role="query"), model.encode_query(TEXTS), atol=1e-6)
    assert encoder.dimension == 32


def test_the_arguments_of_modules_follow_their_names() -> None:
    """Where modules.json gives a module arguments to pass on, the module keeps them after the others are renamed."""
    model = tiny_model()
    model.module_kwargs = {"0": [], "1": ["task"], "2": ["other"]}
    strategy_of(strategy="adapter").prepare(model)
    assert model.module_kwargs == {"1": ["task"], "3": ["other"]}
