"""The files of a deduplication index: append-only data, sorted runs, and a header that says what counts."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragtime.errors import StorageError
from ragtime.services.training_data_gen.dedup.rows import Rows
from ragtime.services.training_data_gen.dedup.runs import Entries
from ragtime.services.training_data_gen.dedup.shingles import Hashes
from ragtime.utils.extras import LazyModule
from ragtime.utils.files import parse_json_object, write_bytes

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")

__all__ = ["DIGEST_BYTES", "DedupFiles"]

DIGEST_BYTES = 16

_FORMAT = 1
_DATA = ("rows.bin", "hashes.bin", "ids.bin")


class DedupFiles:
    """The open files of an index.

    The header is replaced at once when a batch is complete; whatever stands behind the lengths that it tells, or in
    runs that it does not name, was never acknowledged, and is cut off.

    Attributes:
        header: Lengths, runs and settings, as they were written last.
    """

    def __init__(self, folder: Path, settings: Mapping[str, object], *, durable: bool = True) -> None:
        """Open `folder`, or make it; `settings` must be those that it was made with.

        Args:
            folder: The folder.
            settings: What the index depends on.
            durable: Whether :meth:`commit` waits until the disk has all, or leaves that to the system.

        Raises:
            StorageError: The folder cannot be read or written, is open elsewhere, or was made with other settings.
        """
        self._folder, self._durable = folder, durable
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise StorageError(f"Cannot open the index in {str(folder)!r}: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.header = self._read_header(settings)
            self._cut()
            self._map()
        except BlockingIOError as error:
            self.close()
            raise StorageError(f"Another process has the index in {str(folder)!r} open; wait for it") from error
        except BaseException:
            self.close()
            raise

    def _read_header(self, settings: Mapping[str, object]) -> dict[str, Any]:
        path = self._folder / "index.json"
        fresh = {
            "format": _FORMAT,
            "settings": dict(settings),
            "rows": 0,
            "hashes": 0,
            "ids": 0,
            "batches": 0,
            "runs": [],
        }
        if not path.exists():
            return fresh
        try:
            header = parse_json_object(path.read_bytes())
        except (OSError, ValueError) as error:
            raise StorageError(f"{str(path)!r} cannot be read as the header of an index") from error
        if header.keys() != fresh.keys() or header["format"] != _FORMAT:
            raise StorageError(f"{str(path)!r} is no header of an index of format {_FORMAT}")
        if header["settings"] != fresh["settings"]:
            raise StorageError(
                f"The index in {str(self._folder)!r} was made with {json.dumps(header['settings'])}, not with "
                f"{json.dumps(fresh['settings'])}; open it with the same settings, or take another folder"
            )
        return header

    def _cut(self) -> None:
        for name, length in zip(_DATA, self._lengths(), strict=True):
            with (self._folder / name).open("ab") as file:
                if file.tell() < length:
                    raise StorageError(f"{str(self._folder / name)!r} is shorter than the header tells")
                file.truncate(length)
        named = set(self.header["runs"])
        for path in self._folder.glob("run-*"):
            if path.name not in named:
                path.unlink()

    def _lengths(self) -> tuple[int, int, int]:
        return self.header["rows"] * (DIGEST_BYTES + 16), self.header["hashes"] * 4, self.header["ids"]

    def _map(self) -> None:
        kinds: tuple[Any, ...] = ([("digest", f"V{DIGEST_BYTES}"), ("hashes", "<u8"), ("ids", "<u8")], "<u4", "u1")
        self._rows, self._hashes, self._ids = (
            np.memmap(self._folder / name, np.dtype(kind), "r") if length else np.empty(0, np.dtype(kind))
            for name, kind, length in zip(_DATA, kinds, self._lengths(), strict=True)
        )
        self.runs: list[Entries] = [np.memmap(self._folder / name, "<u8", "r") for name in self.header["runs"]]

    def digest(self, row: int) -> bytes:
        """Return the digest of a row."""
        return bytes(self._rows["digest"][row])

    def sketch(self, row: int) -> Hashes:
        """Return the sketch of a row."""
        first = int(self._rows["hashes"][row - 1]) if row else 0
        return np.asarray(self._hashes[first : int(self._rows["hashes"][row])])

    def id(self, row: int) -> str:
        """Return the id of a row."""
        first = int(self._rows["ids"][row - 1]) if row else 0
        return bytes(self._ids[first : int(self._rows["ids"][row])]).decode("utf-8", "surrogatepass")

    def commit(self, rows: Rows, runs: list[Entries]) -> None:
        """Append rows and write the runs that are not on disk yet; afterwards they count."""
        table = np.empty(len(rows), np.dtype([("digest", f"V{DIGEST_BYTES}"), ("hashes", "<u8"), ("ids", "<u8")]))
        names = [one.encode("utf-8", "surrogatepass") for one in rows.ids]
        table["digest"] = np.frombuffer(b"".join(rows.digests), f"V{DIGEST_BYTES}")
        sizes = [np.empty(0, np.int64), *(np.diff(block.offsets) for block in rows.blocks)]
        for column, some in (("hashes", np.concatenate(sizes)), ("ids", list(map(len, names)))):
            table[column] = np.cumsum(some, dtype=np.uint64) + np.uint64(self.header[column])
        flat = np.concatenate([np.empty(0, np.uint32), *(block.hashes for block in rows.blocks)]).astype("<u4")
        header = dict(self.header)
        header.update(
            batches=header["batches"] + 1, rows=header["rows"] + len(rows), hashes=header["hashes"] + len(flat)
        )
        header["ids"] += sum(map(len, names))
        kept = {id(run): name for run, name in zip(self.runs, self.header["runs"], strict=True)}
        header["runs"] = []
        self._cut()  # what a batch that failed may have left
        try:
            for name, data in zip(_DATA, (table.tobytes(), flat.tobytes(), b"".join(names)), strict=True):
                with (self._folder / name).open("ab") as file:
                    file.write(data)
                    if self._durable:
                        file.flush()
                        os.fsync(file.fileno())
            for number, run in enumerate(runs):
                name = kept.get(id(run)) or f"run-{header['batches']}-{number}.bin"
                if id(run) not in kept:
                    self._put(name, run.astype("<u8").tobytes())
                header["runs"].append(name)
            self._put("index.json", json.dumps(header).encode() + b"\n")
        except OSError as error:
            raise StorageError(f"Cannot write the index in {str(self._folder)!r}: {error.strerror}") from error
        self.header = header
        self._cut()
        self._map()

    def _put(self, name: str, data: bytes) -> None:
        """Write a file at once: whoever opens the folder finds all of it, or none."""
        if self._durable:
            write_bytes(self._folder / name, data)
        else:
            new = self._folder / f"{name}.new"
            new.write_bytes(data)
            new.replace(self._folder / name)

    def close(self) -> None:
        """Release the lock."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
