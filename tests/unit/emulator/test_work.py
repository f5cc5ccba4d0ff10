"""Work that the engine asks for: hearing, thinking and speaking, driven by hand."""

import pybase64
import pytest

from antiphon.emulator import Behaviour, Pace, Script, say
from antiphon.emulator.audio import speech
from antiphon.emulator.audio.formats import PCM16, PCMU
from antiphon.emulator.faculties.work import (
    Ended,
    Faculties,
    Failed,
    Heard,
    Opened,
    Piece,
    Respond,
    Transcribe,
    Words,
)
from antiphon.emulator.scripts.script import Ending, Output, OutputKind, Status
from tests.helpers.emulated import Emulated, Json, user_text

__all__: list[str] = []

ALL = Faculties(hears=True, speaks=True, thinks=True)
SPEECH = Opened(Output(OutputKind.SPEECH, ""))
VOICED = speech.user_voice(600) + bytes(48 * 400)
SECOND = bytes(range(48)) * 1000


def client(script: Script | None = None, *, transcribes: bool = True, **knobs: object) -> Emulated:
    behaviour = Behaviour(cancel_latency_ms=20, pace=Pace.instant()).but(**knobs)
    made = Emulated(behaviour, script, faculties=ALL)
    if transcribes:
        made.configure(audio={"input": {"transcription": {"model": "any"}}})
    made.forget()
    return made


def only_work(made: Emulated) -> tuple[int, Transcribe | Respond]:
    ((work_id, work),) = made.work.items()
    return work_id, work


def statuses(made: Emulated) -> list[str]:
    return [event["response"]["status"] for event in made.all("response.done")]


# Hearing


def test_committed_audio_is_asked_about_and_its_words_come_as_events() -> None:
    made = client()
    made.speak(VOICED)
    work_id, work = only_work(made)
    assert isinstance(work, Transcribe)
    assert work.format == PCM16
    assert len(work.audio) >= 600 * 48
    made.answer(work_id, Heard("hello there"))
    deltas = made.all("conversation.item.input_audio_transcription.delta")
    assert [event["delta"] for event in deltas] == ["hello", " there"]
    done = made.one("conversation.item.input_audio_transcription.completed")
    assert done["transcript"] == "hello there"
    assert done["item_id"] == made.one("input_audio_buffer.committed")["item_id"]


def test_a_response_is_created_at_once_and_thinks_when_the_user_is_understood() -> None:
    made = client()
    made.speak(VOICED)
    assert made.all("response.created") != []
    work_id, _ = only_work(made)
    made.answer(work_id, Heard("hello there"))
    _, work = only_work(made)
    assert isinstance(work, Respond)
    assert work.chat is not None
    assert work.chat.messages[-1] == {"role": "user", "content": "hello there"}


def test_a_failed_transcription_is_told_and_the_response_goes_on() -> None:
    made = client(Script([say("Pardon?")]))
    made.speak(VOICED)
    work_id, _ = only_work(made)
    made.answer(work_id, Failed("no_ears", "It failed."))
    failed = made.one("conversation.item.input_audio_transcription.failed")
    assert failed["error"]["code"] == "no_ears"
    _, work = only_work(made)
    assert isinstance(work, Respond)
    assert [output.text for output in work.outputs] == ["Pardon?"]


def test_listening_that_takes_too_long_is_dropped() -> None:
    made = client()
    made.speak(VOICED)
    made.run(61.0)
    failed = made.one("conversation.item.input_audio_transcription.failed")
    assert failed["error"]["code"] == "transcription_timeout"
    assert all(isinstance(work, Respond) for work in made.work.values())


def test_audio_in_a_created_item_is_listened_to_unless_its_words_are_given() -> None:
    made = client(transcribes=False)
    audio = "AAAA" * 4000
    for transcript in ({}, {"transcript": "given"}):
        content = [{"type": "input_audio", "audio": audio, **transcript}]
        item: Json = {"type": "message", "role": "user", "content": content}
        made.send("conversation.item.create", item=item)
    work_id, work = only_work(made)
    assert isinstance(work, Transcribe)
    made.created_id()
    assert len(made.work) == 1  # the response waits
    made.answer(work_id, Heard("first"))
    _, respond = only_work(made)
    assert isinstance(respond, Respond) and respond.chat is not None
    assert [one["content"] for one in respond.chat.messages[1:]] == ["first", "given"]


