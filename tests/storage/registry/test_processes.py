"""Several processes at once, and processes that die: the registry is as it was before a call, or as it is after it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from ragtime.storage.registry import ModelNotFoundError, ModelRegistry

Make = Callable[[str], Path]

# Forked, for eight interpreters that start take longer than what they do here.
pytestmark = pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
CONTEXT = multiprocessing.get_context("fork")


def together(work: Callable[..., None], arguments: list[tuple[object, ...]]) -> None:
    """Let processes do something at the same moment; all of them succeed."""
    barrier = CONTEXT.Barrier(len(arguments))
    processes = [CONTEXT.Process(target=work, args=(barrier, *each)) for each in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * len(processes)


def _promote(barrier: Barrier, root: Path, version: str) -> None:
    barrier.wait(60)
    ModelRegistry(root=root).promote("support", version, reason=f"by {version}")


def test_eight_processes_that_promote_at_once_leave_one_in_production(
    registry: ModelRegistry, make_model: Make
) -> None:
    versions = [registry.register(make_model(str(number)), "support").version for number in range(8)]
    together(_promote, [(registry.root, version) for version in versions])
    listed = registry.list_versions("support")
    assert sorted(version.stage for version in listed) == ["production", *["retired"] * 7]
    promotions = [change for change in registry.history("support") if change.action == "promote"]
    assert {change.version for change in promotions} == set(versions)
    assert [change.former for change in promotions] == [None, *(change.version for change in promotions[:-1])]
    assert all(change.reason == f"by {change.version}" for change in promotions)
    assert registry.get("support").version == promotions[-1].version
    for change in reversed(promotions[:-1]):
        assert registry.rollback("support").version == change.version


def _register(barrier: Barrier, root: Path, own: Path, common: Path) -> None:
    registry = ModelRegistry(root=root)
    barrier.wait(60)
    registry.register(common, "support")
    registry.register(own, "support")


def test_processes_that_register_at_once_lose_nothing_and_add_nothing_twice(
    registry: ModelRegistry, make_model: Make
) -> None:
    common, own = make_model("common"), [make_model(str(number)) for number in range(4)]
    together(_register, [(registry.root, folder, common) for folder in own])
    assert len(registry.list_versions("support")) == 5
    assert len(registry.history("support")) == 5
    for version in registry.list_versions("support"):
        registry.verify("support", version.version)
    assert list((registry.root / "support" / "staged").iterdir()) == []


def test_readers_wait_for_nobody_and_see_whole_states(registry: ModelRegistry, make_model: Make) -> None:
    versions = [registry.register(make_model(text), "support").version for text in "ab"]
    registry.promote("support", versions[0])
    passing = make_model("passing")
    stop, seen = threading.Event(), [0]
    failures: list[BaseException] = []

    def read() -> None:
        try:
            while not stop.is_set():
                stages = [version.stage for version in registry.list_versions("support")]
                assert stages.count("production") == 1
                assert registry.resolve("support").parent.name in versions
                try:
                    registry.verify("support", version_of_passing)
                except ModelNotFoundError:
                    seen[0] += 1
        except BaseException as error:  # noqa: BLE001 - told by the test
            failures.append(error)

    version_of_passing = registry.register(passing, "support").version
    thread = threading.Thread(target=read)
    thread.start()
    for _ in range(6):
        registry.promote("support", versions[1])
        registry.delete("support", version_of_passing)
        registry.rollback("support")
        registry.register(passing, "support")
    stop.set()
    thread.join(60)
    assert failures == []


def test_reading_takes_no_lock(registry: ModelRegistry, make_model: Make) -> None:
    import fcntl

    version = registry.promote("support", registry.register(make_model("a"), "support").version)
    descriptor = os.open(registry.root / "support" / "lock", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        assert registry.list_versions() == [version]
        assert registry.resolve("support").is_dir()
        assert registry.verify("support") == registry.get("support") == version
        assert len(registry.history("support")) == 2
    finally:
        os.close(descriptor)


# --- killed processes -----------------------------------------------------------------------------------------------

WORKER = textwrap.dedent("""
    import pathlib, sys
    from ragtime.storage.registry import ModelRegistry

    def tell():
        changes = registry.history("support")
        print(len(changes), changes[-1].action, changes[-1].version, flush=True)

    root, models = map(pathlib.Path, sys.argv[1:])
    registry = ModelRegistry(root=root)
    folders = sorted(models.iterdir())
    while True:
        for number, folder in enumerate(folders):
            version = registry.register(folder, "support").version
            tell()
            registry.promote("support", version)
            tell()
            if number % 2:
                registry.rollback("support")
                tell()
            for old in registry.list_versions("support"):
                if old.stage == "retired":
                    registry.delete("support", old.version)
                    tell()
                    break
