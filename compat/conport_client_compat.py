"""Deprecated: ``ragtime.storage.conport`` takes the place of ``conport_client``.

The client here keeps the old layout, ``./.conport_local/{category}/{key}.json``, which a decision log does not read:
each file holds ``key``, ``value``, ``metadata``, ``timestamp`` and ``workspace_id``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from ragtime.errors import InvalidArgumentError, RagtimeError
from ragtime.migration.deprecation import deprecated_class, deprecated_function
from ragtime.monitoring.logging import get_logger
from ragtime.records.conversation import now
from ragtime.utils.files import write_json
from ragtime.utils.hashing import text_hash

__all__ = ["ConPortClient", "get_conport_client", "initialize_conport_client"]

_log = get_logger(f"ragtime.{__name__}")
_FOLDER = Path(".conport_local")  # below the current folder, at each use
_LIMIT = 100
_DIGITS = 12


@deprecated_class("conport_client")
class ConPortClient:
    """Keeps JSON values in files, one a record, and finds them by their words.

    The workspace of the current folder has all records that lie there, whatever the folder was called when they were
    written. A client of any other workspace sees and replaces the records that name it; where the file of a key is
    another one's, its own has the start of a hash behind the key: ``{key}~{digits}.json``.

    Attributes:
        workspace_id: The workspace; the current folder when none was named.
        is_available: ``True``.
    """

    def __init__(self, workspace_id: str | None = None, *, clock: Callable[[], datetime] = now) -> None:
        """Choose the workspace; no file is touched.

        Args:
            workspace_id: The workspace; ``None`` means the current folder.
            clock: Returns the time of a record, with a time zone.
        """
        here = str(Path.cwd())
        self.workspace_id = str(workspace_id or here)  # callers have given paths, too
        self.is_available = True
        self._of_folder = self.workspace_id == here
        self._clock = clock

    def log_custom_data(self, category: str, key: str, value: Any, metadata: Mapping[str, Any] | None = None) -> bool:
        """Store a value; one of the same category and key is replaced.

        Args:
            category: The category, a name of a folder.
            key: The key, a name of a file without its ending.
            value: A JSON value.
            metadata: A JSON object; ``None`` means an empty one.

        Returns:
            Whether it is stored; why not, is logged. A category or key that would lead to another folder is refused.
        """
        record = {
            "key": key,
            "value": value,
            "metadata": metadata or {},
            # Local and without its zone, as those of the old system, with which callers compare it.
            "timestamp": self._clock().astimezone().replace(tzinfo=None).isoformat(),
            "workspace_id": self.workspace_id,
        }
        try:
            write_json(self._path_of(category, key), record)
        except (RagtimeError, OSError, ValueError) as error:
            _log.warning("A record was not stored", extra={"category": category, "error": type(error).__name__})
            return False
        return True

    def search_custom_data_value_fts(self, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Find records by a text in their value.

        Args:
            params: `query_term`, a text that stands in the value's JSON in any case, empty for all; `category_filter`,
                a category, empty for all; `limit`, the most records, 100 unless given. Its `workspace_id` is passed
                over, since the client has one.

        Returns:
            Whole records, by category and name of the file; none after an error, which is logged. A file that holds no
            record costs only itself.
        """
        try:
            term, category = params.get("query_term") or "", params.get("category_filter") or ""
            limit = params.get("limit")
            found = self._found(term.casefold(), _folder_of(category) if category else None)
            return list(islice(found, _LIMIT if limit is None else max(limit, 0)))
        except (RagtimeError, OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            _log.warning("Records could not be searched", extra={"error": type(error).__name__})
            return []

    def get_workspace_id(self) -> str:
        """Return the workspace."""
        return self.workspace_id

    def is_client_available(self) -> bool:
        """Whether the client can be used."""
        return self.is_available

    def _found(self, term: str, folder: Path | None) -> Iterator[dict[str, Any]]:
        folders = sorted(path for path in _FOLDER.glob("*") if path.is_dir()) if folder is None else [folder]
        for path in (path for one in folders for path in sorted(one.glob("*.json"))):
            record = _read(path)
            if record is not None and self._sees(record) and term in _text_of(record["value"]):
                yield record

    def _sees(self, record: Mapping[str, Any]) -> bool:
        return self._of_folder or record.get("workspace_id", self.workspace_id) == self.workspace_id

    def _path_of(self, category: str, key: str) -> Path:
        """Return where a record of this workspace is, or goes."""
        folder = _folder_of(category)
        plain = folder / _checked(f"{key}.json")
        if not self._of_folder:
            own = folder / f"{key}~{text_hash(self.workspace_id)[:_DIGITS]}.json"
            former = _read(plain) if plain.exists() else None
            if own.exists() or (former is not None and not self._sees(former)):
                return _inside(own)
        return _inside(plain)


_lock = threading.Lock()
_clients: dict[str | None, ConPortClient] = {}  # the shared one under None, others by their workspace


@deprecated_function("conport_client")
def get_conport_client(workspace_id: str | None = None) -> ConPortClient:
    """Return the shared client, made at the first call.

    Args:
        workspace_id: The workspace; ``None`` means that of the shared client, the current folder for the first one.

    Returns:
        The shared client; for another workspace than its own one that is shared by those who ask for this workspace.
    """
    with _lock:
        shared = _clients.get(None)
        if shared is None:
            shared = _clients[None] = ConPortClient(workspace_id)
        if not workspace_id or workspace_id == shared.workspace_id:
            return shared
        if workspace_id not in _clients:
            _clients[workspace_id] = ConPortClient(workspace_id)
        return _clients[workspace_id]


@deprecated_function("conport_client")
def initialize_conport_client(workspace_id: str | None = None) -> ConPortClient:
    """Make the shared client anew.

    Args:
        workspace_id: The workspace; ``None`` means the current folder.

    Returns:
        The client.
    """
    with _lock:
        _clients.clear()
        _clients[None] = ConPortClient(workspace_id)
        return _clients[None]


def _folder_of(category: str) -> Path:
    return _inside(_FOLDER / _checked(category))


def _inside(path: Path) -> Path:
    """Return the path; raises InvalidArgumentError when a link in it leads out of the folder."""
    if not path.resolve().is_relative_to(_FOLDER.resolve()):
        raise InvalidArgumentError("A link leads out of the folder of the records")
    return path


def _checked(name: object) -> str:
    """Return the name of a file or folder; raises InvalidArgumentError for a path, or what is no text."""
    if not isinstance(name, str) or name in {"", ".", ".."} or "/" in name or Path(name).name != name:
        raise InvalidArgumentError(f"Expected a name without folders, found {str(name)[:100]!r}")
    return name


def _read(path: Path) -> dict[str, Any] | None:
    """Return a record; ``None`` when the file holds none."""
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        _log.warning("A record cannot be read", extra={"path": str(path), "error": type(error).__name__})
        return None
    if not isinstance(record, dict) or "value" not in record:
        _log.warning("A file holds no record", extra={"path": str(path)})
        return None
    return record


def _text_of(value: object) -> str:
    return json.dumps(value, ensure_ascii=False).casefold()
