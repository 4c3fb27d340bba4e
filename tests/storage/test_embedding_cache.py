"""The embedding cache: what is put in comes out, whatever happens to the file."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.storage.embedding_cache import EmbeddingCache

LARGE = 10**9


def _vector(text: str, dimension: int = 8) -> np.ndarray:
    return np.random.default_rng(list(text.encode("utf-8", "surrogatepass")) or [0]).random(dimension, dtype=np.float32)


def _vectors(*texts: str) -> dict[str, np.ndarray]:
    return {text: _vector(text) for text in texts}


class _Clock:
    """Nanoseconds that go on by a day at each look, so that every use is noted."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        self.now += 86_400 * 10**9
        return self.now


@pytest.fixture
def cache(tmp_path: Path):
    with EmbeddingCache(tmp_path / "sub" / "cache.sqlite", max_bytes=LARGE, clock=_Clock()) as cache:
        yield cache


def test_what_is_put_in_comes_out_bit_for_bit(cache: EmbeddingCache) -> None:
    texts = ["a", "", "ä\0b", "\ud800", "x" * 100_000]
    cache.put("f", _vectors(*texts))
    found = cache.get("f", [*texts, "not there"], dimension=8)
    assert set(found) == set(texts)
    for text in texts:
        assert found[text].dtype == np.float32
        assert found[text].tobytes() == _vector(text).tobytes()


def test_models_never_mix(cache: EmbeddingCache) -> None:
    cache.put("f", _vectors("a"))
    assert cache.get("g", ["a"], dimension=8) == {}


def test_more_texts_than_a_statement_takes(cache: EmbeddingCache) -> None:
    texts = [str(number) for number in range(2345)]
    cache.put("f", _vectors(*texts))
    assert len(cache.get("f", texts, dimension=8)) == 2345
    assert cache.statistics().entries == 2345


def test_it_outlives_the_object(tmp_path: Path) -> None:
    with EmbeddingCache(tmp_path / "c", max_bytes=LARGE) as first:
        first.put("f", _vectors("a"))
    with EmbeddingCache(tmp_path / "c", max_bytes=LARGE) as second:
        assert set(second.get("f", ["a"], dimension=8)) == {"a"}


def test_an_entry_that_is_there_stays(cache: EmbeddingCache) -> None:
    cache.put("f", _vectors("a"))
    cache.put("f", {"a": np.zeros(8, dtype=np.float32)})
    assert cache.get("f", ["a"], dimension=8)["a"].tobytes() == _vector("a").tobytes()
    assert cache.statistics().entries == 1


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    entry = 8 * 4 + 120
    with EmbeddingCache(tmp_path / "c", max_bytes=10 * entry, clock=_Clock()) as cache:
        for number in range(10):
            cache.put("f", _vectors(str(number)))
        cache.get("f", ["0"], dimension=8)  # used again
        cache.put("f", _vectors("new"))
        left = set(cache.get("f", [*map(str, range(10)), "new"], dimension=8))
        assert {"0", "new"} <= left
        assert "1" not in left
        assert cache.statistics().bytes <= 10 * entry


def test_it_stays_bounded(tmp_path: Path) -> None:
    with EmbeddingCache(tmp_path / "c", max_bytes=50_000, clock=_Clock()) as cache:
        for start in range(0, 5000, 500):
            cache.put("f", _vectors(*map(str, range(start, start + 500))))
            assert cache.statistics().bytes <= 50_000
        assert cache.statistics().entries > 200
        assert cache.statistics().file_bytes < 500_000


def test_texts_can_be_forgotten_for_every_model(cache: EmbeddingCache) -> None:
    cache.put("f", _vectors("a", "b"))
    cache.put("g", _vectors("a"))
    assert cache.remove(["a", "never there"]) == 2
    assert cache.get("f", ["a", "b"], dimension=8).keys() == {"b"}
    assert cache.statistics().entries == 1


def test_statistics_of_no_file_make_none(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path / "c", max_bytes=LARGE)
    assert cache.statistics() == (0, 0, 0)
    cache.check()
    assert not (tmp_path / "c").exists()


def test_a_bound_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError):
        EmbeddingCache(tmp_path / "c", max_bytes=0)


# --- damage ---------------------------------------------------------------------------------------------------------


def test_a_damaged_vector_counts_as_missing_and_can_be_put_again(
    cache: EmbeddingCache, caplog: pytest.LogCaptureFixture
) -> None:
    cache.put("f", _vectors("a", "b", "c"))
    with sqlite3.connect(cache.path) as raw:
        raw.execute("UPDATE entries SET vector = zeroblob(32) WHERE checksum = (SELECT min(checksum) FROM entries)")
    raw.close()
    found = cache.get("f", ["a", "b", "c"], dimension=8)
    assert len(found) == 2
    assert "Damaged vectors" in caplog.text
    cache.put("f", _vectors("a", "b", "c"))
    assert len(cache.get("f", ["a", "b", "c"], dimension=8)) == 3


