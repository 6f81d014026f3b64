"""Several processes behind ``nginx/cluster.conf``: who gets where, and what happens without affinity."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.conformance.wire import Answer, PollingClient, WebSocketClient, request, upgrade
from tests.nginx.recipes import Nginx, behind_nginx
from tests.raw import RawClient, get, post, sid_of
from tests.serving import Server

OPEN = "/socket.io/?EIO=4&transport=polling"
UNKNOWN = {"code": 1, "message": "Session ID unknown"}
#: Addresses of clients: every one in 127.0.0.0/8 is this host.
ADDRESSES = [f"127.0.0.{number}" for number in range(2, 34)]
REQUESTS = 6


@pytest.fixture(scope="module")
def cluster() -> Iterator[Nginx]:
    """As it is shipped."""
    with behind_nginx("cluster.conf", "conformance") as nginx:
        yield nginx


@pytest.fixture(scope="module")
def turns() -> Iterator[Nginx]:
    """Without affinity: the processes take turns."""
    with behind_nginx("cluster.conf", "conformance", {"hash $affinity consistent;": ""}) as nginx:
        yield nginx


def ask(nginx: Nginx, address: str, data: bytes) -> Answer:
    """Make a request from an address, on a connection of its own."""
    client = RawClient(("127.0.0.1", nginx.port), (address, 0))
    try:
        return client.ask(data)
    finally:
        client.close()


def keeper(nginx: Nginx, sid: str) -> Server:
    """The process that a session is in."""
    query = {"EIO": "4", "transport": "polling", "sid": sid}
    (server,) = (each for each in nginx.servers if request(each, "POST", query, body="6").status == 200)
    return server


def open_session(nginx: Nginx, address: str, *headers: str) -> str:
    """Open a session from an address, and return its id."""
    return sid_of(ask(nginx, address, get(OPEN, *headers)))


def speak(nginx: Nginx, address: str, sid: str, *headers: str) -> Answer:
    """Send a packet for a session."""
    return ask(nginx, address, post(f"{OPEN}&sid={sid}", "6", *headers))


def given_cookie(nginx: Nginx, *headers: str) -> str | None:
    """The cookie that comes with a page."""
    cookie: str | None = ask(nginx, ADDRESSES[0], get("/", *headers)).headers["Set-Cookie"]
    return cookie


def test_a_client_without_cookies_polls_and_upgrades(cluster: Nginx) -> None:
    client = PollingClient(cluster)
    client.join()
    for number in range(REQUESTS):
        client.echoes(str(number))
    upgrade(client).echoes()


def test_addresses_are_spread_and_each_stays(cluster: Nginx) -> None:
    keepers = set()
    for address in ADDRESSES:
        sid = open_session(cluster, address)
        keepers.add(keeper(cluster, sid))
        assert speak(cluster, address, sid).status == 200
    assert keepers == set(cluster.servers)


def test_a_page_gives_a_cookie_to_who_has_none(cluster: Nginx) -> None:
    cookie = given_cookie(cluster)
    assert cookie is not None
    pair, *attributes = cookie.split("; ")
    assert attributes == ["Path=/", "HttpOnly", "SameSite=Lax"]
    assert given_cookie(cluster, f"Cookie: {pair}") is None
    assert given_cookie(cluster, "Cookie: route=x") is not None
    assert ask(cluster, ADDRESSES[0], get(OPEN)).headers["Set-Cookie"] is None


def test_cookies_are_spread_and_lead_back_from_any_address(cluster: Nginx) -> None:
    keepers = set()
    for number in range(len(ADDRESSES)):
        cookie = f"Cookie: other=1; route={number:03x}"
        sid = open_session(cluster, ADDRESSES[0], cookie)
        keepers.add(keeper(cluster, sid))
        assert {speak(cluster, address, sid, cookie).status for address in ADDRESSES[:REQUESTS]} == {200}
    assert keepers == set(cluster.servers)


def test_a_process_that_is_gone_is_replaced() -> None:
    with behind_nginx("cluster.conf", "conformance") as nginx:
        nginx.servers[0].stop()
        for address in ADDRESSES[:REQUESTS]:
            sid = open_session(nginx, address)
            assert speak(nginx, address, sid).status == 200


def test_without_affinity_polling_fails(turns: Nginx) -> None:
    sid = open_session(turns, ADDRESSES[0])
    answers = [speak(turns, ADDRESSES[0], sid) for _ in range(REQUESTS)]
    lost = [json.loads(answer.body) for answer in answers if answer.status == 400]
    assert lost == [UNKNOWN] * (REQUESTS // 2)


def test_without_affinity_websockets_work(turns: Nginx) -> None:
    for _ in range(REQUESTS):
        client = WebSocketClient(turns)
        client.join()
        client.echoes()
        client.close()
