"""An encoder that looks into a cache first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragtime.backends.encoders.checks import check_role, check_texts, distinct
from ragtime.errors import StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.protocols import TextEncoder, TextRole
from ragtime.storage.embedding_cache import EmbeddingCache
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["CachedEncoder"]

_log = get_logger(__name__)
_KEPT_AT_ONCE = 4096  # texts computed before they are kept: what a killed process loses at most


class CachedEncoder:
    """Computes only what is not in the cache; a ``ragtime.protocols.TextEncoder``.

    A cache that fails costs time, not results: the failure is logged, and the texts are computed.

    Attributes:
        encoder: The encoder that computes.
        cache: The cache.
        computed: Number of texts computed so far, for measurements and tests.
    """

    def __init__(self, encoder: TextEncoder, cache: EmbeddingCache) -> None:
        """Put `cache` in front of `encoder`."""
        self.encoder = encoder
        self.cache = cache
        self.computed = 0

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return self.encoder.dimension

    def fingerprint(self, role: TextRole) -> str:
        """Return the encoder's own fingerprint: a cache changes no vector."""
        return self.encoder.fingerprint(role)

    def encode(self, texts: Sequence[str], *, role: TextRole = "passage") -> npt.NDArray[np.float32]:
        """Embed texts, each distinct one looked up, and computed and kept when it is not there.

        Args:
            texts: Any number of texts, none included.
            role: Whether they are queries or passages.

        Returns:
            A float32 array of shape ``[len(texts), dimension]`` with rows of unit length, in the order of the texts.

        Raises:
            InvalidArgumentError: As the encoder.
            BackendError: As the encoder.
        """
        role = check_role(role)
        unique, inverse = distinct(check_texts(texts))
        vectors = np.empty((len(unique), self.dimension), dtype=np.float32)
        if not unique:
            return vectors
        fingerprint = self.fingerprint(role)
        known = self._look_up(fingerprint, unique)
        missing = [place for place, text in enumerate(unique) if text not in known]
        for place, text in enumerate(unique):
            if text in known:
                vectors[place] = known[text]
        for start in range(0, len(missing), _KEPT_AT_ONCE):
            places = missing[start : start + _KEPT_AT_ONCE]
            vectors[places] = self.encoder.encode([unique[place] for place in places], role=role)
            self.computed += len(places)
            self._keep(fingerprint, {unique[place]: vectors[place] for place in places})
        _log.debug("Embeddings looked up", extra={"found": len(known), "computed": len(missing)})
        return vectors[inverse]

    def _look_up(self, fingerprint: str, texts: Sequence[str]) -> dict[str, npt.NDArray[np.float32]]:
        try:
            return self.cache.get(fingerprint, texts, dimension=self.dimension)
        except StorageError as error:
            _log.warning("The embedding cache cannot be read; the texts are computed", extra={"reason": str(error)})
            return {}

    def _keep(self, fingerprint: str, vectors: dict[str, npt.NDArray[np.float32]]) -> None:
        try:
            self.cache.put(fingerprint, vectors)
        except StorageError as error:
            _log.warning("The embedding cache cannot be written; nothing is kept", extra={"reason": str(error)})
