"""Where to connect, and with which credentials."""

import os
import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from antiphon.client.arguments import a_mapping, a_name, a_text
from antiphon.exceptions import ConnectError, LocalProtocolError
from antiphon.models import DEFAULT_MODEL
from antiphon.wire.dialects import BETA, GA, Dialect

__all__ = [
    "DEFAULT_BASE_URL",
    "Endpoint",
    "is_local",
    "resolve",
    "without_secrets",
]

DEFAULT_BASE_URL = "https://api.openai.com/v1"
# RFC 9110 §5.6.2: what names a header.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Endpoint(NamedTuple):
    """Everything that a handshake needs. Its repr hides whatever may hold a key."""

    url: str
    headers: Mapping[str, str]
    dialect: Dialect
    transcription: bool = False
    call_id: str | None = None

    def __repr__(self) -> str:
        return f"Endpoint({without_secrets(self.url)!r})"


def is_local(hostname: str | None) -> bool:
    """Whether this names the machine that we run on."""
    return hostname in _LOOPBACK


def without_secrets(url: str) -> str:
    """The address without user, password and query, any of which may hold a key."""
    scheme, separator, rest = url.partition("?")[0].rpartition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"


def resolve(
    *,
    model: str | None = None,
    url: str | None = None,
    base_url: str | None = None,
    api_key: str | None = None,
    azure_endpoint: str | None = None,
    azure_deployment: str | None = None,
    azure_ad_token: str | None = None,
    api_version: str | None = None,
    headers: Mapping[str, str] | None = None,
    dialect: Dialect | None = None,
    needs_key: bool = True,
    transcription: bool = False,
    call_id: str | None = None,
) -> Endpoint:
    """Work out the address and the headers.

    Args:
        model: the model, or the deployment on Azure; default `DEFAULT_MODEL`.
        url: the whole address (`ws`, `wss`, `http` or `https`); `?model=` is added if missing.
        base_url: the address up to `/v1`, as other OpenAI clients take it. Default: the
            environment's `OPENAI_BASE_URL`, else OpenAI's.
        api_key: default: the environment's `OPENAI_API_KEY` (`AZURE_OPENAI_API_KEY` on Azure).
        azure_endpoint: `https://NAME.openai.azure.com`.
        azure_deployment: the deployment's name; default: `model`.
        azure_ad_token: an Entra ID token, instead of a key.
        api_version: with it, Azure's preview address and the beta's event names are used
            (P-291); without it, Azure's GA address (P-290).
        headers: sent as they are, over those made here. With credentials among them
            (`Authorization` or `api-key`) none are made here.
        dialect: the event names to speak; default: as the address implies.
        needs_key: False goes without credentials where none are to be had.
        transcription: for a session that only transcribes, as `?intent=transcription` in `url`
            also says; it has no model (P-469).
        call_id: of a WebRTC or SIP call to join (P-370), as `?call_id=` in `url` also says; it has
            a model already (P-371).

    A user and a password in the address are sent as `Authorization: Basic`, and never as part of
    it. `headers` and `api_key` come before them, the environment's key after them.

    Raises:
        ConnectError: no key is to be had for a server that is not on this machine, or the address
            is none.
        LocalProtocolError: an argument is of no use; it is named.
    """
    if url is not None and base_url is not None:
        raise ConnectError("give url= or base_url=, not both")
    for name, given in {
        "model": model,
        "url": url,
        "base_url": base_url,
        "azure_endpoint": azure_endpoint,
        "azure_deployment": azure_deployment,
        "api_version": api_version,
        "call_id": call_id,
    }.items():
        if given is not None and not a_text(name, given).isprintable():
            raise LocalProtocolError(f"{name} holds characters that no address has")
    for name, given in {"api_key": api_key, "azure_ad_token": azure_ad_token}.items():
        if given is not None:
            a_text(name, given)
    if model is not None:
        a_name("model", model)
    headers = _headers(headers)
    if transcription or (url is not None and _is_for_transcription(url)):
        transcription = True
        if model is not None:
            raise LocalProtocolError(
                "a transcription session takes no model=; name the transcriber in "
                "session={'audio': {'input': {'transcription': {'model': …}}}}"
            )
    if call_id is not None:
        a_name("call_id", call_id)
    elif url is not None:
        call_id = _query(url).get("call_id")
    if call_id is not None:
        for name, given in {"model": model, "azure_deployment": azure_deployment}.items():
            if given is not None:
                raise LocalProtocolError(f"a call has its model already; leave {name} out")
        if transcription:
            raise LocalProtocolError("a call is no transcription session; leave one of them out")
        asked = {"call_id": call_id}
    elif transcription:
        asked = {"intent": "transcription"}
    else:
        asked = {"model": model or DEFAULT_MODEL}
    own = {name.lower() for name in headers} & {"authorization", "api-key"}
    if azure_endpoint is not None:
        if api_version is None:
            path, query = "/openai/v1/realtime", asked
            if azure_deployment and not transcription:
                query = {"model": azure_deployment}
        else:
            path, query = "/openai/realtime", {"api-version": api_version}
            if transcription or call_id:
                query |= asked
            if azure_deployment or not (transcription or call_id):
                query["deployment"] = azure_deployment or asked["model"]
        address = _join(azure_endpoint, path, query)
        key = _clean(api_key or os.environ.get("AZURE_OPENAI_API_KEY"))
        token = _clean(azure_ad_token)
        credentials = {} if own else _azure_credentials(key, token, needs_key)
        spoken = BETA if api_version is not None else GA
    else:
        if url is not None:
            address = _join(url, "", asked)
        else:
            base = base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL
            address = _join(base, "/realtime", asked)
        key = _clean(api_key)
        basic = None if own or key else _basic(address)
        if basic is None and not own:
            key = key or _clean(os.environ.get("OPENAI_API_KEY"))
            credentials = _credentials(key, address, needs_key)
        else:
            credentials = basic or {}
        spoken = GA
    address = _without_user(address)
    return Endpoint(address, {**credentials, **headers}, dialect or spoken, transcription, call_id)


