"""Training by the old calls, of a real model; §9 of the old calls."""

from __future__ import annotations

import json
import math
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_finetuner_compat import FineTuningConfig, ModelFineTuner, TrainingMetrics, quick_finetune
from ragtime.config.settings import Settings
from ragtime.services import model_finetuner
from ragtime.services.model_finetuner.checkpoints import CheckpointStore
from ragtime.testing import tiny_model
from ragtime_compat.finetuning_records import InputExample
from tests.compat.finetuning_samples import NOW, STAMP, TOPICS, Pair, bad_pairs, good_pairs, tuner, write_csv

pytestmark = [
    pytest.mark.models,
    pytest.mark.filterwarnings("ignore::ragtime.errors.RagtimeDeprecationWarning"),
]

TEXTS = ["how does repair work", "who knows gift", "all about returns from desk 0"]


def _examples(pairs: list[Pair]) -> list[InputExample]:
    return [InputExample(texts=[query, document], label=float(label)) for query, document, label in pairs]


TRAIN = _examples([*good_pairs(8), *bad_pairs(8)])
VAL = _examples([*good_pairs()[8:], *bad_pairs()[8:]])


def _vectors(model: Any) -> Any:
    return model.encode(TEXTS, convert_to_numpy=True)


def _change(model: Any) -> float:
    """Return how far embeddings have moved from those of the base model."""
    return float(np.abs(_vectors(model) - _vectors(tiny_model())).max())


def test_the_whole_result_of_a_run(tmp_path: Path) -> None:
    # M17: every run failed; M5: any with validation data failed behind the training
    made = tuner(tmp_path)
    done = made.fine_tune_model(TRAIN, VAL)
    name = f"finetuned_{STAMP}"
    assert list(done) == [
        "success",
        "model_path",
        "model_name",
        "training_duration",
        "training_history",
        "metadata_path",
    ]
    assert done["success"] is True
    assert done["model_name"] == name
    assert done["model_path"] == str(tmp_path / name)
    assert done["metadata_path"] == str(tmp_path / name / "training_metadata.json")
    assert type(done["training_duration"]) is float
    assert done["training_history"] == made.training_history
    assert [path.name for path in tmp_path.iterdir()] == [name]  # nothing else, not even hidden


def test_history_entries_are_objects_whose_numbers_are_json(tmp_path: Path) -> None:
    done = tuner(tmp_path, num_epochs=3).fine_tune_model(TRAIN, VAL)
    history = done["training_history"]
    assert [type(entry) for entry in history] == [TrainingMetrics] * 3
    assert [entry.epoch for entry in history] == [1, 2, 3]
    assert all(type(entry.train_loss) is float and entry.train_loss > 0 for entry in history)  # M3: it was 0.0
    last = json.loads(json.dumps([history[-1].train_loss, history[-1].eval_cosine_accuracy]))
    assert 0 <= last[1] <= 1
    assert history[-1].timestamp == NOW.astimezone().replace(tzinfo=None).isoformat()


def test_without_validation_data_there_is_no_accuracy(tmp_path: Path) -> None:
    made = tuner(tmp_path)
    done = made.fine_tune_model(TRAIN)
    assert [entry.eval_cosine_accuracy for entry in done["training_history"]] == [None, None]
    assert made.best_eval_score == float("-inf")
    assert made.best_model_path == done["model_path"]


def test_training_metadata_are_exact(tmp_path: Path) -> None:
    moments = iter([NOW, NOW + timedelta(seconds=90)])
    config = FineTuningConfig(output_model_path=str(tmp_path), num_epochs=2, batch_size=4, learning_rate=1e-3)
    made = ModelFineTuner(
        config, settings=Settings.isolated(), model_loader=lambda _: tiny_model(), clock=lambda: next(moments)
    )
    made.load_base_model()
    done = made.fine_tune_model(TRAIN, VAL, "mine")
    assert done["success"], done
    about = json.loads(Path(done["metadata_path"]).read_text(encoding="utf-8"))
    start = NOW.astimezone().replace(tzinfo=None)
    assert about == {
        "model_name": f"mine_{STAMP}",
        "base_model": "all-MiniLM-L6-v2",
        "training_start": start.isoformat(),
        "training_end": (start + timedelta(seconds=90)).isoformat(),
        "training_duration_seconds": 90.0,
        "config": {
            "batch_size": 4,
            "num_epochs": 2,
            "learning_rate": 1e-3,
            "loss_function": "CosineSimilarityLoss",
            "max_seq_length": 512,
        },
        "data_statistics": {"train_examples": 16, "val_examples": 4},
        "training_history": [vars(entry) for entry in done["training_history"]],
    }
    assert datetime.fromisoformat(about["training_end"]).tzinfo is None
    assert done["training_duration"] == 90.0


