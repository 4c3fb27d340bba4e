"""The embedded decision log: its files, many writers, names of any kind, damage."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.records.decisions import ItemRef
from ragtime.storage.conport import JsonDecisionLog

_WRITER = """
import sys
from ragtime.storage.conport import JsonDecisionLog
log = JsonDecisionLog(sys.argv[1])
sys.stdin.readline()
for number in range(int(sys.argv[3])):
    ref = log.log_decision(f"{sys.argv[2]}-{number}")
    log.log_custom_data("TrainingRuns", "shared", {"writer": sys.argv[2], "number": number})
    print(ref.id, flush=True)
"""


def test_people_can_read_the_files(tmp_path: Path) -> None:
    log = JsonDecisionLog(tmp_path, clock=lambda: datetime(2026, 11, 22, 18, 0, tzinfo=UTC))
    decision = log.log_decision("Über alles: 200 kept", tags=["ragtime"])
    log.log_custom_data("TrainingRuns", "run-1", {"kept": 200})
    log.log_pattern("synthetic: too long")
    log.link(decision, ItemRef(kind="custom_data", id="TrainingRuns:run-1"), "produced")
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert files == [
        "custom_data/TrainingRuns~e06d847d3a98/run-1.json",
        "decisions/000001.json",
        "links/000001.json",
        "patterns/synthetic-too-long~7eb2997b28e5.json",
    ]
    assert (tmp_path / "decisions/000001.json").read_text(encoding="utf-8") == (
        '{\n  "id": "1",\n  "logged_at": "2026-11-22T18:00:00Z",\n  "summary": "Über alles: 200 kept",\n'
        '  "rationale": null,\n  "details": null,\n  "tags": [\n    "ragtime"\n  ]\n}\n'
    )


def test_many_processes_share_the_numbers(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _WRITER, str(tmp_path)]
    writers = [
        subprocess.Popen([*command, name, "25"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in "abc"
    ]
    said = [writer.communicate("go\n")[0].split() for writer in writers]
    assert all(writer.returncode == 0 for writer in writers)
    log = JsonDecisionLog(tmp_path)
    decisions = log.decisions()
    assert sorted(int(each.id) for each in decisions) == list(range(1, 76))
    assert {each.summary for each in decisions} == {f"{name}-{number}" for name in "abc" for number in range(25)}
    for ids in said:
        assert list(map(int, ids)) == sorted(map(int, ids))
    (shared,) = log.custom_data("TrainingRuns", "shared")
    assert shared.value["number"] == 24


def test_a_number_whose_writer_was_killed_is_passed_over(tmp_path: Path) -> None:
    log = JsonDecisionLog(tmp_path)
    log.log_decision("first")
    (tmp_path / "decisions/000002.json").touch()  # what is left of a writer killed between two system calls
    (tmp_path / "decisions/.000002.json.0a1b.tmp").write_text('{"id"', encoding="utf-8")
    (tmp_path / "decisions/notes.json").write_text("somebody's own", encoding="utf-8")
    assert log.log_decision("third").id == "3"
    assert [each.summary for each in log.decisions()] == ["third", "first"]


def test_a_damaged_file_is_named_and_not_quoted(tmp_path: Path) -> None:
    log = JsonDecisionLog(tmp_path)
    log.log_decision("first")
    (tmp_path / "decisions/000001.json").write_text('{"id": "1", "summary": "secret"}', encoding="utf-8")
    with pytest.raises(StorageError, match=r"000001\.json' is no Decision \(1 problems\); repair it") as caught:
        log.decisions()
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_what_is_not_there_cannot_be_linked_or_updated(tmp_path: Path) -> None:
    log = JsonDecisionLog(tmp_path)
    decision = log.log_decision("first")
    for missing in (
        ItemRef(kind="decision", id="2"),
        ItemRef(kind="decision", id="../decisions/000001"),
        ItemRef(kind="custom_data", id="TrainingRuns:run-1"),
        ItemRef(kind="system_pattern", id="p"),
        ItemRef(kind="product_context", id="1"),
    ):
        with pytest.raises(InvalidArgumentError, match="This log has no"):
            log.link(decision, missing, "r")
    with pytest.raises(InvalidArgumentError, match="has no progress_entry '7'"):
        log.update_progress(ItemRef(kind="progress_entry", id="7"), status="DONE")
    assert log.links(decision) == []


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "conport").write_text("a file", encoding="utf-8")
    with pytest.raises(StorageError, match="Cannot write"):
        JsonDecisionLog(tmp_path / "conport").log_decision("first")


_IDS = st.one_of(
    st.sampled_from(["a", "A", "run-1", "Run-1", "run-1~", "..", "../../x", "a/b", "con", "x" * 300, "é", "é", "a.b"]),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(
        lambda text: text == text.strip() and not set(text) & set("\t\r\n\0")
    ),
)


@given(keys=st.lists(_IDS, min_size=1, max_size=8, unique=True), category=_IDS.filter(lambda text: ":" not in text))
@settings(max_examples=40)
def test_every_id_has_a_file_of_its_own_within_the_folder(
    tmp_path_factory: pytest.TempPathFactory, keys: list[str], category: str
) -> None:
    root = tmp_path_factory.mktemp("log")
    log = JsonDecisionLog(root / "conport")
    for number, key in enumerate(keys):
        ref = log.log_custom_data(category, key, {"number": number})
        log.link(ref, ref, "same")
        assert len(log.links(ref)) == 1
    assert {each.key: each.value["number"] for each in log.custom_data(category)} == {
        key: number for number, key in enumerate(keys)
    }
    written = [path for path in root.rglob("*") if path.is_file()]
    assert all(path.is_relative_to(root / "conport") for path in written)
    names = [str(path).lower() for path in written if "custom_data" in path.parts]
    assert len(names) == len(set(names)) == len(keys)
    assert all(len(path.name.encode()) <= 255 for path in written)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
                    | st.text(st.characters(codec="utf-8")),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")),
                                                                                inner, max_size=3)))  # fmt: skip
@settings(max_examples=40)
def test_any_json_value_comes_back_equal(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    log = JsonDecisionLog(tmp_path_factory.mktemp("log"))
    log.log_custom_data("c", "k", value)
    (read,) = log.custom_data("c", "k")
    assert json.dumps(read.value) == json.dumps(value)
    assert hash(read) == hash(read.model_copy())
