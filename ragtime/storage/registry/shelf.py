"""The folder of one model in a registry: its history, its versions, and the lock that changing them takes."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.storage.registry.errors import TamperedModelError
from ragtime.storage.registry.files import (
    Stamp,
    copy_file,
    describe_files,
    list_files,
    make_folder,
    stamp_of,
    sync,
    version_of,
)
from ragtime.storage.registry.records import SHORT, History, VersionManifest
from ragtime.storage.registry.references import is_version
from ragtime.storage.registry.sealed import read_sealed, write_sealed
from ragtime.storage.registry.stages import Stages
from ragtime.utils.files import resolve_inside

__all__ = ["HISTORY_NAME", "Shelf"]

HISTORY_NAME = "history.json"

_MANIFEST = "manifest.json"
_MODEL = "model"
_LOCK = "lock"
_VERSION = "version"

_log = get_logger(__name__)


class Shelf:
    """Where the versions of one model are.

    Attributes:
        name: The model.
        folder: Its folder, which is made by the first that locks it.
        evaluations: Where evaluations of versions are kept; made with the first.
    """

    def __init__(self, root: Path, name: str) -> None:
        """Find the folder of a model.

        Args:
            root: Folder of the registry.
            name: The model, checked already.

        Raises:
            InvalidArgumentError: A symbolic link leads out of the registry.
        """
        self.name = name
        self.folder = resolve_inside(root, name)
        self._versions = resolve_inside(root, f"{name}/versions")
        self._staged = resolve_inside(root, f"{name}/staged")
        self.evaluations = resolve_inside(root, f"{name}/evaluations")

    # --- reading, without a lock ----------------------------------------------------------------------------------

    def read_stages(self) -> Stages | None:
        """Read which version is in which stage.

        Returns:
            The stages; ``None`` when there is no such model.

        Raises:
            TamperedModelError: The history is not what was written.
            StorageError: It cannot be read.
        """
        path = self.folder / HISTORY_NAME
        try:
            return _stages_of(self.name, read_sealed(path, History))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"Cannot read '{path}': {error.strerror or error}") from error
        except TamperedModelError as error:
            raise TamperedModelError(
                f"The history of the model {self.name!r} is damaged: {error}; restore '{self.folder}' from a copy"
            ) from None

    def model_folder(self, version: str) -> Path:
        """Return where the files of a version are."""
        return self._versions / version / _MODEL

    def read_manifest(self, version: str) -> VersionManifest:
        """Read what is known of a version; errors as ``check``."""
        place, model = self._versions / version, self.model_folder(version)
        with self._telling_damage(version):
            if place.is_symlink() or model.is_symlink():
                raise TamperedModelError("its folder is a symbolic link")
            manifest = read_sealed(place / _MANIFEST, VersionManifest)
            if (manifest.name, manifest.version, version_of(manifest.files)) != (self.name, version, version):
                raise TamperedModelError("the manifest is that of another version")
            return manifest

    def check(self, version: str, *, contents: bool = True) -> VersionManifest:
        """Compare the files of a version with what was registered.

        Args:
            version: The version.
            contents: Whether to read the files; else only names and sizes are compared.

        Returns:
            What is known of it.

        Raises:
            TamperedModelError: A file is missing, changed, or was not there; says which.
            StorageError: A file cannot be read, or a later version of ragtime wrote it.
        """
        manifest = self.read_manifest(version)
        with self._telling_damage(version):
            folder = self.model_folder(version)
            sizes = {name: path.lstat().st_size for name, path in list_files(folder).items()}
            wrong = [name for name, file in manifest.files.items() if sizes.get(name) != file.bytes]
            wrong += [name for name in sizes if name not in manifest.files]
            if contents and not wrong:
                found = describe_files(folder)
                wrong = [name for name, file in manifest.files.items() if found.get(name) != file]
            if wrong:
                more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
                raise TamperedModelError(f"{wrong[0]!r}{more} missing, changed or added")
        return manifest

    def stamp(self, version: str) -> tuple[Stamp, bool]:
        """Return the stamp of everything that belongs to a version, as ``stamp_of``; errors as ``check``."""
        with self._telling_damage(version):
            return stamp_of(self._versions / version)

    @contextmanager
    def _telling_damage(self, version: str) -> Iterator[None]:
        place = self._versions / version
        try:
            yield
        except (TamperedModelError, InvalidArgumentError) as error:
            reason = str(error)
        except (FileNotFoundError, NotADirectoryError) as error:
            reason = f"'{error.filename}' is missing"
        except OSError as error:
            raise StorageError(f"Cannot read '{place}': {error.strerror or error}") from error
        else:
            return
        raise TamperedModelError(
            f"{self.name}@{version[:SHORT]} is not what was registered: {reason}. Register the original again, or "
            "delete the version; where it is in production, roll back first"
        )

    # --- changing -------------------------------------------------------------------------------------------------

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other writers out; StorageError when the folder cannot be written."""
        with self._telling_failure():
            make_folder(self.folder)
            descriptor = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            with self._telling_failure():
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing does not, when another thread has forked meanwhile
            os.close(descriptor)

    def write_stages(self, stages: Stages) -> None:
        """Make new stages true, at once; under the lock.

        Args:
            stages: The stages.

        Raises:
            StorageError: They cannot be written; the old ones hold on.
        """
        write_sealed(self.folder / HISTORY_NAME, History(name=self.name, changes=stages.changes))

    @contextmanager
    def staged(self, folder: Path, manifest: VersionManifest) -> Iterator[Path]:
        """Copy a model to where ``publish`` takes it from, without keeping other writers out.

        Args:
            folder: The folder of the model.
            manifest: What is known of it.

        Yields:
            The copy, which is on disk; what is left of it at the end of the block is removed.

        Raises:
            StorageError: It cannot be copied, or is no longer what the manifest says.
        """
        with self._telling_failure():
            with self.locked():  # so that nobody finds the new folder before it is locked, and takes it for a leftover
                place = self._staged / secrets.token_hex(8)
                make_folder(place)
                descriptor = os.open(place / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            try:
                self._copy(folder, manifest, place / _VERSION)
                yield place / _VERSION
            finally:
                shutil.rmtree(place, ignore_errors=True)  # if that fails, the next writer tries again, and tells
                os.close(descriptor)

    def _copy(self, folder: Path, manifest: VersionManifest, place: Path) -> None:
        model = place / _MODEL
        for name, file in manifest.files.items():
            target = model / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if copy_file(folder / name, target) != file:
                raise StorageError(f"'{folder / name}' changed while it was copied; register the model once it is done")
        write_sealed(place / _MANIFEST, manifest)
        for each, _, _ in os.walk(place):
            sync(Path(each))

    def publish(self, staged: Path, version: str) -> None:
        """Give a staged copy its place; under the lock. A damaged version that is there makes way.

        Args:
            staged: The copy.
            version: Its version.

        Raises:
            StorageError: It cannot be moved.
        """
        with self._telling_failure():
            make_folder(self._versions)
            place = self._versions / version
            if place.is_symlink() or place.exists():
                place.rename(staged.with_name("damaged"))
            staged.rename(place)
            sync(self._versions)

    def sweep(self, stages: Stages) -> None:
        """Remove what no longer counts: deleted versions, and what processes that died have left; under the lock.

        Args:
            stages: The stages as they are; only what is in one of them stays.
        """
        for path in _entries(self._versions):
            if is_version(path.name) and path.name not in stages.stages:
                _remove(path)
        for path in _entries(self.evaluations):
            if is_version(path.name) and path.name not in stages.stages:
                _remove(path)
        for path in _entries(self._staged):
            if _is_abandoned(path):
                _remove(path)
        for path in _entries(self.folder):
            if path.match(f".{HISTORY_NAME}.*.tmp"):
                _remove(path)

    @contextmanager
    def _telling_failure(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = error.filename or self.folder
            raise StorageError(
                f"Cannot change the model {self.name!r}: '{where}': {error.strerror or error}"
            ) from error


def _stages_of(name: str, history: History) -> Stages:
    if history.name != name:
        raise TamperedModelError(f"it is that of {history.name!r}")
    return Stages(history.changes)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:  # what is left there takes room, and does no other harm
        _log.warning("A folder cannot be tidied up", path=str(folder), error=error.strerror)
        return []


def _is_abandoned(staged: Path) -> bool:
    """Tell whether the process that was copying there is gone."""
    try:
        descriptor = os.open(staged / _LOCK, os.O_RDWR)
    except (FileNotFoundError, NotADirectoryError):
        return True  # it died before it began, or as it was tidying up
    except OSError:  # not ours to judge
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    # What was decided holds, whether or not this succeeds: it is tried again with the next change.
    if path.is_symlink() or path.is_file():
        with suppress(OSError):
            path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)
    if path.is_symlink() or path.exists():
        _log.warning("What is no longer needed cannot be removed", path=str(path))