def test_a_plain_sentence_transformer_loads_the_folder(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    made = tuner(tmp_path)
    done = made.fine_tune_model(TRAIN, VAL)
    loaded = SentenceTransformer(done["model_path"], device="cpu")
    assert np.array_equal(_vectors(loaded), _vectors(made.model))
    assert _change(loaded) > 1e-3


def test_two_runs_keep_their_histories_apart(tmp_path: Path) -> None:
    # M6: entries of the first run made later ones fail
    made = tuner(tmp_path)
    first, second = (made.fine_tune_model(TRAIN, VAL) for _ in range(2))
    assert first["success"]
    assert second["success"]
    assert second["model_name"] == f"finetuned_{STAMP}_2"  # of the same second
    assert len(made.training_history) == len(second["training_history"]) == 2
    assert len(json.loads(Path(second["metadata_path"]).read_text())["training_history"]) == 2


def test_the_tuned_model_takes_the_place_of_the_base(tmp_path: Path) -> None:
    made = tuner(tmp_path)
    first = made.fine_tune_model(TRAIN)
    assert _change(made.model) > 1e-3
    second = made.fine_tune_model(TRAIN)
    assert json.loads(Path(second["metadata_path"]).read_text())["base_model"] == first["model_path"]


def test_metadata_name_the_model_that_was_loaded(tmp_path: Path) -> None:
    # M8: they named the configured one
    tiny_model().save_pretrained(str(tmp_path / "other"))
    config = FineTuningConfig(output_model_path=str(tmp_path / "models"), num_epochs=1)
    made = ModelFineTuner(config, settings=Settings.isolated())
    assert made.load_base_model(str(tmp_path / "other"))
    done = made.fine_tune_model(TRAIN)
    assert json.loads(Path(done["metadata_path"]).read_text())["base_model"] == str(tmp_path / "other")
    assert made.list_available_models()[0]["base_model"] == str(tmp_path / "other")


def test_a_model_that_was_put_there_is_trained(tmp_path: Path) -> None:
    made = tuner(tmp_path, loaded=False)
    made.model = tiny_model(seed=3)
    done = made.fine_tune_model(TRAIN)
    assert json.loads(Path(done["metadata_path"]).read_text())["base_model"] == "all-MiniLM-L6-v2"


def test_the_learning_rate_is_applied(tmp_path: Path) -> None:
    # M3: the package's default was used instead
    small, large = (tuner(tmp_path / str(rate), learning_rate=rate) for rate in (1e-7, 1e-3))
    for made in (small, large):
        assert made.fine_tune_model(TRAIN)["success"]
    assert _change(small.model) < 1e-4
    assert _change(large.model) > 1e-3


def test_training_stops_early(tmp_path: Path) -> None:
    # M4: the patience was never used
    done = tuner(tmp_path, learning_rate=1e-9, num_epochs=9, early_stopping_patience=2).fine_tune_model(TRAIN, VAL)
    assert len(done["training_history"]) == 3
    done = tuner(tmp_path, learning_rate=1e-9, num_epochs=4, early_stopping_patience=0).fine_tune_model(TRAIN, VAL)
    assert len(done["training_history"]) == 4


def test_evaluation_steps_are_applied(tmp_path: Path) -> None:
    # One epoch has four steps: validated twice in it, a model that does not improve stops in the second half.
    done = tuner(
        tmp_path, learning_rate=1e-9, num_epochs=1, evaluation_steps=1, early_stopping_patience=2
    ).fine_tune_model(TRAIN, VAL)
    assert len(done["training_history"]) == 1
    assert done["training_history"][0].eval_cosine_accuracy is not None


class _FailsAt:
    """A hook of a model in training that fails at one of its passes."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, module: Any, *_: object) -> None:
        if module.training:
            self.left -= 1
            if self.left == 0:
                raise RuntimeError("the device is gone")

    def __deepcopy__(self, _: object) -> _FailsAt:
        return self


@pytest.mark.parametrize(("save_steps", "saved"), [(1, 2), (500, None)])
def test_save_steps_are_applied_and_the_same_call_goes_on(tmp_path: Path, save_steps: int, saved: int | None) -> None:
    # M4: save_steps were never used
    untouched = tuner(tmp_path / "one", save_steps=save_steps)
    assert untouched.fine_tune_model(TRAIN)["success"]
    made = tuner(tmp_path / "two", save_steps=save_steps)
    assert made.model is not None
    handle = made.model[0].register_forward_hook(_FailsAt(3))
    assert made.fine_tune_model(TRAIN) == {"success": False, "error": "the device is gone"}
    newest = [CheckpointStore(path).newest() for path in (tmp_path / "two").glob(".runs/runs/*/checkpoints")]
    assert [one and one.step for one in newest] in ([saved], [])
    assert _change(made.model) == 0  # a run that fails leaves the model as it was
    assert made.list_available_models() == []
    handle.remove()
    done = made.fine_tune_model(TRAIN)
    assert np.array_equal(_vectors(made.model), _vectors(untouched.model))
    assert [path.name for path in (tmp_path / "two").iterdir()] == [done["model_name"]]


DATA = [
    (TRAIN, VAL),
    (TRAIN[:8], VAL),  # good ones only, and both
    (TRAIN, VAL[:2]),  # both, and good ones only
    (TRAIN, VAL[2:]),  # both, and bad ones only
    (TRAIN[:9], VAL),  # few bad ones
]
LOSSES = ["CosineSimilarityLoss", "ContrastiveLoss", "MultipleNegativesRankingLoss"]


@pytest.mark.parametrize(
    ("loss", "train", "val"),
    [("TripletLoss", TRAIN, VAL), *((loss, train, val) for loss in LOSSES for train, val in DATA)],
)
def test_every_loss_trains_on_all_pairs(
    tmp_path: Path, loss: str, train: list[InputExample], val: list[InputExample]
) -> None:
    # M16: TripletLoss was offered, but pairs alone could be loaded
    made = tuner(tmp_path, loss_function=loss, num_epochs=1)
    done = made.fine_tune_model(train, val)
    assert done["success"], done["error"]
    assert _change(made.model) > 1e-5
    validated = any(one.label for one in val)
    assert (done["training_history"][0].eval_cosine_accuracy is not None) is validated


@pytest.mark.parametrize("loss", ["TripletLoss", "CosineSimilarityLoss"])
def test_examples_of_the_package_with_three_texts_are_triplets(tmp_path: Path, loss: str) -> None:
    from sentence_transformers.sentence_transformer.readers import InputExample as PackageExample

    triplets = [
        PackageExample(texts=[query, document, f"{other} is closed"])
        for (query, document, _), other in zip(good_pairs(), reversed(TOPICS), strict=True)
    ]
    done = tuner(tmp_path, loss_function=loss).fine_tune_model(triplets[:8], triplets[8:])
    assert done["success"], done["error"]
    assert done["training_history"][-1].eval_cosine_accuracy is not None


def test_pairs_without_labels_train_by_ranking(tmp_path: Path) -> None:
    from sentence_transformers.sentence_transformer.readers import InputExample as PackageExample

    pairs = [PackageExample(texts=[query, document]) for query, document, _ in good_pairs()]
    done = tuner(tmp_path, loss_function="MultipleNegativesRankingLoss").fine_tune_model(pairs)
    assert done["success"], done["error"]


def test_a_blank_text_costs_its_example_only(tmp_path: Path) -> None:
    done = tuner(tmp_path).fine_tune_model([*TRAIN, InputExample(texts=["", "an answer"], label=1.0)])
    assert done["success"]


@pytest.mark.parametrize(
    "examples",
    [
        TRAIN[8:],  # nothing answers
        [InputExample(texts=["alone"], label=1.0)],
        [InputExample(texts=["a", "b"], label=float("nan"))],
        [object()],
        TRAIN[:1],
    ],
)
def test_what_cannot_be_trained_on_is_told(tmp_path: Path, examples: Any) -> None:
    made = tuner(tmp_path)
    done = made.fine_tune_model(examples)
    assert list(done) == ["success", "error"]
    assert done["success"] is False
    assert isinstance(done["error"], str)
    assert made.list_available_models() == []


def test_examples_may_be_in_arrays_and_the_config_hold_numbers_of_numpy(tmp_path: Path) -> None:
    config: dict[str, Any] = {"batch_size": np.int64(4), "num_epochs": np.int64(1), "learning_rate": np.float32(1e-3)}
    made = tuner(tmp_path, max_seq_length=np.int64(64), random_seed=np.int64(7), **config)
    arrays: list[Any] = [np.array(part, dtype=object) for part in (TRAIN, TRAIN[:4])]
    done = made.fine_tune_model(*arrays)
    assert done["success"], done
    told = json.loads(Path(done["metadata_path"]).read_bytes())["config"]
    assert (told["batch_size"], told["num_epochs"], told["max_seq_length"]) == (4, 1, 64)


def test_a_config_that_cannot_be_is_told(tmp_path: Path) -> None:
    made = tuner(tmp_path)
    made.config.learning_rate = 0.0
    done = made.fine_tune_model(TRAIN)
    assert done["success"] is False
    assert "learning_rate" in done["error"]
    made.config.learning_rate = 1e-3  # changes count from the next run on
    made.config.output_model_path = str(tmp_path / "elsewhere")
    assert Path(made.fine_tune_model(TRAIN)["model_path"]).parent == tmp_path / "elsewhere"


@pytest.mark.parametrize("suffix", ["../out", "a/b", "/out", ".hidden", "a\nb", "a\\b", "x" * 200])
def test_a_suffix_that_leaves_the_folder_is_refused(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "models"
    done = tuner(folder).fine_tune_model(TRAIN, None, suffix)
    assert done["success"] is False
    assert "model_name_suffix" in done["error"]
    assert [path.name for path in tmp_path.rglob("*")] == ["models"]


def test_the_suffix_begins_the_name(tmp_path: Path) -> None:
    done = tuner(tmp_path).fine_tune_model(TRAIN, model_name_suffix="support desk")
    assert re.fullmatch(r"support desk_\d{8}_\d{6}", done["model_name"])


def test_evaluate_model_tells_correlations(tmp_path: Path) -> None:
    # M12: it always returned an error
    made = tuner(tmp_path / "models", num_epochs=8, learning_rate=3e-3)
    done = made.fine_tune_model(TRAIN)
    data = write_csv(tmp_path / "test.csv", [*good_pairs(), *bad_pairs()])
    found = made.evaluate_model(done["model_path"], str(data))
    assert found == {
        "model_path": done["model_path"],
        "test_data_path": str(data),
        "evaluation_score": found["evaluation_score"],
        "correlation_with_labels": found["correlation_with_labels"],
        "num_test_samples": 20,
        "evaluation_timestamp": NOW.astimezone().replace(tzinfo=None).isoformat(),
    }
    assert 0.5 < found["evaluation_score"] <= 1
    assert 0.5 < found["correlation_with_labels"] <= 1
    json.dumps(found)


def test_evaluate_model_agrees_with_the_evaluator(tmp_path: Path) -> None:
    made = tuner(tmp_path / "models", validation_split=0.0)
    done = made.fine_tune_model(TRAIN)
    data = write_csv(tmp_path / "test.csv", [*good_pairs(), *bad_pairs()])
    evaluator = made.create_evaluator(made.load_training_data(data)[0])
    assert evaluator is not None
    assert made.model is not None
    told = evaluator(made.model)
    found = made.evaluate_model(done["model_path"], data)
    assert found["evaluation_score"] == pytest.approx(told["validation_spearman_cosine"], abs=1e-6)
    assert found["correlation_with_labels"] == pytest.approx(told["validation_pearson_cosine"], abs=1e-6)


def test_evaluate_model_on_one_class_gives_no_nan(tmp_path: Path) -> None:
    # M13: it gave nan
    made = tuner(tmp_path / "models")
    done = made.fine_tune_model(TRAIN)
    found = made.evaluate_model(done["model_path"], write_csv(tmp_path / "test.csv", good_pairs()))
    assert (found["evaluation_score"], found["correlation_with_labels"]) == (0.0, 0.0)
    assert "All labels are equal" in found["note"]
    assert not math.isnan(found["evaluation_score"])


def test_evaluate_model_tells_failures_by_an_error_alone(tmp_path: Path) -> None:
    made = tuner(tmp_path / "models", loaded=False)
    data = write_csv(tmp_path / "test.csv", good_pairs())
    empty = write_csv(tmp_path / "empty.csv", [])
    for model, path in (("./nowhere", data), (tmp_path, data), ("m", tmp_path / "nowhere.csv"), ("m", empty)):
        found = made.evaluate_model(str(model), path)
        assert list(found) == ["error"]
        assert found["error"]


def test_quick_finetune_trains_on_a_file(tmp_path: Path) -> None:
    tiny_model().save_pretrained(str(tmp_path / "base"))
    data = write_csv(tmp_path / "data.csv", [*good_pairs(), *bad_pairs()])
    done = quick_finetune(str(data), str(tmp_path / "base"), str(tmp_path / "out"), settings=Settings.isolated())
    assert done["success"], done
    assert Path(done["model_path"]).parent == tmp_path / "out"
    about = json.loads(Path(done["metadata_path"]).read_text())
    assert about["data_statistics"] == {"train_examples": 16, "val_examples": 4}


def test_quick_finetune_tells_its_two_failures(tmp_path: Path) -> None:
    tiny_model().save_pretrained(str(tmp_path / "base"))
    out = str(tmp_path / "out")
    for data, base, error in (
        ("nowhere.csv", "./nowhere", "Failed to load base model"),
        ("nowhere.csv", str(tmp_path / "base"), "No training data loaded"),
    ):
        assert quick_finetune(data, base, out, settings=Settings.isolated()) == {"success": False, "error": error}


def test_the_new_calls_work_on_the_old_class(tmp_path: Path) -> None:
    made = tuner(tmp_path, loaded=False)
    assert made.model_path is None
    metrics = made.train([(query, document) for query, document, _ in good_pairs()])
    assert metrics.model_path.parent == tmp_path
    assert [len(metrics.epochs), made.model_path] == [2, metrics.model_path]
    assert made.load(metrics.model_path).encode(TEXTS).shape == (3, 32)
    assert [one["name"] for one in made.list_available_models()] == [metrics.model_path.name]  # and not its runs
    done = tuner(tmp_path, loaded=False)
    assert done.list_available_models() == made.list_available_models()


def test_a_model_of_the_old_call_is_known_to_the_new_ones(tmp_path: Path) -> None:
    made = tuner(tmp_path)
    done = made.fine_tune_model(TRAIN)
    assert made.model_path == Path(done["model_path"])
    measured = made.evaluate([(query, document) for query, document, _ in good_pairs()])
    assert measured.model_name == done["model_name"]


def test_a_new_config_trains_by_the_old_calls(tmp_path: Path) -> None:
    config = model_finetuner.FineTuningConfig(output_dir=tmp_path, batch_size=4, learning_rate=1e-3)
    made = ModelFineTuner(config, settings=Settings.isolated(), model_loader=lambda _: tiny_model())
    assert made.load_base_model()
    train, val = made.load_training_data(write_csv(tmp_path / "data.csv", [*good_pairs(), *bad_pairs()]))
    assert (len(train), len(val)) == (18, 2)
    done = made.fine_tune_model(train, val)
    assert done["success"], done["error"]
    told = json.loads(Path(done["metadata_path"]).read_text())["config"]
    assert told == {
        "batch_size": 4,
        "num_epochs": 1,
        "learning_rate": 1e-3,
        "loss_function": "auto",
        "max_seq_length": None,
    }
