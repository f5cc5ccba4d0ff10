"""openai-python, unchanged, against the emulator."""

from tests.interop.openai_package import OpenAIPackage
from tests.interop.stories import interop

__all__: list[str] = []

pytestmark = interop("openai")


class TestOpenAIPython(OpenAIPackage):
    pass
