"""How long a run takes, and how much memory: what a calibration measured, times what there is to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from ragtime.records.base import Identifier, Record, Text, freeze
from ragtime.services.learning.calibration import Calibration
from ragtime.services.model_finetuner import FineTuningConfig

__all__ = ["RunEstimate", "Workload", "estimate_run", "sample_pairs"]

_SAMPLE = 64  # pairs of a calibration
_VALIDATION_SHARE = 0.1  # of the time of a training run
_LOW, _HIGH = 0.7, 1.6  # of what is computed: the pairs measured are a sample, and the machine does other things, too
_GRAPHS = 0.5  # of the memory that is free, for the graphs of a batch: what BatchEncoder allows itself
_FLOAT = 4  # bytes
_BUSY = 1.5  # load of a CPU from which other programs slow a measurement down

NotNegative = Annotated[float, Field(ge=0.0)]
Count = Annotated[int, Field(ge=0)]


class RunEstimate(Record):
    """What a run will take on this machine.

    Attributes:
        seconds: How long it takes.
        seconds_low: The same, when all goes fast.
        seconds_high: The same, when it does not.
        stages: The seconds of ``data``, ``evaluation``, ``training`` and ``loading``.
        memory_bytes: Most memory of the process.
        device_bytes: Most memory on a GPU; ``None`` where there is none.
        basis: What was measured, and what is not in it.
    """

    seconds: NotNegative
    seconds_low: NotNegative
    seconds_high: NotNegative
    stages: Annotated[Mapping[Identifier, NotNegative], AfterValidator(freeze)]
    memory_bytes: Count
    device_bytes: Count | None = None
    basis: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What a run has to do.

    Attributes:
        training_pairs: Pairs that are trained on.
        passages: Passages that are searched.
        questions: Questions that models are measured by.
        general_texts: Texts of the general check.
        models: Models that are measured.
        data_seconds: What the training data take; ``None`` when that is not known.
    """

    training_pairs: int
    passages: int
    questions: int
    general_texts: int
    models: int
    data_seconds: float | None


def estimate_run(config: FineTuningConfig, workload: Workload, found: Calibration) -> RunEstimate:
    """Estimate time and memory of a run.

    Args:
        config: A resolved config.
        workload: What the run has to do.
        found: What was measured with this config and some pairs of the run.

    Returns:
        The estimate.
    """
    training = workload.training_pairs * config.num_epochs * found.step / found.step_pairs
    if found.frozen_once:
        training += workload.training_pairs * (found.query + found.passage)
    embedding = (workload.passages + workload.general_texts) * found.passage + workload.questions * found.query
    stages = {
        "data": workload.data_seconds or 0.0,
        "evaluation": workload.models * embedding,
        "training": training / (1 - _VALIDATION_SHARE),
        "loading": (workload.models + 1) * found.loading,
    }
    seconds = sum(stages.values())
    vectors = 2 * workload.passages * found.dimension * _FLOAT  # of two models
    graphs = _more_graphs(config, found)
    on_gpu = found.on_device is not None
    return RunEstimate(
        seconds=seconds,
        seconds_low=_LOW * seconds,
        seconds_high=_HIGH * seconds,
        stages=stages,
        memory_bytes=found.host + found.weights + vectors + (0 if on_gpu else graphs),  # the base model beside it
        device_bytes=None if found.on_device is None else found.on_device + found.weights + graphs,
        basis=_basis(workload, found),
    )


def _more_graphs(config: FineTuningConfig, found: Calibration) -> int:
    """Return what the graphs of a whole batch take beyond those of the measured step."""
    if config.gradient_cache == "on":
        return 0
    batch = config.batch_size * found.graph
    if config.gradient_cache == "auto":
        batch = min(batch, _GRAPHS * found.free)
    return max(0, int(batch - found.step_pairs * found.graph))


def _basis(workload: Workload, found: Calibration) -> str:
    where = {"cpu": "CPU", "cuda": "GPU"}.get(found.device, found.device)
    told = (
        f"just now, on this {where}, a training step over {found.step_pairs} pairs took {found.step:.2f} s, embedding "
        f"a passage {1000 * found.passage:.1f} ms and loading the model {found.loading:.1f} s; all that times what "
        "there is to do, and a tenth more for validation. Early stopping shortens a run, other work on the machine "
        "prolongs it"
    )
    if found.load > _BUSY:
        told += (
            f". Other programs kept the CPUs busy meanwhile (load {found.load:.1f} for each): without them it is faster"
        )
    return told if workload.data_seconds is not None else f"{told}. Making the training data comes on top of it"


def sample_pairs(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return enough pairs for a calibration, evenly spread over all of them."""
    if len(pairs) <= _SAMPLE:
        return list(pairs)
    return [pairs[place * len(pairs) // _SAMPLE] for place in range(_SAMPLE)]
