"""What a model is told of a conversation: the system's words, a summary, what was recalled, and the newest turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ragtime.errors import InvalidArgumentError
from ragtime.protocols import Message, TokenCounter
from ragtime.records.conversation import Interaction
from ragtime.services.conversation.recall import RecalledTurn
from ragtime.services.conversation.summaries import Summary
from ragtime.services.conversation.window import Window, tokens_of
from ragtime.utils.templates import Prompt

__all__ = ["Context", "ContextPart", "assemble_context"]

_SUMMARY_SHARE = 0.2  # of the room beside the system's turns and the question
_RECALLED_SHARE = 0.3


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
    if not whole.omitted:
        return _context(_Fixed(query, asked, pinned_tokens), whole, max_tokens, degraded=degraded)
    room = max_tokens - asked - pinned_tokens
    summary = summarize(max(1, int(room * _SUMMARY_SHARE)))
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
        _Fixed(query, asked, pinned_tokens),
        final,
        max_tokens,
        memory=(text, tokens, note),
        summary=summary if text else None,
        recalled=tuple(one.interaction for one in sorted(chosen, key=lambda one: one.place)),
        degraded=degraded,
    )


def _memory(memory: Prompt, summary: Summary, chosen: Sequence[RecalledTurn], counter: TokenCounter) -> tuple[str, int]:
    turns = [
        {
            "said": one.interaction.content,
            "speaker": one.interaction.name or one.interaction.role,
            "when": one.interaction.created_at.strftime("%Y-%m-%d"),
        }
        for one in sorted(chosen, key=lambda one: one.place)
    ]
    text = memory.render(summary=str(summary), turns=turns)
    return text, counter.count(text)


class _Fixed(NamedTuple):
    """What is in a context whatever else is."""

    query: str
    tokens: int
    pinned_tokens: int


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
    query, asked, pinned_tokens = fixed
    pinned, recent = window.interactions[: window.pinned], window.interactions[window.pinned :]
    messages: list[Message] = [{"role": turn.role, "content": turn.content} for turn in pinned]
    if text:
        messages.append({"role": "system", "content": text})
    messages += [{"role": turn.role, "content": turn.content} for turn in recent]
    messages.append({"role": "user", "content": query})
    behind = [turn.id for turn in recalled]
    behind += [turn_id for sentence in (summary.sentences if summary else ()) for turn_id in sentence.turn_ids]
    omitted = f"{window.omitted} earlier turns had no room" if window.omitted else ""
    if window.unanswered:
        omitted = "; ".join(filter(None, [omitted, f"{window.unanswered} turns belong to unanswered tool calls"]))
    parts = (
        ContextPart("system", pinned_tokens, tuple(turn.id for turn in pinned)),
        ContextPart("memory", tokens, tuple(dict.fromkeys(behind)), note),
        ContextPart("recent", window.tokens - pinned_tokens, tuple(turn.id for turn in recent), omitted),
        ContextPart("question", asked, ()),
    )
    return Context(
        messages=tuple(messages),
        tokens=asked + tokens + window.tokens,
        max_tokens=max_tokens,
        parts=parts if text or note else (parts[0], *parts[2:]),
        summary=summary,
        recalled=recalled,
        degraded=degraded,
    )
