"""What the application's handlers see, and when: driven in memory, as a user would test them."""

from __future__ import annotations

import logging
import re
import tracemalloc
from typing import Any

import pytest

from webpy_socketio import NoSocket, Refused, send, to
from webpy_socketio.events import Events
from webpy_socketio.identifiers import new_id
from webpy_socketio.testing import TestClient, TestServer

Calls = list[tuple[Any, ...]]


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def server(events: Events) -> TestServer:
    return TestServer(events)


def joined(server: TestServer, *channels: str, namespace: str = "/") -> TestClient:
    client = server.client()
    assert client.connect(namespace)
    for channel in channels:
        assert client.subscribe(channel, namespace)
    return client


def record_everything(events: Events, calls: Calls, **options: Any) -> None:
    """Bind a recorder to each of the seven events."""
    if "channel" not in options:
        events.on_connect(**options)(lambda request, socket, context: calls.append(("connect",)))
    events.on_message(**options)(lambda request, socket, context, message: calls.append(("message", message)))
    events.on_subscribe(**options)(lambda request, socket, context, channel: calls.append(("subscribe", channel)))
    events.on_unsubscribe(**options)(lambda request, socket, context, channel: calls.append(("unsubscribe", channel)))
    events.on_error(**options)(lambda request, socket, context, error: calls.append(("error", str(error))))
    events.on_disconnect(**options)(lambda request, socket, context: calls.append(("disconnect",)))
    events.on_finish(**options)(lambda request, socket, context: calls.append(("finish", socket.channels)))


def fail(events: Events, namespace: str = "/") -> None:
    @events.on_event("fail", namespace=namespace)
    def failing(request: Any, socket: Any, context: Any) -> None:
        raise ValueError("broken")


LIFE = [
    ("connect",), ("message", "outside"), ("subscribe", "room-1"), ("message", "inside"), ("error", "broken"),
    ("unsubscribe", "room-1"), ("subscribe", "room-2"), ("disconnect",), ("unsubscribe", "room-2"),
    ("finish", ["room-2"]),
]  # fmt: skip


def live(server: TestServer, namespace: str = "/") -> None:
    client = joined(server, namespace=namespace)
    client.send("outside", namespace)
    client.subscribe("room-1", namespace)
    client.send("inside", namespace)
    client.emit("fail", namespace=namespace)
    client.unsubscribe("room-1", namespace)
    client.subscribe("room-2", namespace)
    client.close()


def test_the_seven_events_of_a_life(events: Events, server: TestServer) -> None:
    calls: Calls = []
    record_everything(events, calls)
    fail(events)
    live(server)
    assert calls == LIFE


def test_the_seven_events_in_a_namespace(events: Events, server: TestServer) -> None:
    calls: Calls = []
    elsewhere: Calls = []
    record_everything(events, calls, namespace="/chat")
    record_everything(events, elsewhere)
    fail(events, "/chat")
    live(server, "/chat")
    assert calls == LIFE
    assert elsewhere == []


def test_a_pattern_shows_the_events_of_matching_channels_only(events: Events, server: TestServer) -> None:
    calls: Calls = []
    record_everything(events, calls, channel="^room-1")
    fail(events)
    live(server)
    # A socket that has left room-1 is seen no more.
    assert calls == [("subscribe", "room-1"), ("message", "inside"), ("error", "broken"), ("unsubscribe", "room-1")]


def test_a_pattern_sees_the_end_of_a_socket_in_its_channel(events: Events, server: TestServer) -> None:
    calls: Calls = []
    record_everything(events, calls, channel="^room-2")
    live(server)
    assert calls == [("subscribe", "room-2"), ("disconnect",), ("unsubscribe", "room-2"), ("finish", ["room-2"])]


def test_a_pattern_matches_from_the_start(events: Events, server: TestServer) -> None:
    calls: Calls = []
    record_everything(events, calls, channel="1")
    joined(server, "room-1").send("hello")
    assert calls == []


