"""`antiphon demo`: it shows what it says, and says so when it does not hold."""

import asyncio
import os
import pty
import re
import signal
import subprocess
import wave
from pathlib import Path

import pytest

import antiphon
from antiphon.cli.demo.claims import Seen, check
from antiphon.cli.demo.files import spoken_sentence
from antiphon.cli.demo.observer import Line, Observer
from antiphon.emulator import EmulatorServer, Faults, Script, on, profile, say
from antiphon.emulator.audio import speech
from antiphon.wire.client_events import ResponseCancel
from tests.helpers.command import COMMAND, environment, hears_ctrl_c
from tests.helpers.command import antiphon as run_antiphon

__all__: list[str] = []

SECONDS = 30


def played(tmp_path: Path, *arguments: str) -> tuple[int, str, str]:
    done = run_antiphon("demo", "--plain", "--fast", "--out", str(tmp_path / "left"), *arguments)
    return done.returncode, done.stdout, done.stderr


def test_the_sentence_is_speech_at_24_khz_that_turn_detection_hears() -> None:
    pcm = spoken_sentence()
    assert 2.0 < len(pcm) / 48_000 < 4.0


@pytest.fixture(scope="module")
def default_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What a plain run printed, and the folder that it left its files in."""
    folder = tmp_path_factory.mktemp("demo")
    status, out, err = played(folder)
    assert (status, err) == (0, ""), out
    return out, folder / "left"


def test_everything_it_claims_holds_and_its_trace_shows_it(default_run: tuple[str, Path]) -> None:
    out, _ = default_run
    assert "FAILED" not in out
    assert out.count("  ok  ") == 8
    sent = re.findall(r"C> response\.cancel (\S+)(?: \((\w+)\))?", out)
    assert [label for _, label in sent[1:]] == ["reply", "interpreter", "coach"]
    assert sent[0] == ("(no", "")
    ids = [response_id for response_id, _ in sent[1:]]
    # After the bare cancel nothing is done until the cancels by id are out.
    between = out[out.index("response.cancel (no id)") : out.index(f"response.cancel {ids[0]}")]
    assert "error response_cancel_not_active" in between
    assert "response.done" not in between
    for response_id in ids:
        assert re.search(rf"S< response\.done {response_id} .* cancelled", out)
    assert "(next reply) completed" in out


def test_it_leaves_a_wav_of_each_response_and_nothing_in_it_of_another(
    default_run: tuple[str, Path],
) -> None:
    out, folder = default_run
    assert str(folder) in out
    names = ["1-reply.wav", "2-interpreter.wav", "3-coach.wav", "4-next-reply.wav"]
    assert sorted(path.name for path in folder.iterdir()) == [*names, "trace.txt"]
    tags = set()
    for name in names:
        with wave.open(str(folder / name)) as file:
            assert file.getparams()[:3] == (1, 2, 24_000)
            (span,) = speech.spans(file.readframes(file.getnframes()))
            assert span.start_ms == 0 and span.end_ms > 500
            tags.add(span.tag)
    assert len(tags) == 4
    assert "S< response.output_item.added" in (folder / "trace.txt").read_text()


def test_where_the_bare_cancel_may_hit_it_is_told_and_is_no_failure(tmp_path: Path) -> None:
    status, out, _ = played(tmp_path, "--profile", "openai")
    assert status == 0, out
    assert re.search(r"-   the bare cancel was sent +\(over after it: reply\)", out)
    assert "2 sent and received for 2 in flight" in out


def test_it_plays_with_the_beta_dialect(tmp_path: Path) -> None:
    status, out, err = played(tmp_path, "--profile", "azure-beta")
    assert (status, err) == (0, "")
    assert "FAILED" not in out


def test_a_server_without_parallel_responses_fails_it_and_it_says_why(tmp_path: Path) -> None:
    status, out, err = played(tmp_path, "--profile", "localai")
    assert status == 1
    assert re.search(r"FAILED +three responses were in flight at once", out)
    assert "this server does not run responses side by side" in err


async def test_it_plays_against_another_server(tmp_path: Path) -> None:
    script = Script([say("a long answer", ms=60_000).times(3), say("The next one.")])
    async with EmulatorServer(profile("openai"), script) as server:
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *("demo", "--plain", "--fast", "--url", server.url, "--out", str(tmp_path)),
            env=environment(OPENAI_API_KEY="not-a-key"),
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(SECONDS):
            out, _ = await process.communicate()
        assert process.returncode == 0, out.decode()
        (engine,) = server.sessions
        cancels = engine.received_of("response.cancel")
    assert [one.get("response_id") is None for one in cancels] == [True, False, False]
    assert b"over after it: reply" in out


def in_terminal(*command: str, **changes: str) -> tuple[int, str]:
    """Run a command in a terminal of 100 columns: its status, and all that it drew."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(command[0], command, environment(**{"TERM": "xterm-256color", **changes}))
    drawn = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # the other end is gone: how a Linux terminal says that it is over
            break
        if not part:
            break
        drawn += part
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), drawn.decode()


