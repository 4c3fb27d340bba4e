"""Splits: nothing leaks, shares are kept or the reason is told, and what must not matter."""

from __future__ import annotations

import random

import pytest

from ragtime.errors import InvalidArgumentError
from ragtime.services.training_data_gen.splitting import SplitItem, shared_keys, split_by_components
from tests.services.training_data_gen.splitting_cases import SHARES, check_split, random_items


@pytest.mark.parametrize("seed", range(50))
def test_random_data_sets_split_without_a_leak(seed: int) -> None:
    check_split(seed)


def test_a_split_by_rows_leaks() -> None:
    items = random_items(5)
    rng = random.Random(0)  # noqa: S311 - repeatable on purpose
    parts = {item.id: rng.choices(list(SHARES), list(SHARES.values()))[0] for item in items}
    assert len(items) > 100
    assert shared_keys(items, parts)


def test_what_hangs_together_over_others_stays_together() -> None:
    items = [SplitItem(str(number), (f"document:{number}", f"document:{number + 1}")) for number in range(40)]
    items += [SplitItem(f"alone-{number}") for number in range(400)]
    split = split_by_components(items, SHARES)
    assert len({split.parts[str(number)] for number in range(40)}) == 1
    assert split.report.components == 401
    assert split.report.largest == 40
    assert not split.report.misses


def test_each_part_holds_its_share_of_each_stratum() -> None:
    items = [SplitItem(str(number), (), "abc"[number % 3]) for number in range(3_000)]
    report = split_by_components(items, SHARES).report
    assert report.counts == {"train": 2_400, "validation": 300, "test": 300}
    assert report.strata == {name: {"train": 800, "validation": 100, "test": 100} for name in "abc"}


def test_many_small_strata_do_not_add_up_to_a_wrong_share() -> None:
    items = [SplitItem(str(number), (), f"stratum-{number // 3}") for number in range(600)]
    report = split_by_components(items, SHARES).report
    assert not report.misses


def test_the_reason_is_told_when_components_are_too_large() -> None:
    items = [SplitItem(str(number), ("document:one",)) for number in range(100)]
    report = split_by_components(items, SHARES).report
    assert sorted(report.counts.values()) == [0, 0, 100]
    assert set(report.misses) == {"train", "validation", "test"}
    assert report.misses["test"] == (
        "asked for 0.100, got 0.000: 1 components of 100 items cannot be cut closer, the largest holds 100.0%"
    )


def test_the_order_of_the_input_changes_nothing() -> None:
    items = random_items(5)
    shuffled = random.Random(1).sample(items, len(items))  # noqa: S311 - repeatable on purpose
    split, other = split_by_components(items, SHARES, seed=3), split_by_components(shuffled, SHARES, seed=3)
    assert split.parts == other.parts
    assert list(other.parts) == [item.id for item in shuffled]
    assert split.parts != split_by_components(items, SHARES, seed=4).parts


def test_items_that_come_later_move_few_others() -> None:
    items = [SplitItem(str(number), (f"document:{number // 2}",)) for number in range(4_000)]
    more = [SplitItem(f"new-{number}", (f"other:{number}",)) for number in range(200)]
    before, after = split_by_components(items, SHARES).parts, split_by_components(items + more, SHARES).parts
    moved = sum(after[one] != part for one, part in before.items())
    assert moved < 0.02 * len(items)


def test_nothing_gives_nothing() -> None:
    split = split_by_components([], SHARES)
    assert split.parts == {}
    assert split.report.components == 0


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="shares must be over 0 and 1 in sum"):
        split_by_components([], {"train": 0.8})
    with pytest.raises(InvalidArgumentError, match="shares must be over 0"):
        split_by_components([], {"train": 1.1, "test": -0.1})
    with pytest.raises(InvalidArgumentError, match="found 'a' 2 times"):
        split_by_components([SplitItem("a"), SplitItem("a")], SHARES)
    with pytest.raises(InvalidArgumentError, match="single one for 'a'"):
        split_by_components([SplitItem("a", "document:1")], SHARES)
