"""Writes what is no observation."""

import sys

__all__: list[str] = []

sys.stdin.readline()
print("Connected!", flush=True)
sys.stdin.read()
