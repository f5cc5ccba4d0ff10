"""What a report holds. It goes to JSON and back without loss."""

from enum import StrEnum

import msgspec

__all__ = [
    "Case",
    "Line",
    "Mark",
    "Report",
    "Role",
    "Setting",
    "Side",
    "Subject",
    "from_json",
    "to_json",
]


class Mark(StrEnum):
    """What became of a case, in one word."""

    PASS = "pass"
    FAIL = "fail"
    SEEN = "seen"
    MIXED = "mixed"
    INCONCLUSIVE = "inconclusive"
    HIDDEN = "hidden"
    NOT_POSSIBLE = "not possible"
    NOT_APPLICABLE = "not applicable"


class Side(StrEnum):
    """Who a line of a trace is from."""

    CLIENT = "client"
    SERVER = "server"
    NOTE = "note"


class Role(StrEnum):
    """What a line of a trace is, for the picture."""

    BEGIN = "begin"
    DELTA = "delta"
    END = "end"
    CANCEL = "cancel"
    ERROR = "error"
    FENCE = "fence"
    OTHER = "other"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a trace.

    Args:
        at_ms: milliseconds since the beginning of the case.
        side: who it is from.
        text: what it says, short enough for one line; no audio, no key.
        lane: the response it belongs to, by the name that the report gives it; "" for the session.
        role: what the picture draws.
        count: how many events like it this line stands for.
        until_ms: the time of the last of them.
    """

    at_ms: float
    side: Side
    text: str
    lane: str = ""
    role: Role = Role.OTHER
    count: int = 1
    until_ms: float | None = None


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One experiment with a server, or one scenario with a client.

    Args:
        key: its name, the same in all reports of a kind, such as `cancel-by-id`.
        question: what it asks, as a title.
        group: the heading it stands under.
        mark: what became of it.
        verdict: the answer in words, with its evidence counted.
        facts: what of docs/protocol.md it bears on, such as "P-1, L-1".
        details: more to say, as (name, value) pairs: what was sent, what came, what settled.
        trace: the exchange.
    """

    key: str
    question: str
    group: str
    mark: Mark
    verdict: str
    facts: str = ""
    details: tuple[tuple[str, str], ...] = ()
    trace: tuple[Line, ...] = ()


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One knob and the value that was found.

    Args:
        name: the knob's, as `antiphon serve --knobs` names it.
        value: as `--set` takes it; None if none was found.
        documented: the value that is documented or, where nothing is, the emulator's guess.
        mark: seen, mixed, inconclusive, hidden or not possible.
        why: the evidence, or what hides it.
        candidates: values that fit what was seen, where it could not be narrowed down to one.
    """

    name: str
    value: str | None
    documented: str
    mark: Mark
    why: str
    candidates: tuple[str, ...] = ()


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """Who was looked at.

    Args:
        name: of the server or client.
        version: of it, as far as it is known.
        cases: the results.
        settings: the knobs, of a server.
        about: more about it and the run, as (name, value) pairs.
    """

    name: str
    version: str = ""
    cases: tuple[Case, ...] = ()
    settings: tuple[Setting, ...] = ()
    about: tuple[tuple[str, str], ...] = ()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A whole report.

    Args:
        kind: `servers` or `clients`: which table of docs/conformance.md it belongs to.
        title: its heading.
        lead: one paragraph: what was found, for whoever reads no further.
        made: when, as ISO 8601 in UTC.
        by: what made it, with its version.
        subjects: one, or several to compare.
    """

    kind: str
    title: str
    lead: str
    made: str
    by: str
    subjects: tuple[Subject, ...]


def to_json(report: Report) -> str:
    """The report as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode()


def from_json(text: str | bytes) -> Report:
    """A report from its JSON.

    Raises:
        ValueError: it is none.
    """
    try:
        return msgspec.json.decode(text, type=Report)
    except msgspec.DecodeError as error:
        raise ValueError(f"this is no report: {error}") from None
