"""The experiments, in the order in which they are made: each builds on those before it.

One module for each kind of question; each script says what it sends, and is judged by what came
before the answer to the fence behind it.
"""

from antiphon.bench.probe.experiments import (
    bare_cancel,
    call_ends,
    call_lines,
    call_queue,
    call_sound,
    cancelling,
    doors,
    items,
    lanes,
    mistakes,
    opening,
    speech,
)

__all__ = ["ALL", "CALLS"]

CALLS = (*call_lines.JOINING, *call_sound.SOUND, *call_queue.QUEUE, *call_ends.ENDS)

ALL = (
    *opening.EXPERIMENTS,
    *lanes.EXPERIMENTS[:2],
    *cancelling.EXPERIMENTS[:3],
    *bare_cancel.EXPERIMENTS,
    *cancelling.EXPERIMENTS[3:],
    *lanes.EXPERIMENTS[2:],
    *mistakes.EXPERIMENTS,
    *items.EXPERIMENTS,
    *speech.EXPERIMENTS,
    *doors.EXPERIMENTS,
    *CALLS,
)
