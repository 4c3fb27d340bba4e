"""What the loop learns from: what is given, and what tells one content from another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ragtime.config.settings import Settings
from ragtime.errors import GenerationError, InvalidArgumentError
from ragtime.services.conversation import ConversationManager
from ragtime.services.learning import LearningSources
from ragtime.services.learning.sources import SourceContent, read_contents
from ragtime.testing import mock_dataset
from tests.services.learning.backwards import documents_of, ratings_of, world


def contents(**given: Any) -> dict[str, SourceContent]:
    return read_contents(LearningSources(**given).opened(Settings.isolated()))


def test_what_is_given_is_named_and_nothing_is_an_error() -> None:
    assert LearningSources(feedback=[], documents=["Returns are free."]).given() == ("documents", "feedback")
    with pytest.raises(InvalidArgumentError, match="expected at least one of documents, conversations, queries"):
        LearningSources()


def test_what_an_iterator_gives_is_there_as_often_as_it_is_asked_for() -> None:
    sources = LearningSources(documents=iter(documents_of(world())))
    assert [read_contents(sources.opened(Settings.isolated()))["documents"].records for _ in range(2)] == [144, 144]


def test_content_counts_and_not_its_order_or_its_place(tmp_path: Path) -> None:
    import json

    ratings = ratings_of(world())
    path = tmp_path / "ratings.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in reversed(ratings)))
    assert contents(feedback=ratings) == contents(feedback=path) == contents(feedback=ratings[5:] + ratings[:5])
    changed = [{**ratings[0], "rating": 1}, *ratings[1:]]
    assert contents(feedback=changed) != contents(feedback=ratings)
    assert contents(feedback=[*ratings, {"query": "How?"}]) != contents(feedback=ratings)
    assert contents(feedback=[*ratings, {"query": "How?"}])["feedback"].records == len(ratings)


def test_queries_bring_their_documents_along() -> None:
    found = contents(queries=mock_dataset())
    assert {kind: content.records for kind, content in found.items()} == {"documents": 10, "queries": 30}


def test_a_new_turn_is_other_content(tmp_path: Path) -> None:
    settings = Settings.isolated(data_dir=tmp_path)
    with ConversationManager(settings, user_id="ann") as manager:
        conversation = manager.create_conversation("c1")
        conversation.add_exchange("How long are returns free?", "For 30 days.")
        before = contents(conversations=manager)
        assert contents(conversations=manager) == before
        conversation.add_exchange("And where is the label?", "In your order.")
        assert contents(conversations=manager) != before


class Breaks:
    """A source of somebody's own that fails half way."""

    def __iter__(self) -> Iterator[str]:
        yield "Returns are free."
        raise ConnectionResetError("user:secret@host")


def test_a_source_that_fails_is_named_and_its_error_not_quoted() -> None:
    with pytest.raises(GenerationError, match="documents= cannot be read: ConnectionResetError") as caught:
        contents(documents=Breaks())
    assert "secret" not in str(caught.value)
