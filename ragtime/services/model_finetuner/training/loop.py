"""The training loop: batches in, weights out, a checkpoint at every place to go on from."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ragtime.errors import FineTuningError
from ragtime.monitoring.logging import get_logger
from ragtime.services.model_finetuner.checkpoints import (
    CheckpointStore,
    TrainingState,
    capture_random_states,
    restore_random_states,
)
from ragtime.services.model_finetuner.config import FineTuningConfig
from ragtime.services.model_finetuner.losses import EmbeddingLoss
from ragtime.services.model_finetuner.metrics import EvaluationRecord, StepRecord
from ragtime.services.model_finetuner.planning import BatchPlanner
from ragtime.services.model_finetuner.training.batches import BatchMaker
from ragtime.services.model_finetuner.training.history import History
from ragtime.services.model_finetuner.training.processes import Processes
from ragtime.services.model_finetuner.training.resources import GpuUtilisation
from ragtime.services.model_finetuner.training.schedule import Schedule
from ragtime.services.model_finetuner.training.stopping import EarlyStopping, StopRequest
from ragtime.utils.extras import require
from ragtime.utils.hashing import keyed_seed
from ragtime.utils.progress import Progress

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer
    from torch.nn import Parameter
    from torch.optim import Optimizer

    from ragtime.services.model_finetuner.forward import BatchEncoder, Precision, StepOutcome
    from ragtime.services.model_finetuner.planning import Batch
    from ragtime.services.model_finetuner.strategies import Strategy

__all__ = ["Evaluation", "LoopEnd", "LoopParts", "TrainingLoop"]

_log = get_logger(__name__)

_LOST_SCORES: Mapping[str, str] = {
    "unreachable_margins": "The teacher's margins are wider than those of cosines can be: bring its scores to the "
    "range 0 to 1, or use the loss kl_divergence",
    "underflowed": "The teacher's scores lie so far apart that the order of the low ones is lost: bring them to the "
    "range 0 to 1, or raise the temperature",
}
"""What a loss counts that somebody should know, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How a model in training is measured.

    Attributes:
        measure: Returns the figures of the weights as they are.
        metric: The figure that chooses the best step.
        higher_is_better: Whether a higher value of it is better.
    """

    measure: Callable[[], Mapping[str, float]]
    metric: str
    higher_is_better: bool = True

    def score(self, figures: Mapping[str, float]) -> float:
        """Return the metric, turned so that higher is better."""
        return figures[self.metric] if self.higher_is_better else -figures[self.metric]


class LoopEnd(NamedTuple):
    """How a loop ended.

    Attributes:
        steps: Optimizer steps taken, in this attempt and those before it.
        stopped_early: Whether the figure had stopped to improve.
    """

    steps: int
    stopped_early: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoopParts:
    """What a loop works with.

    Attributes:
        model: The prepared model.
        strategy: Gives and takes the state of the model.
        parameters: What is trained.
        encoder: Computes embeddings of texts by their numbers, and sends gradients back.
        precision: What its passes are computed in.
        loss: The loss.
        optimizer: Changes the weights.
        planner: The batches.
        batches: Makes them ready for the loss.
        history: Takes down what happens.
        store: Takes the checkpoints.
        fingerprints: What a run that goes on must find unchanged.
        processes: All processes of the run.
        evaluation: Measures the model; ``None`` means that there is no validation data.
    """

    model: SentenceTransformer
    strategy: Strategy
    parameters: Mapping[str, Parameter]
    encoder: BatchEncoder
    precision: Precision
    loss: EmbeddingLoss
    optimizer: Optimizer
    planner: BatchPlanner
    batches: BatchMaker
    history: History
    store: CheckpointStore
    fingerprints: Mapping[str, str]
    processes: Processes
    evaluation: Evaluation | None = None


class TrainingLoop:
    """Takes the steps of one run.

    Where it is, is one number, the optimizer steps taken: batches, learning rate, evaluations and checkpoints are
    functions of it. With the weights, the state of the optimizer and the random states a run that goes on takes the
    very steps that it would have taken.

    Attributes:
        steps: Optimizer steps of the whole run.
        step: Those taken.
        last_loss: The loss of the last one; ``None`` before the first.
    """

    def __init__(
        self, config: FineTuningConfig, parts: LoopParts, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """Prepare the first step.

        Args:
            config: What the run was told, resolved.
            parts: What the loop works with.
            clock: Returns seconds; only differences count.
        """
        self._config, self._parts, self._clock = config, parts, clock
        self._torch: Any = require("torch", "finetune")
        self._device = next(iter(parts.parameters.values())).device
        self.utilisation = GpuUtilisation(self._device)
        self.steps_per_epoch = -(-len(parts.planner) // config.gradient_accumulation_steps)
        self.steps = self.steps_per_epoch * config.num_epochs
        self.step = 0
        # config.learning_rate is there once a config is resolved.
        self.schedule = Schedule.capped(
            config.lr_schedule, cast("float", config.learning_rate), self.steps, config.warmup_steps
        )
        self._stopping = EarlyStopping(config.early_stopping_patience, config.early_stopping_min_change)
        self._warned: set[str] = set()
        self.last_loss: float | None = None
        self._scaler = self._torch.amp.GradScaler(self._device.type, enabled=parts.precision == "float16")

    # --- going on -------------------------------------------------------------------------------------------------

    def load(self, state: TrainingState, step: int) -> None:
        """Put back what a checkpoint holds.

        Args:
            state: The checkpoint's.
            step: Steps taken before it.
        """
        parts: Mapping[str, Any] = state.parts
        self._parts.strategy.load_state(self._parts.model, parts["model"])
        self._load_optimizer(parts["optimizer"])
        if parts["scaler"]:  # empty, when it was not in use
            self._scaler.load_state_dict(parts["scaler"])
        self._parts.encoder.load_state(parts["encoder"])
        self._stopping.load_state(parts["stopping"])
        self.last_loss = parts["last_loss"]
        restore_random_states(parts["random"])
        self.step = step

    def _load_optimizer(self, state: dict[str, Any] | None) -> None:
        """Put back the state of the optimizer: what it knows of the weights, not what it was told."""
        if state is None:  # that of another kind of optimizer
            return
        optimizer = self._parts.optimizer
        told = [{name: value for name, value in one.items() if name != "params"} for one in optimizer.param_groups]
        try:
            optimizer.load_state_dict(state)
        except ValueError as error:
            raise FineTuningError("The checkpoint's optimizer has trained other weights: start anew") from error
        for group, options in zip(optimizer.param_groups, told, strict=True):
            group.update(options)

    def _save(self, score: float | None) -> None:
        self._parts.history.flush()
        if self._parts.processes.is_main:
            state = TrainingState(
                {
                    "model": self._parts.strategy.state(self._parts.model),
                    "optimizer": self._parts.optimizer.state_dict(),
                    "scaler": self._scaler.state_dict(),
                    "encoder": self._parts.encoder.state(),
                    "stopping": cast("Any", self._stopping.state()),
                    "last_loss": self.last_loss,
                    "random": capture_random_states(),
                },
                self._parts.fingerprints,
            )
            self._parts.store.save(state, step=self.step, score=score)
        self._parts.processes.wait()

    # --- the loop -------------------------------------------------------------------------------------------------

    def run(self, progress: Progress, request: StopRequest) -> LoopEnd:
        """Take the steps that are left.

        Args:
            progress: Told each step, with the loss and the last validation figure.
            request: Ends the loop behind the step in which it comes, with a checkpoint.

        Returns:
            How it ended; the weights are those of the last step.

        Raises:
            FineTuningError: The loss is no number any more, or memory does not suffice for one text.
        """
        progress.advance(self.step)
        evaluation = self._parts.evaluation
        if self.step == 0 and evaluation is not None:
            self._measure(evaluation)
        shown: float | None = None
        while self.step < self.steps and not self._stopping.is_over and request.signal is None:
            record = self._take_step()
            self._parts.history.add_step(record)
            self._parts.processes.report({"loss": record.loss, "learning_rate": record.learning_rate}, record.step)
            self.step += 1
            self.last_loss = record.loss
            score = None
            if evaluation is not None and self._is_due(self._config.evaluation_steps):
                figures = self._measure(evaluation)
                shown, score = figures[evaluation.metric], evaluation.score(figures)
                self._stopping.told(score)
            if score is not None or self._is_due(self._config.save_steps) or request.signal is not None:
                self._save(score)
            progress.advance(1, loss=record.loss, validation=shown)
        if request.signal is not None:
            name = request.signal.name
            _log.warning("Stopped as asked; the same call goes on from here", signal=name, step=self.step)
        return LoopEnd(self.step, self._stopping.is_over and self.step < self.steps)

    def _is_due(self, every: int | None) -> bool:
        """Tell whether something that happens every so many steps, or once an epoch, happens now."""
        return self.step % (every or self.steps_per_epoch) == 0 or self.step == self.steps

    def _measure(self, evaluation: Evaluation) -> Mapping[str, float]:
        begin = self._clock()
        figures = self._parts.processes.agree(evaluation.measure())
        self._parts.history.add_evaluation(
            EvaluationRecord(step=self.step, figures=figures, seconds=max(0.0, self._clock() - begin))
        )
        self._parts.processes.report({f"validation/{name}": value for name, value in figures.items()}, self.step)
        _log.debug("Validated", step=self.step, **{evaluation.metric: figures[evaluation.metric]})
        return figures

    def _batches(self) -> list[Batch]:
        """Return the batches of the next step: those of an epoch's last step may be fewer."""
        epoch, group = divmod(self.step, self.steps_per_epoch)
        size = self._config.gradient_accumulation_steps
        first = group * size
        return [
            self._parts.planner.batch(epoch * len(self._parts.planner) + one)
            for one in range(first, min(first + size, len(self._parts.planner)))
        ]

    def _take_step(self) -> StepRecord:
        begin = self._clock()
        self._seed_processes()
        batches = self._batches()
        rate = self.schedule.rate(self.step)
        for group in self._parts.optimizer.param_groups:
            group["lr"] = rate
        self._parts.optimizer.zero_grad(set_to_none=True)
        rows = sum(len(batch.rows) for batch in batches)
        factor = float(self._scaler.scale(self._torch.ones((), device=self._device)))
        loss, real, padded = 0.0, 0, 0
        counts: dict[str, int] = {}
        for batch in batches:
            share = len(batch.rows) / rows
            outcome = self._backward(batch, share * factor, counts)
            loss += share * outcome.loss
            real += outcome.tokens
            padded += outcome.padded_tokens
        if not math.isfinite(loss):
            raise FineTuningError(
                f"The loss of step {self.step + 1} is {loss}: use a lower learning rate (now {rate:.3g}), or clip "
                "gradients with max_grad_norm; the checkpoints before it are as they were"
            )
        norm = self._change_weights()
        self.utilisation.sample()
        seconds = max(self._clock() - begin, 1e-9)
        return StepRecord(
            step=self.step + 1,
            epoch=batches[0].epoch + 1,
            loss=loss,
            learning_rate=rate,
            gradient_norm=norm,
            tokens_per_second=real / seconds,
            padding=1 - real / padded if padded else 0.0,
            seconds=seconds,
            counts=counts,
        )

    def _seed_processes(self) -> None:
        """Let each of several processes draw numbers of its own; checkpoints keep the state of the main one."""
        if self._parts.processes.count > 1:
            seed = keyed_seed(cast("int", self._config.random_seed), "step", self.step, self._parts.processes.rank)
            self._torch.manual_seed(seed)

    def _backward(self, batch: Batch, scale: float, counts: dict[str, int]) -> StepOutcome:
        numbers, given = self._parts.batches.make(batch.rows)
        told: dict[str, int] = {}

        def loss_of(embeddings: torch.Tensor) -> torch.Tensor:
            result = self._parts.loss(embeddings, given)
            told.update(result.counts)
            return result.loss

        outcome = self._parts.encoder.step(numbers, loss_of, scale=scale)
        told |= {"passes": outcome.passes, "recomputed_passes": outcome.recomputed}
        for name, count in told.items():
            counts[name] = counts.get(name, 0) + count
            if count and name in _LOST_SCORES and name not in self._warned:
                self._warned.add(name)
                _log.warning(_LOST_SCORES[name], step=self.step + 1, **told)
        return outcome

    def _change_weights(self) -> float | None:
        """Take the optimizer's step, and return the length of the gradient; ``None`` when half precision overflowed."""
        weights = list(self._parts.parameters.values())
        self._parts.processes.sum_gradients(weights)
        self._scaler.unscale_(self._parts.optimizer)
        limit = self._config.max_grad_norm
        norm = float(self._torch.nn.utils.clip_grad_norm_(weights, math.inf if limit is None else limit))
        finite = math.isfinite(norm)
        if not finite and not self._scaler.is_enabled():
            raise FineTuningError(
                f"The gradient of step {self.step + 1} is {norm}: use a lower learning rate, or another precision; the "
                "checkpoints before it are as they were"
            )
        self._scaler.step(self._parts.optimizer)  # which leaves the step out when it is not finite
        self._scaler.update()
        return norm if finite else None
