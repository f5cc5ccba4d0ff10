"""The webhook of a telephone call: its body, and a signature that openai and others verify."""

import base64
import hashlib
import hmac
import json
import time

import openai
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from antiphon.emulator.running.webhook import DEFAULT_SECRET, body_of, signed

__all__: list[str] = []

SIP = [
    ("From", '"Alice" <sip:+15550100@example.com>;tag=1'),
    ("To", "<sip:proj_1@sip.api.openai.com;transport=tls>"),
    ("Authorization", "Digest username=secret"),
    ("Via", "one"),
    ("Via", "two"),
]


def body() -> bytes:
    return body_of("evt_1", "rtc_1", SIP, 1_750_000_000)


def test_the_body_is_the_event_as_documented() -> None:
    # P-355
    event = json.loads(body())
    assert (event["id"], event["object"], event["type"]) == (
        "evt_1",
        "event",
        "realtime.call.incoming",
    )
    assert event["created_at"] == 1_750_000_000
    assert event["data"]["call_id"] == "rtc_1"
    assert event["data"]["sip_media_security"] == "srtp"


def test_headers_keep_their_order_and_lose_what_authenticates() -> None:
    # P-356
    kept = [(one["name"], one["value"]) for one in json.loads(body())["data"]["sip_headers"]]
    assert kept == [SIP[0], SIP[1], SIP[3], SIP[4]]


def test_openai_verifies_it() -> None:
    # P-357, P-358
    headers = signed(DEFAULT_SECRET, "wh_1", time.time(), body())
    client = openai.OpenAI(api_key="any", webhook_secret=DEFAULT_SECRET)
    event = client.webhooks.unwrap(body(), headers)
    assert event.type == "realtime.call.incoming"
    assert event.data.call_id == "rtc_1"
    with pytest.raises(openai.InvalidWebhookSignatureError):
        client.webhooks.unwrap(body() + b" ", headers)


def test_what_a_parser_made_of_the_body_does_not_verify() -> None:
    # P-359: the same JSON, written anew.
    headers = signed(DEFAULT_SECRET, "wh_1", time.time(), body())
    client = openai.OpenAI(api_key="any", webhook_secret=DEFAULT_SECRET)
    anew = json.dumps(json.loads(body()), indent=1)
    with pytest.raises(openai.InvalidWebhookSignatureError):
        client.webhooks.unwrap(anew, headers)


def test_standardwebhooks_verifies_it_within_five_minutes() -> None:
    # P-357, P-358
    headers = signed(DEFAULT_SECRET, "wh_1", time.time(), body())
    assert Webhook(DEFAULT_SECRET).verify(body(), headers)["id"] == "evt_1"
    old = signed(DEFAULT_SECRET, "wh_1", time.time() - 400, body())
    with pytest.raises(WebhookVerificationError):
        Webhook(DEFAULT_SECRET).verify(body(), old)


def test_the_signature_is_an_hmac_of_id_time_and_body() -> None:
    headers = signed(DEFAULT_SECRET, "wh_1", 1_750_000_000.7, b"{}")
    key = base64.b64decode(DEFAULT_SECRET.removeprefix("whsec_"))
    digest = hmac.new(key, b"wh_1.1750000000.{}", hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert headers["webhook-timestamp"] == "1750000000"
    assert headers["webhook-id"] == "wh_1"
