"""ragtime: the learning loop of a RAG system.

It remembers conversations, renders prompts and pages, turns what people said and how they rated it into training data,
fine-tunes the retrieval model on it, and ships a new model only if it is measurably better.

Importing this package loads no third-party package: the names below are looked up when they are first used.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would take most of the time that `import ragtime` has
if TYPE_CHECKING:
    from ragtime.config.settings import Settings, get_settings, override_settings
    from ragtime.errors import RagtimeError
    from ragtime.monitoring.logging import configure_logging, get_logger

__version__ = "1.0.0"

__all__ = [
    "RagtimeError",
    "Settings",
    "__version__",
    "configure_logging",
    "get_logger",
    "get_settings",
    "override_settings",
]

_HOMES = {
    "RagtimeError": "ragtime.errors",
    "Settings": "ragtime.config.settings",
    "configure_logging": "ragtime.monitoring.logging",
    "get_logger": "ragtime.monitoring.logging",
    "get_settings": "ragtime.config.settings",
    "override_settings": "ragtime.config.settings",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        from ragtime.errors import did_you_mean  # noqa: PLC0415 - errors are rare, imports are not

        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{did_you_mean(name, __all__)}")
    import importlib  # noqa: PLC0415 - keeps `import ragtime` free

    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
