"""Evaluations in files, as the command line has printed them and as the library writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.services.model_finetuner.comparison import EvaluationResult, read_evaluation
from ragtime.utils.files import parse_json_object

__all__ = ["read_result"]


def read_result(path: Path) -> EvaluationResult:
    """Read what was measured of a model.

    Args:
        path: A file with what ``ragtime evaluate --json`` has printed, or of ``write_evaluation``. Where two models
            were compared, it is the second of them.

    Returns:
        What was measured.

    Raises:
        StorageError: The file cannot be read, or holds something else; quotes nothing of it.
    """
    try:
        found: Any = parse_json_object(path.read_bytes())
    except OSError as error:
        raise StorageError(f"Cannot read '{path}': {error.strerror or error}") from error
    except InvalidArgumentError as error:
        raise StorageError(f"'{path}' is damaged: {error}") from None
    if "version" in found:
        return read_evaluation(path)
    try:
        return EvaluationResult.model_validate(found.get("tuned", found))
    except ValidationError as error:
        wrong = error.error_count()
    raise StorageError(
        f"'{path}' holds no evaluation ({wrong} wrong fields): give what ragtime evaluate --json has printed"
    )
