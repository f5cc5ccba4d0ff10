"""`antiphon prove`: plays scenarios with a Realtime client and says what it does with each.

`scenarios` holds what is played, `adapters` one program for each client, `play` what a scenario can
do, `record` what it looks at, `run` and `channel` how it is carried out. A program for a client of
your own subclasses `Client` and ends with `perform`; in another language it speaks the lines of
JSON that docs/prove.md tells.
"""

from antiphon.bench.prove.adapters.stage import PLAYER, Client, Stage, Unsupported, perform

__all__ = ["PLAYER", "Client", "Stage", "Unsupported", "perform"]
