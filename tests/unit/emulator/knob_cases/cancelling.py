"""Cases of the knobs about cancelling."""

from antiphon.emulator import Behaviour, Script, answer, call, say
from tests.helpers.emulated import Emulated, Json
from tests.unit.emulator.knob_cases.registry import LONG, code, shows, story

__all__: list[str] = []

NOT_ACTIVE = "response_cancel_not_active"


def cancelled(client: Emulated, response_id: str) -> Json:
    """The response, which must have been cancelled."""
    response = client.done(response_id)
    assert response["status"] == "cancelled"
    assert response["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    return response


# cancel_no_id_scope


@shows("cancel_no_id_scope", "default_conversation")
def bare_cancel_hits_the_default_one(behaviour: Behaviour) -> None:
    client = story(behaviour)
    out, default = client.out_of_band(), client.created_id()
    client.run(0.1)
    assert client.cancel() == []
    client.run(0.1)
    cancelled(client, default)
    assert client.engine.active_responses == [out]


@shows("cancel_no_id_scope", "default_conversation")
def bare_cancel_never_reaches_out_of_band(behaviour: Behaviour) -> None:
    client = story(behaviour)
    both = [client.out_of_band(), client.out_of_band()]
    (reply,) = client.cancel()
    assert code(reply) == NOT_ACTIVE
    client.run(0.1)
    assert client.engine.active_responses == both


@shows("cancel_no_id_scope", "only_if_single")
def bare_cancel_stops_nothing_of_several(behaviour: Behaviour) -> None:
    client = story(behaviour)
    both = [client.created_id(), client.out_of_band()]
    assert [code(reply) for reply in client.cancel()] == [NOT_ACTIVE]
    client.run(0.1)
    assert client.engine.active_responses == both


@shows("cancel_no_id_scope", "only_if_single")
def bare_cancel_stops_a_single_one_even_out_of_band(behaviour: Behaviour) -> None:
    client = story(behaviour)
    only = client.out_of_band()
    assert client.cancel() == []
    client.run(0.1)
    cancelled(client, only)


@shows("cancel_no_id_scope", "next_response")
def late_bare_cancel_silences_the_next_response(behaviour: Behaviour) -> None:
    client = story(behaviour)
    assert client.cancel() == []
    out = client.out_of_band()
    following = client.created_id()
    client.run(0.1)
    cancelled(client, following)
    assert client.engine.active_responses == [out]
    assert client.created_id()
    client.run(0.1)
    assert len(client.engine.active_responses) == 2  # it hits once


@shows("cancel_no_id_scope", "next_response")
def bare_cancel_during_a_cancel_hits_the_one_after(behaviour: Behaviour) -> None:
    client = story(behaviour)
    first = client.created_id()
    client.cancel(first)
    client.cancel()
    client.run(0.1)
    cancelled(client, first)
    second = client.created_id()
    client.run(0.1)
    cancelled(client, second)


@shows("cancel_no_id_scope", "next_response")
def timely_bare_cancel_hits_the_present_one(behaviour: Behaviour) -> None:
    client = story(behaviour)
    present = client.created_id()
    client.cancel()
    client.run(0.1)
    cancelled(client, present)
    following = client.created_id()
    client.run(0.1)
    assert client.engine.active_responses == [following]


@shows("cancel_no_id_scope", "any")
def bare_cancel_takes_the_oldest_out_of_band_if_it_must(behaviour: Behaviour) -> None:
    client = story(behaviour)
    oldest, newer = client.out_of_band(), client.out_of_band()
    assert client.cancel() == []
    client.run(0.1)
    cancelled(client, oldest)
    default = client.created_id()
    client.cancel()
    client.run(0.1)
    cancelled(client, default)
    assert client.engine.active_responses == [newer]


# cancel_target


@shows("cancel_target", "by_id")
def id_stops_exactly_that_one(behaviour: Behaviour) -> None:
    client = story(behaviour)
    default, meant, other = client.created_id(), client.out_of_band(), client.out_of_band()
    client.run(0.1)
    assert client.cancel(meant) == []
    client.run(0.1)
    cancelled(client, meant)
    assert client.engine.active_responses == [default, other]


@shows("cancel_target", "ignores_id")
def wrong_id_cancels_the_default_one(behaviour: Behaviour) -> None:
    client = story(behaviour)
    default, meant = client.created_id(), client.out_of_band()
    client.cancel(meant)
    client.run(0.1)
    cancelled(client, default)
    assert client.engine.active_responses == [meant]


@shows("cancel_target", "unsupported")
def cancel_is_not_implemented(behaviour: Behaviour) -> None:
    client = story(behaviour)
    only = client.created_id()
    (reply,) = client.cancel(only)
    assert reply["error"]["type"] == "server_error"
    client.run(0.1)
    assert client.engine.active_responses == [only]


# Replies


@shows("cancel_no_match_reply", "error")
def needless_cancel_is_an_error(behaviour: Behaviour) -> None:
    client = Emulated(behaviour)
    assert client.error("response.cancel") == {
        "type": "invalid_request_error",
        "code": NOT_ACTIVE,
        "message": "Cancellation failed: no active response found",
        "param": None,
        "event_id": "c1",
    }


@shows("cancel_no_match_reply", "silent")
def needless_cancel_gets_nothing(behaviour: Behaviour) -> None:
    assert Emulated(behaviour).cancel() == []


@shows("cancel_no_match_reply", "other_code")
def needless_cancel_gets_another_code(behaviour: Behaviour) -> None:
    error = Emulated(behaviour).error("response.cancel")
    assert error["code"] != NOT_ACTIVE
    assert error["message"] == "Cancellation failed: no active response found"


@shows("cancel_unknown_or_finished_id", "error")
def cancel_that_crosses_the_end_is_an_error(behaviour: Behaviour) -> None:
    client = Emulated(behaviour, Script([say("Hi.")]))
    finished = client.created_id()
    client.run(5)
    assert client.done(finished)["status"] == "completed"
    assert [code(reply) for reply in client.cancel(finished)] == [NOT_ACTIVE]
    assert [code(reply) for reply in client.cancel("resp_never_was")] == [NOT_ACTIVE]


@shows("cancel_unknown_or_finished_id", "silent")
def cancel_of_an_unknown_id_gets_nothing(behaviour: Behaviour) -> None:
    client = Emulated(behaviour)
    assert client.cancel("resp_never_was") == []
    assert [code(reply) for reply in client.cancel()] == [NOT_ACTIVE]


@shows("cancel_unknown_or_finished_id", "other_code")
def cancel_of_an_unknown_id_gets_another_code(behaviour: Behaviour) -> None:
    (reply,) = Emulated(behaviour).cancel("resp_never_was")
    assert code(reply) not in (None, NOT_ACTIVE)


@shows("cancel_repeat_before_done", "silent")
def second_cancel_gets_nothing(behaviour: Behaviour) -> None:
    client = story(behaviour)
    only = client.created_id()
    assert client.cancel(only) == []
    assert client.cancel(only) == []
    client.run(1)
    cancelled(client, only)


@shows("cancel_repeat_before_done", "error")
def second_cancel_is_an_error(behaviour: Behaviour) -> None:
    client = story(behaviour)
    only = client.created_id()
    assert client.cancel(only) == []
    assert [code(reply) for reply in client.cancel(only)] == [NOT_ACTIVE]
    client.run(1)
    cancelled(client, only)


# Before the response is created


@shows("cancel_before_created", "no_effect")
def early_cancel_has_no_effect(behaviour: Behaviour) -> None:
    client = story(behaviour.but(created_latency_ms=100))
    client.send("response.create")
    assert [code(reply) for reply in client.cancel()] == [NOT_ACTIVE]
    client.run(0.2)
    assert len(client.all("response.created")) == 1
    assert len(client.engine.active_responses) == 1


@shows("cancel_before_created", "cancels")
def early_cancel_creates_and_cancels(behaviour: Behaviour) -> None:
    client = story(behaviour.but(created_latency_ms=100))
    client.send("response.create")
    (created,) = client.cancel()
    client.run(0.2)
    cancelled(client, created["response"]["id"])
    assert client.engine.active_responses == []


# How it ends


@shows("cancel_latency_ms", 0)
def cancel_can_be_immediate(behaviour: Behaviour) -> None:
    client = story(behaviour.but(straggler_deltas=0))
    only = client.created_id()
    assert client.cancel(only)[-2]["type"] == "response.done"


@shows("cancel_latency_ms", 250.0)
def cancel_takes_its_time_and_holds_the_lane(behaviour: Behaviour) -> None:
    client = story(behaviour)
    only = client.created_id()
    client.cancel(only)
    assert code(client.create()) == "conversation_already_has_active_response"
    client.run(1)
    assert client.time_of("response.done") == 0.25
    assert client.created_id()


@shows("straggler_deltas", 0)
def no_delta_follows_a_cancel(behaviour: Behaviour) -> None:
    client = story(behaviour)
    only = client.created_id()
    client.run(0.1)
    client.forget()
    client.cancel(only)
    client.run(1)
    assert [kind for kind in client.kinds() if kind.endswith(".delta")] == []
    cancelled(client, only)


@shows("straggler_deltas", 3)
def some_deltas_follow_a_cancel(behaviour: Behaviour) -> None:
    client = story(behaviour)
    only = client.created_id()
    client.run(0.1)
    client.forget()
    client.cancel(only)
    client.run(1)
    deltas = [place for place, kind in enumerate(client.kinds()) if kind.endswith(".delta")]
    assert deltas == [0, 1, 2]
    cancelled(client, only)


@shows("straggler_deltas", 3)
def nothing_straggles_of_a_response_without_output(behaviour: Behaviour) -> None:
    client = story(behaviour)
    only = client.created_id()
    client.cancel(only)
    client.run(1)
    assert client.kinds(of=only) == ["response.created", "response.done"]
    assert cancelled(client, only)["output"] == []


def cut_in_mid_audio(behaviour: Behaviour) -> tuple[Emulated, str]:
    client = story(behaviour.but(straggler_deltas=0))
    only = client.created_id()
    client.run(0.1)
    client.forget()
    client.cancel(only)
    client.run(1)
    return client, only


@shows("cancel_close_items", "full")
def cancelled_item_gets_the_whole_chain(behaviour: Behaviour) -> None:
    client, only = cut_in_mid_audio(behaviour)
    assert client.kinds() == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]
    assert client.one("response.output_item.done")["item"]["status"] == "incomplete"
    cancelled(client, only)


