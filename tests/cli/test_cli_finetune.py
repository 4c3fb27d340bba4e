"""``ragtime finetune``: a tuned model from training data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ragtime.cli import main
from ragtime.config.settings import reload_settings
from ragtime.services.model_finetuner import ModelFineTuner
from ragtime.services.training_data_gen import TrainingDataGenerator
from ragtime.testing import tiny_model
from tests.services.model_finetuner.killed_runs import rows_of

pytestmark = pytest.mark.models

Run = Callable[..., tuple[int, str, str]]
QUICK = ("--base-model", "tiny", "--batch-size", "16", "--max-length", "32", "--learning-rate", "0.003")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a very small model."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_model().save_pretrained(str(folder), create_model_card=False)
    return folder


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Matrices are so small that threads would only wait for each other."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in this process, beside the model and 60 pairs; gives exit code, output, errors."""
    (tmp_path / "tiny").symlink_to(tiny)
    _lines(tmp_path / "pairs.jsonl", *_pairs())
    monkeypatch.setenv("RAGTIME_FINETUNING__VALIDATION_SPLIT", "0.2")
    reload_settings()

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ending:
            main(("finetune", *arguments))
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return int(ending.value.code or 0), out, err

    return run


def _pairs() -> list[dict[str, str]]:
    return [{"query": query, "response": response} for query, response in rows_of()]


def _lines(path: Path, *rows: Any) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


# --- what is made ---------------------------------------------------------------------------------------------------


def test_pairs_and_a_base_model_become_a_tuned_one(run: Run, tmp_path: Path) -> None:
    code, out, err = run("pairs.jsonl", *QUICK, "--epochs", "2", "--out", "out")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "data_shape: pairs (no row has negatives, and no label says that a response does not fit)"
    assert "learning_rate: 0.003 (as configured)" in lines
    rows = [line.split("\t") for line in lines]
    assert ["epoch", "steps", "loss", "tokens/s", "padding", "seconds"] in rows
    assert [row[:2] for row in rows if row[0] in {"1", "2"}] == [["1", "3"], ["2", "3"]]
    assert ["figure", "base model", "tuned"] in rows
    (ndcg,) = [row for row in rows if row[0] == "ndcg@10"]
    assert all(0 <= float(figure) <= 1 for figure in ndcg[1:])
    assert lines[-2] in {f"6 of 6 steps; kept: step {step}" for step in (3, 6)}
    folder = Path(lines[-1].removeprefix("Model: "))
    assert folder.parent.samefile("out")
    assert folder.name.startswith("tiny-full-")
    assert ModelFineTuner.load(folder).encode(["where is the red lamp?"]).shape == (1, 32)
    assert not (tmp_path / ".ragtime").exists()


def test_json_tells_all_that_the_run_tells(run: Run) -> None:
    code, out, err = run("pairs.jsonl", *QUICK, "--json")
    told = json.loads(out)
    assert (code, err) == (0, "")
    assert Path(told["model_path"]).parent.samefile(".ragtime/models")
    assert told["data"]["training_rows"] + told["data"]["validation_rows"] == 60
    assert told["validation"].keys() == told["baseline"].keys() > {"ndcg@10", "mrr@10", "recall@10"}
    assert {choice["name"] for choice in told["choices"]} > {"loss_function", "precision"}


def test_the_same_again_returns_what_there_is_and_anew_trains_again(run: Run) -> None:
    first = json.loads(run("pairs.jsonl", *QUICK, "--json")[1])
    assert json.loads(run("pairs.jsonl", *QUICK, "--json")[1]) == first
    code, out, err = run("pairs.jsonl", *QUICK, "--json", "--anew")
    assert (code, err) == (0, "")
    again = json.loads(out)
    assert again["model_path"] != first["model_path"]
    weights = [Path(one["model_path"], "model.safetensors").read_bytes() for one in (first, again)]
    assert weights[0] == weights[1]


def test_another_run_goes_on_with_more_epochs_when_that_is_allowed(run: Run) -> None:
    first = json.loads(run("pairs.jsonl", *QUICK, "--json")[1])
    more = ("pairs.jsonl", *QUICK, "--epochs", "2", "--resume", first["run_path"])
    code, out, err = run(*more)
    assert (code, out) == (1, "")
    assert "config.num_epochs" in err
    code, out, _ = run(*more, "--allow-changed", "config.num_epochs", "--json")
    assert code == 0
    assert json.loads(out)["total_steps"] == 2 * first["total_steps"]
    assert json.loads(run("pairs.jsonl", *QUICK, "--json")[1]) == first
    assert Path(first["model_path"]).is_dir()


def test_validation_rows_of_ones_own(run: Run, tmp_path: Path) -> None:
    _lines(tmp_path / "held.jsonl", *_pairs()[40:])
    train = _lines(tmp_path / "train.jsonl", *_pairs()[:40])
    code, out, _ = run(train, "--eval", "held.jsonl", *QUICK, "--json")
    assert code == 0
    told = json.loads(out)["data"]
    assert (told["training_rows"], told["validation_rows"]) == (40, 20)


