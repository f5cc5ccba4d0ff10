"""What would be published is complete, its addresses lead somewhere, and it works once installed.

The sdist is built from the tree and the wheel from the sdist, as `make dist` does. The wheel is
then installed into an empty environment with what it declares and nothing else.
"""

import asyncio
import os
import re
import shlex
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import HeaderParser
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from antiphon.bench.prove.sharing import share_installed
from antiphon.emulator import Behaviour, EmulatorServer, Pace, Script, ThreadedServer, say
from tests.helpers.command import environment
from tests.test_readme import blocks_in, runner, told_to_set
from tools.release import prepared, problems

__all__: list[str] = []

ROOT = Path(__file__).parent.parent
PROJECT = (ROOT / "pyproject.toml").read_text()
SECONDS = 240

pytestmark = pytest.mark.timeout(SECONDS)

# What a newcomer does first, in the words of the README.
FIRST = """
import asyncio, sys, antiphon

async def main():
    async with antiphon.connect(url=sys.argv[1]) as session:
        reply = session.create_response(instructions="Count to 100.")
        async for pcm in reply.audio:
            break
        receipt = await session.interrupt()
        print(len(pcm) > 0, receipt.entries[0].outcome)
        print(await session.create_response().text())

asyncio.run(main())
"""


def run(*command: str, cwd: Path, **changes: str) -> "subprocess.CompletedProcess[str]":
    kept = {k: v for k, v in environment(**changes).items() if k not in ("PYTHONPATH",)}
    return subprocess.run(
        command,
        cwd=cwd,
        env=kept,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    constraint = str(ROOT / "constraints.txt")
    done = run(
        *(sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)),
        cwd=folder,
        PIP_CONSTRAINT=constraint,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        return HeaderParser().parsestr(archive.read(name).decode())


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Iterator[Path]:
    """The bin folder of an environment that holds the wheel and what it declares."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, with_pip=True)
    bin_ = folder / ("Scripts" if os.name == "nt" else "bin")
    install(bin_, str(wheel))
    yield bin_


def install(bin_: Path, *wanted: str) -> None:
    done = run(
        *(str(bin_ / "python"), "-m", "pip", "install", "--quiet", *wanted),
        *("--constraint", str(ROOT / "constraints.txt")),
        cwd=bin_,
    )
    assert done.returncode == 0, done.stderr


def links(text: str) -> list[str]:
    return re.findall(r"\]\(([^)#\s]+)", text)


def test_the_sdist_has_what_its_tests_need(dist: Path) -> None:
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tracked = run("git", "ls-files", cwd=ROOT)
    if tracked.returncode:
        pytest.skip("not a git checkout: nothing to compare the sdist with")
    there = {name for name in tracked.stdout.splitlines() if (ROOT / name).exists()}
    assert there - names == set()


def test_the_wheel_has_the_package_and_nothing_of_the_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"antiphon", "livekit"}
    assert "antiphon/py.typed" in names and "livekit/plugins/antiphon/py.typed" in names
    assert not {"livekit/__init__.py", "livekit/plugins/__init__.py"} & set(names)


def test_the_page_on_the_index_has_absolute_links_only(metadata: Message) -> None:
    page = str(metadata.get_payload())
    readme = (ROOT / "README.md").read_text()
    assert len(links(page)) == len(links(readme)) > 8
    assert [one for one in links(page) if not one.startswith("https://")] == []


def test_addresses_name_one_owner(metadata: Message) -> None:
    addresses = [*metadata.get_all("Project-URL", []), *links(str(metadata.get_payload()))]
    ours = [one for one in addresses if "antiphon" in one.split("://")[1]]
    owner = re.compile(r"https://(?:(?:github|raw\.githubusercontent)\.com/([\w-]+)/|([\w-]+)\.)")
    owners = {a or b for a, b in owner.findall("\n".join(ours))}
    assert len(owners) == 1 and len(ours) > 8


def test_classifiers_name_what_the_workflow_tests() -> None:
    classifiers = tomllib.loads(PROJECT)["project"]["classifiers"]
    named = [one.rpartition(" ")[2] for one in classifiers if re.search(r":: 3\.\d+$", one)]
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text()
    (matrix,) = re.findall(r"python: \[(.*)\]", workflow)
    assert re.findall(r"[\d.]+", matrix) == named != []


def test_workflows_call_what_a_developer_calls() -> None:
    for workflow in ("test", "publish"):
        text = (ROOT / ".github" / "workflows" / f"{workflow}.yml").read_text()
        assert "run: .ci/run" in text


def test_a_reply_is_heard_and_interrupted_with_the_wheel_alone(empty: Path, tmp_path: Path) -> None:
    async def main() -> str:
        script = Script([say("One, two, three.", ms=60_000), say("Hello again.")])
        async with EmulatorServer(Behaviour(pace=Pace.real_time()), script) as server:
            done = await asyncio.to_thread(
                run, str(empty / "python"), "-c", FIRST, server.url, cwd=tmp_path
            )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert asyncio.run(main()) == "True cancelled (client_cancelled)\nHello again.\n"


def test_the_command_helps_with_the_wheel_alone(empty: Path, tmp_path: Path) -> None:
    done = run(str(empty / "antiphon"), "--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "antiphon serve" in done.stdout


def test_what_an_extra_brings_is_named_where_it_is_missing(empty: Path, tmp_path: Path) -> None:
    done = run(str(empty / "antiphon"), "demo", cwd=tmp_path)
    assert done.returncode == 1
    assert "pip install" in done.stderr and "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def told(empty: Path, wheel: Path) -> Path:
    """The same environment, once its owner has done what the README says to install."""
    readme = (ROOT / "README.md").read_text()
    (extras,) = re.findall(r"pip install '\.(\[cli[\w,]*\])'", readme)
    (runners,) = re.findall(r"`pip install (pytest[ \w-]*)`", readme)
    install(empty, f"{wheel}{extras}", *runners.split())
    return empty


def test_the_demo_runs_with_the_extras_that_the_readme_names(told: Path, tmp_path: Path) -> None:
    done = run(str(told / "antiphon"), "demo", "--fast", "--plain", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


FIRST_STEPS = [
    ("README.md", "session.interrupt()"),
    ("README.md", "def test_my_agent_says"),
    ("docs/emulator.md", "run_virtual(main())"),
    ("docs/client.md", "antiphon.Tools()"),
]


@pytest.mark.parametrize(("document", "holds"), FIRST_STEPS)
def test_the_first_snippets_run_with_what_the_readme_says_to_install(
    told: Path, tmp_path: Path, document: str, holds: str
) -> None:
    text = (ROOT / document).read_text()
    block = next(one for one in blocks_in(text, document) if holds in one.text)
    with ThreadedServer() as server:
        command = runner(block.text, str(told / "python"), tmp_path)
        done = run(*command, cwd=tmp_path, **told_to_set(block, server))
    assert done.returncode == 0, done.stdout + done.stderr


INSTALL = re.compile(r"pip install ([^`\n]+)")
# Of each thing that a document or an example says to install: what is tried with that and no more.
# A line of a python block, or a program; a program is read to its end, but not run.
TRIED: dict[tuple[str, str], str] = {
    ("docs/emulator.md", "'.[tls]'"): "ssl_context=ssl.create_default_context",
    ("docs/emulator-voice.md", "'.[voice]'"): "voice = Voice()",
    ("docs/calls.md", "'.[webrtc]'"): "examples/browser_call/server.py",
    ("docs/livekit.md", "'.[livekit,emulator]'"): "examples/livekit_agent.py",
    ("docs/livekit.md", "'.[livekit]'"): "session.say(",
    ("README.md", "'.[emulator]' starlette 'uvicorn[standard]'"): (
        "examples/browser_bridge/server.py"
    ),
    ("examples/browser_bridge/server.py", ". starlette 'uvicorn[standard]'"): (
        "examples/browser_bridge/server.py"
    ),
    ("examples/browser_call/server.py", "'.[calls]'"): "examples/browser_call/server.py",
    ("examples/phone_agent.py", "'.[calls]' openai"): "examples/phone_agent.py",
    ("examples/spoken_turn.py", "'.[audio]'"): "examples/spoken_turn.py",
    ("examples/talk.py", "'.[sound]'"): "examples/talk.py",
}
# What of `uvicorn[standard]` the development environment does without.
NOT_HERE = {"httptools", "python-dotenv", "uvloop"}
# These are installed for certain, by pip, in the environment of `told`.
TOLD = {"'.[cli,emulator,audio]'", "pytest pytest-asyncio"}


def told_to_install() -> set[tuple[str, str]]:
    """(document, what follows `pip install`); what is drawn counts for the file it is from."""
    found = set()
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.py"):
        for path in ROOT.glob(pattern):
            text = re.sub(r"<!-- drawn: .*?<!-- end of", "", path.read_text(), flags=re.DOTALL)
            words = {one.strip() for one in INSTALL.findall(text)}
            found |= {(path.relative_to(ROOT).as_posix(), one) for one in words - TOLD}
    return found


def test_documents_say_one_way_to_install_antiphon_and_each_is_tried() -> None:
    said = told_to_install()
    assert set(TRIED) <= said
    # What two documents say in the same words is tried once.
    assert {words for _, words in said} == {words for _, words in TRIED}


def needed(wheel: Path, words: str) -> list[str]:
    """NAME==VERSION of all that these words bring, in the versions that are here."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        ours = HeaderParser().parsestr(archive.read(name).decode())
    pins: dict[str, str] = {}
    wanted = [Requirement(re.sub(r"^\.", "antiphon", one)) for one in shlex.split(words)]
    seen: set[str] = set()
    while wanted:
        one = wanted.pop()
        if str(one) in seen or one.name in NOT_HERE:
            continue
        seen.add(str(one))
        if one.name == "antiphon":
            assert one.extras <= set(ours.get_all("Provides-Extra", []))
            brings = ours.get_all("Requires-Dist", [])
        else:
            found = distribution(one.name)
            pins[found.name] = found.version
            brings = found.requires or []
        for further in map(Requirement, brings):
            chosen = [{"extra": extra} for extra in ("", *one.extras)]
            if further.marker is None or any(map(further.marker.evaluate, chosen)):
                wanted.append(further)
    return [f"{name}=={version}" for name, version in pins.items()]


@pytest.mark.parametrize(("place", "words"), TRIED, ids=lambda one: str(one))
def test_what_documents_say_to_install_is_enough(
    wheel: Path, tmp_path: Path, place: str, words: str
) -> None:
    wanted = needed(wheel, words)
    venv.create(tmp_path / "env", with_pip=False)
    shared = share_installed("\n".join(wanted), tmp_path / "env")
    assert {one.partition("==")[0] for one in wanted} == set(shared)
    python = str(tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin") / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    done = run(*pip, "--no-index", "--no-deps", str(wheel), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    what = TRIED[place, words]
    with ThreadedServer() as server:
        if (ROOT / what).is_file():
            code = f"import runpy; runpy.run_path({str(ROOT / what)!r})"
            done = run(python, "-c", code, cwd=tmp_path)
        else:
            found = blocks_in((ROOT / place).read_text(), place)
            (block,) = [one for one in found if what in one.text]
            command = runner(block.text, python, tmp_path)
            done = run(*command, cwd=tmp_path, **told_to_set(block, server))
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_a_message_says_to_install_is_had_where_antiphon_is(told: Path) -> None:
    # Messages say `antiphon[sound]`, since where antiphon is there its folder need not be: pip
    # asks no index for what is installed.
    install(told, "antiphon[cli]", "--no-index")


def test_a_release_has_its_version_and_its_owner() -> None:
    text = prepared(PROJECT, "1.2.3", "somebody")
    project = tomllib.loads(text)["project"]
    assert project["version"] == "1.2.3"
    assert project["urls"]["Repository"] == "https://github.com/somebody/antiphon"
    assert project["urls"]["Documentation"] == "https://somebody.github.io/antiphon/"
    assert problems(text, "v1.2.3") == []


@pytest.mark.parametrize(
    ("version", "owner", "said"),
    [
        ("1.2", "me", "no version"),
        ("1.2.3", "me/you", "no name"),
        ("1.2.3", None, "add OWNER=name"),
    ],
)
def test_a_release_without_version_or_owner_is_refused(
    version: str, owner: str | None, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        prepared(PROJECT, version, owner)


def test_a_tag_publishes_only_what_it_names() -> None:
    assert problems(prepared(PROJECT, "1.2.3", "me"), "v1.2.4") == [
        "the tag is v1.2.4, the version is 1.2.3"
    ]
    assert any("OWNER" in one for one in problems(PROJECT, "v0.1.0"))
