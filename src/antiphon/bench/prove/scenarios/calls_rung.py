"""Calls: the webhook that tells of one."""

import time

from antiphon.bench.prove.play import SOON_S, Play
from antiphon.bench.prove.record import Json
from antiphon.bench.prove.scenario import NotApplicable, ScenarioTable
from antiphon.emulator.running.webhook import DEFAULT_SECRET, body_of, signed
from antiphon.exceptions import MissingDependency

__all__ = ["scenario"]

scenario = ScenarioTable("calls")
_FORGED = "whsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldCBrZXk="
_TWICE = "one call is taken twice: the second accept is refused, or the caller is greeted twice"


def _delivery(event: str, *, secret: str = DEFAULT_SECRET) -> Json:
    """What `rung` gives the client; the same for every delivery of one event."""
    now = int(time.time())
    body = body_of(f"evt_{event}", f"rtc_{event}", [("From", "sip:caller@example.org")], now)
    try:
        headers = signed(secret, f"wh_{event}", now, body)
    except MissingDependency as missing:
        raise NotApplicable(str(missing)) from missing
    return {"body": body.decode(), "headers": headers, "secret": DEFAULT_SECRET}


def _taken(play: Play) -> list[str]:
    return [one["call_id"] for one in play.record.seen.of("taken")]


async def _the_other_call(play: Play) -> None:
    """Another call rings, and is taken."""
    await play.do("rung", **_delivery("other"))
    await play.until(lambda: "rtc_other" in _taken(play), SOON_S)


@scenario(facts="R-41, P-357, P-360", control="takes_every_ring")
async def told_of_a_call_again(play: Play) -> None:
    """The webhook of a call is delivered again when the call has been taken: it is taken once, and
    the next call as well."""
    delivery = _delivery("one")
    await play.do("rung", **delivery)
    await play.until(lambda: _taken(play), SOON_S)
    await play.do("rung", **delivery)
    await _the_other_call(play)
    play.check(_taken(play) == ["rtc_one", "rtc_other"], _TWICE, str(_taken(play)))


@scenario(facts="R-41, P-357, P-360", control="takes_every_ring")
async def told_of_a_call_twice_at_once(play: Play) -> None:
    """The webhook of a call is delivered twice at the same time: the call is taken once, and the
    next call as well."""
    delivery = _delivery("one")
    numbers = [play.begin("rung", **delivery) for _ in range(2)]
    for number in numbers:
        await play.answer_to(number, "rung")
    await _the_other_call(play)
    play.check(_taken(play) == ["rtc_one", "rtc_other"], _TWICE, str(_taken(play)))


@scenario(facts="R-41, P-358, P-359", control="takes_every_ring")
async def told_of_a_call_by_a_stranger(play: Play) -> None:
    """Somebody who does not have the secret tells of a call: it is not taken; the next one is."""
    await play.do("rung", **_delivery("forged", secret=_FORGED))
    await _the_other_call(play)
    play.check(
        _taken(play) == ["rtc_other"], "calls are taken on the word of anybody", str(_taken(play))
    )
