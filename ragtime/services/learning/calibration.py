"""What one small training step and a few embeddings take on this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragtime.backends.encoders import SentenceTransformerEncoder
from ragtime.backends.resolution import RegistryResolver
from ragtime.config.settings import Settings
from ragtime.protocols import TextRole
from ragtime.services.model_finetuner import FineTuningConfig
from ragtime.services.model_finetuner.checkpoints import capture_random_states, restore_random_states
from ragtime.services.model_finetuner.forward import (
    BatchEncoder,
    TextModel,
    TokenizedTexts,
    choose_precision,
    frozen_modules,
    prepare_encoder,
    tokenize_texts,
)
from ragtime.services.model_finetuner.forward.memory import available_memory, measure_graphs
from ragtime.services.model_finetuner.saving import load_base_model
from ragtime.services.model_finetuner.strategies import make_strategy
from ragtime.services.model_finetuner.training.base import ModelLoader, make_ready
from ragtime.services.model_finetuner.training.optimizers import make_optimizer
from ragtime.services.model_finetuner.training.resources import peak_device_bytes, peak_host_bytes
from ragtime.utils.extras import LazyModule, require

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch.optim import Optimizer
else:
    np = LazyModule("numpy")
    torch = LazyModule("torch")

__all__ = ["Calibration", "calibrate"]

_FEW = 4  # texts or pairs of the first try, which tells how many the measurement may have
_SECONDS = 2.0  # that a measurement takes, about


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What was measured; times in seconds, memory in bytes.

    Attributes:
        device: Where the model is, such as ``cpu``.
        loading: Loading the model, once.
        query: Embedding a query.
        passage: Embedding a passage.
        step_pairs: Pairs of the measured step.
        step: The step.
        frozen_once: Whether a frozen part of the model is run once, before the first step.
        graph: What a pair keeps for the way back.
        free: Memory that was free for it.
        weights: All weights of the model.
        dimension: Length of the vectors.
        host: Most memory that the process has had so far.
        on_device: The same on a GPU; ``None`` without one.
        load: Processes that wanted a CPU in the last minute, on average, divided by the CPUs.
    """

    device: str
    loading: float
    query: float
    passage: float
    step_pairs: int
    step: float
    frozen_once: bool
    graph: float
    free: int
    weights: int
    dimension: int
    host: int
    on_device: int | None
    load: float


def calibrate(
    config: FineTuningConfig,
    settings: Settings,
    pairs: Sequence[tuple[str, str]],
    *,
    model_loader: ModelLoader | None = None,
    registry: RegistryResolver | None = None,
) -> Calibration:
    """Load the base model, embed some texts with it, and take some steps as a training run would.

    Afterwards the random states of the process are as before. Nothing is written, and what was trained is thrown away.

    Args:
        config: A resolved config.
        settings: Section ``embedding`` says where the model runs.
        pairs: Some pairs of a query and a passage, at least one.
        model_loader: Gives the base model; ``None`` means to find it by its name.
        registry: Finds models of the registry; ``None`` means the usual one.

    Returns:
        What was measured.

    Raises:
        BackendError: The base model cannot be loaded.
        InvalidArgumentError: The config does not suit the model.
        FineTuningError: The model does not suit the strategy, or memory does not suffice.
        MissingExtraError: A package is not installed.
    """
    require("torch", "finetune")
    before = capture_random_states()
    try:
        return _calibrated(config, settings, pairs, model_loader, registry)
    finally:
        restore_random_states(before)


