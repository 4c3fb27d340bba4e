"""Passes, kept or run again, give the gradients of one large pass, and give way when memory does not suffice."""

from __future__ import annotations

import logging
import threading
import weakref
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ragtime.errors import FineTuningError, InvalidArgumentError
from ragtime.services.model_finetuner.forward import BatchEncoder, Processes, TextModel, tokenize_texts
from ragtime.testing import tiny_model
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
    import torch
    from sentence_transformers import SentenceTransformer

    from ragtime.services.model_finetuner.planning.rows import Numbers

pytestmark = pytest.mark.models


class SmallMemory(TextModel):
    """Has room for passes of so many tokens, and for so many graphs at a time."""

    def __init__(self, model: SentenceTransformer, *, tokens: int, graphs: int = 1_000) -> None:
        super().__init__(model, tokens_of(model))
        self.tokens, self.graphs, self.taken = tokens, graphs, 0

    def __call__(self, numbers: Numbers) -> torch.Tensor:
        import torch

        if len(numbers) * int(self.lengths[numbers].max()) > self.tokens:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        embeddings = super().__call__(numbers)
        if embeddings.requires_grad:
            self.taken += 1
            weakref.finalize(embeddings, self._freed)
            if self.taken > self.graphs:
                raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")
        return embeddings

    def _freed(self) -> None:
        self.taken -= 1


def encoder_of(model: SentenceTransformer, **options: object) -> BatchEncoder:
    return BatchEncoder(TextModel(model, tokens_of(model)), **options)  # type: ignore[arg-type]


def naive_gradients(model: SentenceTransformer) -> dict[str, torch.Tensor]:
    """Gradients of one padded pass over every cell of the rows, repeated texts and all."""
    numbers, places = batch()
    model.train()
    embeddings = model(model.preprocess([TEXTS[numbers[place]] for place in places.reshape(-1)]))["sentence_embedding"]
    contrastive(np.arange(places.size).reshape(places.shape))(embeddings).backward()
    found = {name: gradient.clone() for name, gradient in gradients(model).items()}
    model.zero_grad()
    return found


@pytest.mark.parametrize("gradient_cache", ["auto", "on", "off"])
@pytest.mark.parametrize("max_tokens", [1, 24, 10_000])
def test_gradients_are_those_of_one_large_pass(gradient_cache: str, max_tokens: int) -> None:
    model = trained_model()
    expected = naive_gradients(model)
    numbers, places = batch()
    outcome = encoder_of(model, gradient_cache=gradient_cache, max_tokens=max_tokens, pass_cost=4).step(
        numbers, contrastive(places)
    )
    assert distance(gradients(model), expected) < 1e-6
    assert outcome.texts == len(numbers)
    assert outcome.recomputed == (outcome.passes - 1 if gradient_cache == "on" else 0)
    assert outcome.tokens <= outcome.padded_tokens


def test_passes_run_again_drop_out_the_same_values() -> None:
    import torch

    numbers, places = batch()
    found, after = [], []
    for gradient_cache in ("on", "off"):
        model = trained_model(dropout=0.3)
        torch.manual_seed(5)
        encoder_of(model, gradient_cache=gradient_cache, max_tokens=24).step(numbers, contrastive(places))
        found.append(gradients(model))
        after.append(torch.rand(3).tolist())
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[1])
    assert after[0] == after[1]


def test_gradients_are_scaled_and_added_to_earlier_ones() -> None:
    import torch

    model = trained_model()
    numbers, places = batch()
    encoder = encoder_of(model)
    encoder.step(numbers, contrastive(places))
    once = {name: gradient.clone() for name, gradient in gradients(model).items()}
    encoder.step(numbers, contrastive(places), scale=0.5)
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, once[name] * 1.5)


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_sends_nothing_backward(factor: float) -> None:
    model = trained_model()
    numbers, _ = batch()
    outcome = encoder_of(model).step(numbers, lambda embeddings: embeddings.sum() * factor)
    assert not np.isfinite(outcome.loss)
    assert gradients(model) == {}


def test_embeddings_are_those_of_the_model_and_nothing_is_drawn() -> None:
    import torch

    model = trained_model(dropout=0.3)
    model.train()
    expected = tiny_model(dimension=16).encode(TEXTS)
    before = torch.get_rng_state()
    found = encoder_of(model, max_tokens=24).embed(np.arange(len(TEXTS)))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training
    assert encoder_of(model).embed(np.arange(0)).shape == (0, 16)


def test_prompts_that_pooling_leaves_out_are_left_out() -> None:
    model = trained_model()
    model.set_pooling_include_prompt(include_prompt=False)
    texts = tokenize_texts(model, TEXTS, ["query", "passage"] * 12, query_prompt="ab cd: ")
    found = BatchEncoder(TextModel(model, texts)).embed(np.arange(len(TEXTS)))
    np.testing.assert_allclose(found[::2], model.encode(TEXTS[::2], prompt="ab cd: "), atol=1e-6)
    np.testing.assert_allclose(found[1::2], model.encode(TEXTS[1::2]), atol=1e-6)


def test_bfloat16_stays_near_float32() -> None:
    model = trained_model()
    expected = naive_gradients(model)
    numbers, places = batch()
    coarse = BatchEncoder(TextModel(model, tokens_of(model), precision="bfloat16"), gradient_cache="on", max_tokens=24)
    exact = encoder_of(model).embed(np.arange(len(TEXTS)))
    found = coarse.embed(np.arange(len(TEXTS)))
    assert found.dtype == np.float32
    assert float((found * exact).sum(axis=1).min()) > 0.999
    coarse.step(numbers, contrastive(places))
    assert 0 < distance(gradients(model), expected) < 0.1
    assert {gradient.dtype for gradient in gradients(model).values()} == {expected.popitem()[1].dtype}


