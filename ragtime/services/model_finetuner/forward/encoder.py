"""Embeddings of the distinct texts of a batch, and the way back from their gradients to the weights.

The loss of a batch is a function of its embeddings alone. So the passes that compute them need not be in memory
together: compute the embeddings, take the loss and its gradient by each embedding, then run each pass once more, from
the random state of its first run, and send the gradients of its own embeddings back through it (GradCache: Gao, Zhang,
Han and Callan, 2021, arXiv 2101.06983). The graphs of as many passes as memory allows are kept from the first run;
those need no second one. Which are kept changes time and memory, and neither the gradients nor the order in which they
are added up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ragtime.errors import FineTuningError
from ragtime.services.model_finetuner.forward.limits import GradientCache, PassLimits
from ragtime.services.model_finetuner.forward.memory import is_out_of_memory
from ragtime.services.model_finetuner.forward.models import PassModel
from ragtime.services.model_finetuner.forward.processes import Processes
from ragtime.services.model_finetuner.forward.randomness import PassRandomness
from ragtime.services.model_finetuner.planning.passes import Passes, plan_passes
from ragtime.services.model_finetuner.planning.plan import check_whole
from ragtime.utils.extras import LazyModule
from ragtime.utils.progress import ProgressMode, track

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch
    from torch import nn

    from ragtime.services.model_finetuner.planning.rows import Numbers
else:
    np = LazyModule("numpy")
    torch = LazyModule("torch")

__all__ = ["BatchEncoder", "StepOutcome"]

LossOf: TypeAlias = "Callable[[torch.Tensor], torch.Tensor]"

_CPU_PASS_COST, _GPU_PASS_COST = 64, 2_048  # tokens computed in the time that the fixed part of a pass takes
_SHOWN_FROM = 2_000  # texts from which progress is shown


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What one step did.

    Attributes:
        loss: The loss; when it is not finite, nothing was sent backward.
        texts: Distinct texts of the batch.
        tokens: Their tokens.
        padded_tokens: Tokens that were computed, the second time not counted.
        passes: Forward passes.
        recomputed: How many of them this process ran twice to save memory.
    """

    loss: float
    texts: int
    tokens: int
    padded_tokens: int
    passes: int
    recomputed: int


