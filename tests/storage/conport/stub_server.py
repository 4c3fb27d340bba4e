"""A small Context Portal: a real MCP server with its tool names and manners, whose records are a JSON file.

What it does like the real one, as observed: times to the second, a new number for what is replaced, a missing progress
entry reported as success, errors of tools as results, lists wrapped into ``result``.

Run it as ``stub_server.py RECORDS [--http PORT]``. Faults stand in ``RECORDS.faults``, one a line, and are taken out of
the file when they have struck, but for those that begin with ``always``:

    hang TOOL     no answer; nothing is done
    freeze TOOL   it is done and answered; soon after, nothing is read or answered any more
    lose TOOL     it is done; no answer
    die TOOL      the process ends; nothing is done
    vanish TOOL   it is done, and the process ends
    refuse TOOL   an error of the tool
    garbage TOOL  two lines on standard output that are no messages, then the answer
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import MCPServer

RECORDS = Path(sys.argv[1])
FAULTS = RECORDS.with_suffix(".faults")
STDOUT = os.dup(1)  # the server points standard output elsewhere while it runs

server = MCPServer("stub")


def load() -> dict[str, list[dict[str, Any]]]:
    if RECORDS.exists():
        return json.loads(RECORDS.read_text(encoding="utf-8"))
    return {"decisions": [], "progress": [], "patterns": [], "custom_data": [], "links": [], "numbers": []}


def rows_of(kind: str, workspace_id: str) -> list[dict[str, Any]]:
    return [row for row in load()[kind] if row["workspace_id"] == workspace_id]


def save(records: dict[str, list[dict[str, Any]]]) -> None:
    hidden = RECORDS.with_suffix(".tmp")
    hidden.write_text(json.dumps(records), encoding="utf-8")
    hidden.replace(RECORDS)


def fault_of(tool: str) -> str:
    lines = FAULTS.read_text(encoding="utf-8").splitlines() if FAULTS.exists() else []
    for line in lines:
        *always, fault, struck = line.split()
        if struck == tool:
            if not always:
                lines.remove(line)
                FAULTS.write_text("\n".join(lines), encoding="utf-8")
            return fault
    return ""


def before(tool: str) -> str:
    fault = fault_of(tool)
    if fault == "hang":
        time.sleep(600)  # in a thread of this call; others are answered
    if fault == "die":
        os._exit(3)
    if fault == "refuse":
        raise ValueError(f"{tool} will not")
    if fault == "garbage":
        os.write(STDOUT, b"WARNING: this is no message\n{]\xff\n")
    return fault


def after(fault: str) -> None:
    if fault == "freeze":
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGSTOP)).start()
    if fault == "lose":
        time.sleep(600)
    if fault == "vanish":
        os._exit(3)


def add(tool: str, kind: str, unique: tuple[str, ...] = (), /, **fields: Any) -> dict[str, Any]:
    fault = before(tool)
    records = load()
    number = 1 + sum(each["kind"] == kind for each in records["numbers"])
    row = {"id": number, "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), **fields}
    if unique:
        records[kind] = [each for each in records[kind] if any(each[name] != row[name] for name in unique)]
    records["numbers"].append({"kind": kind})
    records[kind].append(row)
    save(records)
    after(fault)
    return row


@server.tool()
def log_decision(
    workspace_id: str,
    summary: str,
    rationale: str | None = None,
    implementation_details: str | None = None,
    tags: list[str] | None = None,
) -> dict[str, Any]:
    return add(
        *("log_decision", "decisions"),
        workspace_id=workspace_id,
        summary=summary,
        rationale=rationale,
        implementation_details=implementation_details,
        tags=tags,
    )


@server.tool()
def get_decisions(workspace_id: str, tags_filter_include_all: list[str] | None = None) -> list[dict[str, Any]]:
    before("get_decisions")
    rows = rows_of("decisions", workspace_id)
    return [row for row in rows if {*(tags_filter_include_all or ())} <= {*(row["tags"] or ())}]


@server.tool()
def log_progress(workspace_id: str, status: str, description: str) -> dict[str, Any]:
    return add("log_progress", "progress", workspace_id=workspace_id, status=status, description=description)


@server.tool()
def update_progress(
    workspace_id: str, progress_id: int, status: str | None = None, description: str | None = None
) -> dict[str, Any]:
    fault = before("update_progress")
    records = load()
    for row in records["progress"]:
        if (row["workspace_id"], row["id"]) == (workspace_id, progress_id):
            row["status"] = status or row["status"]
            row["description"] = description or row["description"]
            save(records)
            after(fault)
            return {"status": "success", "message": f"Progress entry ID {progress_id} updated successfully."}
    return {"status": "success", "message": f"Progress entry ID {progress_id} not found for update."}


@server.tool()
def get_progress(workspace_id: str) -> list[dict[str, Any]]:
    before("get_progress")
    return rows_of("progress", workspace_id)


@server.tool()
def log_custom_data(workspace_id: str, category: str, key: str, value: Any) -> dict[str, Any]:
    return add(
        *("log_custom_data", "custom_data", ("category", "key")),
        workspace_id=workspace_id,
        category=category,
        key=key,
        value=value,
    )


@server.tool()
def get_custom_data(workspace_id: str, category: str, key: str | None = None) -> list[dict[str, Any]]:
    before("get_custom_data")
    rows = rows_of("custom_data", workspace_id)
    return [row for row in rows if row["category"] == category and key in (None, row["key"])]


@server.tool()
def log_system_pattern(
    workspace_id: str, name: str, description: str | None = None, tags: list[str] | None = None
) -> dict[str, Any]:
    return add(
        *("log_system_pattern", "patterns", ("name",)),
        workspace_id=workspace_id,
        name=name,
        description=description,
        tags=tags,
    )


@server.tool()
def get_system_patterns(workspace_id: str, tags_filter_include_all: list[str] | None = None) -> list[dict[str, Any]]:
    before("get_system_patterns")
    rows = rows_of("patterns", workspace_id)
    return [row for row in rows if {*(tags_filter_include_all or ())} <= {*(row["tags"] or ())}]


@server.tool()
def link_conport_items(
    workspace_id: str,
    source_item_type: str,
    source_item_id: str,
    target_item_type: str,
    target_item_id: str,
    relationship_type: str,
    description: str | None = None,
) -> dict[str, Any]:
    return add(
        *("link_conport_items", "links"),
        workspace_id=workspace_id,
        source_item_type=source_item_type,
        source_item_id=source_item_id,
        target_item_type=target_item_type,
        target_item_id=target_item_id,
        relationship_type=relationship_type,
        description=description,
    )


@server.tool()
def get_linked_items(workspace_id: str, item_type: str, item_id: str) -> list[dict[str, Any]]:
    before("get_linked_items")
    ends = [("source_item_type", "source_item_id"), ("target_item_type", "target_item_id")]
    rows = rows_of("links", workspace_id)
    return [row for row in rows if any((row[kind], row[number]) == (item_type, item_id) for kind, number in ends)]


if __name__ == "__main__":
    if "--http" in sys.argv:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[-1]))
    else:
        server.run("stdio")
