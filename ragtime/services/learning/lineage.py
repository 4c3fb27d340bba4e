"""From a model back to the turns, ratings and documents that taught it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field

from ragtime.config.settings import Settings, get_settings
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.records.base import FrozenDict, Identifier, Record, Text, freeze
from ragtime.records.training import Lineage, ids_by_kind
from ragtime.services.learning.holdings import StoredDataset, find_holdings
from ragtime.services.learning.known_models import KnownModel, KnownModels, known_models
from ragtime.services.learning.origins import ExampleOrigin, ReadingAccount, read_origins
from ragtime.storage.registry import ModelRegistry, Stage

__all__ = [
    "ModelTrace",
    "TaughtTurn",
    "TracedDataset",
    "TracedExample",
    "TracedModel",
    "taught_turns",
    "trace_model",
    "traced_examples",
]

_log = get_logger(__name__)

Count = Annotated[int, Field(ge=0)]
Ids = Annotated[Mapping[Identifier, tuple[Identifier, ...]], AfterValidator(freeze)]


class TracedModel(Record):
    """A model on the way back.

    Attributes:
        name: ``NAME@VERSION`` with the first digits of the version, or the folder.
        reference: ``NAME@VERSION`` in full; ``None`` for a folder.
        folder: Where its files are.
        stage: What it is used for; ``None`` for a folder.
        parent: What it was trained from, as it was written down; ``None`` when nobody knows.
        dataset_ids: The data sets that it was trained on.
        ids: Ids of what its rows were made of, by kind, as its run has written them down; empty when it was trained on
            rows that do not tell.
        settings_hash: Hash of the configuration of its run; ``None`` when nobody knows.
    """

    name: Text
    reference: Identifier | None = None
    folder: Path
    stage: Stage | None = None
    parent: Text | None = None
    dataset_ids: tuple[Identifier, ...] = ()
    ids: Ids = Field(default_factory=FrozenDict)
    settings_hash: Identifier | None = None


class TracedDataset(Record):
    """A data set that one of the models was trained on.

    Attributes:
        id: Its id.
        folder: Where it is; ``None`` when it is gone.
        models: Names of the models that were trained on it.
        parts: Examples of each part; the models have seen ``train``, and ``validation`` chose among their steps.
        examples: Examples of all parts that could be read.
        damaged: Those that could not.
        strategies: Examples of each strategy.
        ids: Ids of what the examples were made of, by kind.
        problems: What is wrong with it, in words.
    """

    id: Identifier
    folder: Path | None = None
    models: tuple[Text, ...]
    parts: Annotated[Mapping[str, Count], AfterValidator(freeze)] = Field(default_factory=FrozenDict)
    examples: Count = 0
    damaged: Count = 0
    strategies: Annotated[Mapping[str, Count], AfterValidator(freeze)] = Field(default_factory=FrozenDict)
    ids: Ids = Field(default_factory=FrozenDict)
    problems: tuple[Text, ...] = ()


class ModelTrace(Record):
    """The way back from a model.

    Attributes:
        model: The model.
        parents: The models that it was trained from, the nearest first.
        base: The model of others with which it all began; ``None`` when nobody knows.
        datasets: What they were trained on, those of the model first.
        missing: What could not be found, in words. Nothing stands in for it.
    """

    model: TracedModel
    parents: tuple[TracedModel, ...] = ()
    base: Text | None = None
    datasets: tuple[TracedDataset, ...] = ()
    missing: tuple[Text, ...] = ()

    @property
    def ids(self) -> dict[str, tuple[str, ...]]:
        """Ids of all that the models and their data sets came from, by kind, sorted."""
        found: dict[str, set[str]] = {}
        models = (self.model, *self.parents)
        for known in (*(one.ids for one in models), *(one.ids for one in self.datasets)):
            for kind, ids in known.items():
                found.setdefault(kind, set()).update(ids)
        return {kind: tuple(sorted(ids)) for kind, ids in sorted(found.items())}


class TaughtTurn(NamedTuple):
    """A turn that examples were made of.

    Attributes:
        user_id: Whose it is; ``None`` for an application without users.
        conversation_id: Its conversation; ``None`` when it is not recorded.
        turn_id: The turn.
        examples: Examples that it is the question or an answer of.
        as_context: Further examples in whose context it stands.
    """

    user_id: str | None
    conversation_id: str | None
    turn_id: str
    examples: int
    as_context: int


class TracedExample(NamedTuple):
    """An example that taught a model.

    Attributes:
        dataset_id: Its data set.
        id: The example.
        strategy: What made it; empty when it was made by hand.
        query: Its query.
        lineage: Where it came from.
    """

    dataset_id: str
    id: str
    strategy: str
    query: str
    lineage: Lineage


def trace_model(
    model: str | Path,
    settings: Settings | None = None,
    *,
    registry: ModelRegistry | None = None,
    folders: Sequence[str | Path] = (),
) -> ModelTrace:
    """Walk from a model back to what it was made of, over all models that it was trained from.

    The walk goes by what was written down: by the registry, by the run beside the weights, and by each example. Data
    sets are found by their ids, wherever below the data folder they are. What was deleted is told of as missing.

    Args:
        model: ``NAME`` for the version in production, ``NAME@VERSION``, either with ``registry:`` before it, or the
            folder of a model; a folder that holds a model goes before a name.
        settings: Say where the data folder is; ``None`` means the current ones.
        registry: The registry; ``None`` means that of the settings.
        folders: Folders to look for data sets and models besides the data folder.

    Returns:
        The way back.

    Raises:
        ModelNotFoundError: There is no such model or version, or none is in production; names one of a similar name.
        InvalidArgumentError: It is neither a name nor a folder with a model, or several versions begin so.
        StorageError: The registry cannot be read.
    """
    chosen = get_settings() if settings is None else settings
    shelves = ModelRegistry(chosen) if registry is None else registry
    with log_operation(_log, "trace_model", model=str(model)) as operation:
        holdings = find_holdings(chosen, folders)
        known = known_models(shelves, holdings.models)
        first = known.find(model, shelves)
        chain, base, missing = _chain(first, known)
        datasets = _datasets(chain, holdings.datasets)
        missing += [
            f"The data set {one.id} of {', '.join(one.models)} is gone, or rests where nobody has looked"
            for one in datasets
            if one.folder is None
        ]
        missing += [
            f"What {one.name} was trained on is not recorded"
            for one in chain
            if one.parent is not None and not (one.dataset_ids or one.ids)
        ]
        missing += [one.problem for one in chain if one.problem is not None]
        missing += [f"The folder '{one}' cannot be looked into" for one in holdings.unreadable]
        trace = ModelTrace(
            model=_traced(first),
            parents=tuple(map(_traced, chain[1:])),
            base=base,
            datasets=tuple(datasets),
            missing=tuple(dict.fromkeys(missing)),
        )
        operation.add(parents=len(trace.parents), datasets=len(datasets), missing=len(trace.missing))
    return trace


def taught_turns(trace: ModelTrace) -> list[TaughtTurn]:
    """List the turns that the data sets of a trace were made of.

    Args:
        trace: The trace; its data sets are read once more.

    Returns:
        The turns, by user, conversation and id; those of no user first.
    """
    direct: Counter[tuple[str | None, str | None, str]] = Counter()
    context: Counter[tuple[str | None, str | None, str]] = Counter()
    for one in traced_examples(trace):
        whose = one.lineage.user_id, one.lineage.conversation_id
        direct.update((*whose, turn) for turn in set(one.lineage.turn_ids))
        context.update((*whose, turn) for turn in set(one.lineage.context_turn_ids) - set(one.lineage.turn_ids))
    turns = sorted({*direct, *context}, key=lambda one: tuple(part or "" for part in one))
    return [TaughtTurn(*turn, direct[turn], context[turn]) for turn in turns]


def traced_examples(
    trace: ModelTrace,
    *,
    turn_id: str | None = None,
    document_id: str | None = None,
    feedback_id: str | None = None,
    user_id: str | None = None,
) -> Iterator[TracedExample]:
    """Read the examples that taught a model, or those of them that came from one thing.

    Args:
        trace: The trace; its data sets are read once more, line by line.
        turn_id: Only those that this turn is the question or an answer of, or in whose context it stands; ``None``
            means whatever the turn.
        document_id: Only those of this document or a part of it; ``None`` means whatever the document.
        feedback_id: Only those of this rating; ``None`` means whatever the rating.
        user_id: Only those of this user's turns or ratings; ``None`` means whoever it was.

    Yields:
        The examples, one by one. Those that are damaged are left out; the trace counts them.
    """
    for dataset in trace.datasets:
        if dataset.folder is None:
            continue
        files = sorted((dataset.folder / "examples").glob("*.jsonl"))
        for origin in read_origins(files, ReadingAccount()):
            lineage = origin.lineage
            parts = {one.partition("#")[0] for one in lineage.document_ids}
            users = {lineage.user_id, *(rater.user_id for rater in lineage.raters)}
            if (
                (turn_id is None or turn_id in lineage.turn_ids or turn_id in lineage.context_turn_ids)
                and (document_id is None or document_id in lineage.document_ids or document_id in parts)
                and (feedback_id is None or feedback_id in lineage.feedback_ids)
                and (user_id is None or user_id in users)
            ):
                yield TracedExample(dataset.id, origin.id, origin.strategy, origin.query, lineage)


# --- the walk ---------------------------------------------------------------------------------------------------------


def _chain(first: KnownModel, known: KnownModels) -> tuple[list[KnownModel], str | None, list[str]]:
    """Return a model and those that it was trained from, what that began with, and what is missing."""
    chain = [first]
    while True:
        origin = known.origin_of(chain[-1])
        if origin.gone is not None:
            return chain, None, [origin.gone]
        if origin.model is None:
            return chain, chain[-1].parent, []
        if any(one.folder == origin.model.folder for one in chain):
            return chain, None, [f"{chain[-1].name} is said to be trained from {origin.model.name}, in a circle"]
        chain.append(origin.model)


def _datasets(chain: Sequence[KnownModel], stored: Sequence[StoredDataset]) -> list[TracedDataset]:
    trained: dict[str, list[str]] = {}
    for model in chain:
        for dataset_id in model.dataset_ids:
            trained.setdefault(dataset_id, []).append(model.name)
    places: dict[str | None, StoredDataset] = {}
    for dataset in stored:  # of several copies the first that is whole
        former = places.get(dataset.id)
        if former is None or (former.problems and not dataset.problems):
            places[dataset.id] = dataset
    return [
        TracedDataset(id=one, models=tuple(models)) if one not in places else _read(places[one], one, models)
        for one, models in trained.items()
    ]


def _read(dataset: StoredDataset, dataset_id: str, models: Sequence[str]) -> TracedDataset:
    account, strategies = ReadingAccount(), Counter[str]()

    def lineages(origins: Iterator[ExampleOrigin]) -> Iterator[Lineage]:
        for origin in origins:
            strategies[origin.strategy or "by hand"] += 1
            yield origin.lineage

    ids = ids_by_kind(lineages(read_origins(dataset.files, account)))
    problems = [*dataset.problems, *(f"{name} cannot be read" for name in account.unreadable)]
    if account.damaged:
        problems.append(f"{account.damaged} of its examples cannot be read")
    return TracedDataset(
        id=dataset_id,
        folder=dataset.folder,
        models=tuple(models),
        parts=dataset.parts,
        examples=account.examples,
        damaged=account.damaged,
        strategies=dict(sorted(strategies.items())),
        ids=_sorted(ids),
        problems=tuple(problems),
    )


def _traced(model: KnownModel) -> TracedModel:
    return TracedModel(
        name=model.name,
        reference=model.reference,
        folder=model.folder,
        stage=model.stage,
        parent=model.parent,
        dataset_ids=model.dataset_ids,
        ids=_sorted(model.ids),
        settings_hash=model.settings_hash,
    )


def _sorted(ids: Mapping[str, set[str] | frozenset[str]]) -> dict[str, tuple[str, ...]]:
    return {kind: tuple(sorted(some)) for kind, some in sorted(ids.items())}
