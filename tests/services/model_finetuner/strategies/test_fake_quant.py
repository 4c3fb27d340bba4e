"""Layers in rounded numbers: against a slow reference, within their bounds, with gradients that ignore the rounding."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from ragtime.services.model_finetuner.strategies.fake_quant import (  # noqa: E402
    fake_quant_linear,
    int8_linear,
    is_fake_quant,
    is_int8,
    is_plain_linear,
    plain_linear,
    replace_modules,
    round_activations,
    round_weight,
    rounded_weight,
)

pytestmark = pytest.mark.models

Table = npt.NDArray[np.float32]

_FINITE = st.floats(min_value=-(2.0**100), max_value=2.0**100, width=32)
_ROWS = st.integers(1, 9).flatmap(
    lambda width: st.lists(st.lists(_FINITE, min_size=width, max_size=width), min_size=1, max_size=4)
)


def linear(inputs: int = 24, outputs: int = 10, *, bias: bool = True, seed: int = 0) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return torch.nn.Linear(inputs, outputs, bias=bias)


def values(*shape: int, seed: int = 1) -> Any:
    return torch.from_numpy(np.random.default_rng(seed).normal(0.3, 2.0, shape).astype(np.float32))


# --- the slow reference ---------------------------------------------------------------------------------------------


def reference_weight(weight: Table) -> tuple[npt.NDArray[np.int64], Table]:
    levels, scales = np.zeros(weight.shape, dtype=np.int64), np.zeros(len(weight), dtype=np.float32)
    for row, numbers in enumerate(weight):
        scales[row] = max(np.float32(max(abs(number) for number in numbers)) / np.float32(127), np.float32(2.0**-126))
        levels[row] = [max(-127, min(127, round(float(number / scales[row])))) for number in numbers]
    return levels, scales


def reference_activations(table: Table) -> tuple[npt.NDArray[np.int64], Table]:
    levels, scales = np.zeros(table.shape, dtype=np.int64), np.zeros(len(table), dtype=np.float32)
    for row, numbers in enumerate(table):
        lowest, highest = min(numbers.min(), np.float32(0)), max(numbers.max(), np.float32(0))
        scales[row] = max((highest - lowest) / np.float32(255), np.float32(2.0**-126))
        top = round(float(lowest / scales[row])) + 255
        levels[row] = [min(top, round(float(number / scales[row]))) for number in numbers]
    return levels, scales


def reference_forward(table: Table, weight: Table, bias: Table) -> Table:
    (left, left_scales), (right, right_scales) = reference_activations(table), reference_weight(weight)
    result = np.zeros((len(table), len(weight)), dtype=np.float32)
    for row in range(len(table)):
        for column in range(len(weight)):
            total = np.float32(sum(int(a) * int(b) for a, b in zip(left[row], right[column], strict=True)))
            result[row, column] = total * left_scales[row] * right_scales[column] + bias[column]
    return result


@pytest.mark.parametrize("seed", range(4))
def test_the_forward_pass_is_the_reference_bit_by_bit(seed: int) -> None:
    layer, inputs = linear(seed=seed), values(7, 24, seed=seed)
    expected = reference_forward(inputs.numpy(), layer.weight.detach().numpy(), layer.bias.detach().numpy())
    fake = fake_quant_linear(layer)
    np.testing.assert_array_equal(fake(inputs).detach().numpy(), expected)
    np.testing.assert_array_equal(int8_linear(fake)(inputs).numpy(), expected)


def test_the_backward_pass_is_the_reference() -> None:
    fake, inputs = fake_quant_linear(linear()), values(3, 5, 24).requires_grad_()
    gradient = values(3, 5, 10, seed=2)
    fake(inputs).backward(gradient)
    flat, rows = inputs.detach().numpy().reshape(-1, 24), gradient.numpy().reshape(-1, 10).astype(np.float64)
    (levels, scales), (weights, steps) = reference_activations(flat), reference_weight(fake.weight.detach().numpy())
    expected_inputs = rows @ (weights * steps[:, None].astype(np.float64))
    expected_weight = rows.T @ (levels * scales[:, None].astype(np.float64))
    np.testing.assert_allclose(inputs.grad.numpy().reshape(-1, 24), expected_inputs, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(fake.weight.grad.numpy(), expected_weight, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(fake.bias.grad.numpy(), rows.sum(axis=0), rtol=1e-5, atol=1e-5)


# --- rounding -------------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(_ROWS)
def test_no_weight_is_off_by_more_than_half_its_scale(rows: list[list[float]]) -> None:
    given_ = torch.tensor(rows, dtype=torch.float32)
    levels, scales = rounded = round_weight(given_)
    assert levels.dtype is torch.int8
    assert scales.shape == (len(rows), 1)
    assert int(levels.min()) >= -127
    assert bool((scales > 0).all())
    error = (rounded.values().double() - given_.double()).abs()
    assert bool((error <= scales.double() * (0.5 + 1e-4)).all())
    assert bool((rounded.values()[given_ == 0] == 0).all())
    assert torch.equal(round_weight(rounded.values()).levels, levels) or bool((scales <= 2.0**-126).any())


@settings(max_examples=150, deadline=None)
@given(_ROWS)
def test_no_activation_is_off_by_more_than_half_its_scale(rows: list[list[float]]) -> None:
    given_ = torch.tensor(rows, dtype=torch.float32)
    levels, scales = rounded = round_activations(given_)
    spread = levels.amax(dim=-1).clamp(min=0) - levels.amin(dim=-1).clamp(max=0)
    assert int(spread.max()) <= 255  # 256 levels, with 0 among them: 8 bits
    error = (rounded.values().double() - given_.double()).abs()
    assert bool((error <= scales.double() * (0.5 + 1e-4)).all())
    assert bool((rounded.values()[given_ == 0] == 0).all())


def test_halves_are_rounded_to_even() -> None:
    assert round_weight(torch.tensor([[127.0, 0.5, 1.5, 2.5, -0.5, -1.5]])).levels.tolist() == [[127, 0, 2, 2, 0, -2]]
    assert round_activations(torch.tensor([[255.0, 0.5, 1.5, 2.5]])).levels.tolist() == [[255, 0, 2, 2]]


def test_both_ends_rounded_away_from_zero_make_no_257th_level() -> None:
    levels, scales = round_activations(torch.tensor([[-127.5, 127.5]]))
    assert scales.tolist() == [[1.0]]
    assert levels.tolist() == [[-128, 127]]


def test_zeros_stay_zeros() -> None:
    fake = fake_quant_linear(linear())
    with torch.no_grad():
        fake.weight[3] = 0
    inputs = values(4, 24)
    inputs[2] = 0
    found = fake(inputs)
    assert torch.equal(found[2], fake.bias)
    assert torch.equal(found[:, 3], fake.bias[3].expand(4))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_not_hidden(number: float) -> None:
    fake = fake_quant_linear(linear())
    with torch.no_grad():
        fake.weight[1, 4] = number
    found = fake(values(2, 24))
    assert not bool(found[:, 1].isfinite().any())
    assert bool(found[:, 0].isfinite().all())
    inputs = values(2, 24)
    inputs[1, 0] = number
    found = fake_quant_linear(linear())(inputs)
    assert not bool(found[1].isfinite().any())
    assert bool(found[0].isfinite().all())


# --- layers ---------------------------------------------------------------------------------------------------------


def test_the_gradient_is_that_of_a_plain_layer_at_the_rounded_numbers() -> None:
    fake = fake_quant_linear(linear())
    inputs = values(6, 24).requires_grad_()
    fake(inputs).square().sum().backward()
    plain = plain_linear(fake)
    rounded = round_activations(inputs).values().requires_grad_()
    plain(rounded).square().sum().backward()
    torch.testing.assert_close(inputs.grad, rounded.grad)
    torch.testing.assert_close(fake.weight.grad, plain.weight.grad)
    torch.testing.assert_close(fake.bias.grad, plain.bias.grad)


def test_only_what_needs_a_gradient_gets_one() -> None:
    fake = fake_quant_linear(linear())
    fake.weight.requires_grad_(False)
    fake(values(2, 24)).sum().backward()
    assert fake.weight.grad is None
    assert fake.bias.grad is not None
    assert not fake.requires_grad_(False)(values(2, 24)).requires_grad


def test_the_order_of_the_inputs_plays_no_part() -> None:
    fake, inputs = fake_quant_linear(linear(512, 16)), values(8, 512)
    order = torch.from_numpy(np.random.default_rng(5).permutation(512))
    shuffled = copy.deepcopy(fake)
    with torch.no_grad():
        shuffled.weight.copy_(fake.weight[:, order])
    assert torch.equal(fake(inputs), shuffled(inputs[:, order]))


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_under_autocast_only_the_product_is_less_precise(precision: Any) -> None:
    fake, inputs = fake_quant_linear(linear(1536, 12)), values(5, 1536).requires_grad_()
    exact = fake(inputs)
    exact.sum().backward()
    gradient, inputs.grad, fake.weight.grad = fake.weight.grad, None, None
    with torch.autocast("cpu", dtype=precision):
        found = fake(inputs)
    assert found.dtype is precision
    torch.testing.assert_close(found.float(), exact, rtol=2.0**-7, atol=0.02)
    found.float().sum().backward()
    assert fake.weight.grad.dtype is inputs.grad.dtype is torch.float32
    torch.testing.assert_close(fake.weight.grad, gradient, rtol=0.02, atol=0.1)
    with torch.autocast("cpu", dtype=precision), torch.no_grad():
        assert torch.equal(int8_linear(fake)(inputs), found)


def test_float16_does_not_overflow() -> None:
    layer = linear(1536, 2, bias=False)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    with torch.autocast("cpu", dtype=torch.float16):
        assert fake_quant_linear(layer)(torch.ones(1, 1536)).tolist() == [[1536.0, 1536.0]]


@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_is_made_into_every_other_form(bias: bool) -> None:
    layer, inputs = linear(bias=bias), values(3, 24)
    fake = fake_quant_linear(layer)
    small, plain = int8_linear(fake), plain_linear(fake)
    assert fake.weight is layer.weight
    assert fake.bias is layer.bias
    assert (is_plain_linear(layer), is_plain_linear(fake), is_plain_linear(plain)) == (True, False, True)
    assert (is_fake_quant(fake), is_fake_quant(plain), is_int8(small), is_int8(fake)) == (True, False, True, False)
    assert torch.equal(small(inputs), fake(inputs))
    assert torch.equal(int8_linear(small)(inputs), small(inputs))
    assert torch.equal(plain_linear(small).weight, plain.weight)
    assert torch.equal(plain.weight, rounded_weight(fake).values())
    assert not list(small.parameters())
    assert set(small.state_dict()) == {"weight", "weight_scale", *(["bias"] if bias else [])}
    assert f"in_features=24, out_features=10, bias={bias}" in repr(small)


def test_a_single_token_without_further_axes_is_computed_as_any() -> None:
    fake, inputs = fake_quant_linear(linear()), values(24).requires_grad_()
    found = fake(inputs)
    found.sum().backward()
    assert found.shape == (10,)
    assert inputs.grad.shape == (24,)
    assert torch.equal(found, fake(inputs[None])[0])


def test_a_module_that_stands_in_two_places_is_replaced_by_one() -> None:
    shared = linear(4, 4)
    root = torch.nn.ModuleDict({"a": shared, "b": torch.nn.Sequential(shared, torch.nn.ReLU())})
    names = replace_modules(root, lambda module: fake_quant_linear(module) if is_plain_linear(module) else None)
    assert names == ["a", "b.0"]
    assert root["a"] is root["b"][0]
    assert is_fake_quant(root["a"])
