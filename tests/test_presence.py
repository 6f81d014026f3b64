"""Who is in a channel: in memory, by everything that lets a client come and go."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from webpy_socketio import (
    EventError,
    NoSocket,
    Presence,
    disconnect_session,
    metrics_collector,
    presence,
    shortcuts,
    to,
)
from webpy_socketio.events import Events
from webpy_socketio.reasons import TRANSPORT_CLOSE
from webpy_socketio.sockets import Socket
from webpy_socketio.testing import TestClient, TestServer

GRACE = 3.0


class Hall:
    """A server with presence in ``hall-...`` (told to clients) and ``silent-...``, and what its handlers saw."""

    def __init__(self, **settings: Any) -> None:
        self.events = Events()
        self.events.channel_presence("hall-", clients=True)
        self.events.channel_presence("silent-")
        self.seen: list[tuple[str, str, Any]] = []
        self.sockets: list[Socket] = []
        for namespace in ("/", "/chat"):
            self.events.on_connect(self.connected, namespace=namespace)
            self.events.on_join(lambda channel, one: self.seen.append(("join", channel, one.user)), namespace=namespace)
            self.events.on_leave(
                lambda channel, one: self.seen.append(("leave", channel, one.user)), namespace=namespace
            )
        self.server = TestServer(self.events, **settings)

    def connected(self, request: Any, socket: Socket, context: dict[str, Any]) -> None:
        """Clients say who they are."""
        socket.user = socket.auth.get("user")
        socket.web_session_id = socket.auth.get("web_session")
        for channel in socket.auth.get("channels", ()):
            socket.subscribe(channel)
        self.sockets.append(socket)

    def enter(self, user: Any, *channels: str, namespace: str = "/", **auth: Any) -> TestClient:
        """A client of a user in some channels."""
        client = self.server.client()
        assert client.connect(namespace, {"user": user, **auth})
        for channel in channels:
            assert client.subscribe(channel, namespace)
        return client

    def told(self) -> list[tuple[str, str, Any]]:
        """What the handlers saw since this was asked last."""
        seen, self.seen = self.seen, []
        return seen


@pytest.fixture
def hall() -> Iterator[Hall]:
    hall = Hall()
    with hall.server:
        yield hall


def events_of(client: TestClient) -> list[dict[str, Any]]:
    """What a client was told, without times; they are forgotten."""
    told = [args[0] for name, *args in client.received if name == "presence"]
    client.received.clear()
    for event in told:
        for one in event.get("here", [event[what] for what in event if what == "join"]):
            assert one.pop("since") > 1e9
    return told


def test_tabs_of_one_user_are_one(hall: Hall) -> None:
    first = hall.enter("anna", "hall-1")
    second = hall.enter("anna", "hall-1")
    hall.enter(7, "hall-1")
    [anna, seven] = presence("hall-1")
    assert (anna.user, anna.connections) == ("anna", 2)
    assert (seven.user, seven.connections) == (7, 1)
    assert abs(anna.since - hall.server.time()) < 5
    assert hall.told() == [("join", "hall-1", "anna"), ("join", "hall-1", 7)]
    first.close()
    hall.server.advance(GRACE)
    assert hall.told() == []
    second.close()
    hall.server.advance(GRACE)
    assert hall.told() == [("leave", "hall-1", "anna")]
    assert [one.user for one in presence("hall-1")] == [7]


def test_text_and_number_are_two_users(hall: Hall) -> None:
    hall.enter("7", "hall-1")
    hall.enter(7, "hall-1")
    assert [one.user for one in presence("hall-1")] == ["7", 7]


def test_sockets_without_a_user_are_presences_of_their_own(hall: Hall) -> None:
    guest = hall.enter(None, "silent-1")
    hall.enter(None, "silent-1")
    assert [(one.user, one.connections) for one in presence("silent-1")] == [(None, 1), (None, 1)]
    guest.unsubscribe("silent-1")
    hall.server.advance(GRACE)
    assert hall.told() == [("join", "silent-1", None)] * 2 + [("leave", "silent-1", None)]


def test_a_page_that_is_loaded_again_is_not_told(hall: Hall) -> None:
    watcher = hall.enter("watcher", "hall-1")
    page = hall.enter("anna", "hall-1")
    events_of(watcher)
    hall.told()
    for _ in range(3):
        page.close()
        assert [one.connections for one in presence("hall-1")] == [1, 0]
        hall.server.advance(GRACE - 0.1)
        page = hall.enter("anna", "hall-1")
        assert [one.connections for one in presence("hall-1")] == [1, 1]
        hall.server.advance(GRACE - 0.1)
    assert (hall.told(), events_of(watcher)) == ([], [])
    page.close()
    hall.server.advance(GRACE)
    assert hall.told() == [("leave", "hall-1", "anna")]
    assert events_of(watcher) == [{"channel": "hall-1", "leave": {"user": "anna"}}]


def test_the_grace_begins_with_the_last_leave(hall: Hall) -> None:
    hall.enter("anna", "hall-1").close()
    hall.server.advance(GRACE - 1)
    hall.enter("anna", "hall-1").close()
    hall.server.advance(GRACE - 0.1)
    assert hall.told() == [("join", "hall-1", "anna")]
    hall.server.advance(0.1)
    assert hall.told() == [("leave", "hall-1", "anna")]


def test_without_grace_a_leave_is_told_at_once() -> None:
    hall = Hall(presence_grace=0)
    with hall.server:
        hall.enter("anna", "hall-1").close()
        assert hall.told() == [("join", "hall-1", "anna"), ("leave", "hall-1", "anna")]
        assert len(hall.server.node.services.attendance) == 0


ENDINGS = {
    "unsubscribe": lambda hall, client: client.unsubscribe("hall-1"),
    "unsubscribed": lambda hall, client: hall.sockets[0].unsubscribe("hall-1"),
    "unsubscribed with all": lambda hall, client: to("hall-1").unsubscribe("hall-1"),
    "leave the namespace": lambda hall, client: client.disconnect(),
    "hang up": lambda hall, client: client.close(),
    "put out": lambda hall, client: hall.sockets[0].disconnect(),
    "put out with all": lambda hall, client: to("hall-1").disconnect(),
    "logged out": lambda hall, client: disconnect_session("web session"),
    "silence": lambda hall, client: hall.server.hub.end(client.session, TRANSPORT_CLOSE),
}


@pytest.mark.parametrize("how", ENDINGS)
def test_every_end_is_a_leave(hall: Hall, how: str) -> None:
    client = hall.enter("anna", "hall-1", web_session="web session")
    ENDINGS[how](hall, client)
    hall.server.advance(GRACE)
    assert hall.told() == [("join", "hall-1", "anna"), ("leave", "hall-1", "anna")]
    assert presence("hall-1") == []
    assert len(hall.server.node.services.attendance) == 0


def test_the_end_of_the_server_is_a_leave() -> None:
    hall = Hall()
    with hall.server:
        hall.enter("anna", "hall-1")
        hall.enter("bert", "hall-1").close()
    assert sorted(hall.told()) == [
        ("join", "hall-1", "anna"),
        ("join", "hall-1", "bert"),
        ("leave", "hall-1", "anna"),
        ("leave", "hall-1", "bert"),
    ]


def test_channels_that_were_subscribed_to_before_the_client_was_let_in(hall: Hall) -> None:
    client = hall.enter("anna", channels=["hall-1", "silent-1", "room"])
    assert hall.told() == [("join", "hall-1", "anna"), ("join", "silent-1", "anna")]
    assert events_of(client) == [
        {"channel": "hall-1", "here": []},
        {"channel": "hall-1", "join": {"user": "anna"}},
    ]


def test_who_is_not_let_in_was_never_there(hall: Hall) -> None:
    hall.events.on_connect(lambda request, socket, context: False)
    client = hall.server.client()
    assert not client.connect("/", {"user": "anna", "channels": ["hall-1"]})
    assert (presence("hall-1"), hall.told()) == ([], [])


def test_a_subscription_that_is_refused_is_no_presence(hall: Hall) -> None:
    hall.events.on_subscribe(lambda request, socket, context, channel: False)
    client = hall.enter("anna")
    assert not client.subscribe("hall-1")
    assert (presence("hall-1"), hall.told(), events_of(client)) == ([], [], [])


def test_what_clients_are_told(hall: Hall) -> None:
    anna = hall.enter("anna", "hall-1")
    bert = hall.enter(2, "hall-1")
    assert events_of(anna) == [
        {"channel": "hall-1", "here": []},
        {"channel": "hall-1", "join": {"user": "anna"}},
        {"channel": "hall-1", "join": {"user": 2}},
    ]
    assert events_of(bert) == [
        {"channel": "hall-1", "here": [{"user": "anna"}]},
        {"channel": "hall-1", "join": {"user": 2}},
    ]
    again = hall.enter("anna", "hall-1")
    assert events_of(again) == [{"channel": "hall-1", "here": [{"user": "anna"}, {"user": 2}]}]
    for client in (anna, again):
        client.unsubscribe("hall-1")
    hall.server.advance(GRACE)
    assert events_of(bert) == [{"channel": "hall-1", "leave": {"user": "anna"}}]
    assert (events_of(anna), events_of(again)) == ([], [])


def test_clients_are_told_nothing_where_that_was_not_declared(hall: Hall) -> None:
    client = hall.enter("anna", "silent-1", "room")
    assert client.received == []
    assert hall.told() == [("join", "silent-1", "anna")]


def test_session_ids_are_not_told(hall: Hall) -> None:
    client = hall.enter(None, "hall-1")
    assert not [event for event in client.received if client.sids["/"] in str(event)]
    assert events_of(client)[-1] == {"channel": "hall-1", "join": {"user": None}}


def test_namespaces_are_apart(hall: Hall) -> None:
    client = hall.enter("anna", "hall-1", namespace="/chat")
    assert presence("hall-1") == []
    assert [one.user for one in presence("hall-1", "/chat")] == ["anna"]
    assert events_of(client) == [
        {"channel": "hall-1", "here": []},
        {"channel": "hall-1", "join": {"user": "anna"}},
    ]
    assert hall.told() == [("join", "hall-1", "anna")]


def test_handlers_see_their_channels() -> None:
    hall = Hall()
    seen: list[tuple[str, Presence]] = []
    hall.events.on_join(channel="hall-")(lambda channel, one: seen.append((channel, one)))
    with hall.server:
        hall.enter("anna", "hall-1", "silent-1")
    [(channel, one)] = seen
    assert (channel, one.user, one.connections) == ("hall-1", "anna", 1)


def test_another_user_takes_the_place_of_the_one_before(hall: Hall) -> None:
    client = hall.enter(None, "hall-1", "room")
    hall.told()
    events_of(client)
    hall.sockets[0].user = "anna"
    assert hall.told() == [("join", "hall-1", "anna"), ("leave", "hall-1", None)]
    assert events_of(client) == [
        {"channel": "hall-1", "join": {"user": "anna"}},
        {"channel": "hall-1", "leave": {"user": None}},
    ]
    hall.sockets[0].user = "anna"
    assert (hall.told(), [one.user for one in presence("hall-1")]) == ([], ["anna"])
    other = hall.enter("anna", "hall-1")
    hall.sockets[0].user = "bert"
    assert hall.told() == [("join", "hall-1", "bert")]
    assert [(one.user, one.connections) for one in presence("hall-1")] == [("anna", 1), ("bert", 1)]
    client.close()
    other.close()
    hall.server.advance(GRACE)
    assert hall.told() == [("leave", "hall-1", "bert"), ("leave", "hall-1", "anna")]


@pytest.mark.parametrize("user", [("a", 1), 1.5, True, b"anna", 2**63])
def test_a_user_that_cannot_be_told(hall: Hall, user: Any, caplog: pytest.LogCaptureFixture) -> None:
    client = hall.enter(None)
    [socket] = hall.sockets
    socket.user = user
    socket.subscribe("room")
    with pytest.raises(EventError, match="a text or an integer"):
        socket.subscribe("hall-1")
    assert client.call("__subscribe__", "hall-1") == [
        {"error": {"code": "failed", "message": "the server could not handle this event"}}
    ]
    assert "a text or an integer" in caplog.text
    assert socket.channels == ["room"]
    socket.user = "anna"
    assert client.subscribe("hall-1")
    with pytest.raises(EventError, match="in 'hall-1', a channel with presence"):
        socket.user = user
    assert socket.user == "anna"
    assert [one.user for one in presence("hall-1")] == ["anna"]


def test_elsewhere_a_user_can_be_anything(hall: Hall, caplog: pytest.LogCaptureFixture) -> None:
    hall.enter("anna", "hall-1")
    client = hall.enter(None, "room", "room-2")
    socket = hall.sockets[-1]
    for user in (object(), ("a", 1), None, 1.5):
        socket.user = user
    client.unsubscribe("room")
    client.close()
    assert not socket.connected
    assert caplog.text == ""
    assert [one.user for one in presence("hall-1")] == ["anna"]


def test_a_client_that_is_waited_for_is_there() -> None:
    hall = Hall(recovery=True, recovery_window=10)
    with hall.server:
        hall.enter("anna", "hall-1").close()
        hall.server.advance(9)
        assert [(one.user, one.connections) for one in presence("hall-1")] == [("anna", 1)]
        hall.server.advance(1 + GRACE)
        assert hall.told() == [("join", "hall-1", "anna"), ("leave", "hall-1", "anna")]


def test_a_handler_that_fails_is_logged_and_the_others_run(hall: Hall, caplog: pytest.LogCaptureFixture) -> None:
    hall.events.on_join(channel="silent-")(lambda channel, one: 1 // 0)
    hall.events.on_join(channel="silent-")(lambda channel, one: hall.seen.append(("after", channel, one.user)))
    hall.enter("anna", "silent-1")
    assert hall.told() == [("join", "silent-1", "anna"), ("after", "silent-1", "anna")]
    assert [record.exc_info is not None for record in caplog.records] == [True]


def test_handlers_of_one_channel_run_in_order(hall: Hall) -> None:
    def slow(channel: str, one: Presence) -> None:
        hall.server.waiter().wait(2)
        hall.seen.append(("slow", channel, one.user))

    hall.events.on_join(slow, channel="silent-")
    leaving = hall.enter("anna", "silent-1")
    leaving.close()
    hall.server.advance(GRACE + 10)
    assert [what for what, _, _ in hall.told()] == ["join", "slow", "leave"]


@pytest.mark.parametrize("waiting", [0, 1, 2])
@pytest.mark.parametrize("when", ["subscribed", "let in", "renamed"])
def test_a_client_for_which_it_is_too_much_to_be_told(when: str, waiting: int) -> None:
    hall = Hall(presence_grace=0, max_outbox_packets=2)
    with hall.server:
        watcher = hall.server.client()

        def fill(socket: Socket) -> None:
            socket.link.write = None
            for number in range(waiting):
                socket.send(number)

        @hall.events.on_connect
        def connected(request: Any, socket: Socket, context: dict[str, Any]) -> None:
            if when == "let in":
                fill(socket)

        watcher.connect("/", {"user": "anna", "channels": ["hall-1", "hall-2"] if when != "subscribed" else []})
        [socket] = hall.sockets
        if when == "subscribed":
            fill(socket)
            to(socket.sid).subscribe("hall-1", "hall-2")
        elif when == "renamed":
            fill(socket)
            socket.user = "bert"
        assert not watcher.connected
        assert presence("hall-1") == presence("hall-2") == []
        assert len(hall.server.node.services.attendance) == 0
        for user in ("anna", "bert"):
            for channel in ("hall-1", "hall-2"):
                kinds = [what for what, where, who in hall.seen if (where, who) == (channel, user)]
                assert kinds in ([], ["join", "leave"])


def test_what_a_handler_that_hangs_holds_up_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    hall = Hall(max_inbox=2, presence_grace=0)
    caplog.set_level(logging.ERROR, "webpy_socketio")

    def crowd(channel: str, one: Presence) -> None:
        if one.user == 0:
            for socket in hall.sockets[1:]:
                socket.subscribe(channel)

    hall.events.on_join(crowd, channel="silent-")
    with hall.server:
        clients = [hall.enter(number) for number in range(5)]
        clients[0].subscribe("silent-1")
        assert [user for _, _, user in hall.told()] == [0, 1, 2]
        assert len(presence("silent-1")) == 5
    assert caplog.text.count("2 before it wait") == 2


def test_an_event_that_cannot_be_told_fails_no_client(hall: Hall, caplog: pytest.LogCaptureFixture) -> None:
    hall.events.channel_overflow("hall-", "latest", key=lambda event, value: value["none"])
    assert hall.enter("anna", "hall-1").subscribe("hall-2")
    assert "cannot be told who is in hall-1" in caplog.text
    assert hall.told() == [("join", "hall-1", "anna"), ("join", "hall-2", "anna")]


def test_presences_are_counted(hall: Hall) -> None:
    registry = CollectorRegistry()
    registry.register(metrics_collector())
    for user, channel in (("anna", "hall-1"), ("anna", "hall-1"), ("anna", "silent-1"), (None, "hall-1")):
        hall.enter(user, channel, "room")
    assert registry.get_sample_value("webpy_socketio_presences") == 3


def test_asking_for_what_is_not_kept(hall: Hall) -> None:
    hall.enter("anna", "room")
    with pytest.raises(EventError, match="declare it by channel_presence"):
        presence("room")
    for channel, namespace in ((7, "/"), ("", "/"), ("hall-1", "chat"), (hall.sockets[0].sid, "/")):
        with pytest.raises(EventError):
            presence(channel, namespace)  # type: ignore[arg-type]
    assert len(hall.server.node.services.attendance) == 0


def test_asking_without_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortcuts, "_current", None)
    with pytest.raises(NoSocket):
        presence("hall-1")


@pytest.mark.parametrize(
    ("pattern", "options", "problem"),
    [
        ("hall-(", {}, "regular expression"),
        (b"hall", {}, "regular expression"),
        (None, {}, "regular expression"),
        ("hall", {"clients": "yes"}, "neither True nor False"),
    ],
)
def test_what_cannot_be_declared(pattern: Any, options: dict[str, Any], problem: str) -> None:
    events = Events()
    with pytest.raises(EventError, match=problem):
        events.channel_presence(pattern, **options)
    assert events.presence_rules == []


def test_a_pattern_is_declared_once_and_the_first_counts() -> None:
    events = Events()
    events.channel_presence("hall-1")
    events.channel_presence("hall-", clients=True)
    with pytest.raises(EventError, match="'hall-1' is declared already"):
        events.channel_presence("hall-1", clients=True)
    assert [rule.clients for rule in events.presence_rules] == [False, True]


@pytest.mark.parametrize("function", [lambda: None, lambda channel: None, lambda a, b, c: None])
def test_a_handler_that_could_not_be_called(function: Any) -> None:
    with pytest.raises(EventError, match=r"it is called with \(channel, presence\)"):
        Events().on_leave(function)
