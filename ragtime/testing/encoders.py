"""Encoders for tests: one without a model, and one with a very small real one."""

from __future__ import annotations

import re
import string
import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragtime.backends.encoders.checks import check_role, check_texts, unit_vectors
from ragtime.backends.encoders.sentence_transformer import SentenceTransformerEncoder
from ragtime.backends.loading import quiet_loading
from ragtime.config.settings import Settings
from ragtime.protocols import TextRole
from ragtime.utils.extras import LazyModule, require
from ragtime.utils.hashing import content_hash, keyed_seed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from sentence_transformers import SentenceTransformer
    from transformers import PreTrainedTokenizerFast
else:
    np = LazyModule("numpy")

__all__ = ["HashEncoder", "tiny_encoder", "tiny_model"]

_WORDS = re.compile(r"\w+")
_SPREAD = 4  # dimensions that one word touches
_LONGEST = 128  # tokens a tiny model reads


class HashEncoder:
    """Embeds texts by hashing their words; a ``ragtime.protocols.TextEncoder`` without a model.

    The same texts give the same vectors on every machine. Texts that share words are near each other, so that retrieval
    in a test finds what a reader would expect; meaning it knows none. (Feature hashing, Weinberger et al., 2009.)

    Attributes:
        dimension: Length of the vectors.
        calls: The texts of each call so far, for tests that count.
    """

    def __init__(self, dimension: int = 256, *, seed: int = 0, query_prompt: str = "") -> None:
        """Make an encoder.

        Args:
            dimension: Length of the vectors.
            seed: Another one gives other vectors, as another model would.
            query_prompt: Put in front of queries, so that the two roles differ.
        """
        self.dimension = dimension
        self.calls: list[list[str]] = []
        self._seed = seed
        self._query_prompt = query_prompt

    def encode(self, texts: Sequence[str], *, role: TextRole = "passage") -> npt.NDArray[np.float32]:
        """Embed texts.

        Args:
            texts: Any number of texts.
            role: Whether they are queries or passages.

        Returns:
            A float32 array of shape ``[len(texts), dimension]`` with rows of unit length.

        Raises:
            InvalidArgumentError: `texts` is a single text or holds something else, or `role` is unknown.
        """
        prompt = self._query_prompt if check_role(role) == "query" else ""
        checked = check_texts(texts)
        self.calls.append(checked)
        rows = [self._embed(prompt + text) for text in checked]
        table = np.array(rows, dtype=np.float32).reshape(len(rows), self.dimension)
        return unit_vectors(table, count=len(rows), dimension=self.dimension, model="HashEncoder")

    def fingerprint(self, role: TextRole) -> str:
        """Return a hash of the options that the vectors of a role depend on."""
        prompt = self._query_prompt if check_role(role) == "query" else ""
        return content_hash(["HashEncoder", self.dimension, self._seed, prompt])

    def _embed(self, text: str) -> npt.NDArray[np.float64]:
        vector = np.zeros(self.dimension)
        for word in _WORDS.findall(text.lower()) or [text]:
            for number in range(_SPREAD):
                draw = keyed_seed(self._seed, word, number)
                # The longer word weighs more: short ones are mostly those that stand in every text.
                vector[draw % self.dimension] += len(word) if draw >> 63 else -len(word)
        if not vector.any():  # words that cancel each other out
            vector[keyed_seed(self._seed, text) % self.dimension] = 1
        return vector


def tiny_model(*, dimension: int = 32, layers: int = 2, seed: int = 0) -> SentenceTransformer:
    """Build a very small sentence-transformers model with random weights, in well under a second.

    A real BERT with mean pooling and normalisation, over pairs of letters: it can be trained, saved and loaded like any
    other.

    Args:
        dimension: Length of the vectors; a multiple of 2.
        layers: Number of transformer layers.
        seed: Seed of the weights; the global random state stays as it is.

    Returns:
        The model, on the CPU.

    Raises:
        MissingExtraError: sentence-transformers is not installed.
    """
    package = require("sentence_transformers", "embeddings")
    modules = require("sentence_transformers.sentence_transformer.modules", "embeddings")
    torch, transformers = require("torch", "embeddings"), require("transformers", "embeddings")
    tokenizer = _letter_tokenizer()
    config = transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=dimension,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=2 * dimension,
        max_position_embeddings=_LONGEST,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        bert = transformers.BertModel(config)
    with quiet_loading(), tempfile.TemporaryDirectory() as folder:
        bert.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        transformer = modules.Transformer(folder, max_seq_length=_LONGEST)
    pooling = modules.Pooling(dimension, pooling_mode="mean")
    model: SentenceTransformer = package.SentenceTransformer(
        modules=[transformer, pooling, modules.Normalize()], device="cpu"
    )
    model.eval()
    return model


def tiny_encoder(*, dimension: int = 32, layers: int = 2, seed: int = 0) -> SentenceTransformerEncoder:
    """Build an encoder around ``tiny_model``.

    Args:
        dimension: Length of the vectors; a multiple of 2.
        layers: Number of transformer layers.
        seed: Seed of the weights.

    Returns:
        The encoder.

    Raises:
        MissingExtraError: sentence-transformers is not installed.
    """
    model = tiny_model(dimension=dimension, layers=layers, seed=seed)
    return SentenceTransformerEncoder(Settings.isolated(), model_name=f"tiny-{seed}", model=model)


def _letter_tokenizer() -> PreTrainedTokenizerFast:
    """Make a WordPiece tokenizer whose pieces are single characters and pairs of letters."""
    pairs = [first + second for first in string.ascii_lowercase for second in string.ascii_lowercase]
    pieces = [*string.ascii_lowercase, *string.digits, *string.punctuation, *pairs]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {
        piece: number for number, piece in enumerate([*special, *pieces, *(f"##{piece}" for piece in pieces)])
    }
    transformers = require("transformers", "embeddings")
    tokenizer: PreTrainedTokenizerFast = transformers.BertTokenizerFast(vocab=vocabulary, model_max_length=_LONGEST)
    return tokenizer
