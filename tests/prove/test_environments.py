"""Where other people's clients are installed, and what is said when they cannot be."""

import sys
from pathlib import Path

import pytest

from antiphon.bench.prove.clients import CLIENTS
from antiphon.bench.prove.environments import ENVIRONMENTS, InstallError, cache_folder
from tests.interop.conftest import missing

__all__: list[str] = []

on_posix = pytest.mark.skipif(sys.platform == "win32", reason="its tools are shell scripts")


def tools(folder: Path, **scripts: str) -> str:
    """A search path with these tools on it."""
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def test_every_pinned_client_has_a_version() -> None:
    pinned = [one for one in CLIENTS.values() if one.environment is not None]
    assert len(pinned) == 6
    assert [one.name for one in pinned if not one.version()[:1].isdigit()] == []
    assert [one.name for one in CLIENTS.values() if not one.program.is_file()] == []


def test_it_is_kept_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "antiphon" / "prove"


@on_posix
def test_a_registry_that_cannot_be_had_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    failing = "echo something; echo network is unreachable; exit 1"
    monkeypatch.setenv("PATH", tools(tmp_path, node="echo v22.0.0", npm=failing))
    environment = ENVIRONMENTS["openai_agents_js"]
    assert environment.unusable() is None
    with pytest.raises(InstallError) as caught:
        environment.build(tmp_path / "cache")
    first = str(caught.value).splitlines()[0]
    assert first == "npm cannot install openai_agents_js: network is unreachable"
    assert list((tmp_path / "cache").iterdir()) == []


@on_posix
def test_a_node_that_is_too_old_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", tools(tmp_path, node="echo v18.1.0", npm="exit 1"))
    reason = ENVIRONMENTS["openai_agents_js"].unusable()
    assert reason == "node v18.1.0 is too old: 20 or newer is needed"


def test_what_is_missing_skips_a_test_and_fails_it_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no npm here"):
        missing("no npm here")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no npm here"):
        missing("no npm here")
