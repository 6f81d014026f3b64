"""What the doctor makes of deployments with one mistake in them: nginx, the servers and the sockets are real."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Timer

import pytest
import trustme

from tests.doctor.conftest import StartNginx
from tests.proxy import CuttingProxy
from tests.serving import ROOT, Server, free_port, serve_by_name
from webpy_socketio.doctor import findings
from webpy_socketio.doctor.examination import examine
from webpy_socketio.doctor.findings import Cause
from webpy_socketio.doctor.site import Site

CAUSES = [value for value in vars(findings).values() if isinstance(value, Cause)]
ENOUGH = 0.6  # seconds: longer than a heartbeat of the quick server


class Report:
    """What an examination found and said."""

    def __init__(
        self,
        url: str,
        *,
        resource: str = "socket.io",
        origin: str = "",
        idle: float | None = ENOUGH,
        insecure: bool = False,
        when_waiting: Callable[[], object] = lambda: None,
    ) -> None:
        lines: list[str] = []
        site = Site(url, resource, insecure)

        def write(text: str) -> None:
            lines.append(text)
            if "(waiting" in text:
                when_waiting()

        problems = examine(site, origin or site.origin, idle, write)
        self.text = "".join(lines)
        self.causes = [problem.cause for problem in problems]


def test_a_good_deployment_is_well(quick: Server, nginx: StartNginx) -> None:
    report = Report(nginx(quick.port))
    assert report.causes == [], report.text
    assert report.text.endswith("All is well.\n")
    assert re.search(r"with \d heartbeats?", report.text)
    assert "BAD" not in report.text and "--" not in report.text


def test_a_server_without_a_proxy_is_well(quick: Server) -> None:
    assert Report(quick.url).causes == []
    assert "Traceback" not in quick.log


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_no_upgrade_header(quick: Server, nginx: StartNginx, version: str) -> None:
    url = nginx(quick.port, **{"proxy_http_version": version, "proxy_set_header Upgrade": None})
    report = Report(url)
    assert report.causes == [findings.UPGRADE_HEADER], report.text
    assert "proxy_set_header Upgrade $http_upgrade;" in report.text


def test_nginx_as_it_comes(quick: Server, nginx: StartNginx) -> None:
    report = Report(
        nginx(
            quick.port,
            **dict.fromkeys(
                ("proxy_http_version", "proxy_set_header Host", "proxy_set_header Upgrade",
                 "proxy_set_header Connection", "proxy_buffering", "proxy_read_timeout")
            ),
        )
    )  # fmt: skip
    assert report.causes == [findings.HOST_HEADER, findings.BUFFERING, findings.UPGRADE_HEADER], report.text


def test_buffering(quick: Server, nginx: StartNginx) -> None:
    report = Report(nginx(quick.port, proxy_buffering="on"))
    assert report.causes == [findings.BUFFERING], report.text
    assert "proxy_buffering off;" in report.text


def test_a_timeout_below_the_heartbeat(slow: Server, nginx: StartNginx) -> None:
    report = Report(nginx(slow.port, proxy_read_timeout="1s"), idle=None)
    assert report.causes == [findings.IDLE], report.text
    assert "waiting 27 s; the server's heartbeat comes every 25 s" in report.text
    assert "for about 1 seconds" in report.text
    assert "proxy_read_timeout 75s;" in report.text


TURNS_AWAY = """
import web
from webpy_socketio import *
application = web.application(socketio_urls, {}).wsgifunc()
@on_connect
def refuse(request, socket, context):
    return False
