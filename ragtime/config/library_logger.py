"""The standard-library side of ragtime's logging, for the few modules that stand below ``ragtime.monitoring``."""

from __future__ import annotations

import logging

__all__ = ["ROOT_NAME", "library_logger"]

ROOT_NAME = "ragtime"


def library_logger(name: str) -> logging.Logger:
    """Return a logger of the standard library that keeps quiet until the application configures logging.

    A library must not print, but Python prints warnings that no handler takes. So the logger ``ragtime`` gets a
    ``NullHandler``, here and not at import: importing ragtime changes nothing. Call this when there is something to
    log.

    Args:
        name: Name of the logger; those outside ``ragtime`` belong to others and are returned as they are.

    Returns:
        The logger of that name.
    """
    root = logging.getLogger(ROOT_NAME)
    if not root.handlers and (name == ROOT_NAME or name.startswith(f"{ROOT_NAME}.")):
        root.addHandler(logging.NullHandler())
    return logging.getLogger(name)
