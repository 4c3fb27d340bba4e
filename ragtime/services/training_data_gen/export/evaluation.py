"""The held-out part as a judged retrieval set, in the layout of the BEIR collection."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO

from ragtime.records.retrieval import Document
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.utils.files import atomic_writer
from ragtime.utils.hashing import text_hash

__all__ = ["write_evaluation_set"]

_ID_LENGTH = 32


def write_evaluation_set(
    examples: Iterable[TrainingExample],
    documents: Iterable[Document],
    folder: str | Path,
    *,
    split: str = "test",
    change: Callable[[Document], Document] | None = None,
) -> tuple[int, int]:
    """Write queries, corpus and judgements; ``ragtime.utils.retrieval_sets.load_retrieval_set`` reads them.

    A response that is no passage of the corpus, such as an answer, becomes a document of its own.

    Args:
        examples: The examples; those whose response fits their query are judged.
        documents: The passages; all of them are in the corpus.
        folder: The folder; made when there is none.
        split: Name of the part.
        change: What is done to passages, as where personal data are blacked out; ``None`` means nothing.

    Returns:
        How many queries and documents were written.

    Raises:
        StorageError: A file cannot be written.
    """
    root = Path(folder)
    fitting = [example for example in examples if example.is_positive]
    named = {one for example in fitting for one in example.lineage.document_ids[:1]}
    known: set[str] = set()
    queries: dict[str, str] = {}
    judged: dict[str, set[str]] = {}
    own: dict[str, str] = {}
    count = 0
    with atomic_writer(root / "corpus.jsonl") as file:
        for document in documents:
            passage = document if change is None else change(document)
            _write(file, {"id": passage.id, "title": passage.title or "", "text": passage.text})
            count += 1
            if document.id in named:
                known.add(document.id)
        for example in fitting:
            query_id = text_hash(example.query)[:_ID_LENGTH]
            queries[query_id] = example.query
            found = [one for one in example.lineage.document_ids[:1] if one in known]
            if not found:
                found = [text_hash(example.response)[:_ID_LENGTH]]
                own[found[0]] = example.response
            judged.setdefault(query_id, set()).update(found)
        for one, text in sorted(own.items()):
            _write(file, {"id": one, "title": "", "text": text})
            count += 1
    with atomic_writer(root / f"queries-{split}.jsonl") as file:
        for query_id, text in sorted(queries.items()):
            _write(file, {"id": query_id, "text": text})
    with atomic_writer(root / f"qrels-{split}.tsv") as file:
        file.write("query-id\tcorpus-id\tscore\n")
        for query_id, ids_of_query in sorted(judged.items()):
            file.writelines(f"{query_id}\t{one}\t1\n" for one in sorted(ids_of_query))
    return len(queries), count


def _write(file: IO[str], row: Mapping[str, str]) -> None:
    file.write(json.dumps(row, ensure_ascii=False) + "\n")
