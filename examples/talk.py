"""Talk with a model, by microphone and speaker; or from one WAV file to another.

    pip install '.[sound]'
    python examples/talk.py                           # Ctrl-C ends it
    python examples/talk.py question.wav answer.wav   # without a sound card

Speak while it speaks, and it falls silent: what you did not hear is not in the conversation.
Needs OPENAI_API_KEY, or `antiphon serve --voice` and OPENAI_BASE_URL=http://127.0.0.1:8765/v1.
"""

import asyncio
import contextlib
import sys

import antiphon
from antiphon.audio import (
    Microphone,
    Player,
    Sink,
    SoundCardMicrophone,
    SoundCardSpeaker,
    Source,
    WavSink,
    WavSource,
)

CONFIG = {"instructions": "You are good company. Be brief.", "output_modalities": ["audio"]}


async def talk(source: Source, sink: Sink) -> None:
    async with antiphon.connect(session=CONFIG) as session:
        session.on("played", lambda reply: print(f"heard {reply.heard_ms} ms of a reply"))
        async with Player(session, sink), Microphone(session, source):
            if isinstance(source, WavSource):
                await source.ended.wait()
                await anext(session.responses())  # the answer to the last thing that was said
                await session.quiet(timeout=60)
            else:
                await session.closed


async def main(arguments: list[str]) -> None:
    if len(arguments) not in (0, 2):
        sys.exit(__doc__)
    if arguments:
        question, answer = arguments
        with WavSink(answer) as sink:
            await talk(WavSource(question), sink)
    else:
        with SoundCardSpeaker() as speaker:
            await talk(SoundCardMicrophone(), speaker)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1:]))
