"""Starts a process of its own, tells its id, and never ends either."""

import subprocess
import sys

__all__: list[str] = []

child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
sys.stdin.readline()
print(f'{{"saw": "error", "what": "{child.pid}"}}', flush=True)
print('{"saw": "failed", "n": 1, "trace": "as it says"}', flush=True)
sys.stdin.read()
child.wait()
