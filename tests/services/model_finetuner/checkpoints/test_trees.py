"""A state taken apart into JSON and tensors comes back equal, types included."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("safetensors")
torch = pytest.importorskip("torch")

from ragtime.errors import InvalidArgumentError, StorageError  # noqa: E402
from ragtime.services.model_finetuner.checkpoints.tensors import (  # noqa: E402
    read_tensors,
    separate_tensors,
    write_tensors,
)
from ragtime.services.model_finetuner.checkpoints.trees import pack_tree, unpack_tree  # noqa: E402
from tests.services.model_finetuner.checkpoints.runs import OPTIMIZERS, same  # noqa: E402

pytestmark = pytest.mark.models

NUMBERS = st.floats() | st.integers(-(2**70), 2**70)
TENSORS = st.lists(st.floats(width=32, allow_nan=False), max_size=3).map(torch.tensor)
KEYS = st.text(max_size=4) | st.integers(-9, 9) | st.sampled_from(["$tensor", "$tuple", "$dict", "a/b", "~1", "0"])
TREES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=5) | TENSORS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=150)
@given(tree=TREES)
def test_any_tree_comes_back_equal(tree: Any) -> None:
    packed = pack_tree(tree)
    text = json.dumps(packed.value, allow_nan=False)
    assert same(unpack_tree(json.loads(text), packed.tensors), tree)


def test_equal_paths_of_different_keys_do_not_collide() -> None:
    tree: Any = {"a/b": torch.zeros(1), "a": {"b": torch.ones(1)}, "0": torch.ones(2), 0: torch.zeros(2)}
    assert len(pack_tree(tree).tensors) == 4


def test_tensors_are_named_by_their_path() -> None:
    tree = {"optimizer": {"state": {"encoder.weight": {"exp_avg": torch.zeros(1)}}}}
    assert list(pack_tree(tree).tensors) == ["optimizer/state/encoder.weight/exp_avg"]


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"a": {"b": [1, np.float32(2)]}}, "found float32 at a/b/1"),
        ({"a": {1, 2}}, "found set at a"),
        ({None: 1}, "found a key of type NoneType at the top"),
        ({"lr": np.float64(1)}, "found float64 at lr"),
        ({"model": torch.nn.Linear(1, 1)}, "found Linear at model"),
    ],
)
def test_what_cannot_come_back_equal_is_refused(tree: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        pack_tree(tree)


@pytest.mark.parametrize(
    "value",
    [{"$tensor": "gone"}, {"$float": "1e9"}, {"$tuple": {}}, {"$dict": [[None, 1]]}, {"$dict": [1]}, {"$other": 1}],
)
def test_what_was_not_packed_is_refused(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="Not a packed state"):
        unpack_tree(value, {})


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("steps", [0, 3])
def test_optimizers_come_back_exactly(name: str, steps: int) -> None:
    weights = [torch.nn.Parameter(torch.arange(3.0)), torch.nn.Parameter(torch.ones(2, 2))]
    optimizer = OPTIMIZERS[name](weights)
    for _ in range(steps):
        for weight in weights:
            weight.grad = weight.detach() + 0.1
        optimizer.step()
    packed = pack_tree(optimizer.state_dict())
    back = unpack_tree(json.loads(json.dumps(packed.value)), packed.tensors)
    assert same(back, optimizer.state_dict())
    other = OPTIMIZERS[name]([torch.nn.Parameter(weight.detach().clone()) for weight in weights])
    other.load_state_dict(back)
    assert same(other.state_dict(), optimizer.state_dict())


# --- the file of the tensors ----------------------------------------------------------------------------------------


def through_file(folder: Path, tensors: dict[str, Any]) -> dict[str, Any]:
    kept, alike = separate_tensors(tensors)
    write_tensors(folder / "some.safetensors", kept)
    back = read_tensors(folder / "some.safetensors", alike)
    return {name: back[name] for name in tensors}


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.uint8, torch.bool]
)
def test_every_kind_of_number_comes_back(tmp_path: Path, dtype: Any) -> None:
    tensors = {"many": torch.tensor([0, 1, 1]).to(dtype), "one": torch.tensor(1).to(dtype), "none": torch.empty(0, 3)}
    assert same(through_file(tmp_path, tensors), tensors)


def test_bits_come_back(tmp_path: Path) -> None:
    odd = torch.tensor([math.nan, -0.0, math.inf, 1e-45])
    back = through_file(tmp_path, {"odd": odd})["odd"]
    assert torch.equal(back.view(torch.int32), odd.view(torch.int32))


def test_tied_weights_are_written_once_and_come_back_tied(tmp_path: Path) -> None:
    weight = torch.arange(10_000.0)
    back = through_file(tmp_path, {"embedding": weight, "head": weight})
    assert back["head"] is back["embedding"]
    assert (tmp_path / "some.safetensors").stat().st_size < 60_000


def test_views_of_one_memory_come_back_each_with_its_own_values(tmp_path: Path) -> None:
    weight = torch.arange(6.0).reshape(2, 3)
    tensors = {"all": weight, "turned": weight.T, "row": weight[1], "step": weight[:, ::2], "again": weight[1]}
    assert same(through_file(tmp_path, tensors), tensors)


def test_a_conjugate_is_not_taken_for_what_it_is_the_conjugate_of() -> None:
    number = torch.tensor([1 + 2j])
    kept, alike = separate_tensors({"one": number, "other": number.conj()})
    assert (sorted(kept), alike) == (["one", "other"], {})
    assert kept["other"].tolist() == [1 - 2j]


def test_what_was_read_can_be_changed_and_the_file_stays(tmp_path: Path) -> None:
    back = through_file(tmp_path, {"weight": torch.zeros(4)})
    before = (tmp_path / "some.safetensors").read_bytes()
    back["weight"].add_(1)
    assert (tmp_path / "some.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    "tensor", [torch.zeros(3).to_sparse(), torch.zeros(3, device="meta")], ids=["sparse", "without data"]
)
def test_tensors_that_no_file_can_hold_are_refused_by_name(tensor: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="'odd'"):
        separate_tensors({"odd": tensor})


def test_numbers_that_safetensors_does_not_know_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"torch\.complex128"):
        through_file(tmp_path, {"odd": torch.zeros(2, dtype=torch.complex128)})


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.safetensors").write_bytes(b"no tensors")
    with pytest.raises(StorageError, match=r"Cannot read the tensors in .*other\.safetensors"):
        read_tensors(tmp_path / "other.safetensors", {})


def test_equal_tensors_give_equal_bytes(tmp_path: Path) -> None:
    some = {"a": torch.ones(2), "b": torch.zeros(3, dtype=torch.int64), "c": torch.ones(1, dtype=torch.uint8)}
    through_file(tmp_path, some)
    first = (tmp_path / "some.safetensors").read_bytes()
    through_file(tmp_path, dict(reversed(some.items())))
    assert (tmp_path / "some.safetensors").read_bytes() == first
