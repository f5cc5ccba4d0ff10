"""HTTP for the emulator: requests from a socket to `Rest`, replies back, by aiohttp.

Without aiohttp every request gets the same answer: which package to install.
"""

import asyncio
import json
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from antiphon.emulator.running.rest import HttpReply, HttpRequest, Rest, refused
from antiphon.emulator.shapes.errors import Refusal

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["HttpSide"]

MAX_BODY_BYTES = 4 * 1024 * 1024
HINT = "HTTP on the emulator needs aiohttp: pip install 'antiphon[calls]'"


class HttpSide:
    """Makes a protocol for each HTTP connection.

    Args:
        rest: answers.
    """

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._server: web.Server | None = None
        self.protocol: Callable[[], asyncio.BaseProtocol] = _Missing

    async def start(self) -> None:
        """Get ready; within the event loop that will serve."""
        try:
            from aiohttp import web
        except ImportError:
            return

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            return _sent(await self._answer(request))

        self._server = web.Server(handle, access_log=None)
        self.protocol = self._server

    async def stop(self) -> None:
        """Close every connection."""
        if self._server is not None:
            await self._server.shutdown(0.1)
            self._server = None

    async def _answer(self, request: "web.BaseRequest") -> HttpReply:
        if (request.content_length or 0) > MAX_BODY_BYTES:
            return refused(Refusal("request_too_large", "The request is too large."), 413)
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            body, parts = await _read(request)
        except _TooLarge:
            return refused(Refusal("request_too_large", "The request is too large."), 413)
        except ValueError:
            return refused(Refusal("invalid_body", "The request's body could not be read."), 400)
        whole = HttpRequest(request.method, request.path, headers, body, parts)
        return await self._rest.handle(whole)


class _TooLarge(Exception):
    """A body of more than `MAX_BODY_BYTES`."""


async def _read(request: "web.BaseRequest") -> tuple[bytes, dict[str, bytes] | None]:
    from aiohttp import BodyPartReader

    if request.content_type != "multipart/form-data":
        body = bytearray()
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise _TooLarge
        return bytes(body), None
    parts: dict[str, bytes] = {}
    size = 0
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or part.name is None:
            continue
        data = bytearray()
        while chunk := await part.read_chunk():
            data += chunk
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                raise _TooLarge
        parts[part.name] = bytes(data)
    return b"", parts


def _headers(reply: HttpReply) -> dict[str, str]:
    return {
        "Access-Control-Allow-Origin": "*",  # P-333
        "X-Request-Id": f"req_{uuid.uuid4().hex}",
        **reply.headers,
        **({"Content-Type": reply.media_type} if reply.body else {}),
    }


def _sent(reply: HttpReply) -> "web.Response":
    from aiohttp import web

    response = web.Response(status=reply.status, body=reply.body, headers=_headers(reply))
    # The door looks at the first request only: a client that keeps connections would send its
    # WebSocket handshake over this one next.
    response.force_close()
    return response


class _Missing(asyncio.Protocol):
    """Answers whatever comes with what is missing."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        error = {"message": HINT, "type": "server_error", "param": None}
        body = json.dumps({"error": {**error, "code": "missing_dependency"}}).encode()
        head = (
            "HTTP/1.1 501 Not Implemented\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        self._transport.write(head.encode() + body)
        self._transport.close()
