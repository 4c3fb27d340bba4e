"""``ragtime generate``: training data from files."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ragtime.cli import main
from ragtime.config.settings import reload_settings
from ragtime.services.training_data_gen import TrainingDataGenerator, TrainingExample, load_examples
from ragtime.testing import LocalModelServer
from ragtime.utils.retrieval_sets import load_retrieval_set

RETURNS = """# Returns

Returns are free for 30 days. Send the shoes back in their box.

## Label

Open your order and print the label. It is valid for 14 days.
"""
CARE = "<h1>Care</h1><p>Wax leather boots every three months with beeswax.</p><script>track()</script>"
RATINGS = (
    {"query": "How long are returns free?", "rating": 5, "document_ids": ["returns.md#returns"]},
    {"query": "How do I care for leather?", "rating": 4, "document_ids": ["more/care.html"]},
    {"query": "Where do I find the label?", "rating": "5/5", "document_ids": ["returns.md#label"]},
    {"query": "Do you sell gloves?", "rating": 17},
)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    """Run the command line in this process; gives exit code, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ending:
            main(("generate", *arguments))
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return int(ending.value.code or 0), out, err

    return run


@pytest.fixture
def handbook(tmp_path: Path) -> str:
    """A folder with two pages and a picture."""
    folder = tmp_path / "handbook"
    (folder / "more").mkdir(parents=True)
    (folder / "returns.md").write_text(RETURNS)
    (folder / "more" / "care.html").write_text(CARE)
    (folder / "logo.png").write_bytes(b"\x89PNG")
    return str(folder)


def _lines(path: Path, *rows: Any) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def _examples(folder: Path) -> list[TrainingExample]:
    return load_examples(folder / "examples" / "00001.jsonl")


# --- what is made ---------------------------------------------------------------------------------------------------


def test_ratings_and_a_folder_become_a_data_set(run, tmp_path: Path, handbook: str) -> None:
    feedback = _lines(tmp_path / "ratings.jsonl", *RATINGS)
    code, out, err = run("--docs", handbook, "--feedback", feedback, "--count", "3", "--out", "data")
    assert code == 0
    assert "ratings.jsonl, line 4" in err
    assert "gloves" not in err
    rows = [line.split("\t") for line in out.splitlines()]
    assert rows[0] == ["stage", "strategy", "candidates", "kept", "rejected"]
    assert ["read", "documents", "3", "3", ""] in rows
    assert ["read", "feedback", "4", "3", "1 × rating is not on its scale"] in rows
    assert out.endswith("3 examples (3 train, 0 validation, 0 test) in data\n")
    assert {(one.query, one.lineage.document_ids) for one in _examples(tmp_path / "data")} == {
        ("How long are returns free?", ("returns.md#returns",)),
        ("Where do I find the label?", ("returns.md#label",)),
        ("How do I care for leather?", ("more/care.html#care",)),
    }
    assert "track" not in (tmp_path / "data" / "train.jsonl").read_text()


