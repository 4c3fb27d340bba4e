"""Reading rated answers and documents, as the old generator did; §8 of the old calls."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from tests.compat.training_fakes import NOW, Client, Store, entry, generator, record
from training_data_generator_compat import TrainingDataGenerator

pytestmark = pytest.mark.filterwarnings("ignore::ragtime.errors.RagtimeDeprecationWarning")

ASKED = {"workspace_id": "workspace", "query_term": "rating", "category_filter": "UserFeedback", "limit": 500}


def _ago(**time: float) -> float:
    return (NOW - timedelta(**time)).timestamp()


# --- get_feedback_data --------------------------------------------------------------------------------------------


def test_the_client_is_asked_with_exactly_this_dict() -> None:
    client = Client()
    assert TrainingDataGenerator(client, "workspace").get_feedback_data() == []
    assert client.asked == [ASKED]


@pytest.mark.parametrize(("client", "workspace"), [(None, "workspace"), (Client(), None), (Client(), ""), (None, None)])
def test_without_client_or_workspace_there_is_no_feedback(client: Client | None, workspace: str | None) -> None:
    assert TrainingDataGenerator(client, workspace).get_feedback_data() == []
    assert client is None or client.asked == []


@pytest.mark.parametrize("answer", [RuntimeError("down"), OSError(), "text", {"value": {}}, ({"value": {}},), 3])
def test_a_failing_client_or_no_list_gives_no_feedback(answer: object) -> None:
    assert TrainingDataGenerator(Client(answer=answer), "workspace").get_feedback_data() == []


def test_an_object_that_is_no_client_gives_no_feedback() -> None:
    wrong: Any = object()
    assert TrainingDataGenerator(wrong, "workspace").get_feedback_data() == []


def test_values_are_dicts_or_json_texts_and_come_back_whole() -> None:
    first = entry(5, session_id="s", detailed_feedback={"comments": "good"})
    second = entry(1, response="An answer")
    client = Client(record(first), record(json.dumps(second)))
    assert TrainingDataGenerator(client, "workspace", clock=lambda: NOW).get_feedback_data() == [first, second]


@pytest.mark.parametrize(
    "bad",
    [
        record("{no json"),
        record("[1]"),
        record(None),
        record(7),
        {"key": "no value"},
        "no record",
        None,
        *(record({name: value for name, value in entry().items() if name != lacking}) for lacking in entry()),
        pytest.param(record(entry(query=None)), id="G2-a-null-query"),
        record(entry(query=["How", "are", "you"])),
        record(entry(query="Two words")),
        record(entry(query="  ")),
    ],
)
def test_an_entry_that_cannot_be_used_costs_only_itself(bad: object) -> None:  # G1/G2
    good = entry()
    client = Client(bad, record(good), bad)
    assert TrainingDataGenerator(client, "workspace", clock=lambda: NOW).get_feedback_data() == [good]


def test_a_query_has_as_many_words_as_the_attribute_says() -> None:
    made = generator(entry(query="Two words"), entry(query=" And  three words "), entry(query="This has four words"))
    assert [one["query"] for one in made.get_feedback_data()] == [" And  three words ", "This has four words"]
    made.min_query_length = 4
    assert [one["query"] for one in made.get_feedback_data()] == ["This has four words"]
    made.min_query_length = 0
    assert len(made.get_feedback_data()) == 3


def test_ratings_and_ids_need_only_be_present() -> None:
    odd = entry(rating=None, ids=[])  # G15/G16: stored feedback has no ids, and is feedback nevertheless
    assert generator(odd).get_feedback_data() == [odd]


@pytest.mark.parametrize(
    ("timestamp", "kept"),
    [
        (_ago(days=89), True),
        (_ago(days=90), True),
        (_ago(days=90, seconds=1), False),
        (int(_ago(days=1)), True),
        (_ago(days=-1), True),
        (datetime.fromtimestamp(_ago(days=89)).isoformat(), True),  # noqa: DTZ006 - local time, as it was logged
        (datetime.fromtimestamp(_ago(days=91)).isoformat(), False),  # noqa: DTZ006 - as above
        pytest.param("2026-01-30T12:00:00Z", True, id="G1-Z"),
        pytest.param("2026-01-30T12:00:00+05:30", True, id="G1-a-time-zone"),
        pytest.param("2025-10-01T12:00:00Z", False, id="G1-an-old-one"),
        ("2026-01-30", True),
        ("yesterday", False),
        ("", False),
        (str(_ago(days=1)), False),
        (None, False),
        (True, False),
        ([_ago(days=1)], False),
        ({}, False),
        (float("nan"), False),
        (float("inf"), False),
        (10**400, False),
        ("0001-01-01T00:00:00", False),
    ],
)
def test_ages(timestamp: object, kept: bool) -> None:
    dated, other = entry(timestamp=timestamp), entry(query="One that is always there")
    assert generator(dated, other).get_feedback_data() == ([dated, other] if kept else [other])


@pytest.mark.parametrize("days_back", [0, -1])
def test_without_days_any_age_will_do_and_no_time_is_needed(days_back: int) -> None:
    old, timeless, odd = entry(timestamp=0.0), entry(), entry(timestamp="yesterday")
    del timeless["timestamp"]
    assert generator(old, timeless, odd).get_feedback_data(days_back) == [old, timeless, odd]


@pytest.mark.parametrize(("days_back", "kept"), [(30, 1), (31, 2), (10**12, 2), (30.5, 1)])
def test_days_by_position_and_by_name(days_back: float, kept: int) -> None:
    made = generator(entry(), entry(timestamp=_ago(days=31)))
    assert len(made.get_feedback_data(days_back)) == kept
    assert len(made.get_feedback_data(days_back=days_back, min_samples=2)) == kept


def test_days_that_are_no_number_give_nothing() -> None:
    wrong: Any = "90"
    assert generator(entry()).get_feedback_data(wrong) == []


def test_few_samples_only_warn(caplog: pytest.LogCaptureFixture) -> None:
    made = generator(entry())
    assert len(made.get_feedback_data(min_samples=2)) == 1
    assert [one.levelname for one in caplog.records if one.getMessage() == "There is little feedback"] == ["WARNING"]
    caplog.clear()
    assert len(made.get_feedback_data(90, 1)) == 1
    assert not [one for one in caplog.records if one.levelname == "WARNING"]


def test_logs_hold_no_text(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    secret = "the canary sings aloud"
    failing = generator(entry(query=secret, timestamp=secret))
    failing.chroma_db = Store(failure=RuntimeError(secret))
    assert failing.get_feedback_data() == []
    assert failing.generate_positive_pairs([entry(query=secret)]) == []
    assert TrainingDataGenerator(Client(answer=RuntimeError(secret)), "workspace").get_feedback_data() == []
    assert caplog.records
    assert not any(secret in str(vars(one)) for one in caplog.records)


@pytest.mark.parametrize("number", [np.int64, np.float64, np.float32])
def test_times_and_days_may_be_numbers_of_numpy(number: Any) -> None:
    made = generator(entry(timestamp=number(NOW.timestamp())), entry(timestamp=number(_ago(days=31))))
    assert len(made.get_feedback_data(number(30))) == 1


@pytest.mark.parametrize("wrong", [None, "10"])
def test_a_limit_that_is_no_number_gives_nothing(wrong: Any) -> None:
    made = generator(entry())
    assert made.get_feedback_data(90, wrong) == []
    made.min_query_length = wrong
    assert made.get_feedback_data() == []


# --- get_document_content -----------------------------------------------------------------------------------------


def test_documents_by_id_in_the_order_asked() -> None:
    made = generator(documents={"a": "Text a.", "b": "Text b."})
    assert list(made.get_document_content(["b", "x", "a"]).items()) == [("b", "Text b."), ("a", "Text a.")]


def test_only_missing_documents_are_asked_for_and_each_once() -> None:
    store = Store({"a": "Text a.", "b": "Text b."})
    made = TrainingDataGenerator(chroma_db=store)
    made.get_document_content(["a", "a"])
    made.get_document_content(["a", "b"])
    assert made.get_document_content(["b", "a"]) == {"a": "Text a.", "b": "Text b."}
    assert store.asked == [["a"], ["b"]]
    TrainingDataGenerator(chroma_db=store).get_document_content(["a"])
    assert store.asked[2:] == [["a"]], "the cache is of an object, not of the class"


def test_empty_texts_and_ids_of_another_kind_are_left_out() -> None:
    made = generator(documents={"a": "", "b": None, "c": " \n", "d": "Text d."})
    wrong: Any = [None, 3, ["a"], "a", "b", "c", "d"]
    assert made.get_document_content(wrong) == {"d": "Text d."}


def test_no_store_gives_nothing() -> None:
    assert TrainingDataGenerator().get_document_content(["a"]) == {}


@pytest.mark.parametrize(
    "found", [None, [], {}, {"ids": ["a"]}, {"ids": ["a"], "documents": None}, {"ids": ["a", "b"], "documents": ["x"]}]
)
def test_a_store_that_answers_oddly_gives_nothing(found: object) -> None:
    class Odd:
        def get(self, **_ids: object) -> object:
            return found

    assert TrainingDataGenerator(chroma_db=Odd()).get_document_content(["a"]) == {}


@pytest.mark.parametrize("ids", [None, 3])
def test_ids_that_are_no_list_give_nothing(ids: Any) -> None:
    assert generator().get_document_content(ids) == {}


def test_a_failing_store_gives_nothing_and_may_recover() -> None:
    store = Store({"a": "Text a."}, failure=RuntimeError("down"))
    made = TrainingDataGenerator(chroma_db=store)
    assert made.get_document_content(["a"]) == {}
    store.failure = None
    assert made.get_document_content(["a"]) == {"a": "Text a."}


def test_the_time_zone_of_the_clock_does_not_matter() -> None:
    made = generator(entry(timestamp="2026-01-30T12:00:00Z"), clock=NOW.astimezone)
    assert len(made.get_feedback_data(1)) == 1
