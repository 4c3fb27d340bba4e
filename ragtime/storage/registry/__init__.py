"""A registry of models: immutable versions, of which one is in production.

Every version is a copy of a model folder, named by the hash of its files. The folder of a model is

    NAME/
        history.json            every change of a stage, with a hash of itself; which version is in which stage follows
        lock                    held by whoever changes something, for as long as that takes
        versions/VERSION/
            manifest.json       size and SHA-256 of each file, where the model came from, and a hash of itself
            model/              the files as they were registered, and nothing else
        evaluations/VERSION/    what was measured of it, one file for each data set
        staged/                 versions that are being copied

A change becomes true when ``history.json`` is replaced, which happens whole or not at all. Reading takes no lock.
"""

from __future__ import annotations

from ragtime.storage.registry.errors import ModelNotFoundError, TamperedModelError
from ragtime.storage.registry.evaluations import EvaluationStore
from ragtime.storage.registry.figures import Figure, figures_of
from ragtime.storage.registry.records import (
    ModelFile,
    ModelVersion,
    Stage,
    StageAction,
    StageChange,
    StoredEvaluation,
)
from ragtime.storage.registry.registry import ModelRegistry

__all__ = [
    "EvaluationStore",
    "Figure",
    "ModelFile",
    "ModelNotFoundError",
    "ModelRegistry",
    "ModelVersion",
    "Stage",
    "StageAction",
    "StageChange",
    "StoredEvaluation",
    "TamperedModelError",
    "figures_of",
]
