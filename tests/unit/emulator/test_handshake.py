"""Who is let in (P-261 to P-266)."""

import pytest

from antiphon.emulator import Behaviour, CloseConnection
from antiphon.emulator.engine.handshake import HttpRefusal, Opening, judge
from antiphon.emulator.knobs.choices import AuthFailure
from tests.helpers.emulated import Emulated

__all__: list[str] = []

GA = Behaviour()


@pytest.mark.parametrize(
    "target",
    [
        "/v1/realtime?model=m",
        "/openai/v1/realtime?model=m",  # Azure GA
        "/openai/realtime?api-version=2024-10-01-preview&deployment=m",  # Azure beta
        "/realtime/?model=m",
    ],
)
def test_known_paths(target: str) -> None:
    assert judge(GA, target, {}, None) == Opening("m")


@pytest.mark.parametrize("model", ["gpt-4o-transcribe", "gpt-realtime-whisper", "gpt-live-1"])
def test_a_model_that_holds_no_conversation_is_refused(model: str) -> None:
    # P-269
    opening = judge(GA, f"/v1/realtime?model={model}", {}, None)
    assert isinstance(opening, Opening)
    client = Emulated(opening=opening, keep_hello=True)
    (error,) = client.events
    assert error["error"]["code"] == "invalid_model"
    assert error["error"]["message"] == f'Model "{model}" is not supported in realtime mode.'
    assert client.ended == [CloseConnection(4000, "invalid_request_error.invalid_model")]


def test_other_servers_name_their_models_as_they_like() -> None:
    azure = GA.but(dialect="azure_ga")
    assert judge(azure, "/v1/realtime?model=whisper-1", {}, None) == Opening("whisper-1")
    assert judge(GA, "/v1/realtime?model=my-own", {}, None) == Opening("my-own")


def test_intent_opens_a_transcription_session() -> None:
    # P-469
    opening = judge(GA, "/v1/realtime?intent=transcription", {}, None)
    assert opening == Opening(transcribes=True)


@pytest.mark.parametrize("model", ["gpt-realtime", "gpt-4o-transcribe"])
def test_a_transcription_session_takes_no_model_in_its_address(model: str) -> None:
    # P-469
    opening = judge(GA, f"/v1/realtime?intent=transcription&model={model}", {}, None)
    assert isinstance(opening, Opening)
    assert opening.refusal is not None
    assert opening.refusal.code == "invalid_model"
    assert "must not provide a model" in opening.refusal.message


def test_a_beta_client_leaves_a_line_that_says_what_to_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # P-264
    opening = judge(GA, "/v1/realtime?model=m", {"OpenAI-Beta": "realtime=v1"}, None)
    assert isinstance(opening, Opening)
    assert opening.refusal is not None
    assert "no longer supported" in opening.refusal.message
    assert "--set dialect=beta" in caplog.text


@pytest.mark.parametrize("target", ["/", "/v1/chat", "/v1/realtimes", "/v1/realtime/calls"])
def test_other_paths_are_404(target: str) -> None:
    refusal = judge(GA, target, {}, None)
    assert isinstance(refusal, HttpRefusal)
    assert refusal.status == 404


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"Authorization": "Bearer good"}, ""),
        ({"authorization": "bearer good"}, ""),
        ({"api-key": "good"}, ""),
        ({"Sec-WebSocket-Protocol": "realtime, openai-insecure-api-key.good"}, ""),
        ({}, "&api-key=good"),
    ],
)
def test_ways_to_show_the_key(headers: dict[str, str], query: str) -> None:
    opening = judge(GA, f"/v1/realtime?model=m{query}", headers, "good")
    assert isinstance(opening, Opening)
    assert opening.refusal is None


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Basic good"}, {"Authorization": "Bearer "}]
)
def test_no_key_is_401(headers: dict[str, str]) -> None:
    refusal = judge(GA, "/v1/realtime?model=m", headers, "good")
    assert isinstance(refusal, HttpRefusal)
    assert (refusal.status, refusal.code) == (401, "missing_api_key")


def test_wrong_key() -> None:
    # P-262
    headers = {"Authorization": "Bearer bäd"}
    opening = judge(GA, "/v1/realtime?model=m", headers, "good")
    assert isinstance(opening, Opening)
    assert (opening.close_code, opening.close_reason) == (
        3000,
        "invalid_request_error.invalid_api_key",
    )
    strict = Behaviour(auth_failure=AuthFailure.ALWAYS_401)
    assert isinstance(judge(strict, "/v1/realtime?model=m", headers, "good"), HttpRefusal)


def test_realtime_subprotocol_is_answered() -> None:
    headers = {"Sec-WebSocket-Protocol": "openai-insecure-api-key.x, realtime"}
    opening = judge(GA, "/v1/realtime?model=m", headers, None)
    assert isinstance(opening, Opening)
    assert opening.subprotocol == "realtime"


@pytest.mark.parametrize(
    ("target", "headers", "code"),
    [
        (
            "/v1/realtime?model=m",
            {"OpenAI-Beta": "realtime=v1"},
            "beta_api_shape_disabled",
        ),  # P-264
        ("/v1/realtime?intent=song", {}, "invalid_intent"),  # P-266
    ],
)
def test_refusals_after_the_handshake(target: str, headers: dict[str, str], code: str) -> None:
    opening = judge(GA, target, headers, None)
    assert isinstance(opening, Opening)
    client = Emulated(opening=opening, keep_hello=True)
    assert client.one("error")["error"]["code"] == code
    assert client.ended == [CloseConnection(4000, f"invalid_request_error.{code}")]
    assert client.send("response.create") == []


def test_beta_header_is_fine_for_a_beta_server() -> None:
    beta = Behaviour().but(dialect="beta")
    assert judge(beta, "/v1/realtime?model=m", {"OpenAI-Beta": "realtime=v1"}, None) == Opening("m")
