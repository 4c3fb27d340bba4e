"""The learning loop from end to end: pages, users and ratings are made, and the loop learns from them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragtime.backends.encoders import create_encoder
from ragtime.backends.resolution import resolve_model
from ragtime.backends.tokens import create_token_counter
from ragtime.config.sections import EmbeddingSettings
from ragtime.config.settings import Settings, get_settings
from ragtime.errors import MissingExtraError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.records import RetrievalSet
from ragtime.services.learning.demo.corpus import MOST_PAGES, PAGE_TOKENS, HelpDesk, build_help_desk
from ragtime.services.learning.demo.users import SimulatedRating, simulate_ratings
from ragtime.services.learning.loop import LearningLoop
from ragtime.services.learning.report import LearningReport, MeasuredModel
from ragtime.services.learning.sources import LearningSources
from ragtime.services.model_finetuner import FineTuningConfig
from ragtime.utils.extras import installed_extras
from ragtime.utils.files import atomic_writer
from ragtime.utils.hashing import canonical_json

__all__ = ["DemoResult", "DemoSources", "run_demo"]

_log = get_logger(__name__)

_NAME = "demo"  # of the model in the registry; of another seed than the default one with the seed behind it
_DEFAULT_SEED: int = Settings.model_fields["seed"].default
_DEFAULT_MODEL: str = EmbeddingSettings.model_fields["model_name"].default
_EXTRA, _WEIGHTS = "finetune", "offline"  # what is needed, and what brings the default model without a network

_TRAINING: Mapping[str, Any] = {
    "strategy": "full",
    "frozen_layers": 3,
    "max_seq_length": PAGE_TOKENS,
    "num_epochs": 1,
    "batch_size": 32,
}
"""How the model is trained: its upper half alone, which is faster and learns nearly as much."""


@dataclass(frozen=True, slots=True)
class DemoSources:
    """What the demonstration learns from, and what it is measured by.

    Attributes:
        model_name: The untuned model.
        desk: The pages and questions.
        ratings: What users said of the pages that the untuned model found for their questions.
        folder: Where all of it rests: ``pages.jsonl`` (the seen ones), ``ratings.jsonl``, and ``evaluation``, a folder
            in the layout of BEIR.
    """

    model_name: str
    desk: HelpDesk
    ratings: tuple[SimulatedRating, ...]
    folder: Path

    @property
    def answered(self) -> int:
        """Questions whose page was among those shown."""
        return sum(rating.page_id == rating.question.page_id for rating in self.ratings)


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demonstration has come to.

    Attributes:
        sources: What it learned from.
        report: What the loop tells.
    """

    sources: DemoSources
    report: LearningReport

    @property
    def before(self) -> MeasuredModel | None:
        """The untuned model on the held-out questions; ``None`` when nothing was measured."""
        return self._model("base")

    @property
    def after(self) -> MeasuredModel | None:
        """The tuned model on the same; ``None`` when nothing was trained."""
        return self._model("tuned")

    def _model(self, role: str) -> MeasuredModel | None:
        return next((model for model in self.report.models if model.role == role), None)


