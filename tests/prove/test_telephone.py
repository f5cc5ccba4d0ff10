"""What the caller of a call hears: by the clock, whatever comes when."""

from antiphon.bench.prove.telephone import Ear
from antiphon.emulator.audio.speech import Span, synthesize, tag_of

__all__: list[str] = []

STORY, NEXT = tag_of("resp_story"), tag_of("resp_next")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_was_given_is_heard_as_time_goes_by() -> None:
    clock = Clock()
    ear = Ear(clock)
    ear.play(synthesize("resp_story", 0, 300))
    ear.play(synthesize("resp_story", 300, 300))
    assert ear.heard() == []
    clock.now += 0.4
    assert ear.heard() == [Span(STORY, 0, 400)]
    clock.now += 10.0
    assert ear.heard() == [Span(STORY, 0, 600)]


def test_one_is_heard_after_the_other_and_after_a_pause_at_once() -> None:
    clock = Clock()
    ear = Ear(clock)
    ear.play(synthesize("resp_story", 0, 300) + synthesize("resp_next", 0, 200))
    clock.now += 0.35
    assert ear.heard() == [Span(STORY, 0, 300), Span(NEXT, 0, 50)]
    clock.now += 5.0
    ear.play(synthesize("resp_next", 200, 100))
    clock.now += 0.06
    assert ear.heard() == [Span(STORY, 0, 300), Span(NEXT, 0, 260)]


def test_what_was_not_heard_when_it_was_cleared_is_never_heard() -> None:
    clock = Clock()
    ear = Ear(clock)
    ear.play(synthesize("resp_story", 0, 300))
    ear.play(synthesize("resp_next", 0, 300))
    clock.now += 0.1
    ear.hush()
    clock.now += 1.0
    assert ear.heard() == [Span(STORY, 0, 100)]
    ear.play(synthesize("resp_next", 0, 300))
    clock.now += 0.2
    assert ear.heard() == [Span(STORY, 0, 100), Span(NEXT, 0, 200)]
    ear.close()
    clock.now += 1.0
    assert ear.heard() == [Span(STORY, 0, 100), Span(NEXT, 0, 200)]


def test_a_piece_that_is_missing_is_seen() -> None:
    clock = Clock()
    ear = Ear(clock)
    ear.play(synthesize("resp_story", 0, 100))
    ear.play(synthesize("resp_story", 200, 100))
    clock.now += 1.0
    assert ear.heard() == [Span(STORY, 0, 100), Span(STORY, 200, 300)]
