"""Handshakes: what lets a client in."""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from antiphon.bench.probe.experiments.common import experiments
from antiphon.bench.probe.lab import Hidden, Inconclusive, Lab, NotPossible, Verdict
from antiphon.bench.probe.talk import Talk
from antiphon.bench.report import Mark
from antiphon.exceptions import ConnectError

__all__ = ["EXPERIMENTS"]


async def _knock(lab: Lab, url: str, headers: dict[str, str]) -> tuple[str, Talk | None]:
    """How the door is opened: `http N`, `close N`, `cut` or `open`.

    Raises:
        Inconclusive: no second session is to be had, whoever asks.
    """
    if lab.crowded:
        raise Inconclusive(lab.crowded)
    try:
        talk = await lab.dial(url, headers)
    except ConnectError as refused:
        return (f"http {refused.status}" if refused.status else "no connection"), None
    await talk.until(
        lambda: talk.since(0, "session.created") or talk.since(0, "error"), patience=1.0
    )
    if not talk.since(0, "session.created"):
        await talk.until(lambda: talk.closed is not None, patience=1.0)
    talk.close()
    if talk.since(0, "session.created"):
        return "open", talk
    if talk.closed is None:
        return "silence", talk
    return (f"close {talk.closed[0]}" if talk.closed[0] else "cut"), talk


async def _keys(lab: Lab) -> Verdict:
    """Without a key, and with a wrong one."""
    missing, _ = await _knock(lab, lab.plan.url, {})
    if missing in ("silence", "no connection"):
        raise Inconclusive(f"a handshake without a key ends in {missing}")
    if missing == "open":
        lab.know.unknown("auth_failure", Mark.HIDDEN, "hidden: everybody is let in")
        raise Hidden("hidden: everybody is let in, with a key or without")
    wrong = {
        name: "Bearer sk-wrong" if "auth" in name.lower() else "wrong" for name in lab.plan.headers
    }
    told, _ = await _knock(lab, lab.plan.url, wrong or {"Authorization": "Bearer sk-wrong"})
    if missing == "http 401" and told == "close 3000":
        lab.know.knob(
            "auth_failure", "http_401_or_close_3000", f"missing: {missing}; wrong: {told}"
        )
    elif missing == told == "http 401":
        lab.know.knob("auth_failure", "always_401", f"missing: {missing}; wrong: {told}")
    else:
        lab.know.unknown("auth_failure", Mark.MIXED, f"missing: {missing}; wrong: {told}")
    return Verdict(Mark.SEEN, f"A missing key gets {missing}, a wrong one {told}.")


async def _no_model(lab: Lab) -> Verdict:
    """A connection that names no model."""
    if lab.know.value("missing_model") is not None:
        return Verdict(Mark.SEEN, "It is refused: it gets the error missing_model, and is closed.")
    parts = urlsplit(lab.plan.url)
    query = [pair for pair in parse_qsl(parts.query) if pair[0] != "model"]
    url = urlunsplit(parts._replace(query=urlencode(query)))
    if "deployment=" in url:
        raise Hidden("hidden by the address, which names a deployment")
    told, talk = await _knock(lab, url, dict(lab.plan.headers))
    if told == "open" and talk is not None:
        lab.know.knob("missing_model", "accept", "1/1 connection without model")
        session = talk.since(0, "session.created")[0].body.get("session")
        if isinstance(session, dict) and isinstance(session.get("model"), str):
            lab.know.knob(
                "model", session["model"], "session.created, where the address names none"
            )
        return Verdict(Mark.SEEN, "It is let in.")
    if told in ("silence", "no connection"):
        raise Inconclusive(f"a handshake without a model ends in {told}")
    if told == "close 4000":
        lab.know.knob("missing_model", "close_4000", "1/1 connection without model")
    else:
        lab.know.unknown("missing_model", Mark.MIXED, f"it gets {told}")
    if talk is not None and talk.since(0, "error"):
        code = talk.since(0, "error")[0].code
        return Verdict(Mark.SEEN, f"It gets the error {code}, and {told}.")
    return Verdict(Mark.SEEN, f"It gets {told}.")


async def _expiry(lab: Lab) -> Verdict:
    told = lab.know.value("session_max_s")
    lab.know.unknown("expiry", Mark.NOT_POSSIBLE, "a session lives longer than a probe")
    raise NotPossible(
        f"the session lives {told or 'an unknown number of'} s, and the probe does not wait for it"
    )


async def _failed(lab: Lab) -> Verdict:
    for talk in lab.talks:
        for run in talk.runs.values():
            if run.status == "failed":
                lab.know.knob(
                    "response_done_on_failure", "always", "a response failed, and said so"
                )
                return Verdict(Mark.SEEN, "A failed response gets its response.done.")
    lab.know.unknown(
        "response_done_on_failure",
        Mark.INCONCLUSIVE,
        "no response failed, and none can be made to",
    )
    raise Inconclusive("no response failed, and none can be made to fail")


EXPERIMENTS = experiments(
    "Doors, and what cannot be tried",
    (
        _keys,
        "What do a missing and a wrong key get?",
        "two handshakes, one without a key and one with a wrong one",
        "P-261, P-262",
        "auth_failure",
        0,
    ),
    (
        _no_model,
        "What does a connection get that names no model?",
        "a handshake without model=",
        "P-265",
        "missing_model model",
        0,
    ),
    (
        _failed,
        "Does a failed response get a response.done?",
        "nothing; a failure is only seen by luck",
        "P-160, P-305",
        "response_done_on_failure",
        0,
    ),
    (_expiry, "How is the end of a session's time told?", "nothing", "P-257 to P-260", "expiry", 0),
)
