"""What an error means to the response that it is about, or may be about."""

from antiphon.protocol.deadlines import Deadlines
from antiphon.protocol.effects import Effects, Report, ReportKind
from antiphon.protocol.errors import blocker_of, says_busy
from antiphon.protocol.lifecycle import ResponseInput, ResponseState
from antiphon.protocol.machine import Machine
from antiphon.protocol.options import Options
from antiphon.protocol.requests import Requests
from antiphon.protocol.response import Cause, OnBusy, Outcome, OutcomeKind, Response
from antiphon.wire.items import ErrorInfo

__all__ = ["Refusals"]

_S, _I = ResponseState, ResponseInput
# How many busy errors may wait for a name at once.
_ACCUSED = 16


class Refusals:
    """Creates that the server refused, cancels that found nothing, errors that answer nothing.

    Args:
        machine, options, requests, deadlines: the connection's.
    """

    __slots__ = ("_accused", "_by_id", "_deadlines", "_machine", "_options", "_requests")

    def __init__(
        self, machine: Machine, options: Options, requests: Requests, deadlines: Deadlines
    ) -> None:
        self._machine = machine
        self._by_id = machine.directory.by_id
        self._options = options
        self._requests = requests
        self._deadlines = deadlines
        # Creates that an error may have refused, by the response that it names as the obstacle.
        self._accused: dict[str, tuple[Response, ErrorInfo]] = {}

    def create_refused(
        self, response: Response, error: ErrorInfo, now: float, effects: Effects
    ) -> None:
        """The server answered a create with an error, and will send nothing else (P-51)."""
        busy = says_busy(error)
        patient = response.on_busy in (OnBusy.QUEUE, OnBusy.REPLACE)
        if busy and patient and response.attempts < self._options.busy_retries:
            response.attempts += 1
            response.not_before = now + self._machine.admission.pause(response, error, self._by_id)
            self._machine.fire(
                response,
                _I.CREATE_BUSY,
                effects,
                now,
                outcome=Outcome(OutcomeKind.CANCELLED, "never_created", error),
            )
        else:
            cancelled = response.cause is Cause.CANCELLED
            outcome = (
                Outcome(OutcomeKind.CANCELLED, "never_created", error)
                if cancelled
                else Outcome(OutcomeKind.REJECTED, error=error)
            )
            self._machine.fire(
                response, _I.CREATE_ERROR, effects, now, cause=Cause.REJECTED, outcome=outcome
            )
        self._machine.pump(now, effects)

    def may_be_anothers(self, response: Response, error: ErrorInfo) -> bool:
        """Whether an error without an echo may refuse another create than this one (P-49, P-85).

        Turn detection's own create is refused while one of ours is active. Where the words name an
        obstacle that is not known here yet, that may be this very response, and its name on the
        way: who is meant shows when the name comes, or by the deadline.
        """
        blocker = blocker_of(error)
        if not says_busy(error) or blocker is None or blocker in self._by_id:
            return False
        self._accused[blocker] = (response, error)
        if len(self._accused) > _ACCUSED:
            del self._accused[next(iter(self._accused))]
        return True

    def named(self, response: Response, now: float, effects: Effects) -> None:
        """It has its name: if an error called it the obstacle, that refused the other create."""
        accused, error = self._accused.pop(response.id or "", (None, None))
        if accused is not None and accused is not response and accused.state is _S.REQUESTED:
            assert error is not None, "they are kept together"
            self._requests.remove(self._requests.get(accused.create_event_id))
            self.create_refused(accused, error, now, effects)

    def may_have_failed(self, error: ErrorInfo, now: float) -> None:
        """An error that answers nothing: where one response runs, it may be the end of it (P-305).

        If nothing more comes of it within the settle timeout, it was.
        """
        if error.type == "invalid_request_error" or says_busy(error):
            return  # that is about something that was sent
        unsettled = self._machine.unsettled.values()
        active = [response for response in unsettled if response.state is _S.ACTIVE]
        if len(active) == 1:
            (response,) = active
            response.doubt = error
            response.doubted_at = now
            self._deadlines.discard(response.deadline)
            when = now + self._options.settle_timeout
            response.deadline = self._deadlines.add(when, self._machine.due, response)

    def cancel_found_nothing(self, response: Response, now: float, effects: Effects) -> None:
        """P-14: the cancel crossed the natural end, or the server knows of no such response."""
        effects.append(Report(ReportKind.ABSORBED, "the cancel found nothing to stop", response.id))
        self._machine.fire(
            response,
            _I.CANCEL_ERROR,
            effects,
            now,
            outcome=Outcome(OutcomeKind.UNKNOWN, "not_active"),
        )
        self._machine.pump(now, effects)
