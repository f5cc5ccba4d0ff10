"""The list of items keeps its order and its sums under anything."""

from hypothesis import given
from hypothesis import strategies as st

from antiphon.emulator.shapes.errors import Refusal
from antiphon.emulator.state.conversation import Conversation, ConversationItem, count_tokens

__all__: list[str] = []


def item(name: str, words: str = "") -> ConversationItem:
    content = [{"type": "input_text", "text": words}]
    return ConversationItem({"id": name, "type": "message", "role": "user", "content": content})


def names(conversation: Conversation) -> list[str]:
    return [one.id for one in conversation]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.integers(-1, 20), st.text(max_size=30)),
        st.tuples(st.just("delete"), st.integers(0, 20), st.just("")),
        st.tuples(st.just("grow"), st.integers(0, 20), st.text(max_size=30)),
    ),
    max_size=40,
)


@given(steps)
def test_order_and_sums_are_those_of_a_plain_list(script: list[tuple[str, int, str]]) -> None:
    conversation, model = Conversation("conv_1"), list[ConversationItem]()
    for number, (what, where, words) in enumerate(script):
        if what == "insert":
            place = min(where, len(model) - 1)
            new = item(f"i{number}", words)
            conversation.insert(new, model[place] if place >= 0 else None)
            model.insert(place + 1, new)
        elif model and what == "delete":
            conversation.delete(model.pop(where % len(model)).id)
        elif model:
            changed = model[where % len(model)]
            changed.body["content"][0]["text"] += words
            conversation.recount(changed)
    assert names(conversation) == [one.id for one in model]
    assert [one.id for one in conversation.latest()] == names(conversation)[::-1]
    texts = [one.body["content"][0]["text"] for one in model]
    assert conversation.text_tokens == sum(map(count_tokens, texts))


def test_duplicate_is_reached_by_its_latest() -> None:
    conversation = Conversation("conv_1")
    first, second = item("a", "x"), item("a", "y")
    conversation.append(first)
    conversation.append(second)
    assert names(conversation) == ["a", "a"]
    assert conversation.get("a") is second


def test_recount_of_a_deleted_item_changes_no_sum() -> None:
    conversation = Conversation("conv_1")
    gone = item("a", "words")
    conversation.append(gone)
    conversation.delete("a")
    gone.body["content"][0]["text"] = "many more words"
    conversation.recount(gone)
    assert conversation.text_tokens == 0


def test_calls_are_known_until_they_are_deleted() -> None:
    conversation = Conversation("conv_1")
    body = {"id": "a", "type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
    conversation.append(ConversationItem(body))
    assert conversation.has_call("call_1")
    assert conversation.item_of_call("call_1") == "a"
    conversation.delete("a")
    assert not conversation.has_call("call_1")
    assert conversation.item_of_call("call_1") is None


def test_image_counts_its_own_tokens() -> None:
    conversation = Conversation("conv_1")
    content = [{"type": "input_image", "image_url": "data:image/png;base64,"}]
    body = {"id": "a", "type": "message", "role": "user", "content": content}
    conversation.append(ConversationItem(body))
    assert conversation.image_tokens > 0


def test_refusal_reads_as_its_message() -> None:
    try:
        Conversation("conv_1").delete("yo")
    except Refusal as refusal:
        assert str(refusal) == "Error deleting item: the item with id 'yo' does not exist."
    else:
        raise AssertionError("no refusal")
