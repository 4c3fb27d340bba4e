"""What computes the embeddings of a pass: a whole model, or what is trained of it on top of embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from ragtime.errors import FineTuningError
from ragtime.services.model_finetuner.forward.attention import eager_attention
from ragtime.services.model_finetuner.forward.masks import fast_dropout
from ragtime.services.model_finetuner.forward.precision import Precision
from ragtime.services.model_finetuner.forward.tokens import TokenizedTexts
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch
    from sentence_transformers import SentenceTransformer
    from torch import nn

    from ragtime.services.model_finetuner.planning.rows import Numbers
else:
    np = LazyModule("numpy")
    torch = LazyModule("torch")

__all__ = ["HeadModel", "PassModel", "TextModel"]

_EMBEDDING = "sentence_embedding"


class PassModel(Protocol):
    """Computes the embeddings of numbered texts, a pass at a time."""

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        ...

    @property
    def dimension(self) -> int:
        """Length of the embeddings."""
        ...

    @property
    def lengths(self) -> Numbers:
        """What each text adds to a pass, in tokens: int64 of shape ``[texts]``."""
        ...

    @property
    def route_of(self) -> Numbers:
        """Texts of different numbers here cannot share a pass: int64 of shape ``[texts]``."""
        ...

    def parameters(self) -> Sequence[nn.Parameter]:
        """Return what gets gradients."""
        ...

    def mode(self, *, training: bool) -> Any:
        """Return a context in which dropout is in force or not; afterwards every module is as it was."""
        ...

    def __call__(self, numbers: Numbers) -> torch.Tensor:
        """Compute one pass.

        Args:
            numbers: Numbers of texts of one route.

        Returns:
            Embeddings, float32 of shape ``[len(numbers), dimension]``.
        """
        ...


class _OnModel:
    """What the passes of a whole model and those of its end have in common.

    Attributes:
        model: The model.
        texts: The texts, tokenized for it.
    """

    def __init__(self, model: SentenceTransformer, texts: TokenizedTexts, lengths: Numbers, dimension: int) -> None:
        """Keep what both know.

        Args:
            model: The model.
            texts: The texts.
            lengths: What each of them costs, int64 of shape ``[texts]``.
            dimension: Length of the embeddings.
        """
        self.model = model
        self.texts = texts
        self._lengths = lengths
        self._dimension = dimension

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.device

    @property
    def dimension(self) -> int:
        """Length of the embeddings."""
        return self._dimension

    @property
    def lengths(self) -> Numbers:
        """Tokens of each text; 1 where a text is not computed from its tokens."""
        return self._lengths

    @property
    def route_of(self) -> Numbers:
        """Texts of different routes cannot share a pass."""
        return self.texts.route_of

    def parameters(self) -> Sequence[nn.Parameter]:
        """Return what gets gradients."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]


