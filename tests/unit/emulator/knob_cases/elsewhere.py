"""Cases of the knobs that only mocks, proxies and reimplementations of the API need."""

from antiphon.emulator import Abort, Behaviour, CloseConnection, Faults, Script, on, say
from antiphon.emulator.engine.faults import Rule
from tests.helpers.emulated import Emulated, Json, user_text
from tests.unit.emulator.knob_cases.registry import LONG, shows, story

__all__: list[str] = []


# Cancels


@shows("cancel_target", "nothing")
def every_cancel_is_answered_and_stops_nothing(behaviour: Behaviour) -> None:
    client = story(behaviour)
    only = client.created_id()
    for response_id in (only, None, "resp_unknown"):
        (reply,) = client.cancel(response_id)
        assert reply["type"] == "response.cancelled"
    client.run(10)
    assert client.done(only)["status"] == "completed"


# Reading


@shows("reads_while_responding", True)
def a_cancel_is_read_while_it_speaks(behaviour: Behaviour) -> None:
    client = story(behaviour)
    only = client.created_id()
    client.run(0.1)
    client.cancel(only)
    client.run(0.1)
    assert client.done(only)["status"] == "cancelled"


@shows("reads_while_responding", False)
def what_comes_while_it_speaks_is_read_afterwards_in_order(behaviour: Behaviour) -> None:
    client = Emulated(behaviour, Script([LONG, say("Second.", ms=100)]))
    first = client.created_id()
    client.run(0.1)
    assert client.cancel(first) == []
    assert client.send("conversation.item.create", item=user_text("Hi.", id="item_a")) == []
    assert client.send("response.create") == []
    assert client.send("session.update", session={"type": "realtime"}) == []
    client.run(5)
    kinds = [kind for kind in client.kinds() if not kind.startswith("response.output")]
    after = kinds[kinds.index("response.done") + 1 :]
    assert client.done(first)["status"] == "completed"
    assert after == [
        "rate_limits.updated",
        "error",  # the cancel finds nothing any more
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        "conversation.item.added",
        "response.content_part.added",
        "response.content_part.done",
        "conversation.item.done",
        "response.done",
        "rate_limits.updated",
        "session.updated",  # it came behind the second create
    ]


# Errors


@shows("error_code_place", "code")
def code_stands_in_code(behaviour: Behaviour) -> None:
    error = Emulated(behaviour).error("response.cancel")
    assert error["type"] == "invalid_request_error"
    assert error["code"] == "response_cancel_not_active"


@shows("error_code_place", "type")
def code_stands_in_type_for_every_error(behaviour: Behaviour) -> None:
    client = story(behaviour)
    client.created_id()
    for kind, fields, code in (
        ("response.create", {}, "conversation_already_has_active_response"),
        ("conversation.item.delete", {"item_id": "no"}, "item_delete_invalid_item_id"),
        ("scooby.dooby.doo", {}, "invalid_value"),
    ):
        error = client.error(kind, **fields)
        assert (error["type"], error["code"]) == (code, None)


@shows("bad_json_reply", "close_1011")
def bad_json_closes_as_a_crash_does(behaviour: Behaviour) -> None:
    client = Emulated(behaviour)
    assert client.send_raw(b"{") == []
    (effect,) = client.ended
    assert isinstance(effect, CloseConnection)
    assert effect.code == 1011


@shows("bad_json_reply", "cut")
def bad_json_cuts_the_connection(behaviour: Behaviour) -> None:
    client = Emulated(behaviour)
    assert client.send_raw(b"{") == []
    assert client.ended == [Abort()]
    assert client.engine.closed


@shows("unsupported_events", frozenset())
def every_event_of_the_schema_is_known(behaviour: Behaviour) -> None:
    (reply,) = Emulated(behaviour).send("input_audio_buffer.clear")
    assert reply["type"] == "input_audio_buffer.cleared"


@shows("unsupported_events", frozenset({"input_audio_buffer.clear"}))
def listed_event_counts_as_unknown(behaviour: Behaviour) -> None:
    error = Emulated(behaviour).error("input_audio_buffer.clear")
    assert (error["code"], error["param"]) == ("invalid_value", "type")
    assert Emulated(behaviour.but(unknown_event="ignore")).send("input_audio_buffer.clear") == []


