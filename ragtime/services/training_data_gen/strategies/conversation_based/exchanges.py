"""From the tree of a conversation's turns to its questions, each with what preceded it and all its answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ragtime.records.conversation import Interaction, StoredTurn
from ragtime.services.training_data_gen.sources.items import SourceConversation

__all__ = ["questions_of"]

_CONTEXT_TURNS = 6
_CONTEXT_CHARACTERS = 600  # of each turn


def questions_of(conversation: SourceConversation) -> Iterator[dict[str, Any]]:
    """Read the questions of all branches.

    A question is a turn of the user. Its answers are the first turns of the assistant that follow it, one a branch:
    turns of tools, and those in which the assistant only calls them, are passed over. What the system said is no
    context, nor is what tools returned.

    Args:
        conversation: The conversation. A turn whose parent is not there counts as a first turn.

    Yields:
        Each question as a JSON object that is complete in itself.
    """
    turns = {turn.interaction.id: turn for turn in conversation.turns}
    children: dict[str, list[Interaction]] = {}
    for turn in turns.values():
        if turn.parent_id is not None:
            children.setdefault(turn.parent_id, []).append(turn.interaction)
    for turn in turns.values():
        question = turn.interaction
        if question.role == "user":
            before = _context(turn, turns)
            yield {
                "user_id": conversation.head.user_id,
                "conversation_id": conversation.head.id,
                "forked_from": conversation.head.fork.conversation_id if conversation.head.fork else None,
                "turn_id": question.id,
                "question": question.content,
                "context": [[one.role, one.content.strip()[:_CONTEXT_CHARACTERS]] for one in before],
                "context_turn_ids": [one.id for one in before],
                "answers": [_told(answer) for answer in _answers(question.id, children)],
            }


def _context(turn: StoredTurn, turns: Mapping[str, StoredTurn]) -> list[Interaction]:
    """Return the last turns before one that say something, the oldest first."""
    found: list[Interaction] = []
    passed = {turn.interaction.id}
    parent = turn.parent_id
    while parent is not None and parent in turns and parent not in passed and len(found) < _CONTEXT_TURNS:
        passed.add(parent)
        before = turns[parent]
        if before.interaction.content.strip() and (before.interaction.role == "user" or _is_answer(before.interaction)):
            found.append(before.interaction)
        parent = before.parent_id
    return found[::-1]


def _answers(question_id: str, children: Mapping[str, list[Interaction]]) -> list[Interaction]:
    found = []
    passed = {question_id}
    waiting = children.get(question_id, [])[::-1]
    while waiting:
        turn = waiting.pop()
        if turn.id in passed or turn.role == "user":
            continue
        passed.add(turn.id)
        if _is_answer(turn):
            found.append(turn)
        else:
            waiting.extend(children.get(turn.id, [])[::-1])
    return found


def _is_answer(turn: Interaction) -> bool:
    return turn.role == "assistant" and not turn.tool_calls and bool(turn.content.strip())


def _told(answer: Interaction) -> dict[str, Any]:
    return {
        "turn_id": answer.id,
        "text": answer.content,
        "document_ids": list(dict.fromkeys(answer.document_ids)),
        "stars": answer.stars,
        "feedback_ids": [one.id for one in answer.feedback],
        "raters": sorted({one.by for one in answer.feedback if one.by is not None}),
    }
