"""Engine.IO protocol 4: the change from polling to WebSocket."""

from __future__ import annotations

import time

import pytest

from tests.conformance.phrases import (
    echo,
    event,
    is_refusal,
)
from tests.conformance.targets import StartServer, differs, ours_only
from tests.conformance.wire import (
    Exchange,
    PollingClient,
    WebSocketClient,
    let_read,
    open_candidate,
    probe,
    rejection_of,
    upgrade,
)
from tests.serving import Server


def test_upgrade(polling: PollingClient) -> None:
    polling.join()
    held = polling.hold_get()
    let_read(polling.server)
    candidate = open_candidate(polling)
    probe(candidate)
    assert held.answer()[::2] == (200, b"6")
    candidate.send("5")
    candidate.echoes()


def test_get_while_upgrading_is_released(polling: PollingClient) -> None:
    candidate = open_candidate(polling)
    probe(candidate)
    for _ in range(3):
        assert polling.get()[::2] == (200, b"6")
    candidate.close()


def test_data_while_upgrading(polling: PollingClient) -> None:
    polling.join()
    candidate = open_candidate(polling)
    probe(candidate)
    polling.send(event("by polling"))
    polling.receives(echo("by polling"))
    polling.send(event("a"), event("b"))
    candidate.send("5")
    candidate.receives(echo("a"), echo("b"))
    candidate.echoes()


def test_get_before_the_probe_is_held(polling: PollingClient) -> None:
    polling.join()
    candidate = open_candidate(polling)
    held = polling.hold_get()
    assert held.is_silent(0.05)
    polling.send(event("x"))
    assert held.answer().text == echo("x")
    candidate.close()


def test_probe_may_be_repeated(polling: PollingClient) -> None:
    polling.join()
    candidate = open_candidate(polling)
    probe(candidate)
    probe(candidate)
    candidate.send("5")
    candidate.echoes()


def test_upgrade_without_a_probe(polling: PollingClient) -> None:
    polling.join()
    candidate = open_candidate(polling)
    candidate.send("5")
    candidate.echoes()


def test_get_pending_when_the_upgrade_ends(polling: PollingClient) -> None:
    polling.join()
    held = polling.hold_get()
    let_read(polling.server)
    candidate = open_candidate(polling)
    candidate.send("5")
    assert held.answer()[::2] == (200, differs(b"6", node=b"1"))
    candidate.echoes()


@ours_only
def test_post_unfinished_when_the_upgrade_ends(polling: PollingClient) -> None:
    polling.join()
    body = event("in two halves").encode()
    post = polling.begin_post(len(body))
    post.send(body[:10])
    let_read(polling.server)
    candidate = open_candidate(polling)
    probe(candidate)
    candidate.send("5")
    let_read(polling.server)
    post.send(body[10:])
    assert post.answer()[::2] == (200, b"ok")
    candidate.receives(echo("in two halves"))
    candidate.echoes()


WRONG_IN_A_PROBE = ["2", "2x", "3", "4hello", "40", "6", "0", "abc", "", b"\x01\x02", "bAQID"]


@pytest.mark.parametrize("packet", WRONG_IN_A_PROBE)
def test_wrong_packet_ends_the_candidate_only(polling: PollingClient, packet: str | bytes) -> None:
    candidate = open_candidate(polling)
    candidate.provoke(packet)
    candidate.wait_closed()
    polling.join()
    upgrade(polling).echoes()


def test_candidate_that_leaves(polling: PollingClient) -> None:
    polling.join()
    candidate = open_candidate(polling)
    probe(candidate)
    candidate.close()
    polling.echoes()
    upgrade(polling).echoes()


def test_upgrade_that_takes_too_long(servers: StartServer) -> None:
    client = PollingClient(servers(upgrade_timeout=0.3, connect_timeout=0.5))
    client.join()
    candidate = open_candidate(client)
    probe(candidate)
    started = time.monotonic()
    candidate.wait_closed()
    assert 0.2 < time.monotonic() - started < 5
    client.echoes()


def test_second_candidate_is_refused(polling: PollingClient) -> None:
    polling.join()
    first = open_candidate(polling)
    assert rejection_of(polling.server, sid=polling.sid) == differs(400, node="closed")
    probe(first)
    assert rejection_of(polling.server, sid=polling.sid) == differs(400, node="closed")
    first.send("5")
    first.echoes()


def test_second_websocket_after_the_upgrade(polling: PollingClient) -> None:
    polling.join()
    first = upgrade(polling)
    first.echoes()
    assert rejection_of(polling.server, sid=polling.sid) == differs(400, node="closed")
    first.echoes()


@ours_only
def test_second_websocket_of_a_session_born_on_websocket(websocket: WebSocketClient) -> None:
    assert rejection_of(websocket.server, sid=websocket.sid) == 400
    websocket.echoes()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_polling_after_the_upgrade(polling: PollingClient, method: str) -> None:
    polling.join()
    socket = upgrade(polling)
    socket.echoes()
    answer = Exchange(polling.server).start(method, polling.target(), {}, b"3" if method == "POST" else None).answer()
    assert is_refusal(answer, 3), answer
    socket.echoes()


def test_get_right_behind_the_upgrade(polling: PollingClient) -> None:
    polling.join()
    candidate = open_candidate(polling)
    probe(candidate)
    candidate.send("5")
    assert polling.get().status == 400
    candidate.echoes()


@ours_only
def test_upgrade_that_was_not_allowed(servers: StartServer) -> None:
    client = PollingClient(servers(allow_upgrades=False))
    assert client.handshake["upgrades"] == []
    assert rejection_of(client.server, sid=client.sid) == 400
    client.join()


CLOSINGS = [("1", "client leaves"), ("abc", "malformed packet"), ("42{}", "broken rule")]


@pytest.mark.parametrize("body", [row[0] for row in CLOSINGS], ids=[row[1] for row in CLOSINGS])
def test_candidate_ends_with_its_session(polling: PollingClient, body: str) -> None:
    polling.join()
    candidate = open_candidate(polling)
    probe(candidate)
    polling.post(body)
    polling.drain()
    candidate.wait_closed()


def test_heartbeat_goes_on_after_the_upgrade(quick: Server) -> None:
    client = PollingClient(quick)
    client.join()
    socket = upgrade(client)
    for _ in range(3):
        socket.receives("2")
        socket.send("3")
    socket.receives("2")
    socket.wait_closed()


@ours_only
def test_ping_that_was_outstanding_at_the_upgrade(strict: Server) -> None:
    client = PollingClient(strict)
    assert client.get().body == b"2"
    socket = upgrade(client)
    socket.wait_closed(1)


@ours_only
def test_pong_after_the_upgrade(quick: Server) -> None:
    client = PollingClient(quick)
    assert client.get().body == b"2"
    socket = upgrade(client)
    socket.send("3")
    socket.receives("2")
    socket.send("3")
    socket.receives("2")
