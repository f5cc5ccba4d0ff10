"""From one connection to the next: what is known, what is owed, what was said.

A new socket is a new conversation (P-278). The next connection *follows* the lost one as soon as
that is lost: it shows what was known, and takes what was asked and not answered. Once it has a
socket of its own it *resumes*: the server is told the configuration and the items. Then it *goes
online*, and whatever was asked meanwhile is sent, in its order.
"""

from collections.abc import Iterable

from antiphon.protocol.configuration import Configuration
from antiphon.protocol.delivered import Delivered
from antiphon.protocol.effects import Answered, Effects, Report, ReportKind, Send
from antiphon.protocol.held import Held
from antiphon.protocol.input_audio import InputAudio
from antiphon.protocol.interruption import Interruption, PlaybackMode, Scope, meant
from antiphon.protocol.items import Items
from antiphon.protocol.playout import PlaybackKind, PlayoutState
from antiphon.protocol.playouts import Playouts
from antiphon.protocol.requests import Request, RequestKind, Requests
from antiphon.protocol.response import OutcomeKind, Response
from antiphon.protocol.responses import Responses
from antiphon.protocol.snapshot import Snapshot, replayable
from antiphon.wire.base import UnknownEvent
from antiphon.wire.client_events import (
    ClientEvent,
    ConversationItemCreate,
    InputAudioBufferAppend,
    InputAudioBufferCommit,
)

__all__ = ["Handover"]

_LOST = PlaybackKind.LOST
# What an interruption does about sound, from the least to the most.
_STRENGTH: tuple[PlaybackMode, ...] = ("never", "exact", "always")


