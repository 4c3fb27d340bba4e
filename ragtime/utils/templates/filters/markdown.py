"""Markdown as HTML of which only harmless parts are left."""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from ragtime.utils.templates.filters.checks import as_text
from ragtime.utils.templates.filters.texts import safe_url

if TYPE_CHECKING:
    import nh3
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererProtocol
    from markdown_it.rules_core import StateCore
    from markdown_it.token import Token
    from markdown_it.utils import EnvType, OptionsDict

__all__ = ["MAX_MARKDOWN_CHARACTERS", "markdown"]

MAX_MARKDOWN_CHARACTERS = 100_000
"""Longest Markdown that is rendered, in characters: the worst takes about a second."""

_HEADING = re.compile(r"h[1-6]")
_DEMOTED_BY = 2  # a page has one h1, and its turns and sections have the h2
_TAGS = set("a blockquote br code div em h3 h4 h5 h6 hr li ol p pre s strong table tbody td th thead tr ul".split())
_ALIGNMENTS = {"text-align:left", "text-align:center", "text-align:right"}


def markdown(value: object) -> Markup:
    """Show Markdown: CommonMark with tables and strikethrough, of which only harmless HTML is left.

    HTML in it is shown as text, an image as its description, because loading one tells its server who reads. Headings
    begin at ``<h3>``. What is nested more than 20 deep is left out.

    Args:
        value: The Markdown, at most 100,000 characters; or HTML that is trusted already.

    Returns:
        The HTML.

    Raises:
        TypeError: `value` is no text.
        ValueError: It is too long.
    """
    if hasattr(value, "__html__"):
        return Markup(value)  # noqa: S704 - trusted by its maker
    text = as_text(value)
    if len(text) > MAX_MARKDOWN_CHARACTERS:
        raise ValueError(f"Markdown of {len(text)} characters; at most {MAX_MARKDOWN_CHARACTERS} are rendered")
    converter = _markdown_converter()
    encodable = text.encode(errors="replace").decode()  # the cleaner takes no lone surrogates
    return Markup(converter.cleaner.clean(converter.parser.render(encodable)))  # noqa: S704 - cleaned by an allow-list


class _MarkdownConverter(NamedTuple):
    parser: MarkdownIt
    cleaner: nh3.Cleaner


@functools.cache
def _markdown_converter() -> _MarkdownConverter:
    import nh3  # noqa: PLC0415 - both are needed only where Markdown is shown
    from markdown_it import MarkdownIt  # noqa: PLC0415

    parser = MarkdownIt("commonmark", {"html": False, "linkify": False, "maxNesting": 20})
    parser.enable(["table", "strikethrough"])
    parser.core.ruler.push("demote_headings", _demote_headings)
    parser.add_render_rule("image", _image_description)
    parser.add_render_rule("table_open", _scrollable_table)
    parser.add_render_rule("table_close", _scrollable_table_end)
    cleaner = nh3.Cleaner(
        tags=_TAGS,
        attributes={"a": {"href", "title"}, "ol": {"start"}},
        tag_attribute_values={"th": {"style": _ALIGNMENTS}, "td": {"style": _ALIGNMENTS}},
        allowed_classes={"div": {"scroll"}},
        url_schemes={"http", "https", "mailto"},
        url_relative=_relative_url,
        link_rel="noopener noreferrer nofollow",
    )
    return _MarkdownConverter(parser, cleaner)


def _demote_headings(state: StateCore) -> None:
    for token in state.tokens:
        if _HEADING.fullmatch(token.tag):
            token.tag = f"h{min(6, int(token.tag[1]) + _DEMOTED_BY)}"


def _image_description(
    self: RendererProtocol,
    tokens: Sequence[Token],
    idx: int,
    options: OptionsDict,
    env: EnvType,
) -> str:
    return html.escape(self.renderInlineAsText(tokens[idx].children or [], options, env))  # type: ignore[attr-defined]


def _scrollable_table(*_: object) -> str:
    return '<div class="scroll"><table>\n'


def _scrollable_table_end(*_: object) -> str:
    return "</table></div>\n"


def _relative_url(url: str) -> str | None:
    return None if safe_url(url) == "#" else url
