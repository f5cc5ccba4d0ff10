"""The events of a response's items: opened, fed, closed (P-132 to P-143)."""

from typing import Any

import pybase64

from antiphon.emulator.audio.speech import marked, synthesize
from antiphon.emulator.engine.core import Core
from antiphon.emulator.engine.generation import Step, StepKind
from antiphon.emulator.engine.mcp import MCP_KINDS, mcp_body, mcp_dones
from antiphon.emulator.engine.response import Lane, OutputItem, Response
from antiphon.emulator.knobs.choices import (
    CancelCloseItems,
    CancelFunctionArgs,
    ItemsAnnounced,
    MultiItemDoneOrder,
)
from antiphon.emulator.scripts.script import Output, OutputKind
from antiphon.emulator.state.conversation import ConversationItem, count_tokens

__all__ = ["ItemWriter", "announce_item", "emit_item"]

Json = dict[str, Any]
_OBFUSCATION = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


class ItemWriter:
    """Turns steps into events and keeps the items up to date."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def perform(self, response: Response, step: Step) -> None:
        """Carry out one step other than `END`."""
        match step.kind:
            case StepKind.OPEN_ITEM:
                self._open(response, step)
            case StepKind.AUDIO:
                self._audio(response, step.audio_ms, step.sound)
            case StepKind.TRANSCRIPT:
                self._words(response, step.delta, "response.output_audio_transcript.delta")
            case StepKind.TEXT:
                self._words(response, step.delta, "response.output_text.delta")
            case StepKind.ARGUMENTS:
                self._arguments(response, step.delta)
            case StepKind.CLOSE_ITEM:
                item = response.items[-1]
                item.ended = True
                # P-138: done events come together at the end; P-139: elsewhere one by one. What an
                # MCP call brings is there before the model goes on.
                order = self._core.behaviour.multi_item_done_order
                if item.kind in MCP_KINDS or order is MultiItemDoneOrder.ITEM_BY_ITEM:
                    self._close(response, item, CancelCloseItems.FULL)

    def close_all(self, response: Response, how: CancelCloseItems) -> None:
        """Close what is open, in order. Items that the model had not finished are `incomplete`."""
        for item in response.items:
            if not item.closed:
                self._close(response, item, how)

    # Opening

    def _open(self, response: Response, step: Step) -> None:
        output = step.output
        assert output is not None, "an OPEN_ITEM step carries its output"
        core = self._core
        kind = output.kind
        if kind is OutputKind.SPEECH and response.modality == "text":
            kind = OutputKind.TEXT
        body = self._begun(output, kind)
        if core.behaviour.phase and kind not in MCP_KINDS:
            body["phase"] = "final_answer"
        item = ConversationItem(body, response_id=response.id, audio_start_ms=response.audio_ms)
        opened = OutputItem(len(response.items), output, kind, item)
        response.items.append(opened)
        if response.lane is Lane.DEFAULT:
            core.conversation.append(item)
        core.emit("response.output_item.added", **self._place(response), item=body)
        self._conversation_event("conversation.item.added", response, item)
        if kind in _PARTS:
            part_type, words, content = _PARTS[kind]
            body["content"].append({"type": content, words: ""})
            self._part_event("response.content_part.added", response, opened, part_type, words)

    def _begun(self, output: Output, kind: OutputKind) -> Json:
        core = self._core
        if kind in MCP_KINDS:
            return mcp_body(core, output)
        body: Json = {"id": core.ids.new("item"), "object": "realtime.item"}
        if kind is OutputKind.CALL:
            call_id = output.call_id or core.ids.new("call")
            body |= {"type": "function_call", "status": "in_progress", "name": output.name}
            return body | {"call_id": call_id, "arguments": ""}
        body |= {"type": "message", "status": "in_progress", "role": "assistant"}
        return body | {"content": []}

    # Feeding

    def _audio(self, response: Response, length_ms: int, sound: bytes) -> None:
        opened = response.items[-1]
        if sound:
            data = marked(sound, response.id, response.audio_ms, response.audio)
            opened.item.spoken += data
        else:
            data = synthesize(response.id, response.audio_ms, length_ms, response.audio)
        response.audio_ms += length_ms
        opened.audio_ms += length_ms
        if not opened.item.truncated:
            opened.item.audio_ms += length_ms
        if response.lane is Lane.DEFAULT:
            self._core.session.voice_is_fixed = True  # P-255
            self._core.conversation.recount(opened.item)
        # Twenty tokens a second.
        response.spent.audio = -(-response.audio_ms // 50)
        self._core.emit(
            "response.output_audio.delta",
            **self._place(response, opened),
            content_index=0,
            delta=pybase64.b64encode_as_string(data),
        )

    def _words(self, response: Response, delta: str, kind: str) -> None:
        opened = self._add(response, delta)
        fields = {**self._place(response, opened), "content_index": 0, "delta": delta}
        self._core.emit(kind, **fields, **self._obfuscation())

    def _arguments(self, response: Response, delta: str) -> None:
        opened = self._add(response, delta)
        fields = self._place(response, opened)
        is_mcp = opened.kind is OutputKind.MCP_CALL
        if not is_mcp:
            fields["call_id"] = opened.item.body["call_id"]
        self._core.emit(
            f"response.{'mcp' if is_mcp else 'function'}_call_arguments.delta",
            **fields,
            delta=delta,
            **self._obfuscation(),
        )

    def _add(self, response: Response, delta: str) -> OutputItem:
        opened = response.items[-1]
        opened.words.append(delta)
        response.spent.text += count_tokens(delta)
        return opened

    # Closing

    def _close(self, response: Response, opened: OutputItem, how: CancelCloseItems) -> None:
        opened.closed = True
        self._finish_body(opened)
        if response.lane is Lane.DEFAULT:
            self._core.conversation.recount(opened.item)
        if how is CancelCloseItems.FULL:
            if opened.kind in MCP_KINDS:
                place = self._place(response, opened)
                body = opened.item.body
                mcp_dones(self._core, opened.output, body, place, ended=opened.ended)
            elif opened.kind is OutputKind.CALL:
                self._close_call(response, opened)
            else:
                self._close_message(response, opened)
            self._conversation_event("conversation.item.done", response, opened.item)
        if how is not CancelCloseItems.NONE:
            self._core.emit(
                "response.output_item.done",
                **self._place(response, opened, item_id=False),
                item=opened.item.body,
            )

    def _finish_body(self, opened: OutputItem) -> None:
        body = opened.item.body
        if opened.kind in MCP_KINDS:
            body["arguments"] = opened.text or body["arguments"]
            return
        body["status"] = "completed" if opened.ended else "incomplete"
        if opened.kind is OutputKind.CALL:
            body["arguments"] = opened.text
        elif not opened.item.truncated:  # P-218: the transcript of a cut item stays gone
            body["content"][0][_PARTS[opened.kind][1]] = opened.text
        else:
            opened.item.remember(opened.text, opened.audio_ms)

    def _close_message(self, response: Response, opened: OutputItem) -> None:
        core = self._core
        part_type, words, _ = _PARTS[opened.kind]
        fields = {**self._place(response, opened), "content_index": 0}
        if opened.kind is OutputKind.SPEECH:
            core.emit("response.output_audio.done", **fields)
            core.emit("response.output_audio_transcript.done", **fields, transcript=opened.text)
        else:
            core.emit("response.output_text.done", **fields, text=opened.text)
        self._part_event("response.content_part.done", response, opened, part_type, words)

    def _close_call(self, response: Response, opened: OutputItem) -> None:
        cut = not opened.ended
        if cut and self._core.behaviour.cancel_function_args is CancelFunctionArgs.NONE:
            return
        # P-60, P-61: for a cut call these arguments are cut too.
        self._core.emit(
            "response.function_call_arguments.done",
            **self._place(response, opened),
            call_id=opened.item.body["call_id"],
            name=opened.item.body["name"],
            arguments=opened.text,
        )

    # Shapes

    def _place(
        self, response: Response, opened: OutputItem | None = None, *, item_id: bool = True
    ) -> Json:
        # P-124: every sub-event says where it belongs.
        if opened is None:
            return {"response_id": response.id, "output_index": len(response.items) - 1}
        if not item_id:
            return {"response_id": response.id, "output_index": opened.index}
        return {
            "response_id": response.id,
            "item_id": opened.item.id,
            "output_index": opened.index,
        }

    def _part_event(
        self, kind: str, response: Response, opened: OutputItem, part_type: str, words: str
    ) -> None:
        part = {"type": part_type, words: opened.text}
        fields = {**self._place(response, opened), "content_index": 0}
        self._core.emit(kind, **fields, part=part)

    def _conversation_event(self, kind: str, response: Response, item: ConversationItem) -> None:
        # P-41: presumably only for items of the default conversation, as long as they are in it:
        # one that was deleted while it is spoken is not announced later.
        if response.lane is Lane.DEFAULT and self._core.conversation.get(item.id) is not item:
            return
        if response.lane is Lane.DEFAULT or self._core.behaviour.oob_emits_conversation_items:
            announced = self._core.behaviour.items_announced
            is_half = announced is ItemsAnnounced.HALVES and kind.endswith(".added")
            if announced is not ItemsAnnounced.CREATED and not is_half:
                emit_item(self._core, kind, item)

    def _obfuscation(self) -> Json:
        if not self._core.behaviour.obfuscation:
            return {}
        rng = self._core.rng
        return {"obfuscation": "".join(rng.choices(_OBFUSCATION, k=rng.randint(4, 16)))}


# Part type (P-129), the field of the words, and the content type in the item (P-128).
_PARTS = {
    OutputKind.SPEECH: ("audio", "transcript", "output_audio"),
    OutputKind.TEXT: ("text", "text", "output_text"),
}


def announce_item(core: Core, item: ConversationItem) -> None:
    """Tell that an item of the client's, whole from the start, is in the conversation (P-117)."""
    match core.behaviour.items_announced:
        case ItemsAnnounced.CREATED:
            emit_item(core, "conversation.item.created", item)  # P-467
        case ItemsAnnounced.HALVES:
            emit_item(core, "conversation.item.added", item)  # P-466
        case ItemsAnnounced.ADDED:
            emit_item(core, "conversation.item.added", item)
            emit_item(core, "conversation.item.done", item)


def emit_item(core: Core, kind: str, item: ConversationItem) -> None:
    """Send a `conversation.item.*` event for an item."""
    if kind.endswith(".done") and not core.behaviour.item_done:
        return
    previous = item.before
    shown = None if previous is None else previous.id
    is_second = previous is not None and previous.before is None
    if kind.endswith(".done") and is_second and core.behaviour.previous_item_id_quirk:
        shown = None  # P-142
    core.emit(kind, previous_item_id=shown, item=item.body)
