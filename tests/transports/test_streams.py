"""Raw connections: nothing is lost, doubled or held up by a kernel that is full."""

from __future__ import annotations

import _socket
from collections.abc import Iterator

import gevent
import pytest
from gevent.event import Event

from webpy_socketio.transports.streams import Connection, Stream


class Pair:
    """A stream, and the raw socket at the other end."""

    def __init__(self) -> None:
        raw, self.other = _socket.socketpair()
        for end in (raw, self.other):
            end.setblocking(False)
        raw.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDBUF, 4096)
        self.stream = Stream(raw)

    def read(self, size: int) -> bytes:
        """Read so many bytes at the other end, letting the loop run meanwhile."""
        data = b""
        while len(data) < size:
            try:
                data += self.other.recv(65536)
            except BlockingIOError:
                gevent.sleep(0.001)
        return data


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.stream.close()
    pair.other.close()


def test_what_the_kernel_takes_is_gone_at_once(pair: Pair) -> None:
    assert pair.stream.send(b"hello")
    assert not pair.stream.is_blocked
    assert pair.read(5) == b"hello"


def test_what_the_kernel_does_not_take_goes_first(pair: Pair) -> None:
    drained = Event()
    pair.stream.on_drained = drained.set
    large = bytes(range(256)) * 4000
    assert not pair.stream.send(large)
    assert pair.stream.is_blocked
    assert not pair.stream.send(b"after")
    assert pair.read(len(large) + 5) == large + b"after"
    assert drained.wait(5)
    assert not pair.stream.is_blocked
    assert pair.stream.send(b"again")


def test_receive_tells_data_from_nothing_from_the_end(pair: Pair) -> None:
    assert pair.stream.receive() is None
    pair.other.send(b"hello")
    assert pair.stream.receive() == b"hello"
    pair.other.close()
    assert pair.stream.receive() == b""


def test_listen_and_pause(pair: Pair) -> None:
    got: list[bytes | None] = []
    arrived = Event()
    pair.stream.listen(lambda: (got.append(pair.stream.receive()), arrived.set()))
    pair.other.send(b"one")
    assert arrived.wait(5)
    pair.stream.pause()
    pair.other.send(b"two")
    gevent.sleep(0.01)
    assert got == [b"one"]
    arrived.clear()
    pair.stream.listen(lambda: (got.append(pair.stream.receive()), arrived.set()))
    assert arrived.wait(5)
    assert got == [b"one", b"two"]


def test_after_close_everything_is_an_error(pair: Pair) -> None:
    pair.stream.close()
    pair.stream.close()
    for attempt in (lambda: pair.stream.send(b"x"), pair.stream.receive, pair.stream.half_close):
        with pytest.raises(OSError, match=r"\[Errno 9\]"):
            attempt()


def test_half_close_ends_the_other_sides_reading(pair: Pair) -> None:
    pair.stream.half_close()
    assert pair.other.recv(1) == b""
    pair.other.send(b"still")
    assert pair.stream.receive() == b"still"


def test_a_client_that_hangs_up_while_it_waits_is_noticed() -> None:
    ours, theirs = gevent.socket.socketpair()
    gone = Event()
    stop = Connection(ours).watch_end(gone.set)
    gevent.sleep(0.01)
    assert not gone.is_set()
    theirs.close()
    assert gone.wait(5)
    stop()
    ours.close()


def test_a_request_that_comes_early_is_no_end() -> None:
    ours, theirs = gevent.socket.socketpair()
    gone = Event()
    stop = Connection(ours).watch_end(gone.set)
    theirs.send(b"GET / HTTP/1.1")
    gevent.sleep(0.01)
    assert not gone.is_set()
    assert ours.recv(100) == b"GET / HTTP/1.1"
    stop()
    ours.close()
    theirs.close()
