"""Streams of server-sent events beside the other ways in: what is heard, who may, what was missed, and every end."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
import socketio
import trustme
import websocket

from tests.conformance.targets import miss
from tests.conformance.wire import Answer
from tests.hosting import OURS, PLAIN, gunicorn
from tests.nginx.recipes import behind_nginx
from tests.raw import RawClient, get, make
from tests.redis_servers import RedisServer
from tests.serving import Server, serve, wait_for
from tests.sse import Event, StreamClient
from webpy_socketio.reasons import LOGGED_OUT, SERVER_DISCONNECT, SERVER_SHUTDOWN, SLOW

KEY = "a key of some length"
SECRET = "a secret of the tests"
COUNT = 1000

Open = Callable[..., StreamClient]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve("sse", publish_keys=KEY, recovery=True, metrics=True, secrets=SECRET) as running:
        yield running
        assert "Traceback" not in running.log


@pytest.fixture
def open_stream(server: Server) -> Iterator[Open]:
    """Opens streams, of the common server if no other is given."""
    with contextlib.ExitStack() as stack:

        def begin(where: str = "room", headers: dict[str, str] | None = None, **options: Any) -> StreamClient:
            running = options.pop("server", server)
            client = StreamClient(running.port, f"/sse/{where}", headers, **options)
            stack.callback(client.close)
            return client

        yield begin


def tell(server: Server, channel: str, message: str) -> None:
    """Have broadcast_channel called by a page."""
    ask(server, f"/tell/{channel}/{quote(message)}")


def ask(server: Server, where: str) -> str:
    """Ask for a page."""
    with urlopen(server.url + where, timeout=20) as answer:
        return str(answer.read().decode())


def publish(server: Server, channel: str, body: str) -> dict[str, Any]:
    """Publish by HTTP."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "text/plain"}
    with urlopen(Request(f"{server.url}/publish/{channel}", body.encode(), headers), timeout=10) as answer:
        return dict(json.load(answer))


def ended(server: Server, reason: str, channel: str) -> bool:
    """Whether a client's handlers have been told of this end."""
    return f"END {reason} ['{channel}']" in server.log


def told(client: StreamClient, status: int, code: str) -> str:
    """Check that this was answered instead of a stream; return the message."""
    answer = client.refusal
    assert isinstance(answer, Answer), "there is a stream"
    error = json.loads(answer.body)["error"]
    assert (answer.status, error["code"], answer.content_type) == (status, code, "application/json")
    return str(error["message"])


def farewell(client: StreamClient) -> dict[str, Any]:
    """What the last event says of the end, which comes next."""
    (event,) = client.rest()
    assert event.name == "__end__"
    (about,) = event.args
    return dict(about)


# What is heard.


def test_the_headers_are_those_of_a_stream_and_web_py_is_done_before_it(server: Server, open_stream: Open) -> None:
    stream = open_stream("headers")
    wait_for(lambda: "UNLOAD /sse/headers" in server.log)
    headers = stream.response.headers
    assert (headers["Cache-Control"], headers["X-Accel-Buffering"]) == ("no-store", "no")
    assert 1000 <= stream.retry <= 5000
    tell(server, "headers", "it goes on")
    assert stream.next()[:2] == ("message", "it goes on")


