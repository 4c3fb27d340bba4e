"""What holds texts besides data sets and models: working files of interrupted runs, and runs of the learning loop."""

from __future__ import annotations

import fcntl
import json
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

from ragtime.config.settings import Settings
from ragtime.services.learning.holdings import learning_folder
from ragtime.services.learning.origins import ReadingAccount, json_lines
from ragtime.services.learning.whose import Whose
from ragtime.services.training_data_gen.unfinished import unfinished_folder

__all__ = ["Finding", "LearningRun", "learning_runs", "search_run", "search_working_file", "working_files"]

_REPORT = "report.json"
_VERSION = re.compile(r"[0-9a-f]{12,64}")
_UNITS = "SELECT body FROM units"
_TOO_LARGE = 1 << 28  # bytes of a JSON file: what ragtime writes as one value is far smaller

Finding = Literal["holds", "may hold", "nothing"]


# --- working files --------------------------------------------------------------------------------------------------


def working_files(settings: Settings) -> list[Path]:
    """Return the working files of runs that make training data, be they interrupted or going on."""
    return sorted(unfinished_folder(settings).glob("*.sqlite"))


def search_working_file(path: Path, whose: Whose) -> Finding:
    """Search a working file for what somebody said or rated; it is left as it is.

    Args:
        path: The file.
        whose: Whose.

    Returns:
        What it holds; ``may hold`` where it cannot be read, or a run has it in hand that may still write to it.
    """
    try:
        for body in _units(path):
            if whose.are_told_of(json.loads(body)):
                return "holds"
    except (sqlite3.Error, OSError, ValueError, RecursionError):
        return "may hold" if path.exists() else "nothing"  # gone: its run has ended meanwhile
    return "may hold" if _is_in_hand(path) else "nothing"


def _units(path: Path) -> Iterator[str]:
    journal = path.with_name(f"{path.name}-wal")
    # Without a journal nobody is writing; then SQLite need not make one beside it, as it does otherwise even to read.
    options = "mode=ro" if journal.exists() else "mode=ro&immutable=1"
    with closing(sqlite3.connect(f"file:{quote(str(path))}?{options}", uri=True)) as connection:
        for (body,) in connection.execute(_UNITS):
            yield body


def _is_in_hand(path: Path) -> bool:
    try:
        descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


# --- runs of the learning loop --------------------------------------------------------------------------------------


class LearningRun(NamedTuple):
    """A run of the learning loop.

    Attributes:
        folder: Where it rests.
        name: ``NAME/RUN_ID``.
        datasets: Ids of the data sets that its files name.
        versions: Versions that its files name as what came out.
        shown: Candidates of conversations, queries and ratings that fell, and are shown in its report.
    """

    folder: Path
    name: str
    datasets: frozenset[str]
    versions: frozenset[str]
    shown: int

    def made(self, version: str) -> bool:
        """Tell whether a version came out of it."""
        return any(version.startswith(one) for one in self.versions)


def learning_runs(settings: Settings) -> list[LearningRun]:
    """Return the runs of the learning loop, in the order of their names."""
    root = learning_folder(settings)
    folders = sorted(path for path in root.glob("*/*") if path.is_dir() and not path.name.startswith("."))
    return [_learning_run(folder, root) for folder in folders]


def _learning_run(folder: Path, root: Path) -> LearningRun:
    datasets: set[str] = set()
    versions: set[str] = set()
    shown = 0
    for path in sorted(folder.glob("*.json")):
        for value in _values(path, ReadingAccount()):
            for one in _mappings(value):
                datasets.update(_texts(one.get("dataset_id")), _texts(one.get("dataset_ids")))
                told = (text.rpartition("@")[2] for text in _texts(one.get("version")))
                versions.update(text for text in told if _VERSION.fullmatch(text))
                if path.name == _REPORT and isinstance(rejected := one.get("rejected"), list):
                    shown += sum(map(_is_said, rejected))
    name = folder.relative_to(root).as_posix()
    return LearningRun(folder, name, frozenset(datasets), frozenset(versions), shown)


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    """Return all objects in a JSON value."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            yield one
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _texts(value: Any) -> Iterator[str]:
    yield from (one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str))


def _is_said(rejected: Any) -> bool:
    """Tell whether somebody has said the text of a rejected candidate; other texts are documents."""
    return isinstance(rejected, Mapping) and bool(rejected.get("query")) and rejected.get("strategy") != "synthetic"


def search_run(run: LearningRun, whose: Whose, known: frozenset[Path]) -> Finding:
    """Search the files of a run of the loop that are neither data sets nor models.

    Args:
        run: The run.
        whose: Whose turns and ratings.
        known: Folders that are searched by themselves, such as data sets.

    Returns:
        What they hold; ``may hold`` where one of them cannot be read.
    """
    unreadable = False
    for place, folders, files in os.walk(run.folder):
        folders[:] = sorted(name for name in folders if Path(place, name) not in known)
        for name in sorted(files):
            account = ReadingAccount()
            if any(whose.are_told_of(value) for value in _values(Path(place, name), account)):
                return "holds"
            unreadable |= bool(account.damaged or account.unreadable)
    return "may hold" if unreadable else "nothing"


def _values(path: Path, account: ReadingAccount) -> Iterator[Any]:
    if path.suffix == ".jsonl":
        yield from json_lines(path, account)
    elif path.suffix == ".json":
        try:
            if path.stat().st_size > _TOO_LARGE:
                account.unreadable.append(path.name)
            else:
                yield json.loads(path.read_bytes())
        except OSError:
            account.unreadable.append(path.name)
        except (ValueError, RecursionError):
            account.damaged += 1
