"""Texts in the answer of a language model that was asked for a JSON array of them."""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["texts_in"]

_FENCE = re.compile(r"```[A-Za-z0-9]*\s*(?P<inside>.*?)(?:```|\Z)", re.DOTALL)
_TRAILING = re.compile(r",(?=\s*[\]}])")
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_ITEM = re.compile(r"^[^\S\n]*(?:\(?\d{1,3}[.):]|[-*\u2022])[^\S\n]+(?P<text>\S.*)$", re.MULTILINE)
_QUOTES = str.maketrans({"\u201c": '"', "\u201d": '"', "\u201e": '"'})
_PAIRED = "\"'`\u2018\u2019\u201c\u201d"
_KEYS = ("query", "question", "text", "rewording", "paraphrase")
_LONGEST = 300  # characters; what is longer is no query
_READ = 50_000


def texts_in(answer: str) -> list[str]:
    """Read the texts that a model wrote, also where the JSON is slightly broken.

    Understood are an array of strings or of objects, an object that holds one, a block of code around it, words before
    and after it, trailing commas, typographic quotes, an array that breaks off, one string a line, and numbered or
    bulleted lists.

    Args:
        answer: What the model said.

    Returns:
        The texts in their order, one line each, none blank, none twice; none when there is nothing of that kind.
    """
    text = answer[:_READ]
    fence = _FENCE.search(text)
    if fence is not None:
        text = fence["inside"]
    found: dict[str, str] = {}
    for one in _parsed(text) or _repaired(text):
        line = " ".join(one.replace("\0", "").encode("utf-8", "replace").decode().split())
        if len(line) > 1 and line[0] in _PAIRED and line[-1] in _PAIRED:
            line = line[1:-1].strip()
        if 0 < len(line) <= _LONGEST and any(map(str.isalnum, line)):
            found.setdefault(line.casefold(), line)
    return list(found.values())


def _parsed(text: str) -> list[str]:
    for opening, closing in ("[]", "{}"):
        start, end = text.find(opening), text.rfind(closing)
        if 0 <= start < end:
            piece = text[start : end + 1]
            for form in (piece, _TRAILING.sub("", piece), _TRAILING.sub("", piece.translate(_QUOTES))):
                try:
                    texts = _strings(json.loads(form))
                except (ValueError, RecursionError):
                    continue
                if texts:
                    return texts
    return []


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        for key in _KEYS:
            if isinstance(value.get(key), str):
                return [value[key]]
        return next((texts for inner in value.values() if isinstance(inner, list) and (texts := _strings(inner))), [])
    if isinstance(value, list):
        return [text for one in value for text in ([one] if isinstance(one, str) else _strings(one))]
    return []


def _repaired(text: str) -> list[str]:
    start = text.find("[")
    if start >= 0:
        strings = []
        for piece in _STRING.findall(text[start:].translate(_QUOTES)):
            try:
                strings.append(str(json.loads(piece)))
            except ValueError:
                continue
        if strings:
            return [string for string in strings if string not in _KEYS]
    return [item["text"].rstrip(",") for item in _ITEM.finditer(text)]