def test_a_handler_runs_once_however_many_channels_match(events: Events, server: TestServer) -> None:
    calls: Calls = []
    events.on_message(channel="^room-")(lambda request, socket, context, message: calls.append((message,)))
    joined(server, "room-1", "room-2", "room-3").send("hello")
    assert calls == [("hello",)]


def test_an_unbound_handler_sees_sockets_with_channels_too(events: Events, server: TestServer) -> None:
    """Unlike in 2012, when it went silent as soon as a socket had a channel."""
    calls: Calls = []
    events.on_message(lambda request, socket, context, message: calls.append((message,)))
    joined(server, "room-1").send("hello")
    assert calls == [("hello",)]


def test_handlers_run_in_the_order_they_were_bound(events: Events, server: TestServer) -> None:
    calls: Calls = []
    for number in range(3):
        events.on_message(lambda request, socket, context, message, number=number: calls.append((number,)))
    joined(server).send("hello")
    assert calls == [(0,), (1,), (2,)]


def test_context_is_one_dict_from_connect_to_finish_and_of_one_connection(events: Events, server: TestServer) -> None:
    contexts: list[dict[str, Any]] = []

    @events.on_connect
    def connect(request: Any, socket: Any, context: dict[str, Any]) -> None:
        context["since"] = "connect"
        contexts.append(context)

    @events.on_message
    def message(request: Any, socket: Any, context: dict[str, Any], message: str) -> None:
        context[message] = True

    @events.on_finish
    def finish(request: Any, socket: Any, context: dict[str, Any]) -> None:
        assert context is socket.context
        context["until"] = "finish"

    first, second = joined(server), joined(server)
    first.send("one")
    second.send("two")
    first.close()
    second.close()
    assert contexts == [
        {"since": "connect", "one": True, "until": "finish"},
        {"since": "connect", "two": True, "until": "finish"},
    ]
    assert contexts[0] is not contexts[1]


def test_request_is_the_environ_of_the_handshake(events: Events, server: TestServer) -> None:
    seen: list[Any] = []
    events.on_message(lambda request, socket, context, message: seen.append((request, socket.request)))
    client = server.client({"HTTP_COOKIE": "a=b", "REMOTE_ADDR": "192.0.2.7"})
    client.connect()
    client.send("hello")
    (request, again) = seen[0]
    assert request is again
    assert (request["REMOTE_ADDR"], request["HTTP_COOKIE"], request["PATH_INFO"]) == (
        "192.0.2.7",
        "a=b",
        "/socket.io/",
    )


# Refusal.


def test_on_connect_refuses_with_a_reason_the_client_can_read(events: Events, server: TestServer) -> None:
    calls: Calls = []

    @events.on_connect
    def decide(request: Any, socket: Any, context: Any) -> None:
        socket.send("too early")
        if socket.auth.get("token") != "good":
            raise Refused("bad token", {"code": 7})

    events.on_disconnect(lambda request, socket, context: calls.append(("disconnect",)))
    client = server.client()
    assert not client.connect(auth={"token": "bad"})
    assert client.refusals == {"/": {"message": "bad token", "data": {"code": 7}}}
    assert client.received == []
    client.close()
    assert calls == []

    welcome = server.client()
    assert welcome.connect(auth={"token": "good"})
    assert welcome.received == [["message", "too early"]]


def test_on_connect_refuses_by_returning_false(events: Events, server: TestServer) -> None:
    events.on_connect(lambda request, socket, context: False)
    client = server.client()
    assert not client.connect()
    assert client.refusals == {"/": {"message": "refused"}}


def test_a_refused_client_may_try_again_on_the_same_connection(events: Events, server: TestServer) -> None:
    events.on_connect(lambda request, socket, context: bool(socket.auth))
    client = server.client()
    assert not client.connect()
    assert client.connect(auth={"token": "good"})


def test_a_failing_on_connect_lets_nobody_in(events: Events, server: TestServer) -> None:
    calls: Calls = []

    @events.on_connect
    def broken(request: Any, socket: Any, context: Any) -> None:
        raise ValueError("no database")

    events.on_error(lambda request, socket, context, error: calls.append((str(error),)))
    client = server.client()
    assert not client.connect()
    assert client.refusals == {"/": {"message": "the server could not decide this"}}
    assert calls == [("no database",)]


