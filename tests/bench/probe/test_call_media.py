"""The probe's calls with media: who speaks, who leaves, whose key it is, and when time is over."""

from collections.abc import AsyncIterator, Mapping

import pytest

from antiphon.bench.probe import CALLS, Lab, Plan, browsers, dial, post, probe
from antiphon.bench.probe.calling import a_call
from antiphon.bench.probe.dialling import Dial, Ear, Wire
from antiphon.bench.probe.lab import Knowledge, NotPossible, Verdict
from antiphon.bench.probe.rules import infer
from antiphon.bench.report import Case, Mark, Report, to_json
from antiphon.cli.demo.files import spoken_sentence
from antiphon.emulator import (
    Behaviour,
    EmulatorServer,
    MemoryConnector,
    Pace,
    Script,
    run_virtual,
    say,
)
from antiphon.exceptions import ConnectError
from tests.bench.probe.bench import URL, in_memory, probed, settings

__all__: list[str] = []

KEY, OTHER = "sk-verySecret123", "sk-ofAnotherProject456"
WITH_MEDIA = Behaviour().but(call_media="webrtc")


def on_calls(behaviour: Behaviour, media: str = "browser", **options: object) -> Report:
    return probed(behaviour, experiments=CALLS, calls=True, media=media, **options)  # type: ignore[arg-type]


def cases(report: Report) -> dict[str, Case]:
    return {case.key: case for case in report.subjects[0].cases}


def test_what_plays_only_to_peers_is_seen_with_one() -> None:
    silent = WITH_MEDIA.but(call_media="none")
    report = on_calls(silent, "only browser")
    found = cases(report)
    assert "only to a peer" in found["playing"].verdict
    for key in ("clear-playing", "cancel-and-clear", "clear-generating", "queue", "clear-queued"):
        assert found[key].mark is Mark.SEEN, (key, found[key].verdict)
    for knob in ("output_started", "playback_order", "clear_scope", "auto_truncated"):
        assert settings(report)[knob].value is not None, knob
    assert settings(report)["call_media"].value == "webrtc"
    assert settings(report)["vad_clears_oob"].value == "yes"


def test_a_barge_in_tells_what_was_cleared() -> None:
    case = cases(on_calls(WITH_MEDIA))["call-barge-in"]
    assert case.mark is Mark.SEEN
    assert "1 cleared and 1 truncated" in case.verdict
    told = [line.text for line in case.trace]
    assert any("speech_started" in one for one in told)
    assert any("somebody speaks" in one for one in told)


def test_an_answer_over_before_the_speech_proves_nothing() -> None:
    # Somebody who thinks for two seconds, and then speaks.
    late = bytes(48_000 * 2) + spoken_sentence()
    short = Script([say("Yes.", ms=400).always()])
    report = on_calls(WITH_MEDIA, clip=late, script=short)
    case = cases(report)["call-barge-in"]
    assert case.mark is Mark.INCONCLUSIVE
    assert "over before the speech was heard" in case.verdict
    assert settings(report)["vad_clears_oob"].value is None


def test_silence_is_no_speech() -> None:
    report = on_calls(WITH_MEDIA, clip=bytes(48_000))
    case = cases(report)["call-barge-in"]
    assert case.mark is Mark.NOT_POSSIBLE
    assert "no speech is heard" in case.verdict
    assert settings(report)["vad_clears_oob"].value is None


def test_a_browser_that_leaves_may_leave_the_sideband_open() -> None:
    report = on_calls(WITH_MEDIA.but(call_end_close_webrtc="stays_open"))
    case = cases(report)["browser-leaves"]
    assert "stays open" in case.verdict
    assert "HTTP 404" in case.verdict
    assert settings(report)["call_end_close_webrtc"].value == "stays_open"
    assert "a browser that left" in settings(report)["call_end_close_webrtc"].why


@pytest.mark.parametrize(
    ("expiry", "told"),
    [
        ("close_1001", "gets no error, and is closed with 1001"),
        ("error_and_close", "gets the error session_expired, and is closed with 1001"),
        ("error_only", "gets the error session_expired, and stays open"),
    ],
)
def test_a_call_that_is_soon_over_is_waited_for(expiry: str, told: str) -> None:
    report = on_calls(Behaviour().but(session_max_s=40.0, expiry=expiry))
    case = cases(report)["call-expiry"]
    assert case.mark is Mark.SEEN, case.verdict
    assert told in case.verdict
    assert settings(report)["expiry"].value == expiry


def test_one_that_is_not_is_not() -> None:
    case = cases(on_calls(Behaviour()))["call-expiry"]
    assert case.mark is Mark.NOT_POSSIBLE
    assert "does not wait" in case.verdict


class TwoProjects:
    """A door for two keys, of which one made the calls.

    Args:
        memory: the emulator, with `KEY`.
        joins: whether the other one may attach to them.
    """

    def __init__(self, memory: MemoryConnector, joins: bool) -> None:
        self._memory = memory
        self._joins = joins

    async def __call__(self, url: str, headers: Mapping[str, str], ear: Ear) -> Wire:
        if headers.get("Authorization") == f"Bearer {OTHER}":
            if "call_id=" in url and not self._joins:
                raise ConnectError("HTTP 404", status=404, code="call_id_not_found")
            headers = {"Authorization": f"Bearer {KEY}"}
        return await self._memory(url, headers, ear)


