"""Calls with real media, aiortc as the browser: what is said is heard, and falls silent.

Everything is on the loopback interface. Nothing here waits for a length of time: the ear listens
until it has heard so much sound, or so much silence, of an answer that is far longer than a test.
"""

import asyncio
import json
from array import array
from collections.abc import AsyncIterator
from fractions import Fraction
from typing import Any

import aiohttp
import pytest

pytest.importorskip("aiortc", reason="aiortc is not installed: pip install 'antiphon[webrtc]'")

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)
from av import AudioFrame
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from antiphon.emulator import Behaviour, EmulatorServer, Pace, Script, say
from antiphon.emulator.audio import speech
from antiphon.emulator.engine.call import CallState
from antiphon.emulator.running.webrtc import OutputTrack, only_on

__all__: list[str] = []

Json = dict[str, Any]
# Two minutes, generated in a moment: whatever falls silent within a test was made to.
LONG = say("A story that goes on and on for quite a while.", ms=120_000)
AT_ONCE = Behaviour().but(call_media="webrtc", pace=Pace.instant())
AS_IT_PLAYS = Behaviour().but(call_media="webrtc", pace=Pace.real_time())
MANUAL = {"audio": {"input": {"turn_detection": None}}}
# The emulator's tone is soft; what a codec makes of silence is softer.
LOUD = 200
# 50 frames are a second.
ENOUGH = 50


class Microphone(OutputTrack):
    """The peer's own sound: silence, until something is said into it."""


class Browser:
    """What a page does: it posts an offer, opens a data channel, speaks and listens."""

    def __init__(self, server: EmulatorServer) -> None:
        self._server = server
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.microphone = Microphone()
        self.channel: RTCDataChannel = self._connection.createDataChannel("oai-events")
        self.call_id = ""
        self.events: asyncio.Queue[Json] = asyncio.Queue()
        self.channel_closed = asyncio.Event()
        self._ear: asyncio.Future[MediaStreamTrack] = asyncio.get_running_loop().create_future()

    async def call(self, session: Json) -> None:
        self._connection.addTrack(self.microphone)
        self._connection.on("track", self._ear.set_result)
        self.channel.on("message", lambda data: self.events.put_nowait(json.loads(data)))
        self.channel.on("close", self.channel_closed.set)
        with only_on("127.0.0.1"):
            await self._connection.setLocalDescription(await self._connection.createOffer())
        form = aiohttp.FormData()
        offer = self._connection.localDescription.sdp
        form.add_field("sdp", offer, content_type="application/sdp")
        body = json.dumps({"type": "realtime", "model": "gpt-realtime", **session})
        form.add_field("session", body, content_type="application/json")
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{self._server.http_url}/realtime/calls", data=form) as reply,
        ):
            assert reply.status == 201, await reply.text()
            self.call_id = reply.headers["Location"].rpartition("/")[2]
            answer = RTCSessionDescription(await reply.text(), "answer")
        await self._connection.setRemoteDescription(answer)
        assert (await self.events.get())["type"] == "session.created"

    async def hears(self, *, sound: bool) -> None:
        """Return when a second of sound, or of silence, was heard without a break."""
        track = await self._ear
        in_a_row = 0
        while in_a_row < ENOUGH:
            frame = await track.recv()
            assert isinstance(frame, AudioFrame)
            loudest = max(map(abs, array("h", bytes(frame.planes[0]))), default=0)
            in_a_row = in_a_row + 1 if (loudest >= LOUD) is sound else 0

    def send(self, kind: str, **fields: Any) -> None:
        self.channel.send(json.dumps({"type": kind, **fields}))

    async def until(self, kind: str) -> Json:
        while (event := await self.events.get())["type"] != kind:
            assert event["type"] != "error", event
        return event

    async def leave(self) -> None:
        self.microphone.stop()
        await self._connection.close()


@pytest.fixture
async def server() -> AsyncIterator[EmulatorServer]:
    async with EmulatorServer(AT_ONCE, Script([LONG.always()])) as running:
        yield running


@pytest.fixture
async def browser(server: EmulatorServer) -> AsyncIterator[Browser]:
    caller = Browser(server)
    yield caller
    await caller.leave()


async def until(socket: Any, kind: str) -> Json:
    while True:
        event: Json = json.loads(await socket.recv())
        if event["type"] == kind:
            return event