def test_a_response_cancelled_while_it_listens_never_thinks() -> None:
    made = client()
    made.speak(VOICED)
    made.cancel(made.one("response.created")["response"]["id"])
    made.run(1.0)
    assert statuses(made) == ["cancelled"]
    work_id, _ = only_work(made)
    made.answer(work_id, Heard("too late"))
    assert made.work == {}


# Speaking and thinking


def test_pieces_become_events_in_order_with_marked_audio_and_transcript() -> None:
    made = client()
    response_id = made.created_id()
    work_id, _ = only_work(made)
    pieces: list[Piece] = [SPEECH, Words("One. ", SECOND), Words("Two.", SECOND)]
    made.answer(work_id, *pieces)
    assert made.all("response.done") == []
    made.answer(work_id, Ended())
    done = made.done(response_id)
    assert done["status"] == "completed"
    assert done["output"][0]["content"][0]["transcript"] == "One. Two."
    audio = made.audio(response_id)
    assert speech.spans(audio) == [speech.Span(speech.tag_of(response_id), 0, 2000)]
    # But for the marks it is what was spoken.
    assert [one & ~7 for one in audio[::2]] == [one & ~7 for one in (SECOND * 2)[::2]]


def test_spoken_audio_is_kept_and_can_be_retrieved_as_far_as_it_was_not_cut() -> None:
    made = client()
    response_id = made.created_id()
    work_id, _ = only_work(made)
    made.answer(work_id, SPEECH, Words("One two three four.", SECOND), Ended())
    item_id = made.done(response_id)["output"][0]["id"]
    made.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=500)
    made.send("conversation.item.retrieve", item_id=item_id)
    part = made.one("conversation.item.retrieved")["item"]["content"][0]
    assert pybase64.b64decode(part["audio"]) == made.audio(response_id)[: 500 * 48]
    # The model is told what the user can have heard.
    made.created_id()
    _, work = only_work(made)
    assert isinstance(work, Respond) and work.chat is not None
    assert work.chat.messages[-1] == {"role": "assistant", "content": "One two"}


def test_calls_and_text_come_from_pieces_too() -> None:
    made = client()
    response_id = made.created_id(output_modalities=["text"])
    work_id, _ = only_work(made)
    made.answer(
        work_id,
        Opened(Output(OutputKind.TEXT, "")),
        Words("Let me "),
        Words("see."),
        Opened(Output(OutputKind.CALL, "", name="look")),
        Words('{"at": "it"}'),
        Ended(),
    )
    message, call = made.done(response_id)["output"]
    assert message["content"][0]["text"] == "Let me see."
    assert (call["name"], call["arguments"]) == ("look", '{"at": "it"}')
    assert call["call_id"].startswith("call_")


@pytest.mark.parametrize("pieces", [(), (SPEECH,), (SPEECH, Words("I was", SECOND))])
def test_failed_work_fails_the_response_and_the_session_lives_on(pieces: tuple[Piece, ...]) -> None:
    made = client()
    response_id = made.created_id()
    work_id, _ = only_work(made)
    made.answer(work_id, *pieces, Failed("brain_unreachable", "Nobody there."))
    done = made.done(response_id)
    assert done["status"] == "failed"
    assert done["status_details"]["error"]["code"] == "brain_unreachable"
    assert [item["status"] for item in done["output"]] == ["incomplete"] * bool(pieces)
    assert made.create()["type"] == "response.created"


