"""Speak to the server, as from a microphone, and keep what it answers.

    python examples/spoken_turn.py question.wav answer.wav

The question is a mono WAV of 16-bit samples at any rate (other rates than 24 kHz need
`pip install '.[audio]'`). The server's turn detection hears where it ends, and answers of
its own accord. For a real microphone, send what the sound card gives in place of the file.
"""

import asyncio
import sys
import wave

import antiphon

PIECE_S = 0.04
CONFIG = {
    "type": "realtime",
    "audio": {"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 500}}},
}


async def microphone(session: antiphon.Session, path: str) -> None:
    """Send a file at the pace at which it is spoken, and then silence, for as long as we run."""
    with wave.open(path) as file:
        rate = file.getframerate()
        frames = round(rate * PIECE_S)
        while True:
            piece = file.readframes(frames)
            piece += bytes(2 * frames - len(piece))
            session.append_audio(piece, sample_rate=rate)
            await asyncio.sleep(PIECE_S)


async def main(question: str, answer: str) -> None:
    async with antiphon.connect(session=CONFIG) as session:
        session.on("turn", lambda turn: print(f"turn: {turn.phase}"))
        speaking = asyncio.create_task(microphone(session, question))
        with wave.open(answer, "wb") as file:
            file.setparams((1, 2, 24_000, 0, "NONE", ""))
            reply = await anext(session.responses())  # the server made it; nobody asked for it
            async for pcm in reply.audio:
                file.writeframes(pcm)
        speaking.cancel()
        print(f"answer: {await reply.text()}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
