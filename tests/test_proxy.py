"""The proxy that other tests lose their connections with."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.proxy import HOST, CuttingProxy
from tests.serving import free_port

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def target() -> Iterator[socket.socket]:
    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(10)
        yield listener


@pytest.fixture
def proxy(target: socket.socket) -> Iterator[CuttingProxy]:
    with CuttingProxy(target.getsockname()[1]) as proxy:
        yield proxy


@pytest.fixture
def pair(proxy: CuttingProxy, target: socket.socket) -> Iterator[Pair]:
    with connect(proxy) as client, target.accept()[0] as server:
        server.settimeout(10)
        yield client, server


def connect(proxy: CuttingProxy) -> socket.socket:
    return socket.create_connection((HOST, proxy.port), 10)


def silent(connection: socket.socket) -> bool:
    """Nothing to read, not even an end."""
    connection.setblocking(False)
    try:
        connection.recv(1)
    except BlockingIOError:
        return True
    finally:
        connection.settimeout(10)
    return False


def receive(connection: socket.socket, size: int) -> bytes:
    return connection.recv(size, socket.MSG_WAITALL)


def test_forwards_both_ways_and_the_end(pair: Pair) -> None:
    client, server = pair
    client.sendall(b"question")
    assert receive(server, 8) == b"question"
    client.shutdown(socket.SHUT_WR)
    assert server.recv(1) == b""
    server.sendall(b"answer")
    server.close()
    assert receive(client, 6) == b"answer"
    assert client.recv(1) == b""


def test_forwards_more_than_buffers_hold(pair: Pair) -> None:
    client, server = pair
    data = bytes(range(256)) * 40000
    client.setblocking(False)
    sent, got = 0, b""
    while len(got) < len(data):
        if sent < len(data):
            try:
                sent += client.send(data[sent:])
                continue
            except BlockingIOError:
                pass
        got += server.recv(1 << 20)
    assert got == data


def test_a_reset_is_passed_on(proxy: CuttingProxy, target: socket.socket) -> None:
    with CuttingProxy(proxy.port) as outer, connect(outer) as client, target.accept()[0]:
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_cut_resets(proxy: CuttingProxy, pair: Pair) -> None:
    assert proxy.cut() == 1
    for connection in pair:
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    assert proxy.cut() == 0


def test_cut_ends_politely(proxy: CuttingProxy, pair: Pair) -> None:
    assert proxy.cut(reset=False) == 1
    for connection in pair:
        assert connection.recv(1) == b""


def test_connects_again_after_a_cut(proxy: CuttingProxy, pair: Pair, target: socket.socket) -> None:
    proxy.cut()
    with connect(proxy) as client, target.accept()[0] as server:
        client.sendall(b"again")
        assert receive(server, 5) == b"again"


def test_hold_and_release(proxy: CuttingProxy, pair: Pair, target: socket.socket) -> None:
    client, server = pair
    proxy.hold()
    client.sendall(b"held")
    server.close()
    with connect(proxy) as late, target.accept()[0] as its_server:
        late.sendall(b"late")
        proxy.hold()  # whatever was on its way to the proxy's thread would have been forwarded by now
        assert silent(client)
        assert silent(its_server)
        proxy.release()
        assert receive(its_server, 4) == b"late"
    assert client.recv(1) == b""


def test_cut_while_holding(proxy: CuttingProxy, pair: Pair, target: socket.socket) -> None:
    client, server = pair
    proxy.hold()
    client.sendall(b"lost")
    proxy.cut()
    with pytest.raises(ConnectionResetError):
        server.recv(1)
    with connect(proxy) as late, target.accept()[0] as its_server:
        late.sendall(b"late")
        proxy.release()
        assert receive(its_server, 4) == b"late"


def test_refuse(proxy: CuttingProxy, pair: Pair) -> None:
    client, server = pair
    proxy.refuse()
    with pytest.raises(ConnectionResetError), connect(proxy) as late:
        late.recv(1)
    client.sendall(b"alive")
    assert receive(server, 5) == b"alive"
    proxy.release()
    with connect(proxy) as late:
        assert proxy.cut() == 2
        with pytest.raises(ConnectionResetError):
            late.recv(1)


def test_a_target_that_does_not_listen() -> None:
    with CuttingProxy(free_port()) as proxy, pytest.raises(ConnectionResetError), connect(proxy) as client:
        client.recv(1)
