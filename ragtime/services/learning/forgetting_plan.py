"""What holds a user's turns and ratings, and what has to be made anew without them: the record, and its steps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from ragtime.records.base import Identifier, Record, Text
from ragtime.storage.registry import Stage

__all__ = [
    "Doubt",
    "ForgettingPlan",
    "HeldDataset",
    "HeldFolder",
    "HeldModel",
    "PlanAction",
    "PlanStep",
    "plan_steps",
]

Count = Annotated[int, Field(ge=0)]

PlanAction = Literal["forget", "clear", "learn", "generate", "train", "promote", "delete"]
"""Turns are removed from the store; working files are removed; the loop is run again; a data set, a model is made anew;
a version is promoted in the place of another; what holds the turns is deleted."""


class HeldDataset(Record):
    """A data set with examples that were made of what is to be forgotten.

    Attributes:
        id: Its id; ``None`` when its manifest is damaged or missing.
        folder: Where it is.
        examples: Examples that were made of it.
        total: Examples that could be read.
        learning_run: The run of the learning loop that made it; ``None`` for none.
    """

    id: Identifier | None
    folder: Path
    examples: Count
    total: Count
    learning_run: Text | None = None

    @property
    def name(self) -> str:
        """Its id, or its folder."""
        return self.id or str(self.folder)


class HeldModel(Record):
    """A model that was trained on what is to be forgotten.

    Attributes:
        name: ``NAME@VERSION`` with the first digits of the version, or the folder.
        reference: ``NAME@VERSION`` in full; ``None`` for a folder.
        folder: Where its files are.
        stage: What it is used for; ``None`` for a folder.
        reason: ``turns``: its run has noted the user; ``dataset``: one of its data sets holds it; ``parent``: the model
            that it was trained from is one of these.
        through: The data sets or the model by which it is.
        copy_of: The model before it of which it is a copy; ``None`` for none.
        learning_run: The run of the learning loop that made it; ``None`` for none.
    """

    name: Text
    reference: Identifier | None = None
    folder: Path
    stage: Stage | None = None
    reason: Literal["turns", "dataset", "parent"]
    through: tuple[Text, ...] = ()
    copy_of: Text | None = None
    learning_run: Text | None = None


class HeldFolder(Record):
    """Something else that holds texts, or weights that were trained on them.

    Attributes:
        kind: ``training_run``: checkpoints of a run whose model is affected; ``learning_run``: a run of the learning
            loop with its report; ``working_file``: what an interrupted run has read.
        path: Where it is.
    """

    kind: Literal["training_run", "learning_run", "working_file"]
    path: Path


class Doubt(Record):
    """Something of which nobody can tell whether it holds what is to be forgotten.

    Attributes:
        what: What it is.
        why: Why nobody can tell.
    """

    what: Text
    why: Text


class PlanStep(Record):
    """Something to do, after all that stands before it.

    Attributes:
        action: What is done.
        what: With what, to be read.
    """

    action: PlanAction
    what: Text


class ForgettingPlan(Record):
    """What holds a user's turns and ratings, and what to do about it, in order.

    Attributes:
        user_id: Whose; ``None`` for an application without users.
        conversation_id: The conversation; ``None`` for all of the user.
        turn_id: The turn of it; ``None`` for all of them.
        conversations: Conversations in the store.
        turns: Their turns in the store; those that a fork of a conversation shares stay with the fork.
        datasets: The data sets, by their folders.
        models: The models; each after the one that it was trained from.
        folders: Runs and working files.
        doubts: What could not be told.
        steps: What to do.
    """

    user_id: Identifier | None
    conversation_id: Identifier | None = None
    turn_id: Identifier | None = None
    conversations: Count = 0
    turns: Count = 0
    datasets: tuple[HeldDataset, ...] = ()
    models: tuple[HeldModel, ...] = ()
    folders: tuple[HeldFolder, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    steps: tuple[PlanStep, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known to hold anything; there may be doubts."""
        return not (self.conversations or self.turns or self.datasets or self.models or self.folders)

    @property
    def left_to_do(self) -> tuple[PlanStep, ...]:
        """The steps that ``forget_everywhere`` leaves to people: all but those it takes."""
        return tuple(step for step in self.steps if step.action not in {"forget", "clear"})


def plan_steps(plan: ForgettingPlan) -> tuple[PlanStep, ...]:
    """Put what has to be done in order: what others are made of comes first, and nothing is deleted that is in use.

    Args:
        plan: The plan, without steps.

    Returns:
        The steps.
    """
    steps = (*_forgetting(plan), *_making(plan), *_deleting(plan))
    return tuple(PlanStep(action=action, what=what) for action, what in steps)


def _forgetting(plan: ForgettingPlan) -> Iterator[tuple[PlanAction, str]]:
    if plan.turns or plan.conversations:
        yield "forget", f"{plan.turns} turns of {plan.conversations} conversations, in the store and the caches"
    if cleared := sum(one.kind == "working_file" for one in plan.folders):
        yield "clear", f"{cleared} working files of runs that make training data, and what else lies there"


def _making(plan: ForgettingPlan) -> Iterator[tuple[PlanAction, str]]:
    for run in plan.folders:
        if run.kind == "learning_run":
            yield "learn", f"with sources without it, in the place of '{run.path}': data set, model and report at once"
    for dataset in plan.datasets:
        if dataset.learning_run is None and dataset.id is not None:
            yield "generate", f"data set {dataset.name} anew, with sources without it"
    for model in plan.models:
        if model.learning_run is None and model.copy_of is None:
            yield "train", f"{model.name} anew{_from(model)}"
        if model.stage == "production":
            yield "promote", f"what takes the place of {model.name}, which is in production, once it is evaluated"


def _from(model: HeldModel) -> str:
    if not model.through:
        return ", on rows without it"
    how = "from what takes the place of" if model.reason == "parent" else "on what takes the place of data set"
    return f", {how} {', '.join(model.through)}"


def _deleting(plan: ForgettingPlan) -> Iterator[tuple[PlanAction, str]]:
    runs = [one.path for one in plan.folders if one.kind == "learning_run"]

    def goes_with_a_run(folder: Path) -> bool:
        return any(folder.is_relative_to(run) for run in runs)

    for model in plan.models:
        if model.reference is not None:
            once = ", once another version is in production" if model.stage == "production" else ""
            yield "delete", f"{model.name} from the registry{once}"
    for model in plan.models:
        if model.reference is None and not goes_with_a_run(model.folder):
            yield "delete", f"'{model.folder}'"
    for one in plan.folders:
        if one.kind != "working_file":
            yield "delete", f"'{one.path}'"
    for dataset in plan.datasets:
        if not goes_with_a_run(dataset.folder):
            yield "delete", f"'{dataset.folder}'"
