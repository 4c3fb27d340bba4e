"""Files of examples: every shape and format, whole or not at all, and back."""

from __future__ import annotations

import csv
import gzip
import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.services.training_data_gen import Lineage, TrainingExample, load_examples
from ragtime.services.training_data_gen.export import export_examples
from tests.services.training_data_gen.test_example import EXAMPLES

FORMATS = ["json", "jsonl", "csv", "parquet", "jsonl.gz", "json.gz", "csv.gz"]
SHAPES = ["pairs", "triplets", "2-tuples", "labelled_pairs", "scored_lists"]
GOOD = TrainingExample(query='Say "hi",\nthen =1+1', response="A, b\r\nc", negatives=("No.", "Non."), label=0.9)
BAD = TrainingExample(query="What?", response="Wrong", label=0.0)
BARE = TrainingExample(query="Why?", response="Because", context="Before")
ALL = [GOOD, BAD, BARE]


def _needs(suffix: str) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")


@pytest.mark.parametrize("suffix", FORMATS)
@given(examples=st.lists(EXAMPLES, max_size=4))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_examples_come_back_equal(tmp_path: Path, suffix: str, examples: list[TrainingExample]) -> None:
    _needs(suffix)
    path = tmp_path / f"examples.{suffix}"
    report = export_examples(examples, path, shape="examples")
    assert load_examples(path) == examples
    assert (report.examples, report.rows, report.left_out) == (len(examples), len(examples), {})
    before = path.read_bytes()
    export_examples(examples, path, shape="examples")
    assert path.read_bytes() == before


