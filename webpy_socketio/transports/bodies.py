"""The bodies of requests that are still on their way, and how long they are waited for.

Nobody can keep a connection, and the greenlet that answers, busy with nothing. Who is too slow is answered 408 (RFC
9110, section 15.5.9).
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any, Protocol

import gevent

#: Bytes per second with which a body has to arrive, on average; any network is faster.
SLOWEST = 500
#: Seconds that a connection may rest between two requests.
KEEP_ALIVE = 75.0


class Patience:
    """So many seconds, and one more for each :data:`SLOWEST` bytes that arrive, but never more than at first.

    Only the time in which somebody waits for them counts.
    """

    __slots__ = ("_most", "left")

    def __init__(self, seconds: float) -> None:
        self._most = seconds
        #: Seconds that there still are.
        self.left = seconds

    def spend(self, seconds: float, size: int) -> None:
        """It took some seconds until so many bytes were there."""
        self.left = max(0.0, min(self._most, self.left - seconds + size / SLOWEST))


def too_slow() -> TimeoutError:
    """What is raised when the time is over."""
    return TimeoutError("the request did not arrive in time")


class Source(Protocol):
    """A connection from which a body comes."""

    def read_body(self, most: int, patience: Patience) -> bytes:
        """Return what comes next, or nothing if the client hangs up. May wait; raises TimeoutError if it is in vain."""


class Body(io.RawIOBase):
    """The input of a request whose body is still on its way, on a connection without a greenlet."""

    def __init__(self, source: Source, length: int, seconds: float) -> None:
        super().__init__()
        self._source = source
        self._patience = Patience(seconds)
        #: Bytes that have not been read.
        self.left = length

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read a part. Raises OSError if the client hung up before it was complete, or is too slow."""
        size = min(len(buffer), self.left)
        data = self._source.read_body(size, self._patience) if size else b""
        if size and not data:
            raise OSError(f"the client hung up, {self.left} bytes before the end of the request")
        self.left -= len(data)
        buffer[: len(data)] = data
        return len(data)


class PatientFile:
    """A file of gevent's HTTP server, to read a body from.

    :param give_up: called when a read raises TimeoutError, since nobody knows where the next request would begin.
    """

    def __init__(self, file: Any, seconds: float, give_up: Callable[[], None]) -> None:
        self._file = file
        self._patience = Patience(seconds)
        self._give_up = give_up

    def read(self, size: int) -> bytes:
        """Read so many bytes, or up to the end."""
        return self._wait(self._file.read, size)

    def readline(self, size: int) -> bytes:
        """Read a line, or so many bytes of it."""
        return self._wait(self._file.readline, size)

    def _wait(self, read: Callable[[int], bytes], size: int) -> bytes:
        began = time.monotonic()
        try:
            with gevent.Timeout(self._patience.left + size / SLOWEST, too_slow()):
                data = read(size)
        except TimeoutError:
            self._give_up()
            raise
        self._patience.spend(time.monotonic() - began, len(data))
        return data
