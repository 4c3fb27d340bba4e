"""What a training run needs to go on, and whether it may: its data and configuration must be the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ragtime.errors import FineTuningError, InvalidArgumentError
from ragtime.monitoring.logging import get_logger
from ragtime.utils.hashing import content_hash

if TYPE_CHECKING:
    from ragtime.services.model_finetuner.checkpoints.trees import Tree

__all__ = ["TrainingState", "check_fingerprints", "fingerprint"]

_log = get_logger(__name__)

_NAMED = 10  # how many fields an error names


@dataclass(frozen=True, slots=True, eq=False)
class TrainingState:
    """All of a run at one step.

    Attributes:
        parts: By name, what each part of the run gives as its state: ``model``, ``optimizer``, ``random``, ``progress``
            and whatever else there is. Each is a tree of dicts, lists and tuples with tensors, numbers, texts, booleans
            and ``None``; it comes back equal, types included, with its tensors on the CPU.
        fingerprints: What the run must find unchanged when it goes on, as :func:`fingerprint` makes it.
    """

    parts: Mapping[str, Tree]
    fingerprints: Mapping[str, str] = field(default_factory=dict)


def fingerprint(**sections: Mapping[str, Any]) -> dict[str, str]:
    """Hash fields of data and configuration one by one, so that a change can be told by its name.

        >>> list(fingerprint(config={"optimizer": "adamw", "adapter": {"rank": 8}}, data={"rows": 1000}))
        ['config.adapter.rank', 'config.optimizer', 'data.rows']

    Args:
        **sections: JSON objects by name; an object in an object is taken apart, a list is one value.

    Returns:
        By dotted name the hash of each field, sorted by name; values such as prompts cannot be read from them.

    Raises:
        InvalidArgumentError: A value is no JSON value.
    """
    found: dict[str, str] = {}
    pending: list[tuple[str, Any]] = list(sections.items())
    while pending:
        name, value = pending.pop()
        if isinstance(value, Mapping) and value:
            pending += [(f"{name}.{key}", inner) for key, inner in value.items()]
        else:
            found[name] = content_hash(dict(value) if isinstance(value, Mapping) else value)
    return dict(sorted(found.items()))


def check_fingerprints(
    found: Mapping[str, str], expected: Mapping[str, str], *, allow_changed: Collection[str] = ()
) -> list[str]:
    """Check that a checkpoint belongs to the data and the configuration of a run.

    Args:
        found: Fingerprints of the checkpoint.
        expected: Those of the run that wants to go on.
        allow_changed: Fields that may differ, such as ``config.num_epochs``, or whole sections, such as ``data``.

    Returns:
        Names of the fields that differ, all of them allowed to; they are logged as a warning, too.

    Raises:
        FineTuningError: Other fields differ; names them.
        InvalidArgumentError: `allow_changed` is a single text, or names what neither side has.
    """
    if isinstance(allow_changed, str):
        raise InvalidArgumentError("allow_changed must be a collection of names, found a single text")
    names = {*found, *expected}
    for allowed in allow_changed:
        if not any(_covers(allowed, name) for name in names):
            raise InvalidArgumentError(f"allow_changed names {allowed!r}, but there is no such field")
    changed = sorted(name for name in names if found.get(name) != expected.get(name))
    refused = [name for name in changed if not any(_covers(allowed, name) for allowed in allow_changed)]
    if refused:
        more = f" and {len(refused) - _NAMED} more" if len(refused) > _NAMED else ""
        raise FineTuningError(
            f"The checkpoint belongs to another run; changed since then: {', '.join(refused[:_NAMED])}{more}. Restore "
            "what was changed, allow it to differ, or start anew in another folder"
        )
    if changed:
        _log.warning("The run goes on with what has changed, as told", changed=changed)
    return changed


def _covers(allowed: str, name: str) -> bool:
    return name == allowed or name.startswith(f"{allowed}.")
