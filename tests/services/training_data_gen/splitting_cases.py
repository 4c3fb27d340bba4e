"""Random data sets whose items hang together in all the ways that leak."""

from __future__ import annotations

import random

from ragtime.services.training_data_gen.splitting import SplitItem, shared_keys, split_by_components

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}


def random_items(seed: int) -> list[SplitItem]:
    """Make 1 to 1,500 items: few or many share documents, conversations and near-duplicate queries."""
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
    count = rng.choice([1, 2, 7, 40, 300, 1_500])
    documents, conversations = rng.randint(1, 4 * count), rng.randint(1, 2 * count)
    chance = rng.choice([0.0, 0.02, 0.3])
    items = []
    for number in range(count):
        groups = [f"document:{rng.randrange(documents)}"]
        if rng.random() < chance:
            groups += [f"conversation:{rng.randrange(conversations)}", f"parent:{rng.randrange(documents) // 5}"]
        if rng.random() < chance:
            groups.append(f"near:{rng.randrange(count)}")
        items.append(
            SplitItem(f"item-{seed}-{number}", tuple(groups), rng.choice(["query", "query", "synthetic", "rare"]))
        )
    return items


def check_split(seed: int) -> None:
    """Split one random data set, and raise AssertionError when a group is in two parts or a share is off unsaid."""
    items = random_items(seed)
    split = split_by_components(items, SHARES, seed=seed)
    assert list(split.parts) == [item.id for item in items]
    leaks = shared_keys(items, split.parts)
    assert not leaks, f"seed {seed}: {len(leaks)} groups leak"
    report = split.report
    assert sum(report.counts.values()) == len(items)
    for stratum, counts in report.strata.items():
        assert sum(counts.values()) == sum(item.stratum == stratum for item in items)
    off = {name for name, share in SHARES.items() if abs(report.shares[name] - share) > 0.02}
    assert off == set(report.misses)
    if report.largest <= 0.01 * len(items):  # fine enough to be cut anywhere
        assert not off, f"seed {seed}: {report.misses}"
