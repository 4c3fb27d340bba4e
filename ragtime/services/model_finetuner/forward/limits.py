"""How large passes are, and how many of their graphs are kept: what memory allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from ragtime.errors import FineTuningError, InvalidArgumentError
from ragtime.monitoring.logging import get_logger
from ragtime.services.model_finetuner.forward.memory import (
    GraphCost,
    available_memory,
    is_out_of_memory,
    measure_graphs,
)
from ragtime.services.model_finetuner.forward.models import PassModel
from ragtime.services.model_finetuner.forward.randomness import PassRandomness
from ragtime.services.model_finetuner.planning.plan import check_whole
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import torch

    from ragtime.services.model_finetuner.planning.rows import Numbers
else:
    np = LazyModule("numpy")
    torch = LazyModule("torch")

__all__ = ["GradientCache", "PassLimits"]

GradientCache: TypeAlias = Literal["auto", "on", "off"]

_log = get_logger(__name__)

_SHARE = 0.5  # of the memory that is free when a run begins; the rest is for gradients, the optimizer and neighbours
_CPU_TOKENS, _GPU_TOKENS = 4_096, 65_536  # of a pass: more gains no speed


class PassLimits:
    """Limits of passes and graphs, which shrink when memory does not suffice.

    Attributes:
        gradient_cache: What was asked for.
        max_tokens: Most tokens of a pass, padding included.
        budget: Bytes of all graphs that are kept at once, 0 for one graph at a time, ``None`` for all of them.
    """

    def __init__(
        self, model: PassModel, gradient_cache: GradientCache, max_tokens: int | None, *, measured: bool = True
    ) -> None:
        """Set the limits as they are before anything was measured.

        Args:
            model: The model.
            gradient_cache: ``on`` keeps the graph of one pass, ``off`` those of all passes, ``auto`` as many as fit.
            max_tokens: Most tokens of a pass; ``None`` means what suits the device.
            measured: Whether passes are made smaller when one of that size would not fit.

        Raises:
            InvalidArgumentError: An argument is out of its range.
        """
        if gradient_cache not in get_args(GradientCache):
            raise InvalidArgumentError(f"gradient_cache must be auto, on or off; found {gradient_cache!r}")
        if max_tokens is not None:
            check_whole("max_tokens", max_tokens, 1)
        self.gradient_cache = gradient_cache
        self.max_tokens = max_tokens or (_CPU_TOKENS if model.device.type == "cpu" else _GPU_TOKENS)
        self.budget: int | None = 0 if gradient_cache == "on" else None
        self._measured = measured and max_tokens is None
        self._model = model
        self._cost: GraphCost | None = None

    def state(self) -> dict[str, int | None]:
        """Return the limits for a checkpoint."""
        return {
            "max_tokens": self.max_tokens,
            "budget": self.budget,
            "token_bytes": self._cost.token if self._cost is not None else None,
            "pair_bytes": self._cost.pair if self._cost is not None else None,
        }

    def load_state(self, state: Mapping[str, int | None]) -> None:
        """Take over the limits of a checkpoint, whatever memory there is now.

        Args:
            state: What :meth:`state` gave.

        Raises:
            InvalidArgumentError: It is something else.
        """
        max_tokens = state.get("max_tokens")
        if state.keys() != self.state().keys() or max_tokens is None:
            raise InvalidArgumentError(f"Not the limits of passes: found {', '.join(sorted(state)) or 'nothing'}")
        token, pair = state["token_bytes"], state["pair_bytes"]
        self.max_tokens, self.budget = max_tokens, state["budget"]
        self._cost = GraphCost(token, pair) if token is not None and pair is not None else None

    def settle(self) -> None:
        """Measure, before the first step, what graphs take, and decide what fits; afterwards do nothing."""
        if self._cost is not None:
            return
        model = self._model
        before = PassRandomness.capture(model.device)
        try:
            with model.mode(training=True), torch.enable_grad():
                self._cost = measure_graphs(model, model.lengths)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            self._cost = GraphCost(token=1)  # the step will find out how small its passes have to be
            self.keep_one_graph()
            return
        finally:
            before.restore(model.device)
        free = int(available_memory(model.device) * _SHARE)
        if self.gradient_cache == "auto":
            self.budget = free
        longest = int(model.lengths.max())
        of_token = self._cost.of(1, longest) // longest
        while self._measured and self.max_tokens > longest and of_token * self.max_tokens > free:
            self.max_tokens //= 2
        fields = {"bytes_per_token": of_token, "memory_bytes": free, "max_tokens": self.max_tokens}
        _log.info("Passes are planned", gradient_cache=self.gradient_cache, **fields)

    def kept(self, passes: Sequence[Numbers], lengths: Numbers) -> int:
        """Tell how many graphs to keep.

        Args:
            passes: Positions of the texts of each pass, the longest text first and the largest pass first.
            lengths: Tokens of each text.

        Returns:
            How many of the leading passes: at least one, for where there is memory to run a smaller pass again, the
            first one need not be.
        """
        if self.budget is None or self._cost is None:
            return len(passes)
        sizes = np.cumsum([self._cost.of(len(one), int(lengths[one[0]])) for one in passes])
        return min(len(passes), max(1, int(np.searchsorted(sizes, self.budget, side="right"))))

    def keep_one_graph(self) -> None:
        """Keep the graph of one pass at a time from now on, and say so."""
        self.budget = 0
        _log.warning("Memory did not suffice: passes are computed twice from now on", max_tokens=self.max_tokens)

    def halve(self, passes: Sequence[Numbers], lengths: Numbers) -> None:
        """Make passes half as large from now on, and say so.

        Args:
            passes: Those that memory did not suffice for.
            lengths: Tokens of each text.

        Raises:
            FineTuningError: Each is of one text already.
        """
        largest = max((len(one) * int(lengths[one[0]]) for one in passes if len(one) > 1), default=None)
        if largest is None:
            raise FineTuningError(
                f"Memory does not suffice, though each pass is of one text, of at most {int(lengths.max())} tokens: "
                "use a smaller max_seq_length or batch_size, another strategy, or a smaller model"
            )
        self.max_tokens = largest // 2
        _log.warning("Memory did not suffice: passes are smaller from now on", max_tokens=self.max_tokens)
