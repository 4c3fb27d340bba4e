"""The turns of a conversation as a tree."""

from __future__ import annotations

import pytest

from ragtime.errors import InvalidArgumentError
from ragtime.records.conversation import Interaction, StoredTurn
from ragtime.services.conversation.tree import TurnTree


def turn(turn_id: str, parent: str | None = None) -> StoredTurn:
    return StoredTurn(interaction=Interaction(role="user", content=turn_id, id=turn_id), parent_id=parent)


def path(tree: TurnTree) -> str:
    return "".join(one.id for one in tree.path)


FORKED = [turn("a"), turn("b", "a"), turn("c", "b"), turn("x", "a")]


def test_an_empty_tree_has_no_tip() -> None:
    tree = TurnTree()
    assert (len(tree), tree.tip, tree.path, tree.tips(), list(tree)) == (0, None, [], [], [])


@pytest.mark.parametrize(("tip", "expected"), [(None, "ax"), ("c", "abc"), ("b", "ab"), ("a", "a")])
def test_the_active_branch_ends_with_the_tip_or_the_turn_stored_last(tip: str | None, expected: str) -> None:
    tree = TurnTree(FORKED, tip=tip)
    assert path(tree) == expected
    assert (len(tree), list(tree), tree.tips()) == (4, FORKED, ["c", "x"])


def test_a_turn_that_lengthens_the_branch_keeps_its_version_and_another_branch_does_not() -> None:
    tree = TurnTree(FORKED)
    before = tree.version
    tree.add(turn("y", "x"))
    assert (path(tree), tree.version, tree.place("y"), tree.place("b")) == ("axy", before, 2, None)
    tree.add(turn("z", "b"))
    assert (path(tree), tree.place("z"), tree.place("y")) == ("abz", 2, None)
    assert tree.version > before
    tree.add(turn("0"))
    assert (path(tree), tree.tips()) == ("0", ["c", "y", "z", "0"])


def test_a_turn_is_replaced_in_its_place() -> None:
    tree = TurnTree(FORKED)
    changed = tree.get("a").interaction.model_copy(update={"name": "ann"})
    tree.replace(changed)
    tree.replace(tree.get("c").interaction.model_copy(update={"name": "bob"}))
    assert (tree.path[0], path(tree), list(tree)[1:2]) == (changed, "ax", FORKED[1:2])
    assert [(one.interaction.name, one.parent_id) for one in tree.branch("c")] == [
        ("ann", None),
        (None, "a"),
        ("bob", "b"),
    ]


@pytest.mark.parametrize("bad", [turn("a"), turn("c", "b"), turn("new", "nowhere"), turn("new", "new")])
def test_a_wrong_turn_leaves_the_tree(bad: StoredTurn) -> None:
    tree = TurnTree(FORKED)
    with pytest.raises(InvalidArgumentError):
        tree.add(bad)
    assert (list(tree), path(tree), "new" in tree) == (FORKED, "ax", False)


def test_what_is_not_there_is_refused() -> None:
    tree = TurnTree(FORKED)
    for look in (tree.get, tree.switch, tree.branch):
        with pytest.raises(InvalidArgumentError, match="no turn 'nowhere'"):
            look("nowhere")
    with pytest.raises(InvalidArgumentError):
        TurnTree(FORKED, tip="nowhere")
    with pytest.raises(InvalidArgumentError):
        TurnTree([turn("b", "a"), turn("a")])
    assert path(tree) == "ax"


def test_a_very_long_branch_is_no_recursion() -> None:
    turns = [turn("0"), *(turn(str(number), str(number - 1)) for number in range(1, 5000))]
    assert len(TurnTree(turns).branch("4999")) == 5000
