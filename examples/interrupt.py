"""Stop everything that is in flight, learn what became of each, and go on at once.

python examples/interrupt.py
"""

import asyncio

import antiphon


async def main() -> None:
    async with antiphon.connect() as session:
        reply = session.create_response(instructions="Count to 100, slowly.", purpose="reply")
        summary = session.create_response(
            instructions="Count to 90, slowly.", conversation="none", purpose="summary"
        )
        audit = session.create_response(  # no interrupt() stops this one, only audit.cancel()
            instructions="Say: noted.", conversation="none", purpose="audit", interruptible=False
        )
        await anext(reply.audio)
        await anext(summary.audio)

        interrupted = session.interrupt()  # has taken effect here: the streams have ended
        following = session.create_response(instructions="Say: What else can I do for you?")

        receipt = await interrupted  # what became of each on the server
        for entry in receipt.entries:
            print(f"{entry.purpose} ({entry.lane}): {entry.outcome}")
        print(f"audit: {await audit.done}")
        print(f"next: {await following.text()}")


if __name__ == "__main__":
    asyncio.run(main())