def test_data_of_a_refusal_that_cannot_be_sent_is_left_out(events: Events, server: TestServer) -> None:
    @events.on_connect
    def decide(request: Any, socket: Any, context: Any) -> None:
        raise Refused("no", object())

    client = server.client()
    assert not client.connect()
    assert client.refusals == {"/": {"message": "no"}}


def test_what_is_sent_in_on_connect_comes_after_the_connection(events: Events, server: TestServer) -> None:
    order: list[Any] = []
    events.on_connect(lambda request, socket, context: socket.send("welcome"))
    client = server.client()
    take = client.session.write
    assert take is not None
    client.session.write = lambda prepared: (order.append(prepared.text[:1]), take(prepared))[-1]
    client.connect()
    assert order == [b"0", b"2"]


def test_a_socket_gets_no_broadcast_before_it_is_let_in(events: Events, server: TestServer) -> None:
    other = joined(server)

    @events.on_connect
    def connect(request: Any, socket: Any, context: Any) -> None:
        socket.subscribe("room-1")
        socket.broadcast("somebody comes")
        socket.broadcast_channel("nobody is in there yet")

    events.on_message(lambda request, socket, context, message: socket.broadcast_channel(message, "room-1"))
    client = joined(server)
    assert client.received == []
    assert other.received == [["message", "somebody comes"]]
    other.send("hello")
    assert client.received == [["message", "hello"]]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (False, "refused"),
        (Refused("members only"), "members only"),
        (ValueError("broken"), "the server could not decide this"),
    ],
)
def test_on_subscribe_denies(events: Events, server: TestServer, answer: Any, reason: str) -> None:
    @events.on_subscribe(channel="^private-")
    def decide(request: Any, socket: Any, context: Any, channel: str) -> Any:
        assert socket.channels == ["private-1"]
        if isinstance(answer, Exception):
            raise answer
        return answer

    events.on_message(lambda request, socket, context, message: socket.broadcast_channel(message, "private-1"))
    client, other = joined(server), joined(server)
    assert client.call("__subscribe__", "private-1") == [{"error": {"code": "refused", "message": reason}}]
    other.send("secret")
    assert client.received == []
    assert client.subscribe("open-1")


def test_a_subscription_is_asked_for_once(events: Events, server: TestServer) -> None:
    calls: Calls = []
    events.on_subscribe(lambda request, socket, context, channel: calls.append((channel,)))
    client = joined(server, "room-1")
    assert client.subscribe("room-1")
    assert calls == [("room-1",)]


def test_the_server_may_subscribe_without_asking(events: Events, server: TestServer) -> None:
    calls: Calls = []
    record_everything(events, calls)
    events.on_event("enter")(lambda request, socket, context, channel: socket.subscribe(channel))
    events.on_event("leave")(lambda request, socket, context, channel: socket.unsubscribe(channel))
    client = joined(server)
    client.emit("enter", "room-1")
    client.emit("leave", "room-1")
    client.emit("enter", "room-2")
    client.close()
    assert calls == [("connect",), ("disconnect",), ("unsubscribe", "room-2"), ("finish", ["room-2"])]


@pytest.mark.parametrize("channel", ["", 5, None, ["a"], {"a": 1}, "x" * 201])
def test_a_channel_has_a_name_of_bounded_length(server: TestServer, channel: Any) -> None:
    answer = joined(server).call("__subscribe__", channel)
    assert answer is not None
    assert answer[0]["error"]["code"] == "invalid_channel"


def test_who_knows_a_session_id_gets_nothing_of_what_is_sent_to_it(server: TestServer) -> None:
    victim, stranger = joined(server), joined(server)
    sid = victim.sids["/"]
    stranger.subscribe(sid)
    with server:
        send(sid, "secret")
        assert victim.received == [["message", "secret"]]
        victim.close()
        with pytest.raises(NoSocket):
            send(sid, "secret")
    assert stranger.received == []


