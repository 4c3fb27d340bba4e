"""The line between the base and the tuned weights: what was learned is kept, and what was forgotten is won back.

After Wortsman et al., "Robust fine-tuning of zero-shot models" (2022), known as WiSE-FT.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator

from ragtime.errors import FineTuningError, InvalidArgumentError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.records.base import Record
from ragtime.services.model_finetuner.comparison.resampling import ROUNDING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["InterpolationPoint", "InterpolationSearch", "interpolate_weights", "search_interpolation"]

_log = get_logger(__name__)

_FEWEST_POINTS = 2
_NAMED = 3  # how many tensors an error names


class InterpolationPoint(Record):
    """One model on the line.

    Attributes:
        alpha: Its place: 0 is the base model, 1 the tuned one.
        target: Its score on the validation data.
        general: Its score on the general check.
    """

    alpha: Annotated[float, Field(ge=0.0, le=1.0)]
    target: float
    general: float


class InterpolationSearch(Record):
    """What a search on the line found.

    Attributes:
        points: All models that were tried, from the base to the tuned one.
        alpha: The place that was chosen.
        most_general_fall: Largest fall of the general check that was allowed.
    """

    points: Annotated[tuple[InterpolationPoint, ...], Field(min_length=_FEWEST_POINTS)]
    alpha: float
    most_general_fall: Annotated[float, Field(ge=0.0)]

    @property
    def chosen(self) -> InterpolationPoint:
        """The model that was chosen."""
        return next(point for point in self.points if point.alpha == self.alpha)

    @property
    def base(self) -> InterpolationPoint:
        """The base model."""
        return self.points[0]

    @property
    def tuned(self) -> InterpolationPoint:
        """The tuned model."""
        return self.points[-1]

    @property
    def share_kept(self) -> float | None:
        """Share of the gain on the validation data that the chosen model keeps; ``None`` when there was no gain."""
        gain = self.tuned.target - self.base.target
        return (self.chosen.target - self.base.target) / gain if gain > ROUNDING else None

    @property
    def share_won_back(self) -> float | None:
        """Share of the fall on the general check that the chosen model wins back; ``None`` when there was no fall."""
        fall = self.base.general - self.tuned.general
        return (self.chosen.general - self.tuned.general) / fall if fall > ROUNDING else None

    @model_validator(mode="after")
    def _is_a_line(self) -> Self:
        places = [point.alpha for point in self.points]
        if places != sorted(set(places)) or (places[0], places[-1]) != (0.0, 1.0):
            raise ValueError("points must go from alpha 0 to 1, each once")
        if self.alpha not in places:
            raise ValueError("alpha must be that of a point")
        return self


def search_interpolation(
    target_score: Callable[[float], float],
    general_score: Callable[[float], float],
    *,
    most_general_fall: float = 0.01,
    points: int = 11,
    refinements: int = 2,
) -> InterpolationSearch:
    """Search the line between base and tuned weights for the best model that has not forgotten too much.

    The whole line is tried in equal steps; then, a few times over, the middles on both sides of the best place so far.
    Nothing is drawn at random, and no place is tried twice.

    Args:
        target_score: Gives the score of the model at a place on validation data, higher is better. Test data must not
            be used: the choice would fit them.
        general_score: Likewise on a general check; keep part of its questions for the gate. It is called right after
            `target_score` with the same place, so that one model can serve both.
        most_general_fall: Largest fall of the general score, compared with the base model. The default is half of what
            the gate allows by its own default, for on other questions the fall may come out larger.
        points: Places that the whole line is tried at, both ends included; at least 2.
        refinements: How often the step is halved.

    Returns:
        The places tried, and the one with the highest target score among those with an allowed fall; of equal ones the
        nearest to the base model. The base model itself is always allowed.

    Raises:
        InvalidArgumentError: An option is out of range.
        FineTuningError: A score is not finite.
    """
    if points < _FEWEST_POINTS or refinements < 0:
        raise InvalidArgumentError(
            f"Expected at least {_FEWEST_POINTS} points and 0 refinements, found {points!r} and {refinements!r}"
        )
    if not 0 <= most_general_fall < math.inf:
        raise InvalidArgumentError(f"most_general_fall must be at least 0, found {most_general_fall!r}")
    steps = (points - 1) << refinements  # places are whole numbers of the smallest step, so that none is tried twice
    tried: dict[int, InterpolationPoint] = {}

    def visit(place: int) -> None:
        if 0 <= place <= steps and place not in tried:
            alpha = place / steps
            target = _finite("target_score", target_score(alpha), alpha)
            general = _finite("general_score", general_score(alpha), alpha)
            tried[place] = InterpolationPoint(alpha=alpha, target=target, general=general)

    def best() -> int:
        least = tried[0].general - most_general_fall - ROUNDING
        allowed = [place for place, point in tried.items() if point.general >= least]
        return min(allowed, key=lambda place: (-tried[place].target, place))

    with log_operation(_log, "search_interpolation", most_general_fall=most_general_fall) as operation:
        for place in range(0, steps + 1, 1 << refinements):
            visit(place)
        for halving in range(refinements):
            middle, step = best(), 1 << (refinements - 1 - halving)
            visit(middle - step)
            visit(middle + step)
        found = InterpolationSearch(
            points=tuple(tried[place] for place in sorted(tried)),
            alpha=best() / steps,
            most_general_fall=most_general_fall,
        )
        operation.add(points=len(found.points), alpha=found.alpha)
    return found


def _finite(name: str, score: float, alpha: float) -> float:
    if not math.isfinite(score):
        raise FineTuningError(f"{name}({alpha:g}) gave {score}, expected a finite score: the weights or data are unfit")
    return float(score)


def interpolate_weights(
    base_state: Mapping[str, Tensor], tuned_state: Mapping[str, Tensor], alpha: float
) -> dict[str, Tensor]:
    """Compute ``(1 - alpha) * base + alpha * tuned`` for every weight.

    Args:
        base_state: The weights of the base model by name, as ``state_dict()`` gives them.
        tuned_state: Those of the tuned model: the same names, shapes and kinds of numbers; an adapter is merged first.
        alpha: The place on the line: 0 gives the base weights, 1 the tuned ones, bit by bit.

    Returns:
        New tensors, on the devices of the base weights. What is no weight, such as numbers of positions, is copied.

    Raises:
        InvalidArgumentError: The place is not on the line, or the models are not of one structure; names what differs.
    """
    import torch  # noqa: PLC0415 - heavy

    if not 0 <= alpha <= 1:
        raise InvalidArgumentError(f"alpha must be from 0 to 1, found {alpha!r}")
    if base_state.keys() != tuned_state.keys():
        raise InvalidArgumentError(
            "Only models of one structure have a line between them; merge adapters first. Of the base model only: "
            f"{_listed(base_state.keys() - tuned_state.keys())}; of the tuned one only: "
            f"{_listed(tuned_state.keys() - base_state.keys())}"
        )
    found: dict[str, Tensor] = {}
    for name, given in base_state.items():
        base, tuned = given.detach(), tuned_state[name].detach().to(given.device)
        if base.shape != tuned.shape or base.dtype != tuned.dtype:
            raise InvalidArgumentError(
                f"{name!r} is {base.dtype} of shape {list(base.shape)} in the base model, and {tuned.dtype} of shape "
                f"{list(tuned.shape)} in the tuned one"
            )
        if base.is_floating_point():
            found[name] = (base if alpha == 0 else tuned).clone() if alpha in {0, 1} else torch.lerp(base, tuned, alpha)
        elif torch.equal(base, tuned):
            found[name] = base.clone()
        else:
            raise InvalidArgumentError(f"{name!r} holds {base.dtype}, no weights, and differs between the models")
    return found


def _listed(names: set[str]) -> str:
    shown = ", ".join(sorted(names)[:_NAMED])
    return f"{len(names)} ({shown}{', …' if len(names) > _NAMED else ''})" if names else "none"
