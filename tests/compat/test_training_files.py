"""Files of the old generator, byte for byte, whole or not at all; §8 of the old calls."""

from __future__ import annotations

import csv
import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.compat.training_fakes import NOW
from training_data_generator_compat import TrainingDataGenerator, TrainingPair

pytestmark = pytest.mark.filterwarnings("ignore::ragtime.errors.RagtimeDeprecationWarning")

STAMP = NOW.astimezone().strftime("%Y%m%d_%H%M%S")
LOCAL = NOW.astimezone().replace(tzinfo=None).isoformat()
PAIRS: list[Any] = [
    ('Say "hi", please', "A document,\nof two lines", 1.0, 5, "positive", {"document_id": "d1"}),
    ('Say "hi", please', "Größe: ½", 0.0, 1, "negative", {"document_id": "d2"}),
    ("Other", "Hard", 0.0, 2, "hard_negative", None),
]
"""Made into pairs by ``_export``."""
FORMATS = ["sentence_transformers", "triplets", "json"]


def _export(pairs: Any = PAIRS, *args: Any, **kwargs: Any) -> dict[str, Any]:
    made = pairs and [TrainingPair(*one) if isinstance(one, tuple) else one for one in pairs]
    found: dict[str, Any] = TrainingDataGenerator(clock=lambda: NOW).export_training_data(made, *args, **kwargs)
    return found


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_csv_of_pairs_by_default_in_the_folder_training_data(tmp_path: Path) -> None:
    table, metadata = f"training_data_{STAMP}.csv", f"training_metadata_{STAMP}.json"
    found = _export()
    assert found == {
        "success": True,
        "files": [str(Path("training_data", table)), str(Path("training_data", metadata))],
        "format": "sentence_transformers",
        "total_pairs": 3,
    }
    folder = tmp_path / "training_data"
    assert _names(folder) == [table, metadata]
    assert (folder / table).read_bytes() == (
        'query,document,label\r\n"Say ""hi"", please","A document,\nof two lines",1\r\n'
        '"Say ""hi"", please",Größe: ½,0\r\nOther,Hard,0\r\n'
    ).encode()
    assert json.loads((folder / metadata).read_bytes()) == {
        "export_timestamp": LOCAL,
        "total_pairs": 3,
        "format": "sentence_transformers",
        "pair_statistics": {"positive": 1, "negative": 2, "hard_negatives": 1},
    }


def test_callers_find_the_data_file_by_its_name(tmp_path: Path) -> None:
    _export(PAIRS, "sentence_transformers", str(tmp_path / "a" / "b"))
    (found,) = (tmp_path / "a" / "b").glob("training_data_*.csv")
    with found.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["query"], row["document"], int(row["label"])) for row in rows] == [one[:3] for one in PAIRS]


def test_triplets_are_each_positive_with_each_negative_of_its_query(tmp_path: Path) -> None:
    pairs = [
        TrainingPair("a", "good 1", 1.0),
        TrainingPair("b", "good", 1.0),
        TrainingPair("a", "bad 1", 0.0, pair_type="negative"),
        TrainingPair("a", "good 2", 1.0),
        TrainingPair("a", "bad 2", 0.0, pair_type="hard_negative"),
        TrainingPair("c", "bad", 0.0),
    ]
    found = _export(pairs, output_format="triplets", output_path=str(tmp_path / "out"))
    path = tmp_path / "out" / f"training_triplets_{STAMP}.csv"
    assert found == {"success": True, "files": [str(path)], "format": "triplets", "total_triplets": 4}
    assert path.read_bytes() == (
        b"anchor,positive,negative\r\na,good 1,bad 1\r\na,good 1,bad 2\r\na,good 2,bad 1\r\na,good 2,bad 2\r\n"
    )