def test_names_that_clients_make_up_take_no_memory(server: TestServer) -> None:
    client = joined(server)
    tracemalloc.start()
    for number in range(50):
        client.emit(f"{number}" + "x" * 100_000)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 500_000


# Answers.


def test_what_a_handler_returns_answers_the_ack(events: Events, server: TestServer) -> None:
    events.on_message(lambda request, socket, context, message: {"got": message})
    events.on_event("two")(lambda request, socket, context: (1, 2))
    events.on_event("nothing")(lambda request, socket, context: None)
    events.on_event("zero")(lambda request, socket, context: 0)
    client = joined(server)
    assert client.call("message", "hello") == [{"got": "hello"}]
    assert client.call("two") == [1, 2]
    assert client.call("nothing") == []
    assert client.call("zero") == [0]


def test_the_first_answer_counts(events: Events, server: TestServer) -> None:
    for answer in (None, "first", "second"):
        events.on_message(lambda request, socket, context, message, answer=answer: answer)
    assert joined(server).call("message", "hello") == ["first"]


def test_on_message_gets_the_first_argument_and_on_event_all(events: Events, server: TestServer) -> None:
    calls: Calls = []
    events.on_message(lambda request, socket, context, message: calls.append((message,)))
    events.on_event("message")(lambda request, socket, context, *args: calls.append(args))
    client = joined(server)
    client.emit("message", 1, 2)
    client.emit("message")
    assert calls == [(1,), (1, 2), (None,), ()]


def test_an_error_answers_the_ack_and_the_connection_goes_on(
    events: Events, server: TestServer, caplog: pytest.LogCaptureFixture
) -> None:
    fail(events)
    events.on_message(lambda request, socket, context, message: message)
    client = joined(server)
    assert client.call("fail") == [{"error": {"code": "failed", "message": "the server could not handle this event"}}]
    assert client.call("message", "still here") == ["still here"]
    assert any(record.exc_info and "broken" in str(record.exc_info[1]) for record in caplog.records)


def test_an_error_in_one_handler_does_not_stop_the_others(events: Events, server: TestServer) -> None:
    calls: Calls = []
    fail(events)
    events.on_event("fail")(lambda request, socket, context: calls.append(("second",)))
    joined(server).emit("fail")
    assert calls == [("second",)]


def test_a_refusal_answers_the_ack_and_is_no_error(events: Events, server: TestServer) -> None:
    calls: Calls = []

    @events.on_event("buy")
    def buy(request: Any, socket: Any, context: Any) -> None:
        raise Refused("sold out", {"left": 0})

    events.on_error(lambda request, socket, context, error: calls.append((error,)))
    answer = joined(server).call("buy")
    assert answer == [{"error": {"code": "refused", "message": "sold out", "data": {"left": 0}}}]
    assert calls == []


def test_an_event_that_nobody_handles_is_answered(server: TestServer) -> None:
    answer = joined(server).call("unknown")
    assert answer == [{"error": {"code": "no_handler", "message": "no handler for the event 'unknown'"}}]


@pytest.mark.parametrize("args", [(), (1, 2, 3)])
def test_a_wrong_number_of_arguments_is_the_clients_mistake(
    events: Events, server: TestServer, caplog: pytest.LogCaptureFixture, args: tuple[int, ...]
) -> None:
    events.on_event("move")(lambda request, socket, context, x, y=0: None)
    answer = joined(server).call("move", *args)
    assert answer is not None
    assert answer[0]["error"]["code"] == "wrong_arguments"
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_an_answer_that_cannot_be_sent_is_an_error(events: Events, server: TestServer) -> None:
    calls: Calls = []
    events.on_message(lambda request, socket, context, message: {"bad": object()})
    events.on_error(lambda request, socket, context, error: calls.append((str(error),)))
    answer = joined(server).call("message", 1)
    assert answer is not None
    assert answer[0]["error"]["code"] == "failed"
    assert "object" in calls[0][0]


