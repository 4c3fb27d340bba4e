"""Whole training runs on a tiny real model, through the facade."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ragtime.config.settings import Settings
from ragtime.errors import BackendError, FineTuningError, InvalidArgumentError, StorageError
from ragtime.services.conversation import ConversationEmbedder
from ragtime.services.model_finetuner import FineTuningConfig, FineTuningMetrics, ModelFineTuner
from ragtime.services.training_data_gen import TrainingExample
from ragtime.testing import tiny_model
from tests.services.model_finetuner.killed_runs import rows_of

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

pytestmark = pytest.mark.models

Trainer = Callable[..., FineTuningMetrics]
STRATEGIES: dict[str, dict[str, Any]] = {
    "full": {},
    "full, lower layers frozen": {"frozen_layers": 1},
    "lora": {"strategy": "lora", "lora_rank": 4, "learning_rate": 0.02},
    "head": {"strategy": "adapter", "learning_rate": 0.02},
    "head, queries only": {"strategy": "adapter", "adapter_query_only": True, "learning_rate": 0.02},
    "ia3": {"strategy": "adapter", "adapter_method": "ia3", "learning_rate": 0.1},
    "loha": {"strategy": "adapter", "adapter_method": "loha", "lora_rank": 4, "learning_rate": 0.02},
    "lokr": {"strategy": "adapter", "adapter_method": "lokr", "lora_rank": 4, "learning_rate": 0.02},
    "oft": {"strategy": "adapter", "adapter_method": "oft", "learning_rate": 0.02},
    "quantized": {"strategy": "quantized"},
}


def _plain(path: Path) -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(path), device="cpu", local_files_only=True)


@pytest.mark.parametrize("fields", STRATEGIES.values(), ids=STRATEGIES)
def test_every_strategy_learns_and_its_folder_loads_everywhere(fields: dict[str, Any], train: Trainer) -> None:
    metrics = train(num_epochs=3, **fields)
    assert metrics.epochs[-1].loss < metrics.epochs[0].loss
    assert metrics.total_steps == metrics.planned_steps == len(metrics.steps) == 12
    texts = [query for query, _ in rows_of(5)]
    plain = _plain(metrics.model_path).encode_query(texts, normalize_embeddings=True)
    loaded = ModelFineTuner.load(metrics.model_path)
    assert np.abs(loaded.encode(texts, role="query") - plain).max() < 1e-5
    base = tiny_model().encode_query(texts, normalize_embeddings=True)
    assert np.abs(plain - base).max() > 1e-3
    documents = np.abs(_plain(metrics.model_path).encode_document(texts) - tiny_model().encode_document(texts)).max()
    assert (documents == 0) == ("adapter_query_only" in fields)
    assert len(ConversationEmbedder(encoder=loaded).embed_query("where is the lamp?")) == 32
    assert not list(metrics.model_path.rglob("*.bin"))


def test_quantized_saves_int8_weights_that_give_the_embeddings_of_training(train: Trainer) -> None:
    metrics = train(strategy="quantized")
    assert metrics.int8_path is not None
    assert metrics.rounding_difference is not None
    assert metrics.rounding_difference > 0
    texts = [query for query, _ in rows_of(5)]
    exact = ModelFineTuner.load(metrics.int8_path).encode(texts)
    rounded = ModelFineTuner.load(metrics.model_path).encode(texts)
    assert 0 < np.abs(exact - rounded).max() < 0.1


def test_the_first_twenty_steps_lose_what_the_stock_trainer_loses(train: Trainer, tmp_path: Path) -> None:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from torch.utils.data import BatchSampler, SequentialSampler
    from transformers import TrainerCallback

    from ragtime.services.model_finetuner.dataset import columns, read_rows
    from ragtime.services.model_finetuner.planning import BatchPlanner, PlanOptions, TrainingRows

    fields = {"num_epochs": 5, "batch_size": 16, "dropout": 0.0, "lr_schedule": "linear", "warmup_steps": 0}
    ours = [step.loss for step in train(validation_split=0, weight_decay=0.01, **fields).steps]

    rows = read_rows(rows_of()).rows
    texts = columns(rows, "pairs").texts
    planner = BatchPlanner(
        TrainingRows.from_lengths(np.ones((len(rows), 2), np.int64)), PlanOptions(batch_size=16), seed=42
    )
    order = [row for batch in planner.batches(epochs=5) for row in batch.rows]
    sizes = [len(batch.rows) for batch in planner.batches(epochs=5)]
    data = Dataset.from_dict({"query": [texts[0][row] for row in order], "response": [texts[1][row] for row in order]})
    model = tiny_model()
    for module in model.modules():
        if type(module).__name__ == "Dropout":
            module.p = 0.0
    for layer in model[0].auto_model.encoder.layer:
        layer.attention.self.dropout.p = 0.0
    told: list[float] = []

    class Listen(TrainerCallback):
        def on_log(self, *_: Any, logs: dict[str, float], **__: Any) -> None:
            told.extend(value for name, value in logs.items() if name == "loss")

    class Planned(BatchSampler):
        def __init__(self, dataset: Any, **_: Any) -> None:
            super().__init__(SequentialSampler(dataset), 16, drop_last=False)

        def __iter__(self) -> Any:
            start = 0
            for size in sizes:
                yield list(range(start, start + size))
                start += size

        def __len__(self) -> int:
            return len(sizes)

    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(tmp_path / "stock"),
        num_train_epochs=1,
        per_device_train_batch_size=16,
        learning_rate=3e-3,
        weight_decay=0.01,
        batch_sampler=Planned,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        seed=42,
    )
    SentenceTransformerTrainer(
        model=model,
        args=arguments,
        train_dataset=data,
        loss=MultipleNegativesRankingLoss(model, scale=20.0),
        callbacks=[Listen()],
    ).train()
    assert len(ours) == len(told) == 20
    np.testing.assert_allclose(ours, told, atol=2e-3)


# --- going on -------------------------------------------------------------------------------------------------------


def test_a_run_that_has_ended_is_not_done_again(train: Trainer) -> None:
    first = train()
    assert train() == first
    again = train(resume=False)
    assert again.model_path != first.model_path
    assert [step.loss for step in again.steps] == [step.loss for step in first.steps]


def test_other_data_or_another_configuration_is_another_run(train: Trainer) -> None:
    runs = {train(**fields).run_path for fields in ({}, {"learning_rate": 1e-3}, {"data": rows_of(40)})}
    assert len(runs) == 3


def test_what_changes_no_weight_does_not_make_another_run(train: Trainer) -> None:
    assert train().run_path == train(save_steps=1).run_path


def test_the_order_of_the_rows_changes_nothing(train: Trainer) -> None:
    assert train(rows_of()) == train(rows_of()[::-1])


def test_another_run_goes_on_only_with_what_may_differ(train: Trainer) -> None:
    first = train(lr_schedule="constant", num_epochs=1)
    with pytest.raises(FineTuningError, match=r"config\.num_epochs"):
        train(lr_schedule="constant", num_epochs=2, resume=first.run_path)
    longer = train(lr_schedule="constant", num_epochs=2, resume=first.run_path, allow_changed=["config.num_epochs"])
    at_once = train(lr_schedule="constant", num_epochs=2)
    assert longer.total_steps == 2 * first.total_steps
    assert [step.loss for step in longer.steps] == [step.loss for step in at_once.steps]
    with pytest.raises(InvalidArgumentError, match="folder"):
        train(allow_changed=["data"])
    with pytest.raises(InvalidArgumentError, match="no checkpoints"):
        train(resume="nowhere")


def test_damaged_checkpoints_are_set_aside_and_the_run_ends_the_same(train: Trainer, tmp_path: Path) -> None:
    whole = train(save_steps=1)
    broken = train(save_steps=1, output_dir=tmp_path / "broken")
    (broken.run_path / "metrics.json").unlink()
    newest = max((broken.run_path / "checkpoints").glob("checkpoint-*"))
    next(newest.glob("*.safetensors")).write_bytes(b"damaged")
    again = train(save_steps=1, output_dir=tmp_path / "broken")
    assert again.model_path == broken.model_path
    assert [step.loss for step in again.steps] == [step.loss for step in whole.steps]
    weights = [(one.model_path / "model.safetensors").read_bytes() for one in (whole, again)]
    assert weights[0] == weights[1]
    assert list((broken.run_path / "checkpoints").glob("*.damaged"))


def test_the_best_step_is_kept_and_a_run_stops_that_does_not_improve(train: Trainer) -> None:
    data = rows_of()
    metrics = train(
        data[:50], data[50:], num_epochs=30, learning_rate=0.05, evaluation_steps=1, early_stopping_patience=4
    )
    scores = {one.step: one.figures["ndcg@10"] for one in metrics.evaluations if one.step}
    assert metrics.stopped_early
    assert metrics.total_steps < metrics.planned_steps
    assert metrics.best_step == max(scores, key=lambda step: (scores[step], -step))
    assert metrics.total_steps == metrics.best_step + 4
    assert metrics.validation["ndcg@10"] == scores[metrics.best_step]


def test_the_saved_model_is_that_of_the_best_step(train: Trainer) -> None:
    data = rows_of()
    fields = {"evaluation_steps": 1, "learning_rate": 0.05, "lr_schedule": "constant", "early_stopping_patience": 50}
    metrics = train(data[:50], data[50:], num_epochs=3, **fields)
    assert metrics.best_step < metrics.total_steps
    encoder = ModelFineTuner.load(metrics.model_path)
    queries = encoder.encode([query for query, _ in data[50:]], role="query")
    passages = encoder.encode([response for _, response in data])
    found = np.argsort(-(queries @ passages.T), axis=1)[:, 0]
    assert metrics.validation["accuracy@1"] == pytest.approx(np.mean(found == np.arange(50, 60)))


def test_a_model_that_got_worse_is_told(train: Trainer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "ragtime"):
        worse = train(validation_split=0.25, validation_metric="loss", learning_rate=1.0, optimizer="sgd")
        told = "worse than its base" in caplog.text
    assert told == (worse.validation["loss"] > worse.baseline["loss"])
    assert told


def test_the_least_validation_loss_can_choose(train: Trainer) -> None:
    metrics = train(validation_split=0.25, validation_metric="loss", evaluation_steps=1, num_epochs=2)
    losses = {one.step: one.figures["loss"] for one in metrics.evaluations if one.step}
    assert metrics.best_step == min(losses, key=lambda step: (losses[step], step))
    assert metrics.validation["loss"] < metrics.baseline["loss"]


# --- data and losses ------------------------------------------------------------------------------------------------

SHAPES: dict[str, tuple[str, list[Any]]] = {
    "triplets": ("info_nce", [(query, response, "the moon is far away") for query, response in rows_of()]),
    "graded": ("cosent", [(query, response, (number % 5) / 4) for number, (query, response) in enumerate(rows_of())]),
    "rated": ("contrastive", [(query, response, number % 2) for number, (query, response) in enumerate(rows_of())]),
    "scored": (
        "margin_mse",
        [
            {"query": query, "positive": response, "negative": "the moon is far away", "score": 0.5}
            for query, response in rows_of()
        ],
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_data_choose_the_loss(shape: str, train: Trainer) -> None:
    loss, data = SHAPES[shape]
    metrics = train(data)
    chosen = {choice.name: choice for choice in metrics.choices}
    assert (metrics.data.shape, chosen["loss_function"].value) == (shape, loss)
    assert chosen["loss_function"].reason
    assert metrics.loss > 0


def test_matryoshka_prompts_and_accumulation(train: Trainer) -> None:
    metrics = train(
        matryoshka_dimensions=[8, 16],
        query_prompt="query: ",
        passage_prompt="passage: ",
        gradient_accumulation_steps=3,
        optimizer="sgd",
        lr_schedule="cosine",
    )
    assert metrics.planned_steps == 2 * 2  # batches of an epoch: 4, in steps of 3
    saved = _plain(metrics.model_path)
    assert (saved.prompts["query"], saved.prompts["document"]) == ("query: ", "passage: ")


def test_accumulated_batches_count_by_their_rows(train: Trainer) -> None:
    metrics = train(validation_split=0, gradient_accumulation_steps=4, dropout=0.0, num_epochs=1)
    single = train(validation_split=0, dropout=0.0, num_epochs=1, learning_rate=1e-12, lr_schedule="constant")
    sizes = [16, 16, 16, 12]
    assert metrics.steps[0].loss == pytest.approx(
        sum(step.loss * size for step, size in zip(single.steps, sizes, strict=True)) / 60, rel=1e-5
    )


def test_data_come_from_anywhere(train: Trainer, tmp_path: Path) -> None:
    from datasets import Dataset

    pairs = rows_of()
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps({"query": query, "response": text}) + "\n" for query, text in pairs))
    table = Dataset.from_dict({"anchor": [query for query, _ in pairs], "positive": [text for _, text in pairs]})
    dicts = [{"question": query, "answer": text} for query, text in pairs]
    runs = [train(one, num_epochs=1) for one in (pairs, path, str(path), table, dicts)]
    assert len({run.run_path for run in runs}) == 1
    examples = [TrainingExample(query=query, response=text) for query, text in pairs]
    assert train(examples, num_epochs=1).data.training_rows == runs[0].data.training_rows


def test_a_tiny_set_is_trained_on_without_validation(train: Trainer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "ragtime"):
        metrics = train(rows_of(6))
    assert (metrics.data.training_rows, metrics.data.validation_rows) == (6, 0)
    assert (metrics.best_step, metrics.validation, metrics.baseline) == (metrics.total_steps, {}, {})
    assert "no validation" in caplog.text


def test_known_answers_are_no_negatives(train: Trainer) -> None:
    data = [*rows_of(), *((query, f"indeed, {text}") for query, text in rows_of())]
    counts = [step.counts for step in train(data, validation_split=0, batch_size=120, num_epochs=1).steps]
    assert sum(one["excluded_known"] for one in counts) >= 120


# --- what goes wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ([], "no training rows"),
        ([("where?", "here"), ("who?", "here")], "nothing to tell apart"),
        ([("a query", "a text", 0.0), ("another", "other text", 0.0)], "no response fits"),
        ([{"x": "1", "y": "2"}], "query"),
        (42, "data"),
    ],
)
def test_data_that_teach_nothing_are_refused(data: Any, told: str, train: Trainer) -> None:
    with pytest.raises(ValueError, match=f"(?i){told}"):
        train(data)


def test_an_unknown_figure_is_refused_before_the_model_is_loaded(settings: Settings, tmp_path: Path) -> None:
    def load(_: FineTuningConfig) -> SentenceTransformer:
        raise AssertionError("loaded")

    config = FineTuningConfig(validation_metric="ndgc@10", output_dir=tmp_path / "models")
    with pytest.raises(InvalidArgumentError, match=r"ndcg@10"):
        ModelFineTuner(config, settings=settings, model_loader=load).train(rows_of(200))


def test_a_learning_rate_that_destroys_the_model_is_told(train: Trainer) -> None:
    with pytest.raises(FineTuningError, match="learning rate"):
        train(learning_rate=1e30, max_grad_norm=None, optimizer="sgd", num_epochs=20)


def test_an_output_that_cannot_be_written_is_told_before_the_work(train: Trainer, tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("in the way")
    with pytest.raises(StorageError, match="output_dir"):
        train(output_dir=place / "models")


def test_models_that_need_pickles_or_are_not_there_are_refused(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    tiny_model().save_pretrained(str(folder))
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    for name in (str(folder), str(tmp_path / "nowhere")):
        config = FineTuningConfig(base_model_name=name, output_dir=tmp_path / "models")
        with pytest.raises(BackendError):
            ModelFineTuner(config, settings=settings).train(rows_of())


def test_a_second_process_in_the_same_run_is_refused(train: Trainer) -> None:
    from ragtime.services.model_finetuner.training.folder import RunFolder

    metrics = train()
    with RunFolder(metrics.run_path).locked(), pytest.raises(FineTuningError, match="Another process"):
        train(resume=False)


def test_wrong_arguments_of_the_facade() -> None:
    with pytest.raises(InvalidArgumentError, match="config"):
        ModelFineTuner("full")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="settings"):
        ModelFineTuner(settings={})  # type: ignore[arg-type]
    assert ModelFineTuner().model_path is None
    with pytest.raises(BackendError):
        ModelFineTuner.load("nowhere")


# --- what a run leaves alone, and what it says ----------------------------------------------------------------------


def test_random_states_of_the_process_stay_as_they_are(train: Trainer) -> None:
    import random

    import torch

    torch.manual_seed(5)
    random.seed(5)
    before = torch.get_rng_state(), random.getstate()
    train()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]


def test_a_run_logs_its_end_once(train: Trainer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "ragtime"):
        metrics = train()
    events = [record for record in caplog.records if "finetune finished" in record.getMessage()]
    assert len(events) == 1
    assert vars(events[0])["model_path"] == str(metrics.model_path)
    assert "room 3" not in caplog.text


def test_metrics_are_kept_and_balance(train: Trainer) -> None:
    metrics = train(validation_split=0.25)
    assert FineTuningMetrics.model_validate_json((metrics.run_path / "metrics.json").read_bytes()) == metrics
    assert sum(epoch.steps for epoch in metrics.epochs) == len(metrics.steps) == metrics.total_steps
    assert metrics.data.training_rows + metrics.data.validation_rows == 60
    assert metrics.evaluations[0].step == 0
    assert all(0 <= step.padding < 0.5 for step in metrics.steps)
    about = json.loads((metrics.model_path / "ragtime.json").read_bytes())
    assert about["data"]["fingerprint"] == metrics.data.fingerprint
