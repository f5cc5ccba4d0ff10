"""A random caller against a server that keeps to no protocol: I1 to I9 hold, and nothing raises.

`Watched` checks the invariants after every step and, at the end of each run, that nothing is left
waiting once every deadline has passed.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from antiphon.exceptions import ResponseRejected
from antiphon.protocol.delivered import TruncatePoint
from antiphon.protocol.interruption import Scope
from antiphon.protocol.lifecycle import Tolerance
from antiphon.protocol.options import Options
from antiphon.protocol.response import Lane, OnBusy, Response
from antiphon.wire import server_events as said
from antiphon.wire.base import UnknownEvent
from antiphon.wire.client_events import ClientEvent
from antiphon.wire.items import ContentPart, ErrorInfo, Item
from tests.helpers import builders
from tests.helpers.watch import PREFIX, Watched

__all__: list[str] = []

IDS = st.sampled_from(["resp_1", "resp_2", "resp_3", "resp_4", "resp_5", None])
ITEM_IDS = st.sampled_from(["item_1", "item_2", "item_3", "root", "", None])
LANES = st.sampled_from(["default", "out_of_band", None])
STATUSES = st.sampled_from(["completed", "cancelled", "incomplete", "failed", "", "odd"])
DETAILS = st.sampled_from(["client_cancelled", "turn_detected", None])
CODES = st.sampled_from(
    [
        builders.ACTIVE,
        builders.NOT_ACTIVE,
        "input_audio_buffer_commit_empty",
        "item_delete_invalid_item_id",
        "insufficient_quota",
        "invalid_value",
        None,
    ]
)
PARAMS = st.sampled_from(["session.voice", "response.tools", "item.id", "type", "audio", None])
ITEMS = st.one_of(
    st.builds(
        builders.call,
        st.sampled_from(["1", "2", "3"]),
        status=st.sampled_from(["completed", "incomplete", "in_progress", None]),
    ),
    st.builds(builders.message, st.sampled_from(["item_1", "item_2", "root"])),
    st.just(Item(type="message")),
)
# Whatever a response produces, by response id.
OUTPUT = st.one_of(
    st.builds(builders.text_delta, IDS),
    st.builds(builders.audio_delta, IDS, st.just(10)),
    st.builds(builders.item_added, IDS, ITEMS),
    st.builds(builders.item_done, IDS, ITEMS),
    st.builds(said.ResponseContentPartDone, response_id=IDS),
    st.builds(said.ResponseOutputTextDone, response_id=IDS),
)
# What concerns the conversation, the input or nobody; ids missing, unknown and odd.
ELSE = st.one_of(
    st.builds(said.ConversationItemAdded, item=ITEMS, previous_item_id=ITEM_IDS),
    st.builds(said.ConversationItemCreated, item=ITEMS, previous_item_id=ITEM_IDS),
    st.builds(said.ConversationItemDone, item=ITEMS, previous_item_id=ITEM_IDS),
    st.builds(said.ConversationItemRetrieved, item=ITEMS),
    st.builds(said.ConversationItemDeleted, item_id=ITEM_IDS),
    st.builds(said.ConversationItemTruncated, item_id=ITEM_IDS, content_index=st.integers(-2, 3)),
    st.builds(
        said.ConversationItemInputAudioTranscriptionCompleted,
        item_id=ITEM_IDS,
        content_index=st.integers(-2, 3),
        transcript=st.sampled_from(["words", "", None]),
    ),
    st.builds(said.ConversationItemInputAudioTranscriptionDelta, item_id=ITEM_IDS),
    st.builds(
        said.ConversationItemInputAudioTranscriptionFailed,
        item_id=ITEM_IDS,
        error=st.just(ErrorInfo()),
    ),
    st.builds(said.InputAudioBufferCommitted, item_id=ITEM_IDS),
    st.builds(said.InputAudioBufferCleared),
    st.builds(said.InputAudioBufferSpeechStarted, item_id=ITEM_IDS),
    st.builds(said.InputAudioBufferSpeechStopped, item_id=ITEM_IDS),
    st.builds(said.InputAudioBufferTimeoutTriggered, item_id=ITEM_IDS),
    st.builds(
        said.SessionUpdated,
        session=st.sampled_from(
            [
                {},
                {"audio": None},
                {"audio": {"input": {"format": "pcm16"}}},
                {"audio": {"output": {"format": {"type": "audio/pcmu"}}}},
            ]
        ),
    ),
    st.builds(said.RateLimitsUpdated),
    st.just(UnknownEvent("response.sneezed", {"type": "response.sneezed"})),
    st.builds(builders.malformed, st.sampled_from(["response.done", None]), IDS),
)
ASKS = st.sampled_from(
    [
        ("update_session", {"instructions": "Be brief."}),
        ("create_item", Item(type="message", content=[ContentPart(type="input_text", text="x")])),
        ("create_item", builders.message("item_1", role="user")),
        ("retrieve_item", "item_1"),
        ("delete_item", "item_2"),
        ("truncate_item", TruncatePoint("item_3", 0, 10)),
        ("commit_audio",),
        ("clear_audio",),
    ]
)


class HostileServer(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.watched = Watched()
        self.named = 0
        self.spoken: list[str] = []

    @initialize(
        tolerances=st.frozensets(st.sampled_from(Tolerance)),
        max_in_flight=st.sampled_from([None, None, 1, 2]),
        echoes_metadata=st.booleans(),
        announces=st.booleans(),
        kept_events=st.sampled_from([0, 3, 256]),
    )
    def connect(
        self,
        tolerances: frozenset[Tolerance],
        max_in_flight: int | None,
        echoes_metadata: bool,
        announces: bool,
        kept_events: int,
    ) -> None:
        self.watched = Watched(
            Options(
                tolerances=tolerances,
                max_in_flight=max_in_flight,
                echoes_metadata=echoes_metadata,
                announces=announces,
                kept_events=kept_events,
            )
        )

    @property
    def lost(self) -> bool:
        return self.watched.connection.lost

    # --- the caller -----------------------------------------------------------------------------

    @precondition(lambda self: not self.lost)
    @rule(
        lane=st.sampled_from(Lane),
        on_busy=st.sampled_from(OnBusy),
        interruptible=st.booleans(),
        timeout=st.sampled_from([None, None, 0.0, 3.0]),
    )
    def create(
        self, lane: Lane, on_busy: OnBusy, interruptible: bool, timeout: float | None
    ) -> None:
        try:
            self.watched.create(
                lane=lane, on_busy=on_busy, interruptible=interruptible, timeout=timeout
            )
        except ResponseRejected:
            assert on_busy is OnBusy.REJECT

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        responses = [response for response, life in self.watched.lives.items()]
        if responses:
            self.watched.cancel(data.draw(st.lists(st.sampled_from(responses), max_size=3)))

    @rule(scope=st.sampled_from(["all", "default", "out_of_band"]))
    def interrupt(self, scope: Scope) -> None:
        self.watched.interrupt(scope)

    @precondition(lambda self: not self.lost)
    @rule(asked=ASKS)
    def ask(self, asked: tuple[object, ...]) -> None:
        verb, *args = asked
        self.watched.ask(str(verb), *args)

    # --- a decent server ------------------------------------------------------------------------

    def awaited(self) -> list[Response]:
        """Creates that were sent and have no answer."""
        pending = self.watched.connection._requests.all()
        return [one.response for one in pending if one.response and not one.response.named]

    @rule()
    def speak_first(self) -> None:
        """Output before the name that it belongs to."""
        self.named += 1
        self.spoken.append(f"resp_decent_{self.named}")
        self.watched.receive(builders.text_delta(self.spoken[-1]))

    @precondition(lambda self: self.awaited())
    @rule(tells_lane=st.booleans())
    def name_the_oldest(self, tells_lane: bool) -> None:
        response = self.awaited()[0]
        self.named += 1
        response_id = self.spoken.pop() if self.spoken else f"resp_decent_{self.named}"
        self.watched.receive(
            builders.created(
                response_id,
                lane=str(response.lane) if tells_lane else None,
                metadata={"antiphon": str(response.key)},
            )
        )

    @precondition(lambda self: any(life.reads for life in self.watched.lives.values()))
    @rule(data=st.data(), over=st.booleans())
    def go_on(self, data: st.DataObject, over: bool) -> None:
        reading = [one for one, life in self.watched.lives.items() if life.reads and one.id]
        if reading:
            response = data.draw(st.sampled_from(reading))
            if over:
                self.watched.receive(builders.done(response.id))
            else:
                self.watched.receive(builders.text_delta(response.id))

    # --- any other ------------------------------------------------------------------------------

    def metadata(self, data: st.DataObject) -> dict[str, object] | None:
        keys = [str(one.key) for one in self.watched.mine]
        values: list[object] = [*keys, None, f"{PREFIX}-r99", f"{PREFIX}-r", "another-r1", 7]
        value = data.draw(st.sampled_from(values))
        return None if value is None else {"antiphon": value, "topic": "x"}

    @rule(data=st.data(), response_id=IDS, lane=LANES)
    def created(self, data: st.DataObject, response_id: str | None, lane: str | None) -> None:
        self.watched.receive(builders.created(response_id, lane=lane, metadata=self.metadata(data)))

    @rule(
        data=st.data(),
        response_id=IDS,
        lane=LANES,
        status=STATUSES,
        details=DETAILS,
        output=st.lists(ITEMS, max_size=2),
    )
    def done(
        self,
        data: st.DataObject,
        response_id: str | None,
        lane: str | None,
        status: str,
        details: str | None,
        output: list[Item],
    ) -> None:
        self.watched.receive(
            builders.done(
                response_id,
                status,
                details,
                lane=lane,
                metadata=self.metadata(data),
                output=output,
            )
        )

    @rule(event=OUTPUT)
    def output(self, event: said.ServerEvent) -> None:
        self.watched.receive(event)

    @rule(event=ELSE)
    def anything_else(self, event: said.ServerEvent) -> None:
        self.watched.receive(event)

    @rule(
        data=st.data(),
        code=CODES,
        param=PARAMS,
        type=st.sampled_from(["invalid_request_error", "server_error", builders.ACTIVE, None]),
        message=st.sampled_from(["Conversation already has an active response: resp_1", "no"]),
    )
    def error(
        self, data: st.DataObject, code: str | None, param: str | None, type: str, message: str
    ) -> None:
        sent: list[ClientEvent] = self.watched.sent
        ids = [event.event_id or None for event in sent[-5:]]
        echo = data.draw(st.sampled_from([*ids, None, "unknown"]))
        self.watched.receive(
            builders.error(code, event_id=echo, type=type, param=param, message=message)
        )

    # --- time and loss --------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, 5.0, 10.0, 70.0]))
    def wait(self, seconds: float) -> None:
        self.watched.wait(seconds)

    @precondition(lambda self: len(self.watched.log) > 20)
    @rule()
    def lose(self) -> None:
        self.watched.lose()

    def teardown(self) -> None:
        self.watched.finish()
        items = [item.id for item in self.watched.connection.conversation]
        assert len(items) == len(set(items)) == len(self.watched.connection.conversation)


TestHostileServer = HostileServer.TestCase
TestHostileServer.settings = settings(max_examples=60, stateful_step_count=40)
