"""Files of examples are what training takes: ``datasets`` loads each, and sentence-transformers trains a step on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragtime.backends.loading import quiet_loading
from ragtime.services.training_data_gen import TrainingExample
from ragtime.services.training_data_gen.export import export_examples
from ragtime.testing import mock_dataset, tiny_model

pytestmark = pytest.mark.models

_LOADERS = {".jsonl": "json", ".jsonl.gz": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}
_FILES = (".jsonl", ".csv", ".parquet")


@pytest.fixture(scope="module")
def examples() -> list[TrainingExample]:
    """Examples with two negatives, one with a label below half and none, and one with a context."""
    found = mock_dataset()
    passages = [document.content for document in found.corpus.values()]
    made = [
        TrainingExample(
            query=found.queries[f"{name}-0"],
            response=passages[number],
            negatives=(passages[number - 1], passages[number - 2]),
            context="User: Hello" if number == 0 else None,
        )
        for number, name in enumerate(found.corpus)
    ]
    hard = TrainingExample(query='What, "exactly"?\n=1+1', response="Line one\r\nline two, ä 🙂", label=0.25)
    return [*made, hard]


def _loaded(path: Path) -> Any:
    import datasets

    datasets.disable_progress_bars()
    return datasets.load_dataset(
        _LOADERS["".join(path.suffixes)], data_files=str(path), split="train", cache_dir=str(path.parent / "cache")
    )


def _file(examples: list[TrainingExample], folder: Path, suffix: str, shape: str) -> Path:
    path = folder / f"rows{suffix}"
    report = export_examples(examples, path, shape=shape)
    assert report.rows > 0
    return path


def _step(trainer: type[Any], arguments: type[Any], model: Any, rows: Any, loss: Any, folder: Path) -> None:
    """Train one step, and check that it was one: the loss is a number, and a weight is another."""
    before = [parameter.detach().clone() for parameter in model.parameters()]
    options = arguments(
        output_dir=str(folder / "model"),
        max_steps=1,
        per_device_train_batch_size=4,
        learning_rate=0.01,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
    )
    with quiet_loading():
        done = trainer(model=model, args=options, train_dataset=rows, loss=loss(model)).train()
    assert done.global_step == 1
    assert done.training_loss == done.training_loss
    after = [parameter.detach() for parameter in model.parameters()]
    assert any(not bool((one == other).all()) for one, other in zip(before, after, strict=True))


def _bi_encoder_step(rows: Any, loss: str, folder: Path) -> None:
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.sentence_transformer import losses

    _step(
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
        tiny_model(),
        rows,
        getattr(losses, loss),
        folder,
    )


def _cross_encoder_step(rows: Any, folder: Path) -> None:
    from sentence_transformers import CrossEncoder
    from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments, losses
    from transformers import BertConfig, BertForSequenceClassification

    tokenizer = tiny_model().tokenizer
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
        num_labels=1,
    )
    with quiet_loading():
        BertForSequenceClassification(config).save_pretrained(folder / "cross")
        tokenizer.save_pretrained(folder / "cross")
        model = CrossEncoder(str(folder / "cross"), max_length=128, device="cpu")
    _step(CrossEncoderTrainer, CrossEncoderTrainingArguments, model, rows, losses.ListNetLoss, folder)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", _FILES)
@pytest.mark.parametrize(
    ("shape", "loss", "columns"),
    [
        ("pairs", "MultipleNegativesRankingLoss", ["query", "response"]),
        ("triplets", "TripletLoss", ["query", "response", "negative"]),
        ("2-tuples", "MultipleNegativesRankingLoss", ["query", "response", "negative_1", "negative_2"]),
        ("labelled_pairs", "CosineSimilarityLoss", ["query", "response", "label"]),
    ],
)
def test_a_file_loads_and_trains_a_step(
    tmp_path: Path, examples: list[TrainingExample], suffix: str, shape: str, loss: str, columns: list[str]
) -> None:
    rows = _loaded(_file(examples, tmp_path, suffix, shape))
    assert rows.column_names == columns
    _bi_encoder_step(rows, loss, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", _FILES)
def test_scored_lists_load_and_train_a_step(tmp_path: Path, examples: list[TrainingExample], suffix: str) -> None:
    rows = _loaded(_file(examples, tmp_path, suffix, "scored_lists"))
    if suffix == ".csv":  # whose cells are texts
        rows = rows.map(lambda row: {name: json.loads(row[name]) for name in ("responses", "labels")})
    assert rows.column_names == ["query", "responses", "labels"]
    assert rows[0]["labels"][:2] == [1.0, 0.0]
    _cross_encoder_step(rows, tmp_path)


def _chat(row: dict[str, Any]) -> list[dict[str, str]]:
    found = row["messages"]
    return json.loads(found) if isinstance(found, str) else found


@pytest.mark.parametrize("suffix", _LOADERS)
def test_chats_and_preferences_load(tmp_path: Path, examples: list[TrainingExample], suffix: str) -> None:
    rows = _loaded(_file(examples, tmp_path, suffix, "messages"))
    kept = [example for example in examples if example.label > 0.5]
    assert [_chat(row)[-1]["content"] for row in rows] == [example.response for example in kept]
    assert [_chat(row)[-2]["content"] for row in rows] == [example.query for example in kept]

    rows = _loaded(_file(examples, tmp_path / "preferences", suffix, "preferences"))
    assert rows.column_names == ["prompt", "chosen", "rejected"]
    assert list(rows["rejected"]) == [negative for example in kept for negative in example.negatives]


@pytest.mark.parametrize("suffix", _LOADERS)
def test_texts_come_back_as_they_were(tmp_path: Path, examples: list[TrainingExample], suffix: str) -> None:
    rows = _loaded(_file(examples, tmp_path, suffix, "labelled_pairs"))
    expected: list[tuple[str, str, float]] = []
    for example in examples:
        expected.append((example.query, example.response, example.label))
        expected += [(example.query, negative, 0.0) for negative in example.negatives]
    assert [(row["query"], row["response"], row["label"]) for row in rows] == expected


@pytest.mark.parametrize("shape", ["pairs", "triplets", "2-tuples", "labelled_pairs", "scored_lists", "messages"])
def test_a_folder_of_datasets_has_what_a_file_has(tmp_path: Path, examples: list[TrainingExample], shape: str) -> None:
    import datasets

    export_examples(examples, tmp_path / "folder", shape=shape, format="datasets")
    folder = datasets.load_from_disk(str(tmp_path / "folder"))
    assert folder.to_list() == _loaded(_file(examples, tmp_path, ".jsonl", shape)).to_list()
