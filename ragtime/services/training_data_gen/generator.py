"""Training data from documents, conversations, queries and ratings."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ragtime.config.settings import Settings, get_settings
from ragtime.errors import GenerationError, InvalidArgumentError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.protocols import DecisionLog, TextEncoder, TextGenerator
from ragtime.services.training_data_gen.checks import Check, PurposeCheck, all_checks, least_checks
from ragtime.services.training_data_gen.collaborators import check_collaborators
from ragtime.services.training_data_gen.datasets import DatasetReport, check_dataset_request, write_dataset
from ragtime.services.training_data_gen.example import TrainingExample, checked_examples
from ragtime.services.training_data_gen.export import ExportReport, export_examples, load_examples
from ragtime.services.training_data_gen.ledger import GenerationMetrics
from ragtime.services.training_data_gen.rejected import RejectedCandidate
from ragtime.services.training_data_gen.report import ValidationReport
from ragtime.services.training_data_gen.requested import check_count, too_few, total_of, wanted_strategies
from ragtime.services.training_data_gen.run import Run, prepared_run
from ragtime.services.training_data_gen.run_log import logged_run
from ragtime.services.training_data_gen.sources.items import Sources
from ragtime.services.training_data_gen.sources.opening import SourceOptions, open_sources
from ragtime.services.training_data_gen.splits import ExampleSplit, split_examples
from ragtime.services.training_data_gen.strategies import Strategy, get_strategy
from ragtime.services.training_data_gen.validating import validate_examples
from ragtime.storage.conport import open_decision_log
from ragtime.utils.progress import track

__all__ = ["TrainingDataGenerator"]

_log = get_logger(__name__)


class TrainingDataGenerator:
    """Makes training examples that one can trust.

        >>> import tempfile
        >>> settings = Settings.isolated(data_dir=tempfile.mkdtemp(), logging__progress="off")
        >>> documents = [{"id": "r", "text": "Returns are free for 30 days."}]
        >>> queries = [{"id": "q", "text": "How long are returns free?", "judgements": {"r": 1}}]
        >>> generator = TrainingDataGenerator(settings, documents=documents, queries=queries)
        >>> [example.response for example in generator.generate_training_data(1)]
        ['Returns are free for 30 days.']

    The same sources, settings and seed give the same examples, in the same order, whatever the order of the input and
    the number of workers. A run that is interrupted goes on where it was when it is begun again.

    Attributes:
        settings: The settings.
        metrics: The account of the last run; an empty one before the first.
        rejected: Some of the candidates that fell in it, up to three for each stage, strategy and reason.
    """

    def __init__(  # noqa: PLR0913 - the sources, each by its name
        self,
        settings: Settings | None = None,
        *,
        documents: Any = None,
        conversations: Any = None,
        queries: Any = None,
        feedback: Any = None,
        examples: Any = None,
        encoder: TextEncoder | None = None,
        generator: TextGenerator | None = None,
        decision_log: DecisionLog | None = None,
        source_options: SourceOptions | None = None,
    ) -> None:
        """Take the sources; nothing is read yet. Without any, the packaged sample is used, and the log says so.

        Args:
            settings: The settings; ``None`` means the current ones.
            documents: A folder or file of Markdown, text, HTML or JSON Lines, documents, texts, or a store with
                ``get(ids=...)``.
            conversations: A ``ConversationManager``, conversations, or a file of JSON Lines in any format.
            queries: Queries with or without judgements: a file, a folder in the layout of BEIR, or the queries.
            feedback: Ratings: a file, or records.
            examples: Examples that exist already: a file, or the examples.
            encoder: Embeds; ``None`` means what ``training_data.retriever`` says: passages are searched by words, or by
                the model of section ``embedding``.
            generator: Writes questions and paraphrases; ``None`` means that no language model is used. With one that
                has no ``model_name``, a run that was interrupted begins anew.
            decision_log: Where runs are logged; ``None`` means what section ``conport`` says.
            source_options: Names of fields and scales of sources that differ from the usual; ``None`` means the usual.

        Raises:
            InvalidArgumentError: A source is of no known kind, or its file does not exist; or something else is not
                what it should be. Names the argument.
        """
        check_collaborators(
            settings=settings,
            encoder=encoder,
            generator=generator,
            decision_log=decision_log,
            source_options=source_options,
        )
        self.settings = get_settings() if settings is None else settings
        self._sources = open_sources(
            self.settings,
            documents=documents,
            conversations=conversations,
            queries=queries,
            feedback=feedback,
            examples=examples,
            options=source_options,
        )
        self._encoder = encoder
        self._generator = generator
        self._decision_log = decision_log
        self._opened_log: weakref.finalize[..., TrainingDataGenerator] | None = None
        self.metrics = GenerationMetrics()
        self.rejected: tuple[RejectedCandidate, ...] = ()

    # --- making -------------------------------------------------------------------------------------------------

    def generate_training_data(
        self,
        count: int,
        strategy: str = "query_based",
        validation: bool = True,  # noqa: FBT001, FBT002 - the order is promised
    ) -> list[TrainingExample]:
        """Make examples, each checked, no two of them the same.

        Args:
            count: How many.
            strategy: ``query_based``, ``conversation_based``, ``synthetic``, ``given_examples``, ``augmentation``,
                ``negative_sampling``, or one that was registered.
            validation: Whether to check them; without, only exact duplicates fall. Personal
                data are blacked out in either case.

        Returns:
            Just `count` examples.

        Raises:
            InvalidArgumentError: `count` is not positive, or there is no such strategy.
            GenerationError: The sources cannot give so many; says how many they gave, and why the rest fell.
        """
        check_count(count)
        strategies = [(get_strategy(strategy), count)]
        with self._running(self._sources, strategies) as run:
            made = list(self._made(run, strategies, self._checks(run, validation=validation)))
            if len(made) < count:
                raise GenerationError(too_few(strategy, count, run.metrics()))
        return made

    def generate_examples(self, count: int, strategy: str = "query_based") -> list[TrainingExample]:
        """Make one batch of examples without checking them: at most `count`, fewer when the sources give fewer.

        Exact duplicates fall, and personal data are blacked out.

        Args:
            count: The most.
            strategy: As for ``generate_training_data``.

        Returns:
            The examples.

        Raises:
            InvalidArgumentError: `count` is not positive, or there is no such strategy.
            GenerationError: The sources lack what the strategy needs.
        """
        check_count(count)
        return list(self.iter_training_data(count, strategy, validation=False))

    def iter_training_data(
        self, count: int | None = None, strategy: str = "query_based", *, validation: bool = True
    ) -> Iterator[TrainingExample]:
        """Make examples one by one, as they are needed; ``metrics`` is complete at the end.

        Args:
            count: The most; ``None`` means all that the sources give.
            strategy: As for ``generate_training_data``.
            validation: As for ``generate_training_data``.

        Returns:
            The examples.

        Raises:
            InvalidArgumentError: `count` is not positive, or there is no such strategy.
            GenerationError: The sources lack what the strategy needs.
        """
        if count is not None:
            check_count(count)
        return self._run(self._sources, [(get_strategy(strategy), count)], validation=validation)

    def augment(self, examples: Iterable[TrainingExample]) -> list[TrainingExample]:
        """Make variations of the queries of examples, each of which still finds its passage; nothing else is checked.

        Personal data are blacked out.

        Args:
            examples: The examples.

        Returns:
            The variations; not the examples themselves.

        Raises:
            GenerationError: There is no example.
        """
        return self._of_examples(examples, "augmentation")

    def add_negatives(self, examples: Iterable[TrainingExample]) -> list[TrainingExample]:
        """Mine passages that the queries of examples should not find; what queries and ratings tell of them counts.

        Personal data are blacked out, also in queries and responses.

        Args:
            examples: The examples.

        Returns:
            Examples with the same queries and responses, but for personal data, and at least one negative each, those
            that they had before first. Those for which none was found are left out; ``metrics`` says why.

        Raises:
            GenerationError: There is no example, or no document to mine.
        """
        return self._of_examples(examples, "negative_sampling")

    def _of_examples(self, examples: Iterable[TrainingExample], strategy: str) -> list[TrainingExample]:
        given = list(checked_examples(examples))
        if not given:
            raise GenerationError("There is no example to start from")
        sources = replace(self._sources, conversations=None, examples=lambda: iter(given))
        return list(self._run(sources, [(get_strategy(strategy), None)], validation=False))

    def generate_dataset(
        self,
        count: int | None = None,
        strategies: str | Sequence[str] | Mapping[str, int | None] = ("query_based",),
        *,
        folder: str | Path | None = None,
        shape: str = "pairs",
        format: str = "jsonl",  # noqa: A002 - the word a caller expects
        shares: Mapping[str, float] | None = None,
        reserved_queries: Iterable[str] = (),
        passages_only: bool = False,
    ) -> DatasetReport:
        """Make examples and write them as a data set: parts without leaks, an evaluation set, a manifest and a card.

        Args:
            count: How many examples in all, shared evenly among the strategies; ``None`` means all that the sources
                give, or as many as `strategies` says, and fewer are no error.
            strategies: Names of the strategies, each once. Without a count also how many examples of each at most:
                ``{"query_based": None, "synthetic": 2000}``, where ``None`` means all there are.
            folder: Where to; ``None`` means ``datasets/ID`` in `data_dir`.
            shape: Shape of the parts: ``pairs``, ``triplets``, ``N-tuples``, ``labelled_pairs``, ``scored_lists``,
                ``messages``, ``preferences`` or ``examples``.
            format: Format of the parts: ``jsonl``, ``json``, ``csv``, ``parquet`` or ``datasets``.
            shares: Share of each part; ``None`` means 0.8, 0.1 and 0.1 for train, validation and test.
            reserved_queries: Queries that no example may have, such as those of an evaluation set, nor another one of
                the same words.
            passages_only: Whether to leave out examples whose response is an answer, or does not fit the query.

        Returns:
            Where it is, and what is in it.

        Raises:
            InvalidArgumentError: An argument is wrong.
            GenerationError: The sources cannot give so many examples, or none at all.
            StorageError: The folder holds something else, or cannot be written.
        """
        chosen = wanted_strategies(count, strategies)
        check_dataset_request(folder, shape, format, shares)
        if isinstance(reserved_queries, str):
            raise InvalidArgumentError("reserved_queries must be several texts, such as a list, found a single one")
        purpose = PurposeCheck(reserved_queries, passages_only=passages_only)
        names = " and ".join(strategy.name for strategy, _ in chosen)
        with self._running(self._sources, chosen) as run:
            checks: list[Check] = [purpose] if purpose.rejects else []
            examples = list(self._made(run, chosen, [*checks, *all_checks(run.tools, run.staging)]))
            metrics = run.metrics()
            if count is not None and len(examples) < count:
                raise GenerationError(too_few(names, count, metrics))
            if examples:
                return write_dataset(
                    examples,
                    run.tools.corpus,
                    metrics,
                    self.settings,
                    folder=folder,
                    shape=shape,
                    format=format,
                    shares=shares,
                    rejected=run.rejected(),
                )
        # Out of the block: whoever asks for all there is may find nothing, and the run has not failed.
        raise GenerationError(too_few(names, None, self.metrics))

    def _run(
        self, sources: Sources, strategies: Sequence[tuple[Strategy, int | None]], *, validation: bool
    ) -> Iterator[TrainingExample]:
        with self._running(sources, strategies) as run:
            yield from self._made(run, strategies, self._checks(run, validation=validation))

    @contextmanager
    def _running(self, sources: Sources, strategies: Sequence[tuple[Strategy, int | None]]) -> Iterator[Run]:
        names = [strategy.name for strategy, _ in strategies]
        total = total_of(strategies)
        with (
            log_operation(_log, "generate_training_data", strategy="+".join(names), requested=total) as operation,
            prepared_run(
                self.settings,
                sources,
                [strategy for strategy, _ in strategies],
                encoder=self._encoder,
                generator=self._generator,
            ) as run,
        ):
            try:
                with logged_run(self._log_of_decisions(), run.key[:16], names, total, self.settings, run.metrics):
                    yield run
            finally:
                self.metrics, self.rejected = run.metrics(), run.rejected()
                operation.add(produced=self.metrics.produced, rejected=sum(self.metrics.rejected.values()))

    @staticmethod
    def _checks(run: Run, *, validation: bool) -> list[Check]:
        return (all_checks if validation else least_checks)(run.tools, run.staging)

    @staticmethod
    def _made(
        run: Run, strategies: Sequence[tuple[Strategy, int | None]], checks: Sequence[Check]
    ) -> Iterator[TrainingExample]:
        with track("Making examples", total=total_of(strategies), unit="examples") as progress:
            for example in run.examples(strategies, checks):
                progress.advance()
                yield example

    def _log_of_decisions(self) -> DecisionLog:
        if self._decision_log is None:
            self._decision_log = open_decision_log(self.settings)
            # Whoever forgets to close waits for no server: what is not sent yet goes with the next run.
            self._opened_log = weakref.finalize(self, self._decision_log.close, 0)
        return self._decision_log

    def close(self, timeout: float | None = None) -> None:
        """Close the decision log that this generator has opened; one that was given is its owner's.

        Args:
            timeout: How long to wait for a server to take what it was told, in seconds; ``None`` means
                ``conport.timeout_seconds``. What it has not taken by then is kept, and sent with the next run.
        """
        if self._opened_log is not None and self._opened_log.detach() is not None and self._decision_log is not None:
            self._decision_log.close(timeout)
            self._decision_log = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    # --- what is there ------------------------------------------------------------------------------------------

    def validate(self, examples: Iterable[TrainingExample]) -> ValidationReport:
        """Check examples as those that are generated are checked, against the documents of this generator.

        Args:
            examples: The examples.

        Returns:
            What was found about each, and about all of them.
        """
        return validate_examples(
            examples, self.settings, self._sources, encoder=self._encoder, generator=self._generator
        )

    def split(self, examples: Iterable[TrainingExample], shares: Mapping[str, float] | None = None) -> ExampleSplit:
        """Split examples so that no part has seen anything of another; see ``split_examples``."""
        return split_examples(examples, shares, seed=self.settings.seed)

    def export_training_data(
        self,
        examples: Iterable[TrainingExample],
        path: str | Path,
        *,
        format: str | None = None,  # noqa: A002 - the word a caller expects
        shape: str = "pairs",
        safe_for_spreadsheets: bool = False,
    ) -> ExportReport:
        """Write examples to a file; see ``export_examples``."""
        return export_examples(examples, path, format=format, shape=shape, safe_for_spreadsheets=safe_for_spreadsheets)

    @staticmethod
    def load(path: str | Path, *, format: str | None = None) -> list[TrainingExample]:  # noqa: A002 - as above
        """Read examples from a file; see ``load_examples``."""
        return load_examples(path, format=format)
