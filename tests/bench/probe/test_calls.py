"""The probe's calls: each knob is found or said to be hidden, and every call is over afterwards."""

import asyncio
import dataclasses
from collections.abc import Mapping
from enum import EnumType

import pytest

from antiphon.bench.probe import CALLS, Plan, dial, post, probe
from antiphon.bench.probe.dialling import Ear, Wire
from antiphon.bench.probe.posting import Answer, Request
from antiphon.bench.report import Mark, Report, to_json
from antiphon.emulator import Behaviour, EmulatorServer, MemoryConnector, run_virtual
from antiphon.emulator.knobs.calls import CallKnobs
from antiphon.exceptions import ConnectError
from tests.bench.probe.bench import URL, in_memory, probed, settings
from tests.bench.probe.test_values import UNTRIED, mistaken, unexplained

__all__: list[str] = []

KEY = "sk-verySecret123"
KNOBS = {spec.name for spec in dataclasses.fields(CallKnobs)}
OTHERWISE: dict[str, dict[str, object]] = {
    "documented or guessed": {},
    "most, otherwise": {
        "call_media": "webrtc",
        "vad_clears_oob": False,
        "call_id_style": "hex",
        "sideband_session_created": True,
        "event_audience": "all_to_all",
        "max_sidebands": 3,
        "sideband_overflow": "http_409",
        "sideband_model_too": "http_400",
        "sideband_append": "accept",
        "nested_update": "replaced",
        "clear_idle": "silent",
        "output_started": "after_transcript",
        "playback_order": "overlap",
        "clear_scope": "playing_only",
        "cleared_response_id": False,
        "clear_while_generating": "later_audio_dropped",
        "call_end_close_webrtc": "abrupt",
        "hangup_gone": "http_404",
        "accept_gone": 410,
        "sideband_unknown_call": "http_404_empty",
    },
    "most, otherwise again": {
        "call_media": "webrtc",
        "call_id_style": "uuid",
        "event_audience": "own_only",
        "max_sidebands": 2,
        "sideband_overflow": "replace_oldest",
        "sideband_append": "ignore",
        "sideband_ready_ms": 300,
        "clear_idle": "cleared",
        "output_started": "after_done",
        "output_started_latency_ms": 100,
        "cleared_for": "each",
        "auto_truncated": False,
        "clear_while_generating": "cancels",
        "call_end_close_webrtc": "close_1001",
        "hangup_gone": "http_200",
    },
    "no cleared, one sideband": {
        "call_media": "webrtc",
        "cleared_for": "none",
        "max_sidebands": 1,
        "output_started_latency_ms": 150,
        "call_end_close_webrtc": "stays_open",
    },
    "only what plays is cleared, in silence": {
        "sideband_append": "accept",
        "vad_clears_oob": False,
        "cleared_for": "none",
        "clear_scope": "playing_only",
    },
    "only the first one plays": {"playback_order": "lost", "call_media": "webrtc"},
    "only the first one plays, whoever speaks": {
        "playback_order": "lost",
        "call_media": "webrtc",
        "vad_clears_oob": False,
    },
    "nothing plays at all": {"call_media": "none"},
    "nothing is beside": {"call_media": "webrtc", "out_of_band": "ignored"},
    "behind a proxy": {"behind_proxy": True, "call_end_close_webrtc": "close_1001"},
}
MEASURED = {"sideband_ready_ms", "output_started_latency_ms"}


def on_calls(behaviour: Behaviour | None = None, **options: object) -> Report:
    """Only the experiments with calls; a browser holds their media where that is possible."""
    known = {"media": "browser", **options}
    return probed(behaviour, experiments=CALLS, calls=True, **known)  # type: ignore[arg-type]


def wrong(report: Report, behaviour: Behaviour) -> list[str]:
    """What it says wrongly of calls; a measured time may be a few hundredths out."""
    found = []
    for told in mistaken(report, behaviour):
        name = told.partition(" ")[0]
        value = settings(report)[name].value
        if name in MEASURED and value is not None:
            if abs(float(value) - getattr(behaviour, name)) <= 60:
                continue
        if name in KNOBS:
            found.append(told)
    return found


