"""`antiphon probe`, as a process, against `antiphon serve`."""

import asyncio
import json
from pathlib import Path

import pytest

from antiphon.bench.report import from_json
from antiphon.cli.main import main
from antiphon.cli.profile_file import ProfileFileError, profile_or_file, profile_text, read_profile
from antiphon.emulator import ThreadedServer, profile
from tests.bench.probe.bench import probed, settings
from tests.cli.test_serve import serving
from tests.helpers.command import COMMAND, environment
from tests.helpers.command import antiphon as run_antiphon

__all__: list[str] = []

KEY = "sk-verySecret123"
SECONDS = 110  # a dozen, where the machine has little else to do


async def run_probe(*arguments: str, cwd: Path, **changes: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        "probe",
        *arguments,
        cwd=cwd,
        env=environment(**changes),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(SECONDS):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@pytest.mark.timeout(SECONDS + 30)
async def test_a_server_is_probed_and_its_profile_served(tmp_path: Path) -> None:
    # In a thread, since a probe takes longer than `serving` gives its server to live.
    with ThreadedServer(profile("openai-2025-06-03"), api_key=KEY) as server:
        arguments = (server.url, "--json", "--write-profile", "seen.toml")
        code, out, err = await run_probe(*arguments, cwd=tmp_path, OPENAI_API_KEY=KEY)
    assert code == 0, err
    report = from_json(out)
    assert settings(report)["cancel_no_id_scope"].value == "only_if_single"
    assert f"{len(report.subjects[0].cases)}/" in err
    page = (tmp_path / "antiphon-probe.html").read_text()
    assert "<svg" in page
    for text in (out, err, page, (tmp_path / "seen.toml").read_text()):
        assert KEY not in text

    async with serving("--profile", str(tmp_path / "seen.toml")) as url:
        assert url
    behaviour = read_profile(tmp_path / "seen.toml")
    assert behaviour.cancel_no_id_scope == "only_if_single"
    assert behaviour.voice == "alloy"


@pytest.mark.parametrize("name", ["localai", "speech-to-speech", "aimock"])
def test_a_written_profile_behaves_like_what_was_probed(name: str, tmp_path: Path) -> None:
    seen = probed(profile(name))
    file = tmp_path / "seen.toml"
    file.write_text(profile_text(seen.subjects[0].settings, "as seen"))
    again = settings(probed(read_profile(file)))
    for knob, one in settings(seen).items():
        if one.value is not None and knob not in ("session_max_s", "ping_interval_s"):
            assert again[knob].value == one.value, knob


def test_a_file_that_is_no_profile_says_where(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    for text, told in (
        ("[knobs]\ncancel_targt = 'by_id'\n", "Did you mean 'cancel_target'"),
        ("[knobs]\ncancel_target = 'by_name'\n", "It takes: by_id"),
        ("[knobs]\nstraggler_deltas = '-1'\n", "must not be negative"),
        ("knobs = 3\n", "no table"),
        ("= 3\n", "is no TOML"),
    ):
        file.write_text(text)
        with pytest.raises(ProfileFileError, match=told):
            read_profile(file)
    with pytest.raises(ProfileFileError, match="cannot read"):
        read_profile(tmp_path / "missing.toml")
    file.write_text("[knobs]\nphase = true\nmax_parallel_oob = 3\n")
    assert read_profile(file).phase is True
    assert profile_or_file("xai") == "xai"


def test_serve_says_what_is_wrong_with_a_profile(tmp_path: Path) -> None:
    done = run_antiphon("serve", "--profile", str(tmp_path / "missing.toml"))
    assert done.returncode == 2
    assert "cannot read" in done.stderr


def test_nobody_there_is_told_with_a_way_out(tmp_path: Path) -> None:
    done = run_antiphon("probe", "ws://127.0.0.1:1/v1/realtime", "--no-html")
    assert done.returncode == 1
    assert "antiphon serve" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_may_cost_is_asked_before(capsys: pytest.CaptureFixture[str]) -> None:
    done = run_antiphon("probe", "wss://example.invalid/v1/realtime", OPENAI_API_KEY=KEY)
    assert done.returncode == 2
    assert "output tokens" in done.stderr
    assert "--yes" in done.stderr
    assert KEY not in done.stderr


def test_a_dry_run_says_what_would_be_asked(capsys: pytest.CaptureFixture[str]) -> None:
    address = "wss://example.invalid/v1/realtime?model=m"
    assert main(["probe", address, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "What does a cancel without id stop, of two beside the conversation?" in out
    assert "output tokens" in out


def test_another_projects_key_is_another_key(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["probe", "wss://example.invalid/v1/realtime", "--dry-run"]
    command += ["--other-key-env", "ANOTHER"]
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for another, told in ((None, "holds no key"), (KEY, "holds the same key")):
        if another is not None:
            monkeypatch.setenv("ANOTHER", another)
        assert main(command) == 2
        assert told in (err := capsys.readouterr().err)
        assert KEY not in err
    monkeypatch.setenv("ANOTHER", "sk-another")
    assert main(command) == 0
    assert "sk-another" not in capsys.readouterr().out


def test_a_dry_run_says_who_holds_the_media(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("antiphon.bench.probe.peer.find_spec", lambda name: None)
    assert main(["probe", "ws://127.0.0.1:1/v1/realtime", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "antiphon[webrtc]" in out
    assert main(["probe", "ws://127.0.0.1:1/v1/realtime", "--dry-run", "--no-calls"]) == 0
    out = capsys.readouterr().out
    assert "no call" in out
    assert "antiphon[webrtc]" not in out


def test_an_address_that_is_none_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", "ftp://host/x"]) == 2
    assert "ws:// or wss://" in capsys.readouterr().err


def test_json_names_knobs_as_serve_does(capsys: pytest.CaptureFixture[str]) -> None:
    main(["serve", "--knobs"])
    listed = {
        line.partition("=")[0] for line in capsys.readouterr().out.splitlines() if line[:1].strip()
    }
    report = json.loads(json.dumps([one.name for one in probed().subjects[0].settings]))
    assert set(report) == {name for name in listed if not name.startswith("pace.")}
