"""What a client asks for when it connects, and whether it gets it (P-261 to P-266)."""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any
from urllib.parse import parse_qs, urlsplit

from antiphon.emulator.knobs.behaviour import Behaviour
from antiphon.emulator.knobs.call_choices import SidebandModelToo
from antiphon.emulator.knobs.choices import AuthFailure, Dialect, MissingModel
from antiphon.emulator.shapes import errors
from antiphon.emulator.shapes.errors import Refusal
from antiphon.emulator.state.models import check_realtime_model

__all__ = ["HttpRefusal", "Opening", "judge"]

_logger = logging.getLogger("antiphon.emulator")
Json = dict[str, Any]
_ANOTHER_PROTOCOL = re.compile(r"/(live|realtime/translations)(/|$)")
_KEY_PROTOCOL = "openai-insecure-api-key."
_BETA_DIALECTS = frozenset({Dialect.BETA, Dialect.VOICE_LIVE, Dialect.XAI})


@dataclass(frozen=True, slots=True)
class HttpRefusal:
    """No WebSocket: an HTTP status with a JSON error."""

    status: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Opening:
    """The WebSocket is opened.

    Args:
        model: the model asked for, or "" for the default.
        transcribes: whether it asked for a transcription session.
        subprotocol: what to answer in `Sec-WebSocket-Protocol`, or "".
        refusal: if set, the only event sent is this error, and the connection is closed.
        close_code: with which code.
        call_id: the call to join, or "" for a session of its own (P-370).
        session: what the ephemeral key was made for, if one was given.
    """

    model: str = ""
    subprotocol: str = ""
    transcribes: bool = False
    refusal: Refusal | None = None
    close_code: int = 4000
    call_id: str = ""
    session: Json | None = None

    @property
    def close_reason(self) -> str:
        """P-275: type and code of the error."""
        return f"{self.refusal.type}.{self.refusal.code}" if self.refusal else ""


def judge(
    behaviour: Behaviour,
    target: str,
    headers: Mapping[str, str],
    api_key: str | None,
    session_of: Callable[[str], Json | None] = lambda key: None,
) -> HttpRefusal | Opening:
    """Decide about a connection.

    Args:
        behaviour: the knobs.
        target: path and query of the request.
        headers: its headers; names in any case.
        api_key: the only key that is let in, or None to let everybody in.
        session_of: the session of an ephemeral key, which is let in too (P-338); None for others.
    """
    parts = urlsplit(target)
    if _ANOTHER_PROTOCOL.search(parts.path):
        other = errors.another_protocol(parts.path)
        return HttpRefusal(501, str(other.code), other.message)
    if not parts.path.rstrip("/").endswith("/realtime"):
        return HttpRefusal(404, "not_found", f"There is nothing at {parts.path}.")
    given = {name.lower(): value for name, value in headers.items()}
    offered = [name.strip() for name in given.get("sec-websocket-protocol", "").split(",")]
    subprotocol = "realtime" if "realtime" in offered else ""
    key = _key(given, offered, parts.query)
    session = session_of(key)
    if api_key is not None and session is None:
        if not key:
            return HttpRefusal(401, "missing_api_key", "You didn't provide an API key.")
        if not compare_digest(key.encode(), api_key.encode()):
            if behaviour.auth_failure is AuthFailure.ALWAYS_401:
                return HttpRefusal(401, "invalid_api_key", "Incorrect API key provided.")
            wrong = Refusal("invalid_api_key", "Incorrect API key provided.")
            return Opening(subprotocol=subprotocol, refusal=wrong, close_code=3000)
    refusal = _refused(behaviour, given, parts.query)
    query = parse_qs(parts.query)
    model = (query.get("model") or query.get("deployment") or [""])[0]
    transcribes = query.get("intent") == ["transcription"]
    call_id = query.get("call_id", [""])[0]
    if call_id and model and behaviour.sideband_model_too is SidebandModelToo.HTTP_400:
        both = "Give either a model or a call_id, not both."  # P-371
        return HttpRefusal(400, "invalid_request", both)
    return Opening(model, subprotocol, transcribes, refusal, call_id=call_id, session=session)


def _refused(behaviour: Behaviour, headers: Mapping[str, str], query: str) -> Refusal | None:
    fields = parse_qs(query)
    if headers.get("openai-beta") == "realtime=v1" and behaviour.dialect not in _BETA_DIALECTS:
        _logger.warning(
            "a client asked for the beta shape, which this server does not speak; one that does: "
            "antiphon serve --set dialect=beta, or Behaviour(dialect='beta')"
        )
        return Refusal(  # P-264
            "beta_api_shape_disabled",
            "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API.",
        )
    intent = fields.get("intent", [""])[0]
    if intent not in ("", "transcription", "conversation", "realtime"):
        return Refusal("invalid_intent", f"Invalid intent {intent}")  # P-266
    if behaviour.dialect is Dialect.GA:
        refused = _unfit_model(intent, fields.get("model", [""])[0])
        if refused is not None:
            return refused
    has_model = "model" in fields or "deployment" in fields or "call_id" in fields
    if behaviour.missing_model is MissingModel.CLOSE_4000 and not (has_model or intent):
        return Refusal("missing_model", "You must provide a model parameter.")  # P-265
    return None


def _unfit_model(intent: str, model: str) -> Refusal | None:
    if intent == "transcription":
        if not model:
            return None
        words = "You must not provide a model parameter for transcription sessions."
        return Refusal("invalid_model", words)  # P-469
    try:
        check_realtime_model(model)
    except Refusal as refusal:
        return refusal
    return None


def _key(headers: Mapping[str, str], offered: list[str], query: str) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    if headers.get("api-key"):  # Azure
        return headers["api-key"]
    for name in offered:  # browsers cannot set headers
        if name.startswith(_KEY_PROTOCOL):
            return name.removeprefix(_KEY_PROTOCOL)
    return parse_qs(query).get("api-key", [""])[0]
