"""A small search over real text, offline: what ``ragtime demo`` shows while the learning loop is being built."""

from __future__ import annotations

import time
from typing import NamedTuple

from ragtime.backends.encoders.factory import create_encoder
from ragtime.config.settings import Settings, get_settings
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.protocols import TextEncoder
from ragtime.records import Document
from ragtime.storage.vectors import VectorIndex
from ragtime.utils.progress import track
from ragtime.utils.standard_library import standard_library_documents

__all__ = ["QUESTIONS", "Answer", "SearchDemo", "run_search_demo"]

_log = get_logger(__name__)

QUESTIONS = (
    "How do I copy a whole directory with everything in it?",
    "How long does a small piece of code take to run?",
    "What is the middle value of my numbers?",
)
_MODULES = (
    "shutil statistics timeit tempfile textwrap random json csv gzip glob fnmatch heapq bisect difflib calendar string "
    "fractions secrets copy functools contextlib queue uuid getpass threading subprocess zipapp"
).split()
_DOCUMENTS = 200
_PER_MODULE = 15
_BATCH = 50  # documents between two steps of the progress
_SHOWN = 3  # documents found for a question


def _pages() -> list[Document]:
    return standard_library_documents(_DOCUMENTS, per_module=_PER_MODULE, modules=_MODULES)


class Answer(NamedTuple):
    """What was found for one question.

    Attributes:
        question: The question.
        found: Title and score of the nearest documents, best first.
        first_line: The first line of the best one.
    """

    question: str
    found: list[tuple[str, float]]
    first_line: str


class SearchDemo(NamedTuple):
    """What the demonstration did.

    Attributes:
        documents: Number of documents searched.
        seconds: Time to embed them, model loaded, in seconds.
        answers: One for each question.
    """

    documents: int
    seconds: float
    answers: list[Answer]


def run_search_demo(settings: Settings | None = None, *, encoder: TextEncoder | None = None) -> SearchDemo:
    """Embed documentation strings of the standard library, and find the nearest ones to three questions.

    Args:
        settings: The settings; ``None`` means the current ones.
        encoder: The encoder; ``None`` means the one of the settings, with its cache.

    Returns:
        What was found.

    Raises:
        BackendError: The model is not found or failed.
        MissingExtraError: The package of the encoder is not installed.
    """
    with log_operation(_log, "run_search_demo") as operation:
        encoder = encoder or create_encoder(settings or get_settings())
        documents = {document.id: document for document in _pages()}
        index = VectorIndex(encoder.dimension, fingerprint=encoder.fingerprint("passage"))
        ids = list(documents)
        start = time.perf_counter()
        with track("Embedding", total=len(ids), unit="documents") as progress:
            for place in range(0, len(ids), _BATCH):
                some = ids[place : place + _BATCH]
                index.add(some, encoder.encode([documents[key].content for key in some]))
                progress.advance(len(some))
        seconds = time.perf_counter() - start
        answers = []
        found = index.search(encoder.encode(QUESTIONS, role="query"), k=_SHOWN)
        for question, hits in zip(QUESTIONS, found, strict=True):
            first_line = documents[hits[0].id].text.partition("\n")[0]
            answers.append(Answer(question, [(hit.id, hit.score) for hit in hits], first_line))
        operation.add(documents=len(documents))
        return SearchDemo(len(documents), seconds, answers)
