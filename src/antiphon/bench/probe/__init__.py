"""`antiphon probe`: what a Realtime server does, seen on the wire.

It looks at raw frames over a plain socket of its own. It knows the wire's names and no rule of the
client. `experiments` holds the scripts, `talk` the session with its fences, `calling` a call, `lab`
what they work with, `rules` what several of them fix together, `run` the whole. `dialling`,
`posting` and `peer` are its own plain WebSocket, HTTP and media.
"""

from antiphon.bench.probe.dialling import dial, is_loopback, without_secrets
from antiphon.bench.probe.experiments import ALL, CALLS
from antiphon.bench.probe.lab import Experiment, Lab, Plan
from antiphon.bench.probe.peer import browsers
from antiphon.bench.probe.posting import post
from antiphon.bench.probe.run import Progress, probe

__all__ = [
    "ALL",
    "CALLS",
    "Experiment",
    "Lab",
    "Plan",
    "Progress",
    "browsers",
    "dial",
    "is_loopback",
    "post",
    "probe",
    "without_secrets",
]
