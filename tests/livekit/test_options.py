"""Options: what goes to the server, what follows them, and what is refused at once."""

from typing import Any

import pytest
from livekit.agents import llm
from openai.types import realtime
from openai.types.beta.realtime import session as beta

from antiphon.livekit import RealtimeModel
from antiphon.livekit.options import address
from antiphon.models import DEFAULT_MODEL, DEFAULT_TRANSCRIPTION_MODEL
from tests.livekit.harness import BOTH, PLUGINS, both, emulated, open_session, plugin_module

__all__: list[str] = []

VAD = realtime.realtime_audio_input_turn_detection.ServerVad(
    type="server_vad", threshold=0.4, silence_duration_ms=300
)
OPTIONS: list[dict[str, Any]] = [
    {},
    {"voice": "cedar", "speed": 1.25, "tool_choice": "required"},
    {"modalities": ["text"], "input_audio_transcription": None},
    {"turn_detection": None, "input_audio_noise_reduction": "near_field"},
    {"turn_detection": VAD, "tracing": "auto", "truncation": "disabled"},
    {"turn_detection": beta.TurnDetection(type="server_vad", threshold=0.3, eagerness=None)},
    {"turn_detection": beta.TurnDetection(type="semantic_vad", eagerness="high")},
    {"input_audio_transcription": realtime.AudioTranscription(model="whisper-1", language="no")},
    {"input_audio_transcription": beta.InputAudioTranscription(model="whisper-1")},
    {"reasoning": realtime.RealtimeReasoning(effort="low"), "model": "gpt-realtime-2"},
    {"tool_choice": {"type": "function", "function": {"name": "lookup"}}},
    {"temperature": 0.8},
]


def of_today(told: Any) -> Any:
    """What was told, with the stock plugin's default models replaced by those that outlive them.

    The one difference on purpose: OpenAI switches the stock defaults off (P-479).
    """
    successors = {
        "gpt-realtime": DEFAULT_MODEL,
        "gpt-4o-mini-transcribe": DEFAULT_TRANSCRIPTION_MODEL,
    }
    if isinstance(told, dict):
        return {
            key: successors.get(value, value) if key == "model" else of_today(value)
            for key, value in told.items()
        }
    return told


@pytest.mark.parametrize("options", OPTIONS, ids=lambda one: "+".join(one) or "defaults")
async def test_configuration_is_the_same(options: dict[str, Any]) -> None:
    found = []
    for plugin in PLUGINS:
        async with emulated() as server, open_session(plugin, server, **options) as it:
            (sent,) = await it.received("session.update")
            capabilities = vars(it.session.capabilities)
            named = {"model": it.model.model, "session": sent["session"]}
            found.append((of_today(named), capabilities))
    assert found[0] == found[1]


UPDATES: list[dict[str, Any]] = [
    {"voice": "cedar"},
    {"turn_detection": None},
    {"turn_detection": VAD, "speed": 0.9},
    {"tool_choice": "none"},
    {"tool_choice": None},
    {"input_audio_transcription": None},
    {"input_audio_noise_reduction": "far_field"},
    {"max_response_output_tokens": 100, "tracing": "auto"},
    {"truncation": "disabled"},
    {"voice": "marin"},
]


@pytest.mark.parametrize("options", UPDATES, ids=str)
@pytest.mark.parametrize("of", ["model", "session"])
async def test_updates_are_the_same(options: dict[str, Any], of: str) -> None:
    if of == "session":
        noise = options.get("input_audio_noise_reduction")
        options = {**options, **({"input_audio_noise_reduction": noise} if noise else {})}
    found = []
    for plugin in PLUGINS:
        async with emulated() as server, open_session(plugin, server) as it:
            getattr(it, of).update_options(**options)
            await it.settled()
            sent = [one["session"] for one in it.engine.received_of("session.update")[1:]]
            for one in sent:
                one.setdefault("type", "realtime")
            model, session = vars(it.model.capabilities), vars(it.session.capabilities)
            found.append((sent, model, session))
    assert found[0] == found[1]


@BOTH
async def test_sessions_made_later_have_the_new_options(plugin: str) -> None:
    async with emulated() as server, open_session(plugin, server) as it:
        it.model.update_options(voice="cedar")
        later = it.model.session()
        try:
            await it.settled()
            while len(server.sessions) < 2 or not server.sessions[1].received:
                await it.settled()
            (sent,) = server.sessions[1].received_of("session.update")
            assert sent["session"]["audio"]["output"]["voice"] == "cedar"
        finally:
            await later.aclose()


@BOTH
async def test_turn_detection_can_be_off_for_one_session(plugin: str) -> None:
    async with (
        emulated() as server,
        open_session(plugin, server, turn_detection_disabled=True) as it,
    ):
        (sent,) = await it.received("session.update")
        assert sent["session"]["audio"]["input"]["turn_detection"] is None
        assert not it.session.capabilities.turn_detection
        assert it.model.capabilities.turn_detection
        it.model.update_options(speed=1.1)
        await it.settled()
        assert len(it.engine.received_of("session.update")) == 2
        assert not it.session.capabilities.turn_detection


