"""What the fine-tuning benchmarks compare: the same pairs for all, and rates of the steps after the warm-up."""

from __future__ import annotations

import pytest

from tests.benchmarks.finetune_measures import EVEN, POPULAR, even_pairs, rates, with_repeats

_PAIRS = [(f"query {number}", f"document {number}") for number in range(256)]


def test_half_of_the_positions_hold_a_popular_text() -> None:
    repeated = with_repeats(_PAIRS)
    for column, popular in zip(zip(*repeated, strict=True), zip(*_PAIRS[:POPULAR], strict=True), strict=True):
        assert len(repeated) / 2 <= sum(text in popular for text in column) <= len(repeated) / 2 + POPULAR
        assert {column.count(text) for text in popular} <= {16, 17}  # evenly, beside the pair that it comes from


def test_repeated_pairs_keep_one_text_of_their_own_and_are_distinct() -> None:
    repeated = with_repeats(_PAIRS)
    assert len(set(repeated)) == len(_PAIRS)
    for mine, (query, document) in zip(repeated, _PAIRS, strict=True):
        assert mine[0] == query or mine[1] == document


def test_no_pair_is_made_twice_where_queries_share_a_document() -> None:
    pairs = [(query, f"document {number // 8}") for number, (query, _) in enumerate(_PAIRS)]
    assert len(set(with_repeats(pairs))) == len(pairs)


def test_even_pairs_are_distinct_and_long_enough() -> None:
    texts = [text for pair in even_pairs(200) for text in pair]
    assert len(set(texts)) == 400
    assert {len(text.split()) for text in texts} == {EVEN}


def test_rates_leave_the_warm_up_out_and_count_a_short_last_step() -> None:
    assert rates([9.0, 9.0, 2.0, 1.0], batch=64, pairs=200, warm_up=128) == {
        "pairs_per_second": 24.0,
        "counted_steps": 2,
        "counted_pairs": 72,
    }


def test_rates_of_an_epoch_that_was_stopped() -> None:
    assert rates([9.0, 2.0], batch=10, pairs=100, warm_up=10)["pairs_per_second"] == 5.0


def test_rates_need_more_than_the_warm_up() -> None:
    with pytest.raises(RuntimeError, match="2 steps are no more than the warm-up of 128 pairs"):
        rates([1.0, 1.0], batch=64, pairs=128, warm_up=128)
