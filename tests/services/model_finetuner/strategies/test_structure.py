"""Layers and what lies below them are found in architectures that nothing here knows by name."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sentence_transformers")
pytest.importorskip("peft")

from sentence_transformers.sentence_transformer import modules  # noqa: E402

from ragtime.errors import FineTuningError  # noqa: E402
from ragtime.services.model_finetuner.strategies.comparison import embed_for_check, largest_difference  # noqa: E402
from ragtime.services.model_finetuner.strategies.structure import (  # noqa: E402
    LayerStack,
    evaluating,
    linear_layers,
    transformer_of,
)
from ragtime.testing import tiny_model  # noqa: E402
from tests.services.model_finetuner.strategies.models import (  # noqa: E402
    LAYERS,
    small_model,
    small_transformer,
    strategy_of,
    train,
    with_modules,
)

pytestmark = pytest.mark.models

BELOW_ALL_LAYERS = {
    "roberta": ("encoder.layer", {"embeddings"}),
    "mpnet": ("encoder.layer", {"embeddings", "encoder.relative_attention_bias"}),
    "distilbert": ("transformer.layer", {"embeddings"}),
    "modernbert": ("layers", {"embeddings"}),
    "qwen3": ("layers", {"embed_tokens"}),
}


@pytest.mark.parametrize("architecture", BELOW_ALL_LAYERS)
def test_embeddings_and_lower_layers_are_frozen(architecture: str) -> None:
    """All that has a part in what enters the first trained layer, and no more."""
    model = small_model(architecture)
    name, below = BELOW_ALL_LAYERS[architecture]
    assert LayerStack.of(transformer_of(model)).name == name
    for depth in range(LAYERS):
        strategy = strategy_of(frozen_layers=depth)
        trained = set(strategy.parameters(strategy.prepare(model)))
        prefixes = tuple(f"0.model.{part}" for part in (*below, *(f"{name}.{layer}." for layer in range(depth))))
        unused = ("0.model.pooler.",)
        expected = {one for one, _ in model.named_parameters() if not one.startswith((*prefixes, *unused))}
        assert trained == expected


def test_what_enters_the_first_trained_layer_does_not_change() -> None:
    """So that it may be computed once: also where all layers share something, as the positions of MPNet."""
    model, strategy = small_model("mpnet"), strategy_of(frozen_layers=2)
    strategy.prepare(model)
    entering: list[torch.Tensor] = []
    layer = LayerStack.of(transformer_of(model)).layers[2]
    layer.register_forward_pre_hook(lambda _, args: entering.extend(args[:1]))
    embed_for_check(model, ["one text"])
    train(model, strategy)
    embed_for_check(model, ["one text"])
    assert torch.equal(entering[0], entering[-1])


def test_layers_that_share_their_weights_are_one() -> None:
    """ALBERT runs one layer several times."""
    strategy = strategy_of(frozen_layers=0)
    names = set(strategy.parameters(strategy.prepare(small_model("albert"))))
    assert names
    assert all(name.startswith("0.model.encoder.albert_layer_groups.0.") for name in names)


@pytest.mark.parametrize("architecture", ["qwen3", "mpnet"])
def test_adapters_merge_in_other_architectures(architecture: str) -> None:
    model, strategy = small_model(architecture), strategy_of(strategy="lora", lora_rank=2)
    base, plain = embed_for_check(model), list(model.state_dict())
    train(strategy.prepare(model), strategy)
    trained = embed_for_check(model)
    assert largest_difference(base, trained) > 1e-4
    strategy.finished(model)
    assert largest_difference(trained, embed_for_check(model)) <= 1e-4
    assert list(model.state_dict()) == plain
    assert not hasattr(model.transformers_model, "peft_config")


def test_linear_layers_are_those_of_the_layers() -> None:
    """Not the pooler of BERT."""
    names = list(linear_layers(transformer_of(tiny_model(layers=1))))
    inside = ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"]
    assert names == [f"encoder.layer.0.{name}" for name in (*inside, "intermediate.dense", "output.dense")]


def test_a_model_without_linear_layers_is_refused() -> None:
    """GPT-2 has convolutions in their place."""
    with pytest.raises(FineTuningError, match=r"No torch\.nn\.Linear was found in the layers 'h' of GPT2Model"):
        strategy_of(strategy="lora").prepare(small_model("gpt2"))


def test_a_model_without_a_transformer_is_refused_where_one_is_needed() -> None:
    """Its weights can be trained all the same."""
    tokenizer = tiny_model(layers=1).tokenizer.backend_tokenizer
    model = with_modules(modules.StaticEmbedding(tokenizer, embedding_weights=torch.eye(1493, 32).numpy()))
    for fields in ({"strategy": "lora"}, {"frozen_layers": 0}):
        with pytest.raises(FineTuningError, match="Expected a model with one transformer, found 0 in StaticEmbedding"):
            strategy_of(**fields).prepare(model)
    assert list(strategy_of(strategy="full").parameters(strategy_of(strategy="full").prepare(model)))


def test_a_model_with_two_transformers_is_refused() -> None:
    routes = {role: [small_transformer("distilbert"), modules.Pooling(32)] for role in ("query", "document")}
    model = with_modules(modules.Router(routes, default_route="document"))
    with pytest.raises(FineTuningError, match="found 2 in Router"):
        strategy_of(strategy="lora").prepare(model)
    full = strategy_of(strategy="full")
    parameters = full.parameters(full.prepare(model))
    assert any(".query." in name for name in parameters)
    assert any(".document." in name for name in parameters)


def test_modules_are_left_in_their_modes() -> None:
    model = tiny_model()
    model[0].train()
    before = [module.training for module in model.modules()]
    with evaluating(model):
        assert not any(module.training for module in model.modules())
    assert [module.training for module in model.modules()] == before