@pytest.mark.parametrize("what", OTHERWISE)
def test_each_value_is_found_or_hidden(what: str) -> None:
    behaviour = Behaviour().but(**OTHERWISE[what])
    report = on_calls(behaviour)
    assert wrong(report, behaviour) == []
    assert KNOBS.isdisjoint(unexplained(report))
    unfound = {
        name: settings(report)[name].why
        for name in KNOBS - UNTRIED
        if settings(report)[name].value is None and settings(report)[name].mark is not Mark.HIDDEN
    }
    if OTHERWISE[what].get("call_media") == "none":
        assert all("needs media" in why for why in unfound.values())
        unfound = {}
    assert unfound == {}


def test_every_value_that_can_be_seen_is_tried() -> None:
    tried = {(name, str(value)) for one in OTHERWISE.values() for name, value in one.items()}
    tried |= {(spec.name, str(spec.default)) for spec in dataclasses.fields(CallKnobs)}
    missing = {
        f"{spec.name}={value}"
        for spec in dataclasses.fields(CallKnobs)
        if isinstance(spec.type, EnumType) and spec.name not in UNTRIED
        for value in spec.type
        if (spec.name, str(value)) not in tried
    }
    assert missing == set()


def test_far_away_the_verdicts_are_the_same() -> None:
    near, far = (settings(on_calls(far=at)) for at in (None, (0.060, 0.040, 5)))
    elsewhere = {name for name in KNOBS if near[name].value != far[name].value}
    assert elsewhere <= MEASURED


def test_sound_that_nobody_plays_is_not_possible_and_the_rest_is_seen() -> None:
    report = on_calls(Behaviour(call_media="none"), media="")  # type: ignore[arg-type]
    cases = {case.key: case for case in report.subjects[0].cases}
    for key in ("playing", "queue", "clear-playing", "cancel-and-clear", "clear-generating"):
        assert cases[key].mark is Mark.NOT_POSSIBLE, key
        assert "needs media" in cases[key].verdict
    for key in ("calls", "sideband-hello", "audience", "clear-idle", "call-over"):
        assert cases[key].mark is Mark.SEEN, (key, cases[key].verdict)
    found = settings(report)
    assert found["clear_idle"].value == "error"
    for knob in ("call_media", "output_started", "playback_order", "clear_scope"):
        assert found[knob].value is None
        assert found[knob].candidates == ()


def test_a_server_without_calls_has_one_row_that_says_so() -> None:
    async def nothing(request: Request) -> Answer:
        return Answer(404, {}, b'{"error": {"code": "unknown_url"}}')

    async def deaf(request: Request) -> Answer:
        raise ConnectError("no answer")

    async def cheerful(request: Request) -> Answer:
        return Answer(200, {"location": "/somewhere"}, b"<html>welcome</html>")

    for posted, told in ((nothing, "unknown_url"), (deaf, "nothing answers"), (cheerful, "200")):
        report = probed(experiments=CALLS, post=posted)
        (case,) = report.subjects[0].cases
        assert (case.key, case.mark) == ("calls", Mark.NOT_POSSIBLE)
        assert told in case.verdict
        assert {settings(report)[name].value for name in KNOBS} == {None}
        assert "not tried" in settings(report)["clear_idle"].why
    (case,) = probed(experiments=CALLS).subjects[0].cases
    assert "not asked for" in case.verdict


