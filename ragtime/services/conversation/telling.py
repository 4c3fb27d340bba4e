"""How turns, a summary and recalled turns are told to a model, and what that takes of a budget."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ragtime.protocols import Message, TokenCounter
from ragtime.records.conversation import Interaction
from ragtime.services.conversation.recall import RecalledTurn
from ragtime.services.conversation.summaries import Summary
from ragtime.services.conversation.summaries.pieces import harmless
from ragtime.services.conversation.window import Window
from ragtime.utils.templates import Prompt

__all__ = ["Memory", "MemoryWriter", "ToldWindow", "tell_window", "told_messages"]

_KEPT = 4096  # recalled turns whose tokens are remembered


@dataclass
class _Told:
    """A message, and where its turns begin and end among those that are told."""

    role: str
    texts: list[str]
    start: int
    end: int

    @property
    def message(self) -> Message:
        role = "assistant" if self.role == "tool" else self.role
        return {"role": role, "content": "\n".join(self.texts)}  # type: ignore[typeddict-item]


def told_messages(turns: Iterable[Interaction]) -> list[Message]:
    """Return turns as messages of mere text.

    A message has no place for tool calls, and servers refuse a tool's message without one. So what an assistant called
    and what came back is told as text, in one message with what the assistant says around it.

    Args:
        turns: The turns.

    Returns:
        The messages.
    """
    return [told.message for told in _told(turns)]


def _told(turns: Iterable[Interaction]) -> list[_Told]:
    found: list[_Told] = []
    called: dict[str, str] = {}
    in_tools = False
    for place, turn in enumerate(turns):
        if turn.role == "tool":
            name = turn.name or called.get(turn.tool_call_id or "", "tool")
            text = f"[{name} returned] {turn.content}"
        else:
            calls = [f"[called {call.name}] {call.arguments}" for call in turn.tool_calls]
            text = "\n".join([*([turn.content] if turn.content else []), *calls])
        called.update((call.id, call.name) for call in turn.tool_calls)
        if in_tools and turn.role in {"assistant", "tool"}:
            found[-1].texts.append(text)
            found[-1].end = place + 1
        else:
            found.append(_Told(turn.role, [text], place, place + 1))
        in_tools = turn.role == "tool" or bool(turn.tool_calls)
    return found


@dataclass(frozen=True)
class ToldWindow:
    """The turns of a window as messages.

    Attributes:
        window: The window, perhaps shorter than that which was to be told.
        messages: Its turns told, those of the system at the beginning first.
        pinned_tokens: Tokens of those of the system.
        recent_tokens: Tokens of the others.
    """

    window: Window
    messages: tuple[Message, ...]
    pinned_tokens: int
    recent_tokens: int


def tell_window(window: Window, max_tokens: int, counter: TokenCounter) -> ToldWindow:
    """Tell a window, without its oldest turns where tool calls told as text take more than the window knows of.

    Args:
        window: The turns; those of the system fit.
        max_tokens: The budget.
        counter: Counts; what the window has counted is not counted again.

    Returns:
        The messages; no tool call is parted from its results.
    """
    pinned = window.interactions[: window.pinned]
    pinned_tokens = sum(window.turn_tokens[: window.pinned])
    recent = window.interactions[window.pinned :]
    sizes = window.turn_tokens[window.pinned :]
    told = _told(recent)
    tokens = [_tokens_of(one, recent[one.start], sum(sizes[one.start : one.end]), counter) for one in told]
    total, first = sum(tokens), 0
    if total > max_tokens - pinned_tokens:
        whole = _where_calls_are_whole(recent)
        while first < len(told) and (total > max_tokens - pinned_tokens or told[first].start not in whole):
            total -= tokens[first]
            first += 1
    dropped = told[first].start if first < len(told) else len(recent)
    if dropped:
        window = replace(
            window,
            interactions=(*pinned, *recent[dropped:]),
            tokens=window.tokens - sum(sizes[:dropped]),
            turn_tokens=(*window.turn_tokens[: window.pinned], *sizes[dropped:]),
            start=window.start + dropped,
            omitted=window.omitted + dropped,
        )
    system: list[Message] = [{"role": turn.role, "content": turn.content} for turn in pinned]
    return ToldWindow(window, (*system, *(one.message for one in told[first:])), pinned_tokens, total)


def _tokens_of(told: _Told, turn: Interaction, counted: int, counter: TokenCounter) -> int:
    """Return the tokens of a message: those counted for its turns, or what it takes to tell their calls if more."""
    if len(told.texts) == 1 and turn.role != "tool" and not turn.tool_calls:
        return counted
    return max(counted, counter.count("\n".join(told.texts)))  # images are counted, and not told


def _where_calls_are_whole(turns: Sequence[Interaction]) -> set[int]:
    """Return the places before which no tool is called that answers after them."""
    called: dict[str, int] = {}  # ids may be used again
    reach = list(range(len(turns)))  # up to where the answers to the calls of a turn reach
    for place, turn in enumerate(turns):
        caller = called.get(turn.tool_call_id or "")
        if caller is not None:
            reach[caller] = place
        called.update((call.id, place) for call in turn.tool_calls)
    whole, furthest = set(), -1
    for place in range(len(turns)):
        if furthest < place:
            whole.add(place)
        furthest = max(furthest, reach[place])
    return whole


@dataclass(frozen=True)
class Memory:
    """A summary and recalled turns, written down.

    Attributes:
        text: The text; empty when there was no room for any.
        tokens: Its tokens.
        recalled: The recalled turns in it, the best first.
        left_out: How many had no room.
    """

    text: str
    tokens: int
    recalled: tuple[RecalledTurn, ...]
    left_out: int


class MemoryWriter:
    """Writes down what a model is told of the earlier part of one conversation."""

    def __init__(self, prompt: Prompt, counter: TokenCounter) -> None:
        """Take the prompt.

        Args:
            prompt: Tells `summary` and `turns`.
            counter: Counts.
        """
        self._prompt, self._counter = prompt, counter
        self._turns: dict[str, int] = {}
        self._frames: dict[tuple[bool, bool], int] = {}

    def write(self, summary: Summary, recalled: Iterable[RecalledTurn], max_tokens: int) -> Memory:
        """Write down the summary and the recalled turns that fit with it.

        Tokens of the parts tell what probably fits; the text itself is counted at the end, once as a rule.

        Args:
            summary: The summary.
            recalled: The recalled turns, the best first.
            max_tokens: The budget.

        Returns:
            The memory; without any text when not even the summary fits.
        """
        text = harmless(summary.text)
        known = text == summary.text and summary.counter == self._counter.name
        used = (summary.tokens if known else self._counter.count(text)) + self._frame(summary=bool(text), turns=False)
        further = self._frame(summary=bool(text), turns=True) - self._frame(summary=bool(text), turns=False)
        chosen: list[RecalledTurn] = []
        left_out = 0
        for found in recalled:
            cost = self._tokens(found.interaction) + (0 if chosen else further)
            if used + cost > max_tokens:
                left_out += 1
                continue
            used += cost
            chosen.append(found)
        while True:
            written = self._prompt.render(summary=text, turns=[_shown(one.interaction) for one in _in_order(chosen)])
            tokens = self._counter.count(written)
            if tokens <= max_tokens:
                return Memory(written, tokens, tuple(chosen), left_out)
            if not chosen:
                return Memory("", 0, (), left_out)
            chosen.pop()
            left_out += 1

    def _tokens(self, turn: Interaction) -> int:
        """Count a recalled turn with who said it and when, once."""
        known = self._turns.get(turn.id)
        if known is not None:
            return known
        shown = _shown(turn)
        tokens = self._counter.count(f"[{shown['when']}] {shown['speaker']}: {shown['said']}\n")
        if len(self._turns) >= _KEPT:
            self._turns.clear()
        self._turns[turn.id] = tokens
        return tokens

    def _frame(self, *, summary: bool, turns: bool) -> int:
        """Count what the prompt says around a summary and around turns, once."""
        if (summary, turns) not in self._frames:
            blank = [{"said": "", "speaker": "", "when": ""}] if turns else []
            text = self._prompt.render(summary="-" if summary else "", turns=blank)
            self._frames[summary, turns] = self._counter.count(text)
        return self._frames[summary, turns]


def _in_order(recalled: Iterable[RecalledTurn]) -> list[RecalledTurn]:
    return sorted(recalled, key=lambda one: one.place)


def _shown(turn: Interaction) -> dict[str, str]:
    # Further lines are indented, so that none passes for another turn.
    return {
        "said": "\n  ".join(harmless(turn.content).splitlines()),
        "speaker": harmless(turn.name or turn.role),
        "when": turn.created_at.strftime("%Y-%m-%d"),
    }
