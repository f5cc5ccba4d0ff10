"""The life of a response: order of events, parameters, context, usage (P-130 to P-168)."""

import pybase64
import pytest

from antiphon.emulator import (
    Behaviour,
    Pace,
    Script,
    answer,
    call,
    fail,
    incomplete,
    say,
    silence,
    stall,
    text,
)
from antiphon.emulator.audio import speech
from antiphon.emulator.engine.response import TRANSITIONS, Input, Phase
from tests.helpers.emulated import Emulated, Json, user_text

__all__: list[str] = []

INSTANT = Behaviour(pace=Pace.instant())


def collapsed(kinds: list[str]) -> list[str]:
    """Types in order, repeated deltas once."""
    return [kind for place, kind in enumerate(kinds) if kinds[place - 1 : place] != [kind]]


# P-132, P-134, P-135: recorded orders, the same on OpenAI and Azure


def test_order_of_an_audio_response() -> None:
    client = Emulated(INSTANT, Script([say("Hi.", ms=300)]))
    client.send("response.create")
    assert client.kinds() == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio.delta",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]


def test_order_of_a_text_response() -> None:
    client = Emulated(INSTANT, Script([say("Written words, quite a few.")]))
    client.create(output_modalities=["text"])
    assert collapsed(client.kinds()) == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]
    deltas = "".join(event["delta"] for event in client.all("response.output_text.delta"))
    assert deltas == client.one("response.output_text.done")["text"]
    assert deltas == "Written words, quite a few."


def test_order_of_a_function_call() -> None:
    client = Emulated(INSTANT, Script([call("lookup", {"city": "Oslo"})]))
    client.send("response.create")
    assert collapsed(client.kinds()) == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]
    added = client.one("response.output_item.added")["item"]
    assert (added["arguments"], added["status"]) == ("", "in_progress")
    done = client.one("response.function_call_arguments.done")
    assert (done["name"], done["arguments"]) == ("lookup", '{"city": "Oslo"}')
    assert done["call_id"] == added["call_id"]
    assert len(done["call_id"]) == len("call_") + 16


def test_second_item_begins_before_the_first_is_done() -> None:
    # P-138, R-16
    client = Emulated(INSTANT, Script([answer(say("One.", ms=200), say("Two.", ms=200))]))
    only = client.created_id()
    places = [
        (event["type"].rpartition(".")[2], event["output_index"])
        for event in client.events
        if event["type"].startswith("response.output_item.")
    ]
    assert places == [("added", 0), ("added", 1), ("done", 0), ("done", 1)]
    assert speech.spans(client.audio(only)) == [speech.Span(speech.tag_of(only), 0, 400)]


def test_transcript_runs_ahead_of_the_audio() -> None:
    # P-133
    words = "one two three four five six seven eight nine ten"
    client = Emulated(INSTANT, Script([say(words, ms=1000)]))
    only = client.created_id()
    told, heard_ms = 0, 0
    for event in client.of(only):
        if event["type"] == "response.output_audio_transcript.delta":
            told += len(event["delta"])
        elif event["type"] == "response.output_audio.delta":
            heard_ms += 100
            assert told / len(words) >= heard_ms / 1000
    assert told == len(words)


def test_part_type_keeps_the_old_name() -> None:
    # P-129
    client = Emulated(INSTANT, Script([say("Hi."), text("Hi.")]))
    client.send("response.create")
    client.send("response.create")
    parts = [event["part"]["type"] for event in client.all("response.content_part.done")]
    assert parts == ["audio", "text"]
    items = [
        event["item"]["content"][0]["type"] for event in client.all("response.output_item.done")
    ]
    assert items == ["output_audio", "output_text"]


def test_every_sub_event_says_where_it_belongs() -> None:
    # P-124
    client = Emulated(INSTANT, Script([answer(say("Hi."), call("f", {}))]))
    only = client.created_id()
    subs = [e for e in client.of(only) if e["type"] not in ("response.created", "response.done")]
    assert subs
    for event in subs:
        assert event["response_id"] == only
        assert event["output_index"] in (0, 1)
        assert "item_id" in event or "item" in event


