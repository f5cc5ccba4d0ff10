"""Takes commands and never answers; is deaf to a gentle end, too."""

import signal
import sys
import time

__all__: list[str] = []

signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('{"saw": "ok", "n": 0}', flush=True)
while True:
    if not sys.stdin.readline():
        time.sleep(3600)
