"""Reports: what is told, that nothing gets out of its place, and the page as a document."""

from html.parser import HTMLParser
from pathlib import Path

import pytest
from msgspec.structs import replace

from antiphon.bench.report import (
    Case,
    Mark,
    Report,
    Role,
    Setting,
    Side,
    Subject,
    Tracer,
    fold,
    from_json,
    html_page,
    text_report,
    to_json,
    write_conformance,
)
from antiphon.bench.report.picture import swimlanes

__all__: list[str] = []

VOID = {"meta", "line", "br"}


def traced() -> Case:
    tracer = Tracer()
    created = {
        "type": "response.created",
        "response": {"id": "resp_1", "conversation_id": None},
    }
    delta = {"type": "response.output_text.delta", "response_id": "resp_1", "delta": "<b>one"}
    done = {
        "type": "response.done",
        "response": {
            "id": "resp_1",
            "status": "cancelled",
            "status_details": {"reason": "client_cancelled"},
        },
    }
    lines = [
        tracer.line(0.0, Side.CLIENT, {"type": "response.create"}),
        tracer.line(1.0, Side.SERVER, created),
        *[tracer.line(2.0 + n, Side.SERVER, delta) for n in range(40)],
        tracer.line(43.0, Side.CLIENT, {"type": "response.cancel", "response_id": "resp_1"}),
        tracer.line(43.5, Side.SERVER, b"\xff<script>"),
        tracer.line(44.0, Side.SERVER, done),
    ]
    return Case(
        key="cancel-by-id",
        question="Does a cancel by id stop <its> response?",
        group="Cancelling",
        mark=Mark.SEEN,
        verdict="Seen 3/3: it stops it & no other.",
        facts="P-1",
        details=(("sent", "response.cancel"),),
        trace=tuple(lines),
    )


def report(*subjects: Subject) -> Report:
    return Report(
        kind="servers",
        title="A <server>",
        lead="One | paragraph.",
        made="2026-11-25T18:00:00Z",
        by="antiphon 0",
        subjects=subjects,
    )


def subject(name: str = "one") -> Subject:
    knob = Setting(
        name="cancel_target", value="ignores_id", documented="by_id", mark=Mark.SEEN, why="seen"
    )
    hidden = Setting(
        name="phase", value=None, documented="no", mark=Mark.HIDDEN, why="hidden by dialect"
    )
    return Subject(name=name, version="1.0", cases=(traced(),), settings=(knob, hidden))


def test_a_report_is_the_same_after_json() -> None:
    whole = report(subject())
    assert from_json(to_json(whole)) == whole
    with pytest.raises(ValueError, match="no report"):
        from_json("{}")


def test_neighbouring_deltas_of_one_response_are_one_line() -> None:
    folded = fold(traced().trace)
    (deltas,) = [line for line in folded if line.role is Role.DELTA]
    assert (deltas.count, deltas.at_ms, deltas.until_ms) == (40, 2.0, 41.0)
    assert [line.text.split()[0] for line in folded if line.role is Role.CANCEL] == [
        "response.cancel"
    ]
    assert {line.lane for line in folded if line.lane} == {"R1 beside"}


def test_a_response_that_never_was_has_no_bar_and_a_remark_has_its_line() -> None:
    tracer = Tracer()
    cancel = {"type": "response.cancel", "response_id": "resp_nobody"}
    lines = (
        *traced().trace,
        tracer.line(45.0, Side.CLIENT, cancel),
        tracer.note(46.0, "over <now>"),
    )
    drawn = swimlanes(lines)
    assert drawn.count('<rect class="bar') == 1
    assert "46 ms: over &lt;now&gt;" in drawn
    assert swimlanes([tracer.line(0.0, Side.CLIENT, cancel)]) == ""


class Nesting(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        for name, value in attrs:
            assert name not in ("src", "onclick") and "//" not in (value or ""), (tag, name, value)
            if name == "href":
                self.links.append(value or "")
            if name == "id":
                self.ids.append(value or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("names", [("one",), ("one", "two")])
def test_the_page_is_whole_loads_nothing_and_links_only_within(names: tuple[str, ...]) -> None:
    page = html_page(report(*map(subject, names)))
    reader = Nesting()
    reader.feed(page)
    assert reader.open == []
    assert "script" not in reader.seen  # what a server says stays text
    assert {link.removeprefix("#") for link in reader.links} <= set(reader.ids)
    assert page.count("<svg") == len(names)
    assert 'class="differs"' in page


def test_the_text_names_the_verdict_and_what_differs() -> None:
    text = text_report(report(subject()))
    assert "● Does a cancel by id stop <its> response?  [seen]" in text
    assert "ignores_id  (documented or guessed: by_id)" in text
    assert "hidden by dialect" in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_text_ends_with_what_failed_and_says_pass_once() -> None:
    fine = replace(traced(), mark=Mark.PASS, verdict="as a correct client does")
    bad = replace(
        traced(), key="bad", question="Is it heard?", mark=Mark.FAIL, verdict="It is not."
    )
    text = text_report(report(replace(subject(), cases=(bad, fine), settings=())))
    assert text.endswith("\nWhat failed\n  ✗ Is it heard?\n      It is not.")
    assert text.count("It is not.") == 2
    assert "as a correct client does" not in text


def test_what_was_found_of_the_knobs_comes_first() -> None:
    whole = subject()
    text = text_report(report(replace(whole, settings=whole.settings[::-1])))
    assert text.index("cancel_target") < text.index("hidden by dialect")


def test_several_subjects_are_a_matrix() -> None:
    text = text_report(report(subject("one"), subject("two")))
    (row,) = [line for line in text.splitlines() if line.startswith("Does a cancel")]
    assert row.count("● seen") == 2


def test_a_section_is_written_into_its_place_only(tmp_path: Path) -> None:
    page = tmp_path / "conformance.md"
    page.write_text(
        "# A\n<!-- drawn: servers -->\nearlier\n<!-- end of servers -->\n"
        "<!-- drawn: clients -->\nkept\n<!-- end of clients -->\n"
    )
    write_conformance(page, [report(subject("one")), report(subject("two"))])
    text = page.read_text()
    assert "earlier" not in text and "kept" in text
    assert "| knob | documented or guessed | one | two |" in text
    assert "**ignores_id**" in text
    write_conformance(page, [report(subject("one"))])
    assert page.read_text().count("<!-- drawn: servers -->") == 1


def test_a_page_without_a_place_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing")
    with pytest.raises(ValueError, match="no place for servers"):
        write_conformance(page, [report(subject())])