def test_responses_run_side_by_side_each_with_its_own_audio() -> None:
    # P-35, R-7
    client = Emulated(script=Script([say("Words of mine.", ms=2000).always()]))
    ids = [client.created_id(), *(client.out_of_band() for _ in range(7))]
    client.run(5)
    for one in ids:
        assert client.done(one)["status"] == "completed"
        assert speech.spans(client.audio(one)) == [speech.Span(speech.tag_of(one), 0, 2000)]
    order = [event["response_id"] for event in client.all("response.output_audio.delta")]
    assert order[:16] == ids * 2


def test_lane_is_free_when_done_is_on_the_wire() -> None:
    # P-47
    client = Emulated(INSTANT, Script([say("Hi.").always()]))
    assert len({client.created_id() for _ in range(5)}) == 5


# Parameters


def test_metadata_and_lane_are_in_created_and_done() -> None:
    # P-36, P-37
    client = Emulated(INSTANT, Script([say("Hi.")]))
    only = client.out_of_band(metadata={"purpose": "mood"})
    created = client.one("response.created")["response"]
    assert (created["metadata"], created["conversation_id"]) == ({"purpose": "mood"}, None)
    assert (created["status"], created["usage"], created["output"]) == ("in_progress", None, [])
    assert client.done(only)["metadata"] == {"purpose": "mood"}


def test_response_overrides_the_session_for_itself_only() -> None:
    # P-111
    client = Emulated(INSTANT, Script([say("Hi.", ms=200).always()]))
    own = {"output": {"format": {"type": "audio/pcmu"}, "voice": "cedar"}}
    client.create(audio=own, max_output_tokens=50)
    first = client.one("response.created")["response"]
    assert first["audio"]["output"] == {"format": {"type": "audio/pcmu"}, "voice": "cedar"}
    assert first["max_output_tokens"] == 50
    client.forget()
    client.create()
    second = client.one("response.created")["response"]
    assert second["audio"]["output"]["voice"] == "marin"
    assert second["max_output_tokens"] == "inf"


@pytest.mark.parametrize("name", ["audio/pcmu", "audio/pcma"])
def test_g711_output_carries_its_marks(name: str) -> None:
    from antiphon.emulator.audio.formats import audio_format

    client = Emulated(INSTANT, Script([say("Hi.", ms=430)]))
    only = client.created_id(audio={"output": {"format": {"type": name}}})
    data = client.audio(only)
    assert len(data) == 430 * 8
    assert speech.spans(data, audio_format({"type": name})) == [
        speech.Span(speech.tag_of(only), 0, 430)
    ]


@pytest.mark.parametrize(
    ("params", "code", "param"),
    [
        ({"output_modalities": ["audio", "text"]}, "invalid_value", "response.output_modalities"),
        ({"output_modalities": []}, "invalid_value", "response.output_modalities"),
        ({"output_modalities": ["song"]}, "invalid_value", "response.output_modalities[0]"),
        ({"max_output_tokens": 0}, "integer_below_min_value", "response.max_output_tokens"),
        ({"max_output_tokens": 4097}, "integer_above_max_value", "response.max_output_tokens"),
        ({"max_output_tokens": "all"}, "invalid_value", "response.max_output_tokens"),
        ({"conversation": "other"}, "invalid_value", "response.conversation"),
        ({"metadata": {"k": "v" * 513}}, "string_above_max_length", "response.metadata.k"),
        ({"metadata": {"k" * 65: "v"}}, "string_above_max_length", "response.metadata"),
        (
            {"metadata": {str(n): "v" for n in range(17)}},
            "object_above_max_properties",
            "response.metadata",
        ),
        ({"metadata": {"k": 1}}, "invalid_type", "response.metadata.k"),
        ({"temperature": 0.8}, "unknown_parameter", "response.temperature"),
        ({"input": [{"type": "song"}]}, "invalid_value", "response.input[0].type"),
        (
            {"input": [{"type": "item_reference", "id": "item_no"}]},
            "item_reference_invalid_item_id",
            "response.input[0].id",
        ),
        (
            {"tools": [{"type": "function", "name": "f", "description": "d" * 1025}]},
            "string_above_max_length",
            "response.tools[0].description",
        ),
    ],
)
def test_bad_parameters_are_refused(params: dict[str, object], code: str, param: str) -> None:
    client = Emulated()
    error = client.error("response.create", response=params)
    assert (error["code"], error["param"]) == (code, param)
    assert error["event_id"] == "c1"
    client.run(5)
    assert client.all("response.created") == []  # P-51


