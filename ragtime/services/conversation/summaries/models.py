"""The models behind summaries, made when they are needed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragtime.backends.encoders.factory import create_encoder
from ragtime.backends.generators.factory import create_generator
from ragtime.config.settings import Settings
from ragtime.errors import BackendError
from ragtime.protocols import TextEncoder, TextGenerator
from ragtime.services.conversation.summaries.pieces import Piece
from ragtime.services.conversation.summaries.states import ConversationState, PieceVectors
from ragtime.utils.extras import LazyModule
from ragtime.utils.templates import Prompt, PromptManager

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["SummaryModels"]

_PROMPT = "summarise"


class SummaryModels:
    """An encoder, a generator and a prompt; what is not given is made at the first use."""

    def __init__(
        self,
        settings: Settings,
        *,
        encoder: TextEncoder | None,
        generator: TextGenerator | None,
    ) -> None:
        """Take what is given."""
        self._settings = settings
        self._encoder, self._generator = encoder, generator
        self._prompts: PromptManager | None = None
        self._lock = threading.Lock()

    @property
    def generator(self) -> TextGenerator:
        """The generator; raises ``ConfigurationError`` when the settings name none."""
        with self._lock:
            if self._generator is None:
                self._generator = create_generator(self._settings)
            return self._generator

    @property
    def prompt(self) -> Prompt:
        """The prompt for summaries."""
        with self._lock:
            if self._prompts is None:
                self._prompts = PromptManager(settings=self._settings)
            return self._prompts.get(_PROMPT)

    def embed(self, pieces: Sequence[Piece], state: ConversationState) -> npt.NDArray[np.floating]:
        """Embed sentences, but for those that were embedded for the last summary of the conversation.

        Args:
            pieces: The sentences; at least one.
            state: Keeps their vectors for the next time.

        Returns:
            Vectors of unit length, of shape ``[len(pieces), dimension]``.

        Raises:
            BackendError: The encoder failed, or gave something else.
            MissingExtraError: The package of the local model is not installed.
        """
        known: PieceVectors = state.vectors
        keys = [(piece.turn_id, *piece.key, piece.text) for piece in pieces]
        missing = list(dict.fromkeys(text for *_, text in (key for key in keys if key not in known)))
        made = {}
        if missing:
            table = np.asarray(self._made_encoder().encode(missing))
            if table.ndim != 2 or len(table) != len(missing) or not np.isfinite(table).all():  # noqa: PLR2004
                raise BackendError(f"The encoder gave no finite vector for each of {len(missing):,} sentences")
            made = dict(zip(missing, table, strict=True))
        vectors = {key: known[key] if key in known else made[key[-1]] for key in keys}
        state.keep_vectors(vectors)
        return np.stack([vectors[key] for key in keys])

    def _made_encoder(self) -> TextEncoder:
        with self._lock:
            if self._encoder is None:
                self._encoder = create_encoder(self._settings)
            return self._encoder
