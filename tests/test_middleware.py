"""Middleware: functions around the connections and the packets of a namespace."""

from __future__ import annotations

import re
from typing import Any

import pytest

from webpy_socketio import EventError, Refused
from webpy_socketio.events import Events
from webpy_socketio.testing import TestClient, TestServer

Calls = list[Any]


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def server(events: Events) -> TestServer:
    return TestServer(events)


def joined(server: TestServer, namespace: str = "/") -> TestClient:
    client = server.client()
    assert client.connect(namespace)
    return client


# Of connections.


def test_around_on_connect_the_first_outermost(events: Events, server: TestServer) -> None:
    calls: Calls = []
    for name in ("outer", "inner"):

        @events.connection_middleware
        def around(request: Any, socket: Any, context: Any, proceed: Any, name: str = name) -> None:
            calls.append(f"{name} in")
            context[name] = True
            proceed()
            calls.append(f"{name} out")

    events.on_connect(lambda request, socket, context: calls.append(sorted(context)))
    joined(server)
    assert calls == ["outer in", "inner in", ["inner", "outer"], "inner out", "outer out"]


def refuse(socket: Any, proceed: Any) -> None:
    raise Refused("members only", {"code": 7})


def break_down(socket: Any, proceed: Any) -> None:
    raise ValueError("no database")


def break_down_late(socket: Any, proceed: Any) -> None:
    proceed()
    raise ValueError("no database")


def swallow(socket: Any, proceed: Any) -> None:
    with pytest.raises(Refused):
        proceed()


UNDECIDED = {"message": "the server could not decide this"}
MEMBERS = {"message": "members only", "data": {"code": 7}}


@pytest.mark.parametrize(
    ("middleware", "handler", "refusal"),
    [
        (refuse, None, MEMBERS),
        (break_down, None, UNDECIDED),
        (break_down_late, None, UNDECIDED),
        (lambda socket, proceed: None, None, {"message": "refused"}),
        (lambda socket, proceed: proceed, None, {"message": "refused"}),
        (lambda socket, proceed: True, None, {"message": "refused"}),
        (lambda socket, proceed: not proceed(), None, {"message": "refused"}),
        (lambda socket, proceed: proceed(1), None, UNDECIDED),
        (lambda socket, proceed: proceed(), refuse, MEMBERS),
        (lambda socket, proceed: proceed(), lambda *args: False, {"message": "refused"}),
        (swallow, refuse, {"message": "refused"}),
    ],
)
def test_refusals(events: Events, server: TestServer, middleware: Any, handler: Any, refusal: Any) -> None:
    ends: Calls = []
    events.connection_middleware(lambda request, socket, context, proceed: middleware(socket, proceed))
    if handler is not None:
        events.on_connect(lambda request, socket, context: handler(socket, None))
    events.on_disconnect(lambda request, socket, context: ends.append(socket))
    client = server.client()
    assert not client.connect()
    assert client.refusals == {"/": refusal}
    assert server.node.services.delivery._namespaces == {}
    client.close()
    assert ends == []


def test_who_proceeds_twice_connects_once(events: Events, server: TestServer) -> None:
    calls: Calls = []
    events.connection_middleware(lambda request, socket, context, proceed: [proceed(), proceed()])
    events.on_connect(lambda request, socket, context: calls.append("connect"))
    joined(server)
    assert calls == ["connect"]


def test_what_is_sent_before_the_decision_follows_it(events: Events, server: TestServer) -> None:
    @events.connection_middleware
    def greet(request: Any, socket: Any, context: Any, proceed: Any) -> None:
        socket.send("before")
        proceed()
        socket.send("after")

    assert joined(server).received == [["message", "before"], ["message", "after"]]


