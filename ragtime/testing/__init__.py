"""Fakes and a local model server, for ragtime's own tests and for those of whoever builds on it."""

from ragtime.testing.generators import ScriptedCall, ScriptedGenerator
from ragtime.testing.model_server import LocalModelServer
from ragtime.testing.server_faults import Fault, FaultKind, ReceivedRequest

__all__ = ["Fault", "FaultKind", "LocalModelServer", "ReceivedRequest", "ScriptedCall", "ScriptedGenerator"]
