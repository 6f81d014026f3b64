"""HTTP responses on connections that are kept: when one is whole, and whether it is a good one."""

from __future__ import annotations

import socket

from load import RECEIVE_BYTES, Disconnected, WrongData


class Response:
    """Takes the bytes of one connection and gives the body when a response is whole."""

    __slots__ = ("_data", "_sock")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._data = b""

    def body(self) -> bytes | None:
        """The body, or None while the response is incomplete."""
        data = self._sock.recv(RECEIVE_BYTES)
        if not data:
            raise Disconnected("the server closed a keep-alive connection")
        self._data += data
        head, found, rest = self._data.partition(b"\r\n\r\n")
        if not found:
            return None
        length = content_length(head)
        body = _unchunked(rest) if length is None else rest
        if body is None or (length is not None and len(body) < length):
            return None
        if length is not None and len(body) > length:
            raise WrongData(f"{body[length:]!r} after a response")
        self._data = b""
        return body


def _unchunked(rest: bytes) -> bytes | None:
    """The body of a chunked response if it is whole; whatever stands behind the last chunk is an error."""
    pieces = []
    while True:
        size, found, rest = rest.partition(b"\r\n")
        if not found or len(rest) < (length := int(size, 16)) + 2:
            return None
        pieces.append(rest[:length])
        if rest[length : length + 2] != b"\r\n":
            raise WrongData(f"no end of a chunk in {rest!r}")
        rest = rest[length + 2 :]
        if not length:
            break
    if rest:
        raise WrongData(f"{rest!r} after a response")
    return b"".join(pieces)


def content_length(head: bytes) -> int | None:
    """What the head of a good response says about its body: its length, or None for chunks."""
    if not head.startswith(b"HTTP/1.1 200 "):
        raise WrongData(f"the server answered {head!r}")
    head = head.lower()
    if b"\r\ntransfer-encoding: chunked" in head:
        return None
    start = head.find(b"\r\ncontent-length:")
    if start < 0 or b"\r\nconnection: close" in head:
        raise WrongData(f"no keep-alive response of known length: {head!r}")
    return int(head[start + 17 :].split(b"\r\n", 1)[0])
