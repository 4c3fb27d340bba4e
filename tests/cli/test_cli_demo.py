"""``ragtime demo``: the learning loop on real text."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ragtime.cli import main
from ragtime.config.settings import reload_settings
from ragtime.testing import tiny_model

pytestmark = pytest.mark.models

Run = Callable[..., tuple[int, str, str]]
FEW = ("--pages", "120")
SETTINGS = {
    "EMBEDDING__MODEL_NAME": "tiny",
    "LEARNING__MIN_TRAINING_PAIRS": "20",
    "LEARNING__MIN_HELD_OUT_QUESTIONS": "20",
    "LOGGING__PROGRESS": "off",
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a very small model, of as many layers as the demonstration trains and leaves."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_model(layers=4).save_pretrained(str(folder), create_model_card=False)
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
    """Run the command line in this process, beside the model; gives exit code, output, errors."""
    (tmp_path / "tiny").symlink_to(tiny)
    for name, value in SETTINGS.items():
        monkeypatch.setenv(f"RAGTIME_{name}", value)
    reload_settings()

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ending:
            main(("demo", *arguments))
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return int(ending.value.code or 0), out, err

    return run


def test_it_says_what_is_simulated_and_ends_with_figures_and_a_report(run: Run, tmp_path: Path) -> None:
    code, out, _ = run(*FEW)  # a model of random weights has warnings to tell
    assert code == 0
    assert out.startswith("Real: 120 pages, documentation strings of the standard library of Python ")
    assert "\nSimulated: 40 users with " in out
    assert "\nHeld out: " in out
    rows = [line.split("\t") for line in out.splitlines()]
    assert ["held-out questions", "untuned", "tuned", "difference"] in rows
    assert [row[0] for row in rows if len(row) == 4][1:] == ["recall@10", "nDCG@10"]
    (report,) = [line.removeprefix("Report: ") for line in out.splitlines() if line.startswith("Report: ")]
    assert Path(report).is_relative_to(tmp_path)
    assert Path(report).read_text().lstrip().startswith("<!DOCTYPE html>")


def test_as_json_it_prints_nothing_else(run: Run) -> None:
    code, out, _ = run(*FEW, "--json", "--seed", "7")
    assert code == 0
    told = json.loads(out)
    assert told["outcome"] in {"promoted", "kept"}
    assert told["pages"] == 120
    assert 0 < told["unseen_pages"] < 120
    simulated = told["simulated"]
    assert simulated["ratings"] == 10 * simulated["questions"]
    assert 0 < simulated["questions_that_found_their_page"] < simulated["questions"]
    for when in ("before", "after"):
        assert 0 < told[when]["ndcg@10"] < told[when]["recall@10"] < 1
    assert told["version"].startswith("demo-7@")
    assert Path(told["report"]).is_file()
    assert Path(told["report_json"]).is_file()
    assert Path(told["sources"], "ratings.jsonl").is_file()


@pytest.mark.parametrize("arguments", [("--pages", "49"), ("--pages", "1001"), ("--seed", "-1"), ("--seed", "x")])
def test_misuse(run: Run, arguments: tuple[str, ...]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "Invalid value for" in err


def test_missing_packages_are_told_with_the_command_that_installs_them(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)  # as if it were not installed
    code, out, err = run()
    assert (code, out) == (1, "")
    assert err == (
        "ragtime: The module 'peft' is not installed; it belongs to the extra 'finetune'. "
        'Install it: pip install "ragtime-gal[finetune]"\n'
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_real_model_is_promoted_and_the_figures_are_the_same_in_a_fresh_folder(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    torch.set_num_threads(2)
    for name in SETTINGS:
        monkeypatch.delenv(f"RAGTIME_{name}")
    told = []
    for folder in ("one", "other"):
        monkeypatch.setenv("RAGTIME_DATA_DIR", folder)
        reload_settings()
        told.append(json.loads(run("--json")[1]))
    one, other = told
    assert one["outcome"] == "promoted"
    assert one["pages"] > 600
    assert one["held_out_questions"] >= 200
    assert one["after"]["ndcg@10"] > one["before"]["ndcg@10"] + 0.02
    assert one["after"]["recall@10"] > one["before"]["recall@10"]
    assert "registry:demo" in one["next_step"]
    places = {"sources", "report", "report_json"}
    assert {key: one[key] for key in one.keys() - places} == {key: other[key] for key in other.keys() - places}
