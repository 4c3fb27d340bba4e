"""The registry that callers use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ragtime.config.settings import Settings, get_settings
from ragtime.errors import InvalidArgumentError, StorageError, did_you_mean
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.records.conversation import now
from ragtime.records.training import Lineage
from ragtime.storage.registry.errors import ModelNotFoundError, TamperedModelError
from ragtime.storage.registry.files import Stamp
from ragtime.storage.registry.records import SHORT, ModelVersion, Stage, StageAction, StageChange, VersionManifest
from ragtime.storage.registry.references import (
    check_name,
    check_reason,
    check_version,
    find_version,
    is_name,
    split_reference,
)
from ragtime.storage.registry.registering import add_version, describe_model, describe_version
from ragtime.storage.registry.shelf import HISTORY_NAME, Shelf
from ragtime.storage.registry.stages import Stages
from ragtime.utils.hashing import canonical_json

if TYPE_CHECKING:
    from pydantic import JsonValue

__all__ = ["ModelRegistry"]

T = TypeVar("T")

_log = get_logger(__name__)


class ModelRegistry:
    """Keeps versions of models in a folder; of each model, at most one version is in production.

        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "config.json").write_text("{}")
        >>> registry = ModelRegistry(root=folder.with_name(folder.name + "-registry"))
        >>> tuned = registry.register(folder, "support", parent="all-MiniLM-L6-v2", metrics={"ndcg@10": 0.52})
        >>> registry.promote("support", tuned.version, reason="+0.04 nDCG@10 on the held-out questions").stage
        'production'
        >>> [path.name for path in registry.resolve("support").iterdir()]
        ['config.json']

    A version is named by the hash of its files and never changes. Wherever one is asked for, its first digits, four or
    more, are enough if no other version shares them. :meth:`resolve` is the ``registry`` that encoders and fine-tuning
    take to find ``registry:NAME``; when they get none, they ask the registry in the ``data_dir`` of the settings.

    Safe for many threads and processes: those that change something wait for each other, those that read wait for
    nobody. What a call has returned from survives a crash of the machine; a process that is killed leaves everything as
    it was before its call, or as it is after it.

    Attributes:
        root: The folder.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        root: str | Path | None = None,
        clock: Callable[[], datetime] = now,
    ) -> None:
        """Prepare the registry; its folder is made with the first version.

        Args:
            settings: The settings; ``None`` means the current ones.
            root: The folder; ``None`` means ``registry`` in ``data_dir``.
            clock: Returns the time of a change, in UTC.
        """
        self.root = Path(root).absolute() if root is not None else (settings or get_settings()).data_path("registry")
        self._clock = clock
        self._sound: dict[tuple[str, str], Stamp] = {}  # of the versions whose contents were found right

    # --- changing -------------------------------------------------------------------------------------------------

    def register(  # noqa: PLR0913 - what is known of a model, each by its name
        self,
        folder: str | Path,
        name: str,
        *,
        parent: str | None = None,
        dataset_ids: Sequence[str] = (),
        settings_hash: str | None = None,
        metrics: Mapping[str, JsonValue] | None = None,
        packages: Mapping[str, str] | None = None,
        prompts: Mapping[str, str] | None = None,
        lineage: Lineage | None = None,
    ) -> ModelVersion:
        """Add a copy of a model folder as a candidate.

        The same files under the same name are the same version: they are not added again, and what was said of them
        first stands. Where the version that is there is damaged, the copy takes its place.

        Args:
            folder: The folder, which is left as it is. It holds files and folders only, no symbolic links.
            name: The model: 1 to 100 letters, digits, ``.``, ``_`` and ``-``.
            parent: What it was trained from: another version, or the name of a model; ``None`` when nobody knows.
            dataset_ids: The data sets that it was trained on.
            settings_hash: Hash of the settings that change results; ``None`` when nobody knows.
            metrics: What was measured, with its intervals: any JSON values, by name; ``None`` means nothing.
            packages: Versions of the packages that made it, by name; ``None`` means that nobody knows.
            prompts: The prompts that it was trained with, by role; ``None`` means none.
            lineage: What else it came from; ``None`` when nobody knows.

        Returns:
            The version.

        Raises:
            InvalidArgumentError: There are no files in the folder, or others than can be registered, or an argument has
                a wrong value.
            StorageError: The folder cannot be read, changed meanwhile, or cannot be copied; nothing is left of it.
        """
        shelf, source = self._shelf(name), Path(folder).expanduser().absolute()
        if isinstance(dataset_ids, str):
            raise InvalidArgumentError("dataset_ids must be a list of ids, found one text")
        canonical_json(metrics)  # complains before the work, not after it
        with log_operation(_log, "register_model", model=name) as operation:
            manifest = describe_version(
                describe_model(source, self.root),
                name=name,
                registered_at=self._clock(),
                parent=parent,
                dataset_ids=tuple(dataset_ids),
                settings_hash=settings_hash,
                metrics=metrics or {},
                packages=packages or {},
                prompts=prompts or {},
                lineage=lineage,
            )
            operation.add(version=manifest.short, files=len(manifest.files), bytes=manifest.bytes)
            version, known = add_version(shelf, source, manifest, self._clock)
            operation.add(known=known)
        return version

    def promote(self, name: str, version: str, *, reason: str | None = None) -> ModelVersion:
        """Put a version in production, and retire the one that was.

        Its files are read and compared with what was registered first. A version that is in production already stays
        there, and nothing is noted.

        Args:
            name: The model.
            version: The version, or its first digits.
            reason: Why; noted in the history.

        Returns:
            The version.

        Raises:
            ModelNotFoundError: There is no such model or version.
            TamperedModelError: A file of it is missing, or not what was registered.
            StorageError: The change cannot be written; what was in production still is.
            InvalidArgumentError: An argument has a wrong value, or several versions begin so.
        """
        shelf = self._shelf(name)
        check_version(version)
        check_reason(reason)
        with log_operation(_log, "promote_model", model=name, version=version[:SHORT]) as operation:
            chosen = find_version(name, version, self._stages(shelf).stages)
            manifest = self._manifest(shelf, chosen, contents=True)
            with shelf.locked():
                stages = self._stages(shelf)
                find_version(name, chosen, stages.stages)  # it may have been deleted meanwhile
                former = stages.production
                if former != chosen:
                    self._change(shelf, stages, "promote", chosen, former=former, reason=reason)
            operation.add(version=manifest.short, former=former and former[:SHORT])
        return ModelVersion(**dict(manifest), stage="production")

    def rollback(self, name: str, *, reason: str | None = None) -> ModelVersion:
        """Undo the last promotion: the version before it is in production again, and the present one is retired.

        Called again, it undoes the promotion before that. No weights are read or written: of the files, names and sizes
        are compared, and :meth:`resolve` compares the rest before they are used.

        Args:
            name: The model.
            reason: Why; noted in the history.

        Returns:
            The version that is in production now.

        Raises:
            ModelNotFoundError: There is no such model, or nothing to go back to.
            TamperedModelError: A file of the version before is missing, or has another size.
            StorageError: The change cannot be written; what was in production still is.
            InvalidArgumentError: An argument has a wrong value.
        """
        shelf = self._shelf(name)
        check_reason(reason)
        with log_operation(_log, "rollback_model", model=name) as operation:
            self._stages(shelf)  # nothing is made for a model that is not there
            with shelf.locked():
                stages = self._stages(shelf)
                former, previous = stages.production, stages.previous
                if former is None or previous is None:
                    raise ModelNotFoundError(
                        f"There is no version of {name!r} to go back to: none that is still there was in production "
                        "before; promote the one that should be"
                    )
                manifest = shelf.check(previous, contents=False)
                self._change(shelf, stages, "rollback", previous, former=former, reason=reason)
            operation.add(version=manifest.short, former=former[:SHORT])
        return ModelVersion(**dict(manifest), stage="production")

    def delete(self, name: str, version: str, *, reason: str | None = None) -> None:
        """Remove a version that is not in production, with its files; the history keeps that it was there.

        Args:
            name: The model.
            version: The version, or its first digits.
            reason: Why; noted in the history.

        Raises:
            ModelNotFoundError: There is no such model or version.
            StorageError: The version is in production, or the change cannot be written.
            InvalidArgumentError: An argument has a wrong value, or several versions begin so.
        """
        shelf = self._shelf(name)
        check_version(version)
        check_reason(reason)
        with log_operation(_log, "delete_model", model=name, version=version[:SHORT]) as operation:
            self._stages(shelf)  # nothing is made for a model that is not there
            with shelf.locked():
                stages = self._stages(shelf)
                chosen = find_version(name, version, stages.stages)
                if chosen == stages.production:
                    raise StorageError(
                        f"{name}@{chosen[:SHORT]} is in production and cannot be deleted; promote another version first"
                    )
                shelf.sweep(self._change(shelf, stages, "delete", chosen, reason=reason))
            operation.add(version=chosen[:SHORT])

    # --- looking up -----------------------------------------------------------------------------------------------

    def resolve(self, reference: str) -> Path:
        """Find the folder of a version that is what was registered.

        This object reads the files of a version when it is first asked for it, and again when a time, a size or an
        inode of them has changed since.

        Args:
            reference: ``NAME`` for the version in production, or ``NAME@VERSION``.

        Returns:
            The folder; nothing in it may be changed.

        Raises:
            ModelNotFoundError: There is no such model or version, or none is in production.
            TamperedModelError: A file is missing, changed, or was not there.
            StorageError: A file cannot be read.
            InvalidArgumentError: It is no such reference, or several versions begin so.
        """
        name, version = split_reference(reference)
        shelf = self._shelf(name)
        chosen, _ = self._chosen(shelf, version)
        known = self._reading(shelf, chosen, lambda: self._make_sure(shelf, chosen))
        _log.debug("A model is resolved", model=name, version=chosen[:SHORT], files_read=not known)
        return shelf.model_folder(chosen)

    def verify(self, name: str, version: str | None = None) -> ModelVersion:
        """Read all files of a version, and compare them with what was registered.

        Args:
            name: The model.
            version: The version, or its first digits; ``None`` means the one in production.

        Returns:
            The version.

        Raises:
            ModelNotFoundError: There is no such model or version, or none is in production.
            TamperedModelError: A file is missing, changed, or was not there; says which.
            StorageError: A file cannot be read.
            InvalidArgumentError: An argument has a wrong value, or several versions begin so.
        """
        shelf = self._shelf(name)
        with log_operation(_log, "verify_model", model=name) as operation:
            chosen, stage = self._chosen(shelf, version)
            operation.add(version=chosen[:SHORT])
            found = ModelVersion(**dict(self._manifest(shelf, chosen, contents=True)), stage=stage)
            operation.add(files=len(found.files), bytes=found.bytes)
        return found

    def get(self, name: str, version: str | None = None) -> ModelVersion:
        """Look a version up, without looking at its files.

        Args:
            name: The model.
            version: The version, or its first digits; ``None`` means the one in production.

        Returns:
            The version.

        Raises:
            ModelNotFoundError: There is no such model or version, or none is in production.
            TamperedModelError: Its manifest is missing, or not what was registered.
            StorageError: The registry cannot be read.
            InvalidArgumentError: An argument has a wrong value, or several versions begin so.
        """
        shelf = self._shelf(name)
        chosen, stage = self._chosen(shelf, version)
        return ModelVersion(**dict(self._manifest(shelf, chosen)), stage=stage)

    def list_models(self) -> list[str]:
        """Return the names of all models that ever had a version, sorted; StorageError when they cannot be read."""
        try:
            return sorted(
                path.name for path in self.root.iterdir() if is_name(path.name) and (path / HISTORY_NAME).is_file()
            )
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(f"Cannot read '{self.root}': {error.strerror or error}") from error

    def list_versions(self, name: str | None = None) -> list[ModelVersion]:
        """List versions, without looking at their files.

        Args:
            name: The model; ``None`` means all, in the order of their names.

        Returns:
            The versions of each model, in the order in which they were registered. One whose manifest is damaged is
            left out, with a warning in the log.

        Raises:
            ModelNotFoundError: There is no such model.
            StorageError: The registry cannot be read, or a history is damaged.
            InvalidArgumentError: No model can be called so.
        """
        found = []
        for shelf in [self._shelf(each) for each in (self.list_models() if name is None else [name])]:
            for version, stage in self._stages(shelf).stages.items():
                try:
                    found.append(ModelVersion(**dict(self._manifest(shelf, version)), stage=stage))
                except ModelNotFoundError:  # it was deleted meanwhile
                    continue
                except TamperedModelError as error:
                    _log.warning(
                        "A damaged version is left out", model=shelf.name, version=version[:SHORT], why=str(error)
                    )
        return found

    def history(self, name: str) -> list[StageChange]:
        """Return every change in the stages of a model, the oldest first.

        Args:
            name: The model.

        Returns:
            The changes; those of deleted versions are among them.

        Raises:
            ModelNotFoundError: There is no such model.
            StorageError: The history is damaged, or cannot be read.
            InvalidArgumentError: No model can be called so.
        """
        return list(self._stages(self._shelf(name)).changes)

    def _shelf(self, name: str) -> Shelf:
        return Shelf(self.root, check_name(name))

    def _stages(self, shelf: Shelf) -> Stages:
        stages = shelf.read_stages()
        if stages is None:
            known = self.list_models()
            told = f"; it has {', '.join(known)}" if known else ", which is empty: register a version first"
            raise ModelNotFoundError(
                f"There is no model {shelf.name!r} in the registry '{self.root}'"
                f"{did_you_mean(shelf.name, known) or told}"
            )
        return stages

    def _chosen(self, shelf: Shelf, version: str | None) -> tuple[str, Stage]:
        """Return the version asked for, or the one in production, and its stage."""
        stages = self._stages(shelf)
        if version is not None:
            chosen = find_version(shelf.name, check_version(version), stages.stages)
            return chosen, stages.stages[chosen]
        if stages.production is None:
            raise ModelNotFoundError(
                f"No version of the model {shelf.name!r} is in production; promote one, or name it as "
                f"{shelf.name}@VERSION"
            )
        return stages.production, "production"

    def _make_sure(self, shelf: Shelf, version: str) -> bool:
        """Read the files of a version unless that was done; return whether it was. Errors as ``Shelf.check``."""
        stamp, settled = shelf.stamp(version)  # before the files are read: what changes later gives another one
        known = self._sound.get((shelf.name, version)) == stamp
        if not known:
            shelf.check(version)
            if settled:
                self._sound[shelf.name, version] = stamp
        return known

    def _manifest(self, shelf: Shelf, version: str, *, contents: bool = False) -> VersionManifest:
        return self._reading(shelf, version, lambda: shelf.check(version) if contents else shelf.read_manifest(version))

    def _reading(self, shelf: Shelf, version: str, read: Callable[[], T]) -> T:
        """Read something of a version without a lock, and tell one that is damaged from one that is being deleted."""
        while True:
            before = self._stages(shelf)
            if version not in before.stages:
                raise ModelNotFoundError(f"{shelf.name}@{version[:SHORT]} was deleted")
            try:
                return read()
            except TamperedModelError:
                if self._stages(shelf).changes == before.changes:
                    raise

    def _change(
        self,
        shelf: Shelf,
        stages: Stages,
        action: StageAction,
        version: str,
        *,
        former: str | None = None,
        reason: str | None,
    ) -> Stages:
        """Make a change true; under the lock."""
        changed = stages.after(
            StageChange(action=action, version=version, former=former, at=self._clock(), reason=reason)
        )
        shelf.write_stages(changed)
        return changed
