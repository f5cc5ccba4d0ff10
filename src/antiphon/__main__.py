"""`python -m antiphon`: the `antiphon` command."""

import sys

from antiphon.cli.main import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
