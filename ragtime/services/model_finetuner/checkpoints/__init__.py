"""Checkpoints: all that a run needs to go on, written whole or not at all, and never a pickle."""

from __future__ import annotations

from ragtime.services.model_finetuner.checkpoints.randomness import capture_random_states, restore_random_states
from ragtime.services.model_finetuner.checkpoints.state import TrainingState, check_fingerprints, fingerprint
from ragtime.services.model_finetuner.checkpoints.store import Checkpoint, CheckpointStore

__all__ = [
    "Checkpoint",
    "CheckpointStore",
    "TrainingState",
    "capture_random_states",
    "check_fingerprints",
    "fingerprint",
    "restore_random_states",
]
