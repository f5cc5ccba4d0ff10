"""The mirror of the conversation: what is in it, and in which order."""

from hypothesis import given
from hypothesis import strategies as st

from antiphon.protocol.conversation import Conversation
from antiphon.wire.items import ContentPart, Item
from tests.helpers.builders import message

__all__: list[str] = []


def ids(conversation: Conversation) -> list[object]:
    return [item.id for item in conversation]


def conversation_of(*names: str) -> Conversation:
    made = Conversation()
    for name in names:
        made.add(message(name), None)
    return made


def spoken(item_id: str, *words: str | None) -> Item:
    parts = [ContentPart(type="input_audio", transcript=one) for one in words]
    return Item(type="message", id=item_id, role="user", content=parts)


def words_of(conversation: Conversation, item_id: str) -> list[object]:
    item = conversation.get(item_id)
    assert item is not None
    return [part.transcript for part in item.content or ()]


def test_empty_conversation() -> None:
    made = Conversation()
    assert ids(made) == [] and len(made) == 0
    assert "a" not in made and made.get("a") is None


def test_items_are_appended_by_default() -> None:
    made = conversation_of("a", "b", "c")
    assert ids(made) == ["a", "b", "c"] and len(made) == 3


def test_item_goes_after_the_one_it_names() -> None:
    made = conversation_of("a", "c")
    made.add(message("b"), "a")
    made.add(message("d"), "c")
    assert ids(made) == ["a", "b", "c", "d"]


def test_root_puts_an_item_first() -> None:
    # P-211.
    made = conversation_of("a")
    made.add(message("first"), "root")
    assert ids(made) == ["first", "a"]


def test_unknown_or_missing_predecessor_appends() -> None:
    made = conversation_of("a")
    made.add(message("b"), "nobody")
    made.add(message("c"), "")
    assert ids(made) == ["a", "b", "c"]


def test_item_without_an_id_cannot_be_kept() -> None:
    made = conversation_of("a")
    made.add(Item(type="message"), None)
    assert ids(made) == ["a"]


def test_duplicate_id_is_one_item_at_its_old_place() -> None:
    # P-213.
    made = conversation_of("a", "b")
    made.add(message("a", "again"), "b")
    assert ids(made) == ["a", "b"]
    item = made.get("a")
    assert item is not None and item.content and item.content[0].text == "again"


def test_deleting_closes_the_gap() -> None:
    made = conversation_of("a", "b", "c")
    seen = [(made.delete(name), ids(made)) for name in ("b", "c", "a", "a")]
    assert seen == [
        (True, ["a", "c"]),
        (True, ["a"]),
        (True, []),
        (False, []),
    ]
    made.add(message("d"), None)
    assert ids(made) == ["d"]


def test_deleting_the_first_leaves_the_rest() -> None:
    made = conversation_of("a", "b")
    assert made.delete("a") and ids(made) == ["b"]


def test_update_replaces_what_is_known_and_nothing_else() -> None:
    made = conversation_of("a")
    made.update(message("a", "longer"))
    made.update(message("b", "unknown"))
    made.update(Item(type="message"))
    assert ids(made) == ["a"]
    item = made.get("a")
    assert item is not None and item.content and item.content[0].text == "longer"


def test_update_without_the_words_keeps_them() -> None:
    # P-185: item events for the user's audio carry no transcript.
    made = Conversation()
    made.add(spoken("a", "hello", None), None)
    made.update(spoken("a", None, "there", None))
    assert words_of(made, "a") == ["hello", "there", None]
    made.update(spoken("a", "hullo"))
    assert words_of(made, "a") == ["hullo"]


def test_update_to_an_item_without_content() -> None:
    made = Conversation()
    made.add(spoken("a", "hello"), None)
    made.update(Item(type="message", id="a", role="user"))
    assert words_of(made, "a") == []
    made.update(spoken("a", "again"))
    assert words_of(made, "a") == ["again"]


def test_transcript_finds_its_part() -> None:
    made = Conversation()
    made.add(spoken("a", None, None), None)
    made.transcribe("a", 1, "second")
    made.transcribe("a", 2, "no such part")
    made.transcribe("a", -1, "no such part")
    made.transcribe("b", 0, "no such item")
    assert words_of(made, "a") == [None, "second"]


def test_transcript_of_an_item_without_content_makes_its_part() -> None:
    # P-187: the words can be there before the content is.
    made = Conversation()
    made.add(Item(type="message", id="a", role="user"), None)
    made.transcribe("a", 0, "hello")
    item = made.get("a")
    assert item is not None and item.content == [
        ContentPart(type="input_audio", transcript="hello")
    ]


def test_truncation_takes_the_words_away() -> None:
    # P-218.
    made = Conversation()
    made.add(spoken("a", "all of it"), None)
    made.truncate("a", 0)
    made.truncate("b", 0)
    assert words_of(made, "a") == [None]
    made.delete("a")
    made.add(spoken("a", "new"), None)


NAMES = st.sampled_from(["a", "b", "c", "d", "root", ""])
CHANGES = st.lists(st.tuples(st.booleans(), NAMES, NAMES | st.none()), max_size=40)


@given(CHANGES)
def test_order_agrees_with_a_plain_list(changes: list[tuple[bool, str, str | None]]) -> None:
    made, plain = Conversation(), list[str]()
    for adds, name, previous in changes:
        if not adds:
            assert made.drop(name) is (name in plain)
            plain = [one for one in plain if one != name]
            continue
        made.add(message(name), previous)
        if name and name not in plain:
            if previous in plain:
                plain.insert(plain.index(str(previous)) + 1, name)
            else:
                plain.insert(0 if previous == "root" else len(plain), name)
    assert ids(made) == plain
