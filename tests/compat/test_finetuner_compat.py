"""The names, signatures and first values of the old tuner; §9 of the old calls."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import model_finetuner_compat
from model_finetuner_compat import (
    SENTENCE_TRANSFORMERS_AVAILABLE,
    FineTuningConfig,
    ModelFineTuner,
    TrainingMetrics,
    create_model_finetuner,
    quick_finetune,
)
from ragtime.config.settings import Settings
from ragtime.errors import InvalidArgumentError, RagtimeDeprecationWarning
from ragtime.services import model_finetuner
from ragtime.testing import tiny_model
from tests.compat.finetuning_samples import tuner

pytestmark = pytest.mark.filterwarnings("ignore::ragtime.errors.RagtimeDeprecationWarning")

CONFIG = {
    "base_model_name": "all-MiniLM-L6-v2",
    "output_model_path": "./fine_tuned_models",
    "batch_size": 16,
    "num_epochs": 4,
    "learning_rate": 2e-5,
    "warmup_steps": 100,
    "evaluation_steps": 500,
    "save_steps": 500,
    "max_seq_length": 512,
    "loss_function": "CosineSimilarityLoss",
    "use_amp": True,
    "early_stopping_patience": 3,
    "validation_split": 0.2,
    "random_seed": 42,
}
METRICS = ["epoch", "train_loss", "eval_loss", "eval_cosine_accuracy"]
METRICS += ["eval_manhattan_accuracy", "eval_euclidean_accuracy", "timestamp"]


def test_config_has_its_fields_in_order_with_their_defaults() -> None:
    assert [field.name for field in dataclasses.fields(FineTuningConfig)] == list(CONFIG)
    assert dataclasses.asdict(FineTuningConfig()) == CONFIG
    assert FineTuningConfig("b", "o", 1, 2, 0.1, 3, 4, 5, 6, "l", False, 7, 0.3, 8) == FineTuningConfig(
        **dict(zip(CONFIG, ["b", "o", 1, 2, 0.1, 3, 4, 5, 6, "l", False, 7, 0.3, 8], strict=True))
    )


def test_config_attributes_can_be_written() -> None:
    config = FineTuningConfig()
    config.num_epochs = 7
    assert config.num_epochs == 7


def test_training_metrics_have_their_fields() -> None:
    assert [field.name for field in dataclasses.fields(TrainingMetrics)] == METRICS
    assert dataclasses.astuple(TrainingMetrics(1, 0.5)) == (1, 0.5, None, None, None, None, None)


@pytest.mark.parametrize(
    ("call", "names"),
    [
        ("load_base_model", {"model_name": None}),
        ("load_training_data", {"data_path": ..., "format_type": "csv"}),
        ("create_loss_function", {"loss_name": None}),
        ("create_evaluator", {"val_examples": ...}),
        ("fine_tune_model", {"train_examples": ..., "val_examples": None, "model_name_suffix": None}),
        ("evaluate_model", {"model_path": ..., "test_data_path": ..., "format_type": "csv"}),
        ("convert_to_ollama_format", {"model_path": ..., "ollama_model_name": ...}),
        ("list_available_models", {}),
        ("delete_model", {"model_name": ...}),
    ],
)
def test_calls_take_their_old_arguments(call: str, names: dict[str, Any]) -> None:
    parameters = list(inspect.signature(getattr(ModelFineTuner, call)).parameters.values())[1:]
    told = {one.name: ... if one.default is inspect.Parameter.empty else one.default for one in parameters}
    assert told == names
    assert list(told) == list(names)


def test_functions_take_their_old_arguments() -> None:
    first = list(inspect.signature(quick_finetune).parameters.values())[:3]
    assert [(one.name, one.default) for one in first[1:]] == [
        ("base_model", "all-MiniLM-L6-v2"),
        ("output_path", "./fine_tuned_models"),
    ]
    assert first[0].name == "training_data_path"
    assert list(inspect.signature(create_model_finetuner).parameters) == ["config"]
    assert next(iter(inspect.signature(ModelFineTuner).parameters.values())).name == "config"


def test_records_can_be_pickled_by_their_module() -> None:
    for record in (FineTuningConfig(num_epochs=3), TrainingMetrics(1, 0.5)):
        data = pickle.dumps(record)
        assert b"model_finetuner_compat" in data
        assert pickle.loads(data) == record


def test_a_tuner_makes_its_folder_with_parents_and_has_its_first_values(tmp_path: Path) -> None:
    config = FineTuningConfig(output_model_path=str(tmp_path / "a" / "b"))
    made = ModelFineTuner(config)
    assert (tmp_path / "a" / "b").is_dir()
    assert made.config is config
    assert (made.model, made.training_history, made.best_model_path) == (None, [], None)
    assert made.best_eval_score == float("-inf")
    assert isinstance(made, model_finetuner.ModelFineTuner)


def test_without_a_config_there_are_the_defaults(tmp_path: Path) -> None:
    assert ModelFineTuner().config == FineTuningConfig()
    assert (tmp_path / "fine_tuned_models").is_dir()


def test_create_model_finetuner_is_the_class() -> None:
    config = FineTuningConfig()
    made = create_model_finetuner(config)
    assert isinstance(made, ModelFineTuner)
    assert made.config is config
    assert isinstance(create_model_finetuner().config, FineTuningConfig)


def test_a_new_config_is_taken_too(tmp_path: Path) -> None:
    config = model_finetuner.FineTuningConfig(output_dir=tmp_path / "new", num_epochs=2)
    made: Any = ModelFineTuner(config)
    assert made.config is config
    assert (tmp_path / "new").is_dir()
    assert made.list_available_models() == []


def test_something_else_as_config_is_refused() -> None:
    wrong: Any = {"num_epochs": 1}
    with pytest.raises(InvalidArgumentError, match="must be a FineTuningConfig, found dict"):
        ModelFineTuner(wrong)


def test_a_folder_that_cannot_be_made_does_not_raise(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    made = ModelFineTuner(FineTuningConfig(output_model_path=str(tmp_path / "file" / "models")))
    assert made.list_available_models() == []


@pytest.mark.parametrize("folder", [None, 3, "a\0b"])
def test_a_folder_that_is_none_does_not_raise(folder: Any) -> None:
    made = ModelFineTuner(FineTuningConfig(output_model_path=folder))
    assert made.list_available_models() == []
    assert made.delete_model("m") is False


def test_the_old_config_becomes_the_new_one() -> None:
    old = FineTuningConfig("m", "out", 8, 3, 1e-4, 10, 20, 30, 64, "ContrastiveLoss", False, 2, 0.1, 7)
    new = old.resolved(Settings.isolated())
    assert new.base_model_name == "m"
    assert new.output_dir == Path("out")
    assert (new.batch_size, new.num_epochs, new.learning_rate) == (8, 3, 1e-4)
    assert (new.warmup_steps, new.evaluation_steps, new.save_steps, new.max_seq_length) == (10, 20, 30, 64)
    assert (new.loss_function, new.precision) == ("contrastive", "float32")
    assert (new.early_stopping_patience, new.validation_split, new.random_seed) == (2, 0.1, 7)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("CosineSimilarityLoss", "auto"),
        ("TripletLoss", "info_nce"),
        ("MultipleNegativesRankingLoss", "info_nce"),
        ("ContrastiveLoss", "contrastive"),
        ("unknown", "auto"),
    ],
)
def test_losses_have_new_names(old: str, new: str) -> None:
    assert FineTuningConfig(loss_function=old).resolved(Settings.isolated()).loss_function == new


def test_amp_and_zero_steps_become_what_they_meant() -> None:
    new = FineTuningConfig(evaluation_steps=0, save_steps=-1, early_stopping_patience=0).resolved(Settings.isolated())
    assert (new.precision, new.evaluation_steps, new.save_steps) == ("auto", None, None)
    assert new.early_stopping_patience > 10**6


def test_training_without_a_model_fails(tmp_path: Path) -> None:
    made = tuner(tmp_path, loaded=False)
    assert made.fine_tune_model([]) == {"success": False, "error": "No model loaded"}


@pytest.mark.models
@pytest.mark.parametrize("examples", [None, (), np.array([]), iter(())])
def test_no_examples_of_any_kind_are_none(tmp_path: Path, examples: Any) -> None:
    assert tuner(tmp_path).fine_tune_model(examples) == {"success": False, "error": "No training examples"}


@pytest.mark.models
def test_training_without_examples_fails(tmp_path: Path) -> None:
    assert tuner(tmp_path).fine_tune_model([]) == {"success": False, "error": "No training examples"}


@pytest.mark.models
def test_load_base_model_sets_the_model(tmp_path: Path) -> None:
    made = tuner(tmp_path, loaded=False, max_seq_length=16)
    assert made.load_base_model() is True
    assert made.model is not None
    assert made.model.max_seq_length == 16


@pytest.mark.models
def test_load_base_model_takes_a_name(tmp_path: Path) -> None:
    tiny_model().save_pretrained(str(tmp_path / "other"))
    made = ModelFineTuner(FineTuningConfig(output_model_path=str(tmp_path / "models")), settings=Settings.isolated())
    assert made.load_base_model(str(tmp_path / "other")) is True
    assert made.model is not None
    assert made.model.max_seq_length == 128  # as many positions as it has, not 512


@pytest.mark.parametrize("name", ["./nowhere", ""])
def test_load_base_model_says_false_for_no_model(tmp_path: Path, name: str) -> None:
    made = ModelFineTuner(FineTuningConfig(output_model_path=str(tmp_path)), settings=Settings.isolated())
    assert made.load_base_model(name) is False
    assert made.model is None


def test_load_base_model_says_false_for_a_config_that_cannot_be(tmp_path: Path) -> None:
    assert tuner(tmp_path, loaded=False, learning_rate=-1.0).load_base_model() is False


@pytest.mark.models
@pytest.mark.parametrize(
    ("asked", "configured", "made"),
    [
        ("CosineSimilarityLoss", "TripletLoss", "CosineSimilarityLoss"),
        ("TripletLoss", "CosineSimilarityLoss", "TripletLoss"),
        ("MultipleNegativesRankingLoss", "CosineSimilarityLoss", "MultipleNegativesRankingLoss"),
        ("ContrastiveLoss", "CosineSimilarityLoss", "ContrastiveLoss"),
        ("unknown", "TripletLoss", "CosineSimilarityLoss"),
        (None, "TripletLoss", "TripletLoss"),
    ],
)
def test_create_loss_function_gives_a_loss_on_the_model(
    tmp_path: Path, asked: str | None, configured: str, made: str
) -> None:
    one = tuner(tmp_path, loss_function=configured)
    loss: Any = one.create_loss_function(asked)
    assert type(loss).__name__ == made
    assert loss.model is one.model


@pytest.mark.models
def test_a_loss_function_can_be_computed(tmp_path: Path) -> None:
    import torch

    made = tuner(tmp_path)
    assert made.model is not None
    features = [made.model.preprocess(["a kettle"]), made.model.preprocess(["a kettle"])]
    loss = made.create_loss_function("CosineSimilarityLoss")(features, torch.tensor([1.0]))
    assert loss.item() == pytest.approx(0.0, abs=1e-6)


def test_create_evaluator_gives_none_for_none(tmp_path: Path) -> None:
    made = tuner(tmp_path, loaded=False)
    assert made.create_evaluator(None) is None
    assert made.create_evaluator([]) is None
    empty: Any = np.array([])
    assert made.create_evaluator(empty) is None


@pytest.mark.models
def test_an_evaluator_can_be_called(tmp_path: Path) -> None:
    made = tuner(tmp_path)
    (tmp_path / "data.csv").write_text("query,document,label\na,a,1\nb,zzz,0\nc,yyy,0\n")
    made.config.validation_split = 0.0
    evaluator = made.create_evaluator(made.load_training_data(tmp_path / "data.csv")[0])
    assert evaluator is not None
    assert made.model is not None
    assert evaluator(made.model)["validation_spearman_cosine"] > 0


@pytest.mark.filterwarnings("always::ragtime.errors.RagtimeDeprecationWarning")
@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("FineTuningConfig", FineTuningConfig),
        ("TrainingMetrics", lambda: TrainingMetrics(1, 0.5)),
        ("ModelFineTuner", ModelFineTuner),
        ("create_model_finetuner", create_model_finetuner),
        ("quick_finetune", lambda: quick_finetune("nowhere.csv", "./nowhere", settings=Settings.isolated())),
    ],
)
def test_each_use_of_an_old_name_warns_once_at_its_place(name: str, use: Any) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        use()
    assert [(one.category, Path(one.filename).name) for one in told] == [
        (RagtimeDeprecationWarning, "test_finetuner_compat.py")
    ]
    message = str(told[0].message)
    assert message.startswith(f"model_finetuner.{name} is deprecated")
    assert "ragtime.services.model_finetuner." in message
    assert "2.0.0" in message
    assert "ragtime migrate" in message


def test_the_module_exports_the_old_names_and_the_new_metrics() -> None:
    assert "deprecated" in (model_finetuner_compat.__doc__ or "").lower()
    assert model_finetuner_compat.FineTuningMetrics is model_finetuner.FineTuningMetrics
    assert set(model_finetuner_compat.__all__) == {
        "SENTENCE_TRANSFORMERS_AVAILABLE",
        "FineTuningConfig",
        "FineTuningMetrics",
        "ModelFineTuner",
        "TrainingMetrics",
        "create_model_finetuner",
        "quick_finetune",
    }
    assert isinstance(SENTENCE_TRANSFORMERS_AVAILABLE, bool)


def test_importing_is_silent_and_loads_nothing_heavy(tmp_path: Path) -> None:
    heavy = "torch transformers sentence_transformers peft pandas datasets"
    code = f"import sys, model_finetuner_compat; print([name for name in {heavy.split()} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, check=True, cwd=tmp_path)
    assert (done.stdout.strip(), done.stderr) == (b"[]", b"")
    assert not list(tmp_path.iterdir())


def test_without_sentence_transformers_the_flag_says_so(tmp_path: Path) -> None:
    # M14: the import itself died
    code = (
        "import sys, warnings; sys.modules['sentence_transformers'] = None; import model_finetuner_compat as old; "
        "warnings.simplefilter('ignore'); "
        "print(old.SENTENCE_TRANSFORMERS_AVAILABLE, old.ModelFineTuner().load_base_model())"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == b"False False"