def run_demo(
    settings: Settings | None = None,
    *,
    seed: int | None = None,
    pages: int = MOST_PAGES,
    finetuning: FineTuningConfig | None = None,
    on_sources: Callable[[DemoSources], None] | None = None,
) -> DemoResult:
    """Run the learning loop on a small help desk, offline.

    The text is real: documentation strings of the running interpreter's standard library. The users are simulated: they
    ask sentences that were taken out of the pages, and rate the first ten pages that the untuned model finds. The loop
    learns from the ratings and from the pages, is measured by questions about pages that it has never seen, and
    promotes the tuned model if the gate says yes.

    The same interpreter, machine, settings and seed give the same figures. The same call after one that was interrupted
    goes on where that was, and after one that has ended returns its report.

    Args:
        settings: The settings; ``None`` means the current ones. The untuned model is that of section ``embedding``, but
            the default one where that names a server, or what an earlier demonstration has made.
        seed: Chooses pages, questions, users and batches; ``None`` means that of the settings. Models of different
            seeds have different names, for each has seen what the other is measured by.
        pages: Most pages, 50 to 1,000.
        finetuning: How the model is trained; ``None`` means quickly.
        on_sources: Is told what was made before the learning begins; ``None`` means nobody.

    Returns:
        What it has come to.

    Raises:
        MissingExtraError: Packages are not installed; names the command.
        BackendError: The untuned model is not found.
        InvalidArgumentError: `pages` is out of range.
        StorageError: This interpreter comes without the sources of its library, or something cannot be written.
    """
    chosen = _settings_of_demo(settings if settings is not None else get_settings(), seed)
    _require_packages(chosen)
    with log_operation(_log, "run_demo", seed=chosen.seed) as operation:
        sources = _sources(chosen, pages)
        operation.add(pages=len(sources.desk.pages), ratings=len(sources.ratings))
        if on_sources is not None:
            on_sources(sources)
        loop = LearningLoop(chosen, finetuning=finetuning or FineTuningConfig(**_TRAINING))
        report = loop.run(
            LearningSources(
                documents=sources.folder / "pages.jsonl",
                feedback=sources.folder / "ratings.jsonl",
            ),
            name=_NAME if chosen.seed == _DEFAULT_SEED else f"{_NAME}-{chosen.seed}",
            evaluation=sources.desk.evaluation(),
        )
        operation.add(outcome=report.outcome)
        return DemoResult(sources, report)


def _settings_of_demo(settings: Settings, seed: int | None) -> Settings:
    changes: dict[str, Any] = {} if seed is None else {"seed": seed}
    embedding = settings.embedding
    ours = re.fullmatch(rf"registry:{_NAME}(-\d+)?(@.*)?", embedding.model_name)
    if ours or embedding.provider != "sentence-transformers":
        _log.info("The demonstration starts from the default model", extra={"model": _DEFAULT_MODEL})
        changes["embedding__provider"] = "sentence-transformers"
        changes["embedding__model_name"] = _DEFAULT_MODEL
    return settings.replace(**changes)


def _require_packages(settings: Settings) -> None:
    """Complain of all that is missing before work begins, in one command."""
    missing = installed_extras()
    if not missing[_EXTRA]:
        return
    extras = [_EXTRA]
    if missing[_WEIGHTS] and settings.embedding.model_name == _DEFAULT_MODEL:
        extras.append(_WEIGHTS)
    raise MissingExtraError(missing[_EXTRA][0], ",".join(extras))


def _sources(settings: Settings, limit: int) -> DemoSources:
    """Make pages and ratings, and write them to files that ``ragtime learn`` could be given."""
    name = settings.embedding.model_name
    resolve_model(name, settings=settings)  # before pages are made for a model that is not there
    desk = build_help_desk(create_token_counter(settings), seed=settings.seed, limit=limit)
    ratings = tuple(simulate_ratings(desk, create_encoder(settings), seed=settings.seed))
    folder = settings.data_path("demo", f"seed-{settings.seed}")
    _write_lines(
        folder / "pages.jsonl", ({"id": page.id, "title": page.title, "text": page.text} for page in desk.seen_pages)
    )
    _write_lines(folder / "ratings.jsonl", (rating.record() for rating in ratings))
    _write_evaluation(desk.evaluation(), folder / "evaluation")
    return DemoSources(name, desk, ratings, folder)


def _write_evaluation(judged: RetrievalSet, folder: Path) -> None:
    _write_lines(
        folder / "corpus.jsonl",
        ({"id": page.id, "title": page.title, "text": page.text} for page in judged.corpus.values()),
    )
    _write_lines(folder / "queries.jsonl", ({"id": key, "text": text} for key, text in judged.queries.items()))
    with atomic_writer(folder / "qrels-test.tsv") as file:
        file.write("query-id\tcorpus-id\tscore\n")
        file.writelines(
            f"{query}\t{page}\t{grade}\n"
            for query, grades in judged.judgements.items()
            for page, grade in grades.items()
        )


def _write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with atomic_writer(path) as file:
        file.writelines(f"{canonical_json(dict(row))}\n" for row in rows)
