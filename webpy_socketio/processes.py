"""Processes with gevent's patches in place before anything else is imported.

``python -m webpy_socketio`` imports the package, and web.py with it, before a line of ``__main__`` runs. That is too
late for the patches, so a process that is to serve begins anew, under ``gevent.monkey``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from .errors import SettingsError

PATCHER = "gevent.monkey"


def patched_command(arguments: Sequence[str]) -> list[str]:
    """The command that runs ``python -m webpy_socketio`` with these arguments in a patched process.

    The interpreter's own options, like ``-X dev``, are those of this process.
    """
    given = sys.orig_argv
    options = given[1 : given.index("-m")] if "-m" in given else []
    return [sys.executable, *options, "-m", PATCHER, "--module", "webpy_socketio", *arguments]


def start_again() -> NoReturn:
    """Begin this process anew, with the same arguments, process id and open descriptors, and with the patches.

    Raises SettingsError if that has been done already, and web.py was imported before the patches even so.
    """
    if PATCHER in sys.orig_argv:
        raise SettingsError(
            "web.py is imported before gevent's patches: perhaps by a sitecustomize module or a .pth file, "
            "which must not do that"
        )
    command = patched_command(sys.argv[1:])
    os.execv(command[0], command)
