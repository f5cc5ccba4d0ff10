"""Ask for a reply and print its words as they come.

    python examples/hello.py "Count to five."

The server is OpenAI's, with the key in OPENAI_API_KEY; or, with no key at all, the one that
`antiphon serve` runs, when OPENAI_BASE_URL says so.
"""

import asyncio
import sys

import antiphon


async def main(words: str) -> None:
    async with antiphon.connect() as session:
        await session.send_text(words)
        reply = session.create_response(output_modalities=["text"])
        async for delta in reply.text_stream:
            print(delta, end="", flush=True)
        print(f"\n({await reply.done})")


if __name__ == "__main__":
    asyncio.run(main(" ".join(sys.argv[1:]) or "Say hello."))
