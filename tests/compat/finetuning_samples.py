"""What the old tuner was given: rated pairs in the files of the old generator, and a very small model."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from model_finetuner_compat import FineTuningConfig, ModelFineTuner
from ragtime.config.settings import Settings
from ragtime.testing import tiny_model

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
STAMP = NOW.astimezone().strftime("%Y%m%d_%H%M%S")
TOPICS = ("returns", "delivery", "payment", "warranty", "repair", "account", "password", "invoice", "gift", "voucher")

Pair = tuple[str, str, float]


def good_pairs(count: int = len(TOPICS)) -> list[Pair]:
    """Queries with what answers them."""
    return [
        (f"how does {topic} work", f"all about {topic} from desk {place}", 1) for place, topic in enumerate(TOPICS)
    ][:count]


def bad_pairs(count: int = len(TOPICS)) -> list[Pair]:
    """Other queries with what does not answer them."""
    return [
        (f"who knows {topic}", f"{TOPICS[-place]} is closed on day {place}", 0) for place, topic in enumerate(TOPICS)
    ][:count]


def write_csv(path: Path, pairs: Iterable[Pair]) -> Path:
    """Write pairs as the old generator exported them, good ones first."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["query", "document", "label"])
        writer.writerows(pairs)
    return path


def tuner(folder: Path, *, loaded: bool = True, **config: Any) -> ModelFineTuner:
    """Make a tuner of a very small model, in a folder of models."""
    told = {"num_epochs": 2, "batch_size": 4, "learning_rate": 1e-3, "output_model_path": str(folder), **config}
    made = ModelFineTuner(
        FineTuningConfig(**told),
        settings=Settings.isolated(embedding__device="cpu"),
        model_loader=lambda _: tiny_model(),
        clock=lambda: NOW,
    )
    if loaded:
        assert made.load_base_model()
    return made
