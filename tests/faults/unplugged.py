"""Clients whose cable is pulled out: they live in a network namespace, and nothing of them comes or goes any more."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
import threading
from collections.abc import Iterator

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


class Cable:
    """Leads from a network namespace to the host, whose end of it has ``address``."""

    def __init__(self, name: str, address: str, other: str) -> None:
        self._name = name
        self._other = other
        self.address = address

    def plug(self) -> None:
        """Lay it. Raises OSError or CalledProcessError where that is not allowed."""
        name = self._name
        _ip("netns", "add", name)
        _ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("addr", "add", f"{self.address}/30", "dev", name)
        _ip("link", "set", name, "up")
        _ip("-n", name, "addr", "add", f"{self._other}/30", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")

    def pull(self) -> None:
        """Pull it out: neither side is told, and nothing more gets through."""
        _ip("-n", self._name, "link", "set", "eth0", "down")

    def remove(self) -> None:
        """Leave nothing behind."""
        for what in (("link", "del", self._name), ("netns", "del", self._name)):
            with contextlib.suppress(OSError, subprocess.CalledProcessError):
                _ip(*what)

    def connect(self, port: int, count: int) -> list[socket.socket]:
        """Connections from the other end. A socket stays in the namespace in which it was made."""
        made: list[socket.socket] = []
        failures: list[BaseException] = []

        def work() -> None:
            try:
                with open(f"/run/netns/{self._name}") as namespace:
                    if LIBC.setns(namespace.fileno(), CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                made.extend(socket.create_connection((self.address, port), 10) for _ in range(count))
            except OSError as error:
                failures.append(error)

        thread = threading.Thread(target=work)  # only this thread moves there
        thread.start()
        thread.join()
        if failures:
            raise failures[0]
        return made


@contextlib.contextmanager
def cable() -> Iterator[Cable]:
    """A cable of one's own, of which nothing is left."""
    number = os.getpid() % 16_000
    high, low = divmod(number * 4, 256)
    laid = Cable(f"faults{os.getpid()}", f"10.213.{high}.{low + 1}", f"10.213.{high}.{low + 2}")
    try:
        laid.plug()
        yield laid
    finally:
        laid.remove()


def _ip(*command: str) -> None:
    subprocess.run(["ip", *command], check=True, capture_output=True)
