"""Functions that the model calls: described, checked, run side by side, answered, cancelled."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest

import antiphon
from antiphon import FunctionCall, LocalProtocolError, ToolError, Tools
from antiphon.emulator import Behaviour, MemoryConnector, Pace, Script, answer, call, say, text
from antiphon.emulator.knobs.choices import MultiItemDoneOrder
from tests.client.peer import soon, virtual

__all__: list[str] = []


class Desk:
    """Two functions that wait until they are let go, and tell what became of them."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.stopped: list[str] = []
        self.both = asyncio.Event()
        self.go = asyncio.Event()

    async def look(self, order: int) -> dict[str, Any]:
        """Look an order up."""
        await self._work(f"look {order}")
        return {"day": "Tuesday"}

    async def price(self, order: int) -> str:
        """Tell the price."""
        await self._work(f"price {order}")
        return "12 euros"

    async def _work(self, what: str) -> None:
        self.started.append(what)
        if len(self.started) == 2:
            self.both.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.stopped.append(what)
            raise


TWO_CALLS = answer(
    call("look", {"order": 7}, call_id="call_look"),
    call("price", {"order": 7}, call_id="call_price"),
)


def connector(*steps: Any, **knobs: Any) -> MemoryConnector:
    return MemoryConnector(Behaviour(**knobs), Script(steps))


def connecting(wire: MemoryConnector) -> Any:
    return antiphon.connect(url="ws://localhost/v1/realtime", connector=wire)


def outputs(session: antiphon.Session) -> dict[str | None, str | None]:
    return {
        item.call_id or None: item.output or None
        for item in session.items
        if item.type == "function_call_output"
    }


# --- what the model is told of a function --------------------------------------------------------


def test_the_schema_comes_from_the_hints() -> None:
    tools = Tools()

    @tools.function
    def book(
        day: Annotated[str, "as 2026-12-24"], seats: int = 2, where: Literal["in", "out"] = "in"
    ) -> str:
        """Book a table.

        Not for the model.
        """
        return ""

    assert tools.schemas == [
        {
            "type": "function",
            "name": "book",
            "description": "Book a table.",
            "parameters": {
                "type": "object",
                "properties": {
                    "day": {"type": "string", "description": "as 2026-12-24"},
                    "seats": {"type": "integer", "default": 2},
                    "where": {"enum": ["in", "out"], "default": "in"},
                },
                "required": ["day"],
                "additionalProperties": False,
            },
        }
    ]


@dataclass
class Place:
    city: str


def test_types_of_your_own_are_described_where_they_are_used() -> None:
    def weather(place: Place) -> None: ...

    (schema,) = Tools(weather).schemas
    assert schema["parameters"]["properties"]["place"] == {"$ref": "#/$defs/Place"}
    assert schema["parameters"]["$defs"]["Place"]["required"] == ["city"]


def test_name_and_description_may_be_given() -> None:
    tools = Tools()

    @tools.function(name="get_time", description="Tell the time.")
    def now() -> str:
        return "noon"

    assert (tools.schemas[0]["name"], tools.schemas[0]["description"]) == (
        "get_time",
        "Tell the time.",
    )


def _no_hint(x) -> None: ...  # type: ignore[no-untyped-def]
def _stars(*x: int) -> None: ...
def _positional(x: int, /) -> None: ...
def _no_json(x: asyncio.Future[int]) -> None: ...


@pytest.mark.parametrize("function", [_no_hint, _stars, _positional, _no_json])
def test_what_cannot_be_described_is_refused_by_name(function: Any) -> None:
    with pytest.raises(LocalProtocolError, match=function.__name__):
        Tools(function)


def test_a_name_is_taken_once() -> None:
    def twice() -> None: ...

    with pytest.raises(LocalProtocolError, match="already"):
        Tools(twice, twice)


# --- one call -------------------------------------------------------------------------------------


async def secret(order: int) -> str:
    raise RuntimeError("password 1234")


async def told(order: int) -> str:
    raise ToolError("the shop is closed")


async def slow(order: int) -> str:
    await asyncio.Event().wait()
    return ""


def plain(order: int, place: Place | None = None) -> list[int]:
    return [order]


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("plain", '{"order": 3}', "[3]"),
        ("plain", '{"order": 3, "place": {"city": "Oslo"}}', "[3]"),
        ("plain", '{"order": "3"}', "error: Expected `int`, got `str` - at `$.order`"),
        ("plain", "", "error: Object missing required field `order`"),
        ("plain", '{"order', "error: Input data was truncated"),
        ("plain", '{"order": 3, "colour": 1}', "error: Object contains unknown field `colour`"),
        ("plane", "{}", "error: there is no function 'plane'; there are ['plain', 'secret']"),
        ("secret", '{"order": 3}', "error: secret failed (RuntimeError)"),
    ],
)  # fmt: skip
@virtual
async def test_whatever_happens_the_model_is_told(name: str, arguments: str, said: str) -> None:
    tools = Tools(plain, secret)
    assert await tools.run(FunctionCall("call_1", name, arguments)) == said


