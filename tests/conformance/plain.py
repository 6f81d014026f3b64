"""A plain WebSocket, frame by frame: nothing is answered, put together or put right behind a test's back."""

from __future__ import annotations

import contextlib
import http.client
from typing import NamedTuple

from tests.conformance.wire import (
    CLOSE,
    PATIENCE,
    PING,
    PONG,
    TEXT,
    Address,
    Answer,
    frame,
    send_raw,
    upgrade_request,
)


class Frame(NamedTuple):
    """A frame of a server: its first byte's bits, and what it carries."""

    opcode: int
    data: bytes
    fin: bool = True
    reserved: int = 0


class PlainClient:
    """One WebSocket at a path, or the answer that came instead of it."""

    def __init__(self, server: Address, path: str = "/ws/", headers: dict[str, str] | None = None) -> None:
        self.sock = send_raw(server, upgrade_request(path, headers))
        self._response = response = http.client.HTTPResponse(self.sock)
        response.begin()
        is_open = response.status == 101
        self.opening = Answer(response.status, response.headers, b"" if is_open else response.read())
        # The first frames may have come with the answer.
        self._file = response.fp if is_open else self.sock.makefile("rb")
        self.sock.settimeout(PATIENCE)

    def send(self, *frames: bytes, chop: int = 0) -> PlainClient:
        """Send frames in one piece, or in pieces of so many bytes; until the server has enough."""
        data = b"".join(frames)
        size = chop or len(data) or 1
        with contextlib.suppress(ConnectionError):
            for start in range(0, len(data), size):
                self.sock.sendall(data[start : start + size])
        return self

    def frame(self) -> Frame | None:
        """The next frame; None at the end of the connection."""
        head = self._file.read(2)
        if len(head) < 2:
            return None
        length = head[1]
        if length > 125:
            length = int.from_bytes(self._file.read(2 if length == 126 else 8), "big")
        return Frame(head[0] & 15, self._file.read(length), bool(head[0] & 128), head[0] >> 4 & 7)

    def expect(self, opcode: int, data: bytes) -> None:
        """Check what comes next."""
        received = self.frame()
        assert received is not None
        assert received._replace(data=b"") == Frame(opcode, b"")
        assert received.data == data

    def echoes(self, opcode: int = TEXT, data: bytes = b"still here") -> None:
        """Check that the WebSocket is alive."""
        self.send(frame(opcode, data))
        self.expect(opcode, data)

    def answers(self, data: bytes = b"") -> None:
        """Check that a ping is answered next."""
        self.send(frame(PING, data))
        self.expect(PONG, data)

    def rest(self) -> list[Frame]:
        """All frames up to the end of the connection."""
        with contextlib.suppress(ConnectionError):
            return list(iter(self.frame, None))  # type: ignore[arg-type]
        return []

    def ends(self, code: int, before: tuple[tuple[int, bytes], ...] = ()) -> None:
        """Check that the server closes with a code, after these frames and nothing else."""
        *others, last = self.rest()
        assert [(each.opcode, each.data) for each in others] == list(before)
        assert last.opcode == CLOSE
        assert (int.from_bytes(last.data[:2], "big") if last.data else 1005) == code
        last.data[2:].decode()

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self.sock.close()


def close_frame(code: int, reason: bytes = b"") -> bytes:
    """A close frame."""
    return frame(CLOSE, code.to_bytes(2, "big") + reason)
