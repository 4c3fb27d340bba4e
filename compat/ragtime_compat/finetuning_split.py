"""Validation data of an exact size, as the old module promised, and without leaks, as it did not have it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

from ragtime.monitoring.logging import get_logger
from ragtime.services.training_data_gen.dedup import group_near_duplicates
from ragtime.utils.hashing import keyed_order
from ragtime_compat.finetuning_records import InputExample

__all__ = ["hold_out"]

_GOOD = 0.5  # labels above it say that the document answers
_WHOLE_QUERIES = ("near-duplicates", "texts", "queries")  # the bounds that keep the examples of a query in one part

_log = get_logger(f"ragtime.{__name__}")


def hold_out(
    examples: Sequence[InputExample], count: int, *, seed: int
) -> tuple[list[InputExample], list[InputExample]]:
    """Hold exactly so many examples out for validation, good and bad ones in their shares.

    What hangs together stays in one part: examples that share a text, be it query or document, or a near-duplicate of
    one. Where that leaves no way to reach the number, or no good or no bad ones to validate on, less has to hang
    together: equal texts, then equal queries. For the number alone it is then equal pairs; last each example stands
    alone, and a warning says so.

    Args:
        examples: The examples, two texts each.
        count: How many to hold out, 0 to all of them.
        seed: Another one gives another choice.

    Returns:
        The examples to train on and those held out, both in the order given. The order changes nothing else, but
        which of several equal pairs is taken once they stand alone.
    """
    tried = ((bound, _chosen(examples, _components(keys), count, seed)) for bound, keys in _bounds(examples))
    cuts = ((bound, chosen) for bound, chosen in tried if chosen is not None)
    bound, held = next(cuts)  # examples that stand alone add up to any number
    if bound == "nothing":
        _log.warning("Validation and training share pairs: no other cut has the number asked for", count=count)
    elif bound in _WHOLE_QUERIES and not _is_fair(examples, held):
        looser = (chosen for bound, chosen in cuts if bound in _WHOLE_QUERIES and _is_fair(examples, chosen))
        held = next(looser, held)
    train = [example for place, example in enumerate(examples) if place not in held]
    return train, [examples[place] for place in sorted(held)]


def _is_fair(examples: Sequence[InputExample], held: set[int]) -> bool:
    """Say whether good and bad examples were held out, each if its share of the number is more than half a one."""
    good = sum(example.label > _GOOD for example in examples)
    held_good = sum(examples[place].label > _GOOD for place in held)
    counted = ((good, held_good), (len(examples) - good, len(held) - held_good))
    return all(found or 2 * of_all * len(held) <= len(examples) for of_all, found in counted)


def _bounds(examples: Sequence[InputExample]) -> Iterator[tuple[str, list[list[Hashable]]]]:
    """Give what may bind examples together, and for each example the keys that it shares with others."""
    numbers: dict[str, int] = {}
    for example in examples:
        for text in example.texts:
            numbers.setdefault(text, len(numbers))
    groups = group_near_duplicates(list(numbers)).tolist()
    yield "near-duplicates", [[groups[numbers[text]] for text in example.texts] for example in examples]
    yield "texts", [list(example.texts) for example in examples]
    yield "queries", [[example.texts[0]] for example in examples]
    yield "pairs", [[tuple(example.texts)] for example in examples]
    yield "nothing", [[place] for place in range(len(examples))]


def _components(keys: Sequence[Sequence[Hashable]]) -> list[list[int]]:
    """Return the places that hang together by common keys."""
    root = list(range(len(keys)))

    def find(place: int) -> int:
        while root[place] != place:
            root[place] = root[root[place]]
            place = root[place]
        return place

    first: dict[Hashable, int] = {}
    for place, own in enumerate(keys):
        for key in own:
            root[find(place)] = find(first.setdefault(key, place))
    members: defaultdict[int, list[int]] = defaultdict(list)
    for place in range(len(keys)):
        members[find(place)].append(place)
    return list(members.values())


class _Sums(NamedTuple):
    """Some components in a random order, and what their sizes add up to.

    Attributes:
        components: The components.
        made: By each sum that can be reached, the last component of those that make it.
    """

    components: list[list[int]]
    made: dict[int, int]

    def places(self, total: int) -> Iterator[int]:
        """Give the examples of components that make a sum."""
        while total:
            component = self.components[self.made[total]]
            yield from component
            total -= len(component)


def _chosen(examples: Sequence[InputExample], components: list[list[int]], count: int, seed: int) -> set[int] | None:
    """Choose components of so many examples in all; ``None`` when no choice has that many."""

    def content(component: list[int]) -> list[str]:
        return min(examples[place].texts for place in component)

    parts: tuple[list[list[int]], list[list[int]]] = ([], [])
    for component in keyed_order(components, seed, "validation", key=content):
        good = sum(examples[place].label > _GOOD for place in component)
        parts[2 * good < len(component)].append(component)
    mostly_good, mostly_bad = (_Sums(part, _reachable([len(one) for one in part], count)) for part in parts)
    wanted = count * sum(map(len, mostly_good.components)) / max(1, len(examples))
    totals = [total for total in mostly_good.made if count - total in mostly_bad.made]
    if not totals:
        return None
    total = min(totals, key=lambda one: (abs(one - wanted), one))
    return {*mostly_good.places(total), *mostly_bad.places(count - total)}


def _reachable(sizes: Sequence[int], most: int) -> dict[int, int]:
    """Find the sums of some of the sizes, up to a limit.

    Args:
        sizes: The sizes.
        most: The limit.

    Returns:
        By sum, the place of the last size in it; those before it make the rest, so that none is taken twice.
    """
    made, seen, all_seen = {0: -1}, 1, (1 << most + 1) - 1  # a bit of `seen` for each sum
    for place, size in enumerate(sizes):
        new = (seen << size) & all_seen & ~seen
        seen |= new
        while new:
            lowest = new & -new
            made[lowest.bit_length() - 1] = place
            new ^= lowest
        if seen == all_seen:
            break
    return made
