"""Atomic files, JSON Lines, and paths that stay in their folder."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.utils.files import (
    atomic_writer,
    parse_json_object,
    read_jsonl,
    remove_file,
    resolve_inside,
    write_bytes,
    write_json,
    write_text,
)

# --- writing --------------------------------------------------------------------------------------------------------


def test_text_bytes_and_json_are_written_as_given(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "a.txt", "ä\r\n\n")
    write_bytes(tmp_path / "b.bin", b"\x00\xff")
    write_json(tmp_path / "c.json", {"b": "ä", "a": [1, None]})
    assert (tmp_path / "new" / "a.txt").read_bytes() == b"\xc3\xa4\r\n\n"
    assert (tmp_path / "b.bin").read_bytes() == b"\x00\xff"
    assert (tmp_path / "c.json").read_text(encoding="utf-8") == '{\n  "b": "ä",\n  "a": [\n    1,\n    null\n  ]\n}\n'


def test_a_failed_block_keeps_the_old_file_and_leaves_nothing_behind(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(KeyError), atomic_writer(tmp_path / "a.txt") as file:
        file.write("half")
        raise KeyError
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_nothing_shows_before_the_end(tmp_path: Path) -> None:
    with atomic_writer(tmp_path / "a.txt") as file:
        file.write("new")
        file.flush()
        assert not (tmp_path / "a.txt").exists()
    assert (tmp_path / "a.txt").read_text() == "new"


def test_permissions_are_those_of_the_old_file_or_of_any_new_one(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("x")
    write_text(tmp_path / "new", "x")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "new").chmod(0o640)
    write_text(tmp_path / "new", "y")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.txt").symlink_to(tmp_path / "real" / "a.txt")
    write_text(tmp_path / "link.txt", "x")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real" / "a.txt").read_text() == "x"


def test_a_long_name_can_be_written(tmp_path: Path) -> None:
    write_text(tmp_path / ("a" * 255), "x")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "folder", tmp_path / "file" / "below", tmp_path / ("a" * 256)):
        with pytest.raises(StorageError, match="Cannot write"):
            write_text(place, "x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_full_disk_is_a_storage_error_and_keeps_the_old_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a.bin", "old")
    script = textwrap.dedent("""
        import resource, signal, sys
        from ragtime.errors import StorageError
        from ragtime.utils.files import write_bytes
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            write_bytes(sys.argv[1], b"x" * 200_000)
        except StorageError as error:
            print(error)
    """)
    told = subprocess.run([sys.executable, "-c", script, "a.bin"], capture_output=True, text=True, check=True).stdout
    assert told == "Cannot write 'a.bin': File too large\n"
    assert (tmp_path / "a.bin").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_errors_of_the_block_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_writer(tmp_path / "a.txt") as file:
        file.write((tmp_path / "missing").read_text())


@pytest.mark.parametrize("value", [{"a": object()}, float("nan"), [float("inf")], {("a", "b"): 1}])
def test_what_is_no_json_is_refused_before_writing(tmp_path: Path, value: object) -> None:
    with pytest.raises(InvalidArgumentError, match="Not a JSON value"):
        write_json(tmp_path / "a.json", value)
    assert not list(tmp_path.iterdir())


def test_a_lone_surrogate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="a lone surrogate at character 2"):
        write_text(tmp_path / "a.txt", "ab\ud800")
    assert not list(tmp_path.iterdir())


def test_a_killed_writer_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    """A real process that keeps writing, killed at several moments; `make torture` kills many more."""
    script = textwrap.dedent("""
        import sys
        from ragtime.utils.files import write_text
        number = 0
        while True:
            number += 1
            write_text(sys.argv[1], f"{number}\\n" * 20_000)
            print(number, flush=True)
    """)
    for moment in (0.0, 0.003, 0.011):
        target = tmp_path / f"{moment}.txt"
        process = subprocess.Popen([sys.executable, "-c", script, str(target)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        acknowledged = process.stdout.readline()
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        acknowledged += process.stdout.read()
        process.wait()
        process.stdout.close()
        numbers = target.read_text().splitlines()
        assert len(numbers) == 20_000
        assert len(set(numbers)) == 1
        assert int(numbers[0]) >= int(acknowledged.splitlines()[-1])


@given(st.text())
def test_any_text_comes_back_byte_for_byte(text: str) -> None:
    path = Path(f"property-{os.getpid()}.txt")
    try:
        write_text(path, text)
    except StorageError:
        assert any("\ud800" <= character <= "\udfff" for character in text)
        return
    assert path.read_bytes().decode("utf-8") == text


def test_a_device_a_pipe_or_a_folder_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", "/dev/null", f"{tmp_path}/new/", "/", "a\0b"):
        with pytest.raises(StorageError, match="Cannot write"):
            write_text(place, "x")
    assert (tmp_path / "pipe").is_fifo()
    assert Path("/dev/null").is_char_device()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.parametrize("name", ["é" * 120, f"{'文' * 80}.json", "🙂" * 63])
def test_long_names_of_any_letters_can_be_written(tmp_path: Path, name: str) -> None:
    write_text(tmp_path / name, "x")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_private_file_is_private_while_it_is_written(tmp_path: Path) -> None:
    write_text(tmp_path / "key", "old")
    (tmp_path / "key").chmod(0o600)
    with atomic_writer(tmp_path / "key") as file:
        file.write("new")
        (beside,) = [path for path in tmp_path.iterdir() if path.name != "key"]
        assert stat.S_IMODE(beside.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_a_full_disk_elsewhere_is_the_blocks_own_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="elsewhere") as caught, atomic_writer(tmp_path / "a.txt"):
        raise OSError(28, "No space left on device", "/elsewhere")
    assert not isinstance(caught.value, StorageError)


# --- removing -------------------------------------------------------------------------------------------------------


def test_a_file_is_removed_and_one_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    remove_file(tmp_path / "a.txt")
    remove_file(str(tmp_path / "a.txt"))
    assert list(tmp_path.iterdir()) == []


def test_of_a_link_only_the_link_is_removed(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("x")
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
    (tmp_path / "dangling.txt").symlink_to(tmp_path / "nothing")
    remove_file(tmp_path / "link.txt")
    remove_file(tmp_path / "dangling.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["real.txt"]


def test_what_is_no_file_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "folder", tmp_path / "file" / "below", tmp_path / ("a" * 256)):
        with pytest.raises(StorageError, match=re.escape(f"Cannot remove {str(place)!r}: ")):
            remove_file(place)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_file_in_a_folder_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    remove_file(tmp_path / "nowhere" / "a.txt")
    assert list(tmp_path.iterdir()) == []


# --- JSON Lines -----------------------------------------------------------------------------------------------------


def test_lines_come_with_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\n  \n{"b": "\xc3\xa4\xe2\x80\xa8"}')
    assert list(read_jsonl(tmp_path / "a.jsonl")) == [(1, {"a": 1}), (4, {"b": "ä\u2028"})]


def test_a_byte_order_mark_before_a_blank_line(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf\n{"a": 1}\n')
    assert list(read_jsonl(tmp_path / "a.jsonl")) == [(2, {"a": 1})]


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").touch()
    assert list(read_jsonl(tmp_path / "a.jsonl")) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"a": ', "line 2: not JSON, at column 6"),
        (b"[1]", "line 2: expected an object, found list"),
        (b'{"a": "\xff"}', "line 2: not UTF-8"),
        (b'{"a":' * 100_000, "line 2: nested too deeply"),
        (b'{"a": ' + b"1" * 5000 + b"}", "line 2: holds a number that is too long"),
        (b'{"a": NaN}', "line 2: holds NaN, which is no JSON"),
        (b'      {"a" 1}', "line 2: not JSON, at column 12"),
    ],
)
def test_a_bad_line_is_named_and_not_quoted(tmp_path: Path, line: bytes, message: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"fine": 1}\n' + line + b"\n")
    rows = read_jsonl(tmp_path / "a.jsonl")
    assert next(rows) == (1, {"fine": 1})
    with pytest.raises(StorageError) as caught:
        next(rows)
    assert str(caught.value) == f"{tmp_path / 'a.jsonl'}, {message}"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"Cannot read .*No such file"):
        next(read_jsonl(tmp_path / "none.jsonl"))


@given(st.lists(st.dictionaries(st.text(), st.none() | st.integers() | st.text(), max_size=3), max_size=5))
def test_what_is_written_line_by_line_is_read_back(rows: list[dict[str, object]]) -> None:
    path = Path(f"property-{os.getpid()}.jsonl")
    write_bytes(path, "".join(json.dumps(row) + "\n" for row in rows).encode())
    assert [row for _, row in read_jsonl(path)] == rows


# --- one JSON object ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"{}", {}),
        (b' \n{"a": [1, null, {"b": "\xc3\xa4"}]}\n\n', {"a": [1, None, {"b": "ä"}]}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": {"a": 1}, "b": {"a": 1}}', {"a": {"a": 1}, "b": {"a": 1}}),
        (b'{"a": 1e400}', {"a": float("inf")}),
    ],
)
def test_an_object_is_read(data: bytes, value: dict[str, object]) -> None:
    assert parse_json_object(data) == value


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not JSON, at column 1"),
        (b'{"a": ', "not JSON, at column 6"),
        (b'{\n"a": 1\n"b": 2}', "not JSON, at line 3, column 1"),
        (b'{"a": 1} {"b": 2}', "not JSON, at column 10"),
        (b"{'a': 1}", "not JSON, at column 2"),
        (b"[1]", "expected an object, found list"),
        (b"null", "expected an object, found NoneType"),
        (b'{"a": 1, "b": 2, "a": 3}', "holds the key 'a' twice"),
        (b'{"x": [{"a": 1, "a": 1}]}', "holds the key 'a' twice"),
        (b'{"a": NaN}', "holds NaN, which is no JSON"),
        (b'{"a": -Infinity}', "holds -Infinity, which is no JSON"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"a": ' + b"1" * 5000 + b"}", "holds a number that is too long"),
    ],
)
def test_what_is_no_object_is_told_and_not_quoted(data: bytes, message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        parse_json_object(data)
    assert str(caught.value) == message
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_very_long_key_that_stands_twice_is_cut() -> None:
    key = b'"' + b"k" * 10_000 + b'": 1'
    with pytest.raises(InvalidArgumentError) as caught:
        parse_json_object(b"{" + key + b", " + key + b"}")
    assert len(str(caught.value)) < 150


@given(st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.lists(st.booleans()), max_size=4))
def test_any_object_comes_back(value: dict[str, object]) -> None:
    assert parse_json_object(json.dumps(value).encode()) == value


# --- names that come from data --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a", "a/b.json", "ä/…", "a b", "..a", "a..b"])
def test_names_inside_a_folder(tmp_path: Path, name: str) -> None:
    assert resolve_inside(tmp_path, name) == tmp_path.resolve() / name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/../../b",
        "/etc/passwd",
        "a//b",
        "a/",
        "a/./b",
        "..\\x",
        "C:x",
        "\\\\host\\s",
        "a\0b",
        "a\nb",
        " a",
        "a /b",
    ],
)
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidArgumentError):
        resolve_inside(tmp_path, name)


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "out").symlink_to(tmp_path)
    (tmp_path / "root" / "in").symlink_to(tmp_path / "root")
    with pytest.raises(InvalidArgumentError, match="leads out of its folder"):
        resolve_inside(tmp_path / "root", "out/x")
    assert resolve_inside(tmp_path / "root", "in/x") == (tmp_path / "root" / "x").resolve()


@given(st.text(max_size=40))
def test_no_name_ever_leads_out(name: str) -> None:
    root = Path("root").resolve()
    try:
        found = resolve_inside(root, name)
    except (InvalidArgumentError, OSError):
        return
    assert found.is_relative_to(root)
    assert found != root
