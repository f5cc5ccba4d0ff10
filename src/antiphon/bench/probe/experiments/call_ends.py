"""Calls: how they end, what a sideband sees of it, and what is left of one that is over."""

from antiphon.bench.probe.calling import Call, a_call
from antiphon.bench.probe.experiments.call_common import (
    call_experiments,
    needs_media,
    refusal,
    session_of,
)
from antiphon.bench.probe.lab import Inconclusive, Lab, NotPossible, Verdict
from antiphon.bench.probe.talk import Talk
from antiphon.bench.report import Mark
from antiphon.exceptions import ConnectError

__all__ = ["ENDS"]

_OTHER = "tel:+15550100"  # a number that is nobody's
# A call whose time is over sooner than this is waited for.
_NEAR_S = 60.0


async def _call_over(lab: Lab) -> Verdict:
    """L-18, L-21: what ends with `hangup`, and what can be asked of a call that is over."""
    async with a_call(lab) as call:
        talk = await call.join()
        ended = await call.ask("hangup")
        if not ended.ok:
            raise Inconclusive(f"hangup gets {ended.told}")
        call.over = True
        waited = 1.0 + 6 * lab.trip
        await talk.until(lambda: talk.closed is not None, patience=waited)
        closing = _end(lab, talk, "hangup", waited)
        again = await call.ask("hangup")
        if again.status in (200, 400, 404):
            lab.know.knob("hangup_gone", f"http_{again.status}", f"1/1: {again.told}")
        else:
            lab.know.unknown("hangup_gone", Mark.MIXED, f"it gets {again.told}")
        accepted = await call.ask("accept", {"type": "realtime"})
        lab.know.knob("accept_gone", str(accepted.status), f"1/1: {accepted.told}")
        referred = await call.ask("refer", {"target_uri": _OTHER})
        return Verdict(
            Mark.SEEN,
            f"The sideband {closing}. Then hangup gets {again.told}, accept {accepted.told}, refer "
            f"{referred.told}, and a sideband {await _attached(lab, call)}.",
        )


def _end(lab: Lab, talk: Talk, cause: str, waited: float) -> str:
    """How a sideband was closed, in words; it is noted for `rules`."""
    if talk.closed is None:
        lab.know.seen[f"end_by_{cause}"] = "stays_open"
        return f"stays open for {waited:.0f} s"
    code = talk.closed[0]
    values = {None: "abrupt", 1000: "close_1000", 1001: "close_1001"}
    # P-468: so a proxy passes on whatever end it saw.
    unknown = "proxy" if talk.since(0, "error") else f"closed with {code}"
    lab.know.seen[f"end_by_{cause}"] = values.get(code, unknown)
    return "is cut without a close frame" if code is None else f"is closed with {code}"


async def _attached(lab: Lab, call: Call) -> str:
    name = "sideband_unknown_call"
    try:
        await call.join(fence=False)
    except ConnectError as refused:
        if refused.status == 404:
            value = "http_404_json" if refused.code else "http_404_empty"
            lab.know.knob(name, value, f"1/1: {refusal(refused)}")
        else:
            lab.know.unknown(name, Mark.MIXED, f"it gets {refusal(refused)}")
        return refusal(refused)
    lab.know.unknown(name, Mark.MIXED, "it is let in")
    return "is let in"


async def _browser_leaves(lab: Lab) -> Verdict:
    """L-18: P-452. The control is the call before it, which `hangup` ended."""
    needs_media(lab)
    async with a_call(lab, media=True) as call:
        talk = await call.join()
        assert call.peer is not None, "a call with media has a peer"
        talk.remark("the browser leaves")
        await call.peer.leave()
        waited = lab.plan.patience + 6 * lab.trip
        await talk.until(lambda: talk.closed is not None, patience=waited)
        how = _end(lab, talk, "leaving", waited)
        after = await _attached(lab, call)
        call.over = after.startswith("HTTP 404")
        return Verdict(Mark.SEEN, f"The sideband {how}. Another one, after that, gets {after}.")


async def _call_expiry(lab: Lab) -> Verdict:
    """L-18: P-455, where it is near."""
    async with a_call(lab) as call:
        talk = await call.join()
        shown = [session_of(frame).get("expires_at") for frame in talk.since(0, "session.updated")]
        told = next((value for value in shown if isinstance(value, int | float)), None)
        if told is None:
            raise NotPossible("nothing tells when a call is over, and the probe does not wait")
        left = told - lab.plan.wall()
        if left > _NEAR_S:
            raise NotPossible(
                f"a call lives {left:.0f} s by its expires_at, and the probe does not wait for it"
            )
        await talk.until(lambda: talk.closed is not None, patience=left + lab.plan.patience)
        errors = talk.since(0, "error")
        closed = talk.closed[0] if talk.closed is not None else None
        if talk.closed is None and not errors:
            raise Inconclusive("its time is over, and nothing tells so")
        if talk.closed is None:
            value = "error_only"
        else:
            value = "error_and_close" if errors else "close_1001" if closed == 1001 else ""
        if value:
            lab.know.knob("expiry", value, "1/1 call")
        call.over = talk.closed is not None
        error = f"the error {errors[0].code}" if errors else "no error"
        end = f"is closed with {closed}" if talk.closed is not None else "stays open"
        return Verdict(Mark.SEEN, f"The sideband gets {error}, and {end}.")


ENDS = call_experiments(
    (
        _call_over,
        "What does hangup do to a sideband, and what can be asked of a call that is over?",
        "hangup; then hangup, accept and refer again, and a handshake",
        "P-343, P-344, P-384, P-454, L-18, L-21",
        "call_end_close_webrtc hangup_gone accept_gone sideband_unknown_call",
        0,
    ),
    (
        _browser_leaves,
        "What does a sideband see when the browser leaves?",
        "a browser's offer; then it closes its connection",
        "P-450, P-452, P-453, L-18",
        "call_end_close_webrtc",
        0,
    ),
    (
        _call_expiry,
        "And when the call's time is over?",
        "nothing; it is waited for where that is less than a minute",
        "P-450, P-455, P-259, P-260, L-18",
        "",
        0,
    ),
)
