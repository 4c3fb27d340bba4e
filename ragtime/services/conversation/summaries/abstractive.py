"""Summaries by a language model, in as many rounds as a long conversation needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ragtime.errors import BackendError, InvalidArgumentError
from ragtime.protocols import TextGenerator, TokenCounter
from ragtime.records.conversation import Interaction
from ragtime.services.conversation.summaries.attribution import attribute
from ragtime.services.conversation.summaries.pieces import cut_text, harmless, speaker_of
from ragtime.services.conversation.summaries.splitting import ELLIPSIS, is_closed, split_sentences
from ragtime.services.conversation.summaries.states import NodeKey, ReadTurns
from ragtime.services.conversation.summaries.summary import SummaryRound
from ragtime.utils.templates import Prompt

__all__ = ["BlankAnswerError", "Written", "trim_answer", "write_abstract"]

_WORDS_PER_TOKEN = 0.7  # English prose; what is too long is cut anyway
_ANSWER_SLACK = 2  # a model counts tokens otherwise, and is cut here, at the end of a sentence


class BlankAnswerError(BackendError):
    """A model answered without a word."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a model wrote.

    Attributes:
        summary: The summary, within its budget.
        read: Turns that it was shown.
        rounds: How often it was asked.
    """

    summary: SummaryRound
    read: int
    rounds: int


def write_abstract(
    found: ReadTurns,
    max_tokens: int,
    *,
    generator: TextGenerator,
    prompt: Prompt,
    counter: TokenCounter,
    input_tokens: int,
) -> Written:
    """Let a model sum up a conversation, round by round: each is shown the summary so far and the turns that fit.

    Rounds end where the next turn does not fit, which depends on the turns alone; the summary after a full round is
    kept, so that further turns need the last round only. A turn too long for a round is cut. Behind the sentences of a
    round stand turns that it was shown, or that stood behind those of the round before.

    Args:
        found: The turns, of which those of the system are not shown, and what is kept: the summaries of full rounds.
        max_tokens: Most tokens of the summary.
        generator: Writes.
        prompt: Takes ``conversation``, ``previous_summary`` and ``max_words``.
        counter: Counts.
        input_tokens: Most tokens of a round's messages.

    Returns:
        What it wrote.

    Raises:
        BackendError: The model failed, or answered without a word.
        InvalidArgumentError: `input_tokens` leave no room for turns.
    """
    turns, state = found.turns, found.state
    words = max(1, int(max_tokens * _WORDS_PER_TOKEN))
    carried = max(1, min(max_tokens, input_tokens // 4))
    fixed = {"conversation": "-", "previous_summary": "-", "max_words": words}
    room = input_tokens - carried - prompt.fit(fixed, max_tokens=1 << 40, counter=counter).tokens
    if room < 1:
        raise InvalidArgumentError(
            f"{input_tokens:,} tokens have no room for turns beside the prompt; at least {input_tokens - room + 1:,} do"
        )

    def key(end: int) -> NodeKey:
        return "round", room, max_tokens, end, found.hashes[end - 1]

    start, summary = len(turns), SummaryRound("", (), ())
    while start:
        known = state.get(key(start))
        if isinstance(known, SummaryRound):
            summary = known
            break
        start -= 1
    read = rounds = 0
    for end, lines, full in _rounds(turns, start, room, counter):
        variables = {
            "conversation": "\n".join(lines.values()),
            "previous_summary": cut_text(harmless(summary.text), carried, counter) or None,
            "max_words": words,
        }
        messages = prompt.fit(variables, max_tokens=input_tokens, counter=counter).messages
        answer = generator.generate(messages, max_tokens=_ANSWER_SLACK * max_tokens + 16, temperature=0.0, seed=0)
        summary = _attributed(trim_answer(answer, max_tokens, counter), turns, [*summary.places, *lines])
        rounds, read = rounds + 1, read + len(lines)
        if full:
            state.put(key(end), summary)
    return Written(summary, read, rounds)


def _attributed(text: str, turns: Sequence[Interaction], places: Sequence[int]) -> SummaryRound:
    place_of = {turns[place].id: place for place in places}
    sentences = attribute(text, [turns[place] for place in places])
    behind = {place_of[turn_id] for sentence in sentences for turn_id in sentence.turn_ids}
    return SummaryRound(text, sentences, tuple(sorted(behind)))


def _rounds(
    turns: Sequence[Interaction], start: int, room: int, counter: TokenCounter
) -> Iterator[tuple[int, dict[int, str], bool]]:
    """Yield for each round where it ends, its lines by the places of their turns, and whether a further did not fit."""
    lines: dict[int, str] = {}
    used = 0
    for place in range(start, len(turns)):
        if turns[place].role == "system":
            continue
        line = cut_text(_line(turns[place]), room, counter)
        tokens = counter.count(line + "\n")
        if lines and used + tokens > room:
            yield place, lines, True
            lines, used = {}, 0
        lines[place] = line
        used += tokens
    if lines:
        yield len(turns), lines, False


def _line(turn: Interaction) -> str:
    calls = "".join(f" [calls {call.name}({call.arguments})]" for call in turn.tool_calls)
    return harmless(f"{speaker_of(turn)}: {turn.content}{calls}")


def trim_answer(answer: str, max_tokens: int, counter: TokenCounter) -> str:
    """Cut an answer to its budget, after a sentence if it has more than one.

    Args:
        answer: What the model said.
        max_tokens: Most tokens.
        counter: Counts.

    Returns:
        The answer, or its beginning.

    Raises:
        BlankAnswerError: There is no word in it.
    """
    plain = answer.encode("utf-8", "replace").decode().strip()
    text = cut_text(plain, max_tokens, counter)
    if text != plain and is_closed(text.removesuffix(ELLIPSIS)):
        text = text.removesuffix(ELLIPSIS)
    elif text != plain:
        lines = text.splitlines()
        last = " ".join(lines[-1].split()) if lines else ""
        sentences = split_sentences(last)
        if len(sentences) > 1 and last.endswith(sentences[-1]):
            text = "\n".join([*lines[:-1], last[: -len(sentences[-1])].rstrip()])
        elif len(lines) > 1:
            text = "\n".join(lines[:-1]).rstrip()
    if counter.count(text) > max_tokens:  # of some counters a part has more tokens than the whole
        text = cut_text(plain, max_tokens, counter)
    if not any(character.isalnum() for character in text):
        raise BlankAnswerError("The model answered without a word")
    return text
