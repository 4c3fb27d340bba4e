"""Prompt files, layer over layer, read into snapshots that never change."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from ragtime.errors import InvalidArgumentError, TemplateSyntaxError
from ragtime.monitoring.logging import get_logger
from ragtime.utils.files import parse_json_object
from ragtime.utils.templates.file_stamps import is_racy, stamp_of
from ragtime.utils.templates.prompts.definitions import MAX_PROMPT_BYTES, PromptDefinition

__all__ = ["Entry", "FileProblem", "Layer", "Snapshot", "explain_validation", "read_definition", "read_layers"]

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Layer:
    """A place of prompt files; a later layer wins over an earlier one.

    Attributes:
        name: ``packaged``, ``user`` or ``explicit``; ``added`` is the layer of what code has added.
        root: The folder, or a single file; ``None`` for ``added``.
    """

    name: str
    root: Path | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A definition and where it comes from.

    Attributes:
        definition: The prompt.
        layer: Name of the layer.
        file: Its file; ``None`` when code has added it.
    """

    definition: PromptDefinition
    layer: str
    file: Path | None = None

    @property
    def key(self) -> tuple[str, str, str | None]:
        """Name, version and locale: what is unique within a layer."""
        return self.definition.name, self.definition.version, self.definition.locale


@dataclass(frozen=True, slots=True)
class FileProblem:
    """A prompt file that cannot be used as it stands.

    Attributes:
        file: The file.
        layer: Name of its layer.
        message: What is wrong; quotes no value.
        kept: Whether what it said before is still served.
        duplicate: Whether it is only that another file says the same name, version and locale.
    """

    file: Path
    layer: str
    message: str
    kept: bool
    duplicate: bool = False

    @property
    def name(self) -> str:
        """The prompt that the file is named after."""
        return self.file.name.partition(".")[0]

    @property
    def hints(self) -> tuple[str, ...]:
        """The parts of the file's name that may tell version and locale: ``v2`` and ``de`` of ``answer.v2.de.json``."""
        return tuple(self.file.name.split(".")[1:-1])


@dataclass(frozen=True, slots=True)
class _File:
    """What was read from a file, and how to see that it is still the same."""

    layer: str
    stamp: tuple[int, ...]
    racy: bool
    hash: str
    definition: PromptDefinition | None
    problem: str | None = None


@dataclass(frozen=True)
class Snapshot:
    """All prompts at one moment.

    Attributes:
        entries: The entries of each name, those of the winning layer first.
        problems: Files that could not be used.
        changed: How many files were read anew, or vanished, since the snapshot before.
        files: What was read, by file, the winning layer first.
    """

    entries: Mapping[str, tuple[Entry, ...]] = field(default_factory=dict)
    problems: tuple[FileProblem, ...] = ()
    changed: int = 0
    files: Mapping[Path, _File] = field(default_factory=dict, repr=False)
    _around: tuple[tuple[Entry, ...], tuple[Entry, ...]] = field(default=((), ()), repr=False)

    @classmethod
    def of(
        cls, files: Mapping[Path, _File], added: Sequence[Entry], weakest: Sequence[Entry], before: Snapshot | None
    ) -> Self:
        """Put files together.

        Args:
            files: What was read, by file, the winning layer first.
            added: What wins over all files.
            weakest: What all files win over.
            before: The snapshot before; ``None`` means that there was none.

        Returns:
            The snapshot.
        """
        entries: dict[str, list[Entry]] = {}
        for entry in added:
            entries.setdefault(entry.definition.name, []).append(entry)
        problems: list[FileProblem] = []
        taken: dict[tuple[object, ...], Path] = {}
        for path, file in files.items():
            if file.problem is not None:
                problems.append(FileProblem(path, file.layer, file.problem, kept=file.definition is not None))
            if file.definition is None:
                continue
            entry = Entry(file.definition, file.layer, path)
            first = taken.setdefault((file.layer, *entry.key), path)
            if first is path:
                entries.setdefault(entry.definition.name, []).append(entry)
            else:
                message = f"has the same name, version and locale as {first.name}, which is taken"
                problems.append(FileProblem(path, file.layer, message, kept=False, duplicate=True))
        for entry in weakest:
            entries.setdefault(entry.definition.name, []).append(entry)
        known = before.files if before else {}
        changed = sum(not _same(known.get(path), file) for path, file in files.items())
        return cls(
            {name: tuple(entries[name]) for name in sorted(entries)},
            tuple(problems),
            changed + len(known.keys() - files.keys()),
            files,
            (tuple(added), tuple(weakest)),
        )

    def tell_problems(self, before: Snapshot) -> None:
        """Log the problems that the snapshot before did not have."""
        for problem in self.problems:
            if problem not in before.problems:
                reason, kept = problem.message, problem.kept
                _log.error("A prompt file cannot be used", file=problem.file.name, reason=reason, kept=kept)

    def changes(self, before: Snapshot) -> list[Entry]:
        """Return the entries whose file said something else before."""
        found = []
        for path, file in self.files.items():
            known = before.files.get(path)
            if known is None or known.definition is None or file.definition is None:
                continue
            if file.definition != known.definition:
                found.append(Entry(file.definition, file.layer, path))
        return found

    def rejecting(self, reasons: Mapping[Path, str], before: Snapshot) -> Snapshot:
        """Return the snapshot with former definitions in the place of some.

        Args:
            reasons: Why each of these files cannot be used.
            before: The snapshot that has the former ones.

        Returns:
            The changed snapshot.
        """
        files = dict(self.files)
        for path, reason in reasons.items():
            files[path] = replace(files[path], definition=before.files[path].definition, problem=reason)
        return Snapshot.of(files, *self._around, before)