def with_another_key(behaviour: Behaviour | None = None, joins: bool | None = None) -> Report:
    async def main() -> Report:
        memory = MemoryConnector(behaviour, api_key=KEY)
        door: Dial = memory if joins is None else TwoProjects(memory, joins)
        plan = Plan(
            url=URL,
            headers={"Authorization": f"Bearer {KEY}"},
            stranger={"Authorization": f"Bearer {OTHER}"},
            dial=door,
            post=in_memory(memory),
        )
        wanted = [one for one in CALLS if one.key in ("calls", "other-project")]
        return await probe(plan, experiments=wanted)

    return run_virtual(main())


def test_the_key_of_another_project_is_tried() -> None:
    refused, let_in = with_another_key(joins=False), with_another_key(joins=True)
    assert "refused: HTTP 404, call_id_not_found" in cases(refused)["other-project"].verdict
    assert "attaches, and is answered" in cases(let_in)["other-project"].verdict
    for report in (refused, let_in):
        assert cases(report)["other-project"].mark is Mark.SEEN
        assert KEY not in to_json(report)
        assert OTHER not in to_json(report)


def test_a_key_that_is_good_for_nothing_proves_nothing() -> None:
    # The control: the emulator knows one key, and lets no other one have even a plain session.
    for failure in ("always_401", "http_401_or_close_3000"):
        case = cases(with_another_key(Behaviour().but(auth_failure=failure)))["other-project"]
        assert case.mark is Mark.NOT_POSSIBLE
        assert "no session is to be had with that key" in case.verdict
    case = cases(on_calls(Behaviour()))["other-project"]
    assert case.mark is Mark.NOT_POSSIBLE
    assert "--other-key-env" in case.verdict


@pytest.fixture
async def server() -> AsyncIterator[EmulatorServer]:
    pytest.importorskip("aiortc", reason="aiortc is not installed: pip install 'antiphon[webrtc]'")
    # Half a minute, made at once: nothing is over before the speech is heard.
    long = Script([say("A story that goes on for quite a while.", ms=25_000).always()])
    async with EmulatorServer(WITH_MEDIA.but(pace=Pace.instant()), long) as running:
        yield running
        assert len(running.calls) == 0


def over_sockets(server: EmulatorServer, patience: float = 20.0) -> Lab:
    peer = browsers(server.url)
    assert peer is not None
    clip = spoken_sentence()
    # The patience of a machine that has much else to do.
    return Lab(Plan(server.url, {}, dial, patience=patience, clip=clip, post=post, peer=peer))


async def tried(lab: Lab, key: str) -> Verdict:
    (one,) = [one for one in CALLS if one.key == key]
    return await one.run(lab)


async def test_over_real_media_a_spoken_sentence_clears_what_plays(server: EmulatorServer) -> None:
    lab = over_sockets(server)
    lab.know.seen["plays"] = "to a peer"
    lab.know.knob("playback_order", "queue", "")
    verdict = await tried(lab, "call-barge-in")
    assert verdict.mark is Mark.SEEN
    assert "the one out of band goes with it; 1 cleared and 1 truncated" in verdict.words
    assert lab.know.value("vad_clears_oob") == "yes"
    lab.close()


async def test_over_real_media_a_browser_leaves(server: EmulatorServer) -> None:
    lab = over_sockets(server)
    verdict = await tried(lab, "browser-leaves")
    assert "is closed with 1000. Another one, after that, gets HTTP 404" in verdict.words
    assert (lab.calls, lab.calls_left) == (1, 0)
    lab.close()


async def test_over_real_media_an_answer_is_heard() -> None:
    pytest.importorskip("aiortc", reason="aiortc is not installed: pip install 'antiphon[webrtc]'")
    async with EmulatorServer(WITH_MEDIA) as server:
        lab = over_sockets(server)
        verdict = await tried(lab, "media")
        assert verdict.mark is Mark.SEEN
        assert lab.know.value("call_media") == "webrtc"
        lab.close()


async def test_media_that_nobody_answers_is_not_waited_for_long() -> None:
    pytest.importorskip("aiortc", reason="aiortc is not installed: pip install 'antiphon[webrtc]'")
    async with EmulatorServer(Behaviour()) as server:
        lab = over_sockets(server, patience=0.1)
        # Its answer is understood: what is missing is somebody at its candidates.
        with pytest.raises(NotPossible, match="nobody answers at its candidates"):
            await tried(lab, "media")
        assert lab.know.seen["media"] == "no"
        assert len(server.calls) == 0


def test_hangup_and_a_browser_that_leaves_may_end_it_otherwise() -> None:
    know = Knowledge()
    know.seen |= {"end_by_hangup": "close_1000", "end_by_leaving": "abrupt"}
    infer(know)
    found = know.knobs["call_end_close_webrtc"]
    assert (found.value, found.mark) == (None, Mark.MIXED)
    assert "hangup: close_1000, 1/1 a browser that left: abrupt" in found.why


def test_a_call_that_ended_by_itself_is_not_left_behind() -> None:
    async def main() -> Lab:
        memory = MemoryConnector()
        lab = Lab(Plan(url=URL, headers={}, dial=memory, post=in_memory(memory)))
        async with a_call(lab):
            (call,) = memory.calls
            call.hang_up()
        return lab

    lab = run_virtual(main())
    assert (lab.calls, lab.calls_left) == (1, 0)
