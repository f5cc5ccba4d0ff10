"""Whatever happens in whatever order, the invariants I1 to I9 of docs/architecture.md hold.

Two ways to look for the order in which they do not: small scenarios played in every order there
is, and a random caller against a random server that keeps to no protocol at all.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import pytest

from antiphon.protocol.lifecycle import Tolerance
from antiphon.protocol.options import DEFAULT_TOLERANCES, Options
from antiphon.protocol.response import Lane, OnBusy, Response
from antiphon.wire.client_events import ResponseCancel, ResponseCreate
from tests.helpers.builders import ACTIVE, NOT_ACTIVE, created, done, error, text_delta
from tests.helpers.watch import Watched

__all__: list[str] = []

Step = Callable[["World"], None]


class Role:
    """One response, as its creator and a decent server play it. A step that cannot be, is not."""

    def __init__(self, name: str, *, lane: Lane = Lane.DEFAULT, vad: bool = False) -> None:
        self.name = name
        self.id = f"resp_{name}"
        self.lane = lane
        self.vad = vad


class World:
    """A caller, a connection and a server, for one order of the steps."""

    def __init__(self, options: Options, *, crossing: bool) -> None:
        self.watched = Watched(options)
        # Whether cancels reach the server only after the natural end (P-14).
        self.crossing = crossing
        self.responses: dict[str, Response] = {}
        self.alive: set[str] = set()
        self.finished: set[str] = set()
        self.lost = False

    def create(self, role: Role, on_busy: OnBusy = OnBusy.QUEUE) -> None:
        if not self.lost:
            self.responses[role.name] = self.watched.create(lane=role.lane, on_busy=on_busy)

    def created(self, role: Role) -> None:
        if not role.vad and not self.awaited(role):
            return
        self.alive.add(role.id)
        response = self.responses.get(role.name)
        unwanted = response is not None and self.watched.lives[response].ended
        self.watched.receive(created(role.id, lane=str(role.lane), metadata=self.metadata(role)))
        # I5: what nobody waits for any more is not left to run, either.
        assert not unwanted or self.lost or self.cancels(role), self.watched.trace()

    def speak_first(self, role: Role) -> None:
        """Output before the name that it belongs to."""
        if self.awaited(role):
            self.watched.receive(text_delta(role.id))

    def blame_by_mistake(self, role: Role) -> None:
        """An error that looks like the answer to the create, and is not."""
        if self.awaited(role):
            self.watched.receive(error("invalid_value", param="response.tools"))

    def awaited(self, role: Role) -> bool:
        """Whether the server has read a create that it has not answered."""
        response = self.responses.get(role.name)
        if response is None or role.id in self.alive or role.id in self.finished:
            return False
        return any(
            isinstance(event, ResponseCreate) and event.event_id == response.create_event_id
            for event in self.watched.sent
        )

    def refuse(self, role: Role, code: str = ACTIVE, echo: bool = True) -> None:
        if self.awaited(role):
            self.finished.add(role.id)
            event_id = self.responses[role.name].create_event_id
            self.watched.receive(error(code, event_id=event_id if echo else None))

    def delta(self, role: Role) -> None:
        if role.id in self.alive:
            self.watched.receive(text_delta(role.id))

    def done(self, role: Role) -> None:
        if role.id not in self.alive:
            return
        self.alive.remove(role.id)
        self.finished.add(role.id)
        cancelled = bool(self.cancels(role)) and not self.crossing
        status, reason = ("cancelled", "client_cancelled") if cancelled else ("completed", None)
        metadata = self.metadata(role)
        self.watched.receive(done(role.id, status, reason, lane=str(role.lane), metadata=metadata))

    def cancel_error(self, role: Role, echo: bool = True) -> None:
        """The server answers a cancel that it read after the end."""
        if self.crossing and role.id in self.finished:
            for cancel in self.cancels(role):
                event_id = cancel.event_id or None
                self.watched.receive(error(NOT_ACTIVE, event_id=event_id if echo else None))

    def check_lane(self, before: int) -> None:
        """I7 as the server sees it: no create for a lane that the client knows to be taken."""
        taken = [
            response
            for response in self.responses.values()
            if response.lane is Lane.DEFAULT and response.id in self.alive
        ]
        for event in self.watched.sent[before:]:
            if isinstance(event, ResponseCreate) and event.response:
                assert event.response.conversation == "none" or not taken, self.watched.trace()

    def cancels(self, role: Role) -> list[ResponseCancel]:
        return [
            event
            for event in self.watched.sent
            if isinstance(event, ResponseCancel) and event.response_id == role.id
        ]

    def metadata(self, role: Role) -> dict[str, str] | None:
        response = self.responses.get(role.name)
        return None if response is None else {"antiphon": str(response.key)}

    def cancel(self, role: Role) -> None:
        response = self.responses.get(role.name)
        if response is not None:
            self.watched.cancel([response])

    def interrupt(self) -> None:
        self.watched.interrupt("all")

    def wait(self, seconds: float) -> None:
        self.watched.wait(seconds)

    def lose(self) -> None:
        self.lost = True
        self.watched.lose()


def merges(tracks: Sequence[Sequence[Step]]) -> Iterator[list[Step]]:
    """Every order of all these steps in which each track keeps its own."""
    if not any(tracks):
        yield []
        return
    for index, track in enumerate(tracks):
        if track:
            rest = [*tracks[:index], track[1:], *tracks[index + 1 :]]
            for order in merges(rest):
                yield [track[0], *order]


A = Role("a")
B = Role("b")
X = Role("x", lane=Lane.OUT_OF_BAND)
Y = Role("y", lane=Lane.OUT_OF_BAND)
V = Role("v", vad=True)


def life(role: Role, *, asked: bool = True) -> list[Step]:
    steps: list[Step] = [partial(World.create, role=role)] if asked and not role.vad else []
    return [
        *steps,
        *(partial(step, role=role) for step in (World.created, World.delta, World.done)),
    ]


def replaced(role: Role) -> list[Step]:
    return [partial(World.create, role=role, on_busy=OnBusy.REPLACE), *life(role, asked=False)]


@dataclass(frozen=True)
class Scenario:
    """Steps that happen in every order.

    Args:
        tracks: each keeps its own order.
        setup: what happened before.
        options: by name, in OPTIONS.
        crossing: whether cancels come too late, or in time, or both are to be tried.
        in_time: whether no deadline passes. One that does frees a lane that the server still holds.
    """

    tracks: Sequence[Sequence[Step]]
    setup: Sequence[Step] = ()
    options: Sequence[str] = ("default",)
    crossing: Sequence[bool] = (False, True)
    in_time: bool = True


INTERRUPT: list[Step] = [World.interrupt]
LOSE: list[Step] = [World.lose]
CREATE_TIMEOUT = partial(World.wait, seconds=11.0)
EVERY_TIMEOUT = partial(World.wait, seconds=100.0)
LATE_ERROR = partial(World.cancel_error, role=A)
UNSAID_LATE_ERROR = partial(World.cancel_error, role=A, echo=False)
REFUSED = partial(World.refuse, role=A)
REFUSED_UNSAID = partial(World.refuse, role=A, echo=False)

OPTIONS = {
    "default": Options(),
    "strict": Options(tolerances=frozenset()),
    "one at a time": Options(max_in_flight=1),
    "superseding": Options(tolerances=DEFAULT_TOLERANCES | {Tolerance.SUPERSEDES}),
}
SCENARIOS = {
    "one, stopped twice": Scenario(
        [life(A), [World.interrupt, World.interrupt], [LATE_ERROR]], options=("default", "strict")
    ),
    "one, stopped, out of time": Scenario(
        [life(A), INTERRUPT, [CREATE_TIMEOUT, CREATE_TIMEOUT]], in_time=False
    ),
    "one, every timeout, lost": Scenario(
        [life(A), INTERRUPT, [EVERY_TIMEOUT], LOSE], in_time=False
    ),
    "two in one lane": Scenario([life(A), life(B), INTERRUPT], options=("default", "superseding")),
    "two lanes, both stopped": Scenario(
        [life(A), life(X), INTERRUPT], options=("default", "one at a time")
    ),
    "two lanes, one stopped": Scenario([life(A), life(X), [partial(World.cancel, role=X)]]),
    "two out of band, lost": Scenario([life(X), life(Y), LOSE], crossing=[False]),
    "three, stopped": Scenario(
        [life(A, asked=False), life(X, asked=False), [partial(World.done, role=Y)], INTERRUPT],
        setup=[*(partial(World.create, role=role) for role in (A, X, Y)), *life(Y)[1:2]],
    ),
    "detection gets in between": Scenario([life(A), life(V), INTERRUPT]),
    "the second takes the lane": Scenario(
        [life(A), [partial(World.create, role=B, on_busy=OnBusy.REPLACE), *life(B)[1:]], INTERRUPT]
    ),
    "refused for detection's": Scenario(
        [life(V), [*life(A)[:1], REFUSED, *life(A)[1:]], INTERRUPT], crossing=[False]
    ),
    "refused, and which is not said": Scenario(
        [[*life(A)[:1], REFUSED_UNSAID], life(X), INTERRUPT, [EVERY_TIMEOUT]],
        crossing=[False],
        in_time=False,
    ),
    "output before its name": Scenario(
        [
            [life(A)[0], partial(World.speak_first, role=A), *life(A)[1:]],
            [World.interrupt, World.interrupt],
            [LATE_ERROR],
        ],
        options=("default", "strict"),
    ),
    "blamed by mistake": Scenario(
        [
            [life(A)[0], partial(World.blame_by_mistake, role=A), *life(A)[1:]],
            INTERRUPT,
            [partial(World.create, role=B)],
        ],
        crossing=[False],
    ),
    "late errors of two": Scenario(
        [
            [partial(World.done, role=A), UNSAID_LATE_ERROR],
            [partial(World.done, role=X), partial(World.cancel_error, role=X, echo=False)],
            INTERRUPT,
            [EVERY_TIMEOUT],
        ],
        setup=[*life(A)[:2], *life(X)[:2]],
        in_time=False,
    ),
    "late error of one, and another waits": Scenario(
        [
            [partial(World.done, role=X), partial(World.cancel_error, role=X, echo=False)],
            life(B),
            [partial(World.delta, role=A), partial(World.done, role=A)],
        ],
        setup=[*life(A)[:2], *life(X)[:2], World.interrupt],
        crossing=[True],
    ),
}
RUNS = [
    pytest.param(scenario, OPTIONS[options], crossing, id=f"{name}-{options}-{late}")
    for name, scenario in SCENARIOS.items()
    for options in scenario.options
    for crossing in scenario.crossing
    for late in ["late" if crossing else "in time"]
]


@pytest.mark.parametrize(("scenario", "options", "crossing"), RUNS)
def test_every_order(scenario: Scenario, options: Options, crossing: bool) -> None:
    orders = 0
    for order in merges(scenario.tracks):
        orders += 1
        world = World(options, crossing=crossing)
        for step in (*scenario.setup, *order):
            before = len(world.watched.sent)
            step(world)
            if scenario.in_time:
                world.check_lane(before)
        world.watched.finish()
    assert orders > 1
