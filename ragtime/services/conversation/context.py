"""What a model is told of a conversation: the system's words, a summary, what was recalled, and the newest turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ragtime.errors import InvalidArgumentError
from ragtime.protocols import Message, TokenCounter
from ragtime.records.conversation import Interaction
from ragtime.services.conversation.recall import Recall
from ragtime.services.conversation.summaries import Summary
from ragtime.services.conversation.telling import Memory, MemoryWriter, ToldWindow, tell_window
from ragtime.services.conversation.window import Window

__all__ = ["Context", "ContextPart", "assemble_context"]

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
    summarize: Callable[[int, int], Summary],
    recall: Callable[[], Recall],
    memory: MemoryWriter,
) -> Context:
    """Put a context together.

    When the whole branch fits, it is all there is. Else the room is shared out: a fifth at most to a summary of the
    turns before the newest, three tenths to turns that were recalled and are not among the newest, and the rest, with
    whatever those two leave, to the newest turns.

    Args:
        query: The question, which comes last.
        max_tokens: The budget, in tokens.
        counter: Counts.
        window: Returns the newest turns within a budget.
        summarize: Returns a summary within a budget of the first turns of the branch, of so many at least.
        recall: Returns the recalled turns, the best first; is asked only where the branch does not fit.
        memory: Writes down summary and recalled turns.

    Returns:
        The context.

    Raises:
        InvalidArgumentError: The question and the system's turns leave no room in the budget.
    """
    asked = counter.count(query)
    if asked >= max_tokens:  # nothing else could be told
        raise InvalidArgumentError(f"max_tokens = {max_tokens:,} is too small: the question alone has {asked:,} tokens")
    told = tell_window(window(max_tokens - asked), max_tokens - asked, counter)
    if not told.window.omitted:
        return _context(query, asked, max_tokens, told)
    found = recall()
    room = max_tokens - asked - told.pinned_tokens
    limit = int(room * (_SUMMARY_SHARE + _RECALLED_SHARE))
    recent = window(max_tokens - asked - limit)
    share = int(room * _SUMMARY_SHARE)
    # In steps: a summary is kept for its budget, and the next question has a few tokens more or less.
    summary = summarize(max(1, share - share % _SUMMARY_STEP if share > _SUMMARY_STEP else share), recent.start)
    shown = {turn.id for turn in recent.interactions}
    written = memory.write(summary, (one for one in found.turns if one.interaction.id not in shown), limit)
    left = max_tokens - asked - written.tokens
    told = tell_window(window(left), left, counter)
    shown = {turn.id for turn in told.window.interactions}
    kept = [one for one in written.recalled if one.interaction.id not in shown]
    if len(kept) < len(written.recalled):  # the newest reach back to one, with what the memory has left over
        left_out = written.left_out
        written = memory.write(summary, kept, written.tokens)
        written = replace(written, left_out=left_out + written.left_out)
    return _context(query, asked, max_tokens, told, memory=written, summary=summary, degraded=found.degraded)


def _context(
    query: str,
    asked: int,
    max_tokens: int,
    told: ToldWindow,
    *,
    memory: Memory | None = None,
    summary: Summary | None = None,
    degraded: str | None = None,
) -> Context:
    window = told.window
    pinned, recent = window.interactions[: window.pinned], window.interactions[window.pinned :]
    omitted = f"{window.omitted} earlier turns had no room" if window.omitted else ""
    if window.unanswered:
        omitted = "; ".join(filter(None, [omitted, f"{window.unanswered} turns belong to unanswered tool calls"]))
    messages = [*told.messages[: window.pinned]]
    parts = [ContextPart("system", told.pinned_tokens, tuple(turn.id for turn in pinned))]
    written = memory if memory is not None and memory.text else None
    recalled: tuple[Interaction, ...] = ()
    if written is not None:
        recalled = tuple(one.interaction for one in sorted(written.recalled, key=lambda one: one.place))
        messages.append({"role": "system", "content": written.text})
    if memory is not None and (memory.text or memory.left_out):
        behind = [turn.id for turn in recalled]
        if written is not None and summary is not None:
            behind += [turn_id for sentence in summary.sentences for turn_id in sentence.turn_ids]
        note = f"{memory.left_out} recalled turns had no room" if memory.left_out else ""
        parts.append(ContextPart("memory", memory.tokens, tuple(dict.fromkeys(behind)), note))
    parts.append(ContextPart("recent", told.recent_tokens, tuple(turn.id for turn in recent), omitted))
    parts.append(ContextPart("question", asked, ()))
    return Context(
        messages=(*messages, *told.messages[window.pinned :], {"role": "user", "content": query}),
        tokens=sum(part.tokens for part in parts),
        max_tokens=max_tokens,
        parts=tuple(parts),
        summary=summary if written is not None else None,
        recalled=recalled,
        degraded=degraded,
    )