def test_another_scale_and_field(run, tmp_path: Path, handbook: str) -> None:
    rows = ({"query": one["query"], "score": -1, "document_ids": one.get("document_ids")} for one in RATINGS[:3])
    feedback = _lines(tmp_path / "votes.jsonl", *rows)
    scale = ("--rating-field", "score", "--rating-scale", "1", "-1")  # the best may be the lower number
    code, out, _ = run("--docs", handbook, "--feedback", feedback, *scale, "--count", "3", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["metrics"]["balance"]["positive"] == 3
    assert not told["sample"]


def test_conversations_with_turns_of_another_name(run, tmp_path: Path, handbook: str) -> None:
    turns = [
        {"role": "user", "content": "How long are returns free?"},
        {"role": "assistant", "content": "For 30 days.", "document_ids": ["returns.md#returns"]},
    ]
    file = _lines(tmp_path / "chats.jsonl", {"id": "c", "log": turns})
    arguments = ("--docs", handbook, "--conversations", file, "--strategy", "conversation_based", "--count", "1")
    code, _, err = run(*arguments, "--out", "data")
    assert code == 1
    assert "known form" in err
    assert run(*arguments, "--out", "data", "--turns-field", "log")[0] == 0
    assert _examples(tmp_path / "data")[0].lineage.conversation_id == "c"


def test_the_sample_is_used_when_nothing_is_given_and_that_is_said(run, tmp_path: Path) -> None:
    code, out, err = run("--count", "20", "--strategy", "query_based", "--strategy", "synthetic")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[-2] == "No source was given: this is made of the packaged sample"
    folder = Path(lines[-1].rpartition(" in ")[2])
    assert folder.parent == tmp_path / ".ragtime" / "datasets"
    made = [one.strategy for one in _examples(folder)]
    assert (made.count("query_based"), made.count("synthetic")) == (10, 10)
    assert load_retrieval_set(folder / "evaluation").queries
    assert run("--count", "20", "--strategy", "query_based", "--strategy", "synthetic")[:2] == (0, out)


def test_what_a_shape_cannot_express_is_said(run, tmp_path: Path) -> None:
    code, out, _ = run("--count", "5", "--strategy", "synthetic", "--shape", "triplets", "--out", "data")
    assert code == 0
    train = json.loads((tmp_path / "data" / "manifest.json").read_text())["parts"]["train"]
    assert f"Not in train, for triplets cannot express it: {train} × it has no negatives" in out.splitlines()


def test_rows_are_said_where_they_are_another_number(run, tmp_path: Path) -> None:
    arguments = ("--count", "5", "--strategy", "negative_sampling", "--shape", "triplets", "--out")
    code, out, _ = run(*arguments, "one")
    assert code == 0
    rows = {name: len(load_examples(tmp_path / "one" / f"{name}.jsonl")) for name in ("train", "validation", "test")}
    assert sum(rows.values()) > 5
    assert "Rows: " + ", ".join(f"{number} {name}" for name, number in rows.items()) in out.splitlines()
    told = json.loads(run(*arguments, "two", "--json")[1])
    assert told["rows"] == rows
    assert set(told["misses"]) <= set(rows)


@pytest.mark.parametrize(("form", "name"), [("csv", "train.csv"), ("json", "train.json"), ("jsonl", "train.jsonl")])
def test_formats_and_shapes(run, tmp_path: Path, form: str, name: str) -> None:
    arguments = ("--strategy", "negative_sampling", "--shape", "labelled_pairs", "--format", form, "--out", "data")
    assert run("--count", "5", *arguments)[0] == 0
    assert {one.label for one in load_examples(tmp_path / "data" / name)} == {0.0, 1.0}


def test_examples_that_exist_are_varied(run, tmp_path: Path, handbook: str) -> None:
    mine = {"query": "How long are returns free of charge?", "response": "Returns are free for 30 days."}
    file = _lines(tmp_path / "mine.jsonl", mine)
    arguments = ("--docs", handbook, "--examples", file, "--strategy", "augmentation", "--count", "1", "--out", "data")
    assert run(*arguments)[0] == 0
    (made,) = _examples(tmp_path / "data")
    assert made.lineage.example_ids == (TrainingExample(**mine).id,)


def test_a_folder_of_queries_and_a_part_of_it(run, tmp_path: Path) -> None:
    folder = tmp_path / "beir"
    folder.mkdir()
    _lines(folder / "corpus.jsonl", {"id": "d", "title": "", "text": "Returns are free for 30 days."})
    _lines(folder / "queries-dev.jsonl", {"id": "q", "text": "How long are returns free?"})
    (folder / "qrels-dev.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\t1\n")
    code, _, err = run("--queries", str(folder), "--count", "1")
    assert code == 2
    assert "'dev'" in err
    assert run("--queries", str(folder), "--split", "dev", "--count", "1", "--out", "data")[0] == 0
    assert _examples(tmp_path / "data")[0].response == "Returns are free for 30 days."


def test_a_language_model_writes_when_it_is_asked_to(
    run, tmp_path: Path, handbook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openai")
    arguments = ("--docs", handbook, "--strategy", "synthetic", "--count", "4", "--llm", "--out", "data")
    code, _, err = run(*arguments)
    assert code == 2
    assert "llm.model_name" in err
    answer = json.dumps({"queries": ["until when may I send shoes back", "is there a label for returned boots"]})
    with LocalModelServer(answer=answer) as server:
        monkeypatch.setenv("RAGTIME_LLM__BASE_URL", server.base_url)
        monkeypatch.setenv("RAGTIME_LLM__MODEL_NAME", "any")
        reload_settings()
        assert run(*arguments)[0] == 0
    assert "prompted" in {one.metadata["method"] for one in _examples(tmp_path / "data")}


def test_json_tells_what_the_table_tells(run, tmp_path: Path) -> None:
    code, out, err = run("--count", "10", "--out", "data", "--json")
    told = json.loads(out)
    assert (code, err) == (0, "")
    assert told["sample"]
    assert told["folder"] == "data"
    assert sum(told["parts"].values()) == told["metrics"]["produced"] == 10
    assert told["id"] == json.loads((tmp_path / "data" / "manifest.json").read_text())["id"]


def test_what_interrupted_runs_have_left_is_removed(run, tmp_path: Path, handbook: str) -> None:
    """The working file of a run that was stopped goes, and nothing is made."""
    with TrainingDataGenerator(documents=handbook) as generator:
        made = generator.iter_training_data(strategy="synthetic")
        next(made)
        with pytest.raises(KeyboardInterrupt):
            made.throw(KeyboardInterrupt())
    assert list(tmp_path.glob(".ragtime/datasets/unfinished/*.sqlite"))
    assert run("--remove-unfinished") == (0, "1 unfinished runs removed, 0 in use\n", "")
    assert not list(tmp_path.glob(".ragtime/datasets/unfinished/*"))
    code, out, err = run("--remove-unfinished", "--json")
    assert (code, json.loads(out), err) == (0, {"removed": 0, "in_use": 0}, "")
    assert [path.name for path in (tmp_path / ".ragtime" / "datasets").iterdir()] == ["unfinished"]


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--docs", "nowhere"), 2, "documents: there is no file or folder 'nowhere'"),
        (("--docs", "handbook/logo.png"), 2, "expected a file that ends with .md"),
        (("--feedback", "handbook"), 2, "feedback: found the folder 'handbook'"),
        (("--queries", "handbook"), 2, "queries: the folder 'handbook'"),
        (("--count", "0"), 2, "count is at least 1, found 0"),
        (("--count", "many"), 2, "--count"),
        (("--strategy", "synthetc"), 2, "did you mean 'synthetic'?"),
        (("--shape", "pear"), 2, "There is no shape 'pear'"),
        (("--shape", "0-tuples"), 2, "There is no shape '0-tuples'"),
        (("--format", "xml", "--count", "3"), 2, "There is no format 'xml'"),
        (("--rating-scale", "1", "1", "--feedback", "empty.jsonl"), 2, "two different numbers"),
        (("--rating-scale", "one", "2"), 2, "--rating-scale"),
        (("--docs", "handbook"), 1, "'query_based'"),
        (("--docs", "handbook", "--strategy", "synthetic", "--count", "500"), 1, "of 500 examples by synthetic"),
        (("--feedback", "empty.jsonl"), 1, "gave 0 of 100 examples"),
        (("--count", "3", "--out", "handbook"), 1, "'handbook' holds something else"),
    ],
)
@pytest.mark.usefixtures("handbook")
def test_mistakes_are_told_in_words(run, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    before = sorted(tmp_path.glob("handbook/**/*"))
    found, out, err = run(*arguments)
    assert (found, out) == (code, "")
    assert message in " ".join(err.split())
    assert sorted(tmp_path.glob("handbook/**/*")) == before

    found, out, err = run(*arguments, "--json")
    assert (found, out) == (code, "")
    assert message in json.loads(err.splitlines()[-1])["error"]["message"]


def test_help_shows_examples_that_can_be_copied(run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    lines = [line.strip() for line in out.splitlines()]
    assert "ragtime generate --docs handbook --strategy synthetic --count 1000" in lines
    assert "ragtime generate --docs handbook --feedback ratings.jsonl --out data" in lines


# --- interruptions --------------------------------------------------------------------------------------------------


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let SIGINT interrupt what is started, as at a terminal; it does not in a job in the background."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.mark.slow
@pytest.mark.usefixtures("interruptible")
def test_a_run_that_was_interrupted_goes_on_and_gives_the_same_bytes(tmp_path: Path) -> None:
    things = random.Random(5)  # noqa: S311 - texts, no secrets
    words = [
        "".join(things.choices("bdfgklmnprst", k=1) + things.choices("aeiou", k=1)) * 2 + str(n) for n in range(400)
    ]
    rows = [
        {"id": f"d{number}", "text": ". ".join(" ".join(things.choices(words, k=6)) for _ in range(3)) + "."}
        for number in range(1500)
    ]
    docs = _lines(tmp_path / "docs.jsonl", *rows)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAGTIME_")}

    def begin(data: str, out: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "ragtime", "generate", "--docs", docs, "--strategy", "synthetic"]
        return subprocess.Popen(
            [*command, "--count", "1500", "--out", out],
            env={**environment, "RAGTIME_DATA_DIR": data},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    first = begin("data", "out")
    while first.poll() is None and not list(tmp_path.glob("data/datasets/unfinished/[!.]*.sqlite")):
        time.sleep(0.01)
    first.send_signal(signal.SIGINT)
    out, err = first.communicate()
    assert (first.returncode, out, err) == (130, "", "ragtime: interrupted\n")
    assert not (tmp_path / "out").exists()
    for data, folder in (("data", "out"), ("other", "whole")):
        process = begin(data, folder)
        out, err = process.communicate()
        assert (process.returncode, err) == (0, "")
    assert not list(tmp_path.glob("data/datasets/unfinished/*.sqlite"))
    names = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    for name in names - {"run.json"}:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
