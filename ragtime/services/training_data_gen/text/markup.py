"""Text without its markup."""

from __future__ import annotations

import re

__all__ = ["plain"]

_MARKED = re.compile(r"[<`*_\[\]{}#&\\|~]")
_LINK = re.compile(r"!?\[(?P<text>[^\[\]\n]{0,300})\](?:\([^()\n]{0,500}\)|\[[^\[\]\n]{0,100}\])")
_ATTRIBUTES = re.compile(r"\s?\{\s?[#.:][^{}\n]{0,200}\}")
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,300}>|<!--.{0,500}?-->", re.DOTALL)
_START = re.compile(r"^[^\S\n]*(?:#{1,6}|>|[-*+\u2022]|\d{1,3}[.)])[^\S\n]+", re.MULTILINE)
_STRESS = re.compile(r"(?<!\w)(?P<mark>\*{1,3}|_{1,3}|~~)(?=\S)(?P<text>[^*_~\n]{1,300}?)(?<=\S)(?P=mark)(?!\w)")
_CODE = re.compile(r"(?P<mark>`{1,2})(?P<text>[^`\n]{1,300})(?P=mark)")
_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&nbsp;": " ", "&#39;": "'"}
_ENTITY = re.compile("|".join(map(re.escape, _ENTITIES)))


def plain(text: str) -> str:
    """Take Markdown and HTML markup out of a text, as a search query has none.

    Links leave their text, emphasis and code their content, list marks and heading marks go, and white space becomes
    single spaces. Text without markup stays as it is but for white space.

    Args:
        text: A piece of a passage.

    Returns:
        What is read of it.
    """
    if _MARKED.search(text):
        for pattern in (_LINK, _CODE, _STRESS):
            text = pattern.sub(r"\g<text>", text)
        text = _TAG.sub("", _ATTRIBUTES.sub("", text))
        text = _ENTITY.sub(lambda found: _ENTITIES[found[0]], text)
    return " ".join(_START.sub("", text).split())
