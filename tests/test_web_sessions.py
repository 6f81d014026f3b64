"""Logging out: the connections of a web session end, in every state that they may be in, and nothing else does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from webpy_socketio import EventError, NoSocket, Refused, disconnect_session, to
from webpy_socketio.events import Events
from webpy_socketio.identifiers import is_private, new_id, private_channel
from webpy_socketio.reasons import LOGGED_OUT
from webpy_socketio.shortcuts import set_current
from webpy_socketio.sockets import Socket
from webpy_socketio.testing import TestClient, TestServer
from webpy_socketio.web_sessions import WEB_SESSION


class Noted:
    """What the handlers noticed, and what they shall do."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.sockets: dict[str, Socket] = {}
        #: What the client's ``on_connect`` does.
        self.on_connect: Any = lambda socket: None


@pytest.fixture
def noted() -> Noted:
    return Noted()


@pytest.fixture
def events(noted: Noted) -> Events:
    events = Events()

    def connect(request: Any, socket: Socket, context: Any) -> Any:
        noted.sockets[socket.namespace] = socket
        return noted.on_connect(socket)

    def message(request: Any, socket: Socket, context: Any, message: Any) -> None:
        noted.events.append(message)
        if message == "log me out":
            disconnect_session("abc")

    for namespace in ("/", "/chat"):
        events.on_connect(namespace=namespace)(connect)
        events.on_message(namespace=namespace)(message)
        events.on_disconnect(namespace=namespace)(
            lambda request, socket, context: noted.events.append(f"{socket.namespace} {socket.reason}")
        )
    return events


@pytest.fixture
def server(events: Events) -> Iterator[TestServer]:
    with TestServer(events, recovery=True) as server:
        yield server


def client_of(server: TestServer, web_session_id: str | None = "abc") -> TestClient:
    return server.client({} if web_session_id is None else {WEB_SESSION: web_session_id})


def holders(server: TestServer) -> dict[str, Any]:
    """Whoever belongs to a web session."""
    return server.node.services.web_sessions._holders


def test_all_connections_of_a_web_session_end_and_no_others(server: TestServer, noted: Noted) -> None:
    clients = [client_of(server), client_of(server), client_of(server, "other"), client_of(server, None)]
    for client in clients:
        client.connect()
    clients[0].connect("/chat")
    disconnect_session("abc")
    assert [client.kicked for client in clients] == [["/", "/chat"], ["/"], [], []]
    assert [client.connected for client in clients] == [False, False, True, True]
    assert noted.events == ["/ logged out", "/chat logged out", "/ logged out"]
    assert clients[0].session.reason is LOGGED_OUT
    assert server.hub.counters.ended["logged out"] == 2
    assert list(holders(server)) == [private_channel("other")]


def test_there_are_none(server: TestServer) -> None:
    client_of(server, "other").connect()
    with pytest.raises(NoSocket, match="no connection belongs to this web session"):
        disconnect_session("abc")
    for wrong in ("", None, 5, b"abc"):
        with pytest.raises(EventError, match="the id of a web session is a text"):
            disconnect_session(wrong)  # type: ignore[arg-type]
    set_current(None)
    with pytest.raises(NoSocket):
        disconnect_session("other")


def test_nobody_belongs_to_it_who_has_left(server: TestServer) -> None:
    client = client_of(server)
    client.connect()
    client.connect("/chat")
    client.disconnect("/")
    assert len(holders(server)[private_channel("abc")]) == 2
    client.disconnect("/chat")
    client.close()
    assert holders(server) == {}


def test_a_connection_that_has_not_joined_yet(server: TestServer) -> None:
    client = client_of(server)
    disconnect_session("abc")
    assert not client.connected
    assert (client.connect(), client.kicked, client.refusals) == (False, [], {})
    assert holders(server) == {}


@pytest.mark.parametrize("answer", [None, False])
def test_a_client_that_on_connect_is_deciding_about(server: TestServer, noted: Noted, answer: Any) -> None:
    def log_out(socket: Socket) -> Any:
        disconnect_session("abc")
        assert not socket.connected
        socket.send("too late")
        socket.subscribe("room")
        return answer

    noted.on_connect = log_out
    client = client_of(server)
    assert not client.connect()
    assert client.refusals == {"/": {"message": "The user logged out."}}
    assert (client.connected, client.received) == (False, [])
    assert noted.events == (["/ logged out"] if answer is None else [])
    assert holders(server) == {}
    assert to("room").sockets() == []


