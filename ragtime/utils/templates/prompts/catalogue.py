"""Prompt files, layer over layer, read into snapshots that never change."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import ValidationError

from ragtime.errors import InvalidArgumentError, TemplateSyntaxError
from ragtime.monitoring.logging import get_logger
from ragtime.utils.files import parse_json_object
from ragtime.utils.templates.prompts.definitions import MAX_PROMPT_BYTES, PromptDefinition

__all__ = ["Entry", "FileProblem", "Layer", "Snapshot", "explain_validation", "read_definition", "read_layers"]

_log = get_logger(__name__)
_RACY_NANOSECONDS = 2_000_000_000
"""A file that changed within this time of being read may change again without its time stamp showing it."""


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


@dataclass(frozen=True, slots=True)
class _File:
    """What was read from a file, and how to see that it is still the same."""

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
    """

    entries: Mapping[str, tuple[Entry, ...]] = field(default_factory=dict)
    problems: tuple[FileProblem, ...] = ()
    changed: int = 0
    files: Mapping[Path, _File] = field(default_factory=dict, repr=False)


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
    """
    known = before.files if before else {}
    files: dict[Path, _File] = {}
    problems: list[FileProblem] = []
    found: list[Entry] = list(added)
    for layer in reversed(layers):
        taken: dict[tuple[str, str, str | None], Path] = {}
        for path in _json_files(layer.root):
            file = _read(path, known.get(path))
            if file is None:
                continue
            files[path] = file
            if file.problem is not None:
                problems.append(FileProblem(path, layer.name, file.problem, kept=file.definition is not None))
            if file.definition is None:
                continue
            entry = Entry(file.definition, layer.name, path)
            first = taken.setdefault(entry.key, path)
            if first is path:
                found.append(entry)
            else:
                message = f"has the same name, version and locale as {first.name}, which is taken"
                problems.append(FileProblem(path, layer.name, message, kept=False, duplicate=True))
    _tell(problems, before)
    changed = sum(not _same(known.get(path), file) for path, file in files.items()) + len(known.keys() - files.keys())
    names: dict[str, list[Entry]] = {}
    for entry in [*found, *weakest]:
        names.setdefault(entry.definition.name, []).append(entry)
    return Snapshot({name: tuple(names[name]) for name in sorted(names)}, tuple(problems), changed, files)


def _same(known: _File | None, file: _File) -> bool:
    return known is not None and (known.hash, known.problem) == (file.hash, file.problem)


def _tell(problems: Sequence[FileProblem], before: Snapshot | None) -> None:
    old = set(before.problems) if before else set()
    for problem in problems:
        if problem not in old:
            _log.error(
                "A prompt file cannot be used", file=problem.file.name, reason=problem.message, kept=problem.kept
            )


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
        for file in sorted(files):
            path = Path(folder, file)
            if (
                file.endswith(".json")
                and not file.startswith(".")
                and Path(os.path.realpath(path)).is_relative_to(base)
            ):
                yield path


def _read(path: Path, known: _File | None) -> _File | None:
    """Read one file, unless it is as it was; ``None`` when it has just gone."""
    stamp: tuple[int, ...] = ()
    digest = ""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return _File(stamp, racy=True, hash=digest, definition=None, problem="is no regular file")
        stamp = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
        if known is not None and known.stamp == stamp and not known.racy:
            return known
        with path.open("rb") as file:
            data = file.read(MAX_PROMPT_BYTES + 1)
        digest = hashlib.sha256(data).hexdigest()
        racy = time.time_ns() - status.st_mtime_ns < _RACY_NANOSECONDS
        if known is not None and known.hash == digest:
            return known if known.racy and racy else replace(known, stamp=stamp, racy=racy)
        return _File(stamp, racy, digest, read_definition(data))
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except TemplateSyntaxError as error:
        reason = str(error)
    return _File(stamp, racy=True, hash=digest, definition=known.definition if known else None, problem=reason)


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
