"""Tokens for channels, and who may follow one, driven in memory."""

from __future__ import annotations

import gc
import json
import secrets
import sys
from collections.abc import Callable
from typing import Any

import pytest
from itsdangerous import URLSafeSerializer

from webpy_socketio import EventError, Refused, SettingsError, shortcuts, subscribe_token, token_script
from webpy_socketio.errors import SubscriptionRefused
from webpy_socketio.events import Events
from webpy_socketio.identifiers import new_id
from webpy_socketio.settings import load_settings
from webpy_socketio.testing import TestClient, TestServer
from webpy_socketio.tokens import LONGEST_TOKEN, SALT, SIGNER, Tokens

OLD, NEW = "an old secret 0123", "a new secret 45678"
ROOM = "room-42"
LONG = secrets.token_hex(LONGEST_TOKEN)


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def server(events: Events) -> TestServer:
    """One where a client needs a token."""
    return TestServer(events, subscriptions="closed", secrets=[NEW])


def joined(server: TestServer, namespace: str = "/") -> TestClient:
    client = server.client()
    assert client.connect(namespace)
    return client


def token_for(
    server: TestServer, channel: str = ROOM, user: Any = None, expires: float = 60, namespace: str = "/"
) -> str:
    before = shortcuts.current()
    shortcuts.set_current(server.node)
    try:
        return subscribe_token(channel, user, expires, namespace=namespace)
    finally:
        shortcuts.set_current(before)


def code_for(client: TestClient, *args: Any, channel: str = ROOM) -> Any:
    """What a subscription is answered: True, or the code of an error."""
    answer = client.call("__subscribe__", channel, *args)
    assert answer is not None
    return answer[0] if answer == [True] else answer[0]["error"]["code"]


def code_with(client: TestClient, token: Any, channel: str = ROOM) -> Any:
    return code_for(client, {"token": token}, channel=channel)


# Open and closed


def test_closed_a_token_lets_its_holder_in(events: Events, server: TestServer) -> None:
    events.on_message(lambda request, socket, context, message: socket.broadcast_channel(message, ROOM))
    inside, outside, speaker = joined(server), joined(server), joined(server)
    assert inside.subscribe(ROOM, token=token_for(server))
    assert not outside.subscribe(ROOM)
    assert code_for(outside) == "token_required"
    speaker.send("hello")
    assert (inside.received, outside.received) == ([["message", "hello"]], [])


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([True], True),
        ([None, True], True),
        ([True, None], True),
        ([True, True], True),
        ([None], "token_required"),
        ([1], "token_required"),
        (["yes"], "token_required"),
        ([True, False], "refused"),
        ([False, True], "refused"),
        ([None, False], "refused"),
    ],
)
def test_closed_a_handler_may_let_in_by_returning_true(
    events: Events, server: TestServer, answers: list[Any], code: Any
) -> None:
    for answer in answers:
        events.on_subscribe(lambda request, socket, context, channel, answer=answer: answer)
    assert code_for(joined(server)) == code


@pytest.mark.parametrize("answer", [False, Refused("no"), ValueError("broken")])
def test_closed_a_handler_may_refuse_who_has_a_token(events: Events, server: TestServer, answer: Any) -> None:
    @events.on_subscribe
    def decide(request: Any, socket: Any, context: Any, channel: str) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert code_with(joined(server), token_for(server)) == "refused"


def test_closed_without_a_secret_is_for_handlers_alone(events: Events) -> None:
    events.on_subscribe(channel="^lobby$")(lambda request, socket, context, channel: True)
    client = joined(TestServer(events, subscriptions="closed"))
    assert [code_for(client, channel="lobby"), code_for(client), code_with(client, "x")] == [
        True,
        "token_required",
        "token_invalid",
    ]


def test_closed_the_server_may_subscribe_as_before(events: Events, server: TestServer) -> None:
    events.on_connect(lambda request, socket, context: socket.subscribe(ROOM))
    assert code_for(joined(server)) is True


def test_open_a_bad_token_is_refused_all_the_same(events: Events) -> None:
    asked: list[str] = []
    events.on_subscribe(lambda request, socket, context, channel: asked.append(channel))
    server = TestServer(events, secrets=[NEW])
    client = joined(server)
    assert code_with(client, "nonsense") == "token_invalid"
    assert asked == []
    assert code_with(client, token_for(server)) is True
    assert code_for(client, channel="another") is True
    assert asked == [ROOM, "another"]


