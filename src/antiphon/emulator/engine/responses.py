"""Responses from `response.create` to `response.done` (P-130 to P-168), and their admission."""

from collections.abc import Callable
from typing import Any

from antiphon.emulator.audio.formats import audio_format
from antiphon.emulator.engine.answers import PATIENCE_S, Answers
from antiphon.emulator.engine.core import Core
from antiphon.emulator.engine.generation import StepKind
from antiphon.emulator.engine.hearing import Hearing
from antiphon.emulator.engine.lanes import Lanes, Request
from antiphon.emulator.engine.output import ItemWriter
from antiphon.emulator.engine.prompting import Context, gather
from antiphon.emulator.engine.response import Input, Lane, Phase, Response, TokenCount
from antiphon.emulator.knobs.choices import (
    ActiveErrorForm,
    CancelCloseItems,
    CancelledItems,
    CancelOutputInDone,
    CancelUsage,
    CreateWhenBusy,
    OldDoneVsNewCreated,
    OutOfBand,
    PendingCall,
    RateLimitsUpdated,
    ResponseDoneOnFailure,
    SupersededDone,
    VadCreateWhenBusy,
)
from antiphon.emulator.scripts.script import Ending, Status
from antiphon.emulator.shapes import errors
from antiphon.emulator.shapes.errors import INVALID_REQUEST, Refusal

__all__ = ["Responses"]

Json = dict[str, Any]


