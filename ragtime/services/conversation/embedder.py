"""Vectors of turns and conversations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ragtime.backends.encoders import create_encoder
from ragtime.config.settings import Settings, get_settings
from ragtime.errors import BackendError, InvalidArgumentError
from ragtime.protocols import TextEncoder
from ragtime.records.conversation import ImagePart, Interaction
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["ConversationEmbedder", "embedded_text"]


def embedded_text(interaction: Interaction) -> str:
    """Return the text that stands for a turn: its content alone.

    A turn that says nothing stands for the tools it calls, the images it shows, or its role.

    Args:
        interaction: The turn.

    Returns:
        A text that is not blank.
    """
    if interaction.content.strip():
        return interaction.content
    calls = [f"{call.name} {call.arguments}" for call in interaction.tool_calls]
    images = [part.url for part in interaction.parts if isinstance(part, ImagePart)]
    return "\n".join([*calls, *images]) or interaction.role


class ConversationEmbedder:
    """Embeds questions, turns and conversations, each text once.

        >>> from ragtime.testing import HashEncoder
        >>> embedder = ConversationEmbedder(encoder=HashEncoder(8))
        >>> embedder.embed_query("How long are returns free?").shape
        (8,)

    Attributes:
        encoder: The encoder.
    """

    def __init__(self, settings: Settings | None = None, *, encoder: TextEncoder | None = None) -> None:
        """Choose the encoder.

        Args:
            settings: The settings; ``None`` means the current ones.
            encoder: Embeds texts; ``None`` means that of section ``embedding``, with the embedding cache in front of
                it, whose model is loaded at the first use.
        """
        self.encoder = create_encoder(settings or get_settings()) if encoder is None else encoder

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return self.encoder.dimension

    def embed_query(self, text: str) -> npt.NDArray[np.float32]:
        """Embed what is searched for.

        Args:
            text: The question, not blank.

        Returns:
            A float32 array of shape ``[dimension]`` and unit length.

        Raises:
            InvalidArgumentError: The text is blank.
            BackendError: The model failed; there is never a vector of zeros instead.
        """
        if not text.strip():
            raise InvalidArgumentError("A blank text cannot be searched for")
        vector: npt.NDArray[np.float32] = self.encoder.encode([text], role="query")[0]
        return vector

    def embed_interaction(self, interaction: Interaction) -> npt.NDArray[np.float32]:
        """Embed a turn; see ``embed_interactions``. Returns a float32 array of shape ``[dimension]``."""
        vector: npt.NDArray[np.float32] = self.embed_interactions([interaction])[0]
        return vector

    def embed_interactions(self, interactions: Iterable[Interaction]) -> npt.NDArray[np.float32]:
        """Embed the contents of turns, in batches.

        Args:
            interactions: The turns.

        Returns:
            A float32 array of shape ``[turns, dimension]`` with rows of unit length, in the order of the turns.

        Raises:
            BackendError: The model failed.
        """
        return self.encoder.encode([embedded_text(interaction) for interaction in interactions], role="passage")

    def embed_conversation(self, conversation: Iterable[Interaction]) -> npt.NDArray[np.float32]:
        """Embed a conversation: the mean of its turns, brought to unit length.

        Args:
            conversation: The conversation, or turns.

        Returns:
            A float32 array of shape ``[dimension]``.

        Raises:
            InvalidArgumentError: It has no turns.
            BackendError: The model failed.
        """
        vector: npt.NDArray[np.float32] = self.embed_conversations([conversation])[0]
        return vector

    def embed_conversations(self, conversations: Sequence[Iterable[Interaction]]) -> npt.NDArray[np.float32]:
        """Embed conversations, all their turns in one go.

        Args:
            conversations: The conversations, or lists of turns.

        Returns:
            A float32 array of shape ``[conversations, dimension]`` with rows of unit length.

        Raises:
            InvalidArgumentError: One has no turns.
            BackendError: The model failed, or the turns of one cancel each other out.
        """
        turns = [list(conversation) for conversation in conversations]
        empty = next((place for place, found in enumerate(turns, start=1) if not found), None)
        if empty is not None:
            raise InvalidArgumentError(f"Conversation {empty} of {len(turns)} has no turns, and so no vector")
        vectors = self.embed_interactions(interaction for found in turns for interaction in found)
        means = np.empty((len(turns), self.dimension), dtype=np.float32)
        start = 0
        for place, found in enumerate(turns):
            total = vectors[start : start + len(found)].sum(axis=0, dtype=np.float64)
            length = float(np.linalg.norm(total))
            if length == 0:
                raise BackendError(f"The turns of conversation {place + 1} cancel each other out")
            means[place] = total / length
            start += len(found)
        return means
