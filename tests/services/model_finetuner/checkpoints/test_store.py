"""Checkpoints are whole or not there: through resumed runs, kills, full disks, flipped bytes and changed data."""

from __future__ import annotations

import json
import logging
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("safetensors")
torch = pytest.importorskip("torch")

from ragtime.errors import FineTuningError, InvalidArgumentError, StorageError  # noqa: E402
from ragtime.services.model_finetuner.checkpoints import (  # noqa: E402
    CheckpointStore,
    TrainingState,
    capture_random_states,
    check_fingerprints,
    fingerprint,
    restore_random_states,
)
from tests.services.model_finetuner.checkpoints.runs import (  # noqa: E402
    OPTIMIZERS,
    Run,
    files_of_at_most,
    names,
    number_of,
    numbered,
    same,
)

pytestmark = pytest.mark.models


# --- going on -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_resumed_run_ends_where_the_uninterrupted_one_does(tmp_path: Path, optimizer: str) -> None:
    store = CheckpointStore(tmp_path)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        whole = Run(optimizer)
        whole.train(4)
        store.save(whole.state(), step=4)
        whole.train(5)
        newest = store.newest()
        assert newest is not None
        resumed = Run(optimizer)
        resumed.restore(store.load(newest.path))
        resumed.train(5)
    assert same(resumed.model.state_dict(), whole.model.state_dict())
    assert same(resumed.optimizer.state_dict(), whole.optimizer.state_dict())
    assert same(resumed.schedule.state_dict(), whole.schedule.state_dict())


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    run = Run()
    run.train(2)
    state = run.state()
    back = CheckpointStore(tmp_path).load(CheckpointStore(tmp_path).save(state, step=2, score=0.5))
    assert same(back.parts, state.parts)
    assert back.fingerprints == state.fingerprints


@pytest.mark.parametrize("parts", [{}, {"$tensor": "x", "a/b": {"$dict": (1,)}}])
def test_odd_names_and_nothing_at_all_come_back(tmp_path: Path, parts: Any) -> None:
    store = CheckpointStore(tmp_path)
    assert same(store.load(store.save(TrainingState(parts), step=0)).parts, parts)


def test_equal_states_give_equal_files(tmp_path: Path) -> None:
    state = numbered(1)
    first, second = (CheckpointStore(tmp_path / name).save(state, step=1, score=0.5) for name in "ab")
    assert names(first) == names(second) == ["manifest.json", "state.json", "tensors.safetensors"]
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names(first))


def test_random_states_go_on_where_they_were() -> None:
    def draw() -> list[float]:
        here = np.random.standard_normal()
        return [random.random(), random.gauss(0, 1), float(here), float(torch.rand(1))]  # noqa: S311

    at_first = capture_random_states()
    draw()  # leaves half of a pair of normal numbers behind in each generator
    states = capture_random_states()
    expected = draw()
    restore_random_states(states)
    assert draw() == expected
    restore_random_states(at_first)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the states are those of devices that are not here")
def test_states_of_devices_that_are_not_here_are_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    states: Any = capture_random_states()
    restore_random_states({**states, "cuda": [torch.get_rng_state()] * 2})
    (told,) = caplog.records
    assert (vars(told)["saved"], vars(told)["devices"]) == (2, 0)


def test_states_that_are_none_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="Not the random states"):
        restore_random_states({"python": {}})


# --- which are there ------------------------------------------------------------------------------------------------


def test_nothing_is_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "none")
    assert (store.newest(), store.best()) == (None, None)
    assert not store.folder.exists()
    with pytest.raises(StorageError, match="There is no checkpoint"):
        store.load(tmp_path / "none" / "checkpoint-000001-step-1")


def test_the_newest_and_the_best_are_kept(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=2)
    for step, score in enumerate([0.1, 0.7, None, 0.7, 0.3, 0.2]):
        store.save(numbered(step), step=step, score=score)
    assert names(tmp_path) == ["checkpoint-000002-step-1", "checkpoint-000005-step-4", "checkpoint-000006-step-5"]
    newest, best = store.newest(), store.best()
    assert newest is not None
    assert best is not None
    assert (newest.step, newest.score, best.step, best.score) == (5, 0.2, 1, 0.7)
    assert (number_of(store.load(newest.path)), number_of(store.load(best.path))) == (5, 1)


