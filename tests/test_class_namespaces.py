"""Namespaces by class: an object for each connection and namespace, whose methods are the handlers."""

from __future__ import annotations

import abc
import asyncio
import dataclasses
import functools
import gc
import re
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import webpy_socketio
from webpy_socketio import EventError, Refused
from webpy_socketio.class_namespaces import OF_THE_SOCKET, make_on_namespace
from webpy_socketio.events import Events
from webpy_socketio.testing import TestClient, TestServer

Decorator = Callable[..., Any]


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def on_namespace(events: Events) -> Decorator:
    return make_on_namespace(events)


@pytest.fixture
def server(events: Events) -> TestServer:
    return TestServer(events)


def joined(server: TestServer, namespace: str = "/chat", **auth: Any) -> TestClient:
    client = server.client()
    assert client.connect(namespace, auth or None)
    return client


class Chat:
    """Notes everything that happens to it."""

    made: list[Chat] = []

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.made.append(self)

    def on_connect(self) -> Any:
        self.name = self.socket.auth.get("name")  # type: ignore[attr-defined]
        self.calls.append(("connect", self.name))
        return self.name != "Mallory"

    def on_message(self, message: Any) -> Any:
        self.calls.append(("message", message))
        return f"{self.name}: {message}"

    def on_move(self, x: int, y: int = 0) -> tuple[int, int]:
        self.calls.append(("move", x, y))
        return x, y

    def on_fail(self) -> None:
        raise ValueError("broken")

    def on_subscribe(self, channel: str) -> None:
        self.calls.append(("subscribe", channel))
        if channel == "secret":
            raise Refused("not for you")

    def on_unsubscribe(self, channel: str) -> None:
        self.calls.append(("unsubscribe", channel))

    def on_error(self, error: Exception) -> None:
        self.calls.append(("error", str(error)))

    def on_any(self, event: str, *args: Any) -> None:
        self.calls.append(("any", event, *args))

    def on_any_outgoing(self, event: str, *args: Any) -> None:
        self.calls.append(("outgoing", event, *args))

    def on_disconnect(self) -> None:
        self.calls.append(("disconnect", str(self.socket.reason)))  # type: ignore[attr-defined]

    def on_finish(self) -> None:
        self.calls.append(("finish", self.socket.channels))  # type: ignore[attr-defined]


@pytest.fixture
def chat(on_namespace: Decorator, monkeypatch: pytest.MonkeyPatch) -> type[Chat]:
    monkeypatch.setattr(Chat, "made", [])
    assert on_namespace("/chat")(Chat) is Chat
    return Chat


def test_a_life(server: TestServer, chat: type[Chat]) -> None:
    client = joined(server, name="Ada")
    assert client.call("message", "hi", namespace="/chat") == ["Ada: hi"]
    assert client.call("move", 1, namespace="/chat") == [1, 0]
    assert client.subscribe("room", "/chat")
    assert not client.subscribe("secret", "/chat")
    client.emit("fail", namespace="/chat")
    client.close()
    (only,) = chat.made
    assert only.calls == [
        ("connect", "Ada"), ("any", "message", "hi"), ("message", "hi"), ("any", "move", 1), ("move", 1, 0),
        ("subscribe", "room"), ("subscribe", "secret"), ("any", "fail"), ("error", "broken"),
        ("disconnect", "transport close"), ("unsubscribe", "room"), ("finish", ["room"]),
    ]  # fmt: skip


def test_outgoing(server: TestServer, chat: type[Chat]) -> None:
    client = joined(server, name="Ada")
    with server:
        webpy_socketio.to(namespace="/chat").emit("news", 1)
        assert client.received == [["news", 1]]
        assert chat.made[0].calls[-1] == ("outgoing", "news", 1)


def test_an_object_for_each_connection(server: TestServer, chat: type[Chat]) -> None:
    first, second = joined(server, name="Ada"), joined(server, name="Bob")
    assert first.call("message", "hi", namespace="/chat") == ["Ada: hi"]
    assert second.call("message", "hi", namespace="/chat") == ["Bob: hi"]
    first.disconnect("/chat")
    assert first.connect("/chat", {"name": "Ada again"})
    assert [each.name for each in chat.made] == ["Ada", "Bob", "Ada again"]


def test_an_object_for_each_namespace(server: TestServer, on_namespace: Decorator, chat: type[Chat]) -> None:
    on_namespace(re.compile("/game-[0-9]+"))(Chat)
    client = joined(server, name="Ada")
    assert client.connect("/game-1", {"name": "A"})
    assert client.connect("/game-22", {"name": "B"})
    assert not client.connect("/game-x")
    assert client.call("message", "hi", namespace="/game-22") == ["B: hi"]
    assert [each.socket.namespace for each in chat.made] == ["/chat", "/game-1", "/game-22"]  # type: ignore[attr-defined]


def test_a_refused_client(server: TestServer, chat: type[Chat]) -> None:
    client = server.client()
    assert not client.connect("/chat", {"name": "Mallory"})
    client.close()
    assert chat.made[0].calls == [("connect", "Mallory")]