@virtual
async def test_a_function_may_tell_the_model_why_not() -> None:
    said = await Tools(told).run(FunctionCall("call_1", "told", '{"order": 3}'))
    assert said == "error: the shop is closed"


@virtual
async def test_a_function_that_takes_too_long_is_stopped_and_the_model_told() -> None:
    said = await soon(Tools(slow, timeout=2.0).run(FunctionCall("call_1", "slow", '{"order": 3}')))
    assert said == "error: slow did not finish in time"


# --- the loop -------------------------------------------------------------------------------------


@virtual
async def test_calls_run_side_by_side_and_the_next_reply_knows_both() -> None:
    desk = Desk()
    tools = Tools(desk.look, desk.price)
    async with connecting(connector(TWO_CALLS, text("On Tuesday, for 12 euros."))) as session:
        words: list[str] = []
        async for reply in tools.follow(session, session.create_response()):
            if not words:
                await soon(desk.both.wait())
                desk.go.set()
            words.append(await soon(reply.text()))
        assert words == ["", "On Tuesday, for 12 euros."]
        assert outputs(session) == {"call_look": '{"day":"Tuesday"}', "call_price": "12 euros"}


@virtual
async def test_a_reply_that_calls_nothing_is_followed_by_nothing() -> None:
    async with connecting(connector(text("Hello."))) as session:
        replies = [one async for one in Tools().follow(session, session.create_response())]
        assert len(replies) == 1


@virtual
async def test_calls_are_cancelled_with_their_response_and_nothing_follows() -> None:
    # A call is handed out while its response goes on speaking, and is then interrupted.
    desk = Desk()
    desk.started.append("only one call here")
    steps = answer(call("look", {"order": 7}, call_id="call_look"), say("One moment.", ms=60_000))
    wire = connector(
        steps,
        text("not to be said"),
        pace=Pace.real_time(),
        multi_item_done_order=MultiItemDoneOrder.ITEM_BY_ITEM,
    )
    async with connecting(wire) as session, Tools(desk.look).serve(session):
        reply = session.create_response()
        await soon(desk.both.wait())
        receipt = await soon(session.interrupt())
        assert [str(one.outcome) for one in receipt.entries] == ["cancelled (client_cancelled)"]
        told = asyncio.Event()
        session.on("conversation.item.added", lambda _: told.set())
        await soon(told.wait())
        assert desk.stopped == ["look 7"]
        assert outputs(session) == {
            "call_look": "cancelled: the user interrupted, and the function was stopped"
        }
        assert session.in_flight == ()
        assert reply.outcome is not None


@virtual
async def test_serving_answers_whoever_made_the_response() -> None:
    desk = Desk()
    desk.go.set()
    wire = connector(TWO_CALLS, text("On Tuesday."))
    async with connecting(wire) as session, Tools(desk.look, desk.price).serve(session):
        opened: asyncio.Queue[antiphon.ResponseHandle] = asyncio.Queue()
        session.on("opened", opened.put_nowait)
        session.send_raw({"type": "response.create"})  # not through us, as by turn detection
        assert (await soon(opened.get())).from_server
        assert await soon((await soon(opened.get())).text()) == "On Tuesday."


@virtual
async def test_leaving_stops_what_runs() -> None:
    desk = Desk()
    async with connecting(connector(TWO_CALLS)) as session:
        async with Tools(desk.look, desk.price).serve(session):
            session.create_response()
            await soon(desk.both.wait())
        assert sorted(desk.stopped) == ["look 7", "price 7"]


@virtual
async def test_an_out_of_band_response_is_left_to_its_caller() -> None:
    async with connecting(connector(text("yes"))) as session:
        verdict = session.create_response(conversation="none")
        with pytest.raises(LocalProtocolError, match="out-of-band"):
            await anext(aiter(Tools().follow(session, verdict)))


@virtual
async def test_a_lost_connection_ends_the_loop() -> None:
    desk = Desk()
    wire = connector(TWO_CALLS)
    async with connecting(wire) as session:
        following = Tools(desk.look, desk.price).follow(session, session.create_response())
        await anext(following)
        await soon(desk.both.wait())
        await session.close()
        desk.go.set()
        assert [one async for one in following] == []
