"""Reading the packaged sample.

The sample is the help centre of a maker of coffee roasters that does not exist, in words of our own. It has two models,
a membership in three plans and several regions of delivery, so that many passages look alike. Four files of JSON Lines
lie beside this module, each in canonical JSON and sorted by id:

- ``passages.jsonl``: the documents; ``metadata["page"]`` names the page that a passage is a section of.
- ``questions.jsonl``: questions with the grades of the passages that answer them: 3 answers it, 2 helps, 1 touches it.
  A hundred of them, spread over all pages, are reserved: no training data is made of them, so that they can tell
  whether a fine-tuned model has become better.
- ``conversations.jsonl``: conversations with ratings, in the library's own form.
- ``feedback.jsonl``: ratings in the form of the old modules.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from ragtime.errors import StorageError
from ragtime.records import Document, RetrievalSet
from ragtime.utils.files import read_jsonl

__all__ = ["sample_conversations", "sample_documents", "sample_feedback", "sample_path", "sample_retrieval_set"]


def sample_path() -> Path:
    """Return the folder that holds the files of the sample.

    Returns:
        The folder; nothing may be written there.

    Raises:
        StorageError: The package is imported from an archive, where its files have no path.
    """
    folder = files("ragtime.data")
    if not isinstance(folder, Path):
        raise StorageError("The sample has no folder: ragtime is imported from an archive; install it unpacked")
    return folder


def sample_documents() -> list[Document]:
    """Read the passages.

    Returns:
        The documents, in the order of their ids. The part of an id before the slash stands for the page.

    Raises:
        StorageError: The package is imported from an archive, or its files are damaged.
    """
    return [Document(**row) for row in _rows("passages.jsonl")]


def sample_retrieval_set(*, reserved: bool) -> RetrievalSet:
    """Read the judged questions, with all passages as the corpus.

    Args:
        reserved: Whether to return the hundred questions that are kept for evaluation, or all others.

    Returns:
        The set, named ``sample-reserved`` or ``sample``, every query judged.

    Raises:
        StorageError: The package is imported from an archive, or its files are damaged.
    """
    rows = [row for row in _rows("questions.jsonl") if row["reserved"] is reserved]
    return RetrievalSet.from_documents(
        sample_documents(),
        {row["id"]: row["query"] for row in rows},
        {row["id"]: row["judgements"] for row in rows},
        name="sample-reserved" if reserved else "sample",
    )


def sample_conversations() -> Iterator[dict[str, Any]]:
    """Read the conversations, one at a time.

    Yields:
        Each as a JSON object in the library's own form, as ``Conversation.from_dict`` takes it, in the order of their
        ids. Answers name in ``document_ids`` the passages they drew on; the metadata of one given a second time name
        the first under ``regenerated_from``.

    Raises:
        StorageError: The package is imported from an archive, or its files are damaged.
    """
    yield from _rows("conversations.jsonl")


def sample_feedback() -> list[dict[str, Any]]:
    """Read the ratings.

    Returns:
        The records, in the order of their ids, which is that of time, each as the old modules kept the value of a
        ``UserFeedback`` entry: ``query``, ``response``, ``rating`` from 1 to 5, ``document_ids``, ``timestamp`` in
        seconds since 1970, and more.

    Raises:
        StorageError: The package is imported from an archive, or its files are damaged.
    """
    return list(_rows("feedback.jsonl"))


def _rows(name: str) -> Iterator[dict[str, Any]]:
    for _, row in read_jsonl(sample_path() / name):
        yield row
