"""A run that is killed and started again ends with the weights of one that was left alone, bit for bit."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.services.model_finetuner.killed_runs import train_alone, train_killed

pytestmark = [pytest.mark.models, pytest.mark.slow]


@pytest.mark.parametrize("case", ["full", "lora", "head", "quantized"])
def test_kills_at_random_moments_change_no_bit(case: str, tmp_path: Path) -> None:
    wanted, seconds = train_alone(case, tmp_path / "alone")
    kills = 3 if case == "full" else 1
    rng = random.Random(7)  # noqa: S311 - repeatable on purpose
    found, _ = train_killed(case, tmp_path / "killed", rng, seconds=seconds, kills=kills)
    assert found == wanted
