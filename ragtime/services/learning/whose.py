"""Telling whether something holds a user's turns or ratings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ragtime.records.training import Lineage
from ragtime.services.learning.origins import ExampleOrigin

__all__ = ["Whose"]

_LISTS_OF_USERS = ("raters", "user_ids")


@dataclass(frozen=True, slots=True)
class Whose:
    """What is looked for: all of a user, or one conversation or turn of it.

    Attributes:
        user_id: The user; ``None`` for an application without users.
        conversation_id: The conversation; ``None`` for all of them.
        turn_id: The turn of it; ``None`` for all of them.
        related: Where a turn is looked for: its conversation, and those that share turns with it, for one was forked
            from the other.
    """

    user_id: str | None
    conversation_id: str | None = None
    turn_id: str | None = None
    related: frozenset[str] = frozenset()

    def holds(self, origin: ExampleOrigin) -> bool:
        """Tell whether an example was made of a turn or a rating that is looked for.

        A turn in whose context a question stands counts: its text is in the example. Ratings of a log name no turn, so
        that they count where all of the user or of the conversation is looked for.

        Args:
            origin: Where the example came from.

        Returns:
            Whether it was.
        """
        lineage = origin.lineage
        if self.turn_id is not None:
            places = {lineage.conversation_id, origin.forked_from}
            turns = {*lineage.turn_ids, *lineage.context_turn_ids}
            return self._owns(lineage) and self.turn_id in turns and not places.isdisjoint(self.related)
        if self.conversation_id is not None:
            wanted = self.user_id, self.conversation_id
            pairs = {(rater.user_id, rater.conversation_id) for rater in lineage.raters}
            return wanted in pairs or (self._owns(lineage) and lineage.conversation_id == self.conversation_id)
        return self._owns(lineage) or any(rater.user_id == self.user_id for rater in lineage.raters)

    def _owns(self, lineage: Lineage) -> bool:
        if self.user_id is None:  # then something else must tell that there was somebody at all
            return lineage.user_id is None and lineage.conversation_id is not None
        return lineage.user_id == self.user_id

    def may_hold(self, origin: ExampleOrigin) -> bool:
        """Tell whether an example may have been made of something that is looked for, and nobody has written it down.

        Args:
            origin: Where an example came from of which ``holds`` is not true.

        Returns:
            Whether it has ratings of an unknown user, or a known one is of an unknown conversation or turn.
        """
        lineage = origin.lineage
        raters = {(rater.user_id, rater.conversation_id) for rater in lineage.raters}
        if self.user_id is not None:
            told = raters or lineage.user_id is not None
            if (lineage.feedback_ids and not told) or any(user is None for user, _ in raters):
                return True
        if self.conversation_id is None:
            return False
        if lineage.user_id is not None and lineage.conversation_id is None:
            raters.add((lineage.user_id, None))  # such as an example that was made by hand
        of_unknown_turn = self.turn_id is not None and (self.user_id, self.conversation_id) in raters
        return (self.user_id, None) in raters or of_unknown_turn

    def are_in(self, ids: Mapping[str, frozenset[str]]) -> bool:
        """Tell whether a model names what is looked for among the ids of its training data.

        A model knows its users and its conversations, but not which belong together. Where a conversation is looked
        for, one of the same id of another of its users is taken for it.

        Args:
            ids: The ids by kind.

        Returns:
            Whether it does; for an application without users never without a conversation, for such a model names none.
        """
        nothing: frozenset[str] = frozenset()
        if self.user_id is not None and self.user_id not in ids.get("users", nothing):
            return False
        if self.conversation_id is None:
            return self.user_id is not None
        places = {self.conversation_id} | (self.related if self.turn_id is not None else nothing)
        if places.isdisjoint(ids.get("conversations", nothing)):
            return False
        turns = ids.get("turns", nothing) | ids.get("context_turns", nothing)
        return self.turn_id is None or self.turn_id in turns

    def are_told_of(self, value: Any) -> bool:
        """Tell whether some JSON value names the user, and the conversation if one is looked for.

        This is for working files, which hold units of work, records and examples in whatever form. A turn is not looked
        for: what holds another turn of its conversation counts, too.

        Args:
            value: The value.

        Returns:
            Whether it does.
        """
        waiting = [value]
        while waiting:
            one = waiting.pop()
            if isinstance(one, Mapping):
                if self._named_by(one):
                    return True
                waiting.extend(one.values())
            elif isinstance(one, list):
                waiting.extend(one)
        return False

    def _named_by(self, value: Mapping[str, Any]) -> bool:
        conversation = value.get("conversation_id", value.get("id"))
        if "user_id" in value and value["user_id"] == self.user_id:
            known = self.user_id is not None or conversation is not None
            if known and self.conversation_id in {None, conversation if isinstance(conversation, str) else None}:
                return True
        lists = (value.get(name) for name in _LISTS_OF_USERS)
        return self.user_id is not None and any(isinstance(some, list) and self.user_id in some for some in lists)
