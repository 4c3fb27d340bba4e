"""How often whole runs are promoted that have learned nothing, and how often those that have."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.services.model_finetuner.two_worlds import KNOWN, BaseModel, parted, shuffled, tuner_of

pytestmark = [pytest.mark.models, pytest.mark.slow]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    return BaseModel(tmp_path_factory.mktemp("base"))


def promoted(base: BaseModel, folder: Path, seed: int, *, true: bool) -> bool:
    """Train, search the line, and decide: on questions and a general check that had no part in either."""
    train, held, test = parted(seed)
    if not true:
        labelled = shuffled(train + held, seed)
        train, held = labelled[: len(train)], labelled[len(train) :]
    tuner = tuner_of(folder, base, num_epochs=5, learning_rate=6e-3, random_seed=seed)
    tuner.train(train, held)
    return tuner.decide(test, general=KNOWN[1::2]).promote


def test_at_most_two_of_twenty_runs_on_shuffled_labels_are_promoted(base: BaseModel, tmp_path: Path) -> None:
    assert sum(promoted(base, tmp_path, seed, true=False) for seed in range(20)) <= 2


def test_at_least_nine_of_ten_runs_on_true_labels_are_promoted(base: BaseModel, tmp_path: Path) -> None:
    assert sum(promoted(base, tmp_path, seed, true=True) for seed in range(10)) >= 9