class Responses:
    """Admits, runs, cancels and ends responses.

    Args:
        core: what is shared.
        lanes: who may run.
        hearing: for when the user is understood.
        add_item: appends an item to the default conversation.
        after_default: called with each default response after its `response.done`.
    """

    def __init__(
        self,
        core: Core,
        lanes: Lanes,
        hearing: Hearing,
        *,
        add_item: Callable[[Json], None],
        after_default: Callable[[Response], None],
    ) -> None:
        self._core = core
        self._knobs = core.behaviour
        self._add_item = add_item
        self._after_default = after_default
        self._writer = ItemWriter(core)
        self._answers = Answers(core, hearing, self._schedule)
        self._turns = 0
        self.lanes = lanes
        self.cancel_next = False

    # Admission

    def create(self, request: Request) -> None:
        """Start a response, or do with the request what the knobs say for a lane that is taken.

        Raises:
            Refusal: the request is refused; nothing else follows (P-51).
        """
        lane = self._lane_of(request)
        if lane is Lane.DEFAULT and self._knobs.pending_call is PendingCall.ERROR:
            pending = self._core.conversation.unanswered()
            if pending is not None:
                raise errors.call_pending(pending)
        if lane is Lane.OUT_OF_BAND:
            limit = self._knobs.max_parallel_oob
            if limit is not None and self.lanes.out_of_band >= limit:
                raise errors.too_many_oob(limit)
        if self._takes_slot(lane) and not self._clear_slot(request):
            return
        self._start(request, lane)

    def _lane_of(self, request: Request) -> Lane:
        wants_out = request.params.get("conversation") == "none"
        if wants_out and self._knobs.out_of_band is not OutOfBand.IGNORED:
            return Lane.OUT_OF_BAND
        return Lane.DEFAULT

    def _takes_slot(self, lane: Lane) -> bool:
        return lane is Lane.DEFAULT or self._knobs.out_of_band is OutOfBand.SHARED_SLOT

    def _clear_slot(self, request: Request) -> bool:
        """Whether the slot can be had now; if not, the request was queued or dropped."""
        slot, knobs = self.lanes.slot, self._knobs
        holder = slot.holder
        if holder is None:
            return True
        if holder.phase is Phase.CANCELLING:
            if knobs.old_done_vs_new_created is OldDoneVsNewCreated.CREATED_FIRST:
                slot.holder = None  # P-66: the newer created goes before the old done
                return True
        if request.automatic and holder.phase in (Phase.CANCELLING, Phase.DONE):
            # The turn that interrupted is answered when the interrupted one has let go.
            slot.waiting.append(request)
            return False
        if request.automatic:
            match knobs.vad_create_when_busy:  # P-49
                case VadCreateWhenBusy.QUEUED:
                    slot.waiting.append(request)
                case VadCreateWhenBusy.ERROR:
                    raise self._taken(holder)
            return False
        match knobs.create_when_busy:
            case CreateWhenBusy.QUEUE:
                slot.waiting.append(request)
                return False
            case CreateWhenBusy.SUPERSEDE:
                self._supersede(holder)
                return True
        raise self._taken(holder)

    def _taken(self, holder: Response) -> Refusal:
        full = errors.slot_taken(holder.id)  # P-42, P-44
        short = "Conversation already has an active response"
        match self._knobs.active_error_form:
            case ActiveErrorForm.SHORT:
                return Refusal(full.code, short)
            case ActiveErrorForm.CODE_NULL:
                return Refusal(None, short)  # P-43
        return full

    def _supersede(self, holder: Response) -> None:
        """Make room at once (P-303, P-309)."""
        if holder.phase is Phase.DONE:
            self.lanes.slot.holder = None
        elif self._knobs.superseded_done is SupersededDone.OMITTED:
            holder.apply(Input.DROP)
            holder.unschedule()
            self._answers.drop(holder)
            holder.status = "cancelled"
            self.lanes.remove(holder)
        else:
            if holder.phase is Phase.ACCEPTED:
                self._created(holder)
            holder.apply(Input.CANCEL)
            holder.cancel_reason = holder.cancel_reason or "client_cancelled"
            self._finish_cancelled(holder, release=False)
        self.lanes.slot.holder = None

    def _start(self, request: Request, lane: Lane) -> None:
        core, params = self._core, request.params
        context = gather(core, params)
        if lane is Lane.DEFAULT and params.get("conversation") == "none":
            # P-305: a server that knows no other conversation appends the input to this one.
            for item in params.get("input") or []:
                if item["type"] != "item_reference":
                    self._add_item(item)
        response = self._record(request, lane, context)
        self.lanes.add(response, takes_slot=self._takes_slot(lane))
        self._turns += 1
        self._answers.begin(response, params, context)
        if self._knobs.created_latency_ms:
            delay = self._knobs.created_latency_ms / 1000
            response.pending.append(core.later(delay, lambda: self._created(response)))
        else:
            self._created(response)

    def _record(self, request: Request, lane: Lane, context: Context) -> Response:
        core, params = self._core, request.params
        config = core.session.config
        spoken = {**config["audio"]["output"]}
        asked = (params.get("audio") or {}).get("output") or {}
        spoken.update({key: value for key, value in asked.items() if value is not None})
        modalities = params.get("output_modalities") or config["output_modalities"]
        metadata = params.get("metadata")
        return Response(
            id=core.ids.new("resp"),
            lane=lane,
            automatic=request.automatic,
            turn=self._turns,
            metadata=metadata if self._knobs.metadata_echo else None,
            modality="audio" if "audio" in modalities else "text",
            audio=audio_format(spoken["format"]),
            voice=spoken["voice"],
            max_output_tokens=params.get("max_output_tokens") or config["max_output_tokens"],
            conversation_id=core.conversation.id if lane is Lane.DEFAULT else None,  # P-37
            event_id=request.event_id,
            given=context.tokens,
            cached=context.cached,
        )

    # Running

    def _created(self, response: Response) -> None:
        response.apply(Input.CREATED)
        response.unschedule()
        self._core.emit("response.created", response=response.resource(None, None, []))
        if self._knobs.rate_limits_updated is RateLimitsUpdated.AFTER_CREATED:
            self._rate_limits()
        self._schedule(response)
        if self.cancel_next and response.lane is Lane.DEFAULT:
            self.cancel_next = False  # P-15: a late bare cancel silences the next response
            self.cancel(response, "client_cancelled")

    def _schedule(self, response: Response) -> None:
        step = next(response.steps) if response.steps else None
        if step is None:
            return
        response.unschedule()
        response.is_dry = step.kind is StepKind.WAIT
        if response.is_dry:
            overdue = self._core.later(PATIENCE_S, lambda: self._answers.overdue(response))
            response.pending.append(overdue)
            return

        def run() -> None:
            if not response.apply(Input.STEP):
                return
            if step.kind is StepKind.END:
                response.ending = step.ending or response.ending
                self._end(response)
                return
            self._writer.perform(response, step)
            limit = response.max_output_tokens
            if step.is_delta and isinstance(limit, int) and response.spent.total >= limit:
                response.ending = Ending(Status.INCOMPLETE, reason="max_output_tokens")
                self._end(response)
            else:
                self._schedule(response)

        response.pending.append(self._core.later(step.gap_s, run))

    # Ending

    def _end(self, response: Response) -> None:
        ending = response.ending
        match ending.status:
            case Status.STALLED:
                return
            case Status.COMPLETED:
                details: Json | None = None  # P-161
            case Status.INCOMPLETE:
                details = {"type": "incomplete", "reason": ending.reason}  # P-163
                self._leave_unfinished(response)
            case Status.FAILED:
                error = {"type": ending.type, "code": ending.code, "message": ending.message}
                details = {"type": "failed", "error": error}  # P-164
                self._leave_unfinished(response)
        self._writer.close_all(response, CancelCloseItems.FULL)
        response.status = ending.status.value
        silent = (
            ending.status is Status.FAILED
            and self._knobs.response_done_on_failure is ResponseDoneOnFailure.NEVER
        )
        if silent:  # P-305
            refusal = Refusal(ending.code, ending.message, type=ending.type or INVALID_REQUEST)
            self._core.refuse(refusal, None)
        self._done(response, details, _usage(response), announce=not silent)

    def _leave_unfinished(self, response: Response) -> None:
        if response.items and not response.items[-1].closed:
            response.items[-1].ended = False

    def _done(
        self,
        response: Response,
        details: Json | None,
        usage: Json | None,
        *,
        announce: bool = True,
        release: bool = True,
    ) -> None:
        if not response.apply(Input.END):
            return
        response.unschedule()
        self._answers.drop(response)
        response.steps = None
        output = [opened.item.body for opened in response.items]  # P-160: without audio
        if (
            response.status == "cancelled"
            and self._knobs.cancel_output_in_done is CancelOutputInDone.EMPTY
        ):
            output = []
        self.lanes.remove(response)
        if announce:
            self._core.emit("response.done", response=response.resource(details, usage, output))
            if self._knobs.rate_limits_updated is RateLimitsUpdated.AFTER_DONE:
                self._rate_limits()
        if response.lane is Lane.DEFAULT:
            self._after_default(response)
        if release:
            self._release(response)

    def _release(self, response: Response) -> None:
        if self.lanes.slot.holder is not response:
            return
        if self._knobs.slot_free_at:
            self._core.later(self._knobs.slot_free_at / 1000, lambda: self._free(response))
        else:
            self._free(response)

    def _free(self, response: Response) -> None:
        slot = self.lanes.slot
        if slot.holder is not response:
            return
        slot.holder = None
        while slot.waiting and slot.holder is None:
            request = slot.waiting.popleft()
            try:
                self._start(request, self._lane_of(request))
            except Refusal as refusal:  # what it referenced may be gone by now
                self._core.refuse(refusal, request.event_id)

    # Cancelling

    def cancel(self, response: Response, reason: str) -> bool:
        """Begin to cancel a response; False if it is being cancelled already."""
        if response.phase is Phase.ACCEPTED:
            self._created(response)
        if not response.apply(Input.CANCEL):
            return False
        response.unschedule()
        response.is_dry = False
        self._answers.drop(response)
        response.cancel_reason = reason
        count, latency = self._knobs.straggler_deltas, self._knobs.cancel_latency_ms / 1000
        if response.items:
            for number in range(count):
                delay = latency * (number + 1) / (count + 1)
                entry = self._core.later(delay, lambda: self._straggle(response))
                response.pending.append(entry)
        end = self._core.later(latency, lambda: self._finish_cancelled(response))
        response.pending.append(end)
        return True

    def _straggle(self, response: Response) -> None:
        """P-64: one more delta, if the model was in the middle of an item."""
        step = next(response.steps, None) if response.steps else None
        if step is not None and step.is_delta and response.apply(Input.STEP):
            self._writer.perform(response, step)
        else:
            response.steps = None

    def _finish_cancelled(self, response: Response, *, release: bool = True) -> None:
        self._writer.close_all(response, self._knobs.cancel_close_items)
        response.status = "cancelled"
        if self._knobs.cancelled_items is CancelledItems.REMOVED:
            self._core.conversation.discard(opened.item for opened in response.items)
        details = {"type": "cancelled", "reason": response.cancel_reason}  # P-162
        self._done(response, details, self._cancel_usage(response), release=release)

    def _cancel_usage(self, response: Response) -> Json | None:
        match self._knobs.cancel_usage:
            case CancelUsage.NULL:
                return None
            case CancelUsage.PARTIAL if response.items:
                return _usage(response)
        response.given = TokenCount()
        response.cached = TokenCount()
        response.spent = TokenCount()
        return _usage(response)  # P-62: all zeros

    def interrupt(self) -> None:
        """Speech began: cancel what writes to the default conversation (P-191, P-192)."""
        if self._knobs.vad_interrupts_oob:
            active = self.lanes.active.values()
            targets = [response for response in active if response.in_progress]
        else:
            default = self.lanes.default_in_progress()
            targets = [default] if default is not None else []
        for response in targets:
            self.cancel(response, "turn_detected")

    def _rate_limits(self) -> None:
        limit = {"name": "tokens", "limit": 40000, "remaining": 39000, "reset_seconds": 1.5}
        self._core.emit("rate_limits.updated", rate_limits=[limit])


def _usage(response: Response) -> Json:
    """P-167: the parts add up to the totals."""
    given, spent, cached = response.given, response.spent, response.cached
    return {
        "total_tokens": given.total + spent.total,
        "input_tokens": given.total,
        "output_tokens": spent.total,
        "input_token_details": {
            "text_tokens": given.text,
            "audio_tokens": given.audio,
            "image_tokens": given.image,
            "cached_tokens": cached.total,  # P-477
            "cached_tokens_details": {
                "text_tokens": cached.text,
                "audio_tokens": cached.audio,
                "image_tokens": cached.image,
            },
        },
        "output_token_details": {"text_tokens": spent.text, "audio_tokens": spent.audio},
    }
