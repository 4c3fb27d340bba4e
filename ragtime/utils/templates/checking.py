"""Checking prompts and pages together, as ``ragtime prompts check`` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ragtime.config.settings import Settings, get_settings
from ragtime.errors import InvalidArgumentError
from ragtime.utils.templates.findings import Finding
from ragtime.utils.templates.pages.manager import HTMLTemplateManager
from ragtime.utils.templates.prompts.manager import PromptManager

__all__ = ["CheckReport", "check_templates"]


@dataclass(frozen=True)
class CheckReport:
    """What a check has looked at and found.

    Attributes:
        prompts: Definitions of prompts that were checked.
        tests: Tests of prompts that were run.
        pages: Pages that were checked.
        findings: What was found.
    """

    prompts: int = 0
    tests: int = 0
    pages: int = 0
    findings: tuple[Finding, ...] = ()

    def __add__(self, other: CheckReport) -> CheckReport:
        return CheckReport(
            self.prompts + other.prompts,
            self.tests + other.tests,
            self.pages + other.pages,
            (*self.findings, *other.findings),
        )


def check_templates(
    paths: Sequence[str | Path] = (), *, packaged: bool = False, settings: Settings | None = None
) -> CheckReport:
    """Check prompts and pages, and run the tests of prompts.

    Args:
        paths: Files, and folders of both; a folder's own ``pages`` is where its pages are when there is one. Empty
            means the folder that ``templates.directory`` names.
        packaged: Whether to check what comes with the package, too.
        settings: The settings; ``None`` means the current ones.

    Returns:
        The report.

    Raises:
        InvalidArgumentError: There is no such file or folder, or nothing to check.
    """
    chosen = settings or get_settings()
    configured = chosen.templates.directory
    given = [Path(path) for path in paths] or ([configured] if configured else [])
    if not given and not packaged:
        raise InvalidArgumentError("There is nothing to check: name a folder or file, or set templates.directory")
    alone = chosen.replace(templates__directory=None)
    report = CheckReport()
    for path in given:
        if not path.exists():
            raise InvalidArgumentError(f"There is no file or folder {str(path)!r}")
        if path.is_dir() or path.suffix == ".json":
            report += _check_prompts(PromptManager(path, settings=alone), "explicit")
        if path.is_dir() or path.suffix in {".html", ".htm"}:
            report += _check_pages(path, alone)
        if path.is_file() and path.suffix not in {".json", ".html", ".htm"}:
            raise InvalidArgumentError(f"{str(path)!r} is neither a prompt (.json) nor a page (.html)")
    if given and not report.prompts and not report.pages and not report.findings:
        raise InvalidArgumentError("There is nothing to check: no prompt (.json) and no page (.html) was found")
    if packaged:
        report += _check_prompts(PromptManager(settings=alone), "packaged")
        pages = HTMLTemplateManager(settings=alone)
        found = [finding for name in pages.list_templates() for finding in pages.validate(name)]
        report += CheckReport(pages=len(pages.list_templates()), findings=tuple(found))
    return report


def _check_prompts(manager: PromptManager, layer: str) -> CheckReport:
    definitions = [entry.definition for entry in manager.entries() if entry.layer == layer]
    if layer == "packaged":
        found = [finding for name in manager.list_prompts() for finding in manager.validate(name)]
    else:
        found = manager.validate()
    return CheckReport(
        prompts=len(definitions),
        tests=sum(len(definition.tests) for definition in definitions),
        findings=tuple(found),
    )


def _check_pages(path: Path, settings: Settings) -> CheckReport:
    folder = path.parent if path.is_file() else path / "pages" if (path / "pages").is_dir() else path
    pages = HTMLTemplateManager(folder, settings=settings)
    names = [path.name] if path.is_file() else [name for name in pages.list_templates() if (folder / name).is_file()]
    # A page that extends another of the same folder would tell the other's findings once more.
    found = dict.fromkeys(finding for name in names for finding in pages.validate(name))
    return CheckReport(pages=len(names), findings=tuple(found))
