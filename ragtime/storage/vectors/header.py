"""The header of an index: what its vectors are, and which generation of its files counts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ragtime.errors import StorageError
from ragtime.utils.files import write_json
from ragtime.utils.hashing import content_hash

__all__ = ["HEADER_NAME", "Header", "read_header"]

HEADER_NAME = "index.json"
_KIND = "ragtime vector index"
_FORMAT = 1


@dataclass(frozen=True)
class Header:
    """What an index says of itself.

    Attributes:
        dimension: Length of its vectors.
        fingerprint: Hash of the encoder that made them; empty when none was given.
        generation: Number in the names of the files that count; compaction writes the next one.
    """

    dimension: int
    fingerprint: str
    generation: int = 1

    @property
    def next(self) -> Header:
        """The header after a compaction."""
        return replace(self, generation=self.generation + 1)

    def write(self, folder: Path) -> None:
        """Put the header into `folder`, atomically: from then on its generation counts."""
        value = {"kind": _KIND, "format": _FORMAT, **asdict(self)}
        write_json(folder / HEADER_NAME, {**value, "sha256": content_hash(value)})

    def check_matches(self, expected: Header, folder: Path) -> None:
        """Raise StorageError unless dimension and fingerprint are the `expected` ones."""
        for name in ("dimension", "fingerprint"):
            found, wanted = getattr(self, name), getattr(expected, name)
            if found != wanted:
                raise StorageError(
                    f"The vector index in '{folder}' has the {name} {found!r}, expected {wanted!r}: it was made with "
                    "another encoder. Open it with that encoder, or give the new one a folder of its own and add the "
                    "texts again"
                )


def read_header(folder: Path) -> Header:
    """Read the header of an index.

    Args:
        folder: The folder of the index.

    Returns:
        The header.

    Raises:
        StorageError: The header is damaged, of another program, or of a format this version does not know.
        OSError: There is none, or it cannot be read.
    """
    path = folder / HEADER_NAME
    try:
        value: Any = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or value.pop("kind", None) != _KIND:
        raise StorageError(f"'{path}' is not the header of a vector index, or is damaged; restore it from a copy")
    if value.get("format") != _FORMAT:
        raise StorageError(
            f"'{path}' has the format {value.get('format')!r}, this version of ragtime reads {_FORMAT}: "
            "open it with the version that wrote it"
        )
    digest = value.pop("sha256", None)
    if digest != content_hash({"kind": _KIND, **value}):
        raise StorageError(f"'{path}' is damaged: its content does not fit its hash; restore it from a copy")
    return Header(value["dimension"], value["fingerprint"], value["generation"])
