"""Health and metrics: who may ask, what is answered, and that nothing but the switch has to be turned on."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from tests.conformance.wire import Answer
from tests.hosting import OURS, PLAIN, gunicorn
from tests.raw import RawClient, get, make, post, sid_of
from tests.serving import ServerHere, wait_for
from webpy_socketio import SettingsError, SocketIOServer, metrics_collector, on_event, on_message
from webpy_socketio.collector import TOTALS
from webpy_socketio.engineio import EngineIO
from webpy_socketio.metrics import Counters
from webpy_socketio.reports import is_from_here
from webpy_socketio.testing import TestServer
from webpy_socketio.wsgi import SocketIOApp

HEALTH, METRICS = "/socket.io/health", "/socket.io/metrics"
OPEN = "/socket.io/?EIO=4&transport=polling"
Serve = Callable[..., ServerHere]


def untouchable(environ: Any, start_response: Any) -> Any:
    """An application that must not be asked."""
    raise AssertionError("the application was asked")


@pytest.fixture
def ask(serve_here: Serve) -> Iterator[Callable[..., RawClient]]:
    """Starts a server with some options, and connects to it."""
    clients = []

    def start(app: Any = untouchable, **options: Any) -> RawClient:
        clients.append(RawClient(("127.0.0.1", serve_here(app, **options).port)))
        return clients[-1]

    yield start
    for client in clients:
        client.close()


def word(answer: Answer) -> tuple[int, str]:
    """The status of an answer, and what it says."""
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.status, json.loads(answer.body)["status"]


# Health


@pytest.mark.parametrize("query", ["?", "?x", ""])
def test_ready_without_asking_the_application_or_a_client(ask: Callable[..., RawClient], query: str) -> None:
    client = ask(health=True)
    for _ in range(2):
        assert word(client.ask(get(HEALTH + query))) == (200, "ready")
    assert word(client.ask(get(HEALTH + "?live"))) == (200, "live")


@pytest.mark.parametrize("header", ["Origin: https://evil.example", "Connection: x", "Sec-Fetch-Site: cross-site"])
def test_health_is_for_everybody(ask: Callable[..., RawClient], header: str) -> None:
    assert word(ask(health=True).ask(get(HEALTH, header))) == (200, "ready")


def test_health_in_the_ways_of_balancers(ask: Callable[..., RawClient]) -> None:
    client = ask(health=True)
    answer = client.send(make("HEAD", HEALTH)).answer("HEAD")
    assert (answer.status, answer.body) == (200, b"")
    old = ask(health=True).send(f"GET {HEALTH} HTTP/1.0\r\n\r\n".encode()).read()
    assert old.startswith(b"HTTP/1.1 200 OK")
    assert old.endswith(b'{"status": "ready"}\n')
    assert ask(health=True).ask(post(HEALTH, "x")).status == 405


def test_reports_are_off(ask: Callable[..., RawClient]) -> None:
    client = ask(SocketIOApp())
    for path in (HEALTH, METRICS):
        assert client.ask(get(path)).status == 400


@pytest.mark.parametrize("kind", ["draining", "backplane not ready"])
def test_not_ready_is_503_but_alive(serve_here: Serve, kind: str) -> None:
    here = serve_here(untouchable, health=True)
    node = here.served._running.node
    if kind == "draining":
        here.do(node.drain)
    else:
        node.services.backplane.is_ready = False
    client = RawClient(("127.0.0.1", here.port))
    assert word(client.ask(get(HEALTH))) == (503, kind)
    assert word(client.ask(get(HEALTH + "?live"))) == (200, "live")
    client.close()


def test_health_is_not_in_the_access_log(ask: Callable[..., RawClient]) -> None:
    log = io.StringIO()
    client = ask(SocketIOApp(), health=True, log=log)
    assert client.ask(get(HEALTH)).status == 200
    assert client.send(make("HEAD", HEALTH)).answer("HEAD").status == 200
    assert client.ask(get("/other")).status == 404
    wait_for(lambda: "/other" in log.getvalue())
    assert "health" not in log.getvalue()


def test_health_of_the_engine_alone(ask: Callable[..., RawClient]) -> None:
    client = ask(EngineIO(lambda client, message: None, health=True, metrics=True))
    assert word(client.ask(get("/engine.io/health"))) == (200, "ready")
    assert b"webpy_socketio_sessions_opened_total 0.0" in client.ask(get("/engine.io/metrics")).body


@pytest.mark.parametrize("worker", [PLAIN, OURS], ids=["plain", "ours"])
def test_health_and_metrics_under_gunicorn_before_the_first_client(worker: str, tmp_path: Path) -> None:
    with gunicorn(worker, home=tmp_path, health=True, metrics=True) as server:
        client = RawClient(("127.0.0.1", server.port))
        assert word(client.ask(get(HEALTH))) == (200, "ready")
        assert "webpy_socketio_sessions_opened_total 0.0" in client.ask(get(METRICS)).body.decode()
        client.close()


# Who may read the metrics


@pytest.mark.parametrize("headers", [(), ("Authorization: Bearer wrong",), ("Authorization: Basic secret",),
                                     ("Authorization: Bearer",), ("Authorization: secret",),
                                     ("Authorization: Bearer s\xe9cret",)])  # fmt: skip
def test_metrics_need_the_token(ask: Callable[..., RawClient], headers: tuple[str, ...]) -> None:
    answer = ask(metrics=True, metrics_token="secret").ask(get(METRICS, *headers))
    assert (answer.status, answer.body) == (401, b"")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("token", ["secret", "sécret"])
def test_metrics_with_the_token(ask: Callable[..., RawClient], token: str) -> None:
    header = f"Authorization: bearer {token}".encode().decode("latin-1")
    client = ask(metrics=True, metrics_token=token)
    assert client.ask(get(METRICS, header, "X-Forwarded-For: 1.2.3.4")).status == 200


def test_metrics_without_a_token_are_for_this_machine(ask: Callable[..., RawClient]) -> None:
    client = ask(metrics=True)
    assert client.ask(get(METRICS)).status == 200
    refused = client.ask(get(METRICS, "X-Forwarded-For: 127.0.0.1"))
    assert refused.status == 403
    assert b"metrics_token" in refused.body


def test_metrics_by_a_unix_socket(serve_here: Serve, tmp_path: Path) -> None:
    serve_here(untouchable, listener=f"unix:{tmp_path / 'socket'}", metrics=True)
    client = RawClient(str(tmp_path / "socket"))
    assert client.ask(get(METRICS)).status == 200
    assert client.ask(get(METRICS, "X-Real-IP: 1.2.3.4")).status == 403
    client.close()


@pytest.mark.parametrize(
    ("environ", "is_here"),
    [
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost:8000"}, True),
        ({"REMOTE_ADDR": "127.8.9.1", "HTTP_HOST": "127.0.0.1"}, True),
        ({"REMOTE_ADDR": "::1", "HTTP_HOST": "[::1]:8000"}, True),
        ({"REMOTE_ADDR": "::ffff:127.0.0.1"}, True),
        ({}, True),
        ({"REMOTE_ADDR": "10.0.0.1", "HTTP_HOST": "localhost"}, False),
        ({"REMOTE_ADDR": "::2"}, False),
        ({"REMOTE_ADDR": "somebody"}, False),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "www.example.com"}, False),
        ({"HTTP_HOST": "www.example.com"}, False),
        ({"REMOTE_ADDR": "127.0.0.1", "PROXY_ADDR": "unix"}, False),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_VIA": "1.1 proxy"}, False),
        ({"REMOTE_ADDR": "127.0.0.1", "SERVER_PROTOCOL": "HTTP/1.0"}, False),
        ({"REMOTE_ADDR": "127.0.0.1", "SERVER_PROTOCOL": "HTTP/1.1"}, True),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_FORWARDED": "for=1.2.3.4"}, False),
    ],
)
def test_who_is_on_this_machine(environ: dict[str, str], is_here: bool) -> None:
    assert is_from_here(environ) is is_here


@pytest.mark.usefixtures("patched")
def test_without_the_package_metrics_are_an_error_at_start_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(SettingsError, match=re.escape('pip install "webpy-socketio[metrics]"')):
        SocketIOServer(("127.0.0.1", 0), untouchable, metrics=True)
    with pytest.raises(SettingsError, match="prometheus-client"):
        metrics_collector()


# What they say


def read_metrics(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """The samples of a page, by name and labels."""
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples}


def value(numbers: Any, name: str, **labels: str) -> float:
    """One number of a page."""
    return float(numbers["webpy_socketio_" + name, tuple(sorted(labels.items()))])


def test_the_numbers_of_a_server_with_clients(ask: Callable[..., RawClient]) -> None:
    client = ask(SocketIOApp(), metrics=True, recovery=True)
    sid = sid_of(client.ask(get(OPEN)))
    client.ask(post(f"{OPEN}&sid={sid}", "40"))
    client.ask(post(f"{OPEN}&sid={sid}", '420["__subscribe__","room"]'))
    client.ask(get("/socket.io/?EIO=4&transport=pigeon"))
    answer = client.ask(get(METRICS))
    assert answer.headers["Content-Type"].startswith("text/plain")
    numbers = read_metrics(answer.body.decode())
    assert value(numbers, "sessions", transport="polling", clients="3-4") == 1
    assert value(numbers, "sockets", namespace="/") == 1
    assert value(numbers, "channels", namespace="/") == 1
    assert value(numbers, "outbox_packets") == 2  # the answers to both, which nobody has polled
    assert value(numbers, "outbox_bytes") > 0
    assert value(numbers, "sessions_opened_total") == 1
    assert value(numbers, "requests_refused_total", code="0") == 1
    assert value(numbers, "sockets_awaited") == value(numbers, "history_bytes") == value(numbers, "draining") == 0
    assert ("process_open_fds", ()) in numbers
    client.ask(post(f"{OPEN}&sid={sid}", "41"))
    client.ask(post(f"{OPEN}&sid={sid}", "1"))
    numbers = read_metrics(client.ask(get(METRICS)).body.decode())
    assert value(numbers, "sessions_ended_total", reason="transport close") == 1
    assert ("webpy_socketio_sockets", (("namespace", "/"),)) not in numbers


def test_open_metrics_for_who_asks_for_them(ask: Callable[..., RawClient]) -> None:
    answer = ask(metrics=True).ask(get(METRICS, "Accept: application/openmetrics-text; version=1.0.0"))
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.body.endswith(b"# EOF\n")


def test_every_counter_is_shown() -> None:
    assert set(TOTALS) == set(Counters.__slots__)


def test_a_registry_of_the_application_and_namespaces_by_pattern() -> None:
    registry = CollectorRegistry()
    registry.register(metrics_collector())  # there is no server yet
    assert list(registry.collect()) == []
    with TestServer() as server:
        on_message(namespace=re.compile("/seen-[0-9]+"))(lambda request, socket, context, message: None)
        for number in range(3):
            client = server.client()
            client.connect(f"/seen-{number}")
            client.subscribe("room", namespace=f"/seen-{number}")
        labels = {"namespace": "/seen-[0-9]+"}
        assert registry.get_sample_value("webpy_socketio_sockets", labels) == 3
        assert registry.get_sample_value("webpy_socketio_channels", labels) == 3
    assert registry.get_sample_value("webpy_socketio_sockets", labels) is None


def test_numbers_can_be_read_in_another_thread(ask: Callable[..., RawClient]) -> None:
    sid_of(ask(SocketIOApp()).ask(get(OPEN)))
    registry = CollectorRegistry()
    registry.register(metrics_collector())
    assert registry.get_sample_value("webpy_socketio_sessions", {"transport": "polling", "clients": "3-4"}) == 1


def test_pending_acknowledgements_are_counted() -> None:
    registry = CollectorRegistry()
    registry.register(metrics_collector())

    def pending() -> float | None:
        return registry.get_sample_value("webpy_socketio_acks_pending")

    @on_event("ask-me", namespace="/asked")
    def ask_me(request: Any, socket: Any, context: Any) -> None:
        socket.emit("question", callback=lambda answer: None)

    with TestServer(ack_timeout=5) as server:
        client = server.client()
        client.connect("/asked")
        client.emit("ask-me", namespace="/asked")
        assert pending() == 1
        server.advance(6)
        assert pending() == 0
        assert registry.get_sample_value("webpy_socketio_acks_expired_total") == 1
