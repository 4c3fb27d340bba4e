"""The random states of a process: what dropout and the like will draw next."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, cast

from ragtime.errors import InvalidArgumentError
from ragtime.monitoring.logging import get_logger
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import torch

    from ragtime.services.model_finetuner.checkpoints.trees import Tree
else:
    np = LazyModule("numpy")

__all__ = ["capture_random_states", "restore_random_states"]

_log = get_logger(__name__)


def capture_random_states() -> dict[str, Tree]:
    """Take down the states of the generators that belong to the process.

    Returns:
        The states of ``random``, of numpy's legacy generator and of torch on the CPU and on every CUDA device that is
        in use, as byte tensors and numbers: a part of a :class:`TrainingState`.
    """
    import torch  # noqa: PLC0415 - heavy

    version, words, gauss = random.getstate()
    algorithm, keys, position, has_gauss, cached = cast("Any", np.random.get_state(legacy=True))
    # Asking a device that is not in use would start it, on every GPU of the machine.
    in_use = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = torch.cuda.get_rng_state_all() if in_use else []
    return {
        "python": {"version": version, "words": _bytes_of(np.array(words, np.uint32)), "gauss": gauss},
        "numpy": {
            "algorithm": str(algorithm),
            "keys": _bytes_of(keys),
            "position": int(position),
            "has_gauss": int(has_gauss),
            "cached_gaussian": float(cached),
        },
        "torch": torch.get_rng_state(),
        "cuda": list(devices),
    }


def restore_random_states(states: Tree) -> None:
    """Put the generators of the process back where they were.

    With another number of CUDA devices the common ones are restored, and a warning is logged: what dropout draws on
    the others, and with it the weights, will differ from those of a run that was not interrupted.

    Args:
        states: What :func:`capture_random_states` took down.

    Raises:
        InvalidArgumentError: It is something else.
    """
    import torch  # noqa: PLC0415 - heavy

    given = cast("Any", states)
    try:
        python, numpy = given["python"], given["numpy"]
        words = tuple(map(int, _words_of(python["words"])))
        python_state = (python["version"], words, python["gauss"])
        keys = _words_of(numpy["keys"])
        numpy_state = (numpy["algorithm"], keys, numpy["position"], numpy["has_gauss"], numpy["cached_gaussian"])
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        torch.set_rng_state(given["torch"])
        saved: list[torch.Tensor] = given["cuda"]
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise InvalidArgumentError(f"Not the random states of a process: {type(error).__name__}") from error
    here = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if len(saved) > here:
        _log.warning("Random states of CUDA devices that are not here are left out", saved=len(saved), devices=here)
    for device, state in enumerate(saved[:here]):
        torch.cuda.set_rng_state(state, device)


def _bytes_of(words: np.ndarray[Any, Any]) -> torch.Tensor:
    import torch  # noqa: PLC0415 - heavy

    return torch.from_numpy(words.astype("<u4").view(np.uint8).copy())


def _words_of(data: torch.Tensor) -> np.ndarray[Any, np.dtype[np.uint32]]:
    return data.numpy().view("<u4").astype(np.uint32)
