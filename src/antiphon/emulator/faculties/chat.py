"""A conversation as chat messages, the form in which chat-completions endpoints take one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from antiphon.emulator.state.conversation import ConversationItem

__all__ = ["Chat", "chat_of"]

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Chat:
    """What a chat-completions endpoint is asked.

    Args:
        messages: oldest first, the instructions in front.
        tools: functions, in the endpoint's form.
        tool_choice: in the endpoint's form.
        max_tokens: a limit, or None.
        parallel_tool_calls: whether several functions may be called at once.
    """

    messages: tuple[Json, ...]
    tools: tuple[Json, ...] = ()
    tool_choice: Any = "auto"
    max_tokens: int | None = None
    parallel_tool_calls: bool = True


def chat_of(
    instructions: str,
    items: Sequence[ConversationItem],
    *,
    tools: Iterable[Mapping[str, Any]],
    tool_choice: Any,
    max_output_tokens: int | str,
    parallel_tool_calls: bool = True,
) -> Chat:
    """Put a response's context into chat messages.

    Args:
        instructions: those in force.
        items: the context, oldest first.
        tools: the session's or the response's; only functions have a counterpart.
        tool_choice: as the client gave it.
        max_output_tokens: as the client gave it.
        parallel_tool_calls: the session's.
    """
    functions = tuple(_function(tool) for tool in tools if tool.get("type") == "function")
    return Chat(
        tuple(_joined(_messages(instructions, items))),
        functions,
        _choice(tool_choice),
        max_output_tokens if isinstance(max_output_tokens, int) else None,
        parallel_tool_calls,
    )


def _messages(instructions: str, items: Sequence[ConversationItem]) -> Iterable[Json]:
    if instructions:
        yield {"role": "system", "content": instructions}
    calls = {item.body["call_id"] for item in items if item.body["type"] == "function_call"}
    outputs = {
        item.body["call_id"]: item.text()
        for item in items
        if item.body["type"] == "function_call_output"
    }
    # Endpoints want each call's output right behind the calls, and refuse a call without one:
    # so calls wait here until something else comes, and one that nobody answered is left out.
    waiting: list[Json] = []
    for item in items:
        body = item.body
        if body["type"] == "function_call":
            if body["call_id"] in outputs:
                waiting.append(body)
            continue
        if body["type"] == "function_call_output" and body["call_id"] in calls:
            continue
        yield from _calls(waiting, outputs)
        waiting = []
        message = _message(item)
        if message is not None:
            yield message
    yield from _calls(waiting, outputs)


def _joined(messages: Iterable[Json]) -> Iterable[Json]:
    """What the assistant said and called in one turn, in one message, as endpoints expect it."""
    before: Json | None = None
    for message in messages:
        if before is not None:
            if "tool_calls" in message and before["role"] == "assistant" and before["content"]:
                message = {**message, "content": before["content"]}
            else:
                yield before
        before = message
    if before is not None:
        yield before


def _calls(bodies: Sequence[Json], outputs: Mapping[str, str]) -> Iterable[Json]:
    if not bodies:
        return
    made = [
        {
            "id": body["call_id"],
            "type": "function",
            "function": {"name": body["name"], "arguments": body["arguments"]},
        }
        for body in bodies
    ]
    yield {"role": "assistant", "content": None, "tool_calls": made}
    for body in bodies:
        call_id = body["call_id"]
        yield {"role": "tool", "tool_call_id": call_id, "content": outputs[call_id]}


def _message(item: ConversationItem) -> Json | None:
    body, words = item.body, item.text()
    if body["type"] == "function_call_output":
        # Its call is out of sight: given in `input` alone, or deleted.
        return {"role": "user", "content": f"The tool answered: {words}"}
    if body["type"] != "message":
        return None
    role = body["role"]
    if role == "assistant" and item.truncated:
        words = item.heard_by_user
    pictures = [part for part in body["content"] if part["type"] == "input_image"]
    if role == "user" and pictures:
        content: list[Json] = [{"type": "text", "text": words}] if words else []
        content += [
            {"type": "image_url", "image_url": {"url": part.get("image_url") or ""}}
            for part in pictures
        ]
        return {"role": role, "content": content}
    return {"role": role, "content": words} if words else None


def _function(tool: Mapping[str, Any]) -> Json:
    function = {"name": tool["name"], "description": tool.get("description") or ""}
    parameters = tool.get("parameters") or {"type": "object", "properties": {}}
    return {"type": "function", "function": {**function, "parameters": parameters}}


def _choice(choice: Any) -> Any:
    if isinstance(choice, dict):
        if choice.get("type") == "function":
            return {"type": "function", "function": {"name": choice["name"]}}
        return "auto"
    return choice
