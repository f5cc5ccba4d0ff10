"""A call of the probe's own: offered over HTTP, joined by sidebands, and hung up in any case.

As a rule nobody holds its media: the offer is well formed, and ICE never completes (P-337). So what
plays only to a peer is not seen; an emulator plays on its clock. Where media is asked for, a `Peer`
makes the offer, and the call begins when it is connected.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from antiphon.bench.probe.lab import Inconclusive, Lab, NotPossible
from antiphon.bench.probe.names import Json, error_code
from antiphon.bench.probe.peer import NoMedia, Peer
from antiphon.bench.probe.posting import Answer, Request
from antiphon.bench.probe.talk import Frame, Run, Talk
from antiphon.exceptions import ConnectError

__all__ = ["Call", "a_call", "burst", "ephemeral", "playback"]

# Attached a moment too early, a sideband gets 404 (P-385).
_READY_S = 2.0
_STEP_S = 0.05
_ENDED_S = 20.0
_SDP = "application/sdp"
# What the documented form is answered where another one may do: its media type is not understood,
# or the API key is not, since browsers are to have keys of their own.
_TRY = {"bare": (400, 415, 422), "ephemeral": (401,)}
# Of Opus with nobody at its candidates; the fingerprint is that of no certificate.
_OFFER = "\r\n".join(
    [
        "v=0",
        "o=- 4215775240449105457 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "a=msid-semantic: WMS *",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111 0 8",
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        "a=ice-ufrag:prbe",
        "a=ice-pwd:nobodylistensatthisendofit",
        f"a=fingerprint:sha-256 {':'.join(f'{byte:02X}' for byte in range(32))}",
        "a=setup:actpass",
        "a=mid:0",
        "a=sendrecv",
        "a=rtcp-mux",
        "a=rtpmap:111 opus/48000/2",
        "a=fmtp:111 minptime=10;useinbandfec=1",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=ssrc:1001 cname:probe",
        "",
    ]
).encode()


def _http_url(lab: Lab, path: str) -> str:
    """The address of something below the Realtime endpoint, without the model's name."""
    parts = urlsplit(lab.url)
    scheme = "https" if parts.scheme == "wss" else "http"
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + path, _rest(lab), ""))


def _rest(lab: Lab, **more: str) -> str:
    named = ("model", "deployment", "intent", "call_id")
    kept = [pair for pair in parse_qsl(urlsplit(lab.url).query) if pair[0] not in named]
    return urlencode([*kept, *more.items()])


