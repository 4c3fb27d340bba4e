"""From rated answers to files in one call, as the old generator did it; §8 of the old calls."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conport_client_compat import ConPortClient
from tests.compat.training_fakes import NOW, QUERY, Client, Store, entry, generator, record
from training_data_generator_compat import TrainingDataGenerator, TrainingPair

pytestmark = pytest.mark.filterwarnings("ignore::ragtime.errors.RagtimeDeprecationWarning")

LIKE = "How do I descale the big kettle?"
STAMP = NOW.astimezone().strftime("%Y%m%d_%H%M%S")


def _rows(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    with Path(found["export"]["files"][0]).open(newline="", encoding="utf-8") as file:
        return [(row["query"], row["document"], row["label"]) for row in csv.DictReader(file)]


def test_the_whole_result_of_a_small_set(tmp_path: Path) -> None:
    made = generator(entry(5, ids=("d1", "d2")), entry(1, LIKE, ("d3",)), entry(3, "What is it that hums?", ("d4",)))
    found = made.generate_training_data()
    files = [f"training_data_{STAMP}.csv", f"training_metadata_{STAMP}.json"]
    warning = "Insufficient training data: 4 < 20"
    assert found == {
        "success": True,  # that of the export, though the set is not valid: G13, which stays
        "generation_timestamp": NOW.astimezone().replace(tzinfo=None).isoformat(),
        "feedback_period_days": 90,
        "data_statistics": {
            "total_feedback_entries": 3,
            "positive_pairs": 2,
            "negative_pairs": 1,  # without hard ones: G14, which stays
            "hard_negatives": 1,
            "total_training_pairs": 4,
        },
        "validation": {
            "valid": False,
            "warnings": [warning],
            "statistics": {
                "total_pairs": 4,
                "positive_pairs": 2,
                "negative_pairs": 2,
                "hard_negatives": 1,
                "positive_ratio": 0.5,
                "duplicate_ratio": 0.0,
                "avg_query_length": 6.2,
                "avg_document_length": 2.0,
                "query_length_range": [6, 7],
                "document_length_range": [2, 2],
            },
        },
        "export": {
            "success": True,
            "files": [str(Path("training_data", name)) for name in files],
            "format": "sentence_transformers",
            "total_pairs": 4,
        },
        "warnings": [warning],
    }
    assert json.loads(json.dumps(found)) == found
    assert sorted(path.name for path in (tmp_path / "training_data").iterdir()) == files
    assert _rows(found) == [
        (QUERY, "Document 1.", "1"),
        (QUERY, "Document 2.", "1"),
        (LIKE, "Document 3.", "0"),
        (QUERY, "Document 3.", "0"),
    ]


def _balanced() -> TrainingDataGenerator:
    good = [entry(5, f"Question number {number} about kettles", (f"d{number}",)) for number in range(10)]
    bad = [entry(1, f"Another thing that was asked {number}", (f"d{number + 10}",)) for number in range(10)]
    return generator(*good, *bad)


def test_a_valid_set_has_no_warnings_key(tmp_path: Path) -> None:
    found = _balanced().generate_training_data(output_path=str(tmp_path / "out"))
    assert (found["success"], found["validation"]["valid"]) == (True, True)
    assert "warnings" not in found
    assert found["data_statistics"]["hard_negatives"] == 0


def test_arguments_by_position(tmp_path: Path) -> None:
    old = entry(5, "An old question of somebody", timestamp=(NOW - timedelta(days=40)).timestamp())
    made = generator(entry(5), entry(1, LIKE, ("d3",)), old)
    found = made.generate_training_data(30, False, "json", str(tmp_path / "out"))
    assert found["feedback_period_days"] == 30
    assert found["data_statistics"] == {
        "total_feedback_entries": 2,
        "positive_pairs": 1,
        "negative_pairs": 1,
        "hard_negatives": 0,
        "total_training_pairs": 2,
    }
    assert found["export"]["files"] == [str(tmp_path / "out" / f"training_data_{STAMP}.json")]


def test_arguments_by_name(tmp_path: Path) -> None:
    made = generator(entry(5), entry(1, LIKE, ("d3",)))
    found = made.generate_training_data(
        days_back=7, include_hard_negatives=True, output_format="triplets", output_path=tmp_path / "out"
    )
    assert (found["success"], found["export"]["total_triplets"]) == (True, 1)


@pytest.mark.parametrize(
    "made", [TrainingDataGenerator, lambda: TrainingDataGenerator(Client(answer=OSError()), "w"), generator]
)
def test_no_feedback(made: Any) -> None:
    assert made().generate_training_data() == {
        "success": False,
        "error": "No feedback data available",
        "stage": "data_retrieval",
    }


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([entry(5, ids=[]), entry(1, ids=[])], id="G15-stored-feedback-names-no-documents"),
        [entry(3)],
        [entry(5, ids=("gone",))],
    ],
)
def test_no_pairs(entries: list[dict[str, Any]], caplog: pytest.LogCaptureFixture) -> None:
    assert generator(*entries).generate_training_data() == {
        "success": False,
        "error": "No training pairs generated",
        "stage": "pair_generation",
    }
    (told,) = [one for one in caplog.records if one.getMessage() == "No pairs can be made of the feedback"]
    assert vars(told)["without_documents"] == sum(not one["document_ids"] for one in entries)


def test_a_failed_export_is_no_success_and_told(tmp_path: Path) -> None:
    found = generator(entry(5)).generate_training_data(output_format="xml", output_path=tmp_path)
    assert found["success"] is False
    assert found["export"] == {"success": False, "error": "Unsupported format: xml"}
    assert found["validation"]["statistics"]["total_pairs"] == 1


def test_any_other_failure_is_one_of_the_pipeline() -> None:
    class Own(TrainingDataGenerator):
        def generate_positive_pairs(self, feedback: Iterable[dict[str, Any]]) -> list[TrainingPair]:  # noqa: ARG002
            raise ValueError("not today")

    made = Own(Client(record(entry())), "workspace", Store({"d1": "Document."}), clock=lambda: NOW)
    assert made.generate_training_data() == {"success": False, "error": "not today", "stage": "pipeline_execution"}


def test_methods_that_a_subclass_replaces_are_used(tmp_path: Path) -> None:
    class Own(TrainingDataGenerator):
        def get_feedback_data(self, days_back: float = 90, min_samples: int = 10) -> list[dict[str, Any]]:  # noqa: ARG002
            return [entry(5), entry(1, LIKE, ("d3",))]

        def get_document_content(self, document_ids: Any) -> dict[str, str]:
            return {one: f"Own {one}" for one in document_ids}

        def export_training_data(self, *args: Any, **kwargs: Any) -> Any:
            return {**super().export_training_data(*args, **kwargs), "own": True}

    found = Own().generate_training_data(output_path=tmp_path)
    assert {document for _, document, _ in _rows(found)} == {"Own d1", "Own d3"}
    assert found["export"]["own"] is True


def test_one_bad_entry_costs_only_itself(tmp_path: Path) -> None:  # G1, G2, G3
    bad = [
        entry(5, timestamp="2026-01-30T12:00:00Z", ids=("d2",)),
        entry(query=None),
        entry("5", ids=("d3",)),
        entry("bad"),
        entry(ids=None),
    ]
    found = generator(entry(5), *bad, entry(1, LIKE, ("d4",))).generate_training_data(output_path=tmp_path)
    assert found["success"] is True
    assert Counter(label for _, _, label in _rows(found)) == {"1": 3, "0": 2}


def test_no_document_is_both_for_one_query_because_of_hard_negatives(tmp_path: Path) -> None:  # G5
    found = generator(entry(5, ids=("d1",)), entry(1, LIKE, ("d1",))).generate_training_data(output_path=tmp_path)
    assert _rows(found) == [(QUERY, "Document 1.", "1"), (LIKE, "Document 1.", "0")]


def test_hard_negatives_never_repeat_a_pair(tmp_path: Path) -> None:  # G4, G6
    good = [entry(5, ids=tuple(f"d{number}" for number in range(5)))] * 2
    bad = [entry(1, ids=("d10",)), entry(1, LIKE, ("d11",)), entry(1, LIKE, ("d12",))]
    found = generator(*good, *bad).generate_training_data(output_path=tmp_path)
    negatives = [row for row in _rows(found) if row[2] == "0"]
    assert len(set(negatives)) == len(negatives)
    assert {document for query, document, _ in negatives if query == QUERY} == {
        "Document 10.",
        "Document 11.",
        "Document 12.",
    }
    assert found["data_statistics"]["hard_negatives"] == 2


def test_the_old_client_is_the_client(tmp_path: Path) -> None:
    client = ConPortClient("workspace")
    for number, one in enumerate([entry(5), entry(1, LIKE, ("d3",))]):
        assert client.log_custom_data("UserFeedback", f"feedback_{number}", one)
    store = Store({"d1": "Document 1.", "d3": "Document 3."})
    made = TrainingDataGenerator(client, client.get_workspace_id(), store, "mistral", clock=lambda: NOW)
    assert sorted(_rows(made.generate_training_data(output_path=tmp_path / "out"))) == [
        (LIKE, "Document 3.", "0"),
        (QUERY, "Document 1.", "1"),
        (QUERY, "Document 3.", "0"),
    ]
    assert {one.response for one in made.generate_training_data(count=2, validation=False)} <= {
        "Document 1.",
        "Document 3.",
    }


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    files = [_balanced().generate_training_data(output_path=tmp_path / name)["export"]["files"] for name in "ab"]
    assert [Path(one).read_bytes() for one in files[0]] == [Path(one).read_bytes() for one in files[1]]


@pytest.mark.parametrize(
    "call",
    ["get_feedback_data", "generate_positive_pairs", "generate_hard_negative_pairs", "export_training_data"],
)
@pytest.mark.parametrize("error", [RuntimeError("down"), Exception("down")])
def test_a_failure_of_any_kind_is_one_of_the_pipeline(tmp_path: Path, call: str, error: Exception) -> None:
    def fail(*_args: object) -> None:
        raise error

    made = type("Failing", (TrainingDataGenerator,), {call: fail})(Client(record(entry())), "w", Store({"d1": "Text."}))
    assert made.generate_training_data(0, output_path=tmp_path) == {
        "success": False,
        "error": "down",
        "stage": "pipeline_execution",
    }


def test_days_may_be_a_number_of_numpy_and_the_result_is_json(tmp_path: Path) -> None:
    days: Any = np.int64(90)
    found = generator(entry()).generate_training_data(days, output_path=tmp_path)
    assert json.loads(json.dumps(found))["feedback_period_days"] == 90
