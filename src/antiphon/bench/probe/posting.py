"""The probe's own plain HTTP: a request, a reply, nothing understood. Calls are made with it.

A `Post` can be the emulator's `Rest` in memory as well, so that tests probe it on virtual time.
"""

import asyncio
import http.client
import secrets
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from antiphon.bench.probe.dialling import without_secrets
from antiphon.bench.probe.names import Json, error_code, json_object
from antiphon.exceptions import ConnectError

__all__ = ["Answer", "Post", "Request", "post"]

_PATIENCE_S = 15.0
_LARGEST_BODY = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked.

    Args:
        url: `http://` or `https://`.
        headers: they hold the key, and are never shown.
        body: with its media type; nothing where there are parts.
        media_type: of the body.
        parts: of a multipart body, by name: media type and bytes.
        method: in capitals.
    """

    url: str
    headers: Mapping[str, str]
    body: bytes = b""
    media_type: str = "application/json"
    parts: Mapping[str, tuple[str, bytes]] = field(default_factory=dict)
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came; the names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether it is a success."""
        return 200 <= self.status < 300

    @property
    def json(self) -> Json:
        """The body, or nothing if it is no JSON object."""
        return json_object(self.body) or {}

    @property
    def told(self) -> str:
        """Status and, of an error, its code, in words."""
        code = "" if self.ok else error_code(self.body)
        return f"HTTP {self.status}" + (f" ({code})" if code else "")


Post = Callable[[Request], Awaitable[Answer]]


async def post(request: Request) -> Answer:
    """Send a request. Redirects are not followed: the key would go to any host.

    Cancelled, it is carried out all the same within 15 s, in its thread.

    Raises:
        ConnectError: nobody answers, or what answers is no HTTP.
    """
    try:
        return await asyncio.to_thread(_sent, request)
    except (OSError, http.client.HTTPException, ValueError) as failed:
        told = str(failed) or type(failed).__name__
        raise ConnectError(f"no answer from {without_secrets(request.url)}: {told}") from failed


def _sent(request: Request) -> Answer:
    parts = urlsplit(request.url)
    host = parts.hostname or ""
    line: http.client.HTTPConnection
    if parts.scheme == "https":
        secure = ssl.create_default_context()
        line = http.client.HTTPSConnection(host, parts.port, timeout=_PATIENCE_S, context=secure)
    else:
        line = http.client.HTTPConnection(host, parts.port, timeout=_PATIENCE_S)
    body, media_type = request.body, request.media_type
    if request.parts:
        body, media_type = _multipart(request.parts)
    headers = {**request.headers, **({"Content-Type": media_type} if body else {})}
    try:
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        line.request(request.method, target, body, headers)
        came = line.getresponse()
        named = {name.lower(): value for name, value in came.getheaders()}
        return Answer(came.status, named, came.read(_LARGEST_BODY))
    finally:
        line.close()


def _multipart(parts: Mapping[str, tuple[str, bytes]]) -> tuple[bytes, str]:
    boundary = f"probe-{secrets.token_hex(12)}"
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n'
        f"Content-Type: {media_type}\r\n\r\n".encode()
        + data
        + b"\r\n"
        for name, (media_type, data) in parts.items()
    )
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"