"""


@pytest.fixture
def closed_shop(tmp_path: Path) -> Iterator[Server]:
    """A server that lets nobody in."""
    (tmp_path / "closed_shop.py").write_text(TURNS_AWAY)
    with serve_by_name("closed_shop", cwd=tmp_path, connect_timeout=1.5) as server:
        yield server


def test_an_application_that_turns_visitors_away(closed_shop: Server) -> None:
    assert Report(closed_shop.url).causes == []
    report = Report(closed_shop.url, idle=3)
    assert report.causes == [findings.PUT_OUT], report.text


def test_a_timeout_in_front_of_such_an_application(closed_shop: Server, nginx: StartNginx) -> None:
    report = Report(nginx(closed_shop.port, proxy_read_timeout="1s"), idle=3)
    assert report.causes == [findings.IDLE], report.text


def test_a_foreign_origin(quick: Server, nginx: StartNginx) -> None:
    report = Report(nginx(quick.port), origin="https://shop.example")
    assert report.causes == [findings.ORIGIN], report.text
    assert "the setting cors_origins = https://shop.example" in report.text


def test_a_declared_origin_is_well() -> None:
    with serve_by_name("plain", ping_interval=0.4, cors_origins="https://shop.example") as server:
        assert Report(server.url, origin="https://shop.example").causes == []


def test_cors_headers_that_a_proxy_adds(nginx: StartNginx) -> None:
    with serve_by_name("plain", ping_interval=0.4, cors_origins="https://shop.example") as server:
        url = nginx(server.port, **{"add_header Access-Control-Allow-Origin": "https://shop.example"})
        report = Report(url, origin="https://shop.example")
    assert report.causes == [findings.CORS], report.text


def test_a_host_that_the_proxy_does_not_pass_on(quick: Server, nginx: StartNginx) -> None:
    report = Report(nginx(quick.port, **{"proxy_set_header Host": None}))
    assert report.causes == [findings.HOST_HEADER], report.text


def test_a_wrong_path_in_the_proxy(quick: Server, nginx: StartNginx) -> None:
    report = Report(nginx(quick.port), resource="realtime")
    assert report.causes == [findings.WRONG_PATH], report.text
    assert "404 Not Found from nginx" in report.text


def test_a_wrong_path_in_the_application(quick: Server) -> None:
    report = Report(quick.url, resource="realtime")
    assert report.causes == [findings.WRONG_PATH], report.text
    assert "make_socketio_urls('realtime')" in report.text


def test_nothing_listens() -> None:
    report = Report(f"http://127.0.0.1:{free_port()}/")
    assert report.causes == [findings.DOWN], report.text
    assert "Not examined" in report.text


def test_the_server_behind_the_proxy_is_down(nginx: StartNginx) -> None:
    report = Report(nginx(free_port()))
    assert report.causes == [findings.GATEWAY], report.text


@pytest.fixture(scope="module")
def two_workers() -> Iterator[list[int]]:
    """The ports of two servers of the same application."""
    with ExitStack() as stack:
        yield [stack.enter_context(serve_by_name("plain", ping_interval=0.4)).port for _ in range(2)]


def test_two_workers_in_turn(two_workers: list[int], nginx: StartNginx) -> None:
    report = Report(nginx(*two_workers))
    assert report.causes == [findings.AFFINITY], report.text
    assert "ip_hash;" in report.text


def test_two_workers_with_affinity_are_well(two_workers: list[int], nginx: StartNginx) -> None:
    report = Report(nginx(*two_workers, affinity="ip_hash;"))
    assert report.causes == [], report.text


def test_two_workers_with_affinity_by_a_cookie(two_workers: list[int], nginx: StartNginx) -> None:
    url = nginx(
        *two_workers,
        extra=r'map $cookie_route $place { default app; "~^(?<known>127\.0\.0\.1:\d+)$" $known; }',
        target="$place",
        **{"add_header Set-Cookie": '"route=$upstream_addr; Path=/"'},
    )
    report = Report(url)
    assert report.causes == [], report.text
    assert "a cookie keeps a session with its server" in report.text


def test_a_small_limit_of_the_body(quick: Server, nginx: StartNginx) -> None:
    report = Report(nginx(quick.port, client_max_body_size="100k"))
    assert report.causes == [findings.BODY_SIZE], report.text
    assert "client_max_body_size 1m;" in report.text


def test_no_websockets_at_all() -> None:
    with serve_by_name("plain", ping_interval=0.4, transports="polling") as server:
        report = Report(server.url)
    assert report.causes == [], report.text
    assert "--   WebSocket    the server offers none: the setting transports" in report.text


@pytest.fixture(scope="module")
def websockets_alone() -> Iterator[Server]:
    """A server without long-polling."""
    with serve_by_name("plain", ping_interval=0.4, transports="websocket") as server:
        yield server


def test_websockets_alone_are_well(websockets_alone: Server, nginx: StartNginx) -> None:
    report = Report(nginx(websockets_alone.port))
    assert report.causes == [], report.text
    assert "ok   WebSocket    opens" in report.text
    assert "with 1 heartbeat" in report.text


def test_websockets_alone_and_a_foreign_origin(websockets_alone: Server) -> None:
    assert Report(websockets_alone.url, origin="https://shop.example").causes == [findings.ORIGIN]


def test_no_websockets_through_the_proxy(quick: Server, nginx: StartNginx) -> None:
    report = Report(nginx(quick.port, **{"if ($http_upgrade) { return 403; } set $nothing": "0"}))
    assert report.causes == [findings.NO_WEBSOCKET], report.text


def test_connections_that_are_ended_although_they_are_alive(quick: Server) -> None:
    with CuttingProxy(quick.port) as proxy:
        report = Report(proxy.url, idle=5, when_waiting=Timer(1, proxy.cut).start)
    assert report.causes == [findings.LIFETIME], report.text


def test_a_heartbeat_that_does_not_come() -> None:
    with serve_by_name("plain", ping_interval=1) as server, CuttingProxy(server.port) as proxy:
        release = Timer(2.5, proxy.release)

        def hold() -> None:
            proxy.hold()
            release.start()

        report = Report(proxy.url, idle=2.2, when_waiting=Timer(0.5, hold).start)
        release.join()
    assert report.causes == [findings.NO_PING], report.text


def test_only_old_clients() -> None:
    with serve_by_name("plain", clients="1-2") as server:
        assert Report(server.url).causes == [findings.GENERATION]


def test_a_password_in_front(quick: Server, nginx: StartNginx) -> None:
    assert Report(nginx(quick.port, deny="all")).causes == [findings.ACCESS]


def test_a_redirection(nginx: StartNginx, quick: Server) -> None:
    report = Report(nginx(quick.port, **{"return 301": "https://www.shop.example/"}))
    assert report.causes == [findings.ELSEWHERE]
    assert "doctor https://www.shop.example/" in report.text


def test_a_name_that_nobody_has() -> None:
    assert Report("http://nobody.invalid/").causes == [findings.NAME]


def test_no_tls_on_the_port(quick: Server) -> None:
    assert Report(f"https://127.0.0.1:{quick.port}/").causes == [findings.NOT_TLS]


@pytest.fixture
def encrypted(quick: Server, nginx: StartNginx, tmp_path: Path) -> str:
    """The URL of a deployment with a certificate that no browser knows."""
    certificate = trustme.CA().issue_cert("localhost", "127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "all.pem"))
    files = f"ssl_certificate {tmp_path}/all.pem; ssl_certificate_key {tmp_path}/all.pem;"
    return nginx(quick.port, extra=files, listen="ssl").replace("http:", "https:")


def test_a_certificate_that_nobody_vouches_for(encrypted: str) -> None:
    report = Report(encrypted)
    assert report.causes == [findings.CERTIFICATE], report.text
    assert "unable to get local issuer certificate" in report.text


def test_such_a_certificate_can_be_taken(encrypted: str) -> None:
    report = Report(encrypted, insecure=True)
    assert report.causes == [], report.text
    assert "WebSocket    opens" in report.text


@contextlib.contextmanager
def serve_here(answer: bytes) -> Iterator[str]:
    """A server that answers everything alike, as no nginx of ours would; gives its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with listener.accept()[0] as connection:
                        connection.recv(65536)
                        connection.sendall(answer)

        serving = pool.submit(serve)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        listener.shutdown(socket.SHUT_RDWR)
        serving.result()


def test_what_is_no_http() -> None:
    with serve_here(b"220 mail.example ESMTP\r\n") as url:
        report = Report(url)
    assert report.causes == [findings.BROKEN], report.text


def test_a_page_in_place_of_socketio() -> None:
    with serve_here(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\npage") as url:
        report = Report(url)
    assert report.causes == [findings.WRONG_PATH], report.text
    assert "200 OK, text/html that is not Engine.IO's" in report.text


def test_an_answer_that_ends_too_early_is_noticed() -> None:
    with serve_here(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\npag") as url:
        report = Report(url)
    assert report.causes == [findings.CUT], report.text
    assert "IncompleteRead(3 bytes read, 2 more expected)" in report.text


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_every_cause_is_documented(cause: Cause) -> None:
    assert f"\n``{cause.name}``" in (ROOT / "docs" / "doctor.rst").read_text()