class Handover:
    """One connection's part in it.

    Args:
        requests, configuration, items, input_audio, playouts, delivered, responses: the
            connection's.
        kept_audio: how much of the caller's latest audio is held without a socket, in seconds.
        kept_audio_bytes: the same in bytes, where that is to count instead.
        lives_on: whether the server-side session goes on without its socket, as that of a call
            does (P-387): then nothing is told again, or it would be there twice.

    Attributes:
        on_air: what was heard, or being generated, when the line to a call was lost; empty when it
            is back.
    """

    __slots__ = (
        "_configuration",
        "_done",
        "_input_audio",
        "_items",
        "_kept_audio",
        "_kept_audio_bytes",
        "_lives_on",
        "_delivered",
        "_playouts",
        "_requests",
        "_responses",
        "_unwanted",
        "on_air",
    )

    def __init__(
        self,
        requests: Requests,
        configuration: Configuration,
        items: Items,
        input_audio: InputAudio,
        playouts: Playouts,
        delivered: Delivered,
        responses: Responses,
        *,
        kept_audio: float,
        kept_audio_bytes: int | None,
        lives_on: bool = False,
    ) -> None:
        self._lives_on = lives_on
        self._requests = requests
        self._configuration = configuration
        self._items = items
        self._input_audio = input_audio
        self._playouts = playouts
        self._delivered = delivered
        self._responses = responses
        # What the loss itself has answered, to be told once there is a connection to tell it on.
        self._done: list[Request] = []
        self.on_air: list[Response] = []
        # Those of them that were asked to stop since, and what that means for their sound.
        self._unwanted: dict[Response, PlaybackMode] = {}
        self._kept_audio = kept_audio
        self._kept_audio_bytes = kept_audio_bytes

    def hold_audio(self, audio: bytes) -> int:
        """Keep it for the socket to come: how many bytes grew stale and were dropped."""
        limit = self._kept_audio_bytes
        if limit is None:
            limit = int(self._kept_audio * 1000) * self._input_audio.bytes_per_ms
        return self._requests.held.add_audio(audio, limit)

    def follow(self, lost: "Handover") -> None:
        """Take over from one that is about to be lost, before anything is asked of this one.

        What was known stays known. What was asked of the other and not answered yet is as if it
        had been asked of this one now; what the server had heard and not taken is to be said again.
        """
        self._configuration.follow(lost._configuration)
        self._items.follow(lost._items)
        self._playouts.take_over(lost._playouts)
        self._delivered.take_over(lost._delivered)
        if self._lives_on:
            # Whether the server read what was not answered, nobody knows: it is refused.
            in_flight = (*lost._responses.unsettled, *lost._playouts.on_air)
            self.on_air = [response for response in dict.fromkeys(in_flight) if response.id]
            return
        for audio in lost._input_audio.latest:
            self.hold_audio(audio)
        for request in lost._requests.all():
            if request.kind is RequestKind.ITEM_TRUNCATE:
                # Nothing that can still be cut; the words that were not heard must go all the same.
                lost._requests.close(request)
                self._items.cut_unanswered(request)
                self._done.append(request)
            elif request.event is not None:
                lost._requests.close(request)
                self._requests.add(request)
                self._requests.held.add(request.event)

    def interrupt(self, scope: Scope, playback: PlaybackMode) -> None:
        """What was on the air when the line was lost, and is meant, is stopped when it is back."""
        self.stop(meant(scope, [heard for heard in self.on_air if heard.interruptible]), playback)

    def stop(self, responses: Iterable[Response], playback: PlaybackMode) -> None:
        """As `interrupt`, for exactly these. Harmless for what was not on the air."""
        for response in responses:
            if response in self.on_air:
                # What was asked first stays asked: nothing takes a silence back.
                asked = self._unwanted.get(response, playback)
                self._unwanted[response] = max(asked, playback, key=_STRENGTH.index)

    def snapshot(self) -> Snapshot:
        """What a new connection needs to go on from here."""
        items, left_out = replayable(self._items.conversation)
        return Snapshot(session=self._configuration.accepted, items=items, left_out=left_out)

    def resume(self, snapshot: Snapshot, now: float, effects: Effects) -> None:
        """Tell the server what an earlier one knew, before whatever was asked meanwhile."""
        done, self._done = self._done, []
        effects.extend(Answered(request, None) for request in done)
        if self._lives_on:
            return
        requests = self._requests
        later, behind = requests.all(), requests.held
        requests.held = Held()
        self._configuration.replay(snapshot.session, now, effects)
        self._items.replay(snapshot.items, now, effects)
        if snapshot.left_out:
            detail = f"{snapshot.left_out} items were not replayed: no words, or no output yet"
            effects.append(Report(ReportKind.UNSENT, detail))
        behind.put_first(requests.held)
        requests.held = behind
        for request in later:
            requests.remove(request)
            requests.add(request)  # the order in which they will be sent

    def go_online(self, now: float, effects: Effects) -> None:
        """Send what waited for a socket, in the order in which it was asked."""
        requests = self._requests
        requests.online = True
        for request in requests.all():
            if request.response is None:
                requests.expect(request, now)
        held, requests.held = requests.held, Held()
        for asked in held:
            if isinstance(asked, Response):
                self._responses.go_online(asked, now, effects)
            else:
                self._send(asked, now, effects)
        self._responses.go_online(None, now, effects)
        self._rejoin(now, effects)

    def _rejoin(self, now: float, effects: Effects) -> None:
        """What was on the air on a call may be so still, or may have ended unseen (R-36).

        It can be interrupted again, under a new handle, since the old one was told that it is lost.
        What had been asked to stop, or to be silent, is asked again: the cancel or the clear may
        have been lost with the line.
        """
        on_air, self.on_air = self.on_air, []
        unwanted, self._unwanted = self._unwanted, {}
        stopping: dict[PlaybackMode, list[Response]] = {}
        for old in on_air:
            new = self._responses.met(old.id, now, effects, unseen=True)
            if new is None or not new.unseen:
                continue
            new.lane, new.purpose, new.interruptible = old.lane, old.purpose, old.interruptible
            new.item_ids = list(old.item_ids)
            playout = old.playout
            sounds = playout is not None and playout.sound and playout.kind is _LOST
            if sounds or (old.outcome is not None and old.outcome.kind is OutcomeKind.LOST):
                begun = sounds and playout is not None and playout.begun
                self._playouts.rejoin(new, now, effects, begun=begun)
            refused = playout is not None and playout.state is PlayoutState.REFUSED
            if old.cancel_event_id is not None or refused or old in unwanted:
                stopping.setdefault(unwanted.get(old, "exact"), []).append(new)
        for playback, responses in stopping.items():
            self._responses.cancel(Interruption(responses, playback, asked=now), now, effects)

    def _send(self, event: ClientEvent | UnknownEvent, now: float, effects: Effects) -> None:
        if isinstance(event, InputAudioBufferAppend):
            self._input_audio.append(event.audio)
        elif isinstance(event, InputAudioBufferCommit):
            self._input_audio.commit_held(event)
        elif isinstance(event, ConversationItemCreate):
            self._items.put_back_call(event, now, effects)
        effects.append(Send(event))