def test_a_folder_of_datasets_comes_back_equal(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    export_examples(ALL, tmp_path / "made", format="datasets", shape="examples")
    assert load_examples(tmp_path / "made", format="datasets") == ALL
    assert datasets.load_from_disk(str(tmp_path / "made")).num_rows == 3
    with pytest.raises(StorageError, match="exists"):
        export_examples(ALL, tmp_path / "made", format="datasets")


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_say_what_they_leave_out(tmp_path: Path, shape: str, suffix: str) -> None:
    _needs(suffix)
    path = tmp_path / f"examples.{suffix}"
    report = export_examples(ALL, path, shape=shape)
    wrong, bare = "its response does not fit its query", "it has no negatives"
    expected = {
        "pairs": (2, {wrong: 1}),
        "triplets": (2, {wrong: 1, bare: 1}),
        "2-tuples": (1, {wrong: 1, "it has fewer than 2 negatives": 1}),
        "labelled_pairs": (5, {}),
        "scored_lists": (1, {bare: 2}),
    }
    assert (report.rows, report.left_out) == expected[shape]
    loaded = load_examples(path)
    assert len(loaded) == report.rows
    assert (loaded[0].query, loaded[0].response) == (GOOD.query, GOOD.response)
    if shape in {"2-tuples", "scored_lists"}:
        assert loaded[0].negatives == GOOD.negatives


def test_chats_and_preferences(tmp_path: Path) -> None:
    export_examples([BARE], tmp_path / "chat.jsonl", shape="messages")
    assert json.loads((tmp_path / "chat.jsonl").read_text()) == {
        "messages": [
            {"role": "system", "content": "Before"},
            {"role": "user", "content": "Why?"},
            {"role": "assistant", "content": "Because"},
        ]
    }
    export_examples([GOOD], tmp_path / "preferences.json", shape="preferences")
    rows = json.loads((tmp_path / "preferences.json").read_text())
    assert [row["rejected"] for row in rows] == ["No.", "Non."]
    assert {row["chosen"] for row in rows} == {GOOD.response}


def test_passages_are_no_answers(tmp_path: Path) -> None:
    made = GOOD.model_copy(update={"strategy": "synthetic"})
    spoken = made.model_copy(update={"metadata": {"kind": "preference"}})
    for shape, reason in (
        ("messages", "its response is a passage and no answer"),
        ("preferences", "its negatives are passages and no answers"),
    ):
        report = export_examples([made, spoken], tmp_path / f"{shape}.jsonl", shape=shape)
        assert report.left_out == {reason: 1}
        assert report.rows == (2 if shape == "preferences" else 1)


def test_a_csv_for_spreadsheets_computes_nothing(tmp_path: Path) -> None:
    example = TrainingExample(query="=1+1", response="@x")
    for safe, expected in ((False, ["=1+1", "@x"]), (True, ["'=1+1", "'@x"])):
        export_examples([example], tmp_path / "a.csv", safe_for_spreadsheets=safe)
        with (tmp_path / "a.csv").open(newline="") as file:
            assert list(csv.reader(file))[1] == expected
    with pytest.raises(InvalidArgumentError, match="CSV"):
        export_examples([example], tmp_path / "a.json", safe_for_spreadsheets=True)


def test_compressed_files_do_not_tell_the_time(tmp_path: Path) -> None:
    export_examples(ALL, tmp_path / "a.csv.gz")
    data = (tmp_path / "a.csv.gz").read_bytes()
    assert data[4:8] == b"\0\0\0\0"
    assert gzip.decompress(data).startswith(b"query,response\r\n")


def test_a_failure_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    def failing():
        yield GOOD
        raise RuntimeError("broken")

    formats = [suffix for suffix in FORMATS if suffix != "parquet" or find_spec("pyarrow")]
    for suffix in formats:
        path = tmp_path / f"a.{suffix}"
        path.write_text("before")
        with pytest.raises(RuntimeError):
            export_examples(failing(), path)
        assert path.read_text() == "before"
    assert {path.name for path in tmp_path.iterdir()} == {f"a.{suffix}" for suffix in formats}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.xlsx", {}, "tells no format"),
        ("a", {"format": "xml"}, "no format 'xml'"),
        ("a.csv", {"shape": "pair"}, "did you mean 'pairs'"),
        ("a.parquet.gz", {}, "'a.parquet.gz' ends with .gz, but Parquet compresses itself; leave the .gz out"),
        ("a.GZ", {"format": "parquet"}, "Parquet compresses itself"),
        ("a.csv", {"shape": "0-tuples"}, "no shape"),
        ("a.csv", {"shape": "-tuples"}, "no shape"),
    ],
)
def test_unknown_formats_and_shapes_are_refused(
    tmp_path: Path, name: str, options: dict[str, str], message: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        export_examples(ALL, tmp_path / name, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "a.jsonl",
            '{"query": "q", "response": "r"}\n{"query": " ", "response": "r"}\n',
            "row 2.*Query cannot be empty",
        ),
        ("a.jsonl", '{"query": "q"}\n', "row 1"),
        ("a.jsonl", "[1]\n", "row 1"),
        ("a.jsonl", "{\n", "no JSON"),
        ("a.json", '{"a": 1}', "list of objects"),
        ("a.csv", "a,b\n1,2\n", "row 1"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InvalidArgumentError, match=message):
        load_examples(tmp_path / name)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("shape", ["messages", "preferences"])
def test_chats_and_preferences_cannot_be_read_back_and_that_is_said(tmp_path: Path, shape: str, suffix: str) -> None:
    _needs(suffix)
    path = tmp_path / f"a.{suffix}"
    export_examples([GOOD], path, shape=shape)
    with pytest.raises(InvalidArgumentError, match=f"row 1: found a row of shape '{shape}', which cannot be read back"):
        load_examples(path)


def test_an_unreadable_file_is_an_error_of_storage(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        load_examples(tmp_path / "missing.jsonl")
    (tmp_path / "a.json.gz").write_bytes(b"no gzip")
    with pytest.raises(StorageError):
        load_examples(tmp_path / "a.json.gz")
    (tmp_path / "a.csv").write_bytes(b"query,response\n\xff,x\n")
    with pytest.raises(StorageError):
        load_examples(tmp_path / "a.csv")


def test_lineage_survives_a_table(tmp_path: Path) -> None:
    example = GOOD.model_copy(update={"lineage": Lineage(document_ids=("a",), span=(0, 2), turn_ids=("t",))})
    export_examples([example], tmp_path / "a.csv", shape="examples")
    assert load_examples(tmp_path / "a.csv") == [example]
