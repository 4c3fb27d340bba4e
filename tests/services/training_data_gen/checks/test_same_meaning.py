"""Queries that mean the same: found by their vectors, where they are asked of one passage."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from ragtime.config.settings import Settings
from ragtime.protocols import TextRole
from ragtime.services.training_data_gen import Lineage, TrainingDataGenerator, TrainingExample
from ragtime.testing import HashEncoder
from tests.services.training_data_gen.real_sources import STRATEGIES

PASSAGES = ("Returns are free for 30 days after the purchase.", "Wax leather boots every three months with beeswax.")
SAME = "its query means the same as another one of its passage"


WORDS = {"cost-free": "free", "send": "give", "shoes": "parcel", "long": "till", "how": "when", "may": "can"}


class Topics(HashEncoder):
    """Knows that some words mean the same."""

    def encode(self, texts: list[str], *, role: TextRole = "passage") -> npt.NDArray[np.float32]:  # type: ignore[override]
        told = [" ".join(WORDS.get(word, word) for word in text.lower().strip("?").split()) for text in texts]
        return super().encode(told, role=role)


def asked(query: str, passage: int = 0, **fields: object) -> TrainingExample:
    return TrainingExample(query=query, response=PASSAGES[passage], strategy="own", **fields)  # type: ignore[arg-type]


def generator(tmp_path: Path, encoder: HashEncoder | None, **settings: object) -> TrainingDataGenerator:
    made = Settings.isolated(data_dir=tmp_path, logging__progress="off", **settings)
    return TrainingDataGenerator(made, documents=list(PASSAGES), encoder=encoder)


FIRST, SECOND = "How long may I give the parcel back?", "When till can I send the shoes back?"


def test_a_query_that_means_the_same_of_one_passage_falls_and_names_who_stays(tmp_path: Path) -> None:
    given = [asked(FIRST), asked("Is it cost-free?"), asked(SECOND), asked(SECOND, 1), asked("When till can I wax it?")]
    report = generator(tmp_path, Topics()).validate(given)
    fallen = [verdict for verdict in report.verdicts if not verdict.kept]
    assert [(verdict.number, verdict.stage, verdict.reason) for verdict in fallen] == [(2, "duplicates", SAME)]
    assert fallen[0].duplicate_of == given[0].id
    assert report.metrics.duplicates == 1


@pytest.mark.parametrize(
    ("encoder", "settings"), [(None, {}), (Topics(), {"training_data__duplicate_similarity": 1.0})]
)
def test_words_alone_decide_without_an_encoder_or_where_only_the_same_words_count(
    tmp_path: Path, encoder: HashEncoder | None, settings: dict[str, object]
) -> None:
    report = generator(tmp_path, encoder, **settings).validate([asked(FIRST), asked(SECOND)])
    assert report.kept == 2


def test_variations_of_examples_are_not_compared(tmp_path: Path) -> None:
    varied = asked(SECOND, lineage=Lineage(example_ids=("a",)))
    assert generator(tmp_path, Topics()).validate([asked(FIRST), varied]).kept == 2


def test_later_batches_are_compared_with_former_ones(tmp_path: Path) -> None:
    others = [asked(f"Is wax {number} for boot {number * 7} or {number}x?", 1) for number in range(1100)]
    report = generator(tmp_path, Topics()).validate([asked(FIRST), *others, asked(SECOND)])
    assert report.verdicts[-1].reason == SAME
    assert report.verdicts[-1].duplicate_of == asked(FIRST).id


def test_who_repeats_one_that_fell_names_who_was_kept_instead(tmp_path: Path) -> None:
    given = [asked(FIRST), asked(SECOND), asked("when till can I send the shoes back??")]
    report = generator(tmp_path, Topics()).validate(given)
    assert [verdict.kept for verdict in report.verdicts].count(True) == 1
    (kept,) = [verdict.id for verdict in report.verdicts if verdict.kept]
    assert {verdict.duplicate_of for verdict in report.verdicts if not verdict.kept} == {kept}


def test_neither_workers_nor_order_change_what_is_kept(tmp_path: Path) -> None:
    queries = [
        f"{a} {b} may I {c} the parcel back?"
        for a in ("How", "When")
        for b in ("long", "till")
        for c in ("give", "send")
    ]
    rows = [{"id": f"q{number}", "text": query, "judgements": {"d": 1}} for number, query in enumerate(queries)]
    made = []
    for workers in (1, 3):
        random.Random(workers).shuffle(rows)  # noqa: S311 - the same each time
        settings = Settings.isolated(
            data_dir=tmp_path / str(workers), logging__progress="off", training_data__workers=workers
        )
        documents = [{"id": "d", "text": PASSAGES[0]}, PASSAGES[1]]
        one = TrainingDataGenerator(settings, documents=documents, queries=rows, encoder=Topics())
        made.append(list(one.iter_training_data()))
        assert one.metrics.rejected
    assert made[0] == made[1]
    assert len(made[0]) == 1


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_sample_gives_as_many_examples_as_before(tmp_path: Path, strategy: str) -> None:
    settings = Settings.isolated(data_dir=tmp_path, logging__progress="off")
    made = TrainingDataGenerator(settings, encoder=HashEncoder()).generate_training_data(200, strategy)
    assert len({example.id for example in made}) == 200
