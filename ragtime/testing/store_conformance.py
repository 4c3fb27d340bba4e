"""What every store of conversations must do, as tests: a new store runs them, and is one.

    >>> class TestMyStore(StoreConformance):
    ...     def make_store(self, folder):
    ...         return MyStore(folder / "conversations")

For pytest; the tests of this class are found in yours.
"""

# ruff: noqa: S101, PLR2004 - these are tests, although they come with the package

from __future__ import annotations

import contextlib
import random
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ragtime.errors import (
    ConversationExistsError,
    ConversationNotFoundError,
    InvalidArgumentError,
    RagtimeError,
    StorageError,
)
from ragtime.protocols import ConversationStore
from ragtime.records.conversation import (
    ConversationHead,
    Feedback,
    Fork,
    ImagePart,
    Interaction,
    StoredTurn,
    TextPart,
    ToolCall,
)
from ragtime.storage.conversations import MemoryConversationStore
from ragtime.utils.stems import stems_of

__all__ = ["StoreConformance", "turn"]

_START = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
_USERS = [None, "u"]


def turn(name: str, parent: str | None = None, content: str | None = None) -> StoredTurn:
    """Return a turn of a user.

    Args:
        name: Its id.
        parent: The id of the turn before it; ``None`` for a first turn.
        content: What is said; ``None`` means its id.

    Returns:
        The turn.
    """
    interaction = Interaction(id=name, role="user", content=content or name, created_at=_START)
    return StoredTurn(interaction=interaction, parent_id=parent)


