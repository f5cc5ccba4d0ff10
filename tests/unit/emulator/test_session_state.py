"""The session's configuration: defaults, updates, refusals (P-250 to P-258)."""

import copy

import pytest

from antiphon.emulator import Behaviour, Pace, Script, say
from antiphon.emulator.engine.engine import DEFAULT_EPOCH
from antiphon.emulator.state.session import DEFAULT_INSTRUCTIONS
from tests.helpers.emulated import Emulated, Json

__all__: list[str] = []


def session(client: Emulated) -> Json:
    return client.configure()


def test_session_created_is_the_first_event_with_everything_in_it() -> None:
    client = Emulated(keep_hello=True)
    assert client.kinds() == ["session.created"]
    hello = client.events[0]["session"]
    assert hello["id"].startswith("sess_")
    assert hello["expires_at"] == DEFAULT_EPOCH + 3600  # P-258
    detection = hello["audio"]["input"]["turn_detection"]
    assert (detection["type"], detection["threshold"]) == ("server_vad", 0.5)
    assert detection["prefix_padding_ms"] == 300
    assert detection["create_response"] is detection["interrupt_response"] is True


def test_left_out_fields_keep_their_value() -> None:
    # P-252
    client = Emulated()
    client.configure(instructions="Be brief.", tool_choice="none")
    after = client.configure(audio={"output": {"voice": "cedar"}})
    assert (after["instructions"], after["tool_choice"]) == ("Be brief.", "none")
    assert after["audio"]["output"]["voice"] == "cedar"
    assert after["audio"]["output"]["speed"] == 1.0
    assert after["audio"]["input"]["turn_detection"]["type"] == "server_vad"


def test_empty_instructions_bring_the_default_back() -> None:
    # P-252
    client = Emulated()
    client.configure(instructions="Be brief.")
    assert client.configure(instructions="")["instructions"] == DEFAULT_INSTRUCTIONS


def test_turn_detection_is_filled_up_with_defaults() -> None:
    client = Emulated()
    heard = client.configure(audio={"input": {"turn_detection": {"type": "semantic_vad"}}})
    assert heard["audio"]["input"]["turn_detection"] == {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": True,
        "interrupt_response": True,
    }
    off = client.configure(audio={"input": {"turn_detection": None}})
    assert off["audio"]["input"]["turn_detection"] is None


def test_update_is_all_or_nothing() -> None:
    # P-251, R-21
    client = Emulated()
    before = copy.deepcopy(session(client))
    tool = {"type": "function", "name": "f", "meta": 1}
    update = {"type": "realtime", "instructions": "New.", "tools": [tool]}
    assert client.error("session.update", session=update)["code"] == "unknown_parameter"
    assert session(client) == before


def test_what_the_client_sent_is_not_shared_with_it() -> None:
    client = Emulated()
    first = client.configure(tools=[{"type": "function", "name": "f"}])
    first["tools"].append("changed")
    assert session(client)["tools"] == [{"type": "function", "name": "f"}]


