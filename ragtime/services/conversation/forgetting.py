"""What forgetting removes besides the turns themselves, and the receipt for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ragtime.config.settings import Settings
from ragtime.records.conversation import Interaction
from ragtime.services.conversation.embedder import embedded_text
from ragtime.services.conversation.recall_keys import key_text
from ragtime.services.conversation.summaries.pieces import embedded_pieces

__all__ = ["ForgetReceipt", "forget_vectors"]


@dataclass(frozen=True)
class ForgetReceipt:
    """What was removed for good.

    Attributes:
        user_id: Whose turns.
        conversation_ids: The conversations that held them.
        turns: How many turns.
        cached_vectors: How many entries of the embedding cache.
        at: When, in UTC.
    """

    user_id: str | None
    conversation_ids: tuple[str, ...]
    turns: int
    cached_vectors: int
    at: datetime


def forget_vectors(settings: Settings, interactions: Iterable[Interaction]) -> int:
    """Remove from the embedding cache what stands there for some turns.

    Another turn with the same words only has to be embedded again.

    Args:
        settings: Say where the cache is.
        interactions: The turns.

    Returns:
        How many entries were removed.

    Raises:
        StorageError: They cannot be removed.
    """
    from ragtime.backends.encoders.factory import open_embedding_cache  # noqa: PLC0415 - only where something is forgotten

    turns = list(interactions)
    cache = open_embedding_cache(settings)
    if cache is None or not cache.path.exists() or not turns:
        return 0
    with cache:
        texts = {text for turn in turns for text in (turn.content, embedded_text(turn), key_text(turn))}
        texts |= {text for turn in turns for text in embedded_pieces(turn)}
        return cache.remove(sorted(text for text in texts if text))
