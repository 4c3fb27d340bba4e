"""Simulated users of the help desk, who know which page answers their question."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from ragtime.protocols import TextEncoder
from ragtime.records import Document
from ragtime.services.learning.demo.corpus import HelpDesk, HelpDeskQuestion
from ragtime.storage.vectors import VectorIndex
from ragtime.utils.hashing import keyed_seed, keyed_uniform
from ragtime.utils.progress import track

__all__ = ["MISTAKES", "RESULTS", "USERS", "SimulatedRating", "simulate_ratings"]

USERS = 40
"""How many there are."""

RESULTS = 10
"""Pages that a user is shown for a question, each of which is rated."""

MISTAKES = 0.005
"""Share of the ratings that are the wrong way round: good for a page that does not answer, or bad for the one that
does."""

T = TypeVar("T")

_GOOD, _BAD = (4, 5), (1, 2)  # stars
_BATCH = 50  # pages or questions between two steps of the progress


class SimulatedRating(NamedTuple):
    """What a user says of one page that was found for a question.

    Attributes:
        question: The question.
        user_id: Who asked.
        page_id: The page.
        rank: Its rank, from 1.
        stars: The rating, 1 to 5.
    """

    question: HelpDeskQuestion
    user_id: str
    page_id: str
    rank: int
    stars: int

    @property
    def is_good(self) -> bool:
        """Whether it says that the page answers the question."""
        return self.stars in _GOOD

    def record(self) -> dict[str, Any]:
        """Return it as a feedback record, as ``TrainingDataGenerator`` reads them."""
        return {
            "id": f"{self.question.id}-{self.rank}",
            "user_id": self.user_id,
            "query": self.question.text,
            "document_ids": [self.page_id],
            "rank": self.rank,
            "rating": self.stars,
        }


def simulate_ratings(desk: HelpDesk, encoder: TextEncoder, *, seed: int) -> list[SimulatedRating]:
    """Let users ask what the seen pages answer, and rate each page that they are shown.

    A user rates the page that the question was taken out of with 4 or 5 stars, where it is among those shown, and all
    others with 1 or 2; a few ratings are the wrong way round. Unseen pages are not there yet.

    Args:
        desk: The help desk.
        encoder: The model that finds the pages.
        seed: Chooses who asks what, the stars, and the mistakes.

    Returns:
        The ratings, by question and rank.

    Raises:
        BackendError: The model failed.
    """
    index = _searchable(desk.seen_pages, encoder)
    ratings: list[SimulatedRating] = []
    with track("Asking", total=len(desk.asked), unit="questions") as progress:
        for some in _batches(desk.asked):
            vectors = encoder.encode([question.text for question in some], role="query")
            for question, hits in zip(some, index.search(vectors, k=RESULTS), strict=True):
                user_id = f"user-{1 + keyed_seed(seed, 'user', question.id) % USERS:02}"
                ratings += (
                    SimulatedRating(question, user_id, hit.id, rank, _stars(question, hit.id, seed))
                    for rank, hit in enumerate(hits, start=1)
                )
            progress.advance(len(some))
    return ratings


def _searchable(pages: Sequence[Document], encoder: TextEncoder) -> VectorIndex:
    index = VectorIndex(encoder.dimension, fingerprint=encoder.fingerprint("passage"))
    with track("Embedding", total=len(pages), unit="pages") as progress:
        for some in _batches(pages):
            index.add([page.id for page in some], encoder.encode([page.content for page in some]))
            progress.advance(len(some))
    return index


def _stars(question: HelpDeskQuestion, page_id: str, seed: int) -> int:
    mistaken = keyed_uniform(seed, "mistake", question.id, page_id) < MISTAKES
    stars = _GOOD if (page_id == question.page_id) is not mistaken else _BAD
    return stars[keyed_seed(seed, "stars", question.id, page_id) % len(stars)]


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[place : place + _BATCH] for place in range(0, len(items), _BATCH))
