"""The filters that ragtime adds to Jinja's."""

from __future__ import annotations

from collections.abc import Callable

from ragtime.utils.templates.filters.formats import (
    format_date,
    format_datetime,
    format_duration,
    format_filesize,
    format_isodatetime,
    format_number,
    format_percent,
)
from ragtime.utils.templates.filters.markdown import MAX_MARKDOWN_CHARACTERS, markdown
from ragtime.utils.templates.filters.texts import highlight, paragraphs, safe_url, truncate_tokens, truncate_words

__all__ = ["MAX_MARKDOWN_CHARACTERS", "PAGE_FILTERS", "PROMPT_FILTERS"]

PROMPT_FILTERS: dict[str, Callable[..., object]] = {
    "date": format_date,
    "datetime": format_datetime,
    "duration": format_duration,
    "filesize": format_filesize,
    "isodatetime": format_isodatetime,
    "number": format_number,
    "percent": format_percent,
    "truncate_tokens": truncate_tokens,
    "truncate_words": truncate_words,
}
"""The filters of prompts, by their names in templates."""

PAGE_FILTERS: dict[str, Callable[..., object]] = {
    **PROMPT_FILTERS,
    "highlight": highlight,
    "markdown": markdown,
    "paragraphs": paragraphs,
    "safe_url": safe_url,
}
"""The filters of pages, by their names in templates."""
