"""Encrypted connections without a greenlet: the handshake, and what streams use in place of a raw socket."""

from __future__ import annotations

import _socket
import contextlib
import errno
from collections.abc import Callable
from typing import Any

import gevent
from gevent.ssl import SSLWantReadError, SSLWantWriteError

from ..engine.deadlines import Deadlines
from ..logs import logger
from .streams import READ, WRITE, Stream, Watcher

#: gevent's socket around an encrypted connection; it has no types.
SSLSocket = Any


class TlsSocket:
    """An encrypted connection, with the methods of a raw, non-blocking socket that are used here.

    As there, what cannot be done yet is a BlockingIOError, or nothing sent. A send that was not possible has to be
    repeated, with the same bytes first (SSL_write(3)).
    """

    __slots__ = ("_file", "_is_ending", "_sock", "early")

    def __init__(self, sock: SSLSocket) -> None:
        sock.settimeout(0.0)
        self._sock: SSLSocket = sock
        # Who handled the connection before closes its socket, which lasts as long as there is a file of it.
        self._file = sock.makefile("rb", 0)
        self._is_ending = False
        left = sock.pending()
        #: What was decrypted already: no watcher wakes for it.
        self.early: bytes = sock.recv(left) if left else b""

    def fileno(self) -> int:
        """The descriptor, or -1 when it is closed or given away."""
        return -1 if self._sock is None else int(self._sock.fileno())

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Return what has arrived, perhaps a little more than ``size``, and ``b""`` at the end.

        :param flags: MSG_PEEK, if the next ``recv`` shall return it again.
        """
        if self._is_ending:  # nobody wants it, and it may not be readable: a TLS connection ends as a whole
            if self._sock.recv(size):
                raise BlockingIOError(errno.EAGAIN, "thrown away")
            return b""
        data = self.early or self._read(size)
        self.early = data if flags & _socket.MSG_PEEK else b""
        return data

    def send(self, data: bytes) -> int:
        """Encrypt and send bytes; return how many were taken."""
        if self._is_ending:
            raise BrokenPipeError(errno.EPIPE, "the connection has been shut down")
        return int(self._sock.send(data)) if data else 0

    def shutdown(self, how: int) -> None:
        """Tell the other side that nothing more will come. From now on, what arrives is thrown away."""
        if self._sock is None:
            raise OSError(errno.EBADF, "the connection was given away")
        self._say_goodbye()
        self._sock.shutdown(how)

    def detach(self) -> SSLSocket:
        """Give the connection to a greenlet, for which it blocks."""
        sock, self._sock = self._sock, None
        self._file.close()
        sock.settimeout(None)
        return sock

    def close(self) -> None:
        """Let go of the connection."""
        self._say_goodbye()
        self._sock.close()
        self._file.close()

    def _read(self, size: int) -> bytes:
        sock = self._sock
        try:
            data: bytes = sock.recv(size)
            # Of one record; watchers see only what is still encrypted, so nothing of it may stay behind.
            left = sock.pending()
            return data + sock.recv(left) if left else data
        except (SSLWantReadError, SSLWantWriteError):
            raise BlockingIOError(errno.EAGAIN, "there is nothing to read yet") from None

    def _say_goodbye(self) -> None:
        """Send the alert that ends a TLS connection, if the kernel takes it (RFC 8446, section 6.1)."""
        if not self._is_ending:
            self._is_ending = True
            with contextlib.suppress(OSError, ValueError):
                self._sock.unwrap()


class TlsStream(Stream):
    """A stream that is encrypted on its way."""

    __slots__ = ("_tls",)

    def __init__(self, sock: TlsSocket) -> None:
        super().__init__(sock)  # type: ignore[arg-type]  # as far as a stream goes
        self._tls = sock

    def listen(self, readable: Callable[[], None]) -> None:
        """Have ``readable`` called, from the loop, whenever there is something to receive."""
        super().listen(readable)
        if self._tls.early:
            gevent.get_hub().loop.run_callback(self._wake, readable)

    def _wake(self, readable: Callable[[], None]) -> None:
        if self._reader.active:
            readable()


class Handshake:
    """A connection while its encryption is agreed on."""

    __slots__ = ("__weakref__", "_address", "_done", "_events", "_sock", "_watcher")

    #: No request is being answered.
    is_busy = False

    def __init__(self, sock: SSLSocket, address: Any, done: Callable[[TlsSocket], None]) -> None:
        """Begin.

        :param sock: a non-blocking socket of gevent's with a handshake still to do.
        :param done: called when it is done; if it fails, the connection is closed.
        """
        self._sock: SSLSocket = sock
        self._address = address
        self._done = done
        self._events = 0
        self._watcher: Watcher = None
        self._wait(READ)

    def expire(self, deadlines: Deadlines, when: float) -> None:
        """Give up at this time."""
        deadlines.add_weakly(when, Handshake.close, self, "it took too long")

    def close(self, why: object = "the server stops") -> None:
        """Close the connection, if the handshake is not done."""
        sock = self._take()
        if sock is not None:
            logger.debug("no TLS with %s: %s", self._address, why)
            sock.close()

    def _go_on(self) -> None:
        try:
            self._sock.do_handshake()
        except SSLWantReadError:
            self._wait(READ)
        except SSLWantWriteError:
            self._wait(WRITE)
        except OSError as error:
            self.close(error)
        else:
            self._done(TlsSocket(self._take()))

    def _wait(self, events: int) -> None:
        if events != self._events:
            self._stop_watching()
            self._events = events
            self._watcher = gevent.get_hub().loop.io(self._sock.fileno(), events)
            self._watcher.start(self._go_on)

    def _take(self) -> SSLSocket:
        self._stop_watching()
        sock, self._sock = self._sock, None
        return sock

    def _stop_watching(self) -> None:
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