class Call:
    """A call that was made. Made by `a_call`.

    Args:
        lab: the probe under way.
        answer: what its offer got.
        peer: who holds its media, if anybody does.

    Attributes:
        id: its id, "" if the server told none.
        ready_ms: how long after the answer a sideband could attach, once one has.
        too_early: how often one was refused before.
        over: whether it was hung up.
    """

    def __init__(self, lab: Lab, answer: Answer, peer: Peer | None = None) -> None:
        self._lab = lab
        self.answer = answer
        self.peer = peer
        where = urlsplit(answer.headers.get("location", "")).path
        self.id = where.rstrip("/").rpartition("/")[2]
        self.ready_ms: float | None = None
        self.too_early = 0
        self.over = False
        self._answered_at = asyncio.get_running_loop().time()
        self._talks: list[Talk] = []

    async def join(
        self,
        *,
        hello: float = 0.0,
        headers: Mapping[str, str] | None = None,
        fence: bool = True,
        **query: str,
    ) -> Talk:
        """Attach a sideband.

        Args:
            hello: seconds to wait for a first event.
            headers: others than the plan's.
            fence: find its fence.
            **query: more of the address.

        Raises:
            ConnectError: it is refused.
            NotPossible: the call has no id.
        """
        if not self.id:
            raise NotPossible("the server told no id of the call, so nothing can join it")
        parts = urlsplit(self._lab.url)
        url = urlunsplit(parts._replace(query=_rest(self._lab, call_id=self.id, **query)))
        talk = await self._dialled(url, headers, hello)
        self._talks.append(talk)
        if self._lab.extra_talk is None:
            self._lab.extra_talk = talk
            talk.remark(f"an offer got HTTP {self.answer.status}; this is a sideband of that call")
        if fence:
            await talk.find_fence()
            if not talk.has_fence:
                raise Inconclusive("nothing harmless is answered on a sideband")
        return talk

    async def _dialled(self, url: str, headers: Mapping[str, str] | None, hello: float) -> Talk:
        loop = asyncio.get_running_loop()
        if self.ready_ms is None and self._lab.call_ready_s:
            await asyncio.sleep(self._lab.call_ready_s)
        while True:
            try:
                talk = await self._lab.dial(url, headers, hello=hello)
            except ConnectError as refused:
                early = loop.time() - self._answered_at < _READY_S and self.ready_ms is None
                if refused.status != 404 or self.over or not early:
                    raise
                self.too_early += 1
                await asyncio.sleep(_STEP_S)
                continue
            if self.ready_ms is None:
                self.ready_ms = (loop.time() - self._answered_at) * 1000
            return talk

    async def left(self, *talks: Talk) -> None:
        """Close these sidebands; the call goes on."""
        for talk in talks:
            talk.close()
        for talk in talks:
            await talk.until(lambda t=talk: t.closed is not None)  # type: ignore[misc]

    async def ask(self, action: str, body: Json | None = None) -> Answer:
        """`hangup`, `accept` or `refer`."""
        data = b"" if body is None else json.dumps(body).encode()
        return await _post(self._lab, f"/calls/{self.id}/{action}", data)

    async def configure(self, talk: Talk, **settings: Any) -> None:
        """Change what is set under `audio.input`.

        Args:
            talk: a sideband.
            **settings: as for `Lab.listening`.

        Raises:
            NotPossible: it is refused.
        """
        mark = len(talk.frames)
        talk.send(self._lab.listening(**settings))
        await talk.until(lambda: talk.since(mark, "session.updated", "error"))
        refused = talk.since(mark, "error")
        if refused:
            talk.unsent()
            raise NotPossible(f"{', '.join(settings)} cannot be set: {refused[0].code}")

    async def begun(self, talk: Talk, **asked: Any) -> Run:
        """A response with sound, created on a sideband; returns when it has begun.

        Args:
            talk: the sideband.
            **asked: as for `Lab.create`.

        Raises:
            Inconclusive: it did not begin.
        """
        for _ in range(20):
            mark = len(talk.frames)
            talk.send(self._lab.create(audio=True, limit=600, **asked))
            await talk.until(
                lambda m=mark: talk.since(m, "response.created", "error"),  # type: ignore[misc]
                patience=self._lab.plan.patience + 5,
            )
            created = talk.since(mark, "response.created")
            if created or not talk.since(mark, "error"):
                break
            await asyncio.sleep(_STEP_S)  # the place of the last one may not be free yet
        runs = talk.runs_since(mark)
        if not created or not runs:
            errors = talk.since(mark, "error")
            told = f"it was refused with {errors[0].code}" if errors else "it was not created"
            raise Inconclusive(f"no response on the call: {told}")
        return runs[0]

    async def done(self, talk: Talk, run: Run) -> None:
        """Wait until this one is done.

        Raises:
            Inconclusive: it is not, or not completed.
        """
        await talk.until(lambda: run.done, patience=self._lab.plan.patience + 30)
        if run.status != "completed":
            raise Inconclusive(f"a response on the call ended as {run.status or 'never'}")

    async def end(self) -> None:
        """Hang up, and close the sidebands. Harmless when it is over."""
        for talk in self._talks:
            talk.close()
        if self.over:
            return
        self.over = True
        if self.id:
            try:
                answer = await self.ask("hangup")
                if answer.status in (404, 405, 501):  # P-463
                    answer = await _post(self._lab, f"/calls/{self.id}", method="DELETE")
            except ConnectError:
                pass
            else:
                if answer.ok or error_code(answer.body) == "call_id_not_found":  # P-344
                    return
        self._lab.calls_left += 1


