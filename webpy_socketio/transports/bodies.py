"""The input of a request whose body is still on its way."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any


class Body(io.RawIOBase):
    """Reads a body from a connection without a greenlet.

    :param read: returns what comes next, at most so many bytes; nothing if the client hangs up. May wait.
    :param length: bytes of the body.
    """

    def __init__(self, read: Callable[[int], bytes], length: int) -> None:
        super().__init__()
        self._read = read
        #: Bytes that have not been read.
        self.left = length

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read a part. Raises OSError if the client hung up before it was complete."""
        size = min(len(buffer), self.left)
        data = self._read(size) if size else b""
        if size and not data:
            raise OSError(f"the client hung up, {self.left} bytes before the end of the request")
        self.left -= len(data)
        buffer[: len(data)] = data
        return len(data)
