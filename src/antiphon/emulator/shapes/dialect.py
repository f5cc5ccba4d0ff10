"""Names and shapes of other servers, on the way in and on the way out.

The engine speaks GA. A translator stands between it and the wire: it renames, reshapes, leaves out
or adds, event by event. It knows no rule of the protocol; those are knobs.
"""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from antiphon.emulator.knobs.choices import Dialect
from antiphon.emulator.shapes.beta_shapes import (
    flat_item,
    flat_response,
    flat_session,
    nested_item,
    nested_response,
    nested_session,
)

__all__ = ["Translator", "translator"]

Json = dict[str, Any]


class Translator(Protocol):
    """Between GA, which the engine speaks, and the wire."""

    def outgoing(self, event: Json) -> Iterable[Json]:
        """A server event as the dialect shows it: one event, none, or several."""

    def incoming(self, event: Json) -> Json:
        """A client event in GA's names and shapes.

        Raises:
            Refusal: the dialect does not know a field that GA knows.
        """


def translator(dialect: Dialect) -> Translator:
    """A new translator; some remember what a client sent."""
    return _TRANSLATORS[dialect]()


class _Ga:
    """Nothing to translate."""

    def outgoing(self, event: Json) -> Iterable[Json]:
        return (event,)

    def incoming(self, event: Json) -> Json:
        return event


class _AzureGa(_Ga):
    """P-290: `content` beside `part`."""

    def outgoing(self, event: Json) -> Iterable[Json]:
        if event["type"].startswith("response.content_part."):
            return ({**event, "content": event["part"]},)
        return (event,)


# P-127
_BETA_PREFIXES = (
    ("response.output_audio_transcript.", "response.audio_transcript."),
    ("response.output_audio.", "response.audio."),
    ("response.output_text.", "response.text."),
)


class _Beta(_Ga):
    """P-127, P-128: old names and the flat session."""

    def outgoing(self, event: Json) -> Iterable[Json]:
        kind = event["type"]
        if kind in ("session.created", "session.updated"):
            return ({**event, "session": self._session(event["session"])},)
        if kind in ("response.created", "response.done"):
            return ({**event, "response": flat_response(event["response"])},)
        if kind == "conversation.item.added":
            return ({**event, "type": "conversation.item.created", **_item(event)},)
        if "item" in event:
            return ({**event, **_item(event)},)
        for ga, beta in _BETA_PREFIXES:
            if kind.startswith(ga):
                return ({**event, "type": beta + kind[len(ga) :]},)
        return (event,)

    def incoming(self, event: Json) -> Json:
        kind = event.get("type")
        if kind == "session.update" and "session" in event:
            return {**event, "session": nested_session(event["session"])}
        if kind == "response.create" and "response" in event:
            return {**event, "response": nested_response(event["response"])}
        if kind == "conversation.item.create" and "item" in event:
            return {**event, "item": nested_item(event["item"])}
        return event

    def _session(self, session: Json) -> Json:
        return session if session["type"] == "transcription" else flat_session(session)


# Fields of Voice Live's session that change nothing here (P-292).
_VOICE_LIVE_EXTRAS = frozenset(
    {
        "animation",
        "avatar",
        "input_audio_echo_cancellation",
        "input_audio_noise_reduction",
        "input_audio_sampling_rate",
        "output_audio_timestamp_types",
    }
)
_AZURE_VAD = frozenset(
    {"azure_semantic_vad", "azure_semantic_vad_en", "azure_semantic_vad_multilingual"}
)
_SERVER_VAD_FIELDS = frozenset(
    {
        "threshold",
        "prefix_padding_ms",
        "silence_duration_ms",
        "create_response",
        "interrupt_response",
    }
)


class _VoiceLive(_Beta):
    """P-291, P-292: the beta with Azure's own voices and turn detection, which are shown again."""

    def __init__(self) -> None:
        self._shown: Json = {}

    def outgoing(self, event: Json) -> Iterable[Json]:
        for shown in super().outgoing(event):
            if shown["type"] == "response.content_part.done" and "text" in shown["part"]:
                shown = {**shown, "part": {**shown["part"], "text": ""}}
            yield shown

    def incoming(self, event: Json) -> Json:
        session = event.get("session")
        if event.get("type") != "session.update" or not isinstance(session, dict):
            return super().incoming(event)
        plain = {}
        for name, value in session.items():
            if name in _VOICE_LIVE_EXTRAS:
                self._shown[name] = value
            else:
                plain[name] = self._plain(name, value)
        return super().incoming({**event, "session": plain})

    def _plain(self, name: str, value: Any) -> Any:
        if name == "voice" and isinstance(value, dict) and isinstance(value.get("name"), str):
            self._shown[name] = value
            return value["name"]
        if name == "turn_detection" and isinstance(value, dict) and value.get("type") in _AZURE_VAD:
            self._shown[name] = value
            kept = {key: each for key, each in value.items() if key in _SERVER_VAD_FIELDS}
            return {"type": "server_vad", **kept}
        self._shown.pop(name, None)
        return value

    def _session(self, session: Json) -> Json:
        return {**super()._session(session), **self._shown}


