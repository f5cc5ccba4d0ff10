"""What the modules of experiments share."""

from collections.abc import Awaitable, Callable, Sequence

from antiphon.bench.probe.lab import Experiment, Lab, Verdict

__all__ = ["experiments", "spread"]

# Script, question, what it sends, facts, knobs separated by spaces, output tokens at most.
_Row = tuple[Callable[[Lab], Awaitable[Verdict]], str, str, str, str, int]


def experiments(group: str, *rows: _Row) -> tuple[Experiment, ...]:
    """The experiments of one module, each named after its script."""
    return tuple(
        Experiment(
            script.__name__.replace("_", "-"),  # type: ignore[attr-defined]
            group,
            question,
            sends,
            facts,
            tuple(knobs.split()),
            tokens,
            script,
        )
        for script, question, sends, facts, knobs, tokens in rows
    )


def spread(values: Sequence[float]) -> str:
    """The least and the greatest, rounded."""
    low, high = min(values), max(values)
    return f"{low:.0f}" if round(low) == round(high) else f"{low:.0f} to {high:.0f}"
