"""What an export tells of itself: ``export.json``, and a ``SHA256SUMS`` that anybody can check."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, JsonValue, ValidationError

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.records.base import Identifier, Record
from ragtime.utils.files import parse_json_object, write_json, write_text
from ragtime.utils.hashing import file_hash

__all__ = [
    "CARD_NAME",
    "FACTS_NAME",
    "REQUIREMENTS_NAME",
    "SUMS_NAME",
    "ExportFacts",
    "check_sums",
    "read_facts",
    "write_facts",
    "write_sums",
]

FACTS_NAME = "export.json"
SUMS_NAME = "SHA256SUMS"
CARD_NAME = "README.md"
REQUIREMENTS_NAME = "requirements.txt"

_FORMAT = 1
_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")


class ExportFacts(Record):
    """What an export tells of itself.

    Attributes:
        format: Version of the layout.
        target: The form of the model, such as ``safetensors``.
        model: What was exported: a reference of the registry, or the name of a folder.
        base_model: What it was trained from; ``None`` when nobody told.
        parameters: How many weights it has.
        dimension: Length of the vectors.
        max_seq_length: Longest text, in tokens; ``None`` when there is no limit.
        dtype: Precision of the weights.
        prompts: What stands in front of texts, by role.
        normalization_added: Whether vectors got unit length by the export; else the model gave them so.
        packages: Versions of the packages that were there, by name.
        tolerance: Largest difference of a number in an embedding that the self-check lets pass.
        training: What the run told: its configuration, counts and hashes of the data, no ids of users or documents.
    """

    format: int = _FORMAT
    target: Identifier
    model: str
    base_model: str | None
    parameters: Annotated[int, Field(ge=0)]
    dimension: Annotated[int, Field(ge=1)]
    max_seq_length: int | None
    dtype: Identifier
    prompts: dict[str, str]
    normalization_added: bool
    packages: dict[str, str]
    tolerance: Annotated[float, Field(ge=0.0)]
    training: dict[str, JsonValue] = Field(default_factory=dict)


def write_facts(folder: Path, facts: ExportFacts) -> None:
    """Write ``export.json``; StorageError when that fails."""
    write_json(folder / FACTS_NAME, facts.model_dump(mode="json"))


def read_facts(folder: Path) -> ExportFacts:
    """Read ``export.json``.

    Args:
        folder: The export.

    Returns:
        What it tells.

    Raises:
        StorageError: There is none, it cannot be read, holds something else, or was written by a later version.
    """
    path = folder / FACTS_NAME
    try:
        found = parse_json_object(path.read_bytes())
    except FileNotFoundError:
        raise StorageError(f"'{folder}' is no export of ragtime: there is no {FACTS_NAME} in it") from None
    except OSError as error:
        raise StorageError(f"Cannot read '{path}': {error.strerror or error}") from error
    except InvalidArgumentError as error:
        raise StorageError(f"'{path}' is damaged: {error}") from None
    version = found.get("format")
    if isinstance(version, int) and version > _FORMAT:
        raise StorageError(f"A later version of ragtime wrote '{folder}' (format {version}): update this one")
    try:
        return ExportFacts.model_validate(found)
    except ValidationError as error:
        raise StorageError(f"'{path}' tells nothing of an export: {error.error_count()} wrong fields") from None


def write_sums(folder: Path) -> str:
    """Write the hash of every file in the form of ``sha256sum``; the card is left out, for its reader may add to it.

    Args:
        folder: The finished export.

    Returns:
        The SHA-256 of what was written, which stands for all of the export.

    Raises:
        StorageError: It cannot be written.
        OSError: A file cannot be read.
    """
    lines = [f"{digest}  {name}\n" for name, digest in _digests(folder).items()]
    write_text(folder / SUMS_NAME, "".join(lines))
    return file_hash(folder / SUMS_NAME)


def check_sums(folder: Path) -> str:
    """Compare every file with ``SHA256SUMS``; the card, and hidden files such as those of git, play no part.

    Args:
        folder: The export.

    Returns:
        The SHA-256 of ``SHA256SUMS``.

    Raises:
        StorageError: A file is missing, changed or was not there, says which; or there are no sums, or damaged ones.
    """
    path = folder / SUMS_NAME
    try:
        known = _read_sums(path)
        found = _digests(folder)
        whole = file_hash(path)
    except FileNotFoundError as error:
        raise StorageError(f"'{folder}' is no export of ragtime: '{error.filename}' is missing") from None
    except OSError as error:
        raise StorageError(f"Cannot read '{error.filename or folder}': {error.strerror or error}") from error
    missing = [name for name in known if name not in found]
    added = [name for name in found if name not in known]
    changed = [name for name, digest in known.items() if name in found and found[name] != digest]
    for names, told in ((missing, "missing"), (changed, "changed"), (added, "not of the export")):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise StorageError(
                f"'{folder}' is not what was exported: {names[0]!r}{more} {told}; export the model again"
            )
    return whole


def _read_sums(path: Path) -> Mapping[str, str]:
    try:
        lines = path.read_bytes().decode().splitlines()
    except UnicodeDecodeError:
        lines = [""]
    matched = [_LINE.fullmatch(line) for line in lines]
    if not matched or not all(matched):
        raise StorageError(f"'{path}' is damaged: it holds no sums; export the model again")
    return {match[2]: match[1] for match in matched if match is not None}


def _digests(folder: Path) -> dict[str, str]:
    names = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    shown = {
        name: path for name, path in names.items() if not name.startswith(".") and name not in {SUMS_NAME, CARD_NAME}
    }
    return {name: file_hash(path) for name, path in sorted(shown.items())}
