"""Runs that are stopped, that find their files damaged or gone, and that go on otherwise than they began."""

from __future__ import annotations

import json
import logging
import resource
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ragtime.config.settings import Settings
from ragtime.errors import FineTuningError, InvalidArgumentError, StorageError
from ragtime.services.model_finetuner import FineTuningConfig, FineTuningMetrics, ModelFineTuner
from ragtime.services.model_finetuner.training.stopping import StopRequest
from ragtime.testing import tiny_model
from tests.services.model_finetuner.killed_runs import hashes_of, rows_of

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

pytestmark = pytest.mark.models

Trainer = Callable[..., FineTuningMetrics]


def _checkpoints(metrics: FineTuningMetrics) -> list[Path]:
    return sorted((metrics.run_path / "checkpoints").glob("checkpoint-*"))


class _Interrupting:
    """A model loader whose model is interrupted in its n-th forward pass."""

    def __init__(self, passes: int, number: signal.Signals = signal.SIGINT) -> None:
        self.left, self.number = passes, number

    def __call__(self, _: FineTuningConfig) -> SentenceTransformer:
        model = tiny_model()
        model[0].register_forward_pre_hook(self._count)
        return model

    def _count(self, *_: object) -> None:
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(self.number)


# --- stopped --------------------------------------------------------------------------------------------------------


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let SIGINT interrupt, as at a terminal; it does not in a job in the background."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_ends_a_run_behind_its_step_with_a_checkpoint(
    train: Trainer, settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fields = {"num_epochs": 2, "batch_size": 16, "precision": "float32", "max_seq_length": 32, "learning_rate": 3e-3}
    stopped = ModelFineTuner(
        FineTuningConfig(**fields, output_dir=tmp_path / "stopped"),
        settings=settings,
        model_loader=_Interrupting(12),
    )
    with caplog.at_level(logging.WARNING, "ragtime"), pytest.raises(KeyboardInterrupt):
        stopped.train(rows_of())
    assert "the same call goes on" in caplog.text
    (run,) = (tmp_path / "stopped" / "runs").iterdir()
    newest = max((run / "checkpoints").glob("checkpoint-*"))
    assert int(newest.name.rpartition("-")[2]) % 4, "it was not stopped inside an epoch"
    ended = train(output_dir=tmp_path / "stopped")
    alone = train()
    assert hashes_of(ended.model_path) == hashes_of(alone.model_path)
    assert [step.loss for step in ended.steps] == [step.loss for step in alone.steps]


@pytest.mark.usefixtures("interruptible")
def test_a_request_to_stop_is_heard_once_and_has_its_usual_effect_afterwards() -> None:
    with pytest.raises(KeyboardInterrupt), StopRequest().heard() as request:
        signal.raise_signal(signal.SIGINT)
        assert request.signal is signal.SIGINT
    with pytest.raises(KeyboardInterrupt), StopRequest().heard():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)  # not to be waited for
        pytest.fail("the second one was not heard")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with StopRequest().heard() as request:
        pass
    assert request.signal is None


def test_signals_that_somebody_else_handles_are_left_to_him() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        with StopRequest().heard() as request:
            signal.raise_signal(signal.SIGTERM)
        assert (heard, request.signal) == ([signal.SIGTERM], None)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_run_in_another_thread_listens_to_no_signal(train: Trainer) -> None:
    done: list[FineTuningMetrics] = []
    thread = threading.Thread(target=lambda: done.append(train(num_epochs=1)))
    thread.start()
    thread.join()
    assert done[0].total_steps == 4


# --- files damaged or gone ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ['{"loss": 1', "[]", "", b"\xff\xfe"], ids=["cut", "list", "empty", "bytes"])
def test_a_damaged_result_is_made_again(damage: str | bytes, train: Trainer, caplog: pytest.LogCaptureFixture) -> None:
    first = train(num_epochs=1)
    told = first.run_path / "metrics.json"
    told.write_bytes(damage if isinstance(damage, bytes) else damage.encode())
    with caplog.at_level(logging.WARNING, "ragtime"):
        again = train(num_epochs=1)
    assert "damaged" in caplog.text
    assert hashes_of(again.model_path) == hashes_of(first.model_path)
    assert first.model_path.is_dir()  # of a run that has ended nothing is removed
    assert train(num_epochs=1) == again


