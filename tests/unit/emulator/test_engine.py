"""The engine as its shell sees it."""

import json

import pytest

from antiphon.emulator import Behaviour, Engine, Script, SendFrame, say
from antiphon.emulator.audio import speech
from antiphon.emulator.engine.received import KEEP_BYTES
from antiphon.models import DEFAULT_MODEL
from tests.helpers.emulated import Emulated, Json

__all__: list[str] = []

STORY = [say("A story.", ms=1000).always()]


def conversation(seed: int) -> Emulated:
    client = Emulated(script=Script(STORY), seed=seed)
    client.out_of_band()
    client.created_id()
    client.run(0.1)
    client.cancel()
    client.speak(speech.user_voice(400) + bytes(48 * 400))
    client.run(5)
    return client


def test_same_seed_same_bytes() -> None:
    first, again, other = conversation(1), conversation(1), conversation(2)
    assert first.frames == again.frames
    assert first.frames != other.frames
    assert first.kinds() == other.kinds()


def test_frames_received_are_kept_without_audio() -> None:
    client = Emulated()
    client.speak(bytes(4800))
    client.cancel("resp_x")
    client.send_raw(b"{junk")
    append, cancel, junk = client.engine.received
    assert isinstance(append, dict)
    assert append["audio"] == "<6400 characters of base64>"
    assert cancel == {"type": "response.cancel", "event_id": "c2", "response_id": "resp_x"}
    assert junk == b"{junk"
    assert client.engine.received_of("response.cancel") == [cancel]


def test_events_without_a_type_are_kept_and_refused() -> None:
    client = Emulated()
    for event in ({"event_id": "mine"}, {"type": None}, {"type": 5}):
        (reply,) = client.send_raw(event)
        assert reply["error"]["param"] == "type"
    assert client.engine.received_of("response.cancel") == []
    assert len(client.engine.received) == 3


def test_record_is_bounded() -> None:
    engine = Engine(keep_received=3)
    engine.connect(0)
    for n in range(10):
        engine.receive(json.dumps({"type": "response.cancel", "event_id": str(n)}), n)
    kept = [event["event_id"] for event in engine.received if isinstance(event, dict)]
    assert kept == ["7", "8", "9"]


def picture(size: int) -> Json:
    url = "data:image/png;base64," + "A" * size
    content = [{"type": "input_image", "image_url": url}]
    return {"id": "pic", "type": "message", "role": "user", "content": content}


def test_record_is_bounded_in_bytes_too() -> None:
    client = Emulated()
    for _ in range(100):
        client.send("conversation.item.create", item=picture(300_000))
        client.send("conversation.item.delete", item_id="pic")
    received = client.engine.received
    assert received.size_bytes <= KEEP_BYTES
    assert received.size_bytes == pytest.approx(50 * 300_000, rel=0.2)
    assert client.engine.received_of("conversation.item.delete")[-1]["event_id"] == "c200"


def test_a_record_of_nothing_keeps_nothing() -> None:
    engine = Engine(keep_received=0)
    engine.connect(0)
    engine.receive('{"type": "response.cancel"}', 0)
    assert len(engine.received) == engine.received.size_bytes == 0


def test_a_session_that_is_over_lets_its_sound_go() -> None:
    client = Emulated()
    client.configure(audio={"input": {"turn_detection": None}})
    client.speak(bytes(48 * 500))
    client.send("input_audio_buffer.commit")
    client.speak(bytes(48 * 500))
    (item,) = client.engine._core.conversation
    assert len(item.audio or b"") == 48 * 500
    client.engine.lost(client.now)
    assert not item.audio
    assert client.engine.item_ids == [item.id]
    assert len(client.engine._input._data) == 0


@pytest.mark.parametrize("depth", [300, 495, 700, 995, 5000])
def test_json_that_is_nested_too_deeply_is_refused_and_no_more(depth: int) -> None:
    deep = '{"a":' * depth + "1" + "}" * depth
    tool = '{"type":"function","name":"f","parameters":' + deep + "}"
    frame = '{"type":"session.update","session":{"type":"realtime","tools":[' + tool + "]}}"
    client = Emulated()
    (reply,) = client.send_raw(frame.encode())
    assert reply["error"]["code"] == "invalid_json"
    assert client.create()["type"] == "response.created"


