"""Exchanges of a question and its answer as the old modules wrote them down; wrappers of several modules do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

__all__ = ["Exchange", "brief_summary", "exchange_lines"]


class Exchange(Protocol):
    """A question and its answer, whatever else there is to it."""

    @property
    def query(self) -> str:
        """What the user asked."""
        ...

    @property
    def response(self) -> str:
        """What the assistant answered."""
        ...


def exchange_lines(exchanges: Sequence[Exchange]) -> str:
    """Return two lines for each exchange, and an empty one between exchanges."""
    return "\n".join(f"User: {exchange.query}\nAssistant: {exchange.response}\n" for exchange in exchanges)


def brief_summary(exchanges: Sequence[Exchange], shown: int, *, further: str = "") -> str:
    """Return what is told of a conversation that is too long to be told whole.

    Args:
        exchanges: The exchanges, the oldest first; more than `shown`.
        shown: How many of the last ones are told whole; not below 0.
        further: Lines that come after the one on the beginning, each with its line break.

    Returns:
        The text.
    """
    earlier = len(exchanges) - shown
    return (
        "Previous conversation summary:\n"
        f"- {earlier} earlier exchanges occurred.\n"
        f'- The conversation began with: "{exchanges[0].query}"\n'
        f"{further}"
        "\nRecent conversation:\n"
        f"{exchange_lines(exchanges[earlier:])}"
    )
