"""What a strategy does: decides which weights are trained, and turns the trained model into one that can be shipped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor
    from torch.nn import Parameter

__all__ = ["Strategy"]


class Strategy(Protocol):
    """One way of training a model. An object belongs to one run."""

    name: str

    def prepare(self, model: SentenceTransformer) -> SentenceTransformer:
        """Freeze what is not trained, and put in what is.

        Args:
            model: The base model; it may be changed in place.

        Returns:
            The model to be trained. At this point it gives the embeddings of the base model, but for the rounding of
            ``quantized``. What is initialised at random depends on the seed of the config alone.

        Raises:
            FineTuningError: The model has nothing that this strategy can train; says what was looked for.
        """
        ...

    def frozen_depth(self, model: SentenceTransformer) -> int | None:
        """Tell how much of the model never changes, so that it need be computed once, without gradients.

        Args:
            model: The prepared model.

        Returns:
            Transformer layers above the embeddings that no trained weight comes before or in; 0 means the embeddings
            alone, -1 that nothing is frozen, ``None`` that everything up to and including the pooling is.
        """
        ...

    def parameters(self, model: SentenceTransformer) -> Mapping[str, Parameter]:
        """Return what is trained, by name, in an order that is the same in every process."""
        ...

    def state(self, model: SentenceTransformer) -> dict[str, Tensor]:
        """Return what a checkpoint has to keep of the model: all that training changes, buffers included."""
        ...

    def load_state(self, model: SentenceTransformer, state: Mapping[str, Tensor]) -> None:
        """Put back what :meth:`state` gave, exactly.

        Args:
            model: The prepared model.
            state: What it gave.

        Raises:
            FineTuningError: A name is missing or unknown, or a shape differs.
        """
        ...

    def finished(self, model: SentenceTransformer) -> SentenceTransformer:
        """Return the model that is saved: plain modules of sentence-transformers, with adapters merged.

        Args:
            model: The trained model, which must not be trained on afterwards.

        Returns:
            A model without dropout in force and without anything that a plain ``SentenceTransformer(path)`` would not
            know; merging changes no embedding by more than 1e-4.

        Raises:
            FineTuningError: Merging changed the embeddings by more than that.
        """
        ...
