"""Opening the sources of a run: arguments are checked at once, records are read when they are needed."""

from __future__ import annotations

from dataclasses import dataclass

from ragtime.config.settings import Settings
from ragtime.errors import InvalidArgumentError
from ragtime.monitoring.logging import get_logger
from ragtime.services.training_data_gen.sources.conversations import conversation_reader
from ragtime.services.training_data_gen.sources.documents import document_reader
from ragtime.services.training_data_gen.sources.examples import example_reader
from ragtime.services.training_data_gen.sources.feedback import feedback_reader
from ragtime.services.training_data_gen.sources.items import Sources
from ragtime.services.training_data_gen.sources.queries import corpus_of_queries, query_reader
from ragtime.services.training_data_gen.sources.sample import SAMPLE_NAME, sample_sources

__all__ = ["SourceOptions", "open_sources"]

_log = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """How sources that differ from the usual are read.

    Attributes:
        turns_field: Name of the field that holds the turns of a conversation in no known format.
        rating_field: Name of the field that holds the rating of a feedback record.
        rating_scale: The worst rating and the best, any two numbers.
        split: The part of a folder in the layout of BEIR that queries are read from; never ``test`` by default, for
            who trains on it has nothing to test with.
    """

    turns_field: str = "turns"
    rating_field: str = "rating"
    rating_scale: tuple[float, float] = (1, 5)
    split: str = "train"

    def __post_init__(self) -> None:
        """Check the names.

        Raises:
            InvalidArgumentError: One is no text, or empty.
        """
        for name in ("turns_field", "rating_field", "split"):
            value: object = getattr(self, name)
            if not isinstance(value, str) or not value:
                raise InvalidArgumentError(f"{name}: found {type(value).__name__}; expected a name")


def open_sources(
    settings: Settings,
    *,
    documents: object = None,
    conversations: object = None,
    queries: object = None,
    feedback: object = None,
    examples: object = None,
    options: SourceOptions | None = None,
) -> Sources:
    """Check what was given, and return what reads it.

    Records are read when they are asked for, anew each time; what an iterator or a generator gives is kept in memory
    from now on. A text is a path, never a list of characters. What cannot be used becomes a ``BadRecord``, and costs no
    other record.

    Args:
        settings: The settings.
        documents: See ``document_reader``; ``None`` means the documents that the queries bring along, if any.
        conversations: See ``conversation_reader``; ``None`` for none.
        queries: See ``query_reader``; ``None`` for none.
        feedback: See ``feedback_reader``; ``None`` for none.
        examples: See ``example_reader``; ``None`` for none.
        options: Names of fields and the like; ``None`` means the usual ones.

    Returns:
        The sources; the packaged sample for every kind when nothing at all was given.

    Raises:
        InvalidArgumentError: An argument is of another kind, or a path does not exist; names it.
        StorageError: The packaged sample is needed, and cannot be read.
    """
    options = options or SourceOptions()
    if all(given is None for given in (documents, conversations, queries, feedback, examples)):
        _log.info("No sources were given: the packaged sample is used", sample=SAMPLE_NAME)
        return sample_sources(settings)
    # Checked before the documents that they may bring along, so that an error names the argument that was given.
    query_source = None if queries is None else query_reader(queries, split=options.split)
    if documents is None and queries is not None:
        documents = corpus_of_queries(queries)
    return Sources(
        documents=None if documents is None else document_reader(documents, settings),
        conversations=(
            None if conversations is None else conversation_reader(conversations, turns_field=options.turns_field)
        ),
        queries=query_source,
        feedback=(
            None
            if feedback is None
            else feedback_reader(feedback, rating_field=options.rating_field, rating_scale=options.rating_scale)
        ),
        examples=None if examples is None else example_reader(examples),
    )
