"""A wrong argument is refused where it is given, by its name, and nothing is sent for it."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

import antiphon
from antiphon.client.endpoint import resolve
from antiphon.client.listeners import NAMES
from antiphon.emulator import Behaviour, MemoryConnector, Script, say
from antiphon.emulator.audio import speech
from tests.client.peer import Peer, soon, virtual

__all__: list[str] = []

URL = "ws://localhost/v1/realtime"


def nothing() -> None:
    """A function of nothing."""


# --- create_response ------------------------------------------------------------------------------

RESPONSES: list[tuple[str, Any]] = [
    ("instructions", 5),
    ("instructions", ["Be brief."]),
    ("conversation", "nonee"),
    ("conversation", None),
    ("conversation", False),
    ("input", "hello"),
    ("input", {"type": "message"}),
    ("input", [5]),
    ("input", [{"role": "user"}]),
    ("input", [{"type": "message", "content": "hello"}]),
    ("output_modalities", "text"),
    ("output_modalities", []),
    ("output_modalities", ["texts"]),
    ("output_modalities", 5),
    ("voice", ""),
    ("voice", 5),
    ("audio", "marin"),
    ("tools", {"type": "function"}),
    ("tools", ["lookup"]),
    ("tool_choice", "sometimes"),
    ("tool_choice", 5),
    ("parallel_tool_calls", "yes"),
    ("parallel_tool_calls", 1),
    ("max_output_tokens", 0),
    ("max_output_tokens", "many"),
    ("max_output_tokens", 5.5),
    ("max_output_tokens", True),
    ("reasoning", "low"),
    ("prompt", "pmpt_1"),
    ("metadata", [("a", "b")]),
    ("metadata", {"a": 1}),
    ("purpose", 3),
    ("interruptible", "no"),
    ("interruptible", 0),
    ("on_busy", "wait"),
    ("on_busy", None),
    ("timeout", 0),
    ("timeout", -1),
    ("timeout", "10"),
    ("timeout", float("nan")),
    ("timeout", float("inf")),
]


@virtual
@pytest.mark.parametrize(("name", "value"), RESPONSES, ids=lambda one: repr(one)[:30])
async def test_of_create_response(name: str, value: Any) -> None:
    peer = Peer()
    async with await peer.connect() as session:
        with pytest.raises(antiphon.LocalProtocolError, match=name):
            session.create_response(**{name: value})
        assert peer.line.sent == [] and session.in_flight == ()


@virtual
async def test_a_voice_beside_an_output_that_is_none() -> None:
    async with await Peer().connect() as session:
        with pytest.raises(antiphon.LocalProtocolError, match=r"audio\['output'\]"):
            session.create_response(voice="marin", audio={"output": None})


@virtual
async def test_what_is_right_is_sent_as_it_was_given() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        item = {"type": "message", "role": "user", "content": []}
        session.create_response(
            instructions="",
            conversation="none",
            input=(antiphon.Item(type="item_reference", id="item_1"), item),
            output_modalities=("text",),
            voice={"id": "voice_1"},  # type: ignore[arg-type]
            audio={"output": {"speed": 1.1}},
            tools=[{"type": "function", "name": "x"}],
            tool_choice={"type": "function", "name": "x"},
            parallel_tool_calls=False,
            max_output_tokens="inf",
            reasoning={"effort": "low"},
            metadata={"a": "b"},
            timeout=3,
        )
        (sent,) = [one["response"] for one in peer.line.of("response.create")]
        del sent["metadata"]["antiphon"]
        assert sent == {
            "instructions": "",
            "conversation": "none",
            "input": [{"id": "item_1", "type": "item_reference"}, item],
            "output_modalities": ["text"],
            "audio": {"output": {"speed": 1.1, "voice": {"id": "voice_1"}}},
            "tools": [{"type": "function", "name": "x"}],
            "tool_choice": {"type": "function", "name": "x"},
            "parallel_tool_calls": False,
            "max_output_tokens": "inf",
            "reasoning": {"effort": "low"},
            "metadata": {"a": "b"},
        }


def test_a_text_that_is_wrong_is_not_shown() -> None:
    @virtual
    async def play() -> None:
        async with await Peer().connect() as session:
            with pytest.raises(antiphon.LocalProtocolError) as caught:
                session.create_response(instructions=["the caller's secret"])  # type: ignore[arg-type]
            assert "secret" not in str(caught.value)

    play()


# --- the other methods ----------------------------------------------------------------------------

METHODS: list[tuple[str, Callable[[antiphon.Session], object]]] = [
    ("scope", lambda s: s.interrupt("everything")),  # type: ignore[arg-type]
    ("scope", lambda s: s.interrupt(None)),  # type: ignore[arg-type]
    ("scope", lambda s: s.interrupt(["resp_1"])),  # type: ignore[list-item]
    ("config", lambda s: s.update("instructions")),  # type: ignore[arg-type]
    ("config", lambda s: s.update(None)),  # type: ignore[arg-type]
    ("item", lambda s: s.create_item("hello")),  # type: ignore[arg-type]
    ("item", lambda s: s.create_item({"role": "user"})),
    ("previous_item_id", lambda s: s.create_item({"type": "message"}, previous_item_id="")),
    ("text", lambda s: s.send_text(5)),  # type: ignore[arg-type]
    ("role", lambda s: s.send_text("Hello.", role="robot")),  # type: ignore[arg-type]
    ("image_url", lambda s: s.send_image("")),
    ("detail", lambda s: s.send_image("data:,", detail="huge")),  # type: ignore[arg-type]
    ("call_id", lambda s: s.send_function_output("", "sunny")),
    (r"output.*json\.dumps", lambda s: s.send_function_output("c", {"a": 1})),  # type: ignore[arg-type]
    ("item_id", lambda s: s.retrieve_item("")),
    ("item_id", lambda s: s.delete_item(None)),  # type: ignore[arg-type]
    ("heard_ms", lambda s: s.truncate("item_1", heard_ms=-1)),
    ("heard_ms", lambda s: s.truncate("item_1", heard_ms=1.5)),  # type: ignore[arg-type]
    ("what", lambda s: s.truncate("", heard_ms=1)),
    ("what", lambda s: s.truncate(None, heard_ms=1)),  # type: ignore[arg-type]
    ("event", lambda s: s.send_raw("response.create")),  # type: ignore[arg-type]
    ("type", lambda s: s.send_raw({})),
    ("audio", lambda s: s.append_audio("sound")),  # type: ignore[arg-type]
    ("audio", lambda s: s.append_audio([1, 2])),  # type: ignore[arg-type]
    ("sample_rate", lambda s: s.append_audio(b"\0\0", sample_rate="16000")),  # type: ignore[arg-type]
    ("sample_rate", lambda s: s.append_audio(b"\0\0", sample_rate=0)),
    ("listener", lambda s: s.on("report", None)),  # type: ignore[arg-type]
    ("name", lambda s: s.on(5, print)),  # type: ignore[arg-type]
    ('did you mean "response"', lambda s: s.on("responze", print)),
    ('did you mean "closed"', lambda s: s.on("close", print)),
    ("server_event", lambda s: s.on("zzz", print)),
    ("callback", lambda s: s.create_response().subscribe(None)),  # type: ignore[arg-type]
    ("streams", lambda s: s.create_response().subscribe(print, streams="no")),  # type: ignore[arg-type]
    ("sample_rate", lambda s: s.create_response().pcm(-1)),
]


@virtual
@pytest.mark.parametrize(("named", "call"), METHODS)
async def test_of_a_method(named: str, call: Callable[[antiphon.Session], object]) -> None:
    peer = Peer()
    async with await peer.connect() as session:
        with pytest.raises(antiphon.LocalProtocolError, match=named):
            call(session)
        assert [one for one in peer.line.sent if one["type"] != "response.create"] == []


@virtual
async def test_names_that_can_be_listened_to() -> None:
    async with await Peer().connect() as session:
        for name in (*NAMES, "error", "response.done", "vendor.brand_new"):
            session.on(name, print)()
        documented = antiphon.Session.on.__doc__ or ""
        assert [name for name in NAMES if f'`"{name}"`' not in documented] == []


@virtual
async def test_audio_may_be_kept_in_any_buffer() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        kept: list[bytes | bytearray | memoryview] = []
        kept += [b"\1\2", bytearray(b"\1\2"), memoryview(b"\1\2")]
        for audio in kept:
            session.append_audio(audio)
        assert [one["audio"] for one in peer.line.sent] == ["AQI="] * 3


@virtual
async def test_a_handle_alone_may_be_interrupted_and_a_strangers_not() -> None:
    peer, other = Peer(), Peer()
    async with await peer.connect() as session, await other.connect() as stranger:
        mine, theirs = session.create_response(), stranger.create_response()
        peer.line.created(peer.line.sent[-1], id="resp_1")
        receipt = session.interrupt(mine)
        assert [one["response_id"] for one in peer.line.of("response.cancel")] == ["resp_1"]
        peer.line.done("resp_1", "cancelled")
        assert len((await soon(receipt)).cancelled) == 1
        for call in (
            lambda: session.interrupt(theirs),
            lambda: session.truncate(theirs, heard_ms=1),
        ):
            with pytest.raises(antiphon.LocalProtocolError, match="another session"):
                call()


# --- connect --------------------------------------------------------------------------------------

CONNECTS: list[tuple[str, Any]] = [
    ("model", 5),
    ("model", ""),
    ("model", "gpt\ud83d"),
    ("url", 5),
    ("url", "ws://localhost/\nv1"),
    ("base_url", b"http://localhost/v1"),
    ("api_key", 5),
    ("session", "Be brief."),
    ("azure_endpoint", 5),
    ("azure_deployment", 5),
    ("azure_ad_token", 5),
    ("api_version", 5),
    ("headers", ["Authorization: Bearer k"]),
    ("headers", {"X": "a\r\nY: b"}),
    ("headers", {"X": 5}),
    ("headers", {"a b": "c"}),
    ("dialect", "gamma"),
    ("max_in_flight", 0),
    ("max_in_flight", "1"),
    ("options", {"create_timeout": 5}),
    ("limits", 5),
    ("reconnect", False),
    ("connector", "picows"),
    ("connect_timeout", 0),
    ("connect_timeout", None),
    ("batch_audio_ms", -1),
    ("batch_audio_ms", 0.5),
    ("max_pending_bytes", 0),
    ("handle_type", dict),
    ("handle_type", "Handle"),
    ("replay", []),
]


@pytest.mark.parametrize(("name", "value"), CONNECTS, ids=lambda one: repr(one)[:30])
def test_of_connect(name: str, value: Any) -> None:
    settings = {name: value} if "url" in name else {"url": URL, name: value}
    with pytest.raises(antiphon.LocalProtocolError, match=name):
        _ = antiphon.connect(**settings)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: antiphon.StreamLimits(audio_bytes=0), "audio_bytes"),
        (lambda: antiphon.StreamLimits(events=1.5), "events"),  # type: ignore[arg-type]
        (lambda: antiphon.ReconnectPolicy(attempts=-1), "attempts"),
        (lambda: antiphon.ReconnectPolicy(first_delay=-1), "first_delay"),
        (lambda: antiphon.ReconnectPolicy(max_delay="1"), "max_delay"),  # type: ignore[arg-type]
        (lambda: antiphon.ReconnectPolicy(rotate_after=0), "rotate_after"),
        (lambda: antiphon.ReconnectPolicy(rotate_latest=-1), "rotate_latest"),
        (lambda: antiphon.Options(max_in_flight=0), "max_in_flight"),
        (lambda: antiphon.Options(max_in_flight=1.5), "max_in_flight"),  # type: ignore[arg-type]
        (lambda: antiphon.Options(create_timeout=0), "create_timeout"),
        (lambda: antiphon.Options(stall_timeout=float("inf")), "stall_timeout"),
        (lambda: antiphon.Options(settle_timeout=float("nan")), "settle_timeout"),
        (lambda: antiphon.Options(request_timeout="10"), "request_timeout"),  # type: ignore[arg-type]
        (lambda: antiphon.Options(heard_timeout=True), "heard_timeout"),
        (lambda: antiphon.Options(kept_audio=-1), "kept_audio"),
        (lambda: antiphon.Options(remembered=0.5), "remembered"),  # type: ignore[arg-type]
        (lambda: antiphon.Options(busy_retries=-1), "busy_retries"),
        (lambda: antiphon.Options(echoes_metadata="no"), "echoes_metadata"),  # type: ignore[arg-type]
        (lambda: antiphon.Options(tolerances="supersedes"), "tolerances"),  # type: ignore[arg-type]
        (lambda: antiphon.Options(tolerances=frozenset({"x"})), "tolerances"),  # type: ignore[arg-type]
        (lambda: antiphon.Options.for_server("speaches", kept_audio=-1), "kept_audio"),
    ],
)
def test_of_settings(make: Callable[[], object], name: str) -> None:
    with pytest.raises(antiphon.LocalProtocolError, match=name):
        make()


def test_settings_at_their_limits() -> None:
    options = antiphon.Options(max_in_flight=1, kept_audio=0, remembered=0, busy_backoff=0)
    assert (options.max_in_flight, options.kept_audio) == (1, 0)
    assert antiphon.ReconnectPolicy(attempts=0, first_delay=0, rotate_after=None).attempts == 0


@virtual
async def test_max_pending_bytes_is_an_argument_of_connect() -> None:
    peer = Peer()
    async with await peer.connect(max_pending_bytes=10) as session:
        peer.line.waiting_bytes = 11
        with pytest.raises(antiphon.StreamOverflow, match="10 bytes"):
            session.append_audio(b"\0\0")


def test_the_default_model_is_one_that_will_still_be_there() -> None:
    assert antiphon.DEFAULT_MODEL == "gpt-realtime-2.1"
    assert resolve(api_key="k").url.endswith(f"?model={antiphon.DEFAULT_MODEL}")
    assert Behaviour().model == antiphon.DEFAULT_MODEL


# --- from now on ----------------------------------------------------------------------------------


@virtual
async def test_events_counts_from_the_call() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        events = session.events()
        peer.line.say({"type": "brand.new"}, {"type": "brand.newer"})
        assert [(await soon(anext(events))).type for _ in range(2)] == ["brand.new", "brand.newer"]


@virtual
async def test_responses_counts_from_the_call() -> None:
    connector = MemoryConnector(script=Script([say("Yes?", ms=200).always()]))
    async with antiphon.connect(url=URL, connector=connector) as session:
        replies = session.responses()
        session.append_audio(speech.user_voice(800) + bytes(48_000))
        await asyncio.sleep(3)  # it is made, spoken and over before anybody reads
        handle = await soon(anext(replies))
        assert handle.from_server and handle.done


@virtual
async def test_an_iterator_that_is_dropped_costs_nothing_more() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        events = session.events()
        assert len(session._callbacks._arrivals) == 1
        del events
        assert session._callbacks._arrivals == [] and session._callbacks.listeners == {}


# --- asked without awaiting -----------------------------------------------------------------------


@virtual
async def test_what_can_be_awaited_can_be_asked() -> None:
    peer = Peer()
    session = await peer.connect()
    handle, request = session.create_response(), session.clear_audio()

    def known() -> list[bool]:
        moments = (handle.created, handle.done, session.closed)
        return [bool(one) for one in moments] + [request.done]

    assert known() == [False, False, False, False]
    peer.line.created(peer.line.of("response.create")[0], id="resp_1")
    assert known() == [True, False, False, False]
    peer.line.say({"type": "input_audio_buffer.cleared"})
    assert known() == [True, False, False, True]
    receipt = session.interrupt()
    before = receipt.done
    peer.line.done("resp_1", "cancelled")
    assert known() == [True, True, False, True] and (before, receipt.done) == (False, True)
    await session.close()
    assert known() == [True, True, True, True]


@virtual
async def test_truncate_can_be_awaited_as_a_whole() -> None:
    connector = MemoryConnector(script=Script([say("One two three.", ms=3000)]))
    async with antiphon.connect(url=URL, connector=connector) as session:
        handle = session.create_response()
        await soon(handle.done)
        requests = session.truncate(handle, heard_ms=1000)
        before = requests.done
        await soon(requests)
        assert (len(requests), before, requests.done) == (1, False, True)
        await soon(session.truncate("item_unknown", heard_ms=1))


@virtual
async def test_all_refusals_of_a_truncate_are_heard_and_the_first_is_raised() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        reports: list[antiphon.Report] = []
        session.on("report", reports.append)
        handle = session.create_response()
        peer.line.created(peer.line.sent[-1], id="resp_1")
        for item in ("item_1", "item_2"):
            message: dict[str, Any] = {
                "id": item,
                "type": "message",
                "role": "assistant",
                "content": [],
            }
            peer.line.say(
                {
                    "type": "response.output_item.added",
                    "response_id": "resp_1",
                    "output_index": 0,
                    "item": message,
                },
                {
                    "type": "response.output_audio.delta",
                    "response_id": "resp_1",
                    "item_id": item,
                    "output_index": 0,
                    "content_index": 0,
                    "delta": "AAAA" * 16_000,
                },
            )
        peer.line.done("resp_1")
        requests = session.truncate(handle, heard_ms=10)
        assert len(requests) == 2
        waiting = asyncio.ensure_future(_wait(requests))
        await asyncio.sleep(0)
        for n, sent in reversed(list(enumerate(peer.line.of("conversation.item.truncate")))):
            error = {"message": f"no {n}", "event_id": sent["event_id"], "code": "nope"}
            peer.line.say({"type": "error", "error": error})
        with pytest.raises(antiphon.RequestError, match="no 0"):
            await soon(waiting)
        assert reports == [] and handle.outcome is not None


async def _wait(requests: antiphon.PendingRequests) -> None:
    await requests


@virtual
async def test_leaving_the_block_of_a_response_cancels_it() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        with pytest.raises(ZeroDivisionError):
            async with session.create_response() as reply:
                peer.line.created(peer.line.sent[-1], id="resp_1")
                raise ZeroDivisionError
        assert [one["response_id"] for one in peer.line.of("response.cancel")] == ["resp_1"]
        assert reply.audio.ended
        peer.line.done("resp_1", "cancelled")
        async with session.create_response() as reply:
            peer.line.created(peer.line.sent[-1], id="resp_2")
            peer.line.text("resp_2", "All of it.")
            peer.line.done("resp_2")
        assert len(peer.line.of("response.cancel")) == 1
        assert await soon(reply.text()) == "All of it."


@virtual
async def test_a_subscriber_can_leave_at_once() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        handle = session.create_response()
        peer.line.created(peer.line.sent[-1], id="resp_1")
        seen: list[str] = []

        def first(event: object) -> None:
            seen.append("first")
            leave()

        handle.subscribe(first)
        leave = handle.subscribe(lambda event: seen.append("second"))
        for _ in range(2):
            peer.line.text("resp_1", "la")
        assert seen == ["first", "first"]
        leave()


# --- one loop -------------------------------------------------------------------------------------


async def test_from_another_thread_everything_is_refused_and_nothing_half_done() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        handle = session.create_response()
        peer.line.created(peer.line.sent[-1], id="resp_1")
        before = list(peer.line.sent)
        calls: dict[str, Callable[[], object]] = {
            "interrupt": session.interrupt,
            "cancel": handle.cancel,
            "create_response": session.create_response,
            "append_audio": lambda: session.append_audio(b"\0\0"),
            "commit_audio": session.commit_audio,
            "clear_audio": session.clear_audio,
            "update": lambda: session.update({}),
            "send_text": lambda: session.send_text("Hello."),
            "send_raw": lambda: session.send_raw({"type": "x"}),
            "delete_item": lambda: session.delete_item("item_1"),
            "truncate": lambda: session.truncate("item_1", heard_ms=1),
            "on": lambda: session.on("turn", print),
            "events": session.events,
            "responses": session.responses,
            "subscribe": lambda: handle.subscribe(print),
            "close": lambda: asyncio.run(session.close()),
        }
        told: dict[str, str] = {}

        def elsewhere() -> None:
            for name, call in calls.items():
                try:
                    call()
                except antiphon.LocalProtocolError as error:
                    told[name] = str(error)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        while thread.is_alive():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        assert {name for name, said in told.items() if "call_soon_threadsafe" in said} == set(calls)
        assert peer.line.sent == before and not handle.audio.ended
        assert session._callbacks.listeners == {} and not session.closed.is_set()
        # As it says:
        loop = asyncio.get_running_loop()
        thread = threading.Thread(target=loop.call_soon_threadsafe, args=(session.interrupt,))
        thread.start()
        await soon(handle.created)
        while len(peer.line.sent) == len(before):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        assert peer.line.sent[-1]["type"] == "response.cancel"


# --- what an error says ---------------------------------------------------------------------------


@virtual
async def test_response_failed_has_the_servers_message() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        handle = session.create_response()
        peer.line.created(peer.line.sent[-1], id="resp_1")
        error = {"type": "server_error", "code": "oops", "message": "The model fell over."}
        peer.line.done("resp_1", "failed", status_details={"type": "failed", "error": error})
        with pytest.raises(antiphon.ResponseFailed, match="oops.*The model fell over"):
            await soon(handle.text())