def test_messages_of_every_way_in_arrive_in_order_at_curl_and_at_other_clients(
    server: Server, open_stream: Open, tmp_path: Path
) -> None:
    if not shutil.which("curl"):
        miss("curl is not installed")
    output = tmp_path / "heard"
    with output.open("w") as file:
        curl = subprocess.Popen(["curl", "--no-buffer", "--silent", f"{server.url}/sse/every"], stdout=file)
    stream = open_stream("every")
    talker = websocket.create_connection(f"ws://127.0.0.1:{server.port}/ws/every", timeout=10)
    official = socketio.SimpleClient()
    official.connect(server.url, transports=["websocket"])
    wait_for(output.read_text)  # it has begun
    for number in range(0, COUNT, 4):
        tell(server, "every", f"{number}")
        assert stream.next().data == f"{number}"
        assert official.call("say", ("every", f"{number + 1}")) is True
        assert publish(server, "every", f"{number + 2}") == {"reached": 3}
        talker.send(f"{number + 3}")
        assert stream.texts(3) == [f"{number + more}" for more in (1, 2, 3)]
    official.disconnect()
    talker.close()
    everything = [str(number) for number in range(COUNT)]
    assert wait_for(lambda: (heard := re.findall("^data: (.*)$", output.read_text(), re.M))[COUNT - 1 :] and heard) == (
        everything
    )
    curl.kill()
    curl.wait()


def test_named_events_bytes_and_lines(server: Server, open_stream: Open) -> None:
    stream = open_stream()
    assert ask(server, "/do/emit") == "done"
    assert stream.next()[:2] == ("move", '[1,{"x":"AA=="}]')
    publish(server, "room", "one\r\ntwo\n")
    assert stream.next()[:2] == ("message", "one\ntwo\n")
    assert ask(server, "/do/volatile") == "1"
    assert stream.next()[:2] == ("volatile", "[1]")


def test_what_is_for_everybody_and_what_a_handler_sends(server: Server, open_stream: Open) -> None:
    stream = open_stream("?greet=ann")
    assert stream.next().data == "hello ann at /sse/"
    ask(server, "/do/all")
    assert stream.next().data == "to all"


@pytest.mark.parametrize("channel", ["a/b c/\u00fc", "50%", "x\ny"])
def test_the_rest_of_the_path_is_the_channel(server: Server, open_stream: Open, channel: str) -> None:
    stream = open_stream(quote(channel))
    assert publish(server, quote(channel), "hello") == {"reached": 1}
    assert stream.next().data == "hello"


def test_one_who_hears_nothing_else_hears_comments(open_stream: Open) -> None:
    with serve("sse", ping_interval=0.2, ping_timeout=0.3) as server:
        stream = open_stream(server=server)
        for _ in range(5):
            stream.wait_for_comment()
        tell(server, "room", "still here")
        assert stream.next().data == "still here"
        assert not ended(server, "ping timeout", "room")


# Who may.


@pytest.mark.parametrize(
    ("where", "headers", "status", "code", "message"),
    [
        ("room?refuse=no:%20way", {}, 403, "refused", "no: way"),
        ("private-1", {}, 403, "refused", "nobody: may"),
        ("room?leave=1", {}, 403, "refused", SERVER_DISCONNECT.sentence),
        ("room?token=forged", {}, 403, "token_invalid", "the token is not valid"),
        ("x" * 201, {}, 403, "invalid_channel", None),
        ("room", {"Origin": "https://evil.example"}, 403, "origin", None),
        ("room", {"Sec-Fetch-Site": "cross-site"}, 403, "origin", None),
        ("%ff", {}, 400, "bad_request", None),
    ],
)
def test_who_is_refused_is_told_before_there_is_a_stream(
    server: Server, open_stream: Open, where: str, headers: dict[str, str], status: int, code: str, message: str | None
) -> None:
    told_message = told(open_stream(where, headers), status, code)
    assert message in (None, told_message)


