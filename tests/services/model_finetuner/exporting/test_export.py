"""Exports: complete, checked and described, or not there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sentence_transformers = pytest.importorskip("sentence_transformers")
torch = pytest.importorskip("torch")
pytest.importorskip("matplotlib")
pytest.importorskip("accelerate")

from ragtime.config.settings import Settings  # noqa: E402
from ragtime.errors import BackendError, FineTuningError, InvalidArgumentError, StorageError  # noqa: E402
from ragtime.services.model_finetuner import FineTuningConfig, ModelFineTuner  # noqa: E402
from ragtime.services.model_finetuner.exporting import SafetensorsExporter, check_export, read_run  # noqa: E402
from ragtime.services.model_finetuner.saving import save_model  # noqa: E402
from ragtime.services.model_finetuner.saving.int8 import save_int8  # noqa: E402
from ragtime.services.model_finetuner.strategies.quantized_models import quantize_after  # noqa: E402
from ragtime.services.model_finetuner.versions import register_model  # noqa: E402
from ragtime.storage.registry import ModelRegistry  # noqa: E402
from ragtime.testing import tiny_model  # noqa: E402
from tests.services.model_finetuner.checkpoints.runs import files_of_at_most  # noqa: E402
from tests.services.model_finetuner.comparison.scores import result  # noqa: E402
from tests.services.model_finetuner.exporting.test_plots import compared, run  # noqa: E402
from tests.services.model_finetuner.killed_runs import rows_of  # noqa: E402

pytestmark = pytest.mark.models

TEXTS = ["Where is the red lamp?", "The red lamp is in room 3."]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.isolated(data_dir=tmp_path / "data", embedding={"device": "cpu"}, logging__progress="off")


@pytest.fixture
def tuner(settings: Settings) -> ModelFineTuner:
    config = FineTuningConfig(num_epochs=1, batch_size=16, learning_rate=3e-3, max_seq_length=32)
    return ModelFineTuner(config, settings=settings, model_loader=lambda _: tiny_model())


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_model(tiny_model(seed=1), tmp_path / "model", prompts={"query": "find: ", "document": ""}).path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- what is in it --------------------------------------------------------------------------------------------------


def test_anybody_loads_it_and_gets_the_same_embeddings(tuner: ModelFineTuner, model: Path, tmp_path: Path) -> None:
    exported = tuner.export(tmp_path / "out" / "support", model=model)
    assert exported.path == tmp_path / "out" / "support"
    loaded = sentence_transformers.SentenceTransformer(str(exported.path), device="cpu")
    before = sentence_transformers.SentenceTransformer(str(model), device="cpu")
    for method in ("encode_query", "encode_document"):
        one, other = (getattr(each, method)(TEXTS, show_progress_bar=False) for each in (loaded, before))
        np.testing.assert_array_equal(one, other)
    assert loaded.prompts["query"] == "find: "
    assert not exported.facts.normalization_added


def test_the_folder_holds_what_a_server_needs(tuner: ModelFineTuner, model: Path, tmp_path: Path) -> None:
    exported = tuner.export(tmp_path / "support", model=model)
    found = contents(exported.path)
    assert {name for name in found if "/" not in name} >= {
        "README.md", "SHA256SUMS", "config.json", "export.json", "model.safetensors", "modules.json",
        "requirements.txt", "tokenizer.json",
    }  # fmt: skip
    assert {Path(name).suffix for name in found} <= {".json", ".safetensors", ".md", ".txt", ""}
    pins = found["requirements.txt"].decode().splitlines()
    assert {pin.partition("==")[0] for pin in pins} == set(SafetensorsExporter.packages)
    assert all("+" not in pin for pin in pins)
    facts = json.loads(found["export.json"])
    assert (facts["target"], facts["dimension"], facts["prompts"]) == ("safetensors", 32, {"query": "find: "})
    modes = {path.stat().st_mode & 0o777 for path in exported.path.rglob("*") if path.is_file()}
    (exported.path / "new").touch()
    assert modes == {(exported.path / "new").stat().st_mode & 0o777}  # others may read what they may read elsewhere


def test_the_sums_are_those_that_everybody_can_check(tuner: ModelFineTuner, model: Path, tmp_path: Path) -> None:
    folder = tuner.export(tmp_path / "support", model=model).path
    done = subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(contents(folder)) - 2  # but for the card and the sums themselves


def test_what_was_trained_last_is_exported_with_its_curves(tuner: ModelFineTuner, tmp_path: Path) -> None:
    metrics = tuner.train(rows_of())
    exported = tuner.export(tmp_path / "support", comparisons=[compared()])
    card = (exported.path / "README.md").read_text()
    for part in ("plots/training.svg", "plots/comparison.svg"):
        assert f"({part})" in card
        assert (exported.path / part).read_text().startswith("<?xml")
    assert exported.facts.model == metrics.model_path.name
    assert f"kept: step {metrics.best_step}" in card
    assert "| num_epochs | `1` |" in card
    assert "| handbook | ndcg@10 | 40 |" in card
    (exported.path / "plots" / "training.svg").rename(tmp_path / "curves.svg")
    again = tuner.export(tmp_path / "again", model=metrics.model_path)  # the run is found beside the folder
    assert (again.path / "plots" / "training.svg").read_text() == (tmp_path / "curves.svg").read_text()
    assert read_run(metrics.run_path) == metrics


def test_a_model_of_the_registry_is_exported_with_its_figures(
    tuner: ModelFineTuner, settings: Settings, model: Path, tmp_path: Path
) -> None:
    registry = ModelRegistry(settings)
    version = register_model(model, "support", registry=registry, evaluations=[result([0.25, 0.75])])
    registry.promote("support", version.version)
    exported = tuner.export(tmp_path / "support", model="registry:support", run=run())
    card = (exported.path / "README.md").read_text()
    assert exported.facts.model == f"registry:support@{version.short}"
    assert "| handbook ndcg@10 | 0.5000 [0.2500, 0.7500] |" in card
    assert "plots/training.svg" in card


def test_vectors_get_unit_length(tuner: ModelFineTuner, tmp_path: Path) -> None:
    """A model without normalisation is served with it, as ragtime computes it."""
    longer = tiny_model()
    del longer[2]
    longer.save_pretrained(str(tmp_path / "longer"), create_model_card=False)
    exported = tuner.export(tmp_path / "support", model=tmp_path / "longer")
    assert exported.facts.normalization_added
    assert "a module that the export has added" in (exported.path / "README.md").read_text()
    found = sentence_transformers.SentenceTransformer(str(exported.path), device="cpu").encode_document(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(found, ModelFineTuner.load(tmp_path / "longer").encode(TEXTS), atol=1e-6)


def test_a_query_adapter_is_exported(settings: Settings, tmp_path: Path) -> None:
    config = FineTuningConfig(strategy="adapter", adapter_query_only=True, num_epochs=1, batch_size=16)
    tuner = ModelFineTuner(config, settings=settings, model_loader=lambda _: tiny_model())
    tuner.train(rows_of())
    exported = tuner.export(tmp_path / "support")
    loaded = sentence_transformers.SentenceTransformer(str(exported.path), device="cpu")
    assert tuner.model_path is not None
    tuned = ModelFineTuner.load(tuner.model_path)
    np.testing.assert_allclose(loaded.encode_query(TEXTS), tuned.encode(TEXTS, role="query"), atol=1e-6)
    np.testing.assert_allclose(loaded.encode_document(TEXTS), tuned.encode(TEXTS), atol=1e-6)


def test_half_precision_stays_and_has_a_wider_tolerance(tuner: ModelFineTuner, tmp_path: Path) -> None:
    tiny_model().half().save_pretrained(str(tmp_path / "half"), create_model_card=False)
    exported = tuner.export(tmp_path / "support", model=tmp_path / "half")
    assert (exported.facts.dtype, exported.facts.tolerance) == ("float16", 1e-2)
    assert check_export(exported.path).difference == 0


def test_nothing_private_goes_along(tuner: ModelFineTuner, tmp_path: Path) -> None:
    about = {
        "base_model": "/home/ann/models/own-base",
        "config": {"base_model_name": "/home/ann/models/own-base", "num_epochs": 2},
        "data": {"training_rows": 60, "lineage": {"users": ["CANARY"], "documents": ["CANARY"]}},
    }
    model = save_model(tiny_model(), tmp_path / "private", metadata=about).path
    folder = tuner.export(tmp_path / "support", model=model, run=run()).path
    everything = b"".join(contents(folder).values())
    assert b"CANARY" not in everything
    assert b"/home/" not in everything
    assert str(tmp_path).encode() not in everything
    assert b"own-base" in everything


def test_the_same_model_gives_the_same_bytes(tuner: ModelFineTuner, model: Path, tmp_path: Path) -> None:
    told = [
        tuner.export(tmp_path / name / "support", model=model, run=run(), comparisons=[compared()]) for name in "ab"
    ]
    assert contents(told[0].path) == contents(told[1].path)
    assert told[0].digest == told[1].digest


def test_weights_that_the_files_do_not_hold_are_the_same_each_time(
    tuner: ModelFineTuner, model: Path, tmp_path: Path
) -> None:
    """Some base models come without the pooler that their class has and nobody uses."""
    from safetensors.torch import load_file, save_file

    path = model / "model.safetensors"
    kept = {name: tensor for name, tensor in load_file(path).items() if "pooler" not in name}
    save_file(kept, path, metadata={"format": "pt"})
    state = torch.get_rng_state()
    told = []
    for number in range(2):
        torch.manual_seed(number)
        before = torch.get_rng_state()
        told.append(contents(tuner.export(tmp_path / str(number) / "support", model=model).path))
        assert torch.equal(torch.get_rng_state(), before)
    torch.set_rng_state(state)
    assert told[0] == told[1]


# --- what is refused ------------------------------------------------------------------------------------------------


def test_without_a_model_there_is_nothing_to_export(tuner: ModelFineTuner, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="train one first, or name it"):
        tuner.export(tmp_path / "support")
    for model, told in (
        (tmp_path / "nowhere", "no model folder .*nowhere"),
        ("registry:support", "There is no model 'support' in the registry"),
        (save_int8(quantize_after(tiny_model()), tmp_path / "small").path, "int8 weights, .* name the plain folder"),
    ):
        with pytest.raises(BackendError, match=told):
            tuner.export(tmp_path / "support", model=model)
    assert not (tmp_path / "support").exists()


def test_a_target_that_there_is_not(tuner: ModelFineTuner, model: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="There is no target 'onnx'; there is safetensors, or an Exporter"):
        tuner.export(tmp_path / "support", model=model, target="onnx")


def test_nothing_is_overwritten(tuner: ModelFineTuner, model: Path, tmp_path: Path) -> None:
    (tmp_path / "support").mkdir()
    with pytest.raises(InvalidArgumentError, match="There is something at"):
        tuner.export(tmp_path / "support", model=model)
    assert list((tmp_path / "support").iterdir()) == []


class _Wrong(SafetensorsExporter):
    """Writes a model that gives other embeddings, or none."""

    def __init__(self, fault: Callable[[Path], None]) -> None:
        self._fault = fault

    def write(self, model: Any, folder: Path) -> None:
        super().write(model, folder)
        self._fault(folder)


def _other_weights(folder: Path) -> None:
    tiny_model(seed=9).save_pretrained(str(folder), create_model_card=False)


def _no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _disk_error(folder: Path) -> None:
    raise OSError(28, "No space left on device", str(folder))


@pytest.mark.parametrize(
    ("fault", "error", "told"),
    [
        (_other_weights, FineTuningError, "The export is refused: what was written gives other embeddings"),
        (_no_weights, FineTuningError, "cannot load the saved model"),
        (_disk_error, StorageError, "No space left on device"),
    ],
)
def test_a_failed_export_leaves_nothing(
    tuner: ModelFineTuner, model: Path, tmp_path: Path, fault: Any, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        tuner.export(tmp_path / "out" / "support", model=model, target=_Wrong(fault))
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("size", [100, 5_000, 100_000])  # a configuration, the tokenizer, the weights
def test_a_full_disk_leaves_nothing(tuner: ModelFineTuner, model: Path, tmp_path: Path, size: int) -> None:
    with files_of_at_most(size), pytest.raises(StorageError, match="Cannot write"):
        tuner.export(tmp_path / "out" / "support", model=model, run=run())
    assert list((tmp_path / "out").iterdir()) == []


def test_a_run_that_cannot_be_read(tmp_path: Path, tuner: ModelFineTuner, model: Path) -> None:
    with pytest.raises(StorageError, match="the folder is none of a run, or the run has not ended"):
        read_run(tmp_path)
    damaged = model.parent / "runs" / "0" / "metrics.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("{")
    with pytest.raises(StorageError, match="holds something else"):
        read_run(damaged.parent)
    assert not (tuner.export(tmp_path / "support", model=model).path / "plots").exists()  # passed over, with a warning


# --- several processes ----------------------------------------------------------------------------------------------

SCRIPT = """
    import sys
    from ragtime.config.settings import Settings
    from ragtime.services.model_finetuner import ModelFineTuner

    model, target = sys.argv[1:]
    settings = Settings.isolated(embedding={"device": "cpu"})
    exported = ModelFineTuner(settings=settings).export(target, model=model)
    print(exported.digest, flush=True)
"""


@pytest.mark.slow
def test_several_processes_of_torchrun_write_one_export(model: Path, tmp_path: Path, root: Path) -> None:
    (tmp_path / "script.py").write_text(textwrap.dedent(SCRIPT))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*launcher, str(tmp_path / "script.py"), str(model), str(tmp_path / "support")],
        capture_output=True, text=True, check=False, env=environment, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    digests = re.findall("[0-9a-f]{64}", done.stdout)  # lines of two processes may run into each other
    assert len(digests) == 2
    assert set(digests) == {check_export(tmp_path / "support").digest}