@BOTH
async def test_tools(plugin: str) -> None:
    @llm.function_tool
    async def lookup(city: str, days: int = 3) -> str:
        """Look a city up."""
        return city

    raw = {
        "name": "raw_one",
        "description": "Raw.",
        "parameters": {"type": "object", "properties": {}},
        "meta": {"x": 1},
    }

    @llm.function_tool(raw_schema=raw)
    async def raw_one(raw_arguments: dict[str, object]) -> str:
        return ""

    async with emulated() as server, open_session(plugin, server) as it:
        await it.session.update_tools([lookup, raw_one])
        await it.settled()
        sent = it.engine.received_of("session.update")[-1]["session"]["tools"]
        assert [tool["name"] for tool in sent] == ["lookup", "raw_one"]
        assert sent[0]["parameters"]["properties"]["days"]["default"] == 3
        assert "meta" not in sent[1]
        assert set(it.session.tools.function_tools) == {"lookup", "raw_one"}
        assert it.all("error") == []


@both("Refused tools are told")
async def test_refused_tools_are_told_to_whoever_sent_them(plugin: str) -> None:
    @llm.function_tool(description="x" * 2000)  # P-217: too long
    async def lookup() -> None: ...

    async with emulated() as server, open_session(plugin, server) as it:
        with pytest.raises(llm.RealtimeError) as refused:
            await it.session.update_tools([lookup])
        assert refused.value.code == "string_above_max_length"
        assert it.session.tools.function_tools == {}


@both("Refused options are undone")
async def test_refused_options_are_undone(plugin: str) -> None:
    async with emulated() as server, open_session(plugin, server) as it:
        await it.reply()
        it.session.update_options(voice="cedar")  # P-255: too late
        error = await it.told("error")
        assert error.recoverable
        it.session.update_options(voice="marin")
        await it.settled()
        # It is "marin" here and there, so that nothing is to be sent.
        assert len(it.engine.received_of("session.update")) == 2


@BOTH
async def test_raw_hooks(plugin: str) -> None:
    async with emulated() as server, open_session(plugin, server) as it:
        seen: list[str] = []
        names = {
            "openai_server_event_received": "<",
            "openai_client_event_queued": ">",
        }

        def listen(name: str) -> Any:
            def record(event: dict[str, Any]) -> None:
                seen.append(f"{names[name]} {event['type']}")

            it.session.on(name, record)
            return record

        recorders = {name: listen(name) for name in names}
        it.session.on("generation_created", lambda _: seen.append("generation_created"))
        await it.reply()
        await it.told("metrics_collected")
        relevant = [one for one in seen if "session" not in one and "rate_limits" not in one]
        assert relevant[:5] == [
            "> response.create",
            "< response.created",
            "generation_created",
            "< response.output_item.added",
            "< conversation.item.added",
        ]
        assert "< response.output_audio.delta" in relevant
        for name, recorder in recorders.items():
            it.session.off(name, recorder)
        seen.clear()
        await it.reply()
        assert seen == ["generation_created"]


@BOTH
async def test_raw_audio_is_told_whole(plugin: str) -> None:
    async with emulated() as server, open_session(plugin, server) as it:
        deltas: list[dict[str, Any]] = []

        def record(event: dict[str, Any]) -> None:
            if event["type"] == "response.output_audio.delta":
                deltas.append(event)

        it.session.on("openai_server_event_received", record)
        reply = await it.reply()
        import base64

        pcm = b"".join(base64.b64decode(one["delta"]) for one in deltas)
        assert pcm == reply.messages[0].pcm
        assert {one["response_id"] for one in deltas} == {reply.id}


# --- refused at construction --------------------------------------------------------------------

WRONG: list[tuple[str, Any]] = [
    ("model", ""),
    ("voice", ""),
    ("voice", 7),
    ("modalities", []),
    ("modalities", ["video"]),
    ("speed", 9),
    ("speed", "fast"),
    ("turn_detection", "server_vad"),
    ("turn_detection", {"threshold": 0.5}),
    ("turn_detection", {"type": "server_vad", "threshold": 2}),
    ("turn_detection", {"type": "semantic_vad", "eagerness": "very"}),
    ("turn_detection", {"type": "server_vad", "create_response": "no"}),
    ("input_audio_transcription", "whisper-1"),
    ("input_audio_noise_reduction", "loud"),
    ("tool_choice", "sometimes"),
    ("tracing", "yes"),
    ("truncation", "none"),
    ("reasoning", "high"),
    ("max_session_duration", -1),
    ("conn_options", 3),
    ("max_in_flight", 0),
    ("base_url", "ftp://example.org"),
]


@pytest.mark.parametrize(("name", "value"), WRONG, ids=lambda one: str(one)[:30])
def test_wrong_value_is_refused_with_its_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name}: "):
        RealtimeModel(api_key="x", **{name: value})


