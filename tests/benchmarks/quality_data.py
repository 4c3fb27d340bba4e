"""What the benchmark of quality trains, validates and tests on: parts of two outside data sets, always the same.

No test question is seen before the end. Numbers were chosen on training questions that no run of the benchmark is
trained on, about pages that none of its training questions is about.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Literal

from ragtime.records import Document, RetrievalSet
from ragtime.services.training_data_gen import Lineage, TrainingExample
from ragtime.utils.files import read_jsonl
from ragtime.utils.hashing import keyed_order

Questions = Literal["2048", "all"]

TLDR = "retrieval-tldr"
MTRAG = "conversations-mtrag"
SEED = 42
DEV_QUESTIONS = 700
DEV_PAGES = 1500  # besides those that answer the questions


def training_keys(folder: Path, questions: Questions) -> list[str]:
    """Return the training questions in an order by hash, so that the first ones are a fair sample.

    Args:
        folder: The folder of ``retrieval-tldr``.
        questions: The fixed sample of 2,048, or all 6,817.

    Returns:
        Their ids; those of the sample in the order of the benchmark of speed, so that its runs are these.
    """
    name = "queries-train-2048.jsonl" if questions == "2048" else "queries-train.jsonl"
    return keyed_order([str(row["id"]) for _, row in read_jsonl(folder / name)], SEED, "pairs", key=str)


def judged_examples(train: RetrievalSet, keys: Iterable[str]) -> list[TrainingExample]:
    """Return a pair of each question and each page that answers it."""
    return [
        TrainingExample(
            query=train.queries[key],
            response=train.corpus[page].content,
            lineage=Lineage(source="queries", document_ids=(page,), query_id=key),
        )
        for key in keys
        for page in train.relevant(key)
    ]


def page_of(example: TrainingExample) -> str:
    """Return the id of the page that an example is about."""
    return example.lineage.document_ids[0]


def part_of(judged: RetrievalSet, keys: Collection[str], pages: Collection[str], name: str) -> RetrievalSet:
    """Return some questions of a set, to be searched for in some of its documents.

    Args:
        judged: The set.
        keys: The questions.
        pages: The documents, besides those that answer the questions.
        name: What it is called.

    Returns:
        The part.
    """
    wanted = {page for key in keys for page in judged.relevant(key)} | {*pages}
    return RetrievalSet(
        queries={key: judged.queries[key] for key in sorted(keys)},
        corpus={page: judged.corpus[page] for page in sorted(wanted)},
        judgements={key: judged.relevant(key) for key in sorted(keys)},
        name=name,
    )


def dev_set(train: RetrievalSet, trained_on: Sequence[str]) -> RetrievalSet:
    """Choose what ingredients are tried on.

    Args:
        train: The training questions, all of them.
        trained_on: Those that runs are trained on.

    Returns:
        700 other questions about other pages, to be searched for in these pages and 1,500 more.
    """
    known = {page for key in trained_on for page in train.relevant(key)}
    others = [key for key in train.judged_queries if not known & train.relevant(key).keys()]
    keys = keyed_order(others, SEED, "dev questions", key=str)[:DEV_QUESTIONS]
    answers = {page for key in keys for page in train.relevant(key)}
    pages = keyed_order(train.corpus.keys() - answers, SEED, "dev pages", key=str)[:DEV_PAGES]
    return part_of(train, keys, pages, "validation")


def halves(judged: RetrievalSet) -> tuple[RetrievalSet, RetrievalSet]:
    """Cut the questions of a set in two; both halves are searched for in all documents.

    Returns:
        The half that something may be chosen by, and the one that it is reported on.
    """
    order = keyed_order(judged.judged_queries, SEED, "halves", key=str)
    middle = len(order) // 2
    first, second = (part_of(judged, keys, judged.corpus, judged.name) for keys in (order[:middle], order[middle:]))
    return first, second


def glimpse(judged: RetrievalSet, questions: int) -> RetrievalSet:
    """Return so few questions and documents that a look at them takes seconds: for a trial of the code alone."""
    keys = keyed_order(judged.judged_queries, SEED, "glimpse", key=str)[:questions]
    pages = keyed_order(judged.corpus, SEED, "glimpse", key=str)[: 2 * questions]
    return part_of(judged, keys, pages, judged.name)


def glimpse_of_pages(pages: Iterable[Document], judged: Iterable[TrainingExample], most: int) -> list[Document]:
    """Return some pages, those that judged questions are about among them."""
    needed = {page_of(one) for one in judged}
    ordered = keyed_order(pages, SEED, "glimpse", key=lambda page: page.id)
    return sorted(ordered, key=lambda page: page.id not in needed)[: max(most, len(needed))]


def unseen_questions(folder: Path) -> frozenset[str]:
    """Return the test questions of ``retrieval-tldr`` about pages that no training question is about."""
    rows = (row for _, row in read_jsonl(folder / "queries-test.jsonl"))
    return frozenset(str(row["id"]) for row in rows if row["unseen_doc"])