@shows("cancel_close_items", "output_item_only")
def cancelled_item_gets_output_item_done_only(behaviour: Behaviour) -> None:
    client, _ = cut_in_mid_audio(behaviour)
    assert client.kinds()[:-1] == ["response.output_item.done", "response.done"]


@shows("cancel_close_items", "none")
def cancelled_item_gets_no_done(behaviour: Behaviour) -> None:
    client, only = cut_in_mid_audio(behaviour)
    assert client.kinds()[:-1] == ["response.done"]
    assert cancelled(client, only)["output"][0]["status"] == "incomplete"


@shows("cancel_output_in_done", "partial")
def partial_item_is_in_the_output(behaviour: Behaviour) -> None:
    client, only = cut_in_mid_audio(behaviour)
    (item,) = cancelled(client, only)["output"]
    assert item["status"] == "incomplete"
    assert item["content"][0]["transcript"]


@shows("cancel_output_in_done", "empty")
def output_is_empty_after_a_cancel(behaviour: Behaviour) -> None:
    client, only = cut_in_mid_audio(behaviour)
    assert cancelled(client, only)["output"] == []


@shows("cancel_usage", "partial")
def usage_counts_what_was_produced(behaviour: Behaviour) -> None:
    client, only = cut_in_mid_audio(behaviour)
    usage = cancelled(client, only)["usage"]
    assert usage["output_tokens"] > 0
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


