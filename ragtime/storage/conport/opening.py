"""The decision log that the settings ask for."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from ragtime.config.settings import Settings, get_settings
from ragtime.errors import ConfigurationError
from ragtime.storage.conport.connection import HttpServer, StdioServer
from ragtime.storage.conport.embedded import JsonDecisionLog
from ragtime.storage.conport.null_log import NullDecisionLog
from ragtime.storage.conport.server_log import ServerDecisionLog

if TYPE_CHECKING:
    from ragtime.protocols import DecisionLog

__all__ = ["open_decision_log"]


def open_decision_log(settings: Settings | None = None) -> DecisionLog:
    """Open the decision log of the section ``conport``.

    Args:
        settings: The settings; ``None`` means the current ones.

    Returns:
        With ``embedded`` a ``JsonDecisionLog`` in the folder ``conport`` of `data_dir`, with ``server`` a
        ``ServerDecisionLog`` over HTTP when `conport.url` is given, else over stdio with `conport.command`, else with
        ``conport-mcp``; with ``off`` a ``NullDecisionLog``.

    Raises:
        ConfigurationError: The server is given twice, or its command line cannot be read.
        MissingExtraError: A server is asked for, and the extra ``conport`` is not installed.
    """
    settings = get_settings() if settings is None else settings
    section = settings.conport
    if section.mode == "off":
        return NullDecisionLog()
    folder = settings.data_path("conport")
    if section.mode == "embedded":
        return JsonDecisionLog(folder)
    if section.url is not None and section.command is not None:
        raise ConfigurationError("conport.url and conport.command are both set; keep the one that is to be used")
    workspace = section.workspace_id or str(Path.cwd())
    server: HttpServer | StdioServer
    if section.url is not None:
        server = HttpServer(section.url)
    else:
        server = StdioServer(_command_line(section.command, workspace))
    return ServerDecisionLog(server, folder, workspace_id=workspace, timeout_seconds=section.timeout_seconds)


def _command_line(command: str | None, workspace: str) -> tuple[str, ...]:
    if command is None:
        return "conport-mcp", "--mode", "stdio", "--workspace_id", workspace, "--log-level", "ERROR"
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if not words:
        raise ConfigurationError("conport.command is no command line; look for a quote that is not closed")
    return tuple(words)
