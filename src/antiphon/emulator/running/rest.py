"""The HTTP side of the Realtime API (P-330 to P-346), without a socket: a request, a reply.

Everything that is no success is a JSON error in the API's form, for whatever path and method.
"""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Any

import msgspec

from antiphon.emulator.engine.call import CallKind, CallState
from antiphon.emulator.knobs.behaviour import Behaviour
from antiphon.emulator.knobs.call_choices import CallMedia, HangupGone, Refer
from antiphon.emulator.running import sdp
from antiphon.emulator.running.emulated_call import EmulatedCall
from antiphon.emulator.running.exchange import Exchange
from antiphon.emulator.running.secrets import EphemeralKey, Keyring
from antiphon.emulator.shapes import errors
from antiphon.emulator.shapes.client_events import SESSION
from antiphon.emulator.shapes.errors import Refusal
from antiphon.emulator.shapes.schema import integer, obj, string
from antiphon.emulator.state.session import SessionState
from antiphon.exceptions import MissingDependency
from antiphon.models import DEFAULT_MODEL

__all__ = ["HttpReply", "HttpRequest", "Rest", "refused"]

Json = dict[str, Any]
_JSON = "application/json"
_SDP = "application/sdp"
# Names of sessions that the service lists; any other is taken all the same.
_MODELS = (DEFAULT_MODEL, f"{DEFAULT_MODEL}-mini")
_MODELS_CREATED = 1_756_310_470
_PATH = re.compile(r"(?:/openai)?/v1(/.*)")
_ANOTHER_PROTOCOL = re.compile(r"/(live|realtime/translations)(/.*)?")

_EXPIRY = obj({"anchor": string(values=("created_at",)), "seconds": integer(10, 7200)})
_REJECT = obj({"status_code": integer(400, 699)})
_REFER = obj({"target_uri": string()}, required=("target_uri",))


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A whole request.

    Args:
        method: in capitals.
        path: without the query.
        headers: names in lower case.
        body: as it came.
        parts: of a multipart body: by name, the bytes.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    parts: Mapping[str, bytes] | None = None

    @property
    def media_type(self) -> str:
        """Of the body, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class HttpReply:
    """What to answer."""

    status: int
    body: bytes = b""
    media_type: str = _JSON
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


def refused(refusal: Refusal, status: int = 400) -> HttpReply:
    """An error in the API's form."""
    error = {
        "message": refusal.message,
        "type": refusal.type,
        "param": refusal.param,
        "code": refusal.code,
    }
    return HttpReply(status, json.dumps({"error": error}).encode())


def _found(body: Json, status: int = 200) -> HttpReply:
    return HttpReply(status, json.dumps(body).encode())


Answerer = Callable[[EmulatedCall, str], Awaitable[str]]


