"""Ends at the first command, with a few last words."""

import sys

__all__: list[str] = []

sys.stdin.readline()
print("out of memory, or so", file=sys.stderr)
sys.exit(3)
