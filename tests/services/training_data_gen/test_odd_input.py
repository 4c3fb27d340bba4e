"""Methods that take examples, with what callers may hand them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragtime.config.settings import Settings
from ragtime.errors import GenerationError, InvalidArgumentError
from ragtime.services.training_data_gen import TrainingDataGenerator, TrainingExample

PASSAGE = "Returns are free for 30 days after the purchase."
OWN = TrainingExample(query="How long are returns free?", response=PASSAGE)
FOREIGN = TrainingExample(query="Who is the heron?", response="A grey bird that stands in shallow water.")
Method = Callable[[TrainingDataGenerator, Any, Path], object]

METHODS: dict[str, Method] = {
    "validate": lambda generator, given, _: generator.validate(given),
    "augment": lambda generator, given, _: generator.augment(given),
    "add_negatives": lambda generator, given, _: generator.add_negatives(given),
    "split": lambda generator, given, _: generator.split(given),
    "export": lambda generator, given, folder: generator.export_training_data(given, folder / "out.jsonl"),
}


@pytest.fixture
def generator(tmp_path: Path) -> TrainingDataGenerator:
    settings = Settings.isolated(data_dir=tmp_path / "data", logging__progress="off")
    return TrainingDataGenerator(settings, documents=[{"id": "d", "text": PASSAGE}])


@pytest.mark.parametrize("given", [None, "text", 7, OWN, {"query": "a"}, ["text"], [OWN, None], [{"query": "a"}]])
@pytest.mark.parametrize("method", METHODS)
def test_what_is_no_example_is_named(generator: TrainingDataGenerator, tmp_path: Path, method: str, given: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="examples must be"):
        METHODS[method](generator, given, tmp_path)
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize("method", METHODS)
def test_a_generator_is_as_good_as_a_list(generator: TrainingDataGenerator, tmp_path: Path, method: str) -> None:
    told = METHODS[method](generator, (one for one in [OWN, FOREIGN]), tmp_path)
    again = METHODS[method](generator, [OWN, FOREIGN], tmp_path)
    assert repr(told).partition("performance")[0] == repr(again).partition("performance")[0]


def test_one_example_and_none(generator: TrainingDataGenerator, tmp_path: Path) -> None:
    assert sum(map(len, generator.split([OWN]).parts.values())) == 1
    assert [verdict.kept for verdict in generator.validate([OWN]).verdicts] == [True]
    assert generator.augment([OWN])
    assert generator.add_negatives([OWN]) == []
    assert generator.metrics.rejected == {"no passage is close without being a positive": 1}
    assert generator.export_training_data([], tmp_path / "none.csv").rows == 0
    assert generator.load(tmp_path / "none.csv") == []
    for method in ("augment", "add_negatives"):
        with pytest.raises(GenerationError, match="no example to start from"):
            METHODS[method](generator, [], tmp_path)
    with pytest.raises(InvalidArgumentError, match="no example to split"):
        generator.split([])


def test_examples_of_foreign_origin_are_varied_and_their_passages_not_searched_for(
    generator: TrainingDataGenerator,
) -> None:
    made = generator.augment([FOREIGN])
    assert {example.response for example in made} == {FOREIGN.response}
    assert all(example.lineage.example_ids == (FOREIGN.id,) for example in made)
    assert any("not in the corpus" in note for note in generator.metrics.notes)