@pytest.mark.parametrize("damage", ['{"lo', "[]", '{"model": 1}', '{"model": "../../precious"}', '{"model": ".."}'])
def test_a_damaged_note_of_the_place_removes_nothing(damage: str, train: Trainer, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    first = train(num_epochs=1)
    (first.run_path / "metrics.json").unlink()
    (first.run_path / "place.json").write_text(damage)
    again = train(num_epochs=1)
    assert precious.is_dir()
    assert again.model_path.parent == first.model_path.parent
    assert hashes_of(again.model_path) == hashes_of(first.model_path)


def test_a_run_that_was_killed_behind_its_saving_takes_the_same_place(train: Trainer) -> None:
    first = train(num_epochs=1)
    (first.run_path / "metrics.json").unlink()
    again = train(num_epochs=1)
    assert again.model_path == first.model_path
    assert [path.name for path in first.model_path.parent.iterdir() if path.name != "runs"] == [first.model_path.name]


def test_a_deleted_model_comes_back_from_the_checkpoints(train: Trainer) -> None:
    first = train(validation_split=0.25)
    weights = hashes_of(first.model_path)
    shutil.rmtree(first.model_path)
    again = train(validation_split=0.25)
    assert hashes_of(again.model_path) == weights
    assert again.steps == first.steps


@pytest.mark.parametrize("left", [None, "", '5\n["x"]\n["step",{"step":1}]\n[]\n{"a":1}\n["other",{}]\n\xff'])
def test_a_run_whose_history_is_lost_ends_with_what_is_known(
    left: str | None, train: Trainer, caplog: pytest.LogCaptureFixture
) -> None:
    first = train(validation_split=0.25)
    (first.run_path / "metrics.json").unlink()
    history = first.run_path / "history.jsonl"
    history.unlink() if left is None else history.write_text(left, encoding="latin-1")
    with caplog.at_level(logging.WARNING, "ragtime"):
        again = train(validation_split=0.25)
    assert "missing in the history" in caplog.text
    assert (again.steps, again.epochs, again.validation) == ((), (), {})
    assert again.loss == first.steps[-1].loss
    assert hashes_of(again.model_path) == hashes_of(first.model_path)


def test_with_every_checkpoint_damaged_a_run_starts_anew_and_another_one_does_not_go_on(train: Trainer) -> None:
    first = train(save_steps=1)
    for state in (first.run_path / "checkpoints").glob("*/state.json"):
        state.write_text("damaged")
    with pytest.raises(FineTuningError, match="None of the checkpoints"):
        train(num_epochs=3, resume=first.run_path, allow_changed=["config.num_epochs"])
    (first.run_path / "metrics.json").unlink()
    assert hashes_of(train(save_steps=1).model_path) == hashes_of(first.model_path)


@pytest.mark.parametrize("passes", [2, 4, 6])
def test_when_the_folder_of_a_run_vanishes_nothing_wrong_comes_out(
    passes: int, train: Trainer, settings: Settings, tmp_path: Path
) -> None:
    whole = train(num_epochs=1)
    output = tmp_path / "vanishing"

    class Removing(_Interrupting):
        def _count(self, *_: object) -> None:
            self.left -= 1
            if self.left == 0:
                shutil.rmtree(output / "runs")

    config = FineTuningConfig(
        num_epochs=1, batch_size=16, learning_rate=3e-3, precision="float32", max_seq_length=32, output_dir=output
    )
    with suppress(StorageError):
        ModelFineTuner(config, settings=settings, model_loader=Removing(passes)).train(rows_of())
    again = ModelFineTuner(config, settings=settings, model_loader=lambda _: tiny_model()).train(rows_of())
    assert hashes_of(again.model_path) == hashes_of(whole.model_path)


@contextmanager
def _files_limited(size: int) -> Iterator[None]:
    """Let no file grow further, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize(
    ("size", "strategy"), [(0, "full"), (50, "full"), (5_000, "full"), (60_000, "full"), (60_000, "adapter")]
)
def test_a_full_disk_is_told_and_the_run_goes_on_when_there_is_room(
    size: int, strategy: str, settings: Settings, tmp_path: Path
) -> None:
    model = tiny_model()  # made in a folder, which needs room
    fields: dict[str, Any] = {"num_epochs": 1, "save_steps": 2, "batch_size": 16, "output_dir": tmp_path / "models"}
    config = FineTuningConfig(strategy=strategy, **fields)
    with _files_limited(size), pytest.raises(StorageError):
        ModelFineTuner(config, settings=settings, model_loader=lambda _: model).train(rows_of())
    again = ModelFineTuner(config, settings=settings, model_loader=lambda _: tiny_model()).train(rows_of())
    assert again.total_steps == 4
    assert len(list((tmp_path / "models").iterdir())) == 2  # the runs, and a model


# --- going on otherwise ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resume", [None, 1, "", "  ", 0.5, ["runs"]])
def test_what_is_no_folder_of_a_run_is_refused(resume: Any, train: Trainer) -> None:
    with pytest.raises(InvalidArgumentError, match="resume"):
        train(resume=resume)


@pytest.mark.parametrize("allowed", ["data", ["config.epochs"]])
def test_what_may_differ_has_names(allowed: Any, train: Trainer) -> None:
    first = train(num_epochs=1)
    with pytest.raises(InvalidArgumentError, match="allow_changed"):
        train(num_epochs=2, resume=first.run_path, allow_changed=allowed)


def test_a_run_that_goes_on_otherwise_leaves_the_earlier_one_as_it_is(train: Trainer) -> None:
    first = train(num_epochs=1)
    weights, checkpoints = hashes_of(first.model_path), _checkpoints(first)

    def go_on() -> FineTuningMetrics:
        return train(num_epochs=2, resume=first.run_path, allow_changed=["config.num_epochs"])

    longer = go_on()
    assert longer.run_path != first.run_path
    assert longer.model_path != first.model_path
    assert (hashes_of(first.model_path), _checkpoints(first)) == (weights, checkpoints)
    assert train(num_epochs=1) == first
    assert go_on() == longer
    assert {choice.name: choice for choice in longer.choices}["origin"].value == first.run_path.name


def test_a_run_that_goes_on_unchanged_is_the_same_run(train: Trainer) -> None:
    first = train(num_epochs=1)
    assert train(num_epochs=1, resume=first.run_path) == first
    assert train(num_epochs=1, resume=str(first.run_path)).model_path == first.model_path


def test_a_run_that_had_stopped_early_goes_on_with_more_patience(train: Trainer) -> None:
    data = rows_of()
    fields: dict[str, Any] = {"num_epochs": 30, "learning_rate": 0.05, "evaluation_steps": 1}
    first = train(data[:50], data[50:], early_stopping_patience=2, **fields)
    assert first.stopped_early
    more = train(
        data[:50],
        data[50:],
        early_stopping_patience=5,
        resume=first.run_path,
        allow_changed=["config.early_stopping_patience"],
        **fields,
    )
    at_once = train(data[:50], data[50:], early_stopping_patience=5, **fields)
    assert more.total_steps == at_once.total_steps > first.total_steps
    assert (more.best_step, more.validation) == (at_once.best_step, at_once.validation)
    assert hashes_of(more.model_path) == hashes_of(at_once.model_path)


def test_figures_of_other_validation_data_are_not_compared(train: Trainer) -> None:
    data = rows_of()
    fields: dict[str, Any] = {"evaluation_steps": 1, "lr_schedule": "constant"}
    easy = train(data[:50], [(data[59][1], data[59][1])], num_epochs=1, **fields)
    assert easy.validation["ndcg@10"] == 1
    harder = train(
        data[:50], data[50:], num_epochs=2, resume=easy.run_path, allow_changed=["data", "config.num_epochs"], **fields
    )
    assert harder.best_step > easy.total_steps
    assert all(one.step > easy.total_steps for one in harder.evaluations)
    assert harder.validation["ndcg@10"] == max(one.figures["ndcg@10"] for one in harder.evaluations)


@pytest.mark.parametrize("changed", [{"optimizer": "sgd"}, {"weight_decay": 0.5}, {"precision": "bfloat16"}])
def test_what_the_optimizer_is_told_may_change(changed: dict[str, Any], train: Trainer) -> None:
    first = train(num_epochs=1, lr_schedule="constant", learning_rate=0.01)
    fields = {"num_epochs": 2, "lr_schedule": "constant", "learning_rate": 0.01, "resume": first.run_path}
    names = [f"config.{name}" for name in changed]
    same = train(**fields, allow_changed=["config.num_epochs"])
    other = train(**fields, **changed, allow_changed=["config.num_epochs", *names])
    assert [step.loss for step in same.steps[:4]] == [step.loss for step in other.steps[:4]]
    assert hashes_of(other.model_path) != hashes_of(same.model_path)


def test_a_run_with_other_weights_to_train_does_not_go_on(train: Trainer) -> None:
    first = train(num_epochs=1)
    with pytest.raises(FineTuningError):
        train(
            num_epochs=1,
            strategy="lora",
            resume=first.run_path,
            allow_changed=["config.strategy", "config.lora_alpha"],
        )


# --- what is left behind --------------------------------------------------------------------------------------------


def test_a_run_that_has_ended_keeps_its_newest_and_its_best_checkpoint_alone(train: Trainer) -> None:
    data = rows_of()
    metrics = train(
        data[:50], data[50:], num_epochs=3, evaluation_steps=1, learning_rate=0.05, early_stopping_patience=50
    )
    assert {int(path.name.rpartition("-")[2]) for path in _checkpoints(metrics)} == {
        metrics.best_step,
        metrics.total_steps,
    }
    assert len(_checkpoints(train(data[:50], validation_split=0, num_epochs=3))) == 1


def test_states_of_frozen_layers_do_not_outlive_a_run_however_it_ends(
    train: Trainer, settings: Settings, tmp_path: Path
) -> None:
    metrics = train(frozen_layers=1)
    assert not (metrics.run_path / "frozen").exists()
    assert {choice.name: choice.value for choice in metrics.choices}["frozen_part"] == "run once"
    config = FineTuningConfig(
        frozen_layers=1, num_epochs=2, batch_size=16, max_seq_length=32, output_dir=tmp_path / "x"
    )

    class Failing(_Interrupting):
        def _count(self, *_: object) -> None:
            self.left -= 1
            if self.left == 0:
                raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        ModelFineTuner(config, settings=settings, model_loader=Failing(20)).train(rows_of())
    assert not list(tmp_path.glob("x/runs/*/frozen"))


def test_a_relative_folder_gives_paths_that_hold_elsewhere(
    train: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    metrics = train(num_epochs=1, output_dir=Path("here"))
    assert (metrics.model_path.is_absolute(), metrics.run_path.is_absolute()) == (True, True)


def test_every_choice_has_its_reason_and_the_result_survives_json(train: Trainer) -> None:
    data = rows_of()
    metrics = train(
        data[:50], data[50:], num_epochs=30, learning_rate=0.05, evaluation_steps=1, early_stopping_patience=2
    )
    names = {choice.name for choice in metrics.choices}
    assert names >= {
        "data_shape",
        "validation",
        "precision",
        "loss_function",
        "learning_rate",
        "warmup_steps",
        "gradient_cache",
        "pass_tokens",
        "best_step",
        "early_stopping",
    }
    assert all(choice.reason for choice in metrics.choices)
    assert FineTuningMetrics.model_validate_json(metrics.model_dump_json()) == metrics
    assert json.loads((metrics.run_path / "metrics.json").read_bytes())["stopped_early"] is True


# --- what a run leaves alone ----------------------------------------------------------------------------------------


def test_a_run_leaves_the_process_as_it_was(train: Trainer) -> None:
    import accelerate
    import torch

    def state() -> tuple[Any, ...]:
        return (
            torch.get_default_dtype(),
            torch.get_num_threads(),
            torch.is_grad_enabled(),
            torch.are_deterministic_algorithms_enabled(),
            signal.getsignal(signal.SIGINT),
            signal.getsignal(signal.SIGTERM),
            threading.active_count(),
        )

    before = state()
    train(num_epochs=1)
    assert state() == before
    # A run of one process does not settle what later accelerators may be.
    assert accelerate.Accelerator(mixed_precision="bf16").mixed_precision == "bf16"
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)


def test_two_threads_give_the_same_weights_twice(train: Trainer) -> None:
    import torch

    torch.set_num_threads(2)  # the fixture of these tests puts it back
    data = [(query, f"in room {number % 3}") for number, (query, _) in enumerate(rows_of())]
    first = train(data, num_epochs=1)
    second = train(data, num_epochs=1, resume=False)
    assert first.model_path != second.model_path
    assert hashes_of(first.model_path) == hashes_of(second.model_path)


def test_weights_in_half_precision_are_trained_in_full(settings: Settings, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    config = FineTuningConfig(num_epochs=1, batch_size=16, output_dir=tmp_path / "models")
    tuner = ModelFineTuner(config, settings=settings, model_loader=lambda _: tiny_model().half())
    weights = load_file(tuner.train(rows_of()).model_path / "model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {torch.float32}


def test_a_training_part_with_one_response_is_refused(train: Trainer) -> None:
    with pytest.raises(InvalidArgumentError, match="training part"):
        train(validation_split=0.99)


def test_scores_that_no_cosines_can_reach_are_told_once(train: Trainer, caplog: pytest.LogCaptureFixture) -> None:
    data = [
        {"query": query, "positive": response, "negative": "the moon", "score": 50.0} for query, response in rows_of()
    ]
    with caplog.at_level(logging.WARNING, "ragtime"):
        train(data, num_epochs=1)
    assert caplog.text.count("margins are wider") == 1
