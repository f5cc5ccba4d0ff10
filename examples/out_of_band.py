"""A reply to the caller, and beside it two questions about the caller that nobody hears.

    python examples/out_of_band.py

Out-of-band responses run at the same time on the same session. They read the conversation, and
leave no trace in it.
"""

import asyncio

import antiphon

QUESTIONS = {
    "mood": "Is the caller angry? Answer with one word: yes or no.",
    "topic": "What is the call about? Say: a late delivery",
}


async def main() -> None:
    async with antiphon.connect() as session:
        await session.send_text("My bicycle is a week late! Where is it?")
        reply = session.create_response(instructions="Say: I am sorry. It comes on Tuesday.")
        asked = {
            name: session.create_response(
                instructions=question,
                conversation="none",
                output_modalities=["text"],
                metadata={"purpose": name},  # the server gives it back with the response
            )
            for name, question in QUESTIONS.items()
        }
        # Three responses are in flight. Each has streams of its own: nothing gets mixed up.
        spoken = bytearray()
        async for pcm in reply.audio:
            spoken += pcm
        print(f"reply: {await reply.text()} ({len(spoken) / 48_000:.1f} s of audio)")
        for name, verdict in asked.items():
            print(f"{name}: {await verdict.text()}")
        print(f"items in the conversation: {len(session.items)}")


if __name__ == "__main__":
    asyncio.run(main())
