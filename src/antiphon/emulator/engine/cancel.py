"""`response.cancel`: what it hits, and what it gets when it hits nothing (P-1 to P-18)."""

from antiphon.emulator.engine.core import Core
from antiphon.emulator.engine.response import Lane, Phase, Response
from antiphon.emulator.engine.responses import Responses
from antiphon.emulator.knobs.choices import (
    CancelNoIdScope,
    CancelReply,
    CancelTarget,
    EarlyCancel,
    RepeatReply,
)
from antiphon.emulator.shapes import errors

__all__ = ["Canceller"]

OTHER_CODE = "response_not_active"


class Canceller:
    """Carries out `response.cancel`."""

    def __init__(self, core: Core, responses: Responses) -> None:
        self._core = core
        self._knobs = core.behaviour
        self._responses = responses
        self._lanes = responses.lanes

    def cancel(self, response_id: str | None) -> None:
        """Cancel what the event means.

        Raises:
            Refusal: it hits nothing, and the knobs say that this is an error.
        """
        match self._knobs.cancel_target:
            case CancelTarget.UNSUPPORTED:
                raise errors.cancel_unsupported()  # P-309
            case CancelTarget.NOTHING:
                self._core.emit("response.cancelled")  # P-466
                return
            case CancelTarget.IGNORES_ID:
                response_id = None  # P-304, P-307
        if response_id is None:
            self._cancel_bare()
        else:
            self._cancel_by_id(response_id)

    def _cancel_by_id(self, response_id: str) -> None:
        # P-1: exactly that response, in either lane.
        response = self._lanes.active.get(response_id)
        if response is None or not self._can_be_found(response):
            _reply(self._knobs.cancel_unknown_or_finished_id)
        else:
            self._hit(response)

    def _cancel_bare(self) -> None:
        match self._knobs.cancel_no_id_scope:
            case CancelNoIdScope.DEFAULT_CONVERSATION:
                target = self._default()  # P-2, P-3
            case CancelNoIdScope.ONLY_IF_SINGLE:
                target = self._lanes.single()  # P-4
            case CancelNoIdScope.ANY:
                target = self._default() or self._lanes.oldest_out_of_band()
            case CancelNoIdScope.NEXT_RESPONSE:
                target = self._default()
                if target is None or target.phase is Phase.CANCELLING:
                    self._responses.cancel_next = True  # P-15
                    return
        if target is None:
            _reply(self._knobs.cancel_no_match_reply)
        else:
            self._hit(target)

    def _hit(self, response: Response) -> None:
        again = not self._responses.cancel(response, "client_cancelled")
        if again and self._knobs.cancel_repeat_before_done is RepeatReply.ERROR:
            raise errors.cancel_not_active()  # P-11

    def _default(self) -> Response | None:
        holder = self._lanes.slot.holder
        if holder is None or not self._can_be_found(holder):
            return None
        return holder if holder.lane is Lane.DEFAULT else None

    def _can_be_found(self, response: Response) -> bool:
        if response.phase is Phase.ACCEPTED:
            return self._knobs.cancel_before_created is EarlyCancel.CANCELS  # P-12
        return response.in_progress


def _reply(reply: CancelReply) -> None:
    match reply:
        case CancelReply.ERROR:
            raise errors.cancel_not_active()
        case CancelReply.OTHER_CODE:
            raise errors.cancel_not_active(OTHER_CODE)
