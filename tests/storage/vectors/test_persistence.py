"""Indexes in a folder: what comes back, who may open them, and what each kind of damage leads to."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.storage.vectors import Hit, VectorIndex

JOURNAL, DATA, HEADER = "journal-1.log", "vectors-1.f32", "index.json"


def open_index(folder: Path, **options: object) -> VectorIndex:
    return VectorIndex.open(folder, **{"dimension": 2, "fingerprint": "f", **options})


def fill(folder: Path) -> None:
    """Three adds, one of them a replacement, and a removal."""
    with open_index(folder) as index:
        index.add(["a", "b", "ä\ud800"], [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
        index.remove(["b", "unknown"])
        index.add(["a", "c"], [[0.0, -1.0], [0.5, 0.5]])
        index.add(["d"], [[0.25, 0.25]])


FILLED = {"ä\ud800": [0.6, 0.8], "a": [0.0, -1.0], "c": [0.5, 0.5], "d": [0.25, 0.25]}


def content(index: VectorIndex) -> dict[str, list[float]]:
    return dict(zip(index.ids(), index.vectors(index.ids()).tolist(), strict=True))


def rounded(vectors: dict[str, list[float]]) -> dict[str, list[float]]:
    return {one: np.array(vector, np.float32).tolist() for one, vector in vectors.items()}


# --- coming back ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("durability", ["normal", "full"])
@pytest.mark.parametrize("memory_bytes", [0, 1 << 30])
def test_what_was_added_comes_back(tmp_path: Path, durability: Literal["normal", "full"], memory_bytes: int) -> None:
    folder = tmp_path / "new" / "index"
    with open_index(folder, durability=durability, memory_bytes=memory_bytes):
        pass
    fill(folder)
    for read_only in (False, True):
        with open_index(folder, read_only=read_only, memory_bytes=memory_bytes) as index:
            assert content(index) == rounded(FILLED)
            assert index.search([1.0, -1.0], 2) == [[Hit("a", 1.0), Hit("c", 0.0)]]
    assert sorted(path.name for path in folder.iterdir()) == [HEADER, JOURNAL, "lock", DATA]


OPERATION = st.one_of(
    st.tuples(st.just("add"), st.dictionaries(st.sampled_from("abcde"), st.integers(-9, 9), max_size=4)),
    st.tuples(st.just("remove"), st.sets(st.sampled_from("abcde"))),
    st.sampled_from([("compact", None), ("reopen", None)]),
)


@given(operations=st.lists(OPERATION, max_size=8))
def test_any_history_is_that_of_an_index_in_memory(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, object]]
) -> None:
    folder = tmp_path_factory.mktemp("index")
    memory = VectorIndex(2)
    stored = open_index(folder)
    for name, value in operations:
        if name == "reopen":
            stored.close()
            stored = open_index(folder)
        for index in (memory, stored):
            if isinstance(value, dict):
                index.add(list(value), np.array([[x, 1] for x in value.values()], np.int8).reshape(-1, 2))
            elif isinstance(value, set):
                index.remove(sorted(value))
            elif name == "compact":
                index.compact()
        assert content(stored) == content(memory)
        assert stored.search([[1, 0], [0, -1]], 3) == memory.search([[1, 0], [0, -1]], 3)
    stored.close()
    shutil.rmtree(folder)


def test_blocks_are_mapped_as_they_fill_and_when_opened(tmp_path: Path) -> None:
    """1,024 rows of 4,096 dimensions are a block of 16 MiB; 18 of them are more than are mapped one by one."""
    rng = np.random.default_rng(0)
    base = rng.standard_normal((1_024, 4_096), dtype=np.float32)
    ids = [f"{number:05}" for number in range(18 * 1_024 + 100)]
    with open_index(tmp_path, dimension=4_096, memory_bytes=16 << 20) as index:
        before = _anonymous_bytes()
        for first in range(0, len(ids), 1_000):
            numbers = np.arange(first, min(first + 1_000, len(ids)))
            index.add([ids[number] for number in numbers], base[numbers % 1_024] * (1 + numbers[:, None] // 1_024))
        assert _anonymous_bytes() - before < 200 << 20  # of 290 MiB
        index.remove(ids[:500])
        expected = index.search(base[5], 10)
        assert [hit.id for hit in expected[0][:2]] == [ids[18 * 1_024 + 5], ids[17 * 1_024 + 5]]
    with open_index(tmp_path, dimension=4_096, memory_bytes=16 << 20) as index:
        assert index.search(base[5], 10) == expected
        index.remove(ids[500:-100])
        index.compact()
        assert index.ids() == ids[-100:]
        np.testing.assert_array_equal(index.vectors(ids[-1:]), base[99:100] * 19)
    assert (tmp_path / "vectors-2.f32").stat().st_size == 100 * 4 * 4_096


def _anonymous_bytes() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon"))


def test_opening_and_compacting_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path)
    caplog.set_level(logging.INFO)
    with open_index(tmp_path) as index:
        index.compact()
        index.search([1.0, 0.0], 1)
        index.add(["e"], [[1.0, 0.0]])
    opened, compacted = caplog.records
    assert (opened.getMessage(), vars(opened)["vectors"]) == ("open_vector_index finished", 4)
    assert (compacted.getMessage(), vars(compacted)["rows_before"], vars(compacted)["rows"]) == (
        "compact_vector_index finished",
        6,
        4,
    )


# --- who may open it ------------------------------------------------------------------------------------------------


def test_one_writer_and_any_readers(tmp_path: Path) -> None:
    fill(tmp_path)
    with open_index(tmp_path) as writer:
        for _ in range(2):  # being refused gives nothing away
            with pytest.raises(StorageError, match=r"Another writer has the vector index in .* open.*read_only=True"):
                open_index(tmp_path)
        with open_index(tmp_path, read_only=True) as reader:
            writer.add(["e"], [[1.0, 0.0]])
            writer.remove(["a"])
            writer.compact()
            assert content(reader) == rounded(FILLED)
            with open_index(tmp_path, read_only=True) as later:
                assert later.ids() == ["ä\ud800", "c", "d", "e"]
        with pytest.raises(StorageError, match="Another writer"):
            open_index(tmp_path)
    with open_index(tmp_path) as index:
        assert len(index) == 4


def test_a_reader_changes_nothing(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "lock").unlink()
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with open_index(tmp_path, read_only=True) as index:
        for change in (lambda: index.add(["x"], [[1, 2]]), lambda: index.remove(["a"]), index.compact):
            with pytest.raises(StorageError, match="read_only=True"):
                change()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_closed_index_takes_no_calls(tmp_path: Path) -> None:
    index = open_index(tmp_path)
    index.add(["a"], [[1.0, 2.0]])
    index.close()
    index.close()
    for call in (
        lambda: index.add(["x"], [[1, 2]]),
        lambda: index.remove(["a"]),
        lambda: index.search([1, 2], 1),
        lambda: index.vectors(["a"]),
        index.compact,
    ):
        with pytest.raises(StorageError, match="closed"):
            call()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dimension": 3}, "has the dimension 2, expected 3"),
        ({"fingerprint": "g"}, "has the fingerprint 'f', expected 'g'.*another encoder.*a folder of its own"),
    ],
)
def test_another_encoder_is_refused(tmp_path: Path, options: dict[str, object], message: str) -> None:
    fill(tmp_path)
    with pytest.raises(StorageError, match=message):
        open_index(tmp_path, **options)
    open_index(tmp_path).close()  # the lock was released


def test_a_wrong_durability(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="'normal' or 'full', found 'none'"):
        open_index(tmp_path, durability="none")


def test_places_that_are_no_index(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="There is no vector index in"):
        open_index(tmp_path / "none", read_only=True)
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match=r"Cannot open the vector index in .*: (File exists|Not a directory)"):
        open_index(tmp_path / "file")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_a_folder_without_permission(tmp_path: Path) -> None:
    fill(tmp_path / "index")
    script = textwrap.dedent("""
        import mmap, os  # loaded before the rights to read it are given up
        from ragtime.errors import StorageError
        from ragtime.storage.vectors import VectorIndex
        os.chmod("index", 0o555)
        os.chmod(".", 0o755)
        if os.geteuid() == 0:
            os.seteuid(65534)
        with VectorIndex.open("index", dimension=2, fingerprint="f", read_only=True) as index:
            print(len(index))
        try:
            VectorIndex.open("index", dimension=2, fingerprint="f")
        except StorageError as error:
            print(error)
    """)
    result = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True)
    assert result.stdout == "4\nCannot open the vector index in 'index': Permission denied\n"


# --- damage ---------------------------------------------------------------------------------------------------------


def test_a_torn_last_change_is_cut_off_at_every_byte(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What a killed writer can leave: some of the rows and no line, or all of the rows and some of the line."""
    fill(tmp_path / "whole")
    journal, data = ((tmp_path / "whole" / name).read_bytes() for name in (JOURNAL, DATA))
    line = journal.rstrip(b"\n").rindex(b"\n") + 1
    states = [(line, size) for size in range(len(data) - 8, len(data) + 1)]
    states += [(size, len(data)) for size in range(line + 1, len(journal))]
    without = {one: vector for one, vector in FILLED.items() if one != "d"}
    for journal_size, data_size in states:
        folder = tmp_path / f"{journal_size}-{data_size}"
        shutil.copytree(tmp_path / "whole", folder)
        os.truncate(folder / JOURNAL, journal_size)
        os.truncate(folder / DATA, data_size)
        caplog.clear()
        with open_index(folder, read_only=True) as index:
            assert content(index) == rounded(without)
        assert not caplog.records
        with open_index(folder) as index:
            assert content(index) == rounded(without)
            whole = (journal_size, data_size) == (line, len(data) - 8)
            warnings = [record for record in caplog.records if record.levelname == "WARNING"]
            assert len(warnings) == (0 if whole else 1)
            if warnings:
                assert "half-written change is dropped" in warnings[0].getMessage()
                assert vars(warnings[0])["journal_bytes"] == journal_size - line
                assert vars(warnings[0])["data_bytes"] == data_size - len(data) + 8
            index.add(["d"], [FILLED["d"]])
        with open_index(folder) as index:
            assert content(index) == rounded(FILLED)


