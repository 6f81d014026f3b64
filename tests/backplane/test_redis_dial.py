"""Redis is found wherever a URL says: one server, with a password, TLS or a Unix socket, by Sentinel, or a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.redis_servers import RedisServer
from tests.serving import free_port, wait_for
from webpy_socketio.backplane.redis_dial import TROUBLE, Dial
from webpy_socketio.backplane.redis_roll import ABSENT, Change, Roll
from webpy_socketio.errors import SettingsError
from webpy_socketio.presences import Place

SECONDS = 2.0


@pytest.fixture
def start() -> Iterator[Any]:
    """Starts Redis servers that end with the test."""
    with ExitStack() as stack:
        yield lambda *options, **more: stack.enter_context(RedisServer(*options, **more))


def check(url: str) -> None:
    """A connection works, and who listens is counted."""
    dial = Dial(url, SECONDS)
    connection = dial.connect()
    connection.send_command("SUBSCRIBE", "here")
    assert connection.read_response()[2] == 1
    assert (dial.count(b"here"), dial.count(b"there")) == (1, 0)
    again = dial.connect()
    again.send_command("PUBLISH", "here", b"\x00")
    assert again.read_response() == 1
    assert connection.read_response(disable_decoding=True) == [b"message", b"here", b"\x00"]
    for used in (connection, again):
        used.disconnect()
    _check_roll(dial)
    dial.close()


def _check_roll(dial: Dial) -> None:
    """Who is where is kept there; in a cluster that takes keys in one place."""
    roll, other = (Roll(dial, "socket.io", uid, 1.0, b"changes") for uid in ("first", "second"))
    place = Place("/", "hall")
    assert roll.hello("epoch").registered == {}
    assert other.hello("another").epoch == "epoch"
    assert roll.change([Change((place, "1"), 1, 1000)]) == [(1, 1000, 1)]
    assert other.change([Change((place, "1"), 2, 2000)]) == [(0, 1000, 3)]
    assert other.change([Change((place, "1"), 2, 900)]) == [(0, 900, 3)]
    assert roll.hello("").registered == {(place, "1"): 1}
    assert roll.change([Change((place, "1"), ABSENT, 0)]) == [(0, 900, 2)]
    assert other.read(place) == {"1": (900, {"second": 2})}
    roll.post(place, b"somewhere")
    assert other.change([], dead="first") is None
    roll.leave(0)
    assert other.beat() == (1, [])
    assert other.change([Change((place, "1"), ABSENT, 0)]) == [(-1, 900, 0)]
    other.leave(0)


def test_one_server(start: Any) -> None:
    check(start().redis_url)


def test_a_password(start: Any) -> None:
    port = start("--requirepass", "se cret").port
    check(f"redis://:se%20cret@127.0.0.1:{port}/3")
    with pytest.raises(TROUBLE):
        Dial(f"redis://:wrong@127.0.0.1:{port}", SECONDS).connect()


def test_a_unix_socket(start: Any, tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    start("--unixsocket", str(path))
    check(f"unix://{path}")


def test_tls(start: Any, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    files = {"cert": certificate.cert_chain_pems[0], "key": certificate.private_key_pem, "ca-cert": authority.cert_pem}
    for name, blob in files.items():
        blob.write_to_path(tmp_path / name)
    port = free_port()
    options = [part for name in files for part in (f"--tls-{name}-file", str(tmp_path / name))]
    start("--tls-port", str(port), "--tls-auth-clients", "no", *options)
    check(f"rediss://localhost:{port}?ssl_ca_certs={tmp_path / 'ca-cert'}")
    with pytest.raises(TROUBLE):
        Dial(f"rediss://localhost:{port}", SECONDS).connect()


def test_sentinels(start: Any, tmp_path: Path) -> None:
    master = start("--requirepass", "secret")
    configuration = tmp_path / "sentinel.conf"
    configuration.write_text(
        f"sentinel monitor ours 127.0.0.1 {master.port} 1\nsentinel auth-pass ours secret\nrequirepass theirs\n"
    )
    sentinel = start(configuration=configuration)
    hosts = f"127.0.0.1:1,127.0.0.1:{sentinel.port}"
    check(f"redis+sentinel://:secret@{hosts}/ours?sentinel_password=theirs")
    with pytest.raises(TROUBLE):
        Dial(f"redis+sentinel://:secret@{hosts}/others?sentinel_password=theirs", SECONDS).connect()


def test_a_cluster(start: Any, tmp_path: Path) -> None:
    node = start(
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        str(free_port()),
        "--cluster-config-file",
        str(tmp_path / "nodes.conf"),
    )
    node.ask("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
    wait_for(lambda: "cluster_state:ok" in node.ask("CLUSTER", "INFO"))
    check(f"redis+cluster://127.0.0.1:{node.port}")


def test_nobody_is_there() -> None:
    with pytest.raises(TROUBLE):
        Dial("redis://127.0.0.1:1", SECONDS).connect()


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("127.0.0.1:6379", "scheme"),
        ("http://127.0.0.1", "scheme"),
        ("redis://127.0.0.1:port", "[Pp]ort"),
        ("redis://127.0.0.1?db=x", "db"),
        ("redis+other://127.0.0.1", "knows no redis"),
        ("unix+cluster:///tmp/x", "knows no unix"),
        ("redis+sentinel://127.0.0.1:26379", "the name that the Sentinels have"),
        ("redis+sentinel:///name", "names no host"),
        ("redis+cluster://127.0.0.1,", "names no host"),
        ("redis+cluster://127.0.0.1:port", "[Pp]ort"),
    ],
)
def test_urls_that_cannot_be(url: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=f"option redis_url: .*{problem}.*redis://:password@"):
        Dial(url, SECONDS)
