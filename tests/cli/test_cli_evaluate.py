"""``ragtime evaluate``: figures of a model, and the decision between two."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ragtime.cli import main
from ragtime.services.model_finetuner import FineTuningConfig, ModelFineTuner
from ragtime.testing import tiny_model
from tests.services.model_finetuner.killed_runs import rows_of

pytestmark = pytest.mark.models

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Matrices are so small that threads would only wait for each other."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a very small model, and what became of it in training."""
    folder = tmp_path_factory.mktemp("models")
    tiny_model().save_pretrained(str(folder / "tiny"), create_model_card=False)
    config = FineTuningConfig(
        batch_size=16, num_epochs=4, learning_rate=3e-3, max_seq_length=32, validation_split=0, output_dir=folder
    )
    metrics = ModelFineTuner(config, model_loader=lambda _: tiny_model()).train(rows_of()[:40])
    metrics.model_path.rename(folder / "tuned")
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], models: Path, tmp_path: Path) -> Run:
    """Run the command line in this process, beside two models and 20 pairs; gives exit code, output, errors."""
    for name in ("tiny", "tuned"):
        (tmp_path / name).symlink_to(models / name)
    _lines(tmp_path / "held.jsonl", *({"query": query, "response": response} for query, response in rows_of()[40:]))

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ending:
            main(("evaluate", *arguments))
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return int(ending.value.code or 0), out, err

    return run


