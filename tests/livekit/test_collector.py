"""What the garbage collector has to look at in a worker, and what is left (docs/livekit.md)."""

import json
import subprocess
import sys

__all__: list[str] = []

COUNT = """
import gc, json
from livekit.plugins import antiphon
assert antiphon.realtime.RealtimeModel
gc.collect()
before = len(gc.get_objects())
gc.freeze()
print(json.dumps([before, len(gc.get_objects()), gc.get_freeze_count()]))
"""


def test_what_the_framework_imports_is_not_looked_at_again() -> None:
    run = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, check=True)
    before, after, frozen = json.loads(run.stdout)
    # A full collection takes its time by the object, on all calls at once.
    assert before > 50_000
    assert frozen >= before - 100
    assert after < before / 100
