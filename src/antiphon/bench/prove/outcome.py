"""Results as a report: a matrix of clients and scenarios, with the trace of what failed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from antiphon.bench.prove.clients import Client
from antiphon.bench.prove.scenario import Result, Scenario, Verdict
from antiphon.bench.report import Case, Mark, Report, Subject

__all__ = ["question_of", "report_of"]

_MARKS = {
    Verdict.PASS: Mark.PASS,
    Verdict.FAIL: Mark.FAIL,
    Verdict.NOT_APPLICABLE: Mark.NOT_APPLICABLE,
}


def report_of(
    results: Mapping[str, Sequence[Result]],
    clients: Mapping[str, Client],
    scenarios: Mapping[str, Scenario],
) -> Report:
    """Make the report.

    Args:
        results: by client's name.
        clients: by name.
        scenarios: by name.
    """
    subjects = tuple(
        Subject(
            name=name,
            version=clients[name].version(),
            about=(("what", clients[name].says),),
            cases=tuple(_case(result, scenarios[result.scenario]) for result in found),
        )
        for name, found in results.items()
    )
    return Report(
        kind="clients",
        title="antiphon prove: what Realtime clients do",
        lead=" ".join(_lead(name, found) for name, found in results.items()),
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        by=f"antiphon prove {version('antiphon')}",
        subjects=subjects,
    )


def _lead(name: str, results: Sequence[Result]) -> str:
    count = Counter(result.verdict for result in results)
    applicable = count[Verdict.PASS] + count[Verdict.FAIL]
    missing = count[Verdict.NOT_APPLICABLE]
    more = f"; {missing} are about something it does not have" if missing else ""
    return f"{name} does {count[Verdict.PASS]} of {applicable} scenarios right{more}."


def question_of(scenario: Scenario) -> str:
    """What is expected, and the public issues that it reproduces."""
    issues = f" ({', '.join(scenario.reproduces)})" if scenario.reproduces else ""
    return f"{scenario.expects}{issues}"


def _case(result: Result, scenario: Scenario) -> Case:
    details = [("reproduces", ", ".join(scenario.reproduces))] if scenario.reproduces else []
    if result.because:
        details.append(("seen", result.because))
    return Case(
        key=result.scenario,
        question=question_of(scenario),
        group=scenario.group,
        mark=_MARKS[result.verdict],
        verdict=result.says or "as a correct client does",
        facts=scenario.facts,
        details=tuple(details),
        trace=result.trace,
    )
