"""Sessions that write down what they hear, and say nothing (P-469)."""

import asyncio
from typing import Any

import pytest

import antiphon
from antiphon.client.endpoint import resolve
from antiphon.emulator import MemoryConnector, Script
from antiphon.emulator.audio import speech
from antiphon.wire.dialects import BETA
from tests.client.peer import Line, Peer, soon, virtual

__all__: list[str] = []

CONFIG: dict[str, Any] = {
    "type": "transcription",
    "audio": {"input": {"transcription": {"model": "gpt-transcribe"}, "turn_detection": None}},
}
ITEM = {"id": "item_1", "type": "message", "role": "user", "content": []}
HEARD = "conversation.item.input_audio_transcription"


class Transcriber(Peer):
    """A server of transcription sessions: it takes no model, no other type, and no response."""

    async def __call__(
        self, url: str, headers: Any, handler: antiphon.FrameHandler
    ) -> antiphon.Transport:
        assert "model=" not in url and "intent=transcription" in url
        made = await super().__call__(url, headers, handler)
        self.line.hello(type="transcription")
        return made


def answered(line: Line, session: dict[str, Any]) -> None:
    (sent,) = line.of("session.update")[-1:]
    assert sent["session"]["type"] == "transcription"
    line.say({"type": "session.updated", "session": {**session, **sent["session"]}})


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "ws://localhost/v1/realtime?intent=transcription", "session": CONFIG},
        {"url": "ws://localhost/v1/realtime", "session": CONFIG},
        {
            "url": "ws://localhost/v1/realtime?intent=transcription",
            "session": {"audio": CONFIG["audio"]},
        },
        {"url": "ws://localhost/v1/realtime?intent=transcription"},
    ],
    ids=["both", "by the type", "by the intent", "to be configured later"],
)
def test_it_is_opened_fed_and_read(settings: dict[str, Any]) -> None:
    @virtual
    async def play() -> None:
        peer = Transcriber(greets=False)
        session = antiphon.connect(connector=peer, **settings).begin()
        with pytest.raises(antiphon.LocalProtocolError, match="transcription session"):
            session.create_response()
        turns: list[tuple[str, str, str]] = []
        session.on("turn", lambda turn: turns.append((turn.item_id, turn.phase, turn.transcript)))
        if "session" not in settings:
            _ = session.update({"audio": CONFIG["audio"]})
        await soon(peer.arrived.wait())
        await asyncio.sleep(0.01)
        answered(peer.line, {"type": "transcription"})
        session.append_audio(bytes(9600))
        commit = session.commit_audio()
        peer.line.say(
            {"type": "input_audio_buffer.committed", "item_id": "item_1"},
            {"type": "conversation.item.added", "item": ITEM},
            {"type": f"{HEARD}.delta", "item_id": "item_1", "content_index": 0, "delta": "hello "},
            {
                "type": f"{HEARD}.completed",
                "item_id": "item_1",
                "content_index": 0,
                "transcript": "hello world",
            },
        )
        assert await soon(commit) == "item_1"
        assert turns == [
            ("item_1", "committed", ""),
            ("item_1", "transcribed", "hello world"),
        ]
        assert session.config["type"] == "transcription"
        again = session.update({"audio": {"input": {"noise_reduction": None}}})
        answered(peer.line, session.config)
        await soon(again)
        with pytest.raises(antiphon.LocalProtocolError, match="transcription session"):
            session.create_response()
        assert peer.line.of("response.create") == []
        assert len(await soon(session.interrupt())) == 0
        await session.close()

    play()


@virtual
async def test_a_session_that_the_server_says_is_one_is_one() -> None:
    peer = Peer(greets=False)
    session = antiphon.connect(connector=peer, url="ws://localhost/v1/realtime").begin()
    await soon(peer.arrived.wait())
    peer.line.hello(type="transcription")
    await asyncio.sleep(0.01)
    with pytest.raises(antiphon.LocalProtocolError, match="transcription session"):
        session.create_response()
    await session.close()


@pytest.mark.parametrize(
    ("settings", "query"),
    [
        ({"url": "wss://h/v1/realtime?intent=transcription"}, "intent=transcription"),
        ({"base_url": "https://h/v1", "transcription": True}, "intent=transcription"),
        (
            {"azure_endpoint": "https://h", "transcription": True},
            "intent=transcription",
        ),
        (
            {
                "azure_endpoint": "https://h",
                "azure_deployment": "d",
                "api_version": "v",
                "transcription": True,
            },
            "api-version=v&intent=transcription&deployment=d",
        ),
    ],
)
def test_its_address_has_no_model(settings: dict[str, Any], query: str) -> None:
    endpoint = resolve(api_key="k", **settings)
    assert endpoint.url.partition("?")[2] == query
    assert endpoint.transcription
    assert endpoint.dialect is BETA or "api-version" not in query


@virtual
async def test_against_the_emulator_it_is_fed_and_read() -> None:
    wire = MemoryConnector(script=Script(hears=["what is the weather"]))
    url = "ws://localhost/v1/realtime?intent=transcription"
    async with antiphon.connect(url=url, connector=wire, session=CONFIG) as session:
        transcribed: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def heard(turn: antiphon.Turn) -> None:
            if turn.phase == "transcribed":
                transcribed.set_result(turn.transcript)

        session.on("turn", heard)
        session.append_audio(speech.user_voice(700))
        await soon(session.commit_audio())
        assert await soon(transcribed) == "what is the weather"
        with pytest.raises(antiphon.LocalProtocolError, match="transcription session"):
            session.create_response()
        again = session.update({"audio": {"input": {"noise_reduction": None}}})
        assert (await soon(again))["type"] == "transcription"


def test_a_model_beside_it_is_refused() -> None:
    with pytest.raises(antiphon.LocalProtocolError, match="takes no model="):
        _ = antiphon.connect(url="ws://localhost/x?intent=transcription", model="gpt-realtime-2.1")
