"""Named servers."""

import pytest

from antiphon.emulator import PROFILES, Abort, Behaviour, Pace, Script, profile, say
from tests.helpers.emulated import Emulated, user_text

__all__: list[str] = []

NAMES = [
    "openai",
    "openai-2025-06-03",
    "azure",
    "azure-beta",
    "xai",
    "localai",
    "speaches",
    "speech-to-speech",
    "aimock",
    "litellm",
]


def test_the_profiles_are_these() -> None:
    assert list(PROFILES) == NAMES
    assert profile("openai") == Behaviour()


def test_unknown_profile_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="openai-2025-06-03"):
        profile("nobody")


@pytest.mark.parametrize("name", NAMES)
def test_every_profile_can_hold_a_conversation(name: str) -> None:
    client = Emulated(profile(name).but(pace=Pace.instant()), Script([say("Hi.", ms=200)]))
    client.send("response.create")
    done = client.one("response.done")["response"]
    assert done["status"] == "completed"
    assert client.all("error") == []


def running(name: str, *lanes: str) -> tuple[Emulated, list[str]]:
    client = Emulated(profile(name), Script([say("A story.", ms=5000).always()]))
    for lane in lanes:
        client.send("response.create", response={"conversation": lane})
    client.run(0.1)
    return client, client.engine.active_responses


@pytest.mark.parametrize(
    ("name", "lanes", "stopped"),
    [
        # P-2, P-3, P-5
        ("openai", ["auto", "none"], [0]),
        ("openai", ["none", "none"], []),
        # P-4
        ("openai-2025-06-03", ["auto"], [0]),
        ("openai-2025-06-03", ["none"], [0]),
        ("openai-2025-06-03", ["auto", "none"], []),
        ("openai-2025-06-03", ["none", "none"], []),
        ("speech-to-speech", ["none"], [0]),  # P-307
        ("localai", ["auto"], [0]),  # P-304
        ("speaches", ["auto"], []),  # P-309
    ],
)
def test_what_a_bare_cancel_stops(name: str, lanes: list[str], stopped: list[int]) -> None:
    client, active = running(name, *lanes)
    assert len(active) == len(lanes)
    client.cancel()
    client.run(0.1)
    left = [one for place, one in enumerate(active) if place not in stopped]
    assert client.engine.active_responses == left


@pytest.mark.parametrize("name", ["openai", "openai-2025-06-03", "azure", "xai"])
def test_a_cancel_by_id_stops_that_one(name: str) -> None:
    client, active = running(name, "auto", "none", "none")
    client.cancel(active[1])
    client.run(0.1)
    assert client.engine.active_responses == [active[0], active[2]]


@pytest.mark.parametrize("name", ["localai", "speech-to-speech"])
def test_idle_cancel_is_silent_there(name: str) -> None:
    assert Emulated(profile(name)).cancel() == []


def test_localai_supersedes_and_speaches_does_so_without_done() -> None:
    # P-303, P-309
    for name, dones in (("localai", 1), ("speaches", 0)):
        client, active = running(name, "auto")
        client.send("response.create")
        client.run(0.1)
        assert len(client.all("response.done")) == dones
        assert active[0] not in client.engine.active_responses
        assert len(client.engine.active_responses) == 1


def test_speech_to_speech_has_one_slot() -> None:
    # P-306
    client, _ = running("speech-to-speech", "none")
    error = client.error("response.create")
    assert error["type"] == "conversation_already_has_active_response"
    assert (error["code"], error["event_id"]) == (None, "c2")  # P-467


def test_speech_to_speech_announces_what_the_client_creates() -> None:
    # P-467
    client = Emulated(profile("speech-to-speech"), Script([say("Hi.", ms=100)]))
    (reply,) = client.send("conversation.item.create", item=user_text("Hello."))
    assert reply["type"] == "conversation.item.created"
    assert client.error("conversation.item.retrieve", item_id="x")["type"] == "invalid_value"
    only = client.created_id(metadata={"key": "value"})
    client.cancel(only)
    assert client.done(only)["status"] == "cancelled"
    assert client.done(only)["metadata"] == {"key": "value"}
    assert client.send_raw(b"{") == []
    assert client.ended == [Abort()]


def test_aimock_reads_nothing_while_it_speaks() -> None:
    # P-466
    client = Emulated(profile("aimock"), Script([say("A story.", ms=1000).always()]))
    first = client.created_id(metadata={"key": "value"}, conversation="none")
    assert client.cancel(first) == []
    assert client.send("response.create") == []
    client.run(0.1)
    assert client.kinds().count("response.created") == 1
    client.run(10)
    assert client.done(first)["status"] == "completed"
    assert client.done(first)["metadata"] is None
    kinds = [kind for kind in client.kinds() if kind in ("response.done", "response.cancelled")]
    assert kinds == ["response.done", "response.cancelled", "response.done"]
    assert client.send("conversation.item.delete", item_id="x") == []
    assert client.send("scooby.dooby.doo") == []
