"""The words by which the old conversations knew that a question points back, and the texts in which they told turns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ragtime_compat.exchange_texts import Exchange, brief_summary, exchange_lines

__all__ = ["generated_content", "points_back", "refers_to_content", "relevant_content", "summary_text"]


def _any_of(phrases: Sequence[str]) -> re.Pattern[str]:
    """Return what finds any of some phrases as whole words; "it" is none in "architecture"."""
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, phrases))})\b", re.IGNORECASE)


_FOLLOW_UP = _any_of("it this that these those the your you previous last above earlier before".split())
_REFERENCES = _any_of(
    [
        *"previous last earlier before above chapter section paragraph summary that it this".split(),
        *("you said", "you mentioned", "you wrote", "you generated"),
    ]
)


def points_back(query: str) -> bool:
    """Whether a question has a word that makes it a follow-up question."""
    return _FOLLOW_UP.search(query) is not None


def refers_to_content(query: str) -> bool:
    """Whether a question names something that was written before."""
    return _REFERENCES.search(query) is not None


def generated_content(exchanges: Sequence[Exchange]) -> str:
    """Return all exchanges, numbered from 1; an empty text for none."""
    return _numbered("Previously generated content:", ((exchange, "") for exchange in exchanges))


def relevant_content(exchanges: Iterable[tuple[Exchange, str]]) -> str:
    """Return exchanges that matter to a question, each with a word on why; an empty text for none."""
    return _numbered("Relevant previous content:", ((exchange, f" ({why})") for exchange, why in exchanges))


def _numbered(heading: str, exchanges: Iterable[tuple[Exchange, str]]) -> str:
    told = [
        f"Content {number}{note}:\nQuery: {exchange.query}\nResponse: {exchange.response}\n\n"
        for number, (exchange, note) in enumerate(exchanges, start=1)
    ]
    return "".join([f"{heading}\n\n", *told]) if told else ""


def summary_text(exchanges: Sequence[Exchange], shown: int) -> str:
    """Return a conversation in short.

    Args:
        exchanges: The exchanges, the oldest first.
        shown: How many of the last ones are told whole; below 1 means none.

    Returns:
        The text; an empty one for no exchanges.
    """
    if not exchanges:
        return ""
    shown = max(shown, 0)
    if len(exchanges) <= shown:
        return f"Conversation history:\n{exchange_lines(exchanges)}"
    return brief_summary(exchanges, shown)
