"""Examples that exist already: lists and files, whole and damaged."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.records.training import Lineage
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.sources import BadRecord
from ragtime.services.training_data_gen.sources.examples import example_reader
from tests.services.training_data_gen.sources.reading import read

EXAMPLES = [
    TrainingExample(query="How long?", response="30 days."),
    TrainingExample(
        query="Which, and why?",
        response='Line one,\n"two".',
        context="Before.",
        negatives=("x", "y"),
        label=0.5,
        weight=2.0,
        strategy="by_hand",
        weak=True,
        metadata={"a": [1, None]},
        lineage=Lineage(document_ids=("d",), seed=3),
    ),
]


def _read(given_examples: object) -> tuple[list[TrainingExample], list[BadRecord]]:
    return read(example_reader(given_examples))


def _csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for row in rows:
            writer.writerow(
                {key: json.dumps(cell) if isinstance(cell, dict | list) else cell for key, cell in row.items()}
            )


def test_lists_and_all_kinds_of_files_give_the_same_examples(tmp_path: Path) -> None:
    rows = [example.model_dump(mode="json") for example in EXAMPLES]
    (tmp_path / "e.json").write_text(json.dumps(rows))
    (tmp_path / "e.jsonl").write_text("\n".join(map(json.dumps, rows)))
    _csv(tmp_path / "e.csv", rows)
    for source in (EXAMPLES, rows, tmp_path / "e.json", tmp_path / "e.jsonl", str(tmp_path / "e.csv")):
        assert _read(source) == (EXAMPLES, [])


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (3, "record is neither an example nor an object"),
        ({"query": " ", "response": "r"}, "query: Query cannot be empty"),
        ({"query": "q"}, "response: Field required"),
        ({"query": "q", "response": "r", "negatives": "abc"}, "negatives: "),
        ({"query": "q", "response": "r", "id": "0" * 64}, "id is not that of the content"),
        ({"query": "q", "response": "r", "surprise": 1}, "surprise: "),
        ({"query": "q", "response": "r", "metadata": {"a": "\ud800"}}, "record cannot be kept"),
    ],
)
def test_an_example_that_cannot_be_used_is_named(record: object, reason: str) -> None:
    used, bad = _read([record, EXAMPLES[0]])
    assert used == [EXAMPLES[0]]
    assert bad[0].where == "examples, record 1"
    assert bad[0].reason.startswith(reason)


def test_one_bad_row_of_a_csv_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    path.write_text('query,response,negatives\nq,r,\nq,r\nq,r,[\nq,r,,\n ,r,\nq2,r2,"[""n""]"\n')
    used, bad = _read(path)
    assert used == [
        TrainingExample(query="q", response="r"),
        TrainingExample(query="q2", response="r2", negatives=("n",)),
    ]
    assert [one.where for one in bad] == [f"e.csv, line {line}" for line in (3, 4, 5, 6)]


def test_a_csv_that_ends_in_nonsense_gives_what_came_before(tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_text("query,response\nq,r\nq," + "x" * 200_000 + "\nq2,r2\n")
    (tmp_path / "latin.csv").write_bytes(b"query,response\nq,\xff\n")
    used, bad = _read(tmp_path / "long.csv")
    assert len(used) == 1
    assert "the rest of it is not read" in bad[0].reason
    assert "the rest of it is not read" in _read(tmp_path / "latin.csv")[1][0].reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ("query", "response", "context", "negatives", "label", "weight", "metadata", "lineage", "id")


@settings(max_examples=150)
@given(st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON)) | JSON, max_size=4))
def test_no_record_ever_raises(records: list[object]) -> None:
    used, bad = _read(records)
    assert len(used) + len(bad) == len(records)


def test_a_file_of_chats_is_none_of_examples_and_that_is_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "chat.jsonl"
    path.write_text(json.dumps({"messages": [{"role": "user", "content": "How long?"}]}) + "\n")
    assert _read(path) == ([], [BadRecord("record is a chat of messages, not an example", "chat.jsonl, line 1")])
