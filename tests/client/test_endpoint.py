"""Where to connect, and with which credentials; secrets stay out of sight."""

import logging

import pytest

import antiphon
from antiphon import ConnectError
from antiphon.client.endpoint import resolve, without_secrets
from antiphon.models import DEFAULT_MODEL
from antiphon.wire.dialects import BETA, GA

__all__: list[str] = []

KEY = "sk-very-secret"
AZURE = "https://name.openai.azure.com"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "AZURE_OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_by_default_openai_with_the_key_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    endpoint = resolve()
    assert endpoint.url == f"wss://api.openai.com/v1/realtime?model={DEFAULT_MODEL}"
    assert endpoint.headers == {"Authorization": f"Bearer {KEY}"}
    assert endpoint.dialect is GA


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("https://host/v1", "wss://host/v1/realtime?model=m"),
        ("https://host/v1/", "wss://host/v1/realtime?model=m"),
        ("http://host:8080/v1", "ws://host:8080/v1/realtime?model=m"),
        ("wss://host/v1/realtime", "wss://host/v1/realtime?model=m"),
    ],
)
def test_base_url_is_an_address_up_to_v1(given: str, url: str) -> None:
    assert resolve(base_url=given, model="m", api_key=KEY).url == url


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("ws://127.0.0.1:8765/v1/realtime", "ws://127.0.0.1:8765/v1/realtime?model=m"),
        ("https://host/somewhere/else", "wss://host/somewhere/else?model=m"),
        ("wss://host/realtime?model=theirs&x=1", "wss://host/realtime?model=theirs&x=1"),
        ("wss://[2001:db8::1]:99/v1/realtime", "wss://[2001:db8::1]:99/v1/realtime?model=m"),
    ],
)
def test_url_is_the_whole_address(given: str, url: str) -> None:
    assert resolve(url=given, model="m", api_key=KEY).url == url


def test_base_url_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://proxy/v1")
    assert resolve(api_key=KEY).url == f"wss://proxy/v1/realtime?model={DEFAULT_MODEL}"
    assert resolve(api_key=KEY, base_url="https://mine/v1").url.startswith("wss://mine/")
    assert resolve(api_key=KEY, url="wss://whole/realtime").url.startswith("wss://whole/")


def test_url_and_base_url_exclude_each_other() -> None:
    with pytest.raises(ConnectError, match="not both"):
        resolve(url="ws://a/v1/realtime", base_url="http://a/v1", api_key=KEY)


@pytest.mark.parametrize(
    "address", ["", "api.openai.com/v1", "ftp://host/v1", "wss://", "http://[::1", "wss:///path"]
)
def test_what_is_no_address_is_a_connect_error(address: str) -> None:
    with pytest.raises(ConnectError, match="no address"):
        resolve(url=address, api_key=KEY)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_a_server_on_this_machine_needs_no_key(host: str) -> None:
    assert resolve(url=f"ws://{host}:1/v1/realtime").headers == {}


def test_elsewhere_a_missing_key_is_said_before_anything_is_sent() -> None:
    with pytest.raises(ConnectError, match="OPENAI_API_KEY") as caught:
        resolve()
    assert not caught.value.retryable


def test_azure_ga() -> None:
    endpoint = resolve(azure_endpoint=AZURE, azure_deployment="dep", api_key=KEY)
    assert endpoint.url == "wss://name.openai.azure.com/openai/v1/realtime?model=dep"
    assert endpoint.headers == {"api-key": KEY}
    assert endpoint.dialect is GA


def test_azure_preview_speaks_the_beta() -> None:
    endpoint = resolve(azure_endpoint=AZURE, model="dep", api_key=KEY, api_version="2025-04-01")
    assert endpoint.url == (
        "wss://name.openai.azure.com/openai/realtime?api-version=2025-04-01&deployment=dep"
    )
    assert endpoint.dialect is BETA


def test_azure_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConnectError, match="AZURE_OPENAI_API_KEY"):
        resolve(azure_endpoint=AZURE)
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
    assert resolve(azure_endpoint=AZURE).headers == {"api-key": KEY}
    token = resolve(azure_endpoint=AZURE, azure_ad_token="tok").headers
    assert token == {"Authorization": "Bearer tok"}


def test_an_azure_address_given_as_url_gets_azures_header() -> None:
    endpoint = resolve(url="wss://name.openai.azure.com/openai/v1/realtime", api_key=KEY)
    assert endpoint.headers == {"api-key": KEY}


def test_headers_of_the_callers_own_come_last_and_may_carry_the_credentials() -> None:
    added = resolve(url="wss://h/realtime", api_key=KEY, headers={"X-Org": "o"}).headers
    assert added == {"Authorization": f"Bearer {KEY}", "X-Org": "o"}
    own = resolve(url="wss://h/realtime", headers={"authorization": "Bearer mine"}).headers
    assert own == {"authorization": "Bearer mine"}


def test_a_key_is_cleaned_of_what_a_file_leaves_on_it() -> None:
    assert resolve(api_key=f" {KEY}\n").headers == {"Authorization": f"Bearer {KEY}"}
    assert resolve(url="ws://localhost/v1/realtime", api_key=" \n").headers == {}


@pytest.mark.parametrize("key", ["sk-one\r\nX-Evil: 1", "sk-\u2026", "sk\x00"])
def test_a_key_that_no_header_may_hold_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ConnectError) as caught:
        resolve(api_key=key)
    assert key not in str(caught.value)


def test_no_secret_in_any_repr() -> None:
    endpoint = resolve(url=f"wss://me:{KEY}@host/v1/realtime?api-key={KEY}", api_key=KEY)
    assert KEY not in repr(endpoint) and KEY not in str(endpoint)
    assert repr(endpoint) == "Endpoint('wss://host/v1/realtime')"
    connecting = antiphon.connect(url="wss://host/v1/realtime", api_key=KEY)
    assert KEY not in repr(connecting)


def test_no_secret_in_the_message_about_an_address() -> None:
    with pytest.raises(ConnectError) as caught:
        resolve(url=f"gopher://me:{KEY}@host/?api-key={KEY}")
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("wss://host/v1/realtime?model=m", "wss://host/v1/realtime"),
        ("wss://a:b@host:1/x", "wss://host:1/x"),
        ("wss://host/a@b", "wss://host/a@b"),
        ("ws://host", "ws://host"),
    ],
)
def test_without_secrets(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(antiphon.LocalProtocolError, match="max_in_flight"):
        _ = antiphon.connect(url="ws://localhost/v1/realtime", max_in_flight=0)


async def test_no_secret_in_any_log(caplog: pytest.LogCaptureFixture) -> None:
    # Level 1 lets through even what picows says below DEBUG: its handshake and its frames.
    from antiphon.emulator import EmulatorServer, Script, say

    caplog.set_level(1)
    for name in ("antiphon", "antiphon.session", "antiphon.picows"):
        caplog.set_level(1, logger=name)
    script = Script([say("Nobody may read this.", ms=200)])
    async with (
        EmulatorServer(script=script, api_key=KEY) as server,
        antiphon.connect(url=server.url, api_key=KEY) as session,
    ):
        await session.send_text("Nor this.")
        await session.create_response().done
    ours = [one for one in caplog.records if "emulator" not in one.name]
    said = "\n".join(f"{one.getMessage()} {one.__dict__}" for one in ours)
    for secret in (KEY, "Nobody may", "Nor this"):
        assert secret not in said
    assert logging.getLogger("antiphon.picows").name in {
        one.name.rpartition(".")[0] or one.name for one in ours
    } | {one.name for one in ours}, "picows does log, under a name of ours"
