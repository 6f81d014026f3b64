"""The decorators: what they accept, which handlers an event finds, and modules that are run again."""

from __future__ import annotations

import functools
import importlib.util
import re
import runpy
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import webpy_socketio
from webpy_socketio.errors import EventError
from webpy_socketio.events import EVENTS, Event, Events
from webpy_socketio.handlers import ALL_VALUES, ONE_VALUE, UNLIMITED
from webpy_socketio.testing import TestServer

NO_ARGUMENT = ["on_connect", "on_disconnect", "on_finish"]
ONE_ARGUMENT = ["on_message", "on_subscribe", "on_unsubscribe", "on_error"]
ALL = NO_ARGUMENT + ONE_ARGUMENT
CATCH_ALL = ["on_any", "on_any_outgoing"]


async def awaited(request: Any, socket: Any, context: Any, *args: Any) -> None: ...
async def awaited_generator(request: Any, socket: Any, context: Any, *args: Any) -> Any:
    yield


def generator(request: Any, socket: Any, context: Any, *args: Any) -> Any:
    yield


def bind(events: Events, name: str, function: Any, **options: Any) -> Any:
    """Decorate a function for an event, bare or with options; ``move`` is a named one."""
    if name == "move":
        return events.on_event(name, **options)(function)
    decorator = getattr(events, name)
    return decorator(**options)(function) if options else decorator(function)


def names(event: Event, *channels: str, namespace: str = "/") -> list[str]:
    """The handlers that run for a socket in these channels."""
    return [handler.function.__name__ for handler in event.matching(namespace, channels)]


def event_of(events: Events, name: str) -> Event:
    """An event by its name; a named one has to be bound."""
    event: Event = events.named[name] if name in events.named else getattr(events, name)
    return event


@pytest.fixture
def events() -> Events:
    return Events()


def three(request: Any, socket: Any, context: Any) -> None: ...
def four(request: Any, socket: Any, context: Any, value: Any) -> None: ...
def five(request: Any, socket: Any, context: Any, value: Any, more: Any) -> None: ...
def optional(request: Any, socket: Any, context: Any, value: Any = None, more: Any = None) -> None: ...
def starred(*args: Any) -> None: ...
def rest(request: Any, socket: Any, context: Any, *args: Any) -> None: ...
def keywords(
    request: Any, socket: Any, context: Any, value: Any = None, *, flag: bool = False, **more: Any
) -> None: ...
def two(request: Any, socket: Any) -> None: ...
def nothing() -> None: ...
def keyword_only(request: Any, socket: Any, context: Any, *, value: Any) -> None: ...
def needs_keyword(*args: Any, flag: bool) -> None: ...
def positional_only(request: Any, socket: Any, context: Any, value: Any, /) -> None: ...


class Handlers:
    """Handlers in a class."""

    def method(self, request: Any, socket: Any, context: Any, message: Any) -> None: ...

    def __call__(self, request: Any, socket: Any, context: Any, message: Any) -> None: ...


# Decoration


@pytest.mark.parametrize("name", [*ALL, "move"])
def test_bare(events: Events, name: str) -> None:
    assert bind(events, name, rest) is rest
    assert names(event_of(events, name)) == ["rest"]


@pytest.mark.parametrize("name", [*ONE_ARGUMENT, "move", "on_disconnect", "on_finish"])
def test_with_options(events: Events, name: str) -> None:
    assert bind(events, name, rest, channel="^room-", namespace="/admin") is rest
    event = event_of(events, name)
    assert names(event, "room-1") == []
    assert names(event, "room-1", namespace="/admin") == ["rest"]
    assert names(event, "hall", namespace="/admin") == []


@pytest.mark.parametrize("name", ALL)
def test_empty_options(events: Events, name: str) -> None:
    assert getattr(events, name)()(rest) is rest
    assert names(event_of(events, name)) == ["rest"]


@pytest.mark.parametrize("name", NO_ARGUMENT)
@pytest.mark.parametrize("function", [three, optional, starred, rest, keywords])
def test_takes_no_argument(events: Events, name: str, function: Callable[..., Any]) -> None:
    bind(events, name, function)
    assert names(event_of(events, name)) == [function.__name__]


