"""Tools that look at servers and clients from outside.

`load` shows how many sessions a server bears, `probe` what a server does, `prove` what a client
does; `report` is what these two say it in.
"""

__all__: list[str] = []