def test_an_ending_that_comes_with_the_work_counts() -> None:
    made = client()
    response_id = made.created_id()
    work_id, _ = only_work(made)
    ending = Ending(Status.INCOMPLETE, reason="max_output_tokens")
    made.answer(work_id, SPEECH, Words("On and on", SECOND), Ended(ending))
    done = made.done(response_id)
    assert done["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}


def test_cancelling_drops_the_work_at_once_and_what_it_still_says_is_lost() -> None:
    made = client()
    response_id = made.created_id()
    work_id, _ = only_work(made)
    made.answer(work_id, SPEECH, Words("I was", SECOND))
    made.cancel(response_id)
    assert made.work == {}
    assert made.answer(work_id, Words(" about to", SECOND)) == []
    made.run(1.0)
    done = made.done(response_id)
    assert done["status"] == "cancelled"
    assert done["output"][0]["content"][0]["transcript"] == "I was"


def test_speech_interrupts_a_response_that_thinks() -> None:
    made = client()
    made.created_id()
    first, _ = only_work(made)
    made.speak(speech.user_voice(600))
    assert first not in made.work
    made.run(1.0)
    assert statuses(made) == ["cancelled"]


def test_a_piece_that_is_used_up_lets_the_next_be_made() -> None:
    made = client(pace=Pace(speed=1.0))
    made.created_id()
    work_id, _ = only_work(made)
    made.answer(work_id, SPEECH, Words("One. ", SECOND), Words("Two.", SECOND))
    made.run(0.5)
    assert made.proceeded == [work_id] * 2  # the second sentence has not begun
    made.run(1.0)
    assert made.proceeded == [work_id] * 3


def test_pieces_that_come_while_others_are_sent_wait_their_turn() -> None:
    made = client(pace=Pace(speed=1.0))
    response_id = made.created_id()
    work_id, _ = only_work(made)
    made.answer(work_id, SPEECH, Words("One. ", SECOND))
    made.run(0.35)
    made.answer(work_id, Words("Two.", SECOND), Ended())
    assert len(made.audio(response_id)) == 400 * 48
    made.run(5.0)
    tag = speech.tag_of(response_id)
    assert speech.spans(made.audio(response_id)) == [speech.Span(tag, 0, 2000)]
    assert made.proceeded == [work_id] * 2  # what is finished needs no more


def test_a_silent_model_fails_the_response() -> None:
    made = client()
    response_id = made.created_id()
    made.run(91.0)
    assert made.done(response_id)["status_details"]["error"]["code"] == "model_timeout"
    assert made.work == {}


def test_a_script_goes_before_the_brain_and_is_spoken() -> None:
    made = client(Script([say("As written.")]))
    made.created_id()
    _, work = only_work(made)
    assert isinstance(work, Respond)
    assert work.chat is None
    assert [output.text for output in work.outputs] == ["As written."]


@pytest.mark.parametrize("done", ["sent", "omitted"])
def test_a_response_that_is_superseded_drops_its_work(done: str) -> None:
    made = client(create_when_busy="supersede", superseded_done=done)
    made.created_id()
    first, _ = only_work(made)
    made.send("response.create")
    second, _ = only_work(made)
    assert second != first


def test_an_old_answer_is_passed_over() -> None:
    made = client()
    assert made.answer(17, Words("?")) == []


def test_without_faculties_nothing_is_asked_for() -> None:
    made = Emulated(Behaviour(pace=Pace.instant()))
    made.send("conversation.item.create", item=user_text("hello"))
    made.created_id()
    assert made.work == {}
    assert statuses(made) == ["completed"]


# Marks on audio of one's own


@pytest.mark.parametrize("audio", [PCM16, PCMU])
def test_marks_can_be_read_back_from_any_audio(audio: object) -> None:
    assert audio in (PCM16, PCMU)
    form = PCM16 if audio == PCM16 else PCMU
    sound = bytes(range(256)) * (form.bytes_per_ms * 100 // 256) + bytes(
        form.bytes_per_ms * 100 % 256
    )
    marked = speech.marked(sound, "resp_x", 40, form)
    assert speech.spans(marked, form) == [speech.Span(speech.tag_of("resp_x"), 40, 140)]
    lowest = 7 if form == PCM16 else 1
    step = form.sample_bytes
    assert max(abs(a - b) for a, b in zip(marked[::step], sound[::step], strict=True)) <= lowest