@pytest.mark.parametrize("name", NO_ARGUMENT)
@pytest.mark.parametrize("function", [nothing, two, four, five, keyword_only, needs_keyword, positional_only])
def test_cannot_be_called_without_argument(events: Events, name: str, function: Callable[..., Any]) -> None:
    with pytest.raises(EventError, match=rf"{function.__name__} cannot handle {name}.*\(request, socket, context\)"):
        bind(events, name, function)
    assert names(event_of(events, name)) == []


@pytest.mark.parametrize("name", ONE_ARGUMENT)
@pytest.mark.parametrize("function", [four, optional, starred, rest, keywords, positional_only, Handlers().method])
def test_takes_an_argument(events: Events, name: str, function: Callable[..., Any]) -> None:
    bind(events, name, function)
    assert names(event_of(events, name)) == [function.__name__]


@pytest.mark.parametrize("name", ONE_ARGUMENT)
@pytest.mark.parametrize("function", [nothing, two, three, five, keyword_only, needs_keyword, Handlers.method])
def test_cannot_be_called_with_an_argument(events: Events, name: str, function: Callable[..., Any]) -> None:
    with pytest.raises(EventError, match=rf"{function.__name__} cannot handle {name}"):
        bind(events, name, function)


@pytest.mark.parametrize(
    ("function", "fewest", "most"),
    [
        (three, 0, 0),
        (four, 1, 1),
        (five, 2, 2),
        (optional, 0, 2),
        (rest, 0, UNLIMITED),
        (starred, 0, UNLIMITED),
        (keywords, 0, 1),
        (positional_only, 1, 1),
        (Handlers().method, 1, 1),
        (Handlers(), 1, 1),
        (functools.partial(five, more=1), 1, 1),
    ],
)
def test_arguments_of_a_named_event(events: Events, function: Callable[..., Any], fewest: int, most: int) -> None:
    events.on_event("move")(function)
    assert [(handler.fewest, handler.most) for handler in events.handlers_of("/", "move")] == [(fewest, most)]


@pytest.mark.parametrize("function", [nothing, two, keyword_only, needs_keyword])
def test_cannot_handle_a_named_event(events: Events, function: Callable[..., Any]) -> None:
    with pytest.raises(EventError, match=r"on_event\('move'\).*\(request, socket, context, \*args\)"):
        events.on_event("move")(function)


@pytest.mark.parametrize(
    "function",
    [functools.partial(two), functools.partial(four, 1, 2, 3, 4), Handlers().__call__.__func__],  # type: ignore[attr-defined]
)
def test_wrong_arity_of_any_callable(events: Events, function: Callable[..., Any]) -> None:
    with pytest.raises(EventError):
        events.on_connect(function)


def test_wrong_arity_of_an_object_that_can_be_called(events: Events) -> None:
    with pytest.raises(EventError):
        events.on_connect(Handlers())  # type: ignore[type-var]


@pytest.mark.parametrize("kind", [int, dict, type])
def test_callable_without_a_signature(events: Events, kind: Any) -> None:
    with pytest.raises(EventError):
        events.on_message(kind)


@pytest.mark.parametrize("name", [*ALL, "move"])
@pytest.mark.parametrize("value", ["^room-", 5, re.compile("x"), ("a",)])
def test_what_is_no_function(events: Events, name: str, value: Any) -> None:
    with pytest.raises(EventError, match="options go by name: channel="):
        bind(events, name, value)


@pytest.mark.parametrize("name", [*ALL, *CATCH_ALL, "move"])
@pytest.mark.parametrize("function", [awaited, awaited_generator, generator, functools.partial(awaited)])
def test_what_is_not_simply_called(events: Events, name: str, function: Any) -> None:
    with pytest.raises(EventError, match="use plain def"):
        bind(events, name, function)


