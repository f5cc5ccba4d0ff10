"""The events that the benchmark server replays.

A response is 100 ms audio deltas (base64 PCM16) in the order in which the GA server sends
its events. Each delta's audio starts with a head that names the response and the delta's place
in it, so that whoever receives the audio can tell whose it is, whatever route it took.

    bytes 0..9    tag (u32), index (u32), a zero      12 base64 characters, rewritten per response
    bytes 9..18   time of sending, ns (u64), a zero   12 base64 characters, rewritten per frame
    bytes 18..    a pattern that depends on the index
"""

import base64
import json
import struct
import time
from itertools import accumulate

__all__ = ["DELTA_BYTES", "HEAD", "STAMP", "Group", "pattern", "text_frame"]

DELTA_BYTES = 4800  # 100 ms of PCM16 at 24 kHz
HEAD = struct.Struct("<IIx")
STAMP = struct.Struct("<Qx")
_ID = b"00000000"  # stands for the tag in every id of a template
_PREFIX = len(b"resp_")


def pattern(index: int) -> bytes:
    """Return the audio of delta `index` after its head and its time stamp."""
    seed = bytes((index * 7 + i * 13) & 0xFF for i in range(251))
    size = DELTA_BYTES - HEAD.size - STAMP.size
    return (seed * (size // len(seed) + 1))[:size]


def text_frame(payload: bytes) -> bytes:
    """Return an unmasked text frame."""
    size = len(payload)
    if size < 126:
        return b"\x81" + bytes([size]) + payload
    if size < 1 << 16:
        return b"\x81\x7e" + struct.pack("!H", size) + payload
    return b"\x81\x7f" + struct.pack("!Q", size) + payload


def _events(deltas: int) -> list[tuple[dict[str, object], int]]:
    """Return the events of one response, each with the index of its delta or -1."""
    rid, iid = "resp_00000000", "item_00000000"
    at = {"response_id": rid, "item_id": iid, "output_index": 0, "content_index": 0}
    whole = {
        "object": "realtime.response",
        "id": rid,
        "conversation_id": "conv_bench",
        "output_modalities": ["audio"],
        "max_output_tokens": "inf",
        "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin"}},
        "metadata": None,
    }
    item = {"id": iid, "object": "realtime.item", "type": "message", "role": "assistant"}
    words = "seven words that say nothing at all "
    content = {"type": "output_audio", "transcript": words}
    done_item = {**item, "status": "completed", "content": [content]}
    new_item = {**item, "status": "in_progress", "content": []}
    usage = {
        "total_tokens": 253,
        "input_tokens": 132,
        "output_tokens": 121,
        "input_token_details": {
            "text_tokens": 119,
            "audio_tokens": 13,
            "image_tokens": 0,
            "cached_tokens": 64,
            "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 0, "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
    }
    started: dict[str, object] = {
        "status": "in_progress",
        "status_details": None,
        "output": [],
        "usage": None,
    }
    ended = {"status": "completed", "status_details": None, "output": [done_item], "usage": usage}
    opening: list[tuple[str, dict[str, object]]] = [
        ("response.created", {"response": {**whole, **started}}),
        (
            "response.output_item.added",
            {"response_id": rid, "output_index": 0, "item": new_item},
        ),
        ("conversation.item.added", {"previous_item_id": None, "item": new_item}),
        ("response.content_part.added", {**at, "part": {"type": "audio", "transcript": ""}}),
    ]
    closing: list[tuple[str, dict[str, object]]] = [
        ("response.output_audio.done", at),
        ("response.output_audio_transcript.done", {**at, "transcript": words}),
        ("response.content_part.done", {**at, "part": {"type": "audio", "transcript": words}}),
        ("conversation.item.done", {"previous_item_id": None, "item": done_item}),
        (
            "response.output_item.done",
            {"response_id": rid, "output_index": 0, "item": done_item},
        ),
        ("response.done", {"response": {**whole, **ended}}),
    ]
    middle: list[tuple[str, dict[str, object], int]] = []
    for index in range(deltas):
        if index % 3 == 0:
            middle.append(("response.output_audio_transcript.delta", {**at, "delta": "word "}, -1))
        audio = HEAD.pack(0, index) + STAMP.pack(0) + pattern(index)
        delta = base64.b64encode(audio).decode()
        middle.append(("response.output_audio.delta", {**at, "delta": delta}, index))
    sequence = [(name, body, -1) for name, body in opening]
    sequence += middle
    sequence += [(name, body, -1) for name, body in closing]
    return [
        ({"type": name, "event_id": f"event_{number:021d}", **body}, index)
        for number, (name, body, index) in enumerate(sequence)
    ]


class _Template:
    """The frames of one response as one block of bytes, and where its variable parts are."""

    def __init__(self, deltas: int) -> None:
        block = bytearray()
        self.bounds: list[tuple[int, int]] = []
        self.stamps: list[int] = []  # place of the stamp within its frame, or -1
        self.heads: list[tuple[int, int]] = []  # place in the block, index
        for event, index in _events(deltas):
            frame = text_frame(json.dumps(event, separators=(",", ":")).encode())
            stamp = -1
            if index >= 0:
                head = frame.index(b'"delta":"') + len(b'"delta":"')
                self.heads.append((len(block) + head, index))
                stamp = head + 12
            self.bounds.append((len(block), len(block) + len(frame)))
            self.stamps.append(stamp)
            block += frame
        self.block = bytes(block)
        self.ids: list[int] = []
        for prefix in (b"resp_", b"item_"):
            place = self.block.find(prefix + _ID)
            while place >= 0:
                self.ids.append(place + _PREFIX)
                place = self.block.find(prefix + _ID, place + 1)


_templates: dict[int, _Template] = {}


class Group:
    """The responses in flight together on one session, and the order of their frames.

    The blocks are rewritten in place for each new round of responses: a frame must have been
    handed to the kernel, or copied, before `rewrite` is called.
    """

    def __init__(self, deltas: int, in_flight: int, staggered: bool) -> None:
        template = _templates.setdefault(deltas, _Template(deltas))
        self._template = template
        self.in_flight = in_flight
        self._blocks = [bytearray(template.block) for _ in range(in_flight)]
        frames = len(template.bounds)
        step = frames // in_flight if staggered else 0
        order = sorted(
            (number + slot * step, slot, number)
            for slot in range(in_flight)
            for number in range(frames)
        )
        self.views: list[memoryview] = []
        self.stamps: list[int] = []
        for _, slot, number in order:
            start, end = template.bounds[number]
            self.views.append(memoryview(self._blocks[slot])[start:end])
            self.stamps.append(template.stamps[number])
        self.starts = [0, *accumulate(len(view) for view in self.views)]
        # For rounds that are cut short: all up to the first delta of each; the deltas.
        first_delta = next(n for n, stamp in enumerate(template.stamps) if stamp >= 0)
        pairs = list(zip(self.views, order, strict=True))
        self.opening = [view for view, (_, _, number) in pairs if number <= first_delta]
        self.middle = [v for v, s in zip(self.views, self.stamps, strict=True) if s >= 0]

    def rewrite(self, first_tag: int) -> None:
        """Make this round's responses those numbered from `first_tag`."""
        for slot, block in enumerate(self._blocks):
            tag = first_tag + slot
            digits = b"%08d" % tag
            for place in self._template.ids:
                block[place : place + 8] = digits
            for place, index in self._template.heads:
                block[place : place + 12] = base64.b64encode(HEAD.pack(tag, index))

    def stamp(self, number: int) -> memoryview:
        """Return frame `number`, its audio (if it carries any) stamped with the time now."""
        view = self.views[number]
        place = self.stamps[number]
        if place >= 0:
            now = STAMP.pack(time.monotonic_ns())
            view[place : place + 12] = base64.b64encode(now)
        return view
