"""Deprecated: ``ragtime.services.conversation.ConversationEmbedder`` takes the place of ``conversation_embedder``.

The class here has the old signatures, asks the old model server (``EMBEDDING_MODEL`` at ``OLLAMA_BASE_URL``), and gives
vectors of zeros where the new one raises.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Protocol, cast, overload

from ragtime.config.settings import Settings, get_settings
from ragtime.migration.deprecation import deprecated_class
from ragtime.monitoring.logging import get_logger
from ragtime.protocols import TextEncoder
from ragtime.records.conversation import Interaction as Turn
from ragtime.services.conversation import ConversationEmbedder as _NewEmbedder
from ragtime.utils.extras import LazyModule
from ragtime_compat.model_server import ServerEncoder, embedding_server, failure_fields

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["ConversationEmbedder"]

_log = get_logger(f"ragtime.{__name__}")
_DIMENSION = 384  # of the zeros, as long as no vector has told another


class _Embeddings(Protocol):
    """What the attribute ``embeddings`` must be."""

    def embed_query(self, text: str) -> Sequence[float]:
        """Return the vector of a text."""
        ...


class _EncoderEmbeddings:
    """An encoder in the form that the attribute ``embeddings`` has."""

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder

    def embed_query(self, text: str) -> list[float]:
        return self.embed_queries([text])[0]

    def embed_queries(self, texts: Sequence[str]) -> list[list[float]]:
        return cast("list[list[float]]", self._encoder.encode(texts, role="query").tolist())


@deprecated_class("conversation_embedder")
class ConversationEmbedder(_NewEmbedder):
    """Embeds questions and exchanges on the old model server, and compares vectors.

    The keywords of the new class, `text` of ``embed_query`` and `interaction` of ``embed_interaction``, mean its calls:
    arrays come back, and failures raise. ``embed_interaction`` with a turn in the place of the question does, too.
    Vectors have unit length; those stored by the old system differ from them in length only.

    Attributes:
        model: The server's name of the model.
        base_url: Address of the server, without the path of its API.
        embeddings: Embeds the texts of the old calls by its ``embed_query(text)``; may be replaced.
        encoder: Embeds those of the new calls.
    """

    def __init__(
        self,
        model: str | None = None,
        base_url: str | None = None,
        *,
        settings: Settings | None = None,
        encoder: TextEncoder | None = None,
    ) -> None:
        """Choose model and server; nothing is sent.

        Args:
            model: The server's name of the model; ``None`` means ``EMBEDDING_MODEL``, else ``mistral``.
            base_url: Address of the server; ``None`` means ``OLLAMA_BASE_URL``, else ``http://localhost:11434``.
            settings: Section ``embedding`` gives time limit, retries and batch size; ``None`` means the current ones.
            encoder: Embeds in the place of the server; ``None`` means the server.
        """
        self.model, self.base_url = embedding_server(model, base_url)
        if encoder is None:
            encoder = ServerEncoder(self.model, self.base_url, get_settings() if settings is None else settings)
        super().__init__(encoder=encoder)
        self.embeddings: _Embeddings = _EncoderEmbeddings(self.encoder)
        self._zeros = _DIMENSION

    @overload  # type: ignore[override]  # the old return type holds where arguments cannot tell
    def embed_query(self, query: str) -> list[float]: ...
    @overload
    def embed_query(self, *, text: str) -> npt.NDArray[np.float32]: ...
    def embed_query(
        self, query: str | None = None, *, text: str | None = None
    ) -> list[float] | npt.NDArray[np.float32]:
        """Embed what is searched for.

        Args:
            query: The question.
            text: The question, for the new call.

        Returns:
            The vector. After a failure, which is logged, as many zeros as the last vector had numbers, before the first
            one 384. For the new call a float32 array of shape ``[dimension]``.

        Raises:
            RagtimeError: Only for the new call: it failed.
        """
        if text is not None:
            return super().embed_query(text)
        return self._vectors([cast("str", query)])[0]

    @overload
    def embed_interaction(self, query: str, response: str) -> list[float]: ...
    @overload
    def embed_interaction(self, query: Turn) -> npt.NDArray[np.float32]: ...
    @overload
    def embed_interaction(self, *, interaction: Turn) -> npt.NDArray[np.float32]: ...
    def embed_interaction(
        self,
        query: str | Turn | None = None,
        response: str | None = None,
        *,
        interaction: Turn | None = None,
    ) -> list[float] | npt.NDArray[np.float32]:
        """Embed an exchange as the one text ``Q: {query} A: {response}``.

        Args:
            query: The question; or, for the new call, a turn.
            response: The answer.
            interaction: A turn, for the new call.

        Returns:
            The vector, or zeros; see ``embed_query``.

        Raises:
            RagtimeError: Only for the new call: it failed.
        """
        turn = query if interaction is None else interaction
        if isinstance(turn, Turn):
            return super().embed_interaction(turn)
        return self.embed_exchanges([(cast("str", query), cast("str", response))])[0]

    def embed_exchanges(self, exchanges: Iterable[tuple[str, str]]) -> list[list[float]]:
        """Embed questions with their answers as ``embed_interaction`` does, in batches.

        Args:
            exchanges: Questions and their answers.

        Returns:
            A vector for each, or zeros for all; see ``embed_query``.
        """
        return self._vectors([f"Q: {query} A: {response}" for query, response in exchanges])

    def cosine_similarity(self, vec1: Sequence[float], vec2: Sequence[float]) -> float:
        """Return the cosine of two vectors.

        Args:
            vec1: A vector; a list, or an array.
            vec2: Another.

        Returns:
            -1 to 1. 0.0 when either is empty or zero, or they cannot be compared, which is logged.
        """
        return self._similarities(vec1, [vec2])[0]

    def find_most_similar(
        self, query_embedding: Sequence[float], embeddings: Sequence[Sequence[float]] | None, top_k: int = 2
    ) -> list[tuple[int, float]]:
        """Find the vectors nearest to one.

        Args:
            query_embedding: The vector.
            embeddings: Those to choose from; ``None`` means none.
            top_k: Most that are returned; none when it is not above 0.

        Returns:
            Places and cosines, the best first, equal ones in the order of `embeddings`.
        """
        similarities = self._similarities(query_embedding, () if embeddings is None else embeddings)
        return sorted(enumerate(similarities), key=itemgetter(1), reverse=True)[: max(top_k, 0)]

    def _vectors(self, texts: Sequence[str]) -> list[list[float]]:
        try:
            vectors = [[float(number) for number in vector] for vector in self._embedded(texts)]
        except Exception as error:  # noqa: BLE001 - zeros for any failure are the contract, and `embeddings` anyone's
            _log.warning(
                "Texts could not be embedded; zeros stand for them",
                extra={"count": len(texts), "dimension": self._zeros, **failure_fields(error)},
            )
            return [[0.0] * self._zeros for _ in texts]
        self._zeros = next((len(vector) for vector in reversed(vectors) if vector), self._zeros)
        return vectors

    def _embedded(self, texts: Sequence[str]) -> Iterable[Sequence[float]]:
        if isinstance(self.embeddings, _EncoderEmbeddings):
            return self.embeddings.embed_queries(texts) if texts else []
        return [self.embeddings.embed_query(text) for text in texts]

    def _similarities(self, query: Sequence[float], vectors: Sequence[Sequence[float]]) -> list[float]:
        cosines = [_cosine(query, vector) for vector in vectors]
        unlike = cosines.count(None)
        if unlike:
            _log.warning(
                "Vectors cannot be compared, and count as unlike: other lengths, or no numbers",
                extra={"count": unlike, "vectors": len(cosines)},
            )
        return [cosine or 0.0 for cosine in cosines]


def _cosine(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Return the cosine; ``None`` when the two cannot be compared."""
    try:
        first, second = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    except Exception:  # noqa: BLE001 - no likeness after any error is the contract, and the vectors are anyone's
        return None
    if first.size == 0 or second.size == 0:
        return 0.0
    if first.ndim != 1 or first.shape != second.shape:
        return None
    with np.errstate(all="ignore"):  # zeros and infinities end as NaN
        # The largest number becomes 1 first, so that no square leaves the range of floats.
        first, second = first / np.abs(first).max(), second / np.abs(second).max()
        cosine = float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))
    return max(-1.0, min(1.0, cosine)) if math.isfinite(cosine) else 0.0