class TextModel(_OnModel):
    """A sentence-transformers model that is given tokens.

    Attributes:
        model: The model.
        texts: The texts it can be asked for.
        precision: What passes are computed in.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        texts: TokenizedTexts,
        *,
        precision: Precision = "float32",
        frozen: Sequence[nn.Module] = (),
        stop: int | None = None,
    ) -> None:
        """Connect a model with its texts.

        Args:
            model: The model, which stays where it is.
            texts: The texts, tokenized for this model.
            precision: What passes are computed in; weights, gradients and embeddings are float32 in any case.
            frozen: Modules that are computed without dropout in training, too: those of which nothing is trained.
            stop: Number of the module before which to stop, from 0; ``None`` means to run all of them.

        Raises:
            FineTuningError: The model does not tell the length of its embeddings.
        """
        super().__init__(model, texts, texts.lengths, _dimension(model, stop))
        self.precision = precision
        self._frozen = list(frozen)
        self._stop = stop
        self._converts = precision != "float32"

    @contextmanager
    def mode(self, *, training: bool) -> Iterator[None]:
        """Switch dropout on or off in the block; that of the frozen modules stays off."""
        # Layers without dropout are faster fused, and all layers of a model share one choice.
        eager = training and self.precision == "bfloat16" and self.device.type == "cpu" and not self._frozen
        with _mode(self.model, training=training), eager_attention(self.model) if eager else nullcontext():
            for module in self._frozen:
                module.eval()
            yield

    def __call__(self, numbers: Numbers) -> torch.Tensor:
        """Compute one pass; see :class:`PassModel`."""
        device = self.device
        route = self.texts.routes[int(self.texts.route_of[numbers[0]])]
        features: dict[str, Any] = {
            name: torch.from_numpy(values).to(device, non_blocking=True)
            for name, values in self.texts.padded(numbers).items()
        }
        features["modality"] = "text"
        if route.prompt_length:
            features["prompt_length"] = route.prompt_length
        # Entered for each pass: within one context the weights that a pass without graph has converted would be taken
        # for the passes after it, and no gradient would reach them.
        autocast = torch.autocast(device.type, getattr(torch, self.precision)) if self._converts else nullcontext()
        masks = fast_dropout() if self.model.training and device.type == "cpu" else nullcontext()
        with autocast, masks:
            features = _run(self.model, features, route.task, stop=self._stop)
        embeddings: torch.Tensor = features[_EMBEDDING].float()
        return embeddings[:, : self.model.truncate_dim] if self._stop is None else embeddings


class HeadModel(_OnModel):
    """The trained end of a model whose other modules never change, on embeddings that were computed once.

    Attributes:
        model: The whole model.
        texts: The texts.
        start: Number of the first module that is trained.
    """

    def __init__(
        self, model: SentenceTransformer, texts: TokenizedTexts, base: npt.NDArray[np.float32], *, start: int
    ) -> None:
        """Connect the end of a model with the embeddings it is given.

        Args:
            model: The whole model.
            texts: The texts, tokenized for this model.
            base: What the modules before `start` make of each text, float32 of shape ``[texts, dimension]``, in memory
                or mapped from a file.
            start: Number of the first module to run, from 0.

        Raises:
            FineTuningError: The model does not tell the length of its embeddings.
        """
        super().__init__(model, texts, np.ones(len(texts), np.int64), _dimension(model, None))
        self.start = start
        self._base = base

    @contextmanager
    def mode(self, *, training: bool) -> Iterator[None]:
        """Switch dropout on or off in the block."""
        with _mode(self.model, training=training):
            yield

    def __call__(self, numbers: Numbers) -> torch.Tensor:
        """Compute one pass; see :class:`PassModel`."""
        route = self.texts.routes[int(self.texts.route_of[numbers[0]])]
        given = torch.from_numpy(np.ascontiguousarray(self._base[numbers])).to(self.device, non_blocking=True)
        features = _run(self.model, {_EMBEDDING: given}, route.task, start=self.start)
        embeddings: torch.Tensor = features[_EMBEDDING].float()
        return embeddings[:, : self.model.truncate_dim]


def _run(
    model: SentenceTransformer, features: dict[str, Any], task: str | None, *, start: int = 0, stop: int | None = None
) -> dict[str, Any]:
    """Run some modules of a model as its own ``forward`` runs all of them."""
    told = model.module_kwargs or {}
    for name, module in list(model.named_children())[start:stop]:
        wanted = {*told.get(name, ()), *getattr(module, "forward_kwargs", ())}
        takes_task = "task" in wanted or hasattr(module, "sub_modules")  # a router
        features = module(features, **({"task": task} if takes_task and task is not None else {}))
    return features


def _dimension(model: SentenceTransformer, stop: int | None) -> int:
    """Return the length of what the modules before `stop` give, as the last one that tells it says."""
    tellers: list[Any] = [module for module in list(model)[:stop] if hasattr(module, "get_embedding_dimension")]
    found = [teller.get_embedding_dimension() for teller in tellers]
    known = [int(dimension) for dimension in found if dimension is not None]
    if not known:
        raise FineTuningError("The model does not tell the length of its embeddings")
    return min(known[-1], model.truncate_dim or known[-1]) if stop is None else known[-1]


@contextmanager
def _mode(model: nn.Module, *, training: bool) -> Iterator[None]:
    before = [(module, module.training) for module in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for module, flag in before:
            module.training = flag
