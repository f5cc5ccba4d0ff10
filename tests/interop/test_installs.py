"""What `make test` says of its size is true: looked at last, when all was installed."""

from pathlib import Path

import pytest

from tools.installs import MEASURED_MB, ROOT, announcement, folders, measured_mb

__all__: list[str] = []

# Wheels differ between machines and Pythons, and compiled modules are added as they are used.
WITHIN = 0.2


def test_what_is_said_to_be_installed_is_what_is_there() -> None:
    now = measured_mb(ROOT)
    if ".venv" not in now:
        pytest.skip("this checkout has no environment made by make: nothing to measure")
    said = sum(MEASURED_MB[name] for name in now)
    assert abs(sum(now.values()) - said) < WITHIN * said, f"tools/installs.py should say {now}"


def test_it_says_what_is_missing_and_nothing_when_all_is_there(tmp_path: Path) -> None:
    there = folders(tmp_path)
    assert set(there) == set(MEASURED_MB)
    others = sum(MEASURED_MB.values()) - MEASURED_MB[".venv"]
    assert announcement(tmp_path) == (
        f"this installs about {MEASURED_MB['.venv']} MB into .venv and {others} MB into "
        ".cache/interop, once; `make clean` removes it"
    )
    there[".venv"].mkdir()
    assert f"{MEASURED_MB['.venv']} MB" in announcement(tmp_path)  # begun, and not whole
    (there[".venv"] / ".antiphon-dev").touch()
    assert announcement(tmp_path).startswith(f"this installs about {others} MB into .cache/")
    for folder in there.values():
        folder.mkdir(parents=True, exist_ok=True)
    assert announcement(tmp_path) == ""


def test_the_guide_to_contributing_says_as_much() -> None:
    total = round(sum(MEASURED_MB.values()), -1)
    assert f"about {total} MB below this folder" in (ROOT / "CONTRIBUTING.md").read_text()


def test_a_file_that_is_shared_counts_once(tmp_path: Path) -> None:
    there = folders(tmp_path)
    for name in (".venv", "pipecat"):
        there[name].mkdir(parents=True)
    (there[".venv"] / ".antiphon-dev").write_bytes(bytes(3_000_000))
    (there["pipecat"] / "shared").hardlink_to(there[".venv"] / ".antiphon-dev")
    (there["pipecat"] / "own").write_bytes(bytes(2_000_000))
    assert measured_mb(tmp_path) == {".venv": 3, "pipecat": 2}
