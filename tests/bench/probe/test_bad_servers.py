"""Servers that are none, and servers that are broken: a verdict, and an end."""

import asyncio
from collections.abc import Callable, Mapping

import msgspec
import pytest

from antiphon.bench.probe import Plan, dial, probe
from antiphon.bench.probe.dialling import Ear, Wire, without_secrets
from antiphon.bench.report import Mark, Report
from antiphon.exceptions import ConnectError
from tests.bench.probe.bench import probed, settings

__all__: list[str] = []


class Server:
    """A server in memory that says this on opening, and that to each frame.

    Args:
        hello: frames on opening.
        answer: frames to a frame.
        hang_up: close with this code after so many frames of the client; 0 for never.
    """

    def __init__(
        self,
        hello: tuple[bytes, ...] = (),
        answer: Callable[[bytes], tuple[bytes, ...]] = lambda frame: (),
        *,
        hang_up: int = 0,
    ) -> None:
        self._hello, self._answer, self._hang_up = hello, answer, hang_up
        self.open = 0
        self.opened = 0

    async def __call__(self, url: str, headers: Mapping[str, str], ear: Ear) -> Wire:
        loop = asyncio.get_running_loop()
        server, state = self, {"frames": 0, "over": False}
        self.open += 1
        self.opened += 1

        def over(code: int | None) -> None:
            if not state["over"]:
                state["over"] = True
                server.open -= 1
                loop.call_soon(ear.connection_lost, code, "")

        class Socket:
            def send_text(self, *messages: bytes) -> None:
                for message in messages:
                    state["frames"] += 1
                    for frame in server._answer(message):
                        loop.call_soon(ear.frame_received, frame, True)
                    if state["frames"] == server._hang_up:
                        over(1011)

            def close(self, code: int = 1000, reason: str = "") -> None:
                over(code)

        for frame in self._hello:
            loop.call_soon(ear.frame_received, frame, True)
        return Socket()


CREATED = msgspec.json.encode({"type": "session.created", "session": {"audio": {}}})
ERROR = msgspec.json.encode({"type": "error", "error": {"type": "server_error", "message": "no"}})


def updated(frame: bytes) -> tuple[bytes, ...]:
    kind = msgspec.json.decode(frame).get("type") if frame.startswith(b'{"event_id') else ""
    return (b'{"type": "session.updated"}',) if kind == "session.update" else ()


def starts_and_never_ends(frame: bytes) -> tuple[bytes, ...]:
    if b"response.create" in frame:
        return (b'{"type": "response.created", "response": {"id": "resp_1"}}',)
    return updated(frame)


SERVERS = {
    "says nothing": Server(),
    "says only hello": Server((CREATED,)),
    "says garbage": Server((b"\xff\xfe", b"[]", b"{", b'"x"'), lambda frame: (b"\x00", b"[1]")),
    "refuses everything": Server((CREATED,), lambda frame: (ERROR,)),
    "answers fences only": Server((CREATED,), updated),
    "never ends a response": Server((CREATED,), starts_and_never_ends),
    "hangs up at once": Server((CREATED,), hang_up=1),
    "hangs up later": Server((CREATED,), updated, hang_up=9),
    "has odd shapes": Server(
        (CREATED,),
        lambda frame: (
            b'{"type": 7}',
            b'{"type": "error", "error": "bare words"}',
            b'{"type": "response.created", "response": []}',
            b'{"type": "response.done", "response": {"id": 3}}',
            b'{"type": "conversation.item.added", "item": 5}',
            b'{"type": "session.updated", "session": null}',
        ),
    ),
    "floods": Server(
        (CREATED,), lambda frame: (b'{"type": "response.output_text.delta"}',) * 10_000
    ),
}


def at(server: Server, **options: object) -> Report:
    return probed(dial=server, longest_s=200.0, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("what", SERVERS)
def test_a_broken_server_gets_verdicts_and_everything_ends(what: str) -> None:
    server = SERVERS[what]
    report = at(server)
    cases = report.subjects[0].cases
    assert len(cases) > 30
    assert all(case.verdict and "no known shape" not in case.verdict for case in cases)
    # No value is invented for what needs an answer that nobody gave.
    for knob in ("cancel_no_id_scope", "cancel_target", "create_when_busy", "dialect"):
        assert settings(report)[knob].value is None, knob
        assert settings(report)[knob].why
    assert server.opened > 0
    assert server.open == 0


def test_what_says_nothing_does_not_look_like_a_realtime_server() -> None:
    report = at(Server())
    assert not any(case.mark is Mark.SEEN for case in report.subjects[0].cases)
    assert "does not look like" in report.lead


def test_no_question_is_asked_beyond_the_token_limit() -> None:
    report = probed(max_tokens=1000)
    cases = {case.key: case for case in report.subjects[0].cases}
    assert "--max-tokens 1000" in cases["bare-beside-two"].verdict
    assert cases["bare-beside-two"].trace == ()
    assert settings(report)["cancel_no_id_scope"].value is None
    assert cases["unknown-event"].mark is Mark.SEEN


async def test_a_server_of_another_kind_is_refused_at_the_door() -> None:
    async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(http, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        plan = Plan(url=f"ws://127.0.0.1:{port}/v1/realtime", headers={}, dial=dial)
        with pytest.raises(ConnectError, match="HTTP 200"):
            await probe(plan)


async def test_nobody_there_is_a_connect_error() -> None:
    plan = Plan(url="ws://127.0.0.1:1/v1/realtime", headers={}, dial=dial)
    with pytest.raises(ConnectError, match="no connection to"):
        await probe(plan)


def test_an_address_is_shown_without_user_key_or_token() -> None:
    url = "wss://me:secret@host.example/v1/realtime?model=m&api-key=sk-1&token=t"
    assert without_secrets(url) == "wss://host.example/v1/realtime?model=m"