@pytest.mark.parametrize("missing", [1, 8, 9, 24, 48])
def test_rows_that_the_machine_lost_are_dropped_with_their_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, missing: int
) -> None:
    fill(tmp_path)
    os.truncate(tmp_path / DATA, (tmp_path / DATA).stat().st_size - missing)
    expected = {1: 3, 8: 3, 9: 2, 24: 2, 48: 0}[missing]
    with open_index(tmp_path, read_only=True) as index:
        assert len(index) == expected
    caplog.clear()
    with open_index(tmp_path) as index:
        assert len(index) == expected
    warning = next(record for record in caplog.records if "machine stopped" in record.getMessage())
    assert vars(warning)["vectors"] == {1: 1, 8: 1, 9: 3, 24: 3, 48: 6}[missing]
    caplog.clear()
    with open_index(tmp_path) as index:
        assert len(index) == expected
        index.add(["e"], [[1.0, 2.0]])
    with open_index(tmp_path) as index:
        assert len(index) == expected + 1
    assert not caplog.records


@pytest.mark.parametrize("name", [JOURNAL, DATA, HEADER])
def test_a_changed_bit_is_found_wherever_it_is(tmp_path: Path, name: str) -> None:
    fill(tmp_path)
    whole = (tmp_path / name).read_bytes()
    for position in range(len(whole)):
        if name == HEADER and whole[position : position + 1].isspace():
            continue  # between JSON's values, where it may change nothing
        changed = bytearray(whole)
        changed[position] ^= 1 << position % 8
        (tmp_path / name).write_bytes(changed)
        for read_only in (True, False):
            with pytest.raises(StorageError, match=r"vector|damaged|index") as error:
                open_index(tmp_path, read_only=read_only).close()
            assert str(tmp_path) in str(error.value)
        assert (tmp_path / name).read_bytes() == changed  # nothing was cut off
    (tmp_path / name).write_bytes(whole)
    with open_index(tmp_path) as index:
        assert content(index) == rounded(FILLED)


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_lost_line_is_found(tmp_path: Path, lost: int) -> None:
    fill(tmp_path)
    lines = (tmp_path / JOURNAL).read_bytes().splitlines(keepends=True)
    del lines[lost]
    (tmp_path / JOURNAL).write_bytes(b"".join(lines))
    with pytest.raises(StorageError, match=rf"{JOURNAL}, line {lost + 1}: damaged"):
        open_index(tmp_path)