def test_metadata_at_its_limits_is_fine() -> None:
    # P-112
    client = Emulated()
    metadata = {f"{n:064}": "v" * 512 for n in range(16)}
    assert client.create(metadata=metadata)["response"]["metadata"] == metadata


def test_null_parameters_mean_the_session() -> None:
    client = Emulated()
    names = ("instructions", "metadata", "tools", "tool_choice", "audio", "output_modalities")
    created = client.create(**dict.fromkeys(names))["response"]
    assert created["output_modalities"] == ["audio"]
    assert created["metadata"] is None


# Context


def test_input_replaces_the_conversation() -> None:
    # P-32
    client = Emulated(INSTANT, Script())
    client.send("conversation.item.create", item=user_text("In the conversation.", id="item_a"))
    own = client.out_of_band(input=[user_text("On the side.")], output_modalities=["text"])
    reference = [{"type": "item_reference", "id": "item_a"}]
    referring = client.out_of_band(input=reference, output_modalities=["text"])
    empty = client.out_of_band(input=[], output_modalities=["text"])
    default = client.out_of_band(output_modalities=["text"])
    texts = [
        client.done(one)["output"][0]["content"][0]["text"]
        for one in (own, referring, empty, default)
    ]
    assert texts == [
        "You said: On the side.",
        "You said: In the conversation.",
        "Hello. What can I do for you?",
        "You said: In the conversation.",
    ]
    assert client.engine.item_ids == ["item_a"]


def test_assistant_message_in_input_is_not_spoken() -> None:
    # P-52
    client = Emulated(INSTANT, Script())
    spoken = {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Say this aloud."}],
    }
    only = client.out_of_band(input=[spoken])
    assert "aloud" not in client.done(only)["output"][0]["content"][0]["transcript"]


def test_tool_output_is_answered() -> None:
    client = Emulated(INSTANT, Script([call("lookup", {}, call_id="call_1")]))
    client.send("response.create")
    output = {"type": "function_call_output", "call_id": "call_1", "output": "in Norway"}
    client.send("conversation.item.create", item=output)
    only = client.created_id()
    assert "in Norway" in client.done(only)["output"][0]["content"][0]["transcript"]


# Endings


def test_incomplete_says_why() -> None:
    # P-163
    client = Emulated(INSTANT, Script([incomplete("content_filter", after=say("You should"))]))
    response = client.done(client.created_id())
    assert response["status"] == "incomplete"
    assert response["status_details"] == {"type": "incomplete", "reason": "content_filter"}
    assert response["output"][0]["status"] == "incomplete"


def test_token_limit_ends_a_response() -> None:
    client = Emulated(INSTANT, Script([say("A very long story.", ms=60_000)]))
    response = client.done(client.created_id(max_output_tokens=40))
    assert response["status"] == "incomplete"
    assert response["status_details"]["reason"] == "max_output_tokens"
    assert 40 <= response["usage"]["output_tokens"] <= 43


def test_failure_keeps_what_was_said() -> None:
    # P-164, P-165
    client = Emulated(INSTANT, Script([fail("insufficient_quota", after=say("I was"))]))
    response = client.done(client.created_id())
    assert response["status"] == "failed"
    assert response["status_details"]["error"]["code"] == "insufficient_quota"
    assert response["output"][0]["content"][0]["transcript"] == "I was"