def _headers(headers: Any) -> dict[str, str]:
    """Headers of the caller's own, none of which may smuggle in another (RFC 9110 §5.5)."""
    checked: dict[Any, Any] = {} if headers is None else a_mapping("headers", headers)
    for name, value in checked.items():
        # Without the value, which may be the key.
        if not (isinstance(name, str) and _TOKEN.fullmatch(name)):
            raise LocalProtocolError("headers has a name that no header has")
        if not (isinstance(value, str) and value.isprintable() and value.isascii()):
            raise LocalProtocolError(f"headers[{name!r}] must be a str of printable ASCII")
    return checked


def _is_for_transcription(url: str) -> bool:
    return _query(url).get("intent") == "transcription"


def _query(url: str) -> dict[str, str]:
    return dict(parse_qsl(url.partition("?")[2]))


def _join(base: str, path: str, query: Mapping[str, str]) -> str:
    try:
        parts = urlsplit(base)
        _ = parts.port  # which is only looked at when asked for
    except ValueError:
        parts = urlsplit("")
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None or not parts.hostname:
        raise ConnectError(
            f"{without_secrets(base)!r} is no address of a Realtime server; "
            "it should look like wss://host/v1/realtime or https://host/v1"
        )
    whole = parts.path.rstrip("/")
    if path and not whole.endswith(path):
        whole += path
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    return urlunsplit(
        (scheme, parts.netloc, whole, urlencode({**query, **given}, quote_via=quote), "")
    )


def _clean(key: str | None) -> str | None:
    """Without the line break that a file or a shell left on it."""
    key = key.strip() if key else None
    if key and not (key.isascii() and key.isprintable()):
        raise ConnectError("the API key holds characters that no key has; was it pasted whole?")
    return key


def _basic(address: str) -> dict[str, str] | None:
    """What the user and password of an address are as a header (RFC 7617)."""
    parts = urlsplit(address)
    if parts.username is None:
        return None
    told = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {b64encode(told.encode()).decode()}"}


def _without_user(address: str) -> str:
    # The whole authority goes into the header Host, and that into logs.
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _credentials(key: str | None, address: str, needed: bool) -> dict[str, str]:
    parts = urlsplit(address)
    if key:
        if (parts.hostname or "").endswith(".azure.com"):
            return {"api-key": key}
        return {"Authorization": f"Bearer {key}"}
    if is_local(parts.hostname) or not needed:
        return {}
    raise ConnectError(
        "no API key: pass api_key=, or set OPENAI_API_KEY; "
        "`antiphon serve` runs a server that needs none"
    )


def _azure_credentials(key: str | None, token: str | None, needed: bool) -> dict[str, str]:
    if token:
        return {"Authorization": f"Bearer {token}"}
    if key:
        return {"api-key": key}
    if not needed:
        return {}
    raise ConnectError(
        "no Azure credentials: pass api_key= or azure_ad_token=, or set AZURE_OPENAI_API_KEY"
    )
