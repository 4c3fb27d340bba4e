"""The parts of the data: what is chosen by is never what is reported."""

from __future__ import annotations

import json
from pathlib import Path

from ragtime.records import Document, RetrievalSet
from tests.benchmarks.quality_data import (
    dev_set,
    glimpse,
    glimpse_of_pages,
    halves,
    judged_examples,
    page_of,
    part_of,
    training_keys,
    unseen_questions,
)


def _judged(questions: int = 30, pages: int = 20) -> RetrievalSet:
    documents = [Document(id=f"p{number:02}", title=f"Page {number}", text="Text.") for number in range(pages)]
    queries = {f"q{number:02}": f"Question {number}?" for number in range(questions)}
    return RetrievalSet.from_documents(documents, queries, {key: {f"p{int(key[1:]) // 2:02}": 1} for key in queries})


def _lines(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_judged_examples_know_their_question_and_their_page() -> None:
    (example,) = judged_examples(_judged(), ["q05"])
    assert (example.query, example.response) == ("Question 5?", "Page 2\nText.")
    assert (page_of(example), example.lineage.query_id) == ("p02", "q05")


def test_the_order_of_training_questions_does_not_depend_on_the_file(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"id": f"q{number}", "text": "What?"} for number in range(20)]
    _lines(tmp_path / "queries-train-2048.jsonl", rows)
    _lines(tmp_path / "queries-train.jsonl", [*reversed(rows), {"id": "q20", "text": "What?"}])
    sample, every = training_keys(tmp_path, "2048"), training_keys(tmp_path, "all")
    assert sample != [row["id"] for row in rows]
    assert [key for key in every if key != "q20"] == sample


def test_validation_is_about_pages_that_no_training_question_is_about() -> None:
    train = _judged()
    trained_on = ["q00", "q03", "q08"]
    found = dev_set(train, trained_on)
    assert set(found.queries) == set(train.queries) - {"q00", "q01", "q02", "q03", "q08", "q09"}
    assert {page for key in found.queries for page in found.relevant(key)}.isdisjoint({"p00", "p01", "p04"})
    assert set(found.corpus) == set(train.corpus)  # of so few pages all are searched
    assert dev_set(train, list(reversed(trained_on))) == found


def test_halves_have_no_question_in_common_and_search_all_documents() -> None:
    first, second = halves(_judged())
    assert (len(first.queries), len(second.queries)) == (15, 15)
    assert not first.queries.keys() & second.queries.keys()
    assert first.corpus == second.corpus == _judged().corpus


def test_a_part_holds_the_answers_of_its_questions() -> None:
    part = part_of(_judged(), ["q08", "q03"], ["p19"], "part")
    assert (list(part.queries), list(part.corpus)) == (["q03", "q08"], ["p01", "p04", "p19"])


def test_glimpses_are_small_and_can_be_searched() -> None:
    seen = glimpse(_judged(), 4)
    assert len(seen.queries) == 4
    assert len(seen.corpus) <= 12
    assert all(seen.relevant(key) for key in seen.queries)


def test_a_glimpse_of_pages_holds_those_that_are_needed() -> None:
    judged = _judged()
    examples = judged_examples(judged, ["q05", "q28"])
    pages = glimpse_of_pages(judged.corpus.values(), examples, 5)
    assert len(pages) == 5
    assert {"p02", "p14"} <= {page.id for page in pages}
    assert len(glimpse_of_pages(judged.corpus.values(), examples, 1)) == 2


def test_unseen_questions_are_those_that_the_data_name(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"id": "a", "text": "?", "unseen_doc": True}]
    _lines(tmp_path / "queries-test.jsonl", [*rows, {"id": "b", "text": "?", "unseen_doc": False}])
    assert unseen_questions(tmp_path) == {"a"}