def test_a_vector_of_another_length_counts_as_damaged(cache: EmbeddingCache) -> None:
    cache.put("f", {"a": _vector("a", 4)})
    assert cache.get("f", ["a"], dimension=8) == {}


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes) -> None:
    (tmp_path / "c").write_bytes(content)
    with EmbeddingCache(tmp_path / "c", max_bytes=LARGE) as cache:
        cache.put("f", _vectors("a"))
        assert len(cache.get("f", ["a"], dimension=8)) == 1
    assert "set aside" in caplog.text
    assert (tmp_path / "c.damaged").read_bytes() == content


def test_damage_in_the_middle_of_a_file_is_found(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "c"
    with EmbeddingCache(path, max_bytes=LARGE) as cache:
        cache.put("f", _vectors(*map(str, range(3000))))
    data = bytearray(path.read_bytes())
    data[8192 : len(data) - 4096] = b"\x55" * (len(data) - 12288)
    path.write_bytes(data)
    with EmbeddingCache(path, max_bytes=LARGE) as cache:
        with suppress(StorageError):
            cache.check()
        cache.put("f", _vectors("a"))  # a new one has been begun
        cache.check()
    assert "set aside" in caplog.text
    assert (tmp_path / "c.damaged").read_bytes() == data


def test_a_place_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="cannot be made"):
        EmbeddingCache(tmp_path / "file" / "c", max_bytes=LARGE).put("f", _vectors("a"))
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="cannot be used"):
        EmbeddingCache(tmp_path / "folder", max_bytes=LARGE).put("f", _vectors("a"))


# --- together -------------------------------------------------------------------------------------------------------


def test_many_threads(cache: EmbeddingCache) -> None:
    def work(number: int) -> None:
        for step in range(20):
            cache.put("f", _vectors(f"{number}-{step}", f"shared-{step}"))
            assert len(cache.get("f", [f"{number}-{step}", f"shared-{step}"], dimension=8)) == 2

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.statistics().entries == 8 * 20 + 20


def _fill(path: str, number: int) -> None:
    with EmbeddingCache(path, max_bytes=LARGE) as cache:
        for step in range(50):
            cache.put("f", _vectors(*(f"{number}-{step}-{each}" for each in range(10)), f"shared-{step}"))


def test_four_processes_filling_one_cache_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_fill, args=(str(tmp_path / "c"), number)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    texts = [f"{number}-{step}-{each}" for number in range(4) for step in range(50) for each in range(10)]
    texts += [f"shared-{step}" for step in range(50)]
    with EmbeddingCache(tmp_path / "c", max_bytes=LARGE) as cache:
        found = cache.get("f", texts, dimension=8)
        assert all(found[text].tobytes() == _vector(text).tobytes() for text in texts)
        assert cache.statistics().entries == len(texts)


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_fork_opens_a_connection_of_its_own(cache: EmbeddingCache) -> None:
    cache.put("f", _vectors("a"))
    child = os.fork()
    if child == 0:  # pragma: no cover - in the child
        try:
            cache.put("f", _vectors("b"))
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(cache.get("f", ["a", "b"], dimension=8)) == 2


def test_a_killed_process_leaves_the_cache_readable_and_what_was_acknowledged_in_it(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import sys, numpy as np
        from ragtime.storage.embedding_cache import EmbeddingCache
        cache, number = EmbeddingCache(sys.argv[1], max_bytes=10**9), 0
        while True:
            cache.put("f", {str(number): np.full(8, number, dtype=np.float32)})
            print(number, flush=True)
            number += 1
    """)
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "c")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(30)]
    process.send_signal(signal.SIGKILL)
    lines += [line for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    process.stdout.close()
    process.wait()
    acknowledged = [line.strip() for line in lines]
    with EmbeddingCache(tmp_path / "c", max_bytes=LARGE) as cache:
        found = cache.get("f", acknowledged, dimension=8)
        assert set(found) == set(acknowledged)
        assert all(found[text][0] == float(text) for text in acknowledged)


def test_reading_often_writes_seldom(tmp_path: Path) -> None:
    now = [0]
    with EmbeddingCache(tmp_path / "c", max_bytes=LARGE, clock=lambda: now[0]) as cache:
        cache.put("f", _vectors("a"))
        with sqlite3.connect(tmp_path / "c") as raw:
            version = raw.execute("PRAGMA data_version").fetchone()
            cache.get("f", ["a"], dimension=8)
            assert raw.execute("PRAGMA data_version").fetchone() == version
            now[0] = 3600 * 10**9
            cache.get("f", ["a"], dimension=8)
            assert raw.execute("PRAGMA data_version").fetchone() != version
        raw.close()


def test_nothing_is_logged_for_a_healthy_cache(cache: EmbeddingCache, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    cache.put("f", _vectors("a"))
    cache.get("f", ["a"], dimension=8)
    assert not caplog.records
