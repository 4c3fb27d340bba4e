"""Two kinds of questions for tiny models: one that the base model knows, and one that it is tuned on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragtime.backends.loading import quiet_loading
from ragtime.config.settings import Settings
from ragtime.services.model_finetuner import FineTuningConfig, ModelFineTuner
from ragtime.testing import tiny_model
from ragtime.utils.hashing import keyed_order
from tests.services.model_finetuner.killed_runs import rows_of

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Pairs = list[tuple[str, str]]

KNOWN = rows_of()
"""60 questions that the base model answers."""

_NAMES = "anna boris clara david emma felix greta henry irene jonas karin lukas maria nils olga peter".split()
_VERBS = "paints sells mends cleans borrows hides".split()
_THINGS = "lamp chair table cloth switch garden window carpet kettle mirror".split()
_KINDS = "red green small round heavy old".split()


def new_rows() -> Pairs:
    """Return 96 pairs of which only who learns that names are read backwards finds the answers."""
    return [
        (
            f"who {verb} it, {name}?",
            f"{_THINGS[(7 * row + column) % 10]} {_KINDS[(row + 5 * column) % 6]} by {name[::-1]} {verb}",
        )
        for row, name in enumerate(_NAMES)
        for column, verb in enumerate(_VERBS)
    ]


def parted(seed: int) -> tuple[Pairs, Pairs, Pairs]:
    """Return 48 pairs to train on, 12 to validate on and 36 to decide on, drawn by a seed."""
    rows = keyed_order(new_rows(), seed, "parts", key=str)
    return rows[:48], rows[48:60], rows[60:]


def shuffled(rows: Pairs, seed: int) -> Pairs:
    """Return the questions with each other's answers."""
    answers = keyed_order([response for _, response in rows], seed, "answers", key=str)
    return [(query, answer) for (query, _), answer in zip(rows, answers, strict=True)]


def tuner_of(folder: Path, loader: Any, **fields: Any) -> ModelFineTuner:
    """Return what trains with tiny batches; half of the known questions is the general check of the training."""
    usual: dict[str, Any] = {
        "batch_size": 16,
        "precision": "float32",
        "max_seq_length": 32,
        "output_dir": folder / "models",
    }
    settings = Settings.isolated(data_dir=folder / "data", logging__progress="off")
    config = FineTuningConfig(**{**usual, **fields})
    return ModelFineTuner(config, settings=settings, model_loader=loader, general_data=KNOWN[::2])


class BaseModel:
    """A tiny model that knows the one kind of questions; called, it gives a model of its own each time."""

    def __init__(self, folder: Path) -> None:
        tuner = tuner_of(folder, lambda _: tiny_model(), num_epochs=8, validation_split=0, learning_rate=3e-3)
        self.path = tuner.train(KNOWN).model_path

    def __call__(self, _: FineTuningConfig) -> SentenceTransformer:
        from sentence_transformers import SentenceTransformer

        with quiet_loading():
            return SentenceTransformer(str(self.path), device="cpu")