DEMO = (*COMMAND, "demo", "--fast")


def test_in_a_terminal_it_draws_every_response_and_reports(tmp_path: Path) -> None:
    status, drawn = in_terminal(*DEMO, "--out", str(tmp_path))
    assert status == 0, drawn
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn)
    assert "\x1b[" in drawn
    for row in (r"reply +default +active", r"interpreter +out of band +active"):
        assert re.search(row, text)
    assert re.search(r"coach +out of band +cancelled", text)
    assert re.search(r"next reply +default +completed", text)
    assert re.search(r"reply +default +cancelled +yes +resp_", text)
    assert text.count("✓") == 8 and "✗" not in text


@pytest.mark.parametrize(
    ("changes", "plain"), [({}, False), ({"NO_COLOR": "1"}, True), ({"TERM": "dumb"}, True)]
)
def test_a_terminal_gets_plain_text_where_it_asks_for_it(
    changes: dict[str, str], plain: bool
) -> None:
    code = "from antiphon.cli.console import wants_plain; print(wants_plain(False))"
    assert in_terminal(COMMAND[0], "-c", code, **changes) == (0, f"{plain}\r\n")


def test_without_rich_it_says_how_to_get_it_and_goes_on(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['rich'] = None; "
        "from antiphon.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = (COMMAND[0], "-c", code, "demo", "--fast", "--out", str(tmp_path))
    status, drawn = in_terminal(*command)
    assert status == 0, drawn
    assert "pip install 'antiphon[cli]'" in drawn
    assert "What held" in drawn


async def test_a_connection_that_is_lost_ends_it_with_1(tmp_path: Path) -> None:
    async with EmulatorServer(faults=Faults(on("response.created", nth=2).close(1011))) as server:
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *("demo", "--plain", "--fast", "--url", server.url, "--out", str(tmp_path)),
            env=environment(),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(SECONDS):
            _, err = await process.communicate()
    assert process.returncode == 1
    assert b"1011" in err and len(err.splitlines()) == 2


def test_without_the_voice_detector_it_says_how_to_get_it() -> None:
    code = (
        "import sys; sys.modules['webrtcvad'] = None; "
        "from antiphon.cli import main; sys.exit(main(['demo', '--plain']))"
    )
    done = subprocess.run(
        [COMMAND[0], "-c", code], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install 'antiphon[emulator]'" in done.stderr


def test_ctrl_c_ends_it_with_130() -> None:
    process = subprocess.Popen(
        [*COMMAND, "demo", "--plain"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hears_ctrl_c,
    )
    assert process.stdout is not None
    assert "antiphon demo on its own server" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, err) == (130, "")


# The claims are only worth something if they can fail.


async def test_claims_fail_when_what_they_say_is_not_so() -> None:
    lines: list[Line] = []
    script = Script([say("a long answer", ms=60_000).always()])
    async with (
        EmulatorServer(profile("openai"), script) as server,
        antiphon.connect(url=server.url) as session,
        asyncio.timeout(SECONDS),
    ):
        observer = Observer(session, lines.append)
        one = observer.follow(session.create_response(), "one")
        two = observer.follow(session.create_response(conversation="none"), "two")
        await observer.until(lambda: bool(one.heard and two.heard))
        seen = Seen(reply=one, running=[one, two], interrupted=[two], engine=server.sessions[0])
        session.send_raw(ResponseCancel())
        assert str(await one.handle.done) == "cancelled (client_cancelled)"
        two.heard_at_interrupt = len(two.heard) - 2
        two.heard[:48] = bytes(48)  # one millisecond, which then says of nobody's
        claims = check(observer, seen)
        await observer.close()
    assert len(claims) == 8
    assert [claim.says for claim in claims if claim.holds is not False] == []


@pytest.mark.parametrize("text", ["response.cancel (no id)", "error response_cancel_not_active"])
def test_lines_show_time_mark_and_event(text: str) -> None:
    assert str(Line(1.5, "C>", text)) == f"  1.500 C> {text}"
