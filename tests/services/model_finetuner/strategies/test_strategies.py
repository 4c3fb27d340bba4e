"""Every strategy starts from the base, trains what it says, keeps its state bit by bit, and ends in plain modules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sentence_transformers")
pytest.importorskip("peft")

from sentence_transformers import SentenceTransformer  # noqa: E402

from ragtime.config.settings import Settings  # noqa: E402
from ragtime.errors import FineTuningError, InvalidArgumentError  # noqa: E402
from ragtime.services.model_finetuner.config import FineTuningConfig  # noqa: E402
from ragtime.services.model_finetuner.saving import save_model  # noqa: E402
from ragtime.services.model_finetuner.strategies import Strategy, make_strategy  # noqa: E402
from ragtime.services.model_finetuner.strategies.comparison import embed_for_check, largest_difference  # noqa: E402
from ragtime.testing import tiny_model  # noqa: E402
from tests.services.model_finetuner.strategies.models import strategy_of, train  # noqa: E402

pytestmark = pytest.mark.models

STRATEGIES: dict[str, dict[str, Any]] = {
    "full": {"strategy": "full"},
    "full above the embeddings": {"strategy": "full", "frozen_layers": 0},
    "full above one layer": {"strategy": "full", "frozen_layers": 1},
    "lora": {"strategy": "lora", "lora_rank": 4},
    "head": {"strategy": "adapter"},
    "head for queries": {"strategy": "adapter", "adapter_query_only": True},
    "ia3": {"strategy": "adapter", "adapter_method": "ia3"},
    "loha": {"strategy": "adapter", "adapter_method": "loha", "lora_rank": 4},
    "lokr": {"strategy": "adapter", "adapter_method": "lokr", "lora_rank": 4},
    "oft": {"strategy": "adapter", "adapter_method": "oft"},
}
MERGED = ("lora", "ia3", "loha", "lokr", "oft")


@pytest.fixture(params=STRATEGIES)
def strategy(request: pytest.FixtureRequest) -> Strategy:
    return strategy_of(**STRATEGIES[request.param])


def test_starts_at_the_base_and_ends_as_a_plain_folder(strategy: Strategy, tmp_path: Path) -> None:
    """Nothing is changed by preparing, all by training, and nothing by restoring, merging and saving."""
    model = tiny_model()
    base, plain_names = embed_for_check(model), list(model.state_dict())
    random_state = torch.get_rng_state()
    model = strategy.prepare(model)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert largest_difference(base, embed_for_check(model)) <= 1e-6

    start = strategy.state(model)
    train(model, strategy)
    trained = embed_for_check(model)
    assert largest_difference(base, trained) > 1e-4
    state = strategy.state(model)
    strategy.load_state(model, start)
    assert largest_difference(base, embed_for_check(model)) <= 1e-6
    strategy.load_state(model, state)
    assert largest_difference(trained, embed_for_check(model)) == 0.0
    assert all(torch.equal(state[name], tensor) for name, tensor in strategy.state(model).items())

    finished = strategy.finished(model)
    assert largest_difference(trained, embed_for_check(finished)) <= 1e-4
    assert not any(module.training for module in finished.modules())
    if strategy.name in (*MERGED, "full"):
        assert list(finished.state_dict()) == plain_names
    saved = save_model(finished, tmp_path / "model")
    loaded = SentenceTransformer(str(saved.path), device="cpu", trust_remote_code=False, local_files_only=True)
    assert largest_difference(embed_for_check(finished), embed_for_check(loaded)) <= 1e-5


def test_only_what_is_named_changes(strategy: Strategy) -> None:
    """Every parameter gets a gradient and moves; all other weights stay bit by bit."""
    model = strategy.prepare(tiny_model())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    parameters = strategy.parameters(model)
    assert list(parameters) == [name for name, weight in model.named_parameters() if weight.requires_grad]
    train(model, strategy)
    assert all(weight.grad is not None for weight in parameters.values())
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed <= set(parameters)
    # Of a matrix that is multiplied with zeros at first, the other one moves a step later; here there are several.
    assert len(changed) >= 0.9 * len(parameters)


def test_a_state_goes_on_in_another_process(strategy: Strategy) -> None:
    """What a fresh model with a restored state does is what the first would have done."""
    model = strategy.prepare(tiny_model())
    train(model, strategy, steps=2)
    again = strategy.prepare(tiny_model())
    strategy.load_state(again, strategy.state(model))
    for one in (model, again):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)  # of dropout
            train(one, strategy, steps=2)
    assert largest_difference(embed_for_check(model), embed_for_check(again)) == 0.0


@pytest.mark.parametrize("name", ["lora", "loha", "lokr"])
def test_first_weights_depend_on_the_seed_alone(name: str) -> None:
    """Not on the random state of the process."""
    states = []
    for seed, state in ((1, 10), (1, 11), (2, 10)):
        strategy = strategy_of(**STRATEGIES[name], random_seed=seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(state)
            states.append(strategy.state(strategy.prepare(tiny_model())))
    first, same, other = states
    assert all(torch.equal(first[key], same[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("full", -1),
        ("full above the embeddings", 0),
        ("full above one layer", 1),
        ("lora", 0),
        ("oft", 0),
        ("head", None),
    ],
)
def test_frozen_depth(name: str, depth: int | None) -> None:
    strategy = strategy_of(**STRATEGIES[name])
    assert strategy.frozen_depth(strategy.prepare(tiny_model())) == depth


def test_the_pooler_of_bert_is_left_alone() -> None:
    """No embedding depends on it, so it would wait for a gradient for ever."""
    strategy = strategy_of(strategy="full")
    names = set(strategy.parameters(strategy.prepare(tiny_model())))
    assert not any("pooler" in name for name in names)
    assert "0.model.embeddings.word_embeddings.weight" in names


def test_a_state_is_a_copy() -> None:
    strategy = strategy_of(strategy="full")
    model = strategy.prepare(tiny_model())
    state = strategy.state(model)
    before = {name: tensor.clone() for name, tensor in state.items()}
    train(model, strategy, steps=1)
    assert all(torch.equal(before[name], tensor) for name, tensor in state.items())


def test_statistics_of_a_batch_norm_belong_to_the_state() -> None:
    """What training changes without a gradient is kept as well."""
    strategy = strategy_of(strategy="full")
    model = tiny_model()
    model[1].norm = torch.nn.BatchNorm1d(4)
    model = strategy.prepare(model)
    model[1].norm.running_mean += 1.0
    state = strategy.state(model)
    assert torch.equal(state["1.norm.running_mean"], torch.ones(4))
    model[1].norm.running_mean.zero_()
    strategy.load_state(model, state)
    assert torch.equal(model[1].norm.running_mean, torch.ones(4))


def test_a_foreign_state_is_refused() -> None:
    """Missing and unknown names, other shapes and other kinds of numbers; nothing is changed."""
    strategy = strategy_of(strategy="full")
    model = strategy.prepare(tiny_model())
    before = embed_for_check(model)
    state = {name: tensor + 1 for name, tensor in strategy.state(model).items()}
    name = next(iter(state))
    missing = {key: value for key, value in state.items() if key != name}
    for wrong, message in (
        (missing, f"missing {name}; unknown nothing"),
        ({**state, "extra": torch.zeros(1)}, "missing nothing; unknown extra"),
        ({**state, name: state[name][:1]}, "expected"),
        ({**state, name: state[name].double()}, "torch.float64, expected"),
    ):
        with pytest.raises(FineTuningError, match=message):
            strategy.load_state(model, wrong)
    assert largest_difference(before, embed_for_check(model)) == 0.0


def test_more_frozen_layers_than_there_are() -> None:
    with pytest.raises(InvalidArgumentError, match="at most 2, the number of layers of this model; found 3"):
        strategy_of(frozen_layers=3).prepare(tiny_model(layers=2))


def test_nothing_left_to_train() -> None:
    with pytest.raises(FineTuningError, match="Nothing is left to train"):
        strategy_of(frozen_layers=2).prepare(tiny_model(layers=2))


@pytest.mark.parametrize("name", MERGED)
def test_weights_that_are_no_numbers_are_not_merged(name: str) -> None:
    strategy = strategy_of(**STRATEGIES[name])
    model = strategy.prepare(tiny_model())
    with torch.no_grad():
        for weight in strategy.parameters(model).values():
            weight.fill_(float("nan"))
    with pytest.raises(FineTuningError, match=f"The {name} adapter of encoder.layer.0.* not finite"):
        strategy.finished(model)


def test_weights_that_cannot_be_merged_exactly_are_refused() -> None:
    """Large numbers that cancel each other out, up to the rounding, which depends on the order of the additions."""
    strategy = strategy_of(**STRATEGIES["lora"])
    model = strategy.prepare(tiny_model())
    with torch.no_grad():
        for name, weight in strategy.parameters(model).items():
            if "lora_A" in name:
                waves = torch.sin(torch.arange(weight.numel(), dtype=torch.float32)).reshape(weight.shape)
                weight.copy_(300 + waves)
            else:
                weight.copy_(torch.tensor([300.0, -300.0, 300.0, -300.0]).expand_as(weight))
    with pytest.raises(FineTuningError, match="Merging the lora adapters changed an embedding by"):
        strategy.finished(model)


def test_oft_fits_its_blocks_to_the_widths() -> None:
    """Widths that 32 does not divide get smaller blocks, without a warning; widths without a divisor are refused."""
    strategy = strategy_of(**STRATEGIES["oft"])
    model = strategy.prepare(tiny_model(dimension=12))
    weights = strategy.parameters(model)
    assert {tuple(weight.shape) for weight in weights.values()} == {(1, 66), (2, 66)}  # blocks of 12
    odd = tiny_model()
    odd.transformers_model.encoder.layer[1].output.dense = torch.nn.Linear(7, 32)
    with pytest.raises(FineTuningError, match="share a divisor from 2 to 32; found the widths 7, 32, 64"):
        strategy_of(**STRATEGIES["oft"]).prepare(odd)


def test_a_config_that_is_not_resolved_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="resolved"):
        make_strategy(FineTuningConfig(strategy="lora"))


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"strategy": "full"}, "full"),
        ({"strategy": "lora"}, "lora"),
        ({"strategy": "adapter"}, "head"),
        ({"strategy": "adapter", "adapter_method": "oft"}, "oft"),
        ({"strategy": "lora", "adapter_method": "oft"}, "lora"),
        ({"strategy": "quantized"}, "quantized"),
    ],
)
def test_the_config_chooses(fields: dict[str, Any], name: str) -> None:
    assert make_strategy(FineTuningConfig(**fields).resolved(Settings.isolated())).name == name