def test_no_triplets_are_no_success_and_no_file(tmp_path: Path) -> None:  # G18
    found = _export([TrainingPair("a", "b", 1.0), TrainingPair("c", "d", 0.0)], "triplets", str(tmp_path / "out"))
    assert found["success"] is False
    assert "No triplets" in found["error"]
    assert _names(tmp_path / "out") == []


def test_json(tmp_path: Path) -> None:
    found = _export(PAIRS, "json", tmp_path / "out")
    path = tmp_path / "out" / f"training_data_{STAMP}.json"
    assert found == {"success": True, "files": [str(path)], "format": "json", "total_pairs": 3}
    text = path.read_text(encoding="utf-8")
    assert "Größe: ½" in text
    assert json.loads(text) == {
        "export_timestamp": LOCAL,
        "total_pairs": 3,
        "training_pairs": [
            {"query": q, "document": d, "label": label, "pair_type": kind, "rating": rating, "metadata": metadata}
            for q, d, label, rating, kind, metadata in PAIRS
        ],
    }


@pytest.mark.parametrize("label", [0.5, 0.25, 1, 0, 1.0, 0.0])
def test_whole_labels_are_integers_and_others_stay(tmp_path: Path, label: float) -> None:  # G10
    found = _export([TrainingPair("q", "d", label)], output_path=tmp_path)
    with Path(found["files"][0]).open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["label"]) == label
    assert row["label"] == (str(int(label)) if label in {0, 1} else str(label))


@pytest.mark.parametrize("output_format", FORMATS)
def test_two_exports_of_one_second_are_both_there(tmp_path: Path, output_format: str) -> None:  # G11
    found = [_export(PAIRS[: 2 + number], output_format, tmp_path) for number in range(2)]
    found += [_export(PAIRS, output_format, tmp_path)]
    files = [name for one in found for name in one["files"]]
    assert sorted(files) == [str(tmp_path / name) for name in _names(tmp_path)]
    assert len(set(files)) == len(files)
    stamps = [Path(one["files"][0]).stem.removesuffix(".csv").split("_", 2)[2] for one in found]
    assert stamps == [STAMP, f"{STAMP}_2", f"{STAMP}_3"]
    if output_format == "sentence_transformers":
        totals = [json.loads(Path(one["files"][1]).read_bytes())["total_pairs"] for one in found]
        assert totals == [one["total_pairs"] for one in found] == [2, 3, 3]
        assert all(
            Path(one["files"][1]).name == f"training_metadata_{stamp}.json"
            for one, stamp in zip(found, stamps, strict=True)
        )


