"""Limits that need no network: what callers are told, who counts as one address, how many files may be open."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from tests.fakes import ListeningConversation
from webpy_socketio import LimitExceeded, descriptors
from webpy_socketio.admission import Admission
from webpy_socketio.engine.deadlines import Deadlines
from webpy_socketio.engine.session import Session
from webpy_socketio.errors import RequestRefused
from webpy_socketio.events import Events
from webpy_socketio.forwarded import Forwarded
from webpy_socketio.goodbyes import Goodbyes
from webpy_socketio.hub import Hub
from webpy_socketio.metrics import Counters
from webpy_socketio.settings import load_settings
from webpy_socketio.testing import TestServer
from webpy_socketio.transports.bodies import Patience
from webpy_socketio.transports.workers import Workers
from webpy_socketio.wire.dialects import V4

# Acknowledgements.


def test_a_client_that_answers_nothing_is_asked_only_so_much() -> None:
    events = Events()
    told: list[Any] = []

    @events.on_event("go")
    def go(request: Any, socket: Any, context: Any) -> None:
        for number in range(4):
            try:
                socket.emit("question", number, callback=told.append)
            except LimitExceeded as error:
                told.append(str(error))
        socket.emit("no question")

    with TestServer(events, max_pending_acks=3) as server:
        client = server.client()
        client.connect()
        client.emit("go")
        assert told == ["max_pending_acks: the client has not acknowledged 3 events yet"]
        assert client.received == [*(["question", number] for number in range(3)), ["no question"]]
        assert server.hub.counters.limited == {"max_pending_acks": 1}
        server.advance(60)  # nobody waits for those any more
        client.emit("go")
        assert len(client.received) == 8


def test_a_handler_that_asks_too_much_is_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    events = Events()

    @events.on_event("go")
    def go(request: Any, socket: Any, context: Any) -> None:
        for _ in range(2):
            socket.emit("question", callback=print)

    with TestServer(events, max_pending_acks=1) as server:
        client = server.client()
        client.connect()
        client.emit("go")
    record = next(record for record in caplog.records if "max_pending_acks" in record.getMessage())
    assert record.exc_info is None


# Addresses.


def admission(*proxies: str, **settings: Any) -> Admission:
    workers = Workers()
    settings.setdefault("max_connections_per_address", 1)
    loaded = load_settings({"trusted_proxies": proxies, **settings})
    hub = Hub(loaded, workers, Deadlines(), Counters(), set())  # type: ignore[arg-type]
    return Admission(hub, Forwarded(loaded) if proxies else None)


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("8.8.8.8", "8.8.8.8"),
        ("::ffff:8.8.8.8", "8.8.8.8"),
        ("2a00:1450:4001:810::200e", "2a00:1450:4001:810::/64"),
        ("2a00:1450:4001:810:ffff::", "2a00:1450:4001:810::/64"),
        # Perhaps a proxy that nobody declared, or a whole machine's.
        ("127.0.0.1", None),
        ("127.8.8.8", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("10.0.0.5", None),
        ("172.17.0.1", None),
        ("192.168.1.1", None),
        ("100.64.0.1", None),
        ("169.254.1.1", None),
        ("fd00::1", None),
        ("fe80::1%eth0", None),
        # A Unix socket, and what servers call it.
        ("", None),
        (None, None),
        ("unix", None),
    ],
)
def test_who_is_counted_together(address: str | None, group: str | None) -> None:
    assert admission().admit({} if address is None else {"REMOTE_ADDR": address}) == group
    assert admission(max_connections_per_address=0).admit({"REMOTE_ADDR": address}) is None


@pytest.mark.parametrize(
    ("address", "group"), [("10.0.0.5", None), ("10.1.0.1", "10.1.0.1"), ("fd00::1", "fd00::/64"), ("127.0.0.1", None)]
)
def test_with_a_declared_proxy_private_addresses_are_clients(address: str, group: str | None) -> None:
    assert admission("10.0.0.0/24").admit({"REMOTE_ADDR": address}) == group


def test_sessions_leave_their_group() -> None:
    judge = admission()
    hub = judge._hub
    session = hub.open(
        ListeningConversation.maker(hub.runner), V4, "polling", {}, None, judge.admit({"REMOTE_ADDR": "8.8.8.8"})
    )
    assert hub.groups == {"8.8.8.8": 1}
    with pytest.raises(RequestRefused):
        judge.admit({"REMOTE_ADDR": "8.8.8.8"})
    Goodbyes(hub).end()
    assert not session.is_open
    assert hub.groups == {}


# Rates.


def test_credit_comes_with_time_and_not_beyond_the_burst() -> None:
    settings = load_settings({"message_rate": 10, "message_burst": 5})
    session = Session("x", V4, "websocket", settings, 0.0)
    assert session.credit == 5
    session.credit = 0
    assert session.earn(settings, 0.05) == pytest.approx(0.1)
    assert session.earn(settings, 0.15) == 0
    assert session.credit == 1
    assert session.earn(settings, 100) == 0
    assert session.credit == 5
    session.credit = -1_000  # what came in one piece is forgiven in part
    assert 0 < session.earn(settings, 100) < 1


def test_no_rate_is_no_limit() -> None:
    session = Session("x", V4, "websocket", load_settings({"message_rate": 0}), 0.0)
    assert session.credit > 10**15


def test_patience_grows_with_what_arrives_but_never_beyond_its_beginning() -> None:
    patience = Patience(20)
    patience.spend(15, 1000)
    assert patience.left == 7
    patience.spend(0, 10**6)
    assert patience.left == 20
    patience.spend(100, 0)
    assert patience.left == 0


# Files.


def test_a_process_may_open_as_many_files_as_it_needs() -> None:
    program = (
        "import resource; from webpy_socketio.descriptors import make_room;"
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]; resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard));"
        "make_room(400); print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("500\n", "")


@pytest.mark.parametrize("refuses", [False, True])
def test_the_operator_is_told_if_it_may_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, refuses: bool
) -> None:
    limits = [256, 1000]

    def change(what: int, new: tuple[int, int]) -> None:
        if refuses:
            raise ValueError("not allowed to raise maximum limit")
        limits[:] = new

    fake = SimpleNamespace(RLIMIT_NOFILE=7, RLIM_INFINITY=-1, getrlimit=lambda what: tuple(limits), setrlimit=change)
    monkeypatch.setattr(descriptors, "resource", fake)
    descriptors.make_room(0)
    assert limits == [256, 1000]
    descriptors.make_room(5000)
    assert limits == ([256, 1000] if refuses else [1000, 1000])
    assert f"may open {limits[0]} files, too few for max_connections = 5000" in caplog.text


def test_where_there_is_no_such_limit(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(descriptors, "resource", None)
    descriptors.make_room(10**9)
    assert caplog.text == ""
