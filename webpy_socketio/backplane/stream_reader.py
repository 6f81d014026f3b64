"""The reader: one connection on which a process reads what all add to a stream of Redis', from the time it started on.

After an outage it goes on where it was, so that nothing is missed but what the stream is too short for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runner import Runner
from .redis_dial import Connection, Dial

#: Entries read at once, after which others have their turn.
MANY = b"100"
#: Before the first entry that there ever is.
BEGINNING = b"0-0"
#: An entry for nobody: it has no namespace.
FIRST = (b"begins", b"1")

#: Called with the id of an entry and its fields.
ReadEntry = Callable[[bytes, "dict[bytes, bytes]"], None]


class StreamReader:
    """What a process reads.

    :param seconds: for which a connection may be silent.
    :param read: called with each entry; must not raise, nor wait.
    """

    def __init__(self, dial: Dial, runner: Runner, stream: bytes, seconds: float, read: ReadEntry) -> None:
        self._dial = dial
        self._runner = runner
        self._stream = stream
        self._block = b"%d" % max(1, round(seconds * 500))  # milliseconds: half of the time
        self._read = read
        #: The entry that was read last, or was the last before the first that is read; None if that is not known yet.
        self.last_id: bytes | None = None
        #: Whether entries are read as they come.
        self.is_reading = False

    def run(self, connected: Callable[[], None]) -> None:
        """Read on one connection until that breaks. Raises what TROUBLE has.

        :param connected: called once it is known where to begin.
        """
        connection = self._dial.connect(self._stream)
        try:
            last_id = self.last_id = self.last_id or self._end(connection)
            connected()
            self.is_reading = True
            while True:
                for entry_id, fields in self._next(connection, last_id):
                    last_id = self.last_id = entry_id
                    # One that was deleted meanwhile has no fields.
                    self._read(entry_id, dict(zip(fields[::2], fields[1::2], strict=True)) if fields else {})
                self._runner.breathe()
        finally:
            self.is_reading = False
            connection.disconnect()

    def _end(self, connection: Connection) -> bytes:
        connection.send_command(b"XREVRANGE", self._stream, b"+", b"-", b"COUNT", b"1")
        entries = connection.read_response(disable_decoding=True)
        if entries:
            return bytes(entries[0][0])
        # Of a stream with nothing in it nobody could say later whether something was there and had to go.
        connection.send_command(b"XADD", self._stream, b"*", *FIRST)
        return bytes(connection.read_response(disable_decoding=True))

    def _next(self, connection: Connection, after: bytes) -> list[Any]:
        """Wait for the next entries; none after some time without any."""
        connection.send_command(b"XREAD", b"COUNT", MANY, b"BLOCK", self._block, b"STREAMS", self._stream, after)
        answer = connection.read_response(disable_decoding=True)
        return list(answer[0][1]) if answer else []
