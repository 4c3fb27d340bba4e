"""A small world that a tiny model can learn: names are read backwards; and loops that learn it in seconds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ragtime.backends.encoders import SentenceTransformerEncoder
from ragtime.config.settings import Settings
from ragtime.records import Document, RetrievalSet
from ragtime.services.learning import LearningLoop, LearningSources
from ragtime.services.model_finetuner import FineTuningConfig
from ragtime.testing import tiny_model
from ragtime.utils.hashing import keyed_order

_NAMES = (
    "anna boris clara david emma felix greta henry irene jonas karin lukas maria nils olga peter quentin rosa stefan "
    "tilda ulrich vera walter yvonne"
).split()
_VERBS = "paints sells mends cleans borrows hides".split()
_THINGS = "lamp chair table cloth switch garden window carpet kettle mirror".split()
_KINDS = "red green small round heavy old".split()

World = list[tuple[str, str]]
"""Questions, each with its answer."""


def world() -> World:
    """Return 144 pairs of which only who learns that names are read backwards finds the answers."""
    return [
        (
            f"who {verb} it, {name}?",
            f"{_THINGS[(7 * row + column) % 10]} {_KINDS[(row + 5 * column) % 6]} by {name[::-1]} {verb}",
        )
        for row, name in enumerate(_NAMES)
        for column, verb in enumerate(_VERBS)
    ]


def general_pairs() -> World:
    """Return pairs of the same kind, about another verb, which no source holds: the general check."""
    return [
        (f"who carries it, {name}?", f"{_THINGS[row % 10]} by {name[::-1]} carries") for row, name in enumerate(_NAMES)
    ]


def what_the_base_finds(folder: Path) -> RetrievalSet:
    """Return questions of which the untuned model finds the answers, as it is their measure: a check that falls."""
    pairs, encoder = general_pairs(), SentenceTransformerEncoder(settings_of(folder), model=tiny_model())
    documents = [Document(id=one["id"], text=one["text"]) for one in documents_of(pairs)]
    queries = {f"q{number:03}": query for number, (query, _) in enumerate(pairs)}
    scores = encoder.encode(list(queries.values()), role="query") @ encoder.encode([one.text for one in documents]).T
    judgements = {key: {documents[int(place)].id: 1} for key, place in zip(queries, scores.argmax(axis=1), strict=True)}
    return RetrievalSet.from_documents(documents, queries, judgements, name="found by the base")


def documents_of(pairs: World) -> list[dict[str, str]]:
    """Return a document for each answer."""
    return [{"id": f"d{number:03}", "text": answer} for number, (_, answer) in enumerate(pairs)]


def ratings_of(pairs: World, *, shuffled: bool = False) -> list[dict[str, Any]]:
    """Return a good rating of each document; shuffled, of the document of another question."""
    ids = [f"d{number:03}" for number in range(len(pairs))]
    rated = keyed_order(ids, 1, "shuffled", key=str) if shuffled else ids
    return [
        {
            "id": f"f{number:03}",
            "query": query,
            "rating": 5,
            "document_ids": [rated[number]],
            "user_id": f"u{number % 5}",
        }
        for number, (query, _) in enumerate(pairs)
    ]


def sources_of(pairs: World | None = None, *, shuffled: bool = False) -> LearningSources:
    """Return documents and ratings."""
    pairs = world() if pairs is None else pairs
    return LearningSources(documents=documents_of(pairs), feedback=ratings_of(pairs, shuffled=shuffled))


def judged(pairs: World, numbers: Sequence[int]) -> RetrievalSet:
    """Return some of the questions as a judged set over all documents."""
    documents = [Document(id=one["id"], text=one["text"]) for one in documents_of(pairs)]
    queries = {f"q{number:03}": pairs[number][0] for number in numbers}
    judgements = {f"q{number:03}": {f"d{number:03}": 1} for number in numbers}
    return RetrievalSet.from_documents(documents, queries, judgements, name="judged")


def settings_of(folder: Path, **changes: Any) -> Settings:
    """Return settings under which so little data is enough."""
    usual: dict[str, Any] = {
        "data_dir": folder / "data",
        "logging__progress": "off",
        "learning__min_training_pairs": 40,
        "learning__min_held_out_questions": 20,
        "learning__held_out_share": 0.3,
        "learning__made_up_per_passage": 0,
    }
    return Settings.isolated(**{**usual, **changes})


def config_of(**fields: Any) -> FineTuningConfig:
    """Return what a tiny model learns the world with."""
    usual: dict[str, Any] = {
        "num_epochs": 6,
        "batch_size": 16,
        "learning_rate": 6e-3,
        "precision": "float32",
        "max_seq_length": 32,
        "interpolation": "off",
    }
    return FineTuningConfig(**{**usual, **fields})


def loop_of(folder: Path, settings: Settings | None = None, **parts: Any) -> LearningLoop:
    """Return a loop that starts from a tiny model."""
    usual: dict[str, Any] = {"finetuning": config_of(), "model_loader": lambda _: tiny_model()}
    return LearningLoop(settings_of(folder) if settings is None else settings, **{**usual, **parts})


def hashes_of(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file in a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def stamps_of(folder: Path) -> dict[str, int]:
    """Return when each file and folder was written."""
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))}


def examples_of(folder: Path) -> list[dict[str, Any]]:
    """Return all examples of the data sets of a ``data_dir``."""
    return [
        json.loads(line)
        for path in sorted((folder / "data" / "datasets").glob("*/examples/*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