def test_a_client_that_was_asked_and_is_refused_is_put_out(events: Events, server: TestServer) -> None:
    ends: Calls = []

    @events.connection_middleware
    def ask(request: Any, socket: Any, context: Any, proceed: Any) -> None:
        assert socket.call("name") == "Ada"
        proceed()
        raise Refused("not you")

    events.on_disconnect(lambda request, socket, context: ends.append(str(socket.reason)))
    client = server.client()
    client.acknowledge["name"] = lambda: "Ada"
    client.connect()
    assert client.kicked == ["/"]
    assert ends == ["server namespace disconnect"]
    assert server.node._namespaces._table["/"].population == 0


def test_a_client_that_leaves_in_the_middle(events: Events, server: TestServer) -> None:
    ends: Calls = []

    @events.connection_middleware
    def lose(request: Any, socket: Any, context: Any, proceed: Any) -> None:
        client.close()
        proceed()

    events.on_disconnect(lambda request, socket, context: ends.append(str(socket.reason)))
    client = server.client()
    assert not client.connect()
    assert ends == ["transport close"], "on_connect ran, so its end is told"
    assert server.node.services.delivery._namespaces == {}
    assert server.node._namespaces._table["/"].population == 0


def test_disconnect_in_the_middle(events: Events, server: TestServer) -> None:
    @events.connection_middleware
    def put_out(request: Any, socket: Any, context: Any, proceed: Any) -> None:
        socket.disconnect()
        proceed()

    client = server.client()
    client.connect()
    assert client.kicked == ["/"]
    assert server.node.services.delivery._namespaces == {}


def test_of_its_namespaces_only(events: Events, server: TestServer) -> None:
    calls: Calls = []

    @events.connection_middleware(namespace=re.compile("/a.*"))
    def note(request: Any, socket: Any, context: Any, proceed: Any) -> None:
        calls.append(socket.namespace)
        proceed()

    events.on_connect(namespace="/b")(lambda request, socket, context: None)
    for namespace in ("/", "/a1", "/b"):
        joined(server, namespace)
    assert calls == ["/a1"]


# Of packets.


def test_around_every_event(events: Events, server: TestServer) -> None:
    calls: Calls = []
    for name in ("outer", "inner"):

        @events.packet_middleware
        def around(
            request: Any, socket: Any, context: Any, event: Any, args: Any, proceed: Any, name: str = name
        ) -> Any:
            calls.append((name, event, *args))
            return proceed(*args)

    events.on_event("double")(lambda request, socket, context, n: n * 2)
    events.on_message(lambda request, socket, context, message: "got it")
    client = joined(server)
    assert client.call("double", 4) == [8]
    assert client.call("message", "x") == ["got it"]
    assert client.subscribe("room")
    client.unsubscribe("room")
    answer = client.call("unknown")
    assert answer is not None
    assert answer[0]["error"]["code"] == "no_handler"
    assert calls[::2] == [
        ("outer", "double", 4), ("outer", "message", "x"), ("outer", "__subscribe__", "room"),
        ("outer", "__unsubscribe__", "room"), ("outer", "unknown"),
    ]  # fmt: skip
    assert [name for name, *_ in calls] == ["outer", "inner"] * 5


@pytest.mark.parametrize(
    ("returned", "answer"),
    [
        (None, []), (5, [5]), ([1, 2], [[1, 2]]), ((1, 2), [1, 2]), ((), []), ((None,), [None]), (((1, 2),), [[1, 2]]),
        (False, [False]), ("", [""]), ((b"x", b"y"), [b"x", b"y"]),
    ],
)  # fmt: skip
def test_what_a_handler_returns_goes_through_unchanged(
    events: Events, server: TestServer, returned: Any, answer: Any
) -> None:
    events.on_event("ask")(lambda request, socket, context: returned)
    client = joined(server)
    assert client.call("ask") == answer
    for _ in range(2):
        events.packet_middleware(lambda request, socket, context, event, args, proceed: proceed(*args))
        assert client.call("ask") == answer


def test_changes_on_the_way_in_and_out(events: Events, server: TestServer) -> None:
    events.packet_middleware(lambda request, socket, context, event, args, proceed: [proceed(*args, "more")])
    events.on_event("ask")(lambda request, socket, context, *args: list(args))
    assert joined(server).call("ask", 1) == [[[1, "more"]]]


