"""`python -m deita_core`: the command line."""

import sys

from deita_core.cli import main

if __name__ == "__main__":
    sys.exit(main())
