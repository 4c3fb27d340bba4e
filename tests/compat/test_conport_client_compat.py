"""The wrapper of ``conport_client``: its files, its search, its workspaces, and what it refuses."""

from __future__ import annotations

import inspect
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conport_client_compat import ConPortClient, get_conport_client, initialize_conport_client
from ragtime.errors import RagtimeDeprecationWarning

pytestmark = pytest.mark.filterwarnings("ignore::ragtime.errors.RagtimeDeprecationWarning")

DATA = Path(__file__).parent / "data" / "conport"
FOLDER = Path(".conport_local")


@pytest.fixture
def client() -> ConPortClient:
    return ConPortClient()


@pytest.fixture
def old_records() -> Path:
    """What the old system wrote, in the folder of the test."""
    return shutil.copytree(DATA, FOLDER)


def search(client: ConPortClient, term: str = "", category: str = "", **more: object) -> list[dict[str, Any]]:
    return client.search_custom_data_value_fts({"query_term": term, "category_filter": category, **more})


def keys(records: list[dict[str, Any]]) -> list[str]:
    return [record["key"] for record in records]


def everything_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


# --- names, signatures, warnings ----------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [ConPortClient, get_conport_client, initialize_conport_client])
def test_each_use_warns_once_at_the_callers_line(call: Callable[[], object]) -> None:
    with pytest.warns(RagtimeDeprecationWarning, match=rf"conport_client\.{call.__name__} .* 2\.0\.0") as told:
        call()
    assert [warning.filename for warning in told] == [__file__]
    assert "ragtime.storage.conport" in str(told[0].message)
    assert "ragtime migrate" in str(told[0].message)


