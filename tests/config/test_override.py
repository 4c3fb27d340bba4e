"""override_settings: nesting, threads, asyncio."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ragtime.config.settings import Settings, get_settings, override_settings
from ragtime.errors import ConfigurationError, InvalidArgumentError
from ragtime.utils.workers import WorkerPool


def test_overrides_nest_and_end() -> None:
    with override_settings(seed=1) as outer:
        assert get_settings() is outer
        with override_settings(embedding__batch_size=2):
            assert (get_settings().seed, get_settings().embedding.batch_size) == (1, 2)
        assert get_settings().embedding.batch_size == 32
    assert get_settings().seed == 42


def test_an_override_ends_with_an_error_too() -> None:
    with pytest.raises(KeyError), override_settings(seed=1):
        raise KeyError
    assert get_settings().seed == 42


def test_finished_settings_can_be_put_in_force() -> None:
    mine = Settings.isolated(seed=5)
    with override_settings(mine):
        assert get_settings() is mine
    with override_settings(mine, embedding__batch_size=2) as both:
        assert (both.seed, both.embedding.batch_size) == (5, 2)


def test_a_wrong_override_changes_nothing() -> None:
    with pytest.raises(ConfigurationError, match=r"sed \(override\): no such setting; did you mean 'seed'"):
        override_settings(sed=1).__enter__()
    assert get_settings().seed == 42


@pytest.mark.parametrize("wrong", [{"seed": 1}, Settings, "settings"])
def test_only_settings_can_be_put_in_force(wrong: object) -> None:
    with pytest.raises(InvalidArgumentError, match="takes Settings or keyword changes"):
        override_settings(wrong).__enter__()  # type: ignore[arg-type]
    assert isinstance(get_settings(), Settings)


def test_an_override_works_where_the_sources_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGTIME_SEED", "x")
    with override_settings(Settings.isolated(seed=3)):
        assert get_settings().seed == 3


def test_worker_threads_of_ragtime_see_the_override_and_foreign_threads_do_not() -> None:
    def seed() -> int:
        return get_settings().seed

    with WorkerPool(2) as pool, ThreadPoolExecutor(2) as foreign, override_settings(seed=9):
        assert pool.submit(seed).result() == 9
        assert list(pool.map(lambda _: seed(), range(4))) == [9] * 4
        assert foreign.submit(seed).result() == 42


def test_threads_override_independently() -> None:
    barrier, seen = threading.Barrier(8), {}

    def work(number: int) -> None:
        with override_settings(seed=number):
            barrier.wait()
            seen[number] = get_settings().seed
            barrier.wait()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {number: number for number in range(8)}


def test_tasks_override_independently() -> None:
    async def work(number: int) -> int:
        with override_settings(seed=number):
            await asyncio.sleep(0)
            return get_settings().seed

    async def run() -> list[int]:
        with override_settings(embedding__batch_size=2):
            inner = await asyncio.gather(*(work(number) for number in range(8)))
            in_thread = await asyncio.to_thread(lambda: get_settings().embedding.batch_size)
        return [*inner, in_thread]

    assert asyncio.run(run()) == [*range(8), 2]


def test_current_settings_are_built_once_under_many_threads() -> None:
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: get_settings(), range(200)))
    assert len({id(settings) for settings in found}) == 1
