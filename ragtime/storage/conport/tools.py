"""What entries and questions are in the words of the Context Portal's tools.

The server numbers decisions and progress entries itself, and a call whose answer got lost may have been done. So what
is logged carries the log's own id with it: a decision as a tag, a progress entry at the end of its description. By that
mark it is found again. Values and patterns are found by their names, which is why links name those and not numbers:
the server gives them a new one each time they are replaced.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Required

from pydantic import JsonValue, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from ragtime.records.decisions import CustomData, Decision, ItemLink, ItemRef, Pattern, ProgressEntry
from ragtime.storage.conport.connection import CallTool, RefusedError
from ragtime.storage.conport.journal import Entry

__all__ = ["Tools", "is_server_id"]

_MARK = "ragtime:"
_MARKED = re.compile(rf"\s\[{_MARK}[\w-]+\]\Z")
_NUMBERED = {"log_decision", "log_progress"}


class _Row(TypedDict, total=False):
    """What the server tells of an item."""

    id: Required[int]
    timestamp: Required[datetime]
    summary: str
    rationale: str | None
    implementation_details: str | None
    tags: list[str] | None
    status: str
    description: str | None
    name: str
    category: str
    key: str
    value: JsonValue
    source_item_type: str
    source_item_id: str
    target_item_type: str
    target_item_id: str
    relationship_type: str


_ROW = TypeAdapter(_Row)
_ROWS = TypeAdapter(list[_Row])


def is_server_id(text: str) -> bool:
    """Tell whether an id is a number of the server's, and not one of a log's own."""
    return text.isascii() and text.isdigit()


class Tools:
    """The tools of one server, for one workspace, within one session."""

    def __init__(self, call: CallTool, workspace_id: str, known: Callable[[str], str | None]) -> None:
        """Call tools.

        Args:
            call: Calls one.
            workspace_id: Workspace of the items.
            known: Returns the server's number of an item by the log's own id; ``None`` when it is not known.
        """
        self._call_tool = call
        self._workspace_id = workspace_id
        self._known = known

    async def send(self, entry: Entry, *, in_doubt: bool) -> str | None:
        """Send an entry.

        Args:
            entry: The entry.
            in_doubt: Whether the server may have got it before; then it is asked first.

        Returns:
            The server's number of it, if it has one that stays.

        Raises:
            RefusedError: The server will not, or the entry speaks of an item that the server has not got.
            ServerFailure: The server does not answer.
        """
        arguments = await self._arguments(entry)
        if in_doubt:
            if entry.tool in _NUMBERED and (found := await self._find(entry.tool, entry.ref)) is not None:
                return found
            if entry.tool == "link_conport_items" and await self._is_linked(arguments):
                return None
        answer = await self._call(entry.tool, arguments)
        if entry.tool == "update_progress":
            _check_found(answer)
        return str(_checked(_ROW, answer)["id"]) if entry.tool in _NUMBERED else None

    async def decisions(self, tags: Sequence[str]) -> list[Decision]:
        """Read the decisions that have all of these tags, the newest first."""
        # Without a limit of the server's: it orders by seconds, and within one the oldest come first.
        filters: dict[str, JsonValue] = {"tags_filter_include_all": list(tags)} if tags else {}
        return [
            Decision(
                id=str(row["id"]),
                logged_at=row["timestamp"],
                summary=row["summary"],
                rationale=row["rationale"],
                details=row["implementation_details"],
                tags=tuple(tag for tag in row["tags"] or () if not tag.startswith(_MARK)),
            )
            for row in _newest(await self._rows("get_decisions", filters))
        ]

    async def progress(self) -> list[ProgressEntry]:
        """Read the progress entries, the newest first."""
        return [
            ProgressEntry(
                id=str(row["id"]),
                logged_at=row["timestamp"],
                status=row["status"],
                description=_MARKED.sub("", row["description"] or ""),
            )
            for row in _newest(await self._rows("get_progress", {}))
        ]

    async def patterns(self, tags: Sequence[str]) -> list[Pattern]:
        """Read the patterns that have all of these tags, by name."""
        filters: dict[str, JsonValue] = {"tags_filter_include_all": list(tags)} if tags else {}
        found = [
            Pattern(
                name=row["name"],
                logged_at=row["timestamp"],
                description=row["description"],
                tags=tuple(row["tags"] or ()),
            )
            for row in await self._rows("get_system_patterns", filters)
        ]
        return sorted(found, key=lambda pattern: pattern.name)

    async def custom_data(self, category: str, key: str | None) -> list[CustomData]:
        """Read the values of a category, by key."""
        # Never by search_custom_data_value_fts: with a category it fails in every released server.
        filters: dict[str, JsonValue] = {"category": category} if key is None else {"category": category, "key": key}
        found = [
            CustomData(category=row["category"], key=row["key"], logged_at=row["timestamp"], value=row["value"])
            for row in await self._rows("get_custom_data", filters)
        ]
        return sorted(found, key=lambda data: data.key)

    async def links(self, item: ItemRef) -> list[ItemLink]:
        """Read the links from and to an item, the oldest first."""
        place = await self._place(item)
        rows = await self._rows("get_linked_items", {"item_type": item.kind, "item_id": place})
        return [
            ItemLink(
                source=ItemRef(kind=row["source_item_type"], id=row["source_item_id"]),
                target=ItemRef(kind=row["target_item_type"], id=row["target_item_id"]),
                relationship=row["relationship_type"],
                logged_at=row["timestamp"],
                description=row["description"],
            )
            for row in reversed(_newest(rows))
        ]

    async def _arguments(self, entry: Entry) -> dict[str, JsonValue]:
        """Return the arguments as the server wants them: with the mark, and with numbers of its own."""
        arguments: dict[str, Any] = dict(entry.arguments)
        if entry.tool == "log_decision":
            arguments["tags"] = [*arguments["tags"], f"{_MARK}{entry.ref}"]
        elif entry.tool == "log_progress":
            arguments["description"] = _marked(arguments["description"], entry.ref)
        elif entry.tool == "update_progress":
            ref = arguments["progress_id"]
            arguments["progress_id"] = int(await self._place(ItemRef(kind="progress_entry", id=ref)))
            if arguments.get("description") is not None and not is_server_id(ref):
                arguments["description"] = _marked(arguments["description"], ref)
        elif entry.tool == "link_conport_items":
            for end in ("source", "target"):
                item = ItemRef(kind=arguments[f"{end}_item_type"], id=arguments[f"{end}_item_id"])
                arguments[f"{end}_item_id"] = await self._place(item)
        return arguments

    async def _place(self, item: ItemRef) -> str:
        """Return what the server calls an item."""
        if item.kind not in {"decision", "progress_entry"} or is_server_id(item.id):
            return item.id
        tool = "log_decision" if item.kind == "decision" else "log_progress"
        found = self._known(item.id) or await self._find(tool, item.id)
        if found is None:
            raise RefusedError(f"It speaks of the {item.kind} {item.id}, which the server has not got")
        return found

    async def _find(self, tool: str, ref: str) -> str | None:
        """Return the server's number of what this tool logged under an id of the log's own."""
        mark = f"{_MARK}{ref}"
        if tool == "log_decision":
            rows = await self._rows("get_decisions", {"tags_filter_include_all": [mark]})
        else:
            rows = await self._rows("get_progress", {})
            rows = [row for row in rows if (row.get("description") or "").endswith(f"[{mark}]")]
        return str(rows[0]["id"]) if rows else None

    async def _is_linked(self, arguments: Mapping[str, JsonValue]) -> bool:
        names = (
            *(f"{end}_item_{what}" for end in ("source", "target") for what in ("type", "id")),
            "relationship_type",
        )
        item = {"item_type": arguments["source_item_type"], "item_id": arguments["source_item_id"]}
        rows: list[Any] = await self._rows("get_linked_items", item)
        return any(all(row.get(name) == arguments[name] for name in names) for row in rows)

    async def _rows(self, tool: str, arguments: Mapping[str, JsonValue]) -> list[_Row]:
        rows: list[_Row] = _checked(_ROWS, await self._call(tool, arguments) or [])
        return rows

    async def _call(self, tool: str, arguments: Mapping[str, JsonValue]) -> JsonValue:
        return await self._call_tool(tool, {"workspace_id": self._workspace_id, **arguments})


def _marked(description: str, ref: str) -> str:
    return f"{description} [{_MARK}{ref}]"


def _newest(rows: list[_Row]) -> list[_Row]:
    return sorted(rows, key=lambda row: row["id"], reverse=True)


def _check_found(answer: JsonValue) -> None:
    # The server reports success, and says in words that there is no such entry.
    message = answer.get("message") if isinstance(answer, dict) else None
    if isinstance(message, str) and "not found" in message:
        raise RefusedError(message)


def _checked(shape: TypeAdapter[Any], answer: JsonValue) -> Any:
    try:
        return shape.validate_python(answer)
    except ValidationError as error:
        problem = f"The answer of the server is not as expected, in {error.error_count()} places"
    raise RefusedError(problem)
