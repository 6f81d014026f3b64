"""``python -m webpy_socketio``; see ``cli``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
