"""What a model is told of a conversation: the system's words, a summary, what was recalled, and the newest turns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ragtime.errors import InvalidArgumentError
from ragtime.protocols import Message, TokenCounter
from ragtime.records.conversation import Interaction
from ragtime.services.conversation.recall import RecalledTurn
from ragtime.services.conversation.summaries import Summary
from ragtime.services.conversation.window import Window, tokens_of
from ragtime.utils.templates import Prompt

__all__ = ["Context", "ContextPart", "assemble_context", "told_messages"]

_SUMMARY_SHARE = 0.2  # of the room beside the system's turns and the question
_RECALLED_SHARE = 0.3
_SUMMARY_STEP = 64


@dataclass(frozen=True, slots=True)
class ContextPart:
    """A part of a context, and what was left out of it.

    Attributes:
        name: ``system``, ``memory``, ``recent`` or ``question``.
        tokens: Its tokens.
        turn_ids: The turns behind it.
        note: What was left out, and why; empty when nothing was.
    """

    name: str
    tokens: int
    turn_ids: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True)
class Context:
    """Messages to a model within a budget.

    Attributes:
        messages: The messages, the question last.
        tokens: Tokens of all of them, by the counter.
        max_tokens: The budget.
        parts: What they are made of, and what was left out.
        summary: The summary in it; ``None`` when there is none.
        recalled: The recalled turns in it, in their order.
        degraded: Why the recall searched words only; ``None`` when it did not.
    """

    messages: tuple[Message, ...]
    tokens: int
    max_tokens: int
    parts: tuple[ContextPart, ...]
    summary: Summary | None
    recalled: tuple[Interaction, ...]
    degraded: str | None = None

    def explain(self) -> str:
        """Tell what is in it and what is not, a part a line."""
        lines = [f"{self.tokens:,} of {self.max_tokens:,} tokens"]
        for part in self.parts:
            note = f"; {part.note}" if part.note else ""
            lines.append(f"{part.name}: {part.tokens:,} tokens, {len(part.turn_ids)} turns{note}")
        return "\n".join(lines)


def assemble_context(
    query: str,
    *,
    max_tokens: int,
    counter: TokenCounter,
    window: Callable[[int], Window],
    summarize: Callable[[int], Summary],
    recalled: Sequence[RecalledTurn],
    memory: Prompt,
    degraded: str | None = None,
) -> Context:
    """Put a context together.

    When the whole branch fits, it is all there is. Else the room is shared out: a fifth at most to a summary, three
    tenths to turns that were recalled and are not among the newest, and the rest, with whatever those two leave, to the
    newest turns.

    Args:
        query: The question, which comes last.
        max_tokens: The budget, in tokens.
        counter: Counts.
        window: Returns the newest turns within a budget.
        summarize: Returns a summary within a budget.
        recalled: The recalled turns, the best first.
        memory: The prompt that tells summary and recalled turns.
        degraded: Why the recall searched words only; ``None`` when it did not.

    Returns:
        The context.

    Raises:
        InvalidArgumentError: The question and the system's turns leave no room in the budget.
    """
    asked = counter.count(query)
    if asked >= max_tokens:  # nothing else could be told
        raise InvalidArgumentError(f"max_tokens = {max_tokens:,} is too small: the question alone has {asked:,} tokens")
    whole = window(max_tokens - asked)
    pinned_tokens = sum(tokens_of(turn, counter) for turn in whole.interactions[: whole.pinned])
    whole = _told_within(window, whole, max_tokens - asked, counter)
    if not whole.omitted:
        return _context(_Fixed(query, asked, pinned_tokens, counter), whole, max_tokens, degraded=degraded)
    room = max_tokens - asked - pinned_tokens
    share = int(room * _SUMMARY_SHARE)
    # In steps: a summary is kept for its budget, and the next question has a few tokens more or less.
    summary = summarize(max(1, share - share % _SUMMARY_STEP if share > _SUMMARY_STEP else share))
    recent = window(max_tokens - asked - int(room * (_SUMMARY_SHARE + _RECALLED_SHARE)))
    shown = {turn.id for turn in recent.interactions}
    chosen: list[RecalledTurn] = []
    text, tokens = _memory(memory, summary, chosen, counter)
    limit = int(room * (_SUMMARY_SHARE + _RECALLED_SHARE))
    left_out = 0
    for found in recalled:
        if found.interaction.id in shown:
            continue
        longer, more = _memory(memory, summary, [*chosen, found], counter)
        if more > limit:
            left_out += 1
            continue
        chosen, text, tokens = [*chosen, found], longer, more
    if tokens > limit:  # a summary that a large frame makes too long
        left_out += len(chosen)
        text, tokens, chosen = "", 0, []
    final = window(max_tokens - asked - tokens)
    shown = {turn.id for turn in final.interactions}
    if any(one.interaction.id in shown for one in chosen):  # the newest reach back to it, with what memory left over
        chosen = [one for one in chosen if one.interaction.id not in shown]
        text, tokens = _memory(memory, summary, chosen, counter)
    note = f"{left_out} recalled turns had no room" if left_out else ""
    return _context(
        _Fixed(query, asked, pinned_tokens, counter),
        _told_within(window, final, max_tokens - asked - tokens, counter),
        max_tokens,
        memory=(text, tokens, note),
        summary=summary if text else None,
        recalled=tuple(one.interaction for one in sorted(chosen, key=lambda one: one.place)),
        degraded=degraded,
    )


def _told_within(window: Callable[[int], Window], found: Window, budget: int, counter: TokenCounter) -> Window:
    """Return a window that stays within its budget when its tool calls are told as text, which takes a little more."""
    smaller = budget
    while any(turn.tool_calls or turn.role == "tool" for turn in found.interactions):
        told = told_messages(found.interactions)
        over = sum(counter.count(message["content"]) for message in told) - budget
        if over <= 0:
            break
        smaller -= over
        found = window(max(1, smaller))
    return found


def _memory(memory: Prompt, summary: Summary, chosen: Sequence[RecalledTurn], counter: TokenCounter) -> tuple[str, int]:
    turns = [
        {
            "said": one.interaction.content.replace("</", "< /"),  # no turn ends the frame round it
            "speaker": one.interaction.name or one.interaction.role,
            "when": one.interaction.created_at.strftime("%Y-%m-%d"),
        }
        for one in sorted(chosen, key=lambda one: one.place)
    ]
    text = memory.render(summary=str(summary), turns=turns)
    return text, counter.count(text)


def told_messages(turns: Iterable[Interaction]) -> list[Message]:
    """Return turns as messages of mere text.

    A message has no place for tool calls, and servers refuse a tool's message without one. So what an assistant called
    and what came back is told as text, in one message with what the assistant says around it.

    Args:
        turns: The turns.

    Returns:
        The messages.
    """
    messages: list[Message] = []
    called: dict[str, str] = {}
    in_tools = False
    for turn in turns:
        if turn.role == "tool":
            name = turn.name or called.get(turn.tool_call_id or "", "tool")
            text = f"[{name} returned] {turn.content}"
        else:
            calls = [f"[called {call.name}] {call.arguments}" for call in turn.tool_calls]
            text = "\n".join([*([turn.content] if turn.content else []), *calls])
        called.update((call.id, call.name) for call in turn.tool_calls)
        if in_tools and turn.role in {"assistant", "tool"}:
            messages[-1] = {"role": "assistant", "content": f"{messages[-1]['content']}\n{text}"}
        else:
            messages.append({"role": "assistant" if turn.role == "tool" else turn.role, "content": text})
        in_tools = turn.role == "tool" or bool(turn.tool_calls)
    return messages


class _Fixed(NamedTuple):
    """What is in a context whatever else is."""

    query: str
    tokens: int
    pinned_tokens: int
    counter: TokenCounter


def _context(
    fixed: _Fixed,
    window: Window,
    max_tokens: int,
    *,
    memory: tuple[str, int, str] = ("", 0, ""),
    summary: Summary | None = None,
    recalled: tuple[Interaction, ...] = (),
    degraded: str | None = None,
) -> Context:
    text, tokens, note = memory
    query, asked, pinned_tokens, counter = fixed
    pinned, recent = window.interactions[: window.pinned], window.interactions[window.pinned :]
    messages: list[Message] = [{"role": turn.role, "content": turn.content} for turn in pinned]
    if text:
        messages.append({"role": "system", "content": text})
    told = told_messages(recent)
    told_tokens = sum(counter.count(message["content"]) for message in told)
    recent_tokens = max(told_tokens, window.tokens - pinned_tokens)  # images are counted, too, and not told
    messages += [*told, {"role": "user", "content": query}]
    behind = [turn.id for turn in recalled]
    behind += [turn_id for sentence in (summary.sentences if summary else ()) for turn_id in sentence.turn_ids]
    omitted = f"{window.omitted} earlier turns had no room" if window.omitted else ""
    if window.unanswered:
        omitted = "; ".join(filter(None, [omitted, f"{window.unanswered} turns belong to unanswered tool calls"]))
    parts = (
        ContextPart("system", pinned_tokens, tuple(turn.id for turn in pinned)),
        ContextPart("memory", tokens, tuple(dict.fromkeys(behind)), note),
        ContextPart("recent", recent_tokens, tuple(turn.id for turn in recent), omitted),
        ContextPart("question", asked, ()),
    )
    return Context(
        messages=tuple(messages),
        tokens=asked + tokens + pinned_tokens + recent_tokens,
        max_tokens=max_tokens,
        parts=parts if text or note else (parts[0], *parts[2:]),
        summary=summary,
        recalled=recalled,
        degraded=degraded,
    )
