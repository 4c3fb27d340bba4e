"""One run: sources into a working file, the working file into examples."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ragtime import __version__
from ragtime.config.settings import Settings
from ragtime.errors import GenerationError, InvalidArgumentError
from ragtime.protocols import TextEncoder, TextGenerator
from ragtime.services.training_data_gen.checks import Check
from ragtime.services.training_data_gen.corpus import Corpus
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.figures import Figures, peak_memory_bytes
from ragtime.services.training_data_gen.ledger import GenerationMetrics, Performance, Quantiles, StageLedger
from ragtime.services.training_data_gen.pipeline import Pipeline
from ragtime.services.training_data_gen.rejected import RejectedCandidate
from ragtime.services.training_data_gen.sources.items import Sources
from ragtime.services.training_data_gen.sources.reading import Reading
from ragtime.services.training_data_gen.staging import Staging
from ragtime.services.training_data_gen.strategies.base import Strategy
from ragtime.services.training_data_gen.strategies.calling import units_from
from ragtime.services.training_data_gen.tools import Tools
from ragtime.services.training_data_gen.unfinished import WorkingFile, unfinished_folder
from ragtime.utils.hashing import content_hash

__all__ = ["Run", "prepared_run"]

_DUPLICATES = "duplicates"


class Run:
    """A run whose sources are in its working file.

    Attributes:
        key: Hash of all that the result depends on, but for how many examples are asked for.
        tools: What strategies and checks work with.
        figures: Figures about the examples so far.
    """

    def __init__(self, staging: Staging, tools: Tools, reading: Reading, key: str) -> None:
        """Get ready; nothing is made yet."""
        self._staging = staging
        self._reading = reading
        self._pipeline: Pipeline | None = None
        self._requested = 0
        self._started = time.perf_counter()
        self.key = key
        self.tools = tools
        self.figures = Figures(staging)

    @property
    def staging(self) -> Staging:
        """The working file."""
        return self._staging

    def examples(
        self, strategies: Sequence[tuple[Strategy, int | None]], checks: Sequence[Check]
    ) -> Iterator[TrainingExample]:
        """Make examples, one strategy after the other, under the same checks.

        Args:
            strategies: The strategies, and how many examples of each; ``None`` means all there are.
            checks: The checks, in their order.

        Yields:
            The examples.
        """
        self._staging.forget_seen()  # of a run that was interrupted
        self.figures = Figures(self._staging)
        self._pipeline = Pipeline(self._staging, self.tools, checks)
        self._requested = sum(count or 0 for _, count in strategies)
        kept: list[TrainingExample] = []
        for number, (strategy, count) in enumerate(strategies, start=1):
            for example in self._pipeline.run(strategy, count):
                self.figures.add(example)
                if number < len(strategies):
                    kept.append(example)
                yield example
            if number < len(strategies):
                for check in checks:
                    check.begin(kept)

    def sources(self) -> tuple[StageLedger, ...]:
        """Return what was read of each source."""
        return self._reading.counts()

    def rejected(self) -> tuple[RejectedCandidate, ...]:
        """Return some of the candidates that fell so far."""
        return self._pipeline.rejected.candidates() if self._pipeline else ()

    def metrics(self) -> GenerationMetrics:
        """Return the account so far."""
        made = self._pipeline
        seconds = time.perf_counter() - self._started
        stages = made.ledger.stages() if made else ()
        return GenerationMetrics(
            requested=self._requested,
            produced=self.figures.count,
            sources=self.sources(),
            stages=stages,
            duplicates=sum(sum(stage.rejected.values()) for stage in stages if stage.stage == _DUPLICATES),
            scores={name: Quantiles.of(values) for name, values in sorted(made.scores.items())} if made else {},
            diversity=self.figures.diversity,
            balance=self.figures.balance,
            notes=self.tools.notes,
            performance=Performance(
                seconds=seconds,
                stage_seconds=made.seconds if made else {},
                examples_per_second=self.figures.count / seconds if seconds else 0.0,
                peak_memory_bytes=peak_memory_bytes(),
            ),
        )


@contextmanager
def prepared_run(
    settings: Settings,
    sources: Sources,
    strategies: Sequence[Strategy],
    *,
    encoder: TextEncoder | None,
    generator: TextGenerator | None,
) -> Iterator[Run]:
    """Read the sources into a working file, for a ``with`` block that makes examples.

    The file is that of an interrupted run with the same sources, strategies, settings, models and seed, if there is
    one. It is removed when the block ends, unless something cut it short that may pass, such as Ctrl-C, or a server
    that is down. Nothing is kept of a run with a generator that has no ``model_name``, for nobody could tell it from
    another.

    Args:
        settings: The settings.
        sources: The sources.
        strategies: The strategies that will be run.
        encoder: As for ``Tools``.
        generator: As for ``Tools``.

    Yields:
        The run.

    Raises:
        GenerationError: The sources lack what a strategy needs.
        StorageError: The working file cannot be written.
    """
    reading = Reading(sources)
    with WorkingFile(unfinished_folder(settings), seed=settings.seed) as file:
        staging = file.staging
        _read_documents(staging, reading)
        passages = staging.place_documents()
        tools = Tools(settings, Corpus(staging, passages), encoder=encoder, generator=generator)
        _read_units(staging, reading, strategies, tools)
        key = content_hash([__version__, passages, staging.units_hash(), tools.identity])
        if not tools.can_be_told_again:
            yield Run(staging, tools, reading, key)
            return
        file.go_on(key)
        try:
            yield Run(staging, tools, reading, key)
        except GeneratorExit:
            raise
        except BaseException as error:
            # What makes a strategy raise something of its own may pass, such as a server that is down.
            if not isinstance(error, GenerationError) or error.__cause__ is not None:
                file.keep()
            raise


def _read_documents(staging: Staging, reading: Reading) -> None:
    with staging.transaction():
        for document in reading.documents():
            if staging.add_document(document) is None:
                reading.reject("documents", "another document has its id")


def _read_units(staging: Staging, reading: Reading, strategies: Sequence[Strategy], tools: Tools) -> None:
    for strategy in strategies:
        with staging.transaction():
            for unit in units_from(strategy, reading, tools):
                try:
                    staging.add_unit(strategy.name, unit)
                except InvalidArgumentError as error:
                    raise GenerationError(
                        f"units() of the strategy {strategy.name!r} must give what JSON can hold: {error}"
                    ) from None
