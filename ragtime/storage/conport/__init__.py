"""Where decisions and progress of runs are logged: JSON records of our own, or a Context Portal server."""

from __future__ import annotations

from ragtime.storage.conport.connection import HttpServer, StdioServer
from ragtime.storage.conport.embedded import JsonDecisionLog
from ragtime.storage.conport.null_log import NullDecisionLog
from ragtime.storage.conport.opening import open_decision_log
from ragtime.storage.conport.server_log import ServerDecisionLog

__all__ = [
    "HttpServer",
    "JsonDecisionLog",
    "NullDecisionLog",
    "ServerDecisionLog",
    "StdioServer",
    "open_decision_log",
]
