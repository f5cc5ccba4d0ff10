"""The HTTP side of the Realtime API, without a socket: what is asked, what is answered."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from antiphon.emulator import Behaviour, MemoryConnector, run_virtual
from antiphon.emulator.engine.call import CallState
from antiphon.emulator.running.rest import HttpReply, HttpRequest
from antiphon.models import DEFAULT_MODEL

__all__: list[str] = []

Json = dict[str, Any]
OFFER = (
    "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:1\r\n"
)


class Service:
    """An emulator in memory that is sent requests."""

    def __init__(self, behaviour: Behaviour | None = None, *, api_key: str | None = None) -> None:
        self.connector = MemoryConnector(behaviour, api_key=api_key)
        self.calls = self.connector.calls

    async def send(
        self,
        method: str,
        path: str,
        body: Json | bytes = b"",
        *,
        key: str = "",
        kind: str = "application/json",
        parts: dict[str, bytes] | None = None,
    ) -> HttpReply:
        headers = {"content-type": kind}
        if key:
            headers["authorization"] = f"Bearer {key}"
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.connector.rest.handle(HttpRequest(method, path, headers, data, parts))

    async def post(self, path: str, body: Json | bytes = b"") -> HttpReply:
        return await self.send("POST", f"/v1/realtime/{path}", body)

    async def offer(self, offer: bytes, session: Json | None = None, key: str = "") -> HttpReply:
        parts = {"sdp": offer}
        if session is not None:
            parts["session"] = json.dumps(session).encode()
        kind = "multipart/form-data; boundary=x"
        path = "/v1/realtime/calls"
        return await self.send("POST", path, kind=kind, parts=parts, key=key)


def run(story: Callable[[Service], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        await story(Service(**options))

    run_virtual(main())


def code(reply: HttpReply) -> tuple[int, str | None]:
    """Status and code of an error, which must have the API's form."""
    assert reply.media_type == "application/json"
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return reply.status, error["code"]


# Offers


def test_an_offer_with_its_session_is_answered() -> None:
    # P-330, P-332, P-334
    async def story(service: Service) -> None:
        session = {"type": "realtime", "model": "gpt-realtime", "instructions": "Be brief."}
        reply = await service.offer(OFFER.encode(), session)
        assert (reply.status, reply.media_type) == (201, "application/sdp")
        call_id = reply.headers["Location"].removeprefix("/v1/realtime/calls/")
        call = service.calls.get(call_id)
        assert call is not None
        assert call.state is CallState.UP
        answer = reply.body.decode()
        assert answer.startswith("v=0\r\n")
        for line in (
            "a=ice-lite",
            "a=setup:active",
            "a=rtcp-mux",
            "a=rtpmap:96 opus/48000/2",
            "a=mid:1",
        ):
            assert line in answer.splitlines()
        assert answer.count("a=candidate:") == 4

    run(story)


@pytest.mark.parametrize(
    "offer",
    [
        b"",
        b"hello",
        b"v=0\r\nno line\r\n",
        b"v=0\r\nm=video 9 x 1\r\n",
        b"\xff",
        b"v=0\r\n" * 99999,
    ],
)
def test_what_is_no_offer_is_refused_and_leaves_no_call(offer: bytes) -> None:
    async def story(service: Service) -> None:
        assert code(await service.offer(offer, {"type": "realtime"})) == (400, "invalid_offer")
        assert len(service.calls) == 0

    run(story)


def test_a_session_that_cannot_be_is_refused_and_leaves_no_call() -> None:
    async def story(service: Service) -> None:
        bad = {"type": "realtime", "nonsense": 1}
        reply = await service.offer(OFFER.encode(), bad)
        assert code(reply) == (400, "unknown_parameter")
        assert reply.json()["error"]["param"] == "session.nonsense"
        no_type = await service.offer(OFFER.encode(), {"model": "gpt-realtime"})
        assert code(no_type) == (400, "missing_required_parameter")
        assert len(service.calls) == 0

    run(story)


def test_offers_beyond_so_many_calls_are_refused_until_one_ends() -> None:
    async def story(service: Service) -> None:
        service.calls.max_calls = 2
        first, _ = service.calls.place(), service.calls.place()
        refused = await service.offer(OFFER.encode(), {"type": "realtime"})
        assert code(refused) == (503, "too_many_calls")
        first.hang_up()
        assert (await service.offer(OFFER.encode(), {"type": "realtime"})).status == 201

    run(story)