def test_a_client_may_be_logged_out_by_its_own_handler_and_is_not_heard_any_more(
    server: TestServer, noted: Noted
) -> None:
    client = client_of(server)
    client.connect()
    client.send("log me out")
    client.send("more")
    assert noted.events == ["log me out", "/ logged out"]
    assert (client.kicked, client.connected) == (["/"], False)


def test_events_that_came_before_but_wait_are_not_handled(server: TestServer, noted: Noted, events: Events) -> None:
    client = client_of(server)

    def slow(request: Any, socket: Socket, context: Any) -> None:
        client.send("behind")
        disconnect_session("abc")

    events.on_event("slow")(slow)
    client.connect()
    client.emit("slow")
    assert noted.events == ["/ logged out"]


def test_one_who_is_waited_for_cannot_come_back(server: TestServer, noted: Noted) -> None:
    client = client_of(server)
    client.connect()
    pid, sid = noted.sockets["/"].pid, client.sids["/"]
    client.close()
    assert (noted.events, holders(server) != {}) == ([], True)
    disconnect_session("abc")
    assert noted.events == ["/ logged out"]
    assert holders(server) == {}
    again = client_of(server)
    assert again.connect(auth={"pid": pid, "offset": None})
    assert again.sids["/"] != sid
    assert not noted.sockets["/"].recovered


@pytest.mark.parametrize("logged_out", ["abc", "new"])
def test_one_who_came_back_belongs_to_both_its_web_sessions(server: TestServer, noted: Noted, logged_out: str) -> None:
    client = client_of(server)
    client.connect()
    pid = noted.sockets["/"].pid
    client.close()
    again = client_of(server, "new")
    assert again.connect(auth={"pid": pid, "offset": None})
    assert again.sids == client.sids
    disconnect_session(logged_out)
    assert (again.kicked, again.connected) == (["/"], False)
    assert holders(server) == {}


def test_who_was_given_up_belongs_to_nothing(server: TestServer) -> None:
    client = client_of(server)
    client.connect()
    client.close()
    server.advance(server.hub.settings.recovery_window + 1)
    assert holders(server) == {}


def test_other_web_sessions_are_told_in_on_connect(server: TestServer, noted: Noted) -> None:
    def tell(socket: Socket) -> None:
        assert socket.web_session_id is None
        socket.web_session_id = "mine"

    noted.on_connect = tell
    client, chatting = client_of(server, None), client_of(server, None)
    client.connect()
    noted.on_connect = lambda socket: None
    client.connect("/chat")
    chatting.connect("/chat")
    disconnect_session("mine")
    assert (client.kicked, client.connected, chatting.connected) == (["/", "/chat"], False, True)


def test_a_web_session_may_change(server: TestServer, noted: Noted) -> None:
    client_of(server, None).connect()
    socket = noted.sockets["/"]
    socket.web_session_id = "first"
    socket.web_session_id = "second"
    with pytest.raises(NoSocket):
        disconnect_session("first")
    with pytest.raises(EventError, match="the id of a web session is a text, not 5"):
        socket.web_session_id = 5  # type: ignore[assignment]
    assert socket.web_session_id == "second"
    socket.web_session_id = None
    assert (socket.web_session_id, holders(server)) == (None, {})
    socket.web_session_id = "third"
    disconnect_session("third")
    socket.web_session_id = "too late"
    assert holders(server) == {}


def test_who_is_refused_belongs_to_nothing(server: TestServer, noted: Noted) -> None:
    def refuse(socket: Socket) -> None:
        socket.web_session_id = "mine"
        raise Refused("no")

    noted.on_connect = refuse
    assert not client_of(server, None).connect()
    assert holders(server) == {}


def test_channels_do_not_show_it(server: TestServer, noted: Noted) -> None:
    client = client_of(server)
    client.connect()
    assert noted.sockets["/"].channels == []
    assert [details.channels for details in to().sockets()] == [[]]
    assert not client.subscribe(private_channel("abc"))


def test_the_private_channel_tells_nothing_of_the_id() -> None:
    channel = private_channel("abc")
    assert is_private(channel)
    assert len(channel) == len(new_id())
    assert channel == private_channel("abc") != private_channel("abd")
    assert not re.search("abc", channel)
    assert is_private(private_channel("\ud800 \x00 ü" * 1000))
