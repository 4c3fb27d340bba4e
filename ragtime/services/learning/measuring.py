"""Models of a run, measured on the held-out questions and on the general check; texts are embedded once for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ragtime.backends.encoders import CachedEncoder, SentenceTransformerEncoder
from ragtime.config.settings import Settings
from ragtime.records.base import Record
from ragtime.services.learning.held_out import HeldOut
from ragtime.services.learning.report import FigureEstimate, RankedPassage
from ragtime.services.model_finetuner import EvaluationData, EvaluationResult, FineTuningConfig
from ragtime.services.model_finetuner.comparison import OpenedModel, bootstrap_interval, evaluate_model, open_model
from ragtime.services.model_finetuner.training import ModelLoader
from ragtime.services.training_data_gen.quality import Redactor
from ragtime.storage.embedding_cache import EmbeddingCache
from ragtime.storage.registry import ModelRegistry
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")

__all__ = ["Measured", "ModelOpener", "beginning", "estimates_of", "first_passages", "measure"]

_FIGURES = ("ndcg@10", "mrr@10", "recall@1", "recall@10")
_CONFIDENCE, _RESAMPLES, _FEWEST = 0.95, 2_000, 2  # as of the figures in the registry
_SHOWN_PASSAGES = 5
_SHOWN_CHARACTERS = 240
_DECIMALS = 6  # as in the ranks of the figures
_CACHE_NAME = "embeddings.sqlite"
_CACHE_BYTES = 1 << 40  # what a run needs, it needs: the file goes with the run's end


class Measured(Record):
    """What was measured of a model.

    Attributes:
        held_out: On the held-out questions.
        general: On the general check.
    """

    held_out: EvaluationResult
    general: EvaluationResult


@dataclass(frozen=True)
class ModelOpener:
    """Opens the models of a run.

    Attributes:
        settings: Say where they run.
        config: What the base model's loader is told.
        registry: Has those that are registered.
        model_loader: Gives the base model; ``None`` for one that is found by its name.
        place: Where embeddings are kept while the run lasts.
    """

    settings: Settings
    config: FineTuningConfig
    registry: ModelRegistry
    model_loader: ModelLoader | None
    place: Path

    @contextmanager
    def base(self, name: str) -> Iterator[OpenedModel]:
        """Open the base model for a block.

        Args:
            name: Its name, of a model in the registry with the version.

        Yields:
            The model, with what was embedded by it before.

        Raises:
            BackendError: It cannot be found.
        """
        if self.model_loader is None:
            opened = open_model(name, self.settings, registry=self.registry.resolve)
        else:
            loaded = self.model_loader(self.config)
            opened = OpenedModel(name, SentenceTransformerEncoder(self.settings, model_name=name, model=loaded))
        with self._cached(opened) as model:
            yield model

    @contextmanager
    def folder(self, name: str, folder: Path) -> Iterator[OpenedModel]:
        """Open the model in a folder for a block; see ``base``."""
        opened = open_model(folder, self.settings)
        with self._cached(OpenedModel(name, opened.encoder)) as model:
            yield model

    @contextmanager
    def _cached(self, opened: OpenedModel) -> Iterator[OpenedModel]:
        with EmbeddingCache(self.place / _CACHE_NAME, max_bytes=_CACHE_BYTES) as cache:
            yield OpenedModel(opened.name, CachedEncoder(opened.encoder, cache))


def measure(model: OpenedModel, held_out: EvaluationData, general: EvaluationData) -> Measured:
    """Measure a model; errors as ``evaluate_model``."""
    return Measured(held_out=evaluate_model(model, held_out), general=evaluate_model(model, general))


def estimates_of(result: EvaluationResult) -> dict[str, FigureEstimate]:
    """Return the figures of a model that reports tell, each with its 95 % bootstrap interval.

    Args:
        result: What was measured.

    Returns:
        The figures by name.

    Raises:
        MissingExtraError: scipy is not installed.
    """
    found: dict[str, FigureEstimate] = {}
    for name in _FIGURES:
        values = result.by_question.get(name, ())
        if len(values) >= _FEWEST:
            low, high = bootstrap_interval(values, confidence=_CONFIDENCE, resamples=_RESAMPLES)
            found[name] = FigureEstimate(value=result.figures[name], low=low, high=high)
        elif name in result.figures:
            found[name] = FigureEstimate(value=result.figures[name])
    return found


def first_passages(
    model: OpenedModel, held_out: HeldOut, questions: Sequence[str]
) -> dict[str, tuple[RankedPassage, ...]]:
    """Return what a model finds first for some questions.

    Args:
        model: The model.
        held_out: The questions; its data are not ``None``.
        questions: Ids of some of them.

    Returns:
        The five first passages of each, by its id. Of passages that are equally similar, those that do not answer come
        first, as in the figures.

    Raises:
        BackendError: The model cannot be loaded, or failed.
    """
    data = held_out.data
    if data is None or not questions:
        return {}
    validation = data.validation
    place = {key: number for number, key in enumerate(data.questions)}
    queries = model.encoder.encode([data.questions[key] for key in questions], role="query")
    passages = model.encoder.encode(validation.passages, role="passage")
    redactor = Redactor()
    found: dict[str, tuple[RankedPassage, ...]] = {}
    for key, query in zip(questions, queries, strict=True):
        first, last = validation.truth.offsets[place[key] : place[key] + 2]
        answers = set(validation.truth.passages[first:last].tolist())
        relevant = np.isin(np.arange(len(passages)), list(answers))
        order = np.lexsort((relevant, -np.round(passages @ query, _DECIMALS)))[:_SHOWN_PASSAGES].tolist()
        found[key] = tuple(
            _shown(rank, validation.passages[one], held_out, redactor, relevant=one in answers)
            for rank, one in enumerate(order, start=1)
        )
    return found


def _shown(rank: int, content: str, held_out: HeldOut, redactor: Redactor, *, relevant: bool) -> RankedPassage:
    title = held_out.titles.get(content)
    text = content if title is None else content.removeprefix(f"{title}\n")
    shown = None if title is None else beginning(title, redactor)
    return RankedPassage(rank=rank, title=shown, text=beginning(text, redactor), relevant=relevant)


def beginning(text: str, redactor: Redactor) -> str:
    """Return the beginning of a text for a report, personal data blacked out.

    Args:
        text: The text.
        redactor: Finds them.

    Returns:
        At most 240 characters, white space made single spaces; an ellipsis where more follows.
    """
    words = " ".join(redactor.redact(text, {}, Counter()).split())
    return words if len(words) <= _SHOWN_CHARACTERS else f"{words[: _SHOWN_CHARACTERS - 1].rstrip()}…"
