"""Search counts its scope exactly, and indexes learn of every change."""

# ruff: noqa: S101, PLR2004 - these are tests, although they come with the package

from __future__ import annotations

from ragtime.protocols import ConversationStore
from ragtime.records.conversation import ConversationHead, Fork
from ragtime.testing.store_conformance.base import StoreTests, turn
from ragtime.utils.stems import stems_of

__all__ = ["SearchTests"]


class SearchTests(StoreTests):
    """Search counts its scope exactly, and indexes learn of every change."""

    def test_changes_grow_and_are_never_reused(self, chain: ConversationStore) -> None:
        """Whoever has seen a number misses nothing by asking for what came after it."""
        numbers = [number for number, _, _ in chain.changes(None)]
        assert numbers == sorted(set(numbers))
        chain.forget(None, conversation_id="c", turn_id="c")
        chain.append(None, "c", [turn("e", "b")])
        assert [number > numbers[-1] for number, _, _ in chain.changes(None)] == [False, False, True]
        numbers.append(max(number for number, _, _ in chain.changes(None)))
        chain.create(ConversationHead(id="d", user_id="other"), [turn("z")])
        chain.append(None, "c", [turn("d", "b")])
        assert [(place, each) for _, place, each in chain.changes(None, after=numbers[-1])] == [("c", turn("d", "b"))]
        assert list(chain.changes(None, after=10**9)) == []

    def test_search_counts_its_scope_exactly(self, store: ConversationStore) -> None:
        """Turns, stems and frequencies of a user or a conversation, also after more came and some went."""
        store.create(ConversationHead(id="c"), [turn("a", content="Cats chase cats."), turn("b", "a", "the of and")])
        store.create(ConversationHead(id="d"), [turn("a", content="A dog chased one cat, 猫猫")])
        cat, dog, chase = (stems_of(word)[0] for word in ("cat", "dog", "chase"))
        scope = store.lexical_scope(None, [cat, dog, chase, cat, "missing"])
        assert (scope.turns, scope.stems) == (3, len(stems_of("Cats chase cats. A dog chased one cat, 猫猫")))
        assert [(match.conversation_id, match.turn_id, match.frequencies) for match in scope.matches] == [
            ("c", "a", {cat: 2, chase: 1}),
            ("d", "a", {cat: 1, dog: 1, chase: 1}),
        ]
        assert [match.length for match in scope.matches] == [3, len(stems_of("A dog chased one cat, 猫猫"))]
        store.append(None, "c", [turn("e", content="dog dog")])
        assert store.lexical_scope(None, [dog], conversation_id="c").stems == 5
        store.forget(None, conversation_id="c", turn_id="a")
        after = store.lexical_scope(None, [cat, dog], conversation_id="c")
        assert (after.turns, after.stems, [match.turn_id for match in after.matches]) == (2, 2, ["e"])
        assert store.lexical_scope(None, []).matches == ()
        assert store.lexical_scope(None, [cat], conversation_id="missing").turns == 0
        assert store.lexical_scope("other", [cat]).turns == 0

    def test_search_counts_what_forks_inherit(self, chain: ConversationStore) -> None:
        """Under the conversation in which a turn is stored."""
        chain.create(ConversationHead(id="f", fork=Fork(conversation_id="c", turn_id="b")), [turn("x", "b", "xenon")])
        assert chain.lexical_scope(None, ["xenon"], conversation_id="f").turns == 1
        chain.forget(None, conversation_id="c")
        scope = chain.lexical_scope(None, ["b", "c"], conversation_id="f")
        assert (scope.turns, [match.turn_id for match in scope.matches]) == (3, ["b"])
        assert chain.lexical_scope(None, []).turns == 3