STRANGE: Json = {
    "type": "realtime",
    "temperature": 0.7,
    "instructions": "Be brief.",
    "audio": {"output": {"voice": "cedar", "pitch": 3}},
}


@shows("unknown_field", "error")
def unknown_field_refuses_the_event(behaviour: Behaviour) -> None:
    error = Emulated(behaviour).error("session.update", session=STRANGE)
    assert (error["code"], error["param"]) == ("unknown_parameter", "session.temperature")


@shows("unknown_field", "ignore")
def unknown_fields_are_passed_over_in_silence(behaviour: Behaviour) -> None:
    client = Emulated(behaviour)
    (reply,) = client.send("session.update", session=STRANGE)
    session = reply["session"]
    assert (session["instructions"], session["audio"]["output"]["voice"]) == ("Be brief.", "cedar")
    assert "temperature" not in session
    assert "pitch" not in session["audio"]["output"]
    # What the client sent is kept as it was sent, and what is wrong otherwise is still refused.
    assert client.engine.received_of("session.update")[0]["session"] == STRANGE
    wrong = {"type": "realtime", "temperature": 0.7, "instructions": 7}
    assert client.error("session.update", session=wrong)["code"] == "invalid_type"


@shows("unknown_field", "ignore")
def a_flood_of_unknown_fields_is_refused(behaviour: Behaviour) -> None:
    flood = {"type": "realtime", **{f"field_{number}": 1 for number in range(1000)}}
    error = Emulated(behaviour).error("session.update", session=flood)
    assert error["code"] == "unknown_parameter"


# Items


def announced(behaviour: Behaviour) -> list[list[str]]:
    """What tells of an item of the client's, and of one of the server's own."""
    client = Emulated(behaviour, Script([say("Hi.", ms=100)]))
    own = client.send("conversation.item.create", item=user_text("Hello."))
    client.created_id()
    spoken = client.run(1)
    assert [item["id"] for item in client.one("response.done")["response"]["output"]]
    return [
        [event["type"] for event in events if event["type"].startswith("conversation.item.")]
        for events in (own, spoken)
    ]


@shows("items_announced", "added")
def every_item_is_added_and_done(behaviour: Behaviour) -> None:
    both = ["conversation.item.added", "conversation.item.done"]
    assert announced(behaviour) == [both, both]


@shows("items_announced", "created")
def only_items_of_the_client_are_announced_and_only_as_created(behaviour: Behaviour) -> None:
    assert announced(behaviour) == [["conversation.item.created"], []]


@shows("items_announced", "halves")
def each_kind_of_item_gets_one_half(behaviour: Behaviour) -> None:
    assert announced(behaviour) == [["conversation.item.added"], ["conversation.item.done"]]


# How it ends


def ended(behaviour: Behaviour, rule: Rule) -> tuple[list[Json], list[object]]:
    client = Emulated(behaviour, faults=Faults(rule))
    client.send("response.create")
    return client.all("error"), list(client.ended)


@shows("behind_proxy", False)
def the_end_comes_as_the_server_made_it(behaviour: Behaviour) -> None:
    assert ended(behaviour, on("response.created").abort()) == ([], [Abort()])
    close = CloseConnection(1001, "restart")
    assert ended(behaviour, on("response.created").close(1001, "restart")) == ([], [close])


@shows("behind_proxy", True)
def a_proxy_tells_of_the_end_in_its_own_way(behaviour: Behaviour) -> None:
    (error,), effects = ended(behaviour, on("response.created").abort())
    assert sorted(error) == ["error", "type"]
    assert error["error"]["type"] == "server_error"
    assert isinstance(effects[0], CloseConnection)
    assert effects[0].code == 1011
    (told,), effects = ended(behaviour, on("response.created").close(1001, "restart"))
    assert told["error"]["message"] == "restart"
    assert effects == [CloseConnection(1001, "restart")]
    assert ended(behaviour, on("response.created").close(1000, "bye")) == (
        [],
        [CloseConnection(1000, "bye")],
    )