def test_arguments_are_a_list_of_its_own(events: Events, server: TestServer) -> None:
    events.packet_middleware(lambda request, socket, context, event, args, proceed: [args.clear(), proceed(1)][1])
    events.packet_middleware(lambda request, socket, context, event, args, proceed: proceed(*args))
    events.on_event("ask")(lambda request, socket, context, *args: list(args))
    assert joined(server).call("ask", 7, 8) == [[1]]


def test_a_packet_that_is_kept_back(events: Events, server: TestServer) -> None:
    calls: Calls = []
    events.packet_middleware(lambda request, socket, context, event, args, proceed: "not today")
    events.on_message(lambda request, socket, context, message: calls.append(message))
    client = joined(server)
    assert client.call("message", 1) == ["not today"]
    assert client.call("__subscribe__", "room") == ["not today"]
    assert calls == []
    with server:
        assert server.node.services.delivery.membership("/").select(("room",)) == []


def test_refusal_and_failure(events: Events, server: TestServer) -> None:
    errors: Calls = []

    @events.packet_middleware
    def guard(request: Any, socket: Any, context: Any, event: Any, args: Any, proceed: Any) -> Any:
        if event == "forbidden":
            raise Refused("no", {"code": 1})
        if event == "broken":
            raise ValueError("broken")
        return proceed(*args)

    events.on_error(lambda request, socket, context, error: errors.append(str(error)))
    events.on_event("fine")(lambda request, socket, context: "fine")
    client = joined(server)
    assert client.call("forbidden") == [{"error": {"code": "refused", "message": "no", "data": {"code": 1}}}]
    assert client.call("broken") == [{"error": {"code": "failed", "message": "the server could not handle this event"}}]
    assert client.call("fine") == ["fine"]
    assert errors == ["broken"]


def test_wrong_arguments_by_the_middleware_are_told(events: Events, server: TestServer) -> None:
    events.packet_middleware(lambda request, socket, context, event, args, proceed: proceed())
    events.on_event("ask")(lambda request, socket, context, x: x)
    answer = joined(server).call("ask", 1)
    assert answer is not None
    assert answer[0]["error"]["code"] == "wrong_arguments"


def test_a_channel_may_be_named_that_nobody_may_follow(events: Events, server: TestServer) -> None:
    other = joined(server)
    events.packet_middleware(lambda request, socket, context, event, args, proceed: proceed(other.sids["/"]))
    answer = joined(server).call("__subscribe__", "room")
    assert answer is not None
    assert answer[0]["error"]["code"] == "invalid_channel"


def test_disconnect_in_the_middle_of_a_packet(events: Events, server: TestServer) -> None:
    calls: Calls = []

    @events.packet_middleware
    def put_out(request: Any, socket: Any, context: Any, event: Any, args: Any, proceed: Any) -> Any:
        socket.disconnect()
        return proceed(*args)

    events.on_error(lambda request, socket, context, error: calls.append(error))
    client = joined(server)
    assert client.call("__subscribe__", "room") is None
    client.emit("more")
    assert client.kicked == ["/"]
    assert calls == []
    assert server.node.services.delivery._namespaces == {}


def test_only_for_a_matching_channel(events: Events, server: TestServer) -> None:
    calls: Calls = []

    @events.packet_middleware(channel="^room-")
    def note(request: Any, socket: Any, context: Any, event: Any, args: Any, proceed: Any) -> Any:
        calls.append(event)
        return proceed(*args)

    client = joined(server)
    client.emit("outside")
    client.subscribe("room-1")
    client.emit("inside")
    assert calls == ["inside"]


@pytest.mark.parametrize("function", [lambda: None, lambda request, socket, context: None, lambda *, proceed: None])
def test_what_cannot_be_called(events: Events, function: Any) -> None:
    for decorator in (events.connection_middleware, events.packet_middleware):
        with pytest.raises(EventError, match="proceed"):
            decorator(function)
    with pytest.raises(EventError, match="takes no channel"):
        events.connection_middleware(channel="^room-")