@pytest.mark.parametrize("value", [0, 5000, "many"])
async def test_wrong_update_is_refused_and_changes_nothing(value: Any) -> None:
    async with emulated() as server, open_session("antiphon", server) as it:
        for changing in (it.model, it.session):
            with pytest.raises(ValueError, match="^max_response_output_tokens: "):
                changing.update_options(voice="cedar", max_response_output_tokens=value)
        await it.settled()
        assert len(it.engine.received_of("session.update")) == 1


@BOTH
def test_no_key(plugin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ValueError, match="api_key"):
        plugin_module(plugin).realtime.RealtimeModel()


@BOTH
def test_key_and_address_come_from_the_environment(
    plugin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://example.org/v1")
    model = plugin_module(plugin).realtime.RealtimeModel()
    assert model.provider == "example.org"
    assert of_today({"model": model.model}) == {"model": DEFAULT_MODEL}
    assert model.label.endswith("RealtimeModel")


# --- addresses ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "options", "expected"),
    [
        ("https://api.openai.com/v1", {}, "wss://api.openai.com/v1/realtime?model=m"),
        ("http://h:1", {}, "ws://h:1/realtime?model=m"),
        ("ws://h/my/own/path", {}, "ws://h/my/own/path?model=m"),
        ("wss://h/v1/realtime?model=other", {}, "wss://h/v1/realtime?model=other"),
        ("https://h/openai", {"azure": True}, "wss://h/openai/v1/realtime?model=m"),
        ("https://h/openai/v1", {"azure": True}, "wss://h/openai/v1/realtime?model=m"),
        (
            "https://h/openai",
            {"azure": True, "api_version": "2024-10-01-preview"},
            "wss://h/openai/realtime?api-version=2024-10-01-preview&deployment=m",
        ),
    ],
)
def test_address(base: str, options: dict[str, Any], expected: str) -> None:
    given: dict[str, Any] = {"azure": False, "api_version": None, **options}
    assert address(base, model="m", **given) == expected


async def test_the_stock_plugin_dials_the_same_address() -> None:
    for base, azure, version in [
        ("https://api.openai.com/v1", False, None),
        ("ws://h/my/own/path", False, None),
        ("https://h/openai", True, None),
        ("https://h/openai", True, "2024-10-01-preview"),
        ("https://h/openai/v1", True, None),
    ]:
        from livekit.plugins.openai.realtime.realtime_model import process_base_url

        theirs = process_base_url(
            base, "m", is_azure=azure, azure_deployment="m", api_version=version
        )
        assert address(base, model="m", azure=azure, api_version=version) == theirs


# --- Azure --------------------------------------------------------------------------------------


@both("The model on Azure")
@pytest.mark.parametrize("version", [None, "2024-10-01-preview"])
async def test_azure(plugin: str, version: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_VERSION", raising=False)
    dialect = "beta" if version else "azure_ga"
    async with emulated(dialect=dialect) as server:
        endpoint = server.http_url.removesuffix("/v1")
        make = plugin_module(plugin).realtime.RealtimeModel.with_azure
        options: dict[str, Any] = {
            "azure_deployment": "mine",
            "azure_endpoint": endpoint,
            "base_url": None,
            "api_key": "k",
            **({"api_version": version} if version else {}),
        }

        def azure(**given: Any) -> Any:
            given.pop("conn_options")
            return make(**given)

        async with open_session(plugin, server, make=azure, **options) as it:
            await it.session.update_chat_ctx(_said("Hi."))
            reply = await it.reply()
            assert reply.text == "Yes."
            assert reply.messages[0].pcm
            # livekit-agents 1.5 does not have it yet.
            assert getattr(it.session.capabilities, "can_disable_turn_detection", True)
            await it.told("metrics_collected")
            assert it.chat() == [("user", "Hi."), ("assistant", "Yes.")]
            assert it.all("error") == []


def test_azure_needs_credentials_and_one_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="^api_key: "):
        RealtimeModel.with_azure(azure_deployment="d", azure_endpoint="https://h")
    with pytest.raises(ValueError, match="^azure_endpoint: "):
        RealtimeModel.with_azure(azure_deployment="d", api_key="k")
    with pytest.raises(ValueError, match="^base_url: "):
        RealtimeModel.with_azure(
            azure_deployment="d", api_key="k", base_url="https://h", azure_endpoint="https://h"
        )


def test_azure_sends_a_token_or_a_key() -> None:
    by_token = RealtimeModel.with_azure(
        azure_deployment="d", entra_token="t", azure_endpoint="https://h"
    )
    assert by_token.options.headers["Authorization"] == "Bearer t"
    assert "api-key" not in by_token.options.headers


def test_half_handed_over_turns_are_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    RealtimeModel(api_key="x", turn_detection={"type": "server_vad", "create_response": False})
    assert "interrupt_response" in caplog.text


def _said(words: str) -> llm.ChatContext:
    ctx = llm.ChatContext.empty()
    ctx.add_message(role="user", content=words)
    return ctx
