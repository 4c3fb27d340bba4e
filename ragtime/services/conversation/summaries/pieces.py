"""Pieces of a conversation, and the text and tokens that they make."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ragtime.protocols import TokenCounter
from ragtime.records.conversation import ImagePart, Interaction
from ragtime.services.conversation.summaries.splitting import ELLIPSIS, clip, is_closed, split_sentences
from ragtime.utils.stems import stems_of

__all__ = ["Budget", "Piece", "cut_text", "embedded_pieces", "harmless", "pieces_of", "speaker_of", "write"]

_ARGUMENTS = 120  # characters of a tool call's arguments that are shown
_LONG_WORD = 40  # characters; longer ones may be cut inside
_SPEAKERS = 1000  # whose tokens are remembered; names of tools may be without end
_WORD = re.compile(r"\S+")
_MISSES = 32  # sentences in a row that do not fit, after which no more are tried
_LINE = "\n"
_FENCES = ("```", "~~~")


@dataclass(slots=True, eq=False)
class Piece:
    """A sentence of a turn.

    Attributes:
        place: Where its turn stands in the conversation, from 0.
        number: Where it stands in the turn, from 0.
        turn_id: The turn.
        speaker: Who says it.
        text: The sentence.
        stems: The stems of its words, each once.
        spoken: Whether a person or model says it, not a tool.
        tokens: Tokens of its text; ``None`` until they are counted.
        weight: Its ``substance``; ``None`` until it is weighed.
    """

    place: int
    number: int
    turn_id: str
    speaker: str
    text: str
    stems: tuple[str, ...]
    spoken: bool = True
    tokens: int | None = None
    weight: float | None = None

    @property
    def key(self) -> tuple[int, int]:
        """Its place in the conversation."""
        return self.place, self.number

    @property
    def is_block(self) -> bool:
        """Whether it is a block of code, which has lines of its own."""
        return self.text.lstrip().startswith(_FENCES)


def speaker_of(interaction: Interaction) -> str:
    """Return who says a turn: the role, and the name within it."""
    role = interaction.role.capitalize()
    return role if interaction.name is None else f"{role} {clip(interaction.name, 40)}"


def pieces_of(interaction: Interaction, place: int) -> list[Piece]:
    """Split a turn into its sentences, the tools it calls and its images.

    Args:
        interaction: The turn; those of the system are instructions, and have none.
        place: Where it stands in the conversation.

    Returns:
        Its sentences in order.
    """
    if interaction.role == "system":
        return []
    speaker = speaker_of(interaction)
    texts = [(text, interaction.role != "tool") for text in split_sentences(interaction.content)]
    if not texts and any(isinstance(part, ImagePart) for part in interaction.parts):
        texts.append(("[image]", False))
    texts += [
        (f"[calls {call.name}({clip(' '.join(call.arguments.split()), _ARGUMENTS)})]", False)
        for call in interaction.tool_calls
    ]
    return [
        Piece(place, number, interaction.id, speaker, text, tuple(dict.fromkeys(stems_of(text))), spoken)
        for number, (text, spoken) in enumerate(texts)
    ]


def embedded_pieces(interaction: Interaction) -> list[str]:
    """Return every text that is embedded of a turn for summaries, so that it can be forgotten."""
    return [piece.text for piece in pieces_of(interaction, 0)]


def write(pieces: Iterable[Piece]) -> str:
    """Write sentences down, a line for each time that somebody else speaks."""
    written: list[str] = []
    last: Piece | None = None
    for piece in pieces:
        changes = last is None or piece.speaker != last.speaker
        if changes and piece.speaker:
            written.append(f"{_LINE if last else ''}{piece.speaker}:")
        open_end = last is not None and not changes and (last.is_block or not is_closed(last.text))
        own_lines = piece.is_block or open_end
        written.append(f"{_LINE if own_lines else ' '}{piece.text}")
        last = piece
    return "".join(written).strip()


def cut_text(text: str, max_tokens: int, counter: TokenCounter) -> str:
    """Cut a text between words, and mark it with an ellipsis, so that it fits.

    Args:
        text: Any text.
        max_tokens: Most tokens of the result.
        counter: Counts.

    Returns:
        The text when it fits; else its beginning. A long or only word is cut inside.
        Empty when not even an ellipsis fits.
    """
    size = 16 * max(max_tokens, 1)
    while len(text) > size and counter.count(text[:size]) <= max_tokens:
        size *= 2
    if len(text) <= size and counter.count(text) <= max_tokens:
        return text
    for places in (_word_ends(text[:size]), range(1, min(len(text), size, _LONG_WORD))):
        fitting = bisect_left(places, 1, key=lambda end: counter.count(text[:end] + ELLIPSIS) > max_tokens)
        for end in reversed(places[:fitting]):
            if counter.count(text[:end] + ELLIPSIS) <= max_tokens:
                return text[:end] + ELLIPSIS
    return ELLIPSIS if counter.count(ELLIPSIS) <= max_tokens else ""


def harmless(text: str) -> str:
    """Return a text that closes no tag of the frame that a prompt puts round it."""
    return text.replace("</", "< /")


def _word_ends(text: str) -> Sequence[int]:
    """Return where a text may be cut: after each word, and inside long ones, as in writing without spaces."""
    ends: list[int] = []
    for word in _WORD.finditer(text):
        if word.end() - word.start() > _LONG_WORD:
            ends += [end for end in range(word.start() + 1, word.end()) if not unicodedata.combining(text[end])]
        ends.append(word.end())
    return ends


class Budget:
    """Fills a number of tokens with sentences.

    Attributes:
        counter: Counts.
    """

    def __init__(self, counter: TokenCounter) -> None:
        """Count by `counter`."""
        self.counter = counter
        self._speakers: dict[str, int] = {}

    def tokens(self, piece: Piece) -> int:
        """Return the tokens of a sentence, without its speaker."""
        if piece.tokens is None:
            piece.tokens = self.counter.count(piece.text)
        return piece.tokens

    def tokens_before(self, pieces: Sequence[Piece], following: Piece | None) -> int:
        """Return what sentences in order add to those that begin with `following`; ``None`` means there are none."""
        total, speaker = 0, ""
        for piece in pieces:
            total += self.tokens(piece) + (self._speaker(piece) if piece.speaker != speaker else 0)
            speaker = piece.speaker
        return total - (self._speaker(following) if following is not None and following.speaker == speaker else 0)

    def fits(self, pieces: Sequence[Piece], max_tokens: int, *, exact: bool = True) -> bool:
        """Whether all of them, in the order of the conversation, fit; counts no more than it has to.

        Args:
            pieces: The sentences.
            max_tokens: Most tokens of all of them written down.
            exact: Whether the text is counted, too, or only the sentences and speakers.

        Returns:
            Whether they do.
        """
        total, speaker = 0, ""
        for piece in pieces:
            total += self.tokens(piece) + (self._speaker(piece) if piece.speaker != speaker else 0)
            speaker = piece.speaker
            if total > max_tokens:
                return False
        return not exact or self.counter.count(write(pieces)) <= max_tokens

    def fill(self, ranked: Iterable[Piece], max_tokens: int, *, exact: bool = True) -> list[Piece]:
        """Take sentences, the best first, as long as they fit.

        Args:
            ranked: Sentences, the best first.
            max_tokens: Most tokens of all of them written down.
            exact: As for ``fits``.

        Returns:
            Those taken, in the order of the conversation; of the first one its beginning when not one fits whole.
        """
        first: Piece | None = None
        taken: list[Piece] = []
        order: list[Piece] = []
        total = misses = 0
        for piece in ranked:
            first = first or piece
            at = bisect_left(taken, piece.key, key=lambda one: one.key)
            cost = self._cost(taken, at, piece)
            if total + cost > max_tokens:
                misses += 1
                if misses == _MISSES:
                    break
                continue
            misses = 0
            total += cost
            taken.insert(at, piece)
            order.append(piece)
        # Tokens of a whole may exceed those of its parts.
        while exact and taken and self.counter.count(write(taken)) > max_tokens:
            dropped = {piece.key for piece in order[-max(1, len(order) // 10) :]}
            order = [piece for piece in order if piece.key not in dropped]
            taken = [piece for piece in taken if piece.key not in dropped]
        return taken if taken or first is None else self._beginning(first, max_tokens)

    def _cost(self, taken: Sequence[Piece], at: int, piece: Piece) -> int:
        before = taken[at - 1].speaker if at else None
        cost = self.tokens(piece) + (self._speaker(piece) if before != piece.speaker else 0)
        if at < len(taken):
            after = taken[at]
            cost += self._speaker(after) * ((after.speaker != piece.speaker) - (after.speaker != before))
        return cost

    def _speaker(self, piece: Piece) -> int:
        if piece.speaker not in self._speakers:
            if len(self._speakers) >= _SPEAKERS:
                self._speakers.clear()
            self._speakers[piece.speaker] = self.counter.count(f"{piece.speaker}:")
        return self._speakers[piece.speaker]

    def _beginning(self, piece: Piece, max_tokens: int) -> list[Piece]:
        """Return as much of a sentence as fits, with its speaker if there is room; an ellipsis at least."""
        for speaker in (piece.speaker, ""):
            room = max_tokens - (self._speaker(piece) if speaker else 0)
            for tokens in range(room, 0, -1):
                short = replace(piece, speaker=speaker, text=cut_text(piece.text, tokens, self.counter), tokens=None)
                if short.text.strip(ELLIPSIS) and self.counter.count(write([short])) <= max_tokens:
                    return [short]
        dots = replace(piece, speaker="", text=ELLIPSIS, tokens=None)
        return [dots] if self.counter.count(ELLIPSIS) <= max_tokens else []