def _lines(path: Path, *rows: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _judged(folder: Path, split: str) -> str:
    """Write the pairs as judged questions in the layout of BEIR."""
    rows = rows_of()
    _lines(folder / "corpus.jsonl", *({"id": f"d{place}", "text": text} for place, (_, text) in enumerate(rows)))
    _lines(folder / "queries.jsonl", *({"id": f"q{place}", "text": text} for place, (text, _) in enumerate(rows)))
    (folder / f"qrels-{split}.tsv").write_text("".join(f"q{place}\td{place}\t1\n" for place in range(40, 60)))
    return str(folder)


# --- one model ------------------------------------------------------------------------------------------------------


def test_figures_of_one_model(run: Run) -> None:
    code, out, err = run("held.jsonl", "--model", "tuned")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "tuned on held.jsonl: 20 questions"
    rows = dict(line.split("\t") for line in lines[1:])
    assert rows["figure"] == "value"
    assert {"ndcg@10", "mrr@10", "map", "recall@10", "accuracy@1"} < {*rows}
    assert all(0 <= float(value) <= 1 for name, value in rows.items() if name != "figure")


def test_json_has_a_figure_of_every_question(run: Run) -> None:
    code, out, err = run("held.jsonl", "--model", "tuned", "--json")
    told = json.loads(out)
    assert (code, err) == (0, "")
    assert len(told["question_ids"]) == len(told["by_question"]["ndcg@10"]) == 20
    assert told["model_name"] == "tuned"


def test_the_model_of_the_settings_is_measured(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from ragtime.config.settings import reload_settings

    monkeypatch.setenv("RAGTIME_EMBEDDING__MODEL_NAME", "tiny")
    reload_settings()
    code, out, _ = run("held.jsonl", "--json")
    assert code == 0
    assert json.loads(out)["model_id"] == json.loads(run("held.jsonl", "--model", "tiny", "--json")[1])["model_id"]


def test_judged_questions_of_a_part(run: Run, tmp_path: Path) -> None:
    folder = _judged(tmp_path / "judged", "dev")
    code, out, _ = run(folder, "--model", "tuned", "--split", "dev")
    assert code == 0
    assert out.splitlines()[0] == "tuned on judged, dev: 20 questions"
    code, out, err = run(folder, "--model", "tuned")
    assert (code, out) == (1, "")
    assert "There is no qrels-test.tsv" in err


# --- two models -----------------------------------------------------------------------------------------------------


def test_a_better_model_passes_the_gate(run: Run) -> None:
    code, out, err = run("held.jsonl", "--model", "tuned", "--base", "tiny")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "tiny and tuned on held.jsonl: 20 questions"
    assert lines[1].split("\t") == ["figure", "tiny", "tuned", "difference"]
    (ndcg,) = [line.split("\t") for line in lines if line.startswith("ndcg@10\t")]
    assert float(ndcg[3]) == pytest.approx(float(ndcg[2]) - float(ndcg[1]), abs=1e-4)
    assert any(line.startswith("Questions won: ") for line in lines)
    assert any(line.startswith("Smallest rise of ndcg@10") for line in lines)
    assert any(line.endswith("better at the 5 % level.") for line in lines)
    assert any(line.startswith("General check: ndcg@10 on sample-reserved") for line in lines)
    assert lines[-1] == "Promote the tuned model."


def test_a_worse_model_is_kept_out_with_an_exit_code_of_its_own(run: Run) -> None:
    code, out, err = run("held.jsonl", "--model", "tiny", "--base", "tuned", "--no-general")
    assert (code, err) == (3, "")
    lines = out.splitlines()
    assert "No general check was made: what the model has forgotten is not known." in lines
    assert lines[-1] == "Keep the base model."


def test_json_tells_the_decision(run: Run, tmp_path: Path) -> None:
    general = _judged(tmp_path / "general", "test")
    code, out, err = run("held.jsonl", "--model", "tuned", "--base", "tiny", "--general", general, "--json")
    told = json.loads(out)
    assert (code, err) == (0, "")
    assert told["decision"]["promote"] is True
    assert told["decision"]["sentence"].startswith("Promote the tuned model. ndcg@10 on held.jsonl")
    assert told["decision"]["questions_missing"] is None
    assert [one["data_name"] for one in told["comparisons"]] == ["held.jsonl", "general"]
    assert len(told["comparisons"][0]["differences"]) == 20
    assert (told["base"]["model_name"], told["tuned"]["model_name"]) == ("tiny", "tuned")

    code, out, err = run("held.jsonl", "--model", "tiny", "--base", "tiny", "--no-general", "--json")
    assert (code, err) == (3, "")
    assert "both are the same model" in json.loads(out)["decision"]["sentence"]


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("nowhere.jsonl",), 2, "There is no file or folder 'nowhere.jsonl'"),
        (("empty.jsonl", "--model", "tiny"), 2, "the data are empty"),
        (("one.jsonl", "--model", "tiny"), 2, "1 examples have one passage in all"),
        (("unjudged", "--model", "tiny"), 2, "There are no judgements"),
        (("held.jsonl", "--model", "./nowhere"), 1, "There is no model folder './nowhere'"),
        (("held.jsonl", "--model", "tiny", "--general", "held.jsonl"), 2, "give --base, too"),
        (("held.jsonl", "--base", "tiny", "--general", "held.jsonl", "--no-general"), 2, "give one of them"),
        (("held.jsonl", "--base", "tiny", "--general", "nowhere"), 2, "There is no file or folder 'nowhere'"),
        (
            ("held.jsonl", "--base", "tiny", "--model", "tuned", "--no-general", "--figure", "ncdg@10"),
            2,
            "did you mean 'ndcg@10'",
        ),
        ((), 2, "Missing argument 'data'"),
    ],
)
def test_mistakes_are_told_in_words(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    _lines(tmp_path / "one.jsonl", {"query": "who?", "response": "Ann."})
    _judged(tmp_path / "unjudged", "test")
    (tmp_path / "unjudged" / "qrels-test.tsv").write_text("q1\td1\t0\n")
    found, out, err = run(*arguments)
    assert (found, out) == (code, "")
    assert message in " ".join(err.split())

    found, out, err = run(*arguments, "--json")
    assert (found, out) == (code, "")
    assert message in json.loads(err.splitlines()[-1])["error"]["message"]


def test_help_shows_examples_that_can_be_copied(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert "ragtime evaluate data --model models/tuned --base all-MiniLM-L6-v2" in [
        line.strip() for line in out.splitlines()
    ]
