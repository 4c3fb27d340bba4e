"""Questions that lean on what was said before, made to stand alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

from ragtime.errors import BackendCancelledError, BackendError
from ragtime.services.training_data_gen.strategies.conversation_based.follow_ups import complete_follow_up, is_follow_up
from ragtime.services.training_data_gen.tools import Tools
from ragtime.utils.stems import stems_of
from ragtime.utils.templates import Prompt, PromptManager

__all__ = ["QueryRewriter", "Rewritten", "as_text"]

_PROMPT = "condense-question"
_MAX_TOKENS = 128
_LONGEST = 300  # characters of a rewritten question, or twice those of the question
_NEW_WORDS = 2  # stems that a rewritten question may have from neither the question nor the conversation
_NAMES = {"user": "User", "assistant": "Assistant"}


class Rewritten(NamedTuple):
    """A question that stands alone.

    Attributes:
        query: The question.
        by: ``rule`` or ``model``; ``None`` when it is as it was asked.
    """

    query: str
    by: str | None = None


class QueryRewriter:
    """Completes follow-ups: by the language model where there is one, else by a rule."""

    def __init__(self, tools: Tools) -> None:
        """Use what a run has."""
        self._tools = tools

    def rewrite(self, question: str, context: Sequence[tuple[str, str]], evidence: str = "") -> Rewritten:
        """Make a question stand alone.

        Args:
            question: The question.
            context: Role and text of the turns before it, the oldest first.
            evidence: As for ``complete_follow_up``; never shown to the model, which could answer instead.

        Returns:
            The question; as it was when it leans on nothing, or when nothing before it helps.

        Raises:
            BackendCancelledError: The caller's own signal stopped the model.
        """
        question = " ".join(question.split())
        if not context or not is_follow_up(question):
            return Rewritten(question)
        written = self._written(question, context)
        if written is not None:
            return Rewritten(written, "model") if written != question else Rewritten(question)
        completed = complete_follow_up(question, context, evidence)
        return Rewritten(question) if completed is None else Rewritten(completed, "rule")

    def _written(self, question: str, context: Sequence[tuple[str, str]]) -> str | None:
        """Ask the language model; ``None`` when there is none, or when what it gave is no question of this kind."""
        if self._tools.generator is None:
            return None
        conversation = as_text(context)
        messages = self._prompt.messages(conversation=conversation, question=question)
        try:
            answer = self._tools.generator.generate(
                list(messages), max_tokens=_MAX_TOKENS, temperature=0.0, seed=self._tools.settings.seed
            )
        except BackendCancelledError:
            raise
        except BackendError as error:
            self._tools.note(
                f"The language model failed to rewrite a follow-up ({type(error).__name__}): it was completed by rule"
            )
            return None
        written = answer.strip().strip('"')
        if not _is_rewritten(written, question, conversation):
            self._tools.note("The language model gave no rewritten question for a follow-up: it was completed by rule")
            return None
        return written

    @cached_property
    def _prompt(self) -> Prompt:
        return PromptManager(settings=self._tools.settings).get(_PROMPT)


def as_text(context: Sequence[tuple[str, str]]) -> str:
    """Write turns as a text, one after the other, each with who says it."""
    return "\n".join(f"{_NAMES.get(role, role.title())}: {text}" for role, text in context)


def _is_rewritten(written: str, question: str, conversation: str) -> bool:
    """Whether a text may be the question in other words: one line, not long, and nothing that nobody has said."""
    if not written or len(written.splitlines()) > 1 or len(written) > max(_LONGEST, 2 * len(question)):
        return False
    if "\0" in written or any("\ud800" <= sign <= "\udfff" for sign in written):
        return False
    stems = set(stems_of(written))
    new = stems.difference(stems_of(question), stems_of(conversation))
    return bool(stems) and len(new) <= max(_NEW_WORDS, len(stems) // 4)
