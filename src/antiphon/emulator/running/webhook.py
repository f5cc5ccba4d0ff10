"""The webhook that tells of a telephone call (P-355 to P-360): its body and its signature."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from antiphon.exceptions import MissingDependency

__all__ = ["DEFAULT_SECRET", "body_of", "signed"]

# Base64 after `whsec_`; for tests only, as everything here.
DEFAULT_SECRET = "whsec_YW50aXBob24gZW11bGF0b3Igd2ViaG9vaw=="
# P-356
_LEFT_OUT = frozenset({"authorization", "proxy-authorization"})


def body_of(
    event_id: str,
    call_id: str,
    headers: Iterable[tuple[str, str]],
    created_at: int,
    media_security: str | None = "srtp",
) -> bytes:
    """The event `realtime.call.incoming`, as it is posted.

    Args:
        event_id: `evt_…`.
        call_id: the call that rings.
        headers: its SIP headers.
        created_at: Unix time in seconds.
        media_security: `rtp` or `srtp`; None leaves it out.
    """
    kept = [
        {"name": name, "value": value} for name, value in headers if name.lower() not in _LEFT_OUT
    ]
    data: dict[str, Any] = {"call_id": call_id, "sip_headers": kept}
    if media_security is not None:
        data["sip_media_security"] = media_security
    event = {"id": event_id, "object": "event", "type": "realtime.call.incoming"}
    return json.dumps({**event, "created_at": created_at, "data": data}).encode()


def signed(secret: str, webhook_id: str, now: float, body: bytes) -> dict[str, str]:
    """The HTTP headers of a webhook (P-357, P-358).

    Args:
        secret: `whsec_` and base64.
        webhook_id: `wh_…`; the same for every delivery of one event.
        now: Unix time in seconds.
        body: exactly what is posted.

    Raises:
        MissingDependency: `standardwebhooks` is not installed.
    """
    try:
        from standardwebhooks import Webhook
    except ImportError as error:
        raise MissingDependency(
            "signed webhooks need standardwebhooks: pip install 'antiphon[calls]'"
        ) from error
    when = datetime.fromtimestamp(int(now), UTC)
    return {
        "content-type": "application/json",
        "user-agent": "antiphon-emulator",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(now)),
        "webhook-signature": Webhook(secret).sign(webhook_id, when, body.decode()),
    }