@pytest.mark.parametrize("depth", [10, 200])
def test_json_schema_may_be_nested(depth: int) -> None:
    schema: Json = {}
    for _ in range(depth):
        schema = {"a": schema}
    client = Emulated()
    (tool,) = client.configure(tools=[{"type": "function", "name": "f", "parameters": schema}])[
        "tools"
    ]
    assert tool["parameters"] == schema


def test_binary_frames_are_no_events() -> None:
    engine = Engine()
    engine.connect(0)
    (effect,) = engine.receive(b'{"type":"response.create"}', 0, is_text=False)
    assert isinstance(effect, SendFrame)
    assert json.loads(effect.data)["type"] == "error"
    assert engine.active_responses == []


def test_text_may_be_given_as_str() -> None:
    engine = Engine()
    engine.connect(0)
    (effect,) = engine.receive('{"type":"input_audio_buffer.clear"}', 0)
    assert isinstance(effect, SendFrame)


@pytest.mark.parametrize("event_id", [5, None, "x" * 513, ["a"]])
def test_odd_event_ids_are_not_echoed(event_id: object) -> None:
    (reply,) = Emulated().send_raw({"type": "response.cancel", "event_id": event_id})
    assert reply["error"]["event_id"] is None


def test_lateness_does_not_add_up() -> None:
    engine = Engine(script=Script([say("A story.", ms=1000)]))
    engine.connect(0)
    engine.receive('{"type":"response.create"}', 0)
    # The shell wakes up once, long after everything was due.
    kinds = [json.loads(e.data)["type"] for e in engine.advance(100) if isinstance(e, SendFrame)]
    assert kinds[-2:] == ["response.done", "rate_limits.updated"]
    assert kinds.count("response.output_audio.delta") == 10


def test_what_is_due_happens_before_what_is_received() -> None:
    # a cancel that crosses the natural end
    engine = Engine(script=Script([say("Hi.", ms=200)]))
    engine.connect(0)
    engine.receive('{"type":"response.create"}', 0)
    effects = engine.receive('{"type":"response.cancel"}', 50)
    kinds = [json.loads(e.data)["type"] for e in effects if isinstance(e, SendFrame)]
    assert kinds[-3:] == ["response.done", "rate_limits.updated", "error"]


def test_nothing_happens_after_the_connection_is_lost() -> None:
    client = Emulated(script=Script(STORY))
    client.created_id()
    client.engine.lost(0.1)
    assert client.engine.next_deadline() is None
    assert client.run(10) == []
    assert client.send("response.create") == []


def test_time_never_goes_backwards() -> None:
    engine = Engine(Behaviour(session_max_s=60))
    engine.connect(100)
    engine.advance(150)
    engine.receive('{"type":"response.create"}', 120)  # an old time counts as now
    assert engine.next_deadline() is not None
    assert engine.advance(159.9)
    assert not engine.closed
    engine.advance(160)
    assert engine.closed


def test_many_responses_cost_no_more_each() -> None:
    client = Emulated(script=Script(STORY))
    ids = [client.out_of_band() for _ in range(300)]
    for one in ids[::2]:
        client.cancel(one)
    client.run(5)
    statuses = client.engine.finished_responses
    assert [statuses[one] for one in ids] == ["cancelled", "completed"] * 150


def test_finished_responses_are_forgotten_in_time() -> None:
    client = Emulated(script=Script([say("Hi.", ms=20).always()]))
    for _ in range(600):
        client.send("response.create")
        client.run(0.1)
    assert len(client.engine.finished_responses) == 512


def hello(engine: Engine) -> Json:
    (effect,) = engine.connect(0)
    assert isinstance(effect, SendFrame)
    session: Json = json.loads(effect.data)["session"]
    return session


def test_model_of_the_url_is_named() -> None:
    assert hello(Engine(model="gpt-other"))["model"] == "gpt-other"
    assert hello(Engine())["model"] == DEFAULT_MODEL
