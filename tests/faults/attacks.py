"""Inputs sent to a server over real ports, as many on one connection as the protocol allows.

Each attack is one connection, or one session, drawn from a seed, and returns how many inputs the server has judged:
what comes behind the one that ended it does not count.
"""

from __future__ import annotations

import contextlib
import random
import re
import socket
from collections.abc import Iterator

from tests.faults.exchanges import (
    UPGRADE,
    frame,
    frames,
    head,
    jsonp_form,
    mutated,
    odd_frame,
    payload,
    post,
    proxied,
    requests,
)  # fmt: skip
from tests.faults.mutations import mutate

PATIENCE = 20.0
#: Inputs on one connection.
MOST = 40
SID = re.compile(rb'"sid":"([^"]+)"')
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
#: The address of a proxy that the server believes.
PROXY = "127.0.0.2"
GENERATIONS = ("4", "4", "3")
KINDS = ("websocket", "polling", "upgrade", "http", "proxy")


class Attacker:
    """Attacks one server."""

    def __init__(self, port: int) -> None:
        self._port = port

    def attack(self, kind: str, seed: str) -> int:
        """Make one attack; return how many inputs it had. Raises TimeoutError if the server falls silent."""
        rng = random.Random(seed)
        return int(getattr(self, f"_{kind}")(rng))

    def exchange(self, data: bytes) -> bytes:
        """Send something on a connection of its own; return what comes until the server is done, too."""
        with self._connection() as sock:
            return _exchange(sock, data)

    @contextlib.contextmanager
    def _connection(self, source: str = "127.0.0.1") -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self._port), PATIENCE, (source, 0)) as sock:
            yield sock

    # Kinds.

    def _websocket(self, rng: random.Random) -> int:
        """Messages and frames on a WebSocket, with a ping after each, to see how far the server got."""
        revision = rng.choice(GENERATIONS)
        data = head(b"GET", b"EIO=%b&transport=websocket" % revision.encode(), UPGRADE) + frame(1, b"40")
        count = rng.randint(1, MOST)
        for number in range(count):
            packets = mutated(rng, revision)
            data += odd_frame(rng, packets) if rng.random() < 0.1 else frames(rng, packets)
            data += frame(9, b"input%03d" % number)
        with self._connection() as sock:
            answer = _exchange(sock, data)
        return min(count, answer.count(b"input") + 1)

    def _upgrade(self, rng: random.Random) -> int:
        """A WebSocket that wants to take over a session."""
        revision = rng.choice(GENERATIONS).encode()
        with self._connection() as polling, self._connection() as sock, self._connection() as last:
            query = b"EIO=%b&transport=polling" % revision
            sid = _open(polling, query)
            polling.sendall(head(b"GET", query + b"&sid=" + sid))
            steps = [frame(1, b"2probe"), frame(1, b"5"), frame(1, b'42["message","x"]')]
            if rng.random() < 0.5:
                steps.insert(rng.randint(0, 3), frames(rng, mutated(rng, revision.decode())))
            else:
                steps[rng.randrange(3)] = odd_frame(rng, mutated(rng, revision.decode()))
            ask = head(b"GET", b"EIO=%b&transport=websocket&sid=%b" % (revision, sid), UPGRADE)
            _exchange(sock, ask + b"".join(steps))
            _exchange(last, post(query + b"&sid=" + sid, b"1" if revision == b"4" else b"1:1"))
            _exchange(polling, b"")
        return 1

    def _polling(self, rng: random.Random) -> int:
        """Bodies of POSTs, with text, binary, or in forms."""
        revision = rng.choice(GENERATIONS)
        with self._connection() as sock:
            way = rng.choice((b"", b"", b"&j=1", b"&b64=1")) if revision == "3" else rng.choice((b"", b"", b"&j=1"))
            query = b"EIO=%b&transport=polling" % revision.encode() + way
            query += b"&sid=" + _open(sock, query)
            data = post(query, _body(payload([(True, b"40")], revision, False), way))
            count = rng.randint(1, MOST)
            for _ in range(count):
                data += self._post(rng, query, revision, way)
            data += post(query, _body(payload([(True, b"1")], revision, False), way))
            answer = _exchange(sock, data)
        statuses = STATUS.findall(answer)
        return min(count, 1 + statuses[1:].count(b"200"))

    def _post(self, rng: random.Random, query: bytes, revision: str, way: bytes) -> bytes:
        is_binary = revision == "3" and not way and rng.random() < 0.5
        body = payload(mutated(rng, revision), revision, is_binary)
        if rng.random() < 0.2:
            body = mutate(rng, body, payload(mutated(rng, revision), revision, is_binary))
        body = _body(body, way)
        if way == b"&j=1" and rng.random() < 0.2:
            body = mutate(rng, body, body)
        return post(query, body, b"application/octet-stream" if is_binary else b"text/plain;charset=UTF-8")

    def _http(self, rng: random.Random) -> int:
        """Requests."""
        with self._connection() as session, self._connection() as sock:
            known = requests(_open(session, b"EIO=4&transport=polling"))
            _exchange(sock, mutate(rng, rng.choice(known), rng.choice(known)))
        return 1

    def _proxy(self, rng: random.Random) -> int:
        """What a proxy says first."""
        with self._connection(PROXY) as sock:
            _exchange(sock, proxied(rng) + head(b"GET", b"EIO=4&transport=polling", b"Connection: close\r\n"))
        return 1


def _body(body: bytes, way: bytes) -> bytes:
    return jsonp_form(body) if way == b"&j=1" else body


def _open(sock: socket.socket, query: bytes) -> bytes:
    """Open a session by polling, and return its id."""
    sock.sendall(head(b"GET", query))
    data = b""
    while (match := SID.search(data.replace(b"\\", b""))) is None:
        piece = sock.recv(65536)
        assert piece, data
        data += piece
    return match[1]


def _exchange(sock: socket.socket, data: bytes) -> bytes:
    """Send everything, and that it is all; return what comes until the server is done, too."""
    answer = bytearray()
    with contextlib.suppress(OSError):
        sock.settimeout(0.0)
        while data:
            try:
                data = data[sock.send(data) :]
            except BlockingIOError:  # it does not read on before we do
                sock.settimeout(PATIENCE)
                answer += sock.recv(65536)
                sock.settimeout(0.0)
        sock.settimeout(PATIENCE)
        sock.shutdown(socket.SHUT_WR)
    with contextlib.suppress(ConnectionError):
        while piece := sock.recv(65536):
            answer += piece
    return bytes(answer)