@pytest.mark.parametrize("name", ["on_disconnect", "on_unsubscribe", "on_finish", "on_error"])
def test_an_error_at_the_end_does_not_keep_the_rest_from_running(events: Events, server: TestServer, name: str) -> None:
    def broken(request: Any, socket: Any, context: Any, *args: Any) -> None:
        raise ValueError(f"broken {name}")

    calls: Calls = []
    getattr(events, name)(broken)
    record_everything(events, calls)
    fail(events)
    client = joined(server, "room-1")
    client.emit("fail")
    client.close()
    ends = [call for call in calls if call[0] != "error"]
    assert ends == [
        ("connect",), ("subscribe", "room-1"), ("disconnect",), ("unsubscribe", "room-1"), ("finish", ["room-1"]),
    ]  # fmt: skip
    assert (("error", f"broken {name}") in calls) == (name != "on_error")


# gevent's timeouts are no Exception, and yet an ordinary failure of a handler.


class Overtime(BaseException):
    """Stands for gevent.Timeout."""


def test_a_failure_that_is_no_exception(events: Events, server: TestServer) -> None:
    def late(request: Any, socket: Any, context: Any, *args: Any) -> None:
        raise Overtime

    calls: Calls = []
    server.failures = (Exception, Overtime)
    events.on_event("work")(late)
    events.on_disconnect(lambda request, socket, context: late(request, socket, context))
    events.on_error(lambda request, socket, context, error: calls.append((type(error),)))
    events.on_finish(lambda request, socket, context: calls.append(("finish",)))
    client = joined(server)
    answer = client.call("work")
    assert answer is not None
    assert answer[0]["error"]["code"] == "failed"
    client.close()
    assert calls == [(Overtime,), (Overtime,), ("finish",)]


# Ends.


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda server, client: client.close(), "transport close"),
        (lambda server, client: client.disconnect(), "client namespace disconnect"),
        (lambda server, client: client.emit("kick"), "server namespace disconnect"),
        (lambda server, client: server.node.drain(), "server shutting down"),
    ],
)
def test_every_end_has_a_reason_and_comes_once(events: Events, server: TestServer, end: Any, reason: str) -> None:
    calls: Calls = []
    events.on_disconnect(lambda request, socket, context: calls.append((str(socket.reason), socket.connected)))
    events.on_finish(lambda request, socket, context: calls.append(("finish", socket.channels)))
    events.on_event("kick")(lambda request, socket, context: socket.disconnect())
    client = joined(server, "room-1")
    end(server, client)
    client.close()
    server.advance(1000)
    assert calls == [(reason, False), ("finish", ["room-1"])]


def test_the_log_says_in_a_line_why_a_connection_ended(server: TestServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "webpy_socketio")
    joined(server)
    server.node.drain()
    (line,) = [message for message in caplog.messages if "ended" in message]
    assert re.fullmatch(r"session \S{6}\.\.\. ended: server shutting down \(1012\): The server is stopping\.", line)


def test_on_finish_can_still_broadcast_to_the_channels(events: Events, server: TestServer) -> None:
    events.on_finish(lambda request, socket, context: socket.broadcast_channel("left"))
    client, other, stranger = joined(server, "room-1"), joined(server, "room-1"), joined(server)
    client.close()
    assert other.received == [["message", "left"]]
    assert stranger.received == client.received == []


def test_events_on_the_way_to_a_namespace_that_was_left_for_the_client_are_dropped(
    events: Events, server: TestServer
) -> None:
    calls: Calls = []
    events.on_event("kick")(lambda request, socket, context: socket.disconnect())
    events.on_message(lambda request, socket, context, message: calls.append((message,)))
    client = joined(server)
    client.emit("kick")
    client.send("too late")
    assert client.connected
    assert client.kicked == ["/"]
    assert client.connect()
    client.send("again")
    assert calls == [("again",)]


def test_the_ends_of_all_namespaces_come(events: Events, server: TestServer) -> None:
    calls: Calls = []
    for namespace in ("/", "/chat"):
        events.on_finish(namespace=namespace)(lambda request, socket, context: calls.append((socket.namespace,)))
    client = joined(server)
    client.connect("/chat")
    client.close()
    assert calls == [("/",), ("/chat",)]


