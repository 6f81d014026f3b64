"""Publishing over HTTP, by a real server and real connections: who may, what is sent to whom, and what is answered."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import web

from tests.conformance.wire import Answer, WebSocketClient, open_websocket
from tests.raw import RawClient, get, make, post
from tests.serving import ServerHere
from webpy_socketio import SettingsError, channel_overflow, make_publish_urls, on_connect, publish_urls, socketio_urls
from webpy_socketio.errors import HttpRefused
from webpy_socketio.repeats import Repeats
from webpy_socketio.responses import Answer as Response
from webpy_socketio.settings import load_settings

KEY, NEXT_KEY = "a key of some length", "the next one's key, ü"
BEARER = f"Authorization: Bearer {KEY}"
TEXT, JSON = "Content-Type: text/plain", "Content-Type: application/json"
NAMESPACE = "/publishing"


channel_overflow("^publishing-keyed$", "latest", key=lambda event, *args: args[0]["symbol"])


@on_connect(namespace=NAMESPACE)
def let_in(request: Any, socket: Any, context: Any) -> None:
    """The namespace exists."""


class Site:
    """A server, and what is sent to it and heard from it."""

    def __init__(self, here: ServerHere) -> None:
        self.here = here
        here.path = "/socket.io/"
        self.http = RawClient(("127.0.0.1", here.port))
        self.clients: list[WebSocketClient] = []

    def follow(self, *channels: str, namespace: str = "/") -> WebSocketClient:
        """A client that follows channels."""
        client = open_websocket(self.here)
        self.clients.append(client)
        prefix = "" if namespace == "/" else f"{namespace},"
        client.send(f"40{prefix}")
        client.receive()
        for channel in channels:
            client.send(f'42{prefix}1["__subscribe__",{json.dumps(channel)}]')
            client.receives(f"43{prefix}1[true]")
        return client

    def publish(self, where: str, body: bytes | str = "hello", *headers: str) -> Answer:
        """Publish with the key."""
        return self.http.ask(post(f"/publish/{where}", body, BEARER, *headers))

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.http.close()


Start = Callable[..., Site]


@pytest.fixture
def start(serve_here: Callable[..., ServerHere]) -> Iterator[Start]:
    """Starts a server with publishing turned on, unless said otherwise."""
    sites = []

    def begin(urls: tuple[Any, ...] = publish_urls, **options: Any) -> Site:
        app = web.application(socketio_urls + urls, {}).wsgifunc()
        options = {"publish_keys": [KEY, NEXT_KEY], "message_log_format": None, **options}
        sites.append(Site(serve_here(app, **options)))
        return sites[-1]

    yield begin
    for site in sites:
        site.close()


def told(answer: Answer, status: int, code: str) -> str:
    """Check that an answer is this error; return its message."""
    error = json.loads(answer.body)["error"]
    assert (answer.status, answer.content_type, error["code"]) == (status, "application/json", code), answer.body
    assert answer.headers["Cache-Control"] == "no-store"
    assert KEY not in answer.text
    return str(error["message"])


def reached(answer: Answer, count: int) -> None:
    """Check that so many got it."""
    assert (answer.status, json.loads(answer.body)) == (200, {"reached": count}), answer.body


# What is sent.


@pytest.mark.parametrize(
    ("kind", "body", "sent"),
    [
        ("text/plain", "hello", '"hello"'),
        ("text/plain", "", '""'),
        ("text/html; charset=utf-8", "<b>ü\n</b>", '"<b>ü\\n</b>"'),
        ('text/plain; charset="UTF-8"', "€", '"€"'),
        ("application/json", '{"a": [1, "ü", null]}', '{"a":[1,"ü",null]}'),
        ("Application/JSON;charset=utf-8", "7", "7"),
        ("application/vnd.some+json", "[1, 2]", "[1,2]"),
    ],
)
def test_a_body_is_sent_as_what_its_type_says(start: Start, kind: str, body: str, sent: str) -> None:
    site = start()
    client = site.follow("room")
    reached(site.publish("room", body, f"Content-Type: {kind}"), 1)
    client.receives(f'42["message",{sent}]')


@pytest.mark.parametrize("headers", [("Content-Type: application/octet-stream",), ("Content-Type: image/png",), ()])
def test_anything_else_is_bytes(start: Start, headers: tuple[str, ...]) -> None:
    site = start()
    client = site.follow("room")
    reached(site.publish("room", b"\x00\xff", *headers), 1)
    client.receives('451-["message",{"_placeholder":true,"num":0}]', b"\x00\xff")


def test_every_subscriber_gets_it_and_nobody_else(start: Start) -> None:
    site = start()
    clients = [site.follow("room", "other"), site.follow("room"), site.follow("other")]
    reached(site.publish("room", "hello", TEXT), 2)
    reached(site.publish("other", "end", TEXT), 2)
    clients[0].receives('42["message","hello"]', '42["message","end"]')
    clients[1].receives('42["message","hello"]')
    clients[2].receives('42["message","end"]')


def test_another_event_and_another_namespace(start: Start) -> None:
    site = start()
    client, other = site.follow("room", namespace=NAMESPACE), site.follow("room")
    reached(site.publish(f"room?namespace={NAMESPACE}&event=a%20move", "[1]", JSON), 1)
    client.receives(f'42{NAMESPACE},["a move",[1]]')
    reached(site.publish("room", "here", TEXT), 1)
    other.receives('42["message","here"]')


@pytest.mark.parametrize("where", ["a/b%20c/%C3%BC", "a%2Fb c/ü", "a/b%0Ac"])
def test_names_of_channels_are_those_of_the_url(start: Start, where: str) -> None:
    site = start()
    site.follow("a/b c/ü", "a/b\nc")
    reached(site.http.ask(post(f"/publish/{where}".replace("ü", "%C3%BC").replace(" ", "%20"), "x", BEARER, TEXT)), 1)


def test_a_session_id_is_a_channel(start: Start) -> None:
    site = start()
    client = open_websocket(site.here)
    client.send("40")
    sid = json.loads(str(client.receive())[2:])["sid"]
    reached(site.publish(sid, "you", TEXT), 1)
    client.receives('42["message","you"]')
    client.close()


def test_a_trailing_slash_means_all_channels_below(start: Start) -> None:
    site = start()
    both, one, outside = site.follow("users/1", "users/2/x"), site.follow("users/2/x"), site.follow("users", "users-1")
    reached(site.publish("users/", "all", TEXT), 2)
    reached(site.publish("users/2/", "some", TEXT), 2)
    reached(site.publish("users", "exactly", TEXT), 1)
    both.receives('42["message","all"]', '42["message","some"]')
    one.receives('42["message","all"]', '42["message","some"]')
    outside.receives('42["message","exactly"]')
    told(site.publish("users/9/", "nobody", TEXT), 404, "no_socket")


def test_a_body_in_chunks(start: Start) -> None:
    site = start(max_payload=1000)
    client = site.follow("room")
    head = make("POST", "/publish/room", ("Transfer-Encoding: chunked", BEARER, TEXT))
    reached(site.http.ask(head + b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"), 1)
    client.receives('42["message","hello"]')
    told(site.http.ask(head + b"7D0\r\n" + b"x" * 2000 + b"\r\n0\r\n\r\n"), 413, "max_payload")


def test_another_path(start: Start) -> None:
    site = start(make_publish_urls("/api/v1/send/"))
    site.follow("room")
    reached(site.http.ask(post("/api/v1/send/room", "x", BEARER)), 1)
    assert site.http.ask(post("/publish/room", "x", BEARER)).status == 404


# Who may.


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_without_keys_there_is_nothing_and_the_log_says_why(
    start: Start, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    site = start(publish_keys=[])
    site.follow("room")
    for _ in range(2):
        told(site.http.ask(make(method, "/publish/room", (BEARER, "Content-Length: 0"))), 404, "not_found")
    assert caplog.text.count("publish_keys is not set") == 1


def test_whoever_has_no_key_is_asked_for_one(start: Start) -> None:
    site = start()
    client = site.follow("room")
    answer = site.http.ask(post("/publish/room", "x", TEXT))
    told(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="publish"'
    for wrong in ("Bearer " + KEY[:-1], "Bearer " + KEY + "x", "Bearer", "Bearer ü", f"Basic {KEY}", KEY, "Bearer x,y"):
        answer = site.http.ask(post("/publish/room", "x", TEXT, f"Authorization: {wrong}"))
        told(answer, 401, "unauthorized")
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="publish", error="invalid_token"'
    reached(site.publish("room", "only this", TEXT), 1)
    client.receives('42["message","only this"]')


def test_each_of_the_keys_is_good(start: Start) -> None:
    site = start()
    site.follow("room")
    for scheme, key in (("Bearer", KEY), ("bearer", KEY), ("Bearer ", NEXT_KEY.encode().decode("latin-1"))):
        reached(site.http.ask(post("/publish/room", "x", f"Authorization: {scheme} {key}")), 1)


def test_a_short_key_is_no_key_and_no_key_is_shown() -> None:
    with pytest.raises(SettingsError, match="at least 16 characters") as problem:
        load_settings({"publish_keys": "short"})
    assert "short" not in str(problem.value)
    settings = load_settings({}, {"SOCKETIO_PUBLISH_KEYS": f"{KEY}, {KEY}2"})
    assert settings.publish_keys == (KEY, KEY + "2")
    assert KEY not in repr(settings)


def test_pages_of_other_sites_may_not_unless_declared(start: Start) -> None:
    site = start(cors_origins=["https://good.example"])
    site.follow("room")
    told(site.publish("room", "x", "Origin: https://evil.example"), 403, "origin")
    told(site.publish("room", "x", "Origin: a\x01b"), 400, "origin")
    answer = site.publish("room", "x", "Origin: https://good.example")
    reached(answer, 1)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://good.example"
    asked = ("Origin: https://good.example", "Access-Control-Request-Headers: authorization")
    preflight = site.http.ask(make("OPTIONS", "/publish/room", asked))
    assert (preflight.status, preflight.headers["Access-Control-Allow-Headers"]) == (204, "authorization")


def test_a_page_of_another_site_may_not_ask_in_advance(start: Start) -> None:
    told(start().http.ask(make("OPTIONS", "/publish/room", ("Origin: https://evil.example",))), 405, "method")


# What is refused.


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_methods_are_told_which_one(start: Start, method: str) -> None:
    answer = start().http.ask(make(method, "/publish/room", (BEARER, "Content-Length: 0")))
    told(answer, 405, "method")
    assert answer.headers["Allow"] == "POST"


@pytest.mark.parametrize(
    ("where", "status", "code"),
    [
        ("nobody", 404, "no_socket"),
        ("room?namespace=/nowhere", 404, "no_socket"),
        ("", 400, "channel"),
        ("//", 400, "channel"),
        ("%FF", 400, "channel"),
        ("room?event=connect", 400, "query"),
        ("room?event=disconnect", 400, "query"),
        ("room?namespace=x", 400, "query"),
        ("room?evnet=x", 400, "query"),
        ("room?event=a&event=b", 400, "query"),
    ],
)
def test_what_cannot_be_published_to(start: Start, where: str, status: int, code: str) -> None:
    site = start()
    site.follow("room")
    told(site.publish(where, "x", TEXT), status, code)


@pytest.mark.parametrize(
    ("kind", "body", "status", "code"),
    [
        ("text/plain", b"\xff", 400, "body"),
        ("text/plain; charset=latin-1", b"x", 415, "charset"),
        ("application/json", b"{", 400, "body"),
        ("application/json", b"", 400, "body"),
        ("application/json", b"NaN", 400, "body"),
        ("application/json", b"\xff", 400, "body"),
        ("application/json", b"[" * 101 + b"]" * 101, 400, "max_json_depth"),
        ("application/x-www-form-urlencoded", b"x", 415, "content_type"),
        ("multipart/form-data; boundary=x", b"x", 415, "content_type"),
    ],
)
def test_bodies_that_cannot_be_sent(start: Start, kind: str, body: bytes, status: int, code: str) -> None:
    site = start()
    client = site.follow("room")
    told(site.publish("room", body, f"Content-Type: {kind}"), status, code)
    reached(site.publish("room", "the first", TEXT), 1)
    client.receives('42["message","the first"]')


def test_a_message_for_which_the_channel_has_no_key(start: Start) -> None:
    site = start()
    site.follow("publishing-keyed")
    told(site.publish("publishing-keyed", "{}", JSON), 400, "message")
    reached(site.publish("publishing-keyed", '{"symbol": "x"}', JSON), 1)


def test_a_body_that_is_too_large_is_refused_before_it_comes(start: Start) -> None:
    site = start(max_payload=1000)
    site.follow("room")
    reached(site.publish("room", b"x" * 1000), 1)
    head = make("POST", "/publish/room", (BEARER, "Content-Length: 1001"))
    assert "max_payload" in told(site.http.ask(head), 413, "max_payload")


def test_a_body_that_ends_early(start: Start) -> None:
    site = start()
    client = site.follow("room")
    site.http.send(make("POST", "/publish/room", (BEARER, TEXT, "Content-Length: 10")) + b"half")
    site.http.sock.shutdown(1)
    site.http.read()
    site.http = RawClient(("127.0.0.1", site.here.port))
    reached(site.publish("room", "whole", TEXT), 1)
    client.receives('42["message","whole"]')


# Repeats.


def test_a_repeated_request_is_answered_again_and_sends_nothing(start: Start) -> None:
    site = start()
    client = site.follow("room")
    for _ in range(3):
        reached(site.publish("room", "once", TEXT, "Idempotency-Key: 1"), 1)
    reached(site.publish("room", "once", TEXT, "Idempotency-Key: 2"), 1)
    reached(site.publish("room", "end", TEXT), 1)
    client.receives('42["message","once"]', '42["message","once"]', '42["message","end"]')


@pytest.mark.parametrize(("where", "body", "kind"), [("room", "y", TEXT), ("other", "x", TEXT), ("room", "x", JSON)])
def test_another_request_with_the_same_key_is_a_mistake(start: Start, where: str, body: str, kind: str) -> None:
    site = start()
    site.follow("room", "other")
    reached(site.publish("room", "x", TEXT, "Idempotency-Key: 1"), 1)
    told(site.publish(where, f'"{body}"' if kind == JSON else body, kind, "Idempotency-Key: 1"), 422, "key_reused")


def test_what_reached_nobody_may_be_tried_again(start: Start) -> None:
    site = start()
    told(site.publish("room", "x", TEXT, "Idempotency-Key: 1"), 404, "no_socket")
    site.follow("room")
    reached(site.publish("room", "x", TEXT, "Idempotency-Key: 1"), 1)


def test_two_publishers_have_their_own_idempotency_keys(start: Start) -> None:
    site = start()
    site.follow("room")
    theirs = f"Authorization: Bearer {NEXT_KEY.encode().decode('latin-1')}"
    reached(site.publish("room", "x", TEXT, "Idempotency-Key: 1"), 1)
    reached(site.http.ask(post("/publish/room", "y", TEXT, theirs, "Idempotency-Key: 1")), 1)


def test_an_idempotency_key_has_a_length(start: Start) -> None:
    told(start().publish("room", "x", f"Idempotency-Key: {'x' * 256}"), 400, "idempotency_key")


def test_repeats_are_bounded_in_time_and_number() -> None:
    repeats = Repeats(life=10, most=3)
    answer = Response("200 OK", [])
    for number in range(5):
        assert repeats.begin(number, b"x", 0.0) is None
        repeats.end(number, answer)
    assert len(repeats) == 3
    assert repeats.begin(4, b"x", 9.9) is answer
    assert repeats.begin(0, b"x", 9.9) is None
    assert repeats.begin(4, b"x", 10.0) is None


def test_a_request_that_is_being_answered_is_not_begun_again() -> None:
    repeats = Repeats()
    repeats.begin(1, b"x", 0.0)
    with pytest.raises(HttpRefused) as refused:
        repeats.begin(1, b"x", 0.0)
    assert (refused.value.status[:3], refused.value.code) == ("409", "in_progress")
    repeats.end(1, None)
    assert repeats.begin(1, b"x", 0.0) is None


# What is told.


def test_it_is_counted_and_the_log_has_no_key(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "webpy_socketio.messages")
    line = "%(REMOTE_ADDR)s %(TYPE)s %(MESSAGE)s %(HTTP_AUTHORIZATION)s"
    site = start(message_log_format=line, metrics=True)
    site.follow("room")
    caplog.clear()
    reached(site.publish("room", "hello", TEXT, "Idempotency-Key: 1"), 1)
    reached(site.publish("room", "hello", TEXT, "Idempotency-Key: 1"), 1)
    reached(site.publish("room", '{"a": 1}', JSON), 1)
    reached(site.publish("room", b"\xff"), 1)
    told(site.http.ask(post("/publish/room", "x")), 401, "unauthorized")
    lines = [r.getMessage() for r in caplog.records if r.name == "webpy_socketio.messages"]
    assert lines == [f"127.0.0.1 PUBLISH room {text} -" for text in ("hello", '{"a":1}', '"<1 bytes>"')]
    metrics = site.http.ask(get("/socket.io/metrics")).text
    counts = dict(re.findall(r'webpy_socketio_publishes_total{outcome="(\w+)"} ([0-9])', metrics))
    assert counts == {"sent": "3", "repeated": "1", "unauthorized": "1"}


def test_a_stopping_server_sends_publishers_elsewhere(start: Start) -> None:
    site = start()
    site.here.do(lambda: setattr(site.here.served.door.hub, "draining", True))
    answer = site.publish("room", "x", TEXT)
    told(answer, 503, "draining")
    assert answer.headers["Retry-After"] == "1"
