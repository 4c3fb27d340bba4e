"""Splits without leaks: what hangs together goes into one part.

Items that share a query, a document, a parent document, a conversation, or a near-duplicate query form a component, and
so do items that share those with them. Components are assigned whole.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ragtime.errors import InvalidArgumentError
from ragtime.utils.hashing import keyed_seed

__all__ = ["Split", "SplitItem", "SplitReport", "shared_keys", "split_by_components"]

_TOLERANCE = 0.02  # by how much the share of a part may differ from what was asked for without a reason
_LARGE = 0.01  # of all items: larger components are placed first, the others fill up what is left


@dataclass(frozen=True, slots=True)
class SplitItem:
    """What a split needs to know of an example.

    Attributes:
        id: Its id.
        groups: What it must not share with another part, with a prefix that tells kinds apart: ``document:7``.
        stratum: The kind that each part should hold its share of, such as the strategy.
    """

    id: str
    groups: Sequence[str] = ()
    stratum: str = ""


@dataclass(frozen=True, slots=True)
class SplitReport:
    """How a split came out.

    Attributes:
        counts: Items of each part.
        shares: Their shares.
        strata: For each stratum, its items in each part.
        components: How many components there were.
        largest: Items in the largest.
        misses: For each part whose share is more than 0.02 from what was asked for, the reason, by part.
    """

    counts: dict[str, int]
    shares: dict[str, float]
    strata: dict[str, dict[str, int]]
    components: int
    largest: int
    misses: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Split:
    """Which item is in which part.

    Attributes:
        parts: The part of each item, by id, in the order of the input.
        report: How it came out.
    """

    parts: dict[str, str]
    report: SplitReport


@dataclass(frozen=True, slots=True)
class _Component:
    # The order of components is that of the keyed hashes of their members with the least ones, hashed again: the least
    # of many would be small, and large components would all come first.
    order: int
    items: tuple[int, ...]
    stratum: str

    @property
    def size(self) -> int:
        return len(self.items)


def split_by_components(items: Sequence[SplitItem], shares: Mapping[str, float], *, seed: int = 42) -> Split:
    """Split items so that no group stands in two parts.

    Large components are placed first, each into the part that lacks most; the others stand in the order of their keyed
    hashes and are cut where the shares of their stratum are full. So the order of the input changes nothing, and items
    that come later move few others: those whose component they join, and those near a cut.

    Args:
        items: The items, ids once each.
        shares: The share of each part, over 0 and 1 in sum, such as ``{"train": 0.8, "validation": 0.1, "test": 0.1}``.
        seed: Another one gives another split.

    Returns:
        The parts and the report.

    Raises:
        InvalidArgumentError: An id stands twice, groups are a single text, or the shares are wrong.
    """
    names = _checked(items, shares)
    components = _components(items, seed)
    quota = _Quota(components, {name: shares[name] for name in names}, len(items))
    chosen: dict[str, str] = {}
    for component, part in quota.fill():
        chosen.update((items[place].id, part) for place in component.items)
    parts = {item.id: chosen[item.id] for item in items}
    return Split(parts, _report(items, parts, shares, components))


def shared_keys(items: Sequence[SplitItem], parts: Mapping[str, str]) -> dict[str, set[str]]:
    """Find leaks.

    Args:
        items: The items.
        parts: The part of each, by id.

    Returns:
        For each group that stands in more than one part, these parts; empty when nothing leaks.
    """
    found: defaultdict[str, set[str]] = defaultdict(set)
    for item in items:
        for group in item.groups:
            found[group].add(parts[item.id])
    return {group: some for group, some in found.items() if len(some) > 1}


def _checked(items: Sequence[SplitItem], shares: Mapping[str, float]) -> list[str]:
    if not shares or any(not 0 < share <= 1 for share in shares.values()) or not math.isclose(sum(shares.values()), 1):
        raise InvalidArgumentError(f"shares must be over 0 and 1 in sum, found {dict(shares)!r}")
    ids = Counter(item.id for item in items)
    twice = next((one for one, count in ids.items() if count > 1), None)
    if twice is not None:
        raise InvalidArgumentError(f"Ids must be distinct, found {twice!r} {ids[twice]} times")
    wrong = next((item.id for item in items if isinstance(item.groups, str)), None)
    if wrong is not None:
        raise InvalidArgumentError(f"groups must be a sequence of texts, found a single one for {wrong!r}")
    return sorted(shares, key=lambda name: (-shares[name], name))


def _components(items: Sequence[SplitItem], seed: int) -> list[_Component]:
    root = list(range(len(items)))

    def find(place: int) -> int:
        while root[place] != place:
            root[place] = root[root[place]]
            place = root[place]
        return place

    first: dict[str, int] = {}
    for place, item in enumerate(items):
        for group in item.groups:
            root[find(place)] = find(first.setdefault(group, place))
    members: defaultdict[int, list[int]] = defaultdict(list)
    for place in range(len(items)):
        members[find(place)].append(place)
    found = []
    for places in members.values():
        least = min(keyed_seed(seed, "member", items[place].id) for place in places)
        strata = Counter(items[place].stratum for place in places)
        stratum = min(strata, key=lambda name: (-strata[name], name))
        found.append(_Component(keyed_seed(seed, "component", least), tuple(places), stratum))
    return sorted(found, key=lambda component: component.order)


class _Quota:
    """What each part still lacks, in all and of each stratum."""

    def __init__(self, components: list[_Component], shares: dict[str, float], total: int) -> None:
        self._components, self._shares, self._limit = components, shares, _LARGE * total
        sizes: Counter[str] = Counter()
        for component in components:
            sizes[component.stratum] += component.size
        self._lacks = {name: share * total for name, share in shares.items()}
        self._strata = {
            stratum: {name: share * size for name, share in shares.items()} for stratum, size in sizes.items()
        }

    def fill(self) -> list[tuple[_Component, str]]:
        large = [component for component in self._components if component.size > self._limit]
        placed = []
        for component in sorted(large, key=lambda one: -one.size):
            own = self._strata[component.stratum]
            part = max(self._shares, key=lambda name: (self._lacks[name] + own[name], self._shares[name]))
            placed.append((component, self._place(component, part)))
        small: defaultdict[str, list[_Component]] = defaultdict(list)
        for component in self._components:
            if component.size <= self._limit:
                small[component.stratum].append(component)
        # What one stratum cannot cut exactly, the next one evens out; the one with the most to cut comes last.
        over = dict.fromkeys(self._shares, 0.0)
        sizes = {stratum: sum(one.size for one in small[stratum]) for stratum in self._strata}
        for stratum in sorted(self._strata, key=lambda name: (sizes[name], name)):
            own = self._strata[stratum]
            placed += self._cut(small[stratum], {name: own[name] + over[name] for name in over}, sizes[stratum])
            over = {name: own[name] + over[name] for name in over}
        return placed

    def _cut(self, components: list[_Component], lacks: dict[str, float], size: int) -> list[tuple[_Component, str]]:
        """Cut components, `size` items in all, where the parts have what they lack."""
        wanted = {name: max(0.0, lacks[name]) for name in self._shares}
        scale = size / (sum(wanted.values()) or 1.0)
        bounds, end = [], 0.0
        for name in self._shares:
            end += wanted[name] * scale
            bounds.append((end, name))
        placed, start = [], 0
        for component in components:
            middle = start + component.size / 2
            part = next((name for bound, name in bounds if middle < bound), bounds[0][1])
            placed.append((component, self._place(component, part)))
            start += component.size
        return placed

    def _place(self, component: _Component, part: str) -> str:
        self._lacks[part] -= component.size
        self._strata[component.stratum][part] -= component.size
        return part


def _report(
    items: Sequence[SplitItem], parts: Mapping[str, str], shares: Mapping[str, float], components: list[_Component]
) -> SplitReport:
    counts = dict.fromkeys(shares, 0)
    strata: dict[str, dict[str, int]] = {}
    for item in items:
        counts[parts[item.id]] += 1
        own = strata.setdefault(item.stratum, dict.fromkeys(shares, 0))
        own[parts[item.id]] += 1
    total, largest = len(items), max((component.size for component in components), default=0)
    reached = {name: count / total if total else 0.0 for name, count in counts.items()}
    misses = {
        name: f"asked for {share:.3f}, got {reached[name]:.3f}: {len(components)} components of {total} items cannot "
        f"be cut closer, the largest holds {largest / max(1, total):.1%}"
        for name, share in shares.items()
        if abs(reached[name] - share) > _TOLERANCE
    }
    return SplitReport(counts, reached, dict(sorted(strata.items())), len(components), largest, misses)
