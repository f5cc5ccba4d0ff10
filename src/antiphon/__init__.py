"""Concurrent responses and exact interruption for the OpenAI Realtime API.

async with antiphon.connect() as session:
    answer = session.create_response(instructions="Say hello.")
    verdict = session.create_response(
        instructions="Is the caller angry? yes/no", conversation="none",
        output_modalities=["text"],
    )
    async for chunk in answer.audio:
        play(chunk)
    print(await verdict.text())
    receipt = await session.interrupt()
"""

from typing import TYPE_CHECKING

from antiphon.lazy import lazily

if TYPE_CHECKING:
    from antiphon.client.connect import connect
    from antiphon.client.handle import FunctionCall, ResponseHandle, StreamLimits
    from antiphon.client.listeners import Arrivals
    from antiphon.client.pending import PendingReceipt, PendingRequest, PendingRequests
    from antiphon.client.reconnect import ReconnectPolicy
    from antiphon.client.session import Session
    from antiphon.client.streams import Moment, Stream
    from antiphon.client.transport import Connector, FrameHandler, PicowsConnector, Transport
    from antiphon.exceptions import (
        CallNotFound,
        ConcurrencyError,
        ConnectError,
        ConnectionClosed,
        ConnectionClosedError,
        ConnectionClosedOK,
        LocalProtocolError,
        MissingDependency,
        ProtocolError,
        RealtimeError,
        RemoteProtocolError,
        RequestError,
        RequestTimeout,
        ResponseFailed,
        ResponseRejected,
        StreamOverflow,
    )
    from antiphon.models import DEFAULT_MODEL
    from antiphon.protocol.effects import Report, ReportKind
    from antiphon.protocol.input_audio import Turn
    from antiphon.protocol.interruption import Receipt, ReceiptEntry
    from antiphon.protocol.lifecycle import Tolerance
    from antiphon.protocol.options import Options
    from antiphon.protocol.response import Cause, Lane, Outcome, OutcomeKind
    from antiphon.protocol.snapshot import Snapshot
    from antiphon.protocol.times import ResponseTimes
    from antiphon.tools import ToolError, Tools
    from antiphon.wire.base import UNSET
    from antiphon.wire.items import ContentPart, ErrorInfo, Item, Usage
    from antiphon.wire.session_config import SessionConfig

__all__ = [
    "CallNotFound",
    "DEFAULT_MODEL",
    "UNSET",
    "Arrivals",
    "Cause",
    "ConcurrencyError",
    "ConnectError",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "Connector",
    "ContentPart",
    "ErrorInfo",
    "FrameHandler",
    "FunctionCall",
    "Item",
    "Lane",
    "LocalProtocolError",
    "MissingDependency",
    "Moment",
    "Options",
    "Outcome",
    "OutcomeKind",
    "PendingReceipt",
    "PendingRequest",
    "PendingRequests",
    "PicowsConnector",
    "ProtocolError",
    "RealtimeError",
    "Receipt",
    "ReceiptEntry",
    "ReconnectPolicy",
    "RemoteProtocolError",
    "Report",
    "ReportKind",
    "RequestError",
    "RequestTimeout",
    "ResponseFailed",
    "ResponseHandle",
    "ResponseRejected",
    "ResponseTimes",
    "Session",
    "SessionConfig",
    "Snapshot",
    "Stream",
    "StreamLimits",
    "StreamOverflow",
    "Tolerance",
    "ToolError",
    "Tools",
    "Transport",
    "Turn",
    "Usage",
    "connect",
]

# As above; loaded when first used.
_HOMES = {
    "client.connect": "connect",
    "client.handle": "FunctionCall ResponseHandle StreamLimits",
    "client.listeners": "Arrivals",
    "client.pending": "PendingReceipt PendingRequest PendingRequests",
    "client.reconnect": "ReconnectPolicy",
    "client.session": "Session",
    "client.streams": "Moment Stream",
    "client.transport": "Connector FrameHandler PicowsConnector Transport",
    "models": "DEFAULT_MODEL",
    "wire.base": "UNSET",
    "exceptions": (
        "CallNotFound ConcurrencyError ConnectError ConnectionClosed ConnectionClosedError "
        "ConnectionClosedOK LocalProtocolError MissingDependency ProtocolError "
        "RealtimeError RemoteProtocolError RequestError RequestTimeout ResponseFailed "
        "ResponseRejected StreamOverflow"
    ),
    "protocol.effects": "Report ReportKind",
    "protocol.input_audio": "Turn",
    "protocol.interruption": "Receipt ReceiptEntry",
    "protocol.options": "Options",
    "protocol.lifecycle": "Tolerance",
    "protocol.response": "Cause Lane Outcome OutcomeKind",
    "protocol.snapshot": "Snapshot",
    "protocol.times": "ResponseTimes",
    "tools": "ToolError Tools",
    "wire.items": "ContentPart ErrorInfo Item Usage",
    "wire.session_config": "SessionConfig",
}

__getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
