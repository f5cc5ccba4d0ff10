"""What a client event gets back, what an error looks like, and what a plain WebSocket has not."""

from typing import Any

import pytest

from antiphon.emulator import Behaviour, Pace, Script, say, text
from tests.helpers.emulated import Emulated, user_text

__all__: list[str] = []

INSTANT = Behaviour(pace=Pace.instant())
LONG = say("One two three four five six seven eight nine ten.", ms=4000)


def in_the_middle() -> tuple[Emulated, str]:
    """A long response of which some audio has come."""
    client = Emulated(Behaviour(straggler_deltas=0), Script([LONG.always()]))
    response_id = client.created_id()
    client.run(0.4)
    assert client.all("response.output_audio.delta")
    client.forget()
    return client, response_id


# --- creates and cancels --------------------------------------------------------------------------


def test_cancel_before_the_response_is_created_finds_nothing_and_stops_nothing() -> None:
    # P-12, P-13
    client = Emulated(Behaviour(created_latency_ms=300, pace=Pace.instant()), Script([text("Hi.")]))
    assert client.send("response.create") == []
    (reply,) = client.cancel()
    error = reply["error"]
    assert (error["type"], error["code"], error["message"], error["param"]) == (  # P-6
        "invalid_request_error",
        "response_cancel_not_active",
        "Cancellation failed: no active response found",
        None,
    )
    client.run(1.0)
    assert client.one("response.done")["response"]["status"] == "completed"


def test_create_is_answered_by_its_beginning_and_end_or_by_an_error_alone() -> None:
    # P-108
    client = Emulated(script=Script([LONG.always()]))
    response_id = client.created_id()
    client.run(10.0)
    about = client.kinds(of=response_id)
    assert (about[0], about[-1]) == ("response.created", "response.done")
    client.created_id()
    assert client.error("response.create")["type"] == "invalid_request_error"


def test_cancel_is_answered_by_the_end_of_the_response_or_by_an_error_alone() -> None:
    # P-109
    client, response_id = in_the_middle()
    assert client.cancel(response_id) == []
    client.run(1.0)
    assert client.done(response_id)["status"] == "cancelled"
    assert client.all("error") == []
    client.forget()
    (reply,) = client.cancel(response_id)
    assert reply["type"] == "error"


def test_partial_item_of_a_cancelled_response_is_done_in_the_conversation_too() -> None:
    # P-71: a guess, and a knob (`cancel_close_items`).
    client, response_id = in_the_middle()
    client.cancel(response_id)
    client.run(1.0)
    told = client.one("conversation.item.done")["item"]
    assert told["status"] == "incomplete"
    assert told["id"] == client.one("response.output_item.done")["item"]["id"]


# --- items ----------------------------------------------------------------------------------------


def test_item_may_be_referred_to_once_it_is_added() -> None:
    # P-34, P-113: of new items and of references, in any order.
    client = Emulated(INSTANT, Script())
    refer: dict[str, Any] = {"type": "item_reference", "id": "item_a"}
    params = {"conversation": "none", "input": [refer, user_text("Now.")]}
    refused = client.error("response.create", response=params)
    assert refused["param"] == "response.input[0].id"
    added, _ = client.send("conversation.item.create", item=user_text("Hello.", id="item_a"))
    assert added["type"] == "conversation.item.added"
    assert client.done(client.created_id(**params))["status"] == "completed"


def test_items_of_the_conversation_are_known_to_be_a_responses_by_their_id_alone() -> None:
    # P-125
    client = Emulated(INSTANT, Script([say("Hello.", ms=200)]))
    client.created_id()
    of_the_response = client.one("response.output_item.added")["item"]["id"]
    told = [client.one(f"conversation.item.{what}") for what in ("added", "done")]
    assert all("response_id" not in event for event in told)
    assert {event["item"]["id"] for event in told} == {of_the_response}


# --- errors ---------------------------------------------------------------------------------------


def test_every_error_has_the_same_form() -> None:
    # P-82, P-83
    client = Emulated()
    (event,) = client.send_raw({"type": "response.cancel", "event_id": "mine"})
    assert event.keys() == {"type", "event_id", "error"}
    assert event["error"].keys() == {"type", "code", "message", "param", "event_id"}
    assert event["error"]["event_id"] == "mine" != event["event_id"]


@pytest.mark.parametrize(
    ("kind", "fields", "code"),
    [
        ("response.create", {}, "conversation_already_has_active_response"),
        ("session.update", {"session": {"type": "realtime", "x": 1}}, "unknown_parameter"),
        ("conversation.item.retrieve", {"item_id": "no"}, "item_retrieve_invalid_item_id"),
    ],
)
def test_error_names_the_event_that_it_answers(kind: str, fields: Any, code: str) -> None:
    # P-84
    client, _ = in_the_middle()
    (event,) = client.send_raw({"type": kind, "event_id": "mine", **fields})
    assert (event["error"]["code"], event["error"]["event_id"]) == (code, "mine")


def test_error_names_nothing_where_there_is_nothing_to_name() -> None:
    # P-86
    (event,) = Emulated().send_raw({"type": "response.cancel"})
    assert event["error"]["event_id"] is None


@pytest.mark.parametrize("frame", [b"{", b"", b"[]", b'"response.create"', b"null", b"\xff"])
def test_frame_that_is_no_json_object_is_an_error_and_no_more(frame: bytes) -> None:
    # P-88: a guess, and a knob (`bad_json_reply`).
    client = Emulated(INSTANT, Script([text("Hi.")]))
    (event,) = client.send_raw(frame)
    assert (event["error"]["code"], event["error"]["event_id"]) == ("invalid_json", None)
    assert client.done(client.created_id())["status"] == "completed"


def test_every_event_of_the_servers_has_an_id_of_its_own() -> None:
    # P-81
    client, response_id = in_the_middle()
    client.cancel(response_id)
    client.error("response.nothing")
    client.run(10.0)
    ids = [event["event_id"] for event in client.events]
    assert all(ids) and len(set(ids)) == len(ids) > 5


# --- what a plain WebSocket has not ---------------------------------------------------------------


def test_the_output_buffer_is_for_calls_only() -> None:
    # P-110, P-320: whatever is made to sound, and whatever stops it.
    client, response_id = in_the_middle()
    assert client.error("output_audio_buffer.clear")["type"] == "invalid_request_error"
    client.cancel(response_id)
    client.run(1.0)
    client.created_id()
    client.run(20.0)
    assert len(client.all("response.done")) == 2
    assert [one for one in client.kinds() if one.startswith("output_audio_buffer")] == []
