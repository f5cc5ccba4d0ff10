"""Whether a profile of the emulator behaves like the server it is named after."""

import msgspec

from antiphon.bench.report import Report
from antiphon.bench.report.text import differs
from antiphon.emulator import profile
from tests.bench.probe.bench import settings, shown_as

__all__ = ["unlike"]

# What a server is called and whom it lets in is not how it behaves.
_NAMES = {"model", "voice"}


def unlike(report: Report, name: str) -> list[tuple[str, str, str]]:
    """Knobs that were found otherwise than in a profile: (knob, found, the profile's value)."""
    wanted = shown_as(profile(name))
    found = []
    for knob, one in settings(report).items():
        compared = msgspec.structs.replace(one, documented=wanted[knob])
        if knob not in _NAMES and differs(compared):
            found.append((knob, str(one.value), wanted[knob]))
    return found
