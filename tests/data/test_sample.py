"""The packaged sample: whole, consistent, without near-duplicates, and with questions that stay out of training."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

import pytest

from ragtime.data import (
    sample_conversations,
    sample_documents,
    sample_feedback,
    sample_path,
    sample_retrieval_set,
)
from ragtime.records import Document, RetrievalSet
from ragtime.services.conversation import Conversation
from ragtime.utils.hashing import canonical_json

FILES = ("conversations.jsonl", "feedback.jsonl", "passages.jsonl", "questions.jsonl")
NEAR = 0.6  # Jaccard similarity from which questions count as the same


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    return sample_documents()


@pytest.fixture(scope="module")
def reserved() -> RetrievalSet:
    return sample_retrieval_set(reserved=True)


@pytest.fixture(scope="module")
def others() -> RetrievalSet:
    return sample_retrieval_set(reserved=False)


@pytest.fixture(scope="module")
def conversations() -> list[dict[str, Any]]:
    return list(sample_conversations())


def _normalised(text: str) -> str:
    kept = "".join(character if character.isalnum() else " " for character in text.casefold())
    return " ".join(kept.split())


def _letters(text: str) -> frozenset[str]:
    """The runs of three letters of a text, spaces included."""
    text = f" {_normalised(text)} "
    return frozenset(text[place : place + 3] for place in range(len(text) - 2))


def _shingles(text: str, length: int = 5) -> frozenset[tuple[str, ...]]:
    words = _normalised(text).split()
    return frozenset(tuple(words[place : place + length]) for place in range(len(words) - length + 1))


def _jaccard(one: frozenset[Any], other: frozenset[Any]) -> float:
    return len(one & other) / len(one | other)


def _nearest(reserved: Iterable[str], texts: Iterable[str]) -> tuple[float, str, str]:
    known = [(text, _letters(text)) for text in texts]
    pairs = ((text, _letters(text)) for text in reserved)
    return max((_jaccard(own, letters), text, other) for text, own in pairs for other, letters in known)


def _turns(conversations: Iterable[dict[str, Any]], role: str) -> list[dict[str, Any]]:
    return [turn for one in conversations for turn in one["turns"] if turn["role"] == role]


def _stars(turn: dict[str, Any]) -> float | None:
    given = [one["stars"] for one in turn.get("feedback", [])]
    return sum(given) / len(given) if given else None


@pytest.mark.parametrize("name", FILES)
def test_each_file_is_canonical_and_sorted(name: str) -> None:
    text = (sample_path() / name).read_bytes().decode()
    lines = text.splitlines()
    rows = [json.loads(line) for line in lines]
    assert text.endswith("\n")
    assert lines == [canonical_json(row) for row in rows]
    ids = [row["feedback_id" if name == "feedback.jsonl" else "id"] for row in rows]
    assert ids == sorted(set(ids))


def test_the_data_of_the_package_stay_small() -> None:
    assert sum((sample_path() / name).stat().st_size for name in FILES) < 1_500_000


def test_passages_are_short_sections_of_about_thirty_pages(documents: list[Document]) -> None:
    assert 280 <= len(documents) <= 300
    pages = defaultdict(list)
    for document in documents:
        assert document.title
        assert 40 <= len(document.text.split()) <= 160, document.id
        assert set(document.metadata) == {"page", "section"}
        pages[document.id.partition("/")[0]].append(document)
    assert 28 <= len(pages) <= 32
    assert all(5 <= len(some) <= 15 for some in pages.values())
    for some in pages.values():  # one page, one heading, in one section
        assert len({(one.metadata["page"], one.metadata["section"]) for one in some}) == 1


def test_no_two_passages_say_the_same(documents: list[Document]) -> None:
    shingles = [(document.id, _shingles(document.text)) for document in documents]
    near = [(a, b) for (a, one), (b, other) in combinations(shingles, 2) if len(one & other) > len(one | other) / 20]
    assert near == []
    assert len({_normalised(document.text) for document in documents}) == len(documents)


def test_exactly_a_hundred_questions_are_reserved(
    reserved: RetrievalSet, others: RetrievalSet, documents: list[Document]
) -> None:
    assert (reserved.name, others.name) == ("sample-reserved", "sample")
    assert len(reserved.judged_queries) == len(reserved.queries) == 100
    assert len(others.judged_queries) == len(others.queries) >= 320
    assert list(reserved.corpus) == list(others.corpus) == [document.id for document in documents]


def test_reserved_questions_ask_about_every_page(reserved: RetrievalSet, documents: list[Document]) -> None:
    asked = Counter()
    for query in reserved.queries:
        asked.update({key.partition("/")[0] for key in reserved.relevant(query)})
    assert set(asked) == {document.id.partition("/")[0] for document in documents}
    assert min(asked.values()) >= 2


def test_judgements_are_grades_of_few_passages(reserved: RetrievalSet, others: RetrievalSet) -> None:
    judged = [one for some in (reserved, others) for one in some.judgements.values()]
    assert all({*grades.values()} <= {1, 2, 3} and 3 in grades.values() and len(grades) <= 4 for grades in judged)
    assert sum(len(grades) > 1 for grades in judged) >= 100
    known = {key for grades in judged for key in grades}
    assert known == set(reserved.corpus)  # each passage is asked for


def test_no_question_stands_twice(reserved: RetrievalSet, others: RetrievalSet) -> None:
    texts = [_normalised(text) for some in (reserved, others) for text in some.queries.values()]
    assert [text for text, count in Counter(texts).items() if count > 1] == []


def test_nothing_that_training_sees_resembles_a_reserved_question(
    reserved: RetrievalSet, others: RetrievalSet, conversations: list[dict[str, Any]]
) -> None:
    asked = reserved.queries.values()
    seen = {
        "questions": list(others.queries.values()),
        "conversations": [turn["content"] for turn in _turns(conversations, "user")],
        "feedback": [record["query"] for record in sample_feedback()],
    }
    for source, texts in seen.items():
        likeness, question, other = _nearest(asked, texts)
        assert likeness <= NEAR, (source, question, other)


def test_conversations_are_read_and_written_by_the_library(conversations: list[dict[str, Any]]) -> None:
    assert len(conversations) >= 70
    for data in conversations:
        conversation = Conversation.from_dict(data)
        assert canonical_json(conversation.to_dict()) == canonical_json(data)
        assert 4 <= len(conversation.get_interactions()) <= 15


def test_answers_cite_passages(conversations: list[dict[str, Any]], documents: list[Document]) -> None:
    known = {document.id for document in documents}
    answers = _turns(conversations, "assistant")
    cited = [key for turn in answers for key in turn.get("document_ids", [])]
    assert set(cited) <= known
    assert any(not turn.get("document_ids") for turn in answers)
    assert len(set(cited)) >= 150


def test_conversations_yield_enough_well_answered_questions(conversations: list[dict[str, Any]]) -> None:
    answered = set()
    for data in conversations:
        turns = {turn["id"]: turn for turn in data["turns"]}
        for turn in data["turns"]:
            stars = _stars(turn)
            if turn["role"] == "assistant" and turn.get("document_ids") and (stars is None or stars >= 3):
                asked = turns[turn["parent_id"]]
                while asked["role"] != "user":  # past the call of a tool
                    asked = turns[asked["parent_id"]]
                answered.add(asked["id"])
    assert len(answered) >= 260


def test_conversations_yield_preference_pairs(conversations: list[dict[str, Any]]) -> None:
    pairs = 0
    for data in conversations:
        turns = {turn["id"]: turn for turn in data["turns"]}
        for turn in data["turns"]:
            origin = turn.get("metadata", {}).get("regenerated_from")
            if origin is not None:
                first, second = turns[origin], turn
                assert first["parent_id"] == second["parent_id"]
                assert first["content"] != second["content"]
                pairs += abs(_stars(second) - _stars(first)) >= 1
    assert pairs >= 40


def test_conversations_hold_every_kind_of_turn(conversations: list[dict[str, Any]]) -> None:
    kinds = Counter(turn["role"] for one in conversations for turn in one["turns"])
    assert set(kinds) == {"system", "user", "assistant", "tool"}
    turns = [turn for one in conversations for turn in one["turns"]]
    assert any(turn.get("tool_calls") for turn in turns)
    assert any(len(turn.get("feedback", ())) > 1 for turn in turns)
    users = Counter(one["user_id"] for one in conversations)
    assert max(users.values()) > 1  # somebody came back


def test_times_are_fixed_and_run_forward(conversations: list[dict[str, Any]]) -> None:
    for data in conversations:
        times = {turn["id"]: datetime.fromisoformat(turn["created_at"]) for turn in data["turns"]}
        assert all(time.year == 2026 for time in times.values())
        for turn in data["turns"]:
            assert turn["parent_id"] is None or times[turn["parent_id"]] < times[turn["id"]]
            given = [datetime.fromisoformat(one["created_at"]) for one in turn.get("feedback", ())]
            assert all(times[turn["id"]] < time for time in given)
    stamps = [record["timestamp"] for record in sample_feedback()]
    assert stamps == sorted(stamps)
    assert {datetime.fromtimestamp(stamp, UTC).year for stamp in stamps} == {2026}


def test_feedback_has_the_shape_of_the_old_records(documents: list[Document]) -> None:
    records = sample_feedback()
    assert len(records) >= 250
    known = {document.id for document in documents}
    for record in records:
        assert set(record) == {
            "feedback_id",
            "timestamp",
            "session_id",
            "rating",
            "query",
            "response",
            "detailed_feedback",
            "document_ids",
            "metadata",
            "conversation_context",
        }
        assert isinstance(record["timestamp"], float)
        assert record["rating"] in {1, 2, 3, 4, 5}
        assert set(record["detailed_feedback"]) == {"relevance", "completeness", "length", "comments"}
        assert set(record["conversation_context"]) == {"history_length", "is_follow_up"}
        assert set(record["document_ids"]) <= known
    ratings = Counter(record["rating"] for record in records)
    assert set(ratings) == {1, 2, 3, 4, 5}
    assert sum(record["rating"] >= 4 and record["document_ids"] != [] for record in records) >= 200
    assert any(not record["document_ids"] for record in records)
    assert any(record["response"].startswith("<p>") for record in records)
