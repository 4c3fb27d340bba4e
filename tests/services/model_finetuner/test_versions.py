"""Tuned models in the registry: what their folders tell goes with them, and versions are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ragtime.config.settings import Settings, override_settings
from ragtime.errors import BackendError, InvalidArgumentError
from ragtime.records.training import Lineage
from ragtime.services.model_finetuner import FineTuningConfig, ModelFineTuner
from ragtime.services.model_finetuner.comparison import EvaluationResult
from ragtime.services.model_finetuner.saving import save_model
from ragtime.services.model_finetuner.saving.int8 import save_int8
from ragtime.services.model_finetuner.strategies.quantized_models import quantize_after
from ragtime.services.model_finetuner.versions import compare_versions, evaluations_of, register_model
from ragtime.storage.registry import EvaluationStore, ModelNotFoundError, ModelRegistry, TamperedModelError, figures_of
from ragtime.testing import tiny_model
from tests.services.model_finetuner.comparison.scores import result
from tests.services.model_finetuner.killed_runs import rows_of

pytestmark = pytest.mark.models

ABOUT: dict[str, Any] = {
    "base_model": "all-MiniLM-L6-v2",
    "config": {"num_epochs": 2},
    "data": {
        "training_rows": 60,
        "dataset_ids": ["d1"],
        "lineage": {"turns": ["t1", "t2"], "users": ["ann"], "conversations": ["c1", "c2"], "datasets": ["d1"]},
    },
    "validation": {"ndcg@10": 0.5},
    "packages": {"torch": "2.8"},
}


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(root=tmp_path / "registry")


def saved(folder: Path, seed: int = 0, **fields: Any) -> Path:
    return save_model(tiny_model(seed=seed), folder, **fields).path


def test_what_the_folder_tells_goes_with_the_version(registry: ModelRegistry, tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", metadata=ABOUT, prompts={"query": "find: "})
    version = register_model(folder, "support", registry=registry)
    assert (version.name, version.stage, version.parent) == ("support", "candidate", "all-MiniLM-L6-v2")
    assert (version.dataset_ids, version.packages, version.prompts) == (("d1",), {"torch": "2.8"}, {"query": "find: "})
    assert version.metrics == {"validation": {"ndcg@10": 0.5}}
    assert version.lineage == Lineage(user_id="ann", turn_ids=("t1", "t2"))  # not one of two conversations
    other = register_model(saved(tmp_path / "other", 1, metadata={**ABOUT, "config": {}}), "support", registry=registry)
    assert version.settings_hash != other.settings_hash
    assert register_model(folder, "sales", registry=registry, parent="support@0000").parent == "support@0000"


def test_a_folder_from_elsewhere_is_taken_as_it_is(registry: ModelRegistry, tmp_path: Path) -> None:
    tiny_model().save_pretrained(str(tmp_path / "model"), create_model_card=False)
    version = register_model(tmp_path / "model", "support", registry=registry)
    assert (version.parent, version.dataset_ids, version.settings_hash, version.lineage) == (None, (), None, None)
    assert version.metrics == {}


def test_int8_weights_are_registered_too(registry: ModelRegistry, tmp_path: Path) -> None:
    folder = save_int8(quantize_after(tiny_model()), tmp_path / "small").path
    assert "int8.safetensors" in register_model(folder, "support", registry=registry).files


def test_the_registry_of_the_settings_is_the_usual_one(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model")
    with override_settings(Settings.isolated(data_dir=tmp_path / "data")):
        version = register_model(folder, "support", evaluations=[result([0.5, 1.0])])
        assert evaluations_of(version.reference) == [result([0.5, 1.0])]
        assert len(compare_versions(version.reference, version.reference)) == 1
    assert (tmp_path / "data" / "registry" / "support").is_dir()


def test_a_model_that_was_trained_from_a_version_names_it(tmp_path: Path) -> None:
    """Not what is in production when it is registered, but what was when it was trained."""
    settings = Settings.isolated(data_dir=tmp_path / "data", embedding={"device": "cpu"}, logging__progress="off")
    registry = ModelRegistry(settings)
    first, second = (
        register_model(saved(tmp_path / f"base-{seed}", seed), "support", registry=registry) for seed in range(2)
    )
    registry.promote("support", first.version)
    config = FineTuningConfig(base_model_name="registry:support", num_epochs=1, batch_size=16, max_seq_length=32)
    tuner = ModelFineTuner(config, settings=settings)
    metrics = tuner.train(rows_of())
    before = tuner.compare(rows_of())
    registry.promote("support", second.version)
    assert tuner.compare(rows_of()).base_model == before.base_model
    tuned = register_model(metrics.model_path, "support", registry=registry)
    assert tuned.parent == f"registry:support@{first.short}"
    assert ModelFineTuner(config, settings=settings).train(rows_of()).model_path != metrics.model_path


# --- evaluations ----------------------------------------------------------------------------------------------------


def test_evaluations_become_figures_with_intervals(registry: ModelRegistry, tmp_path: Path) -> None:
    measured = EvaluationResult.from_questions(
        ["a", "b", "c", "d"], {"ndcg@10": [0.0, 0.5, 0.5, 1.0]}, other_figures={"auc": 0.75},
        model_id="m", model_name="tuned", data_name="handbook", data_fingerprint="d1",
    )  # fmt: skip
    version = register_model(
        saved(tmp_path / "model"), "support", registry=registry,
        evaluations=[measured, result([1.0], "m", data_fingerprint="d2")],
    )  # fmt: skip
    figures = figures_of(version.metrics)
    assert set(figures) == {
        "handbook questions", "handbook ndcg@10", "handbook auc", "handbook (d2) questions", "handbook (d2) ndcg@10",
    }  # fmt: skip
    assert figures["handbook questions"].value == 4
    value, interval = figures["handbook ndcg@10"]
    assert interval is not None
    assert 0 <= interval[0] < value == 0.5 < interval[1] <= 1
    assert figures["handbook auc"] == (0.75, None)
    assert figures["handbook (d2) ndcg@10"] == (1.0, None)  # one question has no interval
    assert evaluations_of(version.reference, registry=registry)[0] == measured


def test_versions_are_compared_on_what_both_were_measured_on(registry: ModelRegistry, tmp_path: Path) -> None:
    base = register_model(
        saved(tmp_path / "base"), "support", registry=registry,
        evaluations=[result([0.3] * 8), result([0.5] * 8, data_fingerprint="d2", data_name="general")],
    )  # fmt: skip
    tuned = register_model(
        saved(tmp_path / "tuned", 1), "support", registry=registry,
        evaluations=[
            result([0.3 + place / 20 for place in range(8)], "t"),
            result([0.5, 0.6], "t", data_fingerprint="d3"),
        ],
    )  # fmt: skip
    registry.promote("support", base.version)
    (compared,) = compare_versions("support", tuned.reference, registry=registry)
    assert (compared.data_fingerprint, compared.won, compared.tied) == ("d1", 7, 1)
    assert compared.difference == pytest.approx(0.175)
    assert compare_versions("support", tuned.reference, registry=registry, figure="mrr@10") == []
    assert compare_versions(tuned.reference, "support", registry=registry)[0].lost == 7


def test_other_questions_of_the_same_data_are_not_compared(registry: ModelRegistry, tmp_path: Path) -> None:
    references = [
        register_model(
            saved(tmp_path / name, seed), "support", registry=registry,
            evaluations=[result([0.5, 0.6], question_ids=ids)],
        ).reference
        for seed, (name, ids) in enumerate({"base": ["a", "b"], "tuned": ["a", "c"]}.items())
    ]  # fmt: skip
    assert compare_versions(*references, registry=registry) == []


def test_a_registered_folder_takes_new_evaluations(registry: ModelRegistry, tmp_path: Path) -> None:
    folder = saved(tmp_path / "model")
    first = register_model(folder, "support", registry=registry)
    again = register_model(folder, "support", registry=registry, evaluations=[result([0.5, 0.6])])
    assert again == first
    assert evaluations_of(first.reference, registry=registry) == [result([0.5, 0.6])]
    assert len(registry.history("support")) == 1


# --- what is refused ------------------------------------------------------------------------------------------------


def test_what_is_no_model_is_refused(registry: ModelRegistry, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"There is no folder .*nowhere"):
        register_model(tmp_path / "nowhere", "support", registry=registry)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BackendError, match="holds no model"):
        register_model(tmp_path / "empty", "support", registry=registry)
    pickles = saved(tmp_path / "pickles")
    (pickles / "model.safetensors").rename(pickles / "pytorch_model.bin")
    with pytest.raises(BackendError, match="pickles only"):
        register_model(pickles, "support", registry=registry)
    with pytest.raises(InvalidArgumentError, match="No name of a model"):
        register_model(saved(tmp_path / "model"), "../support", registry=registry)
    assert not registry.root.exists()


@pytest.mark.parametrize("about", ['{"base_model": 3}', '{"data": {"dataset_ids": "d1"}}', "[]", "{", ""])
def test_what_tells_something_else_is_refused(registry: ModelRegistry, tmp_path: Path, about: str) -> None:
    folder = saved(tmp_path / "model")
    (folder / "ragtime.json").write_text(about)
    with pytest.raises(BackendError, match=r"ragtime\.json' cannot be read .*save the model again, or remove the file"):
        register_model(folder, "support", registry=registry)


def test_a_file_that_cannot_be_read_is_told(registry: ModelRegistry, tmp_path: Path) -> None:
    folder = saved(tmp_path / "model")
    (folder / "ragtime.json").unlink()
    (folder / "ragtime.json").mkdir()
    with pytest.raises(BackendError, match=r"ragtime\.json' cannot be read \(Is a directory\)"):
        register_model(folder, "support", registry=registry)


def test_evaluations_of_several_models_or_twice_of_the_same_data_are_refused(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    folder = saved(tmp_path / "model")
    for evaluations, told in (
        ([result([0.5, 0.6]), result([0.5, 0.7])], "of the same data"),
        ([result([0.5, 0.6]), result([0.5, 0.7], "other", data_fingerprint="d2")], r"several models \(base, other\)"),
    ):
        with pytest.raises(InvalidArgumentError, match=told):
            register_model(folder, "support", registry=registry, evaluations=evaluations)
    assert not registry.root.exists()


def test_a_kept_evaluation_that_is_none_is_refused(registry: ModelRegistry, tmp_path: Path) -> None:
    version = register_model(saved(tmp_path / "model"), "support", registry=registry)
    EvaluationStore(registry).add("support", version.version, data="d1", result={"figures": "CANARY"})
    with pytest.raises(TamperedModelError, match=r"holds something else: .* wrong fields") as caught:
        evaluations_of(version.reference, registry=registry)
    assert "CANARY" not in str(caught.value)


def test_versions_that_are_missing(registry: ModelRegistry, tmp_path: Path) -> None:
    version = register_model(saved(tmp_path / "model"), "support", registry=registry)
    for base, tuned in (("support", version.reference), (version.reference, "other"), ("support@0000", "support")):
        with pytest.raises(ModelNotFoundError):
            compare_versions(base, tuned, registry=registry)
    with pytest.raises(InvalidArgumentError):
        compare_versions("support@", "support", registry=registry)