@pytest.mark.parametrize("name", CATCH_ALL)
def test_a_catch_all_takes_the_name_and_everything(events: Events, name: str) -> None:
    def named(request: Any, socket: Any, context: Any, event: str, *args: Any) -> None: ...

    for function in (named, rest, starred):
        bind(events, name, function)
    assert names(event_of(events, name)) == ["named", "rest", "starred"]
    for wrong in (three, four, five, optional, keywords, needs_keyword):
        with pytest.raises(EventError, match=r"\(request, socket, context, event, \*args\)"):
            bind(events, name, wrong)


def test_on_connect_takes_no_channel(events: Events) -> None:
    with pytest.raises(EventError, match="on_connect takes no channel"):
        events.on_connect(channel="^room-")
    assert events.on_connect(namespace="/admin")(three) is three


@pytest.mark.parametrize("channel", ["(", "*", "[", "a{2,1}", "(?P<x", "\\", 5, ["room"], b"^room-", "a{99999999999}"])
def test_bad_pattern(events: Events, channel: Any) -> None:
    with pytest.raises(EventError, match="channel="):
        events.on_message(channel=channel)


@pytest.mark.parametrize("namespace", ["", "admin", " /admin", "/a,b", ",", None, 5, b"/admin", ["/admin"]])
def test_bad_namespace(events: Events, namespace: Any) -> None:
    with pytest.raises(EventError, match="namespace="):
        events.on_message(namespace=namespace)


@pytest.mark.parametrize(
    "name",
    [
        "connect",
        "connect_error",
        "disconnect",
        "disconnecting",
        "newListener",
        "removeListener",
        "__subscribe__",
        "__unsubscribe__",
    ],
)
def test_reserved_name(events: Events, name: str) -> None:
    with pytest.raises(EventError, match=repr(name)):
        events.on_event(name)
    assert events.named == {}


@pytest.mark.parametrize("name", [three, 5, None, b"move", ["move"]])
def test_name_that_is_none(events: Events, name: Any) -> None:
    with pytest.raises(EventError, match="needs the name of an event"):
        events.on_event(name)


@pytest.mark.parametrize("name", ["message", "error", "on_connect", "Connect", "", "é", "subscribe"])
def test_name_that_is_free(events: Events, name: str) -> None:
    events.on_event(name)(rest)
    assert names(events.named[name]) == ["rest"]


@pytest.mark.parametrize(
    "options", [{"channel": "("}, {"channel": b"x"}, {"namespace": "admin"}, {"namespace": "/a,b"}, {"namespace": None}]
)
def test_bad_options_of_a_named_event(events: Events, options: dict[str, Any]) -> None:
    with pytest.raises(EventError, match=r"on_event\('move'\)"):
        events.on_event("move", **options)


def test_handlers_of_a_name(events: Events) -> None:
    events.on_event("move")(three)
    events.on_event("move")(rest)
    events.on_event("stop")(starred)
    events.on_event("move", namespace="/admin")(four)
    assert [handler.function for handler in events.handlers_of("/", "move")] == [three, rest]
    assert [handler.function for handler in events.handlers_of("/admin", "move")] == [four]
    assert list(events.handlers_of("/admin", "stop")) == []
    assert list(events.handlers_of("/", "unknown")) == []


def test_handlers_of_messages(events: Events) -> None:
    events.on_event("message")(rest)
    assert [handler.shape for handler in events.handlers_of("/", "message")] == [ALL_VALUES]
    events.on_message(four)
    handlers = events.handlers_of("/", "message")
    assert [(handler.function, handler.shape) for handler in handlers] == [(four, ONE_VALUE), (rest, ALL_VALUES)]
    assert names(events.on_message) == ["four"]
    assert list(events.handlers_of("/admin", "message")) == []


# Matching


@pytest.mark.parametrize(
    ("pattern", "channels", "runs"),
    [
        (None, [], True),
        (None, ["room-1"], True),
        ("^room-", [], False),
        ("^room-", ["room-1"], True),
        ("^room-", ["hall", "room-1"], True),
        ("^room-", ["hall", "my-room-1"], False),
        ("room", ["room-1"], True),
        ("room", ["my-room"], False),
        ("^room$", ["room-1"], False),
        ("", [], False),
        ("", ["x"], True),
        (".*x$", ["abcx"], True),
        ("(?i)ROOM", ["room"], True),
        (re.compile("room", re.IGNORECASE), ["ROOM"], True),
    ],
)
def test_pattern(events: Events, pattern: Any, channels: list[str], runs: bool) -> None:
    events.on_message(channel=pattern)(four)
    assert bool(events.on_message.matching("/", channels)) == runs