# Events of xAI that were not seen with the stray field: those of the session.
_XAI_CLEAN = ("session.", "conversation.created", "ping", "error")


class _Xai(_Ga):
    """P-293 to P-299: GA's event names, a session half flat, and order and fields of its own."""

    def __init__(self) -> None:
        self._late: list[Json] = []
        self._announced: set[str] = set()
        self._words: dict[str, str] = {}
        self._updates = False

    def outgoing(self, event: Json) -> Iterable[Json]:
        for shown in self._reordered(event):
            if not shown["type"].startswith(_XAI_CLEAN):
                shown = {"previous_item_id": None, **shown}  # P-297
            yield shown

    def incoming(self, event: Json) -> Json:
        if event.get("type") == "session.update" and "session" in event:
            session = nested_session(event["session"], strict=False)
            if isinstance(session, dict) and isinstance(event["session"], dict):
                session.setdefault("type", "realtime")
            return {**event, "session": session}
        return event

    def _reordered(self, event: Json) -> Iterable[Json]:
        handler = _XAI_HANDLERS.get(event["type"])
        return (event,) if handler is None else handler(self, event)

    def _session(self, event: Json) -> Iterable[Json]:
        nested = event["session"]
        spoken, heard = nested["audio"]["output"], nested["audio"]["input"]
        flat = {"voice": spoken["voice"], "turn_detection": heard["turn_detection"]}
        # P-312: one transcriber's partial words have a type of their own.
        self._updates = (heard["transcription"] or {}).get("model") == "grok-transcribe"
        yield {**event, "session": {**nested, **flat}}

    def _hold(self, event: Json) -> Iterable[Json]:
        self._late.append(event)  # P-296: after content_part.done
        return ()

    def _part_done(self, event: Json) -> Iterable[Json]:
        late, self._late = self._late, []
        yield {name: value for name, value in event.items() if name != "part"}
        yield from late

    def _arguments_delta(self, event: Json) -> Iterable[Json]:
        yield {name: value for name, value in event.items() if name != "output_index"}

    def _done(self, event: Json) -> Iterable[Json]:
        response = {**event["response"], "status_details": "unimplemented"}
        usage = response.pop("usage", None)
        yield {**event, "response": response, "usage": usage}  # P-294

    def _speech_started(self, event: Json) -> Iterable[Json]:
        yield event
        item = {
            "id": event["item_id"],
            "object": "realtime.item",
            "type": "message",
            "status": "in_progress",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        self._announced.add(event["item_id"])
        fields = {"event_id": event["event_id"] + "-1", "item": item}
        yield {"type": "conversation.item.added", **fields}  # P-295

    def _item_added(self, event: Json) -> Iterable[Json]:
        if event["item"]["id"] in self._announced:
            self._announced.discard(event["item"]["id"])
            return ()
        return (event,)

    def _partly_heard(self, event: Json) -> Iterable[Json]:
        """All words so far in place of those that are new (P-298, P-312)."""
        words = self._words.get(event["item_id"], "") + event["delta"]
        self._words[event["item_id"]] = words
        told = {name: value for name, value in event.items() if name != "delta"}
        kind = "updated" if self._updates else "completed"
        told["type"] = f"conversation.item.input_audio_transcription.{kind}"
        yield {**told, "transcript": words, "status": "in_progress"}

    def _heard(self, event: Json) -> Iterable[Json]:
        self._words.pop(event["item_id"], None)
        yield {**event, "status": "completed"}  # P-298

    def _deleted(self, event: Json) -> Iterable[Json]:
        yield {**event, "item_id": ""}  # P-313


_XAI_HANDLERS: dict[str, Callable[[_Xai, Json], Iterable[Json]]] = {
    "session.created": _Xai._session,
    "session.updated": _Xai._session,
    "response.output_text.done": _Xai._hold,
    "response.output_audio.done": _Xai._hold,
    "response.output_audio_transcript.done": _Xai._hold,
    "response.content_part.done": _Xai._part_done,
    "response.function_call_arguments.delta": _Xai._arguments_delta,
    "response.done": _Xai._done,
    "input_audio_buffer.speech_started": _Xai._speech_started,
    "conversation.item.added": _Xai._item_added,
    "conversation.item.deleted": _Xai._deleted,
    "conversation.item.input_audio_transcription.delta": _Xai._partly_heard,
    "conversation.item.input_audio_transcription.completed": _Xai._heard,
}

_TRANSLATORS: dict[Dialect, Callable[[], Translator]] = {
    Dialect.GA: _Ga,
    Dialect.BETA: _Beta,
    Dialect.AZURE_GA: _AzureGa,
    Dialect.VOICE_LIVE: _VoiceLive,
    Dialect.XAI: _Xai,
}


def _item(event: Json) -> Json:
    return {"item": flat_item(event["item"])} if isinstance(event.get("item"), dict) else {}
