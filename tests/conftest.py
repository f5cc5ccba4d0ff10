"""Settings for every test: how Hypothesis searches."""

import os

from hypothesis import HealthCheck, settings

__all__: list[str] = []

# No deadline: on a busy machine it measures the neighbours. CI replays the same examples every
# time, so that it fails only for a reason in the change; a local run searches afresh.
settings.register_profile("local", deadline=None)
settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ci" if os.environ.get("CI") else "local")
