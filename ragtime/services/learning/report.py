"""What came out of the learning loop: the record that the page, the JSON beside it and the command line are made of.

Two equal runs give the same report, byte for byte: durations and memory rest in a file of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue

from ragtime.records.base import FrozenDict, Identifier, Record, Text, freeze
from ragtime.services.model_finetuner import Decision
from ragtime.services.model_finetuner.metrics import Choice
from ragtime.services.training_data_gen import GenerationMetrics

__all__ = [
    "DataAccount",
    "FigureEstimate",
    "HeldOutAccount",
    "LearningOutcome",
    "LearningReport",
    "LossPoint",
    "MeasuredModel",
    "QuestionOutcome",
    "RankedPassage",
    "ShownExample",
    "TrainingAccount",
    "ValidationPoint",
]

LearningOutcome = Literal["promoted", "kept", "too_little_data"]
"""The tuned model is in production; the gate has kept the one that is in use; nothing was trained."""

Count = Annotated[int, Field(ge=0)]


class FigureEstimate(Record):
    """A figure in the mean over questions, such as nDCG@10.

    Attributes:
        value: The mean, 0 to 1.
        low: Lower end of its 95 % bootstrap interval; ``None`` where there are fewer than two questions.
        high: Upper end.
    """

    value: float
    low: float | None = None
    high: float | None = None


class MeasuredModel(Record):
    """A model, measured on the held-out questions.

    Attributes:
        role: ``base``: what training started from; ``in_use``: the version in production until now, where that is
            another; ``tuned``: what came out.
        name: What it is called.
        reference: ``NAME@VERSION`` in the registry; ``None`` for a model that is not in it.
        model_id: What identifies its weights.
        figures: Its figures by name, such as ``ndcg@10`` and ``recall@10``.
        general: Its figures on the general check; empty when none was made.
    """

    role: Literal["base", "in_use", "tuned"]
    name: Text
    reference: Identifier | None = None
    model_id: Identifier
    figures: Annotated[Mapping[str, FigureEstimate], AfterValidator(freeze)]
    general: Annotated[Mapping[str, FigureEstimate], AfterValidator(freeze)] = Field(default_factory=FrozenDict)


class RankedPassage(Record):
    """A passage that a model found for a question.

    Attributes:
        rank: Its rank, from 1.
        title: Its title; ``None`` for none.
        text: The beginning of its text.
        relevant: Whether it answers the question, by what is known.
    """

    rank: Annotated[int, Field(ge=1)]
    title: Text | None = None
    text: Text
    relevant: bool


class QuestionOutcome(Record):
    """A held-out question at which the two models differ.

    Attributes:
        question: The question.
        before: Its nDCG@10 by the model in use until now.
        after: Its nDCG@10 by the tuned model.
        ranking_before: What the former found first.
        ranking_after: What the latter found first.
    """

    question: Text
    before: float
    after: float
    ranking_before: tuple[RankedPassage, ...]
    ranking_after: tuple[RankedPassage, ...]


class ShownExample(Record):
    """A training example, or a candidate that became none.

    Attributes:
        strategy: What made it.
        query: Its query.
        response: The beginning of what it should retrieve; ``None`` where the candidate had none.
        reason: Why it was rejected; ``None`` for one that was kept.
        weak: Whether the pair was guessed, not stated by anybody.
    """

    strategy: Identifier
    query: Text | None = None
    response: Text | None = None
    reason: Text | None = None
    weak: bool = False


class HeldOutAccount(Record):
    """The questions by which the gate decides.

    Attributes:
        source: ``given``: a set of their own; ``held_out``: a part of the data that training has not seen.
        name: What the set is called.
        questions: How many.
        stated: Those whose answer a judgement, a rating or a citation states; the others were made up from passages.
        unseen_passages: Those whose answers no training pair has.
        passages: Passages that are searched.
    """

    source: Literal["given", "held_out"]
    name: Text
    questions: Count
    stated: Count
    unseen_passages: Count
    passages: Count


class DataAccount(Record):
    """What was made of the sources.

    Attributes:
        sources: The sources by kind, such as ``documents``, each with its content hash.
        dataset_id: The data set; ``None`` when none was made.
        training_pairs: Pairs to train on.
        validation_pairs: Pairs that chose the best step.
        held_out: The questions of the gate; ``None`` when there are none.
        missing_pairs: Training pairs that are missing to begin.
        missing_questions: Held-out questions that are missing.
        metrics: What became of every candidate.
        kept: Some of the examples.
        rejected: Some of the candidates that fell, with the reason.
    """

    sources: Annotated[Mapping[Identifier, Identifier], AfterValidator(freeze)]
    dataset_id: Identifier | None = None
    training_pairs: Count
    validation_pairs: Count
    held_out: HeldOutAccount | None = None
    missing_pairs: Count = 0
    missing_questions: Count = 0
    metrics: GenerationMetrics
    kept: tuple[ShownExample, ...] = ()
    rejected: tuple[ShownExample, ...] = ()


class LossPoint(Record):
    """The training loss at one step."""

    step: Annotated[int, Field(ge=1)]
    loss: float
    learning_rate: float


class ValidationPoint(Record):
    """A validation figure after some steps; step 0 is the base model."""

    step: Count
    value: float


class TrainingAccount(Record):
    """How the model was trained.

    Attributes:
        strategy: Which weights.
        metric: What chose the best step.
        epochs: Passes over the data.
        steps: Steps taken.
        best_step: The step that was kept.
        losses: The loss of every step.
        validation: The course of `metric`.
        choices: What the run chose by itself, and why, as far as it is the same on every machine.
    """

    strategy: Identifier
    metric: Identifier
    epochs: Count
    steps: Count
    best_step: Count
    losses: tuple[LossPoint, ...] = ()
    validation: tuple[ValidationPoint, ...] = ()
    choices: tuple[Choice, ...] = ()


class LearningReport(Record):
    """What one run of the loop has done, and why.

    Attributes:
        name: What the model is called in the registry.
        run_id: The run: hash of its sources, settings and base model.
        outcome: What became of it.
        sentence: The verdict, to be read.
        data: What it learned from.
        models: The models that were measured, in the order base, in use, tuned; empty when nothing was.
        training: How it was trained; ``None`` when nothing was.
        decision: What the gate has decided; ``None`` when it was not asked.
        won: Questions that the tuned model answers better, the largest gain first.
        lost: Those that it answers worse, the largest loss first.
        lineage: How many turns, users, documents, ratings … the training data came from, by kind.
        version: ``NAME@VERSION`` of the tuned model in the registry; ``None`` when there is none.
        next_step: What to do now, such as the line to set; ``None`` for nothing.
        settings: The settings that change results, by name.
        settings_hash: Their hash.
        seed: The seed.
        packages: Versions of what it was trained with.
        notes: What was done in another way than asked for, and why.
        folder: Where the report rests; not part of it.
    """

    name: Identifier
    run_id: Identifier
    outcome: LearningOutcome
    sentence: Text
    data: DataAccount
    models: tuple[MeasuredModel, ...] = ()
    training: TrainingAccount | None = None
    decision: Decision | None = None
    won: tuple[QuestionOutcome, ...] = ()
    lost: tuple[QuestionOutcome, ...] = ()
    lineage: Annotated[Mapping[Identifier, Count], AfterValidator(freeze)] = Field(default_factory=FrozenDict)
    version: Identifier | None = None
    next_step: Text | None = None
    settings: Annotated[Mapping[str, JsonValue], AfterValidator(freeze)] = Field(default_factory=FrozenDict)
    settings_hash: Identifier
    seed: Count
    packages: Annotated[Mapping[str, str], AfterValidator(freeze)] = Field(default_factory=FrozenDict)
    notes: tuple[Text, ...] = ()
    folder: Path | None = Field(default=None, exclude=True)

    @property
    def promoted(self) -> bool:
        """Whether the tuned model is in production now."""
        return self.outcome == "promoted"

    @property
    def html_path(self) -> Path | None:
        """The page; ``None`` for a report that rests nowhere."""
        return None if self.folder is None else self.folder / "report.html"

    @property
    def json_path(self) -> Path | None:
        """The report as JSON; ``None`` for a report that rests nowhere."""
        return None if self.folder is None else self.folder / "report.json"
