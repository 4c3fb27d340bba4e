"""The turns of a conversation in pairs of a question and its answer, as the old conversations had them.

An exchange that was added or loaded the old way is shown exactly as it was given. Of turns that were added the new way,
each of the user begins a pair, and what the assistant says until the next one is its answer; what systems and tools say
is not shown. So a question without an answer has an empty response, several answers are one, with an empty line between
them, and an answer without a question has an empty query.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import overload

from ragtime.records.conversation import Interaction as Turn
from ragtime.records.conversation import StoredTurn
from ragtime.services.conversation.tree import TurnTree
from ragtime_compat.conversation_interaction import Interaction, copied, plain, time_of, turns_of

__all__ = ["History", "Pair", "PairIndex", "indexed_turns"]


@dataclass
class Pair:
    """A question and its answer.

    Attributes:
        given: What was added or loaded the old way; ``None`` when nothing was.
        turns: The turns of the user and the assistant that were added the new way.
    """

    given: Interaction | None = None
    turns: list[Turn] = field(default_factory=list)
    _told: tuple[int, tuple[str, str]] | None = field(default=None, init=False, repr=False, compare=False)

    def said(self) -> tuple[str, str]:
        """Return the question and the answer alone; kept, since each reading of the vectors asks every pair."""
        told = self._told
        if told is None or told[0] != len(self.turns):
            turns = len(self.turns)
            shown = self.given if self.given is not None and not turns else self.shown()
            self._told = told = turns, (shown.query, shown.response)
        return told[1]

    def shown(self) -> Interaction:
        """Return it as a record of the caller's own."""
        if self.given is not None and not self.turns:
            return copied(self.given)
        answers = [turn for turn in self.turns if turn.role == "assistant"]
        said = [turn.content for turn in answers if turn.content.strip()]
        if self.given is not None:
            shown = copied(self.given)
            said = [shown.response, *said] if shown.response.strip() else said
        else:
            first = self.turns[0]
            query = first.content if first.role == "user" else ""
            shown = Interaction(query, "", (answers or self.turns)[0].created_at.timestamp())
        shown.response = "\n\n".join(said)
        for turn in self.turns:
            shown.document_ids.extend(one for one in turn.document_ids if one not in shown.document_ids)
            shown.metadata |= plain(turn.metadata)
        return shown


