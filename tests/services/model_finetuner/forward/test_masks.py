"""Dropout with masks that are drawn faster: what holds of torch's own holds of it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.services.model_finetuner.forward.masks import dropout, fast_dropout

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.models


@pytest.mark.parametrize("probability", [0.001, 0.1, 0.5, 0.9])
def test_values_are_dropped_as_often_as_said_and_the_others_scaled(probability: float) -> None:
    torch.manual_seed(0)
    count = 1 << 20
    found = dropout(torch.ones(count), probability)
    dropped = int((found == 0).sum()) / count
    deviation = (probability * (1 - probability) / count) ** 0.5
    assert abs(dropped - probability) < 5 * deviation + 1 / 65536
    assert found[found != 0].unique().tolist() == pytest.approx([1 / (1 - probability)], rel=1e-3)
    assert float(found.double().mean()) == pytest.approx(1, abs=5 * deviation / (1 - probability) + 1e-4)


def test_neighbours_are_dropped_independently() -> None:
    """The four that one random number decides on, and those of the next."""
    torch.manual_seed(0)
    dropped = (dropout(torch.ones(1 << 20), 0.5) == 0).double() - 0.5
    for distance in (1, 2, 3, 4, 5, 8):
        assert abs(float((dropped[distance:] * dropped[:-distance]).mean())) < 0.25 * 5 / 1024


@settings(max_examples=30, deadline=None)
@given(
    shape=st.lists(st.integers(0, 7), min_size=1, max_size=4),
    probability=st.floats(0.01, 0.99),
    kind=st.sampled_from(["float32", "bfloat16", "float16"]),
)
def test_shape_and_type_stay_and_a_seed_gives_the_same_mask(shape: list[int], probability: float, kind: str) -> None:
    values = torch.ones(shape, dtype=getattr(torch, kind))
    torch.manual_seed(1)
    first = dropout(values, probability)
    torch.manual_seed(1)
    again = dropout(values, probability)
    assert (first.shape, first.dtype) == (values.shape, values.dtype)
    assert torch.equal(first, again)


def test_gradients_go_where_the_values_went() -> None:
    values = torch.ones(1000, requires_grad=True)
    found = dropout(values, 0.3)
    found.sum().backward()
    assert torch.equal(values.grad, found.detach())


def test_whoever_calls_the_dropout_of_torch_gets_it_and_only_in_the_block() -> None:
    layer, values = torch.nn.Dropout(0.4), torch.ones(64, 33)
    for call in (layer, lambda given: torch.nn.functional.dropout(given, p=0.4, training=True)):
        torch.manual_seed(2)
        expected = dropout(values, 0.4)
        torch.manual_seed(2)
        with fast_dropout():
            assert torch.equal(call(values), expected)
        torch.manual_seed(2)
        assert not torch.equal(call(values), expected)


def test_what_drops_nothing_or_everything_or_in_place_is_left_to_torch() -> None:
    values = torch.ones(100)
    with fast_dropout():
        assert torch.equal(torch.nn.Dropout(0.4).eval()(values), values)
        assert torch.equal(torch.nn.Dropout(0.0)(values), values)
        assert torch.equal(torch.nn.Dropout(1.0)(values), torch.zeros(100))
        own = values.clone()
        assert torch.nn.Dropout(0.4, inplace=True)(own) is own
