"""Talks without end."""

import sys

__all__: list[str] = []

sys.stdin.readline()
line = '{"saw": "text", "reader": "story", "text": "and"}\n' * 1000
while True:
    sys.stdout.write(line)
