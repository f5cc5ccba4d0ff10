"""Real clients against the emulator: their environments, and how these tests are run.

Environments are installed by threads that start when collection is over, while other tests run;
these tests therefore come last. `pytest -m "not interop"` leaves them out and installs nothing.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from antiphon.bench.prove.environments import ENVIRONMENTS, INSTALL_TIMEOUT_S
from tests.interop.harness import CACHE, ClientProcess

__all__ = ["Installations", "client"]

HERE = Path(__file__).parent
# Two at a time: installing is half waiting for a registry and half unpacking.
INSTALLERS = 2


class Installations:
    """Builds environments in the background."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(INSTALLERS, thread_name_prefix="interop-install")
        self._builds: dict[str, Future[None]] = {}

    def start(self, names: set[str]) -> None:
        """Begin with those that this machine can run."""
        for name, environment in ENVIRONMENTS.items():
            if name in names and environment.unusable() is None:
                self._builds[name] = self._pool.submit(environment.build, CACHE)

    def wait(self, name: str) -> None:
        """Return when this one is complete."""
        self._builds[name].result(timeout=INSTALL_TIMEOUT_S * len(self._builds))

    def stop(self) -> None:
        """Do not begin with any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)


_INSTALLATIONS = pytest.StashKey[Installations]()


def _of(item: pytest.Item) -> str | None:
    marker = item.get_closest_marker("interop")
    return str(marker.args[0]) if marker is not None else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put these tests last, and let no installation count as a test's time."""
    items.sort(key=lambda item: item.path.is_relative_to(HERE))
    for item in items:
        if _of(item) is not None:
            item.add_marker(pytest.mark.timeout(150, func_only=True))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin to install what the selected tests need."""
    needed = {name for item in session.items if (name := _of(item)) is not None}
    if needed and not session.config.option.collectonly:
        installations = session.config.stash.setdefault(_INSTALLATIONS, Installations())
        installations.start(needed)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave no installer behind."""
    if _INSTALLATIONS in config.stash:
        config.stash[_INSTALLATIONS].stop()


@pytest.fixture(scope="module")
def client(request: pytest.FixtureRequest) -> Iterator[ClientProcess]:
    """The module's client: `pytestmark = pytest.mark.interop(environment, script)`."""
    name, script = request.node.get_closest_marker("interop").args
    environment = ENVIRONMENTS[name]
    reason = environment.unusable()
    if reason is not None:
        pytest.skip(reason)
    request.config.stash[_INSTALLATIONS].wait(name)
    process = ClientProcess(environment, script)
    yield process
    process.close()