def _same(known: _File | None, file: _File) -> bool:
    return known is not None and (known.hash, known.problem) == (file.hash, file.problem)


def read_layers(
    layers: Sequence[Layer],
    *,
    added: Sequence[Entry] = (),
    weakest: Sequence[Entry] = (),
    before: Snapshot | None = None,
) -> Snapshot:
    """Read all layers; files that have not changed since `before` are not read again.

    A file that has become unreadable or wrong keeps what it said before, and is told as a problem, once; a file that is
    gone takes its prompt with it.

    Args:
        layers: The layers, the weakest first.
        added: What code has added; wins over all files.
        weakest: What everything wins over.
        before: The snapshot to compare with; ``None`` means that nothing was read yet.

    Returns:
        The new snapshot.

    Raises:
        InvalidArgumentError: A layer's root is neither a folder nor a file.
    """
    known = before.files if before else {}
    files = {
        path: file
        for layer in reversed(layers)
        for path in _json_files(layer.root)
        if (file := _read(path, layer.name, known.get(path))) is not None
    }
    return Snapshot.of(files, added, weakest, before)


def _json_files(root: Path | None) -> Iterator[Path]:
    """Yield the files ``*.json`` of a folder and the folders in it; links that lead out of it are passed over."""
    if root is None or not root.exists():
        return
    if root.is_file():
        yield root
        return
    if not root.is_dir():
        raise InvalidArgumentError(f"Not a folder of prompts, nor a file: {str(root)!r}")
    base = Path(os.path.realpath(root))
    for folder, names, files in os.walk(base):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for path in _visible(folder, [*files, *names]):
            if Path(os.path.realpath(path)).is_relative_to(base):
                yield path


def _visible(folder: str, names: Iterable[str]) -> list[Path]:
    return [Path(folder, name) for name in sorted(names) if name.endswith(".json") and not name.startswith(".")]


def _read(path: Path, layer: str, known: _File | None) -> _File | None:
    """Read one file, unless it is as it was; ``None`` when it has just gone."""
    stamp: tuple[int, ...] = ()
    digest = ""
    try:
        status = path.stat()
        stamp = stamp_of(status)
        if known is not None and known.stamp == stamp and not known.racy:
            return known
        if not stat.S_ISREG(status.st_mode):
            former = known.definition if known else None
            return _File(layer, stamp, racy=True, hash=digest, definition=former, problem="is no regular file")
        with path.open("rb") as file:
            data = file.read(MAX_PROMPT_BYTES + 1)
        digest = hashlib.sha256(data).hexdigest()
        racy = is_racy(status)
        if known is not None and known.hash == digest:
            return known if known.racy and racy else replace(known, stamp=stamp, racy=racy)
        return _File(layer, stamp, racy, digest, read_definition(data))
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except TemplateSyntaxError as error:
        reason = str(error)
    return _File(layer, stamp, racy=True, hash=digest, definition=known.definition if known else None, problem=reason)


def read_definition(data: bytes) -> PromptDefinition:
    """Read the content of a prompt file.

    Args:
        data: The file.

    Returns:
        The definition.

    Raises:
        TemplateSyntaxError: It is too large, no JSON object, or no definition; names every wrong field.
    """
    if len(data) > MAX_PROMPT_BYTES:
        raise TemplateSyntaxError(f"is larger than {MAX_PROMPT_BYTES:,} bytes")
    try:
        return PromptDefinition.model_validate(parse_json_object(data))
    except InvalidArgumentError as error:
        reason = str(error)
    except ValidationError as error:
        reason = explain_validation(error)
    raise TemplateSyntaxError(reason)


def explain_validation(error: ValidationError) -> str:
    """Tell every wrong field of a definition in one line, without its value."""
    told = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        place = ".".join(str(part)[:50] for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        told.append(f"{place}: {message}" if place else message)
    return "; ".join(told)