def test_once_though_several_channels_match(events: Events) -> None:
    events.on_message(channel="^room-")(four)
    assert names(events.on_message, "room-1", "room-2") == ["four"]


def test_in_the_order_bound(events: Events) -> None:
    events.on_message(channel="^room-")(four)
    events.on_message(rest)
    events.on_message(channel="^room-1")(optional)
    events.on_message(namespace="/admin")(starred)
    assert names(events.on_message, "room-1") == ["four", "rest", "optional"]
    assert names(events.on_message, "room-2") == ["four", "rest"]
    assert names(events.on_message) == ["rest"]
    assert names(events.on_message, namespace="/admin") == ["starred"]
    assert names(events.on_message, namespace="/other") == []


def test_channels_may_be_read_once(events: Events) -> None:
    for pattern in ("^a", "^b"):
        events.on_message(channel=pattern)(four)
    assert len(events.on_message.matching("/", {"a": None, "b": None}.keys())) == 2


def test_matching_is_a_list_of_its_own(events: Events) -> None:
    events.on_message(four)
    running = events.on_message.matching("/", ())
    events.on_message(rest)
    assert len(running) == 1


def test_namespaces(events: Events) -> None:
    assert events.declares("/")
    assert not events.declares("/admin")
    for name in ("/a", "/b", "/c"):
        assert not events.declares(name)
    events.on_finish(namespace="/a")(three)
    events.on_event("move", namespace="/b")(rest)
    events.on_event("stop", namespace="/c")
    assert [events.declares(name) for name in ("/a", "/b", "/c", "/A", "/a/", "a", "")] == [True, True, *[False] * 5]


def test_namespaces_by_pattern(events: Events) -> None:
    bind(events, "on_message", four, namespace=re.compile("/game-[0-9]+"))
    bind(events, "move", rest, namespace=re.compile("/GAME-1", re.IGNORECASE))
    bind(events, "on_message", optional, namespace="/game-1")
    assert names(events.on_message, namespace="/game-1") == ["four", "optional"]
    assert names(events.on_message, namespace="/game-22") == ["four"]
    assert [h.function for h in events.handlers_of("/game-1", "move")] == [rest]
    for name in ("/game-", "/game-1/", "/game-1\n", "/my/game-1", "game-1", "/"):
        assert names(events.on_message, namespace=name) == []
    assert [events.declares(name) for name in ("/game-1", "/game-22", "/Game-1", "/game-x")] == [
        True,
        True,
        True,
        False,
    ]
    assert [events.names(name) for name in ("/", "/game-1", "/game-22")] == [True, True, False]


def test_a_pattern_of_bytes_matches_no_namespace(events: Events) -> None:
    with pytest.raises(EventError, match="pattern of bytes"):
        events.on_message(namespace=re.compile(b"/game"))


def test_failed_decoration_declares_nothing(events: Events) -> None:
    with pytest.raises(EventError):
        events.on_connect(namespace="/admin")(two)
    assert not events.declares("/admin")


@pytest.mark.parametrize("name", [*ALL, *CATCH_ALL, "on_event", "connection_middleware", "packet_middleware"])
def test_face(name: str) -> None:
    assert getattr(webpy_socketio, name) == getattr(EVENTS, name)
    assert name in webpy_socketio.__all__


# Modules that are run again


