"""The turns that fit a budget of tokens, so cut that no tool call is ever parted from its results."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Literal, overload

from ragtime.errors import InvalidArgumentError
from ragtime.protocols import TokenCounter
from ragtime.records.conversation import ImagePart, Interaction
from ragtime.services.conversation.formats import Format, export_messages

__all__ = ["TOKENS_PER_IMAGE", "Unanswered", "Window", "WindowIndex", "tokens_of"]

TOKENS_PER_IMAGE = 765
"""What an image of unknown size counts; one of known size counts 85, and 170 for each tile of 512 pixels."""

Unanswered = Literal["drop", "keep"]
"""What becomes of an assistant's turn whose tool calls have not all been answered, and of the answers there are."""

_BASE, _PER_TILE, _TILE = 85, 170, 512


def tokens_of(interaction: Interaction, counter: TokenCounter) -> int:
    """Count the tokens of a turn: its content, the names and arguments of the tools it calls, and its images.

    Args:
        interaction: The turn; a count by this counter that it carries is taken.
        counter: Counts texts.

    Returns:
        The tokens, without what a chat format adds.
    """
    known = interaction.token_counts.get(counter.name)
    tokens = counter.count(interaction.content) if known is None else known
    for call in interaction.tool_calls:
        tokens += counter.count(call.name) + counter.count(call.arguments)
    return tokens + sum(_image_tokens(part) for part in interaction.parts if isinstance(part, ImagePart))


def _image_tokens(image: ImagePart) -> int:
    if image.detail == "low":
        return _BASE
    if image.width is None or image.height is None:
        return TOKENS_PER_IMAGE
    return _BASE + _PER_TILE * -(-image.width // _TILE) * -(-image.height // _TILE)


@dataclass(frozen=True)
class Window(Sequence[Interaction]):
    """The newest turns within a budget, after the system's turns at the beginning.

    Attributes:
        interactions: The turns, the oldest first.
        tokens: Tokens of all of them.
        turn_tokens: Tokens of each.
        max_tokens: The budget.
        pinned: How many of them are the system's turns at the beginning.
        start: Where the newest begin in the branch, from 0; its length when there are none.
        omitted: How many turns of the branch are not in it for want of room.
        unanswered: How many are not in it because a tool call was never answered.
        counter: Name of what counted.
        exact: Whether it is a tokenizer, not an estimate.
    """

    interactions: tuple[Interaction, ...]
    tokens: int
    turn_tokens: tuple[int, ...]
    max_tokens: int
    pinned: int
    start: int
    omitted: int
    unanswered: int
    counter: str
    exact: bool

    def to_messages(self, format: Format = "openai") -> Any:  # noqa: A002 - the word a caller expects
        """Return the turns, tool calls included, in a format of others, as a model's server takes them.

        Args:
            format: ``openai`` (chat), ``anthropic``, ``sharegpt`` or ``hf`` (`messages` of a data set).

        Returns:
            What the format has: a list of messages, or a dict with one.

        Raises:
            InvalidArgumentError: There is no such format, or it cannot express a turn.
        """
        return export_messages(self.interactions, format)

    def __len__(self) -> int:
        return len(self.interactions)

    def __iter__(self) -> Iterator[Interaction]:
        return iter(self.interactions)

    @overload
    def __getitem__(self, index: int) -> Interaction: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Interaction, ...]: ...
    def __getitem__(self, index: int | slice) -> Interaction | tuple[Interaction, ...]:
        return self.interactions[index]


@dataclass
class _Calls:
    """The tool calls of one turn that wait for their results."""

    place: int
    waiting: set[str]
    answered: list[int] = field(default_factory=list)