def test_small_memory_halves_the_passes(caplog: pytest.LogCaptureFixture) -> None:
    import torch

    model = trained_model()
    expected = naive_gradients(model)
    numbers, places = batch()
    encoder = BatchEncoder(SmallMemory(model, tokens=30), gradient_cache="on", max_tokens=400)
    earlier = {name: torch.ones_like(gradient) for name, gradient in expected.items()}
    for name, weight in model.named_parameters():
        weight.grad = earlier[name].clone() if name in earlier else None
    with caplog.at_level(logging.WARNING, "ragtime"):
        encoder.step(numbers, contrastive(places))
    assert distance(gradients(model), {name: expected[name] + 1 for name in expected}) < 1e-6  # earlier ones are kept
    assert "Memory did not suffice: passes are smaller from now on" in caplog.text
    limit = encoder.state()["max_tokens"]
    assert limit is not None
    assert limit <= 60
    before = len(caplog.records)
    encoder.step(numbers, contrastive(places))
    assert len(caplog.records) == before  # it has learnt


def test_room_for_few_graphs_makes_passes_run_twice(caplog: pytest.LogCaptureFixture) -> None:
    import torch

    numbers, places = batch()
    found = []
    for graphs in (1_000, 2):
        model = trained_model(dropout=0.3)
        torch.manual_seed(5)
        encoder = BatchEncoder(SmallMemory(model, tokens=400, graphs=graphs), max_tokens=24)
        outcome = encoder.step(numbers, contrastive(places))
        found.append(gradients(model))
    assert outcome.recomputed == outcome.passes - 1
    assert "passes are computed twice from now on" in caplog.text
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])  # the random state was put back


def test_one_text_that_does_not_fit_is_an_error() -> None:
    model = trained_model()
    numbers, places = batch()
    encoder = BatchEncoder(SmallMemory(model, tokens=5), gradient_cache="on", max_tokens=100)
    with pytest.raises(FineTuningError, match="each pass is of one text"):
        encoder.step(numbers, contrastive(places))
    with pytest.raises(FineTuningError, match="each pass is of one text"):
        encoder.embed(numbers)


def test_small_memory_halves_the_passes_of_embeddings() -> None:
    model = trained_model()
    found = BatchEncoder(SmallMemory(model, tokens=30), max_tokens=400).embed(np.arange(len(TEXTS)))
    np.testing.assert_allclose(found, model.encode(TEXTS), atol=1e-6)


def test_other_errors_leave_earlier_gradients_alone() -> None:
    import torch

    model = trained_model()
    numbers, _ = batch()
    weight = next(model.parameters())
    weight.grad = torch.ones_like(weight)

    def broken(_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        encoder_of(model).step(numbers, broken)
    assert torch.equal(weight.grad, torch.ones_like(weight))


def test_a_run_goes_on_with_the_limits_of_its_checkpoint() -> None:
    model = trained_model()
    numbers, places = batch()
    first = encoder_of(model, gradient_cache="auto", max_tokens=24)
    first.step(numbers, contrastive(places))
    state = first.state()
    assert state["max_tokens"] == 24
    assert state["budget"]
    assert state["token_bytes"]
    second = encoder_of(model, gradient_cache="on")
    second.load_state({**state, "budget": 1})
    outcome = second.step(numbers, contrastive(places))
    assert outcome.recomputed == outcome.passes - 1
    assert second.state() == {**state, "budget": 1}
    with pytest.raises(InvalidArgumentError, match="found nothing"):
        second.load_state({})


@pytest.mark.parametrize("options", [{"gradient_cache": "maybe"}, {"max_tokens": 0}])
def test_wrong_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(InvalidArgumentError):
        encoder_of(trained_model(), **options)


class Sum:
    """Adds tensors up over threads, as all_reduce does over processes."""

    def __init__(self, count: int) -> None:
        self._barrier, self._given = threading.Barrier(count), [None] * count

    def of(self, rank: int, tensor: torch.Tensor) -> torch.Tensor:
        self._given[rank] = tensor.clone()  # type: ignore[call-overload]
        self._barrier.wait(30)
        total: torch.Tensor = sum(self._given)  # type: ignore[assignment]
        self._barrier.wait(30)
        return total


def test_processes_share_the_passes_and_their_gradients_add_up() -> None:
    numbers, places = batch()
    alone = trained_model()
    expected = naive_gradients(alone)
    models, total, outcomes = [trained_model(), trained_model()], Sum(2), []

    def work(rank: int) -> None:
        processes = Processes(rank=rank, count=2, total=lambda tensor: total.of(rank, tensor))
        encoder = encoder_of(models[rank], processes=processes, max_tokens=24, gradient_cache="on")
        outcomes.append(encoder.step(numbers, contrastive(places)))

    threads = [threading.Thread(target=work, args=(rank,)) for rank in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [gradients(model) for model in models]
    assert distance({name: found[0][name] + found[1][name] for name in expected}, expected) < 1e-6
    assert outcomes[0].loss == outcomes[1].loss
    assert sum(outcome.recomputed for outcome in outcomes) == outcomes[0].passes - 2