async def _post(
    lab: Lab,
    path: str,
    body: bytes = b"",
    *,
    method: str = "POST",
    media_type: str = "application/json",
    parts: Mapping[str, tuple[str, bytes]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    if lab.plan.post is None:
        raise NotPossible("no call is made: that was not asked for")
    url = _http_url(lab, path)
    given = lab.plan.headers if headers is None else headers
    return await lab.plan.post(Request(url, given, body, media_type, parts or {}, method))


async def ephemeral(lab: Lab) -> tuple[dict[str, str], Answer]:
    """Headers with an ephemeral key as it is made for browsers (P-338), good for a minute.

    Returns:
        The headers, empty if there is none, and what was answered.
    """
    asked = {
        "expires_after": {"anchor": "created_at", "seconds": 60},
        "session": _session(lab),
    }
    made = await _post(lab, "/client_secrets", json.dumps(asked).encode())
    key = made.json.get("value")
    known = made.ok and isinstance(key, str)
    return ({"Authorization": f"Bearer {key}"} if known else {}), made


def _session(lab: Lab) -> Json:
    session: Json = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
    model = dict(parse_qsl(urlsplit(lab.url).query)).get("model")
    return {**session, "model": model} if model else session


async def _offered(lab: Lab, offer: bytes) -> Answer:
    """The answer to an offer, in the form that the server takes (P-330, P-331, P-349)."""
    first: Answer | None = None
    for form in (lab.call_form,) if lab.call_form else ("multipart", "bare", "ephemeral"):
        if first is not None and first.status not in _TRY[form]:
            continue
        answer = await _offered_as(lab, form, offer)
        first = first or answer
        if lab.call_form or _is_call(answer):
            lab.call_form = form
            return answer
    assert first is not None, "an offer was made"
    return first  # none will do: the documented form's answer says why


async def _offered_as(lab: Lab, form: str, offer: bytes) -> Answer:
    if form == "multipart":
        session = ("application/json", json.dumps(_session(lab)).encode())
        return await _post(lab, "/calls", parts={"sdp": (_SDP, offer), "session": session})
    if form == "bare":
        return await _post(lab, "/calls", offer, media_type=_SDP)
    headers, made = await ephemeral(lab)
    return await _post(lab, "/calls", offer, media_type=_SDP, headers=headers) if headers else made


def _is_call(answer: Answer) -> bool:
    # A server of something else may answer 200 to anything.
    return answer.ok and (answer.body.lstrip().startswith(b"v=0") or "sdp" in answer.json)


@asynccontextmanager
async def a_call(lab: Lab, *, media: bool = False) -> AsyncIterator[Call]:
    """A call, over at the end of the block whatever happens in it.

    Args:
        lab: the probe under way.
        media: whether a peer is to hold its media.

    Raises:
        NotPossible: the server takes none, or the media does not come about.
        ConnectError: it answers no HTTP.
    """
    if media and lab.plan.peer is None:
        raise NotPossible("needs media: it takes aiortc (pip install 'antiphon[webrtc]')")
    peer = lab.plan.peer() if media and lab.plan.peer is not None else None
    try:
        offer = _OFFER if peer is None else await peer.offer()
        answer = await _whole(lab, _offered(lab, offer))
        call = Call(lab, answer, peer)
        lab.calls += 1
        try:
            if peer is not None:
                await peer.answered(_sdp(answer), lab.plan.patience + 10 * lab.trip)
            yield call
        except NoMedia as failed:
            raise NotPossible(f"needs media: the offer is answered, and {failed}") from None
        finally:
            await call.end()
    finally:
        if peer is not None:
            await peer.leave()


def _sdp(answer: Answer) -> bytes:
    told = answer.json.get("sdp")  # P-464
    return told.encode() if isinstance(told, str) else answer.body


async def _whole(lab: Lab, offering: Awaitable[Answer]) -> Answer:
    task = asyncio.ensure_future(offering)
    try:
        answer = await asyncio.shield(task)
    except asyncio.CancelledError:
        # It may be answered all the same, and a call that nobody knows of would go on.
        await asyncio.wait([task], timeout=_ENDED_S)
        answered = task.done() and not task.cancelled() and task.exception() is None
        if answered and _is_call(task.result()):
            await Call(lab, task.result()).end()
        raise
    if not _is_call(answer):
        raise NotPossible(f"it takes no calls: an offer gets {answer.told}{_lacks(answer)}")
    return answer


def _lacks(answer: Answer) -> str:
    # An emulator of ours says what to install where it runs.
    error = answer.json.get("error")
    if isinstance(error, dict) and error.get("code") == "missing_dependency":
        return f"; {error.get('message')}"
    return ""


async def burst(talk: Talk, *events: Json) -> tuple[list[Frame], Frame]:
    """Send events in one write with a fence behind them.

    Returns:
        What came before the fence's answer, and that.

    Raises:
        Inconclusive: the fence got no answer.
    """
    mark = len(talk.frames)
    talk.send(*events, talk.fence)
    passed = await talk.passed()
    if passed is None:
        raise Inconclusive("the fence got no answer")
    return [frame for frame in talk.since(mark) if frame.place < passed.place], passed


def playback(talk: Talk, what: str, run: Run | None = None, mark: int = 0) -> list[Frame]:
    """`output_audio_buffer.started`, `.stopped` or `.cleared` from this place on.

    Args:
        talk: the sideband.
        what: which.
        run: of this response alone.
        mark: the place.
    """
    came = talk.since(mark, f"output_audio_buffer.{what}")
    return [event for event in came if run is None or event.body.get("response_id") == run.id]
