"""Reports in a folder: a page to be read, and the same as JSON."""

from __future__ import annotations

import logging
from pathlib import Path

from pydantic import ValidationError

from ragtime.config.settings import Settings
from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.services.learning.page import page_variables
from ragtime.services.learning.report import LearningReport
from ragtime.utils.files import parse_json_object, write_json, write_text
from ragtime.utils.templates import HTMLTemplateManager

__all__ = ["read_report", "write_report"]

_log = get_logger(__name__)
_FORMAT = 1  # of the file; `version` is the model's
_PAGE, _JSON = "report.html", "report.json"


def write_report(report: LearningReport, folder: str | Path, *, settings: Settings | None = None) -> LearningReport:
    """Write a report: ``report.html``, which loads nothing from elsewhere, and ``report.json``.

    The same report gives the same bytes. The page is the template ``learning.html``; one of that name in the folder
    ``pages`` of ``templates.directory`` takes its place.

    Args:
        report: The report.
        folder: Where it shall rest; made when it is not there, and a report in it is replaced.
        settings: The settings; ``None`` means the current ones.

    Returns:
        The report with its `folder`.

    Raises:
        StorageError: A file cannot be written.
        TemplateError: The page cannot be rendered: it is one of the user's with a mistake in it, or a limit of
            ``templates`` is reached.
    """
    place = Path(folder)
    told = log_operation(
        _log, "write_report", level=logging.DEBUG, report=report.name, run_id=report.run_id, outcome=report.outcome
    )
    with told:
        page = HTMLTemplateManager(settings=settings).render("learning.html", **page_variables(report))
        write_text(place / _PAGE, page)
        # Last: where it lies, the page is there, too.
        write_json(place / _JSON, {"format": _FORMAT, **report.model_dump(mode="json")})
    return report.model_copy(update={"folder": place})


def read_report(folder: str | Path) -> LearningReport:
    """Read a report that :func:`write_report` has written.

    Args:
        folder: Where it rests.

    Returns:
        The report, as it was written, with its `folder`.

    Raises:
        StorageError: There is none, or it cannot be read, was written by a later version, or is damaged; quotes nothing
            of it.
    """
    place = Path(folder)
    path = place / _JSON
    try:
        found = parse_json_object(path.read_bytes())
    except FileNotFoundError:
        raise StorageError(
            f"There is no learning report in '{place}': expected the file {_JSON}, which a run writes at its end"
        ) from None
    except OSError as error:
        raise StorageError(f"Cannot read '{path}': {error.strerror or error}") from error
    except InvalidArgumentError as error:
        raise StorageError(f"'{path}' is damaged: {error}") from None
    version = found.pop("format", None)
    if isinstance(version, int) and version > _FORMAT:
        raise StorageError(f"A later version of ragtime wrote '{path}' (format {version}): update this one")
    if version != _FORMAT:
        raise StorageError(f"'{path}' holds no learning report: there is no known format in it")
    try:
        report = LearningReport.model_validate(found)
    except ValidationError as error:
        raise StorageError(f"'{path}' holds no learning report: {error.error_count()} wrong fields") from None
    return report.model_copy(update={"folder": place})
