"""Which version is in which stage: it follows from the changes, so that the two cannot contradict each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from ragtime.storage.registry.errors import TamperedModelError
from ragtime.storage.registry.records import Stage, StageChange

__all__ = ["Stages"]


class Stages:
    """The stages of the versions of a model, after some changes.

    Attributes:
        changes: The changes, the oldest first.
    """

    def __init__(self, changes: Iterable[StageChange] = ()) -> None:
        """Go through the changes.

        Args:
            changes: The changes, the oldest first.

        Raises:
            TamperedModelError: A change does not follow from those before it.
        """
        self.changes = tuple(changes)
        self._stages: dict[str, Stage] = {}
        self._line: list[str] = []  # what was in production, one after the other, without what was rolled back
        for number, change in enumerate(self.changes, start=1):
            if not self._follows(change):
                raise TamperedModelError(f"change {number} ({change.action}) does not follow from those before it")
            self._apply(change)

    @property
    def stages(self) -> Mapping[str, Stage]:
        """The stage of each version, in the order in which they were registered."""
        return MappingProxyType(self._stages)

    @property
    def production(self) -> str | None:
        """The version in production; ``None`` when there is none."""
        return self._line[-1] if self._line else None

    @property
    def previous(self) -> str | None:
        """The version that a rollback puts in production; ``None`` when there is none."""
        return self._line[-2] if len(self._line) > 1 else None

    def after(self, change: StageChange) -> Stages:
        """Return the stages after one more change; errors as when they are made."""
        return Stages((*self.changes, change))

    def _follows(self, change: StageChange) -> bool:
        stage = self._stages.get(change.version)
        match change.action:
            case "register":
                return stage is None and change.former is None
            case "promote":
                return stage in {"candidate", "retired"} and change.former == self.production
            case "rollback":
                return change.version == self.previous and change.former == self.production
            case "delete":
                return stage in {"candidate", "retired"} and change.former is None

    def _apply(self, change: StageChange) -> None:
        version = change.version
        match change.action:
            case "register":
                self._stages[version] = "candidate"
            case "delete":
                del self._stages[version]
                left = [one for one in self._line if one != version]
                # Of what now stands beside itself, one is enough: a rollback must not lead to where one is.
                self._line = [one for place, one in enumerate(left) if left[place - 1 : place] != [one]]
            case "promote" | "rollback":
                if change.former is not None:
                    self._stages[change.former] = "retired"
                self._stages[version] = "production"
                self._line = [*self._line, version] if change.action == "promote" else self._line[:-1]
