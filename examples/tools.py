"""Functions that the model calls, run and answered by antiphon.

    python examples/tools.py "Please use delivery for order 7."

Needs OPENAI_API_KEY, or `antiphon serve` and OPENAI_BASE_URL=http://127.0.0.1:8765/v1.
"""

import asyncio
import sys
from typing import Annotated

import antiphon

tools = antiphon.Tools()


@tools.function
async def delivery(order: Annotated[int, "the number on the receipt"] = 7) -> dict[str, str]:
    """Look up when an order is delivered."""
    print(f"(delivery of order {order} is looked up)")
    return {"day": "Tuesday"}


async def main() -> None:
    question = " ".join(sys.argv[1:]) or "Please use delivery for order 7."
    session_config = {"tools": tools.schemas, "output_modalities": ["text"]}
    async with antiphon.connect(session=session_config) as session:
        await session.send_text(question)
        async for reply in tools.follow(session, session.create_response()):
            if words := await reply.text():
                print(words)


if __name__ == "__main__":
    asyncio.run(main())