def test_what_a_run_that_has_ended_does_not_need_is_removed(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=3)
    for step, score in enumerate([0.1, 0.7, 0.3, 0.4, 0.2]):
        store.save(numbered(step), step=step, score=score)
    assert store.trim(1) == 2
    assert names(tmp_path) == ["checkpoint-000002-step-1", "checkpoint-000005-step-4"]
    assert CheckpointStore(tmp_path / "nowhere").trim(1) == 0
    with pytest.raises(InvalidArgumentError, match="keep must be"):
        store.trim(0)


def test_without_scores_there_is_no_best(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=1)
    for step in range(3):
        store.save(numbered(step), step=step)
    assert store.best() is None
    assert names(tmp_path) == ["checkpoint-000003-step-2"]


def test_newest_is_what_was_written_last_even_of_an_earlier_step(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    for step in (10, 20, 10):
        store.save(numbered(step), step=step)
    newest = store.newest()
    assert newest is not None
    assert (newest.serial, newest.step) == (3, 10)


@pytest.mark.parametrize("keep", [0, -1, True, "2"])
def test_how_many_to_keep_is_a_number(tmp_path: Path, keep: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="keep must be"):
        CheckpointStore(tmp_path, keep=keep)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"step": -1}, "step must be"),
        ({"step": True}, "step must be"),
        ({"step": 1, "score": float("nan")}, "score must be"),
        ({"step": 1, "score": "0.5"}, "score must be"),
    ],
)
def test_wrong_numbers_are_refused_before_anything_is_written(tmp_path: Path, arguments: Any, message: str) -> None:
    store = CheckpointStore(tmp_path / "new")
    with pytest.raises(InvalidArgumentError, match=message):
        store.save(numbered(1), **arguments)
    assert not store.folder.exists()


# --- failures -------------------------------------------------------------------------------------------------------


