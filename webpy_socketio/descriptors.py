"""Descriptors: of how many files, and so of how many connections, this process may have at once."""

from __future__ import annotations

import contextlib

from .logs import logger

try:
    import resource
except ImportError:  # there is no such limit on Windows
    resource = None  # type: ignore[assignment]

#: What a process needs beside its clients.
RESERVE = 100


def make_room(max_connections: int) -> None:
    """Raise the limit on open files as far as this process may if ``max_connections`` needs that, as Node does; say so
    if that is not enough.
    """
    if resource is None or not max_connections:
        return
    needed = max_connections + RESERVE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _covers(soft, needed):
        return
    wanted = needed if _covers(hard, needed) else hard
    with contextlib.suppress(OSError, ValueError):  # some systems have another limit beside
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    if not _covers(soft, needed):
        logger.warning(
            "this process may open %d files, too few for max_connections = %d: raise the limit (LimitNOFILE of "
            "systemd, ulimit -n, nofile of Docker), or lower the setting, so that who is too many is told so",
            soft, max_connections,
        )  # fmt: skip


def _covers(limit: int, needed: int) -> bool:
    return limit == resource.RLIM_INFINITY or limit >= needed
