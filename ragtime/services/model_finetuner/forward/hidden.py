"""The upper layers of a transformer on hidden states of the frozen lower ones, computed once for a whole run.

For the time of a pass the embeddings of the transformer are replaced by a module that hands out the hidden states, and
its list of layers by the upper ones; all else, the masks for one, stays what the model makes of it. Not every
architecture can be cut like this, so it is tried first, and the result compared with that of the whole model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragtime.errors import FineTuningError
from ragtime.services.model_finetuner.forward.models import TextModel
from ragtime.services.model_finetuner.forward.precision import Precision
from ragtime.services.model_finetuner.forward.tokens import TokenizedTexts
from ragtime.services.model_finetuner.planning.passes import plan_passes
from ragtime.services.model_finetuner.strategies.structure import LayerStack, transformer_of
from ragtime.utils.extras import LazyModule
from ragtime.utils.progress import track

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

__all__ = ["UpperModel", "hidden_bytes"]

_PASS_TOKENS = 4_096
_TRIED = 3  # texts on which the cut model is compared with the whole one
_CLOSE = {"float32": 1e-5, "bfloat16": 2e-2, "float16": 2e-3}  # the hidden states are rounded once less or more


class UpperModel(TextModel):
    """The layers above a frozen part, on hidden states that were computed once; a ``PassModel``."""

    def __init__(
        self,
        model: SentenceTransformer,
        texts: TokenizedTexts,
        *,
        depth: int,
        path: Path,
        precision: Precision = "float32",
        frozen: Sequence[nn.Module] = (),
    ) -> None:
        """Compute the hidden states of all texts, with progress.

        Args:
            model: The model, which stays where it is.
            texts: The texts, tokenized for this model.
            depth: How many of the lower layers are frozen, at least 1 and less than all.
            path: The file for the hidden states, float32; replaced if it is there.
            precision: What passes are computed in.
            frozen: Modules that are computed without dropout.

        Raises:
            FineTuningError: The model cannot be cut there: what comes out would be something else.
        """
        super().__init__(model, texts, precision=precision, frozen=frozen)
        transformer = transformer_of(model)
        stack = LayerStack.of(transformer)
        self._list = transformer, stack.name
        self._lower, self._upper = list(stack.layers[:depth]), torch.nn.ModuleList(stack.layers[depth:])
        self._words = transformer, _embeddings_of(transformer, stack.name)
        self._first = stack.layers[depth]
        sample = np.argsort(texts.lengths, kind="stable")[:: max(1, len(texts) // _TRIED)]
        self._hidden: npt.NDArray[np.float32] | None = None
        self._check(sample, path)
        self._hidden = self._computed(np.arange(len(texts)), path)

    def __call__(self, numbers: Numbers) -> torch.Tensor:
        """Compute one pass; see :class:`PassModel`."""
        if self._hidden is None:
            return super().__call__(numbers)
        padded = self.texts.padded(numbers)
        inside = padded["attention_mask"].astype(bool)
        states = np.zeros((*inside.shape, self._hidden.shape[1]), np.float32)
        states[inside] = self._hidden[self.texts.places(numbers)]
        given = torch.from_numpy(states).to(self.device, non_blocking=True)
        with _replaced(*self._words, _given(given)), _replaced(*self._list, self._upper):
            return super().__call__(numbers)

    def _check(self, sample: Numbers, path: Path) -> None:
        with self.mode(training=False), torch.no_grad():
            whole = [super(UpperModel, self).__call__(sample[place : place + 1]) for place in range(len(sample))]
            self._hidden = self._computed(sample, path)
            try:
                cut = [self(sample[place : place + 1]) for place in range(len(sample))]
            except (RuntimeError, TypeError, ValueError, AttributeError) as error:
                raise FineTuningError(f"The layers cannot be run alone: {type(error).__name__}") from error
        difference = max(float((one - other).abs().max()) for one, other in zip(whole, cut, strict=True))
        if not difference <= _CLOSE[self.precision]:
            raise FineTuningError(
                f"The layers give something else when run alone: embeddings differ by {difference:.1e}"
            )

    def _computed(self, numbers: Numbers, path: Path) -> npt.NDArray[np.float32]:
        """Write the hidden states of texts to a file, those of a text side by side."""
        self._hidden = None
        result: npt.NDArray[np.float32] | None = None
        with (
            self.mode(training=False),
            torch.no_grad(),
            track("Frozen layers", total=len(numbers), mode=None) as progress,
        ):
            for route in np.unique(self.route_of[numbers]):
                some = numbers[self.route_of[numbers] == route]
                for one in plan_passes(self.lengths[some], max_tokens=_PASS_TOKENS).texts:
                    states = self._reach(some[one])
                    if result is None:
                        shape = (len(self.texts.tokens), states.shape[-1])
                        result = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
                    inside = self.texts.padded(some[one])["attention_mask"].astype(bool)
                    result[self.texts.places(some[one])] = states.float().cpu().numpy()[inside]
                    progress.advance(len(one))
        if result is None:
            raise FineTuningError("There are no texts")
        return result

    def _reach(self, numbers: Numbers) -> torch.Tensor:
        """Run a pass up to the first upper layer, and return what this would be given."""

        def stop(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            raise _ReachedError(args[0] if args else kwargs["hidden_states"])

        hook = self._first.register_forward_pre_hook(stop, with_kwargs=True)
        try:
            super().__call__(numbers)
        except _ReachedError as reached:
            return reached.states
        finally:
            hook.remove()
        raise FineTuningError("The layers of the model are not run one after the other")


class _ReachedError(Exception):
    """Ends a forward pass where the frozen part does."""

    def __init__(self, states: torch.Tensor) -> None:
        super().__init__("The frozen part ends here")
        self.states = states


def hidden_bytes(model: SentenceTransformer, texts: TokenizedTexts) -> int:
    """Return the size of the hidden states of all texts, in bytes."""
    words = transformer_of(model).get_input_embeddings()
    width: int = next(words.parameters()).shape[-1]
    return 4 * width * len(texts.tokens)


def _embeddings_of(transformer: nn.Module, layers: str) -> str:
    """Return the name of the largest part that holds the word embeddings and not the layers."""
    words: nn.Module = transformer.get_input_embeddings()  # type: ignore[operator]
    for name, module in transformer.named_modules():
        if name and not layers.startswith(f"{name}.") and any(part is words for part in module.modules()):
            return str(name)
    raise FineTuningError("The model has no word embeddings of its own")


def _given(states: torch.Tensor) -> nn.Module:
    """Return a module that gives these states, whatever it is asked."""

    class Given(torch.nn.Module):
        def forward(self, *_: object, **__: object) -> torch.Tensor:
            return states

    return Given()


@contextmanager
def _replaced(root: nn.Module, name: str, module: nn.Module) -> Iterator[None]:
    """Put another module in the place of one, in the block."""
    holder_name, _, last = name.rpartition(".")
    holder = root.get_submodule(holder_name)
    before = holder.get_submodule(last)
    setattr(holder, last, module)
    try:
        yield
    finally:
        setattr(holder, last, before)