def test_beside_functions(events: Events, server: TestServer, chat: type[Chat]) -> None:
    seen: list[Any] = []
    events.on_event("move", namespace="/chat")(lambda request, socket, context, *args: seen.append(args))
    joined(server).emit("move", 1, 2, namespace="/chat")
    assert seen == [(1, 2)]
    assert chat.made[0].calls[-1] == ("move", 1, 2)


def test_two_classes_of_one_namespace(server: TestServer, on_namespace: Decorator, chat: type[Chat]) -> None:
    class Other:
        def on_move(self, *args: Any) -> None:
            seen.append((self, args))

    seen: list[Any] = []
    on_namespace("/chat")(Other)
    client = joined(server)
    client.emit("move", 1, namespace="/chat")
    client.emit("move", 2, namespace="/chat")
    assert [args for _, args in seen] == [(1,), (2,)]
    assert seen[0][0] is seen[1][0]
    assert len(chat.made) == 1


def test_methods_are_inherited(server: TestServer, on_namespace: Decorator) -> None:
    class Base:
        def on_ask(self) -> str:
            return f"asked {type(self).__name__}"

    class Derived(Base):
        @functools.wraps(Base.on_ask)
        def on_also(self) -> str:
            return "also"

    on_namespace("/derived")(Derived)
    client = joined(server, "/derived")
    assert client.call("ask", namespace="/derived") == ["asked Derived"]
    assert client.call("also", namespace="/derived") == ["also"]


def test_a_method_may_be_anything_that_is_called_with_the_object(server: TestServer, on_namespace: Decorator) -> None:
    class Called:
        def __call__(self, instance: Any, *args: Any) -> str:
            return f"{type(instance).__name__} {len(args)}"

    class Fine:
        on_called = Called()
        on_partial = functools.partial(Called())

    on_namespace("/fine")(Fine)
    client = joined(server, "/fine")
    assert client.call("called", 1, 2, namespace="/fine") == ["Fine 2"]
    assert client.call("partial", 1, namespace="/fine") == ["Fine 1"]


@pytest.mark.parametrize("name", sorted({method.removeprefix("on_") for method in OF_THE_SOCKET} - {"message"}))
def test_a_client_cannot_call_what_happens_to_the_socket(server: TestServer, chat: type[Chat], name: str) -> None:
    client = joined(server, name="Ada")
    before = [*chat.made[0].calls]
    if name in ("connect", "disconnect"):
        client.emit(name, "forged", namespace="/chat")
        assert not client.connected, "no client may send this"
        return
    client.emit(name, "forged", namespace="/chat")
    assert chat.made[0].calls == [*before, ("any", name, "forged")]
    client.emit("__subscribe__", namespace="/chat")
    client.emit("_instance", namespace="/chat")
    assert len(chat.made) == 1


def test_without_a_catch_all_such_an_event_has_no_handler(server: TestServer, on_namespace: Decorator) -> None:
    class Quiet:
        def on_error(self, error: Any) -> None:
            raise AssertionError

        def on_subscribe(self, channel: str) -> None:
            raise AssertionError

    on_namespace("/quiet")(Quiet)
    client = joined(server, "/quiet")
    for name in ("error", "subscribe", "any", "finish", "on_error", "namespace"):
        answer = client.call(name, "x", namespace="/quiet")
        assert answer is not None
        assert answer[0]["error"]["code"] == "no_handler"


def test_wrong_arguments_are_the_clients_mistake(server: TestServer, chat: type[Chat]) -> None:
    answer = joined(server).call("move", 1, 2, 3, namespace="/chat")
    assert answer is not None
    assert answer[0]["error"] == {
        "code": "wrong_arguments",
        "message": "the event 'move' takes 1 to 2 arguments, not 3",
    }


