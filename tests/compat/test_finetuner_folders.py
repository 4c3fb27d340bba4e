"""The folder of the models by the old calls: listing, deletion, and conversion for Ollama; §9 of the old calls."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_finetuner_compat import FineTuningConfig, ModelFineTuner
from ragtime.testing import tiny_model
from tests.compat.finetuning_samples import TOPICS, bad_pairs, good_pairs, tuner, write_csv

pytestmark = pytest.mark.filterwarnings("ignore::ragtime.errors.RagtimeDeprecationWarning")

DATA = Path(__file__).parent / "data"
METADATA = "training_metadata.json"


def _tuner(folder: Path) -> ModelFineTuner:
    return ModelFineTuner(FineTuningConfig(output_model_path=str(folder)))


def _model(folder: Path, name: str, metadata: str | None = None, moment: int = 1_700_000_000) -> Path:
    model = folder / name
    model.mkdir(parents=True)
    if metadata is not None:
        shutil.copy(DATA / metadata, model / METADATA)
    os.utime(model, (moment, moment))
    return model


def test_models_of_the_old_system_are_listed_with_their_metadata(tmp_path: Path) -> None:
    model = _model(tmp_path, "finetuned_20240117_101500", "finetuning_old_metadata.json")
    (found,) = _tuner(tmp_path).list_available_models()
    assert isinstance(found.pop("created"), str)
    assert found == {
        "name": "finetuned_20240117_101500",
        "path": str(model),
        "base_model": "all-MiniLM-L6-v2",
        "training_duration": 390.530865,
        "train_examples": 120,
        "config": {
            "batch_size": 16,
            "num_epochs": 4,
            "learning_rate": 2e-05,
            "loss_function": "CosineSimilarityLoss",
            "max_seq_length": 512,
        },
    }


@pytest.mark.parametrize("content", [None, "", "[]", '{"data_statistics": 7}', "{", "[" * 100_000, "\xff"])
def test_models_without_readable_metadata_are_listed_by_name(tmp_path: Path, content: str | None) -> None:
    model = _model(tmp_path, "one")
    if content is not None:
        (model / METADATA).write_bytes(content.encode("latin-1"))
    (found,) = _tuner(tmp_path).list_available_models()
    assert [found["name"], found["path"]] == ["one", str(model)]
    if content != '{"data_statistics": 7}':
        assert set(found) == {"name", "path", "created"}


def test_a_model_whose_metadata_were_cut_off_is_listed(tmp_path: Path) -> None:
    # M5: such files stayed on disk
    _model(tmp_path, "one", "finetuning_old_metadata_cut.json")
    assert set(_tuner(tmp_path).list_available_models()[0]) == {"name", "path", "created"}


def test_the_newest_model_is_first(tmp_path: Path) -> None:
    for name, moment in (("b", 1_700_000_100), ("a", 1_700_000_300), ("c", 1_700_000_200)):
        _model(tmp_path, name, moment=moment)
    found = _tuner(tmp_path).list_available_models()
    assert [one["name"] for one in found] == ["a", "c", "b"]
    assert sorted((one["created"] for one in found), reverse=True) == [one["created"] for one in found]


def test_hidden_folders_and_files_are_no_models(tmp_path: Path) -> None:
    _model(tmp_path, ".runs")
    (tmp_path / "file").write_text("")
    assert _tuner(tmp_path).list_available_models() == []


def test_without_its_folder_there_are_no_models(tmp_path: Path) -> None:
    made = _tuner(tmp_path / "models")
    (tmp_path / "models").rmdir()
    assert made.list_available_models() == []


@pytest.mark.parametrize("files", [["Modelfile"], []])
def test_what_was_converted_is_not_listed(tmp_path: Path, files: list[str]) -> None:
    # M11: it was listed as a fine-tuned model
    folder = _model(tmp_path, "ollama_mine")
    for name in files:
        (folder / name).write_text("FROM .\n")
    assert _tuner(tmp_path).list_available_models() == []


def test_a_tuned_model_may_be_called_ollama(tmp_path: Path) -> None:
    _model(tmp_path, "ollama_20240117_101500", "finetuning_old_metadata.json")
    assert len(_tuner(tmp_path).list_available_models()) == 1


def test_delete_model_deletes_a_model(tmp_path: Path) -> None:
    _model(tmp_path, "one", "finetuning_old_metadata.json")
    _model(tmp_path, "two")
    made = _tuner(tmp_path)
    assert made.delete_model("one") is True
    assert made.delete_model("one") is False
    assert [path.name for path in tmp_path.iterdir()] == ["two"]


@pytest.mark.parametrize(
    "name", ["../outside", "", ".", "..", "one/..", "one/../../outside", "./one", "one/", "a\0b", 7]
)
def test_delete_model_refuses_what_is_no_name(tmp_path: Path, name: Any) -> None:
    # M9 and M10: "../x" deleted outside, and "" deleted everything
    _model(tmp_path, "outside")
    _model(tmp_path / "models", "one")
    assert _tuner(tmp_path / "models").delete_model(name) is False
    assert (tmp_path / "outside").is_dir()
    assert (tmp_path / "models" / "one").is_dir()


def test_delete_model_refuses_absolute_paths_files_and_links(tmp_path: Path) -> None:
    outside = _model(tmp_path, "outside")
    made = _tuner(tmp_path / "models")
    (tmp_path / "models" / "file").write_text("")
    (tmp_path / "models" / "link").symlink_to(outside)
    for name in (str(outside), "file", "link"):
        assert made.delete_model(name) is False
    assert outside.is_dir()
    assert (tmp_path / "models" / "file").exists()


def test_int8_weights_beside_a_model_go_with_it(tmp_path: Path) -> None:
    _model(tmp_path, "one")
    (_model(tmp_path, "one-int8") / "int8.json").write_text("{}")
    made = _tuner(tmp_path)
    assert [one["name"] for one in made.list_available_models()] == ["one"]
    assert made.delete_model("one") is True
    assert not list(tmp_path.iterdir())


# --- conversion -------------------------------------------------------------------------------------------------------


@pytest.mark.models
def test_conversion_writes_what_ollama_imports(tmp_path: Path) -> None:
    # M11: the folder held nothing that could be imported
    made = tuner(tmp_path / "models")
    path = write_csv(tmp_path / "data.csv", [*good_pairs(), *bad_pairs()])
    done = made.fine_tune_model(*made.load_training_data(path))
    found = made.convert_to_ollama_format(done["model_path"], "support-model")
    folder = tmp_path / "models" / "ollama_support-model"
    assert found == {
        "success": True,
        "ollama_model_name": "support-model",
        "ollama_directory": str(folder),
        "modelfile_path": str(folder / "Modelfile"),
        "instructions_path": str(folder / "deployment_instructions.txt"),
    }
    assert (folder / "Modelfile").read_text().splitlines()[0] == "FROM ."
    assert "ollama create support-model -f Modelfile" in (folder / "deployment_instructions.txt").read_text()
    assert json.loads((folder / "config.json").read_text())["architectures"] == ["BertModel"]
    # What Ollama reads of the pooling, by these names alone; other ones it takes for no pooling.
    modules = json.loads((folder / "modules.json").read_text())
    assert [module["type"] for module in modules] == [
        f"sentence_transformers.models.{kind}" for kind in ("Transformer", "Pooling", "Normalize")
    ]
    assert json.loads((folder / modules[1]["path"] / "config.json").read_text())["pooling_mode_mean_tokens"] is True
    assert {"model.safetensors", "tokenizer.json"} <= {path.name for path in folder.iterdir()}
    assert [one["name"] for one in made.list_available_models()] == [done["model_name"]]


@pytest.mark.models
def test_what_was_converted_gives_the_same_vectors(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    model = tiny_model()
    model.save_pretrained(str(tmp_path / "model"))
    made = _tuner(tmp_path / "models")
    found = made.convert_to_ollama_format(str(tmp_path / "model"), "mine:v1")
    loaded = SentenceTransformer(found["ollama_directory"], device="cpu")
    assert np.array_equal(loaded.encode(list(TOPICS)), model.encode(list(TOPICS)))


@pytest.mark.models
def test_a_second_conversion_takes_the_place_of_the_first(tmp_path: Path) -> None:
    tiny_model().save_pretrained(str(tmp_path / "model"))
    made = _tuner(tmp_path / "models")
    for _ in range(2):
        assert made.convert_to_ollama_format(tmp_path / "model", "mine")["success"]
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["ollama_mine"]


@pytest.mark.models
@pytest.mark.parametrize(
    ("file", "change", "reason"),
    [
        ("config.json", {"architectures": ["MPNetModel"]}, "this one has MPNetModel"),
        ("1_Pooling/config.json", {"pooling_mode": "max"}, "poolings mean and cls"),
        ("1_Pooling/config.json", {"pooling_mode": ["mean", "cls"]}, "poolings mean and cls"),
    ],
)
def test_a_model_that_ollama_cannot_import_is_copied_with_a_note(
    tmp_path: Path, file: str, change: dict[str, Any], reason: str
) -> None:
    tiny_model().save_pretrained(str(tmp_path / "model"))
    path = tmp_path / "model" / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    made = _tuner(tmp_path / "models")
    found = made.convert_to_ollama_format(str(tmp_path / "model"), "mine")
    assert set(found) == {"success", "ollama_model_name", "ollama_directory", "note"}
    assert found["success"] is True
    assert reason in found["note"]
    assert (Path(found["ollama_directory"]) / "model.safetensors").is_file()
    assert made.list_available_models() == []


@pytest.mark.models
def test_a_model_with_another_module_is_copied_with_a_note(tmp_path: Path) -> None:
    model = tiny_model()
    del model[2]
    model.save_pretrained(str(tmp_path / "plain"))
    made = _tuner(tmp_path / "models")
    assert "modelfile_path" in made.convert_to_ollama_format(tmp_path / "plain", "plain")
    modules = json.loads((tmp_path / "plain" / "modules.json").read_text())
    modules.append({**modules[1], "idx": 2, "type": "sentence_transformers.models.Dense"})
    (tmp_path / "plain" / "modules.json").write_text(json.dumps(modules))
    assert "Dense" in made.convert_to_ollama_format(tmp_path / "plain", "dense")["note"]


@pytest.mark.models
@pytest.mark.parametrize("name", ["../outside", "a/b", "", "a b", "a\nb", "/outside", 7])
def test_conversion_refuses_names_that_leave_the_folder(tmp_path: Path, name: Any) -> None:
    # M9
    tiny_model().save_pretrained(str(tmp_path / "model"))
    found = _tuner(tmp_path / "models").convert_to_ollama_format(str(tmp_path / "model"), name)
    assert found["success"] is False
    assert "ollama_model_name" in found["error"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "models"]
    assert not list((tmp_path / "models").iterdir())


@pytest.mark.models
def test_conversion_leaves_tuned_models_alone(tmp_path: Path) -> None:
    tiny_model().save_pretrained(str(tmp_path / "model"))
    kept = _model(tmp_path / "models", "ollama_mine", "finetuning_old_metadata.json")
    found = _tuner(tmp_path / "models").convert_to_ollama_format(str(tmp_path / "model"), "mine")
    assert found["success"] is False
    assert (kept / METADATA).exists()


def test_conversion_tells_failures(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    made = _tuner(tmp_path / "models")
    for model in (tmp_path / "nowhere", tmp_path / "empty"):
        found = made.convert_to_ollama_format(str(model), "mine")
        assert list(found) == ["success", "error"]
        assert found["success"] is False
    assert not list((tmp_path / "models").iterdir())
