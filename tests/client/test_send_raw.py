"""`Session.send_raw`: an event goes out as it is, and the core keeps no book of it."""

import pytest

import antiphon
from antiphon.emulator import MemoryConnector, run_virtual
from antiphon.wire.client_events import ConversationItemDelete, ResponseCancel
from antiphon.wire.items import ErrorInfo

__all__: list[str] = []

URL = "ws://127.0.0.1/v1/realtime"


def test_an_event_and_an_object_go_out_as_they_are() -> None:
    async def main() -> None:
        connector = MemoryConnector()
        async with antiphon.connect(url=URL, connector=connector) as session:
            session.send_raw(ResponseCancel(event_id="mine", response_id="resp_nobody"))
            session.send_raw({"type": "provider.own", "event_id": "theirs", "depth": [1, None]})
            await session.update({"instructions": "be brief"})  # answered after those
            (engine,) = connector.sessions
            assert list(engine.received)[:2] == [
                {"type": "response.cancel", "event_id": "mine", "response_id": "resp_nobody"},
                {"type": "provider.own", "event_id": "theirs", "depth": [1, None]},
            ]

    run_virtual(main())


def test_an_error_in_answer_to_it_comes_as_a_report() -> None:
    async def main() -> None:
        reports: list[antiphon.Report] = []
        async with antiphon.connect(url=URL, connector=MemoryConnector()) as session:
            session.on("report", reports.append)
            session.send_raw(ConversationItemDelete(event_id="mine", item_id="item_nowhere"))
            await session.update({"instructions": "be brief"})
        (report,) = reports
        assert report.kind is antiphon.ReportKind.ERROR
        assert isinstance(report.error, ErrorInfo) and report.error.event_id == "mine"

    run_virtual(main())


@pytest.mark.parametrize("event", [{}, {"type": 7}, {"type": "x", "y": object()}])
def test_what_is_no_event_is_refused_and_nothing_is_sent(event: dict[str, object]) -> None:
    async def main() -> None:
        connector = MemoryConnector()
        async with antiphon.connect(url=URL, connector=connector) as session:
            with pytest.raises(antiphon.LocalProtocolError):
                session.send_raw(event)
            assert await session.update({"instructions": "be brief"})
        assert len(connector.sessions[0].received) == 1

    run_virtual(main())


def test_after_the_end_it_raises() -> None:
    async def main() -> None:
        async with antiphon.connect(url=URL, connector=MemoryConnector()) as session:
            pass
        with pytest.raises(antiphon.ConnectionClosed):
            session.send_raw({"type": "x"})

    run_virtual(main())
