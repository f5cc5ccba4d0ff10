"""Scripts: which step a response gets, and what is left over."""

import pytest

from antiphon.emulator import (
    Answer,
    Prompt,
    Script,
    ScriptNotConsumed,
    answer,
    call,
    fail,
    incomplete,
    say,
    silence,
    stall,
    text,
)
from antiphon.emulator.knobs.pace import Pace
from antiphon.emulator.scripts.script import Ending, Output, OutputKind, Status

__all__: list[str] = []


def prompt(
    words: str = "",
    *,
    lane: str = "default",
    turn: int = 0,
    automatic: bool = False,
    instructions: str = "",
    metadata: dict[str, str] | None = None,
    tool_output: str | None = None,
) -> Prompt:
    return Prompt(
        lane=lane,
        turn=turn,
        automatic=automatic,
        text=words,
        instructions=instructions,
        session_instructions="",
        metadata=metadata or {},
        modality="audio",
        tools=(),
        tool_choice="auto",
        tool_output=tool_output,
    )


def words(found: Answer | None) -> str | None:
    return None if found is None else "".join(item.text for item in found.items)


def test_steps_are_taken_in_order() -> None:
    script = Script([say("a"), say("b")])
    assert [words(script.respond(prompt())) for _ in range(3)] == ["a", "b", None]


def test_times_and_always() -> None:
    script = Script([say("a").times(2), say("b").always()])
    assert [words(script.respond(prompt())) for _ in range(5)] == ["a", "a", "b", "b", "b"]
    script.assert_consumed()
    with pytest.raises(ValueError, match="at least once"):
        say("a").times(0)


@pytest.mark.parametrize(
    ("step", "fits", "misses"),
    [
        (say("x").when(lane="out_of_band"), prompt(lane="out_of_band"), prompt()),
        (say("x").when(turn=2), prompt(turn=2), prompt(turn=1)),
        (say("x").when(automatic=True), prompt(automatic=True), prompt()),
        (say("x").when(automatic=False), prompt(), prompt(automatic=True)),
        (say("x").when(contains="OSLO"), prompt("Where is Oslo?"), prompt("Where?")),
        (say("x").when(contains="angry"), prompt(instructions="Is he angry?"), prompt("Hm")),
        (
            say("x").when(metadata={"purpose": "mood"}),
            prompt(metadata={"purpose": "mood", "n": "1"}),
            prompt(metadata={"purpose": "talk"}),
        ),
        (say("x").when(tool_output="42"), prompt(tool_output="it is 42"), prompt()),
        (say("x").when(test=lambda p: p.text == "y"), prompt("y"), prompt("z")),
    ],
)
def test_step_fits_what_it_says(step: Answer, fits: Prompt, misses: Prompt) -> None:
    script = Script([step])
    assert script.respond(misses) is None
    assert script.unconsumed == [step]
    assert words(script.respond(fits)) == "x"
    script.assert_consumed()


def test_step_that_does_not_fit_waits_for_its_turn() -> None:
    script = Script([say("mood").when(lane="out_of_band"), say("a"), say("b")])
    assert words(script.respond(prompt())) == "a"
    assert words(script.respond(prompt(lane="out_of_band"))) == "mood"
    assert words(script.respond(prompt())) == "b"
    script.assert_consumed()


def test_left_over_steps_fail_by_name() -> None:
    script = Script([say("Good morning."), call("lookup").when(turn=5), say("x").always()])
    with pytest.raises(ScriptNotConsumed) as caught:
        script.assert_consumed()
    assert "Good morning." in str(caught.value)
    assert "lookup" in str(caught.value)
    assert "'x'" not in str(caught.value)
    assert isinstance(caught.value, AssertionError)


def test_partly_used_step_is_left_over() -> None:
    script = Script([say("a").times(2)])
    script.respond(prompt())
    with pytest.raises(ScriptNotConsumed):
        script.assert_consumed()


def test_strict_script_fails_what_it_has_no_step_for() -> None:
    script = Script(strict=True)
    found = script.respond(prompt("What now?"))
    assert found is not None
    assert found.ending.code == "script_exhausted"
    with pytest.raises(ScriptNotConsumed, match="What now"):
        script.assert_consumed()


def test_otherwise_answers_the_rest() -> None:
    assert words(Script(otherwise=say("Hm.")).respond(prompt())) == "Hm."
    echo = Script(otherwise=lambda p: say(p.text))
    assert words(echo.respond(prompt("hi"))) == "hi"
    assert Script().respond(prompt()) is None


def test_long_script_costs_no_search() -> None:
    script = Script([say(str(n)) for n in range(20_000)])
    for n in range(20_000):
        assert words(script.respond(prompt())) == str(n)
    script.assert_consumed()


def test_hearing_goes_in_order() -> None:
    script = Script(hears=["one", "two"])
    assert script.peek() == "one"
    assert [script.hear() for _ in range(3)] == ["one", "two", "(speech)"]


# Building


def test_answer_joins_items() -> None:
    joined = answer(say("Wait."), call("f", {"a": 1}, call_id="call_1"))
    assert [item.kind for item in joined.items] == [OutputKind.SPEECH, OutputKind.CALL]
    assert joined.items[1] == Output(OutputKind.CALL, '{"a": 1}', name="f", call_id="call_1")
    assert answer().items == ()


def test_answer_ends_as_its_last_part() -> None:
    assert answer(say("a"), fail("x")).ending.code == "x"
    stalled = Ending(Status.STALLED)
    assert answer(fail("x"), ending=stalled).ending == stalled


@pytest.mark.parametrize(
    ("built", "status"),
    [
        (say("a"), Status.COMPLETED),
        (text("a"), Status.COMPLETED),
        (silence(), Status.COMPLETED),
        (fail(), Status.FAILED),
        (incomplete(), Status.INCOMPLETE),
        (stall(), Status.STALLED),
    ],
)
def test_endings(built: Answer, status: Status) -> None:
    assert built.ending.status is status


def test_endings_keep_what_comes_before() -> None:
    for ended in (fail(after=say("a")), incomplete(after=say("a")), stall(after=say("a"))):
        assert words(ended) == "a"


def test_arguments_may_be_no_json() -> None:
    assert words(call("f", "{broken")) == "{broken"
    assert words(call("f")) == "{}"


def test_length_of_speech_suits_its_words_unless_given() -> None:
    (short,), (long,), (given,) = say("Hi.").items, say("x" * 100).items, say("x", ms=5).items
    assert short.length_ms == 200
    assert long.length_ms == 6500
    assert given.length_ms == 5


def test_pace_of_its_own() -> None:
    assert say("a").paced(Pace.real_time()).own_pace == Pace.real_time()
