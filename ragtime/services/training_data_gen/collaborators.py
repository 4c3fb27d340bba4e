"""What a generator works with, checked when it is given and not in the middle of a run."""

from __future__ import annotations

import inspect
from typing import NamedTuple

from ragtime.config.settings import Settings
from ragtime.errors import InvalidArgumentError
from ragtime.services.training_data_gen.sources.opening import SourceOptions

__all__ = ["check_collaborators"]


class _Seam(NamedTuple):
    argument: str
    protocol: str
    members: tuple[str, ...]
    remedy: str


_ENCODER = _Seam(
    "encoder",
    "TextEncoder",
    ("dimension", "encode", "fingerprint"),
    "make one with ragtime.backends.encoders.create_encoder",
)
_GENERATOR = _Seam(
    "generator", "TextGenerator", ("generate",), "make one with ragtime.backends.generators.create_generator"
)
_LOG = _Seam(
    "decision_log",
    "DecisionLog",
    ("log_decision", "log_progress", "update_progress", "log_custom_data", "log_pattern", "link"),
    "make one with ragtime.storage.conport.open_decision_log",
)


def check_collaborators(
    *, settings: object, encoder: object, generator: object, decision_log: object, source_options: object
) -> None:
    """Raise unless each argument is ``None`` or can do what it is there for.

    Members are looked up without being called: the dimension of an encoder may take a model, or a server.

    Args:
        settings: The settings.
        encoder: Embeds.
        generator: Writes.
        decision_log: Is told of runs.
        source_options: Names of fields.

    Raises:
        InvalidArgumentError: One is something else; names the argument, what was found and what is expected.
    """
    for argument, given, kind in (
        ("settings", settings, Settings),
        ("source_options", source_options, SourceOptions),
    ):
        if given is not None and not isinstance(given, kind):
            raise InvalidArgumentError(f"{argument}: found {_found(given)}; expected {kind.__name__}, or None")
    for seam, given in ((_ENCODER, encoder), (_GENERATOR, generator), (_LOG, decision_log)):
        if given is None:
            continue
        missing = [name for name in seam.members if isinstance(given, type) or not _has(given, name)]
        if missing:
            raise InvalidArgumentError(
                f"{seam.argument}: found {_found(given)}, which is no {seam.protocol}: it lacks {', '.join(missing)}; "
                f"{seam.remedy}, or give None"
            )


def _has(given: object, name: str) -> bool:
    if hasattr(type(given), "__getattr__"):  # it answers for something else, and knows its names alone
        return True
    nothing = object()
    return inspect.getattr_static(given, name, nothing) not in (nothing, None)


def _found(given: object) -> str:
    return f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__