async def test_an_answer_is_heard_and_falls_silent_by_a_sideband(
    server: EmulatorServer, browser: Browser
) -> None:
    await browser.call(MANUAL)
    async with connect(f"{server.url}?call_id={browser.call_id}") as sideband:
        browser.send("response.create")
        created = await until(sideband, "response.created")
        await until(sideband, "response.done")  # two minutes before it would be heard to its end
        await browser.hears(sound=True)
        response_id = created["response"]["id"]
        await sideband.send('{"type": "output_audio_buffer.clear"}')
        cleared = await until(sideband, "output_audio_buffer.cleared")
        assert cleared["response_id"] == response_id
        truncated = await until(sideband, "conversation.item.truncated")
        assert truncated["audio_end_ms"] > 0
        await browser.hears(sound=False)
        assert (await browser.until("conversation.item.truncated")) == truncated
        # And the next answer is heard again.
        browser.send("response.create")
        await until(sideband, "response.done")
        await browser.hears(sound=True)


async def test_a_voice_in_the_microphone_is_a_barge_in(
    server: EmulatorServer, browser: Browser
) -> None:
    server.behaviour = AS_IT_PLAYS
    await browser.call({"audio": {"input": {"turn_detection": {"type": "server_vad"}}}})
    browser.send("response.create")
    await browser.hears(sound=True)
    browser.microphone.play(speech.user_voice(1000))
    await browser.until("input_audio_buffer.speech_started")
    await browser.until("output_audio_buffer.cleared")
    done = await browser.until("response.done")
    assert done["response"]["status_details"]["reason"] == "turn_detected"
    await browser.until("conversation.item.truncated")
    await browser.until("input_audio_buffer.speech_stopped")
    await browser.until("response.created")


async def test_a_browser_that_leaves_ends_its_call(
    server: EmulatorServer, browser: Browser
) -> None:
    await browser.call(MANUAL)
    call = server.calls.get(browser.call_id)
    assert call is not None
    async with connect(f"{server.url}?call_id={browser.call_id}") as sideband:
        await browser.leave()
        with pytest.raises(ConnectionClosed):
            await sideband.recv()
    await call.over.wait()
    assert call.state is CallState.OVER


async def test_a_hangup_ends_the_data_channel(server: EmulatorServer, browser: Browser) -> None:
    await browser.call(MANUAL)
    call = server.calls.get(browser.call_id)
    assert call is not None
    call.end()
    await browser.channel_closed.wait()


async def test_an_offer_without_a_data_channel_is_taken(server: EmulatorServer) -> None:
    # P-335
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTrack(Microphone())
    with only_on("127.0.0.1"):
        await connection.setLocalDescription(await connection.createOffer())
    async with (
        aiohttp.ClientSession() as http,
        http.post(
            f"{server.http_url}/realtime/calls",
            data=connection.localDescription.sdp,
            headers={"Content-Type": "application/sdp"},
        ) as reply,
    ):
        assert reply.status == 201
        assert "m=application" not in await reply.text()
    await connection.close()


@pytest.mark.parametrize("tail", ["a=rtpmap:x y\r\n", "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"])
async def test_an_offer_that_no_peer_can_mean_is_refused(server: EmulatorServer, tail: str) -> None:
    offer = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 RTP/AVP 111\r\n" + tail
    async with (
        aiohttp.ClientSession() as http,
        http.post(
            f"{server.http_url}/realtime/calls",
            data=offer.encode(),
            headers={"Content-Type": "application/sdp"},
        ) as reply,
    ):
        assert reply.status == 400
        assert (await reply.json())["error"]["code"] == "invalid_offer"
    assert len(server.calls) == 0


async def test_candidates_are_on_the_loopback_interface_only(
    server: EmulatorServer, browser: Browser
) -> None:
    await browser.call(MANUAL)
    for description in (
        browser._connection.localDescription.sdp,
        browser._connection.remoteDescription.sdp,
    ):
        lines = description.splitlines()
        addresses = {line.split()[4] for line in lines if line.startswith("a=candidate")}
        assert addresses == {"127.0.0.1"}


async def test_the_track_keeps_real_time_and_forgets_what_it_is_told_to() -> None:
    track = OutputTrack()
    track.play(b"\x01\x02" * 24 * 50)
    first = await track.recv()
    track.hush()
    second = await track.recv()
    assert bytes(first.planes[0])[:4] == b"\x01\x02\x01\x02"
    assert set(bytes(second.planes[0])[: 24 * 2 * 20]) == {0}
    assert (first.pts, second.pts) == (0, 480)
    assert second.time_base == Fraction(1, 24_000)
    track.stop()