class Rest:
    """Answers requests.

    Args:
        exchange: the calls.
        keyring: the ephemeral keys.
        behaviour: the knobs in force.
        api_key: the only key that is let in, or None to let everybody in.
        wall: Unix time in seconds.
        media: answers an offer with real media; None where there is none.
    """

    def __init__(
        self,
        exchange: Exchange,
        keyring: Keyring,
        behaviour: Callable[[], Behaviour],
        api_key: Callable[[], str | None],
        wall: Callable[[], float],
        media: Answerer | None = None,
    ) -> None:
        self._exchange = exchange
        self._keyring = keyring
        self._behaviour = behaviour
        self._api_key = api_key
        self._wall = wall
        self._media = media

    async def handle(self, request: HttpRequest) -> HttpReply:
        """Answer one request. Never raises for what a client sends."""
        try:
            return await self._route(request)
        except Refusal as refusal:
            return refused(refusal)

    async def _route(self, request: HttpRequest) -> HttpReply:
        found = _PATH.fullmatch(request.path.rstrip("/"))
        path = found[1] if found else ""
        if request.method == "OPTIONS":
            return HttpReply(204, headers=_PREFLIGHT)
        if _ANOTHER_PROTOCOL.fullmatch(path):
            return refused(errors.another_protocol(request.path), 501)
        key = self._authorized(request, path)
        if isinstance(key, HttpReply):
            return key
        match [request.method, *path.strip("/").split("/")]:
            case ["GET", "models"]:
                models = [self._model(name) for name in self._models()]
                return _found({"object": "list", "data": models})
            case ["GET", "models", name]:
                if name in self._models():
                    return _found(self._model(name))
                gone = f"The model '{name}' does not exist or you do not have access to it."
                return refused(Refusal("model_not_found", gone, "model"), 404)
            case ["POST", "realtime", "client_secrets"]:
                return self._client_secret(_body(request))
            case ["POST", "realtime", "calls"]:
                return await self._call(request, key)
            case ["POST", "realtime", "calls", call_id, "accept"]:
                return self._accept(call_id, _body(request))
            case ["POST", "realtime", "calls", call_id, "reject"]:
                return self._reject(call_id, _body(request))
            case ["POST", "realtime", "calls", call_id, "hangup"]:
                return self._hangup(call_id)
            case ["POST", "realtime", "calls", call_id, "refer"]:
                return self._refer(call_id, _body(request))
            case ["GET", "realtime"]:
                no_upgrade = "This address is for WebSockets: the request asks for no upgrade."
                return refused(Refusal("websocket_upgrade_required", no_upgrade), 426)
        nothing = f"Invalid URL ({request.method} {request.path})"
        return refused(Refusal("unknown_url", nothing), 404)

    # Keys

    def _authorized(self, request: HttpRequest, path: str) -> EphemeralKey | HttpReply | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        given = token.strip() if scheme.lower() == "bearer" else ""
        given = given or request.headers.get("api-key", "")
        found = self._keyring.find(given, self._wall())
        if found is not None and path == "/realtime/calls":
            return found  # P-331
        wanted = self._api_key()
        if wanted is None and not given.startswith("ek_"):
            return None
        if not given:
            return refused(Refusal("missing_api_key", "You didn't provide an API key."), 401)
        if wanted is not None and compare_digest(given.encode(), wanted.encode()):
            return None
        return refused(Refusal("invalid_api_key", "Incorrect API key provided."), 401)

    # Models and keys

    def _models(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([self._behaviour().model, *_MODELS]))

    @staticmethod
    def _model(name: str) -> Json:
        return {
            "id": name,
            "object": "model",
            "created": _MODELS_CREATED,
            "owned_by": "system",
        }

    def _client_secret(self, body: Json) -> HttpReply:
        """P-338."""
        for name in body:
            if name not in ("expires_after", "session"):
                raise errors.unknown_parameter(name)
        expiry = body.get("expires_after") or {}
        _EXPIRY(expiry, "expires_after")
        expires_at = int(self._wall()) + int(expiry.get("seconds", 600))
        session = body.get("session") or {"type": "realtime"}
        SESSION(session, "session")
        key = self._keyring.make(session, expires_at)
        state = SessionState(
            self._behaviour(), f"sess_{key.value[-21:]}", str(session.get("model") or ""), 0
        )
        state.begin_as(session)
        state.config["expires_at"] = 0
        return _found({"value": key.value, "expires_at": expires_at, "session": state.config})

    # Calls

    async def _call(self, request: HttpRequest, key: EphemeralKey | None) -> HttpReply:
        """P-330 to P-335."""
        if self._exchange.is_full:
            return refused(Refusal("too_many_calls", "Too many calls."), 503)
        if request.media_type == _SDP:
            offer, session = _text(request.body), (key.session if key else {"type": "realtime"})
        elif request.media_type == "multipart/form-data":
            parts = request.parts or {}
            if "sdp" not in parts:
                raise errors.missing("sdp")
            offer = _text(parts["sdp"])
            given = _object(parts["session"], "session") if "session" in parts else None
            session = given or (key.session if key else {"type": "realtime"})
            if "type" not in session:
                raise errors.missing("session.type")
        else:
            kinds = f"Expected multipart/form-data or {_SDP}, got '{request.media_type}'."
            return refused(Refusal("unsupported_content_type", kinds), 415)
        sdp.check(offer)
        call = self._exchange.place(session)
        if self._media is not None and call.engine.behaviour.call_media is CallMedia.WEBRTC:
            try:
                answer = await self._media(call, offer)
            except Refusal:
                call.end()
                raise
            except MissingDependency as missing:
                call.end()
                return refused(errors.not_installed(missing), 501)
        else:
            answer = sdp.answer(offer)
        headers = {}
        if call.engine.behaviour.location:  # P-332, P-464
            headers = {
                "Location": f"/v1/realtime/calls/{call.id}",
                "Access-Control-Expose-Headers": "Location, X-Request-Id",  # P-333
            }
        return HttpReply(201, answer.encode(), _SDP, headers)

    def _accept(self, call_id: str, body: Json) -> HttpReply:
        """P-339, P-343."""
        call = self._exchange.get(call_id)
        if call is None:
            return refused(errors.call_id_not_found(call_id), self._behaviour().accept_gone)
        if call.state is not CallState.RINGING:
            raise errors.call_not_ringing(call_id)
        if "type" not in body:
            raise errors.missing("type")
        call.accept(body)
        return HttpReply(200)

    def _reject(self, call_id: str, body: Json) -> HttpReply:
        """P-340."""
        _REJECT(body, "")
        call = self._exchange.get(call_id)
        if call is None:
            return refused(errors.call_id_not_found(call_id), 404)
        if call.state is not CallState.RINGING:
            raise errors.call_not_ringing(call_id)
        call.reject(int(body.get("status_code", 603)))
        return HttpReply(200)

    def _hangup(self, call_id: str) -> HttpReply:
        """P-341, P-344."""
        call = self._exchange.get(call_id)
        if call is not None:
            call.end()
            return HttpReply(200)
        match self._behaviour().hangup_gone:
            case HangupGone.HTTP_200:
                return HttpReply(200)
            case HangupGone.HTTP_404:
                return refused(errors.call_id_not_found(call_id), 404)
        return refused(errors.call_id_not_found(call_id), 400)

    def _refer(self, call_id: str, body: Json) -> HttpReply:
        """P-342, P-345."""
        _REFER(body, "")
        target = body["target_uri"]
        if not target.startswith(("tel:", "sip:", "sips:")):
            raise Refusal("invalid_value", "Expected a 'tel:' or 'sip:' URI.", "target_uri")
        call = self._exchange.get(call_id)
        if call is None:
            return refused(errors.call_id_not_found(call_id), 404)
        if call.kind is not CallKind.SIP or call.state is not CallState.UP:
            raise errors.call_not_up(call_id)
        knobs = call.engine.behaviour
        match knobs.refer:
            case Refer.HTTP_500:
                failed = "The server had an error while processing your request."
                return refused(Refusal(None, failed, type="server_error"), 500)
            case Refer.HTTP_200:
                call.refer(target, knobs.refer_latency_ms / 1000)
        return HttpReply(200)


_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "*, Authorization, Content-Type",
    "Access-Control-Max-Age": "600",
}


def _body(request: HttpRequest) -> Json:
    return _object(request.body, "body") if request.body.strip() else {}


def _object(data: bytes, name: str) -> Json:
    try:
        found = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise Refusal("invalid_json", f"We could not parse '{name}': expected a JSON object.", name)
    return found


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeError:
        raise Refusal("invalid_offer", "The SDP offer is not UTF-8.", "sdp") from None