def test_a_bad_token_ends_no_subscription(events: Events, server: TestServer) -> None:
    events.on_connect(lambda request, socket, context: socket.subscribe(ROOM))
    events.on_message(lambda request, socket, context, message: socket.send_and_broadcast_channel(message, ROOM))
    client = joined(server)
    assert code_with(client, "nonsense") == "token_invalid"
    client.send("still here")
    assert client.received == [["message", "still here"]]


def test_session_ids_stay_closed(server: TestServer) -> None:
    sid = new_id()
    with pytest.raises(EventError, match="private channel"):
        token_for(server, sid)
    forged = Tokens(load_settings({"secrets": NEW}), server.time).make("/", sid, None, 60)
    assert code_with(joined(server), forged, sid) == "invalid_channel"


@pytest.mark.parametrize("options", [{}, {"token": None}])
def test_no_token(server: TestServer, options: Any) -> None:
    assert code_for(joined(server), options) == "token_required"


@pytest.mark.parametrize(
    "more", [["text"], [None], [5], [[]], [{"token": 5}], [{"token": {}}], [{"tokne": "x"}], [{}, {}], [{}, 1]], ids=str
)
def test_what_is_no_token(server: TestServer, more: list[Any]) -> None:
    assert code_for(joined(server), *more) == "token_invalid"


def test_an_unsubscription_takes_no_token(server: TestServer) -> None:
    answer = joined(server).call("__unsubscribe__", ROOM, {"token": "x"})
    assert answer is not None
    assert answer[0]["error"]["code"] == "invalid_channel"


# Bad tokens


def test_other_channel(server: TestServer) -> None:
    client = joined(server)
    for channel in ("room-43", "room-4", "room-42 ", "Room-42"):
        assert code_with(client, token_for(server), channel) == "token_other_channel"


def test_other_namespace(events: Events, server: TestServer) -> None:
    events.on_connect(namespace="/admin")(lambda request, socket, context: None)
    client = joined(server, "/admin")
    assert not client.subscribe(ROOM, "/admin", token_for(server))
    assert client.subscribe(ROOM, "/admin", token_for(server, namespace="/admin"))


def test_expired(server: TestServer) -> None:
    token = token_for(server, expires=60)
    server.advance(59)
    assert code_with(joined(server), token) is True
    server.advance(1)
    assert code_with(joined(server), token) == "token_expired"


def test_a_subscription_outlives_its_token(events: Events, server: TestServer) -> None:
    events.on_message(lambda request, socket, context, message: socket.send_and_broadcast_channel(message, ROOM))
    client = joined(server)
    assert client.subscribe(ROOM, token=token_for(server, expires=1))
    server.advance(5)
    assert code_for(client) is True
    client.send("still here")
    assert client.received == [["message", "still here"]]


@pytest.mark.parametrize(
    "forge",
    [
        lambda token: "",
        lambda token: ".",
        lambda token: token.rpartition(".")[0],
        lambda token: token.rpartition(".")[0] + ".",
        lambda token: "." + token,
        lambda token: token + "\x00",
        lambda token: token + "\u20ac",
        lambda token: token[1:],
        lambda token: "x" * 100_000,
        lambda token: token.rpartition(".")[0] + "x" * LONGEST_TOKEN + "." + token.rpartition(".")[2],
        lambda token: URLSafeSerializer("another secret, long enough", SALT, signer_kwargs=SIGNER).dumps(["/", ROOM]),
        lambda token: URLSafeSerializer(NEW, "another salt", signer_kwargs=SIGNER).dumps(["/", ROOM, None, 9e9]),
        lambda token: URLSafeSerializer(NEW, SALT).dumps(["/", ROOM, None, 9e9]),
    ],
)
def test_forged(server: TestServer, forge: Callable[[str], str]) -> None:
    token = token_for(server)
    assert code_with(joined(server), token) is True
    assert code_with(joined(server), forge(token)) == "token_invalid"


def test_no_character_of_a_token_can_be_changed(server: TestServer) -> None:
    client, token = joined(server), token_for(server, user="alice")
    for place in range(len(token) - 1):  # two bits of the last one mean nothing
        changed = "A" if token[place] != "A" else "B"
        assert code_with(client, token[:place] + changed + token[place + 1 :]) == "token_invalid"


def test_a_refusal_names_neither_channel_nor_user(server: TestServer) -> None:
    client = joined(server)
    client.subscribe(ROOM, token=token_for(server, user="alice"))
    for token in (
        token_for(server, "secret-plans"),
        token_for(server, ROOM, user="bob"),
        token_for(server, ROOM, user="bob", expires=1e-9),
        token_for(server, ROOM) + "x",
    ):
        [answer] = client.call("__subscribe__", ROOM, {"token": token}) or []
        assert not any(name in json.dumps(answer) for name in ("plans", "alice", "bob", ROOM))


