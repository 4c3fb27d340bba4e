"""The settings that change results, and a hash of them."""

from __future__ import annotations

from typing import Any

from ragtime.config.settings import Settings
from ragtime.utils.hashing import content_hash

__all__ = ["result_settings", "settings_hash"]

_UNTOUCHED = {  # where things run and rest, who pays, and how long one waits: never what comes out
    "embedding": {"device", "batch_size", "base_url", "api_key", "timeout_seconds", "max_retries", "cache_max_bytes"},
    "llm": {"base_url", "api_key", "timeout_seconds", "max_retries"},
    "training_data": {"workers"},
    "finetuning": {"general_data", "output_dir", "trackers"},
}


def settings_hash(settings: Settings, *sections: str) -> str:
    """Hash what of some sections changes results: no paths, secrets, limits of time, workers or logging.

    Args:
        settings: The settings.
        *sections: Names of the sections that the work depends on, such as ``training_data``; the seed always counts.

    Returns:
        A hash of 64 hexadecimal digits, the same for the same values wherever they came from.
    """
    return content_hash({"seed": settings.seed, **result_settings(settings, *sections)})


def result_settings(settings: Settings, *sections: str) -> dict[str, dict[str, Any]]:
    """Return what of some sections changes results, as JSON values.

    Args:
        settings: The settings.
        *sections: Names of the sections.

    Returns:
        The values of the fields by name, by section, in the order of the sections' names.
    """
    return {
        name: getattr(settings, name).model_dump(mode="json", exclude=_UNTOUCHED.get(name)) for name in sorted(sections)
    }
