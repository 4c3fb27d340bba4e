"""The same options give the negatives of sentence-transformers, but for scores that are all but equal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ragtime.services.training_data_gen.mining import MinedNegatives, MiningOptions, MiningTask, mine_negatives
from tests.services.training_data_gen.mining.reference import GivenScores, reference_negatives, unit_vectors

pytest.importorskip("datasets")
pytest.importorskip("sentence_transformers")
pytestmark = [
    pytest.mark.models,
    pytest.mark.filterwarnings("ignore"),  # the packages' own
]

CLOSE = 1e-6


def assert_same(mined: MinedNegatives, theirs: dict[int, dict[int, float]]) -> None:
    for query, expected in theirs.items():
        found = {one.position: one.score for one in mined.of(query)}
        assert len(found) == len(expected)
        assert np.allclose(sorted(found.values()), sorted(expected.values()), rtol=0, atol=CLOSE)
        for position in found.keys() ^ expected.keys():  # at the end of the ranking, or at a limit
            score = {**found, **expected}[position]
            others = [value for one, value in {**found, **expected}.items() if one != position]
            assert min(abs(score - other) for other in others) <= CLOSE


def random_task(seed: int, *, passages: int = 120, shift: float = 0.0) -> MiningTask:
    """Queries with one to three positives near them, passages of which some are copies."""
    rng = np.random.default_rng(seed)
    corpus = unit_vectors(passages, 16, seed)
    groups = np.arange(passages)
    for copy in rng.choice(np.arange(1, passages), passages // 10, replace=False):
        original = int(rng.integers(0, copy))
        corpus[copy], groups[copy] = corpus[original], groups[original]
    queries, positives = [], []
    for _ in range(30):
        own = rng.choice(passages, int(rng.integers(1, 4)), replace=False).tolist()
        vector = corpus[own].sum(axis=0) * (1 - shift) + 0.8 * unit_vectors(1, 16, int(rng.integers(1 << 30)))[0]
        queries.append(vector / np.linalg.norm(vector))
        positives.append(own)
    return MiningTask(queries=np.array(queries, np.float32), corpus=corpus, positives=positives, corpus_groups=groups)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_negatives": 10},
        {"range_min": 5},
        {"range_min": 2, "range_max": 6, "num_negatives": 4},
        {"max_score": 0.5},
        {"min_score": 0.4},
        {"absolute_margin": 0.1},
        {"relative_margin": 0.05},
        {"relative_margin": 0.3, "range_min": 1, "range_max": 20, "max_score": 0.6, "min_score": 0.2},
        {"absolute_margin": 0.05, "relative_margin": 0.02, "num_negatives": 7},
        {"range_max": 500, "num_negatives": 200},
    ],
    ids=str,
)
def test_options_mean_the_same(options: dict[str, Any], seed: int) -> None:
    task = random_task(seed)
    mined = mine_negatives(task, MiningOptions(**{"relative_margin": None, **options}))
    assert_same(mined, reference_negatives(task, **options))


@pytest.mark.parametrize(
    "options", [{"relative_margin": 0.05}, {"absolute_margin": 0.05}, {"min_score": -0.5}], ids=str
)
def test_positives_that_score_under_zero_have_their_margin_below(options: dict[str, float]) -> None:
    task = random_task(7, shift=1.6)
    mined = mine_negatives(task, MiningOptions(**{"relative_margin": None, **options}))
    assert (mined.worst_positives < 0).any()
    assert_same(mined, reference_negatives(task, **options))


def test_the_corpus_is_smaller_than_the_window() -> None:
    task = random_task(3, passages=12)
    for options in ({"num_negatives": 20}, {"relative_margin": 0.1, "num_negatives": 4}):
        mined = mine_negatives(task, MiningOptions(**{"relative_margin": None, **options}))
        assert_same(mined, reference_negatives(task, **options))


@pytest.mark.parametrize(
    "options",
    [{"relative_margin": 0.1}, {"min_score": 0.0, "num_negatives": 5}, {"absolute_margin": 0.5, "range_min": 2}],
    ids=str,
)
def test_scores_of_a_second_model_decide(options: dict[str, Any]) -> None:
    task = random_task(5)

    def score(query: int, passage: int) -> float:
        return float(np.sin(17.0 * query + 3.1 * task.corpus_groups[passage]))  # copies score the same

    def rescore(query: int, passages: np.ndarray) -> list[float]:
        return [score(query, passage) for passage in passages.tolist()]

    mined = mine_negatives(task, MiningOptions(**{"relative_margin": None, **options}), rescore=rescore)
    assert_same(mined, reference_negatives(task, cross_encoder=GivenScores(score), **options))


def test_a_random_choice_comes_from_the_same_window() -> None:
    task = random_task(6)
    window = reference_negatives(task, range_min=2, range_max=20, num_negatives=18)
    options = MiningOptions(relative_margin=None, range_min=2, range_max=20, num_negatives=5, sampling="random", seed=1)
    mined = mine_negatives(task, options)
    for query, candidates in window.items():
        chosen = [one.position for one in mined.of(query)]
        assert len(chosen) == 5
        assert set(chosen) <= candidates.keys()
    again = mine_negatives(task, MiningOptions(relative_margin=None, range_min=2, range_max=20, num_negatives=5))
    assert (again.positions != mined.positions).any()
