"""Bringing ratings of any scale to 1 to 5 stars."""

from __future__ import annotations

import math
import re
from typing import NamedTuple, Self

from ragtime.errors import InvalidArgumentError
from ragtime.services.training_data_gen.sources.given import UnusableError

__all__ = ["RatingScale"]

_WORST, _BEST = 1.0, 5.0
_THUMBS = {
    "up": _BEST,
    "thumbs_up": _BEST,
    "like": _BEST,
    "true": _BEST,
    "\N{THUMBS UP SIGN}": _BEST,
    "down": _WORST,
    "thumbs_down": _WORST,
    "dislike": _WORST,
    "false": _WORST,
    "\N{THUMBS DOWN SIGN}": _WORST,
}
_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)"
_RATING = re.compile(rf"({_NUMBER})(?:\s*/\s*({_NUMBER}))?", re.ASCII)


class RatingScale(NamedTuple):
    """A scale of ratings; the best may be the lower number, as with marks in school.

    Attributes:
        worst: The worst rating.
        best: The best.
    """

    worst: float
    best: float

    @classmethod
    def of(cls, given: object) -> Self:
        """Check a scale that a caller gave.

        Args:
            given: The worst rating and the best.

        Returns:
            The scale.

        Raises:
            InvalidArgumentError: It is not two different finite numbers.
        """
        if not (
            isinstance(given, tuple | list)
            and len(given) == 2  # noqa: PLR2004 - worst and best
            and all(isinstance(end, int | float) and not isinstance(end, bool) and math.isfinite(end) for end in given)
            and given[0] != given[1]
        ):
            raise InvalidArgumentError(
                "rating_scale: expected two different numbers, the worst and the best, as (1, 5)"
            )
        return cls(float(given[0]), float(given[1]))

    def stars(self, rating: object) -> float:
        """Return a rating as 1 to 5 stars.

        Args:
            rating: A number on the scale, or a text with one; ``4/5`` is 4 on a scale that ends at 5. ``True``, ``up``
                and the like are the best, ``False``, ``down`` and the like the worst.

        Returns:
            The stars; a rating between those of the scale lies between them.

        Raises:
            UnusableError: It is missing, no number, or not on the scale.
        """
        if rating is None or (isinstance(rating, str) and not rating.strip()):
            raise UnusableError("rating is missing")
        if isinstance(rating, bool):
            return _BEST if rating else _WORST
        if isinstance(rating, str):
            return self._of_text(rating.strip().lower())
        if isinstance(rating, int | float) and not (isinstance(rating, float) and math.isnan(rating)):
            return self._on(rating, self.best)
        raise UnusableError("rating is no number")

    def _of_text(self, text: str) -> float:
        if text in _THUMBS:
            return _THUMBS[text]
        found = _RATING.fullmatch(text)
        if found is None:
            raise UnusableError("rating is no number")
        return self._on(float(found[1]), self.best if found[2] is None else float(found[2]))

    def _on(self, rating: float, best: float) -> float:
        if best == self.worst or not min(self.worst, best) <= rating <= max(self.worst, best):
            raise UnusableError("rating is not on its scale")
        share = (rating - self.worst) / (best - self.worst)
        return min(_BEST, max(_WORST, _WORST + (_BEST - _WORST) * share))
