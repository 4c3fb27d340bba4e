"""The end of a run: where a general check has fallen, the line between base and tuned weights is searched."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, cast

from ragtime.services.model_finetuner.comparison.data import EvaluationData, EvaluationSource
from ragtime.services.model_finetuner.comparison.gate import Gate
from ragtime.services.model_finetuner.comparison.interpolation import (
    InterpolationSearch,
    interpolate_weights,
    search_interpolation,
)
from ragtime.services.model_finetuner.comparison.resampling import sign_flip_test
from ragtime.services.model_finetuner.config import FineTuningConfig
from ragtime.services.model_finetuner.evaluation import Validation
from ragtime.services.model_finetuner.forward import BatchEncoder, Precision, TextModel, tokenize_texts
from ragtime.services.model_finetuner.metrics import Choice
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

    from ragtime.protocols import TextRole
    from ragtime.services.model_finetuner.evaluation.truth import Floats
else:
    np = LazyModule("numpy")

__all__ = ["LineEnd", "not_searched", "prepare_general", "search_line"]

_FIGURE = "ndcg@10"  # of the general check
_LEAST_TEXTS = 400
_POINTS, _REFINEMENTS = 6, 1  # places 0.1 apart, at the cost of some eight evaluations
_MOST_FALL = 0.01  # half of what the gate allows: on its own questions the fall may come out larger
_WON_BACK = 0.8  # least share of the fall


class LineEnd(NamedTuple):
    """What became of the tuned weights.

    Attributes:
        choice: The place that was chosen, and why.
        search: What the search has found; ``None`` when there was none.
        figures: Figures of the chosen model on the validation data; ``None`` when it is the tuned one.
    """

    choice: Choice
    search: InterpolationSearch | None = None
    figures: Mapping[str, float] | None = None


def not_searched(config: FineTuningConfig, validation: Validation | None) -> str | None:
    """Tell why the line of a run is not searched, whatever the general check says.

    Args:
        config: A resolved config.
        validation: What the run is validated on; ``None`` when nothing was held out.

    Returns:
        The reason; ``None`` when it is searched where the check falls.
    """
    if config.interpolation == "off":
        return "as configured"
    if config.strategy == "quantized":
        return "weights between rounded ones are not rounded"
    if validation is None:
        return "there is no validation data to choose a place by"
    return None


def prepare_general(
    config: FineTuningConfig, given: EvaluationSource | None, validation: Validation | None
) -> EvaluationData | None:
    """Prepare the general check of a run, about as large as its validation.

    Args:
        config: A resolved config.
        given: Its questions, from which some are drawn unless they are prepared already; ``None`` means those that the
            config names, or else those of the packaged sample that the gate does not use.
        validation: What the run is validated on.

    Returns:
        The check; ``None`` when the line is not searched.

    Raises:
        InvalidArgumentError: There are no questions, no judgements or fewer than two passages.
        StorageError: A file cannot be read.
    """
    if validation is None or not_searched(config, validation) is not None:
        return None
    seed = cast("int", config.random_seed)
    room = max(_LEAST_TEXTS, len(validation.queries) + len(validation.passages))
    source = given if given is not None else config.general_data
    if source is None:
        return EvaluationData.sample(reserved=False, max_texts=room, seed=seed)
    return EvaluationData.of(source, max_texts=room, seed=seed)


def search_line(
    config: FineTuningConfig,
    tuned: SentenceTransformer,
    base: SentenceTransformer,
    *,
    validation: Validation,
    general: EvaluationData,
    precision: Precision,
) -> LineEnd:
    """Measure the general check, and search the line where it fell.

    A fall is what the gate would not let pass. Of the models on the line that win back at least 80 % of it, and are at
    most 0.01 below the base model, the one that is best on the validation data is chosen.

    Args:
        config: A resolved config.
        tuned: The finished model; it is given the chosen weights.
        base: The base model in the same modules.
        validation: What the run was validated on.
        general: The general check.
        precision: What passes are computed in.

    Returns:
        What was chosen.

    Raises:
        FineTuningError: Memory does not suffice, or a score is not finite.
    """
    line = _Line(tuned, base, validation, general.validation, precision)
    before, after = line.general(0.0), line.general(1.0)
    fall = float(before.mean() - after.mean())
    told = (
        f"{_FIGURE} of the general check, {len(before)} questions of {general.name}, went from {before.mean():.4f} to "
        f"{after.mean():.4f}"
    )
    if not _has_fallen(after - before, fall, cast("int", config.random_seed)):
        line.move(1.0)
        return LineEnd(Choice(name="interpolation", value="none", reason=f"{told}: that is no fall"))
    wanted = config.validation_metric
    figure = wanted if wanted in validation.names else _FIGURE  # the loss is none of rankings
    search = search_interpolation(
        lambda alpha: line.target(alpha)[figure],
        lambda alpha: float(line.general(alpha).mean()),
        most_general_fall=min(_MOST_FALL, (1 - _WON_BACK) * fall),
        points=_POINTS,
        refinements=_REFINEMENTS,
    )
    line.move(search.alpha)
    reason = (
        f"{told}; at this place between base (0) and tuned weights (1) it is {search.chosen.general:.4f}, and {figure} "
        f"of the validation data {search.chosen.target:.4f}, between {search.base.target:.4f} and "
        f"{search.tuned.target:.4f}"
    )
    choice = Choice(name="interpolation", value=f"{search.alpha:g}", reason=reason)
    return LineEnd(choice, search, line.target(search.alpha))


def _has_fallen(differences: Floats, fall: float, seed: int) -> bool:
    """Tell whether the gate would refuse a model for such differences."""
    gate = Gate()
    return fall > gate.most_general_fall or (fall > 0 and sign_flip_test(differences, seed=seed).less <= gate.alpha)


class _Line:
    """The models on the line, one at a time, in the place of the tuned one; each is measured once."""

    def __init__(
        self,
        tuned: SentenceTransformer,
        base: SentenceTransformer,
        validation: Validation,
        general: Validation,
        precision: Precision,
    ) -> None:
        self._model = tuned
        self._base: Mapping[str, Tensor] = base.state_dict()
        self._tuned = {name: weight.detach().clone() for name, weight in tuned.state_dict().items()}
        self._place = 1.0
        self._validation, self._general = validation, general
        parts: tuple[tuple[TextRole, list[str]], ...] = (
            ("query", validation.queries),
            ("passage", validation.passages),
            ("query", general.queries),
            ("passage", general.passages),
        )
        texts = [text for _, some in parts for text in some]
        tokens = tokenize_texts(tuned, texts, [role for role, some in parts for _ in some], warns=False)
        self._encoder = BatchEncoder(TextModel(tuned, tokens, precision=precision))
        ends = np.cumsum([0, *(len(some) for _, some in parts)]).tolist()
        self._slices = [np.arange(start, end) for start, end in pairwise(ends)]
        self._targets: dict[float, Mapping[str, float]] = {}
        self._generals: dict[float, Floats] = {}

    def move(self, alpha: float) -> None:
        """Give the model the weights of a place."""
        if alpha != self._place:
            self._model.load_state_dict(interpolate_weights(self._base, self._tuned, alpha))
            self._place = alpha

    def target(self, alpha: float) -> Mapping[str, float]:
        """Return the figures of the validation data."""
        if alpha not in self._targets:
            self._targets[alpha] = self._validation.measure(*self._embedded(alpha, 0))
        return self._targets[alpha]

    def general(self, alpha: float) -> Floats:
        """Return the figure of every question of the general check."""
        if alpha not in self._generals:
            self._generals[alpha] = self._general.measure_questions(*self._embedded(alpha, 2))[_FIGURE]
        return self._generals[alpha]

    def _embedded(self, alpha: float, first: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        self.move(alpha)
        queries, passages = (self._encoder.embed(self._slices[part]) for part in (first, first + 1))
        return queries, passages