@pytest.mark.parametrize(
    ("call", "old"),
    [
        (ConPortClient, {"workspace_id": None}),
        (get_conport_client, {"workspace_id": None}),
        (initialize_conport_client, {"workspace_id": None}),
        (
            ConPortClient.log_custom_data,
            {"self": ..., "category": ..., "key": ..., "value": ..., "metadata": None},
        ),
        (ConPortClient.search_custom_data_value_fts, {"self": ..., "params": ...}),
        (ConPortClient.get_workspace_id, {"self": ...}),
        (ConPortClient.is_client_available, {"self": ...}),
    ],
)
def test_parameters_have_their_names_order_and_defaults(call: Callable[..., object], old: dict[str, object]) -> None:
    found = inspect.signature(call).parameters
    positional = [parameter for parameter in found.values() if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    assert [parameter.name for parameter in positional] == list(old)
    assert {p.name: ... if p.default is p.empty else p.default for p in positional} == old


def test_the_workspace_is_the_argument_or_the_current_folder(tmp_path: Path) -> None:
    assert ConPortClient("rag").workspace_id == "rag"
    assert ConPortClient(workspace_id="rag").get_workspace_id() == "rag"
    assert ConPortClient().get_workspace_id() == str(tmp_path)


def test_a_workspace_may_be_a_path(tmp_path: Path) -> None:
    for wanted, name in ((tmp_path, str(tmp_path)), (Path("other"), "other"), (7, "7")):
        workspace: Any = wanted
        made = ConPortClient(workspace)
        assert made.get_workspace_id() == name
        assert made.log_custom_data("c", name.replace("/", "_"), 1)
        assert [one["workspace_id"] for one in search(made) if one["workspace_id"] == name] == [name]


@pytest.mark.parametrize("category", [None, 5, ["c"]])
def test_a_category_that_is_no_text_is_refused(category: Any, client: ConPortClient) -> None:
    assert client.log_custom_data(category, "k", 1) is False
    assert not FOLDER.exists()


def test_it_is_always_available(client: ConPortClient) -> None:
    assert client.is_available is True
    assert client.is_client_available() is True


def test_importing_is_silent_writes_nothing_and_loads_nothing_heavy(tmp_path: Path) -> None:
    code = "import sys; from conport_client_compat import *; print(sorted({*sys.argv[1].split()} & {*sys.modules}))"
    command = [sys.executable, "-W", "error", "-c", code, "torch transformers pandas datasets mcp httpx requests"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
    assert not list(tmp_path.iterdir())


def test_construction_writes_nothing(client: ConPortClient, tmp_path: Path) -> None:
    assert search(client) == []
    assert list(tmp_path.iterdir()) == []


# --- files --------------------------------------------------------------------------------------------------------


def test_a_record_is_a_file_of_its_category_and_key(tmp_path: Path) -> None:
    noon = datetime(2026, 1, 2, 12, 0, 0, 250000, tzinfo=UTC)
    client = ConPortClient("rag", clock=lambda: noon)
    value = {"query": "Größe?", "rating": 5}
    assert client.log_custom_data("UserFeedback", "feedback_1", value, {"rating": 5}) is True
    path = tmp_path / ".conport_local" / "UserFeedback" / "feedback_1.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    local = noon.astimezone().replace(tzinfo=None).isoformat()
    assert record == {
        "key": "feedback_1", "value": value, "metadata": {"rating": 5}, "timestamp": local, "workspace_id": "rag",
    }  # fmt: skip
    assert list(record) == ["key", "value", "metadata", "timestamp", "workspace_id"]
    assert path.read_text(encoding="utf-8").startswith('{\n  "key": "feedback_1",\n  "value": {\n    "query"')
    assert everything_below(FOLDER) == {"UserFeedback/feedback_1.json"}


def test_the_timestamp_is_an_iso_string_of_local_time(client: ConPortClient) -> None:
    client.log_custom_data("Notes", "a", 1)
    told = datetime.fromisoformat(search(client)[0]["timestamp"])
    assert told.tzinfo is None
    assert abs((datetime.now() - told).total_seconds()) < 60  # noqa: DTZ005 - as the callers compare it


@pytest.mark.parametrize("value", [None, True, 1, 2.5, "text", [], {}, [1, {"a": [None]}], "日本 🎈"])
def test_any_json_value_comes_back_as_it_was(value: object, client: ConPortClient) -> None:
    assert client.log_custom_data("Notes", "a", value)
    assert [record["value"] for record in search(client)] == [value]


def test_metadata_is_an_empty_object_when_there_is_none(client: ConPortClient) -> None:
    client.log_custom_data("Notes", "a", 1)
    assert search(client)[0]["metadata"] == {}


def test_the_same_key_is_replaced(client: ConPortClient) -> None:
    assert client.log_custom_data("Notes", "a", 1)
    assert client.log_custom_data("Notes", "a", 2)
    assert [record["value"] for record in search(client)] == [2]


@pytest.mark.parametrize("key", ["2025-01-01T12:00:00.5", "a b", "ä", ".hidden", "a.json", "..", "", "~", "-"])
def test_any_key_that_is_a_file_name_is_taken(key: str, client: ConPortClient) -> None:
    assert client.log_custom_data("Notes", key, key) is True
    assert everything_below(FOLDER) == {f"Notes/{key}.json"}
    assert keys(search(client)) == [key]


@pytest.mark.parametrize(
    "value", [{1, 2}, object(), float("nan"), {"a": b"bytes"}, "\ud800"], ids=["set", "object", "NaN", "bytes", "half"]
)
def test_what_is_no_json_is_not_stored(value: object, client: ConPortClient, caplog: pytest.LogCaptureFixture) -> None:
    assert client.log_custom_data("Notes", "a", value) is False
    assert not FOLDER.exists() or everything_below(FOLDER) == set()
    assert caplog.records[-1].levelno == logging.WARNING


def test_a_disk_that_fails_gives_false_and_leaves_the_old_record(client: ConPortClient) -> None:
    FOLDER.write_text("a file in the place of the folder")
    assert client.log_custom_data("Notes", "a", 1) is False
    assert search(client) == []


@pytest.mark.parametrize(
    ("category", "key"),
    [
        ("Notes", "../../x"),
        ("Notes", "/absolute/x"),
        ("Notes", "a/b"),
        ("Notes", "../Other/x"),
        ("Notes", "a\0b"),
        ("..", "x"),
        (".", "x"),
        ("", "x"),
        ("../..", "x"),
        ("/absolute", "x"),
        ("a/b", "x"),
        ("Notes", "x" * 300),
    ],
)
def test_a_key_or_category_that_leaves_its_folder_is_refused(
    category: str, key: str, tmp_path: Path, client: ConPortClient, caplog: pytest.LogCaptureFixture
) -> None:  # K1
    inside = tmp_path / "inside" / "program"
    inside.mkdir(parents=True)
    os.chdir(inside)
    assert client.log_custom_data(category, key, "a private value") is False
    assert everything_below(tmp_path) == set()
    assert "was not stored" in caplog.text
    assert "private" not in caplog.text


@pytest.mark.parametrize("kind", ["category", "file"])
def test_links_that_lead_out_are_refused(kind: str, tmp_path: Path, client: ConPortClient) -> None:  # K1
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.json").write_text("untouched")
    if kind == "category":
        FOLDER.mkdir()
        (FOLDER / "Notes").symlink_to(outside, target_is_directory=True)
    else:
        (FOLDER / "Notes").mkdir(parents=True)
        (FOLDER / "Notes" / "x.json").symlink_to(outside / "x.json")
    assert client.log_custom_data("Notes", "x", 1) is False
    assert (outside / "x.json").read_text() == "untouched"


@settings(max_examples=60)
@given(category=st.text(max_size=12), key=st.text(max_size=12), value=st.text(st.characters(codec="utf-8"), max_size=8))
def test_whatever_the_names_are_nothing_is_written_elsewhere_and_true_means_found(
    category: str, key: str, value: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("program")
    (folder / "inside").mkdir()
    os.chdir(folder / "inside")
    client = ConPortClient()
    if client.log_custom_data(category, key, value):
        assert [(record["key"], record["value"]) for record in search(client, category=category)] == [(key, value)]
    assert all(path.startswith("inside/.conport_local/") for path in everything_below(folder))


# --- search -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("old_records")
def test_records_of_the_old_system_load_whole(client: ConPortClient) -> None:
    found = search(client, "rating", "UserFeedback", workspace_id="anything", limit=500)
    paths = sorted((DATA / "UserFeedback").iterdir())
    assert found == [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    assert set(found[0]) == {"key", "value", "metadata", "timestamp", "workspace_id"}


@pytest.mark.usefixtures("old_records")
@pytest.mark.parametrize(
    ("term", "category", "expected"),
    [
        ("", "", ["current", "feedback_7c1d", "feedback_9e02"]),
        ("rating", "", ["current", "feedback_7c1d", "feedback_9e02"]),
        ("RATING", "UserFeedback", ["feedback_7c1d", "feedback_9e02"]),
        ('"rating": 5', "", ["feedback_7c1d"]),
        ("overnight", "", ["feedback_9e02"]),
        ("ight", "UserFeedback", ["feedback_7c1d", "feedback_9e02"]),
        ("rating", "ModelStatus", ["current"]),
        ("rating", "Nothing", []),
        ("feedback_7c1d", "", []),
        ("2025-01-01", "", []),
    ],
    ids=["all", "every category", "any case", "JSON", "a value", "part of a word", "category", "none", "key", "time"],
)
def test_a_term_is_searched_in_the_json_of_values_in_any_case(
    term: str, category: str, expected: list[str], client: ConPortClient
) -> None:
    assert keys(search(client, term, category)) == expected


@pytest.mark.usefixtures("old_records")
@pytest.mark.parametrize("term", ["groß", "GROSS", "GROß", "wie groß ist"])
def test_terms_beyond_ascii_are_found_in_old_records(term: str, client: ConPortClient) -> None:  # K2
    assert keys(search(client, term)) == ["feedback_7c1d"]


@pytest.mark.parametrize("term", ["größe", "GRÖSSE", "日本", "🎈", "Ё", "ё"])
def test_terms_beyond_ascii_are_found_in_new_records(term: str, client: ConPortClient) -> None:  # K2
    client.log_custom_data("Notes", "a", {"text": "Die Größe in 日本 🎈 Ёлка"})
    client.log_custom_data("Notes", "b", {"text": "Die Grosse"})
    assert "a" in keys(search(client, term))


def test_the_limit_is_100_unless_given(client: ConPortClient) -> None:
    for number in range(103):
        client.log_custom_data("Notes", f"{number:03}", number)
    assert keys(client.search_custom_data_value_fts({})) == [f"{number:03}" for number in range(100)]
    assert len(search(client, limit=None)) == 100
    assert len(search(client, limit=500)) == 103
    assert keys(search(client, limit=2)) == ["000", "001"]
    assert search(client, limit=0) == search(client, limit=-1) == []


@pytest.mark.parametrize(
    "params",
    [None, [], {"query_term": 5}, {"limit": "many"}, {"category_filter": "../other"}, {"category_filter": "a/b"}],
)
@pytest.mark.usefixtures("old_records")
def test_wrong_parameters_find_nothing(params: Any, client: ConPortClient, caplog: pytest.LogCaptureFixture) -> None:
    Path("other").mkdir()
    Path("other", "x.json").write_text('{"key": "x", "value": 1}')
    assert client.search_custom_data_value_fts(params) == []
    assert "could not be searched" in caplog.text


@pytest.mark.usefixtures("old_records")
@pytest.mark.parametrize("content", ["{broken", "[]", "null", '{"key": "x"}', "", "[" * 100_000, "\udc80"])
def test_a_bad_record_costs_only_itself(content: str, client: ConPortClient, caplog: pytest.LogCaptureFixture) -> None:
    bad = FOLDER / "UserFeedback" / "bad.json"
    bad.write_bytes(content.encode("utf-8", "surrogateescape"))
    assert keys(search(client, "rating", "UserFeedback")) == ["feedback_7c1d", "feedback_9e02"]
    assert "bad.json" in str([vars(record) for record in caplog.records])
    assert client.log_custom_data("UserFeedback", "bad", {"rating": 1})
    assert keys(search(client, "rating", "UserFeedback")) == ["bad", "feedback_7c1d", "feedback_9e02"]


def test_other_files_are_nobodys_records(client: ConPortClient) -> None:
    client.log_custom_data("Notes", "a", 1)
    (FOLDER / "Notes" / "readme.txt").write_text("hello")
    (FOLDER / "loose.json").write_text('{"key": "loose", "value": 1}')
    assert keys(search(client)) == ["a"]


# --- workspaces ---------------------------------------------------------------------------------------------------


def test_a_named_workspace_sees_its_own_records_only() -> None:  # K3
    first, second = ConPortClient("first"), ConPortClient("second")
    first.log_custom_data("Notes", "a", 1)
    second.log_custom_data("Notes", "b", 2)
    assert (keys(search(first)), keys(search(second)), keys(search(ConPortClient()))) == (["a"], ["b"], ["a", "b"])
    assert everything_below(FOLDER) == {"Notes/a.json", "Notes/b.json"}


def test_the_same_key_in_two_workspaces_is_two_records() -> None:  # K3
    first, second = ConPortClient("first"), ConPortClient("second")
    for number, client in enumerate([first, second, first, second]):
        assert client.log_custom_data("Notes", "a", number)
    assert [record["value"] for record in search(first)] == [2]
    assert [record["value"] for record in search(second)] == [3]
    assert json.loads((FOLDER / "Notes" / "a.json").read_text())["workspace_id"] == "first"
    (FOLDER / "Notes" / "a.json").unlink()
    assert second.log_custom_data("Notes", "a", 4)
    assert [record["value"] for record in search(second)] == [4]


@pytest.mark.usefixtures("old_records")
@pytest.mark.parametrize("named", [False, True], ids=["unnamed", "named as the current folder"])
def test_the_workspace_of_the_current_folder_has_all_records_of_it(named: bool) -> None:
    client = ConPortClient(str(Path.cwd()) if named else None)
    assert client.log_custom_data("ModelStatus", "current", "replaced")
    assert [record["value"] for record in search(client, category="ModelStatus")] == ["replaced"]
    assert keys(search(ConPortClient("/srv/rag"))) == ["feedback_7c1d", "feedback_9e02"]


def test_a_record_without_a_workspace_is_everybodys() -> None:
    (FOLDER / "Notes").mkdir(parents=True)
    (FOLDER / "Notes" / "a.json").write_text('{"key": "a", "value": 1}')
    assert keys(search(ConPortClient("first"))) == ["a"]


# --- the shared client --------------------------------------------------------------------------------------------


def test_there_is_one_shared_client() -> None:
    made = initialize_conport_client("first")
    assert made.workspace_id == "first"
    assert get_conport_client() is made
    assert get_conport_client("first") is made
    assert get_conport_client(workspace_id="first") is made
    replaced = initialize_conport_client()
    assert get_conport_client() is replaced is not made
    assert replaced.workspace_id == str(Path.cwd())


def test_the_first_call_makes_it() -> None:
    code = (
        "from conport_client_compat import get_conport_client as get; made = get('first'); "
        "print(made.workspace_id, get() is made)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "first True\n"


def test_another_workspace_gets_another_client() -> None:  # K4
    first = initialize_conport_client("first")
    second = get_conport_client("second")
    assert (first.workspace_id, second.workspace_id) == ("first", "second")
    assert get_conport_client("second") is second
    assert get_conport_client() is get_conport_client("first") is first