def test_an_unknown_namespace_is_refused_and_the_connection_stays(server: TestServer) -> None:
    client = server.client()
    assert not client.connect("/nowhere")
    assert client.refusals == {"/nowhere": {"message": "Invalid namespace"}}
    assert client.connect()


# The message log.


def test_the_message_log_tells_each_event_in_the_operators_format(
    events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "webpy_socketio.messages")
    server = TestServer(events, message_log_format="%(REMOTE_ADDR)s %(HTTP_REFERER)s %(TYPE)s: %(MESSAGE)s")
    client = joined(server, "room-1")
    client.send('hi\n127.0.0.1 - forged\x1b[31m "\u202e"')
    client.send({"a": [1, b"xyz"]})
    client.emit("move", 1, 2)
    client.close()
    lines = [record.getMessage() for record in caplog.records if record.name == "webpy_socketio.messages"]
    assert lines == [
        f"127.0.0.1 - CONNECT: {client.sids['/']}",
        "127.0.0.1 - SUBSCRIBE: room-1",
        '127.0.0.1 - MESSAGE: hi\\n127.0.0.1 - forged\\x1b[31m "\\u202e"',
        '127.0.0.1 - MESSAGE: {"a":[1,"<3 bytes>"]}',
        "127.0.0.1 - EVENT move: [1,2]",
        "127.0.0.1 - DISCONNECT: transport close",
    ]


def test_no_format_means_no_log(events: Events, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "webpy_socketio.messages")
    joined(TestServer(events, message_log_format=None)).send("hello")
    assert caplog.records == []


# Catch-all handlers.


def test_a_catch_all_sees_every_event_of_a_client_by_name(events: Events, server: TestServer) -> None:
    calls: Calls = []
    events.on_any(lambda request, socket, context, event, *args: calls.append((event, *args)))
    events.on_message(lambda request, socket, context, message: "answer")
    client = joined(server, "room-1")
    assert client.call("message", "hi", "more") == ["answer"]
    client.emit("unknown", 1, [2])
    client.emit("message")
    assert calls == [("message", "hi", "more"), ("unknown", 1, [2]), ("message",)]


def test_a_catch_all_answers_what_nobody_else_does(events: Events, server: TestServer) -> None:
    events.on_event("known")(lambda request, socket, context: "known")
    events.on_any(lambda request, socket, context, event, *args: f"any {event}" if args else None)
    client = joined(server)
    assert client.call("known") == ["known"]
    assert client.call("unknown") == []
    assert client.call("unknown", 1) == ["any unknown"]


def test_a_catch_all_refuses_before_the_others_run(events: Events, server: TestServer) -> None:
    calls: Calls = []

    @events.on_any
    def guard(request: Any, socket: Any, context: Any, event: str, *args: Any) -> None:
        raise Refused("closed today")

    events.on_message(lambda request, socket, context, message: calls.append((message,)))
    assert joined(server).call("message", 1) == [{"error": {"code": "refused", "message": "closed today"}}]
    assert calls == []


def test_a_catch_all_by_channel(events: Events, server: TestServer) -> None:
    calls: Calls = []
    events.on_any(channel="^room-")(lambda request, socket, context, event, *args: calls.append((event,)))
    joined(server, "hall").emit("outside")
    joined(server, "room-1").emit("inside")
    assert calls == [("inside",)]


