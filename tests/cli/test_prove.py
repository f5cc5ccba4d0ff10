"""`antiphon prove`, as a process, with antiphon over a real socket."""

import json
import re
import sys
from pathlib import Path

import pytest

from antiphon.bench.prove.scenarios import SCENARIOS
from antiphon.bench.report import Mark, from_json
from antiphon.cli import main
from tests.helpers.command import antiphon

__all__: list[str] = []

PAGE = Path(__file__).parents[2] / "docs" / "prove.md"
WRONG = Path(__file__).parents[1] / "prove" / "wrong"


def test_antiphon_is_proved_over_sockets(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    arguments = ["--only", "isolation", "--only", "it-can-be-awaited", "--json"]
    done = antiphon("prove", "antiphon", *arguments, "--html", str(page))
    report = from_json(done.stdout)
    (subject,) = report.subjects
    played = [one for one in SCENARIOS.values() if one.group == "isolation"]
    assert [case.key for case in subject.cases] == [
        *(one.name for one in played),
        "it-can-be-awaited",
    ]
    assert [case.key for case in subject.cases if case.mark is not Mark.PASS] == []
    assert (subject.name, done.returncode) == ("antiphon", 0)
    assert f"{len(played) + 1}/{len(played) + 1} scenarios, 0 failed" in done.stderr
    assert "livekit/agents#5564" in page.read_text()


def test_a_program_of_ones_own_that_dies_is_a_failure() -> None:
    done = antiphon("prove", str(WRONG / "dies.py"), "--only", "text-turn", "--no-html")
    assert done.returncode == 1
    assert "the program is gone: its process ended with status 3" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_command_of_ones_own_is_run() -> None:
    command = f"{sys.executable} {WRONG / 'babbles.py'}"
    done = antiphon("prove", command, "--only", "text-turn", "--json", "--no-html")
    assert "no observation" in json.loads(done.stdout)["subjects"][0]["cases"][0]["verdict"]


def test_the_program_in_the_documents_passes(tmp_path: Path) -> None:
    (found,) = re.findall(r"```python\n(# my_client.py\n.*?)```", PAGE.read_text(), re.DOTALL)
    program = tmp_path / "my_client.py"
    program.write_text(found)
    played = ["text-turn", "stragglers-are-not-heard", "stops-two-asides"]
    only = [word for name in played for word in ("--only", name)]
    done = antiphon("prove", str(program), *only, "--json", "--no-html")
    cases = json.loads(done.stdout)["subjects"][0]["cases"]
    marks = {case["key"]: case["mark"] for case in cases}
    assert marks == {
        "text-turn": "pass",
        "stragglers-are-not-heard": "pass",
        "stops-two-asides": "not applicable",  # it has no `aside`
    }


def test_the_list_names_every_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prove", "--list"]) == 0
    shown = capsys.readouterr().out
    for one in SCENARIOS.values():
        assert f"  {one.name}\n" in shown
        assert all(issue in shown for issue in one.reproduces)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ([], 2, "name a client: antiphon, "),
        (["antifon"], 2, "no client 'antifon'. Did you mean 'antiphon'?"),
        (["antiphon", "--only", "isolatoin"], 2, "Did you mean 'isolation'?"),
        (["./nowhere.py"], 1, "nowhere cannot be run: there is no file"),
        (["no-such-program-here --now"], 1, "there is no program 'no-such-program-here' here"),
    ],
)
def test_what_is_wrong_is_said(
    arguments: list[str], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prove", *arguments]) == status
    captured = capsys.readouterr()
    assert said in captured.err and captured.out == ""
