"""Folders with int8 weights: exact when they are read again, and refused when they are not what was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sentence_transformers = pytest.importorskip("sentence_transformers")
pytest.importorskip("safetensors")
torch = pytest.importorskip("torch")

from ragtime.config.settings import Settings  # noqa: E402
from ragtime.errors import FineTuningError, InvalidArgumentError, RagtimeError, StorageError  # noqa: E402
from ragtime.services.model_finetuner.saving import load_encoder, save_model  # noqa: E402
from ragtime.services.model_finetuner.saving.int8 import is_int8_folder, load_int8, save_int8  # noqa: E402
from ragtime.services.model_finetuner.strategies.comparison import CHECK_TEXTS  # noqa: E402
from ragtime.services.model_finetuner.strategies.quantized_models import (  # noqa: E402
    fake_quantize,
    quantize_after,
    quantized_layers,
    to_plain,
)
from ragtime.testing import tiny_model  # noqa: E402
from ragtime.utils.hashing import content_hash, file_hash  # noqa: E402

pytestmark = pytest.mark.models

TEXTS = list(CHECK_TEXTS)
WEIGHTS, MARKER = "int8.safetensors", "int8.json"


@pytest.fixture(scope="module")
def model() -> Any:
    """A model that has been trained for a few steps with its rounding."""
    found = tiny_model()
    fake_quantize(found)
    optimizer = torch.optim.SGD(found.parameters(), lr=0.5)
    for _ in range(3):
        loss = found(found.preprocess(TEXTS[:3]))["sentence_embedding"][:, 0].sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return found


@pytest.fixture
def folder(model: Any, tmp_path: Path) -> Path:
    return save_int8(model, tmp_path / "small").path


def embeddings(model: Any) -> Any:
    return model.encode(TEXTS, convert_to_tensor=True, show_progress_bar=False)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def change_marker(folder: Path, **changes: Any) -> None:
    """Write a marker that is whole, and tells something else."""
    told = json.loads((folder / MARKER).read_text())
    told.pop("digest")
    for name, (path, file) in changes.pop("rehash", {}).items():
        told["files"][name] = {"bytes": path.stat().st_size, "sha256": file_hash(file)}
    told |= changes
    (folder / MARKER).write_text(json.dumps({**told, "digest": content_hash(told)}))


# --- what was saved comes back --------------------------------------------------------------------------------------


def test_what_was_saved_gives_the_same_embeddings_bit_by_bit(model: Any, folder: Path) -> None:
    loaded = load_int8(folder, device="cpu")
    assert torch.equal(embeddings(loaded), embeddings(model))
    assert quantized_layers(loaded).keys() == quantized_layers(model).keys()
    assert not any(weight.requires_grad for weight in loaded.parameters())
    assert not loaded.training


def test_both_forms_of_one_model_are_saved(model: Any, folder: Path, tmp_path: Path) -> None:
    plain = to_plain(model)
    save_model(plain, tmp_path / "plain")
    loaded = sentence_transformers.SentenceTransformer(str(tmp_path / "plain"), device="cpu")
    assert torch.equal(embeddings(loaded), embeddings(plain))
    assert torch.equal(embeddings(to_plain(load_int8(folder, device="cpu"))), embeddings(plain))
    saved = sum(layer.weight.numel() * 3 for layer in quantized_layers(model).values())
    assert (tmp_path / "plain/model.safetensors").stat().st_size - (folder / WEIGHTS).stat().st_size > 0.7 * saved


def test_a_model_that_was_rounded_afterwards_is_saved(tmp_path: Path) -> None:
    small = quantize_after(tiny_model(seed=3))
    saved = save_int8(small, tmp_path / "small", metadata={"run": "r1"})
    assert torch.equal(embeddings(load_int8(saved.path, device="cpu")), embeddings(small))
    assert json.loads((saved.path / "ragtime.json").read_text()) == {"run": "r1"}
    assert saved.weights == {WEIGHTS: file_hash(saved.path / WEIGHTS)}
    assert saved.difference == 0


def test_the_bytes_are_the_same_each_time_and_after_loading(model: Any, folder: Path, tmp_path: Path) -> None:
    again = save_int8(model, tmp_path / "again").path
    third = save_int8(load_int8(folder, device="cpu"), tmp_path / "third").path
    assert contents(again) == contents(folder)
    assert contents(third) == contents(folder)


def test_prompts_and_maximum_length_are_kept(tmp_path: Path) -> None:
    small = quantize_after(tiny_model())
    path = save_int8(small, tmp_path / "small", prompts={"query": "find: "}, max_seq_length=12).path
    loaded = load_int8(path, device="cpu")
    assert loaded.prompts["query"] == "find: "
    assert loaded.max_seq_length == 12


def test_an_encoder_opens_the_folder(model: Any, folder: Path) -> None:
    encoder = load_encoder(folder, Settings.isolated(embedding={"device": "cpu"}))
    np.testing.assert_array_equal(
        encoder.encode(TEXTS[:1], role="passage"), model.encode(TEXTS[:1], show_progress_bar=False)
    )
    assert encoder.fingerprint("query") == load_encoder(folder).fingerprint("query")


def test_there_is_no_pickle_and_nothing_for_a_plain_loader(folder: Path, tmp_path: Path) -> None:
    assert is_int8_folder(folder)
    assert not is_int8_folder(tmp_path)
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} <= {".json", ".safetensors", ".txt"}
    with pytest.raises(OSError, match=r"model\.safetensors"):
        sentence_transformers.SentenceTransformer(str(folder), device="cpu")


def test_what_others_put_into_the_folder_plays_no_part(model: Any, folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")
    (folder / "README.md").write_text("# A model")
    assert torch.equal(embeddings(load_int8(folder, device="cpu")), embeddings(model))


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [WEIGHTS, "config.json", "modules.json", "tokenizer.json", "1_Pooling/config.json"])
def test_a_file_that_was_changed_is_refused(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(StorageError, match="was changed after it was written"):
        load_int8(folder)
    (folder / name).write_bytes(data[:-1])
    with pytest.raises(StorageError, match="was changed after it was written"):
        load_int8(folder)
    (folder / name).unlink()
    with pytest.raises(StorageError, match="Cannot read"):
        load_int8(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "damaged"), ("[]", "damaged"), ('{"version": 1}', "changed after"), ('{"digest": ""}', "changed after")],
)
def test_a_marker_that_is_none_is_refused(folder: Path, text: str, message: str) -> None:
    (folder / MARKER).write_text(text)
    with pytest.raises(StorageError, match=message):
        load_int8(folder)


def test_a_folder_without_a_marker_and_one_of_a_later_version_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no folder of int8 weights"):
        load_int8(tmp_path / "elsewhere")
    change_marker(folder, version=2)
    with pytest.raises(StorageError, match="later version"):
        load_int8(folder)
    change_marker(folder, version=1, author="somebody")
    with pytest.raises(StorageError, match="1 wrong fields"):
        load_int8(folder)


def test_a_marker_cannot_name_files_outside(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("x")
    change_marker(folder, rehash={"../secret.txt": (secret, secret)})
    with pytest.raises(StorageError, match="outside its folder"):
        load_int8(folder)


def test_code_of_its_own_is_refused_even_where_the_hashes_fit(folder: Path) -> None:
    modules = folder / "modules.json"
    modules.write_text(modules.read_text().replace("sentence_transformers.", "somebody."))
    change_marker(folder, rehash={"modules.json": (modules, modules)})
    with pytest.raises(FineTuningError, match="needs code of its own"):
        load_int8(folder)


@pytest.mark.parametrize("layers", [["pooler.dense"], ["encoder.layer.9.output.dense"]])
def test_layers_without_int8_weights_are_refused(folder: Path, layers: list[str]) -> None:
    change_marker(folder, layers=layers)
    with pytest.raises(StorageError, match="no int8 weights with scales"):
        load_int8(folder)


def test_an_architecture_without_the_layers_is_refused(folder: Path) -> None:
    config = folder / "config.json"
    told = json.loads(config.read_text()) | {"num_hidden_layers": 1}
    config.write_text(json.dumps(told))
    change_marker(folder, rehash={"config.json": (config, config)})
    with pytest.raises(FineTuningError, match=r"has no linear layer 'encoder\.layer\.1"):
        load_int8(folder)


def test_a_plain_model_and_one_that_diverged_are_not_saved(tmp_path: Path) -> None:
    with pytest.raises(FineTuningError, match="not quantized"):
        save_int8(tiny_model(), tmp_path / "small")
    broken = tiny_model()
    fake_quantize(broken)
    with torch.no_grad():
        next(iter(quantized_layers(broken).values())).weight[0, 0] = float("nan")
    with pytest.raises(FineTuningError, match="are not finite"):
        save_int8(broken, tmp_path / "small")
    assert not list(tmp_path.iterdir())


def test_a_place_that_is_taken_and_texts_that_are_none_are_refused(model: Any, folder: Path, tmp_path: Path) -> None:
    before = contents(folder)
    with pytest.raises(InvalidArgumentError, match="already"):
        save_int8(model, folder)
    assert contents(folder) == before
    with pytest.raises(InvalidArgumentError, match="at least one text"):
        save_int8(model, tmp_path / "other", texts_for_check=[])
    with pytest.raises(RagtimeError):
        save_int8(model, folder / MARKER / "below")


def test_a_device_that_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="device"):
        load_int8(folder, device="abacus")
