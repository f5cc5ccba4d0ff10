"""All scenarios, group by group."""

from antiphon.bench.prove.scenario import Scenario
from antiphon.bench.prove.scenarios import (
    admission,
    calls_heard,
    calls_joined,
    calls_rung,
    errors,
    interruption,
    isolation,
    reconnect,
    tools,
    truncation,
    turns,
)

__all__ = ["SCENARIOS"]

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for group in (
        turns,
        isolation,
        interruption,
        admission,
        tools,
        truncation,
        reconnect,
        calls_heard,
        calls_joined,
        calls_rung,
        errors,
    )
    for scenario in group.scenario.scenarios
}
