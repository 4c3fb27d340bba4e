"""Stages follow from the changes; whatever the order of these, one version is in production."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.storage.registry import StageChange, TamperedModelError
from ragtime.storage.registry.stages import Stages

AT = datetime(2026, 3, 1, tzinfo=UTC)
VERSIONS = [digit * 64 for digit in "abcd"]
ACTIONS = ["register", "promote", "rollback", "delete"]


def change(action: str, version: str, former: str | None = None) -> StageChange:
    return StageChange(action=action, version=version, former=former, at=AT)


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(VERSIONS)), max_size=40))
def test_one_version_is_in_production_whatever_comes(wanted: list[tuple[str, str]]) -> None:
    stages = Stages()
    for action, version in wanted:
        moves = action in {"promote", "rollback"}
        before = dict(stages.stages)
        try:
            stages = stages.after(change(action, version, stages.production if moves else None))
        except TamperedModelError:
            assert dict(stages.stages) == before
            continue
        in_production = [one for one, stage in stages.stages.items() if stage == "production"]
        assert in_production == ([stages.production] if stages.production else [])
        assert stages.previous != stages.production or stages.production is None
        assert stages.previous is None or stages.stages[stages.previous] == "retired"
        assert (version in stages.stages) == (action != "delete")
        if moves:
            assert stages.production == version
    assert dict(Stages(stages.changes).stages) == dict(stages.stages)


@pytest.mark.parametrize(
    "changes",
    [
        [change("promote", VERSIONS[0])],
        [change("delete", VERSIONS[0])],
        [change("register", VERSIONS[0]), change("register", VERSIONS[0])],
        [change("register", VERSIONS[0]), change("rollback", VERSIONS[0])],
        [change("register", VERSIONS[0]), change("promote", VERSIONS[0]), change("delete", VERSIONS[0])],
        [change("register", VERSIONS[0]), change("promote", VERSIONS[0]), change("promote", VERSIONS[0], VERSIONS[0])],
        [change("register", VERSIONS[0]), change("promote", VERSIONS[0], VERSIONS[1])],
    ],
)
def test_changes_that_do_not_follow_are_refused(changes: list[StageChange]) -> None:
    with pytest.raises(TamperedModelError, match=f"change {len(changes)} .* does not follow"):
        Stages(changes)
