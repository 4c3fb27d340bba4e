"""Evaluation results as JSON files."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.services.model_finetuner.comparison.results import EvaluationResult
from ragtime.utils.files import parse_json_object, write_json

__all__ = ["read_evaluation", "write_evaluation"]

_VERSION = 1


def write_evaluation(path: str | Path, result: EvaluationResult) -> None:
    """Write a result to a file; the same result gives the same bytes.

    Args:
        path: The file; one that is there is replaced.
        result: The result.

    Raises:
        StorageError: The file cannot be written.
    """
    # On one line: a value of every question on a line of its own would make the file twice as large.
    write_json(path, {"version": _VERSION, **result.model_dump(mode="json")}, indent=None)


def read_evaluation(path: str | Path) -> EvaluationResult:
    """Read a file of :func:`write_evaluation`.

    Args:
        path: The file.

    Returns:
        The result, as it was written.

    Raises:
        StorageError: The file cannot be read, was written by a later version, or holds no result; quotes nothing of it.
    """
    try:
        found = parse_json_object(Path(path).read_bytes())
    except OSError as error:
        raise StorageError(f"Cannot read '{path}': {error.strerror or error}") from error
    except InvalidArgumentError as error:
        raise StorageError(f"'{path}' is damaged: {error}") from None
    version = found.pop("version", None)
    if isinstance(version, int) and version > _VERSION:
        raise StorageError(f"A later version of ragtime wrote '{path}' (format {version}): update this one")
    if version != _VERSION:
        raise StorageError(f"'{path}' holds no evaluation result: there is no known version in it")
    try:
        return EvaluationResult.model_validate(found)
    except ValidationError as error:
        raise StorageError(f"'{path}' holds no evaluation result: {error.error_count()} wrong fields") from None
