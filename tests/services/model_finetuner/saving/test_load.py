"""Bases are loaded as float32, whatever they are stored in, and saved folders as encoders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sentence_transformers")

from safetensors.torch import load_file, save_file  # noqa: E402

from ragtime.config.settings import Settings  # noqa: E402
from ragtime.errors import BackendError, InvalidArgumentError  # noqa: E402
from ragtime.services.model_finetuner.config import FineTuningConfig  # noqa: E402
from ragtime.services.model_finetuner.saving import load_base_model, load_encoder, save_model  # noqa: E402
from ragtime.testing import tiny_model  # noqa: E402

pytestmark = pytest.mark.models

SETTINGS = Settings.isolated()


def config_for(name: object, seed: int = 0) -> FineTuningConfig:
    return FineTuningConfig(base_model_name=str(name), random_seed=seed).resolved(SETTINGS)


def saved_folder(place: Path) -> Path:
    return save_model(tiny_model(), place).path


def test_the_base_has_float32_weights(tmp_path: Path) -> None:
    """Also where they are stored in half precision."""
    half = tiny_model().to(torch.bfloat16)
    half.save(str(tmp_path / "half"), create_model_card=False)
    model = load_base_model(config_for(tmp_path / "half"), SETTINGS)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert all(weight.requires_grad for weight in model.parameters())
    assert not model.training
    assert str(model.device) == "cpu"


def test_weights_that_are_not_stored_depend_on_the_seed_alone(tmp_path: Path) -> None:
    """So that two runs end in the same bytes; the random state of the process is left alone."""
    folder = saved_folder(tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if "pooler" not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    poolers = []
    for seed, state in ((1, 10), (1, 11), (2, 10)):
        torch.manual_seed(state)
        before = torch.get_rng_state()
        poolers.append(load_base_model(config_for(folder, seed), SETTINGS).transformers_model.pooler.dense.weight)
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(poolers[0], poolers[1])
    assert not torch.equal(poolers[0], poolers[2])


def test_the_registry_is_asked(tmp_path: Path) -> None:
    folder = saved_folder(tmp_path / "model")
    asked: list[str] = []

    def registry(name: str) -> Path:
        asked.append(name)
        return folder

    load_base_model(config_for("registry:support@2"), SETTINGS, registry=registry)
    assert asked == ["support@2"]


def test_more_tokens_than_positions_are_cut(tmp_path: Path) -> None:
    """A model that tells a maximum it has no positions for would fail on long texts."""
    folder = saved_folder(tmp_path / "model")
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_max_length": 9_999}))
    model = load_base_model(config_for(folder), SETTINGS)
    assert model.max_seq_length == 128
    assert model.encode(["word " * 500]).shape == (1, 32)


def test_a_base_that_cannot_be_had(tmp_path: Path) -> None:
    """Missing, with pickles, with code of its own, or on a hub that is not reached: each says which, and what to do."""
    with pytest.raises(BackendError, match="check the path"):
        load_base_model(config_for(tmp_path / "nowhere"), SETTINGS)
    pickles = saved_folder(tmp_path / "pickles")
    (pickles / "model.safetensors").rename(pickles / "pytorch_model.bin")
    with pytest.raises(BackendError, match="pickles only"):
        load_base_model(config_for(pickles), SETTINGS)
    code = saved_folder(tmp_path / "code")
    config = json.loads((code / "config.json").read_text())
    foreign = {**config, "model_type": "own", "auto_map": {"AutoModel": "own.Model"}}
    (code / "config.json").write_text(json.dumps(foreign))
    with pytest.raises(BackendError, match="code of its own"):
        load_base_model(config_for(code), SETTINGS)


def test_an_unreachable_hub_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(BackendError, match="nobody/nothing cannot be downloaded"):
        load_base_model(config_for("nobody/nothing"), SETTINGS)


def test_a_config_that_is_not_resolved_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="resolved"):
        load_base_model(FineTuningConfig(), SETTINGS)


def test_an_encoder_of_a_saved_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a relative path, which is never taken for a name on the hub."""
    model = tiny_model()
    save_model(model, tmp_path / "a" / "model", prompts={"query": "query: "})
    monkeypatch.chdir(tmp_path)
    encoder = load_encoder("a/model", SETTINGS)
    texts = ["one text", "another, longer text"]
    assert np.allclose(encoder.encode(texts, role="query"), model.encode_query(texts), atol=1e-6)
    assert np.allclose(encoder.encode(texts, role="passage"), model.encode_document(texts), atol=1e-6)
    assert not np.allclose(encoder.encode(texts, role="query"), encoder.encode(texts, role="passage"), atol=1e-3)


def test_folders_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BackendError, match="There is no model folder"):
        load_encoder("sentence-transformers/all-MiniLM-L6-v2", SETTINGS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BackendError, match="holds no model"):
        load_encoder(tmp_path / "empty", SETTINGS)
    pickles = saved_folder(tmp_path / "pickles")
    (pickles / "model.safetensors").rename(pickles / "pytorch_model.bin")
    with pytest.raises(BackendError, match="pickles only"):
        load_encoder(pickles, SETTINGS)