""")


def work_and_kill(root: Path, models: Path, seconds: float) -> list[list[str]]:
    """Run a process, kill it some time after its first word, and return what it told."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(root), str(models)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout as told:
        first = told.readline()
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        lines = [first, *(line for line in told.read().splitlines(keepends=True) if line.endswith("\n"))]
    process.wait()
    return [line.split() for line in lines]


def check_after_death(root: Path, told: list[list[str]]) -> None:
    registry = ModelRegistry(root=root)
    history = registry.history("support")  # refused if a change did not follow
    versions = {version.version: version for version in registry.list_versions("support")}
    assert sum(version.stage == "production" for version in versions.values()) <= 1
    for version in versions:
        registry.verify("support", version)
    for number, action, version in told:
        change = history[int(number) - 1]
        assert (change.action, change.version) == (action, version)
    assert int(told[-1][0]) <= len(history) <= int(told[-1][0]) + 1


def check_tidy(root: Path, make_model: Make, text: str) -> None:
    """The next change leaves nothing of what the dead process had begun."""
    registry = ModelRegistry(root=root)
    registry.register(make_model(text), "support")
    folder = root / "support"
    assert sorted(path.name for path in folder.iterdir()) == ["history.json", "lock", "staged", "versions"]
    assert list((folder / "staged").iterdir()) == []
    listed = {version.version for version in registry.list_versions("support")}
    assert {path.name for path in (folder / "versions").iterdir()} == listed


def test_a_killed_process_leaves_a_whole_state(tmp_path: Path, make_model: Make) -> None:
    models = make_model("a").parent
    for text in "bcd":
        make_model(text)
    for seconds in (0.0, 0.03, 0.11):
        check_after_death(tmp_path / "registry", work_and_kill(tmp_path / "registry", models, seconds))
    check_tidy(tmp_path / "registry", make_model, "last")


@pytest.mark.slow
def test_many_killed_processes_leave_whole_states(tmp_path: Path, make_model: Make) -> None:
    models = make_model("a").parent
    for text in "bcd":
        make_model(text)
    (models / "b" / "model.safetensors").write_bytes(b"b" * 3_000_000)  # long enough to be killed in the middle of it
    for number in range(25):
        check_after_death(tmp_path / "registry", work_and_kill(tmp_path / "registry", models, number * 0.0137 % 0.2))
        if number % 5 == 4:
            check_tidy(tmp_path / "registry", make_model, f"last-{number}")


def test_what_a_dead_process_left_is_removed_and_what_a_living_one_copies_is_not(
    registry: ModelRegistry, make_model: Make
) -> None:
    import fcntl

    version = registry.register(make_model("a"), "support").version
    folder = registry.root / "support"
    dead, begun, living = (folder / "staged" / name for name in ("dead", "begun", "living"))
    for path in (dead, begun, living):
        (path / "version").mkdir(parents=True)
    for path in (dead, living):
        (path / "lock").touch()
    orphan = folder / "versions" / ("0" * 64)
    (orphan / "model").mkdir(parents=True)
    (folder / ".history.json.0123456789abcdef.tmp").write_text("{")
    descriptor = os.open(living / "lock", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        registry.register(make_model("b"), "support")
        assert [path.name for path in (folder / "staged").iterdir()] == ["living"]
        assert not orphan.exists()
        assert list(folder.glob(".*")) == []
    finally:
        os.close(descriptor)
    registry.delete("support", version)
    assert list((folder / "staged").iterdir()) == []