@pytest.mark.parametrize(
    ("refused", "with_", "told"),
    [
        (415, "application/sdp", "a bare offer, not multipart, gets HTTP 201"),
        (401, "ek_", "an offer with an ephemeral key, and not one with the API key, gets HTTP 201"),
    ],
)
def test_an_offer_is_made_in_the_form_that_is_taken(refused: int, with_: str, told: str) -> None:
    # P-331; P-349, P-480: Azure and LiteLLM take no API key.

    async def main() -> Report:
        memory = MemoryConnector(api_key=KEY)
        posted = in_memory(memory)

        async def choosy(request: Request) -> Answer:
            given = request.headers["Authorization"] + request.media_type * (not request.parts)
            if request.url.endswith("/calls") and with_ not in given:
                return Answer(refused, {}, b"")
            return await posted(request)

        headers = {"Authorization": f"Bearer {KEY}"}
        plan = Plan(url=URL, headers=headers, dial=memory, post=choosy)
        report = await probe(plan, experiments=CALLS)
        assert len(memory.calls) == 0
        return report

    report = run_virtual(main())
    cases = {case.key: case for case in report.subjects[0].cases}
    assert told in cases["calls"].verdict
    assert cases["clear-playing"].mark is Mark.SEEN
    assert "ek_" not in to_json(report)


def test_a_handshake_that_takes_long_was_not_refused() -> None:
    async def main() -> Report:
        memory = MemoryConnector()

        async def slow(url: str, headers: Mapping[str, str], ear: Ear) -> Wire:
            await asyncio.sleep(0.5)
            return await memory(url, headers, ear)

        plan = Plan(url=URL, headers={}, dial=slow, post=in_memory(memory))
        return await probe(plan, experiments=CALLS[:1])

    assert settings(run_virtual(main()))["sideband_ready_ms"].value == "0"


def test_a_call_without_an_id_is_told_to_be_left() -> None:
    report = on_calls(Behaviour(location=False))
    assert settings(report)["location"].value == "no"
    (case,) = report.subjects[0].cases
    assert case.mark is Mark.HIDDEN
    assert "hidden by location=no" in settings(report)["clear_idle"].why
    assert "1 may not be over" in dict(report.subjects[0].about)["calls"]


def test_an_ephemeral_key_is_tried_where_a_key_is_needed_and_never_shown() -> None:
    report = on_calls(api_key=KEY)
    cases = {case.key: case for case in report.subjects[0].cases}
    assert cases["ephemeral-key"].mark is Mark.SEEN
    assert "ek_" not in to_json(report)
    assert KEY not in to_json(report)
    cases = {case.key: case for case in on_calls().subjects[0].cases}
    assert cases["ephemeral-key"].mark is Mark.HIDDEN


@pytest.mark.parametrize("after_s", [0.0, 0.3, 2.0, 4.0, 6.0])
def test_given_up_at_any_time_no_call_is_left(after_s: float) -> None:
    async def main() -> int:
        memory = MemoryConnector()
        posted = in_memory(memory)
        placed = asyncio.Event()

        async def slow(request: Request) -> Answer:
            await asyncio.sleep(0.1)
            answer = await posted(request)
            placed.set()
            await asyncio.sleep(0.1)
            return answer

        plan = Plan(url=URL, headers={}, dial=memory, post=slow)
        probing = asyncio.ensure_future(probe(plan, experiments=CALLS))
        await placed.wait()  # its answer is still on the way
        assert len(memory.calls) == 1
        await asyncio.sleep(after_s)
        probing.cancel()
        await asyncio.wait([probing])
        assert probing.cancelled()
        return len(memory.calls)

    assert run_virtual(main()) == 0


async def test_over_real_sockets_a_call_is_made_joined_and_hung_up() -> None:
    wanted = ("calls", "audience", "ephemeral-key", "clear-idle", "call-over")
    behaviour = Behaviour(sideband_unknown_call="http_404_empty")  # type: ignore[arg-type]
    async with EmulatorServer(behaviour, api_key=KEY) as server:
        plan = Plan(
            url=f"{server.url}?model=gpt-realtime",
            headers={"Authorization": f"Bearer {KEY}"},
            dial=dial,
            post=post,
        )
        report = await probe(plan, experiments=[one for one in CALLS if one.key in wanted])
        assert len(server.calls) == 0
    assert {case.key: case.mark for case in report.subjects[0].cases} == dict.fromkeys(
        wanted, Mark.SEEN
    )
    found = settings(report)
    assert found["location"].value == "yes"
    assert found["event_audience"].value == "state_to_all"
    assert found["sideband_unknown_call"].value == "http_404_empty"
    assert found["call_end_close_webrtc"].value == "close_1000"
