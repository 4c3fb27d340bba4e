"""Many threads, a closed store, and random calls that give what the reference gives."""

# ruff: noqa: S101, PLR2004 - these are tests, although they come with the package

from __future__ import annotations

import random
import threading
from collections import Counter

import pytest

from ragtime.errors import StorageError
from ragtime.protocols import ConversationStore
from ragtime.records.conversation import ConversationHead, Feedback
from ragtime.storage.conversations import MemoryConversationStore
from ragtime.testing.store_conformance.base import StoreTests, ids_of, turn
from ragtime.testing.store_conformance.random_calls import USERS, RandomCalls, contents_of, outcome_of

__all__ = ["UseTests"]


class UseTests(StoreTests):
    """Many threads, a closed store, and random calls that give what the reference gives."""

    def test_many_threads(self, store: ConversationStore) -> None:
        """Nothing is lost or doubled, and each thread's turns keep their order."""
        store.create(ConversationHead(id="c"))
        errors: list[BaseException] = []

        def write(name: int) -> None:
            try:
                for number in range(25):
                    parent = f"{name}-{number - 1}" if number else None
                    store.append(None, "c", [turn(f"{name}-{number}", parent)])
                    if number % 10 == 0:
                        store.lexical_scope(None, ["x"])
            except BaseException as error:  # noqa: BLE001 - told by the test
                errors.append(error)

        threads = [threading.Thread(target=write, args=(name,)) for name in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        found = ids_of(store.turns(None, "c"))
        assert Counter(found) == Counter(f"{name}-{number}" for name in range(8) for number in range(25))
        assert [name for name in found if name.startswith("3-")] == [f"3-{number}" for number in range(25)]
        assert len({number for number, _, _ in store.changes(None)}) == 200
        assert store.lexical_scope(None, []).turns == 200

    def test_a_closed_store_refuses(self, chain: ConversationStore) -> None:
        """Every call, and closing again does no harm."""
        chain.close()
        chain.close()
        for act in (
            lambda: chain.head(None, "c"),
            lambda: list(chain.turns(None, "c")),
            lambda: chain.turn(None, "c", "a"),
            lambda: chain.create(ConversationHead(id="d")),
            lambda: chain.update(None, "c", tip="a"),
            lambda: chain.add_feedback(None, "c", "a", Feedback(stars=1)),
            lambda: chain.conversations(None),
            lambda: chain.lexical_scope(None, ["a"]),
            lambda: list(chain.changes(None)),
            lambda: chain.append(None, "c", [turn("d", "c")]),
            chain.users,
            lambda: chain.forget(None),
        ):
            with pytest.raises(StorageError):
                act()

    @pytest.mark.parametrize("seed", range(4))
    def test_random_calls_give_what_the_reference_gives(self, store: ConversationStore, seed: int) -> None:
        """The same calls on this store and on the one in memory: the same results, errors and contents."""
        calls = RandomCalls(random.Random(seed))  # noqa: S311 - a test
        reference = MemoryConversationStore()
        for _ in range(100):
            name, arguments, options = calls.next()
            assert outcome_of(store, name, arguments, options) == outcome_of(reference, name, arguments, options), name
            calls.note(reference)
        for user in USERS:
            assert contents_of(store, user) == contents_of(reference, user)