def test_a_catch_all_of_outgoing_events(events: Events, server: TestServer) -> None:
    calls: Calls = []

    @events.on_any_outgoing
    def note(request: Any, socket: Any, context: Any, event: str, *args: Any) -> None:
        calls.append((context["name"], event, *args))

    @events.on_connect
    def connect(request: Any, socket: Any, context: Any) -> None:
        context["name"] = socket.auth["name"]
        socket.send("welcome")

    a, b = server.client(), server.client()
    a.connect(auth={"name": "a"})
    b.connect(auth={"name": "b"})
    b.subscribe("room")
    events.on_event("speak")(lambda request, socket, context: socket.send_and_broadcast("all") or "acknowledged")
    assert calls == [("a", "message", "welcome"), ("b", "message", "welcome")]
    calls.clear()
    assert a.call("speak") == ["acknowledged"]
    assert calls == [("a", "message", "all"), ("b", "message", "all")]
    calls.clear()
    b.acknowledge["ask"] = lambda: "yes"
    with server:
        to("room").emit("news", 1)
        assert to("room").call("ask") == ["yes"]
        b.session.write = None
        to().emit("position", volatile=True)
        assert calls == [("b", "news", 1), ("b", "ask"), ("a", "position")]


def test_a_failing_catch_all_of_outgoing_events_stops_nothing(events: Events, server: TestServer) -> None:
    errors: Calls = []

    @events.on_any_outgoing
    def broken(request: Any, socket: Any, context: Any, *args: Any) -> None:
        raise ValueError("broken")

    events.on_error(lambda request, socket, context, error: errors.append((str(error),)))
    client = joined(server)
    with server:
        to().send("x")
        assert client.received == [["message", "x"]]
    assert errors == [("broken",)]


def test_a_catch_all_of_outgoing_events_may_put_the_client_out(events: Events, server: TestServer) -> None:
    events.on_any_outgoing(lambda request, socket, context, *args: socket.disconnect())
    clients = [joined(server), joined(server)]
    with server:
        to().send("x")
        to().send("y")
    assert [client.received for client in clients] == [[["message", "x"]]] * 2
    assert [client.kicked for client in clients] == [["/"]] * 2


# Namespaces by pattern.


def test_namespaces_by_pattern_are_forgotten_when_empty(events: Events, server: TestServer) -> None:
    calls: Calls = []
    pattern = re.compile("/game-[0-9]+")
    events.on_connect(namespace=pattern)(lambda request, socket, context: not socket.auth)
    events.on_finish(namespace=pattern)(lambda request, socket, context: calls.append((socket.namespace,)))
    table, members = server.node._namespaces, server.node.services.delivery._namespaces
    clients = [server.client() for _ in range(3)]
    for client in clients:
        for number in range(50):
            assert client.connect(f"/game-{number}")
            assert client.subscribe("room", f"/game-{number}")
    assert not server.client().connect("/game-x")
    assert not server.client().connect("/game-99", {"token": "bad"})
    assert (len(table), len(members)) == (50, 50)
    with server:
        to("room", namespace="/game-7").send("x")
        assert [client.received for client in clients] == [[["message", "x"]]] * 3
        clients[0].disconnect("/game-7")
        assert (len(table), len(members)) == (50, 50)
        to(namespace="/game-7").disconnect()
        assert (len(table), len(members)) == (49, 49)
        assert to(namespace="/game-7").send("nobody") == 0
        assert clients[0].connect("/game-7"), "it is made anew"
        for client in clients:
            client.close()
    assert (len(table), len(members)) == (0, 0)
    assert len(calls) == 3 * 50 + 1


def test_a_namespace_with_a_name_stays(events: Events, server: TestServer) -> None:
    events.on_connect(namespace=re.compile("/.*"))(lambda request, socket, context: None)
    events.on_connect(namespace="/named")(lambda request, socket, context: None)
    client = server.client()
    for namespace in ("/", "/named", "/other"):
        assert client.connect(namespace)
    client.close()
    assert sorted(server.node._namespaces._table) == ["/", "/named"]


def test_a_client_that_leaves_while_it_is_let_in_leaves_no_namespace(events: Events, server: TestServer) -> None:
    client = server.client()
    events.on_connect(namespace=re.compile("/x.*"))(lambda request, socket, context: client.close())
    client.connect("/x1")
    assert len(server.node._namespaces) == 0
    assert server.node.services.delivery._namespaces == {}