def test_completed_has_no_details() -> None:
    # P-161
    client = Emulated(INSTANT, Script([silence()]))
    response = client.done(client.created_id())
    assert (response["status"], response["status_details"]) == ("completed", None)
    assert response["output"] == []


def test_stalled_response_never_ends_but_can_be_cancelled() -> None:
    # R-27
    client = Emulated(script=Script([stall(after=say("Er"))]))
    only = client.created_id()
    client.run(600)
    assert client.all("response.done") == []
    client.cancel(only)
    client.run(1)
    assert client.done(only)["status"] == "cancelled"


# Usage


def test_usage_adds_up() -> None:
    # P-167
    client = Emulated(INSTANT, Script([answer(say("Hello there.", ms=1000), call("f", {"a": 1}))]))
    client.send("conversation.item.create", item=user_text("A question of some length."))
    usage = client.done(client.created_id())["usage"]
    given, spent = usage["input_token_details"], usage["output_token_details"]
    assert given["text_tokens"] > 7
    assert spent["audio_tokens"] == 20
    assert spent["text_tokens"] > 0
    assert usage["input_tokens"] == sum(
        given[f"{kind}_tokens"] for kind in ("text", "audio", "image")
    )
    assert usage["output_tokens"] == spent["text_tokens"] + spent["audio_tokens"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def details(client: Emulated, **params: object) -> Json:
    found: Json = client.done(client.created_id(**params))["usage"]["input_token_details"]
    return found


def test_audio_in_the_input_of_a_response_has_tokens() -> None:
    client = Emulated(INSTANT)
    part = {"type": "input_audio", "audio": pybase64.b64encode_as_string(bytes(48 * 10_000))}
    item = {"type": "message", "role": "user", "content": [part]}
    assert details(client, conversation="none", input=[item])["audio_tokens"] == 100
    part = {**part, "audio": "no base64!"}
    error = client.error("response.create", response={"input": [{**item, "content": [part]}]})
    assert error["param"] == "audio"


def test_cached_tokens_grow_with_what_was_given_before() -> None:
    # P-477
    client = Emulated(INSTANT, Script([say("Hi.", ms=2000).always()]))
    client.configure(instructions="word " * 400)
    seen = []
    for _ in range(3):
        client.send("conversation.item.create", item=user_text("Say hello. " * 20))
        seen.append(details(client))
    text = [one["text_tokens"] for one in seen]
    cached = [one["cached_tokens"] for one in seen]
    assert cached[0] == 0
    assert cached[1] == text[0] // 64 * 64
    assert cached[2] == text[1] // 64 * 64
    assert all(one["cached_tokens"] == sum(one["cached_tokens_details"].values()) for one in seen)


def test_other_instructions_or_an_input_of_its_own_are_not_cached() -> None:
    # P-477
    client = Emulated(INSTANT, Script([say("Hi.").always()]))
    client.configure(instructions="word " * 400)
    details(client)
    assert details(client)["cached_tokens"] > 0
    assert details(client, conversation="none", input=[user_text("Hi.")])["cached_tokens"] == 0
    assert details(client, instructions="other " * 400)["cached_tokens"] == 0


def test_usage_of_the_next_response_counts_the_last() -> None:
    client = Emulated(INSTANT, Script([say("Hello there.", ms=1000).always()]))
    first, second = (client.done(client.created_id())["usage"] for _ in range(2))
    assert first["input_token_details"]["audio_tokens"] == 0
    assert second["input_token_details"]["audio_tokens"] == 20


# The table


def test_table_knows_every_phase_and_nothing_leaves_done() -> None:
    assert {phase for phase, _ in TRANSITIONS} == set(Phase) - {Phase.DONE}
    assert {what for _, what in TRANSITIONS} == set(Input)


def test_every_phase_but_done_can_reach_done() -> None:
    reach: dict[Phase, set[Phase]] = {phase: {phase} for phase in Phase}
    for _ in Phase:
        for (source, _), target in TRANSITIONS.items():
            reach[source] |= reach[target]
    assert all(Phase.DONE in targets for targets in reach.values())
