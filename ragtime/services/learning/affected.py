"""Which models were trained on what is to be forgotten, be it by way of the models that they were trained from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from ragtime.services.learning.forgetting_plan import HeldModel
from ragtime.services.learning.known_models import KnownModel, KnownModels
from ragtime.services.learning.whose import Whose

__all__ = ["AffectedModels"]


class _Cause(NamedTuple):
    """Why a model is affected; fields as of ``HeldModel``."""

    reason: Literal["turns", "dataset", "parent"]
    through: tuple[str, ...] = ()


class AffectedModels:
    """The models of a registry and of folders, as far as they are affected."""

    def __init__(self, known: KnownModels, whose: Whose, dataset_ids: Collection[str]) -> None:
        """Find them.

        Args:
            known: All models.
            whose: What is to be forgotten.
            dataset_ids: The data sets that hold it.
        """
        self._parents = dict(_parents(known))
        self._models = known.all()  # with those that parents have led to
        self._causes: dict[Path, _Cause] = {}
        for model in self._models:
            through = tuple(sorted(set(model.dataset_ids).intersection(dataset_ids)))
            if whose.are_in(model.ids):
                self._causes[model.folder] = _Cause("turns", through)
            elif through:
                self._causes[model.folder] = _Cause("dataset", through)
        self._spread()

    def _spread(self) -> None:
        """Follow the models to their children and to their copies, until there are no more."""
        grown = True
        while grown:
            grown = False
            causes = {one.digest: self._causes[one.folder] for one in self._models if self._is_affected(one)}
            for model in self._models:
                if self._is_affected(model):
                    continue
                parent = self._parents.get(model.folder)
                if parent is not None and self._is_affected(parent):
                    self._causes[model.folder] = _Cause("parent", (parent.name,))
                    grown = True
                elif model.digest is not None and model.digest in causes:
                    self._causes[model.folder] = causes[model.digest]
                    grown = True

    def _is_affected(self, model: KnownModel) -> bool:
        return model.folder in self._causes

    def untold(self, dataset_ids: Collection[str | None]) -> list[KnownModel]:
        """Return the models of ours that are not affected as far as anybody knows, and that too little is known of.

        Args:
            dataset_ids: The data sets that are still there.

        Returns:
            Those whose runs have noted nothing, and whose data sets are not all there.
        """
        return [
            model
            for model in self._models
            if not self._is_affected(model)
            and model.digest is not None
            and model.problem is None
            and not model.ids
            and not (model.dataset_ids and set(model.dataset_ids).issubset(dataset_ids))
        ]

    def held(self, learning_run: Callable[[KnownModel], str | None]) -> list[HeldModel]:
        """Return the models that are affected, each after the one that it was trained from.

        Args:
            learning_run: Returns the run of the learning loop that made a model; ``None`` for none.

        Returns:
            The models; of several with as many such models before them the versions first, then by name.
        """
        affected = [model for model in self._models if self._is_affected(model)]
        affected.sort(key=lambda one: (self._depth(one), one.version is None, one.name))
        first: dict[str, str] = {}
        runs: dict[str, str] = {}
        for model in affected:
            if model.digest is not None:
                first.setdefault(model.digest, model.name)
                if (run := learning_run(model)) is not None:
                    runs[model.digest] = run
        found = []
        for model in affected:
            cause = self._causes[model.folder]
            original = model.name if model.digest is None else first[model.digest]
            found.append(
                HeldModel(
                    name=model.name,
                    reference=model.reference,
                    folder=model.folder,
                    stage=model.stage,
                    reason=cause.reason,
                    through=cause.through,
                    copy_of=None if original == model.name else original,
                    learning_run=learning_run(model) if model.digest is None else runs.get(model.digest),
                )
            )
        return found

    def _depth(self, model: KnownModel) -> int:
        """Return how many affected models a model was trained from, one after the other."""
        passed = {model.folder}
        depth = 0
        parent = self._parents.get(model.folder)
        while parent is not None and parent.folder not in passed:
            passed.add(parent.folder)
            depth += self._is_affected(parent)
            parent = self._parents.get(parent.folder)
        return depth


def _parents(known: KnownModels) -> Iterator[tuple[Path, KnownModel]]:
    """Find what each model was trained from; this may lead to folders that nobody has named yet."""
    passed = 0
    while passed < len(models := known.all()):
        for model in models[passed:]:
            parent = known.origin_of(model).model
            if parent is not None:
                yield model.folder, parent
        passed = len(models)