@pytest.mark.parametrize("method", ["POST", "HEAD", "DELETE", "OPTIONS"])
def test_a_stream_is_asked_for_with_get(server: Server, method: str) -> None:
    client = RawClient(("127.0.0.1", server.port))
    answer = client.send(make(method, "/sse/room", ("Content-Length: 0",))).answer(method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET")
    client.close()


def test_pages_of_declared_origins_may_read_it(open_stream: Open) -> None:
    with serve("sse", cors_origins="https://good.example", cors_credentials=True) as server:
        stream = open_stream(headers={"Origin": "https://good.example"}, server=server)
        assert stream.response.headers["Access-Control-Allow-Origin"] == "https://good.example"
        assert stream.response.headers["Access-Control-Allow-Credentials"] == "true"
        refused = open_stream("private-1", {"Origin": "https://good.example"}, server=server)
        assert refused.refusal is not None
        assert refused.refusal.headers["Access-Control-Allow-Origin"] == "https://good.example"


def test_a_token_opens_a_closed_channel(open_stream: Open) -> None:
    with serve("sse", subscriptions="closed", secrets=SECRET) as server:
        told(open_stream("orders", server=server), 403, "token_required")
        token = ask(server, "/do/token")
        stream = open_stream(f"orders?token={token}", server=server)
        tell(server, "orders", "hello")
        assert stream.next().data == "hello"
        stream.close()
        wait_for(lambda: ended(server, "transport close", "orders"))
        open_stream("private-1", server=server)
        wait_for(lambda: "GET /sse/private-1" in server.log)  # what is refused is in the access log
        assert token not in server.log


def test_streams_count_as_connections(open_stream: Open) -> None:
    with serve("sse", max_connections=2, metrics=True) as server:
        first = [open_stream(server=server) for _ in range(2)]
        refused = open_stream(server=server)
        assert "max_connections" in told(refused, 503, "unavailable")
        assert refused.refusal is not None
        assert refused.refusal.headers["Retry-After"] == "1"
        metrics = ask(server, "/socket.io/metrics")
        assert 'webpy_socketio_sessions{clients="plain",transport="sse"} 2.0' in metrics
        first[0].close()
        wait_for(lambda: ended(server, "transport close", "room"))
        open_stream(server=server)


def test_streams_of_one_address_are_limited(open_stream: Open) -> None:
    forwarded = {"X-Forwarded-For": "192.0.2.1"}
    with serve("sse", max_connections_per_address=1, trusted_proxies="127.0.0.1") as server:
        open_stream(headers=forwarded, server=server)
        told(open_stream(headers=forwarded, server=server), 429, "over_limit")
        open_stream(headers={"X-Forwarded-For": "192.0.2.2"}, server=server)


# What was missed.


def test_who_comes_back_gets_exactly_what_was_missed(server: Server, open_stream: Open) -> None:
    first = open_stream("back")
    publish(server, "back", "1")
    seen = first.next()
    first.close()
    wait_for(lambda: ended(server, "transport close", "back"))
    other = open_stream("other")
    publish(server, "other", "not for it")
    assert other.next().data == "not for it"
    for number in range(2, 5):
        tell_into_the_void(server, "back", f"{number}")
    ask(server, "/do/all")
    second = open_stream("back", {"Last-Event-ID": seen.place})
    publish(server, "back", "5")
    events = [second.next() for _ in range(5)]
    assert [event.data for event in events] == ["2", "3", "4", "to all", "5"]
    third = open_stream(f"back?lastEventId={events[2].place}")
    assert third.texts(2) == ["to all", "5"]
    fourth = open_stream("back", {"Last-Event-ID": events[-1].place})
    publish(server, "back", "6")
    assert fourth.next().data == "6"


def tell_into_the_void(server: Server, channel: str, message: str) -> None:
    """Publish to a channel that nobody follows, which is told so."""
    client = RawClient(("127.0.0.1", server.port))
    head = make("POST", f"/publish/{channel}", (f"Authorization: Bearer {KEY}", "Content-Type: text/plain",
                                                f"Content-Length: {len(message)}"))  # fmt: skip
    assert client.ask(head + message.encode()).status == 404
    client.close()


def test_a_place_is_known_without_an_event(open_stream: Open) -> None:
    with serve("sse", recovery=True, ping_interval=0.2, publish_keys=KEY) as server:
        quiet, other = open_stream("quiet", server=server), open_stream("other", server=server)
        publish(server, "other", "moves the history on")
        latest = other.next().place
        while quiet.place != latest:
            quiet.wait_for_comment()
        quiet.close()
        wait_for(lambda: ended(server, "transport close", "quiet"))
        tell_into_the_void(server, "quiet", "missed")
        assert open_stream("quiet", {"Last-Event-ID": latest}, server=server).next().data == "missed"


def test_what_is_sent_while_it_is_decided_comes_once_and_in_order(server: Server, open_stream: Open) -> None:
    other = open_stream("other")
    publish(server, "other", "1")
    place = other.next().place
    tell_into_the_void(server, "slow", "missed")
    back = open_stream("slow", {"Last-Event-ID": place})
    assert back.texts(3) == ["missed", "while deciding, to all", "while deciding"]
    publish(server, "slow", "then")
    assert back.next().data == "then"
    assert open_stream("slow").next().data == "while deciding, to all"


@pytest.mark.parametrize("place", ["unknown", "", "x" * 4000, "99"])
def test_a_place_that_is_not_known_is_a_gap(server: Server, open_stream: Open, place: str) -> None:
    stream = open_stream("gap", {"Last-Event-ID": place})
    publish(server, "gap", "new")
    event = stream.next()
    if place:
        assert event[:2] == ("__gap__", "[]")
        event = stream.next()
    assert event.data == "new"


def test_what_is_too_much_or_too_old_is_a_gap(open_stream: Open) -> None:
    with serve("sse", recovery=True, max_recovery_bytes=5000, publish_keys=KEY) as server:
        first = open_stream("gap", server=server)
        publish(server, "gap", "1")
        place = first.next().place
        for _ in range(20):
            publish(server, "gap", "x" * 100)
        assert open_stream("gap", {"Last-Event-ID": place}, server=server).next().name == "__gap__"
    with serve("sse", publish_keys=KEY) as server:
        stream = open_stream("gap", {"Last-Event-ID": place}, server=server)
        assert stream.next().name == "__gap__"
        publish(server, "gap", "no places without recovery")
        assert stream.next() == Event("message", "no places without recovery", "")


# Ends.


def test_one_who_hangs_up_is_gone_at_once(server: Server, open_stream: Open) -> None:
    open_stream("hangs-up").close()
    wait_for(lambda: ended(server, "transport close", "hangs-up"))


def test_one_who_hangs_up_while_it_is_decided_is_gone(server: Server) -> None:
    client = RawClient(("127.0.0.1", server.port))
    client.send(get("/sse/waits?wait=0.3"))
    wait_for(lambda: "WAITS" in server.log)
    sessions = 'webpy_socketio_sessions{clients="plain",transport="sse"}'
    client.close()
    wait_for(lambda: f"{sessions} 0.0" in (metrics := ask(server, "/socket.io/metrics")) or sessions not in metrics)


def test_who_does_not_read_is_sent_away_and_others_are_not(open_stream: Open) -> None:
    with serve("sse", max_outbox_bytes=200_000, metrics=True, message_log_format="") as server:
        silent = open_stream("flood", server=server, buffer=4096)
        reader = open_stream("flood", server=server)
        for _ in range(20):
            with contextlib.ExitStack() as stack:
                stack.callback(ask, server, "/flood/flood/40/50000")
            assert [text.split(" ")[0] for text in reader.texts(40)] == [str(number) for number in range(40)]
            if ended(server, SLOW.name, "flood"):
                break
        wait_for(lambda: ended(server, SLOW.name, "flood"))
        assert 'webpy_socketio_overflowed_total{policy="disconnect"} 1.0' in ask(server, "/socket.io/metrics")
        tell(server, "flood", "unharmed")
        assert reader.next().data == "unharmed"
        assert "Traceback" not in server.log
        assert not silent.response.fp.read().endswith(b"0\r\n\r\n"), "the server did not break it off"


def test_of_one_who_does_not_read_the_latest_waits(open_stream: Open) -> None:
    with serve("sse", max_outbox_bytes=200_000, message_log_format="") as server:
        slow = open_stream("latest-x", server=server, buffer=4096)
        ask(server, "/flood/latest-x/200/50000")
        tell(server, "latest-x", "the end")
        numbers = []
        while not (event := slow.next()).data.startswith("the end"):
            numbers.append(int(event.data.split(" ")[0]))
        assert numbers == sorted(numbers)
        assert len(numbers) < 200


def test_who_takes_nothing_for_too_long_is_given_up(open_stream: Open) -> None:
    with serve("sse", ping_interval=0.3, ping_timeout=0.5, message_log_format="") as server:
        open_stream("stuck", server=server, buffer=4096)
        ask(server, "/flood/stuck/60/50000")
        wait_for(lambda: ended(server, "ping timeout", "stuck") or ended(server, "transport close", "stuck"))


@pytest.mark.parametrize(("what", "reason"), [("out", SERVER_DISCONNECT), ("logout", LOGGED_OUT)])
def test_who_is_put_out_is_told_so_and_not_to_come_back(
    server: Server, open_stream: Open, what: str, reason: Any
) -> None:
    stream = open_stream("room?session=ann%27s")
    assert ask(server, f"/do/{what}") == "done"
    assert farewell(stream) == {
        "reason": reason.name, "code": reason.code, "message": reason.sentence, "reconnect": False,
    }  # fmt: skip
    wait_for(lambda: ended(server, reason.name, "room"))


def test_a_server_that_stops_says_goodbye_and_ends_each_stream_properly(open_stream: Open) -> None:
    with serve("sse") as server:
        streams = [open_stream(server=server) for _ in range(5)]
        tell(server, "room", "the last message")
        assert server.signal(signal.SIGTERM) == 0
        for stream in streams:
            message, end = stream.rest()
            assert message.data == "the last message"
            assert end.args[0]["reason"] == SERVER_SHUTDOWN.name
            assert end.args[0]["reconnect"] is True
        assert server.log.count(f"END {SERVER_SHUTDOWN.name}") == 5


def test_after_a_stream_the_connection_serves_the_next_request(server: Server) -> None:
    client = RawClient(("127.0.0.1", server.port))
    client.send(get("/sse/room"))
    client.read_until(b"retry: ")
    ask(server, "/do/out")
    client.read_until(b"\r\n0\r\n\r\n")
    assert client.ask(get("/")).status == 200
    client.close()


def test_to_a_client_of_http_1_0_a_stream_is_what_comes_before_the_end(server: Server) -> None:
    client = RawClient(("127.0.0.1", server.port))
    client.send(b"GET /sse/room HTTP/1.0\r\n\r\n")
    head = client.read_until(b"\r\n\r\n")
    assert b"chunked" not in head.lower()
    client.read_until(b"retry: ")
    ask(server, "/do/out")
    assert client.read().endswith(b"}]\n\n")


# Other servers.


def test_encrypted(open_stream: Open, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    tls = ssl.create_default_context()
    authority.configure_trust(tls)
    with serve("sse", certfile=tmp_path / "server.pem", publish_keys=KEY) as server:
        stream = open_stream(server=server, tls=tls)
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "text/plain"}
        url = f"https://localhost:{server.port}/publish/room"
        for text in ("hello", "x" * 500_000):
            with urlopen(Request(url, text.encode(), headers), timeout=10, context=tls) as answer:
                assert json.load(answer) == {"reached": 1}
            assert stream.next().data == text
        stream.close()
        wait_for(lambda: ended(server, "transport close", "room"))


@pytest.mark.parametrize("worker", [OURS, PLAIN])
def test_under_gunicorn(open_stream: Open, tmp_path: Path, worker: str) -> None:
    settings = {"publish_keys": KEY, "recovery": True, "message_log_format": ""}
    with gunicorn(worker, home=tmp_path, app="sse:application", **settings) as server:
        told(open_stream("private-1", server=server), 403, "refused")
        first, second = open_stream(server=server), open_stream(server=server)
        assert publish(server, "room", "1") == {"reached": 2}
        seen = first.next()
        assert (seen.data, second.next().data) == ("1", "1")
        first.close()
        wait_for(lambda: ended(server, "transport close", "room"))
        publish(server, "room", "2")
        assert second.next().data == "2"
        assert open_stream("room", {"Last-Event-ID": seen.place}, server=server).next().data == "2"
        assert server.signal(signal.SIGTERM) == 0
        (end,) = second.rest()
        assert (end.name, end.args[0]["reason"]) == ("__end__", SERVER_SHUTDOWN.name)
        assert "Traceback" not in server.log


def test_with_several_workers(open_stream: Open) -> None:
    with RedisServer() as redis:
        settings = {"workers": 2, "redis_url": redis.redis_url, "publish_keys": KEY, "message_log_format": ""}
        with serve("sse", **settings) as server:
            streams = [open_stream(server=server) for _ in range(8)]
            reached = [publish(server, "room", str(number))["reached"] for number in range(10)]
            assert all(0 <= count <= 8 for count in reached)
            for stream in streams:
                assert sorted(stream.texts(10), key=int) == [str(number) for number in range(10)]
            assert server.signal(signal.SIGTERM) == 0
            assert [stream.rest()[-1].name for stream in streams] == ["__end__"] * 8
            processes = re.findall(rf"END {SERVER_SHUTDOWN.name} \['room'\] (\d+)", server.log)
            assert len(processes) == 8


def test_over_a_stream_of_redis_who_comes_back_to_another_process_has_missed_nothing(open_stream: Open) -> None:
    with RedisServer() as redis, contextlib.ExitStack() as stack:
        settings = {"redis_adapter": "streams", "redis_url": redis.redis_url, "recovery": True, "publish_keys": KEY}
        one, two = (stack.enter_context(serve("sse", health=True, **settings)) for _ in range(2))
        for server in (one, two):
            wait_for(lambda server=server: is_ready(server))
        first, witness = open_stream(server=one), open_stream(server=two)
        publish(two, "room", "1")
        seen = first.next()
        assert (seen.data, witness.next()) == ("1", seen)
        first.close()
        wait_for(lambda: ended(one, "transport close", "room"))
        for number in range(2, 30):
            publish((one, two)[number % 2], ("room", "other")[number % 3 == 0], str(number))
        missed = [str(number) for number in range(2, 30) if number % 3]
        assert witness.texts(len(missed)) == missed
        back = open_stream("room", {"Last-Event-ID": seen.place}, server=two)
        publish(one, "room", "then")
        assert back.texts(len(missed) + 1) == [*missed, "then"]
        for place in ("0-1", "unknown"):
            assert open_stream("room", {"Last-Event-ID": place}, server=two).next().name == "__gap__"


def is_ready(server: Server) -> bool:
    """Whether a process says that it hears the others."""
    try:
        return "ready" in ask(server, "/socket.io/health")
    except OSError:
        return False


def test_through_nginx_events_come_at_once(open_stream: Open) -> None:
    with behind_nginx("native.conf", "sse", publish_keys=KEY) as nginx:
        stream = open_stream(server=nginx)
        for number in range(5):
            publish(nginx, "room", str(number))
            assert stream.next().data == str(number)
        stream.close()
        wait_for(lambda: ended(nginx.servers[0], "transport close", "room"))


def test_a_stream_cannot_be_below_the_path_of_socketio() -> None:
    with serve("sse", resource="sse", message_log_format="") as wrong:
        client = RawClient(("127.0.0.1", wrong.port))
        assert client.ask(get("/sse/room")).status == 500
        client.close()
        assert "SettingsError: a stream cannot be below Socket.IO's own path" in wrong.log
