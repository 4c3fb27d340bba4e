"""Reading training rows from files: every format and shape of the export, files of one's own, and broken ones."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.services.model_finetuner.dataset import read_rows
from ragtime.services.training_data_gen import Lineage, TrainingExample
from ragtime.services.training_data_gen.export import export_examples

FORMATS = ["json", "jsonl", "csv", "parquet", "jsonl.gz", "json.gz", "csv.gz", "datasets"]
EXAMPLES = [
    TrainingExample(
        query='Say "hi",\nthen =1+1',
        response="A, b\r\nc",
        negatives=("No.", "Non."),
        label=0.9,
        weak=True,
        lineage=Lineage(document_ids=("d1",), dataset_id="set"),
    ),
    TrainingExample(query="Why?", response="Because", negatives=("x",), context="Before", weight=2.0),
    TrainingExample(query="Why?", response="Wrong", label=0.25),
]
PAIRS = [(example.query, example.response) for example in EXAMPLES[:2]]
SHAPES = {
    "pairs": PAIRS,
    "triplets": [(*PAIRS[0], "No."), (*PAIRS[0], "Non."), (*PAIRS[1], "x")],
    "1-tuples": [(*PAIRS[0], "No."), (*PAIRS[1], "x")],
    "preferences": [(*PAIRS[0], "No."), (*PAIRS[0], "Non."), ("Before\n\nWhy?", "Because", "x")],
    "messages": PAIRS,
    "scored_lists": [
        {"query": example.query, "response": example.response, "negatives": example.negatives, "label": example.label}
        for example in EXAMPLES[:2]
    ],
    "labelled_pairs": [
        (*PAIRS[0], 0.9),
        (PAIRS[0][0], "No.", 0),
        (PAIRS[0][0], "Non.", 0),
        (*PAIRS[1], 1),
        ("Why?", "x", 0),
        ("Why?", "Wrong", 0.25),
    ],
}


def written(tmp_path: Path, suffix: str, shape: str) -> Path:
    if suffix in {"parquet", "datasets"}:
        pytest.importorskip("pyarrow")
    if suffix == "datasets":
        pytest.importorskip("datasets")
        export_examples(EXAMPLES, tmp_path / "made", format="datasets", shape=shape)
        return tmp_path / "made"
    export_examples(EXAMPLES, tmp_path / f"made.{suffix}", shape=shape)
    return tmp_path / f"made.{suffix}"


@pytest.mark.parametrize("suffix", FORMATS)
def test_exported_examples_are_read_whole(tmp_path: Path, suffix: str) -> None:
    read = read_rows(written(tmp_path, suffix, "examples"))
    assert read == read_rows(EXAMPLES)
    assert read.dataset_ids == ("set",)


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("shape", SHAPES)
def test_exported_shapes_are_read(tmp_path: Path, suffix: str, shape: str) -> None:
    read = read_rows(str(written(tmp_path, suffix, shape)))
    assert read == read_rows(SHAPES[shape])  # type: ignore[arg-type]


def test_several_files_are_read_together(tmp_path: Path) -> None:
    paths = [tmp_path / "a.jsonl", tmp_path / "b.csv"]
    for path, example in zip(paths, EXAMPLES, strict=False):
        export_examples([example], path, shape="examples")
    assert read_rows(paths) == read_rows([str(path) for path in paths[::-1]]) == read_rows(EXAMPLES[:2])


def test_files_of_ones_own_are_read(tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("\ufeffanchor,positive,score\na?,yes,1\nb?,no,0.2\n", encoding="utf-8")
    lines = tmp_path / "mine.ndjson"
    lines.write_text('{"anchor":"a?","positive":"yes","score":1}\n\n{"anchor":"b?","positive":"no","score":0.2}\n')
    assert read_rows(table) == read_rows(lines) == read_rows([("a?", "yes", 1), ("b?", "no", 0.2)])


def test_a_text_instead_of_a_path_is_told() -> None:
    for text in ("How long are returns free?", "How long are returns free? " * 40):
        with pytest.raises(StorageError, match=r"a text is taken as a path.*\(query, response\)"):
            read_rows(text)


def test_a_data_set_of_ragtime_is_read_with_its_id(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    export_examples(EXAMPLES, folder / "train.jsonl", shape="pairs")
    export_examples(EXAMPLES[:1], folder / "validation.jsonl", shape="pairs")
    (folder / "manifest.json").write_text(json.dumps({"format": "ragtime.dataset", "id": "abc"}))
    read = read_rows(folder)
    assert (len(read.rows), read.dataset_ids) == (2, ("abc",))
    assert read_rows(folder / "train.jsonl") == read
    assert len(read_rows(folder / "validation.jsonl").rows) == 1
    (folder / "train.jsonl").unlink()
    with pytest.raises(InvalidArgumentError, match="no part 'train'"):
        read_rows(folder)


@pytest.mark.parametrize("manifest", ["[]", "{", '{"format": "other", "id": "abc"}'])
def test_another_manifest_means_nothing(tmp_path: Path, manifest: str) -> None:
    (tmp_path / "manifest.json").write_text(manifest)
    export_examples(EXAMPLES, tmp_path / "train.jsonl")
    assert read_rows(tmp_path / "train.jsonl").dataset_ids == ()
    with pytest.raises(InvalidArgumentError, match="holds no data set"):
        read_rows(tmp_path)


def test_a_folder_with_several_splits_asks_for_one(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    one = datasets.Dataset.from_dict({"query": ["a"], "response": ["b"]})
    datasets.DatasetDict(train=one, test=one).save_to_disk(str(tmp_path / "both"))
    with pytest.raises(InvalidArgumentError, match=r"several splits.*train, test"):
        read_rows(tmp_path / "both")
    assert len(read_rows(tmp_path / "both" / "train").rows) == 1


BROKEN = [
    ("a.jsonl", '{"query":"a","response":"b"}\n{"query":', InvalidArgumentError, "a.jsonl, after row 1: no JSON"),
    ("a.jsonl", '{"query":"a","response":"b"}\n[1]', InvalidArgumentError, "row 2: expected an object, found list"),
    ("a.jsonl", '{"query":"a","response":"b","label":NaN}', InvalidArgumentError, "row 1: label.*not finite"),
    ("a.json", '{"query":"a"}', InvalidArgumentError, "a.json: expected a list of objects, found dict"),
    ("a.csv", "query,response\na,b,c\n", InvalidArgumentError, "a.csv, line 2: more cells"),
    ("a.csv", "query,response,label\na,b,good\n", InvalidArgumentError, "a.csv, after row 0: no JSON"),
    ("a.csv", "query,reply\na,b\n", InvalidArgumentError, "row 1: the column 'reply' is not known"),
    ("a.txt", "a b", InvalidArgumentError, "tells no format"),
    ("a.json.gz", "no gzip", StorageError, "BadGzipFile"),
    ("a.jsonl", b"\xff\xfe\x00", StorageError, "UnicodeDecodeError"),
    ("a.jsonl", "\n\n", InvalidArgumentError, "no training rows"),
]


@pytest.mark.parametrize(("name", "content", "error", "message"), BROKEN)
def test_broken_files_are_refused(
    tmp_path: Path, name: str, content: str | bytes, error: type[Exception], message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(error, match=message):
        read_rows(path)


def test_a_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"query":"a","response":"b"}\n' * 100)[:-9])
    with pytest.raises(StorageError, match="EOFError"):
        read_rows(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no file or folder"):
        read_rows(tmp_path / "none.jsonl")


def test_a_manifest_that_cannot_be_read_is_no_silent_loss_of_the_id(tmp_path: Path) -> None:
    export_examples(EXAMPLES, tmp_path / "train.jsonl")
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(StorageError, match=r"manifest\.json"):
        read_rows(tmp_path / "train.jsonl")