class PairIndex:
    """The pairs of the active branch, brought up to date when they are read."""

    def __init__(self) -> None:
        """Begin with no pair."""
        self._given: dict[str, tuple[Interaction, tuple[str, ...]]] = {}
        self._blank: dict[str | None, list[Interaction]] = {}
        self._clean()

    def _clean(self) -> None:
        self._version: int | None = None
        self._pairs: list[Pair] = []
        self._read = self._shown = 0

    def copy(self) -> PairIndex:
        """Return one that knows the same exchanges, for a conversation that shares the turns."""
        made = PairIndex()
        made._given |= self._given
        made._blank |= {place: list(found) for place, found in self._blank.items()}
        return made

    def keep(self, interaction: Interaction, turns: Sequence[Turn], previous: str | None) -> None:
        """Remember an exchange as it was given.

        Args:
            interaction: The exchange; it belongs to the index from now on.
            turns: The turns that stand for it, which the conversation has by now; none for one without any text.
            previous: The turn before, which was not read yet; ``None`` at the beginning.
        """
        if turns:
            self._given[turns[0].id] = interaction, tuple(turn.id for turn in turns)
        else:
            self._blank.setdefault(previous, []).append(interaction)

    def append(self, interaction: Interaction, turns: Sequence[Turn], tree: TurnTree) -> None:
        """Remember an exchange that was added to the end of the active branch.

        Args:
            interaction: As for ``keep``.
            turns: As for ``keep``.
            tree: The turns of the conversation.
        """
        if turns:
            self.keep(interaction, turns, None)
            return
        pairs = self.pairs(tree)
        self.keep(interaction, turns, tree.tip)
        pairs.append(Pair(interaction))

    def keep_records(self, records: Sequence[Interaction], tree: TurnTree) -> None:
        """Remember records that were written beside the turns that they show.

        Args:
            records: One for each pair of the active branch; others tell nothing.
            tree: The turns.
        """
        pairs = self.pairs(tree)
        if len(pairs) != len(records):
            return
        for pair, record in zip(pairs, records, strict=True):
            shown = pair.shown()
            if (shown.query, shown.response) == (record.query, record.response):
                self.keep(record, pair.turns, None)
        self._clean()

    def knows_all(self, tree: TurnTree) -> bool:
        """Whether the pairs tell all that the conversation holds: every turn was given the old way, and none rated."""
        known = {turn_id for _, turn_ids in self._given.values() for turn_id in turn_ids}
        return (
            len(tree) == len(tree.path)
            and all(turn.id in known and not turn.feedback for turn in tree.path)
            and not any(pair.turns for pair in self.pairs(tree))
        )

    def pairs(self, tree: TurnTree) -> list[Pair]:
        """Return the pairs of the active branch, the oldest first; the list is the index's own."""
        if self._version != tree.version:
            self._clean()
            self._version = tree.version
            self._pairs.extend(Pair(interaction) for interaction in self._blank.get(None, ()))
        path = tree.path
        for place in range(self._read, len(path)):
            self._take(path, place)
            self._pairs.extend(Pair(interaction) for interaction in self._blank.get(path[place].id, ()))
        self._read = len(path)
        return self._pairs

    def _take(self, path: list[Turn], place: int) -> None:
        if place < self._shown:  # the answer of a pair that was given the old way
            return
        turn = path[place]
        given, turn_ids = self._given.get(turn.id, (None, ()))
        if given is not None and tuple(one.id for one in path[place : place + len(turn_ids)]) == turn_ids:
            self._pairs.append(Pair(given))
            self._shown = place + len(turn_ids)
        elif turn.role == "user":
            self._pairs.append(Pair(turns=[turn]))
        elif turn.role == "assistant" and turn.content.strip():
            if not self._pairs:
                self._pairs.append(Pair())
            self._pairs[-1].turns.append(turn)


def indexed_turns(records: Sequence[Interaction], clock: Callable[[], datetime]) -> tuple[PairIndex, list[StoredTurn]]:
    """Make the turns that stand for some exchanges.

    Args:
        records: The exchanges, the oldest first; they belong to the index from now on.
        clock: Gives the time of turns whose exchange has none.

    Returns:
        An index that knows the exchanges, and the turns.
    """
    index = PairIndex()
    turns: list[StoredTurn] = []
    previous: str | None = None
    for interaction in records:
        own = turns_of(interaction, time_of(interaction) or clock())
        index.keep(interaction, own, previous)
        for turn in own:
            turns.append(StoredTurn(turn, previous))
            previous = turn.id
    return index, turns


class History(Sequence[Interaction]):
    """The exchanges of a conversation, the oldest first: what is there when it is read, and not to be changed.

    Exchanges and slices are the caller's own: what is changed in them is not changed in the conversation.
    """

    def __init__(self, pairs: Callable[[], list[Pair]]) -> None:
        """Show the pairs that a function returns."""
        self._pairs = pairs

    def __len__(self) -> int:
        return len(self._pairs())

    @overload
    def __getitem__(self, place: int) -> Interaction: ...
    @overload
    def __getitem__(self, place: slice) -> list[Interaction]: ...
    def __getitem__(self, place: int | slice) -> Interaction | list[Interaction]:
        found = self._pairs()[place]
        return [pair.shown() for pair in found] if isinstance(found, list) else found.shown()

    def __iter__(self) -> Iterator[Interaction]:
        return (pair.shown() for pair in self._pairs())

    def __reversed__(self) -> Iterator[Interaction]:
        return (pair.shown() for pair in reversed(self._pairs()))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, History | list | tuple):
            return NotImplemented
        return list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # as a list has it: it may change

    def __repr__(self) -> str:
        return f"<history of {len(self)} exchanges>"
