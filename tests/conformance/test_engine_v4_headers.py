"""Engine.IO protocol 4: the headers of its answers, other origins, cookies, compression."""

from __future__ import annotations

import gzip
import zlib

import pytest

from tests.conformance.phrases import (
    FORBIDDEN,
    echo,
    event,
)
from tests.conformance.targets import StartServer, differs
from tests.conformance.wire import (
    Answer,
    PollingClient,
    WebSocketClient,
    open_websocket,
    polling_query,
    request,
)
from tests.serving import Server

# Headers


@pytest.mark.parametrize("agent", ["Mozilla/4.0 (compatible;MSIE 8.0)", "Mozilla/5.0 (Trident/7.0; rv:11.0)"])
def test_old_explorers_get_a_header(calm: Server, agent: str) -> None:
    client = PollingClient(calm, {"User-Agent": agent})
    assert client.opening.headers["X-XSS-Protection"] == "0"
    assert client.post("3").headers["X-XSS-Protection"] == "0"


def test_other_browsers_do_not(calm: Server) -> None:
    assert "X-XSS-Protection" not in PollingClient(calm, {"User-Agent": "Mozilla/5.0"}).opening.headers


def access_headers(answer: Answer) -> dict[str, str]:
    """The headers of an answer that tell browsers about other origins."""
    return {name: value for name, value in answer.headers.items() if name.lower().startswith("access-control-")}


def test_no_word_about_other_origins_by_default(polling: PollingClient) -> None:
    assert access_headers(polling.opening) == {}
    assert access_headers(polling.post("3")) == {}
    assert access_headers(request(polling.server, "GET", {})) == {}


@pytest.fixture
def open_to_all(servers: StartServer) -> Server:
    """A server that pages of every origin may use."""
    return servers(cors_origins="*")


def test_every_origin(open_to_all: Server) -> None:
    client = PollingClient(open_to_all, {"Origin": FORBIDDEN})
    assert access_headers(client.opening) == {"Access-Control-Allow-Origin": "*"}
    assert access_headers(client.post("3")) == {"Access-Control-Allow-Origin": "*"}
    refused = request(open_to_all, "GET", {}, {"Origin": FORBIDDEN})
    assert access_headers(refused) == {"Access-Control-Allow-Origin": "*"}
    WebSocketClient(open_to_all, {"Origin": FORBIDDEN}).join()


def test_preflight(open_to_all: Server) -> None:
    headers = {"Origin": FORBIDDEN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-a"}
    answer = request(open_to_all, "OPTIONS", polling_query(), headers)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Access-Control-Allow-Headers"] == "x-a"
    assert "Access-Control-Request-Headers" in answer.headers["Vary"]
    assert {"GET", "POST"} <= set(answer.headers["Access-Control-Allow-Methods"].split(","))


@pytest.fixture
def open_to_some(servers: StartServer) -> Server:
    """A server that pages of two other origins may use."""
    return servers(cors_origins="https://a.example,https://b.example")


def test_origin_on_the_list(open_to_some: Server) -> None:
    client = PollingClient(open_to_some, {"Origin": "https://b.example"})
    assert access_headers(client.opening) == {"Access-Control-Allow-Origin": "https://b.example"}
    assert "Origin" in client.opening.headers["Vary"]
    WebSocketClient(open_to_some, {"Origin": "https://a.example"}).join()


def test_origin_off_the_list(open_to_some: Server) -> None:
    answer = request(open_to_some, "GET", polling_query(), {"Origin": FORBIDDEN})
    assert answer.status == differs(403, node=200)
    assert "Access-Control-Allow-Origin" not in access_headers(answer)


def test_cookie_of_the_polling_handshake(servers: StartServer) -> None:
    client = PollingClient(servers(cookie=differs("io", node={"name": "io"})))
    parts = [part.strip() for part in client.opening.headers["Set-Cookie"].split(";")]
    assert parts[0] == f"io={client.sid}"
    assert {part.lower() for part in parts[1:]} == {"path=/", "httponly", "samesite=lax"}
    assert "Set-Cookie" not in client.post("3").headers


def test_no_cookie_with_a_websocket(servers: StartServer) -> None:
    socket = open_websocket(servers(cookie=differs("io", node={"name": "io"})))
    assert socket.connection.response is not None
    assert "Set-Cookie" not in socket.connection.response.headers


def test_no_cookie_by_default(polling: PollingClient) -> None:
    assert "Set-Cookie" not in polling.opening.headers


# Compression


THRESHOLD = 1024
ENCODINGS = [
    ("gzip", "gzip"),
    ("deflate", "deflate"),
    ("gzip, deflate", "gzip"),
    ("deflate;q=0.9, gzip;q=0.5", "deflate"),
    ("gzip;q=0, deflate", "deflate"),
    ("br", None),
    ("identity", None),
    ("*", "gzip"),
    ("", None),
]


@pytest.mark.parametrize(("accepted", "used"), ENCODINGS)
def test_long_answers_are_compressed(polling: PollingClient, accepted: str, used: str | None) -> None:
    polling.join()
    text = "x" * (THRESHOLD - len(echo("")))
    polling.send(event(text))
    answer = polling.get({"Accept-Encoding": accepted})
    assert answer.headers["Content-Encoding"] == used
    assert expanded(answer) == echo(text).encode()


def expanded(answer: Answer) -> bytes:
    """The body without its compression."""
    coding = answer.headers["Content-Encoding"]
    if coding is None:
        return answer.body
    return gzip.decompress(answer.body) if coding == "gzip" else zlib.decompress(answer.body)


def test_short_answers_are_not_compressed(polling: PollingClient) -> None:
    polling.join()
    polling.send(event("x" * (THRESHOLD - 1 - len(echo("")))))
    assert "Content-Encoding" not in polling.get({"Accept-Encoding": "gzip"}).headers
