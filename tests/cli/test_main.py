"""The command line as a whole: help, versions, and arguments that are wrong."""

from importlib.metadata import version

import pytest

from antiphon.cli import main
from antiphon.cli.main import COMMANDS
from tests.helpers.command import antiphon

__all__: list[str] = []


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What is said about these arguments, which end the program with 2."""
    try:
        status = main(arguments)
    except SystemExit as end:
        assert isinstance(end.code, int)
        status = end.code
    assert status == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_help_names_every_command_and_how_to_begin(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    shown = capsys.readouterr().out
    assert end.value.code == 0
    for name, says in COMMANDS.items():
        assert f"  {name}" in shown and says in shown
    assert "antiphon demo   " in shown and "async with antiphon.connect" in shown


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_that_is_listed_has_help(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert f"usage: antiphon {command}" in capsys.readouterr().out


def test_no_arguments_show_help_and_end_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "Commands:" in capsys.readouterr().out


def test_version_is_that_of_the_package() -> None:
    done = antiphon("--version")
    assert (done.returncode, done.stdout) == (0, f"antiphon {version('antiphon')}\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["demmo"], "no command 'demmo'. Did you mean 'demo'?"),
        (["--hlep"], "unknown argument '--hlep'. Did you mean '--help'?"),
        (["demo", "--fsat"], "unknown argument '--fsat'. Did you mean '--fast'?"),
        (["demo", "--pla"], "unknown argument '--pla'. Did you mean '--plain'?"),
        (["demo", "--profile=opnai"], "no profile 'opnai'. Did you mean 'openai'?"),
        (["serve", "8765"], "unknown argument '8765'."),
        (["serve", "--port", "http"], "argument --port: 'http' is no port; ports are 0 to 65535"),
        (["serve", "--set", "dialect"], "'dialect' is not KNOB=VALUE"),
        (
            ["serve", "--set", "cancel_latency=3"],
            "no knob 'cancel_latency'. Did you mean 'cancel_latency_ms'?",
        ),
        (
            ["serve", "--set", "cancel_no_id_scope=onlyifsingle"],
            "cannot be 'onlyifsingle'. Did you mean 'only_if_single'? It takes: default_",
        ),
        (["serve", "--set", "straggler_deltas=-1"], "straggler_deltas must not be negative"),
        (["serve", "--pace", "fast"], "'fast' is no speed; give a number such as 1 or 5"),
        (["serve", "--pace", "-1"], "'-1' is no speed"),
        (["serve", "--script", "no/such.toml"], "no/such.toml: No such file or directory"),
    ],
)
def test_wrong_arguments_end_with_2_and_say_what_was_meant(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(capsys, *arguments)


def test_a_server_that_cannot_be_reached_ends_with_1_and_one_line() -> None:
    done = antiphon("demo", "--plain", "--url", "ws://127.0.0.1:9/v1/realtime")
    assert done.returncode == 1
    assert done.stderr.startswith("antiphon demo: ")
    assert len(done.stderr.splitlines()) == 1


def test_another_server_needs_a_key() -> None:
    done = antiphon("demo", "--plain", "--url", "wss://realtime.invalid/v1/realtime")
    assert done.returncode == 1
    assert "OPENAI_API_KEY" in done.stderr
