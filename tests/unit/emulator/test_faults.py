"""What goes wrong, and nothing else (faults.py, outlet.py)."""

from typing import Any

import pytest

from antiphon.emulator import (
    Abort,
    Behaviour,
    Chance,
    CloseConnection,
    Faults,
    Pace,
    Script,
    SendHalfFrame,
    after,
    on,
    say,
)
from antiphon.emulator.engine.faults import Rule
from tests.helpers.emulated import Emulated

__all__: list[str] = []

INSTANT = Behaviour(pace=Pace.instant())
HELLO = "Hello there, good friend of mine."


def client(*rules: Rule, chance: Chance | None = None, seed: int = 0) -> Emulated:
    """A client whose responses take no time."""
    script = Script([say(HELLO, ms=1000).always()])
    return Emulated(INSTANT, script, faults=Faults(*rules, chance=chance), seed=seed)


def respond(*rules: Rule) -> Emulated:
    found = client(*rules)
    found.send("response.create")
    return found


NORMAL = respond().kinds()


def test_no_faults_change_nothing() -> None:
    plain = Emulated(INSTANT, Script([say(HELLO, ms=1000)]))
    plain.send("response.create")
    assert plain.frames == respond().frames


@pytest.mark.parametrize(
    "kind", ["response.created", "response.done", "response.output_audio.done"]
)
def test_drop(kind: str) -> None:
    #
    assert respond(on(kind).drop()).kinds() == [one for one in NORMAL if one != kind]


def test_drop_of_the_third_only() -> None:
    found = respond(on("response.output_audio.delta", nth=3).drop())
    deltas = found.all("response.output_audio.delta")
    expected = respond().all("response.output_audio.delta")
    assert [e["delta"] for e in deltas] == [e["delta"] for i, e in enumerate(expected) if i != 2]


def test_drop_by_pattern_and_by_test() -> None:
    found = respond(on("response.output_*.delta").drop())
    assert not any(kind.endswith(".delta") for kind in found.kinds())
    by_test = respond(on("response.*", test=lambda e: e["type"].endswith("done")).drop())
    assert "response.done" not in by_test.kinds()
    assert "response.created" in by_test.kinds()


def test_duplicate() -> None:
    found = respond(on("response.done").duplicate())
    first, second = found.all("response.done")
    assert first == second


def test_delay_holds_everything_behind_it() -> None:
    found = client(on("response.created").delay(2.0))
    found.send("response.create")
    assert found.events == []
    found.run(1.9)
    assert found.events == []
    found.run(0.1)
    assert found.kinds() == NORMAL
    assert set(found.times) == {2.0}


def test_delays_add_up() -> None:
    found = client(on("response.output_audio.delta").delay(0.5))
    found.send("response.create")
    found.run(10)
    assert found.kinds() == NORMAL
    assert found.time_of("response.done") == 5.0


def test_hold_until_a_delta_sends_created_late() -> None:
    found = respond(on("response.created").hold(until="response.output_audio.delta"))
    kinds = found.kinds()
    assert kinds.index("response.created") == kinds.index("response.output_audio.delta") + 1
    assert sorted(kinds) == sorted(NORMAL)


def test_hold_until_done_sends_created_after_it() -> None:
    #
    kinds = respond(on("response.created").hold(until="response.done")).kinds()
    assert kinds[-3:] == ["response.done", "response.created", "rate_limits.updated"]


def test_hold_is_for_the_same_response() -> None:
    found = client(on("response.created", nth=1).hold(until="response.done"))
    found.send("response.create", response={"conversation": "none", "metadata": {"n": "1"}})
    found.send("response.create", response={"metadata": {"n": "2"}})
    order = [
        e["response"]["metadata"]["n"] + e["type"][9:] for e in found.events if "response" in e
    ]
    assert order == ["1done", "1created", "2created", "2done"]


def test_hold_waits_while_others_end() -> None:
    script = Script([say("Long.", ms=5000), say("Short.", ms=100).always()])
    rule = on("response.created", nth=1).hold(until="response.done")
    found = Emulated(Behaviour(), script, faults=Faults(rule))
    found.send("response.create", response={"conversation": "none", "metadata": {"n": "1"}})
    found.send("response.create", response={"metadata": {"n": "2"}})
    found.run(10)
    order = [
        e["response"]["metadata"]["n"] + e["type"][9:] for e in found.events if "response" in e
    ]
    assert order == ["2created", "2done", "1done", "1created"]


def test_hold_until_the_next_response() -> None:
    # the old done after the new created
    rule = on("response.done", nth=1).hold(until="response.created", same_response=False)
    found = client(rule)
    found.send("response.create")
    assert "response.done" not in found.kinds()
    found.send("response.create")
    kinds = [kind for kind in found.kinds() if kind in ("response.created", "response.done")]
    assert kinds == ["response.created", "response.created", "response.done", "response.done"]


def test_what_is_held_until_another_of_its_kind_is_not_let_go_by_itself() -> None:
    found = client(
        on("response.created", nth=1).hold(until="response.created", same_response=False)
    )
    for number in ("1", "2"):
        found.send("response.create", response={"conversation": "none", "metadata": {"n": number}})
    created = [
        e["response"]["metadata"]["n"] for e in found.events if e["type"] == "response.created"
    ]
    assert created == ["2", "1"]


def test_event_of_no_response_lets_go_too() -> None:
    found = client(on("response.created").hold(until="conversation.item.done"))
    found.send("response.create")
    kinds = found.kinds()
    assert kinds.index("response.created") == kinds.index("conversation.item.done") + 1


