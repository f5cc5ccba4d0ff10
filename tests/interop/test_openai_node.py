"""openai's npm package on Node, unchanged, against the emulator over TLS, which it insists on."""

import asyncio
import re
import signal
from pathlib import Path

from tests.helpers.command import COMMAND, environment
from tests.interop.conftest import CACHE, OPENAI_NODE
from tests.interop.openai_package import OpenAIPackage
from tests.interop.stories import ClientUnderTest, interop

__all__: list[str] = []

pytestmark = interop("openai-node")

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "examples" / "openai_node.mjs"
SECONDS = 60


class TestOpenAINode(OpenAIPackage):
    pass


async def test_the_example_runs_with_what_serve_says(client: ClientUnderTest) -> None:
    """`antiphon serve --tls`, and another process told of it by the lines that it prints."""
    assert OPENAI_NODE.environment is not None
    served = await asyncio.create_subprocess_exec(
        *(*COMMAND, "serve", "--tls", "--port", "0", "--pace", "instant"),
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert served.stdout is not None
        banner = await asyncio.wait_for(served.stdout.readuntil(b"Ctrl-C stops it.\n"), SECONDS)
        told = dict(re.findall(r"(OPENAI_\w+|NODE_\w+)=(\S+)", banner.decode()))
        example = await asyncio.create_subprocess_exec(
            *(*OPENAI_NODE.environment.command(EXAMPLE, CACHE), "Count to three."),
            env=environment(**told),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await asyncio.wait_for(example.communicate(), SECONDS)
    finally:
        served.send_signal(signal.SIGINT)
        await asyncio.wait_for(served.communicate(), SECONDS)
    assert out == b"One, two, three.\n(completed)\n"