class StoreConformance:
    """Tests of one kind of store; a subclass says how one is made."""

    def make_store(self, folder: Path) -> ConversationStore:
        """Return a new, empty store.

        Args:
            folder: An empty folder for its files.

        Returns:
            The store; it is closed after the test.
        """
        raise NotImplementedError

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[ConversationStore]:
        """Yield a new store, and close it afterwards."""
        store = self.make_store(tmp_path)
        yield store
        store.close()

    @pytest.fixture
    def chain(self, store: ConversationStore) -> ConversationStore:
        """Return the store with a conversation ``c`` of the turns a, b and c, one after the other."""
        store.create(ConversationHead(id="c", created_at=_START), [turn("a"), turn("b", "a"), turn("c", "b")])
        return store

    def test_it_is_a_store(self, store: ConversationStore) -> None:
        """It has all methods of the protocol."""
        assert isinstance(store, ConversationStore)

    def test_a_turn_comes_back_in_every_field(self, store: ConversationStore) -> None:
        """Whatever a turn holds is there again, to the microsecond and the last digit."""
        text = "Grüße \U0001f600\n\x7f'\"; DROP TABLE turns"
        rich = Interaction(
            role="assistant",
            content=text,
            created_at=_START,
            metadata={"a": [1, 2.5, 1e300, -0.0, 10**40, None, {"b": True}], "ключ": "\x00\\u0000"},
            document_ids=("d2", "d1"),
            tool_calls=(ToolCall(id="t", name="search", arguments='{"q": 1 }'),),
            name="Ann",
            parts=(TextPart(text=text), ImagePart(url="https://example.org/y.png", width=3)),
            token_counts={"words": 7},
            feedback=(Feedback(stars=2.5, comment="so so", aspects={"correct": 5.0}, metadata={"x": 1}),),
        )
        store.create(ConversationHead(id="c", user_id="u"), [StoredTurn(interaction=rich)])
        assert list(store.turns("u", "c")) == [StoredTurn(interaction=rich)]

    def test_a_head_comes_back_in_every_field(self, store: ConversationStore) -> None:
        """What is known of a conversation is there again."""
        head = ConversationHead(id="ü", user_id="Zoë", created_at=_START, metadata={"a": {"b": [1.5, None, "\x00"]}})
        store.create(head)
        assert store.head("Zoë", "ü") == head
        assert store.head("Zoë", "u") is None

    def test_a_conversation_is_made_once(self, chain: ConversationStore) -> None:
        """Making it again fails and changes nothing."""
        with pytest.raises(ConversationExistsError):
            chain.create(ConversationHead(id="c", metadata={"new": 1}), [turn("x")])
        assert _ids(chain.turns(None, "c")) == ["a", "b", "c"]

    def test_a_failed_creation_leaves_nothing(self, store: ConversationStore) -> None:
        """Wrong turns, tips and forks are refused, and no conversation, turn or user stays."""
        wrong: list[tuple[ConversationHead, list[StoredTurn]]] = [
            (ConversationHead(id="c"), [turn("a"), turn("b", "missing")]),
            (ConversationHead(id="c"), [turn("b", "a"), turn("a")]),
            (ConversationHead(id="c"), [turn("a"), turn("a", content="other")]),
            (ConversationHead(id="c"), [turn("a", "a")]),
            (ConversationHead(id="c", tip="missing"), [turn("a")]),
            (ConversationHead(id="c", fork=Fork(conversation_id="c", turn_id="a")), [turn("a")]),
        ]
        for head, turns in wrong:
            with pytest.raises(InvalidArgumentError):
                store.create(head, turns)
        assert store.head(None, "c") is None
        assert store.users() == []
        store.create(ConversationHead(id="c"), [turn("a")])

    def test_turns_come_in_their_order(self, chain: ConversationStore) -> None:
        """Those of all branches, as they were stored, each with the one before it."""
        chain.append(None, "c", [turn("d", "a"), turn("e"), turn("f", "d")])
        assert [(each.interaction.id, each.parent_id) for each in chain.turns(None, "c")] == [
            ("a", None), ("b", "a"), ("c", "b"), ("d", "a"), ("e", None), ("f", "d"),
        ]  # fmt: skip
        assert list(chain.turns(None, "missing")) == []

    def test_more_turns_than_one_page(self, store: ConversationStore) -> None:
        """A long conversation, and a fork of it, come in full."""
        names = [f"t{number}" for number in range(1234)]
        turns = [turn(name, parent) for name, parent in zip(names, [None, *names], strict=False)]
        store.create(ConversationHead(id="c"), turns)
        store.create(ConversationHead(id="f", fork=Fork(conversation_id="c", turn_id="t1200")), [turn("x", "t1200")])
        assert list(store.turns(None, "c")) == turns
        assert _ids(store.turns(None, "f")) == [*names[:1201], "x"]
        assert [change[2].interaction.id for change in store.changes(None)] == [*names, "x"]

    def test_appending_needs_a_conversation(self, store: ConversationStore) -> None:
        """All that changes a conversation fails where there is none."""
        for act in (
            lambda: store.append(None, "c", [turn("a")]),
            lambda: store.update(None, "c", metadata={}),
            lambda: store.add_feedback(None, "c", "a", Feedback(stars=1)),
            lambda: store.forget(None, conversation_id="c"),
            lambda: store.conversations(None, after="c"),
        ):
            with pytest.raises(ConversationNotFoundError):
                act()
        assert store.users() == []

    def test_appending_is_all_or_nothing(self, chain: ConversationStore) -> None:
        """A wrong turn keeps the others of its call out."""
        for turns in ([turn("x", "c"), turn("y", "missing")], [turn("x", "c"), turn("a", content="other")]):
            with pytest.raises(InvalidArgumentError):
                chain.append(None, "c", turns)
        assert _ids(chain.turns(None, "c")) == ["a", "b", "c"]

    def test_appending_may_be_repeated(self, chain: ConversationStore) -> None:
        """A turn that is there is passed over, also after it was rated, and the tip stays."""
        chain.append(None, "c", [turn("d", "c")])
        chain.add_feedback(None, "c", "b", Feedback(stars=5))
        chain.append(None, "c", [turn("b", "a"), turn("c", "b")])
        assert _ids(chain.turns(None, "c")) == ["a", "b", "c", "d"]
        assert _tip(chain, "c") == "d"
        chain.append(None, "c", [turn("c", "b"), turn("d", "c"), turn("e", "d")])
        assert _tip(chain, "c") == "e"
        with pytest.raises(InvalidArgumentError):
            chain.append(None, "c", [turn("c", "a")])

    def test_nothing_to_append(self, chain: ConversationStore) -> None:
        """An empty call changes nothing."""
        chain.append(None, "c", [])
        assert _tip(chain, "c") == "c"

    def test_the_tip_follows_the_last_turn_or_choice(self, chain: ConversationStore) -> None:
        """Whichever was later."""
        chain.update(None, "c", tip="a")
        assert _tip(chain, "c") == "a"
        chain.append(None, "c", [turn("d", "b")])
        assert _tip(chain, "c") == "d"
        with pytest.raises(InvalidArgumentError):
            chain.update(None, "c", tip="missing", metadata={"not": "kept"})
        assert chain.head(None, "c") == ConversationHead(id="c", created_at=_START, tip="d")
        chain.create(ConversationHead(id="e", tip="x"), [turn("x"), turn("y", "x")])
        assert _tip(chain, "e") == "x"

    def test_metadata_is_replaced(self, chain: ConversationStore) -> None:
        """As a whole, and only when it is given."""
        chain.update(None, "c", metadata={"a": 1, "b": 2})
        chain.update(None, "c", tip="a")
        chain.update(None, "c", metadata={"c": 3})
        found = chain.head(None, "c")
        assert found is not None
        assert found.metadata == {"c": 3}
        with pytest.raises(InvalidArgumentError):
            chain.update(None, "c", metadata={"c": object()})

    def test_feedback_is_added_and_replaced(self, chain: ConversationStore) -> None:
        """By its id; the rest of the turn stays."""
        first, second = Feedback(stars=1, comment="bad"), Feedback(stars=4)
        better = Feedback(id=first.id, stars=5)
        for feedback in (first, second, better):
            chain.add_feedback(None, "c", "b", feedback)
        found = list(chain.turns(None, "c"))[1].interaction
        assert found.feedback == (second, better)
        with pytest.raises(InvalidArgumentError):
            chain.add_feedback(None, "c", "missing", first)

    def test_conversations_are_listed(self, store: ConversationStore) -> None:
        """The newest first, then by id; by metadata and time; page by page."""
        for number, name in enumerate(["b", "a", "c", "ä", "d"]):
            created = _START + timedelta(microseconds=number // 2)
            store.create(ConversationHead(id=name, created_at=created, metadata={"even": number % 2 == 0}))
        names = ["d", "c", "ä", "a", "b"]
        assert _names(store.conversations(None)) == names
        assert _names(store.conversations(None, where={"even": True})) == ["d", "c", "b"]
        assert _names(store.conversations(None, where={"missing": None})) == []
        assert _names(store.conversations(None, since=_START + timedelta(microseconds=1))) == names[:3]
        assert _names(store.conversations(None, until=_START + timedelta(microseconds=2))) == names[1:]
        assert _names(store.conversations(None, limit=0)) == []
        pages = [store.conversations(None, limit=2)]
        while len(pages[-1]) == 2:
            pages.append(store.conversations(None, limit=2, after=pages[-1][-1].id))
        assert [name for page in pages for name in _names(page)] == names
        for wrong in ({"limit": -1}, {"since": datetime(2026, 1, 1)}):  # noqa: DTZ001 - wrong on purpose
            with pytest.raises(InvalidArgumentError):
                store.conversations(None, **wrong)

    def test_users_see_only_their_own(self, store: ConversationStore) -> None:
        """Same ids, no mixing; no user is neither the user of that name nor the one without."""
        users = [None, "", "+", "-", "None", "none", "u", "u\0c"]
        for number, user in enumerate(users):
            # An empty id is no user's whom a record may name, but a caller may ask for it.
            if user not in ("", "u\0c"):
                store.create(ConversationHead(id="c", user_id=user), [turn("a", content=f"word{number} shared")])
        real = [user for user in users if user not in ("", "u\0c")]
        assert store.users() == [None, "+", "-", "None", "none", "u"]
        for user in users:
            mine = user in real
            word = f"word{users.index(user)} shared"
            contents = [word] if mine else []
            assert [each.interaction.content for each in store.turns(user, "c")] == contents
            assert [each[2].interaction.content for each in store.changes(user)] == contents
            assert len(store.conversations(user)) == len(contents)
            scope = store.lexical_scope(user, stems_of("shared"))
            assert (scope.turns, len(scope.matches)) == (len(contents), len(contents))
        with pytest.raises(ConversationNotFoundError):
            store.append("", "c", [turn("x")])
        assert store.forget("") == []
        assert len(store.forget("None")) == 1
        assert len(store.conversations(None)) == 1

    def test_ids_that_cannot_be_stored(self, chain: ConversationStore) -> None:
        """Are refused, whatever the call."""
        bad = "\ud800"
        for act in (
            lambda: chain.head(bad, "c"),
            lambda: list(chain.turns(None, bad)),
            lambda: chain.update(None, "c", tip=bad),
            lambda: chain.forget(None, turn_id="a"),
        ):
            with pytest.raises(InvalidArgumentError):
                act()
        assert _ids(chain.turns(None, "c")) == ["a", "b", "c"]

    def test_a_fork_shares_the_turns_up_to_its_point(self, chain: ConversationStore) -> None:
        """They come first; what either appends later is its own."""
        chain.create(ConversationHead(id="f", fork=Fork(conversation_id="c", turn_id="b")))
        assert _tip(chain, "f") == "b"
        chain.append(None, "f", [turn("x", "b"), turn("y", "a")])
        chain.append(None, "c", [turn("d", "c"), turn("x", "c", "another x")])
        assert _ids(chain.turns(None, "f")) == ["a", "b", "x", "y"]
        assert _ids(chain.turns(None, "c")) == ["a", "b", "c", "d", "x"]
        for wrong in (turn("z", "c"), turn("a"), turn("b", "a", "changed")):
            expected = contextlib.nullcontext() if wrong == turn("a") else pytest.raises(InvalidArgumentError)
            with expected:
                chain.append(None, "f", [wrong])
        chain.add_feedback(None, "f", "a", Feedback(stars=3))
        assert next(chain.turns(None, "c")).interaction.stars == 3

    def test_forks_of_forks(self, chain: ConversationStore) -> None:
        """The path leads through all of them."""
        chain.create(ConversationHead(id="f", fork=Fork(conversation_id="c", turn_id="b")), [turn("x", "b")])
        chain.create(ConversationHead(id="g", fork=Fork(conversation_id="f", turn_id="x")), [turn("y", "x")])
        chain.create(ConversationHead(id="h", fork=Fork(conversation_id="g", turn_id="a")), [turn("z", "a")])
        assert _ids(chain.turns(None, "g")) == ["a", "b", "x", "y"]
        assert _ids(chain.turns(None, "h")) == ["a", "z"]
        chain.update(None, "g", tip="a")
        assert _tip(chain, "g") == "a"
        with pytest.raises(InvalidArgumentError):
            chain.update(None, "h", tip="b")

    def test_forgetting_a_turn_joins_what_follows(self, chain: ConversationStore) -> None:
        """To the turn before it; the tip goes back, and every fork loses the turn."""
        chain.create(ConversationHead(id="f", fork=Fork(conversation_id="c", turn_id="b")), [turn("x", "b")])
        chain.create(ConversationHead(id="g", fork=Fork(conversation_id="c", turn_id="b")))
        assert chain.forget(None, conversation_id="f", turn_id="b") == [("c", turn("b", "a"))]
        assert list(chain.turns(None, "c")) == [turn("a"), turn("c", "a")]
        assert list(chain.turns(None, "f")) == [turn("a"), turn("x", "a")]
        assert list(chain.turns(None, "g")) == [turn("a")]
        assert _tip(chain, "g") == "a"
        assert chain.forget(None, conversation_id="c", turn_id="c") == [("c", turn("c", "a"))]
        assert _tip(chain, "c") == "a"
        chain.forget(None, conversation_id="c", turn_id="a")
        assert (_tip(chain, "c"), _tip(chain, "g"), _tip(chain, "f")) == (None, None, "x")
        assert list(chain.turns(None, "f")) == [turn("x")]
        assert all(head.fork is None for head in chain.conversations(None))
        with pytest.raises(InvalidArgumentError):
            chain.forget(None, conversation_id="c", turn_id="a")
        chain.append(None, "c", [turn("a", content="anew")])
        assert list(chain.turns(None, "c")) == [turn("a", content="anew")]

    def test_forgetting_a_conversation_leaves_its_forks_what_they_share(self, chain: ConversationStore) -> None:
        """The oldest fork takes the turns; the others become forks of it."""
        chain.append(None, "c", [turn("d", "c")])
        chain.create(ConversationHead(id="f", fork=Fork(conversation_id="c", turn_id="b")), [turn("x", "b")])
        chain.create(ConversationHead(id="g", fork=Fork(conversation_id="c", turn_id="c")), [turn("y", "c")])
        chain.update(None, "g", tip="b")
        last = max(number for number, _, _ in chain.changes(None))
        assert chain.forget(None, conversation_id="c") == [("c", turn("d", "c"))]
        assert chain.head(None, "c") is None
        assert list(chain.turns(None, "f")) == [turn("a"), turn("b", "a"), turn("x", "b")]
        assert list(chain.turns(None, "g")) == [turn("a"), turn("b", "a"), turn("c", "b"), turn("y", "c")]
        found = {head.id: (head.fork, head.tip) for head in chain.conversations(None)}
        assert found == {"f": (None, "x"), "g": (Fork(conversation_id="f", turn_id="b"), "b")}
        moved = [(place, each.interaction.id) for _, place, each in chain.changes(None, after=last)]
        assert moved == [("f", "a"), ("f", "b"), ("g", "c")]
        chain.forget(None, conversation_id="f")
        assert _ids(chain.turns(None, "g")) == ["a", "b", "c", "y"]

    def test_forgetting_a_user(self, chain: ConversationStore) -> None:
        """Everything goes, and the same ids may be used again."""
        chain.create(ConversationHead(id="f", fork=Fork(conversation_id="c", turn_id="b")), [turn("x", "b")])
        chain.create(ConversationHead(id="c", user_id="other"), [turn("a")])
        assert [(place, each.interaction.id) for place, each in chain.forget(None)] == [
            ("c", "a"), ("c", "b"), ("c", "c"), ("f", "x"),
        ]  # fmt: skip
        assert chain.forget(None) == []
        assert chain.users() == ["other"]
        assert chain.lexical_scope(None, ["a"]).turns == 0
        chain.create(ConversationHead(id="c"), [turn("a")])
        assert _ids(chain.turns(None, "c")) == ["a"]

    def test_changes_grow_and_are_never_reused(self, chain: ConversationStore) -> None:
        """Whoever has seen a number misses nothing by asking for what came after it."""
        numbers = [number for number, _, _ in chain.changes(None)]
        assert numbers == sorted(set(numbers))
        chain.forget(None, conversation_id="c", turn_id="c")
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
        found = _ids(store.turns(None, "c"))
        assert Counter(found) == Counter(f"{name}-{number}" for name in range(8) for number in range(25))
        assert [name for name in found if name.startswith("3-")] == [f"3-{number}" for number in range(25)]
        assert store.lexical_scope(None, []).turns == 200

    def test_a_closed_store_refuses(self, chain: ConversationStore) -> None:
        """Every call, and closing again does no harm."""
        chain.close()
        chain.close()
        for act in (
            lambda: chain.head(None, "c"),
            lambda: list(chain.turns(None, "c")),
            lambda: chain.append(None, "c", [turn("d", "c")]),
            chain.users,
            lambda: chain.forget(None),
        ):
            with pytest.raises(StorageError):
                act()

    @pytest.mark.parametrize("seed", range(4))
    def test_random_calls_give_what_the_reference_gives(self, store: ConversationStore, seed: int) -> None:
        """The same calls on this store and on the one in memory: the same results, errors and contents."""
        calls = _RandomCalls(random.Random(seed))  # noqa: S311 - a test
        reference = MemoryConversationStore()
        for _ in range(100):
            name, arguments, options = calls.next()
            assert _outcome(store, name, arguments, options) == _outcome(reference, name, arguments, options), name
            calls.note(reference)
        for user in _USERS:
            assert _contents(store, user) == _contents(reference, user)


class _RandomCalls:
    """Calls that fit, more or less, what is in the store."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._made = 0
        self._known: dict[str | None, dict[str, list[str]]] = {user: {} for user in _USERS}

    def note(self, store: ConversationStore) -> None:
        """Look at what is there."""
        for user in _USERS:
            self._known[user] = {head.id: _ids(store.turns(user, head.id)) for head in store.conversations(user)}

    def next(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        """Return a method's name and its arguments."""
        rng, user = self._rng, self._rng.choice(_USERS)
        known = self._known[user]
        place = rng.choice([*known, *known, "none"])
        turns = known.get(place, [])
        some = rng.choice([*turns, *turns, "none"])
        kind = rng.choices(["create", "fork", "append", "update", "rate", "search", "forget"], [3, 3, 12, 2, 3, 3, 3])[
            0
        ]
        if kind == "create" or (kind == "fork" and not turns):
            return "create", (self._head(user), self._turns([])), {}
        if kind == "fork":
            return "create", (self._head(user, Fork(conversation_id=place, turn_id=some)), []), {}
        if kind == "append":
            return "append", (user, place, self._turns(turns)), {}
        if kind == "update":
            metadata = {"a": self._made} if rng.random() < 0.5 else None
            return "update", (user, place), {"tip": some, "metadata": metadata}
        if kind == "rate":
            feedback = Feedback(id=rng.choice("pq"), stars=rng.randint(1, 5), created_at=_START)
            return "add_feedback", (user, place, some, feedback), {}
        if kind == "search":
            return "lexical_scope", (user, rng.choices("klmn", k=2)), {"conversation_id": rng.choice([None, place])}
        whole = rng.random()
        conversation = None if whole < 0.05 else place
        return "forget", (user,), {"conversation_id": conversation, "turn_id": some if whole > 0.35 else None}

    def _head(self, user: str | None, fork: Fork | None = None) -> ConversationHead:
        self._made += 1
        created = _START + timedelta(seconds=self._rng.randint(0, 3))
        return ConversationHead(id=f"c{self._made % 9}", user_id=user, created_at=created, fork=fork)

    def _turns(self, known: list[str]) -> list[StoredTurn]:
        made: list[StoredTurn] = []
        for _ in range(self._rng.randint(0, 3)):
            self._made += 1
            names = [*known[-4:], *(each.interaction.id for each in made)]
            parent = self._rng.choice([*names, *names, None])
            name = f"t{self._made}" if self._rng.random() < 0.95 or not known else self._rng.choice(known)
            made.append(turn(name, parent, " ".join(self._rng.choices("klmn", k=self._rng.randint(1, 5)))))
        return made


def _outcome(store: ConversationStore, name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> object:
    try:
        return getattr(store, name)(*arguments, **options)
    except RagtimeError as error:
        return type(error), str(error)


def _contents(store: ConversationStore, user: str | None) -> object:
    heads = store.conversations(user)
    changes = [(place, each) for _, place, each in store.changes(user)]
    return heads, [list(store.turns(user, head.id)) for head in heads], changes, store.lexical_scope(user, "klmn")


def _ids(turns: Iterator[StoredTurn]) -> list[str]:
    return [each.interaction.id for each in turns]


def _names(heads: list[ConversationHead]) -> list[str]:
    return [head.id for head in heads]


def _tip(store: ConversationStore, conversation_id: str) -> str | None:
    found = store.head(None, conversation_id)
    assert found is not None
    return found.tip
