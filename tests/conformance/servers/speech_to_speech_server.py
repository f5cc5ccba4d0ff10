"""speech-to-speech's own server and handlers, with stubs on the loopback for chat and speech.

    python speech_to_speech_server.py PORT

What hears is left out, since it needs models: conversations are by text.
"""

import dataclasses
import json
import re
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from threading import Event
from typing import Any

__all__: list[str] = []

UNITS = 3  # sessions at once
WORD_S = 0.01  # between two words of the chat


class Stubs(BaseHTTPRequestHandler):
    """`/v1/chat/completions`, which counts or calls a function; `/v1/audio/speech`: silence."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer a chat or a wish to speak."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/audio/speech"):
            self._answer("audio/pcm", [bytes(4800)])
        else:
            self._answer("text/event-stream", self._chat(asked))

    def do_GET(self) -> None:
        """Answer what asks for the models."""
        self._answer("application/json", [b'{"object": "list", "data": []}'])

    def _answer(self, kind: str, parts: Iterable[bytes]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for part in parts:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True

    def _chat(self, asked: dict[str, Any]) -> Iterator[bytes]:
        words = " ".join(str(one.get("content")) for one in asked["messages"])
        tools = asked.get("tools")
        if tools and (
            asked.get("tool_choice") == "required" or "call the function" in words.lower()
        ):
            function = {"name": tools[0]["function"]["name"], "arguments": '{"text": "a"}'}
            call = {"index": 0, "id": "call_1", "type": "function", "function": function}
            yield self._piece({"role": "assistant", "tool_calls": [call]})
            yield self._piece({}, "tool_calls")
        else:
            counted = re.findall(r"from one to (\d+)", words)
            for number in range(1, int(counted[-1]) + 1 if counted else 4):
                time.sleep(WORD_S)
                yield self._piece({"role": "assistant", "content": f"{number}. "})
            yield self._piece({}, "stop")
        yield b"data: [DONE]\n\n"

    def _piece(self, delta: object, reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        piece = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "stub"}
        return b"data: " + json.dumps({**piece, "choices": [choice]}).encode() + b"\n\n"

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


def main(port: int) -> None:
    """Serve until the process is ended."""
    from speech_to_speech.api.openai_realtime.server import RealtimeServer

    stubs = ThreadingHTTPServer(("127.0.0.1", 0), Stubs)
    threading.Thread(target=stubs.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{stubs.server_port}/v1"
    stop = Event()
    units = [unit(index, base, stop) for index in range(UNITS)]
    RealtimeServer(stop, units, host="127.0.0.1", port=port).run()


def unit(index: int, base: str, stop: Event) -> Any:
    """One pipeline: what thinks and what speaks, with the queues between them."""
    from speech_to_speech.api.openai_realtime.pipeline_unit import PipelineUnit
    from speech_to_speech.api.openai_realtime.service import RealtimeService
    from speech_to_speech.backend_registry import (
        LLM_BACKENDS,
        TTS_BACKENDS,
        HandlerContext,
        create_backend_handler,
    )
    from speech_to_speech.LLM.lm_output_processor import LMOutputProcessor
    from speech_to_speech.pipeline.cancel_scope import CancelScope
    from speech_to_speech.pipeline.control import PipelineControlMessage
    from speech_to_speech.pipeline.speculative_turns import SpeculativeTurnTracker
    from speech_to_speech.pipeline.turn_latency import TurnLatencyStore

    listen, scope, turns = Event(), CancelScope(), SpeculativeTurnTracker()
    queues: list[Queue[Any]] = [Queue() for _ in range(6)]
    heard, prompts, thought, spoken, sound, told = queues

    def context(source: "Queue[Any]", target: "Queue[Any]") -> Any:
        return HandlerContext(
            stop_event=stop,
            queue_in=source,
            queue_out=target,
            text_output_queue=told,
            should_listen=listen,
            cancel_scope=scope,
            speculative_turns=turns,
            pipeline_index=index,
            sample_rate=16000,
            enable_live_transcription=False,
            live_transcription_update_interval=1.0,
        )

    chat = selection(LLM_BACKENDS["chat-completions"], base)
    voice = selection(TTS_BACKENDS["openai"], base)
    settings = {
        "speculative_turns": turns,
        "text_output_queue": told,
        "detect_llm_output_language": False,
    }
    handlers = [
        create_backend_handler(chat, context(prompts, thought)),
        LMOutputProcessor(stop, queue_in=thought, queue_out=spoken, setup_kwargs=settings),
        create_backend_handler(voice, context(spoken, sound)),
    ]
    for handler in handlers:
        handler.pipeline_index = index
        threading.Thread(target=handler.run, daemon=True).start()

    def hear() -> None:
        # Where voice detection and transcription would be: only the end of a session goes through.
        while True:
            item = heard.get()
            if isinstance(item, PipelineControlMessage):
                prompts.put(item)

    threading.Thread(target=hear, daemon=True).start()
    service = RealtimeService(
        text_prompt_queue=prompts,
        should_listen=listen,
        chat_size=chat.config.get("chat_size", 10),
        speculative_turns=turns,
        turn_latency_store=TurnLatencyStore(),
        default_instructions=chat.config.get("init_chat_prompt"),
    )
    return PipelineUnit(
        index=index,
        service=service,
        cancel_scope=scope,
        should_listen=listen,
        response_playing=Event(),
        input_queue=heard,
        output_queue=sound,
        text_output_queue=told,
        text_prompt_queue=prompts,
        handlers=handlers,
    )


def selection(spec: Any, base: str) -> Any:
    """A backend that asks the stubs, whatever its options for that are called."""
    from speech_to_speech.backend_registry import BackendSelection

    config = spec.config_type()
    for field in dataclasses.fields(config):
        if field.name.endswith("base_url"):
            setattr(config, field.name, base)
        elif field.name.endswith("api_key"):
            setattr(config, field.name, "any")
    return BackendSelection(spec, spec.normalize(config))


if __name__ == "__main__":
    main(int(sys.argv[1]))
