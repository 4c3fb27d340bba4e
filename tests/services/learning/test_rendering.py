"""Reports as pages and as JSON: whole, inert, complete for every outcome, and the same bytes each time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ragtime.services.learning.rendering import read_report, write_report
from ragtime.services.learning.report import (
    LearningReport,
    ShownExample,
)
from ragtime.utils.templates import HTMLTemplateManager
from tests.services.learning.page_reading import Page, drawings_of
from tests.services.learning.reports import OUTCOMES, sample_report

HOSTILE = [
    "<script>alert(1)</script>",
    "</title></svg></style><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><svg onload=alert(1)> ' onmouseover='alert(1)",
    "--><!-- ]]> &lt;b&gt; &amp; <base href='https://evil.example/'>",
    "{{ 7 * 7 }} {% include 'x' %} {# c #}",
    "مرحبا \u202e(world)\u2066 123",
    "👩\u200d🚀🏳️\u200d🌈 \U0001f9ea",
    "Donaudampfschifffahrt" * 60,
    "a\x00b\x1bc\u2028d\x85e",
    "line\n\nline\ttab",
]


def page_of(report: LearningReport, folder: Path) -> tuple[Page, str]:
    written = write_report(report, folder)
    assert written.html_path is not None
    html = written.html_path.read_text(encoding="utf-8")
    return Page(html), html


# --- the page -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_the_page_is_whole_and_says_the_verdict_first(outcome: Any, tmp_path: Path) -> None:
    report = sample_report(outcome)
    page, html = page_of(report, tmp_path)
    labels = {"promoted": "Promoted", "kept": "Not promoted", "too_little_data": "Too little data"}
    assert next(text.split()[1:] for level, text in page.headings if level == 2) == labels[outcome].split()
    assert page.text.index(report.sentence) < page.text.index("Training pairs")
    assert len(drawings_of(html)) == len([one for one in page.all("svg") if one.get("role") == "img"])
    assert f"Run {report.run_id} · seed 42" in page.text
    for note in report.notes:
        assert note in page.text


def test_a_decided_run_has_every_section(tmp_path: Path) -> None:
    report = sample_report("promoted")
    page, html = page_of(report, tmp_path)
    sections = [attributes["id"] for attributes in page.all("section") if attributes.get("id")]
    assert sections == ["figures", "gate", "questions", "training", "data", "examples", "lineage", "settings"]
    links = [attributes["href"] for attributes in page.all("a") if attributes["href"] not in {"#main", "report.json"}]
    assert links == [f"#{section}" for section in sections]
    titles = [drawing[0].text for drawing in drawings_of(html)]
    assert titles[:6] == ["nDCG@10", "Recall@10", "MRR@10", "Recall@100", "What changed", "Single questions"]
    assert titles[6:8] == ["Training loss", "nDCG@10 on the validation data"]
    assert titles[8:] == ["From candidates to examples"] * 2  # for wide screens and for narrow ones
    assert "0.353 → 0.394" in page.text
    assert "+0.041, 95 % interval +0.028 to +0.056" in page.text
    assert "ragtime lineage helpdesk@c2d97fa0e613" in page.text
    assert 'embedding.model_name = "registry:helpdesk"' in page.text
    assert report.decision is not None
    for sentence in (*report.decision.reasons, *report.decision.cautions):
        assert sentence in page.text


def test_figures_of_all_models_stand_in_the_table_with_their_intervals(tmp_path: Path) -> None:
    page, _ = page_of(sample_report("promoted"), tmp_path)
    held_out, general, models = page.cells[:3]
    assert held_out[0] == ["Figure", "Base", "In use", "Tuned"]
    assert held_out[1] == ["nDCG@10", "0.332 0.301 to 0.364", "0.353 0.322 to 0.385", "0.394 0.363 to 0.426"]
    assert [row[0] for row in held_out[1:]] == ["nDCG@10", "Recall@10", "MRR@10", "Recall@100"]
    assert len(general) == 2
    assert models[3] == ["Tuned", "helpdesk, tuned", "helpdesk@c2d97fa0e613", "c2d97fa0e613"]


def test_too_little_data_says_what_is_missing_and_leaves_the_rest_out(tmp_path: Path) -> None:
    page, html = page_of(sample_report("too_little_data"), tmp_path)
    sections = [attributes["id"] for attributes in page.all("section") if attributes.get("id")]
    assert sections == ["missing", "data", "examples", "settings"]
    assert "46 of 200 training pairs" in page.text
    assert "154 missing" in page.text
    assert "11 of 100 held-out questions" in page.text
    assert "ragtime lineage" not in page.text
    assert [drawing[0].text for drawing in drawings_of(html)] == ["From candidates to examples"] * 2


def test_only_what_is_missing_is_called_so(tmp_path: Path) -> None:
    report = sample_report("too_little_data")
    data = report.data.model_copy(update={"missing_pairs": 0, "training_pairs": 1300})
    page, _ = page_of(report.model_copy(update={"data": data}), tmp_path)
    assert "1\u202f300 training pairs" in page.text
    assert "enough" in page.text
    assert "89 missing" in page.text


def test_a_report_of_nothing_is_a_page_too(tmp_path: Path) -> None:
    report = sample_report("too_little_data")
    data = report.data.model_copy(
        update={"metrics": {}, "kept": (), "rejected": (), "held_out": None, "sources": {}, "dataset_id": None}
    )
    page, html = page_of(report.model_copy(update={"data": data, "next_step": None}), tmp_path)
    assert drawings_of(html) == []
    assert "0 of 89 held-out questions" in page.text
    assert page.cells == []


def test_models_without_training_or_gate_are_shown_as_far_as_they_are_known(tmp_path: Path) -> None:
    report = sample_report("kept")
    models = tuple(
        model.model_copy(update={"general": {}, "reference": None}) for model in report.models if model.role != "in_use"
    )
    less = report.model_copy(update={"models": models, "decision": None, "training": None, "version": None})
    page, _ = page_of(less, tmp_path)
    assert "gate" not in page.identities
    assert "training" not in page.identities
    assert page.cells[0][0] == ["Figure", "Base", "Tuned"]
    assert "ragtime lineage" not in page.text
    assert [text for level, text in page.headings if level == 4][:2] == ["Before", "Tuned"]


def test_the_ledger_in_the_page_adds_up(tmp_path: Path) -> None:
    report = sample_report("promoted")
    page, html = page_of(report, tmp_path)
    (ledger,) = [table for table in page.cells if table[0][0] == "Stage"]
    left: dict[str, int] = {}
    for stage, strategy, candidates, kept, reasons in ledger[1:]:
        counts = [int(part.replace("\u202f", "")) for part in re.findall(r"([\d\u202f]+) × ", reasons)]
        came, stayed = (int(cell.replace("\u202f", "")) for cell in (candidates, kept))
        assert came == stayed + sum(counts), (stage, strategy)
        assert left.get(strategy, came) == came
        left[strategy] = stayed
    assert sum(left.values()) == report.data.metrics.produced == 2512
    assert f"{report.data.metrics.produced:,} examples".replace(",", "\u202f") in page.text
    flow = next(one for one in drawings_of(html) if one.get("aria-labelledby", "").startswith("flow-title"))
    assert flow[1].text == (
        "5\u202f069 candidates (conversation_based 428, query_based 1\u202f987, synthetic 2\u202f654); make kept "
        "3\u202f930; quality kept 3\u202f726; round_trip kept 3\u202f329; duplicates kept 3\u202f200; choose kept "
        "2\u202f512."
    )


def test_reasons_are_counted_over_all_stages(tmp_path: Path) -> None:
    report = sample_report("promoted")
    page, _ = page_of(report, tmp_path)
    reasons = report.data.metrics.rejected
    assert sum(reasons.values()) == report.data.metrics.candidates - report.data.metrics.produced
    for reason, count in reasons.items():
        assert f"{reason}{count:,}".replace(",", "\u202f") in page.text


def test_both_rankings_stand_beside_each_other_and_the_answers_are_marked_in_words(tmp_path: Path) -> None:
    report = sample_report("promoted")
    page, html = page_of(report, tmp_path)
    questions = re.findall(r'<details class="question".*?</details>', html, re.DOTALL)
    assert len(questions) == len(report.won) + len(report.lost)
    for question, shown in zip((*report.won, *report.lost), questions, strict=True):
        before, after = shown.split("<h4>")[1:]
        assert before.startswith("In use<")
        assert after.startswith("Tuned<")
        for ranking, part in ((question.ranking_before, before), (question.ranking_after, after)):
            assert part.count("<li") == len(ranking)
            assert part.count('class="relevant"') == part.count("> answers<") == sum(one.relevant for one in ranking)
    assert "0.20 → 1.00" in page.text


def test_examples_tell_how_they_were_made_and_why_they_fell(tmp_path: Path) -> None:
    report = sample_report("promoted")
    page, _ = page_of(report, tmp_path)
    for example in (*report.data.kept, *report.data.rejected):
        assert example.query is not None
        assert example.query in page.text
        assert example.reason is None or f"✕ {example.reason}" in page.text
    weak = sum(example.weak for example in (*report.data.kept, *report.data.rejected))
    assert page.text.count("guessed, not stated by anybody") == weak


def test_every_setting_stands_in_the_page_by_its_whole_name(tmp_path: Path) -> None:
    page, _ = page_of(sample_report("promoted"), tmp_path)
    (table,) = [table for table in page.cells if table[0] == ["Setting", "Value"]]
    assert ["embedding.model_name", '"all-MiniLM-L6-v2"'] in table
    assert ["embedding.normalize", "true"] in table
    assert ["finetuning.negatives", '["mined", "in batch"]'] in table


# --- hostile texts --------------------------------------------------------------------------------------------------


def _everywhere(value: Any, text: str, key: str = "") -> Any:
    """Put `text` in the place of every text that users or models write."""
    free = {"sentence", "next_step", "question", "title", "text", "query", "response", "reason", "value"}
    lists = {"notes", "reasons", "cautions"}
    if isinstance(value, dict):
        return {name: _everywhere(inner, text, name) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [text if key in lists else _everywhere(inner, text, key) for inner in value]
    if isinstance(value, str) and (key in free or key == "name"):
        return text
    return value


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_hostile_texts_are_inert(outcome: Any, hostile: str, tmp_path: Path) -> None:
    dumped = _everywhere(sample_report(outcome).model_dump(mode="json"), hostile)
    dumped["name"] = "n"
    if dumped["training"]:
        for choice in dumped["training"]["choices"]:
            choice["name"] = "c"
    dumped["settings"] = {"a": {"b": hostile}, hostile: [hostile, {hostile: hostile}]}
    report = LearningReport.model_validate(dumped)
    page, html = page_of(report, tmp_path)
    drawings_of(html)
    assert hostile.replace("\x00", "") in page.text.replace("\x00", "")
    assert read_report(tmp_path) == report.model_copy(update={"folder": tmp_path})


IDENTIFIER = "<b>&\"'{{x}}"


def test_hostile_names_in_the_account_are_inert(tmp_path: Path) -> None:
    text = sample_report("promoted").model_dump_json()
    for name in ("synthetic", "round_trip", "not needed", "documents", "ndcg@10", "users", "loss_function", "torch"):
        text = text.replace(f'"{name}"', json.dumps(f"{name}{IDENTIFIER}"))
    report = LearningReport.model_validate_json(text)
    page, html = page_of(report, tmp_path)
    drawings_of(html)
    assert f"not needed{IDENTIFIER}" in page.text
    assert f"round trip{IDENTIFIER}" in page.text


def test_long_texts_are_cut_in_the_page_and_whole_in_the_json(tmp_path: Path) -> None:
    report = sample_report("promoted")
    long = ShownExample(strategy="query_based", query="why " * 500, response="because " * 5000)
    data = report.data.model_copy(update={"kept": (long,), "rejected": ()})
    page, _ = page_of(report.model_copy(update={"data": data}), tmp_path)
    assert page.text.count("because") < 60
    assert read_report(tmp_path).data.kept == (long,)


# --- bytes ----------------------------------------------------------------------------------------------------------


def test_the_same_report_gives_the_same_bytes_wherever_it_rests(tmp_path: Path) -> None:
    report = sample_report("promoted")
    first = write_report(report, tmp_path / "a")
    again = write_report(read_report(tmp_path / "a"), tmp_path / "b")
    for name in ("report.html", "report.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert str(tmp_path).encode() not in (tmp_path / "a" / "report.html").read_bytes()
    assert (first.folder, again.folder) == (tmp_path / "a", tmp_path / "b")
    assert report.folder is None


def test_other_processes_write_the_same_bytes(tmp_path: Path, root: Path) -> None:
    written = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        subprocess.run(
            [sys.executable, "-m", "tests.services.learning.reports", str(folder)],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
        )
        written.append([path.read_bytes() for path in sorted(folder.rglob("report.*"))])
    assert written[0] == written[1]
    assert len(written[0]) == 2 * len(OUTCOMES)


def test_colours_have_enough_contrast_in_light_and_dark(tmp_path: Path) -> None:
    page, _ = page_of(sample_report("promoted"), tmp_path)
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})\b", page.style):
        found.setdefault(name, []).append(value)
    for scheme in (0, 1):
        background = found["background"][scheme]
        for name in ("text", "muted", "accent", "good", "bad", "warning"):
            assert _contrast(found[name][scheme], background) >= 4.5, (name, scheme)
        for surface in ("good", "bad", "warning"):
            assert _contrast(found[surface][scheme], found[f"{surface}-surface"][scheme]) >= 4.5, (surface, scheme)
        marks = ["base", "in-use", "tuned", "won", "lost", *(f"lane-{number}" for number in range(1, 7))]
        for name in marks:
            assert _contrast(found[name][scheme], background) >= 3, (name, scheme)


def _contrast(first: str, second: str) -> float:
    """Return the contrast of two colours by the Web Content Accessibility Guidelines."""

    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_the_page_has_no_finding() -> None:
    assert HTMLTemplateManager().validate("learning.html") == []
