"""Whether a file has the fields that it is to be read by: a wrong name costs every record of it, and should say so."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ragtime.errors import InvalidArgumentError
from ragtime.services.training_data_gen.sources.conversations import UNKNOWN_FORM, conversation_reader
from ragtime.services.training_data_gen.sources.feedback import RESERVED_FIELDS, feedback_rows
from ragtime.services.training_data_gen.sources.given import UnusableError, read_json_lines
from ragtime.services.training_data_gen.sources.items import BadRecord
from ragtime.services.training_data_gen.sources.stars import RatingScale

__all__ = ["check_rating_field", "check_turns_field"]

_ANY_SCALE = RatingScale(-1e6, 1e6)  # what is on it may be a rating; a time in seconds is not
_NAMED = 10  # fields in a message
_LONGEST_NAME = 40  # characters of a field's name; what is longer is no name that somebody chose


def check_rating_field(path: Path, *, rating_field: str, rating_scale: tuple[float, float]) -> None:
    """Raise when no record of a file of ratings has a rating where it was said to be.

    It reads no further than to the first rating that is on the scale. A file without any record is fine: there is
    nothing to be read by a wrong name.

    Args:
        path: The file.
        rating_field: Name of the field with the rating.
        rating_scale: The worst rating and the best.

    Raises:
        InvalidArgumentError: No record has the field, holds a rating in it, or has one on the scale; names the fields
            that hold numbers, or the numbers found.
    """
    scale = RatingScale.of(rating_scale)
    records = present = 0
    fields: Counter[str] = Counter()
    numbers: Counter[str] = Counter()
    lowest, highest = math.inf, -math.inf
    for row in feedback_rows(path, rating_field):
        records += 1
        given = row.get(rating_field)
        if given is not None:
            present += 1
            if _is_rating(given, scale):
                return
            if (number := _number(given)) is not None:
                lowest, highest = min(lowest, number), max(highest, number)
        others = {name: value for name, value in row.items() if name not in {*RESERVED_FIELDS, rating_field}}
        fields.update(others.keys())
        numbers.update(name for name, value in others.items() if _is_rating(value, _ANY_SCALE))
    if not records:
        return
    of_file = f"of the {records:,} records of {path.name!r}"
    if lowest <= highest:
        raise InvalidArgumentError(
            f"feedback: no rating of {_quoted(rating_field)} {of_file} is on the scale from {scale.worst:g} to "
            f"{scale.best:g}: found {lowest:g} to {highest:g}; give the worst and the best rating as rating_scale, on "
            "the command line as --rating-scale"
        )
    found = "holds a rating in" if present else "has"
    raise InvalidArgumentError(
        f"feedback: none {of_file} {found} the field {_quoted(rating_field)}; "
        f"{_choice(numbers, fields, 'a number')}: name the one with the rating as rating_field, on the command line as "
        "--rating-field"
    )


def check_turns_field(path: Path, *, turns_field: str) -> None:
    """Raise when no record of a file is a conversation of a known form, or has turns where they were said to be.

    It reads no further than to the first conversation.

    Args:
        path: The file.
        turns_field: Name of the field with the turns.

    Raises:
        InvalidArgumentError: There is no conversation, and some record is of no known form; names the fields that hold
            lists of objects.
    """
    of_no_form = 0
    for found in conversation_reader(path, turns_field=turns_field)():
        if not isinstance(found, BadRecord):
            return
        of_no_form += found.reason in {UNKNOWN_FORM, f"{turns_field} is no list"}
    if not of_no_form:
        return
    fields: Counter[str] = Counter()
    lists: Counter[str] = Counter()
    records = 0
    for row in _rows(read_json_lines(path, path.name)):
        records += 1
        fields.update(map(str, row))
        lists.update(str(name) for name, value in row.items() if _may_be_turns(value))
    raise InvalidArgumentError(
        f"conversations: none of the {records:,} records of {path.name!r} is of a known form or has a list of turns in "
        f"the field {_quoted(turns_field)}; {_choice(lists, fields, 'a list of objects')}: name the one with the turns "
        "as turns_field, on the command line as --turns-field"
    )


def _rows(records: Iterable[tuple[str, object]]) -> Iterator[Mapping[str, Any]]:
    for _, record in records:
        if isinstance(record, Mapping):
            yield record


def _is_rating(value: object, scale: RatingScale) -> bool:
    try:
        scale.stars(value)
    except UnusableError:
        return False
    return True


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _may_be_turns(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) for one in value)


def _choice(likely: Counter[str], all_of_them: Counter[str], what: str) -> str:
    """Name the fields that may be meant, the most frequent first; without any, those that there are."""
    if named := _names(likely):
        return f"fields with {what}: {named}"
    return f"no field holds {what}, there are {_names(all_of_them) or 'none with a name to show'}"


def _names(fields: Counter[str]) -> str:
    shown = [name for name in fields if name.isprintable() and len(name) <= _LONGEST_NAME]
    shown.sort(key=lambda name: (-fields[name], name))
    more = f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
    return ", ".join(map(repr, shown[:_NAMED])) + more


def _quoted(name: str) -> str:
    return repr(name[:_LONGEST_NAME])