def test_change_and_fields() -> None:
    #
    rules = (
        on("error").without("error", "event_id"),
        on("response.created").with_value("resp_other", "response", "id"),
        on("session.updated").without("no", "such", "field"),
    )
    found = client(*rules)
    assert "event_id" not in found.error("response.cancel")
    assert found.create()["response"]["id"] == "resp_other"
    assert found.configure()
    with pytest.raises(ValueError, match="name the field"):
        found_rule = on("error").with_value(1).change
        assert found_rule is not None
        found_rule({})


def test_malformed_and_oversized_frames() -> None:
    found = respond(on("response.done").malformed(), on("response.created").oversized(100_000))
    assert "(malformed)" in found.kinds()
    assert "response.done" not in found.kinds()
    assert len(found.frames[0]) == 100_000
    assert found.kinds()[0] == "response.created"


def test_half_a_frame_and_the_end() -> None:
    found = respond(on("response.output_audio.delta", nth=2).half_frame())
    half, cut = found.ended
    assert isinstance(half, SendHalfFrame)
    assert half.data.startswith(b'{"type":"response.output_audio.delta"')
    assert cut == Abort()
    assert found.engine.closed
    assert found.send("response.create") == []


@pytest.mark.parametrize(
    ("rule", "effect"),
    [
        (on("response.output_audio.delta", nth=2).abort(), Abort()),
        (on("response.output_audio.delta", nth=2).close(1011, "x"), CloseConnection(1011, "x")),
        (on("response.output_audio.delta", nth=2).close(None), CloseConnection(None, "")),
    ],
)
def test_the_end_in_place_of_an_event(rule: Rule, effect: object) -> None:
    #
    found = respond(rule)
    assert found.ended == [effect]
    assert len(found.all("response.output_audio.delta")) == 1
    assert found.engine.next_deadline() is None


def test_timed_faults() -> None:
    found = client(
        after(1).send({"type": "weather.changed", "to": "rain"}),
        after(2).close(1001, "Your session hit the maximum duration of 60 minutes."),
    )
    found.run(1)
    assert found.kinds() == ["weather.changed"]
    assert found.events[0]["event_id"].startswith("event_")
    found.run(1)
    assert [type(one) for one in found.ended] == [CloseConnection]
    found.run(10)
    assert found.engine.closed


def test_stall_is_a_silent_open_socket() -> None:
    #
    found = client(after(0).stall(5.0))
    found.run(0)
    found.send("response.create")
    found.run(4.9)
    assert found.events == []
    found.run(0.1)
    assert found.kinds() == NORMAL
    endless = client(after(0).stall())
    endless.run(0)
    endless.send("response.create")
    endless.run(3000)
    assert endless.events == []
    assert endless.ended == []


def test_abort_overtakes_a_stall() -> None:
    found = client(after(0).stall(), after(3).abort())
    found.run(0)
    found.send("response.create")
    found.run(5)
    assert (found.events, found.ended) == ([], [Abort()])


def test_close_waits_behind_a_delay() -> None:
    found = client(on("response.created").delay(1.0), on("response.done").close(4000, "x.y"))
    found.send("response.create")
    assert found.ended == []
    found.run(1)
    assert found.ended == [CloseConnection(4000, "x.y")]
    assert found.kinds()[0] == "response.created"


def test_expiry_behind_a_delay_still_comes() -> None:
    found = Emulated(Behaviour(session_max_s=10), faults=Faults(after(9).stall(5.0)))
    found.run(12)
    assert found.ended == []
    found.run(2)
    assert len(found.ended) == 1


def test_first_fitting_rule_counts_and_all_count_events() -> None:
    found = respond(
        on("response.output_audio.delta", nth=2).drop(),
        on("response.output_audio.delta", nth=3).drop(),
        on("response.output_audio.delta").duplicate(),
    )
    assert len(found.all("response.output_audio.delta")) == 2 * (10 - 2)


# Chance

MUCH = Chance(delay=0.3, drop=0.1, duplicate=0.1, malformed=0.05, only="response.*")


def play(seed: int, chance: Chance | None) -> tuple[list[bytes], list[float]]:
    found = client(chance=chance, seed=seed)
    for _ in range(5):
        found.send("response.create")
        found.run(30)
    return found.frames, found.times


def test_chance_repeats_with_its_seed() -> None:
    assert play(7, MUCH) == play(7, MUCH)
    assert play(7, MUCH) != play(8, MUCH)


def test_chance_hits_only_what_it_may() -> None:
    found = client(chance=Chance(drop=1.0, only="response.output_audio.*"))
    found.send("response.create")
    assert found.kinds() == [k for k in NORMAL if not k.startswith("response.output_audio.")]


@pytest.mark.parametrize(
    ("chance", "check"),
    [
        (Chance(drop=1.0), lambda found: found.events == []),
        (Chance(duplicate=1.0), lambda found: found.kinds()[:2] == ["response.created"] * 2),
        (Chance(malformed=1.0), lambda found: set(found.kinds()) == {"(malformed)"}),
        (Chance(abort=1.0), lambda found: found.ended == [Abort()] and found.events == []),
        (Chance(delay=1.0, max_delay_s=0.1), lambda found: found.kinds()[-len(NORMAL) :] == NORMAL),
        (Chance(), lambda found: found.kinds() == NORMAL),
    ],
)
def test_each_chance_alone(chance: Chance, check: Any) -> None:
    found = client(chance=chance)
    found.send("response.create")
    found.run(30)
    assert check(found)
