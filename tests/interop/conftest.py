"""Real clients against the emulator: their environments, and how these tests are run.

The programs that drive them are those of `antiphon prove`. Environments are installed by threads
that start when collection is over, while other tests run; these tests therefore come last.
`pytest -m "not interop"` leaves them out and installs nothing.
"""

import os
import ssl
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import pytest_asyncio
import trustme

from antiphon.bench.prove.clients import CLIENTS, Client
from antiphon.bench.prove.environments import (
    ENVIRONMENTS,
    INSTALL_TIMEOUT_S,
    Environment,
    InstallError,
)
from tests.interop.stories import ClientUnderTest

__all__ = ["Installations", "client"]

HERE = Path(__file__).parent
CACHE = HERE.parent.parent / ".cache" / "interop"
# Two at a time: installing is half waiting for a registry and half unpacking.
INSTALLERS = 2

# It shares the environment of the other client on Node, which brings the package anyway.
OPENAI_NODE = Client(
    "openai-node",
    "openai's npm package, OpenAIRealtimeWS",
    "openai",
    HERE / "openai_node.mjs",
    ENVIRONMENTS["openai_agents_js"],
)
PLAYED = {**CLIENTS, OPENAI_NODE.name: OPENAI_NODE}


class Installations:
    """Builds environments in the background."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(INSTALLERS, thread_name_prefix="interop-install")
        self._builds: dict[str, Future[None]] = {}

    def start(self, environments: list[Environment]) -> None:
        """Begin with those that this machine can run."""
        for environment in environments:
            if environment.unusable() is None:
                build = self._pool.submit(environment.build, CACHE)
                self._builds[environment.name] = build

    def wait(self, name: str) -> None:
        """Return when this one is complete.

        Raises:
            InstallError: it could not be installed.
        """
        self._builds[name].result(timeout=INSTALL_TIMEOUT_S * len(self._builds))

    def stop(self) -> None:
        """Do not begin with any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)


_INSTALLATIONS = pytest.StashKey[Installations]()


def _environment_of(item: pytest.Item) -> Environment | None:
    marker = item.get_closest_marker("interop")
    return PLAYED[str(marker.args[0])].environment if marker is not None else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put these tests last, and let no installation count as a test's time."""
    items.sort(key=lambda item: item.path.is_relative_to(HERE))
    for item in items:
        if _environment_of(item) is not None:
            item.add_marker(pytest.mark.timeout(150, func_only=True))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin to install what the selected tests need, the slowest to install first."""
    needed = {found.name for item in session.items if (found := _environment_of(item)) is not None}
    if needed and not session.config.option.collectonly:
        installations = session.config.stash.setdefault(_INSTALLATIONS, Installations())
        all_of_them = {
            one.environment.name: one.environment for one in CLIENTS.values() if one.environment
        }
        order = ("pipecat", "livekit", "openai_agents", "openai_agents_js", "openai")
        installations.start([all_of_them[name] for name in order if name in needed])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave no installer behind."""
    if _INSTALLATIONS in config.stash:
        config.stash[_INSTALLATIONS].stop()


def missing(reason: str) -> None:
    """Skip, in one line; fail where a continuous integration is to see that all was tested."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ClientUnderTest]:
    """The module's client: `pytestmark = interop(name)`."""
    (name,) = request.node.get_closest_marker("interop").args
    chosen = PLAYED[name]
    environment = chosen.environment
    assert environment is not None
    reason = environment.unusable()
    if reason is not None:
        missing(f"{name} is not tested: {reason}")
    try:
        request.config.stash[_INSTALLATIONS].wait(environment.name)
    except InstallError as error:
        missing(f"{name} is not tested: {str(error).splitlines()[0]}")
    if chosen is OPENAI_NODE:
        authority = trustme.CA()
        trusted = tmp_path_factory.mktemp("authority") / "ca.pem"
        authority.cert_pem.write_to_path(trusted)
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(tls)
        env = {"NODE_EXTRA_CA_CERTS": str(trusted)}
        under_test = ClientUnderTest(chosen.channel(CACHE, env)(), tls)
    else:
        under_test = ClientUnderTest(chosen.channel(CACHE)())
    yield under_test
    await under_test.close()
