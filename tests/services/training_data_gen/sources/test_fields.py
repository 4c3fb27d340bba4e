"""Names of fields that no record has: refused before any work, with those that there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragtime.errors import InvalidArgumentError
from ragtime.services.training_data_gen.sources.fields import check_rating_field, check_turns_field


def _file(path: Path, *rows: Any) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def _rated(**fields: Any) -> dict[str, Any]:
    return {"id": "7", "query": "How long are returns free?", "timestamp": 1767600977.25, **fields}


def _check(path: Path, field: str = "rating", scale: tuple[float, float] = (1, 5)) -> None:
    check_rating_field(path, rating_field=field, rating_scale=scale)


def _refused(path: Path, field: str = "rating", scale: tuple[float, float] = (1, 5)) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        _check(path, field, scale)
    return str(caught.value)


# --- ratings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rating", [4, "4", "8/10", True, "up"])
def test_one_rating_is_enough(tmp_path: Path, rating: object) -> None:
    _check(_file(tmp_path / "ratings.jsonl", _rated(), "no JSON", _rated(rating=17), _rated(rating=rating)))


@pytest.mark.parametrize("content", ["", "\n\n", "no JSON\n", "[1, 2]\n"])
def test_a_file_without_records_has_no_wrong_field(tmp_path: Path, content: str) -> None:
    (tmp_path / "ratings.jsonl").write_text(content)
    _check(tmp_path / "ratings.jsonl")


def test_a_field_that_no_record_has_is_refused_with_those_that_hold_numbers(tmp_path: Path) -> None:
    rows = [_rated(mean_rating=3.5, win_rate=[50.0], model="secret words", votes="2") for _ in range(3)]
    told = _refused(_file(tmp_path / "ratings.jsonl", *rows))
    assert told == (
        "feedback: none of the 3 records of 'ratings.jsonl' has the field 'rating'; fields with a number: "
        "'mean_rating', 'votes': name the one with the rating as rating_field, on the command line as --rating-field"
    )


def test_without_any_number_all_fields_are_named(tmp_path: Path) -> None:
    told = _refused(_file(tmp_path / "ratings.jsonl", _rated(verdict="fine", **{"x" * 50: 1, "a\nb": 2})))
    assert "no field holds a number, there are 'verdict'" in told
    assert "xxx" not in told


def test_many_fields_are_cut_short(tmp_path: Path) -> None:
    told = _refused(_file(tmp_path / "ratings.jsonl", _rated(**{f"score_{number:02}": number for number in range(13)})))
    assert "'score_09' and 3 more:" in told


def test_a_field_that_holds_no_rating_is_refused(tmp_path: Path) -> None:
    rows = [_rated(ratings={"clarity": 4}, mean=3)]
    told = _refused(_file(tmp_path / "ratings.jsonl", *rows), "ratings")
    assert "none of the 1 records of 'ratings.jsonl' holds a rating in the field 'ratings'" in told
    assert "'mean'" in told


@pytest.mark.parametrize("ratings", [(0, 0.5, 0.9), ("0", "0.5", " 0.9")])
def test_ratings_on_another_scale_are_refused_with_those_found(tmp_path: Path, ratings: tuple[object, ...]) -> None:
    told = _refused(_file(tmp_path / "ratings.jsonl", *(_rated(rating=rating) for rating in ratings)))
    assert "is on the scale from 1 to 5: found 0 to 0.9" in told
    assert "--rating-scale" in told


def test_entries_of_a_log_and_json_lists_are_looked_into(tmp_path: Path) -> None:
    entries = [{"key": "k", "value": json.dumps(_rated(score=3))}, {"key": "l", "value": _rated(score=9)}]
    assert "'score'" in _refused(_file(tmp_path / "log.jsonl", *entries))
    _check(_file(tmp_path / "log.jsonl", *entries), "score")
    (tmp_path / "ratings.json").write_text(json.dumps([_rated(score=3)]))
    assert "of the 1 records of 'ratings.json'" in _refused(tmp_path / "ratings.json")


# --- turns ----------------------------------------------------------------------------------------------------------

_TURNS = [{"role": "user", "content": "How long are returns free?"}, {"role": "assistant", "content": "30 days."}]
_SHARED = [{"from": "human", "value": "How long are returns free?"}, {"from": "gpt", "value": "30 days."}]


@pytest.mark.parametrize("record", [{"turns": _TURNS}, {"messages": _TURNS}, {"conversations": _SHARED}])
def test_one_conversation_of_a_known_form_is_enough(tmp_path: Path, record: dict[str, Any]) -> None:
    check_turns_field(_file(tmp_path / "chats.jsonl", {"log": 1}, "no JSON", record), turns_field="turns")


def test_turns_that_nobody_named_are_refused_with_the_fields_that_may_hold_them(tmp_path: Path) -> None:
    path = _file(tmp_path / "chats.jsonl", {"id": "c", "log": _TURNS, "tags": ["a"]}, {"id": "d", "log": _TURNS}, "?")
    with pytest.raises(InvalidArgumentError) as caught:
        check_turns_field(path, turns_field="turns")
    assert str(caught.value) == (
        "conversations: none of the 2 records of 'chats.jsonl' is of a known form or has a list of turns in the field "
        "'turns'; fields with a list of objects: 'log': name the one with the turns as turns_field, on the command "
        "line as --turns-field"
    )
    check_turns_field(path, turns_field="log")
    with pytest.raises(InvalidArgumentError, match="in the field 'tags'"):
        check_turns_field(path, turns_field="tags")


@pytest.mark.parametrize("rows", [(), ("?",), ({"turns": [{"role": "user"}]},)])
def test_what_is_wrong_otherwise_is_left_to_the_reader(tmp_path: Path, rows: tuple[Any, ...]) -> None:
    check_turns_field(_file(tmp_path / "chats.jsonl", *rows), turns_field="turns")
