"""What every experiment works with: a session, responses long enough, and what is known so far."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from antiphon.bench.probe.dialling import Dial
from antiphon.bench.probe.names import Json
from antiphon.bench.probe.peer import MakePeer
from antiphon.bench.probe.posting import Post
from antiphon.bench.probe.talk import Frame, Run, Talk, connected
from antiphon.bench.report import Mark
from antiphon.models import DEFAULT_MODEL

__all__ = [
    "Experiment",
    "Found",
    "Hidden",
    "Inconclusive",
    "Knowledge",
    "Lab",
    "NotPossible",
    "Plan",
    "Verdict",
    "tally",
]


# For a place that is not free at once: how often it is tried, and how long is waited between.
_TRIES = 100
_STEP_S = 0.01


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of one experiment.

    Args:
        mark: seen, mixed, inconclusive, hidden or not possible.
        words: what was seen, with the evidence counted.
    """

    mark: Mark
    words: str


class Inconclusive(Exception):
    """A precondition did not hold, so that nothing follows from what came."""


class Hidden(Exception):
    """Something else the server does keeps this from being seen."""


class NotPossible(Exception):
    """It cannot be tried here at all."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """One question to the server.

    Args:
        key: its name.
        group: the heading it stands under.
        question: as a title.
        sends: what is sent, in words.
        facts: of docs/protocol.md.
        knobs: that it settles.
        tokens: output tokens it may cost at most.
        run: the script.
        needs_call: whether it takes a call, which not every server has.
    """

    key: str
    group: str
    question: str
    sends: str
    facts: str
    knobs: tuple[str, ...]
    tokens: int
    run: "Callable[[Lab], Awaitable[Verdict]]"
    needs_call: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """How to probe.

    Args:
        url: the server's address.
        headers: for the handshake; they hold the key, and are never shown.
        key_given: whether there is a key among them.
        dial: opens sockets.
        max_tokens: output tokens after which nothing more is asked.
        patience: seconds to wait for an answer, the network's time not counted.
        clip: spoken words, PCM16 little-endian, mono, 24 kHz; without it nothing is spoken.
        numbers: how many numbers a model is at most told to count.
        longest_s: seconds after which no further experiment is begun.
        post: sends HTTP requests; without it no call is made.
        peer: makes who holds a call's media; without it nobody does.
        stranger: headers with a key of another project, if one is to be tried; never shown.
        wall: the Unix time in seconds.
    """

    url: str
    headers: Mapping[str, str]
    dial: Dial
    key_given: bool = False
    max_tokens: int = 40_000
    patience: float = 3.0
    clip: bytes = b""
    numbers: int = 900
    longest_s: float = 600.0
    post: Post | None = None
    peer: MakePeer | None = None
    stranger: Mapping[str, str] | None = None
    wall: Callable[[], float] = time.time


@dataclass(slots=True)
class Found:
    """What is known of one knob."""

    value: str | None
    mark: Mark
    why: str
    candidates: tuple[str, ...] = ()


class Knowledge:
    """Knobs and observations, as far as they are known."""

    def __init__(self) -> None:
        self.knobs: dict[str, Found] = {}
        self.seen: dict[str, str] = {}
        self.jitter_ms = 0.0

    def knob(self, name: str, value: str, why: str, *, mark: Mark = Mark.SEEN) -> None:
        """A knob's value was found."""
        self.knobs[name] = Found(value, mark, why)

    def unknown(self, name: str, mark: Mark, why: str, candidates: Sequence[str] = ()) -> None:
        """A knob's value could not be found, and why; what was found before stays."""
        if name not in self.knobs or self.knobs[name].value is None:
            self.knobs[name] = Found(None, mark, why, tuple(candidates))

    def value(self, name: str) -> str | None:
        """A knob's value, or None while it is not known."""
        found = self.knobs.get(name)
        return found.value if found is not None else None

    def distribution(self, name: str, values: Sequence[float], why: str) -> None:
        """A knob that is a number of milliseconds, from several measurements.

        Args:
            name: the knob's.
            values: what was measured.
            why: how.
        """
        ordered = sorted(values)
        middle = ordered[len(ordered) // 2]
        spread = ", ".join(f"{value:.0f}" for value in ordered)
        value = round(middle, -1) if middle >= 20 else round(middle)
        told = f"{why}: {spread} ms in {len(ordered)} runs"
        if self.jitter_ms >= 5:
            told += f"; the network gives or takes {self.jitter_ms:.0f} ms"
        self.knob(name, f"{value:g}", told)


class Lab:
    """One probe under way.

    Args:
        plan: how to probe.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.know = Knowledge()
        self.talk = Talk(plan.patience)  # replaced when the first session is open
        self.url = plan.url
        self.handshakes = 0
        self.trip = 0.0
        self.beta = False
        self.settings: Json = {}
        self.pace: float | None = None  # numbers a second
        self.tokens = 0
        self.mute = ""  # why no answer can be had, once that is known
        self.crowded = ""  # why there is no second session
        self.given_up = ""  # why nothing more is tried
        self.no_calls = ""  # why no call can be made
        self.call_form = ""  # how an offer is taken: "multipart", "bare", "ephemeral"
        self.call_ready_s = 0.0  # how long after its answer a call can be joined
        self.calls = self.calls_left = 0  # made, and of those what may not be over
        self._began = asyncio.get_running_loop().time()
        self.mark = 0
        self.strips: set[str] = set()
        self.talks: list[Talk] = []
        self._counted: set[str] = set()
        self._called: set[object] = set()
        self.extra_talk: Talk | None = None  # a second session whose trace is the experiment's

    # Sessions

    async def open(self, *, fresh: bool = False) -> Talk:
        """The session in use, or a new one where it is gone or not to be used again.

        Raises:
            ConnectError: nobody answers, or the handshake is refused.
        """
        if self.talks and not fresh and self.talk.closed is None:
            return self.talk
        if self.talks:
            self.talk.close()
        self.talk = await self.dial(self.url)
        if not self.talk.since(0, "session.created") and self._refused_for_its_model():
            # P-265: let in is who names one.
            await self.talk.until(lambda: self.talk.closed)
            code = self.talk.closed[0] if self.talk.closed else None
            self.know.knob("missing_model", f"close_{code}", "the first connection named no model")
            separator = "&" if "?" in self.url else "?"
            self.url += f"{separator}model={DEFAULT_MODEL}"
            self.talk = await self.dial(self.url)
        await self.talk.find_fence()
        return self.talk

    def _refused_for_its_model(self) -> bool:
        errors = self.talk.since(0, "error")
        return bool(errors) and errors[0].code == "missing_model" and "model=" not in self.url

    async def dial(
        self,
        url: str = "",
        headers: Mapping[str, str] | None = None,
        *,
        hello: float | None = None,
    ) -> Talk:
        """A session beside the one in use; the caller closes it.

        Args:
            url: where, if not where the probe began.
            headers: others than the plan's.
            hello: seconds to wait for the first event, if not as long as for any answer.
        """
        self.handshakes += 1
        talk = await connected(
            self.plan.dial,
            url or self.url,
            self.plan.headers if headers is None else headers,
            patience=self.plan.patience + 6 * self.trip,
            hello=self.plan.patience if hello is None else hello,
        )
        self.talks.append(talk)
        return talk

    async def second(self) -> Talk:
        """A session beside the one in use, with its fence found.

        Raises:
            Inconclusive: the server has no room for it.
        """
        talk = await self.dial()
        if talk.since(0, "error") and not talk.since(0, "session.created"):
            code = talk.since(0, "error")[0].code
            talk.close()
            self.crowded = f"a second session is refused: {code}"
            raise Inconclusive(self.crowded)
        await talk.find_fence()
        return talk

    def close(self) -> None:
        """End all sessions."""
        for talk in self.talks:
            talk.close()

    def overtime(self) -> bool:
        """Whether the probe has taken long enough."""
        return asyncio.get_running_loop().time() - self._began > self.plan.longest_s

    # What is asked for

    def create(
        self,
        numbers: int = 0,
        *,
        beside: bool = False,
        audio: bool = False,
        say: str = "",
        limit: int | None = None,
        **more: Any,
    ) -> Json:
        """A `response.create`.

        Args:
            numbers: how far to count, in words; 0 is far enough to outlast what is to come.
            beside: out of band.
            audio: spoken; text otherwise.
            say: other instructions than to count.
            limit: output tokens at most.
            **more: further parameters.
        """
        count = numbers or self.numbers()
        told = say or (
            f"Count from one to {count} in English words. Say every single number, one after the "
            "other; do not skip any, do not sum up, and say nothing else."
        )
        params: Json = {"instructions": told}
        modalities = ["audio"] if audio else ["text"]
        if self.beta:
            params["modalities"] = ["text", "audio"] if audio else ["text"]
        else:
            params["output_modalities"] = modalities
        cap = "max_response_output_tokens" if self.beta else "max_output_tokens"
        params[cap] = limit or min(4096, 60 + 8 * count)
        params["metadata"] = {"probe": f"n{len(self.talk.frames)}"}
        if beside:
            params["conversation"] = "none"
        params.update(more)
        kept = {name: value for name, value in params.items() if name not in self.strips}
        return {"type": "response.create", "response": kept}

    def numbers(self) -> int:
        """How far to count so that a response outlasts a burst and its answers."""
        if self.pace is None:
            return 60
        return max(40, min(self.plan.numbers, round(self.pace * self.long_s)))

    @property
    def long_s(self) -> float:
        """Seconds that a long response is to last."""
        return 0.8 + 8 * self.trip

    @property
    def cancel_s(self) -> float:
        """Seconds within which a cancel that was read has stopped what it stops."""
        known = float(self.know.value("cancel_latency_ms") or 0)
        return 0.4 + 3 * known / 1000 + 6 * self.trip

    def cancel(self, run: Run | None = None, *, response_id: str = "") -> Json:
        """A `response.cancel`, with the id of a response or without."""
        named = run.id if run is not None else response_id
        return {"type": "response.cancel", **({"response_id": named} if named else {})}

    async def configure(self, **settings: Any) -> Frame | None:
        """Change the session; returns the error if it is refused.

        Args:
            **settings: as for `listening`.
        """
        return await self._update(self.listening(**settings))

    def listening(self, **settings: Any) -> Json:
        """A `session.update` of what is heard, and how.

        Args:
            **settings: `turn_detection`, `transcription`: as under `audio.input`.
        """
        if self.beta:
            flat = {
                {"transcription": "input_audio_transcription"}.get(name, name): value
                for name, value in settings.items()
            }
            return {"type": "session.update", "session": flat}
        session = {"type": "realtime", "audio": {"input": settings}}
        return {"type": "session.update", "session": session}

    async def configure_voice(self, voice: str) -> Frame | None:
        """As `configure`, for the voice."""
        if self.beta:
            return await self._update({"type": "session.update", "session": {"voice": voice}})
        session = {"type": "realtime", "audio": {"output": {"voice": voice}}}
        return await self._update({"type": "session.update", "session": session})

    async def _update(self, event: Json) -> Frame | None:
        mark = len(self.talk.frames)
        self.talk.send(event)
        await self.talk.until(lambda: self.talk.since(mark, "session.updated", "error"))
        refused = self.talk.since(mark, "error")
        if self.talk.since(mark, "session.updated"):
            return None
        if not refused:
            raise Inconclusive("a session.update got no answer")
        self.talk.unsent()
        return refused[0]

    # Responses

    async def started(self, *creates: Json, output: bool = True) -> list[Run]:
        """Create responses in one burst and wait until they run.

        Args:
            *creates: `response.create` events.
            output: wait for the first output of each, too.

        Raises:
            Inconclusive: they did not all start, or were over at once.
        """
        talk, mark = self.talk, len(self.talk.frames)

        def ready() -> bool:
            runs = talk.runs_since(mark)
            started = [run for run in runs if not output or run.outputs or run.done]
            return len(started) >= len(creates) or bool(talk.since(mark, "error"))

        for _ in range(_TRIES):
            mark = len(talk.frames)
            talk.send(*creates)
            await talk.until(ready, patience=self.plan.patience + 10 * self.trip + 5)
            runs = talk.runs_since(mark)
            if any(run.cancelled for run in runs):
                continue  # P-15: a cancel without id from before has met its response
            if runs or not talk.since(mark, "error"):
                break
            # Refused although nothing runs: perhaps the place of the last one is not free yet.
            await asyncio.sleep(_STEP_S)
        runs = talk.runs_since(mark)
        if len(runs) < len(creates):
            errors = talk.since(mark, "error")
            told = f"refused with {errors[0].code}" if errors else "no response.created came"
            raise Inconclusive(f"{len(runs)} of {len(creates)} responses started: {told}")
        if any(run.done is not None for run in runs):
            raise Inconclusive("a response was over before anything could be done to it")
        return runs[: len(creates)]

    async def finished(self, *runs: Run, patience: float | None = None) -> bool:
        """Wait until these are done; of a cancelled one that is soon, of others not."""
        limit = self.plan.patience + 4 * self.long_s if patience is None else patience
        return await self.talk.until(lambda: all(run.done for run in runs), patience=limit)

    async def burst(self, *events: Json) -> tuple[int, Frame]:
        """Send events in one write with a fence behind them.

        Returns:
            The place of what was sent first, and the fence's answer.

        Raises:
            Inconclusive: the fence got no answer.
        """
        mark = len(self.talk.frames)
        self.talk.send(*events, self.talk.fence)
        passed = await self.talk.passed()
        if passed is None:
            raise Inconclusive("the fence got no answer")
        return mark, passed

    async def quiet(self) -> None:
        """End what runs: by its id, without one, or by waiting; else with a new session."""
        talk = self.talk
        if talk.closed is not None:
            return
        if talk.has_fence:  # what is on its way comes first
            talk.send(talk.fence)
            await talk.passed(patience=self.plan.patience + 6 * self.long_s)
        if talk.running:
            talk.remark("from here on, what still runs is only brought to its end")
        for run in talk.running:
            talk.send(self.cancel(run))
        limit = self.plan.patience + 3 * self.long_s
        if not await talk.until(lambda: not talk.running, patience=limit) and talk.closed is None:
            self.talk.close()
        if talk.has_fence and talk.closed is None:
            await self._answer_calls()
            talk.send(talk.fence)
            await talk.passed()

    async def _answer_calls(self) -> None:
        """Give function calls their output: some servers take no response before (P-308)."""
        for run in list(self.talk.runs.values()):
            for frame in run.frames:
                call_id = frame.item.get("call_id")
                is_call = frame.item.get("type") == "function_call"
                if is_call and call_id not in self._called:
                    self._called.add(call_id)
                    await self.answer_call(call_id)

    async def answer_call(self, call_id: object) -> None:
        """Give a function call its output, and the conversation something to go on from."""
        output = {"type": "function_call_output", "call_id": call_id, "output": "nothing"}
        words = [{"type": "input_text", "text": "Do what the instructions of the response say."}]
        message = {"type": "message", "role": "user", "content": words}
        await self.burst(
            {"type": "conversation.item.create", "item": output},
            {"type": "conversation.item.create", "item": message},
        )

    def needs_reading(self) -> None:
        """For experiments that act on a response that runs.

        Raises:
            Hidden: the server reads nothing while it speaks.
        """
        if self.know.value("reads_while_responding") == "no":
            raise Hidden("hidden by reads_while_responding=no: what is sent waits for the end")
        if not self.talk.has_fence:
            raise Inconclusive("nothing harmless is answered, so there is no fence")

    def count_tokens(self) -> None:
        """Add what the responses that ended since the last call cost."""
        for talk in self.talks:
            for run in talk.runs.values():
                if run.done is not None and run.id not in self._counted:
                    self._counted.add(run.id)
                    self.tokens += _cost(run)


def _cost(run: Run) -> int:
    usage = run.resource.get("usage") or (run.done.body.get("usage") if run.done else None)
    if isinstance(usage, Mapping) and isinstance(usage.get("output_tokens"), int):
        reported = int(usage["output_tokens"])
        if reported:
            return reported
    # Not every cancelled response says what it cost: a token is about four characters.
    length = sum(len(str(frame.body.get("delta", ""))) for frame in run.outputs)
    return length // 4


def tally(values: Sequence[str]) -> tuple[str, str]:
    """The most frequent value, and how often it was seen."""
    ((value, count),) = Counter(values).most_common(1)
    return value, f"{count}/{len(values)}"
