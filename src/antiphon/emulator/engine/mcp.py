"""MCP tools: what their servers are said to have, and calls that the server makes by itself.

No MCP server is asked: the script says which tools there are and what a call brings (P-122, P-478).
"""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from antiphon.emulator.engine.core import Core
from antiphon.emulator.scripts.script import Output, OutputKind
from antiphon.emulator.state.conversation import ConversationItem

__all__ = ["MCP_KINDS", "McpListings", "mcp_body", "mcp_dones"]

Json = dict[str, Any]
Emit = Callable[[Core, str, ConversationItem], None]
MCP_KINDS = frozenset({OutputKind.MCP_CALL, OutputKind.MCP_APPROVAL})
LISTING_S = 0.04
# How far back an approval is looked for.
LOOK_BACK = 16


class McpListings:
    """Lists the tools of each MCP server that a session names, once.

    Args:
        core: what is shared.
        emit_item: sends a `conversation.item.*` event.
    """

    def __init__(self, core: Core, emit_item: Emit) -> None:
        self._core = core
        self._emit_item = emit_item
        self._known: set[str] = set()

    def look_at(self, tools: Sequence[Json]) -> None:
        """Some tools are configured: list those of servers that are new among them."""
        for tool in tools:
            if tool["type"] == "mcp" and tool["server_label"] not in self._known:
                self._known.add(tool["server_label"])
                self._list(tool)

    def _list(self, tool: Json) -> None:
        core, label = self._core, tool["server_label"]
        body: Json = {"id": core.ids.new("mcpl"), "type": "mcp_list_tools"}
        item = ConversationItem(body | {"server_label": label, "tools": []})
        core.conversation.append(item)
        self._emit_item(core, "conversation.item.added", item)
        core.emit("mcp_list_tools.in_progress", item_id=item.id)
        found = core.script.mcp_tools(label, tool.get("allowed_tools"))
        core.later(LISTING_S, lambda: self._listed(item, found))

    def _listed(self, item: ConversationItem, found: list[Json] | None) -> None:
        core = self._core
        if found is None:
            core.emit("mcp_list_tools.failed", item_id=item.id)
            return
        item.body["tools"] = found
        core.emit("mcp_list_tools.completed", item_id=item.id)
        if core.conversation.get(item.id) is item:
            self._emit_item(core, "conversation.item.done", item)


def mcp_body(core: Core, output: Output) -> Json:
    """An MCP item as it begins."""
    if output.kind is OutputKind.MCP_APPROVAL:
        body: Json = {"id": core.ids.new("mcpr"), "type": "mcp_approval_request"}
        arguments = output.text
    else:
        body = {"id": core.ids.new("mcp"), "type": "mcp_call"}
        body |= {"approval_request_id": _approved(core), "output": None, "error": None}
        arguments = ""
    return body | {
        "server_label": output.server,
        "name": output.name,
        "arguments": arguments,
    }


def mcp_dones(core: Core, output: Output, body: Json, place: Json, *, ended: bool) -> None:
    """Send what comes between an MCP call's arguments and its item's end; a cut one is not made."""
    if output.kind is OutputKind.MCP_APPROVAL:
        return
    where = {"item_id": place["item_id"], "output_index": place["output_index"]}
    arguments = body["arguments"]
    core.emit("response.mcp_call_arguments.done", **place, arguments=arguments)
    if not ended:
        return
    core.emit("response.mcp_call.in_progress", **where)
    if output.error:
        body["error"] = {"type": "tool_execution_error", "message": output.error}
        core.emit("response.mcp_call.failed", **where)
    else:
        body["output"] = output.result
        core.emit("response.mcp_call.completed", **where)


def _approved(core: Core) -> str | None:
    """The request that the user has approved last, if that is what is being answered."""
    for item in islice(core.conversation.latest(), LOOK_BACK):
        if item.body["type"] == "mcp_approval_response":
            return str(item.body["approval_request_id"]) if item.body["approve"] else None
    return None
