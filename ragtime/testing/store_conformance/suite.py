"""All tests of a store."""

from __future__ import annotations

from ragtime.testing.store_conformance.conversations import ConversationTests
from ragtime.testing.store_conformance.forgetting import ForgettingTests
from ragtime.testing.store_conformance.forks import ForkTests
from ragtime.testing.store_conformance.search import SearchTests
from ragtime.testing.store_conformance.turns import TurnTests
from ragtime.testing.store_conformance.use import UseTests

__all__ = ["StoreConformance"]


class StoreConformance(ConversationTests, TurnTests, ForkTests, ForgettingTests, SearchTests, UseTests):
    """Tests of one kind of store; a subclass says in ``make_store`` how one is made."""
