"""A program written as the callers of the old modules were runs with the wrappers, and then with the new names.

It lies in ``program/before``: a web application with conversations in its session, prompts, ratings, and a model that
learns from them. ``program/edits.patch`` is what is left to do by hand after ``ragtime migrate --to ragtime``.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ragtime.testing import HashEncoder, LocalModelServer, tiny_model
from tests.compat.program_edits import Hunk, apply_patch, lines_of_places, read_patch

pytestmark = [pytest.mark.slow, pytest.mark.models]

PROGRAM = Path(__file__).parent / "program"
EDITS = read_patch((PROGRAM / "edits.patch").read_text())
# Python cannot name this warning on its command line.
START = """\
import runpy, sys, warnings
from ragtime.errors import RagtimeDeprecationWarning
warnings.simplefilter(sys.argv[1], RagtimeDeprecationWarning)
sys.path.insert(0, ".")
runpy.run_path("main.py", run_name="__main__")
"""
TALK = [
    ("How long does delivery take?", "Delivery takes two days.", "initial"),
    ("Who makes repairs here?", "Repairs are made on the spot.", "initial"),
    ("Do vouchers ever end?", "Vouchers end after three years.", "initial"),
    ("Can you say more about it?", "Filters are in stock for ten years.", "with_previous_content"),
]
WARRANTY = "Warranty lasts for two years. Keep the slip that came with the goods."


@pytest.fixture(scope="module")
def base_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "base"
    tiny_model().save_pretrained(str(folder))
    return folder


@pytest.fixture
def server() -> Iterator[LocalModelServer]:
    encoder = HashEncoder(256)

    def embed(text: str) -> Sequence[float]:
        # Texts are near each other that share a long word.
        words = [word for word in text.split() if len(word.strip("?.")) > 5]
        return [float(number) for number in encoder.encode([" ".join(words or [text])])[0]]

    with LocalModelServer(answer="They spoke of delivery.", embed=embed) as server:
        yield server


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PROGRAM / "before", tmp_path / "helpdesk"))


def _migrate(folder: Path, target: str, mode: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "ragtime", "migrate", "--to", target, mode, "--json", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def _run(folder: Path, server: LocalModelServer, base_model: Path, warnings: str) -> tuple[dict[str, Any], str]:
    environment = {
        **os.environ,
        "OLLAMA_BASE_URL": server.base_url.removesuffix("/v1"),
        "BASE_MODEL_NAME": str(base_model),
        "HF_HUB_OFFLINE": "1",
    }
    command = [sys.executable, "-c", START, warnings]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def _check_what_happened(report: dict[str, Any]) -> None:
    """What is the same with the wrappers and with the new names."""
    talk = report["talk"]
    assert [(one["answer"], one["query_type"]) for one in talk["asked"]] == [(said, kind) for _, said, kind in TALK]
    assert [one["document_ids"] for one in talk["asked"]][:2] == [["doc-delivery"], ["doc-repairs"]]
    assert [one["related"] for one in talk["asked"]] == [[query] for query, _, _ in TALK]
    assert talk["history"]["turns"] == [{"query": query, "response": said} for query, said, _ in TALK]
    assert talk["cleared"] is True
    assert talk["after"] == {"turns": [], "summary": ""}
    assert talk["rated"] == 400  # nothing is left to rate
    assert "<ul><li>creative</li><li>standard</li></ul>" in talk["page"]
    assert WARRANTY in talk["look_up"]
    assert "Question: warranty of a kettle" in talk["look_up"]
    assert report["likeness"] == pytest.approx(1.0, abs=1e-6)
    assert (report["feedback"], report["examples"]) == (24, 24)
    training = report["training"]
    assert training["models"] == [training["model_name"]]
    assert (training["deleted"], training["left"]) == (True, [])
    assert math.isfinite(training["loss"])
    assert -1.0 <= training["score"] <= 1.0


def _check_the_old_forms(told: dict[str, Any]) -> None:
    """What the wrappers keep beside that: the prompts of the file, the forms of texts, the names of models."""
    _check_what_happened(told)
    first, *_, last = (one["prompt"] for one in told["talk"]["asked"])
    assert first == (
        "You work at the help desk.\n\nWhat we know:\nDelivery takes two days. All parcels leave the hall at five.\n\n"
        "Question: How long does delivery take?\nAnswer:"
    )
    assert last == (
        "You tell stories.\n\nWhat was said:\nQ: Who makes repairs here?\nA: Repairs are made on the spot.\n\n"
        "Q: Do vouchers ever end?\nA: Vouchers end after three years.\n\n"
        "What we know:\nFilters are in stock for ten years. Lids, too.\n\n"
        "Tell a story that answers: Can you say more about it?"
    )
    assert told["talk"]["history"]["summary"].startswith("Previous conversation summary:\n- 2 earlier exchanges")
    assert told["training"]["samples"] == 24
    assert told["training"]["model_name"].startswith("helpdesk_")


def _asked_of(server: LocalModelServer) -> Counter[tuple[str, str]]:
    """What the model server was asked, by model."""
    return Counter((request.path, request.body["model"]) for request in server.requests if request.body)


def test_it_runs_with_the_wrappers_and_nothing_but_the_names_of_modules_is_changed(
    program: Path, server: LocalModelServer, base_model: Path
) -> None:
    report = _migrate(program, "compat", "--write")
    assert (report["findings"], report["problems"]) == ([], [])
    for path in (PROGRAM / "before").glob("*.py"):
        assert (program / path.name).read_text().replace("_compat", "") == path.read_text()

    told, errors = _run(program, server, base_model, "always")
    _check_the_old_forms(told)
    assert len(list((program / ".conport_local" / "UserFeedback").glob("*.json"))) == 24
    asked = _asked_of(server)
    assert set(asked) == {("/v1/embeddings", "mistral"), ("/v1/chat/completions", "sixthwood")}
    assert asked["/v1/chat/completions", "sixthwood"] == 1  # up to two exchanges are told whole
    warned = [line for line in errors.splitlines() if "RagtimeDeprecationWarning" in line]
    places = {Path(line.split(":", 1)[0]) for line in warned}
    assert places == {
        program / f"{name}.py" for name in ("context_builder", "feedback", "learning", "retrieval", "web")
    }


def test_it_runs_as_before_while_nothing_that_the_list_names_is_done(
    program: Path, server: LocalModelServer, base_model: Path
) -> None:
    report = _migrate(program, "ragtime", "--write")
    assert report["findings"]
    assert "memory.add_exchange(" in (program / "web.py").read_text()
    told, _ = _run(program, server, base_model, "ignore")
    _check_the_old_forms(told)


def test_it_runs_with_the_new_names_after_the_edits_that_the_list_names(
    program: Path, server: LocalModelServer, base_model: Path
) -> None:
    report = _migrate(program, "ragtime", "--write")
    assert report["problems"] == []
    _check_that_the_edits_are_listed(program, report["findings"])
    apply_patch(program, EDITS)
    left = _migrate(program, "ragtime", "--check")
    assert (left["changed"], left["findings"]) == ([], [])
    assert not any("_compat" in path.read_text() for path in program.glob("*.py"))

    told, _ = _run(program, server, base_model, "error")
    _check_what_happened(told)
    for one, (query, _, _) in zip(told["talk"]["asked"], TALK, strict=True):
        assert one["prompt"].startswith(one["system_instruction"])
        assert one["prompt"].endswith(f"Question: {query}")
    first, *_, last = (one["prompt"] for one in told["talk"]["asked"])
    assert "Delivery takes two days. All parcels leave the hall at five." in first
    assert "Q: Do vouchers ever end?\nA: Vouchers end after three years." in last
    assert told["talk"]["history"]["summary"] == "They spoke of delivery."
    assert told["training"]["samples"] == 12  # queries that have an answer
    assert not (program / ".conport_local").exists()
    assert {model for _, model in _asked_of(server)} == {"mistral", "sixthwood"}


def _check_that_the_edits_are_listed(folder: Path, findings: Sequence[dict[str, Any]]) -> None:
    """Fail when an edit touches a line that the list does not name; new files are free."""
    hunks: dict[str, list[Hunk]] = {}
    for hunk in EDITS:
        hunks.setdefault(hunk.path, []).append(hunk)
    for name, edits in hunks.items():
        if not (folder / name).exists():
            continue
        assert all(hunk.removed for hunk in edits), f"{name}: something is put where nothing is listed"
        places = {finding["line"] for finding in findings if Path(finding["path"]).name == name}
        touched = {line for hunk in edits for line in hunk.lines}
        assert touched <= lines_of_places((folder / name).read_text(), places, touched), name