class WindowIndex:
    """Sums and boundaries of one branch, so that a window takes a search and not a count.

    A window may begin at a boundary: a place between two turns over which no tool call reaches out to a result. Sums
    and boundaries grow with the branch; each turn is counted once.
    """

    def __init__(self, counter: TokenCounter) -> None:
        """Start with no turn."""
        self.counter = counter
        self._sums: list[int] = [0]  # of the turns before each place
        self._boundaries: list[int] = []
        self._pinned = 0
        self._open: dict[str, _Calls] = {}  # by the id of a call that waits
        self._unanswered: dict[int, _Calls] = {}  # by the place of the turn that calls
        self._dropped: tuple[list[int], list[int]] | None = None  # until a call or an answer is added

    def __len__(self) -> int:
        return len(self._sums) - 1

    def extend(self, interactions: Sequence[Interaction]) -> None:
        """Take in the turns of the branch from the first that is not known yet.

        Args:
            interactions: The whole branch.
        """
        for place in range(len(self), len(interactions)):
            self._add(place, interactions[place])

    def _add(self, place: int, interaction: Interaction) -> None:
        self._sums.append(self._sums[-1] + tokens_of(interaction, self.counter))
        if interaction.role == "system" and self._pinned == place:
            self._pinned += 1
        calls = self._open.pop(interaction.tool_call_id, None) if interaction.tool_call_id else None
        if calls is None:
            self._boundaries.append(place)
        else:
            self._dropped = None
            calls.waiting.discard(interaction.tool_call_id or "")
            calls.answered.append(place)
            if not calls.waiting:
                self._unanswered.pop(calls.place, None)
                while self._boundaries and self._boundaries[-1] > calls.place:
                    self._boundaries.pop()
        if interaction.tool_calls:
            self._dropped = None
            waiting = _Calls(place, {call.id for call in interaction.tool_calls})
            self._unanswered[place] = waiting
            self._open.update((call.id, waiting) for call in interaction.tool_calls)

    def window(
        self,
        interactions: Sequence[Interaction],
        max_tokens: int,
        *,
        unanswered: Unanswered = "drop",
        first_role: str | None = None,
    ) -> Window:
        """Cut the window.

        Args:
            interactions: The whole branch, as it was given to ``extend``.
            max_tokens: The budget.
            unanswered: What becomes of turns whose tool calls have not all been answered.
            first_role: The role that the first turn after the system's has to have, as some models want it to be the
                user's; ``None`` means any.

        Returns:
            The window; a larger budget never gives fewer turns, and the window of a window is itself.

        Raises:
            InvalidArgumentError: The budget is not positive, or too small for the system's turns.
        """
        if max_tokens < 1:
            raise InvalidArgumentError(f"max_tokens is at least 1, found {max_tokens}")
        pinned, end = self._pinned, len(self)
        room = max_tokens - self._sums[pinned]
        if room < 0:
            raise InvalidArgumentError(
                f"max_tokens = {max_tokens:,} is too small: the system's turns alone have {self._sums[pinned]:,} tokens"
            )
        left_out, spared = self._left_out() if unanswered == "drop" else ([], [0])

        def tokens_from(place: int) -> int:
            return self._sums[end] - self._sums[place] - (spared[-1] - spared[bisect_left(left_out, place)])

        first = bisect_left(self._boundaries, pinned)
        # Tokens fall from boundary to boundary, so their negatives rise, which is what bisect wants.
        index = bisect_left(self._boundaries, -room, lo=first, key=lambda place: -tokens_from(place))

        def skipped(place: int) -> bool:
            at = bisect_left(left_out, place)
            return at < len(left_out) and left_out[at] == place

        # Answers that are kept hold on to their call, though others of it are missing.
        held: list[tuple[int, int]] = []
        if unanswered == "keep":
            held = [(calls.place, calls.answered[-1]) for calls in self._unanswered.values() if calls.answered]
        while index < len(self._boundaries):
            place = self._boundaries[index]
            parted = any(first < place <= last for first, last in held)
            if not skipped(place) and not parted and first_role in {None, interactions[place].role}:
                break
            index += 1
        start = self._boundaries[index] if index < len(self._boundaries) else end
        places = [*range(pinned), *(place for place in range(start, end) if not skipped(place))]
        return Window(
            interactions=tuple(interactions[place] for place in places),
            tokens=self._sums[pinned] + tokens_from(start),
            turn_tokens=tuple(self._sums[place + 1] - self._sums[place] for place in places),
            max_tokens=max_tokens,
            pinned=pinned,
            start=start,
            omitted=start - pinned - bisect_left(left_out, start),
            unanswered=len(left_out),
            counter=self.counter.name,
            exact=self.counter.exact,
        )

    def _left_out(self) -> tuple[list[int], list[int]]:
        """Find the turns whose calls have not all been answered, and the answers there are.

        Returns:
            Their places, sorted, and the sums of their tokens before each and at the end.
        """
        if self._dropped is None:
            places = sorted(place for calls in self._unanswered.values() for place in (calls.place, *calls.answered))
            sums = [0, *accumulate(self._sums[place + 1] - self._sums[place] for place in places)]
            self._dropped = places, sums
        return self._dropped
