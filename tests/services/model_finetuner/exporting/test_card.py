"""The card stays a card, whatever models, data sets and prompts are called."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("scipy")

from markdown_it import MarkdownIt

from ragtime.services.model_finetuner.exporting import ExportFacts, ExportSource, SafetensorsExporter
from ragtime.services.model_finetuner.exporting.card import model_card
from ragtime.services.model_finetuner.metrics import Choice
from ragtime.storage.registry import Figure
from tests.services.model_finetuner.exporting.test_plots import compared, run

ODD = st.text(alphabet=st.sampled_from("a`|\\ \n#*<>&_[]()"), max_size=12)


def card(prompt: str = "find: ", data: str = "handbook", value: str = "x", source: ExportSource | None = None) -> str:
    facts = ExportFacts(
        target="safetensors", model="registry:support@3f6c", base_model="base", parameters=1, dimension=32,
        max_seq_length=128, dtype="float32", prompts={"query": prompt}, normalization_added=True,
        packages={"torch": "2.8"}, tolerance=1e-4,
    )  # fmt: skip
    about = source or ExportSource(
        name="m", path=Path("m"), training={"config": {"precision": value, "dropout": None}},
        registered={"handbook ndcg@10": Figure(0.5, (0.4, 0.6))}, run=run(),
    )  # fmt: skip
    instructions = SafetensorsExporter().instructions("support", dimension=32)
    return model_card("support", facts, about, [compared(data)], instructions)


def headings(text: str) -> list[str]:
    return re.findall(r"<h[1-6]>(.*?)</h[1-6]>", MarkdownIt().enable("table").render(text.partition("---\n\n")[2]))


def tables(text: str) -> list[list[int]]:
    """The number of cells in each row of each table."""
    html = MarkdownIt().enable("table").render(text.partition("---\n\n")[2])
    return [
        [len(re.findall(r"<t[dh]>", row)) for row in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)]
        for table in re.findall(r"<table>(.*?)</table>", html, re.DOTALL)
    ]


def test_what_is_known_is_told() -> None:
    text = card()
    assert headings(text) == [
        "support", "Serving", "Figures", "Beside the base model", "In the registry", "Training", "Check"
    ]  # fmt: skip
    assert "| handbook ndcg@10 | 0.5000 [0.4000, 0.6000] |" in text
    assert "| precision | `x` |" in text
    assert "dropout" not in text  # left open
    assert "<code>find: </code>" in MarkdownIt().enable("table").render(text)  # with the space that belongs to it
    assert "text-embeddings-router" in text
    assert 'SentenceTransformer("support", local_files_only=True)' in text


def test_what_is_not_known_is_left_out() -> None:
    text = card(source=ExportSource(name="m", path=Path("m")))
    assert "Training" not in headings(text)
    bare = ExportSource(name="m", path=Path("m"), validation={"ndcg@10": 0.5, "ndcg@5": 0.4, "auc": 0.7})
    text = card(source=bare)
    assert "| ndcg@10 |  | 0.5000 |" in text
    assert "ndcg@5" not in text
    assert "| auc |  | 0.7000 |" in text


def test_choices_of_the_run_are_told() -> None:
    choice = Choice(name="loss_function", value="info_nce", reason="rows say what answers | and nothing else")
    text = card(source=ExportSource(name="m", path=Path("m"), run=run(choices=[choice])))
    assert "| loss_function | info_nce | rows say what answers \\| and nothing else |" in text


@given(prompt=ODD.filter(bool), value=ODD, data=ODD.filter(str.strip))
@settings(max_examples=25)
def test_odd_names_change_no_heading_and_no_table(prompt: str, value: str, data: str) -> None:
    expected = card()
    text = card(prompt, data, value)
    assert headings(text) == headings(expected)
    assert tables(text) == tables(expected)
