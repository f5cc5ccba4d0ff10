"""Frames that no server should send: the session lives, and says how many there were."""

import json
from typing import Any

import pytest

import antiphon
from antiphon.emulator import EmulatorServer, Faults, Script, on, say
from tests.client.peer import Peer, soon, virtual

__all__: list[str] = []

MALFORMED = [
    b"",
    b"\x00\xff\xfe",
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b"{}",
    b'{"type":null}',
    b'{"type":7}',
    b'{"type":"response.created"}',
    b'{"type":"response.created","response":7}',
    b'{"type":"response.done","response":{"id":{}}}',
    b'{"type":"response.output_audio.delta","response_id":"resp_1","delta":"***"}',
    b'{"type":"response.output_audio.delta","response_id":"resp_1","delta":7}',
    b'{"type":"conversation.item.added","item":[]}',
    b'{"type":"error","error":"no"}',
    b'{"type":"session.created","session":[]}',
    b"[" * 100_000,
    b'{"type":"x","y":' + b"[" * 50_000,
]

ODD: list[dict[str, Any]] = [
    {"type": "response.done", "response": {}},
    {"type": "response.done", "response": {"id": None, "status": "?", "status_details": 7}},
    {"type": "response.created", "response": {}},
    {"type": "response.created", "response": {"id": "resp_1", "metadata": {"antiphon": "forged"}}},
    {"type": "response.output_text.delta", "delta": "whose?"},
    {"type": "response.output_item.done", "response_id": "resp_x", "item": {"type": "?"}},
    {"type": "response.function_call_arguments.done", "response_id": None, "arguments": "{"},
    {"type": "conversation.item.added", "item": {"type": "message"}},
    {"type": "conversation.item.deleted", "item_id": "item_nowhere"},
    {
        "type": "conversation.item.truncated",
        "item_id": "x",
        "content_index": -1,
        "audio_end_ms": -1,
    },
    {"type": "input_audio_buffer.committed"},
    {"type": "input_audio_buffer.speech_stopped", "item_id": "never_started"},
    {"type": "conversation.item.input_audio_transcription.completed", "item_id": "x"},
    {"type": "error", "error": {"event_id": "not-ours", "code": "x"}},
    {"type": "session.updated", "session": {}},
    {"type": "session.created", "session": {}},
    {"type": "brand.new.event", "anything": [1, 2, 3]},
    {"type": ""},
]


@virtual
async def test_frames_that_are_no_events_are_counted_and_reported() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        reports: list[antiphon.Report] = []
        session.on("report", reports.append)
        handle = session.create_response()
        peer.line.created(peer.line.of("response.create")[0], id="resp_1")
        reports.clear()
        for frame in MALFORMED:
            peer.line.frame(frame)
        assert session.counters["internal_errors"] == 0
        assert session.counters["malformed"] == len(reports) == len(MALFORMED)
        assert {one.kind for one in reports} == {antiphon.ReportKind.MALFORMED}
        peer.line.text("resp_1", "still here")
        peer.line.done("resp_1")
        assert await soon(handle.text()) == "still here"


@virtual
async def test_a_payload_is_never_in_a_report_or_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)
    peer = Peer()
    async with await peer.connect() as session:
        reports: list[antiphon.Report] = []
        session.on("report", reports.append)
        for frame in (
            b'{"type":"response.created","response":"hush-hush"}',
            b'{"hush-hush":',
            b'{"type":"response.output_text.delta","response_id":["hush-hush"],"delta":"hush-hush"}',
        ):
            peer.line.frame(frame)
        assert len(reports) == 3
        assert "hush-hush" not in str(reports)
        assert "hush-hush" not in "".join(f"{one.__dict__}" for one in caplog.records)


@virtual
@pytest.mark.parametrize("with_one_in_flight", [False, True])
async def test_events_out_of_all_order_harm_nobody(with_one_in_flight: bool) -> None:
    peer = Peer()
    async with await peer.connect() as session:
        handle = session.create_response(conversation="none")
        if with_one_in_flight:
            peer.line.created(peer.line.of("response.create")[0], id="resp_mine", lane=None)
            # Otherwise it would be taken for the answer to the one request there is.
            peer.line.say({"type": "error", "error": {}})
        for event in ODD * 3:
            peer.line.say(event)
        assert session.counters["internal_errors"] == 0
        if not with_one_in_flight:
            peer.line.created(peer.line.of("response.create")[0], id="resp_mine", lane=None)
        peer.line.text("resp_mine", "mine")
        peer.line.done("resp_mine")
        assert await soon(handle.text()) == "mine"
        assert (await soon(handle.done)).kind is antiphon.OutcomeKind.COMPLETED
        assert (await soon(session.interrupt())).entries is not None


@virtual
async def test_the_same_events_twice() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        handle = session.create_response()
        create = peer.line.of("response.create")[0]
        for _ in range(2):
            peer.line.created(create, id="resp_1")
        peer.line.text("resp_1", "once")
        for _ in range(2):
            peer.line.done("resp_1")
        assert await soon(handle.text()) == "once"
        assert session.in_flight == ()


@virtual
async def test_a_frame_over_the_limit_is_reported_not_parsed() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        big = json.dumps({"type": "brand.new", "x": "y" * (17 * 1024 * 1024)}).encode()
        peer.line.frame(big)
        assert session.counters["malformed"] == 1
        handle = session.create_response()
        peer.line.done(peer.line.created(peer.line.of("response.create")[0]))
        assert (await soon(handle.done)).kind is antiphon.OutcomeKind.COMPLETED


@virtual
async def test_an_error_of_our_own_does_not_end_the_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What follows in the same batch happens all the same, or somebody would wait for ever.
    peer = Peer()
    async with await peer.connect() as session:
        handle = session.create_response()
        peer.line.created(peer.line.of("response.create")[0], id="resp_1")

        def broken(*_: object) -> None:
            raise RuntimeError("a bug")

        monkeypatch.setattr(antiphon.ResponseHandle, "_end", broken)
        peer.line.done("resp_1")
        assert (await soon(handle.done)).kind is antiphon.OutcomeKind.COMPLETED
        assert session.counters["internal_errors"] == 1


async def test_malformed_frames_over_a_real_socket_leave_it_open() -> None:
    faults = Faults(
        on("response.output_audio.delta", nth=1).malformed(),
        on("response.output_audio.delta", nth=2).malformed(b"\x00\x01"),
        on("response.output_audio.delta", nth=3).oversized(17 * 1024 * 1024),
    )
    script = Script([say("One.", ms=1000), say("Two.", ms=200)])
    async with (
        EmulatorServer(script=script, faults=faults) as server,
        antiphon.connect(url=server.url) as session,
    ):
        first = session.create_response()
        assert (await soon(first.done)).kind is antiphon.OutcomeKind.COMPLETED
        assert session.counters["malformed"] == 3
        second = session.create_response()
        assert await soon(second.text()) == "Two."
        assert len(server.sessions) == 1