# Secrets


def tokens(*secrets: str) -> Tokens:
    return Tokens(load_settings({"secrets": secrets}), lambda: 0)


def is_good(checking: Tokens, token: str) -> bool:
    try:
        checking.check(token, "/", ROOM, None)
    except SubscriptionRefused as refusal:
        assert refusal.code == "token_invalid"
        return False
    return True


def test_secrets_are_rotated() -> None:
    """First every process has to know the new secret, then one after the other signs with it, then the old one goes."""
    only_old, both, turned, only_new = tokens(OLD), tokens(OLD, NEW), tokens(NEW, OLD), tokens(NEW)
    made = [each.make("/", ROOM, None, 60) for each in (only_old, both, turned, only_new)]
    checked = [[is_good(each, token) for token in made] for each in (only_old, both, turned, only_new)]
    assert checked == [
        [True, True, False, False],
        [True, True, True, True],
        [True, True, True, True],
        [False, False, True, True],
    ]


def path_of(call: Callable[[], object]) -> list[tuple[str, str]]:
    """Which functions are called, of Python and of C, in their order."""
    calls: list[tuple[str, str]] = []

    def note(frame: Any, event: str, argument: Any) -> None:
        if event == "call":
            calls.append((frame.f_code.co_filename, frame.f_code.co_name))
        elif event == "c_call":
            calls.append((str(argument.__module__), argument.__qualname__))

    call()  # what is done once is done
    gc.disable()  # what others left may have functions to call
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
        gc.enable()
    return calls


def test_a_wrong_signature_is_compared_in_the_same_steps_wherever_it_differs() -> None:
    checking = tokens(NEW, OLD)
    payload, _, signature = checking.make("/", ROOM, "alice", 60).rpartition(".")
    other = checking.make("/", "room-43", "bob", 60).rpartition(".")[0]
    forged = [
        f"{payload}.{swapped(signature, 0)}",
        f"{payload}.{swapped(signature, 20)}",
        f"{payload}.{swapped(signature, 41)}",
        f"{payload}.{'A' * 43}",
        f"{swapped(payload, 0)}.{signature}",
        f"{other}.{signature}",
    ]
    paths = [path_of(lambda token=token: is_good(checking, token)) for token in forged]
    assert all(path == paths[0] for path in paths)
    compared = [name for _, name in paths[0] if name == "compare_digest"]
    assert len(compared) == 2  # once for each secret, and nothing else compares


def swapped(text: str, place: int) -> str:
    return text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]


def test_what_is_too_long_is_not_hashed() -> None:
    checking = tokens(NEW)
    assert "compare_digest" not in {name for _, name in path_of(lambda: is_good(checking, "x." * LONGEST_TOKEN))}


# Users


@pytest.mark.parametrize("user", ["alice", 42, 0, -1, "", "Ünal \u20ac </script>", "x" * 1000])
def test_a_token_tells_who_its_first_holder_is(events: Events, server: TestServer, user: Any) -> None:
    seen: list[Any] = []
    events.on_subscribe(lambda request, socket, context, channel: seen.append(socket.user))
    client = joined(server)
    assert client.subscribe(ROOM, token=token_for(server, user=user))
    assert client.subscribe("another", token=token_for(server, "another"))
    assert seen == [user, user]


def test_a_token_of_another_user(events: Events, server: TestServer) -> None:
    seen: list[Any] = []
    events.on_message(lambda request, socket, context, message: seen.append(socket.user))
    client = joined(server)
    assert code_with(client, token_for(server, user="alice")) is True
    assert code_with(client, token_for(server, user="bob")) == "token_other_user"
    assert code_with(client, token_for(server, "b", user="bob"), "b") == "token_other_user"
    assert code_with(client, token_for(server, "a", user="alice"), "a") is True
    client.send("who am I?")
    assert seen == ["alice"]


def test_what_the_application_says_counts(events: Events, server: TestServer) -> None:
    def connect(request: Any, socket: Any, context: Any) -> None:
        assert socket.user is None
        socket.user = request["HTTP_X_USER"]

    events.on_connect(connect)
    client = server.client({"HTTP_X_USER": "alice"})
    client.connect()
    assert code_with(client, token_for(server, user="bob")) == "token_other_user"
    assert code_with(client, token_for(server, user="alice")) is True


