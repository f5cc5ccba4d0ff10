"""One changed import: the names that the stock module has, and their arguments."""

import inspect
import subprocess
import sys
from typing import Any

import pytest

from antiphon.livekit import RealtimeModel
from livekit.plugins import antiphon
from tests.livekit.harness import plugin_module

__all__: list[str] = []


def parameters(of: Any) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(of).parameters)


def test_every_name_of_the_stock_module_the_same() -> None:
    stock = plugin_module("stock").realtime
    for name in stock.__all__:
        ours = getattr(antiphon.realtime, name)
        if name in ("RealtimeModel", "RealtimeSession"):
            assert ours.__module__.startswith("antiphon.livekit")
        else:
            assert ours is getattr(stock, name)
    assert set(stock.__all__) <= set(dir(antiphon.realtime))


def test_a_name_that_nobody_has() -> None:
    with pytest.raises(AttributeError, match="no attribute 'GPTDead'"):
        _ = antiphon.realtime.GPTDead  # type: ignore[attr-defined]


def test_without_the_stock_plugin_the_error_says_where_the_name_is() -> None:
    code = (
        "import sys; sys.modules['livekit.plugins.openai'] = None\n"
        "from livekit.plugins import antiphon\n"
        "antiphon.realtime.RealtimeModel\n"
        "antiphon.realtime.GPTLiveModel\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 1
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith("AttributeError: GPTLiveModel is livekit-plugins-openai's")
    assert "import it from livekit.plugins.openai.realtime" in last


@pytest.mark.parametrize("made_by", ["__init__", "with_azure", "update_options"])
def test_every_argument_of_the_stock_model_the_same(made_by: str) -> None:
    stock = parameters(getattr(plugin_module("stock").realtime.RealtimeModel, made_by))
    ours = parameters(getattr(RealtimeModel, made_by))
    named = {name for name, one in stock.items() if one.kind is not one.VAR_KEYWORD}
    assert named <= ours.keys()


def test_azure_takes_each_option_of_the_constructor_by_name() -> None:
    azure = parameters(RealtimeModel.with_azure)
    assert all(one.kind is not one.VAR_KEYWORD for one in azure.values())
    model = parameters(RealtimeModel.__init__)
    assert model.keys() - azure.keys() == {"self", "model"}
    shared = model.keys() & azure.keys() - {
        "azure_deployment",  # required there
        "base_url",  # an optional string there, as in the stock plugin
    }
    for name in shared:
        assert azure[name].default == model[name].default, name
        assert azure[name].annotation == model[name].annotation, name


def test_a_typo_of_an_option_is_found_at_once() -> None:
    with pytest.raises(TypeError, match="voise"):
        RealtimeModel.with_azure(azure_deployment="d", voise="marin")  # type: ignore[call-arg]


def test_azure_passes_each_option_on(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {
        "voice": "cedar",
        "modalities": ["text"],
        "tool_choice": "none",
        "input_audio_noise_reduction": "near_field",
        "speed": 1.2,
        "tracing": "auto",
        "truncation": "disabled",
        "reasoning": {"effort": "low"},
        "max_session_duration": 77.0,
        "max_in_flight": 3,
        "interrupt_out_of_band": "never",
    }
    model = RealtimeModel.with_azure(
        azure_deployment="d", azure_endpoint="https://h", api_key="k", **given
    )
    options = model.options
    got = {**options.settings, **{name: getattr(options, name, None) for name in given}}
    got |= {name: options.settings[name] for name in given if name in options.settings}
    assert got["input_audio_noise_reduction"] == {"type": "near_field"}
    for name in given.keys() - {"input_audio_noise_reduction"}:
        assert got[name] == given[name], name


@pytest.mark.parametrize("base", ["http://127.0.0.1:9/v1", "ws://localhost:9", "http://[::1]:9"])
def test_a_server_on_this_machine_needs_no_key(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    model = RealtimeModel(base_url=base)
    assert "Authorization" not in model.options.headers
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert RealtimeModel(base_url=base).options.headers["Authorization"] == "Bearer k"


@pytest.mark.parametrize("base", ["http://10.0.0.1:9/v1", "wss://localhost.example.org"])
def test_any_other_server_needs_one(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ValueError, match="^api_key: "):
        RealtimeModel(base_url=base)