@pytest.mark.parametrize(
    ("update", "code", "param"),
    [
        ({}, "missing_required_parameter", "session.type"),  # P-253
        ({"tools": []}, "missing_required_parameter", "session.type"),
        ({"type": "beta"}, "invalid_value", "session.type"),
        ({"type": "realtime", "voice": "cedar"}, "unknown_parameter", "session.voice"),
        (
            {
                "type": "realtime",
                "tools": [
                    {"type": "function", "name": "f"},
                    {"type": "function", "name": "f", "meta": 1},
                ],
            },
            "unknown_parameter",
            "session.tools[1].meta",
        ),  # P-89
        (
            {
                "type": "realtime",
                "tools": [{"type": "function", "name": "f", "description": "x" * 2473}],
            },
            "string_above_max_length",
            "session.tools[0].description",
        ),  # P-90
        (
            {
                "type": "realtime",
                "audio": {
                    "input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 4999}}
                },
            },
            "integer_below_min_value",
            "session.audio.input.turn_detection.idle_timeout_ms",
        ),  # P-182
        (
            {
                "type": "realtime",
                "audio": {
                    "input": {"turn_detection": {"type": "semantic_vad", "idle_timeout_ms": 6000}}
                },
            },
            "unknown_parameter",
            "session.audio.input.turn_detection.idle_timeout_ms",
        ),
        (
            {"type": "realtime", "audio": {"output": {"speed": 1.6}}},
            "decimal_above_max_value",
            "session.audio.output.speed",
        ),  # P-256
        (
            {
                "type": "realtime",
                "audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}},
            },
            "integer_below_min_value",
            "session.audio.input.format.rate",
        ),
        (
            {"type": "realtime", "output_modalities": ["audio", "text"]},
            "invalid_value",
            "session.output_modalities",
        ),
        ({"type": "realtime", "instructions": None}, "invalid_type", "session.instructions"),
        ({"type": "realtime", "tool_choice": "always"}, "invalid_value", "session.tool_choice"),
        (
            {"type": "realtime", "tool_choice": {"type": "function"}},
            "missing_required_parameter",
            "session.tool_choice.name",
        ),
    ],
)
def test_bad_updates_are_refused(update: Json, code: str, param: str) -> None:
    client = Emulated()
    error = client.error("session.update", session=update)
    assert (error["code"], error["param"]) == (code, param)


def test_the_model_that_the_connection_named_is_fixed() -> None:
    client = Emulated(model="gpt-realtime")  # P-254
    assert client.configure(model="gpt-realtime")["model"] == "gpt-realtime"
    error = client.error("session.update", session={"type": "realtime", "model": "gpt-other"})
    assert (error["code"], error["param"]) == ("cannot_update_model", "session.model")


def test_a_connection_that_named_no_model_may_name_one_once() -> None:
    client = Emulated()
    assert client.configure(instructions="Be brief.")["model"] == Behaviour().model
    assert client.configure(model="gpt-other")["model"] == "gpt-other"
    error = client.error("session.update", session={"type": "realtime", "model": "gpt-third"})
    assert error["code"] == "cannot_update_model"


def test_messages_are_the_servers_own_words() -> None:
    client = Emulated()
    tools = [{"type": "function", "name": "f", "description": "x" * 2473}]
    error = client.error("session.update", session={"type": "realtime", "tools": tools})
    assert error["message"] == (
        "Invalid 'session.tools[0].description': string too long. Expected a string with "
        "maximum length 1024, but got a string with length 2473 instead."
    )
    missing = client.error("session.update", session={})
    assert missing["message"] == "Missing required parameter: 'session.type'."


def test_voice_is_fixed_after_the_first_audio() -> None:
    # P-255
    client = Emulated(Behaviour(pace=Pace.instant()), Script([say("Hi.")]))
    assert client.configure(audio={"output": {"voice": "cedar"}})
    client.send("response.create")
    assert client.configure(audio={"output": {"voice": "cedar"}})
    update = {"type": "realtime", "audio": {"output": {"voice": "marin"}}}
    error = client.error("session.update", session=update)
    assert error["code"] == "cannot_update_voice"
    assert error["message"] == (
        "Cannot update a conversation's voice if assistant audio is present."
    )


def test_text_does_not_fix_the_voice() -> None:
    client = Emulated(Behaviour(pace=Pace.instant()), Script([say("Hi.")]))
    client.create(output_modalities=["text"])
    assert client.configure(audio={"output": {"voice": "cedar"}})


def test_speed_changes_only_between_turns() -> None:
    # P-256
    client = Emulated(script=Script([say("Hi.", ms=1000)]))
    client.send("response.create")
    update = {"type": "realtime", "audio": {"output": {"speed": 1.2}}}
    assert client.error("session.update", session=update)["code"] == "cannot_update_speed"
    client.run(5)
    assert client.configure(audio={"output": {"speed": 1.2}})["audio"]["output"]["speed"] == 1.2
