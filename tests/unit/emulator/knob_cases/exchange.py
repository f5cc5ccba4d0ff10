"""Cases of the knobs of calls that show at a handshake or over HTTP."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from antiphon.emulator import Behaviour, MemoryConnector, MemoryTransport, run_virtual
from antiphon.emulator.engine.call import CallState
from antiphon.emulator.running.rest import HttpReply, HttpRequest
from antiphon.exceptions import ConnectError
from tests.unit.emulator.knob_cases.registry import shows

__all__: list[str] = []

Json = dict[str, Any]


class Listener:
    """A sideband's client end: what it was told, and how it ended."""

    def __init__(self) -> None:
        self.frames: list[Json] = []
        self.closed: tuple[int | None, str] | None = None

    def frame_received(self, data: bytes, is_text: bool) -> None:
        self.frames.append(json.loads(data))

    def connection_lost(self, code: int | None, reason: str) -> None:
        self.closed = code, reason


class Office:
    """An emulator in memory, and the few things that are done to it here."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.connector = MemoryConnector(behaviour)
        self.calls = self.connector.calls
        self.listeners: list[Listener] = []

    async def attach(self, call_id: str, *, more: str = "") -> MemoryTransport:
        self.listeners.append(Listener())
        url = f"ws://emulator/v1/realtime?call_id={call_id}{more}"
        return await self.connector(url, {}, self.listeners[-1])

    async def refused(self, call_id: str, *, more: str = "") -> ConnectError:
        """A sideband that must be refused."""
        try:
            await self.attach(call_id, more=more)
        except ConnectError as error:
            return error
        raise AssertionError("it was let in")

    async def post(self, path: str, body: Json | None = None) -> HttpReply:
        request = HttpRequest(
            "POST",
            f"/v1/realtime/calls/{path}",
            {"content-type": "application/json"},
            b"" if body is None else json.dumps(body).encode(),
        )
        return await self.connector.rest.handle(request)


def in_an_office(behaviour: Behaviour, story: Callable[[Office], Awaitable[None]]) -> None:
    async def main() -> None:
        await story(Office(behaviour))

    run_virtual(main())


# Attaching


@shows("sideband_unknown_call", "http_404_json")
def an_unknown_call_is_refused_with_json(behaviour: Behaviour) -> None:
    async def story(office: Office) -> None:
        error = await office.refused("rtc_nobody")
        assert (error.status, error.code) == (404, "call_id_not_found")

    in_an_office(behaviour, story)


@shows("sideband_unknown_call", "http_404_empty")
def an_unknown_call_is_refused_with_nothing(behaviour: Behaviour) -> None:
    async def story(office: Office) -> None:
        error = await office.refused("rtc_nobody")
        assert (error.status, error.code) == (404, None)

    in_an_office(behaviour, story)


@shows("sideband_ready_ms", 0.0)
def a_call_can_be_attached_to_at_once(behaviour: Behaviour) -> None:
    async def story(office: Office) -> None:
        await office.attach(office.calls.place().id)

    in_an_office(behaviour, story)


@shows("sideband_ready_ms", 800)
def a_call_can_be_attached_to_a_moment_later(behaviour: Behaviour) -> None:
    async def story(office: Office) -> None:
        call = office.calls.place()
        assert (await office.refused(call.id)).status == 404
        await asyncio.sleep(0.79)
        assert (await office.refused(call.id)).status == 404
        await asyncio.sleep(0.02)
        await office.attach(call.id)

    in_an_office(behaviour, story)


@shows("max_sidebands", None)
def a_call_takes_any_number_of_sidebands(behaviour: Behaviour) -> None:
    async def story(office: Office) -> None:
        call = office.calls.place()
        for _ in range(20):
            await office.attach(call.id)
        assert call.sidebands == 20

    in_an_office(behaviour, story)


@shows("max_sidebands", 1)
@shows("sideband_overflow", "http_409")
def one_sideband_too_many_is_refused(behaviour: Behaviour) -> None:
    async def story(office: Office) -> None:
        call = office.calls.place()
        first = await office.attach(call.id)
        assert (await office.refused(call.id)).status == 409
        first.close()
        await asyncio.sleep(0.1)
        await office.attach(call.id)

    in_an_office(behaviour.but(max_sidebands=1), story)


@shows("sideband_overflow", "replace_oldest")
def one_sideband_too_many_replaces_the_oldest(behaviour: Behaviour) -> None:
    async def story(office: Office) -> None:
        call = office.calls.place()
        await office.attach(call.id)
        await office.attach(call.id)
        await asyncio.sleep(0.1)
        old, new = office.listeners
        assert old.closed == (1000, "replaced")
        assert new.closed is None
        assert call.sidebands == 1

    in_an_office(behaviour.but(max_sidebands=1), story)


@shows("sideband_model_too", "accept")
def a_model_beside_the_call_is_taken(behaviour: Behaviour) -> None:
    async def story(office: Office) -> None:
        await office.attach(office.calls.place().id, more="&model=gpt-realtime")

    in_an_office(behaviour, story)


@shows("sideband_model_too", "http_400")
def a_model_beside_the_call_is_refused(behaviour: Behaviour) -> None:
    async def story(office: Office) -> None:
        call = office.calls.place()
        assert (await office.refused(call.id, more="&model=gpt-realtime")).status == 400
        await office.attach(call.id)

    in_an_office(behaviour, story)


# Over HTTP


def hangup_of_a_call_that_is_over(behaviour: Behaviour) -> HttpReply:
    async def main() -> HttpReply:
        office = Office(behaviour)
        call = office.calls.place()
        assert (await office.post(f"{call.id}/hangup")).status == 200
        assert call.state is CallState.OVER
        return await office.post(f"{call.id}/hangup")

    return run_virtual(main())


@shows("hangup_gone", "http_400")
def hanging_up_twice_is_a_bad_request(behaviour: Behaviour) -> None:
    reply = hangup_of_a_call_that_is_over(behaviour)
    assert (reply.status, reply.json()["error"]["code"]) == (400, "call_id_not_found")


@shows("hangup_gone", "http_404")
def hanging_up_twice_finds_nothing(behaviour: Behaviour) -> None:
    assert hangup_of_a_call_that_is_over(behaviour).status == 404


@shows("hangup_gone", "http_200")
def hanging_up_twice_succeeds(behaviour: Behaviour) -> None:
    assert hangup_of_a_call_that_is_over(behaviour).status == 200


def accept_after_the_caller_has_gone(behaviour: Behaviour) -> HttpReply:
    async def main() -> HttpReply:
        office = Office(behaviour)
        call = office.calls.ring({"From": "sip:+15550100@example.com"})
        call.hang_up()
        return await office.post(f"{call.id}/accept", {"type": "realtime"})

    return run_virtual(main())


@shows("accept_gone", 404)
def accepting_too_late_finds_nothing(behaviour: Behaviour) -> None:
    reply = accept_after_the_caller_has_gone(behaviour)
    assert (reply.status, reply.json()["error"]["code"]) == (404, "call_id_not_found")


@shows("accept_gone", 410)
def accepting_too_late_is_told_so(behaviour: Behaviour) -> None:
    assert accept_after_the_caller_has_gone(behaviour).status == 410


def refer(behaviour: Behaviour, after_s: float) -> tuple[int, str | None, CallState, Listener]:
    async def main() -> tuple[int, str | None, CallState, Listener]:
        office = Office(behaviour)
        call = office.calls.ring()
        await office.post(f"{call.id}/accept", {"type": "realtime"})
        await office.attach(call.id)
        target = {"target_uri": "tel:+15550199"}
        status = (await office.post(f"{call.id}/refer", target)).status
        await asyncio.sleep(after_s)
        return status, call.referred_to, call.state, office.listeners[0]

    return run_virtual(main())


@shows("refer", "http_200")
@shows("refer_latency_ms", 500.0)
def a_transfer_ends_the_call_here(behaviour: Behaviour) -> None:
    assert refer(behaviour, 0.49)[:3] == (200, "tel:+15550199", CallState.UP)
    _, _, state, listener = refer(behaviour, 0.51)
    assert state is CallState.OVER
    assert listener.closed == (1000, "")


@shows("refer", "http_500")
def a_transfer_fails(behaviour: Behaviour) -> None:
    assert refer(behaviour, 5.0)[:3] == (500, None, CallState.UP)


@shows("refer", "http_200_nothing")
def a_transfer_does_nothing_silently(behaviour: Behaviour) -> None:
    assert refer(behaviour, 5.0)[:3] == (200, None, CallState.UP)


@shows("refer_latency_ms", 0)
def a_transfer_is_there_at_once(behaviour: Behaviour) -> None:
    assert refer(behaviour, 0.001)[2] is CallState.OVER


OFFER = (
    "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"
)


def answer_to_an_offer(behaviour: Behaviour) -> HttpReply:
    async def main() -> HttpReply:
        office = Office(behaviour)
        request = HttpRequest(
            "POST", "/v1/realtime/calls", {"content-type": "application/sdp"}, OFFER.encode()
        )
        return await office.connector.rest.handle(request)

    return run_virtual(main())


@shows("location", True)
def a_browser_may_know_its_call(behaviour: Behaviour) -> None:
    reply = answer_to_an_offer(behaviour)
    assert reply.status == 201
    assert reply.headers["Location"].startswith("/v1/realtime/calls/rtc_")
    assert "Location" in reply.headers["Access-Control-Expose-Headers"]


@shows("location", False)
def a_browser_may_not_know_its_call(behaviour: Behaviour) -> None:
    reply = answer_to_an_offer(behaviour)
    assert reply.status == 201
    assert reply.headers == {}
