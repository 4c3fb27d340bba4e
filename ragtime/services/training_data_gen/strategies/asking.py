"""Asking a language model for a list of texts, such as queries, one unit at a time."""

from __future__ import annotations

from collections.abc import Sequence

from ragtime.errors import BackendCancelledError, BackendError
from ragtime.protocols import Message, TextGenerator
from ragtime.services.training_data_gen.text import texts_in
from ragtime.services.training_data_gen.tools import Tools
from ragtime.utils.hashing import keyed_seed

__all__ = ["ask_for_texts"]


def ask_for_texts(
    generator: TextGenerator, messages: Sequence[Message], tools: Tools, *, purpose: Sequence[str], instead: str
) -> list[str] | None:
    """Ask a language model, and read the texts of its answer; a model that fails costs only this unit.

    Args:
        generator: Writes.
        messages: What it is asked.
        tools: The seed, and where a failure is noted.
        purpose: What the answer is for, such as ``"paraphrase"`` and the query; gives each answer a seed of its own.
        instead: What becomes of the unit without an answer, for the note.

    Returns:
        The texts, of which none may be usable; ``None`` when the model failed, which is noted.

    Raises:
        BackendCancelledError: The caller stopped the model.
    """
    seed = keyed_seed(tools.settings.seed, *purpose, bits=31)
    try:
        return texts_in(generator.generate(messages, seed=seed))
    except BackendCancelledError:
        raise
    except BackendError as error:
        tools.note(f"The language model failed ({type(error).__name__}): {instead}")
        return None
