"""Deprecated: the old module ``template``, which read one HTML page; ``HTMLTemplateManager`` takes its place.

Pages are rendered by ``ragtime.utils.templates.HTMLTemplateManager``, which this module also exports. This module goes
in ragtime 2.0.0; ``ragtime migrate`` rewrites its users.
"""

from __future__ import annotations

import html
import os
from pathlib import Path

from ragtime.migration.deprecation import deprecated_function
from ragtime.monitoring.logging import get_logger
from ragtime.utils.templates import HTMLTemplateManager

__all__ = ["HTMLTemplateManager", "get_template_path", "load_html_template"]

_log = get_logger(f"ragtime.{__name__}")
_BRACES = str.maketrans({"{": "&#123;", "}": "&#125;"})
_ERROR_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Template Error</title>
</head>
<body>
<h1>Template Error</h1>
<p>The page cannot be read: {path}</p>
<p>{error}</p>
</body>
</html>
"""


@deprecated_function("template")
def get_template_path() -> str:
    """Return the path of the page: ``TEMPLATE_PATH``, read now, or ``./template.html``; ``~`` is the home folder."""
    return _template_path()


@deprecated_function("template")
def load_html_template() -> str:
    """Read the page.

    Returns:
        Its text as it is, placeholders included; when it cannot be read, a page that says ``Template Error``, where the
        page was looked for, and what the system answered. No part of that can act as HTML, nor as a Jinja template,
        which is what callers take the result for.
    """
    path = _template_path()
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        _log.error("The page cannot be read; one that tells the error takes its place", error=type(error).__name__)
        return _ERROR_PAGE.format(path=_shown(path), error=_shown(str(error)))


def _template_path() -> str:
    chosen = os.environ.get("TEMPLATE_PATH") or "./template.html"
    return os.path.expanduser(chosen)  # noqa: PTH111 - Path would drop the "./" that callers know


def _shown(text: str) -> str:
    """Return a text for the body of a page that is rendered by Jinja; quotes need no care there, and stay readable."""
    return html.escape(text, quote=False).translate(_BRACES)
