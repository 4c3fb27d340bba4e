"""``ragtime learn``: from files to a verdict, a report and an exit code; and what is told of files that are wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ragtime.cli import main
from ragtime.cli.learn import parse_rating_scale
from ragtime.config.settings import reload_settings
from ragtime.data.sample import sample_documents, sample_retrieval_set
from ragtime.errors import InvalidArgumentError
from ragtime.storage.registry import ModelRegistry
from ragtime.testing import tiny_model

pytestmark = pytest.mark.models

Run = Callable[..., tuple[int, str, str]]
QUICK = ("--base-model", "tiny", "--batch-size", "16", "--max-length", "48", "--epochs", "4")
RATED = ("--feedback", "ratings.jsonl", "--rating-field", "score", "--rating-scale", "0-10", "--docs", "docs.jsonl")
SETTINGS = {
    "RAGTIME_LEARNING__MADE_UP_PER_PASSAGE": "0",
    "RAGTIME_LEARNING__MIN_TRAINING_PAIRS": "100",
    "RAGTIME_LEARNING__MIN_HELD_OUT_QUESTIONS": "20",
    "RAGTIME_FINETUNING__INTERPOLATION": "off",
    "RAGTIME_CONPORT__MODE": "off",
}


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
    """Run the command line in this process, beside a model, passages and ratings; gives exit code, output, errors."""
    (tmp_path / "tiny").symlink_to(tiny)
    _lines(tmp_path / "docs.jsonl", *({"id": one.id, "text": one.content} for one in sample_documents()))
    _lines(tmp_path / "ratings.jsonl", *_ratings())
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    reload_settings()

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ending:
            main(("learn", *arguments))
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return int(ending.value.code or 0), out, err

    return run


def _ratings() -> list[dict[str, Any]]:
    """Return a good rating for the best passage of each question of the sample, from 0 to 10."""
    judged = sample_retrieval_set(reserved=False)
    rows = []
    for number, (query_id, query) in enumerate(judged.judged_queries.items()):
        grades = judged.relevant(query_id)
        best = max(sorted(grades), key=lambda document_id: grades[document_id])
        rows.append({"id": query_id, "query": query, "score": 8 + number % 3, "document_ids": [best]})
    return rows


def _lines(path: Path, *rows: Any) -> str:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return str(path)


def _table(out: str) -> list[list[str]]:
    return [line.split("\t") for line in out.splitlines()]


def _state(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- verdicts -------------------------------------------------------------------------------------------------------


def test_ratings_and_documents_become_a_model_in_production(run: Run, tmp_path: Path) -> None:
    """And the same command again tells the same, and does nothing twice."""
    command = (*RATED, *QUICK, "--learning-rate", "0.003", "--name", "support")
    code, out, err = run(*command)
    assert code == 0
    assert err.count("\n") == err.count("Texts longer than the model reads are cut")  # and nothing else
    rows = _table(out)
    figures = next(row for row in rows if row[0] == "figure")
    assert [column.partition(":")[0] for column in figures[1:]] == ["base model", "tuned"]
    (ndcg,) = [row for row in rows if row[0] == "ndcg@10"]
    before, after = (float(cell.partition(" [")[0]) for cell in ndcg[1:])
    assert before < after
    assert ["read", "feedback", "413", "413", ""] in rows
    production = ModelRegistry().get("support")
    assert f"Model: support@{production.short}" in out
    assert "To use it, set: embedding.model_name" in out
    assert 'registry:support"' in out
    (report,) = [Path(line.removeprefix("Report: ")) for line in out.splitlines() if line.startswith("Report: ")]
    assert report.is_file()
    assert report.is_relative_to(tmp_path / ".ragtime" / "learning" / "support")

    assert run(*command) == (0, out, "")
    assert len(ModelRegistry().list_versions("support")) == 1
    code, out, err = run(*command, "--json")
    told = json.loads(out)
    assert (code, err) == (0, "")
    assert (told["outcome"], told["name"], Path(told["html"])) == ("promoted", "support", report)
    assert json.loads(Path(told["json"]).read_text())["run_id"] == told["run_id"]


def test_the_gate_keeps_what_is_in_use_and_the_exit_code_says_so(run: Run) -> None:
    still = (*QUICK[:4], "--epochs", "1", "--learning-rate", "1e-9")  # reads as far as the base model does
    code, out, _ = run(*RATED, *still)
    assert code == 3
    assert "stays in use" in out.splitlines()[0]
    assert "Report: " in out
    assert ModelRegistry().list_versions("retriever")[0].stage == "candidate"


def test_too_little_data_says_how_much_is_missing(run: Run, tmp_path: Path) -> None:
    _lines(tmp_path / "few.jsonl", *_ratings()[:40])
    command = ("--feedback", "few.jsonl", *RATED[2:], *QUICK)
    code, out, err = run(*command)
    assert (code, err) == (4, "")
    assert out.startswith("Too little data, nothing was trained: ")
    assert "Report: " in out
    assert not list(tmp_path.glob(".ragtime/**/*.safetensors"))
    code, out, _ = run(*command, "--json")
    assert code == 4
    assert json.loads(out)["outcome"] == "too_little_data"


def test_a_few_bad_records_cost_no_other_and_are_counted(run: Run, tmp_path: Path) -> None:
    _lines(tmp_path / "mixed.jsonl", "no JSON", {"query": "q?", "score": 11}, *_ratings()[:40], {"score": 3})
    code, out, err = run("--feedback", "mixed.jsonl", *RATED[2:], *QUICK)
    assert code == 4
    reasons = "1 × line is no JSON object; 1 × query is missing; 1 × rating is not on its scale"
    assert ["read", "feedback", "43", "40", reasons] in _table(out)
    assert "mixed.jsonl, line 1" in err


# --- plans ----------------------------------------------------------------------------------------------------------


def test_a_dry_run_tells_what_would_be_done_and_does_nothing(run: Run, tmp_path: Path) -> None:
    _lines(tmp_path / "mixed.jsonl", "no JSON", {"query": "q?", "score": 11}, *_ratings(), "[]")
    before = _state(tmp_path)
    command = ("--feedback", "mixed.jsonl", *RATED[2:], *QUICK, "--name", "support", "--dry-run")
    code, out, _ = run(*command)
    assert code == 0
    assert _state(tmp_path) == before
    rows = _table(out)
    assert ["feedback", "416", "413", "", ""] in rows
    where = "mixed.jsonl, line 1; mixed.jsonl, line 416"
    assert ["feedback", "", "", "2 × line is no JSON object", where] in rows
    assert ["feedback", "", "", "1 × rating is not on its scale", "mixed.jsonl, line 2"] in rows
    assert [row[0] for row in rows if row[0] in {"training pairs", "held-out questions"}] == [
        "training pairs",
        "held-out questions",
    ]
    for line in ("Start from: tiny", "Time: about ", "Memory: about ", "How that was estimated: "):
        assert line in out
    assert str(tmp_path / ".ragtime" / "learning" / "support") in out
    code, out, _ = run(*command, "--json")
    told = json.loads(out)
    assert code == 0
    assert told["outcome"] == "possible"
    assert told["estimate"]["seconds_low"] < told["estimate"]["seconds"] < told["estimate"]["seconds_high"]
    assert _state(tmp_path) == before


def test_a_dry_run_of_too_little_data_says_what_is_missing(run: Run, tmp_path: Path) -> None:
    _lines(tmp_path / "few.jsonl", *_ratings()[:40])
    before = _state(tmp_path)
    code, out, err = run("--feedback", "few.jsonl", *RATED[2:], *QUICK, "--dry-run")
    assert (code, err) == (4, "")
    assert out.splitlines()[0].startswith("Too little data, nothing would be trained: ")
    assert "Time: " not in out
    assert _state(tmp_path) == before
    code, out, _ = run("--feedback", "few.jsonl", *RATED[2:], *QUICK, "--dry-run", "--json")
    told = json.loads(out)
    assert code == 4
    assert told["missing_pairs"] == 100 - told["training_pairs"] > 0


def test_what_is_promised_is_what_comes_out(run: Run) -> None:
    """The counts of a dry run are those of the run."""
    command = (*RATED, *QUICK, "--learning-rate", "1e-9", "--json")
    planned = json.loads(run(*command, "--dry-run")[1])
    done = json.loads(run(*command)[1])
    assert planned["training_pairs"] == done["data"]["training_pairs"]
    assert planned["held_out_questions"] == done["data"]["held_out"]["questions"]
    assert planned["steps"] == done["training"]["steps"]


# --- scales ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "scale"),
    [
        *(("1-4", (1, 4)), ("0-1", (0, 1)), ("6-1", (6, 1)), ("-1-1", (-1, 1)), ("-2--1", (-2, -1))),
        *(("0.5-5", (0.5, 5)), (" 1 - 5 ", (1, 5)), (".5-+1.", (0.5, 1))),
    ],
)
def test_scales_of_ratings(text: str, scale: tuple[float, float]) -> None:
    assert parse_rating_scale(text) == scale


@pytest.mark.parametrize(
    "text",
    ["4", "", "-", "1-", "-4", "4-4", "1-2-3", "one-four", "1..4", "1-nan", "1-inf", "\N{ARABIC-INDIC DIGIT ONE}-4"],
)
def test_what_is_no_scale_is_told(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^--rating-scale: found "):
        parse_rating_scale(text)


def test_a_negative_scale_is_no_option(run: Run, tmp_path: Path) -> None:
    _lines(tmp_path / "votes.jsonl", *({**row, "score": 1} for row in _ratings()))
    scale = ("--rating-field", "score", "--rating-scale", "-1-1")
    code, out, err = run("--feedback", "votes.jsonl", *scale, "--docs", "docs.jsonl", *QUICK, "--dry-run", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["sources"][1]["usable"] == 413


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "There is nothing to learn from: give --conversations, --feedback, --docs, --queries or --examples"),
        (("--feedback", "nowhere.jsonl"), "feedback: there is no file or folder 'nowhere.jsonl'"),
        (("--feedback", "folder"), "feedback: found the folder 'folder'"),
        (("--docs", "folder"), "documents: the folder 'folder' holds no file that ends with .md"),
        (("--docs", "docs.txt.gz"), "documents: 'docs.txt.gz' is compressed by gzip; unpack it"),
        (("--conversations", "wide.jsonl"), "conversations: 'wide.jsonl' is text in UTF-16; save it in UTF-8"),
        (("--queries", "folder"), "queries: the folder 'folder' has no judgements of 'train'"),
        (
            ("--feedback", "ratings.jsonl", "--docs", "docs.jsonl"),
            "has the field 'rating'; fields with a number: 'score'",
        ),
        ((*RATED[:4], "--rating-scale", "0-1"), "found 8 to 10"),
        (("--conversations", "chats.jsonl"), "fields with a list of objects: 'log'"),
        ((*RATED[:4], "--rating-scale", "4"), "--rating-scale: found '4'; expected the worst and the best rating"),
        ((*RATED, "--rating-field", ""), "rating_field"),
        ((*RATED, "--eval", "nowhere"), "There is no file or folder 'nowhere'"),
        ((*RATED, "--general", "nowhere"), "There is no file or folder 'nowhere'"),
        ((*RATED, "--name", "a/b"), "No name of a model: 'a/b'"),
        ((*RATED, "--tuning-strategy", "lroa"), "--tuning-strategy: Input should be 'full', 'lora'"),
        ((*RATED, "--epochs", "0"), "--epochs: Input should be greater than or equal to 1"),
        ((*RATED, "--tuning-strategy", "lora", "--frozen-layers", "1"), "frozen_layers has no meaning for lora"),
        ((*RATED, "--llm"), "llm.model_name"),
    ],
)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["run", "dry run"])
def test_mistakes_are_told_in_words_before_any_work(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], message: str, dry: tuple[str, ...]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "docs.txt.gz").write_bytes(b"\x1f\x8b\x08\x00")
    (tmp_path / "wide.jsonl").write_bytes("{}".encode("utf-16"))
    _lines(tmp_path / "chats.jsonl", {"id": "c", "log": [{"role": "user", "content": "Are returns free?"}]})
    before = _state(tmp_path)
    code, out, err = run(*arguments, *dry, "--json")
    assert (code, out) == (2, "")
    assert message in json.loads(err.splitlines()[-1])["error"]["message"]
    assert _state(tmp_path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "ratings.jsonl").chmod(0)
    code, _, err = run(*RATED)
    assert code == 2
    assert "feedback: cannot read 'ratings.jsonl' (Permission denied)" in err


def test_a_model_that_is_not_there_is_a_failure(run: Run) -> None:
    code, out, err = run(*RATED, "--base-model", "./nowhere")
    assert (code, out) == (1, "")
    assert "There is no model folder './nowhere'" in err


def test_help_shows_examples_and_exit_codes(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    lines = [line.strip() for line in out.splitlines()]
    assert "ragtime learn --feedback ratings.jsonl --docs handbook" in lines
    assert "4: there is too little data" in " ".join(lines)


# --- interruptions --------------------------------------------------------------------------------------------------


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let SIGINT interrupt what is started, as at a terminal; it does not in a job in the background."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.mark.slow
@pytest.mark.usefixtures("interruptible")
def test_a_run_that_was_interrupted_says_how_to_go_on_and_does(run: Run, tmp_path: Path) -> None:
    command = (*RATED, *QUICK, "--learning-rate", "0.003")
    begun = subprocess.Popen(
        [sys.executable, "-m", "ragtime", "learn", *command],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while begun.poll() is None and not list(tmp_path.glob(".ragtime/learning/retriever/*/*.json")):
        time.sleep(0.01)
    begun.send_signal(signal.SIGINT)
    out, err = begun.communicate()
    assert (begun.returncode, out) == (130, "")
    assert "goes on where it was" in err
    assert err.splitlines()[-1] == "ragtime: interrupted"
    code, out, _ = run(*command)
    assert code == 0
    assert "Report: " in out
