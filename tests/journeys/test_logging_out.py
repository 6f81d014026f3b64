"""Logging out of a web.py application ends the connections of that session, and their clients stay away."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import socketio
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_websocket

from tests.conformance.targets import require_node
from tests.raw import RawClient, get, post, sid_of
from tests.serving import CLIENTS, Server, serve, wait_for

OPEN = "/socket.io/?EIO=4&transport="
COOKIE = "webpy_session_id"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve("login", recovery=True) as running:
        yield running
        assert "Traceback" not in running.log


@pytest.fixture
def visitor(server: Server) -> Iterator[requests.Session]:
    """Somebody who is logged in."""
    with requests.Session() as browser:
        browser.post(server.url + "/login", timeout=5)
        yield browser


def log_out(server: Server, browser: requests.Session) -> str:
    return browser.post(server.url + "/logout", timeout=5).text


def noted(server: Server) -> list[Any]:
    return list(requests.get(server.url + "/noted", timeout=5).json())


class Followed(socketio.Client):  # type: ignore[misc]
    """python-socketio's client, with a note of why it lost each namespace."""

    def __init__(self) -> None:
        super().__init__(reconnection_delay=0.05, randomization_factor=0)
        self.lost: dict[str, str] = {}
        for namespace in ("/", "/admin"):
            self.on("disconnect", lambda reason, namespace=namespace: self.lost.update({namespace: reason}), namespace)


@pytest.mark.parametrize("transports", [["polling"], ["websocket"], ["polling", "websocket"]], ids="-".join)
def test_all_connections_of_the_session_end_and_no_others(
    server: Server, visitor: requests.Session, transports: list[str]
) -> None:
    with contextlib.ExitStack() as stack:
        clients = []
        for cookie in (visitor.cookies[COOKIE], visitor.cookies[COOKIE], "another"):
            client = Followed()
            stack.callback(client.shutdown)
            client.connect(
                server.url, headers={"Cookie": f"{COOKIE}={cookie}"}, namespaces=["/", "/admin"], transports=transports
            )
            clients.append(client)
        before = len(noted(server))
        assert log_out(server, visitor) == "ok"
        wait_for(lambda: all(len(client.lost) == 2 for client in clients[:2]))
        wait_for(lambda: not any(client.connected for client in clients[:2]))
        assert {client.lost[namespace] for client in clients[:2] for namespace in client.lost} == {
            clients[0].reason.SERVER_DISCONNECT
        }
        happened = noted(server)[before:]
        assert sorted(happened) == [["disconnect", name, "logged out"] for name in ("/", "/", "/admin", "/admin")]
        assert clients[2].connected
        assert clients[2].call("has cookie")


@pytest.mark.parametrize("package", ["1", "2", "3", "4"])  # in Node, 1.0 sends no cookies
def test_official_clients_stay_away(server: Server, visitor: requests.Session, package: str) -> None:
    require_node()
    before = len(noted(server))
    command = ["node", "--no-deprecation", str(CLIENTS / "logged_out.js"), f"socket.io-client-{package}", server.url]
    cookie = f"{COOKIE}={visitor.cookies[COOKIE]}"
    with subprocess.Popen([*command, cookie], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            for _ in range(4):
                assert json.loads(process.stdout.readline())[1] == "connect"
            assert log_out(server, visitor) == "ok"
            ends = [json.loads(process.stdout.readline()) for _ in range(4)]
            assert [end[1:] for end in ends] == [["disconnect", "io server disconnect"]] * 4
            process.stdin.close()
            assert process.stdout.read() == ""  # for as long as three attempts to reconnect take
        finally:
            process.kill()
    happened = noted(server)[before:]
    assert [what for what, *_ in happened] == ["connect"] * 4 + ["disconnect"] * 4
    assert {why for what, _, why in happened[4:]} == {"logged out"}


def test_a_websocket_is_closed_with_the_code_after_the_goodbyes(server: Server, visitor: requests.Session) -> None:
    cookie = {"Cookie": f"{COOKIE}={visitor.cookies[COOKIE]}"}
    url = server.url.replace("http", "ws") + OPEN + "websocket"
    with connect_websocket(url, additional_headers=cookie, proxy=None) as websocket:
        for packet in ("40", "40/admin,"):
            websocket.send(packet)
        received = [str(websocket.recv(5)) for _ in range(3)]
        log_out(server, visitor)
        assert [websocket.recv(5), websocket.recv(5)] == ["41", "41/admin,"]
        with pytest.raises(ConnectionClosed) as closed:
            websocket.recv(5)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4102, "The user logged out.")
    pid = json.loads(received[1][2:])["pid"]
    with connect_websocket(url, additional_headers=cookie, proxy=None) as websocket:
        websocket.send("40" + json.dumps({"pid": pid, "offset": ""}))
        websocket.recv(5)
        assert json.loads(str(websocket.recv(5))[2:])["pid"] != pid


@pytest.mark.parametrize("obeys", [True, False])
def test_in_the_middle_of_an_upgrade_the_goodbye_still_arrives(obeys: bool) -> None:
    with serve("login", upgrade_timeout=0.5) as server, requests.Session() as browser:
        browser.post(server.url + "/login", timeout=5)
        sid = json.loads(browser.get(server.url + OPEN + "polling", timeout=5).text[1:])["sid"]
        query = f"&sid={sid}"
        browser.post(server.url + OPEN + "polling" + query, "40", timeout=5)
        browser.get(server.url + OPEN + "polling" + query, timeout=5)
        url = server.url.replace("http", "ws") + OPEN + "websocket" + query
        with connect_websocket(url, proxy=None) as websocket:
            websocket.send("2probe")
            assert websocket.recv(5) == "3probe"
            assert log_out(server, browser) == "ok"
            websocket.send("5")
            assert websocket.recv(5) == "41"
            if obeys:
                websocket.close()
            else:
                websocket.send("40")  # it would come in again
                with pytest.raises(ConnectionClosed) as closed:
                    websocket.recv(5)
                assert closed.value.rcvd is not None and closed.value.rcvd.code == 4102
        assert [what for what, *_ in noted(server)] == ["connect", "disconnect"]
        assert "Traceback" not in server.log


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_a_session_that_begins_with_the_handshake(server: Server, transport: str) -> None:
    before = len(noted(server))
    with contextlib.ExitStack() as stack:
        if transport == "polling":
            client = stack.enter_context(contextlib.closing(RawClient(("127.0.0.1", server.port))))
            answer = client.ask(get(OPEN + transport))
            assert client.ask(post(f"{OPEN}polling&sid={sid_of(answer)}", "40")).body == b"ok"
            cookie = answer.headers["Set-Cookie"]
        else:
            url = server.url.replace("http", "ws") + OPEN + transport
            websocket = stack.enter_context(connect_websocket(url, proxy=None))
            websocket.send("40")
            assert websocket.response is not None
            cookie = websocket.response.headers["Set-Cookie"]
        found = re.match(rf"{COOKIE}=([0-9a-f]+)", cookie)
        assert found is not None
        assert wait_for(lambda: noted(server)[before:]) == [["connect", "/", found[1]]]
        with requests.Session() as browser:
            browser.cookies.set(COOKIE, found[1])
            assert log_out(server, browser) == "ok"
        wait_for(lambda: noted(server)[before + 1 :] == [["disconnect", "/", "logged out"]])


def test_nobody_is_connected(server: Server, visitor: requests.Session) -> None:
    assert log_out(server, visitor) == "no socket"
