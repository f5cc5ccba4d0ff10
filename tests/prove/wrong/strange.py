"""Obeys, and tells of audio without saying whose."""

import json
import sys

__all__: list[str] = []

for text in sys.stdin:
    print('{"saw": "audio"}')
    print(json.dumps({"saw": "ok", "n": json.loads(text)["n"]}), flush=True)
