"""The server in a thread of its own."""

import json
import socket
import threading

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from antiphon.emulator import Behaviour, Faults, Script, ThreadedServer, on, say

__all__: list[str] = []

WAIT_S = 20


def first_words(server: ThreadedServer) -> str:
    """What a synchronous client is answered."""
    with connect(server.url) as client:
        client.send(
            json.dumps({"type": "response.create", "response": {"output_modalities": ["text"]}})
        )
        while True:
            event = json.loads(client.recv(WAIT_S))
            if event["type"] == "response.done":
                return str(event["response"]["output"][0]["content"][0]["text"])


def test_a_synchronous_client_can_talk_to_it() -> None:
    with ThreadedServer(Behaviour(), Script([say("one"), say("two")])) as server:
        assert server.http_url == f"http://127.0.0.1:{server.port}/v1"
        assert [first_words(server), first_words(server)] == ["one", "two"]
        assert [event["type"] for event in server.received()] == ["response.create"] * 2
        assert server.received("response.cancel") == []
        assert len(server.sessions) == 2
        server.script.assert_consumed()


def test_what_is_set_counts_from_then_on() -> None:
    with ThreadedServer() as server:
        script = server.play(say("as told"))
        assert server.script is script
        assert first_words(server) == "as told"
        assert server.play(script=Script([say("whole")])).unconsumed
        assert first_words(server) == "whole"
        assert server.behave("openai-2025-06-03", voice="cedar").voice == "cedar"
        assert server.behave(silence_duration_ms=500).voice == "cedar"
        server.fail(Faults(on("session.created").close(1011, "broken")))
        with connect(server.url) as client, pytest.raises(ConnectionClosed):
            client.recv(WAIT_S)
        server.fail(None)
        server.admit("good")
        with pytest.raises(InvalidStatus), connect(server.url):
            pass


def test_reset_makes_it_new() -> None:
    first = Behaviour().but(voice="cedar")
    with ThreadedServer(first) as server:
        server.play(say("left over"))
        server.behave("xai")
        server.fail(Faults(on("session.created").drop()))
        server.admit("good")
        server.reset()
        assert (server.behaviour, server.sessions) == (first, [])
        with connect(server.url) as client:
            assert json.loads(client.recv(WAIT_S))["type"] == "session.created"
            server.reset()
            with pytest.raises(ConnectionClosed):
                client.recv(WAIT_S)
        server.script.assert_consumed()


def test_a_port_that_is_taken_is_told_to_the_caller() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            ThreadedServer(port=taken.getsockname()[1]).start()


def test_it_starts_once_and_stops_for_good() -> None:
    before = threading.active_count()
    server = ThreadedServer()
    server.start()
    with pytest.raises(RuntimeError, match="running already"):
        server.start()
    server.stop()
    server.stop()
    assert threading.active_count() == before
