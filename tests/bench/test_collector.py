"""`python -m benchmarks.collector` runs, and counts what it says it counts."""

from benchmarks import collector

__all__: list[str] = []


def test_every_client_is_measured_with_every_collector() -> None:
    found = collector.measure(rounds=1, rate=2000, sessions=2, responses=1)
    names = [f"{client}, {how}" for client in collector.CLIENTS for how in collector.COLLECTORS]
    assert sorted(found) == sorted(names)
    for name, one in found.items():
        assert one["right"] == 1.0, name
        assert one["p99"] >= one["p50"] > 0
        if name.endswith(", off"):
            assert one["full collections"] == 0
