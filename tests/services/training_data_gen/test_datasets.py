"""Data sets: parts without leaks, an evaluation set, a manifest and a card that tell the same."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from ragtime.errors import GenerationError, InvalidArgumentError, StorageError
from ragtime.services.training_data_gen import TrainingDataGenerator, load_examples, split_examples
from ragtime.services.training_data_gen.splits import split_items
from ragtime.services.training_data_gen.splitting import shared_keys
from ragtime.utils.retrieval_sets import load_retrieval_set
from tests.services.training_data_gen.real_sources import generator_of, real_sources
from tests.services.training_data_gen.test_generator import isolated, toy
from tests.services.training_data_gen.toy_strategy import toy_documents


def test_a_data_set_is_whole(tmp_path: Path) -> None:
    generator = toy(tmp_path, documents=150)
    report = generator.generate_dataset(200, ["toy"])
    folder = tmp_path / "data" / "datasets" / report.id
    assert report.folder == folder
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["id"] == report.id
    assert manifest["parts"] == dict(report.parts)
    assert sum(report.parts.values()) == 200
    assert manifest["metrics"] == report.metrics.repeatable().model_dump(mode="json", exclude={"performance"})
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    examples = load_examples(folder / "examples" / "00001.jsonl")
    assert len(examples) == 200
    pairs = {(example.query, example.response) for example in examples}
    for name, count in report.parts.items():
        part = load_examples(folder / f"{name}.jsonl")
        assert len(part) == count
        assert {(example.query, example.response) for example in part} <= pairs
    card = (folder / "README.md").read_text()
    for stage in (*report.metrics.sources, *report.metrics.stages):
        assert f"| {stage.stage} | {stage.strategy} | {stage.candidates:,} | {stage.kept:,} |" in card
    held_out = load_retrieval_set(folder / "evaluation")
    assert len(held_out.corpus) == 150
    assert set(held_out.queries.values()) == {example.query for example in load_examples(folder / "test.jsonl")}
    assert json.loads((folder / "run.json").read_text())["examples_per_second"] > 0


def test_the_same_data_set_is_made_once(tmp_path: Path) -> None:
    first = toy(tmp_path).generate_dataset(20, ["toy"], folder=tmp_path / "out")
    before = (tmp_path / "out" / "run.json").read_text()
    assert toy(tmp_path).generate_dataset(20, ["toy"], folder=tmp_path / "out").id == first.id
    assert (tmp_path / "out" / "run.json").read_text() == before
    with pytest.raises(StorageError, match="something else"):
        toy(tmp_path).generate_dataset(21, ["toy"], folder=tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "out"]


def test_too_few_examples_make_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(GenerationError, match="gave"):
        toy(tmp_path, documents=3).generate_dataset(100, ["toy"], folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strategies": []}, "strategies"),
        ({"strategies": ["toy", "no"]}, "no strategy"),
        ({"strategies": ["toy"], "shape": "pear"}, "shape"),
        ({"strategies": "toi"}, "did you mean 'toy'"),
        ({"strategies": ["toy"], "shares": {"train": 0.5}}, "shares"),
        ({"strategies": ["toy"], "shares": {}}, "shares"),
        ({"strategies": ["toy"], "shares": {"train": "x"}}, "number"),
        ({"strategies": ["toy"], "shares": 5}, "shares give each part"),
        ({"strategies": ["toy"], "shares": {"a/b": 1}}, "named by letters"),
        ({"strategies": ["toy"], "shares": {"README": 1}}, "named by letters"),
        ({"strategies": ["toy"], "format": "xml"}, "format"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path: Path, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        toy(tmp_path).generate_dataset(10, folder=tmp_path / "out", **arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_splits_share_nothing_where_rows_at_random_do(tmp_path: Path) -> None:
    examples = TrainingDataGenerator(isolated(tmp_path), documents=toy_documents(200)).generate_training_data(
        300, "toy"
    )
    split = split_examples(examples)
    where = {example.id: part for part, some in split.parts.items() for example in some}
    assert sorted(where) == sorted(example.id for example in examples)
    assert shared_keys(split_items(examples), where) == {}
    assert 0.7 < split.report.shares["train"] < 0.9  # the passages are much alike, so that components are large
    by_row = {example.id: "train" if number % 5 else "test" for number, example in enumerate(examples)}
    assert shared_keys(split_items(examples), by_row)
    again = split_examples(list(reversed(examples)))
    assert {part: {example.id for example in some} for part, some in again.parts.items()} == {
        part: {example.id for example in some} for part, some in split.parts.items()
    }


def test_other_shares_are_another_data_set(tmp_path: Path) -> None:
    reports = [
        toy(tmp_path).generate_dataset(20, "toy", shares=shares) for shares in (None, {"train": 0.5, "test": 0.5})
    ]
    assert len({report.id for report in reports}) == 2
    assert list(reports[1].parts) == ["train", "test"]


def test_nothing_cannot_be_split() -> None:
    with pytest.raises(InvalidArgumentError, match="no example"):
        split_examples([])


def test_what_cannot_be_written_is_told_before_any_work_is_done(tmp_path: Path) -> None:
    generator = toy(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    for wrong in ({"folder": tmp_path / "out"}, {"folder": tmp_path / "out" / "notes.txt"}):
        with pytest.raises(StorageError, match="holds something else"):
            generator.generate_dataset(20, ["toy"], **wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="no format"):
        generator.generate_dataset(20, ["toy"], format="xml")
    with pytest.raises(InvalidArgumentError, match="shares"):
        generator.generate_dataset(20, ["toy"], shares={"train": 0.5})
    assert not generator.metrics.sources
    assert not (tmp_path / "data").exists()


def test_an_empty_folder_is_a_place_for_a_data_set(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    report = toy(tmp_path).generate_dataset(20, ["toy"], folder=tmp_path / "out")
    assert (report.folder / "manifest.json").is_file()


def test_the_strategies_of_a_mix_do_not_cost_each_other_what_is_not_needed(tmp_path: Path) -> None:
    sources = real_sources(14)
    alone = generator_of(tmp_path / "alone", sources)
    assert len(list(alone.iter_training_data(strategy="query_based"))) >= 20
    # Most of the first two strategies' candidates are not needed; the third makes examples close to these.
    report = generator_of(tmp_path, sources).generate_dataset(30, ["augmentation", "negative_sampling", "query_based"])
    assert dict(report.metrics.balance.by_strategy) == {"augmentation": 10, "negative_sampling": 10, "query_based": 10}


def test_rows_are_told_where_they_are_another_number_than_examples(tmp_path: Path) -> None:
    generator = generator_of(tmp_path, real_sources(14))
    same = generator.generate_dataset(18, "negative_sampling", folder=tmp_path / "pairs")
    assert same.rows == same.parts
    assert "| part | examples |" in (same.folder / "README.md").read_text().splitlines()
    report = generator.generate_dataset(18, "negative_sampling", folder=tmp_path / "labelled", shape="labelled_pairs")
    for name, count in report.parts.items():
        assert len(load_examples(report.folder / f"{name}.jsonl")) == report.rows[name] >= count
    assert sum(report.parts.values()) == 18 < sum(report.rows.values())
    assert json.loads((report.folder / "manifest.json").read_text())["rows"] == report.rows
    card = (report.folder / "README.md").read_text().splitlines()
    assert "| part | examples | rows |" in card
    assert f"| train | {report.parts['train']} | {report.rows['train']} |" in card


def test_the_card_says_what_is_missing_in_a_part_and_why(tmp_path: Path) -> None:
    generator = generator_of(tmp_path, real_sources(14))
    report = generator.generate_dataset(10, "synthetic", folder=tmp_path / "out", shape="triplets")
    assert set(report.rows.values()) == {0}
    card = (report.folder / "README.md").read_text()
    train = report.parts["train"]
    assert f"- `train` leaves out {train} of its examples: it has no negatives." in card
    alone = generator.generate_dataset(1, "synthetic", folder=tmp_path / "one")
    assert alone.misses
    for name, reason in alone.misses.items():
        assert f"- `{name}` missed its share of the examples: {reason}." in (alone.folder / "README.md").read_text()


def test_the_passages_of_an_evaluation_set_are_those_of_the_examples(tmp_path: Path) -> None:
    """Personal data have the same names in both: they count from the beginning of the title."""
    documents = [
        {
            "id": f"d{number}",
            "title": f"The {word} desk, {word}@example.org",
            "text": f"At the {word} desk ask boss{number}@example.org about keys, or write to {word}@example.org.",
        }
        for number, word in enumerate(["amber", "basil", "cedar", "delta", "ember", "flint", "grove", "harbor"])
    ]
    queries = [
        {"id": f"q{number}", "text": f"Who has keys at the {word} desk?", "judgements": {f"d{number}": 1}}
        for number, word in enumerate(["amber", "basil", "cedar", "delta", "ember", "flint", "grove", "harbor"])
    ]
    generator = generator_of(tmp_path, {"documents": documents, "queries": queries})
    report = generator.generate_dataset(8, shares={"train": 0.5, "test": 0.5})
    held_out = load_retrieval_set(report.folder / "evaluation")
    examples = load_examples(report.folder / "examples" / "00001.jsonl")
    assert "example.org" not in "".join(path.read_text() for path in report.folder.rglob("*.jsonl"))
    for example in examples:
        (document_id,) = example.lineage.document_ids
        assert held_out.corpus[document_id].content == example.response
        assert "ask [email 2] about keys, or write to [email]." in example.response