def _calibrated(
    config: FineTuningConfig,
    settings: Settings,
    pairs: Sequence[tuple[str, str]],
    model_loader: ModelLoader | None,
    registry: RegistryResolver | None,
) -> Calibration:
    queries, passages = [query for query, _ in pairs], [passage for _, passage in pairs]
    begin = time.perf_counter()
    model = load_base_model(config, settings, registry=registry) if model_loader is None else model_loader(config)
    make_ready(model, config, None)
    loading = time.perf_counter() - begin
    encoder = SentenceTransformerEncoder(settings, model_name=config.base_model_name, model=model)
    of_query, of_passage = _embedding(encoder, queries, "query"), _embedding(encoder, passages, "passage")
    strategy = make_strategy(config)
    model = strategy.prepare(model)
    roles: list[TextRole] = [*(["query"] * len(queries)), *(["passage"] * len(passages))]  # type: ignore[list-item]
    tokens = tokenize_texts(model, [*queries, *passages], roles, warns=False)
    precision = choose_precision(model.device, config.precision)
    depth = strategy.frozen_depth(model)
    batches = prepare_encoder(
        model, tokens, frozen_depth=depth, precision=precision, gradient_cache=config.gradient_cache
    )
    steps = _Steps(batches, make_optimizer(config, strategy.parameters(model)), model.device, len(pairs))
    step_pairs, step = _adaptive(steps.take, min(config.batch_size, len(pairs)))
    graph = 0.0
    if depth is not None:  # else nothing but what is on top of the embeddings has a way back
        frozen = frozen_modules(model, depth) if depth >= 0 else []
        graph = _graph_of_pair(TextModel(model, tokens, precision=precision, frozen=frozen), tokens, len(pairs))
    return Calibration(
        device=model.device.type,
        loading=loading,
        query=of_query,
        passage=of_passage,
        step_pairs=step_pairs,
        step=step,
        frozen_once=batches.frozen_once,
        graph=graph,
        free=available_memory(model.device),
        weights=sum(weight.numel() * weight.element_size() for weight in model.parameters()),
        dimension=int(model.get_embedding_dimension() or 0),
        host=peak_host_bytes(),
        on_device=peak_device_bytes(model.device),
        load=os.getloadavg()[0] / (os.cpu_count() or 1),
    )


def _adaptive(take: Callable[[int], float], most: int) -> tuple[int, float]:
    """Do something for a few texts, and then for as many as take about as long as a measurement may.

    Args:
        take: Does it for so many, and returns the seconds.
        most: The most.

    Returns:
        For how many it was measured, and the seconds.
    """
    few = min(_FEW, most)
    take(few)  # the first time takes longer: things are loaded and measured
    seconds = take(few)
    count = max(few, min(most, int(few * _SECONDS / max(seconds, 1e-6))))
    return count, take(count) if count > few else seconds


def _embedding(encoder: SentenceTransformerEncoder, texts: Sequence[str], role: TextRole) -> float:
    """Return the seconds that a text takes."""

    def take(count: int) -> float:
        begin = time.perf_counter()
        encoder.encode(texts[:count], role=role)
        return time.perf_counter() - begin

    count, seconds = _adaptive(take, len(texts))
    return seconds / count


class _Steps:
    """Takes training steps with the first pairs of a sample."""

    def __init__(self, encoder: BatchEncoder, optimizer: Optimizer, device: torch.device, pairs: int) -> None:
        self._encoder = encoder
        self._optimizer = optimizer
        self._device = device
        self._pairs = pairs

    def take(self, count: int) -> float:
        """Take one with so many pairs, and return its seconds."""
        begin = time.perf_counter()
        numbers = np.concatenate([np.arange(count), self._pairs + np.arange(count)])
        self._encoder.step(numbers, lambda embeddings: -(embeddings[:count] * embeddings[count:]).sum(1).mean())
        self._optimizer.step()
        self._optimizer.zero_grad()
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter() - begin


def _graph_of_pair(model: TextModel, tokens: TokenizedTexts, pairs: int) -> float:
    """Return the bytes that the passes of a pair keep, in the mean over the sample."""
    with model.mode(training=True), torch.enable_grad():
        cost = measure_graphs(model, tokens.lengths)
    return sum(cost.of(1, int(length)) for length in tokens.lengths) / pairs
