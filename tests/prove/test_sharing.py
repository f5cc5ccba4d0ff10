"""What an environment for a client takes from the one that antiphon is in, and what it does not."""

import errno
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from antiphon.bench.prove.environments import PythonEnvironment
from antiphon.bench.prove.sharing import share_installed

__all__: list[str] = []


class Here:
    """A folder of packages that this interpreter finds first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, name: str, *, installer: str = "pip", url: str = "", lost: str = "") -> None:
        """Install `NAME` 1.0: a module, what it was compiled to, and a command."""
        info = f"{name}-1.0.dist-info"
        files = {
            f"{name}/__init__.py": "word = 1\n",
            f"{name}/__pycache__/__init__.pyc": "",
            f"../bin/{name}": "#!/here/python\n",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
            f"{info}/INSTALLER": f"{installer}\n",
            f"{info}/RECORD": "",
        }
        if url:
            files[f"{info}/direct_url.json"] = url
        files[f"{info}/RECORD"] = "".join(f"{file},,\n" for file in files)
        for file, text in files.items():
            if file != lost:
                path = self.folder / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    folder = tmp_path / "here" / "site"
    folder.mkdir(parents=True)
    monkeypatch.syspath_prepend(str(folder))
    return Here(folder)


def taken(folder: Path) -> dict[str, Path]:
    """The files of an environment's site-packages by their names there."""
    found = {path for path in folder.rglob("*") if path.is_file()}
    return {path.as_posix().partition("site-packages/")[2]: path for path in found}


def test_a_package_in_the_wanted_version_is_linked_without_its_commands(
    here: Here, tmp_path: Path
) -> None:
    here.has("thing")
    assert share_installed("# a list\nthing==1.0  # why\n", tmp_path / "env") == ["thing"]
    there = taken(tmp_path / "env")
    info = {f"thing-1.0.dist-info/{name}" for name in ("METADATA", "INSTALLER", "RECORD")}
    assert set(there) == {"thing/__init__.py", "thing/__pycache__/__init__.pyc", *info}
    assert all(path.samefile(here.folder / name) for name, path in there.items())


def test_a_file_that_two_packages_have_is_linked_once(here: Here, tmp_path: Path) -> None:
    here.has("thing")
    here.has("other")
    record = here.folder / "other-1.0.dist-info" / "RECORD"
    record.write_text(f"{record.read_text()}thing/__init__.py,,\n")
    assert share_installed("thing==1.0\nother==1.0\n", tmp_path / "env") == ["thing", "other"]
    assert taken(tmp_path / "env")["thing/__init__.py"].read_text() == "word = 1\n"


@pytest.mark.parametrize(
    "wanted",
    ["thing==1.1", "thing", "thing>=1.0", 'thing==1.0 ; python_version < "3"', "other==1.0"],
)
def test_what_is_not_here_for_certain_is_left_to_the_installer(
    here: Here, tmp_path: Path, wanted: str
) -> None:
    here.has("thing")
    assert share_installed(f"{wanted}\n", tmp_path / "env") == []
    assert taken(tmp_path / "env") == {}


@pytest.mark.parametrize(
    ("installer", "url", "lost"),
    [
        ("conda", "", ""),
        ("pip", '{"url": "file:///here"}', ""),
        ("pip", "", "thing/__init__.py"),
        ("pip", "", "thing-1.0.dist-info/RECORD"),
    ],
)
def test_what_is_not_here_whole_and_as_released_is_left_to_the_installer(
    here: Here, tmp_path: Path, installer: str, url: str, lost: str
) -> None:
    here.has("thing", installer=installer, url=url, lost=lost)
    assert share_installed("thing==1.0\n", tmp_path / "env") == []
    assert taken(tmp_path / "env") == {}


def test_what_was_compiled_may_be_gone(here: Here, tmp_path: Path) -> None:
    here.has("thing", lost="thing/__pycache__/__init__.pyc")
    assert share_installed("thing==1.0\n", tmp_path / "env") == ["thing"]
    assert "thing/__init__.py" in taken(tmp_path / "env")


def test_on_another_file_system_it_is_copied(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(source: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(os, "link", no_link)
    here.has("thing")
    assert share_installed("thing==1.0\n", tmp_path / "env") == ["thing"]
    copied = taken(tmp_path / "env")["thing/__init__.py"]
    assert copied.read_text() == "word = 1\n"
    assert not copied.samefile(here.folder / "thing/__init__.py")


def test_an_environment_of_what_is_here_needs_no_network_and_holds_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    wanted = tmp_path / "wanted.txt"
    wanted.write_text(f"msgspec=={version('msgspec')}\n")
    environment = PythonEnvironment("one", wanted, complete=True)
    environment.build(tmp_path / "cache")
    python = environment.python(tmp_path / "cache")
    code = (
        "import importlib.metadata as m, msgspec, sys;"
        "print(msgspec.__version__, [d.name for d in m.distributions()], sys.prefix)"
    )
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-c", code], env=kept, capture_output=True, text=True, cwd=tmp_path
    )
    prefix = environment.folder(tmp_path / "cache")
    assert done.stdout == f"{version('msgspec')} ['msgspec'] {prefix}\n", done.stderr
    assert sys.prefix != str(prefix)