class BatchEncoder:
    """Computes embeddings in passes of like lengths, with gradients or without.

        encoder = BatchEncoder(TextModel(model, tokenize_texts(model, distinct)))
        outcome = encoder.step(texts.numbers, lambda embeddings: loss(embeddings, batch).loss)
        optimizer.step()

    When memory does not suffice it goes on with fewer graphs, then with smaller passes, and says so in the log.

    Attributes:
        frozen_once: Whether what a frozen part of the model gives was computed once, before the first step.
    """

    def __init__(
        self,
        model: PassModel,
        *,
        gradient_cache: GradientCache = "auto",
        max_tokens: int | None = None,
        pass_cost: int | None = None,
        processes: Processes | None = None,
        frozen_once: bool = False,
    ) -> None:
        """Prepare the encoder; nothing is computed yet.

        Args:
            model: Computes one pass.
            gradient_cache: ``on`` keeps the graph of one pass at a time, ``off`` those of all passes, ``auto`` as many
                as fit into half of the memory that is free at the first step.
            max_tokens: Most tokens of a pass, padding included; ``None`` means 4,096 on a CPU and 65,536 on a GPU, or
                as many as fit.
            pass_cost: How many tokens take as long as the fixed part of a pass; ``None`` means what suits the device.
            processes: Those that work on the same batches; ``None`` means this one alone.
            frozen_once: Whether `model` goes on from what a frozen part has given once.

        Raises:
            InvalidArgumentError: An argument is out of its range.
        """
        own_cost = _CPU_PASS_COST if model.device.type == "cpu" else _GPU_PASS_COST
        self.frozen_once = frozen_once
        self._model = model
        self._processes = processes if processes is not None else Processes()
        # Processes that measured different limits would plan different passes.
        self._limits = PassLimits(model, gradient_cache, max_tokens, measured=self._processes.count == 1)
        self._pass_cost = pass_cost if pass_cost is not None else own_cost

    def state(self) -> dict[str, int | None]:
        """Return what the passes of the next step depend on, for a checkpoint: a run that goes on repeats them."""
        return self._limits.state()

    def load_state(self, state: Mapping[str, int | None]) -> None:
        """Go on with what :meth:`state` gave, whatever memory there is now.

        Args:
            state: The state.

        Raises:
            InvalidArgumentError: It is something else.
        """
        self._limits.load_state(state)

    def plan(self, numbers: Numbers) -> Passes:
        """Cut texts into passes.

        Args:
            numbers: Numbers of the texts.

        Returns:
            The passes; each is of one route, and the largest one comes first.
        """
        lengths, routes = self._model.lengths[numbers], self._model.route_of[numbers]
        # As many passes as processes, at least, so that each has something to do.
        fair = -(-int(lengths.sum()) // self._processes.count)
        max_tokens = (
            max(1, min(self._limits.max_tokens, fair)) if self._processes.count > 1 else self._limits.max_tokens
        )
        parts: list[Numbers] = []
        for route in np.unique(routes):
            members = np.flatnonzero(routes == route)
            planned = plan_passes(lengths[members], max_tokens=max_tokens, pass_cost=self._pass_cost)
            parts += [members[one] for one in planned.texts]
        parts.sort(key=lambda one: -len(one) * int(lengths[one[0]]))
        padded = sum(len(one) * int(lengths[one[0]]) for one in parts)
        return Passes(tuple(parts), int(lengths.sum()), padded)

    def embed(
        self, numbers: Numbers, *, out: npt.NDArray[np.float32] | None = None, description: str = "Embedding"
    ) -> npt.NDArray[np.float32]:
        """Compute embeddings as the finished model would give them, without dropout and gradients.

        Every process computes all of them. No random state is touched.

        Args:
            numbers: Numbers of the texts.
            out: Where to put them; ``None`` means a new array.
            description: What the progress says, which is shown for many texts.

        Returns:
            float32 of shape ``[len(numbers), dimension]``.

        Raises:
            FineTuningError: Memory does not suffice for one text.
        """
        result = out if out is not None else np.empty((len(numbers), self._model.dimension), np.float32)
        mode: ProgressMode | None = None if len(numbers) >= _SHOWN_FROM else "off"
        left = numbers, np.arange(len(numbers))
        with (
            self._model.mode(training=False),
            torch.no_grad(),
            track(description, total=len(numbers), unit="texts", mode=mode) as progress,
        ):
            while len(left[0]):
                passes = self.plan(left[0])
                done = np.zeros(len(left[0]), np.bool_)
                try:
                    for one in passes.texts:
                        result[left[1][one]] = self._model(left[0][one]).cpu().numpy()
                        done[one] = True
                        progress.advance(len(one))
                except (RuntimeError, MemoryError) as error:
                    if not is_out_of_memory(error):
                        raise
                if not done.all():
                    _release(self._model.device)
                    self._limits.halve(passes.texts, self._model.lengths[left[0]])
                left = left[0][~done], left[1][~done]
        return result

    def step(self, numbers: Numbers, loss_of: LossOf, *, scale: float = 1.0) -> StepOutcome:
        """Compute embeddings in training, take their loss, and add its gradients to those of the weights.

        With several processes each computes some of the passes and adds the gradients of these alone: add the gradients
        of all processes up, do not average them. With precision float16 let `scale` be that of a
        ``torch.amp.GradScaler``, and unscale the gradients before they are clipped.

        Args:
            numbers: Numbers of the texts, each once.
            loss_of: Takes the embeddings, float32 of shape ``[texts, dimension]`` in the order of `numbers`, and
                returns their loss, a number. It is called again when memory did not suffice.
            scale: What gradients are multiplied with, as by 1 / steps where they are accumulated.

        Returns:
            What was done.

        Raises:
            FineTuningError: Memory does not suffice for a pass of one text, or in one of several processes.
        """
        check_whole("number of texts", len(numbers), 1)
        self._limits.settle()
        device = self._model.device
        parameters = self._model.parameters()
        start = PassRandomness.capture(device)
        with self._model.mode(training=True):
            while True:
                passes = self.plan(numbers)
                try:
                    with _gradients_apart(parameters):
                        return self._attempt(numbers, passes, loss_of, scale)
                except (RuntimeError, MemoryError) as error:
                    if not is_out_of_memory(error):
                        raise
                    if self._processes.count > 1:  # the others wait for what this one cannot send
                        raise FineTuningError(
                            "Memory does not suffice in one of several processes: use a smaller batch_size or "
                            "max_seq_length, or gradient_cache='on'"
                        ) from error
                # Out of the handler, whose traceback keeps the graphs alive.
                start.restore(device)
                self._shrink(passes, self._model.lengths[numbers])

    def _attempt(self, numbers: Numbers, passes: Passes, loss_of: LossOf, scale: float) -> StepOutcome:
        device = self._model.device
        lengths = self._model.lengths[numbers]
        mine = self._processes.share(passes.texts)
        kept = self._limits.kept(mine, lengths)
        outputs: list[torch.Tensor] = []
        starts: list[PassRandomness] = []
        embeddings = torch.zeros((len(numbers), self._model.dimension), device=device)
        for position, one in enumerate(mine):
            if position < kept:
                output = self._model(numbers[one])
                outputs.append(output)
            else:
                starts.append(PassRandomness.capture(device))
                with torch.no_grad():
                    output = self._model(numbers[one])
            embeddings[torch.from_numpy(one).to(device)] = output.detach()
            del output
        after = PassRandomness.capture(device)
        embeddings = self._processes.total(embeddings).requires_grad_()
        loss = loss_of(embeddings)
        value = float(loss.detach())
        if math.isfinite(value) and loss.requires_grad:
            (gradients,) = torch.autograd.grad(loss, embeddings)
            gradients = gradients * scale
            for position, one in enumerate(mine):
                if position < kept:
                    output = outputs.pop(0)
                else:
                    starts[position - kept].restore(device)
                    output = self._model(numbers[one])
                if output.requires_grad:
                    torch.autograd.backward(output, gradients[torch.from_numpy(one).to(device)])
                del output
            after.restore(device)
        return StepOutcome(value, len(numbers), passes.real_tokens, passes.padded_tokens, len(passes), len(mine) - kept)

    def _shrink(self, passes: Passes, lengths: Numbers) -> None:
        """Ask for less memory than a step over these passes did: fewer graphs, then smaller ones."""
        _release(self._model.device)
        if self._limits.kept(passes.texts, lengths) > 1:
            self._limits.keep_one_graph()
        else:
            self._limits.halve(passes.texts, lengths)


@contextmanager
def _gradients_apart(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Collect the gradients of the block apart, and add them to those from before only when it succeeds."""
    earlier = [parameter.grad for parameter in parameters]
    for parameter in parameters:
        parameter.grad = None
    try:
        yield
    except BaseException:
        for parameter, gradient in zip(parameters, earlier, strict=True):
            parameter.grad = gradient
        raise
    for parameter, gradient in zip(parameters, earlier, strict=True):
        if gradient is not None:
            parameter.grad = gradient if parameter.grad is None else gradient.add_(parameter.grad)


def _release(device: torch.device) -> None:
    """Give memory that torch holds in reserve back, so that it can be had in other pieces."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