def test_what_generate_wrote_is_taken_as_it_is(run: Run, tmp_path: Path) -> None:
    TrainingDataGenerator().generate_dataset(60, folder=tmp_path / "data")
    code, out, _ = run("data", *QUICK, "--json")
    assert code == 0
    told = json.loads(out)["data"]
    assert told["dataset_ids"] == [json.loads((tmp_path / "data" / "manifest.json").read_text())["id"]]


@pytest.mark.parametrize(
    ("arguments", "trained"),
    [(("--strategy", "adapter"), 32 * 33), (("--strategy", "lora"), None), (("--frozen-layers", "1"), None)],
    ids=["adapter", "lora", "frozen"],
)
def test_strategies(run: Run, arguments: tuple[str, ...], trained: int | None) -> None:
    code, out, _ = run("pairs.jsonl", *QUICK, *arguments, "--json")
    told = json.loads(out)
    assert code == 0
    assert told["trained_parameters"] == (trained or told["trained_parameters"]) < told["parameters"]


def test_quantized_names_both_of_its_folders(run: Run) -> None:
    code, out, _ = run("pairs.jsonl", *QUICK, "--strategy", "quantized")
    assert code == 0
    plain, int8 = out.splitlines()[-2:]
    assert int8 == f"Model with int8 weights: {plain.removeprefix('Model: ')}-int8"
    assert Path(int8.rpartition(": ")[2], "int8.json").is_file()


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("nowhere.jsonl",), 2, "There is no file or folder 'nowhere.jsonl'"),
        (("pairs.jsonl", "--eval", "nowhere.jsonl"), 2, "There is no file or folder 'nowhere.jsonl'"),
        (("notes.txt",), 2, "'notes.txt' tells no format"),
        (("tiny",), 2, "holds no data set"),
        (("empty.jsonl",), 2, "There are no training rows"),
        (("broken.jsonl",), 2, "broken.jsonl, after row 0: no JSON"),
        (("other.jsonl",), 2, "other.jsonl, row 1: the column 'frage' is not known"),
        (("pairs.jsonl", "--strategy", "lroa"), 2, "--strategy: Input should be 'full', 'lora'"),
        (("pairs.jsonl", "--epochs", "0"), 2, "--epochs: Input should be greater than or equal to 1"),
        (("pairs.jsonl", "--epochs", "two"), 2, "--epochs"),
        (("pairs.jsonl", "--learning-rate", "nan"), 2, "--learning-rate"),
        (("pairs.jsonl", "--strategy", "lora", "--frozen-layers", "1"), 2, "frozen_layers has no meaning for lora"),
        (("pairs.jsonl", "--base-model", "tiny", "--frozen-layers", "9"), 2, "frozen_layers must be at most 2"),
        (("pairs.jsonl", "--base-model", "tiny", "--loss", "cosent"), 2, "takes graded or rated rows"),
        (("pairs.jsonl", "--base-model", "nowhere/at-all"), 1, "The model 'nowhere/at-all' was not found"),
        (("pairs.jsonl", "--base-model", "tiny", "--resume", "nowhere"), 2, "there are no checkpoints"),
        (("pairs.jsonl", "--resume", "nowhere", "--anew"), 2, "give one of them"),
        (("pairs.jsonl", "--allow-changed", "data"), 2, "give its folder as resume"),
        (("pairs.jsonl", "--out", "notes.txt"), 1, "notes.txt' cannot be written"),
        ((), 2, "Missing argument 'data'"),
    ],
)
def test_mistakes_are_told_in_words(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "broken.jsonl").write_text('{"query": ')
    _lines(tmp_path / "other.jsonl", {"frage": "Wo?", "antwort": "Hier."})
    found, out, err = run(*arguments)
    assert (found, out) == (code, "")
    assert message in " ".join(err.split())
    assert not list(tmp_path.glob("**/model.safetensors"))

    found, out, err = run(*arguments, "--json")
    assert (found, out) == (code, "")
    assert message in json.loads(err.splitlines()[-1])["error"]["message"]


def test_settings_that_contradict_an_option_are_told_in_a_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGTIME_FINETUNING__FROZEN_LAYERS", "1")
    reload_settings()
    code, out, err = run("pairs.jsonl", "--strategy", "lora")
    assert (code, out) == (2, "")
    assert err == "ragtime: frozen_layers has no meaning for lora, which leaves all of the model as it is\n"


def test_help_shows_examples_that_can_be_copied(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    lines = [line.strip() for line in out.splitlines()]
    assert "ragtime finetune data/train.jsonl --epochs 2" in lines
    assert "ragtime finetune data/train.jsonl --strategy adapter --out models" in lines