@shows("cancel_usage", "partial")
def usage_is_zero_if_nothing_was_produced(behaviour: Behaviour) -> None:
    client = story(behaviour)
    only = client.created_id()
    client.cancel(only)
    client.run(1)
    assert cancelled(client, only)["usage"]["total_tokens"] == 0


@shows("cancel_usage", "zeros")
def usage_is_zero_after_a_cancel(behaviour: Behaviour) -> None:
    client, only = cut_in_mid_audio(behaviour)
    usage = cancelled(client, only)["usage"]
    assert usage["total_tokens"] == usage["output_token_details"]["audio_tokens"] == 0


@shows("cancel_usage", "null")
def usage_is_null_after_a_cancel(behaviour: Behaviour) -> None:
    client, only = cut_in_mid_audio(behaviour)
    assert cancelled(client, only)["usage"] is None


def cut_in_mid_call(behaviour: Behaviour) -> Emulated:
    script = Script([call("write", {"text": "words " * 50})])
    client = Emulated(behaviour.but(straggler_deltas=0), script)
    only = client.created_id()
    client.run(0.1)
    client.cancel(only)
    client.run(1)
    cancelled(client, only)
    return client


@shows("cancel_function_args", "partial")
def cut_call_is_done_with_truncated_arguments(behaviour: Behaviour) -> None:
    client = cut_in_mid_call(behaviour)
    done = client.one("response.function_call_arguments.done")
    assert done["name"] == "write"
    assert done["arguments"].startswith('{"text"')
    assert not done["arguments"].endswith("}")
    assert client.one("response.output_item.done")["item"]["status"] == "incomplete"


@shows("cancel_function_args", "none")
def cut_call_gets_no_arguments_done(behaviour: Behaviour) -> None:
    client = cut_in_mid_call(behaviour)
    assert client.all("response.function_call_arguments.done") == []
    assert client.one("response.output_item.done")["item"]["status"] == "incomplete"


@shows("cancel_function_args", "none")
def finished_call_of_a_cancelled_response_still_gets_it(behaviour: Behaviour) -> None:
    client = Emulated(behaviour, Script([answer(call("f", {}), LONG)]))
    only = client.created_id()
    client.run(0.2)
    client.cancel(only)
    client.run(1)
    assert client.one("response.function_call_arguments.done")["arguments"] == "{}"
