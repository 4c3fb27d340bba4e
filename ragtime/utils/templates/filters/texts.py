"""Texts cut to length, marked, and put into HTML; addresses that a link may lead to."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from markupsafe import Markup, escape

from ragtime.utils.templates.filters.checks import as_text, as_whole_number, without_tags, wrong_type
from ragtime.utils.tokens import EstimatedTokenCounter

__all__ = ["highlight", "paragraphs", "safe_url", "truncate_tokens", "truncate_words"]

_WORD = re.compile(r"\S+")
_END_CHARACTERS = 100
_LONG_WORD = 50  # characters from which a "word" is an address, or a script that writes no spaces
_MOST_TERMS = 50
_TERM_CHARACTERS = 100
_PUNCTUATION = ".,;:!?…()[]{}<>\"'`«»„“”‚‘’¿¡"  # noqa: RUF001 - quotation marks are meant
_SAFE_SCHEMES = {"http", "https", "mailto"}
_CONTROLS_AND_SPACE = "".join(map(chr, range(0x21)))
_INNER_WHITE_SPACE = {ord(character): None for character in "\t\n\r"}


def truncate_words(value: object, count: int = 30, end: str = "…") -> str:
    """Keep the first words of a text.

    Args:
        value: Plain text; HTML loses its tags first.
        count: The most words to keep, at least 1.
        end: What is put behind a text that was cut, at most 100 characters.

    Returns:
        The text as it was when it has no more words than that, else its beginning and `end`.

    Raises:
        TypeError: `value` is no text, or `count` no whole number.
        ValueError: `count` or `end` is out of range.
    """
    text, end = without_tags(value), _checked_end(end)
    words = itertools.islice(_WORD.finditer(text), _checked_count(count) - 1, None)
    last = next(words, None)
    return text if last is None or next(words, None) is None else text[: last.end()] + end


def truncate_tokens(value: object, count: int, end: str = "…") -> str:
    """Keep as much of a text as an estimated number of tokens holds; see ``EstimatedTokenCounter``.

    It is cut between words; inside one only where nothing else would be left, or where it has more than 50 characters,
    as an address has, and a sentence in Chinese.

    Args:
        value: Plain text; HTML loses its tags first.
        count: The most tokens of the result, `end` included; at least 1.
        end: What is put behind a text that was cut, at most 100 characters.

    Returns:
        The text as it was when it has no more tokens than that, else its beginning and `end`.

    Raises:
        TypeError: `value` is no text, or `count` no whole number.
        ValueError: `count` or `end` is out of range, or `end` alone has more tokens than `count`.
    """
    text, end, limit = without_tags(value), _checked_end(end), _checked_count(count)
    tokens = EstimatedTokenCounter().count
    if tokens(end) > limit:
        raise ValueError("What is put behind a cut text has more tokens than the text may have")
    # White space ends every piece that is counted, so the count of a text is the sum of those of its words.
    used, words = 0, []
    for word in _WORD.finditer(text):
        words.append((word.start(), word.end(), used))
        used += tokens(word[0])
        if used > limit:
            break
    else:
        return text
    while words:
        start, stop, before = words.pop()
        # `end` touches the word, and the two together may cost more than each alone.
        if before + tokens(text[start:stop] + end) <= limit:
            return text[:stop] + end
        if stop - start > _LONG_WORD or not words:
            fitting = _fitting_prefix(text[start:stop], end, limit - before)
            if fitting:
                return text[: start + fitting] + end
    return end


def _fitting_prefix(word: str, end: str, limit: int) -> int:
    """Return how many characters of `word` fit, 0 when none do; halving keeps it from counting once a character."""
    tokens = EstimatedTokenCounter().count
    fits, too_long = 0, len(word) + 1
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if tokens(word[:middle] + end) <= limit:
            fits = middle
        else:
            too_long = middle
    return fits


def highlight(value: object, terms: object) -> Markup:
    """Mark the words of a search in a text, whatever their case.

    Args:
        value: Plain text; HTML loses its tags first.
        terms: Words or phrases, or one text, which is split into words. The first 50 count; those of more than 100
            characters do not.

    Returns:
        The text, escaped, with ``<mark>`` round each whole word that is a term.

    Raises:
        TypeError: `value` is no text, or `terms` neither text nor texts.
    """
    text = without_tags(value)
    if isinstance(terms, str):
        candidates = [word.strip(_PUNCTUATION) for word in str(terms).split()]
    elif isinstance(terms, Sequence) and all(isinstance(term, str) for term in terms):
        candidates = [str(term).strip() for term in terms]
    else:
        raise wrong_type(terms, "text or a list of texts")
    wanted = dict.fromkeys(term for term in candidates if 0 < len(term) <= _TERM_CHARACTERS)
    longest_first = sorted(itertools.islice(wanted, _MOST_TERMS), key=len, reverse=True)
    if not longest_first:
        return escape(text)
    pattern = re.compile(rf"(?<!\w)({'|'.join(map(re.escape, longest_first))})(?!\w)", re.IGNORECASE)
    # Split before anything is escaped: every second part is a match, and none can lie inside an entity.
    parts = enumerate(pattern.split(text))
    return Markup("").join(Markup("<mark>{}</mark>").format(part) if i % 2 else part for i, part in parts)


def paragraphs(value: object) -> Markup:
    """Show plain text as paragraphs.

    Args:
        value: The text: a blank line between paragraphs, a line break within one; or HTML that is trusted already.

    Returns:
        The text, escaped, in ``<p>`` and ``<br>``; HTML as it was.

    Raises:
        TypeError: `value` is no text.
    """
    if hasattr(value, "__html__"):
        return Markup(value)  # noqa: S704 - trusted by its maker
    blocks = itertools.groupby(as_text(value).splitlines(), key=lambda line: bool(line.strip()))
    return Markup("\n").join(
        Markup("<p>{}</p>").format(Markup("<br>\n").join(lines)) for has_text, lines in blocks if has_text
    )


def safe_url(value: object) -> str:
    """Keep an address that a link may lead to.

    Args:
        value: The address; what browsers strip from it is stripped first.

    Returns:
        The address when it is relative or its scheme is http, https or mailto, else ``#``.

    Raises:
        TypeError: `value` is no text.
    """
    url = without_tags(value).strip(_CONTROLS_AND_SPACE).translate(_INNER_WHITE_SPACE)
    beginning = re.split(r"[/?#\\]", url, maxsplit=1)[0]
    scheme, colon, _ = beginning.partition(":")
    if colon and scheme.lower() not in _SAFE_SCHEMES:
        return "#"
    # Browsers read \ as /, and two of them at the start as another host, or on Windows a network share.
    if not colon and url.replace("\\", "/").startswith("//"):
        return "#"
    return url or "#"


def _checked_count(count: object) -> int:
    number = as_whole_number(count)
    if number < 1:
        raise ValueError("A text is cut to 1 or more words or tokens")
    return number


def _checked_end(end: object) -> str:
    text = without_tags(end)
    if len(text) > _END_CHARACTERS:
        raise ValueError(f"What is put behind a cut text has at most {_END_CHARACTERS} characters")
    return text
