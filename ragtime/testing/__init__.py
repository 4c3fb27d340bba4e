"""Fakes and small real parts for tests: ragtime's own, and those of applications that use it.

For pytest, ``pytest_plugins = ["ragtime.testing.fixtures"]`` in a ``conftest.py`` brings fixtures of the same names.
"""

from ragtime.testing.datasets import mock_dataset
from ragtime.testing.encoders import HashEncoder, tiny_encoder, tiny_model
from ragtime.testing.generators import ScriptedCall, ScriptedGenerator
from ragtime.testing.model_server import LocalModelServer
from ragtime.testing.server_faults import Fault, FaultKind, ReceivedRequest

__all__ = [
    "Fault",
    "FaultKind",
    "HashEncoder",
    "LocalModelServer",
    "ReceivedRequest",
    "ScriptedCall",
    "ScriptedGenerator",
    "mock_dataset",
    "tiny_encoder",
    "tiny_model",
]