def test_a_state_that_cannot_be_kept_leaves_the_former_and_nothing_else(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    store.save(numbered(1), step=1)
    odd: Any = {"model": {"weight": torch.ones(2)}, "progress": object()}
    with pytest.raises(InvalidArgumentError, match="found object at progress"):
        store.save(TrainingState(odd), step=2)
    assert names(tmp_path) == ["checkpoint-000001-step-1"]


@pytest.mark.parametrize("size", [0, 100, 3_000, 8_000])
def test_a_full_disk_leaves_the_former(tmp_path: Path, size: int) -> None:
    store = CheckpointStore(tmp_path, keep=1)
    store.save(numbered(1, size=2_000), step=1)
    with files_of_at_most(size), pytest.raises(StorageError, match="Cannot write"):
        store.save(numbered(2, size=2_000), step=2)
    newest = store.newest()
    assert newest is not None
    assert number_of(store.load(newest.path)) == 1
    assert names(tmp_path) == ["checkpoint-000001-step-1"]


def test_a_place_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match="Cannot write to"):
        CheckpointStore(tmp_path / "file").save(numbered(1), step=1)
    with pytest.raises(StorageError, match="Cannot read"):
        CheckpointStore(tmp_path / "file").newest()


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("place", [0, 50, -3])
@pytest.mark.parametrize("name", ["manifest.json", "state.json", "tensors.safetensors"])
def test_a_flipped_bit_is_noticed_and_the_one_before_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, place: int
) -> None:
    store = CheckpointStore(tmp_path)
    store.save(numbered(1), step=1)
    damaged = store.save(numbered(2), step=2)
    flip(damaged / name, place)
    with pytest.raises(StorageError, match=name):
        store.load(damaged)
    newest = store.newest()
    assert newest is not None
    assert number_of(store.load(newest.path)) == 1
    assert names(tmp_path) == ["checkpoint-000001-step-1", "checkpoint-000002-step-2.damaged"]
    (told,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert told.getMessage() == "A damaged checkpoint is set aside"
    assert name in vars(told)["reason"]
    assert store.save(numbered(3), step=2).name == "checkpoint-000003-step-2"


def test_whole_files_of_something_else_are_no_checkpoint(tmp_path: Path) -> None:
    from ragtime.services.model_finetuner.checkpoints.manifest import FileEntry, Manifest, write_manifest

    store = CheckpointStore(tmp_path)
    path = store.save(numbered(1), step=1)
    (path / "state.json").write_text('{"parts": {}}')
    files = {name: FileEntry.of(path / name) for name in ("state.json", "tensors.safetensors")}
    write_manifest(path, Manifest(step=1, score=None, files=files))
    with pytest.raises(StorageError, match="holds no state of a run"):
        store.load(path)


def test_what_cannot_be_read_is_not_called_damaged(tmp_path: Path) -> None:
    path = CheckpointStore(tmp_path).save(numbered(1), step=1)
    for name in ("state.json", "manifest.json"):
        (path / name).unlink()
        (path / name).symlink_to(name)  # leads to itself
        with pytest.raises(StorageError, match=f"Cannot read .*{name}'"):
            CheckpointStore(tmp_path).newest()
    assert names(tmp_path) == [path.name]


def test_a_damaged_checkpoint_that_cannot_be_renamed_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = CheckpointStore(tmp_path)
    first, second = (store.save(numbered(step), step=step) for step in (1, 2))
    flip(second / "state.json", 9)
    aside = second.with_name(second.name + ".damaged")
    aside.mkdir()
    (aside / "file").write_text("in the way")
    for _ in range(2):
        newest = store.newest()
        assert newest is not None
        assert newest.path == first
    assert caplog.records[-1].getMessage() == "A damaged checkpoint is passed over; it cannot be renamed"


@pytest.mark.parametrize("name", ["manifest.json", "state.json", "tensors.safetensors"])
def test_a_missing_or_cut_file_is_noticed(tmp_path: Path, name: str) -> None:
    store = CheckpointStore(tmp_path, keep=3)
    first, second, third = (store.save(numbered(step), step=step) for step in (1, 2, 3))
    (third / name).unlink()
    data = (second / name).read_bytes()
    (second / name).write_bytes(data[: len(data) // 2])
    newest = store.newest()
    assert newest is not None
    assert newest.path == first


def test_a_damaged_best_is_an_error_and_then_the_next_best_counts(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=3)
    best, second, _ = (store.save(numbered(step), step=step, score=-step) for step in (1, 2, 3))
    flip(best / "tensors.safetensors", -1)
    with pytest.raises(StorageError, match="may be the best one is damaged"):
        store.best()
    following = store.best()
    assert following is not None
    assert following.path == second


def test_a_checkpoint_of_a_later_version_is_no_damage(tmp_path: Path) -> None:
    from ragtime.utils.hashing import content_hash

    store = CheckpointStore(tmp_path)
    path = store.save(numbered(1), step=1) / "manifest.json"
    manifest = json.loads(path.read_bytes())
    del manifest["digest"]
    manifest |= {"format": 2, "new": "field"}
    path.write_text(json.dumps(manifest | {"digest": content_hash(manifest)}))
    with pytest.raises(StorageError, match="later version of ragtime"):
        store.newest()
    assert names(tmp_path) == ["checkpoint-000001-step-1"]


def test_saving_and_loading_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = CheckpointStore(tmp_path, keep=1)
    store.save(numbered(1), step=1)
    caplog.set_level(logging.INFO)
    store.load(store.save(numbered(2), step=2, score=0.5))
    saved, loaded = caplog.records
    assert (saved.getMessage(), vars(saved)["step"], vars(saved)["removed"]) == ("save_checkpoint finished", 2, 1)
    assert vars(saved)["bytes"] > 64
    assert loaded.getMessage() == "load_checkpoint finished"


# --- may it go on? --------------------------------------------------------------------------------------------------


def test_changes_are_refused_by_name_unless_allowed(caplog: pytest.LogCaptureFixture) -> None:
    old = fingerprint(config={"lr": 0.1, "prompts": {"query": "secret one"}}, data={"rows": 10})
    new = fingerprint(config={"lr": 0.2, "prompts": {"query": "secret two"}}, data={"rows": 10})
    assert check_fingerprints(old, old) == []
    with pytest.raises(FineTuningError, match=r"changed since then: config\.lr, config\.prompts\.query\. ") as raised:
        check_fingerprints(old, new)
    assert "secret" not in str(raised.value)
    with pytest.raises(FineTuningError, match=r"changed since then: config\.lr\. "):
        check_fingerprints(old, new, allow_changed=["config.prompts"])
    assert check_fingerprints(old, new, allow_changed={"config"}) == ["config.lr", "config.prompts.query"]
    assert vars(caplog.records[-1])["changed"] == ["config.lr", "config.prompts.query"]


def test_a_field_that_came_or_went_is_a_change() -> None:
    with pytest.raises(FineTuningError, match=r"config\.new, config\.old"):
        check_fingerprints(fingerprint(config={"old": 1}), fingerprint(config={"new": 1}))


def test_many_changes_are_not_all_named() -> None:
    one, other = (fingerprint(config={f"field{number:02}": value for number in range(12)}) for value in (1, 2))
    with pytest.raises(FineTuningError, match="field09 and 2 more"):
        check_fingerprints(one, other)


@pytest.mark.parametrize("allowed", ["config", ["config.epochs"], ["conf"]])
def test_what_may_change_must_be_a_name(allowed: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="allow_changed"):
        check_fingerprints(fingerprint(config={"lr": 1}), fingerprint(config={"lr": 2}), allow_changed=allowed)


def test_numbers_of_two_kinds_and_empty_sections_are_told_apart() -> None:
    assert fingerprint(config={"x": 1}) != fingerprint(config={"x": 1.0})
    assert list(fingerprint(config={}, data={"a": {}})) == ["config", "data.a"]


# --- killed writers -------------------------------------------------------------------------------------------------

# One process imports torch and forks the writers, so that a kill costs no import.
SERVER = textwrap.dedent("""
    import os, sys
    import torch
    from ragtime.services.model_finetuner.checkpoints import CheckpointStore
    from tests.services.model_finetuner.checkpoints.runs import numbered

    torch.set_num_threads(1)
    store = CheckpointStore(sys.argv[1], keep=2)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            step = int(line)
            print("pid", os.getpid(), flush=True)
            while True:
                step += 1
                store.save(numbered(step, size=200_000), step=step, score=step % 7)
                print(step, flush=True)
        os.waitpid(child, 0)
        print("dead", flush=True)
""")


def kill_writers(folder: Path, moments: list[float], root: Path) -> int:
    """Let writers be killed some seconds after they began; return how many checkpoints were acknowledged."""
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
    )
    assert server.stdin is not None
    assert server.stdout is not None
    last = 0
    with server.stdout as told, server.stdin as orders:
        for seconds in moments:
            orders.write(f"{last}\n")
            orders.flush()
            child = int(told.readline().removeprefix("pid "))
            time.sleep(seconds)
            subprocess.run(["kill", f"-{signal.SIGKILL.value}", str(child)], check=True)
            acknowledged = [int(line) for line in iter(told.readline, "dead\n")]
            last = check_newest(folder, max([last, *acknowledged]))
    server.wait()
    return last


def check_newest(folder: Path, acknowledged: int) -> int:
    store = CheckpointStore(folder)
    newest = store.newest()
    if newest is None:
        assert not acknowledged
        return 0
    assert number_of(store.load(newest.path)) == newest.step
    assert newest.step in {acknowledged, acknowledged + 1}  # one may be there that was not acknowledged any more
    assert not list(folder.glob("*.damaged"))
    return newest.step


def test_a_killed_writer_leaves_the_newest_right(tmp_path: Path, root: Path) -> None:
    assert kill_writers(tmp_path / "run", [0.15, 0.08, 0.21], root) > 0
    CheckpointStore(tmp_path / "run", keep=1).save(numbered(0), step=0)
    assert not list((tmp_path / "run").glob(".*.tmp"))


@pytest.mark.slow
def test_many_killed_writers_leave_the_newest_right(tmp_path: Path, root: Path) -> None:
    assert kill_writers(tmp_path / "run", [number * 0.0137 % 0.2 for number in range(50)], root) > 0