@pytest.mark.parametrize("name", [JOURNAL, DATA])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    fill(tmp_path)
    (tmp_path / name).unlink()
    for read_only in (True, False):
        with pytest.raises(StorageError, match=rf"{name}' is missing"):
            open_index(tmp_path, read_only=read_only)
    assert not (tmp_path / name).exists()


def test_vectors_without_a_header_are_not_overwritten(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / HEADER).unlink()
    with pytest.raises(StorageError, match=r"index\.json' is missing beside vectors"):
        open_index(tmp_path)
    assert (tmp_path / DATA).stat().st_size == 48


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not the header of a vector index"),
        ("[]", "not the header of a vector index"),
        ("[" * 100_000, "not the header of a vector index"),
        ('{"kind": "ragtime vector index", "format": 2}', "has the format 2, this version of ragtime reads 1"),
    ],
)
def test_a_header_of_something_else(tmp_path: Path, text: str, message: str) -> None:
    fill(tmp_path)
    (tmp_path / HEADER).write_text(text)
    with pytest.raises(StorageError, match=message):
        open_index(tmp_path)


def test_the_header_is_readable(tmp_path: Path) -> None:
    fill(tmp_path)
    header = json.loads((tmp_path / HEADER).read_text())
    assert (header["format"], header["dimension"], header["fingerprint"], header["generation"]) == (1, 2, "f", 1)


