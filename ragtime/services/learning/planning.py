"""What a run of the loop would do, before it does it: what there is to learn from, what is missing, what it takes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, cast

from pydantic import AfterValidator, Field

from ragtime.config.settings import Settings, get_settings
from ragtime.errors import StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.protocols import TextEncoder, TextGenerator
from ragtime.records.base import FrozenDict, Identifier, Record, Text, freeze
from ragtime.services.learning.calibration import calibrate
from ragtime.services.learning.counting import PlannedSource, check_sources, count_records
from ragtime.services.learning.data import TRAIN, LearnedData, dataset_folder, make_data, part_of, strategy_mix
from ragtime.services.learning.estimate import RunEstimate, Workload, estimate_run, sample_pairs
from ragtime.services.learning.held_out import LEAST_QUESTIONS, HeldOut, check_general, given_questions, held_out_part
from ragtime.services.learning.shipping import REGISTRY, in_production, pin_base
from ragtime.services.learning.sources import LearningSources, read_contents
from ragtime.services.model_finetuner import EvaluationData, FineTuningConfig
from ragtime.services.model_finetuner.comparison import EvaluationSource
from ragtime.services.model_finetuner.training import ModelLoader
from ragtime.services.training_data_gen import GenerationMetrics, TrainingDataGenerator
from ragtime.storage.registry import ModelRegistry
from ragtime.storage.registry.records import SHORT
from ragtime.storage.registry.references import check_name

__all__ = ["LearningPlan", "plan_learning"]

Count = Annotated[int, Field(ge=0)]

_log = get_logger(__name__)
_MOST = 20_000  # examples of a strategy that are made for a plan


class LearningPlan(Record):
    """What a run would do.

    Attributes:
        name: What the model is called in the registry.
        outcome: ``possible``, or ``too_little_data`` when nothing would be trained.
        sentence: The same, to be read.
        sources: What the sources hold.
        strategies: How examples are made, and how many of each at most; ``None`` for all there are.
        metrics: What became of every candidate for an example.
        training_pairs: Pairs to train on.
        validation_pairs: Pairs that choose the best step.
        held_out_questions: Questions by which the gate decides.
        passages: Passages that are searched for them.
        min_training_pairs: With fewer, nothing is trained.
        min_held_out_questions: The same of questions.
        strategy: Which weights are trained.
        epochs: Passes over the pairs.
        batch_size: Pairs of a batch.
        steps: Steps of the training.
        base_model: The model to start from.
        in_use: The version in production, which what comes out is compared with; ``None`` when there is none, and it is
            compared with the base model.
        estimate: Time and memory; ``None`` when nothing would be trained.
        places: Where things would be written, by what they are.
        notes: What is otherwise than one may expect.
    """

    name: Identifier
    outcome: Literal["possible", "too_little_data"]
    sentence: Text
    sources: tuple[PlannedSource, ...]
    strategies: Annotated[Mapping[Identifier, Count | None], AfterValidator(freeze)]
    metrics: GenerationMetrics
    training_pairs: Count
    validation_pairs: Count
    held_out_questions: Count
    passages: Count
    min_training_pairs: Count
    min_held_out_questions: Count
    strategy: Identifier
    epochs: Count
    batch_size: Count
    steps: Count
    base_model: Text
    in_use: Text | None = None
    estimate: RunEstimate | None = None
    places: Annotated[Mapping[str, Path], AfterValidator(freeze)] = Field(default_factory=FrozenDict)
    notes: tuple[Text, ...] = ()

    @property
    def missing_pairs(self) -> int:
        """Training pairs that are missing to begin."""
        return max(0, self.min_training_pairs - self.training_pairs)

    @property
    def missing_questions(self) -> int:
        """Held-out questions that are missing."""
        return max(0, self.min_held_out_questions - self.held_out_questions)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """Training data that were made and thrown away."""

    mix: Mapping[str, int | None]
    data: LearnedData
    held_out: HeldOut | None
    pairs: Sequence[tuple[str, str]]
    seconds: float


def plan_learning(  # noqa: PLR0913 - what a run is given, each by its name
    settings: Settings | None,
    sources: LearningSources,
    name: str = "retriever",
    *,
    config: FineTuningConfig | None = None,
    evaluation: EvaluationSource | None = None,
    general: EvaluationSource | None = None,
    registry: ModelRegistry | None = None,
    encoder: TextEncoder | None = None,
    generator: TextGenerator | None = None,
    model_loader: ModelLoader | None = None,
) -> LearningPlan:
    """Tell what a run of the loop would do, without doing it.

    The training data are made as the run makes them, in a temporary folder, and thrown away: by words and by rules, for
    neither an embedding model nor a language model is asked. Then the base model takes one small training step, which
    tells how long all of them take. Nothing is written to ``data_dir``.

    Args:
        settings: The settings; ``None`` means the current ones.
        sources: What the loop would learn from.
        name: What the model is called in the registry.
        config: What the training is told; ``None`` means what the settings say.
        evaluation: The questions of the gate; ``None`` means that a part of the data is held out.
        general: The questions of the general check; ``None`` means those of the packaged sample.
        registry: The registry; ``None`` means that in ``data_dir``.
        encoder: What the run searches passages with; it is not used, and a note says so.
        generator: What writes questions in the run; it is not asked either.
        model_loader: Gives the base model; ``None`` means to find it by its name.

    Returns:
        The plan.

    Raises:
        InvalidArgumentError: An argument is wrong, or no record of a file has the field that is to be read.
        GenerationError: A source cannot be read.
        BackendError: The base model is not there, or cannot be loaded.
        FineTuningError: It does not suit the strategy.
        StorageError: A file is damaged, or the temporary folder cannot be written.
        MissingExtraError: A package is not installed.
    """
    check_name(name)
    chosen = settings if settings is not None else get_settings()
    known = registry if registry is not None else ModelRegistry(chosen)
    tuning = (config if config is not None else FineTuningConfig()).resolved(chosen)
    with log_operation(_log, "plan_learning", model=name) as operation:
        check_sources(chosen, sources)
        base = pin_base(cast("str", tuning.base_model_name), known)
        tuning = tuning.model_copy(update={"base_model_name": base})
        checked = check_general(EvaluationData.sample(reserved=True) if general is None else EvaluationData.of(general))
        given = None if evaluation is None else given_questions(evaluation)
        opened = sources.opened(chosen)
        counted = count_records(opened)
        mix = strategy_mix(read_contents(opened), chosen)
        made = _made(chosen, sources, mix, given)
        by_models = tuple(_asked_of_models(chosen, encoder, generator))
        plan = _planned(chosen, name, tuning, counted, made).model_copy(
            update={"in_use": _in_use(name, known), "notes": (*by_models, *_notes(made))}
        )
        if plan.outcome == "possible":
            workload = _workload(plan, checked, None if by_models else made.seconds)
            found = calibrate(tuning, chosen, made.pairs, model_loader=model_loader, registry=known.resolve)
            estimate = estimate_run(tuning, workload, found)
            output = Path(cast("Path", tuning.output_dir)).expanduser().absolute()
            places = {**plan.places, "trained models": output, "the registry": known.root}
            plan = plan.model_copy(update={"estimate": estimate, "places": places})
        operation.add(outcome=plan.outcome, training_pairs=plan.training_pairs, questions=plan.held_out_questions)
    return plan


def _in_use(name: str, registry: ModelRegistry) -> str | None:
    version = in_production(registry, name)
    return None if version is None else f"{REGISTRY}{name}@{version[:SHORT]}"


@contextmanager
def _spare_folder() -> Iterator[Path]:
    try:
        folder = tempfile.TemporaryDirectory(prefix="ragtime-plan-")
    except OSError as error:
        raise StorageError(f"There is no room for temporary files ({error.strerror or error}): set TMPDIR") from error
    with folder as place:
        yield Path(place)


def _made(settings: Settings, sources: LearningSources, mix: Mapping[str, int | None], given: HeldOut | None) -> _Made:
    """Make the training data in a folder that is removed again."""
    begin = time.perf_counter()
    most = {name: _MOST if limit is None else min(limit, _MOST) for name, limit in mix.items()}
    reserved = None if given is None else given.asked
    with _spare_folder() as folder:
        apart = settings.replace(data_dir=folder, conport__mode="off", training_data__retriever="bm25")
        with TrainingDataGenerator(
            apart,
            **{kind: getattr(sources, kind) for kind in sources.given()},
            source_options=sources.options,
        ) as generator:
            data = make_data(generator, most, reserved=reserved)
        held_out = given
        pairs: list[tuple[str, str]] = []
        if data.dataset_id is not None:
            place = dataset_folder(apart, data.dataset_id)
            pairs = [(example.query, example.response) for example in part_of(place, TRAIN)]
            held_out = given or held_out_part(place, settings.learning.min_held_out_questions)
    return _Made(mix=mix, data=data, held_out=held_out, pairs=sample_pairs(pairs), seconds=time.perf_counter() - begin)


def _planned(
    settings: Settings, name: str, config: FineTuningConfig, counted: tuple[PlannedSource, ...], made: _Made
) -> LearningPlan:
    held_out, pairs = made.held_out, made.data.training_pairs
    questions = 0 if held_out is None or held_out.data is None else held_out.account.questions
    least_pairs = settings.learning.min_training_pairs
    least_questions = max(LEAST_QUESTIONS, settings.learning.min_held_out_questions)
    steps = -(-pairs // (config.batch_size * config.gradient_accumulation_steps))
    missing = [
        f"{least - found:,} of at least {least:,} {what} are missing (there are {found:,})"
        for found, least, what in (
            (pairs, least_pairs, "training pairs"),
            (questions, least_questions, "held-out questions"),
        )
        if found < least
    ]
    return LearningPlan(
        name=name,
        outcome="too_little_data" if missing else "possible",
        sentence=(
            f"Too little data, nothing would be trained: {', and '.join(missing)}"
            if missing
            else f"There is enough data to begin: {pairs:,} training pairs and {questions:,} held-out questions"
        ),
        sources=counted,
        strategies=made.mix,
        metrics=made.data.metrics,
        training_pairs=pairs,
        validation_pairs=made.data.validation_pairs,
        held_out_questions=questions,
        passages=0 if held_out is None else held_out.account.passages,
        min_training_pairs=least_pairs,
        min_held_out_questions=least_questions,
        strategy=config.strategy,
        epochs=config.num_epochs,
        batch_size=config.batch_size,
        steps=steps * config.num_epochs,
        base_model=cast("str", config.base_model_name),
        places={"the run": settings.data_path("learning", name), "training data": settings.data_path("datasets")},
    )


def _asked_of_models(settings: Settings, encoder: TextEncoder | None, generator: TextGenerator | None) -> Iterator[str]:
    """Say what the run will ask models for, and the plan has done without."""
    if encoder is not None or settings.training_data.retriever == "dense":
        yield "Passages were searched by words for this plan, and will be by an embedding model: counts may differ"
    if generator is not None:
        yield "Questions were made up by rules for this plan, and a language model will write some: counts may differ"


def _notes(made: _Made) -> Iterator[str]:
    """Say what of the examples one may not expect."""
    for name, limit in made.mix.items():
        if (limit is None or limit > _MOST) and made.data.metrics.balance.by_strategy.get(name, 0) >= _MOST:
            yield f"Of {name}, the plan looks at the first {_MOST:,} examples; there are more, and they take longer"
    if made.held_out is not None:
        yield from made.held_out.notes
    for part, why in made.data.misses.items():
        yield f"The part {part!r} missed its share of the examples: {why}"


def _workload(plan: LearningPlan, general: EvaluationData, data_seconds: float | None) -> Workload:
    return Workload(
        training_pairs=plan.training_pairs,
        passages=plan.passages,
        questions=plan.held_out_questions,
        general_texts=len(general.validation.queries) + len(general.validation.passages),
        models=2 if plan.in_use in {None, plan.base_model} else 3,
        data_seconds=data_seconds,
    )
