"""The event loop under the clients, and what can go wrong on it.

The load has to cost less than the server it is put on, so there is no library between these files and the kernel:
frames are masked in advance, and what arrives is compared as raw bytes instead of being decoded.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable

HOST = "127.0.0.1"
RECEIVE_BYTES = 8192
EVENTS_AT_ONCE = 32
STALL_SECONDS = 10.0


class LoadError(Exception):
    """The server did not do what it was asked; the measurement is worthless."""


class WrongData(LoadError):
    """Something arrived that was not sent, or not in this form."""


class Stalled(LoadError):
    """Nothing arrived for STALL_SECONDS although something was due."""


class Disconnected(LoadError):
    """The server closed a connection that should have stayed open."""


class Loop:
    """Calls a handler for each socket that has something to read.

    Sockets whose latency is measured jump the queue: they are looked after between any EVENTS_AT_ONCE of the others,
    so that what the load itself has to do is not counted as the server's slowness. At the end of a `with` statement
    the sockets that are left are closed.

    :param awake: never sleep, so that the server does not pay for waking this process: clients elsewhere cost it none.
    """

    def __init__(self, client_hangs_up: bool = False, awake: bool = False) -> None:
        #: Whether it is left to this side to end the connection after a closing handshake.
        self.client_hangs_up = client_hangs_up
        self._epoll = select.epoll()
        self._urgent = select.epoll()
        self._full = select.epoll()
        self._socks: dict[int, socket.socket] = {}
        self._handlers: dict[int, Callable[[], None]] = {}
        self._flushes: dict[int, Callable[[], None]] = {}
        self._events_at_once = -1
        self._poll = self._poll_awake if awake else self._epoll.poll
        for inner, handler in ((self._urgent, self._handle_urgent), (self._full, self._flush)):
            self._epoll.register(inner.fileno(), select.EPOLLIN)
            self._handlers[inner.fileno()] = handler

    def handle(self, sock: socket.socket, handler: Callable[[], None]) -> None:
        """Call handler whenever sock is readable, instead of the handler it had."""
        fd = sock.fileno()
        if fd not in self._handlers:
            self._epoll.register(fd, select.EPOLLIN)
            self._socks[fd] = sock
        self._handlers[fd] = handler

    def hurry(self, sock: socket.socket) -> None:
        """Let a handled sock jump the queue from now on."""
        self._epoll.unregister(sock)
        self._urgent.register(sock, select.EPOLLIN)
        self._events_at_once = EVENTS_AT_ONCE

    def flush_later(self, sock: socket.socket, flush: Callable[[], None]) -> None:
        """Call flush once, as soon as the kernel has room for what sock could not send."""
        self._full.register(sock, select.EPOLLOUT)
        self._flushes[sock.fileno()] = flush

    def neglect(self, sock: socket.socket) -> None:
        """Leave unread whatever arrives for a handled sock, until it is handled again."""
        self._epoll.unregister(sock)
        del self._handlers[sock.fileno()]

    def close(self, sock: socket.socket) -> None:
        """Forget sock and close it."""
        for table in (self._handlers, self._flushes, self._socks):
            table.pop(sock.fileno(), None)
        sock.close()

    def __enter__(self) -> Loop:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for sock in list(self._socks.values()):
            self.close(sock)
        for epoll in (self._epoll, self._urgent, self._full):
            epoll.close()

    def run_for(self, seconds: float, tick: Callable[[], float]) -> None:
        """Run for a while; tick is called in between and tells how long it can wait for its next turn."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._step(min(left, tick()))

    def run_until(self, done: Callable[[], bool]) -> None:
        """Run until done() is true; raises Stalled when nothing happens any more."""
        while not done():
            if not self._step(STALL_SECONDS):
                raise Stalled(f"nothing arrived for {STALL_SECONDS:g} s")

    def _step(self, timeout: float) -> int:
        events = self._poll(timeout, self._events_at_once)
        handlers = self._handlers
        for fd, _ in events:
            handlers[fd]()
        if self._events_at_once == EVENTS_AT_ONCE:
            self._handle_urgent()
        return len(events)

    def _poll_awake(self, timeout: float, most: int) -> list[tuple[int, int]]:
        end = time.monotonic() + timeout
        while not (events := self._epoll.poll(0, most)) and time.monotonic() < end:
            pass
        return events

    def _handle_urgent(self) -> None:
        for fd, _ in self._urgent.poll(0):
            self._handlers[fd]()

    def _flush(self) -> None:
        for fd, _ in self._full.poll(0):
            self._full.unregister(fd)
            self._flushes.pop(fd)()


def connect(port: int) -> socket.socket:
    """A connected, non-blocking socket without Nagle's delay."""
    sock = socket.create_connection((HOST, port), STALL_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setblocking(False)
    return sock