def test_numbers_and_texts_are_different_users(events: Events, server: TestServer) -> None:
    def connect(request: Any, socket: Any, context: Any) -> None:
        socket.user = 42

    events.on_connect(connect)
    client = joined(server)
    assert code_with(client, token_for(server, user="42")) == "token_other_user"
    assert code_with(client, token_for(server, user=42)) is True


def test_a_refused_token_names_nobody(events: Events, server: TestServer) -> None:
    seen: list[Any] = []
    events.on_message(lambda request, socket, context, message: seen.append(socket.user))
    client = joined(server)
    token = token_for(server, user="alice", expires=1)
    assert code_with(client, token, "another") == "token_other_channel"
    server.advance(1)
    assert code_with(client, token) == "token_expired"
    client.send("who am I?")
    assert seen == [None]


def test_a_user_is_of_one_namespace(events: Events, server: TestServer) -> None:
    seen: list[Any] = []
    events.on_message(namespace="/admin")(lambda request, socket, context, message: seen.append(socket.user))
    client = joined(server)
    client.subscribe(ROOM, token=token_for(server, user="alice"))
    client.connect("/admin")
    client.send("who am I?", "/admin")
    assert seen == [None]


@pytest.mark.parametrize("user", [[], {}, {"id": 1}])
def test_a_user_can_be_told_apart(events: Events, server: TestServer, user: Any) -> None:
    problems: list[str] = []

    def connect(request: Any, socket: Any, context: Any) -> None:
        socket.user = ("a", frozenset({1}))
        with pytest.raises(EventError, match="hashable") as caught:
            socket.user = user
        problems.append(str(caught.value))
        assert socket.user == ("a", frozenset({1}))

    events.on_connect(connect)
    joined(server)
    assert len(problems) == 1


# Making them


@pytest.mark.parametrize("channel", ["", None, 5, "x" * 201, b"room"])
def test_no_channel(server: TestServer, channel: Any) -> None:
    with pytest.raises(EventError, match="channel"):
        token_for(server, channel)


@pytest.mark.parametrize("user", [True, 1.5, ("a",), b"alice", [], LONG])
def test_no_user(server: TestServer, user: Any) -> None:
    with pytest.raises(EventError, match="user"):
        token_for(server, user=user)


@pytest.mark.parametrize("expires", [0, -1, None, "60", True, float("inf"), float("nan"), 10**400])
def test_no_time(server: TestServer, expires: Any) -> None:
    with pytest.raises(EventError, match="expires"):
        token_for(server, expires=expires)


@pytest.mark.parametrize("namespace", ["", "admin", None])
def test_no_namespace(server: TestServer, namespace: Any) -> None:
    with pytest.raises(EventError, match="namespace"):
        token_for(server, namespace=namespace)


def test_no_secret(events: Events) -> None:
    with pytest.raises(SettingsError, match="SOCKETIO_SECRETS"):
        token_for(TestServer(events))


def test_without_a_server_the_settings_are_looked_for(monkeypatch: pytest.MonkeyPatch, server: TestServer) -> None:
    """As for a page that is asked for before the first client of a foreign server, or in a process of pages only."""
    monkeypatch.setattr(shortcuts, "_current", None)
    with pytest.raises(SettingsError, match="SOCKETIO_SECRETS"):
        subscribe_token(ROOM)
    monkeypatch.setenv("SOCKETIO_SECRETS", f"{NEW},{OLD}")
    assert code_with(joined(server), subscribe_token(ROOM)) is True


# On the page


def rows_of(script: str) -> Any:
    start, end = '<script type="application/json" class="socketio-tokens">', "</script>"
    assert script.startswith(start)
    assert script.endswith(end)
    data = script[len(start) : -len(end)]
    assert "<" not in data
    return json.loads(data)


def test_tokens_of_a_page(server: TestServer) -> None:
    evil = "</script><!--<script>"
    tokens = [token_for(server), token_for(server, evil, namespace="/" + evil)]
    assert rows_of(token_script(tokens)) == [["/", ROOM, tokens[0]], ["/" + evil, evil, tokens[1]]]
    assert rows_of(token_script(iter(tokens))) == rows_of(token_script(tokens))
    assert rows_of(token_script(tokens[0])) == [["/", ROOM, tokens[0]]]
    assert rows_of(token_script([])) == []


@pytest.mark.parametrize("tokens", ["", "x", ["x"], [None], [5], [URLSafeSerializer("k").dumps([1])]])
def test_a_page_takes_nothing_but_tokens(tokens: Any) -> None:
    with pytest.raises(EventError, match="subscribe_token"):
        token_script(tokens)
