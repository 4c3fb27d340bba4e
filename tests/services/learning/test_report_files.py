"""Reports in a folder: read as they were written, replaced as a whole, and told in words when something is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.config.settings import Settings
from ragtime.errors import RenderLimitError, StorageError, TemplateError
from ragtime.services.learning.rendering import read_report, write_report
from ragtime.services.learning.report import (
    LearningReport,
    LossPoint,
    QuestionOutcome,
    RankedPassage,
    ValidationPoint,
)
from tests.services.learning.page_reading import Page, drawings_of
from tests.services.learning.reports import OUTCOMES, sample_report

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).filter(str.strip)
VALUES = st.floats(-1e6, 1e6)
RANKINGS = st.lists(st.tuples(TEXTS, st.none() | TEXTS, st.booleans()), max_size=3).map(
    lambda found: tuple(
        RankedPassage(rank=rank, title=title, text=text, relevant=relevant)
        for rank, (text, title, relevant) in enumerate(found, start=1)
    )
)
QUESTIONS = st.lists(
    st.builds(
        QuestionOutcome, question=TEXTS, before=VALUES, after=VALUES, ranking_before=RANKINGS, ranking_after=RANKINGS
    ),
    max_size=2,
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | VALUES | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def reports(draw: st.DrawFn) -> LearningReport:
    report = sample_report(draw(st.sampled_from(OUTCOMES)))
    update: dict[str, Any] = {
        "sentence": draw(TEXTS),
        "notes": draw(st.lists(TEXTS, max_size=3)),
        "won": draw(QUESTIONS),
        "lost": draw(QUESTIONS),
        "settings": draw(st.dictionaries(TEXTS, JSON_VALUES, max_size=3)),
        "next_step": draw(st.none() | TEXTS),
        "seed": draw(st.integers(0, 2**63)),
    }
    if report.training is not None:
        update["training"] = report.training.model_copy(
            update={
                "losses": [
                    LossPoint(step=step, loss=loss, learning_rate=0.1)
                    for step, loss in enumerate(draw(st.lists(VALUES, max_size=50)), start=1)
                ],
                "validation": [
                    ValidationPoint(step=step, value=value)
                    for step, value in enumerate(draw(st.lists(VALUES, max_size=9)))
                ],
                "best_step": draw(st.integers(0, 9)),
            }
        )
    return report.model_copy(update=update)


@settings(max_examples=40)
@given(report=reports())
def test_what_is_written_is_read_again(report: LearningReport, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("report")
    written = write_report(report, folder)
    html = (folder / "report.html").read_text(encoding="utf-8")
    Page(html)
    drawings_of(html)
    found = read_report(folder)
    assert found == written
    assert found.model_dump_json() == report.model_dump_json()


def test_a_report_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    write_report(sample_report("promoted"), tmp_path)
    write_report(sample_report("kept"), tmp_path)
    assert read_report(tmp_path).outcome == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]


def test_folders_are_made_as_needed_and_paths_are_told(tmp_path: Path) -> None:
    written = write_report(sample_report("kept"), str(tmp_path / "a" / "b"))
    assert written.html_path == tmp_path / "a" / "b" / "report.html"
    assert written.json_path == tmp_path / "a" / "b" / "report.json"
    assert "folder" not in json.loads(written.json_path.read_text(encoding="utf-8"))


def test_a_page_of_the_users_takes_the_place_of_the_packaged_one(tmp_path: Path) -> None:
    pages = tmp_path / "templates" / "pages"
    pages.mkdir(parents=True)
    (pages / "learning.html").write_text(
        '{% extends "base.html" %}{% block main %}{{ report.outcome }}: {{ report.data.training_pairs }}{% endblock %}',
        encoding="utf-8",
    )
    own = Settings(templates={"directory": tmp_path / "templates"})
    written = write_report(sample_report("kept"), tmp_path / "run", settings=own)
    assert written.html_path is not None
    assert "kept: 1758" in written.html_path.read_text(encoding="utf-8")


def test_a_page_that_cannot_be_rendered_leaves_no_report(tmp_path: Path) -> None:
    with pytest.raises(RenderLimitError, match="max_output_characters"):
        write_report(
            sample_report("kept"), tmp_path / "run", settings=Settings(templates={"max_output_characters": 999})
        )
    pages = tmp_path / "templates" / "pages"
    pages.mkdir(parents=True)
    (pages / "learning.html").write_text("{{ report.nothing.more }}", encoding="utf-8")
    with pytest.raises(TemplateError):
        write_report(
            sample_report("kept"), tmp_path / "run", settings=Settings(templates={"directory": tmp_path / "templates"})
        )
    assert not (tmp_path / "run").exists()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(StorageError, match="Cannot write"):
        write_report(sample_report("kept"), tmp_path / "file")


def test_where_there_is_no_report_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"no learning report in '.*nowhere': expected the file report\.json"):
        read_report(tmp_path / "nowhere")
    with pytest.raises(StorageError, match="no learning report"):
        read_report(tmp_path)
    (tmp_path / "report.json").mkdir()
    with pytest.raises(StorageError, match="Cannot read"):
        read_report(tmp_path)


SECRET = "canary-7431"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text[: len(text) // 2], "is damaged: not JSON"),
        (lambda _: "[1]", "is damaged: expected an object"),
        (
            lambda text: text.replace('"format": 1', '"format": 2', 1),
            r"A later version of ragtime wrote .*\(format 2\)",
        ),
        (lambda text: text.replace('"format": 1', '"format": "x"', 1), "no known format"),
        (lambda text: text.replace('"outcome": "kept"', f'"outcome": "{SECRET}"'), "holds no learning report: 1 wrong"),
        (lambda text: text.replace('"sentence"', f'"{SECRET}"'), "holds no learning report: 2 wrong"),
        (
            lambda text: text.replace('"training_pairs": 1758', '"training_pairs": -1'),
            "holds no learning report: 1 wrong",
        ),
        (lambda text: "\ud800" + text, "is damaged: not UTF-8"),
    ],
)
def test_a_damaged_report_is_told_and_not_quoted(change: Any, told: str, tmp_path: Path) -> None:
    write_report(sample_report("kept"), tmp_path)
    path = tmp_path / "report.json"
    path.write_bytes(change(path.read_text(encoding="utf-8")).encode("utf-8", "surrogatepass"))
    with pytest.raises(StorageError, match=told) as raised:
        read_report(tmp_path)
    assert SECRET not in str(raised.value)
    assert str(path) in str(raised.value)
