"""The journal of an index: one line for each change, every checksum going on from the one before.

A line is eight hexadecimal digits, a space, a JSON object in ASCII and a line break. The digits are the CRC-32 of the
rest of the line, started from the checksum of the line before, so that a line that is damaged, missing or out of place
shows. Only a last line without its line break can come from a writer that died; it was never acknowledged.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

from ragtime.errors import StorageError

__all__ = ["Entry", "Journal", "encode_entry", "read_journal"]

_DIGITS = 8


class Entry(NamedTuple):
    """One change of an index.

    Attributes:
        added: Ids of the rows added, in the order of the data file.
        removed: Ids removed.
        checksum: CRC-32 of the bytes of the rows.
        longest: Euclidean length of the longest row.
    """

    added: list[str] = []  # noqa: RUF012 - a default of a tuple, never changed
    removed: list[str] = []  # noqa: RUF012
    checksum: int = 0
    longest: float = 0.0


@dataclass
class Journal:
    """What a journal file holds.

    Attributes:
        entries: The changes, oldest first.
        ends: For each change, where its line ends and the checksum up to there.
        torn: Bytes of a half-written last line.
    """

    entries: list[Entry] = field(default_factory=list)
    ends: list[tuple[int, int]] = field(default_factory=list)
    torn: int = 0

    @property
    def end(self) -> tuple[int, int]:
        """Bytes up to the end of the last whole line, and the checksum there."""
        return self.ends[-1] if self.ends else (0, 0)


def encode_entry(entry: Entry, checksum: int) -> tuple[bytes, int]:
    """Write a change as a line.

    Args:
        entry: The change.
        checksum: That of the line before; 0 for the first.

    Returns:
        The line, and its checksum.
    """
    value = (
        {"add": entry.added, "crc32": entry.checksum, "longest": entry.longest}
        if entry.added
        else {"remove": entry.removed}
    )
    rest = f" {json.dumps(value, separators=(',', ':'))}\n".encode("ascii")  # escapes lone surrogates, too
    checksum = zlib.crc32(rest, checksum)
    return f"{checksum:0{_DIGITS}x}".encode("ascii") + rest, checksum


def read_journal(file: IO[bytes], path: Path) -> Journal:
    """Read and check a journal.

    Args:
        file: The file, at its start.
        path: What errors call it.

    Returns:
        The changes; a torn last line is counted and left out.

    Raises:
        StorageError: A line is damaged; names file and line.
        OSError: The file cannot be read.
    """
    journal = Journal()
    for number, line in enumerate(file, start=1):
        position, checksum = journal.end
        if not line.endswith(b"\n") and not _lost_its_break(line, checksum):
            journal.torn = len(line)
            break
        entry, checksum = _decode(line, checksum, f"{path}, line {number}")
        journal.entries.append(entry)
        journal.ends.append((position + len(line), checksum))
    return journal


def _lost_its_break(line: bytes, checksum: int) -> bool:
    # A whole line whose last byte was changed looks like a torn one, but was acknowledged.
    return zlib.crc32(line[_DIGITS:-1] + b"\n", checksum) == _digits(line)


def _digits(line: bytes) -> int | None:
    try:
        return int(line[:_DIGITS], 16)
    except ValueError:
        return None


def _decode(line: bytes, checksum: int, place: str) -> tuple[Entry, int]:
    found = zlib.crc32(line[_DIGITS:], checksum)
    if found != _digits(line):
        raise StorageError(
            f"{place}: damaged, its checksum is {found:08x}; restore the folder from a copy, or delete it and add the "
            "vectors again"
        )
    value = json.loads(line[_DIGITS:])
    if "add" in value:
        return Entry(value["add"], [], value["crc32"], value["longest"]), found
    return Entry(removed=value["remove"]), found
