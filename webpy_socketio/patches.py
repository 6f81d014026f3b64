"""Patches: who has got hold of what waits in the standard library before gevent could put its own in that place."""

from __future__ import annotations

import sys

from gevent import monkey

from .logs import logger

#: What waits so that it holds the event loop, or is one for all greenlets, if it is not gevent's. Not locks: whoever
#: imports these keeps them for a moment only.
WAITING = {
    "socket": ("socket", "create_connection", "getaddrinfo", "gethostbyname"),
    "ssl": ("SSLContext", "SSLSocket"),
    "select": ("select", "poll", "epoll"),
    "time": ("sleep",),
    "threading": ("Event", "local"),
    "queue": ("SimpleQueue",),
    "subprocess": ("Popen", "run"),
}
#: Whose business it is not to be patched.
EXEMPT = {"gevent", "greenlet", "gunicorn", "webpy_socketio"}
#: Modules that are named in the log.
MOST_NAMED = 5


def are_sockets_patched() -> bool:
    """Whether waiting for a socket lets other greenlets go on."""
    return bool(monkey.is_module_patched("socket"))


def find_early() -> dict[str, str]:
    """Return the modules that keep something unpatched, with what that is; none if nothing is patched at all."""
    originals = {
        id(monkey.saved[module][name]): f"{module}.{name}"
        for module, names in WAITING.items()
        for name in names
        if name in monkey.saved.get(module, {})
    }
    found = {}
    for name, module in list(sys.modules.items()):
        root = name.partition(".")[0]
        if root not in EXEMPT and root not in sys.stdlib_module_names:
            for value in list(getattr(module, "__dict__", {}).values()):
                if id(value) in originals:
                    found[name] = originals[id(value)]
    return found


def warn_of_early() -> None:
    """Say in the log which modules were imported too early, if any were."""
    found = find_early()
    if found:
        named = ", ".join(f"{name} ({what})" for name, what in sorted(found.items())[:MOST_NAMED])
        others = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
        logger.warning(
            "imported before gevent's patches, so what they use holds up everybody: %s%s; let the main module begin "
            'with "from gevent import monkey; monkey.patch_all()" (see "Hints in the log" in docs/operations.rst)',
            named, others,
        )  # fmt: skip
