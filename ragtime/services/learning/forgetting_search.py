"""Searching the data folder for what is to be forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ragtime.config.settings import Settings
from ragtime.services.learning.affected import AffectedModels
from ragtime.services.learning.forgetting_plan import (
    Doubt,
    ForgettingPlan,
    HeldDataset,
    HeldFolder,
    HeldModel,
    plan_steps,
)
from ragtime.services.learning.holdings import Holdings, StoredDataset
from ragtime.services.learning.known_models import known_models, read_run
from ragtime.services.learning.leftovers import (
    LearningRun,
    learning_runs,
    search_run,
    search_working_file,
    working_files,
)
from ragtime.services.learning.origins import ReadingAccount, read_origins
from ragtime.services.learning.whose import Whose
from ragtime.storage.registry import ModelRegistry

__all__ = ["ForgettingSearch"]


class ForgettingSearch:
    """Searches what was found in the data folder for what is to be forgotten."""

    def __init__(self, settings: Settings, registry: ModelRegistry, whose: Whose, holdings: Holdings) -> None:
        """Get ready.

        Args:
            settings: Say where the data folder is.
            registry: The registry.
            whose: What is to be forgotten.
            holdings: What the data folder holds.
        """
        self._settings = settings
        self._registry = registry
        self._whose = whose
        self._holdings = holdings
        self._runs = learning_runs(settings)
        self._doubts = [
            Doubt(what=f"the folder '{one}'", why="it cannot be looked into") for one in holdings.unreadable
        ]

    def plan(self, conversations: int, turns: int) -> ForgettingPlan:
        """Search everything; called once.

        Args:
            conversations: Conversations in the store that are to be forgotten.
            turns: Their turns.

        Returns:
            The plan.
        """
        datasets = [held for one in self._holdings.datasets if (held := self._dataset(one)) is not None]
        models = self._models(datasets)
        plan = ForgettingPlan(
            user_id=self._whose.user_id,
            conversation_id=self._whose.conversation_id,
            turn_id=self._whose.turn_id,
            conversations=conversations,
            turns=turns,
            datasets=tuple(datasets),
            models=tuple(models),
            folders=tuple(self._folders(datasets, models)),
            doubts=tuple(self._doubts),
        )
        return plan.model_copy(update={"steps": plan_steps(plan)})

    def _doubt(self, what: str, why: str) -> None:
        self._doubts.append(Doubt(what=what, why=why))

    def _dataset(self, dataset: StoredDataset) -> HeldDataset | None:
        account, held, unknown = ReadingAccount(), 0, 0
        for origin in read_origins(dataset.files, account):
            if self._whose.holds(origin):
                held += 1
            elif self._whose.may_hold(origin):
                unknown += 1
        name = f"data set {dataset.name}"
        if unknown:
            self._doubt(name, f"whose turns or ratings {unknown} of its examples came from is not recorded")
        if account.damaged:
            self._doubt(name, f"{account.damaged} of its examples cannot be read")
        for one in account.unreadable:
            self._doubt(name, f"{one} cannot be read to its end")
        for problem in dataset.problems:
            self._doubt(name, problem)
        if not held:
            return None
        return HeldDataset(
            id=dataset.id,
            folder=dataset.folder,
            examples=held,
            total=account.examples,
            learning_run=self._run_of(dataset.folder, dataset=dataset.id),
        )

    def _run_of(self, folder: Path, *, dataset: str | None = None, version: str | None = None) -> str | None:
        """Return the run of the loop that something is of: it rests there, or the files there name it."""
        for run in self._runs:
            inside = folder.is_relative_to(run.folder)
            if inside or dataset in run.datasets or (version is not None and run.made(version)):
                return run.name
        return None

    def _models(self, datasets: Sequence[HeldDataset]) -> list[HeldModel]:
        known = known_models(self._registry, self._holdings.models)
        for problem in known.problems:
            self._doubt("a model", problem)
        found = AffectedModels(known, self._whose, {one.id for one in datasets if one.id is not None})
        there = {one.id for one in self._holdings.datasets}
        for model in found.untold(there):
            self._doubt(f"the model {model.name}", "whose turns and ratings it was trained on is not recorded")
        return found.held(
            lambda model: self._run_of(model.folder, version=None if model.version is None else model.version.version)
        )

    def _folders(self, datasets: Sequence[HeldDataset], models: Sequence[HeldModel]) -> Iterator[HeldFolder]:
        ids = {one.id for one in datasets if one.id is not None}
        touched = {one.learning_run for one in datasets} | {one.learning_run for one in models}
        apart = frozenset(
            [*(one.folder for one in self._holdings.datasets), *self._holdings.models, *self._holdings.runs]
        )
        for run in self._runs:
            if run.name in touched or ids & run.datasets or self._holds(run, apart):
                touched.add(run.name)
                yield HeldFolder(kind="learning_run", path=run.folder)
        saved = {one.folder.resolve() for one in models}
        for folder in self._holdings.runs:
            if self._run_of(folder) in touched - {None}:
                continue  # it goes with the run of the loop
            training = read_run(folder)
            if training.problem is not None:
                self._doubt(f"the training run '{folder}'", training.problem)
            made = training.model is not None and training.model.resolve() in saved
            if made or ids.intersection(training.dataset_ids) or self._whose.are_in(training.ids):
                yield HeldFolder(kind="training_run", path=folder)
        for path in working_files(self._settings):
            finding = search_working_file(path, self._whose)
            if finding == "holds":
                yield HeldFolder(kind="working_file", path=path)
            elif finding == "may hold":
                self._doubt(f"the working file '{path}'", "it cannot be read, or a run has it in hand")

    def _holds(self, run: LearningRun, apart: frozenset[Path]) -> bool:
        finding = search_run(run, self._whose, apart)
        if finding == "may hold":
            self._doubt(f"the run of the loop {run.name}", "one of its files cannot be read")
        elif finding == "nothing" and run.shown:
            self._doubt(
                f"the report of the loop's run {run.name}",
                f"it shows {run.shown} candidates that became no examples, and does not tell whose they were",
            )
        return finding == "holds"