class Project:
    """Modules in a directory whose handlers are bound to a set of events."""

    def __init__(self, directory: Path, events: Events) -> None:
        self._directory = directory
        self._events = events

    def write(self, text: str, name: str = "main_app") -> None:
        """Write a module; ``events`` is there for it to use."""
        (self._directory / f"{name}.py").write_text(f"from events_of_the_test import events\n{text}\n")

    def load(self, name: str = "main_app", path: str | None = None) -> ModuleType:
        """Run a module under its own name, as an import or a reload does."""
        spec = importlib.util.spec_from_file_location(name, path or self._directory / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def run(self, path: str = "main_app.py") -> None:
        """Run a module as the main program."""
        runpy.run_path(f"{self._directory}/{path}", run_name="__main__")

    def bound(self, event: str = "on_message") -> list[str]:
        """The handlers of an event, each with the name of the module that it belongs to."""
        handlers = event_of(self._events, event).matching("/", ("a", "b", "c"))
        return [f"{h.function.__globals__['__name__']}.{h.function.__name__}" for h in handlers]  # type: ignore[attr-defined]


@pytest.fixture
def project(tmp_path: Path, events: Events, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    shared = ModuleType("events_of_the_test")
    shared.events = events  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "events_of_the_test", shared)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield Project(tmp_path, events)


ONE = """
@events.on_message
def one(request, socket, context, message): ...
"""
TWO = """
@events.on_message
def two(request, socket, context, message): ...
"""


def test_loaded_twice(project: Project, events: Events) -> None:
    project.write(ONE)
    first = project.load()
    second = project.load()
    assert project.bound() == ["main_app.one"]
    assert events.on_message.matching("/", ())[0].function is second.one
    assert first.one is not second.one


def test_overflow_rules_of_a_module_loaded_twice(project: Project, events: Events) -> None:
    def rules() -> list[tuple[str, str]]:
        return [(rule.pattern.pattern, rule.policy) for rule in events.overflow_rules]

    events.channel_overflow("declared in a function", "wait")
    project.write('events.channel_overflow("^prices-", "drop_oldest")')
    project.load()
    project.write('events.channel_overflow("^prices-", "latest")')
    project.load()
    project.run()
    assert rules() == [("declared in a function", "wait"), ("^prices-", "latest")]


def test_presence_rules_of_a_module_loaded_twice(project: Project, events: Events) -> None:
    def rules() -> list[tuple[str, bool]]:
        return [(rule.pattern.pattern, rule.clients) for rule in events.presence_rules]

    kept = events.presence_rules
    events.channel_presence("declared in a function")
    project.write('events.channel_presence("^room-")')
    project.load()
    project.write('events.channel_presence("^room-", clients=True)')
    project.load()
    project.run()
    assert rules() == [("declared in a function", False), ("^room-", True)]
    assert events.presence_rules is kept, "a server that runs has it"


def test_loaded_many_times(project: Project) -> None:
    project.write(ONE + TWO)
    for _ in range(5):
        project.load()
    assert project.bound() == ["main_app.one", "main_app.two"]


def test_main_then_by_name(project: Project) -> None:
    project.write(ONE + TWO)
    project.run()
    assert project.bound() == ["__main__.one", "__main__.two"]
    project.load()
    assert project.bound() == ["main_app.one", "main_app.two"]


def test_by_name_then_main(project: Project) -> None:
    project.write(ONE + TWO)
    project.load()
    project.run()
    assert project.bound() == ["main_app.one", "main_app.two"]


def test_by_name_while_main_runs(project: Project, events: Events) -> None:
    """As in web.py's debug mode, which imports the main module in the middle of its run."""
    events.load = project.load  # type: ignore[attr-defined]
    project.write(f"{ONE}\nif __name__ == '__main__':\n    events.load()\n{TWO}")
    project.run()
    assert project.bound() == ["main_app.one", "main_app.two"]
    project.load()
    assert project.bound() == ["main_app.one", "main_app.two"]


@pytest.mark.parametrize("spelling", ["./main_app.py", "../{name}/main_app.py", "link.py"])
def test_main_by_another_spelling_of_its_path(project: Project, tmp_path: Path, spelling: str) -> None:
    project.write(ONE)
    (tmp_path / "link.py").symlink_to(tmp_path / "main_app.py")
    project.run(spelling.format(name=tmp_path.name))
    project.load()
    assert project.bound() == ["main_app.one"]


def test_main_run_twice_by_hand(project: Project) -> None:
    project.write(ONE)
    project.load()
    project.load()
    project.run()
    project.load()
    assert project.bound() == ["main_app.one"]


def test_main_run_anew(project: Project) -> None:
    """As in an interactive session that runs the file again."""
    project.write(ONE)
    project.run()
    project.write(TWO)
    project.run()
    assert project.bound() == ["__main__.two"]


def test_changed_and_loaded_again(project: Project) -> None:
    project.write(ONE + TWO)
    project.load()
    project.write(TWO)
    project.load()
    assert project.bound() == ["main_app.two"]


CONNECT = """
@events.on_connect
def joined(request, socket, context): ...
"""


@pytest.mark.parametrize("first", ["load", "run"])
def test_last_handler_of_an_event_removed(project: Project, first: str) -> None:
    project.write(CONNECT + ONE)
    getattr(project, first)()
    project.write(CONNECT)
    project.load()
    assert project.bound("on_connect") == ["main_app.joined"]
    assert project.bound("on_message") == []


def test_named_event_renamed(project: Project, events: Events) -> None:
    project.write("@events.on_event('go')\ndef go(request, socket, context): ...")
    project.load()
    project.write("@events.on_event('move')\ndef go(request, socket, context): ...")
    project.load()
    assert project.bound("move") == ["main_app.go"]
    assert list(events.handlers_of("/", "go")) == []


def test_namespace_renamed(project: Project, events: Events) -> None:
    project.write("@events.on_message(namespace='/old')\ndef one(request, socket, context, message): ...")
    project.load()
    project.write("@events.on_message(namespace='/new')\ndef one(request, socket, context, message): ...")
    project.load()
    assert events.declares("/new")
    assert names(events.on_message, namespace="/old") == []
    assert not events.declares("/old")


CLASS = """
from webpy_socketio.class_namespaces import make_on_namespace
on_namespace = make_on_namespace(events)

@on_namespace("/chat")
class Chat:
    def on_message(self, message): return NUMBER
    def on_move(self): return NUMBER
"""


def answers(events: Events) -> list[Any]:
    """What a client of the namespace by class is answered, and how many handlers there are."""
    client = TestServer(events).client()
    assert client.connect("/chat")
    handlers = events.on_message.of("/chat") + events.named["move"].of("/chat")
    return [client.call(name, *args, namespace="/chat") for name, args in (("message", "x"), ("move", ()))] + [
        len(handlers)
    ]


def test_class_loaded_again(project: Project, events: Events) -> None:
    project.write(f"NUMBER = 1{CLASS}")
    project.run()
    assert answers(events) == [[1], [1], 2]
    for number in (2, 3):
        project.write(f"NUMBER = {number}{CLASS}")
        project.load()
        assert answers(events) == [[number], [number], 2]
    project.run()
    assert answers(events) == [[3], [3], 2]


def test_class_loaded_again_while_a_client_is_connected(project: Project, events: Events) -> None:
    project.write(f"NUMBER = 1{CLASS}")
    project.load()
    client = TestServer(events).client()
    assert client.connect("/chat")
    assert client.call("move", namespace="/chat") == [1]
    project.write(f"NUMBER = 2{CLASS}")
    project.load()
    assert client.call("move", namespace="/chat") == [2]


def test_namespace_of_a_class_removed(project: Project, events: Events) -> None:
    server = TestServer(events)
    project.write(f"NUMBER = 1{CLASS}")
    project.load()
    client = server.client()
    assert client.connect("/chat")
    client.disconnect("/chat")
    project.write(ONE)
    project.load()
    assert not client.connect("/chat"), "its namespace is gone, though somebody had been in it"


def test_other_modules_keep_theirs(project: Project) -> None:
    project.write(ONE, "rooms")
    project.write(TWO, "main_app")
    project.load("rooms")
    project.load("main_app")
    project.load("main_app")
    assert project.bound() == ["rooms.one", "main_app.two"]
    project.load("rooms")
    assert project.bound() == ["main_app.two", "rooms.one"]


def test_loop_at_the_top_level(project: Project) -> None:
    project.write(
        """
def one(request, socket, context, message): ...
for channel in ("^a", "^b", "^c"):
    events.on_message(channel=channel)(one)
"""
    )
    project.load()
    assert project.bound() == ["main_app.one"] * 3
    project.load()
    assert project.bound() == ["main_app.one"] * 3


def test_loop_that_makes_handlers(project: Project, events: Events) -> None:
    project.write(
        """
for channel in ("^a", "^b"):
    @events.on_message(channel=channel)
    def one(request, socket, context, message): ...
"""
    )
    for _ in range(2):
        project.load()
        assert len(events.on_message.matching("/", ("a",))) == 1
        assert len(events.on_message.matching("/", ("b",))) == 1


def test_two_of_the_same_name(project: Project) -> None:
    project.write(ONE + ONE)
    project.load()
    assert project.bound() == ["main_app.one"] * 2
    project.load()
    assert project.bound() == ["main_app.one"] * 2


def test_same_function_twice(project: Project) -> None:
    project.write(ONE + "events.on_message(one)")
    for _ in range(2):
        project.load()
        assert project.bound() == ["main_app.one"] * 2


def test_function_of_another_module(project: Project, events: Events) -> None:
    project.write("def one(request, socket, context, message): ...", "rooms")
    events.rooms = project.load("rooms")  # type: ignore[attr-defined]
    project.write("events.on_message(events.rooms.one)")
    for _ in range(2):
        project.load()
        assert project.bound() == ["rooms.one"]


def test_inside_a_condition(project: Project) -> None:
    project.write(f"if True:\n{textwrap.indent(ONE, '    ')}")
    for _ in range(2):
        project.load()
        assert project.bound() == ["main_app.one"]


def test_bound_within_a_function_stays(events: Events) -> None:
    def bind() -> None:
        @events.on_message
        def one(request: Any, socket: Any, context: Any, message: Any) -> None: ...

    bind()
    bind()
    assert names(events.on_message) == ["one", "one"]
    assert [handler.run for handler in events.on_message.matching("/", ())] == [None, None]


def test_bound_within_a_function_survives_a_load(project: Project, events: Events) -> None:
    events.on_message(four)
    project.write(ONE)
    project.load()
    project.load()
    assert names(events.on_message) == ["four", "one"]


def test_statements_of_an_interactive_session(events: Events) -> None:
    scope = {"__name__": "__main__", "events": events}
    for statement in (ONE, TWO):
        exec(compile(statement, "<stdin>", "exec"), scope)
    assert names(events.on_message) == ["one", "two"]


# Events of other processes


def test_server_side_events(events: Events) -> None:
    function = lambda *args: None  # noqa: E731
    assert events.on_server_side_event("refresh")(function) is function
    events.on_server_side_event("refresh", namespace="/chat")(lambda: None)
    events.on_server_side_event("refresh", namespace=re.compile("/game-.*"))(lambda: None)
    for namespace, count in (("/", 1), ("/chat", 1), ("/game-1", 1), ("/other", 0)):
        assert len(events.server_side_handlers(namespace, "refresh")) == count
    assert events.server_side_handlers("/", "unknown") == events.server_side_handlers("/", ["refresh"]) == []
    # They make no namespace exist for clients, but a process listens to others for it.
    assert not events.declares("/chat")
    assert events.namespaces() == {"/", "/chat"}


def test_server_side_handlers_take_the_arguments_only(events: Events) -> None:
    events.on_server_side_event("move")(lambda x, y=0: None)
    (handler,) = events.server_side_handlers("/", "move")
    assert (handler.fewest, handler.most) == (1, 2)
    for name in ("connect", None):
        with pytest.raises(EventError, match="needs the name of an event"):
            events.on_server_side_event(name)  # type: ignore[arg-type]
    with pytest.raises(EventError, match="not awaited or iterated"):
        events.on_server_side_event("move")(awaited)
    with pytest.raises(EventError, match="a slash"):
        events.on_server_side_event("move", namespace="chat")(lambda: None)


def test_server_side_handlers_of_a_module_that_is_loaded_again(project: Project, events: Events) -> None:
    project.write('@events.on_server_side_event("refresh")\ndef refresh(): pass\n')
    project.load()
    project.load()
    assert len(events.server_side_handlers("/", "refresh")) == 1
