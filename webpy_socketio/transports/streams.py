"""Raw connections: how one is taken over after a request, and reading and writing one without a greenlet."""

from __future__ import annotations

import _socket
import contextlib
from collections.abc import Callable
from typing import Any

import gevent

from ..engine.deadlines import Deadlines

#: The environ's key under which a server that can give its connection away puts it.
KEY = "webpy_socketio.connection"
READ, WRITE = 1, 2
READ_SIZE = 65_536
#: Seconds that the other side has to close the connection after we have.
LINGER = 5.0

Watcher = Any  # of gevent's loop; it has no type that could be named


class Connection:
    """One client's TCP connection while a request is answered, and its taker after that."""

    __slots__ = ("_raw", "later", "on_failure", "taker")

    #: Whether the server makes an answer that was put off, with ``later``.
    defers = True

    def __init__(self, raw: _socket.socket) -> None:
        self._raw = raw
        #: Called with the connection and what was read too much, after the response has gone out.
        self.taker: Callable[[Stream, bytes], None] | None = None
        #: Makes the answer, perhaps after a long wait, when the application is done with the request.
        self.later: Callable[[], Any] | None = None
        #: Called if the response cannot be written.
        self.on_failure: Callable[[], None] | None = None

    def give_to(self, taker: Callable[[Stream, bytes], None], on_failure: Callable[[], None]) -> None:
        """Let somebody have the connection after the response, which switches protocols."""
        self.taker, self.on_failure = taker, on_failure

    def watch_end(self, gone: Callable[[], None]) -> Callable[[], None]:
        """Have ``gone`` called if the client hangs up while its request is held; return what ends the watch."""
        raw = self._raw
        watcher = gevent.get_hub().loop.io(raw.fileno(), READ)

        def look() -> None:
            try:
                end = raw.recv(1, _socket.MSG_PEEK) == b""
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                end = True
            watcher.stop()  # either it is over, or the next request came early: no more can be learnt
            if end:
                gone()

        def stop() -> None:
            watcher.stop()
            watcher.close()

        watcher.start(look)
        return stop

    def limit_silence(self, seconds: float) -> None:
        """Count the client as gone if its system does not confirm for so many seconds what it was sent.

        Else it would be a quarter of an hour (tcp(7)) if its network vanishes while a response that lasts is sent.
        """
        if self._raw.family != getattr(_socket, "AF_UNIX", None) and hasattr(_socket, "TCP_USER_TIMEOUT"):
            with contextlib.suppress(OSError):
                self._raw.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_USER_TIMEOUT, round(seconds * 1000))

    def abort(self) -> None:
        """Break the connection off, whatever is being read or written."""
        with contextlib.suppress(OSError):
            self._raw.shutdown(_socket.SHUT_RDWR)


class Stream:
    """A raw connection that calls in when there is something to read, and keeps what the kernel does not take.

    Errors are OSError; after :meth:`close`, everything is one.
    """

    __slots__ = ("__weakref__", "_left", "_reader", "_socket", "_writer", "on_broken", "on_drained", "send_now")

    def __init__(self, raw: _socket.socket) -> None:
        self._socket = raw
        #: The kernel's own ``send``, for who takes care of the rest with :meth:`keep`.
        self.send_now = raw.send
        #: Called when everything that was kept has been taken.
        self.on_drained: Callable[[], None] | None = None
        #: Called when what was kept cannot be sent.
        self.on_broken: Callable[[], None] | None = None
        self._reader: Watcher = gevent.get_hub().loop.io(raw.fileno(), READ)
        self._writer: Watcher = None
        self._left = b""

    @property
    def raw(self) -> _socket.socket:
        """The socket itself, for what a stream does not do."""
        return self._socket

    @property
    def is_blocked(self) -> bool:
        """Whether something has been kept; nothing may be sent past it."""
        return bool(self._left)

    def listen(self, readable: Callable[[], None]) -> None:
        """Have ``readable`` called, from the loop, whenever there is something to receive."""
        self._reader.start(readable)

    def pause(self) -> None:
        """Listen no more, until :meth:`listen` is called again."""
        self._reader.stop()

    def receive(self) -> bytes | None:
        """Return what has arrived, ``b""`` if the other side has ended, or None if there is nothing yet."""
        try:
            return self._socket.recv(READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return None

    def send(self, data: bytes) -> bool:
        """Send bytes, after those that were kept. Tells whether the kernel took them all."""
        if self._left:
            self._left += data
            return False
        try:
            sent = self.send_now(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        if sent == len(data):
            return True
        self.keep(data[sent:])
        return False

    def keep(self, rest: bytes) -> None:
        """Send these bytes as soon as the kernel takes them, and then call ``on_drained``."""
        self._left = rest
        if self._writer is None and self._socket.fileno() >= 0:
            self._writer = gevent.get_hub().loop.io(self._socket.fileno(), WRITE)
            self._writer.start(self._writable)

    def half_close(self) -> None:
        """Tell the other side that nothing more will come."""
        self._socket.shutdown(_socket.SHUT_WR)

    def linger(self, deadlines: Deadlines, now: float, discard: Callable[[], None] | None = None) -> None:
        """Wait a little for the other side's own end, and then close.

        To close at once would cost it what we sent last, if it was still sending itself (RFC 9112, section 9.6).

        :param discard: takes what still arrives; without it, it is thrown away.
        """
        self.listen(discard or self._discard)
        deadlines.add_weakly(now + LINGER, Stream.close, self)

    def release(self) -> _socket.socket:
        """Give the socket away, open as it is."""
        self._reader.stop()
        self._reader.close()
        self._stop_writing()
        return self._socket

    def close(self) -> None:
        """Let go of the connection."""
        if self._socket.fileno() >= 0:
            self._reader.stop()
            self._reader.close()
            self._stop_writing()
            self._socket.close()

    def _writable(self) -> None:
        left, self._left = self._left, b""
        try:
            drained = self.send(left)
        except OSError:
            self._stop_writing()
            if self.on_broken is not None:  # else whoever sends next will see it too
                self.on_broken()
            drained = True
        if drained:
            self._stop_writing()
            if self.on_drained is not None:
                self.on_drained()

    def _discard(self) -> None:
        try:
            data = self.receive()
        except OSError:
            data = b""
        if data == b"":
            self.close()

    def _stop_writing(self) -> None:
        if self._writer is not None:
            self._writer.stop()
            self._writer.close()
            self._writer = None
