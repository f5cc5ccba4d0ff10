"""What the modules of experiments share."""

from collections.abc import Awaitable, Callable, Sequence

import pybase64

from antiphon.bench.probe.lab import Experiment, Hidden, Inconclusive, Lab, Verdict
from antiphon.bench.probe.names import Json
from antiphon.bench.probe.talk import Frame

__all__ = [
    "Row",
    "experiments",
    "named",
    "needs_cancel",
    "needs_lanes",
    "reply_to",
    "spoken",
    "spread",
    "unsupported",
]

_BYTES_PER_S = 48_000  # PCM16 at 24 kHz
_SILENCE_S = 1.5
_PIECE = _BYTES_PER_S // 2

# Script, question, what it sends, facts, knobs separated by spaces, output tokens at most.
Row = tuple[Callable[[Lab], Awaitable[Verdict]], str, str, str, str, int]


def experiments(group: str, *rows: Row) -> tuple[Experiment, ...]:
    """The experiments of one module, each named after its script."""
    return tuple(
        Experiment(
            script.__name__.strip("_").replace("_", "-"),
            group,
            question,
            sends,
            facts,
            tuple(knobs.split()),
            tokens,
            script,
        )
        for script, question, sends, facts, knobs, tokens in rows
    )


def spoken(lab: Lab) -> list[Json]:
    """The clip and the silence that ends a turn, as events of half a second each."""
    pcm = lab.plan.clip + bytes(round(_SILENCE_S * _BYTES_PER_S))
    return [
        {
            "type": "input_audio_buffer.append",
            "audio": pybase64.b64encode_as_string(pcm[start : start + _PIECE]),
        }
        for start in range(0, len(pcm), _PIECE)
    ]


def spread(values: Sequence[float]) -> str:
    """The least and the greatest, rounded."""
    low, high = min(values), max(values)
    return f"{low:.0f}" if round(low) == round(high) else f"{low:.0f} to {high:.0f}"


def reply_to(came: Sequence[Frame]) -> str:
    """What a cancel got, as the emulator's knobs name it."""
    errors = [frame for frame in came if frame.kind == "error"]
    if any(frame.kind == "response.cancelled" for frame in came):
        return "response.cancelled"
    if not errors:
        return "silent"
    known = errors[0].code == "response_cancel_not_active"
    return "error" if known else "other_code"


def unsupported(came: Sequence[Frame]) -> bool:
    """Whether an error says that there is no cancel here at all."""
    for frame in came:
        error = frame.error
        if frame.kind == "error":
            told = f"{error.get('type')} {error.get('code')} {error.get('message')}".lower()
            if "not implemented" in told or "unsupported" in told or "not supported" in told:
                return True
    return False


def named(reply: str) -> str:
    """A reply in words."""
    return {"silent": "no answer", "error": "the error response_cancel_not_active"}.get(
        reply, "an error of another code" if reply == "other_code" else reply
    )


def needs_cancel(lab: Lab) -> None:
    """For experiments in which a cancel is to stop something.

    Raises:
        Hidden: no cancel stops anything here.
        Inconclusive: it is not known whether one does.
    """
    target = lab.know.value("cancel_target")
    if target in ("unsupported", "nothing"):
        raise Hidden(f"hidden by cancel_target={target}: no cancel stops anything")
    if lab.know.seen.get("cancel_by_id") is None:
        raise Inconclusive("it is not known whether a cancel by id stops anything")


def needs_lanes(lab: Lab) -> None:
    """For experiments with several responses.

    Raises:
        Hidden: there is never more than one.
    """
    place = lab.know.value("out_of_band")
    if place in ("shared_slot", "ignored"):
        raise Hidden(f"hidden by out_of_band={place}: there is never more than one response")