def test_an_offer_in_another_form_is_refused() -> None:
    async def story(service: Service) -> None:
        reply = await service.send("POST", "/v1/realtime/calls", {"sdp": OFFER})
        assert code(reply) == (415, "unsupported_content_type")

    run(story)


# Ephemeral keys


def test_an_ephemeral_key_brings_its_session() -> None:
    # P-331, P-338
    async def story(service: Service) -> None:
        session = {"type": "realtime", "instructions": "Speak like a pirate."}
        body = {"expires_after": {"anchor": "created_at", "seconds": 60}, "session": session}
        made = await service.send("POST", "/v1/realtime/client_secrets", body, key="sk")
        assert made.status == 200
        secret = made.json()
        assert secret["value"].startswith("ek_")
        assert secret["session"]["instructions"] == "Speak like a pirate."
        assert secret["session"]["object"] == "realtime.session"
        path, kind = "/v1/realtime/calls", "application/sdp"
        for _ in range(2):  # one key may open several sessions
            reply = await service.send("POST", path, OFFER.encode(), key=secret["value"], kind=kind)
            assert reply.status == 201
        instructions = {call.engine._core.session.config["instructions"] for call in service.calls}
        assert instructions == {"Speak like a pirate."}

    run(story, api_key="sk")


def test_an_ephemeral_key_expires_and_opens_nothing_else() -> None:
    async def story(service: Service) -> None:
        path = "/v1/realtime/client_secrets"
        body = {"expires_after": {"anchor": "created_at", "seconds": 10}}
        key = (await service.send("POST", path, body, key="sk")).json()["value"]
        assert code(await service.send("POST", path, {}, key=key)) == (401, "invalid_api_key")
        await asyncio.sleep(11)
        reply = await service.send(
            "POST", "/v1/realtime/calls", OFFER.encode(), key=key, kind="application/sdp"
        )
        assert code(reply) == (401, "invalid_api_key")
        assert len(service.calls) == 0

    run(story, api_key="sk")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"expires_after": {"anchor": "created_at", "seconds": 9}}, "expires_after.seconds"),
        ({"expires_after": {"anchor": "created_at", "seconds": 7201}}, "expires_after.seconds"),
        ({"expires_after": {"anchor": "now"}}, "expires_after.anchor"),
        ({"session": {"type": "realtime", "nonsense": 1}}, "session.nonsense"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_a_key_that_cannot_be_is_refused(body: Json, param: str) -> None:
    async def story(service: Service) -> None:
        reply = await service.post("client_secrets", body)
        assert reply.status == 400
        assert reply.json()["error"]["param"] == param

    run(story)


def test_without_or_with_a_wrong_key_nothing_is_answered() -> None:
    async def story(service: Service) -> None:
        for path in ("/v1/models", "/v1/realtime/calls/rtc_1/hangup"):
            method = "GET" if path == "/v1/models" else "POST"
            assert code(await service.send(method, path)) == (401, "missing_api_key")
            assert code(await service.send(method, path, key="no")) == (401, "invalid_api_key")
        assert (await service.send("GET", "/v1/models", key="sk")).status == 200

    run(story, api_key="sk")


# A telephone call


def test_accept_makes_a_session_and_a_second_one_is_refused() -> None:
    # P-339
    async def story(service: Service) -> None:
        call = service.calls.ring()
        accepted = await service.post(
            f"calls/{call.id}/accept", {"type": "realtime", "instructions": "Be brief."}
        )
        assert (accepted.status, accepted.body) == (200, b"")
        assert call.state is CallState.UP
        again = await service.post(f"calls/{call.id}/accept", {"type": "realtime"})
        assert code(again) == (400, "call_already_answered")
        assert call.state is CallState.UP
        assert code(await service.post(f"calls/{call.id}/reject")) == (400, "call_already_answered")

    run(story)


def test_accept_of_a_session_that_cannot_be_leaves_it_ringing() -> None:
    async def story(service: Service) -> None:
        call = service.calls.ring()
        for body in ({}, {"type": "realtime", "nonsense": 1}, {"type": "dream"}):
            assert (await service.post(f"calls/{call.id}/accept", body)).status == 400
        detection = {"type": "server_vad", "threshold": 0.3}
        limits = {"type": "realtime", "audio": {"input": {"turn_detection": detection}}}
        refused = await service.post(f"calls/{call.id}/accept", limits)
        assert code(refused) == (400, "unknown_parameter")
        assert call.state is CallState.RINGING

    run(story)


def test_reject_declines_with_603_or_as_asked() -> None:
    # P-340
    async def story(service: Service) -> None:
        first, second = service.calls.ring(), service.calls.ring()
        assert (await service.post(f"calls/{first.id}/reject")).status == 200
        await service.post(f"calls/{second.id}/reject", {"status_code": 486})
        assert (first.declined_with, second.declined_with) == (603, 486)
        assert first.state is CallState.OVER
        assert code(await service.post(f"calls/{first.id}/reject")) == (404, "call_id_not_found")

    run(story)


def test_hangup_ends_a_call_and_its_sidebands() -> None:
    # P-341
    async def story(service: Service) -> None:
        call = service.calls.place()
        assert (await service.post(f"calls/{call.id}/hangup")).status == 200
        assert call.state is CallState.OVER
        rings = service.calls.ring()
        assert (await service.post(f"calls/{rings.id}/hangup")).status == 200
        assert rings.state is CallState.OVER

    run(story)


def test_a_transfer_needs_a_telephone_call_and_a_target() -> None:
    async def story(service: Service) -> None:
        browser, rings = service.calls.place(), service.calls.ring()
        good = {"target_uri": "sip:agent@example.com"}
        for call in (browser, rings):
            reply = await service.post(f"calls/{call.id}/refer", good)
            assert code(reply) == (400, "call_not_transferable")
        rings.accept({"type": "realtime"})
        missing = await service.post(f"calls/{rings.id}/refer", {})
        assert code(missing) == (400, "missing_required_parameter")
        mail = await service.post(f"calls/{rings.id}/refer", {"target_uri": "mailto:a@b"})
        assert code(mail) == (400, "invalid_value")
        assert code(await service.post("calls/rtc_no/refer", good)) == (404, "call_id_not_found")
        assert rings.state is CallState.UP
        assert (await service.post(f"calls/{rings.id}/refer", good)).status == 200

    run(story)


# Everything else


def test_models_are_listed_and_found() -> None:
    async def story(service: Service) -> None:
        listed = (await service.send("GET", "/v1/models")).json()
        assert listed["object"] == "list"
        names = [model["id"] for model in listed["data"]]
        assert DEFAULT_MODEL in names
        assert all(set(m) == {"id", "object", "created", "owned_by"} for m in listed["data"])
        assert (await service.send("GET", f"/v1/models/{names[0]}")).json() == listed["data"][0]
        assert code(await service.send("GET", "/v1/models/x")) == (404, "model_not_found")

    run(story)


@pytest.mark.parametrize(
    ("method", "path", "status", "expected"),
    [
        ("GET", "/", 404, "unknown_url"),
        ("GET", "/v1", 404, "unknown_url"),
        ("POST", "/v1/realtime/sessions", 404, "unknown_url"),
        ("POST", "/v1/chat/completions", 404, "unknown_url"),
        ("DELETE", "/v1/realtime/calls/rtc_1", 404, "unknown_url"),
        ("GET", "/v1/realtime", 426, "websocket_upgrade_required"),
        ("POST", "/v1/live/sessions", 501, "not_emulated"),
        ("GET", "/v1/live", 501, "not_emulated"),
        ("POST", "/v1/realtime/translations/client_secrets", 501, "not_emulated"),
    ],
)
def test_anything_else_is_a_json_error(method: str, path: str, status: int, expected: str) -> None:
    async def story(service: Service) -> None:
        assert code(await service.send(method, path)) == (status, expected)

    run(story)


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    async def story(service: Service) -> None:
        assert code(await service.post("client_secrets", body)) == (400, "invalid_json")

    run(story)


def test_azure_paths_mean_the_same() -> None:
    async def story(service: Service) -> None:
        reply = await service.send("POST", "/openai/v1/realtime/client_secrets", {})
        assert reply.status == 200

    run(story)


def test_a_browser_may_ask_first() -> None:
    async def story(service: Service) -> None:
        reply = await service.send("OPTIONS", "/v1/realtime/calls")
        assert reply.status == 204
        assert "POST" in reply.headers["Access-Control-Allow-Methods"]

    run(story, api_key="sk")
