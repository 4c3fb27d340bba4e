"""What a registry knows of its versions and their stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field, JsonValue, NonNegativeInt, StringConstraints

from ragtime.records.base import Identifier, Record, Text, freeze
from ragtime.records.training import Lineage

__all__ = [
    "SHORT",
    "History",
    "ModelFile",
    "ModelVersion",
    "Stage",
    "StageAction",
    "StageChange",
    "StoredEvaluation",
    "VersionManifest",
]

SHORT = 12
"""Digits of a version that are shown to people."""

Stage = Literal["candidate", "production", "retired"]
"""What a version is used for: not yet, now, no longer."""

StageAction = Literal["register", "promote", "rollback", "delete"]
"""What changes stages."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class ModelFile(Record):
    """What a file was when it was registered.

    Attributes:
        bytes: Its size.
        sha256: Its SHA-256, 64 hexadecimal digits.
    """

    bytes: NonNegativeInt
    sha256: Sha256


class VersionManifest(Record):
    """What never changes of a version; ``ModelVersion`` says what the fields are."""

    name: Identifier
    version: Sha256
    registered_at: AwareDatetime
    parent: Identifier | None = None
    dataset_ids: tuple[Identifier, ...] = ()
    settings_hash: Identifier | None = None
    metrics: Annotated[Mapping[str, JsonValue], AfterValidator(freeze)] = Field(
        default_factory=dict, validate_default=True
    )
    packages: Annotated[Mapping[str, str], AfterValidator(freeze)] = Field(default_factory=dict, validate_default=True)
    prompts: Annotated[Mapping[str, str], AfterValidator(freeze)] = Field(default_factory=dict, validate_default=True)
    lineage: Lineage | None = None
    files: Annotated[Mapping[str, ModelFile], AfterValidator(freeze)]

    @property
    def short(self) -> str:
        """The first digits of the version, for people."""
        return self.version[:SHORT]

    @property
    def reference(self) -> str:
        """``NAME@VERSION``, as ``ModelRegistry.resolve`` takes it."""
        return f"{self.name}@{self.version}"

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(file.bytes for file in self.files.values())


class ModelVersion(VersionManifest):
    """A version of a model, as it was when it was looked up.

    Attributes:
        name: The model.
        version: Hash of the files' names and contents, 64 hexadecimal digits.
        registered_at: When it was registered, in UTC.
        parent: What it was trained from: another version, or the name of a model; ``None`` when nobody said.
        dataset_ids: The data sets that it was trained on.
        settings_hash: Hash of the settings that change results; ``None`` when nobody said.
        metrics: What was measured, with its intervals: any JSON values, by name.
        packages: Versions of the packages that made it, by name.
        prompts: The prompts that it was trained with, by role.
        lineage: What else it came from; ``None`` when nobody said.
        files: Its files, by their path in the folder.
        stage: What it was used for.
    """

    stage: Stage

    def __hash__(self) -> int:
        return hash((self.name, self.version, self.stage))


class StageChange(Record):
    """A change in the stages of a model.

    Attributes:
        action: ``register`` makes `version` a candidate, ``promote`` and ``rollback`` put it in production, ``delete``
            removes it.
        version: The version.
        former: The version that was in production until then, and is now retired; ``None`` when there was none, or the
            action leaves it where it is.
        at: When it happened, in UTC.
        reason: Why; ``None`` when nobody said.
    """

    action: StageAction
    version: Sha256
    former: Sha256 | None = None
    at: AwareDatetime
    reason: Text | None = None


class StoredEvaluation(Record):
    """What was measured of a version, kept beside it.

    Attributes:
        version: The version.
        data: Hash of the data that it was measured on.
        result: What was measured: a JSON object.
    """

    version: Sha256
    data: Identifier
    result: Annotated[Mapping[str, JsonValue], AfterValidator(freeze)]


class History(Record):
    """Every change in the stages of a model.

    Attributes:
        name: The model.
        changes: The changes, the oldest first.
    """

    name: Identifier
    changes: tuple[StageChange, ...]
