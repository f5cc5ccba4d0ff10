"""What the demonstration says, checked against what was seen.

Every claim is worked out from the wire, the streams and the receipt; none is taken for granted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import antiphon
from antiphon.cli.demo.observer import Observer, Track
from antiphon.emulator import Engine
from antiphon.emulator.audio import speech

__all__ = ["Claim", "Seen", "check"]


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence and whether it held.

    Attributes:
        says: the sentence.
        holds: whether it did; None where a server may behave either way.
        seen: what was seen.
    """

    says: str
    holds: bool | None
    seen: str


@dataclass(slots=True)
class Seen:
    """What the scene noted down for the claims.

    Attributes:
        reply: what the server's turn detection answered.
        running: the responses in flight together before anything was cancelled.
        grown: how much audio each received after the bare cancel, in bytes.
        interrupted: those in flight when `interrupt()` was called.
        receipt: what it gave.
        fresh: the reply asked for right after it.
        bare_must_miss: whether this server is known to ignore a bare cancel while several
            responses are in flight.
        engine: the server's side, if it is ours.
    """

    reply: Track | None = None
    running: list[Track] = field(default_factory=list)
    grown: dict[str, int] = field(default_factory=dict)
    interrupted: list[Track] = field(default_factory=list)
    receipt: antiphon.Receipt = field(default_factory=antiphon.Receipt)
    fresh: Track | None = None
    bare_must_miss: bool = True
    engine: Engine | None = None


def check(observer: Observer, seen: Seen) -> list[Claim]:
    """Every claim of the part of the scene that was played, in its order."""
    claims = [_answered_at_once(seen), _ran_side_by_side(seen)]
    if None in observer.cancels:
        claims.append(_bare_cancel(observer, seen))
    if seen.interrupted:
        claims += [
            _cancelled_by_id(observer, seen),
            _silent_at_once(seen),
            _receipt_names_all(seen),
            _goes_on(observer, seen),
        ]
    if seen.engine is not None:
        claims.append(_every_sample_in_place(observer.tracks))
    return claims


def _answered_at_once(seen: Seen) -> Claim:
    return Claim(
        "the server's turn detection answered the spoken question",
        seen.reply is not None and seen.reply.handle.from_server,
        _labels([seen.reply] if seen.reply is not None else []),
    )


def _ran_side_by_side(seen: Seen) -> Claim:
    lanes = [track.handle.lane for track in seen.running]
    return Claim(
        "three responses were in flight at once, two of them out of band",
        len(lanes) == 3 and lanes.count(antiphon.Lane.OUT_OF_BAND) == 2,
        _labels(seen.running),
    )


def _bare_cancel(observer: Observer, seen: Seen) -> Claim:
    stopped = [track for track in seen.running if track not in seen.interrupted]
    still = [label for label, grown in seen.grown.items() if grown > 0]
    if seen.bare_must_miss:
        return Claim(
            "the bare cancel stopped nothing",
            observer.cancels.count(None) == 1 and not stopped and len(still) == len(seen.running),
            f"still speaking: {', '.join(still) or 'none'}",
        )
    return Claim("the bare cancel was sent", None, f"over after it: {_labels(stopped)}")


def _cancelled_by_id(observer: Observer, seen: Seen) -> Claim:
    meant = sorted(track.handle.id or "" for track in seen.interrupted)
    sent = sorted(response_id for response_id in observer.cancels if response_id is not None)
    holds = sent == meant
    where = "sent"
    if seen.engine is not None:
        cancels = seen.engine.received_of("response.cancel")
        arrived = sorted(cancel["response_id"] for cancel in cancels if cancel.get("response_id"))
        holds = holds and arrived == sent
        where = "sent and received"
    return Claim(
        "interrupt() sent one cancel for each response in flight, by its id",
        holds,
        f"{len(sent)} {where} for {len(meant)} in flight",
    )


def _silent_at_once(seen: Seen) -> Claim:
    late = [track for track in seen.interrupted if len(track.heard) != track.heard_at_interrupt]
    return Claim(
        "not a byte of them was heard after interrupt()",
        not late and all(track.handle.audio.ended for track in seen.running),
        f"{sum(track.discarded for track in seen.interrupted)} bytes that came later were discarded"
        if not late
        else f"still heard: {_labels(late)}",
    )


def _receipt_names_all(seen: Seen) -> Claim:
    meant = [track.handle.id for track in seen.interrupted]
    told = [entry.response_id for entry in seen.receipt.entries]
    settled = len(seen.receipt.cancelled) + len(seen.receipt.finished_first)
    return Claim(
        "the receipt says what became of each",
        sorted(map(str, told)) == sorted(map(str, meant)) and settled == len(told),
        f"{len(seen.receipt.cancelled)} cancelled, "
        f"{len(seen.receipt.finished_first)} finished first, "
        f"{len(seen.receipt.unsettled)} unsettled, {len(seen.receipt.lost)} lost",
    )


def _goes_on(observer: Observer, seen: Seen) -> Claim:
    outcome = seen.fresh.handle.outcome if seen.fresh is not None else None
    refused = "conversation_already_has_active_response" in observer.error_codes
    return Claim(
        "a new reply, asked for at once, was accepted and completed",
        outcome is not None
        and outcome.kind is antiphon.OutcomeKind.COMPLETED
        and not refused
        and bool(seen.fresh and seen.fresh.heard),
        str(outcome or "no outcome"),
    )


def _every_sample_in_place(tracks: Sequence[Track]) -> Claim:
    # The emulator writes into each millisecond of audio whose it is and where it belongs.
    wrong = [track for track in tracks if not _is_own_audio(track)]
    return Claim(
        "every millisecond heard is of its own response, in order, none missing",
        bool(tracks) and not wrong,
        f"{sum(len(track.heard) for track in tracks) // 48} ms checked"
        if not wrong
        else f"mixed up: {_labels(wrong)}",
    )


def _is_own_audio(track: Track) -> bool:
    if not track.heard:
        return True
    spans = speech.spans(bytes(track.heard))
    whole = speech.Span(speech.tag_of(track.handle.id or ""), 0, len(track.heard) // 48)
    return spans == [whole]


def _labels(tracks: Sequence[Track]) -> str:
    return ", ".join(track.label for track in tracks) or "none"
