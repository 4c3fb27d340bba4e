"""Rolling and hierarchical summaries: what was summed up once is not read again."""

from __future__ import annotations

from collections.abc import Sequence

from ragtime.services.conversation.summaries.pieces import Budget, Piece, pieces_of
from ragtime.services.conversation.summaries.selection import choose
from ragtime.services.conversation.summaries.states import NodeKey, ReadTurns

__all__ = ["Reading"]

_SMALLEST = 32  # tokens that a node has at least, so that it can hold a sentence


class Reading:
    """One walk over a conversation, for one summary.

    Nodes, the summaries of parts, are chosen by words alone; only the summary itself may need an encoder. So no failure
    of an encoder can stay in a node.

    Attributes:
        turns: The turns.
        state: What is known of them from earlier.
        read: Turns split so far.
        nodes: Nodes computed so far.
    """

    def __init__(self, found: ReadTurns, budget: Budget) -> None:
        """Start with nothing read."""
        self.turns = found.turns
        self.state = found.state
        self._hashes = found.hashes
        self.read = 0
        self.nodes = 0
        self._budget = budget
        self._used: dict[NodeKey, tuple[Piece, ...]] = {}

    def all(self) -> list[Piece]:
        """Read every turn."""
        return [piece for place in range(len(self.turns)) for piece in self._split(place)]

    def newest(self, max_tokens: int) -> list[Piece]:
        """Read turns from the last one back, until they fill a budget.

        Args:
            max_tokens: The budget.

        Returns:
            The sentences of the turns that fit whole; of the last turn that says something as much as fits.
        """
        turns: list[list[Piece]] = []  # the last one first
        total = 0
        for place in reversed(range(len(self.turns))):
            pieces = self._split(place)
            if not pieces:
                continue
            following = turns[-1][0] if turns else None
            cost = self._budget.tokens_before(pieces, following)
            if total + cost > max_tokens:
                if not turns:
                    return self._budget.fill(pieces, max_tokens)
                break
            total += cost
            turns.append(pieces)
        # Tokens of a whole may exceed those of its parts.
        while turns and not self._budget.fits(kept := [piece for one in reversed(turns) for piece in one], max_tokens):
            if len(turns) == 1:
                return self._budget.fill(turns[0], max_tokens)
            turns.pop()
        return kept if turns else []

    def rolling(self, block: int, max_tokens: int) -> list[Piece]:
        """Read the turns since the last notes, and bring the notes up to date after each `block` of turns.

        The notes after a block are chosen from those before it and its turns. They depend on the turns alone, not on
        when summaries were asked for.

        Args:
            block: Turns of a block.
            max_tokens: Budget of the summary; notes have twice as much.

        Returns:
            The sentences of the notes, and of the turns after them.
        """
        room = max(_SMALLEST, 2 * max_tokens)
        end = len(self.turns) // block * block
        start, notes = end, None
        while start and (notes := self._known("notes", 0, room, start)) is None:
            start -= block
        kept = list(notes or ())
        for after in range(start + block, end + 1, block):
            kept += [piece for place in range(after - block, after) for piece in self._leaf(place)]
            kept = choose(kept, room, self._budget, exact=False)
            self._keep("notes", 0, room, after, kept)
        tail = self._tail(end)
        self.state.refresh(self._used)
        return kept + tail

    def hierarchical(self, fan_out: int, depth: int, max_tokens: int) -> list[Piece]:
        """Read the summaries of segments, computing those that are not known.

        A segment of level 1 has `fan_out` turns, one of the next level `fan_out` segments of the one below, up to level
        ``depth - 1``; the summary itself is the last level. A full segment never changes, so a further turn completes
        at most one segment a level.

        Args:
            fan_out: Turns, or segments of the level below, in a segment.
            depth: Levels, the summary itself included.
            max_tokens: Budget of the summary; segments have half as much.

        Returns:
            The sentences of the largest full segments, and of the turns after them.
        """
        room = max(_SMALLEST, max_tokens // 2)
        found: list[Piece] = []
        place = 0
        sizes: list[int] = []
        while len(sizes) < depth - 1 and fan_out ** (len(sizes) + 1) <= len(self.turns):
            sizes.append(fan_out ** (len(sizes) + 1))
        for level, size in reversed(list(enumerate(sizes, start=1))):
            while place + size <= len(self.turns):
                found += self._segment(level, place, fan_out, room, top=True)
                place += size
        found += self._tail(place)
        self.state.refresh(self._used)
        return found

    def _segment(self, level: int, start: int, fan_out: int, room: int, *, top: bool = False) -> Sequence[Piece]:
        end = start + fan_out**level
        known = self._known("segment", level, room, end)
        if known is None:
            if level == 1:
                below = [piece for place in range(start, end) for piece in self._leaf(place)]
            else:
                starts = range(start, end, fan_out ** (level - 1))
                below = [piece for at in starts for piece in self._segment(level - 1, at, fan_out, room)]
            known = tuple(choose(below, room, self._budget, exact=False))
            self._keep("segment", level, room, end, known)
        if top:
            self._used[self._key("segment", level, room, end)] = known
        return known

    def _tail(self, start: int) -> list[Piece]:
        """Read the turns that no node holds yet, and keep them for the next summary."""
        found: list[Piece] = []
        for place in range(start, len(self.turns)):
            pieces = self._leaf(place)
            self._used[self._key("turn", 0, 0, place + 1)] = pieces
            found += pieces
        return found

    def _leaf(self, place: int) -> tuple[Piece, ...]:
        known = self._known("turn", 0, 0, place + 1)
        return tuple(self._split(place)) if known is None else known

    def _split(self, place: int) -> list[Piece]:
        self.read += 1
        return pieces_of(self.turns[place], place)

    def _key(self, kind: str, level: int, room: int, end: int) -> NodeKey:
        return kind, level, room, end, self._hashes[end - 1]

    def _known(self, kind: str, level: int, room: int, end: int) -> tuple[Piece, ...] | None:
        key = self._key(kind, level, room, end)
        known = self.state.get(key)
        if not isinstance(known, tuple):
            return None
        return known

    def _keep(self, kind: str, level: int, room: int, end: int, pieces: Sequence[Piece]) -> None:
        self.nodes += 1
        self.state.put(self._key(kind, level, room, end), tuple(pieces))