def test_one_client_is_in_so_many_namespaces_only(events: Events) -> None:
    server = TestServer(events, max_namespaces=3)
    events.on_connect(namespace=re.compile("/n.*"))(lambda request, socket, context: None)
    client = server.client()
    assert [client.connect(f"/n{number}") for number in range(5)] == [True] * 3 + [False] * 2
    assert client.refusals["/n3"] == {"message": "max_namespaces: a client is in at most 3"}
    client.disconnect("/n0")
    assert client.connect("/n3")
    assert server.client().connect("/n4")
    assert client.connected
    assert server.hub.counters.limited == {"max_namespaces": 2}


def test_names_that_clients_make_up_are_bounded(events: Events) -> None:
    server = TestServer(events, max_channel_length=10)
    named = "/" + "named" * 10
    events.on_connect(namespace=re.compile("/n.*"))(lambda request, socket, context: None)
    events.on_connect(namespace=named)(lambda request, socket, context: None)
    client = server.client()
    assert client.connect("/n" + "a" * 8)
    assert not client.connect("/n" + "a" * 9)
    assert client.connect(named)


def test_who_is_put_out_again_and_again_is_not_remembered_for_ever(events: Events) -> None:
    server = TestServer(events, max_namespaces=5)
    events.on_connect(namespace=re.compile("/n.*"))(lambda request, socket, context: socket.disconnect())
    client = server.client()
    for number in range(50):
        client.connect(f"/n{number}")
    assert len(client.session.peer._left) == 5
    client.emit("late", namespace="/n49")
    assert client.connected


# Private channels.


def test_a_stranger_cannot_subscribe_to_a_session_id(events: Events, server: TestServer) -> None:
    asked: Calls = []
    events.on_subscribe(lambda request, socket, context, channel: asked.append((channel,)))
    victim, gone, stranger = joined(server), joined(server), joined(server)
    gone.close()
    names = [victim.sids["/"], gone.sids["/"], stranger.sids["/"], f"/chat#{victim.session.sid}", new_id()]
    for name in names:
        answer = stranger.call("__subscribe__", name)
        assert answer == [
            {"error": {"code": "invalid_channel", "message": "a session id is the name of a private channel"}}
        ]
    assert asked == []
    with server:
        to(victim.sids["/"]).send("for you")
        to(gone.sids["/"]).send("for nobody")
        assert victim.received == [["message", "for you"]]
        assert stranger.received == []


# In the middle of something.


def test_the_end_of_one_namespace_may_put_the_client_out_of_another(events: Events, server: TestServer) -> None:
    reasons: Calls = []
    events.on_disconnect(lambda request, socket, context: to(namespace="/chat").disconnect())
    events.on_disconnect(namespace="/chat")(
        lambda request, socket, context: reasons.append((socket.namespace, str(socket.reason)))
    )
    client = joined(server)
    assert client.connect("/chat")
    with server:
        client.close()
    assert reasons == [("/chat", "server namespace disconnect")]
    assert server.node.services.delivery._namespaces == {}


def test_a_client_that_was_asked_loses_its_connection_and_is_refused(events: Events) -> None:
    server = TestServer(events, recovery=True)
    ends: Calls = []

    @events.on_connect
    def ask(request: Any, socket: Any, context: Any) -> bool:
        socket.call("name")
        client.close()
        return False

    events.on_finish(lambda request, socket, context: ends.append((str(socket.reason),)))
    client = server.client()
    client.acknowledge["name"] = lambda: "Ada"
    client.connect()
    assert ends == [("server namespace disconnect",)]
    assert server.node.services.delivery._namespaces == {}
    assert server.node._namespaces._table["/"].population == 0


def test_a_server_that_stops_while_clients_are_waited_for(events: Events) -> None:
    server = TestServer(events, recovery=True)
    ends: Calls = []
    events.on_disconnect(lambda request, socket, context: to().disconnect())
    events.on_finish(lambda request, socket, context: ends.append((socket.sid,)))
    clients = [joined(server) for _ in range(3)]
    with server:
        for client in clients:
            client.close()
        assert ends == [], "they may come back"
    assert len(set(ends)) == len(ends) == 3
    assert server.node.services.delivery._namespaces == {}