def test_exports_of_many_threads_are_all_there(tmp_path: Path) -> None:  # G11
    found: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda: found.append(_export(PAIRS, output_path=tmp_path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(name for one in found for name in one["files"]) == [str(tmp_path / name) for name in _names(tmp_path)]
    assert len(_names(tmp_path)) == 16


@pytest.mark.parametrize("nothing", [[], None])
def test_no_pairs(tmp_path: Path, nothing: Any) -> None:
    assert _export(nothing, output_path=tmp_path / "out") == {"success": False, "error": "No training pairs to export"}
    assert not (tmp_path / "out").exists()


def test_unknown_format(tmp_path: Path) -> None:
    assert _export(PAIRS, "xml", tmp_path) == {"success": False, "error": "Unsupported format: xml"}
    assert _names(tmp_path) == []


@pytest.mark.parametrize(
    ("output_format", "bad"),
    [
        *((one, [3]) for one in FORMATS),
        *((one, [("q", "lone \ud800", 1.0), ("q", "d", 0.0)]) for one in FORMATS),
        *((one, [("q", "d", None), ("q", "e", 0.0)]) for one in FORMATS[:2]),
        ("json", [("q", "d", float("nan"))]),
    ],
)
def test_a_failure_is_told_and_leaves_no_file(tmp_path: Path, output_format: str, bad: list[Any]) -> None:
    found = _export(bad, output_format, tmp_path)
    assert found == {"success": False, "error": found["error"]}
    assert found["error"]
    assert _names(tmp_path) == []


def test_a_failed_json_export_leaves_no_file(tmp_path: Path) -> None:  # G17
    pairs = [*PAIRS, ("q", "d", 1.0, None, "standard", {"when": NOW})]
    found = _export(pairs, "json", tmp_path)
    assert found["success"] is False
    assert "datetime" in found["error"]
    assert _names(tmp_path) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = _export(PAIRS, output_path=str(tmp_path / "file" / "out"))
    assert found["success"] is False
    assert "file" in found["error"]


def test_a_table_without_its_metadata_does_not_stay(tmp_path: Path) -> None:
    (tmp_path / f"training_metadata_{STAMP}.json").symlink_to(tmp_path / "folder" / "x")
    (tmp_path / "folder").write_text("in the way")
    found = _export(PAIRS, output_path=tmp_path)
    assert found["success"] is False
    assert _names(tmp_path) == ["folder", f"training_metadata_{STAMP}.json"]


def test_the_stamp_is_local_time(tmp_path: Path) -> None:
    moment = NOW + timedelta(hours=5, seconds=7)
    pairs = [TrainingPair(*one) for one in PAIRS]
    found = TrainingDataGenerator(clock=lambda: moment).export_training_data(pairs, "json", tmp_path)
    assert Path(found["files"][0]).name == f"training_data_{moment.astimezone():%Y%m%d_%H%M%S}.json"


@given(
    rows=st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.text(), st.sampled_from([0.0, 1.0])), min_size=1
    )
)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_text_comes_back_from_the_csv(tmp_path: Path, rows: list[tuple[str, str, float]]) -> None:
    rows = [(query, document.encode("utf-8", "replace").decode(), label) for query, document, label in rows]
    found = _export(rows, output_path=tmp_path)
    with Path(found["files"][0]).open(newline="", encoding="utf-8") as file:
        back = [(row["query"], row["document"], float(row["label"])) for row in csv.DictReader(file)]
    assert back == rows


@pytest.mark.parametrize("number", [np.int64, np.float32, np.float64])
@pytest.mark.parametrize("output_format", FORMATS)
def test_labels_and_ratings_may_be_numbers_of_numpy(tmp_path: Path, output_format: str, number: Any) -> None:
    pairs = [(one[0], one[1], number(one[2]), number(one[3]), *one[4:]) for one in PAIRS]
    found = _export(pairs, output_format, tmp_path / "numpy")
    plain = _export(PAIRS, output_format, tmp_path / "plain")
    assert found["success"], found
    for one, other in zip(found["files"], plain["files"], strict=True):
        if one.endswith(".csv"):
            assert Path(one).read_bytes() == Path(other).read_bytes()
        else:
            assert json.loads(Path(one).read_bytes()) == json.loads(Path(other).read_bytes())


@pytest.mark.parametrize("label", [float("nan"), float("inf")])
@pytest.mark.parametrize("output_format", ["sentence_transformers", "json"])
def test_a_label_that_is_not_finite_is_a_failure(tmp_path: Path, output_format: str, label: float) -> None:
    found = _export([("q", "d", label)], output_format, tmp_path)
    assert found["success"] is False
    assert _names(tmp_path) == []


@pytest.mark.parametrize("output_format", [None, [], {}])
def test_a_format_that_is_no_text_is_unknown_too(tmp_path: Path, output_format: Any) -> None:
    assert _export(PAIRS, output_format, tmp_path) == {
        "success": False,
        "error": f"Unsupported format: {output_format}",
    }


def test_pairs_that_fail_in_a_way_of_their_own_are_a_failure(tmp_path: Path) -> None:
    class Odd(TrainingPair):
        def __getattribute__(self, name: str) -> Any:
            if name == "document":
                raise RuntimeError("no document")
            return super().__getattribute__(name)

    assert _export([Odd("q", "d", 1.0)], "json", tmp_path) == {"success": False, "error": "no document"}
