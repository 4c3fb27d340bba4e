"""What becomes a negative, what does not and why, and what must not matter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.errors import InvalidArgumentError
from ragtime.services.training_data_gen.mining import (
    MinedNegatives,
    MiningOptions,
    MiningTask,
    Rejection,
    mine_negatives,
)
from ragtime.services.training_data_gen.mining.candidates import rank_candidates
from ragtime.services.training_data_gen.mining.tuning import MARGINS, tune_margin
from tests.services.training_data_gen.mining.reference import Vectors, unit_vectors


def angles(*degrees: float) -> Vectors:
    """Unit vectors in the plane: the score of two is the cosine of their difference."""
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def one_query(*passages: float, positives: Sequence[int] = (0,), **groups: object) -> MiningTask:
    return MiningTask(queries=angles(0), corpus=angles(*passages), positives=[list(positives)], **groups)


def balances(mined: MinedNegatives) -> bool:
    ledger = mined.ledger()
    per_query = mined.counts + mined.rejected.sum(axis=1)
    return (
        ledger.pop("candidates") == sum(ledger.values())
        and bool((per_query == mined.corpus_size).all())
        and bool((mined.rejected >= 0).all())
    )


def reasons(mined: MinedNegatives) -> dict[str, int]:
    ledger = mined.ledger()
    return {name: count for name, count in ledger.items() if count and name not in {"candidates", "kept"}}


def positions(mined: MinedNegatives, query: int = 0) -> list[int]:
    return [one.position for one in mined.of(query)]


def test_the_nearest_passages_that_are_no_positives_are_taken() -> None:
    mined = mine_negatives(one_query(10, 5, 60, 20, 40), MiningOptions(num_negatives=2, relative_margin=None))
    assert positions(mined) == [1, 3]
    assert mined.of(0)[0].score == pytest.approx(np.cos(np.radians(5)))
    assert reasons(mined) == {"is_positive": 1, "not_chosen": 1, "outside_window": 1}
    assert balances(mined)


def test_a_margin_leaves_out_what_scores_like_a_positive() -> None:
    task = one_query(30, 5, 32, 50, 60, 70)
    mined = mine_negatives(task, MiningOptions(num_negatives=2, relative_margin=0.05))
    assert positions(mined) == [3, 4]
    assert reasons(mined) == {"is_positive": 1, "within_relative_margin": 2, "not_chosen": 1}


def test_the_worst_positive_counts() -> None:
    task = one_query(10, 60, 30, 65, 80, positives=(0, 1))
    assert positions(mine_negatives(task, MiningOptions(relative_margin=0.0))) == [3, 4]


def test_equal_scores_rank_by_position() -> None:
    mined = mine_negatives(one_query(0, 30, -30, 30), MiningOptions(relative_margin=None))
    assert positions(mined) == [1, 2, 3]


def test_copies_of_positives_and_of_each_other_are_left_out() -> None:
    task = one_query(10, 10, 20, 20, 20, 40, corpus_groups=np.array([7, 7, 3, 3, 3, 9]))
    mined = mine_negatives(task, MiningOptions(relative_margin=None))
    assert positions(mined) == [2, 5]
    assert reasons(mined) == {"is_positive": 1, "copy_of_another_passage": 3}
    other = mine_negatives(
        one_query(10, 10, 40, positives=(1,), corpus_groups=np.array([7, 7, 3])), MiningOptions(relative_margin=None)
    )
    assert positions(other) == [2]
    assert reasons(other) == {"copy_of_positive": 1, "copy_of_another_passage": 1}


def test_a_positive_of_a_near_duplicate_query_is_no_negative() -> None:
    corpus, queries = angles(0, 5, 10, 50), angles(0, 1, 2)
    task = MiningTask(queries=queries, corpus=corpus, positives=[[0], [1], [2]], query_groups=np.array([4, 4, 8]))
    mined = mine_negatives(task, MiningOptions(relative_margin=None))
    assert [positions(mined, query) for query in range(3)] == [[2, 3], [2, 3], [0, 1, 3]]
    assert mined.ledger()["positive_of_near_duplicate_query"] == 2
    assert balances(mined)


def test_what_was_rated_bad_is_not_mined_again() -> None:
    mined = mine_negatives(one_query(0, 5, 10, known_negatives=[[1]]), MiningOptions(relative_margin=None))
    assert positions(mined) == [2]
    assert reasons(mined) == {"is_positive": 1, "known_negative": 1}


def test_the_oracle_relabels_and_confirms_and_is_asked_once() -> None:
    asked: list[tuple[int, int]] = []
    answers = {1: True, 2: False, 4: True}

    def oracle(query: int, passage: int) -> bool | None:
        asked.append((query, passage))
        return answers.get(passage)

    task = one_query(30, 5, 10, 15, 50, 55, 60, 65)
    mined = mine_negatives(task, MiningOptions(num_negatives=2, relative_margin=0.05), oracle=oracle)
    assert positions(mined) == [2, 5]  # 2 is irrelevant in spite of the margin, 3 unknown, 4 relevant
    assert mined.relabelled.tolist() == [[0, 1], [0, 4]]
    assert sorted(asked) == [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5)]
    assert reasons(mined) == {
        "is_positive": 1, "relabelled_as_positive": 2, "within_relative_margin": 1, "not_chosen": 2,
    }  # fmt: skip
    assert balances(mined)


def test_scores_of_a_second_model_decide_order_and_margin() -> None:
    scores = {0: 5.0, 1: 9.0, 2: 1.0, 3: 3.0}
    mined = mine_negatives(
        one_query(0, 5, 10, 15),
        MiningOptions(relative_margin=0.1),
        rescore=lambda _, passages: [scores[one] for one in passages.tolist()],
    )
    assert [(one.position, one.score) for one in mined.of(0)] == [(3, 3.0), (2, 1.0)]
    assert mined.worst_positives.tolist() == [5.0]


def test_grades_come_from_further_and_further_down() -> None:
    corpus, queries = unit_vectors(2_000, 32, 1), unit_vectors(40, 32, 2)
    task = MiningTask(queries=queries, corpus=corpus, positives=[[number] for number in range(40)])
    hard = MiningOptions(num_negatives=3, relative_margin=None)
    options = MiningOptions(num_negatives=3, relative_margin=None, in_between=2, in_between_range=(50, 90), random=4)
    mined, alone = mine_negatives(task, options), mine_negatives(task, hard)
    assert (mined.positions[:, :3] == alone.positions).all()
    assert (mined.grades == [0, 0, 0, 1, 1, 2, 2, 2, 2]).all()
    ranked = rank_candidates(queries, corpus, 90)
    for query in range(40):
        found = positions(mined, query)
        assert len(set(found)) == 9
        assert query not in found
        assert set(found[3:5]) <= set(ranked.positions[query, 50:].tolist())
        assert not set(found[5:]) & set(ranked.positions[query].tolist())
        assert mined.scores[query, 5:].max() < ranked.scores[query, -1]
    assert len(np.unique(mined.positions[:, 5:])) > 120  # not the same for all queries
    assert balances(mined)


def test_a_small_corpus_gives_what_it_has() -> None:
    options = MiningOptions(num_negatives=2, relative_margin=None, in_between=3, in_between_range=(4, 6), random=5)
    mined = mine_negatives(one_query(*range(0, 90, 10)), options)
    assert mined.grades[0].tolist() == [0, 0, 1, 1, 2, 2, 2, -1, -1, -1]
    assert mined.positions[0, 7:].tolist() == [-1, -1, -1]
    assert balances(mined)


def test_keyed_choices_follow_the_keys_and_not_the_order() -> None:
    corpus, queries = unit_vectors(300, 16, 3), unit_vectors(20, 16, 4)
    positives = [[number] for number in range(20)]
    keys, query_keys = np.arange(1000, 1300, dtype=np.uint64), np.arange(50, 70, dtype=np.uint64)
    options = MiningOptions(
        relative_margin=None, range_max=30, sampling="random", in_between=2, in_between_range=(60, 90), random=2
    )
    task = MiningTask(queries=queries, corpus=corpus, positives=positives, query_keys=query_keys, corpus_keys=keys)
    order, query_order = np.random.default_rng(0).permutation(300), np.random.default_rng(1).permutation(20)
    place = np.argsort(order)
    shuffled = MiningTask(
        queries=queries[query_order],
        corpus=corpus[order],
        positives=[[int(place[one]) for one in positives[query]] for query in query_order],
        query_keys=query_keys[query_order],
        corpus_keys=keys[order],
    )
    mined, other = mine_negatives(task, options), mine_negatives(shuffled, options)
    assert (order[other.positions] == mined.positions[query_order]).all()
    reseeded = mine_negatives(task, MiningOptions(**{**_fields(options), "seed": 7}))
    assert (reseeded.positions != mined.positions).any()


def _fields(options: MiningOptions) -> dict[str, object]:
    return {name: getattr(options, name) for name in MiningOptions.__slots__}


def test_the_tuned_margin_is_the_largest_that_yields_enough() -> None:
    corpus, queries = unit_vectors(500, 24, 5), unit_vectors(60, 24, 6)
    nearest = rank_candidates(queries, corpus, 5).positions[:, 4]
    task = MiningTask(queries=queries, corpus=corpus, positives=[[int(one)] for one in nearest])
    tuned = mine_negatives(task, MiningOptions(range_max=20))
    assert MARGINS[0] < tuned.relative_margin < MARGINS[-1]
    assert tuned.relative_margin in MARGINS
    assert tuned.yields >= 0.95
    stricter = mine_negatives(task, MiningOptions(range_max=20, relative_margin=tuned.relative_margin + 0.01))
    assert stricter.yields < 0.95
    given = mine_negatives(task, MiningOptions(range_max=20, relative_margin=tuned.relative_margin))
    assert (given.positions == tuned.positions).all()


@given(st.integers(0, 30))
def test_tuning_finds_the_last_margin_that_is_good_enough(last: int) -> None:
    tuned = tune_margin(lambda margin: 1.0 if margin * 100 < last + 0.5 else 0.5, 0.9)
    assert tuned.relative_margin == min(max(last, 5), 20) / 100
    assert tuned.reached == (last >= 5)


def test_too_small_a_yield_is_told(caplog: pytest.LogCaptureFixture) -> None:
    mined = mine_negatives(one_query(80, 0, 10, 20, 30))
    assert (mined.relative_margin, mined.yields) == (0.05, 0.0)
    assert "get 3 hard negatives" in caplog.text


@settings(max_examples=40)
@given(st.data())
def test_the_ledger_balances_and_nothing_excluded_is_taken(data: st.DataObject) -> None:
    passages, queries = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 6))
    some = st.lists(st.integers(0, passages - 1), min_size=1, max_size=3)
    labels = st.integers(0, 3)
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    corpus = rng.integers(-1, 2, (passages, 4)).astype(np.float32)  # with many ties, and zeros
    task = MiningTask(
        queries=rng.integers(-1, 2, (queries, 4)).astype(np.float32),
        corpus=corpus,
        positives=data.draw(st.lists(some, min_size=queries, max_size=queries)),
        query_groups=np.array(data.draw(st.lists(labels, min_size=queries, max_size=queries))),
        corpus_groups=np.array(data.draw(st.lists(st.integers(0, 30), min_size=passages, max_size=passages))),
        known_negatives=data.draw(st.lists(some, min_size=queries, max_size=queries)),
    )
    options = MiningOptions(
        num_negatives=data.draw(st.integers(1, 4)),
        range_min=data.draw(st.integers(0, 3)),
        range_max=data.draw(st.sampled_from([None, 8])),
        relative_margin=data.draw(st.sampled_from([None, "tuned", 0.1])),
        max_score=data.draw(st.sampled_from([None, 1.0])),
        sampling=data.draw(st.sampled_from(["top", "random"])),
        in_between=data.draw(st.integers(0, 2)),
        in_between_range=(210, 220) if data.draw(st.booleans()) else (205, 215),
        random=data.draw(st.integers(0, 3)),
    )
    answers = data.draw(st.sampled_from([None, {0: True, 1: False}]))
    oracle = None if answers is None else lambda query, passage: answers.get((query + passage) % 5)
    mined = mine_negatives(task, options, oracle=oracle)
    assert balances(mined)
    relabelled = set(map(tuple, mined.relabelled.tolist()))
    for query in range(queries):
        found = positions(mined, query)
        assert len(found) == len(set(found)) == mined.counts[query]
        siblings = [one for one in range(queries) if task.query_groups[one] == task.query_groups[query]]
        excluded = {int(task.corpus_groups[one]) for sibling in siblings for one in task.positives[sibling]}
        excluded |= {int(task.corpus_groups[one]) for one in task.known_negatives[query]}
        groups = [int(task.corpus_groups[one]) for one in found]
        assert not excluded & set(groups)
        assert len(set(groups)) == len(groups)
        assert not {(query, one) for one in found} & relabelled


def test_ranking_equals_a_plain_sort_over_several_tiles() -> None:
    corpus = unit_vectors(9_000, 384, 8)
    corpus[5_000:5_200] = corpus[:200]  # ties over tiles
    queries = np.concatenate([unit_vectors(300, 384, 9), corpus[:40]])
    excluded = np.zeros(9_000, np.bool_)
    excluded[::7] = True
    ranked = rank_candidates(queries, corpus, 20, excluded=excluded)
    for query in range(0, 340, 17):
        scores = (corpus.astype(np.float64) * queries[query]).sum(axis=1).astype(np.float32)
        scores[excluded] = -np.inf
        expected = np.lexsort((np.arange(9_000), -scores))[:20]
        assert ranked.positions[query].tolist() == expected.tolist()
        assert (ranked.scores[query] == scores[expected]).all()
    alone = rank_candidates(queries[123:124], corpus, 20, excluded=excluded)
    assert (alone.scores[0] == ranked.scores[123]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_negatives": 0}, "num_negatives must be a whole number from 1"),
        ({"range_min": -1}, "range_min must be a whole number from 0"),
        ({"range_min": 5, "range_max": 7}, "has no room"),
        ({"relative_margin": float("nan")}, "relative_margin must be a finite number"),
        ({"max_score": "high"}, "max_score must be a finite number"),
        ({"sampling": "best"}, "sampling must be"),
        ({"target_yield": 0}, "target_yield must be"),
        ({"in_between_range": (5, 5)}, "in_between_range must run"),
    ],
    ids=str,
)
def test_wrong_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        MiningOptions(**options)


def test_wrong_tasks_are_refused() -> None:
    two = angles(0, 1)
    with pytest.raises(InvalidArgumentError, match="query 1 has none"):
        MiningTask(queries=two, corpus=two, positives=[[0], []])
    with pytest.raises(InvalidArgumentError, match="positives must have 2 entries, found 1"):
        MiningTask(queries=two, corpus=two, positives=[[0]])
    with pytest.raises(InvalidArgumentError, match="one dimension"):
        MiningTask(queries=two, corpus=unit_vectors(3, 4, 0), positives=[[0], [1]])
    with pytest.raises(InvalidArgumentError, match="float32"):
        MiningTask(queries=two.astype(np.float64), corpus=two, positives=[[0], [1]])
    with pytest.raises(InvalidArgumentError, match="positives must be positions in the corpus, from 0 to 1"):
        mine_negatives(MiningTask(queries=two, corpus=two, positives=[[0], [2]]))
    task = MiningTask(queries=two, corpus=two, positives=[[0], [1]])
    with pytest.raises(InvalidArgumentError, match="rescore changes nothing"):
        mine_negatives(task, MiningOptions(relative_margin=None), rescore=lambda _, some: some)
    with pytest.raises(InvalidArgumentError, match="rescore must return 3 finite numbers"):
        mine_negatives(task, rescore=lambda *_: [1.0])
    with pytest.raises(InvalidArgumentError, match="in_between_range must begin after"):
        mine_negatives(task, MiningOptions(in_between=1, in_between_range=(3, 9)))


def test_every_reason_has_a_name_of_its_own() -> None:
    assert len({str(reason) for reason in Rejection}) == len(Rejection)
