"""Sources that feed every built-in strategy, small and made by rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ragtime.config.settings import Settings
from ragtime.services.training_data_gen import TrainingDataGenerator
from tests.services.training_data_gen.toy_strategy import WORDS

__all__ = ["STRATEGIES", "generator_of", "real_sources"]

STRATEGIES = ("augmentation", "conversation_based", "negative_sampling", "query_based", "synthetic")


def real_sources(count: int = 30) -> dict[str, list[Any]]:
    """Return documents, queries, ratings and conversations about things in a house."""
    documents, queries, feedback, conversations = [], [], [], []
    for number in range(count):
        one, two, three = (WORDS[(number * step + step + number // 20) % len(WORDS)] for step in (1, 3, 7))
        text = (
            f"The {one} lamp of room {number} hangs above the {two} table. To clean the {one} lamp, wipe it with a "
            f"dry cloth once in {number + 2} weeks. The switch of room {number} is behind the {three} curtain, and the "
            f"fuse has {number + 5} amperes."
        )
        documents.append({"id": f"d{number:03}", "title": f"The {one} lamp of room {number}", "text": text})
        question = f"Where does the {one} lamp of room {number} hang?"
        judged = {f"d{number:03}": 2, f"d{(number + 3) % count:03}": 0}
        queries.append({"id": f"q{number:03}", "text": question, "judgements": judged})
        rating = {"query": f"How is the {one} lamp of room {number} cleaned?", "response": "With a dry cloth."}
        feedback.append({**rating, "id": f"f{number}", "rating": 1 + number % 5, "document_ids": [f"d{number:03}"]})
        said = [
            (question, f"Above the {two} table.", [f"d{number:03}"]),
            ("And how many amperes has its fuse?", f"The fuse of room {number} has {number + 5} amperes.", []),
        ]
        history = [
            {"query": query, "response": answer, "timestamp": None, "document_ids": ids} for query, answer, ids in said
        ]
        conversations.append({"history": history})
    return {"documents": documents, "queries": queries, "feedback": feedback, "conversations": conversations}


def generator_of(folder: Path, sources: dict[str, list[Any]], **options: Any) -> TrainingDataGenerator:
    """Return a generator over sources; options named with two underscores are settings."""
    settings = {name: options.pop(name) for name in list(options) if "__" in name or name == "seed"}
    made = Settings.isolated(data_dir=folder / "data", logging__progress="off", **settings)
    return TrainingDataGenerator(made, **sources, **options)