def test_an_object_that_cannot_be_made_lets_nobody_in(
    events: Events, server: TestServer, on_namespace: Decorator, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def __init__(self) -> None:
            raise ValueError("no database")

        def on_connect(self) -> None: ...

        def on_disconnect(self) -> None: ...

        def on_error(self, error: Exception) -> None: ...

    errors: list[str] = []
    events.on_error(namespace="/broken")(lambda request, socket, context, error: errors.append(str(error)))
    on_namespace("/broken")(Broken)
    client = server.client()
    assert not client.connect("/broken")
    assert errors == ["no database"]
    assert client.connect()


def test_two_handlers_that_make_it_at_once_share_it(
    events: Events, server: TestServer, on_namespace: Decorator
) -> None:
    """An outgoing event may come while the object's constructor waits for something."""

    class Slow:
        def __init__(self) -> None:
            made.append(self)
            if len(made) == 1:
                handlers["outgoing"]()

        def on_move(self) -> None:
            used.append(self)

        def on_any_outgoing(self, event: str, *args: Any) -> None:
            used.append(self)

    made: list[Slow] = []
    used: list[Slow] = []
    on_namespace("/slow")(Slow)
    client = joined(server, "/slow")
    (outgoing,) = events.on_any_outgoing.of("/slow")
    member = next(iter(server.node.services.delivery.membership("/slow").everybody.values()))
    handlers = {"outgoing": lambda: outgoing.function({}, member, {}, "x")}
    client.emit("move", namespace="/slow")
    client.emit("move", namespace="/slow")
    assert len(set(map(id, used))) == 1
    assert len(used) == 3


def test_nothing_is_left_of_it(server: TestServer, chat: type[Chat]) -> None:
    client = joined(server)
    reference = weakref.ref(chat.made.pop())
    client.close()
    del client
    gc.collect()
    assert reference() is None


# Mistakes, told at decoration.


class Needs:
    """Cannot be made without arguments."""

    def __init__(self, room: str) -> None: ...

    def on_connect(self) -> None: ...


@dataclasses.dataclass
class Data:
    room: str

    def on_connect(self) -> None: ...


class Nothing:
    def move(self) -> None: ...


class Abstract(abc.ABC):
    @abc.abstractmethod
    def on_connect(self) -> None: ...


class Slots:
    __slots__ = ("name",)

    def on_connect(self) -> None: ...


class Generates:
    def on_connect(self) -> Any:
        yield 1


class Awaits:
    async def on_move(self) -> None:
        await asyncio.sleep(0)


class AwaitsAndGenerates:
    async def on_move(self) -> Any:
        yield 1


class TooFew:
    def on_message(self) -> None: ...


class TooMany:
    def on_connect(self, request: Any) -> None: ...


class NoSelf:
    def on_move() -> None: ...  # type: ignore[misc]


class NoRest:
    def on_any(self, event: str) -> None: ...


class Keyword:
    def on_move(self, *, x: int) -> None: ...


class Static:
    @staticmethod
    def on_move(x: int) -> None: ...


class OfTheClass:
    @classmethod
    def on_move(cls, x: int) -> None: ...


class Attribute:
    on_move = 5


class Property:
    @property
    def on_move(self) -> int:
        return 5


class Impossible:
    def on_disconnecting(self) -> None: ...


@pytest.mark.parametrize(
    ("cls", "problem"),
    [
        (Needs, "Needs cannot be a namespace: an object of it is made without arguments"),
        (Data, "Data cannot be a namespace: an object of it is made without arguments"),
        (Nothing, "Nothing has no method on_connect, on_message, on_<event>"),
        (Abstract, "Abstract cannot be a namespace: it is abstract"),
        (Slots, "Slots cannot be a namespace: its __slots__ have no place for 'socket'"),
        (Generates, "Generates.on_connect cannot handle on_connect: .* use plain def"),
        (Awaits, "Awaits.on_move cannot handle .* use plain def"),
        (AwaitsAndGenerates, "AwaitsAndGenerates.on_move cannot handle .* use plain def"),
        (TooFew, r"TooFew.on_message cannot handle on_message: it is called with \(self, value\)"),
        (TooMany, r"TooMany.on_connect cannot handle on_connect: it is called with \(self\)"),
        (NoSelf, r"NoSelf.on_move cannot handle on_event\('move'\): it is called with \(self, \*args\)"),
        (NoRest, r"NoRest.on_any cannot handle on_any: it is called with \(self, event, \*args\)"),
        (Keyword, "Keyword.on_move cannot handle"),
        (Static, "Static.on_move must be a method of the object"),
        (OfTheClass, "OfTheClass.on_move must be a method of the object"),
        (Attribute, r"on_event\('move'\) decorates a function, not 5"),
        (Property, r"on_event\('move'\) decorates a function, not <property"),
        (Impossible, "no client can send an event named 'disconnecting'"),
        (joined, "on_namespace decorates a class, not <function joined"),
        (None, "on_namespace decorates a class, not None"),
    ],
)
def test_mistakes(events: Events, on_namespace: Decorator, cls: Any, problem: str) -> None:
    with pytest.raises(EventError, match=problem):
        on_namespace("/mistake")(cls)
    assert not events.declares("/mistake")


def test_a_mistake_in_one_method_binds_none(events: Events, on_namespace: Decorator) -> None:
    class Half:
        def on_connect(self) -> None: ...

        def on_zoom(self, *, x: int) -> None: ...

    with pytest.raises(EventError):
        on_namespace("/half")(Half)
    assert not events.declares("/half")


@pytest.mark.parametrize("namespace", ["chat", "", 5, None, "/a,b", Chat, re.compile(b"/chat")])
def test_a_namespace_that_is_none(on_namespace: Decorator, namespace: Any) -> None:
    with pytest.raises(EventError, match="on_namespace: namespace="):
        on_namespace(namespace)


def test_slots_with_a_place(server: TestServer, on_namespace: Decorator) -> None:
    class Roomy:
        __slots__ = ("socket",)

        def on_ask(self) -> str:
            return str(self.socket.namespace)

    on_namespace("/roomy")(Roomy)
    assert joined(server, "/roomy").call("ask", namespace="/roomy") == ["/roomy"]


def test_face() -> None:
    assert "on_namespace" in webpy_socketio.__all__
