"""What the rows of a data set say together: pairs, triplets, graded or rated pairs, or teacher scores."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.dataset.rows import DataShape, Row

__all__ = ["GOOD", "ShapedRows", "fits", "shape_rows"]

GOOD = 0.5
"""A response fits whose label is above this."""

_HIGHEST = 5.0
_MOSTLY = 0.5
_COUNTERWEIGHT = 0.25
_ROW_DROPPED = "its row was left out"
_NO_PLACE = "its row is labelled, and no response that fits has negatives"


class ShapedRows(NamedTuple):
    """Rows in the shape that their data set has.

    Attributes:
        rows: The rows, labels from 0 to 1.
        shape: The shape.
        reason: Why this one, in a sentence.
        dropped: Rows that have no place in it, by reason.
        negatives_dropped: Negatives that have none, by reason.
        used: Ids of the rows whose texts are in it, those included that gave no more than a negative.
    """

    rows: list[Row]
    shape: DataShape
    reason: str
    dropped: Counter[str]
    negatives_dropped: Counter[str]
    used: set[str]


def fits(row: Row) -> bool:
    """Whether the query of a row should retrieve its response: nobody says no, or the label is above 0.5."""
    return row.label is None or row.label > GOOD


def shape_rows(rows: Sequence[Row], spare: Mapping[str, tuple[float, ...]]) -> ShapedRows:
    """Find the shape of a data set, and give its rows what the shape needs.

    - ``scored``: at least half of the rows have a teacher's scores.
    - ``triplets``: some response that fits has negatives. Responses that do not fit serve as negatives of their query.
    - ``rated`` and ``graded``: at least a quarter of the responses do not fit; labels say good or bad, or some lie
      between. Of fewer, a loss on labels would pull almost all texts together, and have little to push apart.
    - ``pairs`` or ``triplets``: any others, by whether responses that do not fit give negatives.

    A response fits when its label is above 0.5 or missing.

    Args:
        rows: The rows, at least one; labels on the scale 0 to 1 or 0 to 5.
        spare: By id, labels of lists that stand for a teacher's scores where other rows have these.

    Returns:
        The rows in the order given, and what became of the others.

    Raises:
        InvalidArgumentError: A label is on another scale, or no response fits its query.
    """
    scaled, scale = _scaled(rows)
    taught = [row if row.scores is not None else replace(row, scores=spare.get(row.id)) for row in scaled]
    known = sum(row.scores is not None for row in taught)
    if known >= _MOSTLY * len(scaled) and any(row.scores is not None for row in scaled):
        return _scored(taught)
    scaled = [replace(row, scores=None) if row.scores is not None else row for row in scaled]
    good = sum(map(fits, scaled))
    if not good:
        raise InvalidArgumentError(
            f"Every one of the {len(rows)} rows has a label of at most {GOOD}{scale}: no response fits its query, so "
            f"that there is nothing to retrieve. Add rows whose responses fit, with labels above that"
        )
    few = good > (1 - _COUNTERWEIGHT) * len(scaled)
    if few or any(row.negatives for row in scaled if fits(row)):
        return _retrieval(scaled, good, scale)
    return _labelled(scaled, good, scale)


def _scaled(rows: Sequence[Row]) -> tuple[list[Row], str]:
    labels = [row.label for row in rows if row.label is not None]
    if not labels or (min(labels) >= 0 and max(labels) <= 1):
        return list(rows), ""
    if min(labels) < 0 or max(labels) > _HIGHEST:
        raise InvalidArgumentError(
            f"Labels must be from 0 to 1, or from 0 to 5; found {min(labels)} to {max(labels)}: bring them to 0 to 1"
        )
    scaled = [row if row.label is None else replace(row, label=row.label / _HIGHEST) for row in rows]
    return scaled, " (labels from 0 to 5 were divided by 5)"


def _scored(rows: list[Row]) -> ShapedRows:
    dropped: Counter[str] = Counter()
    kept = []
    for row in rows:
        if row.scores is None:
            dropped["it has no teacher scores, which others have"] += 1
        elif not row.negatives:
            dropped["it has teacher scores, but no negatives"] += 1
        else:
            kept.append(row)
    reason = f"{len(kept)} of {len(rows)} rows have teacher scores"
    return ShapedRows(kept, "scored", reason, dropped, Counter(), {row.id for row in kept})


def _retrieval(rows: list[Row], good: int, scale: str) -> ShapedRows:
    answers: defaultdict[str, set[str]] = defaultdict(set)
    bad: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for row in rows:
        if fits(row):
            answers[row.query].add(row.response)
        else:
            bad[row.query] |= dict.fromkeys((row.response, *row.negatives))
    dropped: Counter[str] = Counter()
    unused: Counter[str] = Counter()
    kept, used = [], set()
    for row in rows:
        if fits(row):
            known = {*row.negatives, *answers[row.query]}
            more = tuple(text for text in bad.get(row.query, ()) if text not in known)
            kept.append(replace(row, negatives=(*row.negatives, *more)) if more else row)
            used.add(row.id)
        elif row.query in answers and not answers[row.query].issuperset((row.response, *row.negatives)):
            dropped["its response does not fit, and is a negative of its query's other rows"] += 1
            used.add(row.id)
        else:
            dropped["its response does not fit its query"] += 1
            unused[_ROW_DROPPED] += len(row.negatives)
    having = sum(bool(row.negatives) for row in kept)
    if having:
        reason = f"{having} of {good} rows whose responses fit have negatives{scale}"
    elif good == len(rows):
        reason = f"no row has negatives, and no label says that a response does not fit{scale}"
    else:
        reason = f"no row has negatives, and only {len(rows) - good} of {len(rows)} responses do not fit{scale}"
    return ShapedRows(kept, "triplets" if having else "pairs", reason, dropped, +unused, used)


def _labelled(rows: list[Row], good: int, scale: str) -> ShapedRows:
    unlabelled = sum(row.label is None for row in rows)
    unused = Counter({_NO_PLACE: sum(len(row.negatives) for row in rows)})
    kept = [replace(row, label=1.0 if row.label is None else row.label, negatives=()) for row in rows]
    between = sum(row.label not in {0.0, 1.0} for row in kept)
    if between:
        shape: DataShape = "graded"
        reason = f"{between} of {len(kept)} labels lie between 0 and 1{scale}"
    else:
        shape = "rated"
        reason = f"labels say good or bad: {len(rows) - good} of {len(kept)} responses do not fit their queries"
    if unlabelled:
        reason += f"; rows without a label count as good: {unlabelled}"
    return ShapedRows(kept, shape, reason, Counter(), +unused, {row.id for row in kept})