def test_an_abandoned_compaction_is_cleared_away(tmp_path: Path) -> None:
    fill(tmp_path)
    for name in ("vectors-2.f32", "journal-2.log", ".index.json.0123456789abcdef.tmp"):
        (tmp_path / name).write_bytes(b"half")
    with open_index(tmp_path, read_only=True) as index:
        assert len(index) == 4
    with open_index(tmp_path) as index:
        assert content(index) == rounded(FILLED)
    assert sorted(path.name for path in tmp_path.iterdir()) == [HEADER, JOURNAL, "lock", DATA]


def test_a_full_disk_leaves_the_index_as_it_was(tmp_path: Path) -> None:
    fill(tmp_path)
    refusal = "Cannot write to the vector index in .*: File too large"
    with open_index(tmp_path) as index:
        index.add(["x" * 3_000], [[1, 1]])
        with _files_of_at_most(4_000), pytest.raises(StorageError, match=refusal):
            index.add([str(number) for number in range(1_000)], [[1, 1]] * 1_000)
        with _files_of_at_most(4_000), pytest.raises(StorageError, match=refusal):
            index.add(["y" * 3_000], [[1, 1]])
        with _files_of_at_most(2_000), pytest.raises(StorageError, match=refusal):
            index.compact()
        index.add(["z"], [[1, 2]])
        assert index.ids() == [*FILLED, "x" * 3_000, "z"]
    with open_index(tmp_path) as index:
        assert index.ids() == [*FILLED, "x" * 3_000, "z"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [HEADER, JOURNAL, "lock", DATA]


@contextlib.contextmanager
def _files_of_at_most(size: int) -> Iterator[None]:
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


# --- killed writers -------------------------------------------------------------------------------------------------

WRITER = textwrap.dedent("""
    import sys
    import numpy as np
    from ragtime.storage.vectors import VectorIndex

    folder, durability = sys.argv[1:]
    with VectorIndex.open(folder, dimension=64, durability=durability) as index:
        number = int(max(index.ids(), default="-1")) + 50  # beyond ids that were removed
        while True:
            ids = [f"{n:08}" for n in range(number, number + 1 + number % 50)]
            index.add(ids, np.full((len(ids), 64), number, np.float32))
            if number % 3 == 0:
                index.remove(ids[1:])
            if number % 40 == 0:
                index.compact()
            print(number, flush=True)
            number += len(ids)
""")


def write_and_kill(folder: Path, durability: str, seconds: float) -> list[int]:
    """Run a writer, kill it some time after its first acknowledgement, and return what it acknowledged."""
    command = [sys.executable, "-c", WRITER, str(folder), durability]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as told:
        first = told.readline()
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        lines = [first, *(line for line in told.read().splitlines(keepends=True) if line.endswith("\n"))]
    process.wait()
    return [int(line) for line in lines]


def check_acknowledged(folder: Path, acknowledged: list[int]) -> None:
    with VectorIndex.open(folder, dimension=64) as index:
        for number in acknowledged:
            ids = [f"{n:08}" for n in range(number, number + 1 + number % 50)]
            present = ids[:1] if number % 3 == 0 else ids
            assert [one for one in ids if one in index] == present
            assert (index.vectors(present) == number).all()


@pytest.mark.parametrize("durability", ["normal", "full"])
def test_a_killed_writer_loses_nothing_it_acknowledged(tmp_path: Path, durability: str) -> None:
    for seconds in (0.0, 0.02, 0.1):
        check_acknowledged(tmp_path, write_and_kill(tmp_path, durability, seconds))


@pytest.mark.slow
def test_many_killed_writers_lose_nothing_they_acknowledged(tmp_path: Path) -> None:
    acknowledged: list[int] = []
    for number in range(30):
        acknowledged += write_and_kill(tmp_path, "normal", number * 0.0037 % 0.1)
        check_acknowledged(tmp_path, acknowledged)
