"""Files that the old generator wrote are read by what is new; the fixtures are in its formats, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.dataset.reading import read_rows
from ragtime.services.training_data_gen import Lineage, TrainingExample, load_examples
from tests.compat.training_fakes import NOW
from training_data_generator_compat import TrainingDataGenerator, TrainingPair

pytestmark = pytest.mark.filterwarnings("ignore::ragtime.errors.RagtimeDeprecationWarning")

DATA = Path(__file__).parent / "data" / "training"
TABLE = DATA / "training_data_20240517_093012.csv"
METADATA = DATA / "training_metadata_20240517_093012.json"
TRIPLETS = DATA / "training_triplets_20240517_093012.csv"
OBJECT = DATA / "training_data_20240517_093012.json"
DESCALE, ACID, SIZE = "How do I descale the kettle?", 'Fill it with "citric acid",\nand wait.', "Größe: ½ Liter."
ROWS = [(DESCALE, ACID, 1.0), (DESCALE, SIZE, 0.0), ("When does the shop open?", "At nine.", 1.0)]


def test_the_csv_of_pairs() -> None:
    found = load_examples(TABLE)
    assert found == [TrainingExample(query=query, response=text, label=label) for query, text, label in ROWS]
    assert TrainingDataGenerator.load(TABLE) == found
    read = read_rows(TABLE)
    assert read.shape == "rated"
    assert sorted((row.query, row.response, row.label) for row in read.rows) == sorted(ROWS)


def test_the_csv_of_triplets() -> None:
    assert load_examples(TRIPLETS) == [TrainingExample(query=DESCALE, response=ACID, negatives=(SIZE,))]
    (row,) = read_rows(TRIPLETS).rows
    assert (row.query, row.response, row.negatives) == (DESCALE, ACID, (SIZE,))


def test_the_json_of_pairs_with_what_it_says_of_them() -> None:
    found = load_examples(OBJECT)
    assert [(one.query, one.response, one.label) for one in found] == ROWS
    assert [dict(one.metadata) for one in found] == [
        {
            "document_id": "doc-1",
            "feedback_timestamp": 1715938212.5,
            "original_rating": 5,
            "pair_type": "positive",
            "rating": 5,
        },
        {
            "document_id": "doc-2",
            "feedback_timestamp": 1715938212.5,
            "original_rating": 1,
            "pair_type": "hard_negative",
            "rating": 1,
        },
        {"pair_type": "standard"},
    ]
    assert [one.lineage for one in found] == [
        Lineage(document_ids=("doc-1",)),
        Lineage(document_ids=("doc-2",)),
        Lineage(),
    ]


def test_the_json_of_pairs_can_be_trained_on() -> None:
    read = read_rows(OBJECT)
    assert read.shape == "rated"
    assert sorted((row.query, row.response, row.label) for row in read.rows) == sorted(ROWS)
    assert read.lineage == {"documents": ("doc-1", "doc-2")}


def test_the_metadata_beside_a_csv_are_those_of_the_old_export(tmp_path: Path) -> None:
    pairs = [TrainingPair(query, text, label) for query, text, label in ROWS]
    made = TrainingDataGenerator(clock=lambda: NOW).export_training_data(pairs, output_path=tmp_path)
    table, described = (Path(name) for name in made["files"])
    assert table.read_bytes() == TABLE.read_bytes()
    old, new = (json.loads(path.read_bytes()) for path in (METADATA, described))
    assert {**new, "export_timestamp": old["export_timestamp"]} == old


def test_the_metadata_are_no_examples_and_that_is_said() -> None:
    with pytest.raises(InvalidArgumentError, match="list of objects"):
        load_examples(METADATA)


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ({"query": "q", "label": 1.0, "pair_type": "positive"}, "row 2"),
        ({"query": " ", "document": "d", "label": 1.0}, "row 2: query: Value error, Query cannot be empty"),
        ({"query": "q", "document": "d", "label": 7}, "row 2: label"),
        ({"query": "q", "document": "d", "metadata": "text"}, "row 2: metadata"),
        ("text", "row 2"),
        (None, "row 2"),
    ],
)
def test_a_wrong_pair_is_named(tmp_path: Path, pair: Any, message: str) -> None:
    good = {"query": "q", "document": "d", "label": 1.0, "pair_type": "standard", "rating": None, "metadata": {}}
    (tmp_path / "a.json").write_text(json.dumps({"training_pairs": [good, pair]}))
    with pytest.raises(InvalidArgumentError, match=message):
        load_examples(tmp_path / "a.json")


@pytest.mark.parametrize("held", [{}, {"training_pairs": None}, {"training_pairs": {}}, {"pairs": []}, 3])
def test_a_json_file_that_is_no_export_is_refused(tmp_path: Path, held: object) -> None:
    (tmp_path / "a.json").write_text(json.dumps(held))
    with pytest.raises(InvalidArgumentError, match="list of objects"):
        load_examples(tmp_path / "a.json")


def test_what_the_wrapper_writes_is_loaded(tmp_path: Path) -> None:
    pairs = [TrainingPair(query, text, label, 5, "positive", {"a": [1]}) for query, text, label in ROWS]
    made = TrainingDataGenerator(clock=lambda: NOW)
    for output_format in ("sentence_transformers", "json"):
        files = made.export_training_data(pairs, output_format, tmp_path)["files"]
        assert [(one.query, one.response, one.label) for one in load_examples(files[0])] == ROWS
    (found,) = load_examples(made.export_training_data(pairs, "triplets", tmp_path)["files"][0])
    assert (found.query, found.response, found.negatives) == (DESCALE, ACID, (SIZE,))
