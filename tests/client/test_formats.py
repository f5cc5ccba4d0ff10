"""Audio between a caller's rate and the session's format, in and out; and G.711 itself."""

import asyncio
from array import array
from math import pi, sin
from typing import Any

import pybase64
import pytest

import antiphon
from antiphon.client.g711 import decode_g711, encode_g711
from antiphon.emulator import MemoryConnector, Script, say
from tests.client.peer import Line, Peer, soon, virtual

__all__: list[str] = []

LAWS = ["audio/pcmu", "audio/pcma"]
EVERY_SAMPLE = array("h", range(-32768, 32768))


def tone(rate: int, seconds: float, hertz: float = 440.0) -> bytes:
    return array(
        "h", (int(9000 * sin(2 * pi * hertz * n / rate)) for n in range(int(rate * seconds)))
    ).tobytes()


def appended(line: Line) -> bytes:
    return b"".join(
        pybase64.b64decode(one["audio"]) for one in line.of("input_audio_buffer.append")
    )


def config(form: str, side: str = "input") -> dict[str, Any]:
    rate = {"rate": 24000} if form == "audio/pcm" else {}
    return {"audio": {side: {"format": {"type": form, **rate}}}}


# --- G.711 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("law", "known"),
    [
        # ITU-T G.711, tables 1 and 2: silence, full scale and the first steps.
        ("audio/pcmu", {0: 0xFF, 32767: 0x80, -32768: 0x00, 1000: 0xCE, -1000: 0x4E}),
        ("audio/pcma", {0: 0xD5, 32767: 0xAA, -32768: 0x2A, 1000: 0xFA, -1000: 0x7A}),
    ],
)
def test_codes_of_known_samples(law: str, known: dict[int, int]) -> None:
    assert list(encode_g711(array("h", known).tobytes(), law)) == list(known.values())


@pytest.mark.parametrize("law", LAWS)
def test_a_code_comes_back_and_a_sample_comes_back_as_near_as_the_law_has_it(law: str) -> None:
    every_code = bytes(range(256))
    samples = array("h", decode_g711(every_code, law))
    again = encode_g711(samples.tobytes(), law)
    # mu-law has two nothings.
    assert [c for c in every_code if again[c] != c] == ([0x7F] if law == "audio/pcmu" else [])
    ordered = sorted(set(samples))
    steps = dict(zip(ordered, ordered[1:], strict=False))
    heard = array("h", decode_g711(encode_g711(EVERY_SAMPLE.tobytes(), law), law))
    for sample, back in zip(EVERY_SAMPLE, heard, strict=True):
        step = max(steps.get(back, back + 1024) - back, 8)
        assert abs(sample - back) <= step, (sample, back)


# --- in -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100])
@pytest.mark.parametrize("law", LAWS)
def test_pcm_of_any_rate_into_a_g711_session(law: str, rate: int) -> None:
    @virtual
    async def play() -> None:
        peer = Peer()
        async with await peer.connect() as session:
            peer.line.say({"type": "session.updated", "session": config(law)})
            pcm = tone(rate, 0.5)
            for start in range(0, len(pcm), 2 * 441):
                session.append_audio(pcm[start : start + 2 * 441], sample_rate=rate)
            _ = session.commit_audio()
            sent = appended(peer.line)
        assert len(sent) == pytest.approx(4000, abs=40), "a byte for each of 8000 Hz"
        if rate == 8000:
            assert sent == encode_g711(pcm, law)
        heard = array("h", decode_g711(sent, law))
        expected = array("h", tone(8000, 0.5))
        # The filter's delay apart it is the same tone: as loud, and with as many zero crossings.
        assert max(heard) == pytest.approx(max(expected), rel=0.1)
        assert crossings(heard) == pytest.approx(crossings(expected), abs=4)

    play()


def crossings(samples: "array[int]") -> int:
    return sum((a < 0) != (b < 0) for a, b in zip(samples, samples[1:], strict=False))


@virtual
async def test_without_a_rate_audio_is_in_the_sessions_format() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        peer.line.say({"type": "session.updated", "session": config("audio/pcmu")})
        session.append_audio(b"\1\2\3")
        assert appended(peer.line) == b"\1\2\3"
        with pytest.raises(antiphon.LocalProtocolError, match="samples"):
            session.append_audio(b"\1\2\3", sample_rate=8000)


@virtual
async def test_the_format_is_the_one_that_will_be_in_force_when_the_audio_gets_there() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        update = session.update(config("audio/pcma"))
        session.append_audio(b"\0\0", sample_rate=8000)
        assert appended(peer.line) == b"\xd5", "the update is on its way before it"
        error = {"message": "no", "event_id": peer.line.of("session.update")[0]["event_id"]}
        peer.line.say({"type": "error", "error": error})
        with pytest.raises(antiphon.RequestError):
            await soon(update)
        session.append_audio(b"\0\0", sample_rate=24000)
        assert appended(peer.line) == b"\xd5\0\0", "and it was refused"


@virtual
async def test_before_the_first_server_has_answered_it_is_the_one_asked_for() -> None:
    peer = Peer()
    session = antiphon.connect(
        url="ws://localhost/v1/realtime", connector=peer, session=config("audio/pcmu")
    ).begin()
    session.append_audio(b"\0\0", sample_rate=8000)
    await soon(peer.arrived.wait())
    await asyncio.sleep(0.1)
    assert appended(peer.line) == b"\xff"
    await session.close()


# --- out ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["audio/pcm", *LAWS])
@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
def test_a_reply_is_read_as_pcm_of_the_rate_asked_for(form: str, rate: int) -> None:
    @virtual
    async def play() -> None:
        connector = MemoryConnector(script=Script([say("One two three.", ms=1000)]))
        async with antiphon.connect(
            url="ws://localhost/v1/realtime", connector=connector, session=config(form, "output")
        ) as session:
            reply = session.create_response()
            pcm = b"".join([chunk async for chunk in reply.pcm(rate)])
        assert len(pcm) == pytest.approx(2 * rate, rel=0.02)
        assert max(array("h", pcm)) > 1000, "it is sound, at a level that can be heard"

    play()


@virtual
async def test_a_response_with_a_format_of_its_own() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        reply = session.create_response(audio={"output": {"format": {"type": "audio/pcma"}}})
        peer.line.created(peer.line.sent[-1], id="resp_1")
        delta = {"type": "response.output_audio.delta", "response_id": "resp_1"}
        peer.line.say({**delta, "item_id": "item_1", "delta": pybase64.b64encode(b"\xd5").decode()})
        peer.line.done("resp_1")
        assert [chunk async for chunk in reply.pcm(8000)] == [b"\x08\0"]


@virtual
async def test_a_cancelled_reply_says_nothing_more_not_even_the_filters_rest() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        reply = session.create_response()
        peer.line.created(peer.line.sent[-1], id="resp_1")
        pcm = reply.pcm(16000)
        delta = {"type": "response.output_audio.delta", "response_id": "resp_1"}
        sound = pybase64.b64encode(tone(24000, 0.5)).decode()
        peer.line.say({**delta, "item_id": "item_1", "delta": sound})
        assert await soon(anext(pcm))
        _ = reply.cancel()
        assert [chunk async for chunk in pcm] == []
